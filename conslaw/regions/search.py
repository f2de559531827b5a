"""Which search: edges in floating point with a certificate, or all cells in exact arithmetic."""

from __future__ import annotations

import numpy as np

from conslaw.errors import ConslawError
from conslaw.regions.cell_data import AllCells, CellData
from conslaw.regions.certified_vertices import LeftOpen, NotProved, close, found_signs, prove_vertices
from conslaw.regions.edge_subdivision import Doubtful, vertices
from conslaw.regions.networks_read import Array, Network, rank
from conslaw.regions.simple_cells import SimpleCells
from conslaw.regions.subdivision import check_dimension, subdivided

EXACT = "all cells subdivided in exact arithmetic"
SEARCHED = "vertices searched in float64; signs, edges and rays then proved"
FLOATS = "vertices searched in float64"
MOST_EXACT = 400_000  # cells that the exact subdivision may take on where the search has failed
FIRST_EXACT = 24  # neurons: below that exact arithmetic is quick


def found(
    network: Network, box: list[tuple[Array, int]] | None, most_cells: int, certify: bool
) -> tuple[CellData, bool, str]:
    """The cells, whether they are proved, and how."""
    reason = ""
    if box is None and _may_be_generic(network):
        check_dimension(network, network.inputs, most_cells)
        try:
            return _searched(network, most_cells, certify)
        except (Doubtful, NotProved) as error:
            reason = str(error)
    try:
        cells = subdivided(network, min(most_cells, MOST_EXACT) if reason else most_cells, box)
    except ConslawError as error:
        if not reason:
            raise
        raise ConslawError(
            f"{error}; the fast search does not do here: {reason}; give perturb=1e-6, or a smaller network"
        ) from None
    return AllCells(cells, network.inputs if box is not None else 0), True, EXACT


def _may_be_generic(network: Network) -> bool:
    hidden = network.hidden
    if not hidden or (len(network.neurons) <= FIRST_EXACT and network.inputs <= 2):
        return False
    first = hidden[0].numerators
    return bool(first[:, -1].any()) and rank(first[:, :-1]) == network.inputs


def _searched(network: Network, most_cells: int, certify: bool) -> tuple[CellData, bool, str]:
    candidates = vertices(network, max(8, 2 * most_cells // 2**network.inputs))
    zeros = candidates.zeros.astype(np.int64)
    signs = found_signs(network, zeros, candidates.points)
    cells = SimpleCells(close(network, signs, zeros, candidates.points), candidates.points)
    cells.counts(most_cells)  # refuses what is too much before the proof, which takes longer
    if not certify:
        return cells, False, FLOATS
    try:
        prove_vertices(network, signs, zeros, candidates.points)
    except LeftOpen as error:
        return cells, False, f"{FLOATS}; {error}"
    return cells, True, SEARCHED

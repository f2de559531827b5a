"""Which search: edges in floating point with a certificate, or all cells exactly."""

from __future__ import annotations

from conslaw.regions.cell_data import AllCells, CellData
from conslaw.regions.networks_read import Array, Network
from conslaw.regions.subdivision import subdivided

EXACT = "all cells subdivided in exact arithmetic"


def found(
    network: Network, box: list[tuple[Array, int]] | None, most_cells: int, certify: bool
) -> tuple[CellData, bool, str]:
    """The cells, whether they are proved, and how."""
    cells = subdivided(network, most_cells, box)
    return AllCells(cells, network.inputs if box is not None else 0), True, EXACT

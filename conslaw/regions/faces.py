"""Faces, vertices and volume of one polyhedron, exactly: the subdivision, of which one side is kept."""

from __future__ import annotations

from fractions import Fraction
from math import factorial

import numpy as np
from flint import fmpz_mat

from conslaw.errors import check_memory
from conslaw.regions.networks_read import Array, independent_rows, product
from conslaw.regions.subdivision import Cells, _cross, _cut

MOST_DIMENSIONS = 8


def polyhedron(rows: Array) -> Cells | None:
    """The faces of {x : (A | -b) (x, 1) <= 0}, rows being integers; None if it contains a line.

    Signs have a column for each row: 0 where the face lies on it.
    """
    basis = independent_rows(rows[:, :-1])
    if len(basis) < rows.shape[1] - 1:
        return None
    cells = _cross(rows[basis], len(rows))
    for column in [*basis, *(i for i in range(len(rows)) if i not in set(basis))]:
        cells.values = product(cells.ends, rows[[column]].T)
        _cut(cells, 0, column)
        _restrict(cells, column)
        check_memory(3.0 * cells.total * len(rows), f"{cells.total} faces of a polyhedron", "take a slice")
    return cells


def _restrict(cells: Cells, column: int) -> None:
    """Keep the cells where the sign is not positive."""
    keep = [matrix[:, column] <= 0 for matrix in cells.signs]
    for k in range(1, len(keep)):
        rows, columns = cells.facets[k]
        stay = keep[k][rows] & keep[k - 1][columns]
        new = [np.cumsum(keep[j]) - 1 for j in (k, k - 1)]
        cells.facets[k] = (new[0][rows[stay]], new[1][columns[stay]])
    if len(keep) > 1:
        cells.ray = cells.ray[keep[1]]
    used = np.unique(cells.ray[cells.ray >= 0])
    chosen = np.concatenate([np.flatnonzero(keep[0]), used])
    far = cells.ray >= 0
    cells.ray[far] = int(keep[0].sum()) + np.searchsorted(used, cells.ray[far])
    cells.ends, cells.values = cells.ends[chosen], cells.values[chosen]
    cells.signs = [matrix[mask] for matrix, mask in zip(cells.signs, keep, strict=True)]


def volume(cells: Cells) -> Fraction:
    """Of a bounded polyhedron, by the triangulation that pulls the first vertex of each face."""
    d = len(cells.signs) - 1
    points = cells.ends[: cells.vertices]
    total = Fraction(0)
    for simplex in _simplices(cells, d, 0, {}):
        corners = points[list(simplex)]
        scale = 1
        for w in corners[:, -1]:
            scale *= int(w)
        total += Fraction(abs(int(fmpz_mat(corners.tolist()).det())), scale)
    return total / factorial(d)


def _simplices(
    cells: Cells, k: int, face: int, known: dict[tuple[int, int], frozenset[int]]
) -> list[tuple[int, ...]]:
    if k == 0:
        return [(face,)]
    apex = min(_vertices(cells, k, face, known))
    rows, columns = cells.facets[k]
    return [
        (apex, *rest)
        for facet in columns[rows == face]
        if apex not in _vertices(cells, k - 1, int(facet), known)
        for rest in _simplices(cells, k - 1, int(facet), known)
    ]


def _vertices(
    cells: Cells, k: int, face: int, known: dict[tuple[int, int], frozenset[int]]
) -> frozenset[int]:
    if (k, face) not in known:
        rows, columns = cells.facets[k]
        below = (_vertices(cells, k - 1, int(f), known) for f in columns[rows == face])
        known[k, face] = frozenset().union(*below) if k else frozenset([face])
    return known[k, face]

"""What is known of the cells of a complex: counts, coordinates, incidences."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

import numpy as np

from conslaw.regions.inequalities import quotient
from conslaw.regions.networks_read import Array
from conslaw.regions.subdivision import Cells


class CellData(Protocol):
    """What both searches hand on."""

    @property
    def generic(self) -> bool: ...
    @property
    def points(self) -> Array: ...
    @property
    def edges(self) -> Array: ...
    @property
    def rays(self) -> tuple[Array, Array]: ...
    @property
    def facets(self) -> list[tuple[Array, Array]]: ...
    def counts(self, most_cells: int) -> tuple[tuple[int, ...], tuple[int, ...]]: ...
    def cells(self, dimension: int) -> Array: ...
    def neighbours(self, sign: Array) -> Array | None: ...


@dataclass(frozen=True, eq=False)
class AllCells:
    """From the subdivision of all cells; ``sides`` columns of signs belong to a box."""

    found: Cells = field(repr=False)
    sides: int = 0

    @cached_property
    def generic(self) -> bool:
        top = len(self.found.signs) - 1
        for k, signs in enumerate(self.found.signs):
            on_sides = (signs[:, : self.sides] != 0).sum(axis=1)
            on_walls = (signs[:, self.sides :] == 0).sum(axis=1)
            if (on_walls + on_sides != top - k).any():
                return False
        return True

    @cached_property
    def points(self) -> Array:
        ends = self.found.ends[: self.found.vertices]
        return np.array([[quotient(x, row[-1]) for x in row[:-1]] for row in ends], float).reshape(
            len(ends), ends.shape[1] - 1
        )

    @cached_property
    def edges(self) -> Array:
        if len(self.found.signs) == 1:
            return np.zeros((0, 2), int)
        rows, columns = self.found.facets[1]
        return columns[(self.found.ray < 0)[rows]].reshape(-1, 2)

    @cached_property
    def rays(self) -> tuple[Array, Array]:
        ends = self.found.ends
        if len(self.found.signs) == 1:
            return np.zeros(0, int), np.zeros((0, ends.shape[1] - 1))
        rows, columns = self.found.facets[1]
        far = self.found.ray[self.found.ray >= 0]
        directions = np.array(
            [[quotient(x, max(map(abs, row[:-1]))) for x in row[:-1]] for row in ends[far]], float
        ).reshape(len(far), ends.shape[1] - 1)
        return columns[(self.found.ray >= 0)[rows]], directions

    @property
    def facets(self) -> list[tuple[Array, Array]]:
        """Pairs (cell, its facet) for each dimension, sorted by cells."""
        return self.found.facets

    @cached_property
    def _bounded(self) -> list[Array]:
        masks = [np.ones(self.found.vertices, bool)]
        for k in range(1, len(self.found.signs)):
            rows, columns = self.found.facets[k]
            starts = np.searchsorted(rows, np.arange(len(self.found.signs[k])))
            masks.append(np.logical_and.reduceat(masks[-1][columns], starts))
            if k == 1:
                masks[1] &= self.found.ray < 0
        return masks

    def counts(self, most_cells: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
        return tuple(map(len, self.found.signs)), tuple(int(mask.sum()) for mask in self._bounded)

    def cells(self, dimension: int) -> Array:
        return self.found.signs[dimension][:, self.sides :]

    def neighbours(self, sign: Array) -> Array | None:
        top = len(self.found.signs) - 1
        matches = np.flatnonzero((self.cells(top) == sign).all(axis=1))
        if len(matches) != 1:
            return None
        if not top:
            return self.cells(0)[:0]
        rows, columns = self.found.facets[top]
        walls = columns[rows == matches[0]]
        beyond = rows[np.isin(columns, walls) & (rows != matches[0])]
        found: Array = self.cells(top)[np.unique(beyond)]
        return found

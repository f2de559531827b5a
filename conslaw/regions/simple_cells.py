"""All cells of a generic complex from its vertices: each is a vertex's choice of signs for its d neurons."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from itertools import combinations
from itertools import product as tuples
from math import comb

import numpy as np
from flint import fmpq_mat, fmpz_mat

from conslaw.errors import ConslawError, check_memory
from conslaw.regions.certified_vertices import Closed, hashed, planes, random_keys
from conslaw.regions.networks_read import SMALLER, Array

CHUNK = 1 << 16  # rows that stay in the cache


@dataclass(frozen=True, eq=False)
class SimpleCells:
    """A generic complex: vertices, their signs, edges and rays."""

    closed: Closed = field(repr=False)
    points: Array = field(repr=False)
    generic: bool = True

    @property
    def edges(self) -> Array:
        return self.closed.edges

    @property
    def rays(self) -> tuple[Array, Array]:
        return self.closed.rays[:, 0], self.closed.directions

    def counts(self, most_cells: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Numbers of cells and of bounded cells."""
        f, b = self._counts
        if sum(f) > most_cells:
            raise ConslawError(
                f"{sum(f)} cells: more than most_cells={most_cells}; raise it, or give within="
            )
        return f, b

    @cached_property
    def _counts(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Euler's relation in each j-cell, summed over all of them (a k-cell lies on 2^(j-k) C(d-k, j-k)), is
        sum_k (-1)^k 2^(j-k) C(d-k, j-k) f_k = b_j, and in the whole sum_k (-1)^k f_k = (-1)^d.  With f_0 and
        f_1 that is all in the plane; in space the regions must be counted too, and so on.
        """
        d = self.closed.zeros.shape[1]
        euler = [
            [(-1) ** k * 2 ** (j - k) * comb(d - k, j - k) if k <= j else 0 for k in range(d + 1)]
            for j in range(d + 1)
        ]
        equations = [([(-1) ** k for k in range(d + 1)], (-1) ** d)]

        def count(k: int, f: int, b: int) -> None:
            equations.append(([int(i == k) for i in range(d + 1)], f))
            equations.append((euler[k], b))

        count(0, len(self.points), len(self.points))
        if d:
            count(1, len(self.edges) + len(self.closed.rays), len(self.edges))
        for k in [*range(d, 1, -1), None]:
            rows = fmpq_mat(fmpz_mat([[*left, right] for left, right in equations]))
            reduced, rank = rows.rref()
            if rank == d + 1:
                break
            count(k, *self._count(k))
        f = [int(reduced[k, d + 1].p) for k in range(d + 1)]
        b = [sum(e * n for e, n in zip(euler[j], f, strict=True)) for j in range(d + 1)]
        return tuple(f), tuple(b)

    def _choices(self, k: int) -> Array:
        """Signs for the d neurons of a vertex: one row for each k-cell around it."""
        d = self.closed.zeros.shape[1]
        rows = []
        for chosen in combinations(range(d), k):
            for signs in tuples((-1, 1), repeat=k):
                row = [0] * d
                for place, sign in zip(chosen, signs, strict=True):
                    row[place] = sign
                rows.append(row)
        return np.array(rows, np.int8).reshape(-1, d)

    @cached_property
    def _keys(self) -> tuple[Array, Array]:
        keys = random_keys(self.closed.signs.shape[1], 2)
        return keys, hashed(self.closed.signs, keys)

    @cached_property
    def _bits(self) -> tuple[Array, Array]:
        return planes(self.closed.signs)

    def _all(self, k: int) -> tuple[Array, Array, Array]:
        """Keys of all (choice, vertex), in order, the order, and the choices."""
        choices, zeros = self._choices(k), self.closed.zeros
        check_memory(
            30.0 * len(choices) * len(zeros), f"{len(choices) * len(zeros)} cells at vertices", SMALLER
        )
        keys, own = self._keys
        every = np.empty((len(choices), len(zeros)), np.uint64)
        for row, choice in zip(every, choices, strict=True):
            row[:] = own
            for place in np.flatnonzero(choice):
                row += keys[zeros[:, place], choice[place] + 1]
        order = np.argsort(every.ravel())
        return every.ravel()[order], order, choices

    def _starts(self, k: int) -> tuple[Array, Array, Array]:
        """Where, in the order by keys, a new cell starts; equal keys are proved to be equal rows."""
        ordered, order, choices = self._all(k)
        same = np.concatenate([[False], ordered[1:] == ordered[:-1]])
        for start in range(0, len(order), CHUNK):
            rows = self._rows(order[start : start + CHUNK + 1], choices)
            equal = (rows[..., 1:] == rows[..., :-1]).all(axis=(0, 1))
            if not equal[same[start + 1 : start + CHUNK + 1]].all():
                raise ConslawError(
                    "two cells with one key: this should not happen in the age of the universe"
                )
        return np.flatnonzero(~same), order, choices

    def _rows(self, entries: Array, choices: Array) -> Array:
        """Sign vectors as bits of plus, and of minus unless no sign is 0; of shape (planes, words, rows)."""
        c, v = np.divmod(entries, len(self.closed.zeros))
        top = bool((choices != 0).all())
        result = np.stack([plane[v].T for plane in (self._bits[:1] if top else self._bits)])
        one = np.uint64(1)
        for place in range(choices.shape[1]):
            name, sign = self.closed.zeros[v, place], choices[c, place]
            bit = one << (name % 64).astype(np.uint64)
            for plane, value in zip(result, (1, -1), strict=False):
                for word in range(len(plane)):
                    plane[word] |= bit * ((sign == value) & (name // 64 == word))
        return result

    def _count(self, k: int) -> tuple[int, int]:
        starts, order, choices = self._starts(k)
        count, d = self.closed.zeros.shape
        is_ray = np.zeros((count, d, 3), bool)
        v, q, s = self.closed.rays.T
        is_ray[v, q, s + 1] = True
        unbounded = np.zeros((len(choices), count), bool)
        for row, choice in zip(unbounded, choices, strict=True):
            for place in np.flatnonzero(choice):
                row |= is_ray[:, place, choice[place] + 1]
        open_ = np.logical_or.reduceat(unbounded.ravel()[order], starts)
        return len(starts), int((~open_).sum())

    def cells(self, dimension: int) -> Array:
        """Sign vectors."""
        if dimension == 0:
            return self.closed.signs
        starts, order, choices = self._starts(dimension)
        c, v = np.divmod(order[starts], len(self.points))
        check_memory(float(len(v)) * self.closed.signs.shape[1], f"{len(v)} sign vectors", SMALLER)
        result = self.closed.signs[v]
        result[np.arange(len(v))[:, None], self.closed.zeros[v]] = choices[c]
        return result

    @cached_property
    def facets(self) -> list[tuple[Array, Array]]:
        """Pairs (cell, its facet) for each dimension, sorted by cells; the order is that of ``cells``.

        All cells around a facet are around its first vertex, where they have one sign more.
        """
        count, d = self.closed.zeros.shape
        place = [{bytes(row): i for i, row in enumerate(self._choices(k))} for k in range(d + 1)]
        found, named = [(np.zeros(0, int), np.zeros(0, int))], np.arange(count)
        facets = np.arange(count)  # of dimension k - 1: (choice, vertex), as ``_starts`` has it
        for k in range(1, d + 1):
            starts, order, _ = self._starts(k)
            names = np.empty(len(order), int)
            names[order] = np.repeat(np.arange(len(starts)), np.diff(starts, append=len(order)))
            c, v = np.divmod(facets, count)
            pairs = []
            for i, choice in enumerate(self._choices(k - 1)):
                here = np.flatnonzero(c == i)
                for q in np.flatnonzero(choice == 0):
                    for sign in (-1, 1):
                        wider = choice.copy()
                        wider[q] = sign
                        pairs.append((names[place[k][bytes(wider)] * count + v[here]], named[here]))
            cells, faces = (np.concatenate([pair[i] for pair in pairs]) for i in (0, 1))
            by_cell = np.argsort(cells, kind="stable")
            found.append((cells[by_cell], faces[by_cell]))
            facets, named = order[starts], np.arange(len(starts))
        return found

    def neighbours(self, sign: Array) -> Array | None:
        """Across each facet one sign changes, that of a neuron of a vertex of the region."""
        if (sign == 0).any():
            return None
        own = self.closed.signs
        corners = ((own == sign) | (own == 0)).all(axis=1)
        names = np.unique(self.closed.zeros[corners])
        result = np.repeat(sign[None], len(names), axis=0)
        result[np.arange(len(names)), names] *= -1
        return result

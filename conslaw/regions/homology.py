"""Homology of closed subcomplexes of a complex that fills R^m or a box, from the facets of its cells.

Why this algorithm: a subset of a sphere has no torsion in its highest dimensions, and by Alexander duality
its holes of dimension m - 1 are counted by the pieces of the complement.  Two searches through graphs and
Euler's relation are all that m <= 3 needs; each dimension more needs the Smith form of one sparse matrix.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from conslaw.errors import ConslawError
from conslaw.regions.integer_ranks import elementary_divisors
from conslaw.regions.networks_read import Array

Facets = Sequence[tuple[Array, Array]]  # pairs (cell, facet) for each dimension, sorted by cells
Masks = Sequence[Array]  # which cells, for each dimension
MOST_COLUMNS = 500_000  # of a sparse matrix; its Smith form takes some 20 seconds


@dataclass(frozen=True)
class Homology:
    """Betti numbers b_0, ..., b_m over Q, and orders of the cyclic groups of the torsion, by dimension."""

    betti: tuple[int, ...]
    torsion: tuple[tuple[int, ...], ...]

    def over(self, prime: int) -> tuple[int, ...]:
        """Betti numbers over the field of so many elements (universal coefficients)."""
        extra = [sum(order % prime == 0 for order in orders) for orders in self.torsion]
        return tuple(b + extra[k] + (extra[k - 1] if k else 0) for k, b in enumerate(self.betti))

    def widened(self, times: int) -> Homology:
        """Of the product with R^times."""
        return Homology(self.betti + (0,) * times, self.torsion + ((),) * times)

    def suspended(self, times: int) -> Homology:
        """Of the suspension, which a factor R makes of a compactification."""
        if not times:
            return self
        reduced = (self.betti[0] - 1, *self.betti[1:])
        return Homology((1, *(0,) * (times - 1), *reduced), ((),) * times + self.torsion)


@dataclass(frozen=True, eq=False)
class Space:
    """A regular complex that fills R^m, its cells pointed, or a box: numbers of cells, and facets."""

    counts: tuple[int, ...]
    facets: Facets

    @property
    def dimension(self) -> int:
        return len(self.counts) - 1

    @cached_property
    def rays(self) -> Array:
        """Which edges have one vertex only."""
        if not self.dimension:
            return np.zeros(0, bool)
        return np.array(np.bincount(self.facets[1][0], minlength=self.counts[1]) == 1)

    @cached_property
    def bounded(self) -> Masks:
        masks = [np.ones(self.counts[0], bool), ~self.rays][: self.dimension + 1]
        for k in range(2, self.dimension + 1):
            cells, faces = self.facets[k]
            starts = np.searchsorted(cells, np.arange(self.counts[k]))
            masks.append(np.logical_and.reduceat(masks[-1][faces], starts))
        return masks


def plain(space: Space, chosen: Masks, *, all_ranks: bool = False) -> Homology:
    """Of a closed subcomplex: its bounded cells are a deformation retract of it.

    ``all_ranks`` takes the Smith forms of all boundary maps, the other method.
    """
    compact = [mask & own for mask, own in zip(chosen, space.bounded, strict=True)]
    if all_ranks:
        return _by_all_ranks(compact, space.facets)
    return _of(compact, space.facets, False, lambda: _pieces(space, compact, True))


def compactified(space: Space, chosen: Masks, *, all_ranks: bool = False) -> Homology:
    """Of a closed subcomplex and the point at infinity, which is the second end of each ray."""
    masks, facets = [np.append(chosen[0], True), *chosen[1:]], list(space.facets)
    if space.dimension:
        rays = np.flatnonzero(space.rays)
        infinity = np.full(len(rays), space.counts[0])
        cells, faces = np.append(facets[1][0], rays), np.append(facets[1][1], infinity)
        order = np.argsort(cells, kind="stable")
        facets[1] = cells[order], faces[order]
    if all_ranks:
        return _by_all_ranks(masks, facets)
    whole = bool(space.dimension) and bool(chosen[-1].all())
    return _of(masks, facets, whole, lambda: _pieces(space, chosen, False))


def components(space: Space, chosen: Masks) -> tuple[Array, Array]:
    """The component of each vertex, -1 if it is not chosen; and which components are bounded."""
    if not space.dimension:
        return np.where(chosen[0], 0, -1), np.ones(int(chosen[0].sum()), bool)
    edges, ends = space.facets[1]
    kept = chosen[1][edges]
    count, label = _joined(chosen[0], edges[kept], ends[kept])
    bounded = np.ones(count, bool)
    bounded[label[ends[kept & space.rays[edges]]]] = False
    return label, bounded


def _of(masks: Masks, facets: Facets, whole: bool, pieces: Callable[[], int]) -> Homology:
    """Of a compact set in a sphere of dimension m, or all of it; ``pieces``: how many the complement has."""
    m = len(masks) - 1
    n, own = _subcomplex(masks, facets)
    ranks = [0] * (m + 2)  # of the boundary maps from dimension k
    if m:
        ranks[1] = n[0] - _joined(np.ones(n[0], bool), *own[1])[0]
    if m > 1:
        ranks[m] = n[m] - whole
    if m > 2:
        ranks[m - 1] = n[m - 1] - ranks[m] - max(pieces() - 1, 0)
    divisors = _divisors(n, own[: m - 1], range(2, m - 1))
    for k, found in divisors.items():
        ranks[k] = len(found)
    return _collected(n, ranks, divisors)


def _by_all_ranks(masks: Masks, facets: Facets) -> Homology:
    n, own = _subcomplex(masks, facets)
    divisors = _divisors(n, own, range(1, len(n)))
    return _collected(n, [0, *(len(divisors[k]) for k in range(1, len(n))), 0], divisors)


def _divisors(n: Sequence[int], facets: Facets, wanted: range) -> dict[int, list[int]]:
    """Elementary divisors of the boundary maps from these dimensions."""
    found: dict[int, list[int]] = {}
    signs = _signs_of_edges(facets[1]) if wanted else np.zeros(0, int)
    for k in wanted:
        _affordable(n, k)
        signs = _signs(facets[k], facets[k - 1], signs) if k > 1 else signs
        found[k] = elementary_divisors(*facets[k], signs)
    return found


def _collected(n: Sequence[int], ranks: Sequence[int], divisors: Mapping[int, list[int]]) -> Homology:
    betti = (n[k] - ranks[k] - ranks[k + 1] for k in range(len(n)))
    torsion = (tuple(order for order in divisors.get(k + 1, ()) if order > 1) for k in range(len(n)))
    return Homology(tuple(betti), tuple(torsion))


def _subcomplex(masks: Masks, facets: Facets) -> tuple[list[int], Facets]:
    """Numbers of the chosen cells, and their facets among themselves."""
    own = [_restricted(facets[k], masks[k], masks[k - 1]) for k in range(1, len(masks))]
    return [int(mask.sum()) for mask in masks], [facets[0], *own]


def _restricted(facets: tuple[Array, Array], cells: Array, faces: Array) -> tuple[Array, Array]:
    """The pairs of chosen cells, numbered anew; the facets of a chosen cell are chosen or left out."""
    kept = cells[facets[0]] & faces[facets[1]]
    return (np.cumsum(cells) - 1)[facets[0][kept]], (np.cumsum(faces) - 1)[facets[1][kept]]


def _affordable(n: Sequence[int], k: int) -> None:
    if n[k] > MOST_COLUMNS:
        raise ConslawError(
            f"the homology of {sum(n)} cells in {len(n) - 1} dimensions needs the Smith forms of "
            f"{len(n) - 4} sparse matrices, one of them {n[k - 1]} x {n[k]}: too large; give a slice, within="
        )


def _signs_of_edges(facets: tuple[Array, Array]) -> Array:
    """Edges lead from their first end to the second."""
    return np.where(np.arange(len(facets[0])) % 2, 1, -1)


def _signs(facets: tuple[Array, Array], below: tuple[Array, Array], signs: Array) -> Array:
    """Of the facets in the boundaries of their cells, so that the boundary of a boundary is zero.

    A face of codimension 2 in a cell lies in two facets of it, and so relates their signs.  In a graph with
    two nodes for each pair (cell, facet), for its two signs, a cell has two components.
    """
    cells, faces = facets
    start, stop = (np.searchsorted(below[0], faces, side) for side in ("left", "right"))
    count = stop - start
    pair = np.repeat(np.arange(len(cells)), count)
    entry = np.repeat(start - np.cumsum(count) + count, count) + np.arange(len(pair))
    order = np.lexsort((below[1][entry], cells[pair]))
    two_facets, two_entries = pair[order].reshape(-1, 2).T, entry[order].reshape(-1, 2).T
    ridge = below[1][two_entries]
    if (ridge[0] != ridge[1]).any() or (cells[two_facets[0]] != cells[two_facets[1]]).any():
        raise ConslawError("a face of codimension 2 lies in one facet of a cell: this is no regular complex")
    opposite, size = signs[two_entries[0]] == signs[two_entries[1]], len(cells)
    one = np.concatenate([two_facets[0], two_facets[0] + size])
    two = np.concatenate([two_facets[1] + size * opposite, two_facets[1] + size * ~opposite])
    graph = coo_array((np.ones(len(one), np.int32), (one, two)), shape=(2 * size, 2 * size))
    label = connected_components(graph, directed=False)[1]
    first = np.searchsorted(cells, cells)
    return np.where(label[:size] == label[first], 1, -1)


def _joined(chosen: Array, keys: Array, values: Array) -> tuple[int, Array]:
    """Components of a graph whose edges are the keys that two nodes have; -1 where a node is not chosen."""
    twice = np.flatnonzero(keys[1:] == keys[:-1])
    n = len(chosen)
    graph = coo_array((np.ones(len(twice), np.int32), (values[twice], values[twice + 1])), shape=(n, n))
    label = connected_components(graph, directed=False)[1]
    used, renamed = np.unique(label[chosen], return_inverse=True)
    result = np.full(n, -1)
    result[chosen] = renamed
    return len(used), result


def _pieces(space: Space, chosen: Masks, outside: bool) -> int:
    """Components of the complement in the sphere; ``outside`` is what lies at infinity, and beyond a box."""
    m = space.dimension
    cells, faces = space.facets[m]
    order = np.argsort(faces, kind="stable")
    cells, faces = cells[order], faces[order]
    open_ = ~chosen[m - 1][faces]
    cells, faces = cells[open_], faces[open_]
    free = ~chosen[m]
    if outside:
        alone = np.bincount(faces, minlength=space.counts[m - 1])[faces] == 1
        hull = np.concatenate([cells[alone], np.flatnonzero(~space.bounded[m])])
        links = np.stack([hull, np.full(len(hull), len(free))], axis=1).ravel()
        names = space.counts[m - 1] + np.repeat(np.arange(len(hull)), 2)
        cells, faces, free = np.append(cells, links), np.append(faces, names), np.append(free, True)
    return _joined(free, faces, cells)[0]

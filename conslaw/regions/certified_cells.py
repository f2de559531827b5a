"""Independent proof of any complex from a list of its cells; shares no code with the subdivision.

Cells are given by their signs, with the facets of each, and a point or a direction for each vertex or ray.
That each is there is shown by a point in it, that none is missing by counts: see *Any network* in
``docs/regions.md`` for the statement and its proof.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

import numpy as np

from conslaw.regions.certified_vertices import NotProved
from conslaw.regions.networks_read import Array, Layer, Network, product, rank
from conslaw.regions.subdivision import Cells

CHUNK = 1 << 14
Box = Sequence[tuple[Array, int]]


def prove_cells(network: Network, cells: Cells, box: Box | None) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Numbers of cells and of bounded cells of each dimension, if the list is the complex.

    Raises
    ------
    NotProved
        With the reason.
    """
    signs, d = cells.signs, len(cells.signs) - 1
    if box is not None:
        network, signs = _with_sides(network, box), [_sides(matrix, d) for matrix in signs]
    first = network.hidden[0].numerators[:, :-1] if network.hidden else np.zeros((0, 0), object)
    if rank(first) != d:
        raise NotProved("the cells contain lines")
    for k, level in enumerate(signs):
        if not len(level) or len({*map(bytes, level)}) < len(level):
            raise NotProved(f"a cell of dimension {k} is listed twice, or there is none")
    for k in range(1, d + 1):
        _faces(signs, cells, k, 2 * d if box is not None else 0)
    _there(network, signs, cells)
    return tuple(map(len, signs)), _bounded(cells, d)


def _faces(signs: Sequence[Array], cells: Cells, k: int, sides: int) -> None:
    """Facets belong to the cells, and each face of codimension 2 lies between two of them."""
    of, facet = cells.facets[k]
    if (np.diff(of) < 0).any():
        raise NotProved("facets are not in the order of the cells")
    for start in range(0, len(of), CHUNK):
        part = slice(start, start + CHUNK)
        high, low = signs[k][of[part]], signs[k - 1][facet[part]]
        if not ((low == 0) | (low == high)).all() or not (low != high).any(axis=1).all():
            raise NotProved(f"a cell of dimension {k - 1} is no face of the cell that it is listed with")
    if len(np.unique(of * len(signs[k - 1]) + facet)) < len(of):
        raise NotProved("a facet is listed twice")
    ends = np.bincount(of, minlength=len(signs[k]))
    wanted = np.where(cells.ray >= 0, 1, 2) if k == 1 else ends
    if (ends != wanted).any() or (k > 1 and (ends < 2).any()):
        raise NotProved(f"a cell of dimension {k} has too few facets")
    around = np.bincount(facet, minlength=len(signs[k - 1]))
    if (around == 0).any():
        raise NotProved(f"a cell of dimension {k - 1} bounds no other")
    if k == len(signs) - 1:
        on_the_box = (signs[k - 1][:, :sides] == 0).any(axis=1)
        if (around != np.where(on_the_box, 1, 2)).any():
            raise NotProved("a wall has not one region on each side")
    if k > 1:
        lower, face = cells.facets[k - 1]
        first, last = (np.searchsorted(lower, facet, side=side) for side in ("left", "right"))
        count = last - first
        which = np.repeat(first - np.concatenate([[0], np.cumsum(count)[:-1]]), count)
        pairs = np.repeat(of, count) * len(signs[k - 2]) + face[which + np.arange(count.sum())]
        if (np.unique(pairs, return_counts=True)[1] != 2).any():
            raise NotProved(f"the boundary of a cell of dimension {k} is not closed")


def _there(network: Network, signs: Sequence[Array], cells: Cells) -> None:
    """A point in each cell: of the vertices, then between two facets, or along the ray."""
    points = cells.ends[: len(signs[0])]
    if (points[:, -1] <= 0).any():
        raise NotProved("a vertex is no point")
    for k, level in enumerate(signs):
        if k:
            of, facet = cells.facets[k]
            start = np.searchsorted(of, np.arange(len(level)))
            second = points[facet[np.minimum(start + 1, len(of) - 1)]]
            if k == 1:
                rays = np.flatnonzero(cells.ray >= 0)
                far = cells.ends[cells.ray[rays]]
                if far[:, -1].any() or not _unbounded(network, level[rays], far[:, :-1]).all():
                    raise NotProved("a ray ends")
                second[rays] = far
            points = points[facet[start]] + second
        for begin in range(0, len(level), CHUNK):
            part = slice(begin, begin + CHUNK)
            if (_signs(network, points[part]) != level[part]).any():
                raise NotProved(f"a cell of dimension {k} is not there")


def _signs(network: Network, points: Array) -> Array:
    """Of all neurons at homogeneous points (x, w), w > 0."""
    result = [np.zeros((len(points), 0), np.int8)]
    for layer in network.hidden:
        values, scale = product(points, layer.numerators.T), points[:, -1:] * layer.denominator
        result.append((values > 0).astype(np.int8) - (values < 0))
        values = np.concatenate([values, scale], axis=1)
        points = layer.kinked(values, values > 0)
    return np.concatenate(result, axis=1)


def _unbounded(network: Network, signs: Array, directions: Array) -> Array:
    """Whether no neuron leaves its sign along the direction, and those that are zero stay zero."""
    result, place = np.ones(len(signs), bool), 0
    for layer in network.hidden:
        own = signs[:, place : place + layer.width]
        place += layer.width
        slopes = product(directions, layer.numerators[:, :-1].T)
        change = (slopes > 0).astype(np.int8) - (slopes < 0)
        result &= ((change == 0) | (change == own)).all(axis=1)
        directions = layer.kinked(slopes, own > 0)
    return result


def _bounded(cells: Cells, d: int) -> tuple[int, ...]:
    inside = [np.ones(len(cells.signs[0]), bool)]
    for k in range(1, d + 1):
        of, facet = cells.facets[k]
        open_ = np.zeros(len(cells.signs[k]), bool)
        open_[of[~inside[-1][facet]]] = True
        if k == 1:
            open_ |= cells.ray >= 0
        inside.append(~open_)
    return tuple(int(mask.sum()) for mask in inside)


def _with_sides(network: Network, box: Box) -> Network:
    """The network with neurons x - lower and upper - x before the others of the first layer."""
    (low, low_scale), (high, high_scale) = box
    d, hidden = len(low), network.hidden
    sides = np.zeros((2 * d, d + 1), object)
    for i in range(d):
        sides[i, i], sides[i, -1] = low_scale, -low[i]
        sides[d + i, i], sides[d + i, -1] = -high_scale, high[i]
    if not hidden:
        return replace(network, layers=(Layer(sides, 1, Fraction(0)),))
    first, *rest = hidden
    layers = [replace(first, numerators=np.concatenate([sides, first.numerators]))]
    if rest:
        blind = np.zeros((rest[0].width, 2 * d), object)
        rest[0] = replace(rest[0], numerators=np.concatenate([blind, rest[0].numerators], axis=1))
    return replace(network, layers=(*layers, *rest))


def _sides(signs: Array, d: int) -> Array:
    """Signs of x - lower and upper - x, which are never negative, from -1 (lower side), 0 (between), 1."""
    return np.concatenate([signs[:, :d] != -1, signs[:, :d] != 1, signs[:, d:]], axis=1).astype(np.int8)

"""A network of two inputs in a rectangle: its polygons, exactly, and the level sets of an output in it.

The sides of the rectangle are neurons of the first layer that nothing reads, and the level is a last neuron,
so that the search of the whole plane and its proof do here, too; what lies inside is a choice of signs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from conslaw.errors import ConslawError
from conslaw.regions.cell_data import CellData
from conslaw.regions.complexes import LARGEST
from conslaw.regions.homology import Homology, Space, plain
from conslaw.regions.level_cuts import cut_by_level
from conslaw.regions.networks_read import Array, Layer, Network, point
from conslaw.regions.search import found

SIDES = 4


@dataclass(frozen=True, eq=False)
class Plane:
    """What there is in the rectangle.

    Attributes
    ----------
    polygons : int
        Number of its polygons, before the level cuts them.
    boundary : Homology
        Of the points in the rectangle where the output is equal to the level.
    corners, starts : Array
        Vertices of the polygons, cut by the level, one polygon after the other, in order around each: shape
        (corners, 2), and where each polygon starts.
    gradients : Array
        Of the output, on each of these polygons, shape (polygons, 2).
    level : Array
        The edges of the boundary: shape (edges, 2, 2).
    """

    polygons: int
    boundary: Homology
    certified: bool
    corners: Array
    starts: Array
    gradients: Array
    level: Array


def plane(network: Network, within: tuple[Any, Any], output: int, level: Any) -> Plane:
    """The polygons of the network in that rectangle, and the boundary; proved where ``certified``."""
    cut, _, _ = cut_by_level(network, output, level, None)
    data, certified, _ = found(_with_sides(cut, within), None, LARGEST, True)
    signs = [data.cells(k) for k in range(3)]
    inside = [(s[:, :SIDES] >= 0).all(axis=1) for s in signs]
    on_level = [s[:, -1] == 0 for s in signs]
    boundary = [a & b for a, b in zip(inside, on_level, strict=True)]
    space = Space(tuple(map(len, signs)), data.facets)
    chosen = np.flatnonzero(inside[2])
    patterns = np.packbits(signs[2][chosen][:, SIDES:-1] > 0, axis=1)
    corners, starts = _around(data, chosen)
    edges = np.flatnonzero(boundary[1])
    ends = data.facets[1][1][np.isin(data.facets[1][0], edges)].reshape(-1, 2)
    return Plane(
        len(np.unique(patterns, axis=0)), plain(space, boundary), certified, data.points[corners], starts,
        _gradients(network, output, signs[2][chosen][:, SIDES:]), data.points[ends],
    )  # fmt: skip


def _with_sides(network: Network, within: tuple[Any, Any]) -> Network:
    """The network and four neurons that are not negative in the rectangle."""
    low, high = (point(x, 2, "a corner of within") for x in within)
    if not (low[0] * high[1] < high[0] * low[1]).all():
        raise ConslawError(f"within={within!r:.60}: the lower corner must be below the upper one")
    first, *rest = network.layers
    sides = np.zeros((SIDES, 3), object)
    for row, (sign, axis, (corner, w)) in zip(
        sides, [(s, a, c) for s, c in ((1, low), (-1, high)) for a in (0, 1)], strict=True
    ):
        row[axis], row[-1] = sign * w, -sign * corner[axis]
    wider = np.concatenate([sides * first.denominator, first.numerators])
    layers = [Layer(wider, first.denominator, first.slope)]
    if rest:
        idle = np.zeros((rest[0].width, SIDES), object)
        numerators = np.concatenate([idle, rest[0].numerators], axis=1)
        layers += [Layer(numerators, rest[0].denominator, rest[0].slope), *rest[1:]]
    return Network(tuple(layers), network.name)


def _around(data: CellData, chosen: Array) -> tuple[Array, Array]:
    """Vertices of bounded polygons, in order around each, and where each starts; the order is from floats."""
    cells, edges = data.facets[2]
    kept = np.isin(cells, chosen)
    ends = np.searchsorted(data.facets[1][0], edges[kept])
    vertices = data.facets[1][1]
    pairs = np.stack([np.repeat(cells[kept], 2), np.stack([vertices[ends], vertices[ends + 1]], 1).ravel()])
    cell, vertex = np.unique(pairs, axis=1)
    starts = np.searchsorted(cell, chosen)
    count = np.diff(starts, append=len(cell))
    where = data.points[vertex]
    middle = np.add.reduceat(where, starts) / count[:, None]
    away = where - np.repeat(middle, count, axis=0)
    order = np.lexsort((np.arctan2(away[:, 1], away[:, 0]), cell))
    return vertex[order], starts


def _gradients(network: Network, output: int, signs: Array) -> Array:
    """Of an output under the gates of these signs, in float64."""
    behind, place = np.broadcast_to(np.eye(2)[:, None], (2, len(signs), 2)), 0
    with np.errstate(all="ignore"):
        for layer in network.layers:
            weights = layer.floats[:, :-1]
            behind = (weights @ behind.reshape(len(behind), -1)).reshape(-1, len(signs), 2)
            if layer.slope is not None:
                open_ = signs[:, place : place + layer.width].T > 0
                behind = behind * np.where(open_, 1.0, layer.slope_float)[:, :, None]
                place += layer.width
    return np.asarray(behind[output])


def outputs(network: Network, points: Array) -> Array:
    """All outputs at points of shape (n, inputs), in float64; shape (n, outputs)."""
    behind = points.T
    with np.errstate(all="ignore"):
        for layer in network.layers:
            behind = layer.floats[:, :-1] @ behind + layer.floats[:, -1:]
            if layer.slope is not None:
                behind = np.where(behind > 0, behind, layer.slope_float * behind)
    return np.asarray(behind.T)

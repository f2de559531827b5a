"""The whole complex, cell by cell, in exact arithmetic: any network, generic or not.

Why this algorithm: a cell is its list of facets, and a neuron is affine on each cell, so that its signs on a
cell are those on the vertices and along the rays of its closure.  A cell with both signs is cut in two and a
wall is born; nothing is assumed of general position, so networks without bias, neurons that vanish on a whole
cell, parallel and equal rows, and ties need no case of their own.  Incidences are arrays; the numbers are
integers in homogeneous coordinates (x, w), a ray being a point with w = 0.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import product as tuples

import numpy as np

from conslaw.errors import ConslawError, check_memory
from conslaw.regions.networks_read import SMALLER, Array, Network, independent_rows, inverse, product, rank

logger = logging.getLogger(__name__)

INTEGER = 80  # bytes of one with its place in an array, of 100 to 300 bits


@dataclass
class Cells:
    """The growing complex: ``facets[k]`` holds the incidences (k-cell, its facet), sorted by the cells."""

    signs: list[Array]  # of shape (cells of dimension k, neurons)
    facets: list[tuple[Array, Array]]  # facets[0] is empty
    ends: Array  # vertices (x, w), then the points of rays at infinity (x, 0)
    ray: Array  # for each edge its ray, a row of ``ends`` behind the vertices, or -1
    values: Array = field(default_factory=lambda: np.zeros((0, 0), object))  # of this layer at the ends

    @property
    def vertices(self) -> int:
        return len(self.signs[0])

    @property
    def total(self) -> int:
        return sum(map(len, self.signs))


def subdivided(network: Network, most_cells: int, box: Sequence[tuple[Array, int]] | None = None) -> Cells:
    """The complex of the hidden neurons on R^d modulo the kernel of W_1, or in a box ((lower, upper) points).

    In a box ``signs`` has d columns first: the sides (-1 lower, 1 upper, 0 between).
    """
    hidden = network.hidden
    first = hidden[0].numerators if hidden else np.zeros((0, network.inputs + 1), object)
    d = rank(first[:, :-1]) if box is None else network.inputs
    check_dimension(network, d, most_cells)
    columns = len(network.neurons) + (network.inputs if box is not None else 0)
    cells = _cross(first[independent_rows(first[:, :-1])], columns) if box is None else _box(box, columns)
    column = network.inputs if box is not None else 0
    behind, totals = cells.ends, [cells.total]
    for number, layer in enumerate(hidden, 1):
        cells.values = product(behind, layer.numerators.T)
        widened = behind[:, -1:] * layer.denominator
        cells.values = np.concatenate([cells.values, widened], axis=1)
        for neuron in range(layer.width):
            _cut(cells, neuron, column)
            column += 1
            totals.append(cells.total)
            _affordable(network, cells, d, totals, most_cells)
        if number < len(hidden):
            behind = layer.kinked(cells.values, cells.values > 0)  # w, the last column, is not negative
    return cells


def check_dimension(network: Network, d: int, most_cells: int) -> None:
    """Refuse too many cells even of d hyperplanes in general position."""
    if 3**d > most_cells:
        raise ConslawError(
            f"network {network.name}: over 10**{int(d * 0.47)} cells in {d} dimensions, "
            f"more than most_cells={most_cells}; give a slice with within="
        )


def _affordable(network: Network, cells: Cells, d: int, totals: list[int], most_cells: int) -> None:
    """Refuse what is too much, or will be when the first layer is through, by its growth from half to now."""
    done, first, every = len(totals) - 1, network.hidden[0].width, len(network.neurons)
    logger.info("regions: %s cells after %d of %d neurons", f"{cells.total:,}", done, every)
    growth, factor = float(d), 1.0
    if 2 * d + 4 <= done <= first:
        growth = float(np.log(totals[-1] / totals[done // 2]) / np.log(done / (done // 2)))
        factor = (first / done) ** growth
    if cells.total > most_cells or cells.total * factor > 2 * most_cells:
        raise ConslawError(
            f"network {network.name}: {cells.total} cells after {done} of {every} neurons, about "
            f"{cells.total * (every / done) ** growth:.1g} in all: more than most_cells={most_cells}; "
            f"raise it, or give within="
        )
    size = 3 * (cells.total * cells.signs[0].shape[1] + 16 * sum(len(rows) for rows, _ in cells.facets))
    objects = 2 * INTEGER * (cells.ends.size + cells.values.size)
    what = f"network {network.name}: {cells.total} cells after {done} of {every} neurons"
    check_memory(factor * (size + objects), what, SMALLER)


def _product_of_lines(dimension: int, ends: Sequence[int], columns: int) -> tuple[list[Array], list, dict]:  # type: ignore[type-arg]
    """The product of lines, each cut at points: codes over (-1, 0, 1), those in ``ends`` being points."""
    codes = list(tuples((-1, 0, 1), repeat=dimension))
    level = {code: sum(c not in ends for c in code) for code in codes}
    by_level = [[code for code in codes if level[code] == k] for k in range(dimension + 1)]
    place = {code: i for names in by_level for i, code in enumerate(names)}
    signs, facets = [], [(np.zeros(0, int), np.zeros(0, int))]
    for k, names in enumerate(by_level):
        matrix = np.zeros((len(names), columns), np.int8)
        matrix[:, :dimension] = np.array(names, np.int8).reshape(len(names), dimension)
        signs.append(matrix)
        if k:
            pairs = []
            for i, code in enumerate(names):
                for j, c in enumerate(code):
                    if c not in ends:
                        near = ends if len(ends) == 2 else (0,)
                        pairs += [(i, place[(*code[:j], e, *code[j + 1 :])]) for e in near]
            array = np.array(pairs)
            facets.append((array[:, 0], array[:, 1]))
    return signs, facets, place


def _cross(rows: Array, columns: int) -> Cells:
    """d independent hyperplanes; their signs are found again when their turn comes, so they are 0 here."""
    d = len(rows)
    signs, facets, _ = _product_of_lines(d, (0,), columns)
    inputs = rows.shape[1] - 1
    directions = np.zeros((inputs, d), object)
    scale = 1
    if d:
        across = rows[:, :-1]
        gram, scale = inverse(product(across, across.T))
        directions = product(across.T, gram)  # across @ directions = scale
    vertex = np.empty((1, inputs + 1), object)
    vertex[0, :-1] = -directions.dot(rows[:, -1]) if d else 0
    vertex[0, -1] = scale
    edges = signs[1][:, :d].astype(int) if d else np.zeros((0, 0), int)
    rays = np.zeros((len(edges), inputs + 1), object)
    if d:
        rays[:, :-1] = edges.astype(object).dot(directions.T)
    for matrix in signs:
        matrix[:] = 0
    return Cells(signs, facets, np.concatenate([vertex, rays]), 1 + np.arange(len(edges)))


def _box(box: Sequence[tuple[Array, int]], columns: int) -> Cells:
    (low, low_scale), (high, high_scale) = box
    d, w = len(low), low_scale * high_scale
    signs, facets, _ = _product_of_lines(d, (-1, 1), columns)
    upper = signs[0][:, :d] > 0
    ends = np.empty((len(upper), d + 1), object)
    ends[:, :-1] = np.where(upper, high * low_scale, low * high_scale)
    ends[:, -1] = w
    return Cells(signs, facets, ends, np.full(len(signs[1]) if d else 0, -1))


def _cut(cells: Cells, neuron: int, column: int) -> None:
    """Cut every cell by one neuron of the layer whose values are at hand."""
    exact = cells.values[:, neuron]
    sign = (exact > 0).astype(np.int8) - (exact < 0).astype(np.int8)
    top, n = len(cells.signs), cells.vertices
    positive, negative = [sign[:n] > 0], [sign[:n] < 0]
    for k in range(1, top):
        rows, columns = cells.facets[k]
        starts = np.searchsorted(rows, np.arange(len(cells.signs[k])))
        plus, minus = (
            np.logical_or.reduceat(found[k - 1][columns], starts) for found in (positive, negative)
        )
        if k == 1:
            far = np.where(cells.ray >= 0, sign[cells.ray], 0)
            plus, minus = plus | (far > 0), minus | (far < 0)
        positive.append(plus)
        negative.append(minus)
    split = [p & m for p, m in zip(positive, negative, strict=True)]
    for k in range(top):
        cells.signs[k][:, column] = positive[k].astype(np.int8) - negative[k].astype(np.int8)
    if any(map(np.any, split)):
        _split(cells, split, sign, exact, column)


def _split(cells: Cells, split: list[Array], sign: Array, exact: Array, column: int) -> None:
    top = len(split)
    kept = [int((~s).sum()) for s in split]
    halves = [int(s.sum()) for s in split]
    same = [np.cumsum(~s) - 1 for s in split]
    plus = [kept[k] + np.cumsum(split[k]) - 1 for k in range(top)]
    minus = [plus[k] + halves[k] for k in range(top)]
    wall = [  # of a cell of dimension k + 1, in dimension k
        kept[k] + 2 * halves[k] + np.cumsum(split[k + 1]) - 1 for k in range(top - 1)
    ]
    facets, signs = [(np.zeros(0, int), np.zeros(0, int))], []
    for k in range(top):
        new = [cells.signs[k][~split[k]]]
        for value in (1, -1):
            half = cells.signs[k][split[k]]
            half[:, column] = value
            new.append(half)
        if k + 1 < top:
            born = cells.signs[k + 1][split[k + 1]]
            born[:, column] = 0
            new.append(born)
        signs.append(np.concatenate(new))
        if k == 0:
            continue
        c, f = cells.facets[k]
        below, is_cut = cells.signs[k - 1][:, column], split[k][c]
        pairs = [(same[k][c[~is_cut]], same[k - 1][f[~is_cut]])]
        for value, part in ((1, plus), (-1, minus)):
            whole = is_cut & ~split[k - 1][f] & (below[f] == value)
            pieces = is_cut & split[k - 1][f]
            pairs.append((part[k][c[whole]], same[k - 1][f[whole]]))
            pairs.append((part[k][c[pieces]], part[k - 1][f[pieces]]))
            pairs.append((part[k][split[k]], wall[k - 1][split[k]]))
        if k + 1 < top:
            above, faces = cells.facets[k + 1]
            pieces = split[k + 1][above] & split[k][faces]
            pairs.append((wall[k][above[pieces]], wall[k - 1][faces[pieces]]))
            pairs.append(_touching(cells, split, k, below, wall[k], same[k - 1]))
        rows, columns = (np.concatenate([pair[i] for pair in pairs]) for i in (0, 1))
        order = np.argsort(rows, kind="stable")
        facets.append((rows[order], columns[order]))
    _new_ends(cells, split, sign, exact, facets[1] if top > 1 else None, plus, minus, same, kept, halves)
    cells.signs, cells.facets = signs, facets


def _touching(
    cells: Cells, split: list[Array], k: int, below: Array, wall: Array, same: Array
) -> tuple[Array, Array]:
    """Cells of dimension k - 1 on which the neuron vanishes, in the closure of a cut cell of k + 1."""
    rows, columns = cells.facets[k]
    zero = (below[columns] == 0) & ~split[k - 1][columns]
    if not zero.any():
        return np.zeros(0, int), np.zeros(0, int)
    rows, columns = rows[zero], columns[zero]
    above, faces = cells.facets[k + 1]
    chosen = split[k + 1][above] & ~split[k][faces]
    above, faces = above[chosen], faces[chosen]
    start, stop = np.searchsorted(rows, faces), np.searchsorted(rows, faces, side="right")
    count = stop - start
    places = np.repeat(start - np.cumsum(count) + count, count) + np.arange(count.sum())
    pairs = np.stack([np.repeat(above, count), columns[places]], axis=1)
    pairs = np.unique(pairs, axis=0)
    return wall[pairs[:, 0]], same[pairs[:, 1]]


def _new_ends(cells, split, sign, exact, edges, plus, minus, same, kept, halves) -> None:  # type: ignore[no-untyped-def]
    """New vertices on the cut edges, and the rays: kept, inherited by a half, or new in a cut 2-cell."""
    n = cells.vertices
    rows, columns = cells.facets[1]
    starts = np.searchsorted(rows, np.flatnonzero(split[1]))
    first = columns[starts]
    is_ray = cells.ray[split[1]] >= 0
    second = np.where(is_ray, cells.ray[split[1]], columns[np.minimum(starts + 1, len(columns) - 1)])
    ray = np.full(kept[1] + 2 * halves[1] + (int(split[2].sum()) if len(split) > 2 else 0), -1)
    ray[same[1][~split[1]]] = cells.ray[~split[1]]
    for value, part in ((1, plus), (-1, minus)):
        heirs = split[1] & (cells.ray >= 0) & (np.where(cells.ray >= 0, sign[cells.ray], 0) == value)
        ray[part[1][heirs]] = cells.ray[heirs]
    born: list[tuple[int, int]] = []
    count = np.bincount(edges[0], minlength=len(ray))
    open_ = np.flatnonzero((count == 1) & (ray < 0))
    if len(open_):  # walls of unbounded 2-cells
        two = np.flatnonzero(split[2])[open_ - kept[1] - 2 * halves[1]]
        c, e = cells.facets[2]
        for cell in two:
            own = e[np.searchsorted(c, cell) : np.searchsorted(c, cell, side="right")]
            born.append(tuple(cells.ray[own[cells.ray[own] >= 0]]))
    far = np.array(born, int).reshape(-1, 2)
    data = np.concatenate([cells.ends, cells.values], axis=1)
    new = _between(data, exact, first, second)
    new_far = _between(data, exact, far[:, 0], far[:, 1])
    ray[ray >= 0] += len(new)
    ray[open_] = len(data) + len(new) + np.arange(len(new_far))
    data = np.concatenate([data[:n], new, data[n:], new_far])
    used = np.unique(ray[ray >= 0])
    ray[ray >= 0] = n + len(new) + np.searchsorted(used, ray[ray >= 0])
    data = np.concatenate([data[: n + len(new)], data[used]])
    width = cells.ends.shape[1]
    cells.ends, cells.values, cells.ray = data[:, :width], data[:, width:], ray


def _between(data: Array, exact: Array, first: Array, second: Array) -> Array:
    """The points where the neuron vanishes between two ends, as primitive integer vectors."""
    a, b = abs(exact[first])[:, None], abs(exact[second])[:, None]
    both_zero = (a == 0) & (b == 0)
    a, b = np.where(both_zero, 1, a), np.where(both_zero, 0, b)
    points = b * data[first] + a * data[second]
    if len(points):
        points //= np.gcd.reduce(points, axis=1)[:, None]
    return points

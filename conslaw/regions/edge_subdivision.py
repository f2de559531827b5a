"""The fast search, in floating point: only vertices and edges, cut by one neuron after the other.

Why this algorithm: in a generic complex a vertex knows its d neurons and an edge its d - 1, and two new
vertices share a new edge if and only if they lie on one 2-cell.  A cell has as key the sum of random 64-bit
numbers, one for each nonzero sign, so that cutting an edge and naming the 2-cells around it are additions; no
sign vector is ever written down.  Only what a neuron gives birth to is sorted.

Nothing here is trusted: :mod:`conslaw.regions.certified_vertices` proves what is found, or refuses it.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import comb, prod

import numpy as np

from conslaw.errors import ConslawError, check_memory, memory_limit
from conslaw.regions.certified_vertices import random_keys
from conslaw.regions.networks_read import SMALLER, Array, Network, independent_rows

TIE, PARALLEL = 1e-13, 1e-11  # relative to the size of the terms
MEMORY = memory_limit()  # bytes


class Doubtful(Exception):  # noqa: N818
    """Floating point cannot tell: a tie, or numbers out of range; the text says which."""


@dataclass
class Found:
    """The vertices: their neurons, sorted, of shape (f_0, d), and coordinates."""

    zeros: Array
    points: Array


class _Grown:
    """Columns that are appended to, in arrays that double."""

    def __init__(self, start: Array) -> None:
        self.size, self._all = start.shape[-1], start

    @property
    def now(self) -> Array:
        return self._all[..., : self.size]

    def append(self, new: Array) -> None:
        need = self.size + new.shape[-1]
        if need > self._all.shape[-1]:
            shape = (*self._all.shape[:-1], max(need, self._all.shape[-1] * 3 // 2))
            both = (prod(shape) + self._all.size) * float(self._all.itemsize)
            check_memory(both, f"{shape[-1]} vertices or edges in the search", SMALLER)
            wider = np.empty(shape, self._all.dtype)
            wider[..., : self.size] = self.now
            self._all = wider
        self._all[..., self.size : need] = new
        self.size = need


def vertices(network: Network, most_vertices: int) -> Found:
    """Search for all vertices of a generic complex on R^d, W_1 of rank d.

    Raises
    ------
    Doubtful
        Where it is not generic, as far as floats can see.
    """
    hidden = network.hidden
    d, first = network.inputs, hidden[0]
    basis = independent_rows(first.numerators[:, :-1])
    keys = random_keys(len(network.neurons), 20_240_229)
    with np.errstate(all="ignore"):
        inverse = np.linalg.inv(first.floats[basis, :-1])
        start = -inverse @ first.floats[basis, -1]
    slopes_in_range = np.isfinite([layer.slope_float for layer in hidden]).all()
    if not slopes_in_range or not all(np.isfinite(a).all() for a in (start, *(x.floats for x in hidden))):
        raise Doubtful("numbers out of the range of float64")
    zeros = _Grown(np.array(basis)[:, None])
    points, far = _Grown(start[:, None]), _Grown(np.concatenate([inverse, -inverse], axis=1))
    lines = [(i, s) for s in (2, 0) for i in range(d)]
    edges = _Grown(np.array([[0, -1 - k] for k in range(2 * d)]).T)  # ends; -1 - r is the ray r
    others = [[b for j, b in enumerate(basis) if j != i] for i, _ in lines]
    edge_zeros = _Grown(np.array(others, int).reshape(2 * d, d - 1).T)
    edge_keys = _Grown(np.array([keys[basis[i], s] for i, s in lines], np.uint64))
    behind, far_behind, place = points.now, far.now, 0
    for layer in hidden:
        weights, bias = layer.floats[:, :-1], layer.floats[:, -1:]
        size = abs(weights) @ abs(behind) + abs(bias)
        values, scales = _Grown(weights @ behind + bias), _Grown(size.max(axis=0))
        values.now[:][_tops(zeros.now, place, layer.width)] = 0
        slopes = _Grown(weights @ far_behind)
        far_scale = _Grown((abs(weights) @ abs(far_behind)).max(axis=0))
        state = (points, far, zeros, values, slopes, scales, far_scale)
        for j in range(layer.width):
            if place + j not in basis or place:
                _cut(j, place + j, keys, state, edges, edge_zeros, edge_keys)
                _affordable(network, points.size, place + j + 1, most_vertices)
        slope = layer.slope_float
        top = values.now
        top[_tops(zeros.now, place, layer.width)] = 0
        behind = np.where(top > 0, top, slope * top)
        flat = np.where(abs(slopes.now) < PARALLEL * far_scale.now, 0, slopes.now)
        far_behind = np.where(flat > 0, flat, slope * flat)
        place += layer.width
    return Found(np.sort(zeros.now.T, axis=1), np.ascontiguousarray(points.now.T))


def _affordable(network: Network, size: int, seen: int, most: int) -> None:
    """Refuse what is too much, or will be when the first layer is through: all later ones only refine."""
    d, first, every = network.inputs, network.hidden[0].width, len(network.neurons)
    if size > most:
        raise ConslawError(
            f"network {network.name}: {size} vertices after {seen} of {every} neurons, about "
            f"{size * (every / seen) ** d:.1g} in all: too many; raise most_cells, or give within="
        )
    if not 4 * d + 8 <= seen <= first:
        return
    guess = size * comb(first, d) / comb(seen, d)
    if guess > most:
        raise ConslawError(
            f"network {network.name}: about {guess:.1g} vertices from layer 1 alone, judged by {seen} of its "
            f"{first} neurons: too many; raise most_cells, or give within="
        )
    if 8 * first * guess > MEMORY:
        raise ConslawError(
            f"network {network.name}: about {8 * first * guess / 2**30:.1g} GiB for the values of layer 1, "
            f"judged by {seen} of its {first} neurons: more than the {MEMORY / 2**30:.1f} GiB "
            f"that there are; give within="
        )


def _tops(zeros: Array, place: int, width: int) -> tuple[Array, Array]:
    """Index of the values of a layer that vanish at vertices."""
    where = (zeros >= place) & (zeros < place + width)
    return zeros[where] - place, np.nonzero(where)[1]


def _cut(
    j: int,
    name: int,
    keys: Array,
    state: tuple[_Grown, ...],
    edges: _Grown,
    edge_zeros: _Grown,
    edge_keys: _Grown,
) -> None:
    points, far, zeros, values, slopes, scales, far_scale = state
    f, g = values.now[j], slopes.now[j]
    if (abs(f) <= TIE * scales.now).any() or not np.isfinite(f).all():
        raise Doubtful("a tie at a vertex, as far as floating point can see")
    g = np.where(abs(g) <= PARALLEL * far_scale.now, 0, g)
    a, b = edges.now
    is_ray = b < 0
    at_vertex, at_ray = (np.sign(found).astype(np.int8) for found in (f, g))
    sa = at_vertex[a]
    sb = np.where(is_ray, at_ray[np.where(is_ray, -1 - b, 0)], at_vertex[np.where(is_ray, 0, b)])
    cut = np.flatnonzero(sa * sb < 0)
    old_keys = edge_keys.now[cut].copy()
    old_zeros = edge_zeros.now[:, cut]
    ends, other = a[cut], b[cut]
    goes_far = other < 0
    table = (
        _ray_table(edge_keys.now, edge_zeros.now, is_ray, keys, b)
        if len(edge_zeros.now) and is_ray.any()
        else None
    )
    edge_keys.now[:] += keys[name][sa + 1]
    second = (old_keys + keys[name][sb[cut] + 1]).astype(np.uint64)
    if not len(cut):
        return
    n = points.size + np.arange(len(cut))
    close = np.where(goes_far, 0, other)
    fa, fb = abs(f[ends]), np.where(goes_far, abs(g[-1 - np.where(goes_far, other, -1)]), abs(f[close]))
    for near, beyond in ((points, far), (values, slopes)):
        x, y = near.now[:, ends], near.now[:, close]
        y[:, goes_far] = beyond.now[:, -1 - other[goes_far]]
        near.append(np.where(goes_far, x + y * (fa / fb), (x * fb + y * fa) / (fa + fb)))
    scales.append(np.where(goes_far, scales.now[ends], np.maximum(scales.now[ends], scales.now[close])))
    zeros.append(np.concatenate([old_zeros, np.full((1, len(cut)), name)]))
    edges.now[1, cut] = n
    edges.append(np.stack([n, other]))
    edge_zeros.append(old_zeros)
    edge_keys.append(second)
    _walls(name, keys, n, old_keys, old_zeros, table, g, state, edges, edge_zeros, edge_keys)


def _ray_table(
    edge_keys: Array, edge_zeros: Array, is_ray: Array, keys: Array, b: Array
) -> tuple[Array, Array]:
    """Keys of the 2-cells at the rays, sorted, with the rays."""
    own, names = edge_keys[is_ray], edge_zeros[:, is_ray]
    around = np.concatenate([(own + keys[row, s]) for row in names for s in (0, 2)])
    rays = np.tile(-1 - b[is_ray], 2 * len(names))
    order = np.argsort(around)
    return around[order], rays[order]


def _walls(
    name: int,
    keys: Array,
    n: Array,
    old_keys: Array,
    old_zeros: Array,
    table: tuple[Array, Array] | None,
    g: Array,
    state: tuple[_Grown, ...],
    edges: _Grown,
    edge_zeros: _Grown,
    edge_keys: _Grown,
) -> None:
    """New edges: new vertices on the same 2-cell, or one alone with a ray."""
    _, far, _, _, slopes, _, far_scale = state
    if not len(old_zeros):
        return
    around = np.concatenate([old_keys + keys[row, s] for row in old_zeros for s in (0, 2)])
    k = len(n)
    order = np.argsort(around)
    ordered = around[order]
    equal = np.concatenate([ordered[1:] == ordered[:-1], [False]])
    first = np.flatnonzero(equal)
    single = np.flatnonzero(~equal & ~np.concatenate([[False], equal[:-1]]))
    if len(first) > 1 and (np.diff(first) == 1).any():
        raise Doubtful("three new vertices on one 2-cell")
    slot = np.concatenate([order[first], order[single]])
    dropped = slot // (2 * k)
    places = range(len(old_zeros))
    kept = np.array([[r for r in places if r != dropped_one] for dropped_one in places], int)
    vertex = slot % k
    names = np.empty_like(old_zeros, shape=(len(old_zeros), len(slot)))
    for place in places:
        here = dropped == place
        names[:-1, here] = old_zeros[kept[place]][:, vertex[here]]
    names[-1] = name
    others = n[order[first + 1] % k]
    if len(single):
        if table is None:
            raise Doubtful("a new vertex without a partner")
        wanted = ordered[single]
        at = np.searchsorted(table[0], wanted)
        if (
            (at + 1 >= len(table[0])).any()
            or (table[0][at] != wanted).any()
            or (table[0][at + 1] != wanted).any()
        ):
            raise Doubtful("an unbounded 2-cell without two rays")
        r, t = table[1][at], table[1][at + 1]
        gr, gt = abs(g[r]), abs(g[t])
        flat = (gr == 0) & (gt == 0)
        p, q = np.where(flat, 1, gt), np.where(flat, 0, gr)
        total = p + q
        new = -1 - (far.size + np.arange(len(single)))
        for one in (far, slopes):
            one.append((one.now[:, r] * p + one.now[:, t] * q) / total)
        far_scale.append(np.maximum(far_scale.now[r], far_scale.now[t]))
        others = np.concatenate([others, new])
    edges.append(np.stack([n[vertex], others]))
    edge_zeros.append(names)
    edge_keys.append(around[slot])

"""Independent proof of a generic complex from a list of its vertices; shares no code with the search.

A vertex is given by its d neurons and the signs of the others.  Under these signs every neuron is one affine
function; the vertex is the solution of d of them, and the signs of the others there are certain where floats
with a running error bound say so, or some 110 bits, and are found by rationals where they do not.  Then each
of the 2d edges at each vertex must lead to one other vertex of the list, or be a ray along which no neuron
changes its sign.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from flint import fmpq_mat, fmpz_mat

from conslaw.errors import check_memory
from conslaw.regions.affine_values import TINY, UNIT, Digits, Floats
from conslaw.regions.networks_read import SMALLER, Array, Network, product, rank

BATCH_NUMBERS = 300_000  # for each array of a batch to stay in the cache
MOST_EXACT = 3_000  # vertices or rays that may go to rationals

Run = Callable[[Floats | Digits, Array], tuple[Array, Array]]  # of indices: which are sure, and a vector each


class NotProved(Exception):  # noqa: N818
    """Why the list proves nothing."""


class LeftOpen(NotProved):
    """Nothing is wrong, but too much is uncertain for rationals to decide."""


@dataclass
class Closed:
    """A list of vertices that is proved to be all: signs, bounded edges, rays (vertex, place, sign)."""

    signs: Array
    zeros: Array
    edges: Array
    rays: Array
    directions: Array


def located(network: Network, signs: Array, zeros: Array) -> Array:
    """Coordinates of the vertices, from their signs alone; not proved."""
    result = np.zeros(zeros.shape)
    batch = max(1, BATCH_NUMBERS // (signs.shape[1] * (1 + zeros.shape[1])))
    affine = Floats(network)
    for _ in range(2):  # the second step mends the rounding of the first
        for start in range(0, len(signs), batch):
            part = slice(start, start + batch)
            with np.errstate(all="ignore"):
                values, errors = affine(signs[part], result[part])
                inverse = _solved(values, errors, zeros[part])[0]
                rest = values[zeros[part], np.arange(len(inverse))[:, None], :1]
                result[part] -= np.nan_to_num((inverse @ rest)[:, :, 0])
    return result


def found_signs(network: Network, zeros: Array, points: Array) -> Array:
    """Signs at the vertices by one forward pass; not proved."""
    check_memory(2.0 * len(zeros) * len(network.neurons), f"signs of {len(zeros)} vertices", SMALLER)
    signs = np.empty((len(zeros), len(network.neurons)), np.int8)
    batch = max(1, BATCH_NUMBERS // max(layer.width for layer in network.hidden))
    for start in range(0, len(zeros), batch):
        part = slice(start, start + batch)
        top = np.zeros((len(zeros[part]), signs.shape[1]), bool)
        np.put_along_axis(top, zeros[part], True, axis=1)
        behind, place = points[part].T, 0
        for layer in network.hidden:
            z = layer.floats[:, :-1] @ behind + layer.floats[:, -1:]
            z[top[:, place : place + layer.width].T] = 0
            signs[part, place : place + layer.width] = np.sign(z).T
            place += layer.width
            behind = np.where(z > 0, z, layer.slope_float * z)
    return signs


def _solved(values: Array, errors: Array, zeros: Array) -> tuple[Array, Array]:
    """Inverse of the gradients of the vanishing neurons, and a bound of |1 - inverse gradients|."""
    where = np.arange(zeros.shape[0])[:, None]
    jacobian, doubt = values[zeros, where, 1:], errors[zeros, where, 1:]
    d = zeros.shape[1]
    with np.errstate(all="ignore"):
        try:
            inverse = np.linalg.inv(jacobian)
        except np.linalg.LinAlgError:
            inverse = np.array([_inverse(one) for one in jacobian])
        size = abs(inverse) @ abs(jacobian)
        defect = abs(np.eye(d) - inverse @ jacobian) + (d + 3) * UNIT * 1.01 * (1 + size)
        defect = 1.001 * (defect + abs(inverse) @ doubt)
        return inverse, defect.sum(axis=2).max(axis=1)


def _inverse(matrix: Array) -> Array:
    try:
        return np.linalg.inv(matrix)
    except np.linalg.LinAlgError:
        return np.full_like(matrix, np.nan)


def prove_vertices(network: Network, signs: Array, zeros: Array, points: Array) -> None:
    """That there is a point with each of these sign vectors, where exactly those neurons vanish, and that
    their gradients there are independent.

    Three filters, each for what the one before leaves open: float64, about 110 bits, rationals.

    Raises
    ------
    NotProved
        With the reason.
    """

    def run(affine: Floats | Digits, part: Array) -> tuple[Array, Array]:
        return _sure_vertices(affine, signs[part], zeros[part], points[part])

    open_, _ = _decided(run, network, len(signs))
    if len(open_) > MOST_EXACT:
        raise LeftOpen(
            f"{len(open_)} of {len(signs)} vertices are open after 100 bits: too many for rationals"
        )
    for v in open_:
        _exact_vertex(network, signs[v], zeros[v])


def _decided(run: Run, network: Network, count: int) -> tuple[Array, Array]:
    """Indices of what neither number system decides, and the vectors that belong to all."""
    open_, found = np.arange(count), np.zeros((count, network.inputs))
    batch = max(1, BATCH_NUMBERS // (len(network.neurons) * (1 + network.inputs)))
    for numbers in (Floats, Digits) if network.in_range else (Digits,):
        if not len(open_):
            break
        affine, left = numbers(network), []
        for start in range(0, len(open_), batch):
            part = open_[start : start + batch]
            with np.errstate(all="ignore"):
                sure, found[part] = run(affine, part)
            left.append(part[~sure])
        open_ = np.concatenate(left)
    return open_, found


def _sure_vertices(affine: Floats | Digits, signs: Array, zeros: Array, points: Array) -> tuple[Array, Array]:
    """Which vertices have these signs, and where they are.

    One Newton step; then |J (x* - x - step)| = |z + J step| bounds how far the vertex x* is.
    """
    values, errors = affine(signs, points)
    inverse, defect = _solved(values, errors, zeros)
    count, d = zeros.shape
    step = -(inverse @ values[zeros, np.arange(count)[:, None], :1])[:, :, 0]
    moved = np.einsum("kbi,bi->kb", values[:, :, 1:], step) + values[:, :, 0]
    size = np.einsum("kbi,bi->kb", abs(values[:, :, 1:]), abs(step)) + abs(values[:, :, 0])
    error = np.einsum("kbi,bi->kb", errors[:, :, 1:], abs(step)) + errors[:, :, 0] + (d + 3) * UNIT * size
    rest = 1.001 * (abs(moved) + error)[zeros, np.arange(count)[:, None]]
    bound = (
        1.001 * (abs(inverse) @ rest[:, :, None])[:, :, 0].max(axis=1) / (1 - np.minimum(defect, 0.5)) + TINY
    )
    located = (defect < 0.5) & np.isfinite(bound)
    slope = (abs(values[:, :, 1:]) + errors[:, :, 1:]).sum(axis=2)
    sure = abs(moved) > (error + slope * bound) * 1.01
    sure &= (np.sign(moved) == signs.T) & located
    sure[zeros, np.arange(count)[:, None]] = located[:, None]
    return sure.all(axis=0), points + step


def _exact_rows(network: Network, gates: Array) -> Array:
    """Integer rows (J | c) of all neurons, each layer times a positive number, under the gates."""
    matrix, scale, rows, place = None, 1, [], 0
    for layer in network.hidden:
        values = layer.numerators if matrix is None else product(layer.numerators, matrix)
        rows.append(values)
        scale *= layer.denominator
        active = gates[place : place + layer.width] > 0
        place += layer.width
        scale *= (layer.slope or Fraction(0)).denominator
        constant = np.array([[0] * network.inputs + [scale]], object)
        matrix = np.concatenate([layer.kinked(values, active[:, None]), constant])
    return np.concatenate(rows)


def _exact_vertex(network: Network, sign: Array, zeros: Array) -> None:
    rows = _exact_rows(network, sign)
    square, right = fmpz_mat(rows[zeros, :-1].tolist()), fmpz_mat((-rows[zeros, -1:]).tolist())
    if square.det() == 0:
        raise NotProved(f"{_named(network, zeros)} have dependent gradients")
    numerator, denominator = fmpq_mat(square).solve(fmpq_mat(right)).numer_denom()
    x = np.array([int(numerator[i, 0]) for i in range(len(zeros))] + [int(denominator)], object)
    values = product(rows, x[:, None])[:, 0]
    real = (values > 0).astype(int) - (values < 0).astype(int)
    if (real != sign).any():
        extra = np.flatnonzero((real != sign) & (real == 0))
        if len(extra):
            where = ", ".join(f"{int(c) / int(denominator):.6g}" for c in x[:-1])
            together = _named(network, sorted([*zeros, *extra]))
            raise NotProved(f"{together} vanish together at x = ({where})")
        raise NotProved(f"a sign at the vertex of {_named(network, zeros)} is another")


def _named(network: Network, names: Sequence[int] | Array) -> str:
    return "neurons " + ", ".join(f"({k}, {i})" for k, i in (network.neurons[j] for j in names))


def planes(signs: Array) -> tuple[Array, Array]:
    """Bits of the positive and of the negative signs, as 64-bit words."""
    words = -(-signs.shape[1] // 64)
    result = []
    for chosen in (signs > 0, signs < 0):
        packed = np.packbits(chosen, axis=1, bitorder="little")
        whole = np.zeros((len(signs), words * 8), np.uint8)
        whole[:, : packed.shape[1]] = packed
        result.append(whole.view("<u8"))
    return result[0], result[1]


def random_keys(neurons: int, seed: int) -> Array:
    """Of 64 bits, for each neuron and sign (-1, 0, 1), at index sign + 1; 0 for the sign 0."""
    keys = np.random.default_rng(seed).integers(0, 2**64, (neurons, 3), dtype=np.uint64)
    keys[:, 1] = 0
    return keys


def hashed(signs: Array, keys: Array) -> Array:
    """The key of each row; rows with different keys differ."""
    result = np.zeros(len(signs), np.uint64)
    for start in range(0, len(signs), 4096):  # columns of a block, where rows are long
        part = slice(start, start + 4096)
        for key, column in zip(keys, np.ascontiguousarray(signs[part].T), strict=True):
            result[part] += key[column + 1]
    return result


def close(network: Network, signs: Array, zeros: Array, points: Array) -> Closed:
    """Prove that the list is closed under neighbours, and therefore complete.

    Raises
    ------
    NotProved
        With the reason.
    """
    count, d = zeros.shape
    if not count or rank(network.hidden[0].numerators[:, :-1]) != d:
        raise NotProved("there is no vertex, or the cells contain lines")
    keys = random_keys(signs.shape[1], 1)
    own = hashed(signs, keys)
    ordered = np.sort(own)
    if (ordered[1:] == ordered[:-1]).any():
        raise NotProved("a vertex is listed twice")
    slots = np.empty((count, d, 2), np.uint64)
    for s in (0, 1):
        slots[:, :, s] = own[:, None] + keys[zeros, 2 * s]
    flat = slots.ravel()
    order = np.argsort(flat)
    ordered = flat[order]
    equal = ordered[1:] == ordered[:-1]
    if (equal[1:] & equal[:-1]).any():
        raise NotProved("three vertices on one edge")
    first = np.flatnonzero(equal)
    one, two = order[first], order[first + 1]
    bits = planes(signs)
    for start in range(0, len(one), 1 << 19):
        part = slice(start, start + (1 << 19))
        if not (_rows(bits, zeros, one[part]) == _rows(bits, zeros, two[part])).all():
            raise NotProved("two edges with one key: the search must be made again")
    edges = np.stack([one // (2 * d), two // (2 * d)], axis=1)
    matched = np.zeros(len(flat), bool)
    matched[one] = matched[two] = True
    alone = np.flatnonzero(~matched)
    rays = np.stack([alone // (2 * d), alone // 2 % d, alone % 2 * 2 - 1], axis=1)
    return Closed(signs, zeros, edges, rays, prove_rays(network, signs, zeros, points, rays))


def _rows(bits: tuple[Array, Array], zeros: Array, slot: Array) -> Array:
    d = zeros.shape[1]
    v, q, s = slot // (2 * d), slot // 2 % d, slot % 2
    name = zeros[v, q]
    result = np.stack([bits[0][v], bits[1][v]])
    result[1 - s, np.arange(len(v)), name // 64] |= np.uint64(1) << (name % 64).astype(np.uint64)
    return result


def prove_rays(network: Network, signs: Array, zeros: Array, points: Array, rays: Array) -> Array:
    """That along each ray (vertex, place among its neurons, sign) no neuron changes its sign; directions."""

    def run(affine: Floats | Digits, part: Array) -> tuple[Array, Array]:
        v, q, s = rays[part].T
        own, where = signs[v], np.arange(len(v))
        own[where, zeros[v, q]] = s
        sure, known, u = _sure_rays(affine, own, zeros[v], points[v], q, s)
        along = _parallel(network, own, zeros[v], q) & known
        return np.array((sure | along).all(axis=0)), u

    open_, directions = _decided(run, network, len(rays))
    if len(open_) > MOST_EXACT:
        raise LeftOpen(f"100 bits leave {len(open_)} of {len(rays)} rays open: too many for rationals")
    for r in open_:
        directions[r] = _exact_ray(network, signs, zeros, *map(int, rays[r]))
    return directions


def _parallel(network: Network, signs: Array, zeros: Array, q: Array) -> Array:
    """Which neurons have slope 0 along the rays exactly, by counting; of shape (neurons, rays).

    All that comes behind a layer with r active neurons is a function of these.  If r independent gradients
    that vanish along the ray come behind it, they span those of the r neurons, which vanish, too.
    """
    result, place = np.zeros(signs.T.shape, bool), 0
    others = np.arange(zeros.shape[1]) != q[:, None]
    for layer in network.hidden:
        behind = place + layer.width
        gates = signs[:, place:behind].T
        active = (gates != 0) if layer.slope else (gates > 0)
        flat = active.sum(axis=0) == ((zeros >= behind) & others).sum(axis=1)
        result[place:behind] |= active & flat
        result[behind:] |= flat
        place = behind
    return result


def _sure_rays(
    affine: Floats | Digits, signs: Array, zeros: Array, points: Array, q: Array, s: Array
) -> tuple[Array, Array, Array]:
    """Which neurons (neurons, rays) keep their signs; where the gradients are independent; directions u.

    As J u* = s e_q, the error |u* - u| is at most |inverse (s e_q - J u)| / (1 - defect).
    """
    count, d = zeros.shape
    which = np.arange(count)
    values, errors = affine(signs, points)
    inverse, defect = _solved(values, errors, zeros)
    u = inverse[which, :, q] * s[:, None]
    gradient, doubt = values[:, :, 1:], errors[:, :, 1:]
    slope = np.einsum("kbi,bi->kb", gradient, u)
    size = np.einsum("kbi,bi->kb", abs(gradient), abs(u))
    error = np.einsum("kbi,bi->kb", doubt, abs(u)) + (d + 3) * UNIT * size
    target = np.zeros((count, d))
    target[which, q] = s
    rest = 1.001 * (abs(target - slope[zeros, which[:, None]]) + error[zeros, which[:, None]] + UNIT)
    bound = (
        1.001 * (abs(inverse) @ rest[:, :, None])[:, :, 0].max(axis=1) / (1 - np.minimum(defect, 0.5)) + TINY
    )
    known = (defect < 0.5) & np.isfinite(bound)
    error = error + (abs(gradient) + doubt).sum(axis=2) * bound
    sure = (slope * signs.T > 1.01 * error) | ((gradient == 0) & (doubt <= TINY)).all(axis=2)
    sure &= known
    sure[zeros, which[:, None]] = known[:, None]
    return sure, known, u / abs(u).max(axis=1, keepdims=True)


def _exact_ray(network: Network, signs: Array, zeros: Array, v: int, q: int, s: int) -> Array:
    own, names = signs[v].copy(), zeros[v]
    own[names[q]] = s
    rows = _exact_rows(network, own)[:, :-1]
    target = np.zeros((len(names), 1), object)
    target[q, 0] = s
    square = fmpz_mat(rows[names].tolist())
    if square.det() == 0:
        raise NotProved(f"{_named(network, names)} have dependent gradients")
    numerator, _ = fmpq_mat(square).solve(fmpq_mat(fmpz_mat(target.tolist()))).numer_denom()
    u = np.array([int(numerator[i, 0]) for i in range(len(names))], object)
    slopes = product(rows, u[:, None])[:, 0]
    if ((slopes > 0) & (own < 0) | (slopes < 0) & (own > 0)).any():
        raise NotProved(f"a neuron changes its sign along a ray from the vertex of {_named(network, names)}")
    return np.array([int(x) / int(max(map(abs, u))) for x in u])

"""Ranks of true gradients: exact mod a prime, or certified in balls; and the rank of the fields."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy.linalg import qr, solve_triangular

from conslaw.algebra.finite_field import Residues
from conslaw.attained.enclosures import TINY, UNIT, Array, Balls
from conslaw.flows.flow import gradient_flow
from conslaw.laws.lie import Samples, error_probability, random_start, ranks_by_depth
from conslaw.models.potential import Model

TOLERANCES = (1e-13, 1e-11, 1e-9, 1e-7, 1e-5)  # what is tried; what counts is whether it is certified


def generic_rank(model: Model, seed: int, target: int) -> tuple[int, float]:
    """The rank of the fields of a model at random points mod two random primes, which is at most the generic
    one over Q; and a bound for the probability that it is less.  ``target`` bounds it from above: if it is
    reached, the probability is 0.
    """
    flow = gradient_flow(model, metric="euclidean")
    n, found, error = flow.dimension, 0, 1.0
    for own_seed in (2 * seed, 2 * seed + 1):
        p, state, rng = random_start(flow, own_seed, None)
        samples = Samples(flow, state, rng, p)
        ranks = ranks_by_depth(samples, n, p, limit=1, target=target, width=n, confirm=samples.confirmed)
        found, error = max(found, ranks[0]), error * error_probability(flow, ranks, p)
        if found == target:
            return found, 0.0
    return found, error


def of_floats(x: Array, p: int) -> Residues:
    """Float64 numbers, which are whole numbers times powers of 2, mod p."""
    mantissa, exponent = np.frexp(x)
    whole = (mantissa * 2.0**53).astype(np.int64) % p
    powers, which = np.unique(exponent, return_inverse=True)
    table = np.array([pow(2, int(e) - 53, p) for e in powers.tolist()], dtype=np.uint64)
    return whole.astype(np.uint64) * table[which].reshape(x.shape) % np.uint64(p)


def residues(arrays: Mapping[str, Array], p: int) -> dict[str, Residues]:
    """The same of several arrays."""
    return {name: of_floats(x, p) for name, x in arrays.items()}


def certified_rank(rows: Balls) -> tuple[int, int]:
    """A proved lower bound of the rank of every matrix in a ball (m, n), and the rank that floats see.

    Rows A and a matrix B are chosen by floats such that A B is about 1.  If the largest row sum of |1 - A B|,
    with all that A may be and all errors, is less than 1, then A B is invertible: A has full rank.
    """
    kept = rows.finite & (rows.mid != 0).any(1)
    mid, rad = rows.mid[kept], rows.rad[kept]
    if not len(mid):
        return 0, 0
    for axis in (1, 0):  # rows and columns of about the same length, by powers of 2: no rounding
        lengths = np.linalg.norm(mid, axis=axis, keepdims=True)
        lengths = np.exp2(np.rint(np.log2(np.where(lengths > 0, lengths, 1.0))))
        mid, rad = mid / lengths, rad / lengths + 2.0**-1070  # but what underflows
    q, r, order = qr(mid.T, mode="economic", pivoting=True)
    sizes = abs(np.diag(r))
    seen = [int((sizes > tolerance * sizes[0]).sum()) for tolerance in TOLERANCES]
    for k in dict.fromkeys(seen):
        b = solve_triangular(r[:k, :k], q[:, :k].T).T
        if k and _full(mid[order[:k]], rad[order[:k]], b):
            return k, seen[0]
    return 0, seen[0]


def _full(mid: Array, rad: Array, b: Array) -> bool:
    """Whether all matrices in a ball have full rank, as b shows."""
    k, n = mid.shape
    off = abs(np.eye(k) - mid @ b)
    off += (n + 4) * UNIT * (abs(mid) @ abs(b) + 1) + rad @ abs(b) + n * TINY
    return bool(np.isfinite(off).all() and off.sum(1).max() * (1 + 8 * (n + k) * UNIT) < 1)

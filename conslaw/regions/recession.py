"""Is {x : A x <= b} bounded?  A linear program proposes, rationals decide."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from flint import fmpq_mat, fmpz_mat
from scipy.optimize import linprog

from conslaw.regions.inequalities import Inequalities
from conslaw.regions.networks_read import Array, independent_rows, product

BITS = 40


def bounded(system: Inequalities) -> bool | None:
    """For a nonempty polyhedron; None if neither could be shown.

    Unbounded: a direction u != 0 with A u <= 0, or a kernel.  Bounded: A of full rank, l > 0 with l A = 0.
    """
    matrix, d = system.rows[system.bent, :-1], system.rows.shape[1] - 1
    if len(matrix) <= d or fmpz_mat(matrix.tolist()).rank() < d:
        return False
    floats = system.floats[system.bent, :-1]
    solved = linprog(
        floats.sum(axis=0), A_ub=floats, b_ub=np.zeros(len(floats)), bounds=(-1, 1), method="highs"
    )
    if solved.status != 0 or solved.x is None or solved.fun is None:
        return None
    if solved.fun < -1e-9:
        tight = np.flatnonzero(abs(floats @ solved.x) < 1e-9)
        found = _projected(_integers(solved.x), matrix[tight], independent_rows(matrix[tight]))
        return False if found.any() and max(product(matrix, found[:, None])[:, 0]) <= 0 else None
    balanced = linprog(
        np.ones(len(floats)), A_eq=floats.T, b_eq=np.zeros(d), bounds=(1, None), method="highs"
    )
    if balanced.status != 0 or balanced.x is None:
        return None
    sizes = [size for size, bent in zip(system.sizes, system.bent, strict=True) if bent]
    longest = max(size.bit_length() for size in sizes)
    numbers = [(int(x) << longest) // size for x, size in zip(_integers(balanced.x), sizes, strict=True)]
    return True if (_projected(np.array(numbers, object), matrix.T, range(d)) > 0).all() else None


def _integers(x: Array) -> Array:
    return np.array([int(v) for v in np.rint(x * 2.0**BITS)], object)


def _projected(x: Array, rows: Array, basis: Iterable[int]) -> Array:
    """A positive multiple of the projection of x to the kernel of the rows, ``basis`` spanning them."""
    rows = rows[[*basis]]
    if not len(rows):
        return x
    gram = fmpq_mat(fmpz_mat(product(rows, rows.T).tolist()))
    solved = gram.solve(fmpq_mat(fmpz_mat(product(rows, x[:, None]).tolist())))
    numerator, denominator = solved.numer_denom()
    weights = np.array([int(numerator[i, 0]) for i in range(len(rows))], object)
    result: Array = x * int(denominator) - product(weights[None], rows)[0]
    return result

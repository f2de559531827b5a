"""The linear system of the ansatz, built in NumPy: monomials are sums of random 64-bit keys."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from conslaw.algebra.polynomials import Keys, PolynomialArray, derivatives, join, keys, multiply
from conslaw.algebra.sparse_kernel import (
    Equations,
    Vector,
    added_up,
    distinct,
    kernel_by_components,
    kill,
    merged,
)

logger = logging.getLogger(__name__)

PORTION = 2**15  # nonzeros of the first portion of equations; it doubles up to
LARGEST_PORTION = 2**22


@dataclass(frozen=True)
class Factors:
    """Terms with a variable set apart: ``variable``, the key of what is left, and the coefficient; ``owner``
    says whose term.
    """

    variable: npt.NDArray[Any]
    key: Keys
    coefficient: npt.NDArray[Any]
    owner: npt.NDArray[np.intp]

    def where(self, kept: npt.NDArray[Any]) -> Factors:
        """Some of the terms."""
        return Factors(self.variable[kept], self.key[kept], self.coefficient[kept], self.owner[kept])


def ansatz_kernel(monomials: npt.NDArray[np.int32], fields: list[PolynomialArray], salt: int) -> list[Vector]:
    """A canonical basis of the kernel of the system, each vector a dictionary from monomial number to
    primitive integers.
    """
    alive = np.ones(len(monomials), dtype=bool)
    rng = np.random.default_rng(salt)
    system = merged([_eliminated(_gradient_factors(monomials, salt), x, alive, rng, salt) for x in fields])
    system = kill(system.where(alive[system.column]), alive)
    return kernel_by_components(distinct(system, salt), np.flatnonzero(alive))


def _gradient_factors(monomials: npt.NDArray[np.int32], salt: int) -> Factors:
    """All partial derivatives of the monomials: variable, key of the derivative, exponent, number of the
    monomial.
    """
    count = len(monomials)
    identity = PolynomialArray((count,), np.arange(count), monomials, np.ones(count, dtype=np.int64))
    n = int(monomials.max())
    slopes = derivatives(identity, n)
    return Factors(slopes.entry % n, keys(slopes.monomial, salt), slopes.coefficient, slopes.entry // n)


def _eliminated(
    unknowns: Factors,
    field: PolynomialArray,
    alive: npt.NDArray[np.bool_],
    rng: np.random.Generator,
    salt: int,
) -> Equations:
    """The equations of one field, portion by portion, without those that only kill unknowns (which are marked
    in ``alive``).
    """
    n = field.shape[0]
    data = np.where(field.monomial > n, field.monomial, 0)
    component = np.unique(keys(np.sort(data, axis=1), salt), return_inverse=True)[1]
    order = rng.permutation(int(component.max(initial=-1)) + 1)[component]  # components in random order
    sort = np.argsort(order, kind="stable")
    slopes = Factors(field.entry, keys(field.monomial, salt), field.coefficient, order).where(sort)
    ends = np.flatnonzero(np.diff(slopes.owner, append=-1)) + 1  # a portion ends where a component does
    kept: list[Equations] = []
    start, portion = 0, PORTION
    while start < len(field):
        unknowns = unknowns.where(alive[unknowns.owner])
        size = np.cumsum(np.bincount(unknowns.variable, minlength=n)[slopes.variable[start:]])
        reach = start + int(np.searchsorted(size, portion, side="right"))
        stop = int(ends[min(int(np.searchsorted(ends, max(reach, start + 1))), len(ends) - 1)])
        kept.append(_portion(unknowns, slopes.where(np.arange(start, stop)), alive))
        numbers = [f"{count:,}" for count in (stop, len(field), alive.sum())]
        logger.info("ansatz: %s of %s terms of the field used, %s unknowns left", *numbers)
        start, portion = stop, min(2 * portion, LARGEST_PORTION)
    none = Equations(np.zeros(0, np.int64), np.zeros(0, np.intp), np.zeros(0, np.int64))
    return merged(kept) if kept else none


def _portion(unknowns: Factors, slopes: Factors, alive: npt.NDArray[np.bool_]) -> Equations:
    """The equations of some components: <grad h, field>, its terms sorted into equations by the key of their
    monomial.
    """
    i, j = join(slopes.variable, unknowns.variable)
    key = slopes.key[i] + unknowns.key[j]
    order = np.argsort(key)
    key, column = key[order], unknowns.owner[j[order]]
    row = np.cumsum(np.concatenate([[0], key[1:] != key[:-1]])) if len(key) else key.astype(np.int64)
    alone = np.bincount(row)[row] == 1 if len(row) else np.zeros(0, dtype=bool)
    alive[column[alone]] = False
    rest = alive[column]
    row, column, i, j = row[rest], column[rest], i[order[rest]], j[order[rest]]
    system = Equations(row, column, multiply(slopes.coefficient[i], unknowns.coefficient[j]))
    return kill(added_up(system), alive)

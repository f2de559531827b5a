"""Polynomials through exact values, by linear algebra over Q."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement

import flint
import numpy as np
import numpy.typing as npt

Integers = npt.NDArray[np.object_]  # exact
EVIDENCE, MARGIN = 2, 1  # rows for each coefficient of a formula, and beyond: else it is no evidence


def monomials(variables: Sequence[str], degree: int) -> list[tuple[str, ...]]:
    """From simple to less so: of those that depend on each other the first stay in a solution."""
    found = [m for d in range(degree + 1) for m in combinations_with_replacement(variables, d)]
    return sorted(found, key=lambda m: sum(map(variables.index, m)) if len(m) > 1 else -1)


@dataclass(frozen=True)
class Solution:
    """Numerators of the coefficients over one denominator, and how many rows determine them."""

    numerators: Integers
    denominator: int
    rank: int

    def parts(self, length: int) -> list[Integers]:
        """The numerators, so many at a time."""
        return [self.numerators[i : i + length] for i in range(0, len(self.numerators), length)]


def solved(matrix: Integers, values: Integers) -> Solution | None:
    """The solution, if there is one, and more rows than that says little."""
    for count in dict.fromkeys((min(len(values), 2 * matrix.shape[1]), len(values))):  # a few refute most
        solution = _solve(matrix[:count], values[:count])
        if solution is None or len(values) < EVIDENCE * solution.rank + MARGIN:
            return None
        if (matrix @ solution.numerators == values * solution.denominator).all():
            return solution
    return None


def _solve(matrix: Integers, values: Integers) -> Solution | None:
    """An exact solution, zero in all columns that depend on those before them."""
    m, n = matrix.shape
    augmented = flint.fmpz_mat(
        m, n + 1, [int(x) for row, y in zip(matrix, values, strict=True) for x in (*row, y)]
    )
    reduced, denominator, rank = augmented.rref()
    numerators = np.array([0] * n, dtype=object)
    for i in range(rank):
        pivot = next(j for j in range(n + 1) if reduced[i, j] != 0)
        if pivot == n:
            return None
        numerators[pivot] = int(reduced[i, n])
    return Solution(numerators, int(denominator), int(rank))


def written(names: Sequence[Sequence[str]], numerators: Integers, denominator: int) -> str:
    """A polynomial as text, in factors where that is shorter."""
    import sympy

    expression = sympy.Integer(0)
    for monomial, numerator in zip(names, numerators, strict=True):
        symbols = [sympy.Symbol(name) for name in monomial]
        expression += sympy.Rational(int(numerator), denominator) * sympy.prod(symbols)
    return min(str(sympy.factor(expression)), str(expression), key=len)

"""Linear inequalities, exact and rounded: what is shown by floats with an error bound, else by integers."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

import numpy as np
from flint import fmpq_mat, fmpz_mat

from conslaw.regions.networks_read import Array, independent_rows, integers, product

MOST_DOUBTFUL = 8  # signs at a point that go to integers


@dataclass(frozen=True, eq=False)
class Inequalities:
    """(A | -b) (x, 1) <= 0; each row consists of integers, ``units`` times those that are meant."""

    rows: Array
    units: Array

    @cached_property
    def sizes(self) -> list[int]:
        """The largest entry of each row of A (of b, where A is zero), in absolute value."""
        return [max(map(abs, row[:-1])) or abs(row[-1]) or 1 for row in self.rows.tolist()]

    @cached_property
    def floats(self) -> Array:
        """The rows over their sizes, each entry rounded to nearest."""
        pairs = zip(self.rows.tolist(), self.sizes, strict=True)
        return np.array([[quotient(x, size) for x in row] for row, size in pairs]).reshape(self.rows.shape)

    @cached_property
    def bent(self) -> Array:
        """Where A is not zero."""
        return np.array(self.floats[:, :-1].any(axis=1))

    @cached_property
    def normalised(self) -> tuple[Array, Array]:
        """A and b in float64, rows of A of length 1; only where A is not zero."""
        A, b = self.floats[self.bent, :-1], -self.floats[self.bent, -1]
        norms = np.linalg.norm(A, axis=1)
        return A / norms[:, None], b / norms

    def slack(self, numerators: Array, denominator: int) -> Array:
        """b - A x times the denominator, exactly."""
        return -product(self.rows, np.append(numerators, denominator)[:, None])[:, 0]

    def distances(self, numerators: Array, denominator: int) -> Array:
        """From the point to each wall, negative beyond it; rounded."""
        slack = self.slack(numerators, denominator)
        away = [quotient(int(s), size * denominator) for s, size in zip(slack, self.sizes, strict=True)]
        found: Array = np.array(away)[self.bent] / np.linalg.norm(self.floats[self.bent, :-1], axis=1)
        return found

    def alone(self, chosen: Array, points: Array, among: Array) -> Array:
        """Of points (k, d), whether each breaks inequality ``chosen[k]`` and no other of those, exactly."""
        A, b = self.floats[among, :-1], self.floats[among, -1:]
        wanted = np.where(among[:, None] == chosen, 1, -1)
        with np.errstate(all="ignore"):
            values = wanted * (A @ points.T + b)
            error = (A.shape[1] + 4) * 2.0**-52 * (abs(A) @ abs(points.T) + abs(b)) + 1e-300
        doubtful = ~(values > error)
        result: Array = ~doubtful.any(axis=0)
        few = ~result & ~(values < -error).any(axis=0) & (doubtful.sum(axis=0) <= MOST_DOUBTFUL)
        for k in np.flatnonzero(few & np.isfinite(points).all(axis=1)):
            column = np.append(*integers(points[k].astype(object), "witness"))
            exact = {int(i): int(self.rows[i].dot(column)) for i in among[doubtful[:, k]]}
            result[k] = all(value > 0 if i == chosen[k] else value <= 0 for i, value in exact.items())
        return result

    def farkas(self, row: int, support: list[int]) -> dict[int, Fraction] | None:
        """Multipliers l >= 0 with a_row = sum l_j a_j and sum l_j b_j <= b_row, on that support."""
        if not support:
            return None
        support = [support[i] for i in independent_rows(self.rows[support][:, :-1])]
        matrix = self.rows[support]
        gram = fmpz_mat(product(matrix[:, :-1], matrix[:, :-1].T).tolist())
        right = product(matrix[:, :-1], self.rows[row][:-1, None])
        solved = fmpq_mat(gram).solve(fmpq_mat(fmpz_mat(right.tolist())))
        values = [Fraction(int(solved[i, 0].p), int(solved[i, 0].q)) for i in range(len(support))]
        if min(values) < 0:
            return None
        numbers, w = integers(np.array(values, object), "multiplier")
        combined = product(numbers[None], matrix)[0]
        target = self.rows[row] * w
        if (combined[:-1] != target[:-1]).any() or combined[-1] < target[-1]:
            return None
        return dict(zip(support, values, strict=True))


def quotient(x: int, y: int) -> float:
    """Of integers, correctly rounded; infinite where that is too large."""
    try:
        return x / y
    except OverflowError:
        return float("inf") if (x > 0) == (y > 0) else float("-inf")

"""Which inequalities of A x <= b are facets?  Found in floating point, decided exactly.

A facet has a *witness*, a point that breaks this inequality alone; a redundant inequality has *Farkas
multipliers*, by which it is a nonnegative combination of others.  Seen from an interior point the rows
become points p_i = a_i / (b_i - a_i x): i is a facet if and only if p_i is a vertex of the hull of all and 0,
so that each direction u shows a facet, the one where p_i u is largest.  All directions at once are one
product of matrices; only the rows that none of them shows cost a linear program.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np
from flint import fmpq_mat, fmpz_mat
from scipy.optimize import linprog

from conslaw.regions.networks_read import Array, independent_rows, integers, product

ROUNDS, STEPS, ENOUGH = 8, 40, 1e-9


@dataclass(frozen=True, eq=False)
class Decided:
    """Facets with witnesses, redundant rows with multipliers (of rows), and what could not be decided."""

    witnesses: dict[int, Array] = field(repr=False)
    multipliers: dict[int, dict[int, Fraction]] = field(repr=False)
    undecided: tuple[int, ...]


def decide(rows: Array, inside: Array, denominator: int) -> Decided:
    """Rows are integers (A | -b), each times a positive number; ``inside / denominator`` is inside.

    A witness is a float64 point; that it breaks one inequality alone is shown exactly.
    """
    multipliers: dict[int, dict[int, Fraction]] = {}
    first: dict[tuple[int, ...], int] = {}
    for i, row in enumerate(rows.tolist()):
        if not any(row[:-1]):
            multipliers[i] = {}  # 0 <= b
            continue
        scale = int(np.gcd.reduce(np.array(row, object)))
        twin = first.setdefault(tuple(x // scale for x in row), i)
        if twin != i:
            other = int(np.gcd.reduce(rows[twin]))
            multipliers[i] = {twin: Fraction(scale, other)}
    chosen = np.array([i for i in range(len(rows)) if i not in multipliers], int)
    if not len(chosen):
        return Decided({}, multipliers, ())
    polar, start = _polar(rows[chosen], inside, denominator)
    witnesses: dict[int, Array] = {}
    exact = Exact(rows)

    def shown(candidates: Array) -> None:
        for i, y in _first_hits(polar, start, candidates):
            row = int(chosen[i])
            if row not in witnesses and exact.alone(row, y, chosen):
                witnesses[row] = y

    basis = np.linalg.svd(polar, full_matrices=False)[2]
    flat = polar @ basis.T
    directions = flat / np.linalg.norm(flat, axis=1, keepdims=True)
    for _ in range(ROUNDS):  # perceptrons, one for each row left: u prefers p_i to the row that it shows
        left = np.array([i for i in range(len(chosen)) if int(chosen[i]) not in witnesses], int)
        if not len(left):
            break
        u = directions[left]
        for _ in range(STEPS):
            best = (flat @ u.T).argmax(axis=0)
            step = flat[left] - flat[best]
            size = np.linalg.norm(step, axis=1, keepdims=True)
            u = u + step / np.where(size > 0, size, 1) * np.linalg.norm(u, axis=1, keepdims=True) * 0.1
        directions[left] = u / np.linalg.norm(u, axis=1, keepdims=True)
        shown(directions[left] @ basis)
    open_: list[int] = []
    gone: set[int] = set()
    for i in range(len(chosen)):
        row = int(chosen[i])
        if row in witnesses:
            continue
        others = np.array([j for j in range(len(chosen)) if j != i and j not in gone], int)
        solved = linprog(-flat[i], A_ub=np.vstack([flat[others], flat[i]]), method="highs",
                         b_ub=np.append(np.ones(len(others)), 2.0), bounds=(None, None))  # fmt: skip
        if solved.status == 0 and float(solved.fun or 0) < -1 - ENOUGH:
            shown((solved.x @ basis)[None])
        if row not in witnesses and solved.status == 0:
            support = others[-solved.ineqlin.marginals[:-1] > 1e-9]
            found = exact.farkas(row, [int(chosen[j]) for j in support])
            if found is not None:
                multipliers[row] = found
                gone.add(i)
        if row not in witnesses and row not in multipliers:
            open_.append(row)
    return Decided(witnesses, multipliers, tuple(open_))


def _polar(rows: Array, inside: Array, denominator: int) -> tuple[Array, Array]:
    """p_i in float64, exact slack; and the interior point."""
    slack = -product(rows, np.append(inside, denominator)[:, None])[:, 0]
    largest = np.array([max(map(abs, row)) for row in rows[:, :-1].tolist()], object)
    scaled = (rows[:, :-1] * denominator).tolist()
    if len(rows) * rows.shape[1] and min(slack) > 0:
        polar = np.array([[x / s for x in row] for row, s in zip(scaled, slack, strict=True)], float)
    else:
        polar = np.array(
            [[x / m for x in row] for row, m in zip(rows[:, :-1].tolist(), largest, strict=True)]
        )
    return polar, np.array([x / denominator for x in inside], float)


def _first_hits(polar: Array, start: Array, directions: Array) -> list[tuple[int, Array]]:
    """For each direction the row that is met first, and a point between there and the second."""
    reach = polar @ directions.T
    order = np.argpartition(-reach, min(1, len(reach) - 1), axis=0)[:2]
    result, seen = [], set[int]()
    for j, u in enumerate(directions):
        pair = sorted(order[:, j], key=lambda i: -reach[i, j])
        first = reach[pair[0], j]
        second = reach[pair[1], j] if len(pair) > 1 else 0.0
        if first <= 0 or int(pair[0]) in seen or second >= first * (1 - 1e-12):
            continue
        seen.add(int(pair[0]))
        t = 2 / first if second <= first / 4 else 2 / (first + second)
        result.append((int(pair[0]), start + t * u))
    return result


class Exact:
    """The rows, and what is decided with them exactly: by floats with an error bound, else by integers."""

    def __init__(self, rows: Array) -> None:
        self.rows = rows
        top = [max(1, *(abs(x) for x in row)) for row in rows.tolist()]
        self.floats = np.array([[x / m for x in row] for row, m in zip(rows.tolist(), top, strict=True)])

    def alone(self, row: int, y: Array, among: Array) -> bool:
        """Whether y breaks this inequality and no other of those."""
        if not np.isfinite(y).all():
            return False
        values = self.floats[:, :-1] @ y + self.floats[:, -1]
        bound = abs(self.floats[:, :-1]) @ abs(y) + abs(self.floats[:, -1])
        error = (self.floats.shape[1] + 4) * 2.0**-52 * bound + 1e-300
        broken = values > error
        kept = values < -error
        unsure = [int(i) for i in among if not broken[i] and not kept[i]]
        signs = {int(i): (1 if broken[i] else -1) for i in among}
        if unsure:
            if len(unsure) > 8:
                return False
            numbers, w = integers(y.astype(object), "witness")
            column = np.append(numbers, w)
            for i in unsure:
                signs[i] = 1 if int(self.rows[i].dot(column)) > 0 else -1
                if int(self.rows[i].dot(column)) == 0 and i == row:
                    return False
        return signs[row] > 0 and all(s < 0 for i, s in signs.items() if i != row)

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

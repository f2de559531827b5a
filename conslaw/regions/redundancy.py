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
from scipy.optimize import linprog

from conslaw.regions.inequalities import Inequalities
from conslaw.regions.networks_read import Array

ROUNDS, STEPS, ENOUGH = 8, 40, 1e-9


@dataclass(frozen=True, eq=False)
class Decided:
    """Facets with witnesses, redundant rows with multipliers (of rows), and what could not be decided."""

    witnesses: dict[int, Array] = field(repr=False)
    multipliers: dict[int, dict[int, Fraction]] = field(repr=False)
    undecided: tuple[int, ...]


def decide(system: Inequalities, inside: Array, denominator: int) -> Decided:
    """Which rows are facets; ``inside / denominator`` is strictly inside.

    A witness is a float64 point; that it breaks one inequality alone is shown exactly.
    """
    multipliers = _twins(system)
    chosen = np.array([i for i in range(len(system.rows)) if i not in multipliers], int)
    if not len(chosen):
        return Decided({}, multipliers, ())
    slack = system.slack(inside, denominator)[chosen]
    stretch = [system.sizes[i] * denominator / int(s) for i, s in zip(chosen, slack, strict=True)]
    polar = system.floats[chosen, :-1] * np.array(stretch)[:, None]
    start = np.array([x / denominator for x in inside], float)
    witnesses: dict[int, Array] = {}

    def shown(candidates: Array) -> None:
        hits = [(int(chosen[i]), y) for i, y in _first_hits(polar, start, candidates)]
        hits = [(row, y) for row, y in hits if row not in witnesses]
        if hits:
            rows, points = (np.array(found) for found in zip(*hits, strict=True))
            good = system.alone(rows, points, chosen)
            witnesses.update({int(row): y for row, y in zip(rows[good], points[good], strict=True)})

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
            found = system.farkas(row, [int(chosen[j]) for j in support])
            if found is not None:
                multipliers[row] = found
                gone.add(i)
        if row not in witnesses and row not in multipliers:
            open_.append(row)
    return Decided(witnesses, multipliers, tuple(open_))


def _twins(system: Inequalities) -> dict[int, dict[int, Fraction]]:
    """Multipliers of the rows that are zero, or multiples of earlier ones: these round to equal floats."""
    multipliers: dict[int, dict[int, Fraction]] = {}
    first: dict[bytes, list[int]] = {}
    rows, sizes = system.rows, system.sizes
    for i, floats in enumerate(system.floats):
        if not system.bent[i]:
            multipliers[i] = {}  # 0 <= b
            continue
        alike = first.setdefault(floats.tobytes(), [])
        twin = next((j for j in alike if (rows[i] * sizes[j] == rows[j] * sizes[i]).all()), None)
        if twin is None:
            alike.append(i)
        else:
            multipliers[i] = {twin: Fraction(sizes[i], sizes[twin])}
    return multipliers


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

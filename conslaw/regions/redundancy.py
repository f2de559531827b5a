"""Which inequalities of A x <= b are facets?  Found in floating point, decided exactly.

A facet has a *witness*, a point that breaks this inequality alone; a redundant inequality has *Farkas
multipliers*, by which it is a nonnegative combination of others.  Seen from an interior point the rows
become points p_i = a_i / (b_i - a_i x): i is a facet if and only if p_i is a vertex of the hull of all and 0,
so that each direction u shows a facet, the one where p_i u is largest.  All directions at once are one
product of matrices; only the rows that none of them shows cost a linear program.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np
from scipy.optimize import linprog

from conslaw.regions.inequalities import Inequalities
from conslaw.regions.networks_read import Array

MOST_STEPS, ENOUGH = 3000, 1e-9


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
    stretch = np.array([system.sizes[i] * denominator / int(s) for i, s in zip(chosen, slack, strict=True)])
    polar = system.floats[chosen, :-1] * (stretch / stretch.max())[:, None]
    start = np.array([x / denominator for x in inside], float)
    witnesses: dict[int, Array] = {}

    def shown(candidates: Array) -> None:
        found = _first_hits(polar, start, candidates, float(stretch.max()))
        hits = [(int(chosen[i]), y) for i, y in found if int(chosen[i]) not in witnesses]
        if hits:
            rows, points = (np.array(found) for found in zip(*hits, strict=True))
            good = system.alone(rows, points, chosen)
            witnesses.update({int(row): y for row, y in zip(rows[good], points[good], strict=True)})

    basis = np.linalg.svd(polar, full_matrices=False)[2]
    flat = polar @ basis.T
    _perceptrons(flat, lambda u: shown(u @ basis))
    known = {i for i in range(len(chosen)) if int(chosen[i]) in witnesses}
    for i in range(len(chosen)):
        row = int(chosen[i])
        if row not in witnesses:
            support = _implied(flat, i, known, lambda u: shown((u @ basis)[None]))
            found = system.farkas(row, [int(chosen[j]) for j in support]) if row not in witnesses else None
            if found is not None:
                multipliers[row] = found
    undecided = [int(row) for row in chosen if int(row) not in witnesses and int(row) not in multipliers]
    return Decided(witnesses, multipliers, tuple(undecided))


def _perceptrons(flat: Array, shown: Callable[[Array], None]) -> None:
    """One for each row: u prefers p_i to the row that it shows, until that is i.

    They may do as much work as the linear programs that they save.
    """
    sizes = np.linalg.norm(flat, axis=1, keepdims=True)
    work, left, u = (
        2e6 * len(flat) + 4e4 * flat.size,
        np.arange(len(flat)),
        flat / np.where(sizes > 0, sizes, 1),
    )
    for t in range(MOST_STEPS):
        work -= 2e5 + len(left) * len(flat) * (flat.shape[1] + 10)
        best = (u @ flat.T).argmax(axis=1)
        done = best == left
        if done.any():
            shown(u[done])
        left, u, best = left[~done], u[~done], best[~done]
        if not len(left) or work < 0:
            break
        step = flat[left] - flat[best]
        size = np.linalg.norm(step, axis=1, keepdims=True)
        u = u + 0.1 / (1 + 0.02 * t) ** 0.5 * step / np.where(size > 0, size, 1)
        u /= np.maximum(np.linalg.norm(u, axis=1, keepdims=True), 1e-300)
    if len(left):
        shown(u)


def _implied(flat: Array, i: int, known: set[int], shown: Callable[[Array], None]) -> list[int]:
    """Rows that imply row i, or none if it is a facet, as far as floats can see.

    Only rows that are needed are in the programs (Clarkson 1994): those known to be facets, and what the
    optimum breaks, which joins them.
    """
    size = float(np.linalg.norm(flat[i])) or 1.0
    while True:
        others = np.array(sorted(known - {i}), int)
        solved = linprog(-flat[i] / size, A_ub=np.vstack([flat[others], flat[i] / size]), method="highs",
                         b_ub=np.append(np.ones(len(others)), 2.0 / size), bounds=(None, None))  # fmt: skip
        if solved.status != 0 or solved.x is None or solved.fun is None:
            return []
        if float(solved.fun) * size >= -1 - ENOUGH:
            weights = -solved.ineqlin.marginals[:-1]
            return [int(j) for j in others[weights > ENOUGH * weights.max(initial=0)]]
        shown(solved.x)
        first = int((flat @ solved.x).argmax())
        known.add(first)
        if first == i or first in others:
            return []


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


def _first_hits(polar: Array, start: Array, directions: Array, stretch: float) -> list[tuple[int, Array]]:
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
        result.append((int(pair[0]), start + t / stretch * u))
    return result

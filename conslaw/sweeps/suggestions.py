"""Formulas suggested by tables: conjectures with evidence, never more.

Exact linear algebra over Q, from simple to less so: a polynomial in the widths, one with minima of widths, one
that depends on a condition.  A part of the rows is held out, and every formula is tried on it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, combinations_with_replacement
from math import prod
from random import Random
from typing import TYPE_CHECKING, Any

import flint
import numpy as np
import numpy.typing as npt

from conslaw import display
from conslaw.errors import ConslawError, check_seed
from conslaw.sweeps.expectations import COLUMNS, Known, knowledge, widths_of
from conslaw.sweeps.expressions import Expression, names_of

if TYPE_CHECKING:
    from conslaw.sweeps.expectations import Table

Integers = npt.NDArray[np.object_]  # exact
SHARE = 3  # one row in so many is held out
MARGIN = 3  # rows that a formula must explain beyond those that determine it
BRANCHES = 3  # formulas in one that depends on conditions


@dataclass(frozen=True, repr=False)
class Conjecture(display.Shown):
    """A formula that a table suggests: a conjecture with evidence.

    Attributes
    ----------
    about : the rows it was made for, in words
    quantity : what it gives
    formula : in the grammar of :mod:`conslaw.sweeps.expressions`; empty if none was found
    explained : rows that it was made from
    tested : rows that it was not made from, and which it was tried on
    counterexamples : of all of these rows those that it does not give, in words, the smallest first
    probable : how many of the rows are themselves only probable
    left_out : rows without a number
    """

    about: str
    quantity: str
    formula: str
    explained: int
    tested: int
    counterexamples: tuple[str, ...]
    probable: int
    left_out: int

    @property
    def holds(self) -> bool:
        """Whether there is a formula, and no row against it."""
        return bool(self.formula) and not self.counterexamples

    def _summary(self) -> display.Summary:
        rows = [
            ("formula", self.formula or "none found"),
            ("made from", f"{self.explained:,} rows"),
            ("tried on", f"{self.tested:,} others, {'all' if self.holds else 'not all'} as it says"),
            *(
                [("probable", f"{self.probable:,} of these rows are themselves only probable")]
                * bool(self.probable)
            ),
            *([("left out", f"{self.left_out:,} rows without a number")] * bool(self.left_out)),
        ]
        section = display.Section("counterexamples", self.counterexamples)
        remark = (
            "A conjecture with evidence: nothing here proves it."
            if self.holds
            else "Refuted: it gives all rows but the counterexamples."
        )
        remarks = [remark] if self.formula else []
        sections = [section] if self.counterexamples else []
        return display.Summary(f"{self.quantity} of {self.about}", rows, remarks, sections)


def suggest_formula(table: Table, *, column: str | None = None, seed: int = 0) -> tuple[Conjecture, ...]:
    """Suggest a formula in the widths for the answers of a sweep.

    For each family, flow, bias and depth the simplest formula that gives all of its training rows: a polynomial
    of degree at most 2 in the widths; one in the widths and minima such as ``min(r, n + m)``; one of these
    under a condition such as ``n == 1``, and others elsewhere.  If it fails on rows that were held out, the
    next is tried.

    Parameters
    ----------
    table : a sweep, its file, a frame, or rows
    column : the column to be explained; by default the number of laws, or the dimension
    seed : draws the rows that are held out, one in three

    Returns
    -------
    tuple of Conjecture
        One for each group of rows.  Each says what it was made from and what it was tried on.

    Examples
    --------
    >>> import conslaw
    >>> swept = conslaw.sweep("linear", widths="1..4", depth=2)
    >>> (found,) = conslaw.sweeps.suggest_formula(swept)
    >>> found.formula, found.holds
    ('min(r, n + m)*(-min(r, n + m) + 2*r + 1)/2', True)
    >>> found.explained, found.tested
    (43, 21)
    """
    groups, left_out = _groups(table, column)
    rng = Random(f"formula {check_seed(seed)}")
    found = [_conjecture(name, rows, left_out[name], column, rng) for name, rows in groups.items()]
    if not found:
        raise ConslawError("suggest_formula: no row of the table has a number that is proved or probable")
    return tuple(found)


Group = tuple[Any, ...]


def _groups(table: Table, column: str | None) -> tuple[dict[Group, list[Known]], dict[Group, int]]:
    """The rows with a number, by family, flow and depth; how many there are without."""
    groups: dict[Group, list[Known]] = defaultdict(list)
    left_out: dict[Group, int] = defaultdict(int)
    for known in knowledge(table, column=column):
        if isinstance(known, str):
            left_out[()] += 1
            continue
        depth = len(widths_of(known.row)) - 1
        group = (*(known.row.get(name) for name in COLUMNS if name != "widths"), depth)
        if known.value is None:
            left_out[group] += 1
        else:
            groups[group].append(known)
    return groups, left_out


def _conjecture(
    group: Group, rows: list[Known], left_out: int, column: str | None, rng: Random
) -> Conjecture:
    shuffled = list(rows)
    rng.shuffle(shuffled)
    held_out = max(1, len(rows) // SHARE)
    training = _Rows(shuffled[held_out:])
    formulas = _formulas(training)
    best: tuple[str, list[Known]] = ("", [])
    for formula in formulas:
        failed = [row for row in rows if Expression(formula)(training.names(row)) != row.value]
        if not best[0] or (len(failed), len(formula)) < (len(best[1]), len(best[0])):
            best = (formula, failed)
        if not failed:
            break
    formula, failed = best
    family, bias, power, flow, damping, depth = group
    parts = [
        f"{family or 'networks'} of depth {depth}",
        "with bias" if bias else "",
        f"power {power}" if power else "",
    ]
    parts += [f"{flow} flow" if flow else "", f"damping {damping}" if damping is not None else ""]
    return Conjecture(
        about=", ".join(part for part in parts if part),
        quantity=column or ("dimension" if "upper_bound" in rows[0].row else "laws"),
        formula=formula,
        explained=len(rows) - held_out,
        tested=held_out,
        counterexamples=tuple(
            f"{row.about}: {row.value}" for row in sorted(failed, key=lambda row: row.size)
        ),
        probable=sum(not row.is_proved for row in rows),
        left_out=left_out,
    )


class _Rows:
    """Rows that formulas are made from: values of expressions on all of them, each computed once."""

    def __init__(self, rows: Sequence[Known]) -> None:
        self.rows = rows
        self.values = np.array([row.value for row in rows], dtype=object)
        self._names = [self.names(row) for row in rows]
        self._known: dict[str, Integers] = {}
        depth = len(widths_of(rows[0].row)) - 1 if rows else 0
        self.bias = bool(rows and rows[0].row.get("bias"))
        self.letters = ["n", "r", "m"] if depth == 2 else [f"d{i}" for i in range(depth + 1)]

    @staticmethod
    def names(row: Known) -> dict[str, Any]:
        """What the names of an expression stand for in a row."""
        return names_of(widths_of(row.row), row.row)

    def __getitem__(self, text: str) -> Integers:
        """The values of an expression."""
        if text not in self._known:
            expression = Expression(text)
            self._known[text] = np.array([expression(names) for names in self._names], dtype=object)
        return self._known[text]


def _formulas(rows: _Rows) -> Iterator[str]:
    """Formulas that give all rows, from simple to less so."""
    everywhere = np.arange(len(rows.rows))
    for atoms in _atoms(rows.letters, rows.bias):
        for degree in (1, 2):
            found = _fit(rows, everywhere, atoms, degree)
            if found:
                yield found
    yield from _conditional(rows, everywhere, BRANCHES)


def _atoms(letters: Sequence[str], bias: bool) -> Iterator[tuple[str, ...]]:
    """What a polynomial may have beside the widths: nothing, one minimum, two.

    A hidden bias is one more input.
    """
    sums = []
    for i in range(1, len(letters) - 1):
        around = f"{letters[i - 1]} + {letters[i + 1]}{' + 1' if bias else ''}"
        sums += [f"min({letters[i]}, {around})", f"min({letters[i]}, 2*({around}))"]
    pairs = [f"min({a}, {b})" for a, b in combinations(letters, 2)]
    ends = [f"min({', '.join(letters)})"] if len(letters) > 2 else []
    single = [*sums, *pairs, *ends]
    yield ()
    yield from ((one,) for one in single)
    yield from combinations(single, 2)


def _conditions(letters: Sequence[str]) -> Iterator[str]:
    """Conditions on the widths, from special to general."""
    first, last = letters[0], letters[-1]
    yield f"{first} == 1 and {last} == 1"
    yield f"min({', '.join(letters)}) == 1"
    yield from (f"{one} == 1" for one in letters)
    if len(letters) > 3:
        yield f"min({', '.join(letters[1:-1])}) == 1"
    for i in range(1, len(letters) - 1):
        around = f"{letters[i - 1]} + {letters[i + 1]}"
        yield f"{letters[i]} > {around}"
        yield f"{letters[i]} > 2*({around})"
    yield from (f"{a} > {b}" for a, b in combinations(letters, 2))
    yield from (f"{a} < {b}" for a, b in combinations(letters, 2))


def _conditional(rows: _Rows, where: npt.NDArray[np.int64], branches: int) -> Iterator[str]:
    """Formulas that depend on conditions, on some of the rows; then those that hold under a condition only."""
    if branches < 2:
        return
    later, partial = [], []
    for condition in _conditions(rows.letters):
        chosen = rows[condition][where].astype(bool)
        inside, outside = where[chosen], where[~chosen]
        special = _simple(rows, inside)
        if not len(inside) or not len(outside):
            continue
        general = _simple(rows, outside)
        if special and general:
            yield f"{special} if {condition} else {general}"
        elif special:
            later.append((condition, special, outside))
        elif general:
            partial.append(general)
    for condition, special, outside in later:
        for general in _conditional(rows, outside, branches - 1):
            yield f"{special} if {condition} else ({general})"
    yield from dict.fromkeys(partial)


def _simple(rows: _Rows, where: npt.NDArray[np.int64]) -> str:
    """A polynomial without, or with one, minimum that gives some of the rows."""
    for atoms in _atoms(rows.letters, rows.bias):
        if len(atoms) > 1:
            break
        for degree in (1, 2):
            found = _fit(rows, where, atoms, degree)
            if found:
                return found
    return ""


def _fit(rows: _Rows, where: npt.NDArray[np.int64], atoms: Sequence[str], degree: int) -> str:
    """The polynomial of a degree in the widths and atoms that gives the rows; empty if there is none, or if there
    are too few rows to tell.
    """
    orders = [[*rows.letters, *atoms], *([[*atoms, *rows.letters]] if atoms else [])]
    found = [_fit_in_order(rows, where, variables, degree) for variables in orders]
    return min(found, key=len)


def _fit_in_order(rows: _Rows, where: npt.NDArray[np.int64], variables: Sequence[str], degree: int) -> str:
    """The same, where of dependent monomials those stay that come first; minima depend on what they are of."""
    monomials = [m for d in range(degree + 1) for m in combinations_with_replacement(variables, d)]
    monomials.sort(key=lambda monomial: sum(map(variables.index, monomial)) if len(monomial) > 1 else -1)
    columns = [_product((rows[v][where] for v in monomial), len(where)) for monomial in monomials]
    matrix, values = np.stack(columns, axis=1), rows.values[where]
    for count in dict.fromkeys(
        (min(len(where), 2 * len(monomials) + MARGIN), len(where))
    ):  # a few refute most
        solution = _solve(matrix[:count], values[:count])
        if solution is None or len(where) < solution.rank + MARGIN:
            return ""
        if (matrix @ solution.numerators == values * solution.denominator).all():
            return _written(monomials, solution)
    return ""


def _product(factors: Iterable[Integers], length: int) -> Integers:
    return prod(factors, start=np.ones(length, dtype=object))


@dataclass(frozen=True)
class _Solution:
    numerators: Integers
    denominator: int
    rank: int


def _solve(matrix: Integers, values: Integers) -> _Solution | None:
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
    return _Solution(numerators, int(denominator), int(rank))


def _written(monomials: Sequence[Sequence[str]], solution: _Solution) -> str:
    """A polynomial as text, in factors where that is shorter."""
    import sympy

    expression = sympy.Integer(0)
    for monomial, numerator in zip(monomials, solution.numerators, strict=True):
        symbols = [sympy.Symbol(name) for name in monomial]
        expression += sympy.Rational(int(numerator), solution.denominator) * sympy.prod(symbols)
    together = [str(sympy.factor(expression)), str(sympy.together(expression)), str(expression)]
    return min(together, key=len)

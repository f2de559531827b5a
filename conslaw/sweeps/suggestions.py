"""Formulas suggested by tables: conjectures with evidence, never more.

Exact linear algebra over Q, from simple to less so: a polynomial in the widths, one with minima of widths,
one that depends on a condition; where networks are deep, sums of these over the hidden layers.  A part of the
rows is held out, and every formula is tried on it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import combinations, islice
from math import prod
from random import Random
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from conslaw import display
from conslaw.errors import ConslawError, check_seed
from conslaw.sweeps.exact_fits import Integers, monomials, solved, written
from conslaw.sweeps.expectations import (
    COLUMNS,
    PROBABLE,
    Counterexample,
    Known,
    compare,
    knowledge,
    widths_of,
)
from conslaw.sweeps.expressions import Expression, names_of

if TYPE_CHECKING:
    from conslaw.sweeps.expectations import Table

Places = npt.NDArray[np.int64]
SHARE, MOST = 3, 1000  # one row in so many is held out, and all but so many
LAYER_CONDITIONS = (
    "a == 1 and b == 1",
    "a == 1 and b == 1 and h > 1",
    "a == 1 or b == 1",
    "h == 1",
    "h > a + b",
)
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
    counterexamples : of all of these rows those that it does not give, the smallest first
    probable : how many of the rows are themselves only probable
    left_out : rows without a number
    """

    about: str
    quantity: str
    formula: str
    explained: int
    tested: int
    counterexamples: tuple[Counterexample, ...]
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
        sections = [display.Section("counterexamples", [str(one) for one in self.counterexamples])]
        refuted = any(one.certainty != PROBABLE for one in self.counterexamples)
        remark = (
            "A conjecture with evidence: nothing here proves it."
            if self.holds
            else f"{'Refuted' if refuted else 'In doubt'}: it gives all rows but the counterexamples."
        )
        title, remarks = f"{self.quantity} of {self.about}", [remark] if self.formula else []
        return display.Summary(title, rows, remarks, sections if self.counterexamples else ())


def suggest_formula(table: Table, *, column: str | None = None, seed: int = 0) -> tuple[Conjecture, ...]:
    """Suggest a formula in the widths for the answers of a sweep.

    For each family, flow and bias the simplest formula that gives all of the training rows: a polynomial of
    degree at most 2 in the widths; one in the widths and minima such as ``min(r, n + m)``; one of these under
    a condition such as ``n == 1``, and others elsewhere; for deep networks, sums of such over hidden layers.
    If it fails on rows that were held out, the next is tried; in the end the one that fails on fewest stays.

    Parameters
    ----------
    table : a sweep, its file, a frame, or rows
    column : the column to be explained; by default the number of laws, or the dimension
    seed : draws the rows that are held out, one in three

    Returns
    -------
    tuple of Conjecture
        One for each group of rows, or for each of its depths.  Each says what it was made from, what it was
        tried on, and where it fails.

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
    found = [one for name, rows in groups.items() for one in _conjectures(rows, left_out[name], column, rng)]
    if not found:
        raise ConslawError("suggest_formula: no row of the table has a number that is proved or probable")
    return tuple(found)


Group = tuple[Any, ...]


def _groups(table: Table, column: str | None) -> tuple[dict[Group, list[Known]], dict[Group, int]]:
    """The rows with a number, by family and flow; how many there are without."""
    groups: dict[Group, list[Known]] = defaultdict(list)
    left_out: dict[Group, int] = defaultdict(int)
    for row, known in knowledge(table, column=column):
        group = tuple(row.get(name) for name in COLUMNS if name != "widths")
        if known is None or known.value is None:
            left_out[group] += 1
        else:
            groups[group].append(known)
    return groups, left_out


def _conjectures(rows: list[Known], left_out: int, column: str | None, rng: Random) -> list[Conjecture]:
    """One for all depths, unless those for each depth explain more."""
    by_depth: dict[int, list[Known]] = defaultdict(list)
    for row in rows:
        by_depth[depth_of(row)].append(row)
    whole = _conjecture(rows, left_out, column, rng)
    if len(by_depth) == 1 or whole.holds:
        return [whole]
    each = [_conjecture(some, left_out, column, rng) for _, some in sorted(by_depth.items())]
    missed = [len(rows) if not one.formula else len(one.counterexamples) for one in (whole, *each)]
    return each if sum(missed[1:]) < missed[0] else [whole]


def _conjecture(rows: list[Known], left_out: int, column: str | None, rng: Random) -> Conjecture:
    shuffled = list(rows)
    rng.shuffle(shuffled)
    held_out = max(1, len(rows) // SHARE, len(rows) - MOST)
    best: tuple[str, list[Known]] = ("", [])
    for expression in _expressions(_formulas(_Rows(shuffled[held_out:]))):
        formula, allowed = expression.text, len(best[1]) if best[0] else len(rows)
        wrong = (row for row in rows if expression(_Rows.names(row)) != row.value)
        failed = list(islice(wrong, allowed + 1))
        if not best[0] or (len(failed), len(formula)) < (len(best[1]), len(best[0])):
            best = (formula, failed)
        if not failed:
            break
    formula, failed = best
    depths = sorted({depth_of(row) for row in rows})
    return Conjecture(
        about=f"{rows[0].kind}, depth {', '.join(map(str, depths))}",
        quantity=column or ("dimension" if "upper_bound" in rows[0].row else "laws"),
        formula=formula,
        explained=len(rows) - held_out,
        tested=held_out,
        counterexamples=_against(failed, formula, column),
        probable=sum(not row.is_proved for row in rows),
        left_out=left_out,
    )


def _expressions(formulas: Iterator[str]) -> Iterator[Expression]:
    """Each once, but for those that are too long to be one."""
    seen = set[str]()
    for formula in formulas:
        if formula not in seen:
            seen.add(formula)
            with suppress(ConslawError):
                yield Expression(formula)


def _against(failed: list[Known], formula: str, column: str | None) -> tuple[Counterexample, ...]:
    """What a formula does not give; the smallest first."""
    return compare([row.row for row in failed], formula, column=column).counterexamples if formula else ()


def depth_of(row: Known) -> int:
    """The number of weight matrices."""
    return len(widths_of(row.row)) - 1


class _Rows:
    """Rows that formulas are made from: values of expressions on all of them, each computed once."""

    def __init__(self, rows: Sequence[Known]) -> None:
        self.rows = rows
        self.values = np.array([row.value for row in rows], dtype=object)
        self._names = [self.names(row) for row in rows]
        self._known: dict[str, Integers] = {}
        self.bias = bool(rows and rows[0].row.get("bias"))
        depths = {depth_of(row) for row in rows}
        self.depth = depths.pop() if len(depths) == 1 else None
        if self.depth is None:
            self.letters = ["n", "m", "L"]
        else:
            self.letters = ["n", "r", "m"] if self.depth == 2 else [f"d{i}" for i in range(self.depth + 1)]

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
    """Formulas that give all rows, from simple to less so; then such as give many."""
    everywhere = np.arange(len(rows.rows))
    if rows.depth != 2:
        yield from _layer_by_layer(rows, everywhere)
    if rows.depth is not None:
        for atoms in _atoms(rows.letters, rows.bias):
            for degree in (1, 2):
                found = _fit(rows, everywhere, atoms, degree)
                if found:
                    yield found
        yield from _conditional(rows, everywhere, BRANCHES)
    if rows.depth != 2:
        for condition in _conditions(rows.letters):
            yield from _layer_by_layer(rows, everywhere[~rows[condition].astype(bool)])


def _layer_by_layer(rows: _Rows, where: Places) -> Iterator[str]:
    """Sums over the hidden layers: of polynomials in their width h and those beside it, a and b; with a
    minimum; with others where a condition holds.
    """
    around = f"a + b{' + 1' if rows.bias else ''}"
    minima = (f"min(h, {around})", f"min(h, 2*({around}))", "min(h, a)", "min(h, b)", "min(a, b)")
    for atom in ((), *((one,) for one in minima)):
        basis = monomials([*atom, "h", "a", "b"], 2)
        columns = [f"sum({'*'.join(one) or 1})" for one in basis]
        for condition in ("", *LAYER_CONDITIONS):
            special = (
                [f"sum({'*'.join(one) or 1} if {condition} else 0)" for one in basis] if condition else []
            )
            matrix = np.stack([rows[text][where] for text in (*columns, *special)], axis=1)
            solution = solved(matrix, rows.values[where])
            if solution is None:
                continue
            polynomials = [written(basis, part, solution.denominator) for part in solution.parts(len(basis))]
            terms = [f"sum({polynomials[0]})"] if polynomials[0] != "0" else []
            terms += [f"sum({one} if {condition} else 0)" for one in polynomials[1:] if one != "0"]
            yield " + ".join(terms) or "0"


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


def _conditional(rows: _Rows, where: Places, branches: int) -> Iterator[str]:
    """Formulas of some of the rows that depend on conditions; then such as hold under a condition only."""
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


def _simple(rows: _Rows, where: Places) -> str:
    """A polynomial without, or with one, minimum that gives some of the rows."""
    for atoms in _atoms(rows.letters, rows.bias):
        if len(atoms) > 1:
            break
        for degree in (1, 2):
            found = _fit(rows, where, atoms, degree)
            if found:
                return found
    return ""


def _fit(rows: _Rows, where: Places, atoms: Sequence[str], degree: int) -> str:
    """The polynomial of a degree in the widths and atoms that gives the rows; empty if there is none, or if
    there are too few rows to tell.
    """
    found = []
    for variables in dict.fromkeys(((*rows.letters, *atoms), (*atoms, *rows.letters))):
        basis = monomials(variables, degree)
        columns = [_product((rows[v][where] for v in monomial), len(where)) for monomial in basis]
        solution = solved(np.stack(columns, axis=1), rows.values[where])
        if solution is None:
            return ""
        found.append(written(basis, solution.numerators, solution.denominator))
    return min(found, key=len)


def _product(factors: Iterable[Integers], length: int) -> Integers:
    return prod(factors, start=np.ones(length, dtype=object))

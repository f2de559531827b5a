"""Tables against an expression in the widths: which rows refute it, and which only seem to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from conslaw import display
from conslaw.errors import ConslawError
from conslaw.sweeps.expressions import Expression, Number, names_of
from conslaw.sweeps.journal import rows
from conslaw.sweeps.questions import QUANTITIES, Quantity
from conslaw.sweeps.tables import journal_of, read

if TYPE_CHECKING:
    from typing import TypeAlias

    import pandas as pd

    from conslaw.sweeps.running import Sweep

    Table: TypeAlias = Sweep | pd.DataFrame | str | Path | Iterable[Mapping[str, Any]]

PROVED, PROBABLE, GIVEN = "proved", "probable", "as given"  # how certain it is
COLUMNS = ("family", "widths", "bias", "power", "flow", "damping")  # what a row is about


@dataclass(frozen=True)
class Known:
    """What a row says about the quantity.

    Attributes
    ----------
    row : its columns
    at_least, at_most : **proved** bounds
    probably : its value, but for ``error_probability``; None if nothing is known
    given : whether this is a column that somebody named, and not bounds that conslaw has proved
    """

    row: Mapping[str, Any] = field(repr=False)
    at_least: int
    at_most: int
    probably: int | None
    error_probability: float | None
    given: bool = False

    @property
    def is_proved(self) -> bool:
        """Whether the bounds meet."""
        return self.at_least == self.at_most

    @property
    def value(self) -> int | None:
        """The quantity, proved or probable; None if it is open."""
        return self.at_least if self.is_proved else self.probably

    @property
    def size(self) -> tuple[int, list[int]]:
        """Small networks come first."""
        widths = widths_of(self.row)
        return int(self.row.get("parameters") or 0), widths

    @property
    def about(self) -> str:
        """The case, in words."""
        return self._said(f" {self.row.get('widths')}")

    @property
    def kind(self) -> str:
        """What it is a case of."""
        return self._said("")

    def _said(self, widths: str) -> str:
        family, bias, power, flow, damping = (self.row.get(name) for name in COLUMNS if name != "widths")
        parts = [
            f"{family or 'networks'}{widths}",
            "with bias" if bias else "",
            f"power {power}" if power else "",
            f"{flow} flow" if flow else "",
            f"damping {damping}" if damping is not None else "",
        ]
        return ", ".join(part for part in parts if part)


@dataclass(frozen=True)
class Counterexample:
    """A row that an expression does not fit.

    Attributes
    ----------
    case : in words
    expected : the value of the expression
    found : what is known of the quantity, in words
    certainty : ``"proved"`` if the bounds exclude the expected value, ``"probable"`` if it is excluded but
        for a small probability, ``"as given"`` if the table has another value in a column that was named
    row : the columns of the table
    """

    case: str
    expected: str
    found: str
    certainty: str
    row: Mapping[str, Any] = field(repr=False)

    @property
    def proved(self) -> bool:
        """Whether it is certain, by proof."""
        return self.certainty == PROVED

    def __str__(self) -> str:
        return f"{self.case}: {self.found}, expected {self.expected}   {self.certainty}"


@dataclass(frozen=True, repr=False)
class Comparison(display.Shown):
    """A table against an expression: evidence for a conjecture, or its end.

    Attributes
    ----------
    expression : text
    quantity : what it is about
    agreed : rows that it fits, where the quantity is proved
    agreed_probably : rows that it fits, where the quantity is only probable
    undecided : rows whose bounds it fits, and no more is known
    unanswered : rows without bounds
    counterexamples : rows that it does not fit, the smallest first
    certain : ``"proved"``, or ``"as given"`` for a column that was named
    """

    expression: str
    quantity: str
    agreed: int
    agreed_probably: int
    undecided: int
    unanswered: int
    counterexamples: tuple[Counterexample, ...]
    certain: str = PROVED

    @property
    def refuted(self) -> bool:
        """Whether a counterexample is proved, or stands in the column that was named."""
        return any(one.certainty != PROBABLE for one in self.counterexamples)

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready dictionary."""
        said = asdict(self) | {"counterexamples": [_plain(one) for one in self.counterexamples]}
        return {**display.stamp("comparison", 1), **said, "refuted": self.refuted}

    def _summary(self) -> display.Summary:
        probable = sum(one.certainty == PROBABLE for one in self.counterexamples)
        certain = len(self.counterexamples) - probable
        counts = {
            "it fits": f"{self.agreed:,} rows ({self.certain}), {self.agreed_probably:,} (probable)",
            "it does not fit": f"{certain:,} rows ({self.certain}), {probable:,} (probable)",
            "open": f"{self.undecided:,} rows whose bounds do not meet, {self.unanswered:,} without bounds",
        }
        sections = [display.Section("counterexamples", [str(one) for one in self.counterexamples])]
        evidence = "with evidence" if self.agreed + self.agreed_probably else "without evidence"
        verdict = "refuted" if certain else "in doubt" if probable else f"a conjecture {evidence}"
        title = f"{self.quantity} = {self.expression}: {verdict}"
        return display.Summary(title, list(counts.items()), (), sections if self.counterexamples else ())


def _plain(one: Counterexample) -> dict[str, Any]:
    return {name: getattr(one, name) for name in ("case", "expected", "found", "certainty")}


def compare(table: Table, expression: str | Expression, *, column: str | None = None) -> Comparison:
    """Compare the answers of a sweep with an expression in the widths.

    Parameters
    ----------
    table : a sweep, its file, a frame, or rows
    expression : text such as ``"r*(r+1)//2"`` (see :mod:`conslaw.sweeps.expressions`)
    column : compare with this column; by default with the number of laws, or the dimension, between the
        bounds that are proved

    Returns
    -------
    Comparison

    Raises
    ------
    ConslawError
        If the expression is none, or has names that these widths do not have; if the table is none, or has
        no such column of integers.

    Examples
    --------
    >>> import conslaw
    >>> swept = conslaw.sweep("linear", widths="1..3", depth=2)
    >>> naive = conslaw.sweeps.compare(swept, "r*(r+1)//2")
    >>> naive.refuted, naive.agreed
    (True, 26)
    >>> print(naive.counterexamples[0])
    linear 1-3-1, gradient flow: exactly 5, expected 6   proved
    """
    formula = expression if isinstance(expression, Expression) else Expression(expression)
    found: list[tuple[Known, Counterexample]] = []
    counts = dict.fromkeys(("agreed", "agreed_probably", "undecided", "unanswered"), 0)
    quantity = column or "laws"
    for _, known in knowledge(table, column=column):
        if known is None:
            counts["unanswered"] += 1
            continue
        quantity = column or ("dimension" if "upper_bound" in known.row else "laws")
        expected = formula(names_of(widths_of(known.row), known.row))
        verdict = _verdict(known, expected)
        if verdict in counts:
            counts[verdict] += 1
        else:
            one = Counterexample(known.about, str(expected), _found(known, verdict), verdict, known.row)
            found.append((known, one))
    found.sort(key=lambda pair: pair[0].size)
    examples = tuple(one for _, one in found)
    certain = PROVED if column is None else GIVEN
    return Comparison(formula.text, quantity, **counts, counterexamples=examples, certain=certain)


def _verdict(known: Known, expected: Number) -> str:
    if not known.at_least <= expected <= known.at_most:
        return GIVEN if known.given else PROVED
    if known.is_proved:
        return "agreed"
    if known.probably is None:
        return "undecided"
    return "agreed_probably" if expected == known.probably else PROBABLE


def _found(known: Known, verdict: str) -> str:
    if known.is_proved:
        return f"{'' if known.given else 'exactly '}{known.at_least}"
    if verdict == PROVED:
        return f"{known.at_least} to {known.at_most}"
    assert known.error_probability is not None
    return f"{known.probably} {display.unless(known.error_probability)}"


def knowledge(table: Table, *, column: str | None = None) -> Iterator[tuple[dict[str, Any], Known | None]]:
    """Each row of a table, and what it says; None if it has no bounds."""
    for row in _rows(table):
        yield row, _known(row, column)


def _known(row: Mapping[str, Any], column: str | None) -> Known | None:
    if column is not None:
        if column not in row:
            raise ConslawError(f"column={column!r}: the table has {', '.join(map(str, row))}")
        if row[column] is None:
            return None
        exact = _integer(row[column], column)
        return Known(row, exact, exact, exact, 0.0, given=True)
    quantity = _quantity(row)
    if quantity is None or row.get(quantity.at_most) is None:
        return None
    at_most = int(row[quantity.at_most])
    at_least = int(row[quantity.at_least]) if quantity.at_least else 0
    chance = row.get("error_probability")
    good = chance is not None and chance < 1
    return Known(
        row, at_least, at_most, int(row[quantity.probably]) if good else None, chance if good else None
    )


def _integer(value: Any, column: str) -> int:
    """The integer in a cell, which may be a float or text."""
    with suppress(ValueError, TypeError, OverflowError):
        if isinstance(value, str) or int(value) == value:
            return int(value)
    raise ConslawError(f"column={column!r}: {str(value)[:40]!r} is no integer; name a column of integers")


def _quantity(row: Mapping[str, Any]) -> Quantity | None:
    """What the table is about, by its columns."""
    if row.get("upper_bound") is not None:
        return QUANTITIES["dimension"]
    if row.get("laws_at_most") is None:
        return None
    return QUANTITIES["count" if row.get("laws_found") is None else "analyze"]


def _rows(table: Table) -> Iterator[dict[str, Any]]:
    """The rows of a table, whatever it is given as, with None where nothing is."""
    if isinstance(table, str | Path) and journal_of(table).exists():
        yield from rows(journal_of(table))
        return
    found = read(table) if isinstance(table, str | Path) else table
    if hasattr(found, "to_dict"):
        found = found.to_dict("records")  # a frame
    elif hasattr(found, "rows"):
        found = found.rows()
    if not isinstance(found, Iterable):
        raise ConslawError(f"table {str(table)[:60]!r}: give a sweep, its file, or a frame")
    for row in found:
        if not isinstance(row, Mapping) or "widths" not in row:
            raise ConslawError(f"table {str(table)[:60]!r}: its rows have no widths; give one of a sweep")
        yield {str(name): None if _is_missing(value) else value for name, value in row.items()}


def _is_missing(value: object) -> bool:
    return value is None or type(value).__name__ == "NAType" or value != value


def widths_of(row: Mapping[str, Any]) -> list[int]:
    """The widths of a row, or raise :class:`ConslawError`."""
    try:
        return [int(d) for d in str(row["widths"]).split("-")]
    except ValueError:
        raise ConslawError(
            f"widths {str(row['widths'])[:60]!r} in a row: give such as '3-2-4', from the inputs on"
        ) from None

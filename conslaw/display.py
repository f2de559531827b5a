"""What every answer has in common, and how it is shown: text in a terminal, HTML with LaTeX in a notebook."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from textwrap import wrap
from typing import Any, Protocol, Self

from conslaw.errors import ConslawError
from conslaw.version import __version__

WIDTH = 80  # columns of a terminal
SHOWN = 20  # laws shown before the rest is summed up; all are in the attributes and the JSON


@dataclass(frozen=True)
class Section:
    """Laws under a heading, as text and as LaTeX."""

    heading: str
    text: Sequence[str] = ()
    latex: Sequence[str] = ()


@dataclass(frozen=True)
class Summary:
    """What there is to show: a title, a table of labels and values, remarks, and sections of laws."""

    title: str
    rows: Sequence[tuple[str, str]]
    remarks: Sequence[str] = ()
    sections: Sequence[Section] = ()


class Answer(Protocol):
    """The contract of every answer: a frozen result, whatever the question.

    It says what it is about, what is proved and what is only probable; it goes to JSON (with ``format``,
    ``version`` and ``made_by``) and comes back.  ``repr`` fits 80 columns, ``str`` has a line for each thing,
    and a notebook shows HTML. Where there is a proof to hand on it has ``certificate()``, where there is
    something to see, ``plot()``.
    """

    @property
    def about(self) -> str:
        """What the answer is about: the network, its parametrisation, these weights."""

    @property
    def proved(self) -> Mapping[str, Any]:
        """What holds with certainty, by name."""

    @property
    def probable(self) -> Mapping[str, Any]:
        """What holds but for the probability that stands with it, by name; empty if nothing is left open."""

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready dictionary."""

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """The answer from that dictionary: it shows what it showed; what it was made from is not in it."""

    def _repr_html_(self) -> str:
        """For a notebook."""


class Shown:
    """An answer that is shown by its :class:`Summary`, alike in terminals, files and notebooks."""

    def _summary(self) -> Summary:
        raise NotImplementedError

    def __str__(self) -> str:
        return text(self._summary())

    def __repr__(self) -> str:
        return text(self._summary(), WIDTH)

    def _repr_html_(self) -> str:
        return html(self._summary())


def stamp(what: str, version: int) -> dict[str, Any]:
    """What the JSON of an answer begins with."""
    return {"format": f"conslaw {what}", "version": version, "made_by": f"conslaw {__version__}"}


def check_stamp(data: Any, what: str, version: int) -> None:
    """Refuse JSON that is not of this format and version."""
    given = (
        (data.get("format"), data.get("version")) if isinstance(data, Mapping) else (type(data).__name__, "")
    )
    if given != (f"conslaw {what}", version):
        raise ConslawError(
            f"this is {given[0]!r}, version {given[1]!r}: not a conslaw {what} of version {version}"
        )


def text(summary: Summary, width: int | None = None) -> str:
    """For a terminal of so many columns; for a file or a pipe, a line for each thing."""
    label_width = max(len(label) for label, _ in summary.rows)
    lines = [*_wrapped(summary.title, "", width)]
    for label, value in summary.rows:
        lines += _wrapped(f"  {label:<{label_width}}  {value}", " " * (label_width + 4), width)
    for remark in summary.remarks:
        lines += ["", *_wrapped(remark, "", width)]
    for section in summary.sections:
        lines += ["", section.heading]
        for i, law in enumerate(section.text[:SHOWN], start=1):
            lines += _wrapped(f"  {i}. {law}", "     ", width)
        lines += [f"  ... and {len(section.text) - SHOWN} more"] if len(section.text) > SHOWN else []
    return "\n".join(lines)


def _wrapped(line: str, indent: str, width: int | None) -> list[str]:
    """A line broken at blanks, if it is longer than that; blanks within it stay."""
    if width is None or len(line) <= width:
        return [line]
    kept = line.replace("   ", "\0\0\0")  # columns are not torn apart
    lines = wrap(kept, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
    return [x.replace("\0", " ") for x in lines]


def html(summary: Summary) -> str:
    """For a notebook."""
    left = "style='text-align:left'"
    cells = "".join(
        f"<tr><th {left}>{escape(a)}</th><td {left}>{escape(b)}</td></tr>" for a, b in summary.rows
    )
    parts = [
        f"<p><b>{escape(summary.title)}</b></p><table>{cells}</table>",
        *(f"<p>{escape(r)}</p>" for r in summary.remarks),
    ]
    for section in summary.sections:
        items = "".join(f"<li>${law}$</li>" for law in section.latex[:SHOWN])
        more = f"<p>... and {len(section.latex) - SHOWN} more</p>" if len(section.latex) > SHOWN else ""
        parts.append(f"<p>{escape(section.heading)}</p>" + (f"<ol>{items}</ol>" if items else "") + more)
    return "".join(parts)

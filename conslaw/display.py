"""What every answer has in common, and how it is shown.

What there is to show is a :class:`Summary`; :func:`text` writes it for terminals and files, :func:`html` for
notebooks, :func:`latex` for papers.  An output that cannot show a sign gets it in ASCII: ``W1^T W1``.
"""

from __future__ import annotations

import codecs
import re
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, Context
from html import escape
from string import ascii_letters, digits
from textwrap import wrap
from typing import Any, Protocol, Self
from unicodedata import decomposition, normalize
from unicodedata import name as name_of_sign

from conslaw.errors import ConslawError
from conslaw.version import __version__

WIDTH = 80  # columns of a repr at most
SHOWN = 20  # laws shown before the rest is summed up; all are in the attributes and the JSON
IN_ASCII = "conslaw-ascii"  # how to treat what cannot be encoded: see codecs.register_error
SIGNS = {"−": "-", "‖": "||", "Σ": "sum ", "₍": "_(", "₎": ")", "…": "...", "×": "x", "⊙": "o", "·": "*"}
SIGNS |= {"≤": "<=", "≥": ">=", "→": "->"}
LETTERS = f"{ascii_letters}{digits}_"
IN_TEXT = {"\\": r"\textbackslash{}", "^": r"\textasciicircum{}", "~": r"\textasciitilde{}"}
IN_TEXT |= {"<": r"\textless{}", ">": r"\textgreater{}"}
DOT = "\u0307"  # over the first letter of an array: its velocity


@dataclass(frozen=True)
class Section:
    """Laws under a heading, as text and as LaTeX; ``shown`` of them before the rest is summed up."""

    heading: str
    text: Sequence[str] = ()
    latex: Sequence[str] = ()
    shown: int = SHOWN


@dataclass(frozen=True)
class Summary:
    """What there is to show: a title, a table of labels and values, remarks, and sections of laws.

    Integers are shown with thousands separators.
    """

    title: str
    rows: Sequence[tuple[str, str | int]]
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


class InNotebooks:
    """What notebooks show by its :class:`Summary`."""

    def _summary(self) -> Summary:
        raise NotImplementedError

    def _repr_html_(self) -> str:
        return html(self._summary())

    def _repr_latex_(self) -> str:
        return latex(self._summary())


class Shown(InNotebooks):
    """An answer that is shown by its :class:`Summary`, alike in terminals, files and notebooks."""

    def __str__(self) -> str:
        return in_signs_of(sys.stdout, text(self._summary(), columns()))

    def __repr__(self) -> str:
        return in_signs_of(sys.stdout, text(self._summary(), min(columns() or WIDTH, WIDTH)))


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


def numbers(values: Sequence[int]) -> str:
    """Some integers in a row, with thousands separators."""
    return ("; " if any(abs(n) > 999 for n in values) else ", ").join(f"{n:,}" for n in values)


def unless(probability: float) -> str:
    """What is said of a bound of an error probability, rounded up."""
    bound = Context(prec=1, rounding=ROUND_CEILING).create_decimal_from_float(probability)
    return f"except with probability < {float(bound):.0e}"


def arrays(shapes: Mapping[str, Sequence[int]]) -> str:
    """Arrays with their shapes: ``W1 2×3, W2 4×2``; some, if they are many."""
    named = [f"{name} {'×'.join(f'{n:,}' for n in x) or 'scalar'}" for name, x in shapes.items()]
    more = [f"... and {len(named) - SHOWN:,} more"] if len(named) > SHOWN else []
    return ", ".join([*named[:SHOWN], *more]) or "none"


# as text


def columns() -> int | None:
    """Of the terminal (or as COLUMNS says); None for a file or a pipe, which get a line for each thing."""
    terminal = sys.stdout is not None and sys.stdout.isatty()
    return max(shutil.get_terminal_size().columns, 20) if terminal else None


def text(summary: Summary, width: int | None = None) -> str:
    """For a terminal of so many columns; for a file or a pipe, a line for each thing."""
    label_width = max(len(label) for label, _ in summary.rows)
    lines = [*_wrapped(summary.title, "", width)]
    for label, value in summary.rows:
        lines += _wrapped(f"  {label:<{label_width}}  {said(value)}", " " * (label_width + 4), width)
    for remark in summary.remarks:
        lines += ["", *_wrapped(remark, "", width)]
    for section in summary.sections:
        lines += ["", *_wrapped(section.heading, "", width)]
        for i, law in enumerate(section.text[: section.shown], start=1):
            lines += _wrapped(f"  {i}. {law}", "     ", width)
        lines += [f"  {more}" for more in _more(section)]
    return "\n".join(lines)


def said(value: str | int) -> str:
    """A value of a row, numbers with separators of thousands."""
    return value if isinstance(value, str) else f"{value:,}"


def _more(section: Section) -> list[str]:
    left = len(section.text) - section.shown
    return [f"... and {left:,} more"] if left > 0 else []


def _wrapped(line: str, indent: str, width: int | None) -> list[str]:
    """A line broken at blanks, if it is longer than that; blanks within it stay."""
    if width is None or len(line) <= width:
        return [line]
    kept = line.replace("   ", "\0\0\0")  # columns are not torn apart
    kept = re.sub(r"(?<= )([-+−]) ", "\\1\0", kept)  # signs stand before what they belong to
    lines = wrap(kept, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
    return [x.replace("\0", " ") for x in lines]


def in_signs_of(stream: Any, text: str) -> str:
    """A text in signs that a stream can show: others are written in ASCII."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    try:
        return text.encode(encoding, IN_ASCII).decode(encoding)
    except LookupError:  # an encoding that Python does not know
        return text


def in_ascii(error: UnicodeError) -> tuple[str, int]:
    """What is written for the first sign that could not be, and where to go on: for :func:`codecs.encode`.

    A velocity is written as its array is called in Python: ``W1_dot``.
    """
    if not isinstance(error, UnicodeEncodeError):
        raise error
    sign, rest = error.object[error.start], error.object[error.start + 1 :]
    base, *marks = list(normalize("NFD", sign))
    if sign == DOT or DOT in marks:
        letters = rest[: len(rest) - len(rest.lstrip(LETTERS))]
        return f"{'' if sign == DOT else base}{letters}_dot", error.start + 1 + len(letters)
    if (known := _known(sign)) is not None:
        return known, error.start + 1
    greek = re.fullmatch(r"GREEK (?:SMALL|(CAPITAL)) LETTER (\w+)", name_of_sign(sign, ""))
    if greek:
        return greek[2].capitalize() if greek[1] else greek[2].lower(), error.start + 1
    if base.isascii():
        return base, error.start + 1
    return ascii(sign)[1:-1], error.start + 1


def _known(sign: str) -> str | None:
    """A sign of formulas in ASCII: ``^T``, ``^2``, ``||``."""
    kind, _, code = decomposition(sign).partition(" ")
    raised = f"^{chr(int(code, 16))}" if kind == "<super>" and " " not in code else None
    return SIGNS.get(sign, raised)


codecs.register_error(IN_ASCII, in_ascii)


# as HTML and LaTeX


def html(summary: Summary) -> str:
    """For a notebook."""
    left = "style='text-align:left'"
    cells = "".join(
        f"<tr><th {left}>{escape(a)}</th><td {left}>{escape(said(b))}</td></tr>" for a, b in summary.rows
    )
    parts = [
        f"<p><b>{escape(summary.title)}</b></p><table>{cells}</table>",
        *(f"<p>{escape(r)}</p>" for r in summary.remarks),
    ]
    for section in summary.sections:
        laws = [f"${escape(law)}$" for law in section.latex] or [escape(law) for law in section.text]
        items = "".join(f"<li>{law}</li>" for law in laws[: section.shown])
        more = "".join(f"<p>{more}</p>" for more in _more(section))
        parts.append(f"<p>{escape(section.heading)}</p>" + (f"<ol>{items}</ol>" if items else "") + more)
    return "".join(parts)


def latex(summary: Summary) -> str:
    """For a paper, and for notebooks that show no HTML: formulas, which KaTeX and MathJax read, too."""
    table = r" \\ ".join(rf"{in_latex(a)} & {in_latex(said(b))}" for a, b in summary.rows)
    parts = [rf"\textbf{{{_plain(summary.title)}}}", rf"\begin{{array}}{{ll}} {table} \end{{array}}"]
    parts += [in_latex(remark) for remark in summary.remarks]
    for section in summary.sections:
        laws = section.latex or [in_latex(law) for law in section.text]
        parts += [in_latex(section.heading)]
        parts += [rf"{i}.\quad {law}" for i, law in enumerate(laws[: section.shown], start=1)]
        parts += [in_latex(more) for more in _more(section)]
    return "\n\n".join(f"${part}$" for part in parts)


def in_latex(words: str) -> str:
    """Words within a formula."""
    return rf"\text{{{_plain(words)}}}"


def _plain(words: str) -> str:
    """Text with the signs that mean something in LaTeX escaped, and those of formulas in ASCII."""
    said = "".join(sign if (known := _known(sign)) is None else known for sign in words)
    escaped = {sign: "\\" + sign for sign in "#$%&_{}"} | {"\n": " "} | IN_TEXT
    return "".join(escaped.get(sign, sign) for sign in said)

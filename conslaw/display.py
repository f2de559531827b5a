"""How results are shown: plain text in a terminal, HTML with LaTeX in a notebook."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

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


def text(summary: Summary) -> str:
    """For a terminal."""
    width = max(len(label) for label, _ in summary.rows)
    lines = [summary.title, *(f"  {label:<{width}}  {value}" for label, value in summary.rows)]
    for remark in summary.remarks:
        lines += ["", remark]
    for section in summary.sections:
        lines += [
            "",
            section.heading,
            *(f"  {i}. {law}" for i, law in enumerate(section.text[:SHOWN], start=1)),
        ]
        lines += [f"  ... and {len(section.text) - SHOWN} more"] if len(section.text) > SHOWN else []
    return "\n".join(lines)


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

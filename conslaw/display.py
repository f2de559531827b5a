"""How results are shown: plain text in a terminal, HTML with LaTeX in a notebook."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

SHOWN = 20  # laws shown before the rest is summed up; all are in the attributes and the JSON


@dataclass(frozen=True)
class Summary:
    """What there is to show: a title, a table of labels and values, remarks, and laws under a heading."""

    title: str
    rows: Sequence[tuple[str, str]]
    remarks: Sequence[str] = ()
    heading: str = ""
    laws: Callable[[], Sequence[str]] = list
    latex: Callable[[], Sequence[str]] = list


def text(summary: Summary) -> str:
    """For a terminal."""
    width = max(len(label) for label, _ in summary.rows)
    lines = [summary.title, *(f"  {label:<{width}}  {value}" for label, value in summary.rows)]
    for remark in summary.remarks:
        lines += ["", remark]
    laws = summary.laws()
    lines += ["", summary.heading] if summary.heading else []
    lines += [f"  {i}. {law}" for i, law in enumerate(laws[:SHOWN], start=1)]
    lines += [f"  ... and {len(laws) - SHOWN} more"] if len(laws) > SHOWN else []
    return "\n".join(lines)


def html(summary: Summary) -> str:
    """For a notebook."""
    left = "style='text-align:left'"
    cells = "".join(f"<tr><th {left}>{escape(a)}</th><td {left}>{escape(b)}</td></tr>" for a, b in summary.rows)
    laws = summary.latex()
    items = "".join(f"<li>${law}$</li>" for law in laws[:SHOWN])
    more = [f"... and {len(laws) - SHOWN} more"] if len(laws) > SHOWN else []
    paragraphs = [*summary.remarks, summary.heading] if summary.heading else summary.remarks
    return (
        f"<p><b>{escape(summary.title)}</b></p><table>{cells}</table>"
        + "".join(f"<p>{escape(p)}</p>" for p in paragraphs)
        + (f"<ol>{items}</ol>" if items else "")
        + "".join(f"<p>{p}</p>" for p in more)
    )

"""The picture of a page: the arrays of a network in order, and under them a line for each kind of law, with a
dot at each array that it takes.  SVG in the page, in the colours of its theme.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from html import escape
from math import log10
from typing import Any

STEP, ROW, TILT = 40, 26, 55  # between columns, between rows, degrees of the names
COLOURS = {
    "symmetric": "#3d8bfd",
    "skew": "#3d8bfd",
    "vector": "#e8833a",
    "array": "#2fa36b",
    "scalar": "#b06fd8",
}


def picture(answer: Mapping[str, Any]) -> str:
    """SVG of an answer; nothing if it has too many arrays, or no laws in matrix notation."""
    arrays, families = answer.get("arrays"), answer["families"]
    if not arrays or not families:
        return ""
    names = [name for name, _ in arrays]
    taken = [uses(family["text"], names) for family in families]
    longest = max(len(name) for name in names)
    top = 26 + 6.2 * longest
    right = 7.3 * longest * 0.6
    width = 20 + STEP * len(names) + max(right, 90)
    height = top + 34 + ROW * len(families)
    parts = [*_arrays(arrays, top)]
    for i, (family, columns) in enumerate(zip(families, taken, strict=True)):
        parts += _family(i + 1, family, columns, top + 44 + ROW * i)
    style = f"width: {width:.0f}px; max-width: 100%; height: auto; color: var(--color-foreground-primary)"
    label = escape(f"{len(families)} kinds of laws over {len(names)} arrays", quote=True)
    return (
        f'<svg viewBox="0 0 {width:.0f} {height:.0f}" style="{style}" role="img" aria-label="{label}" '
        f'font-family="ui-monospace, monospace" font-size="12" fill="currentColor">{"".join(parts)}</svg>'
    )


def uses(text: str, names: Sequence[str]) -> list[int]:
    """The numbers of the arrays that a law is about."""
    some = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))
    found = re.findall(rf"(?<![A-Za-z0-9_.])({some})(?![A-Za-z0-9_.])", text)
    return sorted({names.index(name) for name in found})


def _x(column: int) -> float:
    return 30 + STEP * column


def _arrays(arrays: Sequence[Sequence[Any]], top: float) -> list[str]:
    """A square for each array, the larger the more entries, under its name."""
    parts = []
    for column, (name, size) in enumerate(arrays):
        x, side = _x(column), 7 + 3 * log10(size)
        corner = (
            f'x="{x - side / 2:.1f}" y="{top + 12 - side / 2:.1f}" width="{side:.1f}" height="{side:.1f}"'
        )
        title = f"<title>{escape(name)}: {size:,} entries</title>"
        parts.append(
            f'<rect {corner} fill="currentColor" fill-opacity=".25" stroke="currentColor">{title}</rect>'
        )
        place = f'transform="translate({x + 2:.1f} {top - 4:.1f}) rotate(-{TILT})"'
        parts.append(f"<text {place}>{escape(name)}</text>")
    return parts


def _family(number: int, family: Mapping[str, Any], columns: Sequence[int], y: float) -> list[str]:
    """A line from the first array to the last, dots, and the number of laws."""
    if not columns:
        return []
    first, last, colour = _x(columns[0]), _x(columns[-1]), COLOURS[family["kind"]]
    title = f"<title>{escape(family['text'])}</title>"
    dots = "".join(f'<circle cx="{_x(c)}" cy="{y}" r="5" fill="{colour}"/>' for c in columns)
    line = f'<line x1="{first}" y1="{y}" x2="{last}" y2="{y}" stroke="{colour}" stroke-width="2"/>'
    said = f"{family['laws']:,} law{'s' * (family['laws'] != 1)}"
    text = f'<text x="{last + 10}" y="{y + 3.5}">{said}</text>'
    return [
        f"<g>{title}{line}{dots}{text}</g>",
        f'<text x="2" y="{y + 3.5}" fill-opacity=".6">{number}</text>',
    ]

"""Pieces of a page in HTML that asks nothing of a network: tables, bars, and the page around them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

STYLE = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: auto; padding: 1rem; }
table { border-collapse: collapse; }
th, td { text-align: left; vertical-align: top; padding: .25rem .75rem .25rem 0;
         border-bottom: 1px solid #8884; }
code { font-size: .8rem; overflow-wrap: anywhere; }
"""


def page(title: str, body: str) -> str:
    """A whole page, for light and dark screens of any width."""
    head = (
        "<meta charset='utf-8'><meta name='viewport' content='width=device-width'>"
        f"<title>{escape(title)}</title><style>{STYLE}</style>"
    )
    return f"<!doctype html><html lang='en'><head>{head}</head><body>{body}</body></html>\n"


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of cells in HTML; the first of each row is its name."""
    left = "style='text-align:left;vertical-align:top'"
    top = "".join(f"<th {left}>{head}</th>" for head in heads)
    lines = [
        f"<tr><th {left}>{name}</th>{''.join(f'<td {left}>{cell}</td>' for cell in cells)}</tr>"
        for name, *cells in rows
    ]
    return (
        f"<div style='overflow-x:auto;margin:1em 0'><table><tr>{top}</tr>{''.join(lines)}</table></div>"
        if lines
        else ""
    )


def bars(label: str, bounds: Sequence[tuple[str, int, int | None]]) -> str:
    """A bar for each name: filled as far as the bound from below, outlined as far as that from above (None if
    there is none).
    """
    longest = max([1, *(most or found for _, found, most in bounds)])
    drawn = []
    for row, (name, found, most) in enumerate(bounds):
        top = 26 * row + 4
        full, outline = (round(300 * n / longest, 1) for n in (found, most or found))
        number = (
            f"≥ {found:,}" if most is None else f"{found:,}" if found == most else f"{found:,} … {most:,}"
        )
        drawn.append(
            f"<text x='165' y='{top + 13}' text-anchor='end'>{escape(name)}</text>"
            f"<rect x='172' y='{top}' width='{full}' height='18' fill-opacity='.5'/>"
            f"<rect x='172' y='{top}' width='{outline}' height='18' fill='none' stroke='currentColor'/>"
            f"<text x='{178 + outline}' y='{top + 13}'>{number}</text>"
        )
    size = f"viewBox='0 0 580 {26 * len(bounds) + 4}' role='img' aria-label='{escape(label)}'"
    style = "style='max-width:36rem;width:100%' fill='currentColor' font-size='13' font-family='sans-serif'"
    return f"<svg xmlns='http://www.w3.org/2000/svg' {size} {style}>{''.join(drawn)}</svg>" if drawn else ""

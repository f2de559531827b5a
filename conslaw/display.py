"""How results are shown: plain text in a terminal, HTML with LaTeX in a notebook."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from conslaw.analysis import Analysis, Count

SHOWN = 20  # laws shown before the rest is summed up; all are in the attributes and the JSON


def _is_analysis(result: Count) -> bool:
    return hasattr(result, "laws_found")


def _title(result: Count) -> str:
    widths = " " + "-".join(map(str, result.widths)) if result.widths else ""
    return f"{result.model}{widths}{' with bias' if result.bias else ''}, {result.flow} flow"


def _rows(result: Count) -> list[tuple[str, str]]:
    """The table: a label and what is known, with its certainty."""
    where = "" if result.generic else " at the given point only"
    rows = [
        ("parameters", f"{result.parameters}"),
        ("state dimension", f"{result.state_dimension}"),
        ("Lie ranks", ", ".join(map(str, result.lie_ranks))),
        ("laws at most", f"{result.laws_at_most}   proved{where}"),
    ]
    if _is_analysis(result):
        analysis: Analysis = result  # type: ignore[assignment]
        rows.append(("laws found", f"{analysis.laws_found}   proved independent"))
        rows.append(("complete", "proved" if analysis.complete else "no: the bounds do not meet"))
    elif result.laws_at_most == 0:
        rows.append(("laws exactly", "0   proved"))
    elif result.error_probability is not None:
        rows.append(("laws exactly", f"{result.laws_at_most}   except with probability < {result.error_probability:.0e}"))
    return rows


def gap(analysis: Analysis) -> str:
    """What is known when the bounds do not meet."""
    missing = analysis.laws_at_most - analysis.laws_found
    chance = "" if analysis.error_probability is None else f" (except with probability < {analysis.error_probability:.0e})"
    return (
        f"Proved: {analysis.laws_found} to {analysis.laws_at_most} independent laws.  Probable: exactly {analysis.laws_at_most}{chance}; "
        f"then {missing} {'law has' if missing == 1 else 'laws have'} no polynomial form up to degree {analysis.degree}."
    )


def text(result: Count) -> str:
    """The table, and for an analysis the laws, as plain text."""
    lines = [_title(result), *(f"  {label:<16} {value}" for label, value in _rows(result))]
    if _is_analysis(result):
        analysis: Analysis = result  # type: ignore[assignment]
        if not analysis.complete:
            lines += ["", gap(analysis)]
        laws = analysis.polynomial_laws
        lines += ["", "laws" if len(laws) else f"no polynomial laws up to degree {analysis.degree}"]
        lines += [f"  {i}. {law}" for i, law in enumerate(laws.strings()[:SHOWN], start=1)]
        lines += [f"  ... and {len(laws) - SHOWN} more"] if len(laws) > SHOWN else []
    return "\n".join(lines)


def html(result: Count) -> str:
    """The same for a notebook: a table, and the laws as LaTeX."""
    cells = "".join(f"<tr><th style='text-align:left'>{escape(a)}</th><td style='text-align:left'>{escape(b)}</td></tr>" for a, b in _rows(result))
    parts = [f"<p><b>{escape(_title(result))}</b></p><table>{cells}</table>"]
    if _is_analysis(result):
        analysis: Analysis = result  # type: ignore[assignment]
        if not analysis.complete:
            parts.append(f"<p>{escape(gap(analysis))}</p>")
        laws = analysis.polynomial_laws
        items = "".join(f"<li>${law}$</li>" for law in laws.latex()[:SHOWN])
        more = f"<p>... and {len(laws) - SHOWN} more</p>" if len(laws) > SHOWN else ""
        parts.append(f"<ol>{items}</ol>{more}" if len(laws) else f"<p>no polynomial laws up to degree {analysis.degree}</p>")
    return "".join(parts)

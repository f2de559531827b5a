"""What an analysis says beside its numbers: how to count, what is open, and how to go on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conslaw import display

if TYPE_CHECKING:
    from conslaw.answers import Analysis

COUNTED_ONCE = "Entries that follow from laws listed before (by a common trace, say) are not counted again."
DEPENDENT = "Some of the laws listed are functions of others, so that fewer are independent."


def remarks(analysis: Analysis, up_to: str) -> list[str]:
    """The remarks of an analysis of laws ``up_to`` some degree."""
    fewer = any(family.laws < family.entries for family in analysis.law_families)
    counted = [COUNTED_ONCE] * fewer
    if analysis.complete:
        return counted + [DEPENDENT] * (analysis.listed > analysis.laws_found)
    kinds = f"Polynomials up to degree {analysis.degree} that are not of these kinds were not looked for."
    others = [kinds] if analysis.ansatz == "matrix" else []
    return [_what_is_open(analysis, up_to), *others, *analysis.route.remarks(), *counted]


def _what_is_open(analysis: Analysis, up_to: str) -> str:
    """What is proved, and what is probable, where the bounds do not meet."""
    found, most, chance = analysis.laws_found, analysis.laws_at_most, analysis.error_probability
    proved = f"Proved: {found:,} to {most:,} independent laws."
    if analysis.split:
        return (
            f"{proved}  The upper bound is a rank at a special point and may be too large;\n"
            f"a plain rank is too much work here."
        )
    if not analysis.lie_ranks[-1]:
        return (
            f"Proved: at least {found:,} independent laws.  A plain rank is too much work here, and the "
            f"network\nwas not split into subnetworks: nothing is known from above."
        )
    if chance is None:
        return proved
    probable = f"Probable: exactly {most:,} ({display.unless(chance)})"
    if analysis.ansatz is None:
        return f"{proved}\n{probable}."
    tried = " or ".join(analysis._looked_for())
    form = f"no polynomial form {up_to}{tried and f', and none was found {tried}'}"
    have = "has" if most - found == 1 else "have"
    return f"{proved}  {probable};\nthen {most - found:,} of them {have} {form}."

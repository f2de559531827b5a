"""Laws that were written as text, as LaTeX."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from conslaw.flows.coordinates import latex_name
from conslaw.laws.law_text import Index, read_law

SUM, PRODUCT, FACTOR = range(3)  # how tightly an operation binds


def law_latex(text: str) -> str:
    r"""A law that conslaw wrote as text, as LaTeX that KaTeX and MathJax read, too.

    Raises
    ------
    ConslawError
        For what is not in the grammar of :func:`conslaw.parse_law`.

    Examples
    --------
    >>> law_latex("exp(t/2)*(W1[0,1]**2 - 2*x/3)")
    'e^{t/2} ({W_{1}}_{0,1}^{2} - \\frac{2 x}{3})'
    """
    return str(read_law(text, _InLatex()))


@dataclass(frozen=True)
class _Latex:
    """A formula; ``minus`` stands before it."""

    text: str
    binds: int = FACTOR
    minus: bool = False

    def __str__(self) -> str:
        return "-" * self.minus + self.text

    def within(self, binds: int) -> str:
        """In brackets where it binds less tightly."""
        return self.text if self.binds >= binds and not self.minus else f"({self})"

    def __neg__(self) -> _Latex:
        return replace(self, minus=True) if self.binds and not self.minus else _Latex(f"({self})", minus=True)

    def __mul__(self, other: _Latex) -> _Latex:
        right = other.within(PRODUCT)
        sign = r" \cdot " if right[0].isdigit() else " "
        return _Latex(f"{self.within(PRODUCT)}{sign}{right}", PRODUCT)

    def __truediv__(self, other: _Latex) -> _Latex:
        return _Latex(rf"\frac{{{self}}}{{{other}}}", PRODUCT)


class _InLatex:
    @property
    def inside(self) -> _InLatex:
        return self

    def integer(self, value: int) -> _Latex:
        return _Latex(str(value))

    def entry(self, name: str, index: Index) -> _Latex:
        return _Latex(latex_name(name) + (f"_{{{','.join(map(str, index))}}}" if index else ""))

    def sum(self, parts: Sequence[_Latex]) -> _Latex:
        first, *others = parts
        signed = (
            f" {'-' if part.minus else '+'} {replace(part, minus=False).within(PRODUCT)}" for part in others
        )
        return _Latex(str(first) + "".join(signed), SUM)

    def power(self, base: _Latex, exponent: Fraction) -> _Latex:
        return _Latex(f"{base.within(FACTOR)}^{{{exponent}}}", PRODUCT)

    def function(self, name: str, argument: _Latex) -> _Latex:
        if name == "log":
            return _Latex(rf"\log({argument})")
        line = re.sub(r"\\frac\{([\w ]*)\}\{(\w*)\}", r"\1/\2", str(argument))  # a small fraction
        return _Latex(f"e^{{{line}}}", PRODUCT)

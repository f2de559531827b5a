"""How the coordinates of a state space are written in a law: as text, as LaTeX and in SymPy."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from math import prod
from typing import TYPE_CHECKING, Any, Literal
from unicodedata import normalize

import numpy as np

from conslaw.algebra.expressions import Shape

if TYPE_CHECKING:
    import sympy

Terms = Sequence[tuple[tuple[int, ...], int | Fraction]]


@dataclass(frozen=True)
class Coordinate:
    """One scalar coordinate: an entry of an array, its logarithm, or a function of time that stands for time.

    ``kind`` is ``"entry"`` or ``"log"`` of array ``name`` at ``index``; ``"exp"``, exp(rate t); or
    ``"power"``, t**rate.  ``own`` is the SymPy expression that the user wrote for the entry, if there is one.
    """

    name: str
    index: tuple[int, ...] = ()
    kind: Literal["entry", "log", "exp", "power"] = "entry"
    rate: Fraction = Fraction(1)
    own: Any = field(default=None, compare=False, repr=False)

    def text(self, power: int) -> str:
        """Its power as Python and SymPy write it, in a product."""
        if self.kind == "exp":
            rate = power * self.rate
            times = "" if rate.numerator == 1 else f"{rate.numerator}*"
            return f"exp({times}t{'' if rate.denominator == 1 else f'/{rate.denominator}'})"
        if self.kind == "power":
            return _powered("t", power * self.rate)
        entry = f"{self.name}[{','.join(map(str, self.index))}]" if self.index else self.name
        return _powered(f"log({entry})" if self.kind == "log" else entry, Fraction(power))

    def latex(self, power: int) -> str:
        """Its power as LaTeX."""
        if self.kind == "exp":
            rate = power * self.rate
            over = f"/{rate.denominator}" if rate.denominator > 1 else ""
            return f"e^{{{rate.numerator if rate.numerator > 1 else ''}t{over}}}"
        exponent = f"^{{{power * self.rate}}}" if power * self.rate != 1 else ""
        if self.kind == "power":
            return f"t{exponent}"
        entry = self._latex_of_entry()
        return rf"\log{exponent}({entry})" if self.kind == "log" else entry + exponent

    def _latex_of_entry(self) -> str:
        if self.own is not None:
            import sympy

            return str(sympy.latex(self.own))
        return latex_name(self.name) + (f"_{{{','.join(map(str, self.index))}}}" if self.index else "")

    def symbol(self) -> Any:
        """The SymPy expression: the user's own symbol, an entry of an ``IndexedBase``, a ``Symbol`` for a
        scalar, or a function of one.
        """
        import sympy

        if self.kind == "exp":
            return sympy.exp(sympy.Rational(self.rate.numerator, self.rate.denominator) * sympy.Symbol("t"))
        if self.kind == "power":
            return sympy.Symbol("t") ** sympy.Rational(self.rate.numerator, self.rate.denominator)
        entry = self.own
        if entry is None:
            entry = sympy.IndexedBase(self.name)[self.index] if self.index else sympy.Symbol(self.name)
        return sympy.log(entry) if self.kind == "log" else entry


def _powered(base: str, exponent: Fraction) -> str:
    if exponent == 1:
        return base
    return f"{base}**{exponent}" if exponent.denominator == 1 else f"{base}**({exponent})"


def latex_name(name: str) -> str:
    """W1 becomes W_1, and the velocity U_dot a dotted U."""
    base = name.removesuffix("_dot")
    tex = re.sub("^([a-zA-Z])([0-9]+)$", r"{\1_{\2}}", base.replace("_", r"\_"))
    return tex if base == name else rf"\dot{{{tex}}}"


def text_name(name: str) -> str:
    """The velocity U_dot becomes a dotted U."""
    base = name.removesuffix("_dot")
    return name if base in (name, "") else normalize("NFC", f"{base[0]}\u0307") + base[1:]


def entries(
    arrays: Mapping[str, Shape], symbols: Mapping[str, Sequence[Any]] | None = None
) -> list[Coordinate]:
    """The scalar coordinates of some arrays, in order; ``symbols`` are the user's own for the entries of some
    of them.
    """
    known = {name: own for name, own in (symbols or {}).items() if len(own) == prod(arrays.get(name, (0,)))}
    return [
        Coordinate(name, tuple(map(int, index)), own=known[name][i] if name in known else None)
        for name, shape in arrays.items()
        for i, index in enumerate(np.ndindex(*shape))
    ]


def write(polynomial: Terms, coordinates: Sequence[Coordinate], *, latex: bool = False) -> str:
    """A polynomial, its variables numbered from 1, in these coordinates."""
    text = ""
    for monomial, coefficient in polynomial:
        powers = [(coordinates[v - 1], monomial.count(v)) for v in dict.fromkeys(monomial)]
        factors = [c.latex(power) if latex else c.text(power) for c, power in powers]
        number = [] if abs(coefficient) == 1 and factors else [str(abs(coefficient))]
        sign = (" - " if coefficient < 0 else " + ") if text else ("-" if coefficient < 0 else "")
        text += sign + (" " if latex else "*").join(number + factors)
    return text or "0"


def to_sympy(polynomial: Terms, coordinates: Sequence[Coordinate]) -> sympy.Expr:
    """A polynomial as a SymPy expression in these coordinates."""
    import sympy

    symbols = {v: coordinates[v - 1].symbol() for monomial, _ in polynomial for v in monomial}
    return sympy.Add(
        *[sympy.Mul(sympy.Rational(str(c)), *[symbols[v] for v in monomial]) for monomial, c in polynomial]
    )

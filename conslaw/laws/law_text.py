"""Laws as text, read back: sums, products and powers of entries, ``exp``, ``log``.

No text is ever evaluated as code: it is read by one grammar, over the numbers that are wanted (SymPy
expressions, array code, floats).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import exp, log, nan
from typing import TYPE_CHECKING, Any, Protocol

from conslaw.errors import ConslawError

if TYPE_CHECKING:
    import sympy

TOKEN = re.compile(r"\s*(\*\*|[-+*/()]|[0-9]+|[^\W\d]\w*(?:\[[0-9]+(?:, ?[0-9]+)*\])?)")
DEEPEST = 50  # brackets in brackets
LONGEST = 1000  # digits of a number
LARGEST_POWER = 2**16  # bits of a power of a number

Index = tuple[int, ...]


def parse_law(text: str) -> sympy.Expr:
    """A law that conslaw wrote as text, as a SymPy expression.

    Parameters
    ----------
    text : str
        A sum of products of numbers, entries such as ``W1[0,1]``, scalars, powers, ``exp(...)``, ``log(...)``
        and brackets: the grammar of laws in answers and certificates.

    Returns
    -------
    sympy.Expr
        In entries of ``IndexedBase`` and plain symbols of the names in the text.

    Raises
    ------
    ConslawError
        For anything else.  No text is ever evaluated.

    Examples
    --------
    >>> import conslaw
    >>> conslaw.parse_law("W1[0,1]**2 - 2*W1[0,0]**2")
    -2*W1[0, 0]**2 + W1[0, 1]**2
    """
    return read_law(text, SymPyNumbers())


class LawNumbers(Protocol):
    """What the text of a law is read over; the values have ``*``, ``/`` and unary ``-``."""

    @property
    def inside(self) -> LawNumbers:
        """What the arguments of ``exp`` and ``log`` are read over."""

    def integer(self, value: int) -> Any:
        """A number."""

    def entry(self, name: str, index: Index) -> Any:
        """An entry of an array, a scalar, or time."""

    def sum(self, parts: Sequence[Any]) -> Any:
        """A sum."""

    def power(self, base: Any, exponent: Fraction) -> Any:
        """A power."""

    def function(self, name: str, argument: Any) -> Any:
        """``exp`` or ``log`` of what was read over :attr:`inside`."""


def check_power(number: int, exponent: Fraction) -> None:
    """Refuse a power of a number that has too many digits."""
    if abs(exponent) * (number.bit_length() - 1) > LARGEST_POWER:
        raise ConslawError(f"parse_law: a number of more than {LARGEST_POWER:,} bits is not part of a law")


def read_law(text: str, over: LawNumbers) -> Any:
    """The value of the text of a law over some numbers.

    Raises
    ------
    ConslawError
        For what is not in the grammar of :func:`parse_law`.
    """
    if not isinstance(text, str):
        raise ConslawError(f"parse_law({text!r}): give the text of a law"[:300])
    tokens, position, end = list[str](), 0, len(text.rstrip())
    while position < end:
        found = TOKEN.match(text, position)
        if not found or len(found[1]) > LONGEST:
            raise ConslawError(f"parse_law: {text[position : position + 40]!r} is not part of a law")
        tokens.append(found[1])
        position = found.end()
    reader = _Reader(text, tokens, over)
    law = reader.sum()
    if reader.position < len(tokens):
        raise reader.error()
    return law


@dataclass(frozen=True)
class SymPyNumbers:
    """SymPy expressions in entries of ``IndexedBase`` and plain symbols."""

    @property
    def inside(self) -> LawNumbers:
        return self

    def integer(self, value: int) -> sympy.Expr:
        import sympy

        return sympy.Integer(value)

    def entry(self, name: str, index: Index) -> sympy.Expr:
        import sympy

        return sympy.IndexedBase(name)[index] if index else sympy.Symbol(name)

    def sum(self, parts: Sequence[sympy.Expr]) -> sympy.Expr:
        import sympy

        return sympy.Add(*parts)

    def power(self, base: sympy.Expr, exponent: Fraction) -> sympy.Expr:
        import sympy

        self.check_coefficient(base, exponent)  # SymPy takes its power
        return base ** sympy.Rational(exponent.numerator, exponent.denominator)

    def function(self, name: str, argument: sympy.Expr) -> sympy.Expr:
        import sympy

        if name == "exp" and argument.has(sympy.log):  # exp(n log(2)) would be written out, whatever n is
            raise ConslawError("parse_law: a logarithm in an exponent is not part of a law")
        return getattr(sympy, name)(argument)

    def check_coefficient(self, value: sympy.Expr, exponent: Fraction = Fraction(1)) -> None:
        """Refuse a product whose number, to a power, has too many digits."""
        number = value.as_coeff_Mul()[0]
        if number.is_Rational:
            check_power(max(abs(number.p), number.q), exponent)


@dataclass(frozen=True)
class Floats:
    """Floats at a point: NaN where a law is not defined."""

    point: Mapping[str, Any]
    time: float | None = None

    @property
    def inside(self) -> LawNumbers:
        return self

    def integer(self, value: int) -> float:
        return float(value)

    def entry(self, name: str, index: Index) -> float:
        if name == "t" and not index and name not in self.point:
            if self.time is None:
                raise ConslawError("these laws depend on time: give it as time=...")
            return self.time
        try:
            return float(self.point[name][index])
        except (KeyError, IndexError, TypeError):
            raise ConslawError(f"{name}{list(index) or ''} is no entry of the state") from None

    def sum(self, parts: Sequence[float]) -> float:
        return sum(parts)

    def power(self, base: float, exponent: Fraction) -> float:
        found = base ** (exponent.numerator if exponent.denominator == 1 else float(exponent))
        return nan if isinstance(found, complex) else float(found)

    def function(self, name: str, argument: float) -> float:
        return exp(argument) if name == "exp" else log(argument)

    def value(self, text: str) -> float:
        """The value of a law."""
        try:
            return float(read_law(text, self))
        except (ZeroDivisionError, OverflowError, ValueError) as error:
            if isinstance(error, ConslawError):
                raise
            return nan


@dataclass(frozen=True)
class _Exponents:
    """Rational numbers alone."""

    @property
    def inside(self) -> LawNumbers:
        return self

    def integer(self, value: int) -> Fraction:
        return Fraction(value)

    def entry(self, name: str, index: Index) -> Fraction:
        raise ConslawError(f"parse_law: {name!r} stands in an exponent: give a rational number")

    def sum(self, parts: Sequence[Fraction]) -> Fraction:
        return sum(parts, Fraction(0))

    def power(self, base: Fraction, exponent: Fraction) -> Fraction:
        raise ConslawError("parse_law: a power in an exponent: give a rational number")

    def function(self, name: str, argument: Fraction) -> Fraction:
        raise ConslawError(f"parse_law: {name!r} stands in an exponent: give a rational number")


class _Reader:
    """Recursive descent; ``position`` is the next token."""

    def __init__(self, text: str, tokens: list[str], over: LawNumbers) -> None:
        self.text, self.tokens, self.over = text, tokens, over
        self.position, self.depth = 0, 0

    @property
    def token(self) -> str:
        """The next token; empty at the end."""
        return self.tokens[self.position] if self.position < len(self.tokens) else ""

    def error(self) -> ConslawError:
        place = repr(self.token[:40]) if self.token else "the end"
        return ConslawError(f"parse_law({self.text[:60]!r}): {place} is not expected there")

    def next(self, *wanted: str) -> str:
        """The next token if it is one of those wanted, which is then passed; else nothing."""
        token = self.token if self.token in wanted else ""
        self.position += bool(token)
        return token

    def sum(self) -> Any:
        parts = [-self.product() if self.next("-") else self.product()]
        while sign := self.next("+", "-"):
            term = self.product()
            parts.append(term if sign == "+" else -term)
        return self.over.sum(parts) if len(parts) > 1 else parts[0]

    def product(self) -> Any:
        value = self.power()
        while sign := self.next("*", "/"):
            factor = self.power()
            if sign == "/" and isinstance(self.over, SymPyNumbers | _Exponents) and factor == 0:
                raise self.error()
            value = value * factor if sign == "*" else value / factor
            if isinstance(self.over, SymPyNumbers):
                self.over.check_coefficient(value)
        return value

    def power(self) -> Any:
        base = self.atom()
        if not self.next("**"):
            return base
        outer, self.over = self.over, _Exponents()
        exponent = self.bracket() if self.next("(") else self.number()
        self.over = outer
        if max(abs(exponent.numerator), exponent.denominator) > 10**6:
            raise self.error()
        return outer.power(base, exponent)

    def bracket(self) -> Any:
        """What stands in brackets, the first of which is passed."""
        self.depth += 1
        if self.depth > DEEPEST:
            raise self.error()
        value = self.sum()
        if not self.next(")"):
            raise self.error()
        self.depth -= 1
        return value

    def number(self) -> Any:
        token = self.token
        if not (token.isascii() and token.isdigit()):  # a superscript is a digit, too
            raise self.error()
        self.position += 1
        return self.over.integer(int(token))

    def atom(self) -> Any:
        if self.next("("):
            return self.bracket()
        token = self.token
        if token[:1].isdigit():
            return self.number()
        if not token or token[0] in "+-*/)":
            raise self.error()
        self.position += 1
        name, _, index = token.rstrip("]").partition("[")
        if name in ("exp", "log") and not index and self.next("("):
            outer, self.over = self.over, self.over.inside
            argument = self.bracket()
            self.over = outer
            return outer.function(name, argument)
        return self.over.entry(name, tuple(map(int, index.split(","))) if index else ())

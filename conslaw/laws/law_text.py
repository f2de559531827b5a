"""Laws as text, read back: sums, products and powers of entries, ``exp``, ``log``.  Nothing is evaluated.

One reader for all that a law is made into: what its operations are is said by :class:`_InSymPy` and
:class:`_InLatex`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from conslaw.errors import ConslawError
from conslaw.flows.coordinates import latex_name

if TYPE_CHECKING:
    import sympy

TOKEN = re.compile(r"\s*(\*\*|[-+*/()]|[0-9]+|[^\W\d]\w*(?:\[[0-9]+(?:,[0-9]+)*\])?)")
DEEPEST = 50  # brackets in brackets
LONGEST = 1000  # digits of a number
SUM, PRODUCT, FACTOR = range(3)  # how tightly LaTeX binds

T = TypeVar("T")


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
    return _read(text, _InSymPy())


def law_latex(text: str) -> str:
    r"""A law that conslaw wrote as text, as LaTeX.

    Examples
    --------
    >>> from conslaw.laws.law_text import law_latex
    >>> law_latex("exp(t/2)*(W1[0,1]**2 - 2*x/3)")
    'e^{t/2} ({W_{1}}_{0,1}^{2} - \\frac{2 x}{3})'
    """
    return _read(text, _InLatex()).text


def _read(text: str, operations: _Operations[T]) -> T:
    if not isinstance(text, str):
        raise ConslawError(f"parse_law({text!r}): give the text of a law")
    tokens, position, end = list[str](), 0, len(text.rstrip())
    while position < end:
        found = TOKEN.match(text, position)
        if not found or len(found[1]) > LONGEST:
            raise ConslawError(f"parse_law: {text[position : position + 40]!r} is not part of a law")
        tokens.append(found[1])
        position = found.end()
    reader = _Reader(text, tokens, operations)
    law = reader.sum()
    if reader.position < len(tokens):
        raise reader.error()
    return law


class _Operations(Protocol[T]):
    """What sums, products, powers, numbers, functions and entries are."""

    def negative(self, a: T) -> T: ...
    def plus(self, a: T, b: T) -> T: ...
    def minus(self, a: T, b: T) -> T: ...
    def times(self, a: T, b: T) -> T: ...
    def over(self, a: T, b: T) -> T | None: ...
    def power(self, base: T, exponent: Fraction) -> T: ...
    def number(self, digits: str) -> T: ...
    def function(self, name: str, argument: T) -> T: ...
    def entry(self, name: str, index: tuple[int, ...]) -> T: ...


class _InSymPy:
    def __init__(self) -> None:
        import sympy

        self.sympy = sympy

    def negative(self, a: sympy.Expr) -> sympy.Expr:
        return -a

    def plus(self, a: sympy.Expr, b: sympy.Expr) -> sympy.Expr:
        return a + b

    def minus(self, a: sympy.Expr, b: sympy.Expr) -> sympy.Expr:
        return a - b

    def times(self, a: sympy.Expr, b: sympy.Expr) -> sympy.Expr:
        return a * b

    def over(self, a: sympy.Expr, b: sympy.Expr) -> sympy.Expr | None:
        return None if b == 0 else a / b

    def power(self, base: sympy.Expr, exponent: Fraction) -> sympy.Expr:
        return base ** self.sympy.Rational(exponent.numerator, exponent.denominator)

    def number(self, digits: str) -> sympy.Expr:
        return self.sympy.Integer(digits)

    def function(self, name: str, argument: sympy.Expr) -> sympy.Expr:
        return getattr(self.sympy, name)(argument)

    def entry(self, name: str, index: tuple[int, ...]) -> sympy.Expr:
        return self.sympy.IndexedBase(name)[index] if index else self.sympy.Symbol(name)


@dataclass(frozen=True)
class _Latex:
    text: str
    binds: int = FACTOR

    def within(self, binds: int) -> str:
        """In brackets where it binds less tightly."""
        return self.text if self.binds >= binds else f"({self.text})"


class _InLatex:
    def negative(self, a: _Latex) -> _Latex:
        return _Latex(f"-{a.within(PRODUCT)}", SUM)

    def plus(self, a: _Latex, b: _Latex) -> _Latex:
        return _Latex(f"{a.text} + {b.within(PRODUCT)}", SUM)

    def minus(self, a: _Latex, b: _Latex) -> _Latex:
        return _Latex(f"{a.text} - {b.within(PRODUCT)}", SUM)

    def times(self, a: _Latex, b: _Latex) -> _Latex:
        right = b.within(PRODUCT)
        sign = r" \cdot " if right[0].isdigit() else " "
        return _Latex(f"{a.within(PRODUCT)}{sign}{right}", PRODUCT)

    def over(self, a: _Latex, b: _Latex) -> _Latex:
        return _Latex(rf"\frac{{{a.text}}}{{{b.text}}}")

    def power(self, base: _Latex, exponent: Fraction) -> _Latex:
        return _Latex(f"{base.within(FACTOR)}^{{{exponent}}}", PRODUCT)

    def number(self, digits: str) -> _Latex:
        return _Latex(digits)

    def function(self, name: str, argument: _Latex) -> _Latex:
        if name == "log":
            return _Latex(rf"\log({argument.text})")
        line = re.sub(r"\\frac\{([\w ]*)\}\{(\w*)\}", r"\1/\2", argument.text)  # a small fraction
        return _Latex(f"e^{{{line}}}", PRODUCT)

    def entry(self, name: str, index: tuple[int, ...]) -> _Latex:
        return _Latex(latex_name(name) + (f"_{{{','.join(map(str, index))}}}" if index else ""))


class _Reader(Generic[T]):
    """Recursive descent; ``position`` is the next token."""

    def __init__(self, text: str, tokens: list[str], operations: _Operations[T]) -> None:
        self.text, self.tokens, self.position, self.depth = text, tokens, 0, 0
        self.make = operations

    def error(self) -> ConslawError:
        place = "the end" if self.position >= len(self.tokens) else repr(self.tokens[self.position][:40])
        return ConslawError(f"parse_law({self.text[:60]!r}): {place} is not expected there")

    def next(self, *wanted: str) -> str:
        """The next token if it is one of those wanted, which is then passed; else nothing."""
        if self.position < len(self.tokens) and self.tokens[self.position] in wanted:
            self.position += 1
            return self.tokens[self.position - 1]
        return ""

    def sum(self) -> T:
        total = self.make.negative(self.product()) if self.next("-") else self.product()
        while sign := self.next("+", "-"):
            term = self.product()
            total = self.make.plus(total, term) if sign == "+" else self.make.minus(total, term)
        return total

    def product(self) -> T:
        value = self.power()
        while sign := self.next("*", "/"):
            factor = self.power()
            found = self.make.times(value, factor) if sign == "*" else self.make.over(value, factor)
            if found is None:
                raise self.error()
            value = found
        return value

    def power(self) -> T:
        base = self.atom()
        if not self.next("**"):
            return base
        if not self.next("("):
            exponent = Fraction(self.digits())
        else:
            sign = -1 if self.next("-") else 1
            numerator, over = int(self.digits()), self.next("/")
            denominator = int(self.digits()) if over else 1
            if not denominator or not self.next(")"):
                raise self.error()
            exponent = Fraction(sign * numerator, denominator)
        if max(abs(exponent.numerator), exponent.denominator) > 10**6:
            raise self.error()
        return self.make.power(base, exponent)

    def bracket(self) -> T:
        """What stands in brackets, the first of which is passed."""
        self.depth += 1
        if self.depth > DEEPEST:
            raise self.error()
        value = self.sum()
        if not self.next(")"):
            raise self.error()
        self.depth -= 1
        return value

    def digits(self) -> str:
        token = self.tokens[self.position] if self.position < len(self.tokens) else ""
        if not token.isascii() or not token.isdigit():
            raise self.error()
        self.position += 1
        return token

    def atom(self) -> T:
        if self.next("("):
            return self.bracket()
        token = self.tokens[self.position] if self.position < len(self.tokens) else ""
        if token[:1].isdigit():
            return self.make.number(self.digits())
        if not token or token in "+-*/)":
            raise self.error()
        self.position += 1
        name, _, index = token.rstrip("]").partition("[")
        if name in ("exp", "log") and not index and self.next("("):
            return self.make.function(name, self.bracket())
        return self.make.entry(name, tuple(map(int, index.split(","))) if index else ())

"""Laws as text, read back: sums, products and powers of entries, ``exp``, ``log``.  Nothing is evaluated."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from conslaw.errors import ConslawError

if TYPE_CHECKING:
    import sympy

TOKEN = re.compile(r"\s*(\*\*|[-+*/()]|[0-9]+|[^\W\d]\w*(?:\[[0-9]+(?:,[0-9]+)*\])?)")
DEEPEST = 50  # brackets in brackets
LONGEST = 1000  # digits of a number


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
    if not isinstance(text, str):
        raise ConslawError(f"parse_law({text!r}): give the text of a law")
    tokens, position, end = list[str](), 0, len(text.rstrip())
    while position < end:
        found = TOKEN.match(text, position)
        if not found or len(found[1]) > LONGEST:
            raise ConslawError(f"parse_law: {text[position : position + 40]!r} is not part of a law")
        tokens.append(found[1])
        position = found.end()
    reader = _Reader(text, tokens)
    law = reader.sum()
    if reader.position < len(tokens):
        raise reader.error()
    return law


class _Reader:
    """Recursive descent; ``position`` is the next token."""

    def __init__(self, text: str, tokens: list[str]) -> None:
        self.text, self.tokens, self.position, self.depth = text, tokens, 0, 0

    def error(self) -> ConslawError:
        place = "the end" if self.position >= len(self.tokens) else repr(self.tokens[self.position][:40])
        return ConslawError(f"parse_law({self.text[:60]!r}): {place} is not expected there")

    def next(self, *wanted: str) -> str:
        """The next token if it is one of those wanted, which is then passed; else nothing."""
        if self.position < len(self.tokens) and self.tokens[self.position] in wanted:
            self.position += 1
            return self.tokens[self.position - 1]
        return ""

    def sum(self) -> sympy.Expr:
        total = -self.product() if self.next("-") else self.product()
        while sign := self.next("+", "-"):
            term = self.product()
            total = total + term if sign == "+" else total - term
        return total

    def product(self) -> sympy.Expr:
        value = self.power()
        while sign := self.next("*", "/"):
            factor = self.power()
            if sign == "/" and factor == 0:
                raise self.error()
            value = value * factor if sign == "*" else value / factor
        return value

    def power(self) -> sympy.Expr:
        base = self.atom()
        if not self.next("**"):
            return base
        exponent = self.bracket() if self.next("(") else self.number()
        if not exponent.is_Rational or max(abs(exponent.p), exponent.q) > 10**6:
            raise self.error()
        return base**exponent

    def bracket(self) -> sympy.Expr:
        """What stands in brackets, the first of which is passed."""
        self.depth += 1
        if self.depth > DEEPEST:
            raise self.error()
        value = self.sum()
        if not self.next(")"):
            raise self.error()
        self.depth -= 1
        return value

    def number(self) -> sympy.Expr:
        import sympy

        if self.position >= len(self.tokens) or not self.tokens[self.position].isascii():
            raise self.error()
        if not self.tokens[self.position].isdigit():
            raise self.error()
        self.position += 1
        return sympy.Integer(self.tokens[self.position - 1])

    def atom(self) -> sympy.Expr:
        import sympy

        if self.next("("):
            return self.bracket()
        token = self.tokens[self.position] if self.position < len(self.tokens) else ""
        if token[:1].isdigit():
            return self.number()
        if not token or token in "+-*/)":
            raise self.error()
        self.position += 1
        name, _, index = token.rstrip("]").partition("[")
        if name in ("exp", "log") and not index and self.next("("):
            return getattr(sympy, name)(self.bracket())
        if index:
            return sympy.IndexedBase(name)[tuple(map(int, index.split(",")))]
        return sympy.Symbol(name)

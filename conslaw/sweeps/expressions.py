"""Expressions in the widths of a network, read by a parser of their own grammar (never by ``eval``) and
evaluated exactly.

Names: ``d0``, ..., ``dL`` are the widths, ``n`` the first, ``m`` the last, ``r`` the hidden one of a network
with one hidden layer, ``L`` the depth, ``D`` the number of parameters, ``R`` the power (of polynomials).
``sum(f(h))`` adds over the hidden widths ``h``, with ``a`` the width before and ``b`` the width after; there
are ``min``, ``max``, ``abs``, comparisons and ``A if C else B``.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from functools import lru_cache
from typing import Any

from conslaw.errors import ConslawError

LONGEST, DEEPEST, BITS = 2000, 60, 4096  # characters; nested operations; of a number
ALLOWED = "numbers, names, + - * / // % **, comparisons, min, max, abs, sum and A if C else B"
Number = int | Fraction

OPERATIONS: Mapping[type[ast.AST], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: lambda a, b: Fraction(a) / Fraction(b),
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: lambda a, b: _power(a, b),
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
FUNCTIONS: Mapping[str, Callable[..., Any]] = {"min": min, "max": max, "abs": abs}


class Expression:
    """An expression in the widths, checked when it is made.

    Parameters
    ----------
    text : such as ``"r*(r + 1)//2"`` or ``"sum(h) if min(d0, d2) > 1 else 0"``

    Raises
    ------
    ConslawError
        If it is not of the grammar.

    Examples
    --------
    >>> Expression("r*(r + 1)//2")(names_of([3, 4, 2]))
    10
    >>> Expression("sum(h*(h - 1)//2) if d0 > 1 else L")(names_of([3, 4, 2, 5]))
    7
    """

    def __init__(self, text: str) -> None:
        self.text = text
        if not isinstance(text, str) or not text.strip() or len(text) > LONGEST:
            raise self._error(f"give an expression of at most {LONGEST} characters, such as r*(r+1)//2")
        try:
            tree = ast.parse(text.strip(), mode="eval").body
            self._check(tree, 0)
            if any(_is_sum(x) for sum_ in ast.walk(tree) if _is_sum(sum_) for x in ast.walk(sum_.args[0])):  # type: ignore[attr-defined]
                raise self._error("a sum stands within a sum")
        except ConslawError:
            raise
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            raise self._error("not an expression, such as r*(r+1)//2") from None
        self._tree = tree

    def __call__(self, names: Mapping[str, Any]) -> Number:
        """The value; ``names`` as of :func:`names_of`."""
        try:
            value = self._value(self._tree, names)
        except ConslawError:
            raise
        except ZeroDivisionError:
            raise self._error(f"divides by 0 at widths {_widths(names)}") from None
        except (OverflowError, TypeError, ValueError) as error:
            raise self._error(f"at widths {_widths(names)}: {error}") from None
        return int(value) if not isinstance(value, Fraction) or value.denominator == 1 else value

    def __repr__(self) -> str:
        return f"Expression({self.text!r})"

    def _error(self, why: str) -> ConslawError:
        return ConslawError(f"expression {str(self.text)[:80]!r}: {why}")

    def _check(self, node: ast.AST, depth: int) -> None:
        """Refuse all that is not of the grammar."""
        if depth > DEEPEST:
            raise self._error("nested too deeply")
        match node:
            case ast.Constant(value=int(number)) if not isinstance(number, bool):
                good = number < 2**BITS
            case ast.Name():
                good = True
            case ast.BinOp():
                good = type(node.op) in OPERATIONS
            case ast.UnaryOp():
                good = isinstance(node.op, ast.USub | ast.Not)
            case ast.Compare():
                good = all(type(op) in OPERATIONS for op in node.ops)
            case ast.Call(func=ast.Name(id="min" | "max" | "abs" | "sum"), keywords=[]):
                single = node.func.id in ("abs", "sum")  # type: ignore[attr-defined]  # it is a name
                good = len(node.args) == 1 if single else len(node.args) > 1
            case ast.BoolOp() | ast.IfExp():
                good = True
            case _:
                good = False
        if not good:
            raise self._error(f"{ast.unparse(node)[:40]!r} is not allowed: there are {ALLOWED}")
        children = node.args if isinstance(node, ast.Call) else ast.iter_child_nodes(node)
        for child in children:
            if isinstance(child, ast.expr):
                self._check(child, depth + 1)

    def _value(self, node: ast.AST, names: Mapping[str, Any]) -> Any:
        value = self._value
        match node:
            case ast.Constant():
                return node.value
            case ast.Name():
                if node.id not in names or node.id == "hidden":
                    known = ", ".join(name for name in names if name != "hidden")
                    raise self._error(f"no name {node.id!r} at widths {_widths(names)}; there are {known}")
                return names[node.id]
            case ast.BinOp():
                return _small(OPERATIONS[type(node.op)](value(node.left, names), value(node.right, names)))
            case ast.UnaryOp():
                inner = value(node.operand, names)
                return -inner if isinstance(node.op, ast.USub) else not inner
            case ast.Compare():
                chain = [value(one, names) for one in (node.left, *node.comparators)]
                pairs = zip(node.ops, chain, chain[1:], strict=False)
                return all(OPERATIONS[type(op)](a, b) for op, a, b in pairs)
            case ast.BoolOp():
                parts = (bool(value(one, names)) for one in node.values)
                return all(parts) if isinstance(node.op, ast.And) else any(parts)
            case ast.IfExp():
                return value(node.body if value(node.test, names) else node.orelse, names)
            case ast.Call(func=ast.Name(id="sum")):
                layers = ({**names, "a": a, "h": h, "b": b} for a, h, b in names["hidden"])
                return _small(sum(value(node.args[0], layer) for layer in layers))
            case ast.Call(func=ast.Name(id=name)):
                return FUNCTIONS[name](*(value(one, names) for one in node.args))
        raise AssertionError(node)


def _is_sum(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "sum"


def _small(value: Any) -> Any:
    """Refuse numbers that would take the memory."""
    if max(value.numerator.bit_length(), value.denominator.bit_length()) > BITS:
        raise OverflowError("the numbers become too large")
    return value


def _power(a: Any, b: Any) -> Any:
    size = max(a.numerator.bit_length(), a.denominator.bit_length())
    if not isinstance(b, int) or b < 0 or b * size > BITS:
        raise OverflowError("an exponent is negative, broken or too large")
    return a**b


def _widths(names: Mapping[str, Any]) -> str:
    return "-".join(str(names[f"d{i}"]) for i in range(int(names["L"]) + 1))


def names_of(widths: Sequence[int], row: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """What the names of an expression stand for; ``row`` has the parameters and the power."""
    names = dict(_of_widths(tuple(int(d) for d in widths)))
    if row is not None:
        for name, column in (("D", "parameters"), ("R", "power")):
            value = row.get(column)
            if value is not None and value == value:  # not NaN
                names[name] = int(value)
    return names


@lru_cache(maxsize=4096)
def _of_widths(widths: tuple[int, ...]) -> dict[str, Any]:
    hidden = tuple(zip(widths, widths[1:], widths[2:], strict=False))
    letters = {"n": widths[0], "m": widths[-1], "L": len(widths) - 1}
    one = {"r": widths[1]} if len(widths) == 3 else {}
    return {f"d{i}": d for i, d in enumerate(widths)} | letters | one | {"hidden": hidden}

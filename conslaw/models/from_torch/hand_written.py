"""Norms that the user wrote out, found in the graph: x * rsqrt(mean(x²) + eps)."""

from __future__ import annotations

from typing import Any

from conslaw.algebra.expressions import Expression
from conslaw.models.from_torch.reader import Reader, operation_of
from conslaw.models.nn.normalisation import rms_norm

_SAME = ("_to_copy", "clone", "contiguous", "alias")


def rms_norm_of(read: Reader, node: Any) -> Expression | None:
    """The norm that a product or a quotient is; None if it is none."""
    if len(node.args) != 2 or not all(hasattr(x, "meta") for x in node.args):
        return None
    x, factor = map(_unwrapped, node.args)
    found = _axes_of_scale(x, factor, operation_of(node) == "div")
    if found is None and operation_of(node) == "mul":
        x, factor = factor, x
        found = _axes_of_scale(x, factor, False)
    value = read.values[x]
    if found is None or not isinstance(value, Expression):
        return None
    axes, eps = found
    return rms_norm(value, axis=axes, eps=eps)


def _axes_of_scale(x: Any, factor: Any, divided: bool) -> tuple[list[int], float] | None:
    """The axes and the eps, if a factor is 1/sqrt(mean(x²) + eps) (or sqrt, to be divided by)."""
    if divided:
        inner = _argument(factor, "sqrt") or _power(factor, 0.5)
    else:
        inner = _argument(factor, "rsqrt") or _power(factor, -0.5)
    if inner is None or operation_of(inner) != "add" or not isinstance(inner.args[1], float):
        return None
    mean = _unwrapped(inner.args[0])
    if operation_of(mean) != "mean" or len(mean.args) < 3 or not mean.args[2]:
        return None
    squares = _unwrapped(mean.args[0])
    own = _power(squares, 2) or _argument(squares, "square")
    if own is None and operation_of(squares) == "mul" and squares.args[0] is squares.args[1]:
        own = squares.args[0]
    return (list(mean.args[1]), inner.args[1]) if own is not None and _unwrapped(own) is x else None


def _argument(node: Any, operation: str) -> Any:
    return _unwrapped(node.args[0]) if operation_of(node) == operation else None


def _power(node: Any, exponent: float) -> Any:
    same = operation_of(node) == "pow" and len(node.args) == 2 and node.args[1] == exponent
    return _unwrapped(node.args[0]) if same else None


def _unwrapped(node: Any) -> Any:
    while hasattr(node, "meta") and node.op == "call_function" and operation_of(node) in _SAME:
        node = node.args[0]
    return node

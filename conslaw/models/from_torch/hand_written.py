"""Norms that the user wrote out, found in the graph: x * rsqrt(mean(x²) + eps).

Read operation by operation they are right as well, but with a quadratic piece where a linear one will do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from conslaw.models.from_torch.export import operation_of

_SAME = ("_to_copy", "clone", "contiguous", "alias")


@dataclass(frozen=True)
class Norm:
    """What is normalised, along which axes, and the nodes of the deviation."""

    x: Any
    axes: Sequence[int]
    eps: float
    deviation: Sequence[Any]


def norms_in(nodes: Sequence[Any]) -> dict[Any, Norm]:
    """The nodes that are norms."""
    found = {node: norm for node in nodes if (norm := _norm(node)) is not None}
    return {
        node: norm
        for node, norm in found.items()
        if all(user in norm.deviation or user in found for part in norm.deviation for user in part.users)
    }


def _norm(node: Any) -> Norm | None:
    operation = operation_of(node) if node.op == "call_function" else ""
    if (
        operation not in ("mul", "div")
        or len(node.args) != 2
        or not all(hasattr(x, "meta") for x in node.args)
    ):
        return None
    orders = [node.args] if operation == "div" else [node.args, node.args[::-1]]
    for x, factor in orders:
        chain = list[Any]()
        root = _inside(
            factor, chain, "sqrt" if operation == "div" else "rsqrt", 0.5 if operation == "div" else -0.5
        )
        total = root and _inside(root, chain, "add")
        squares = total and _inside(total, chain, "mean")
        own = squares and (_inside(squares, chain, "square") or _inside(squares, chain, "pow", 2, "mul"))
        if own is None or _unwrapped(own) is not _unwrapped(x):
            continue
        mean, add = _unwrapped(total), _unwrapped(root)
        if isinstance(add.args[1], float) and len(mean.args) > 2 and mean.args[2]:
            return Norm(_unwrapped(x), mean.args[1], add.args[1], chain)
    return None


def _inside(node: Any, chain: list[Any], operation: str, exponent: float = 0, product: str = "") -> Any:
    """What an operation is of, if it is this one; it is noted in the chain, with copies before it."""
    own = list[Any]()
    while hasattr(node, "meta") and node.op == "call_function" and operation_of(node) in _SAME:
        own.append(node)
        node = node.args[0]
    name = operation_of(node) if node.op == "call_function" else ""
    power = name == "pow" and exponent and node.args[1] == exponent
    square = name == product != "" and node.args[0] is node.args[1]
    if not (name == operation != "pow" or power or square):
        return None
    chain += [*own, node]
    return node.args[0]


def _unwrapped(node: Any) -> Any:
    while node.op == "call_function" and operation_of(node) in _SAME:
        node = node.args[0]
    return node

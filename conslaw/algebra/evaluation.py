"""Walking the graph of an expression: its gradient as another graph, and its value over any number system."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, Generic, Protocol

import numpy as np
import numpy.typing as npt

from conslaw.algebra.expressions import (
    LETTERS,
    ONE,
    Constants,
    Expression,
    Indices,
    Shape,
    T,
    _ones,
    _put,
    _reshape,
    as_expression,
    contract,
    taken,
)


class NumberSystem(Protocol[T]):
    """Arrays of numbers of some kind, over which an expression can be evaluated."""

    def constant(self, values: Constants) -> T:
        """An array of exact rational constants."""

    def add(self, x: T, y: T) -> T:
        """The sum of two arrays of one shape."""

    def product(self, x: T, y: T, a: str, b: str, out: str) -> T:
        """``einsum(a, b -> out)``; each letter stands in at least two of ``a``, ``b``, ``out``."""

    def sum(self, x: T, axes: tuple[int, ...]) -> T:
        """The sum over some axes."""

    def take(self, x: T, indices: Indices) -> T:
        """The array of the shape of ``indices`` whose entries are those of ``x`` at these flat positions."""

    def put(self, x: T, indices: Indices, shape: Shape) -> T:
        """The adjoint of ``take``: an array of zeros of this shape, to which each entry of ``x`` is added at
        its flat position.
        """

    def reshape(self, x: T, shape: Shape) -> T:
        """The same entries in another shape."""

    def reciprocal(self, x: T) -> T:
        """The reciprocal of each entry."""


def topological_order(outputs: Iterable[Expression]) -> list[Expression]:
    """All nodes that the outputs depend on, each after its arguments."""
    order: list[Expression] = []
    seen: set[int] = set()
    stack = [(node, False) for node in outputs]
    while stack:
        node, expanded = stack.pop()
        if expanded:
            order.append(node)
        elif id(node) not in seen:
            seen.add(id(node))
            stack.append((node, True))
            stack.extend((argument, False) for argument in node.args)
    return order


def gradient(output: Expression, inputs: Sequence[Expression]) -> list[Expression]:
    """Reverse mode: the gradient of a scalar expression with respect to some of its nodes, as expressions of
    their shapes.
    """
    order = topological_order([output])
    active = {id(x) for x in inputs}
    for node in order:
        if node.operation != "stop" and any(id(x) in active for x in node.args):
            active.add(id(node))
    found = adjoints(order, active)
    return [
        found[id(x)] if id(x) in found else as_expression(np.zeros(x.shape, dtype=np.int64)) for x in inputs
    ]


def adjoints(order: Sequence[Expression], active: Container[int] | None = None) -> dict[int, Expression]:
    """The gradient of the last node, a scalar, with respect to each node on which it depends, or to each that
    is active; the nodes stand after their arguments.
    """
    found: dict[int, Expression] = {id(order[-1]): ONE}
    for node in reversed(order):
        adjoint = found.get(id(node))
        if adjoint is None or node.operation == "stop":
            continue
        for position, argument in enumerate(node.args):
            if active is None or id(argument) in active:
                piece = _pull_back(node, position, adjoint)
                known = found.get(id(argument))
                whole = piece if known is None else Expression("add", (known, piece), None, piece.shape)
                found[id(argument)] = whole
    return found


def _pull_back(node: Expression, position: int, adjoint: Expression) -> Expression:
    """The adjoint of the argument at ``position``, from the adjoint of the node."""
    argument = node.args[position]
    if node.operation == "add":
        return adjoint
    if node.operation == "reshape":
        return _reshape(adjoint, argument.shape)
    if node.operation == "take":
        return _put(adjoint, node.attribute, argument.shape)
    if node.operation == "put":
        return taken(adjoint, node.attribute)
    if node.operation == "sum":
        letters = LETTERS[: argument.ndim]
        summed = "".join(letters[i] for i in node.attribute)
        kept = "".join(c for c in letters if c not in summed)
        return contract(
            adjoint, _ones(tuple(argument.shape[i] for i in node.attribute)), kept, summed, letters
        )
    if node.operation == "reciprocal":
        return -(adjoint * node * node)
    assert node.operation == "product"
    a, b, out = node.attribute
    own, other = (a, b) if position == 0 else (b, a)
    return contract(adjoint, node.args[1 - position], out, other, own)


def evaluate(outputs: Sequence[Expression], inputs: Mapping[str, T], numbers: NumberSystem[T]) -> list[T]:
    """The values of some expressions over a number system, from the values of the input arrays."""
    order = topological_order(outputs)
    uses: dict[int, int] = dict.fromkeys((id(node) for node in order), 0)
    for used in [*outputs, *(x for node in order for x in node.args)]:
        uses[id(used)] += 1
    values: dict[int, T] = {}
    at = getattr(numbers, "at", None)  # interpretations want to know where they are
    for node in order:
        if at:
            at(node)
        arguments = [values[id(x)] for x in node.args]
        values[id(node)] = _apply(node, arguments, inputs, numbers)
        for x in node.args:  # let go of what no later node needs: peak memory is the widest layer
            uses[id(x)] -= 1
            if uses[id(x)] == 0:
                values.pop(id(x), None)
    return [values[id(node)] for node in outputs]


def _apply(node: Expression, arguments: list[T], inputs: Mapping[str, T], numbers: NumberSystem[T]) -> T:
    match node.operation:
        case "input":
            return inputs[node.attribute]
        case "constant":
            return numbers.constant(node.attribute)
        case "add":
            return numbers.add(*arguments)
        case "product":
            return numbers.product(arguments[0], arguments[1], *node.attribute)
        case "sum":
            return numbers.sum(arguments[0], node.attribute)
        case "take":
            return numbers.take(arguments[0], node.attribute)
        case "put":
            return numbers.put(arguments[0], node.attribute, node.shape)
        case "reciprocal":
            return numbers.reciprocal(arguments[0])
        case _:
            return numbers.reshape(arguments[0], node.shape)


ONE_STEP = ["einsum_path", (0, 1)]  # lets einsum use BLAS where it can


def _array(value: Any, *of: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """An array again, of the kind of those that it was made of: NumPy makes an int of 64 bits of a number."""
    return np.asarray(value, dtype=np.result_type(*of))


@dataclass(frozen=True)
class NumPyNumbers(Generic[T]):
    """Plain NumPy arrays of one dtype: float64, or object arrays of any exact or high-precision number.

    ``convert`` makes a number of the wanted kind from an exact constant (int or Fraction); ``float`` by
    default.
    """

    convert: Callable[[Any], Any] = float

    def constant(self, values: Constants) -> npt.NDArray[Any]:
        if self.convert is float:
            return values.astype(np.float64)
        exact = np.empty(values.shape, dtype=object)
        exact.reshape(-1)[:] = [self.convert(v) for v in values.ravel().tolist()]
        return exact

    def add(self, x: npt.NDArray[Any], y: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return _array(x + y, x, y)

    def product(self, x: npt.NDArray[Any], y: npt.NDArray[Any], a: str, b: str, out: str) -> npt.NDArray[Any]:
        return _array(np.einsum(f"{a},{b}->{out}", x, y, optimize=ONE_STEP), x, y)

    def sum(self, x: npt.NDArray[Any], axes: tuple[int, ...]) -> npt.NDArray[Any]:
        return _array(x.sum(axis=axes), x)

    def take(self, x: npt.NDArray[Any], indices: Indices) -> npt.NDArray[Any]:
        return _array(x.reshape(-1)[indices], x)

    def put(self, x: npt.NDArray[Any], indices: Indices, shape: Shape) -> npt.NDArray[Any]:
        result = np.zeros(prod(shape), dtype=x.dtype)
        np.add.at(result, indices.reshape(-1), x.reshape(-1))
        return result.reshape(shape)

    def reshape(self, x: npt.NDArray[Any], shape: Shape) -> npt.NDArray[Any]:
        return x.reshape(shape)

    def reciprocal(self, x: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return _array(self.convert(1) / x, x)

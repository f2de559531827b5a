"""Values: mappings that cannot be changed, digests of expressions, and graphs as lists.

What is built once and handed on compares by value, in every process alike; a graph is written down as the
list of its nodes, however deep it is.
"""

from __future__ import annotations

import copyreg
from collections.abc import Iterable, Mapping, Sequence
from hashlib import blake2b
from typing import Any, NoReturn, TypeVar

import numpy as np

from conslaw.algebra.evaluation import topological_order
from conslaw.algebra.expressions import (
    Constants,
    Expression,
    Indices,
    Shape,
    _reshape,
    as_expression,
    stopped,
    summed,
)
from conslaw.errors import ConslawError

K = TypeVar("K")
V = TypeVar("V")
Nodes = list[tuple[str, tuple[int, ...], Any, Shape]]


def _refuse(*_: object, **__: object) -> NoReturn:
    raise ConslawError("models and flows cannot be changed: make another one (dataclasses.replace)")


class Frozen(dict[K, V]):
    """A dictionary that cannot be changed."""

    __setitem__ = __delitem__ = __ior__ = _refuse
    clear = pop = popitem = setdefault = update = _refuse

    def __reduce__(self) -> Any:
        return Frozen, (dict(self),)


class FrozenList(list[V]):
    """A list that cannot be changed."""

    __setitem__ = __delitem__ = __iadd__ = __imul__ = _refuse
    append = extend = insert = pop = remove = clear = sort = reverse = _refuse

    def __reduce__(self) -> Any:
        return FrozenList, (list(self),)


def frozen(value: Any) -> Any:
    """The same value, all that is in it such that it cannot be changed."""
    if isinstance(value, Mapping):
        return Frozen({name: frozen(x) for name, x in value.items()})
    if isinstance(value, list):
        return FrozenList(frozen(x) for x in value)
    if isinstance(value, tuple):
        return tuple(frozen(x) for x in value)
    if isinstance(value, np.ndarray) and value.flags.writeable:
        value = value.copy()
        value.flags.writeable = False
    return value


def digest(value: object) -> str:
    """A digest of a value made of expressions, arrays, mappings, sequences, numbers and text."""
    found = list[Expression]()
    content = repr(_written(value, found)) + repr(digests(found))  # of all at once: they share most
    return blake2b(content.encode(), digest_size=20).hexdigest()


def _written(value: object, found: list[Expression]) -> Any:
    """The value in plain terms; expressions by number."""
    if isinstance(value, Expression):
        found.append(value)
        return ("expression", len(found))
    if isinstance(value, Mapping):
        return [(_written(name, found), _written(x, found)) for name, x in value.items()]
    if isinstance(value, np.ndarray):
        return (value.shape, [_written(x, found) for x in value.reshape(-1).tolist()])
    if isinstance(value, list | tuple):
        return [_written(x, found) for x in value]
    return (type(value).__name__, value.digest) if hasattr(value, "digest") else (str(value),)


def digests(outputs: Sequence[Expression]) -> list[str]:
    """A digest of each of these expressions; equal for graphs that are equal as trees."""
    made = dict[int, str]()
    for node in topological_order(outputs):
        attribute = node.attribute
        if node.operation == "constant":
            attribute = [str(v) for v in attribute.reshape(-1).tolist()]
        elif isinstance(attribute, np.ndarray):
            attribute = blake2b(np.ascontiguousarray(attribute, dtype="<i8").tobytes()).hexdigest()
        content = (node.operation, [made[id(x)] for x in node.args], attribute, node.shape)
        made[id(node)] = blake2b(repr(content).encode(), digest_size=20).hexdigest()
    return [made[id(x)] for x in outputs]


def form(outputs: Sequence[Expression], names: Mapping[str, str]) -> Any:
    """What graphs share that differ in the names of inputs; those not in ``names`` are numbered in order."""
    order = topological_order(outputs)
    place, numbers = {id(x): i for i, x in enumerate(order)}, dict[str, int]()

    def attribute(x: Expression) -> Any:
        if x.operation == "input":
            return names.get(x.attribute) or numbers.setdefault(x.attribute, len(numbers))
        if x.operation == "constant":
            return tuple(x.attribute.reshape(-1).tolist())
        return x.attribute.tobytes() if isinstance(x.attribute, np.ndarray) else x.attribute

    nodes = tuple((x.operation, tuple(place[id(y)] for y in x.args), attribute(x), x.shape) for x in order)
    return (nodes, tuple(place[id(x)] for x in outputs))


def as_nodes(outputs: Iterable[Expression]) -> tuple[Nodes, list[int]]:
    """The nodes of some graphs, each after its arguments, and the positions of the outputs."""
    outputs = list(outputs)
    order = topological_order(outputs)
    place = {id(x): i for i, x in enumerate(order)}
    nodes = [(x.operation, tuple(place[id(y)] for y in x.args), x.attribute, x.shape) for x in order]
    return nodes, [place[id(x)] for x in outputs]


def from_nodes(nodes: Nodes, outputs: Sequence[int]) -> list[Expression]:
    """The outputs of such a list."""
    made = list[Expression]()
    for operation, arguments, attribute, shape in nodes:
        made.append(Expression(operation, tuple(made[i] for i in arguments), attribute, shape))
    return [made[i] for i in outputs]


def _one_from_nodes(nodes: Nodes, outputs: Sequence[int]) -> Expression:
    return from_nodes(nodes, outputs)[0]


copyreg.pickle(Expression, lambda x: (_one_from_nodes, as_nodes([x])))


class Graphs:
    """The number system of expressions: to evaluate a graph over it is to put expressions for its inputs."""

    def at(self, node: Expression) -> None:
        """Called before each node."""
        self.node = node

    def constant(self, values: Constants) -> Expression:
        return as_expression(values)

    def add(self, x: Expression, y: Expression) -> Expression:
        return Expression("add", (x, y), None, x.shape)

    def product(self, x: Expression, y: Expression, a: str, b: str, out: str) -> Expression:
        sizes = dict(zip(a + b, x.shape + y.shape, strict=True))
        return Expression("product", (x, y), (a, b, out), tuple(sizes[c] for c in out))

    def sum(self, x: Expression, axes: tuple[int, ...]) -> Expression:
        return summed(x, axes)

    def take(self, x: Expression, indices: Indices) -> Expression:
        return Expression("take", (x,), indices, indices.shape)

    def put(self, x: Expression, indices: Indices, shape: Shape) -> Expression:
        return Expression("put", (x,), indices, shape)

    def reshape(self, x: Expression, shape: Shape) -> Expression:
        if self.node.operation == "stop":  # the identity of every other number system, but not of gradients
            return stopped(x)
        return _reshape(x, shape)

    def reciprocal(self, x: Expression) -> Expression:
        return Expression("reciprocal", (x,), None, x.shape)

"""A model read as a chain of affine layers with gates between them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

import numpy as np

from conslaw.algebra.expressions import Expression
from conslaw.attained.enclosures import Array
from conslaw.attained.functions import GATES
from conslaw.attained.given import views_of
from conslaw.models.potential import Model

HOMOGENEOUS = ("relu", "leaky_relu", "abs")  # gates of two values, apart at 0: s z has the law of each unit


@dataclass(frozen=True)
class Layer:
    """z = W h + b: the names of its arrays, and the number of the reading of the gate that follows."""

    weight: str
    transposed: bool
    bias: str | None
    gate: int | None

    def matrix(self, arrays: Mapping[str, Array]) -> Array:
        """W, (outputs, inputs)."""
        return arrays[self.weight].T if self.transposed else arrays[self.weight]


@dataclass(frozen=True)
class Chain:
    """The layers from the input on, and the data array that goes in; all entries of it are free."""

    layers: tuple[Layer, ...]
    source: str


def chain_of(model: Model) -> Chain | None:
    """The layers of a model, if it is such a chain, each array is in one place, and any vector goes in and
    multiplies what comes out; None if not, or if there is no gate.
    """
    top = _pair(model.potential)
    if top is None or model.potential.shape != ():
        return None
    if model.potential.attribute[0] != model.potential.attribute[1]:
        return None
    for free, node in (top, top[::-1]):
        if _is_data(model, free) and free.shape == node.shape:
            found = _layers(model, node)
            return None if found is None or found.source == free.attribute else found
    return None


def _layers(model: Model, node: Expression) -> Chain | None:
    gates = {r.data[0]: i for i, r in enumerate(model.readings) if r.operation in HOMOGENEOUS}
    made, gate = list[Layer](), None
    while True:
        node, bias = _bare(node), None
        if node.operation == "add":
            names = [_bias(model, x) for x in node.args]
            if (names[0] is None) == (names[1] is None):
                return None
            bias, node = names[0] or names[1], _bare(node.args[names[0] is not None])
        pair = _pair(node)
        if pair is None:
            return None
        matrix = next((i for i in (0, 1) if _is_parameter(model, pair[i]) and pair[i].ndim == 2), None)
        if matrix is None:
            return None
        transposed = _contracted(node, matrix)
        if transposed is None:
            return None
        made.append(Layer(str(pair[matrix].attribute), transposed, bias, gate))
        node = _bare(pair[1 - matrix])
        if _is_data(model, node):
            break
        pair = _pair(node)
        side = next((i for i in (0, 1) if pair and pair[i].attribute in gates), None)
        if pair is None or side is None or pair[side].operation != "input" or pair[0].shape != pair[1].shape:
            return None
        if node.attribute[0] != node.attribute[1] or node.attribute[1] != node.attribute[2]:
            return None
        gate, node = gates[pair[side].attribute], pair[1 - side]
        values = GATES[model.readings[gate].operation](**model.readings[gate].options).gates()
        if values[0] == values[1]:
            return None
    own = [*(x.weight for x in made), *(x.bias for x in made if x.bias is not None)]
    views = [at for name, (_, at) in views_of(model).items() if name == node.attribute]
    repeated = any(np.unique(at).size < at.size for at in views)
    if sorted(own) != sorted(model.parameters) or repeated or len(views_of(model)) > 1:
        return None
    used = sorted(x.gate for x in made if x.gate is not None)
    if not used or used != [*range(len(model.readings))]:  # others may stand at either end, and are not free
        return None
    return Chain(tuple(made[::-1]), str(node.attribute))


def _pair(x: Expression) -> tuple[Expression, Expression] | None:
    return (x.args[0], x.args[1]) if x.operation == "product" else None


def _is_data(model: Model, x: Expression) -> bool:
    return x.operation == "input" and x.attribute in model.data


def _is_parameter(model: Model, x: Expression) -> bool:
    return x.operation == "input" and x.attribute in model.parameters


def _bare(x: Expression) -> Expression:
    """Without changes of the shape: entries keep their order."""
    while x.operation == "reshape":
        x = x.args[0]
    return x


def _bias(model: Model, x: Expression) -> str | None:
    """The name of a vector of parameters, if that is all there is, with axes of length 1."""
    x, pair = _bare(x), _pair(_bare(x))
    if pair is not None and prod(x.shape) == max(x.shape, default=0):
        ones = [i for i in (0, 1) if pair[i].operation == "constant" and (pair[i].attribute == 1).all()]
        if not ones or prod(pair[1 - ones[0]].shape) != prod(x.shape):
            return None
        x = _bare(pair[1 - ones[0]])
    return str(x.attribute) if _is_parameter(model, x) and x.ndim == 1 else None


def _contracted(x: Expression, matrix: int) -> bool | None:
    """Whether a product with a matrix of a vector, which may have axes of length 1, sums over the first axis
    of the matrix (or over the second); None if it is another product.
    """
    own, other, out = x.attribute[matrix], x.attribute[1 - matrix], x.attribute[2]
    vector = x.args[1 - matrix]
    for transposed, (along, kept) in ((True, own), (False, own[::-1])):
        sums = along in other and along not in out and kept in out and kept not in other
        if sums and prod(vector.shape) == vector.shape[other.index(along)]:
            return transposed
    return None

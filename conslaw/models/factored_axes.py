"""Axes in factors: a model whose code reshapes an axis into several, as one of arrays that have these axes.

A matrix of queries of which the product is reshaped to (heads, size) is an array (heads, size, width): in C
order nothing moves, and each of the axes is treated alike by the code.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

from conslaw.algebra.evaluation import topological_order
from conslaw.algebra.expressions import LETTERS, Expression, Shape, input_array
from conslaw.algebra.uniform_axes import axes_kept
from conslaw.models.potential import Model


class Unfactored(Exception):  # noqa: N818
    """Axes whose factors do not fit together."""


@dataclass(eq=False)
class Axis:
    """An axis of one or several arrays, and the axes that it is made of, once it is known to be so."""

    length: int
    same: Axis | None = None
    factors: list[Axis] = field(default_factory=list)

    def atoms(self) -> list[Axis]:
        """The axes of which it is made in the end."""
        if self.same:
            return self.same.atoms()
        return [atom for factor in self.factors for atom in factor.atoms()] or [self]


def in_factors(whole: Model) -> Model | None:
    """The same function of arrays of more axes; None if no axis of a parameter array has factors."""
    order = topological_order([whole.potential])
    axes = {id(x): [Axis(n) for n in x.shape] for x in order}
    arrays = {x.attribute: axes[id(x)] for x in order if x.operation == "input"}
    try:
        for node in order:
            _tie(node, axes)
    except Unfactored:
        return None
    rows = [[atom for axis in axes[id(x)] for atom in axis.atoms()] for x in order]
    composite = [x.atoms() for name in whole.parameters for x in arrays.get(name, ())]
    if not any(_told_apart(rows, one, two) for some in composite for one, two in pairwise(some)):
        return None  # reshaped, and back again
    made = dict[int, Expression]()
    for node in order:
        if (code := _code(node, axes, made)) is None:
            return None
        made[id(node)] = code
    shapes = {
        name: _shape(arrays[name]) if name in arrays else shape
        for name, shape in {**whole.parameters, **whole.data}.items()
    }
    return replace(
        whole,
        name=whole.name if "pieces" in whole.arguments else f"{whole.name}, in pieces",
        parameters={name: shapes[name] for name in whole.parameters},
        data={name: shapes[name] for name in whole.data},
        potential=made[id(whole.potential)],
        arguments={"pieces": {}}
        | {k: whole.arguments[k] for k in ("names", "pieces") if k in whole.arguments},
    )


def _told_apart(rows: Sequence[Sequence[Axis]], one: Axis, two: Axis) -> bool:
    """Whether two axes do not always stand side by side, in this order."""
    for row in rows:
        before = [i for i, x in enumerate(row) if x is one]
        if [i + 1 for i in before] != [i for i, x in enumerate(row) if x is two]:
            return True
    return False


def _shape(axes: Sequence[Axis]) -> Shape:
    return tuple(atom.length for axis in axes for atom in axis.atoms())


def _tie(node: Expression, axes: dict[int, list[Axis]]) -> None:
    """What a step of the code says of the axes of its result and its arguments."""
    own, before = axes[id(node)], [axes[id(x)] for x in node.args]
    if node.operation == "add":
        for x in before:
            _match(own, x)
    elif node.operation == "product":
        known = dict[str, Axis]()
        for letters, some in zip(node.attribute, [*before, own], strict=True):
            for letter, axis in zip(letters, some, strict=True):
                _match([known.setdefault(letter, axis)], [axis])
    elif node.operation == "sum":
        _match(own, [x for i, x in enumerate(before[0]) if i not in node.attribute])
    elif node.operation == "take":
        for i, j in axes_kept(node.attribute, node.args[0].shape):
            _match([before[0][i]], [own[j]])
    elif node.operation == "put":
        for i, j in axes_kept(node.attribute, node.shape):
            _match([own[i]], [before[0][j]])
    elif node.operation == "reshape":
        _match(own, before[0])


def _match(one: Sequence[Axis], two: Sequence[Axis]) -> None:
    """Make two lists of axes, of which the products of lengths agree, those of one array in C order."""
    left, right = ([x for axis in some for x in axis.atoms() if x.length > 1][::-1] for some in (one, two))
    while left and right:
        a, b = left.pop(), right.pop()
        if a.atoms() != [a] or b.atoms() != [b]:  # it was matched since, with the transpose of the array
            left += a.atoms()[::-1]
            right += b.atoms()[::-1]
            continue
        if a is b:
            continue
        if a.length == b.length:
            a.same = b
            continue
        (small, large), rest = ((a, b), right) if a.length < b.length else ((b, a), left)
        if large.length % small.length:
            raise Unfactored
        large.factors = [Axis(small.length), Axis(large.length // small.length)]
        small.same = large.factors[0]
        rest.append(large.factors[1])
    if left or right:
        raise Unfactored


def _code(node: Expression, axes: dict[int, list[Axis]], made: dict[int, Expression]) -> Expression | None:
    """The same step on arrays in factors; None if there are too many axes."""
    shape, inner = _shape(axes[id(node)]), tuple(made[id(x)] for x in node.args)
    if len(shape) > len(LETTERS) // 3:
        return None
    attribute = node.attribute
    if node.operation == "input":
        return input_array(attribute, shape)
    if node.operation == "reshape" and inner[0].shape == shape:
        return inner[0]
    if node.operation == "constant" or node.operation == "take":
        attribute = attribute.reshape(shape)
    elif node.operation == "put":
        attribute = attribute.reshape(inner[0].shape)
    elif node.operation == "sum":
        ends = [0]
        for axis in axes[id(node.args[0])]:
            ends.append(ends[-1] + len(axis.atoms()))
        attribute = tuple(k for i in node.attribute for k in range(ends[i], ends[i + 1]))
    elif node.operation == "product":
        known, free = dict[str, str](), iter(LETTERS)
        for letters, array in zip(node.attribute, (*node.args, node), strict=True):
            for letter, axis in zip(letters, axes[id(array)], strict=True):
                if letter not in known:
                    known[letter] = "".join(next(free) for _ in axis.atoms())
        attribute = tuple("".join(known[letter] for letter in letters) for letters in node.attribute)
    return Expression(node.operation, inner, attribute, shape)

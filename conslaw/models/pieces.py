"""Arrays in pieces: a model whose arrays are concatenated or sliced, as one of the arrays that they are made
of.

A flat vector that is cut to matrices, a layer that reads all layers before it: the code treats parts of an
axis differently, but each part alike.  Cut at the places where slices and concatenations begin and end,
every array falls into pieces; the same function of the pieces treats each of their axes alike.  So what is
known of networks of any width (:mod:`conslaw.algebra.uniform_axes`) holds for these too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from itertools import product
from math import prod
from operator import add
from typing import Any

import numpy as np

from conslaw.algebra.einsum import einsum
from conslaw.algebra.evaluation import evaluate, topological_order
from conslaw.algebra.expressions import (
    LETTERS,
    Constants,
    Expression,
    Indices,
    Shape,
    as_expression,
    input_array,
)
from conslaw.models.piece_cuts import Cuts
from conslaw.models.potential import Model
from conslaw.models.readings import Reading

MOST_SUMMANDS = 10**4  # of a sum that is looked through, with its partial sums


def in_pieces(whole: Model, given: Mapping[str, Shape]) -> tuple[Model, dict[str, str]] | None:
    """The same function of the pieces of its arrays, named by where they begin and end, and the parameter
    array that each is of; None if no parameter array falls into pieces.

    ``given`` has the shapes of the parameter arrays before their axes were factored.  ``arguments["pieces"]``
    of the model has, for each piece, the array that it is of, in which shape that is read, and where the
    piece begins and ends on each of these axes.
    """
    cuts = Cuts()
    inputs = {name: cuts.array(shape) for name, shape in {**whole.parameters, **whole.data}.items()}
    evaluate([whole.potential], inputs, cuts)
    cuts.spread()
    blocks = Blocks(cuts)
    shapes, ends = dict[str, Shape](), dict[str, list[Any]]()
    shown, names = dict[str, str](), whole.arguments.get("names", {})

    def array(name: str, shape: Shape) -> Cut:
        axes = blocks.next_axes(shape)
        made = dict[tuple[int, ...], Expression]()
        for place, own in blocks.places(axes):
            index = [f"{a}_{b}" for (a, b), n in zip(own, shape, strict=True) if b - a < n]
            piece = "_".join([name, *index])
            shapes[piece] = tuple(b - a for a, b in own)
            ends[piece] = [name, list(shape), [list(pair) for pair in own]]
            read = f".reshape{shape}" if index and given.get(name, shape) != shape else ""
            shown[piece] = names.get(name, name) + read + _slices(own, shape)
            made[place] = input_array(piece, shapes[piece])
        return Cut(axes, shape, made)

    arrays = {name: array(name, shape) for name, shape in {**whole.parameters, **whole.data}.items()}
    parameters = {n: name for name in whole.parameters for n in _names(arrays[name])}
    whole_still = list(parameters) == list(whole.parameters)
    if whole_still or len(shapes) < sum(len(x.blocks) for x in arrays.values()):
        return None  # the latter if a name stands for two pieces
    [value] = evaluate([whole.potential], arrays, blocks)
    potential, shapes = _reshaped(value.blocks.get((), as_expression(0)), shapes)
    data = {n: shapes[n] for name in whole.data for n in _names(arrays[name])}
    name = whole.name if "pieces" in whole.arguments else f"{whole.name}, in pieces"
    own = {n: shapes[n] for n in parameters}
    used = {x.attribute for x in topological_order([potential]) if x.operation == "input"}
    for unused in (n for n in own if n not in used):  # each of its entries is conserved: the code says so
        potential = potential + 0 * input_array(unused, own[unused]).sum()
    known: dict[str, Any] = {"names": {**names, **{n: shown[n] for n in own}}} if names else {}
    arguments = known | {"pieces": {n: ends[n] for n in own}}
    readings = tuple(_in_pieces(reading, arrays) for reading in whole.readings)
    made = replace(
        whole,
        name=name,
        parameters=own,
        data=data,
        potential=potential,
        arguments=arguments,
        readings=readings,
    )
    return made, parameters


def _in_pieces(reading: Reading, arrays: Mapping[str, Cut]) -> Reading:
    """The same reading, its free data by the names of their pieces."""
    data, slopes = (
        tuple(piece for name in names for piece in _names(arrays[name]))
        for names in (reading.data, reading.slopes)
    )
    return replace(reading, data=data, slopes=slopes)


def _slices(own: Sequence[tuple[int, int]], shape: Shape) -> str:
    """How a piece is written as a part of the whole array: ``[0:8]``."""
    parts = ["" if b - a == n else f"{a}:{b}" for (a, b), n in zip(own, shape, strict=True)]
    while parts and not parts[-1]:
        parts.pop()
    return f"[{', '.join(part or ':' for part in parts)}]" if parts else ""


def _names(x: Cut) -> list[str]:
    return [piece.attribute for piece in x.blocks.values()]


def _reshaped(potential: Expression, shapes: Mapping[str, Shape]) -> tuple[Expression, dict[str, Shape]]:
    """The same with pieces that are used in another shape only of that shape."""
    order, uses = topological_order([potential]), dict[str, set[Shape]]()
    for node in order:
        for x in node.args:
            if x.operation == "input":
                uses.setdefault(x.attribute, set()).add(
                    node.shape if node.operation == "reshape" else x.shape
                )
    single = {name: shape for name, wanted in uses.items() if len(wanted) == 1 for shape in wanted}
    new, made = {**shapes, **single}, dict[int, Expression]()
    for node in order:
        if node.operation == "input":
            made[id(node)] = input_array(node.attribute, new[node.attribute])
        elif node.operation == "reshape" and made[id(node.args[0])].shape == node.shape:
            made[id(node)] = made[id(node.args[0])]
        else:
            made[id(node)] = Expression(
                node.operation, tuple(made[id(x)] for x in node.args), node.attribute, node.shape
            )
    return made[id(potential)], new


def with_data_apart(whole: Model) -> Model:
    """The same function of more data arrays: one for each part of a data array, if it is used in parts that
    have no entry in common.
    """
    order, uses = topological_order([whole.potential]), dict[str, list[Expression | None]]()
    for node in order:
        for x in node.args:
            if x.operation == "input" and x.attribute in whole.data:
                uses.setdefault(x.attribute, []).append(node if node.operation == "take" else None)
    made, data = dict[int, Expression](), dict[str, Shape]()
    for name, shape in whole.data.items():
        parts = [x for x in uses.get(name, []) if x is not None]
        places = [x.attribute.reshape(-1).tolist() for x in parts]
        every = [p for some in places for p in some]
        parts.sort(key=lambda x: x.attribute.min())
        if len(parts) < max(2, len(uses.get(name, []))) or len(set(every)) < len(every):
            data[name] = shape
            continue
        for k, x in enumerate(parts):
            data[f"{name}_part_{k}"] = x.shape
            made[id(x)] = input_array(f"{name}_part_{k}", x.shape)
    if len(data) < len(whole.data) + 1 or set(data) & set(whole.parameters):
        return whole
    for node in order:
        if id(node) not in made and node.operation == "input":
            made[id(node)] = node
        elif id(node) not in made:
            inner = tuple(made[id(x)] for x in node.args)
            made[id(node)] = Expression(node.operation, inner, node.attribute, node.shape)
    return replace(whole, data=data, potential=made[id(whole.potential)])


@dataclass(frozen=True)
class Cut:
    """An array in pieces; those not there are zero."""

    axes: tuple[int, ...]
    shape: Shape
    blocks: dict[tuple[int, ...], Expression]


class Blocks:
    """The number system of arrays in pieces.  Axes are numbered as :class:`Cuts` does it."""

    def __init__(self, cuts: Cuts) -> None:
        self.cuts, self.next = cuts, 0

    def next_axes(self, shape: Shape) -> tuple[int, ...]:
        """The axes of the next array."""
        self.next += len(shape)
        return tuple(range(self.next - len(shape), self.next))

    def places(self, axes: Sequence[int]) -> list[tuple[tuple[int, ...], tuple[tuple[int, int], ...]]]:
        """The numbers of the pieces of an array along its axes, and where they begin and end."""
        segments = [self.cuts.segments(i) for i in axes]
        numbers = product(*(range(len(s)) for s in segments))
        return [(n, tuple(s[k] for s, k in zip(segments, n, strict=True))) for n in numbers]

    def constant(self, values: Constants) -> Cut:
        axes, made = self.next_axes(values.shape), dict[tuple[int, ...], Expression]()
        for place, own in self.places(axes):
            part = values[tuple(slice(a, b) for a, b in own)]
            if np.any(part != 0):
                made[place] = as_expression(part)
        return Cut(axes, values.shape, made)

    def add(self, x: Cut, y: Cut) -> Cut:
        both = [p for p, _ in self.places(x.axes) if p in x.blocks or p in y.blocks]
        made = {p: reduce(add, [z.blocks[p] for z in (x, y) if p in z.blocks]) for p in both}
        return Cut(x.axes, x.shape, made)

    def product(self, x: Cut, y: Cut, a: str, b: str, out: str) -> Cut:
        sizes = dict(zip(a + b, x.shape + y.shape, strict=True))
        axes = {**dict(zip(b, y.axes, strict=True)), **dict(zip(a, x.axes, strict=True))}
        terms = dict[tuple[int, ...], list[Expression]]()
        for (p, u), (q, v) in product(x.blocks.items(), y.blocks.items()):
            where = dict(zip(a, p, strict=True))
            if all(where.setdefault(c, k) == k for c, k in zip(b, q, strict=True)):
                piece = einsum(f"{a},{b}->{out}", u, v)
                terms.setdefault(tuple(where[c] for c in out), []).append(piece)
        made = {p: reduce(add, pieces) for p, pieces in terms.items()}
        return Cut(tuple(axes[c] for c in out), tuple(sizes[c] for c in out), made)

    def sum(self, x: Cut, axes: tuple[int, ...]) -> Cut:
        left, letters = [i for i in range(len(x.shape)) if i not in axes], LETTERS[: len(x.shape)]
        terms = dict[tuple[int, ...], list[Expression]]()
        for p, u in x.blocks.items():
            summed = einsum(f"{letters}->{''.join(letters[i] for i in left)}", u)
            terms.setdefault(tuple(p[i] for i in left), []).append(summed)
        made = {p: reduce(add, pieces) for p, pieces in terms.items()}
        return Cut(tuple(x.axes[i] for i in left), tuple(x.shape[i] for i in left), made)

    def take(self, x: Cut, indices: Indices) -> Cut:
        axes, made = self.next_axes(indices.shape), dict[tuple[int, ...], Expression]()
        for place, own in self.places(axes):
            positions = indices[tuple(slice(a, b) for a, b in own)]
            found = self._inside(x.axes, x.shape, positions)
            if found is None:
                return self._split(_take(self._assembled(x), indices), axes)
            if found[0] in x.blocks:
                made[place] = _take(x.blocks[found[0]], found[1])
        return Cut(axes, indices.shape, made)

    def put(self, x: Cut, indices: Indices, shape: Shape) -> Cut:
        axes, terms = self.next_axes(shape), dict[tuple[int, ...], list[Expression]]()
        for place, own in self.places(x.axes):
            positions = indices[tuple(slice(a, b) for a, b in own)]
            found = self._inside(axes, shape, positions)
            if found is None:
                return self._split(_put(self._assembled(x), indices, shape), axes)
            if place in x.blocks:
                into = tuple(b - a for a, b in self._bounds(axes, found[0]))
                terms.setdefault(found[0], []).append(_put(x.blocks[place], found[1], into))
        return Cut(axes, shape, {p: reduce(add, pieces) for p, pieces in terms.items()})

    def reshape(self, x: Cut, shape: Shape) -> Cut:
        return self.take(x, np.arange(prod(shape)).reshape(shape))

    def reciprocal(self, x: Cut) -> Cut:
        return Cut(x.axes, x.shape, {p: 1 / u for p, u in x.blocks.items()})

    def _bounds(self, axes: Sequence[int], place: tuple[int, ...]) -> tuple[tuple[int, int], ...]:
        return tuple(self.cuts.segments(i)[k] for i, k in zip(axes, place, strict=True))

    def _inside(
        self, axes: Sequence[int], shape: Shape, positions: Indices
    ) -> tuple[tuple[int, ...], Indices] | None:
        """The piece that some positions in an array lie in, and the positions there; None if in several."""
        place, inner, sizes = [], [], []
        for i, c in zip(axes, np.unravel_index(positions, shape), strict=True):
            segments = self.cuts.segments(i)
            low, high = int(c.min()), int(c.max())
            k = next(k for k, (a, b) in enumerate(segments) if a <= low < b)
            if high >= segments[k][1]:
                return None
            place.append(k)
            inner.append(c - segments[k][0])
            sizes.append(segments[k][1] - segments[k][0])
        local = np.ravel_multi_index(inner, sizes) if shape else positions
        return tuple(place), np.asarray(local, dtype=np.intp)

    def _assembled(self, x: Cut) -> Expression:
        """The array as a whole."""
        grid = np.arange(prod(x.shape)).reshape(x.shape)
        parts = [
            _put(piece, grid[tuple(slice(a, b) for a, b in self._bounds(x.axes, place))], x.shape)
            for place, piece in x.blocks.items()
        ]
        return reduce(add, parts) if parts else as_expression(np.zeros(x.shape, dtype=np.int64))

    def _split(self, value: Expression, axes: tuple[int, ...]) -> Cut:
        grid = np.arange(value.size).reshape(value.shape)
        made = {
            place: _take(value, grid[tuple(slice(a, b) for a, b in own)]) for place, own in self.places(axes)
        }
        return Cut(axes, value.shape, made)


def _take(x: Expression, indices: Indices) -> Expression:
    if x.size == indices.size and (indices.reshape(-1) == np.arange(x.size)).all():
        return x.reshape(indices.shape)
    parts = _taken_back(x, indices)
    return reduce(add, parts) if parts else Expression("take", (x,), indices, indices.shape)


def _taken_back(x: Expression, indices: Indices) -> list[Expression] | None:
    """The arrays of which a sum is made at some positions, if all of it there was put there; else None.

    Halves of a head that were concatenated, and are cut again: a rotation of pairs.
    """
    parts, waiting, left = list[Expression](), [x], MOST_SUMMANDS
    while waiting and left:
        y, left = waiting.pop(), left - 1
        if y.operation == "add":
            waiting += y.args[::-1]
            continue
        if y.operation != "put":
            return None
        places = np.full(y.size, -1)
        places[y.attribute.reshape(-1)] = np.arange(y.args[0].size)
        inner = np.asarray(places[indices], dtype=np.intp)
        if (inner < 0).all():
            continue
        several = (places >= 0).sum() < y.args[0].size
        if several or (inner < 0).any():
            return None
        parts.append(_take(y.args[0], inner))
    return None if waiting else parts


def _put(x: Expression, indices: Indices, shape: Shape) -> Expression:
    if x.size == prod(shape) and (indices.reshape(-1) == np.arange(x.size)).all():
        return x.reshape(shape)
    return Expression("put", (x,), indices, shape)

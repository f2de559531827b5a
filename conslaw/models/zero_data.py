"""A model some of whose data are zero, as array code that has no more of what vanishes with them.

An image of which one output pixel is looked at needs the few input pixels below it; all other data are zero,
and so is most of what the code makes of them.  Three passes over the code: which indices of each axis can be
other than zero; backwards, which of these are asked for; and the same code on the indices left.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import reduce
from math import prod
from typing import TypeAlias

import numpy as np

from conslaw.algebra.evaluation import evaluate, topological_order
from conslaw.algebra.expressions import (
    Expression,
    Indices,
    Shape,
    _put,
    _reshape,
    as_expression,
    input_array,
    taken,
)
from conslaw.models.fused_code import fused
from conslaw.models.live_indices import (
    Box,
    Live,
    Mask,
    asked_for,
    both,
    box_of,
    inside,
    letter_sets,
    positions,
    projections,
)
from conslaw.models.potential import Model

Kept: TypeAlias = Mapping[str, Sequence[Sequence[int] | None]]
"""For data arrays the indices of each axis that are left, None for all of them."""


def with_zero_data(whole: Model, kept: Kept) -> Model | None:
    """The model with all data zero but those with these indices; arrays not named are left as they are.

    Its potential is f(parameters; data) at such data, in the data that are left and matter; its parameters
    are those of the whole, or if they are named their entries with these indices, all others being zero.
    None if the potential vanishes.
    """
    order, (_, boxes) = topological_order([whole.potential]), _boxes(whole, kept, whole.parameters)
    made, data = dict[int, Expression](), dict[str, Shape]()
    for node in order:
        box = boxes[id(node)]
        if box is None:
            continue
        if node.operation == "input":
            shape = tuple(int(axis.sum()) for axis in box)
            made[id(node)] = input_array(node.attribute, shape)
            if node.attribute in whole.data:
                data[node.attribute] = shape
        else:
            made[id(node)] = _rebuilt(node, box, boxes, made)
    if id(whole.potential) not in made:
        return None
    data = {name: data[name] for name in whole.data if name in data}
    own = {
        name: tuple(int(m.sum()) for m in box_of(s, kept.get(name)) or ())
        for name, s in whole.parameters.items()
    }
    return replace(whole, parameters=own, data=data, potential=fused(made[id(whole.potential)]))


def data_that_matter(whole: Model, kept: Kept) -> dict[str, Box]:
    """The indices of each data array, of those kept, on which the potential depends."""
    return {
        n: box
        for n, box in boxes_that_matter(whole, kept, parameters=whole.parameters).items()
        if n in whole.data
    }


def boxes_that_matter(
    whole: Model, kept: Kept, parameters: Mapping[str, Shape] | None = None
) -> dict[str, Box]:
    """The same of all arrays that the code uses; of parameters named all indices."""
    _, boxes = _boxes(whole, kept, parameters or {})
    nodes = topological_order([whole.potential])
    return {x.attribute: boxes[id(x)] for x in nodes if x.operation == "input"}


def positions_left(whole: Model, kept: Kept) -> dict[str, Indices]:
    """Where in the data arrays of the whole those of the model with zero data are."""
    return {
        name: positions(whole.data[name])[np.ix_(*box)].reshape(-1) if box else np.zeros(1, dtype=np.intp)
        for name, box in data_that_matter(whole, kept).items()
        if box is not None
    }


def _boxes(
    whole: Model, kept: Kept, parameters: Mapping[str, Shape]
) -> tuple[dict[int, Box], dict[int, Box]]:
    """For each node of the code the indices that can be other than zero, and of these those that are asked
    for; all of the parameters named.
    """
    order = topological_order([whole.potential])
    arrays = {**whole.parameters, **whole.data}
    inputs = {name: box_of(shape, kept.get(name)) for name, shape in arrays.items()}
    live = dict(zip(map(id, order), evaluate(order, inputs, Live()), strict=True))
    return live, asked_for(order, live, parameters)


def _rebuilt(
    node: Expression,
    box: Sequence[Mask],
    boxes: Mapping[int, Box],
    made: Mapping[int, Expression],
) -> Expression:
    """A node on the indices of its box, from its arguments on those of theirs."""
    if node.operation == "constant":
        return as_expression(node.attribute[np.ix_(*box)] if box else node.attribute)
    given = [(made[id(x)], boxes[id(x)]) for x in node.args if boxes[id(x)] is not None]
    if not given or (node.operation == "product" and len(given) < 2):  # nothing of it is left
        return as_expression(np.zeros(tuple(int(m.sum()) for m in box), dtype=np.int64))
    (x, of_x), *others = [(e, b) for e, b in given if b is not None]
    if node.operation == "add":
        parts = [_fitted(e, b, box) for e, b in [(x, of_x), *others]]
        return reduce(lambda one, other: one + other, parts)
    if node.operation == "product":
        [(y, of_y)], (a, b, out) = others, node.attribute
        sets = letter_sets(of_x, of_y, a, b)
        sets |= dict(zip(out, box, strict=True))
        x, y = (_fitted(e, m, [sets[c] for c in s]) for e, m, s in ((x, of_x, a), (y, of_y, b)))
        return Expression("product", (x, y), node.attribute, tuple(int(sets[c].sum()) for c in out))
    if node.operation == "sum":
        left = iter(box)
        x = _fitted(x, of_x, [m if i in node.attribute else next(left) for i, m in enumerate(of_x)])
        return Expression("sum", (x,), node.attribute, tuple(int(m.sum()) for m in box))
    shape = tuple(int(m.sum()) for m in box)
    if node.operation == "put":
        places = np.unravel_index(node.attribute[np.ix_(*of_x)] if of_x else node.attribute, node.shape)
        x, targets = _picked(x, inside(places, box, x.shape), places)
        return _put(x, _ranked(targets, box, x.shape), shape)
    indices = positions(node.shape) if node.operation == "reshape" else node.attribute
    if node.operation == "reshape" and all(m.all() for m in (*box, *of_x)):
        return _reshape(x, node.shape)
    sources = np.unravel_index(indices[np.ix_(*box)] if box else indices, node.args[0].shape)
    used = inside(sources, of_x, shape)
    where, *inner = _chosen(used, [positions(shape), *sources])
    moved = taken(x, _ranked(inner, of_x, where.shape))
    return moved if used.all() else _put(moved, where, shape)


def _fitted(x: Expression, box: Sequence[Mask], wanted: Sequence[Mask]) -> Expression:
    """An array on the indices of another box, zero where it has none."""
    inner = both(box, wanted)
    for i, (m, common) in enumerate(zip(box, inner, strict=True)):
        if common.sum() < m.sum():
            x = x[(slice(None),) * i + (np.flatnonzero(common[m]),)]
    if all((a == b).all() for a, b in zip(inner, wanted, strict=True)):
        return x
    shape = tuple(int(m.sum()) for m in wanted)
    return _put(x, positions(shape)[np.ix_(*(a[b] for a, b in zip(inner, wanted, strict=True)))], shape)


def _chosen(used: Mask, arrays: Sequence[Indices]) -> list[Indices]:
    """The marked entries of some arrays: as arrays of as many axes if they form a box, else in a row."""
    axes = projections(used)
    if used.ndim and used.sum() == prod(int(m.sum()) for m in axes):
        return [x[np.ix_(*axes)] for x in arrays]
    return [x[used] if used.ndim else x for x in arrays]


def _picked(x: Expression, used: Mask, arrays: Sequence[Indices]) -> tuple[Expression, list[Indices]]:
    if used.all():
        return x, list(arrays)
    where, *left = _chosen(used, [positions(x.shape), *arrays])
    return taken(x, where), left


def _ranked(coordinates: Sequence[Indices], box: Sequence[Mask], shape: Shape) -> Indices:
    """Flat positions within a box."""
    if not coordinates:
        return np.zeros(shape, dtype=np.intp)
    ranks = [(np.cumsum(m) - 1)[c] for m, c in zip(box, coordinates, strict=True)]
    return np.asarray(np.ravel_multi_index(ranks, [int(m.sum()) for m in box]), dtype=np.intp)

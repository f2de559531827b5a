"""Which indices of each axis of the arrays in some code can be other than zero, and which are asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce
from math import prod
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from conslaw.algebra.expressions import Constants, Expression, Indices, Shape

Mask: TypeAlias = npt.NDArray[np.bool_]
Box: TypeAlias = tuple[Mask, ...] | None  # which indices of each axis; None for an array of zeros


def box_of(shape: Shape, kept: Sequence[Sequence[int] | None] | None) -> Box:
    """The box of some indices of each axis."""
    if kept is None:
        return whole_box(shape)
    masks = whole_box(shape)
    for mask, some in zip(masks, kept, strict=True):
        if some is not None:
            mask[:] = False
            mask[list(some)] = True
    return unless_empty(masks)


def is_dark(shape: Shape, left: Sequence[Sequence[int] | None] | None) -> Mask:
    """Which entries of an array are: those that are not left on all axes."""
    result, box = np.ones(shape, dtype=bool), box_of(shape, left)
    if box is not None:
        result[np.ix_(*box) if box else ()] = False
    return result


def whole_box(shape: Shape) -> tuple[Mask, ...]:
    """All indices of each axis."""
    return tuple(np.ones(n, dtype=bool) for n in shape)


def unless_empty(masks: Sequence[Mask]) -> Box:
    """A box, or None if it has no entry."""
    return tuple(masks) if all(m.any() for m in masks) else None


def both(x: Sequence[Mask], y: Sequence[Mask]) -> list[Mask]:
    """The indices that are in two boxes."""
    return [a & b for a, b in zip(x, y, strict=True)]


def inside(coordinates: Sequence[Indices], box: Sequence[Mask], shape: Shape) -> Mask:
    """Which of some positions lie in a box."""
    every = np.ones(shape, dtype=bool)
    return reduce(np.logical_and, (m[c] for m, c in zip(box, coordinates, strict=True)), every)


def projections(mask: Mask) -> list[Mask]:
    """For each axis which of its indices occur."""
    others = [tuple(j for j in range(mask.ndim) if j != i) for i in range(mask.ndim)]
    return [np.asarray(mask.any(axis=axes)) for axes in others]


def positions(shape: Shape) -> Indices:
    """The flat position of each entry."""
    return np.arange(prod(shape)).reshape(shape)


class OfConstant(tuple[Mask, ...]):
    """The box of a constant, which knows where the constant is zero: the windows of a convolution."""

    nonzero: Mask

    @staticmethod
    def of(values: Constants) -> OfConstant:
        box = OfConstant(projections(values != 0))
        box.nonzero = np.asarray(values != 0)
        return box


class Live:
    """A number system: which indices of each axis can belong to entries that are not zero."""

    def constant(self, values: Constants) -> Box:
        return OfConstant.of(values) if (values != 0).any() else None

    def add(self, x: Box, y: Box) -> Box:
        if x is None or y is None:
            return y if x is None else x
        return tuple(a | b for a, b in zip(x, y, strict=True))

    def product(self, x: Box, y: Box, a: str, b: str, out: str) -> Box:
        if x is None or y is None:
            return None
        sets = tightened(letter_sets(x, y, a, b), (a, x), (b, y))
        return tuple(sets[c] for c in out) if all(m.any() for m in sets.values()) else None

    def sum(self, x: Box, axes: tuple[int, ...]) -> Box:
        return None if x is None else tuple(m for i, m in enumerate(x) if i not in axes)

    def take(self, x: Box, indices: Indices) -> Box:
        if x is None:
            return None
        coordinates = np.unravel_index(indices, tuple(map(len, x)))
        live = inside(coordinates, x, indices.shape)
        return tuple(projections(live)) if live.any() else None

    def put(self, x: Box, indices: Indices, shape: Shape) -> Box:
        if x is None:
            return None
        masks = [np.zeros(n, dtype=bool) for n in shape]
        for mask, c in zip(masks, np.unravel_index(indices[np.ix_(*x)], shape), strict=True):
            mask[c] = True
        return tuple(masks)

    def reshape(self, x: Box, shape: Shape) -> Box:
        return None if x is None else self.take(x, positions(shape))

    def reciprocal(self, x: Box) -> Box:
        raise ZeroDivisionError  # no potential has one


def letter_sets(x: Sequence[Mask], y: Sequence[Mask], a: str, b: str) -> dict[str, Mask]:
    """The indices of each letter of a product that both factors have."""
    sets = dict(zip(a, x, strict=True))
    for letter, mask in zip(b, y, strict=True):
        sets[letter] = sets[letter] & mask if letter in sets else mask
    return sets


def tightened(sets: Mapping[str, Mask], *factors: tuple[str, Sequence[Mask]]) -> dict[str, Mask]:
    """Of these indices of each letter those at which no factor that is constant vanishes."""
    result = dict(sets)
    for letters, box in factors:
        if isinstance(box, OfConstant) and letters:
            some, left = np.ix_(*(result[c] for c in letters)), np.zeros_like(box.nonzero)
            left[some] = box.nonzero[some]
            result |= dict(zip(letters, projections(left), strict=True))
    return result


def asked_for(
    order: Sequence[Expression], live: Mapping[int, Box], whole: Mapping[str, Shape]
) -> dict[int, Box]:
    """The live indices of each node that the last one needs; parameters are kept as a whole."""
    needed: dict[int, list[Mask]] = {id(order[-1]): []}
    boxes: dict[int, Box] = {}

    def need(node: Expression, masks: Sequence[Mask]) -> None:
        known = needed.setdefault(id(node), [np.zeros(n, dtype=bool) for n in node.shape])
        needed[id(node)] = [a | b for a, b in zip(known, masks, strict=True)]

    for node in reversed(order):
        own = live[id(node)]
        if own is None or id(node) not in needed:
            boxes[id(node)] = None
            continue
        if node.operation == "input" and node.attribute in whole:
            boxes[id(node)] = own
            continue
        box = boxes[id(node)] = unless_empty(both(own, needed[id(node)]))
        if box is not None:
            for x, masks in zip(node.args, needs(node, box, [live[id(x)] for x in node.args]), strict=True):
                if masks is not None:
                    need(x, masks)
    return boxes


def needs(node: Expression, box: Sequence[Mask], before: Sequence[Box]) -> list[Box]:
    """What a node in its box asks of its arguments, which are live as ``before`` says."""
    if node.operation == "add":
        return [None if x is None else tuple(both(box, x)) for x in before]
    if not before or any(x is None for x in before):
        return [None] * len(before)
    x = before[0]
    assert x is not None
    if node.operation == "product":
        a, b, out = node.attribute
        assert before[1] is not None
        sets = letter_sets(x, before[1], a, b)
        sets |= {c: sets[c] & m for c, m in zip(out, box, strict=True)}
        sets = tightened(sets, (a, x), (b, before[1]))
        return [tuple(sets[c] for c in letters) for letters in (a, b)]
    if node.operation == "sum":
        left = iter(box)
        return [tuple(m if i in node.attribute else m & next(left) for i, m in enumerate(x))]
    shape = node.args[0].shape
    if not shape:  # a single entry, asked for
        return [()]
    if node.operation == "put":
        coordinates = np.unravel_index(node.attribute[np.ix_(*x)], node.shape)
        used = projections(inside(coordinates, box, coordinates[0].shape))
        masks = [np.zeros(n, dtype=bool) for n in shape]
        for mask, m, some in zip(masks, x, used, strict=True):
            mask[np.flatnonzero(m)[some]] = True
        return [tuple(masks)]
    indices = node.attribute if node.operation == "take" else positions(node.shape)
    coordinates = np.unravel_index(indices[np.ix_(*box)] if node.shape else indices, shape)
    live = inside(coordinates, x, tuple(int(m.sum()) for m in box))
    masks = [np.zeros(n, dtype=bool) for n in shape]
    for mask, c in zip(masks, coordinates, strict=True):
        mask[c[live]] = True
    return [tuple(masks)]

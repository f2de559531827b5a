"""Uniform axes: which axes of arrays are indexed by the same things, and which of these the code treats
alike.

Two axes belong to one class if the code ties them together: by a contraction or a sum.  A class is *uniform*
if no index is picked out and no constant varies along it.  Found by running the code over axes that are
unified: an interpretation, like every other number system.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import prod
from typing import NamedTuple

import numpy as np

from conslaw.algebra.expressions import Constants, Indices, Shape

Axes = tuple[int, ...]  # the class of each axis of an array; RIGID for an axis of no uniform class
Links = list[tuple[int, int]]  # pairs (axis before, axis after) that are the same

RIGID = -1


class Tied(NamedTuple):
    """An array whose axes are numbered: those of equal roots are the same."""

    axes: tuple[int, ...]
    shape: Shape


class UniformAxes:
    """The number system: union-find over axes; ``stiff`` roots are not uniform."""

    def __init__(self) -> None:
        self.parent: list[int] = []
        self.stiff: set[int] = set()

    def array(self, shape: Shape) -> Tied:
        """An array with axes of its own."""
        start = len(self.parent)
        self.parent.extend(range(start, start + len(shape)))
        return Tied(tuple(range(start, start + len(shape))), shape)

    def root(self, i: int) -> int:
        """The representative of an axis."""
        while self.parent[i] != i:
            self.parent[i] = self.parent[self.parent[i]]
            i = self.parent[i]
        return i

    def tie(self, left: Sequence[int], right: Sequence[int]) -> None:
        """Make axes the same, pair by pair."""
        for i, j in zip(left, right, strict=True):
            a, b = self.root(i), self.root(j)
            if a != b:
                self.parent[b] = a
                if b in self.stiff:
                    self.stiff.add(a)

    def stiffen(self, axes: Iterable[int]) -> None:
        """Say that axes are not uniform."""
        self.stiff.update(self.root(i) for i in axes)

    def classes(self, x: Tied) -> Axes:
        """The class of each axis of an array, once all code has run."""
        return tuple(RIGID if self.root(i) in self.stiff else self.root(i) for i in x.axes)

    def constant(self, values: Constants) -> Tied:
        result = self.array(values.shape)
        varying = (i for axis, i in enumerate(result.axes) if not (values == values.take([0], axis)).all())
        self.stiffen(varying)
        return result

    def add(self, x: Tied, y: Tied) -> Tied:
        self.tie(x.axes, y.axes)
        return x

    def product(self, x: Tied, y: Tied, a: str, b: str, out: str) -> Tied:
        sizes = dict(zip(a + b, x.shape + y.shape, strict=True))
        by_letter = dict(zip(b, y.axes, strict=True))
        for letter, i in zip(a, x.axes, strict=True):
            self.tie([i], [by_letter.setdefault(letter, i)])
        return Tied(tuple(by_letter[c] for c in out), tuple(sizes[c] for c in out))

    def sum(self, x: Tied, axes: tuple[int, ...]) -> Tied:
        left = [i for i in range(len(x.shape)) if i not in axes]
        return Tied(tuple(x.axes[i] for i in left), tuple(x.shape[i] for i in left))

    def take(self, x: Tied, indices: Indices) -> Tied:
        return self._linked(x, indices.shape, axes_kept(indices, x.shape))

    def put(self, x: Tied, indices: Indices, shape: Shape) -> Tied:
        return self._linked(x, shape, [(i, j) for j, i in axes_kept(indices, shape)])

    def reshape(self, x: Tied, shape: Shape) -> Tied:
        return self._linked(x, shape, reshape_links(x.shape, shape))

    def reciprocal(self, x: Tied) -> Tied:
        return x

    def _linked(self, x: Tied, shape: Shape, links: Links) -> Tied:
        """The axes that are linked are the same; all others, before and after, are not uniform."""
        result = self.array(shape)
        before, after = {i for i, _ in links}, {j for _, j in links}
        self.stiffen(i for axis, i in enumerate(x.axes) if axis not in before)
        self.stiffen(i for axis, i in enumerate(result.axes) if axis not in after)
        for i, j in links:
            self.tie([x.axes[i]], [result.axes[j]])
        return result


def axes_kept(indices: Indices, shape: Shape) -> Links:
    """The pairs (i, j): axis i of an array of this shape is axis j of that of its positions ``indices``."""
    coordinates = np.unravel_index(indices, shape)
    links: Links = []
    for i, c in enumerate(coordinates):
        for j, n in enumerate(indices.shape):
            line = np.arange(n).reshape([n if k == j else 1 for k in range(indices.ndim)])
            if shape[i] == n > 1 and (c == line).all():
                links.append((i, j))
                break
    for i, c in enumerate(coordinates):  # an axis that others of the picked positions depend on is not kept
        if i not in {i for i, _ in links}:
            links = [(k, j) for k, j in links if (c == c.take([0], j)).all()]
    return links + _unit_links(shape, indices.shape, links)


def _unit_links(inner: Shape, outer: Shape, links: Links) -> Links:
    """Axes of length 1 before and after, in order, if there are equally many."""
    left = [i for i, n in enumerate(inner) if n == 1 and i not in {i for i, _ in links}]
    right = [j for j, n in enumerate(outer) if n == 1 and j not in {j for _, j in links}]
    return list(zip(left, right, strict=True)) if len(left) == len(right) else []


def reshape_links(inner: Shape, outer: Shape) -> Links:
    """The pairs of axes that a reshape keeps: those that are neither merged nor cut."""
    left, right = ([(k, n) for k, n in enumerate(shape) if n != 1] for shape in (inner, outer))
    links, i, j = list[tuple[int, int]](), 0, 0
    while i < len(left) and j < len(right):
        if left[i][1] == right[j][1]:
            links.append((left[i][0], right[j][0]))
            i, j = i + 1, j + 1
            continue
        a, b = left[i][1], right[j][1]
        i, j = i + 1, j + 1
        while a != b:
            if a < b:
                a, i = a * left[i][1], i + 1
            else:
                b, j = b * right[j][1], j + 1
    return links + _unit_links(inner, outer, links)


def resized_shape(shape: Shape, classes: Axes, lengths: Mapping[int, int]) -> Shape:
    """The shape of an array with axes of these classes for other numbers of indices."""
    return tuple(lengths.get(c, n) if c != RIGID else n for n, c in zip(shape, classes, strict=True))


def resized_indices(indices: Indices, shape: Shape, new: Shape, into: Shape) -> Indices:
    """Positions in an array of ``shape`` for other lengths: of shape ``new``, in one of shape ``into``."""
    links = dict(axes_kept(indices, shape))
    kept = set(links.values())
    grid = np.indices(new)
    coordinates = []
    for i, c in enumerate(np.unravel_index(indices, shape)):
        fixed = c[tuple(slice(1) if j in kept else slice(None) for j in range(indices.ndim))]
        coordinates.append(grid[links[i]] if i in links else np.broadcast_to(fixed, new))
    return np.asarray(np.ravel_multi_index(coordinates, into)) if prod(new) else np.zeros(new, dtype=np.intp)

"""Where arrays are cut: at the places where slices and concatenations begin and end, axis by axis.

Axes of all arrays of the code are numbered as they are met; those that run along one another share their
cuts (:class:`Cuts`).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from conslaw.algebra.expressions import Constants, Indices, Shape
from conslaw.algebra.uniform_axes import reshape_links

MOST_PIECES = 40  # of an axis

Picked = list[tuple[int | None, int]]  # for each axis of an array: the axis that runs along it, from where


def picked(indices: Indices, shape: Shape) -> Picked | None:
    """How slices and picked indices lie in an array of this shape; None for positions that are not of this
    kind.
    """
    result: Picked = []
    for c in np.unravel_index(indices, shape):
        start = int(c.reshape(-1)[0])
        steps = [j for j in range(indices.ndim) if indices.shape[j] > 1 and np.ptp(c, axis=j).any()]
        if len(steps) > 1:
            return None
        if steps:
            line = np.arange(indices.shape[steps[0]]).reshape(
                [-1 if j == steps[0] else 1 for j in range(indices.ndim)]
            )
            if (c != start + line).any():
                return None
        result.append((steps[0] if steps else None, start))
    along = [j for j, _ in result if j is not None]
    every = [j for j, n in enumerate(indices.shape) if n > 1]
    return result if sorted(along) == every else None


@dataclass(frozen=True)
class Axis:
    """An axis of an array of the code, by number."""

    axes: tuple[int, ...]
    shape: Shape


class Cuts:
    """A number system: where the axes of each array are to be cut, by the slices taken of them."""

    def __init__(self) -> None:
        self.lengths: list[int] = []
        self.cuts: list[set[int]] = []
        self.links: list[list[tuple[int, int, int, int]]] = []  # other axis, begin, end here, begin there
        self.whole = set[int]()

    def array(self, shape: Shape) -> Axis:
        """An array with axes of its own."""
        start = len(self.lengths)
        for n in shape:
            self.lengths.append(n)
            self.cuts.append(set())
            self.links.append([])
        return Axis(tuple(range(start, start + len(shape))), shape)

    def tie(self, i: int, j: int, begin: int = 0) -> None:
        """Axis j is the part of axis i from ``begin`` on."""
        n = self.lengths[j]
        self.cuts[i] |= {begin, begin + n}
        self.links[i].append((j, begin, begin + n, 0))
        self.links[j].append((i, 0, n, begin))

    def spread(self) -> None:
        """What is cut in one place is cut wherever it occurs; axes that would fall to dust are left whole."""
        waiting = list(range(len(self.lengths)))
        while waiting:
            i = waiting.pop()
            for j, begin, end, there in self.links[i]:
                more = {c - begin + there for c in self.cuts[i] if begin <= c <= end} - self.cuts[j]
                if more:
                    self.cuts[j] |= more
                    waiting.append(j)
        for i, n in enumerate(self.lengths):
            inner = self.cuts[i] - {0, n}
            if len(inner) >= MOST_PIECES or (inner and len(inner) == n - 1):
                self.whole.add(i)
        waiting = list(self.whole)
        while waiting:
            i = waiting.pop()
            more = {j for j, *_ in self.links[i]} - self.whole
            self.whole |= more
            waiting += more

    def segments(self, i: int) -> list[tuple[int, int]]:
        """The pieces of an axis."""
        n = self.lengths[i]
        return [(0, n)] if i in self.whole else list(pairwise(sorted({0, n} | self.cuts[i])))

    def constant(self, values: Constants) -> Axis:
        return self.array(values.shape)

    def add(self, x: Axis, y: Axis) -> Axis:
        for i, j in zip(x.axes, y.axes, strict=True):
            self.tie(i, j)
        return x

    def product(self, x: Axis, y: Axis, a: str, b: str, out: str) -> Axis:
        sizes, axes = dict(zip(a + b, x.shape + y.shape, strict=True)), dict(zip(a, x.axes, strict=True))
        for letter, j in zip(b, y.axes, strict=True):
            if axes.setdefault(letter, j) != j:
                self.tie(axes[letter], j)
        return Axis(tuple(axes[c] for c in out), tuple(sizes[c] for c in out))

    def sum(self, x: Axis, axes: tuple[int, ...]) -> Axis:
        left = [i for i in range(len(x.shape)) if i not in axes]
        return Axis(tuple(x.axes[i] for i in left), tuple(x.shape[i] for i in left))

    def take(self, x: Axis, indices: Indices) -> Axis:
        result = self.array(indices.shape)
        self._linked(x, result, picked(indices, x.shape))
        return result

    def put(self, x: Axis, indices: Indices, shape: Shape) -> Axis:
        result = self.array(shape)
        self._linked(result, x, picked(indices, shape))
        return result

    def reshape(self, x: Axis, shape: Shape) -> Axis:
        result, links = self.array(shape), reshape_links(x.shape, shape)
        for i, j in links:
            self.tie(x.axes[i], result.axes[j])
        return result

    def reciprocal(self, x: Axis) -> Axis:
        return x

    def _linked(self, large: Axis, small: Axis, places: Picked | None) -> None:
        """The axes of a slice run along those of the array that it is taken of."""
        for i, (j, start) in zip(large.axes, places or [], strict=False):
            if j is not None:
                self.tie(i, small.axes[j], start)
            else:
                self.cuts[i] |= {start, start + 1}

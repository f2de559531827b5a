"""Degrees and heights of what array code computes, without expanding it: how sure a random run is."""

from __future__ import annotations

from dataclasses import dataclass
from math import lcm, log2, prod

import numpy as np

from conslaw.algebra.expressions import Constants, Indices, Shape


@dataclass(frozen=True)
class Bounds:
    """Bounds for an array of polynomials: ``degree``, and ``height``, log2 of the largest sum of absolute
    coefficients.

    For rational functions they bound the numerators over a common denominator of all entries, and ``below``
    bounds (degree, height) of that denominator.
    """

    shape: Shape
    degree: int
    height: float
    below: tuple[int, float] = (0, 0.0)


class BoundsNumbers:
    """The number system that bounds degrees and coefficients of an expression without expanding it."""

    def constant(self, values: Constants) -> Bounds:
        flat = values.ravel().tolist()
        common = lcm(*(v.denominator for v in flat))
        return Bounds(values.shape, 0, log2(max(1, *(abs(int(v * common)) for v in flat))), (0, log2(common)))

    def add(self, x: Bounds, y: Bounds) -> Bounds:
        (b, k), (c, m) = x.below, y.below
        return Bounds(
            x.shape, max(x.degree + c, y.degree + b), _sum(x.height + m, y.height + k), (b + c, k + m)
        )

    def product(self, x: Bounds, y: Bounds, a: str, b: str, out: str) -> Bounds:
        sizes = dict(zip(a + b, x.shape + y.shape, strict=True))
        added = prod(n for c, n in sizes.items() if c not in out)
        below = (x.below[0] + y.below[0], x.below[1] + y.below[1])
        return Bounds(
            tuple(sizes[c] for c in out), x.degree + y.degree, x.height + y.height + log2(added), below
        )

    def sum(self, x: Bounds, axes: tuple[int, ...]) -> Bounds:
        kept = tuple(n for i, n in enumerate(x.shape) if i not in axes)
        return Bounds(kept, x.degree, x.height + log2(prod(x.shape) // prod(kept)), x.below)

    def take(self, x: Bounds, indices: Indices) -> Bounds:
        return Bounds(indices.shape, x.degree, x.height, x.below)

    def put(self, x: Bounds, indices: Indices, shape: Shape) -> Bounds:
        most = max(1, int(np.bincount(indices.reshape(-1)).max(initial=1)))
        return Bounds(shape, x.degree, x.height + log2(most), x.below)

    def reshape(self, x: Bounds, shape: Shape) -> Bounds:
        return Bounds(shape, x.degree, x.height, x.below)

    def reciprocal(self, x: Bounds) -> Bounds:
        size, (b, k) = prod(x.shape), x.below
        return Bounds(
            x.shape, b + (size - 1) * x.degree, k + (size - 1) * x.height, (size * x.degree, size * x.height)
        )


def _sum(x: float, y: float) -> float:
    """log2 of 2**x + 2**y, rounded upwards: many summands must not count for twice as many each time."""
    return float(np.logaddexp2(x, y)) + 1e-9

"""Arrays of balls: float64 numbers with a bound of their error, in batches, as a number system.

All the work is in BLAS: a product of matrices of balls is one of midpoints and two or three of bounds.  A
ball of radius 0 at 0 is a *fixed zero*: a value that is 0 whatever the balls that went in stand for.
Parameters have a positive radius even where they are exact (:func:`around`), so that a fixed zero is one on a
neighbourhood of the weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from conslaw.algebra.expressions import Constants, Indices, Shape
from conslaw.algebra.finite_field import _axes

Array = npt.NDArray[Any]

UNIT, TINY = 2.0**-53, 2.0**-1000  # of rounding; what products that underflow lose is below the latter
NEIGHBOURHOOD = 2.0**-200


@dataclass(frozen=True)
class Balls:
    """Midpoints and radii (batch, *shape); a batch of 1 is shared."""

    mid: Array
    rad: Array

    @property
    def fixed(self) -> Array:
        """Where the value is zero on the whole neighbourhood."""
        return np.asarray((self.mid == 0) & (self.rad == 0))

    @property
    def finite(self) -> Array:
        """Which of the batch are enclosed at all."""
        known = np.isfinite(self.mid) & np.isfinite(self.rad)
        return np.asarray(known.reshape(len(known), -1).all(1))


def exactly(values: Array) -> Balls:
    """Float64 numbers (batch, *shape), as they are."""
    return Balls(values, np.zeros_like(values))


def around(values: Array) -> Balls:
    """All points of a neighbourhood of these weights."""
    return Balls(values[None], np.full((1, *values.shape), NEIGHBOURHOOD))


class Enclosures:
    """The number system of :class:`Balls`."""

    def constant(self, values: Constants) -> Balls:
        mid = values.astype(np.float64)
        exact = [Fraction(a) == b for a, b in zip(mid.ravel().tolist(), values.ravel().tolist(), strict=True)]
        off = np.where(np.reshape(exact, mid.shape), 0.0, abs(mid) * 2 * UNIT + TINY)
        return Balls(mid[None], off[None])

    def chosen(self, table: Sequence[Fraction], places: Array) -> Balls:
        """Entries of a table of rationals, by number (batch, *shape)."""
        known = self.constant(np.array(table, dtype=object))
        return Balls(known.mid[0][places], known.rad[0][places])

    def quotients(self, values: Array, denominator: int) -> Balls:
        """Whole numbers (batch, *shape) by a whole number: up to 2**53, or objects."""
        mid = np.asarray(values / denominator, np.float64)
        return Balls(mid, abs(mid) * 2 * UNIT)

    def add(self, x: Balls, y: Balls) -> Balls:
        mid = x.mid + y.mid
        return Balls(mid, (x.rad + y.rad + UNIT * abs(mid)) * (1 + 8 * UNIT))

    def product(self, x: Balls, y: Balls, a: str, b: str, out: str) -> Balls:
        sizes = dict(zip(a + b, x.mid.shape[1:] + y.mid.shape[1:], strict=True))
        terms = prod(n for c, n in sizes.items() if c not in out)

        def by(u: Array, v: Array) -> Array:
            return _contracted(u, v, a, b, out)

        size = abs(y.mid)
        spread = by(abs(x.mid), y.rad + (terms + 8) * UNIT * size) + by(x.rad, size + y.rad)
        zeros = x.fixed.any() or y.fixed.any()
        some = by(np.where(x.fixed, 0.0, 1.0), np.where(y.fixed, 0.0, 1.0)) if zeros else float(terms)
        return Balls(by(x.mid, y.mid), spread * (1 + (4 * terms + 32) * UNIT) + some * TINY)

    def sum(self, x: Balls, axes: tuple[int, ...]) -> Balls:
        over = tuple(i + 1 for i in axes)
        terms = prod(x.mid.shape[i] for i in over)
        spread = (x.rad + (terms + 1) * UNIT * abs(x.mid)).sum(axis=over)
        return Balls(x.mid.sum(axis=over), spread * (1 + (4 * terms + 32) * UNIT))

    def take(self, x: Balls, indices: Indices) -> Balls:
        return Balls(*(z.reshape(len(z), -1)[:, indices] for z in (x.mid, x.rad)))

    def put(self, x: Balls, indices: Indices, shape: Shape) -> Balls:
        terms = int(np.bincount(indices.reshape(-1), minlength=1).max(initial=1))

        def put(z: Array) -> Array:
            full = np.zeros((len(z), prod(shape)))
            np.add.at(full.T, indices.reshape(-1), z.reshape(len(z), -1).T)
            return full.reshape(len(z), *shape)

        spread = put(x.rad + terms * UNIT * abs(x.mid) * (terms > 1))
        return Balls(put(x.mid), spread * (1 + (4 * terms + 32) * UNIT))

    def reshape(self, x: Balls, shape: Shape) -> Balls:
        return Balls(*(z.reshape(len(z), *shape) for z in (x.mid, x.rad)))

    def reciprocal(self, x: Balls) -> Balls:
        size = abs(x.mid)
        least = np.where(size > x.rad, size - x.rad, 0.0)  # 0 makes the radius infinite
        mid = 1 / x.mid
        return Balls(mid, (x.rad / (size * least) + 2 * UNIT * abs(mid)) * (1 + 32 * UNIT) + TINY)


def _contracted(x: Array, y: Array, a: str, b: str, out: str) -> Array:
    """``einsum(a, b -> out)`` of each of a batch, as matrix products; what all share takes no batch axis."""
    left, right = ("" if len(z) == 1 else "Z" for z in (x, y))
    x, y = (z[0] if len(z) == 1 else z for z in (x, y))
    batch = left or right
    to_x, to_y, back, stack, free, total = _axes(left + a, right + b, batch + out)
    x, y = x.transpose(to_x), y.transpose(to_y)
    shape = x.shape[: stack + free] + y.shape[stack + total :]
    lead, inner = x.shape[:stack], prod(x.shape[stack + free :])
    rows, columns = prod(x.shape[stack : stack + free]), prod(y.shape[stack + total :])
    left_, right_ = x.reshape(*lead, rows, inner), y.reshape(*lead, inner, columns)
    made = left_ * right_ if inner == 1 else left_ @ right_
    made = np.asarray(made).reshape(shape).transpose(back)
    return made if batch else made[None]

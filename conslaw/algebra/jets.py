"""Multi-dual numbers over GF(p), in batches: the number system in which Lie brackets are evaluated.

A jet is a polynomial in nilpotent directions e_0, e_1, ... (each e_i**2 = 0).  It is kept as a dictionary
from a bit mask (the set of directions of a monomial) to its coefficient, an array of residues of shape
(batch, *shape), where batch is 1 for what all samples share.  Absent masks are zero: data and a fixed point
have the mask 0 only, and their zeros are never multiplied.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from conslaw.algebra.expressions import Constants, Indices, Shape
from conslaw.algebra.finite_field import Residues, contract, from_integers, invert

Jet: TypeAlias = Mapping[int, Residues]
Masks: TypeAlias = npt.NDArray[np.intp]

FEW = 12  # pairs of coefficients up to which a product is taken pair by pair
PORTION = 2**20  # residues of stacked coefficients at a time


@dataclass(frozen=True)
class Jets:
    """The number system: arrays of multi-dual numbers over GF(``prime``)."""

    prime: int

    def constant(self, values: Constants) -> Jet:
        return {0: from_integers(values, self.prime)[None]}

    def add(self, x: Jet, y: Jet) -> Jet:
        result = dict(x)
        for mask, coefficient in y.items():
            known = result.get(mask)
            result[mask] = coefficient if known is None else (known + coefficient) % np.uint64(self.prime)
        return result

    def subtract(self, x: Jet, y: Jet) -> Jet:
        """The difference of two arrays of jets."""
        return self.add(
            x, {mask: (np.uint64(self.prime) - c) % np.uint64(self.prime) for mask, c in y.items()}
        )

    def product(self, x: Jet, y: Jet, a: str, b: str, out: str) -> Jet:
        left, right, product = _meeting(tuple(x), tuple(y))
        if len(left) > FEW:
            return self._product_of_many(x, y, (left, right, product), (a, b, out))
        result: dict[int, Residues] = {}
        for i, j, mask in zip(left.tolist(), right.tolist(), product.tolist(), strict=True):
            piece = self._batched_product(x[i], y[j], a, b, out)
            known = result.get(mask)
            result[mask] = piece if known is None else (known + piece) % np.uint64(self.prime)
        return result

    def _product_of_many(
        self, x: Jet, y: Jet, pairs: tuple[Masks, Masks, Masks], letters: tuple[str, str, str]
    ) -> Jet:
        """The same, the pairs of coefficients stacked along the batch axis: thousands of small products in a
        few calls.
        """
        batch = max(len(c) for c in (*x.values(), *y.values()))
        stacks = [np.stack([np.broadcast_to(c, (batch, *c.shape[1:])) for c in z.values()]) for z in (x, y)]
        places = [np.searchsorted(np.sort(list(z)), side) for z, side in ((x, pairs[0]), (y, pairs[1]))]
        orders = [np.argsort(list(z)) for z in (x, y)]
        portion = max(1, PORTION // (batch * max(1, *(z[0, 0].size for z in stacks))))
        result: dict[int, Residues] = {}
        for start in range(0, len(pairs[0]), portion):
            part = slice(start, start + portion)
            left, right = (
                z[order[place[part]]] for z, order, place in zip(stacks, orders, places, strict=True)
            )
            count = len(left)
            flat_left, flat_right = (z.reshape(count * batch, *z.shape[2:]) for z in (left, right))
            value = self._batched_product(flat_left, flat_right, *letters)
            value = np.broadcast_to(value, (count * batch, *value.shape[1:])).reshape(
                count, batch, *value.shape[1:]
            )
            masks = pairs[2][part]
            first = np.flatnonzero(np.diff(masks, prepend=-1))
            sums = np.add.reduceat(value, first, axis=0) % np.uint64(self.prime)
            for mask, total in zip(masks[first].tolist(), sums, strict=True):
                result[mask] = (result[mask] + total) % np.uint64(self.prime) if mask in result else total
        return result

    def _batched_product(self, x: Residues, y: Residues, a: str, b: str, out: str) -> Residues:
        """One contraction; an operand that all samples share takes no batch axis, so that they become one
        matrix product.
        """
        left, right = ("" if z.shape[0] == 1 else "Z" for z in (x, y))
        x, y = (z[0] if z.shape[0] == 1 else z for z in (x, y))
        batch = left or right
        result = contract(x, y, left + a, right + b, batch + out, self.prime)
        return result if batch else result[None]

    def sum(self, x: Jet, axes: tuple[int, ...]) -> Jet:
        shifted = tuple(i + 1 for i in axes)
        return {mask: c.sum(axis=shifted) % np.uint64(self.prime) for mask, c in x.items()}

    def take(self, x: Jet, indices: Indices) -> Jet:
        return {mask: c.reshape(len(c), -1)[:, indices] for mask, c in x.items()}

    def put(self, x: Jet, indices: Indices, shape: Shape) -> Jet:
        result = {}
        for mask, c in x.items():
            full = np.zeros((len(c), int(np.prod(shape))), dtype=np.uint64)
            np.add.at(full.T, indices.reshape(-1), c.reshape(len(c), -1).T)
            result[mask] = full.reshape(len(c), *shape) % np.uint64(self.prime)
        return result

    def reshape(self, x: Jet, shape: Shape) -> Jet:
        return {mask: c.reshape(len(c), *shape) for mask, c in x.items()}

    def reciprocal(self, x: Jet) -> Jet:
        """1 / (a + n) with nilpotent n, mask by mask: the coefficients of x * (1 / x) are zero."""
        if 0 not in x:
            raise ZeroDivisionError("division by a jet without a value")
        modulus, union = np.uint64(self.prime), 0
        for mask in x:
            union |= mask
        inverse = invert(x[0], self.prime)
        result: dict[int, Residues] = {0: inverse}
        for mask in range(1, union + 1):
            parts = [
                x[i] * result[mask ^ i] % modulus for i in x if i and i & mask == i and mask ^ i in result
            ]
            if parts:
                total = parts[0]
                for c in parts[1:]:
                    total = (total + c) % modulus
                result[mask] = (modulus - total * inverse % modulus) % modulus
        return result


@lru_cache(maxsize=4096)
def _meeting(x: tuple[int, ...], y: tuple[int, ...]) -> tuple[Masks, Masks, Masks]:
    """The pairs of masks whose product does not vanish, and their products, in order of the product."""
    left, right = (grid.ravel() for grid in np.meshgrid(x, y, indexing="ij"))
    disjoint = left & right == 0
    left, right = left[disjoint], right[disjoint]
    order = np.argsort(left | right, kind="stable")
    return left[order], right[order], (left | right)[order]


def lift(x: Jet, direction: Jet, bit: int) -> Jet:
    """x + e * direction, e being the nilpotent direction of ``bit``, new to both."""
    return {**x, **{mask | bit: c for mask, c in direction.items()}}


def part(x: Jet, bit: int) -> Jet:
    """The coefficient of a nilpotent direction: the derivative along it."""
    return {mask ^ bit: c for mask, c in x.items() if mask & bit}


def without(x: Jet, bit: int) -> Jet:
    """The jet with a nilpotent direction set to zero."""
    return {mask: c for mask, c in x.items() if not mask & bit}

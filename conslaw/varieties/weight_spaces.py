"""Monomials of one degree in the coordinates, sorted into weight spaces, and what permutations do to them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from math import comb

import numpy as np
import numpy.typing as npt

from conslaw.errors import ConslawError, check_memory
from conslaw.varieties.coordinates import Coordinates

MOST_MONOMIALS = 6 * 10**6
Weight = tuple[int, ...]
Indices = npt.NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Space:
    """The monomials (n, degree) of one weight, each a sorted row of coordinate numbers."""

    weight: Weight
    monomials: Indices
    numbers: dict[bytes, int] = field(repr=False)


def check_size(coordinates: Coordinates, degree: int) -> None:
    """Refuse, before any is made, more monomials than there is room for."""
    count = comb(len(coordinates) - 1 + degree, degree)
    if count > MOST_MONOMIALS:
        raise ConslawError(
            f"equations of degree {degree}: {count:,} monomials in {len(coordinates)} coefficients, more "
            f"than {MOST_MONOMIALS:,}; choose a smaller degree"
        )
    check_memory(
        16.0 * count * (degree + coordinates.weights.shape[1]), f"{count:,} monomials of degree {degree}"
    )


def spaces(coordinates: Coordinates, degree: int, within: Weight | None) -> Iterator[Space]:
    """The weight spaces of this degree that are dominant: the degrees in the outputs fall, and those in the
    inputs; ``within`` bounds the sorted output degrees.
    """
    monomials = _monomials(len(coordinates), degree)
    weights = coordinates.weights[monomials].sum(axis=1)
    m = coordinates.outputs
    if coordinates.index:
        kept = (np.diff(weights[:, :m], axis=1) <= 0).all(axis=1) & (
            np.diff(weights[:, m:], axis=1) <= 0
        ).all(axis=1)
        if within is not None:
            kept &= (weights[:, :m] <= np.array(within)).all(axis=1)
        monomials, weights = monomials[kept], weights[kept]
    if not len(monomials):
        return
    found, where = np.unique(weights, axis=0, return_inverse=True)
    order = np.argsort(where.ravel(), kind="stable")
    ends = np.cumsum(np.bincount(where.ravel()))
    for weight, start, end in zip(found.tolist(), [0, *ends[:-1]], ends, strict=True):
        own = np.ascontiguousarray(monomials[order[start:end]])
        yield Space(tuple(weight), own, {row.tobytes(): i for i, row in enumerate(own)})


def _monomials(count: int, degree: int) -> Indices:
    """All sorted rows of coordinate numbers, in lexicographic order."""
    rows = np.zeros((1, 0), dtype=np.int32)
    for _ in range(degree):
        last = rows[:, -1] if rows.shape[1] else np.zeros(len(rows), dtype=np.int32)
        repeats = count - last
        base = np.repeat(np.arange(len(rows)), repeats)
        step = np.arange(len(base)) - np.repeat(np.cumsum(repeats) - repeats, repeats)
        rows = np.concatenate([rows[base], (last[base] + step)[:, None].astype(np.int32)], axis=1)
    return rows


def dominant(coordinates: Coordinates, weight: Weight) -> Weight:
    """The weight with output degrees and input degrees sorted, largest first."""
    if not coordinates.index:
        return weight
    m = coordinates.outputs
    return (*sorted(weight[:m], reverse=True), *sorted(weight[m:], reverse=True))


def orbit(coordinates: Coordinates, weight: Weight) -> list[Weight]:
    """All weights that permutations of outputs and inputs make of it."""
    if not coordinates.index:
        return [weight]
    m = coordinates.outputs
    return [(*a, *b) for a in _arrangements(weight[:m]) for b in _arrangements(weight[m:])]


@lru_cache(maxsize=10_000)
def _arrangements(values: Weight) -> list[Weight]:
    """All orders of these numbers, each once, from the largest: equal numbers are never exchanged."""
    if not values:
        return [()]
    found = list[Weight]()
    for first in sorted(set(values), reverse=True):
        at = values.index(first)
        found += [(first, *rest) for rest in _arrangements((*values[:at], *values[at + 1 :]))]
    return found


def moved(coordinates: Coordinates, weight: Weight) -> Indices:
    """Where a permutation that makes this weight of its dominant one takes each coordinate."""
    if not coordinates.index:
        return np.arange(len(coordinates), dtype=np.int32)
    m = coordinates.outputs
    outputs = sorted(range(m), key=lambda i: -weight[i])  # the i-th largest is at outputs[i]
    inputs = sorted(range(coordinates.inputs), key=lambda i: -weight[m + i])
    at = np.argsort(inputs)
    places = [
        coordinates.place[(outputs[j], tuple(exponents[at[i]] for i in range(coordinates.inputs)))]
        for j, exponents in coordinates.index
    ]
    return np.array(places, dtype=np.int32)

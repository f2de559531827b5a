"""Exact sparse polynomials over Q, whole arrays at a time: the number system of the ansatz and of every
identity.

An array of polynomials is kept as its list of terms: the flat position in the array, the monomial as a sorted
row of variable numbers (variables count from 1; 0 fills up short rows), and the coefficient (``int64`` while
that is safe, Python integers or fractions otherwise).  A product is a join of two such lists, so no Python
loop runs over terms; with the 1,860 variables of a 30-30-30 network a dense exponent vector (FLINT's) would
cost 100 times the memory.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from math import gcd, lcm, prod
from typing import Any

import numpy as np
import numpy.typing as npt

from conslaw.algebra.expressions import LETTERS, Constants, Indices, Shape
from conslaw.algebra.finite_field import Residues, from_integers
from conslaw.errors import ConslawError, check_memory

Integers = npt.NDArray[np.int64]
Keys = npt.NDArray[np.uint64]

MOST_DENOMINATOR_TERMS = 2**13


@dataclass(frozen=True, eq=False)
class PolynomialArray:
    """An array of polynomials: its ``shape`` and the ``entry``, ``monomial`` and ``coefficient`` of each of
    its T terms.

    ``entry`` (T,) flat positions; ``monomial`` (T, d) sorted variable numbers, 0 for none; ``coefficient``
    (T,) exact numbers.
    """

    shape: Shape
    entry: Integers
    monomial: npt.NDArray[np.int32]
    coefficient: npt.NDArray[Any]

    def __len__(self) -> int:
        return len(self.entry)

    @property
    def degree(self) -> int:
        """The largest total degree."""
        return int(self.monomial.shape[1])

    def degrees(self) -> Integers:
        """The total degree of each entry, in flat order (0 for constants and zero)."""
        result = np.zeros(prod(self.shape), dtype=np.int64)
        np.maximum.at(result, self.entry, (self.monomial > 0).sum(axis=1))
        return result

    def select(self, entries: npt.NDArray[np.intp]) -> PolynomialArray:
        """The one-dimensional array of some of the entries, given by flat positions."""
        return Polynomials().take(self, entries)


def variables(shape: Shape, first: int) -> PolynomialArray:
    """An array of distinct variables, numbered from ``first``."""
    size = prod(shape)
    numbers = np.arange(first, first + size, dtype=np.int32)[:, None]
    return PolynomialArray(shape, np.arange(size), numbers, np.ones(size, dtype=np.int64))


def join(
    left: npt.NDArray[Any], right: npt.NDArray[Any]
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """All pairs (i, j) with left[i] == right[j], in order of i."""
    order = np.argsort(right, kind="stable")
    ranked = right[order]
    start = np.searchsorted(ranked, left, side="left")
    count = np.searchsorted(ranked, left, side="right") - start
    check_memory(100.0 * float(count.sum()), f"an expansion into {int(count.sum()):,} terms")
    i = np.repeat(np.arange(len(left)), count)
    within = np.arange(len(i)) - np.repeat(np.cumsum(count) - count, count)
    return i, order[np.repeat(start, count) + within]


@lru_cache(maxsize=8)
def weights(count: int, salt: int = 0) -> Keys:
    """A random 64-bit weight for each variable number 0..count-1, 0 for the empty place: the key of a
    monomial is their sum.
    """
    table = np.random.default_rng([salt, 20230700144]).integers(0, 2**64, count, dtype=np.uint64)
    table[0] = 0
    return table


def keys(monomial: npt.NDArray[np.int32], salt: int = 0) -> Keys:
    """The keys of monomials (T, d): equal monomials have equal keys; distinct ones, almost always, distinct
    keys.
    """
    top = int(monomial.max(initial=0)) + 1
    table = weights(1 << top.bit_length(), salt)
    total = np.zeros(len(monomial), dtype=np.uint64)
    for column in monomial.T:
        total += table[column]
    return total


def collect(
    shape: Shape, entry: Integers, monomial: npt.NDArray[np.int32], coefficient: npt.NDArray[Any]
) -> PolynomialArray:
    """Add up the terms of equal entry and monomial.  Exact: sorting is by key, but rows are compared as they
    are.
    """
    monomial = np.sort(monomial, axis=1)
    key = keys(monomial) + entry.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    order = np.argsort(key)
    same = _equal_neighbours(entry[order], monomial[order])
    if (same != (key[order][1:] == key[order][:-1])).any():  # two different terms share a key
        order = np.lexsort((*monomial.T, entry))
        same = _equal_neighbours(entry[order], monomial[order])
    entry, monomial, coefficient = entry[order], monomial[order], coefficient[order]
    if same.any():
        start = np.flatnonzero(np.concatenate([[True], ~same]))
        coefficient = np.add.reduceat(room(coefficient, len(coefficient)), start)
        entry, monomial = entry[start], monomial[start]
    kept = np.asarray(coefficient != 0, dtype=bool)
    entry, monomial, coefficient = entry[kept], monomial[kept], coefficient[kept]
    used = int((monomial > 0).sum(axis=1).max(initial=0))
    return PolynomialArray(shape, entry, monomial[:, monomial.shape[1] - used :], coefficient)


def _equal_neighbours(entry: Integers, monomial: npt.NDArray[np.int32]) -> npt.NDArray[np.bool_]:
    return np.asarray((entry[1:] == entry[:-1]) & (monomial[1:] == monomial[:-1]).all(axis=1))


def _size(coefficient: npt.NDArray[Any]) -> int:
    return int(max(coefficient.max(initial=0), -coefficient.min(initial=0))) + 1


def room(coefficient: npt.NDArray[Any], factor: int) -> npt.NDArray[Any]:
    """The coefficients in a form that can grow by this factor: exact Python numbers if int64 would not hold
    it.
    """
    safe = coefficient.dtype != object and _size(coefficient) * factor < 2**62
    return coefficient if safe else coefficient.astype(object)


def multiply(x: npt.NDArray[Any], y: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The products of coefficients, exactly."""
    if x.dtype != object and y.dtype != object and _size(x) * _size(y) < 2**62:
        return np.asarray(x * y)
    return np.asarray(x.astype(object) * y.astype(object))


def integral(x: PolynomialArray) -> PolynomialArray:
    """The positive multiple of the array with coprime integer coefficients, in ``int64`` if they fit."""
    values = x.coefficient
    if values.dtype == object:
        scale = lcm(*(int(v.denominator) for v in values))
        whole = [int(v * scale) for v in values]
        content = gcd(*whole) or 1
        fits = all(abs(v) < 2**62 * content for v in whole)
        values = np.array([v // content for v in whole], dtype=np.int64 if fits else object)
    elif len(values):
        values = values // np.gcd.reduce(values)
    return PolynomialArray(x.shape, x.entry, x.monomial, values)


class Polynomials:
    """The number system: arrays of polynomials over Q.

    A reciprocal 1/q becomes a variable of its own, numbered from ``first_denominator``; :meth:`cleared`
    multiplies by the denominators, so that what remains are polynomials.
    """

    def __init__(self, first_denominator: int = 0) -> None:
        self.first_denominator = first_denominator
        self.denominators: list[PolynomialArray] = []

    def constant(self, values: Constants) -> PolynomialArray:
        flat = values.reshape(-1)
        entry = np.flatnonzero(flat != 0)
        small = all(isinstance(v, int) and abs(v) < 2**31 for v in flat[entry])
        coefficient = flat[entry].astype(np.int64 if small else object)
        return PolynomialArray(values.shape, entry, np.zeros((len(entry), 0), dtype=np.int32), coefficient)

    def add(self, x: PolynomialArray, y: PolynomialArray) -> PolynomialArray:
        return concatenate([x, y], [0, 0], x.shape)

    def product(self, x: PolynomialArray, y: PolynomialArray, a: str, b: str, out: str) -> PolynomialArray:
        sizes = dict(zip(a + b, x.shape + y.shape, strict=True))
        shape = tuple(sizes[c] for c in out)
        step = {c: prod(shape[i + 1 :]) for i, c in enumerate(out)}
        shared = [c for c in a if c in b]
        index_x, index_y = (dict(zip(s, _indices(z), strict=True)) for s, z in ((a, x), (b, y)))
        lengths = [sizes[c] for c in shared]
        i, j = join(
            _flat([index_x[c] for c in shared], lengths, len(x)),
            _flat([index_y[c] for c in shared], lengths, len(y)),
        )
        place_x = sum((index_x[c] * step[c] for c in out if c in a), np.zeros(len(x), dtype=np.int64))
        place_y = sum((index_y[c] * step[c] for c in out if c not in a), np.zeros(len(y), dtype=np.int64))
        monomial = np.concatenate([x.monomial[i], y.monomial[j]], axis=1)
        return collect(shape, place_x[i] + place_y[j], monomial, multiply(x.coefficient[i], y.coefficient[j]))

    def sum(self, x: PolynomialArray, axes: tuple[int, ...]) -> PolynomialArray:
        index = _indices(x)
        kept = [i for i in range(len(x.shape)) if i not in axes]
        shape = tuple(x.shape[i] for i in kept)
        return collect(shape, _flat([index[i] for i in kept], list(shape), len(x)), x.monomial, x.coefficient)

    def take(self, x: PolynomialArray, indices: Indices) -> PolynomialArray:
        i, j = join(indices.reshape(-1), x.entry)
        return PolynomialArray(indices.shape, i, x.monomial[j], x.coefficient[j])

    def put(self, x: PolynomialArray, indices: Indices, shape: Shape) -> PolynomialArray:
        return collect(shape, indices.reshape(-1)[x.entry], x.monomial, x.coefficient)

    def reshape(self, x: PolynomialArray, shape: Shape) -> PolynomialArray:
        return PolynomialArray(shape, x.entry, x.monomial, x.coefficient)

    def reciprocal(self, x: PolynomialArray) -> PolynomialArray:
        parts = [self._reciprocal(self.take(x, np.array(e))) for e in range(prod(x.shape))]
        return concatenate(parts, list(range(len(parts))), x.shape)

    def _reciprocal(self, x: PolynomialArray) -> PolynomialArray:
        """1 / x for a scalar x."""
        numerator, multiplier = self.cleared(x)
        if not len(numerator):
            raise ZeroDivisionError("division by zero")
        if not numerator.degree:
            inverse = Fraction(1) / Fraction(numerator.coefficient[0])
            return self.product(multiplier, self.constant(np.array(inverse, dtype=object)), "", "", "")
        known = [number for number, q in enumerate(self.denominators) if _equal(q, numerator)]
        if not known:
            self.denominators.append(numerator)
        position = known[0] if known else len(self.denominators) - 1
        return self.product(multiplier, variables((), self.first_denominator + position), "", "", "")

    def cleared(self, x: PolynomialArray) -> tuple[PolynomialArray, PolynomialArray]:
        """The array times a common denominator, free of reciprocals, and that denominator (a scalar)."""
        sums = [
            len(q)
            for n, q in enumerate(self.denominators, self.first_denominator)
            if len(q) > 1 and (x.monomial == n).any()
        ]
        if prod(sums) > MOST_DENOMINATOR_TERMS:
            raise ConslawError(
                f"the common denominator of {len(sums)} sums would have up to {prod(sums):,} terms: "
                "conslaw.count does without it; for laws, take a smaller model or a polynomial metric"
            )
        multiplier = self.constant(np.array(1, dtype=object))
        for number, q in enumerate(self.denominators, start=self.first_denominator):
            exponent = (x.monomial == number).sum(axis=1)
            top = int(exponent.max(initial=0))
            if not top:
                continue
            stripped = np.where(x.monomial == number, 0, x.monomial)
            if len(q) == 1 and q.coefficient[0] == 1:  # a monomial: only longer rows
                missing = np.where(np.arange(top) < exponent[:, None], 0, 1)
                factors = (missing[:, :, None] * q.monomial[0]).reshape(len(x), -1).astype(np.int32)
                x = PolynomialArray(
                    x.shape, x.entry, np.concatenate([stripped, factors], axis=1), x.coefficient
                )
            else:
                check_memory(
                    100.0 * len(x) * float(len(q)) ** top,
                    f"a common denominator with {len(q)} terms to the power {top}",
                )
                letters = LETTERS[: len(x.shape)]
                parts = []
                for e in range(top + 1):
                    chosen = exponent == e
                    part = PolynomialArray(x.shape, x.entry[chosen], stripped[chosen], x.coefficient[chosen])
                    for _ in range(top - e):
                        part = self.product(part, q, letters, "", letters)
                    parts.append(part)
                x = concatenate(parts, [0] * len(parts), x.shape)
            for _ in range(top):
                multiplier = self.product(multiplier, q, "", "", "")
        return collect(x.shape, x.entry, x.monomial, x.coefficient), multiplier


def _equal(x: PolynomialArray, y: PolynomialArray) -> bool:
    """Whether two arrays in the order of :func:`collect` are the same."""
    return (
        x.monomial.shape == y.monomial.shape
        and bool((x.entry == y.entry).all() and (x.monomial == y.monomial).all())
        and bool((x.coefficient == y.coefficient).all())
    )


def _indices(x: PolynomialArray) -> tuple[npt.NDArray[np.intp], ...]:
    return np.unravel_index(x.entry, x.shape) if x.shape else ()


def _flat(index: list[npt.NDArray[np.intp]], sizes: list[int], count: int) -> Integers:
    if not sizes:
        return np.zeros(count, dtype=np.int64)
    return np.asarray(np.ravel_multi_index(index, sizes))


def concatenate(parts: list[PolynomialArray], offsets: list[int], shape: Shape) -> PolynomialArray:
    """Terms of several arrays in one array of the given shape, their entries shifted by the offsets; equal
    terms are added.
    """
    if not parts:
        none = np.zeros(0, dtype=np.int64)
        return PolynomialArray(shape, none, np.zeros((0, 0), dtype=np.int32), none)
    width = max(x.degree for x in parts)
    padded = [np.pad(x.monomial, ((0, 0), (width - x.degree, 0))) for x in parts]
    exact = any(x.coefficient.dtype == object for x in parts)
    coefficients = [x.coefficient.astype(object) if exact else x.coefficient for x in parts]
    entry = np.concatenate([x.entry + offset for x, offset in zip(parts, offsets, strict=True)])
    return collect(shape, entry, np.concatenate(padded), np.concatenate(coefficients))


def derivatives(x: PolynomialArray, count: int) -> PolynomialArray:
    """The partial derivatives with respect to the variables 1..count: shape (*x.shape, count)."""
    parts = []
    for place in range(x.degree):
        variable = x.monomial[:, place]
        first = variable > 0 if place == 0 else (variable > 0) & (variable != x.monomial[:, place - 1])
        chosen = np.flatnonzero(first & (variable <= count))
        power = (x.monomial[chosen] == variable[chosen, None]).sum(axis=1)
        lowered = x.monomial[chosen].copy()
        lowered[:, place] = 0
        parts.append(
            (x.entry[chosen] * count + variable[chosen] - 1, lowered, multiply(x.coefficient[chosen], power))
        )
    shape = (*x.shape, count)
    if not parts:
        return PolynomialArray(
            shape, np.zeros(0, dtype=np.int64), np.zeros((0, 0), dtype=np.int32), np.zeros(0, dtype=np.int64)
        )
    entry, monomial, coefficient = zip(*parts, strict=True)
    return collect(shape, np.concatenate(entry), np.concatenate(monomial), np.concatenate(coefficient))


def evaluate_mod(x: PolynomialArray, values: Residues, p: int) -> Residues:
    """The values mod p at a point: ``values[i - 1]`` is that of variable i."""
    modulus = np.uint64(p)
    table = np.concatenate([np.ones(1, dtype=np.uint64), values])
    total = from_integers(x.coefficient, p)
    for column in x.monomial.T:
        total = total * table[column] % modulus
    flat = np.zeros(prod(x.shape), dtype=np.uint64)
    np.add.at(flat, x.entry, total)  # fewer than 2**33 terms of 31 bits: no overflow
    return (flat % modulus).reshape(x.shape)


def terms(x: PolynomialArray) -> list[list[tuple[tuple[int, ...], int | Fraction]]]:
    """For each entry in flat order its terms (sorted variable numbers, coefficient), lowest degree first,
    then lexicographic.
    """
    result: list[list[tuple[tuple[int, ...], int | Fraction]]] = [[] for _ in range(prod(x.shape))]
    for e, row, value in zip(x.entry.tolist(), x.monomial.tolist(), x.coefficient.tolist(), strict=True):
        result[e].append((tuple(v for v in row if v), value))
    for polynomial in result:
        polynomial.sort(key=lambda term: (len(term[0]), term[0]))
    return result


def number(arrays: Mapping[str, Shape], first: int = 1) -> dict[str, PolynomialArray]:
    """Variables for all entries of some arrays, numbered in order from ``first``."""
    result = {}
    for name, shape in arrays.items():
        result[name] = variables(shape, first)
        first += prod(shape)
    return result

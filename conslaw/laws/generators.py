"""Generators of laws: those that are no polynomials in others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from conslaw.algebra.finite_field import RowSpace, random_prime
from conslaw.algebra.polynomials import PolynomialArray, Polynomials, collect, concatenate, keys
from conslaw.algebra.sparse_kernel import Vector, sparser
from conslaw.laws.exact_fields import coefficients


def law_array(monomials: npt.NDArray[np.int32], basis: list[Vector]) -> PolynomialArray:
    """Laws as polynomials, from their coefficients by monomial."""
    entry = np.array([i for i, vector in enumerate(basis) for _ in vector], dtype=np.int64)
    rows = np.array([m for vector in basis for m in vector], dtype=np.intp)
    values = [v for vector in basis for v in vector.values()]
    small = all(abs(v) < 2**62 for v in values)
    return collect(
        (len(basis),), entry, monomials[rows], np.array(values, dtype=np.int64 if small else object)
    )


def generators(monomials: npt.NDArray[np.int32], basis: list[Vector], seed: int) -> list[Vector]:
    """Of a basis of all laws, those that are not polynomials in earlier ones (products of laws say nothing
    new), made sparse.

    Exact, although ranks mod p decide: products that lie in the ansatz are laws, so together with the chosen
    laws they span at most what the basis spans, and all of it if they have its dimension mod p.
    """
    degree = (monomials > 0).sum(axis=1)
    degrees = [int(degree[list(vector)].max()) for vector in basis]
    if not basis or max(degrees) < 2 * min(degrees):
        return sparser(basis)
    for attempt in range(seed, seed + 3):
        chosen = _chosen(monomials, basis, degrees, random_prime(np.random.default_rng(attempt)))
        if chosen is not None:
            break
    else:
        raise AssertionError("three random primes each divided a minor")
    return [v for d in sorted(set(degrees)) for v in sparser([basis[i] for i in chosen if degrees[i] == d])]


def _chosen(
    monomials: npt.NDArray[np.int32], basis: list[Vector], degrees: list[int], p: int
) -> list[int] | None:
    """The numbers of the generators; None if the ranks mod p do not prove that the others are polynomials in
    them.
    """
    laws, known = law_array(monomials, basis), keys(monomials)
    chosen: list[int] = []
    for d in sorted(set(degrees)):
        candidates = [i for i, e in enumerate(degrees) if e == d]
        factors = [some for some in _multisets(chosen, degrees, d) if len(some) > 1]
        products = _products(laws, factors)
        inside = np.ones(len(factors), dtype=bool)
        inside[products.entry[~np.isin(keys(products.monomial), known)]] = False
        together = [laws.select(np.array(chosen + candidates)), products.select(np.flatnonzero(inside))]
        sizes = [x.shape[0] for x in together]
        table = coefficients(concatenate(together, [0, sizes[0]], (sum(sizes),)), p)
        space = RowSpace.zero(table.shape[1], p).extend(
            np.delete(table, np.arange(len(chosen), sizes[0]), axis=0)
        )
        new = space.independent(table[len(chosen) : sizes[0]])
        chosen += [candidates[position] for position in new]
        if space.rank + len(new) < sum(e <= d for e in degrees):
            return None
    return chosen


def _multisets(chosen: Sequence[int], degrees: Sequence[int], most: int) -> Iterator[tuple[int, ...]]:
    """The multisets of laws, in order of degree, whose degrees add up to at most ``most``."""
    yield ()
    for k, i in enumerate(chosen):
        if degrees[i] > most:
            break
        yield from ((i, *others) for others in _multisets(chosen[k:], degrees, most - degrees[i]))


def _products(laws: PolynomialArray, factors: list[tuple[int, ...]]) -> PolynomialArray:
    """The products of some of the laws."""
    width = max(map(len, factors), default=1)
    one = PolynomialArray((1,), np.zeros(1, np.int64), np.zeros((1, 0), np.int32), np.ones(1, np.int64))
    padded = concatenate([laws, one], [0, laws.shape[0]], (laws.shape[0] + 1,))
    index = np.array([[*f, *[laws.shape[0]] * (width - len(f))] for f in factors], dtype=np.intp).reshape(
        len(factors), width
    )
    result = padded.select(index[:, 0])
    for column in index.T[1:]:
        result = Polynomials().product(result, padded.select(column), "a", "a", "a")
    return result

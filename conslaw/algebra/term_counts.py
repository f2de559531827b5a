"""How many terms array code has when it is written out, found without writing it out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import comb, inf, lgamma, log, prod
from typing import TypeAlias

import numpy as np

from conslaw.algebra.evaluation import evaluate, topological_order
from conslaw.algebra.expressions import Constants, Expression, Indices, Shape

MOST = 2.0**200  # counts beyond are not told apart


Factors: TypeAlias = tuple[tuple[int, int, float], ...]  # node, exponent, terms of its entries: sorted


@dataclass(frozen=True)
class Terms:
    """A bound for the terms of each entry of an array of polynomials of at most this ``degree``.

    The array is a product of powers of arrays, the ``factors``, entry by entry and up to numbers.
    """

    shape: Shape
    degree: int
    count: float
    factors: Factors


def count_terms(outputs: Sequence[Expression], variables: int) -> list[Terms]:
    """Bounds for some expressions in so many variables."""
    inputs = [x for x in topological_order(outputs) if x.operation == "input"]
    arrays = {x.attribute: Terms(x.shape, 1, 1.0, ((id(x), 1, 1.0),)) for x in inputs}
    return evaluate(outputs, arrays, TermNumbers(variables))


class TermNumbers:
    """The number system of such bounds: products of sums, powers of sums, and all monomials of the degree.

    In a power of a sum, and wherever there are few variables, products of terms fall together: these are
    counted once.  Where each path through a network has its own monomial, the bound is the number.
    Reciprocals are variables of their own, as :class:`conslaw.algebra.polynomials.Polynomials` has them.
    """

    def __init__(self, variables: int) -> None:
        self.variables = variables

    def at(self, node: Expression) -> None:
        """Called before each node."""
        self.node = node

    def made(self, shape: Shape, degree: int, count: float, factors: Factors = ()) -> Terms:
        """An array; without factors it is one of its own."""
        count = min(count, MOST, _monomials(self.variables, degree))
        return Terms(shape, degree, count, factors or ((id(self.node), 1, count),))

    def constant(self, values: Constants) -> Terms:
        return self.made(values.shape, 0, 1.0)

    def add(self, x: Terms, y: Terms) -> Terms:
        if x.factors == y.factors:
            return max(x, y, key=lambda one: one.count)
        return self.made(x.shape, max(x.degree, y.degree), x.count + y.count)

    def product(self, x: Terms, y: Terms, a: str, b: str, out: str) -> Terms:
        sizes = dict(zip(a + b, x.shape + y.shape, strict=True))
        shape, degree = tuple(sizes[c] for c in out), x.degree + y.degree
        for one, other, letters in ((x, y, a), (y, x, b)):
            if other.degree == 0 and letters == out:
                return one
        count, factors = x.count * y.count, Factors()
        if a == b or not (a and b):  # entry by entry, or a scalar for all
            powers = Counter[tuple[int, float]]()
            for base, exponent, terms in x.factors + y.factors:
                powers[base, terms] += exponent
            factors = tuple(sorted((base, e, terms) for (base, terms), e in powers.items()))
            count = min(count, prod(_choose(terms + e - 1, e) for _, e, terms in factors))
        if out == (a or b):
            return self.made(shape, degree, count, factors)
        return self.made(shape, degree, count * prod(n for c, n in sizes.items() if c not in out))

    def sum(self, x: Terms, axes: tuple[int, ...]) -> Terms:
        kept = tuple(n for i, n in enumerate(x.shape) if i not in axes)
        return self.made(kept, x.degree, x.count * (prod(x.shape) // max(1, prod(kept))))

    def take(self, x: Terms, indices: Indices) -> Terms:
        return self.made(indices.shape, x.degree, x.count)

    def put(self, x: Terms, indices: Indices, shape: Shape) -> Terms:
        return self.made(shape, x.degree, x.count * int(np.bincount(indices.reshape(-1)).max(initial=1)))

    def reshape(self, x: Terms, shape: Shape) -> Terms:
        return self.made(shape, x.degree, x.count)

    def reciprocal(self, x: Terms) -> Terms:
        return self.made(x.shape, x.degree, x.count)


def _choose(n: float, k: int) -> float:
    """The binomial coefficient, rounded upwards."""
    if n < 2**50:
        return float(min(comb(int(n), k), 2**1000)) if k < 1_000 else inf
    return inf


def _monomials(variables: int, degree: int) -> float:
    """The number of monomials of at most this degree, rounded upwards."""
    log2 = (lgamma(variables + degree + 1) - lgamma(variables + 1) - lgamma(degree + 1)) / log(2) + 1e-3
    return float(2.0 ** min(log2, 300.0))

"""What a check will cost, estimated from shapes before it is begun, so that what would take too long is not
begun.

Nothing here is part of what is proved: if an estimate is wrong, time is lost.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import exp, lgamma, prod
from typing import Any, NamedTuple

import numpy as np

from conslaw.certificates.kernel import Array, Flow, Node, Shape, fields, run

OPERATIONS, BYTES = 1e9, 1e9  # what a verification may take, unless told otherwise
SURPLUS = 4  # samples beyond those that a rank needs
STEP = 1000.0  # multiplications that pass while Python takes one step of array code


class NotChecked(Exception):  # noqa: N818
    """A check that would take more work than it may; the text says how much."""


class Task(NamedTuple):
    """Work that is not begun: about how many multiplications and bytes it takes, and what says what was
    found, or refutes it.
    """

    operations: float
    bytes: float
    run: Callable[[], Any]


def fields_of(flow: Flow) -> tuple[Sizes, list[dict[str, Size]]]:
    """What the vector fields of a flow cost, and their sizes."""
    arrays = {**flow.state, **flow.data}
    sizes = Sizes(sum(map(prod, arrays.values())))
    values = sizes.variables(arrays)
    return sizes, fields(flow, values, values, sizes)


def identities(flow: Flow, terms: float, check: Callable[[], Any]) -> Task:
    """The fields of a flow as polynomials, and the derivatives along them of functions with so many terms,
    times their degrees.
    """
    sizes, found = fields_of(flow)
    longest = max((x.terms for one in found for x in one.values()), default=1.0)
    products = sizes.terms + terms * longest
    # FLINT keeps an exponent for each variable in each term
    return Task(products * (1 + sizes.count / 32), (sizes.terms + longest * 10) * (32 + sizes.count), check)


def brackets(flow: Flow, ranks: Sequence[int], columns: int, check: Callable[[], Any]) -> Task:
    """Random brackets of a flow at a point, as many of each depth as these ranks need, and the ranks of their
    values.
    """
    sizes, _ = fields_of(flow)
    operations, rows = 0.0, 0
    for depth, (before, after) in enumerate(zip([0, *ranks], ranks, strict=False), start=1):
        if after > before:
            rows += after - before + SURPLUS
            steps = STEP * 2.0**depth * len(flow.code)
            operations += (
                (after - before + SURPLUS) * 3.0**depth * sizes.products + steps + rows * rows * columns / 8
            )
    deepest = max((depth for depth, rank in enumerate(ranks, start=1)), default=1)
    return Task(operations, 3.0**deepest * sizes.largest * 40 + 100.0 * rows * columns, check)


def derivatives(codes: Sequence[Sequence[Node]], directions: int, check: Callable[[], Any]) -> Task:
    """Some array codes and their derivatives along so many tangent vectors."""
    sizes = Sizes(1)
    for code in codes:
        run(
            code,
            {node.attribute: Size(node.shape, 1, 1) for node in code if node.operation == "input"},
            sizes,
        )
    entries = sum(prod(node.shape) for code in codes for node in code)
    return Task(3 * directions * (sizes.products + entries), 16.0 * directions * sizes.largest, check)


class Size(NamedTuple):
    """A bound for an array of polynomials: its shape, the terms of an entry and their degree."""

    shape: Shape
    terms: float
    degree: float


class Sizes:
    """Bounds for what code computes: ``products`` of residues, ``terms`` that are multiplied as polynomials,
    the largest array.
    """

    def __init__(self, count: int) -> None:
        self.count, self.products, self.terms, self.largest = count, 1.0, 1.0, 1.0

    def _new(self, shape: Shape, terms: float, degree: float) -> Size:
        """A bound by the number of monomials of this degree in all variables."""
        n = self.count + degree
        terms = min(terms, exp(min(600.0, lgamma(n + 1) - lgamma(self.count + 1) - lgamma(degree + 1))) + 1)
        self.largest = max(self.largest, float(prod(shape)))
        self.terms += prod(shape) * terms
        return Size(shape, terms, degree)

    def variables(self, arrays: Mapping[str, Shape]) -> dict[str, Size]:
        return {name: Size(shape, 1, 1) for name, shape in arrays.items()}

    def constant(self, values: Array) -> Size:
        return self._new(values.shape, 1, 0)

    def add(self, x: Size, y: Size) -> Size:
        return self._new(x.shape, x.terms + y.terms, max(x.degree, y.degree))

    def product(self, x: Size, y: Size, a: str, b: str, out: str) -> Size:
        sizes = dict(zip(a + b, x.shape + y.shape, strict=True))
        self.products += prod(sizes.values())
        self.terms += prod(sizes.values()) * x.terms * y.terms
        shape = tuple(sizes.pop(c) for c in out)
        return self._new(shape, x.terms * y.terms * prod(sizes.values()), x.degree + y.degree)

    def sum(self, x: Size, axes: Shape) -> Size:
        shape = tuple(n for i, n in enumerate(x.shape) if i not in axes)
        return self._new(shape, x.terms * prod(x.shape[i] for i in axes), x.degree)

    def take(self, x: Size, indices: Array) -> Size:
        return self._new(indices.shape, x.terms, x.degree)

    def put(self, x: Size, indices: Array, shape: Shape) -> Size:
        most = int(np.unique(indices, return_counts=True)[1].max())
        return self._new(shape, x.terms * most, x.degree)

    def reshape(self, x: Size, shape: Shape) -> Size:
        return self._new(shape, x.terms, x.degree)

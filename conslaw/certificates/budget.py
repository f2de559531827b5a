"""What a check will cost, estimated from shapes before it is begun, so that what would take too long is not
begun.

Nothing here is part of what is proved: if an estimate is wrong, time is lost.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from math import exp, lgamma, log2, prod
from typing import Any, NamedTuple

import numpy as np

from conslaw.certificates.kernel import Array, Flow, Node, Shape, fields, run

OPERATIONS, BYTES = 1e9, 1e9  # what a verification may take, unless told otherwise
SURPLUS = 4  # samples beyond those that a rank needs
MOST_BITS = 100_000.0  # of a coefficient
MOST_ENTRIES = 3 * 10**7  # of arrays, and products of entries, up to which an estimate is made
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


def multiplications(code: Sequence[Node]) -> float:
    """About how many products of residues array code takes once, from its shapes alone."""
    total = 0.0
    for operation, arguments, shape, attribute in code:
        entries = prod(shape)
        if operation == "product":
            lengths = [n for i in arguments for n in code[i].shape]
            entries = prod(dict(zip(attribute[0] + attribute[1], lengths, strict=True)).values())
        total += entries
    return total


def once(task: Task) -> Task:
    """The same work, done at the first call."""
    return task._replace(run=lru_cache(maxsize=1)(task.run))


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
    longest = max((float(x.terms.max(initial=0)) for one in found for x in one.values()), default=1.0)
    products = sizes.terms + terms * longest
    # FLINT keeps an exponent for each variable in each term
    return Task(
        products * (1 + sizes.count / 32), (sizes.terms + longest * 10) * (32 + sizes.count) / 2, check
    )


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
    deepest = max(1, len(ranks))
    return Task(operations, 3.0**deepest * sizes.entries * 30 + 100.0 * rows * columns, check)


def derivatives(codes: Sequence[Sequence[Node]], directions: int, check: Callable[[], Any]) -> Task:
    """Some array codes and their derivatives along so many tangent vectors."""
    sizes = Sizes(1)
    for code in codes:
        run(code, sizes.variables({x.attribute: x.shape for x in code if x.operation == "input"}), sizes)
    entries_of_last = sum(prod(code[-1].shape) for code in codes)
    return Task(
        3 * directions * sizes.products, 32.0 * sizes.entries + 8.0 * directions * entries_of_last, check
    )


class Size(NamedTuple):
    """Bounds for an array of polynomials: the terms of each entry, the degree and the bits of coefficients of
    all.
    """

    terms: Array
    degree: float
    bits: float

    @property
    def shape(self) -> Shape:
        """The shape of the array."""
        return tuple(self.terms.shape)


class Sizes:
    """Bounds for what code computes: ``products`` of residues, ``terms`` that are multiplied as polynomials,
    the ``entries`` of all arrays.
    """

    def __init__(self, count: int) -> None:
        self.count, self.products, self.terms, self.entries = count, 1.0, 1.0, 1.0

    def _new(self, terms: Array, degree: float, bits: float) -> Size:
        """A bound by the number of monomials of this degree in all variables."""
        n, terms = self.count + degree, np.asarray(terms, dtype=np.float64)
        most = exp(min(340.0, lgamma(n + 1) - lgamma(self.count + 1) - lgamma(degree + 1))) + 1
        if bits > MOST_BITS:
            raise NotChecked(f"coefficients of {bits:.1e} bits")
        self.entries += float(terms.size)
        if self.entries > MOST_ENTRIES:  # the estimate itself would take long
            raise NotChecked(f"arrays of more than {MOST_ENTRIES:,} entries")
        self.products += float(terms.size)
        self.terms += float(terms.sum())
        return Size(np.minimum(terms, most), degree, bits)

    def variables(self, arrays: Mapping[str, Shape]) -> dict[str, Size]:
        """The entries of some arrays."""
        if (size := sum(map(prod, arrays.values()))) > MOST_ENTRIES:
            raise NotChecked(f"arrays of {size:,} entries")
        return {name: Size(np.ones(shape), 1, 1) for name, shape in arrays.items()}

    def constant(self, values: Array) -> Size:
        flat = values.reshape(-1).tolist()
        bits = max((max(v.numerator.bit_length(), v.denominator.bit_length()) for v in flat), default=1)
        return self._new(np.array([v != 0 for v in flat]).reshape(values.shape), 0, bits)

    def add(self, x: Size, y: Size) -> Size:
        return self._new(x.terms + y.terms, max(x.degree, y.degree), max(x.bits, y.bits) + 1)

    def product(self, x: Size, y: Size, a: str, b: str, out: str) -> Size:
        products = prod(dict(zip(a + b, x.shape + y.shape, strict=True)).values())
        if products > MOST_ENTRIES:
            raise NotChecked(f"a product of {products:,} entries")
        self.products += products
        bits = x.bits + y.bits + log2(max(1, products))
        return self._new(np.einsum(f"{a},{b}->{out}", x.terms, y.terms), x.degree + y.degree, bits)

    def sum(self, x: Size, axes: Shape) -> Size:
        return self._new(x.terms.sum(axis=axes), x.degree, x.bits + log2(max(1, x.terms.size)))

    def take(self, x: Size, indices: Array) -> Size:
        return self._new(x.terms.reshape(-1)[indices], x.degree, x.bits)

    def put(self, x: Size, indices: Array, shape: Shape) -> Size:
        terms = np.zeros(prod(shape))
        np.add.at(terms, indices.reshape(-1), x.terms.reshape(-1))
        return self._new(terms.reshape(shape), x.degree, x.bits + log2(max(1, x.terms.size)))

    def reshape(self, x: Size, shape: Shape) -> Size:
        return self._new(x.terms.reshape(shape), x.degree, x.bits)

"""A polynomial as the sum of its multihomogeneous terms: one expression for each degree in its arrays."""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import Any, TypeAlias

from conslaw.algebra.evaluation import evaluate, topological_order
from conslaw.algebra.expressions import Constants, Expression, Indices, Shape

Degree: TypeAlias = tuple[
    str, ...
]  # the names of the arrays that a term is made of, sorted, with repetitions
Terms: TypeAlias = Mapping[Degree, Expression]

MOST_TERMS, MOST_PRODUCTS = 20_000, 30_000  # of one node; of terms with terms, in all
HIGHEST_DEGREE = 60


class TooManyTermsError(Exception):
    """There are more terms, or terms of higher degree, than are looked at."""


class Multigrading:
    """The number system of such sums; terms of a higher degree than ``most`` in the arrays ``limited`` are
    left out, all of them.
    """

    def __init__(self, limited: Container[str], most: int) -> None:
        self.limited, self.most, self.left_out, self.products = limited, most, False, 0

    def at(self, node: Expression) -> None:
        """Called before each node."""
        self.node = node

    def _made(self, *arguments: Expression) -> Expression:
        return Expression(self.node.operation, arguments, self.node.attribute, self.node.shape)

    def constant(self, values: Constants) -> Terms:
        return {(): self.node} if any(v != 0 for v in values.reshape(-1)) else {}

    def add(self, x: Terms, y: Terms) -> Terms:
        result = {d: self._made(x[d], y[d]) if d in y else x[d] for d in x}
        return self._few(result | {d: y[d] for d in y if d not in x})

    def product(self, x: Terms, y: Terms, a: str, b: str, out: str) -> Terms:
        result = dict[Degree, Expression]()
        self.products += len(x) * len(y)
        if self.products > MOST_PRODUCTS:
            raise TooManyTermsError
        for left, one in x.items():
            for right, two in y.items():
                degree = tuple(sorted((*left, *right)))
                if len(degree) > HIGHEST_DEGREE:
                    raise TooManyTermsError
                if sum(name in self.limited for name in degree) > self.most:
                    self.left_out = True
                    continue
                term = self._made(one, two)
                known = result.get(degree)
                result[degree] = term if known is None else Expression("add", (known, term), None, term.shape)
                self._few(result)
        return result

    def _few(self, terms: Terms) -> Terms:
        if len(terms) > MOST_TERMS:
            raise TooManyTermsError
        return terms

    def _each(self, x: Terms) -> Terms:
        return {degree: self._made(term) for degree, term in x.items()}

    def sum(self, x: Terms, axes: Shape) -> Terms:
        return self._each(x)

    def take(self, x: Terms, indices: Indices) -> Terms:
        return self._each(x)

    def put(self, x: Terms, indices: Indices, shape: Shape) -> Terms:
        return self._each(x)

    def reshape(self, x: Terms, shape: Shape) -> Terms:
        return self._each(x)

    def reciprocal(self, x: Any) -> Any:
        raise AssertionError("potentials are polynomial")


def terms_of(output: Expression, limited: Container[str], most: int) -> tuple[Terms, bool]:
    """The terms of degree at most ``most`` in the arrays ``limited``, and whether there are others.

    Their sum is the expression without those of higher degree.  Raises :class:`TooManyTermsError`.
    """
    nodes = topological_order([output])
    inputs: dict[str, Terms] = {x.attribute: {(x.attribute,): x} for x in nodes if x.operation == "input"}
    if most < 1:
        inputs = {name: {} if name in limited else x for name, x in inputs.items()}
    numbers = Multigrading(limited, most)
    [found] = evaluate([output], inputs, numbers)
    return found, numbers.left_out

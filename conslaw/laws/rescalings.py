"""Rescalings: laws along a whole network, found and proved operation by operation.

Multiply the weights into one channel of a residual stream by t and divide those out of it by t, in every
block: the network is the same function.  So the weighted sum of squares of these entries is conserved.  No
window of it is short, but nothing needs to be written out: whether such a rescaling leaves a potential as it
is can be read off its array code, one operation after another.  Statement and proof: What is proved.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from math import lcm

import numpy as np

from conslaw.algebra.evaluation import evaluate
from conslaw.algebra.expressions import Constants, Indices, Shape
from conslaw.algebra.interpretations import Interpretation
from conslaw.algebra.sparse_kernel import Equations, Vector, kernel_by_components, primitive
from conslaw.algebra.uniform_axes import Axes, Links
from conslaw.flows.flow import Flow
from conslaw.laws.candidates import Candidate, Combination, candidates
from conslaw.laws.index_classes import IndexClasses

Weight = dict[int, int]  # a sum of multiples of unknowns


class Weights(Interpretation):
    """By which power of t an entry is multiplied if one index of a class is rescaled: unknown for each axis
    of each parameter.

    A value is, for each axis, what an index of it adds to the exponent; ``conditions`` must be 0 for the
    terms of each sum in the code to have the same.
    """

    def __init__(self, classes: Mapping[int, Axes]) -> None:
        super().__init__(classes)
        self.conditions: list[Weight] = []

    def constant(self, values: Constants) -> Sequence[Weight]:
        return [{} for _ in range(values.ndim)]

    def add(self, x: Sequence[Weight], y: Sequence[Weight]) -> Sequence[Weight]:
        self.conditions += [_sum(i, j, -1) for i, j in zip(x, y, strict=True)]
        return x

    def product(self, x: Sequence[Weight], y: Sequence[Weight], a: str, b: str, out: str) -> Sequence[Weight]:
        total = dict[str, Weight]()
        for letter, weight in zip(a + b, [*x, *y], strict=True):
            total[letter] = _sum(total.get(letter, {}), weight)
        self.conditions += [weight for letter, weight in total.items() if letter not in out]
        return [total[letter] for letter in out]

    def sum(self, x: Sequence[Weight], axes: tuple[int, ...]) -> Sequence[Weight]:
        self.conditions += [x[i] for i in axes]
        return [weight for i, weight in enumerate(x) if i not in axes]

    def take(self, x: Sequence[Weight], indices: Indices) -> Sequence[Weight]:
        return self._linked(x, self.links_of_take(indices))

    def put(self, x: Sequence[Weight], indices: Indices, shape: Shape) -> Sequence[Weight]:
        return self._linked(x, self.links_of_put(indices))

    def reshape(self, x: Sequence[Weight], shape: Shape) -> Sequence[Weight]:
        return self._linked(x, self.links_of_reshape())

    def reciprocal(self, x: Sequence[Weight]) -> Sequence[Weight]:
        return [_sum({}, weight, -1) for weight in x]

    def _linked(self, x: Sequence[Weight], links: Links) -> Sequence[Weight]:
        value: list[Weight] = [{} for _ in self.shape]
        for i, j in links:
            value[j] = _sum(value[j], x[i])
        linked = {i for i, _ in links}
        self.conditions += [weight for i, weight in enumerate(x) if i not in linked]
        return value


def _sum(x: Weight, y: Weight, factor: int = 1) -> Weight:
    if not y:
        return x
    total = {k: x.get(k, 0) + factor * y.get(k, 0) for k in {**x, **y}}
    return {k: v for k, v in total.items() if v}


def learning_rates(flow: Flow) -> dict[str, Fraction]:
    """The learning rate of each parameter array that has a constant one."""
    words = flow.metric_words or {}
    return {
        name: Fraction(1 if word == "euclidean" else word)
        for name, word in words.items()
        if not word.startswith("z")
    }


def rescalings(flow: Flow, chosen: Sequence[int]) -> list[Combination]:
    """The laws of a gradient flow without weight decay that rescalings of the indices of some classes give.

    Each a combination of squared norms, one law for each index of its class: proved, at any width and depth.
    """
    if flow.model is None or flow.name != "gradient" or flow.weight_decay != "0" or not chosen:
        return []
    classes, potential = IndexClasses.of(flow), flow.model.potential
    axes, rates = classes.axes([potential]), learning_rates(flow)
    places = [(n, i) for n in flow.model.parameters for i, c in enumerate(classes.state[n]) if c in chosen]
    places = [place for place in places if place[0] in rates]
    if not places:
        return []
    unknown: dict[tuple[str, int], Weight] = {place: {k: 1} for k, place in enumerate(places)}
    known = {**classes.state, **classes.data}
    inputs = {n: [unknown.get((n, i), {}) for i in range(len(a))] for n, a in known.items()}
    numbers = Weights(axes)
    [weight] = evaluate([potential], inputs, numbers)
    conditions = [x for x in [*numbers.conditions, *weight] if x]
    square = _squares(flow)
    found = list[Combination]()
    for vector in _kernel(conditions, len(places)):
        exact = {k: v / rates[places[k][0]] for k, v in vector.items()}
        whole = lcm(*(x.denominator for x in exact.values()))
        terms = [(int(exact[k] * whole), square[places[k]]) for k in sorted(exact)]
        found.append(Combination(tuple(terms), 0))
    return found


def _kernel(conditions: Sequence[Weight], unknowns: int) -> list[Vector]:
    """The rescalings that meet some conditions; those of different classes have nothing in common."""
    entries = [(row, k, v) for row, condition in enumerate(conditions) for k, v in condition.items()]
    row, column, value = (np.array([x[i] for x in entries], dtype=np.int64) for i in range(3))
    system = Equations(row, column.astype(np.intp), value)
    return [primitive(v) for v in kernel_by_components(system, np.arange(unknowns))]


def _squares(flow: Flow) -> dict[tuple[str, int], Candidate]:
    """The squared norms of the slices of each array by each of its axes."""
    found = dict[tuple[str, int], Candidate]()
    for c in candidates(flow):
        names = {name for name, _ in c.factors}
        if len(c.factors) == 2 and len(names) == 1 and len({*c.factors}) == 1 and len(c.out) == 1:
            (name, letters), _ = c.factors
            found.setdefault((name, letters.index(c.out)), c)
    return found

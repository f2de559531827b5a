"""The rule of rescalings: a weighted sum of squares is a law if multiplying its entries by powers of t leaves
the potential as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from math import lcm, prod

import numpy as np

from conslaw.algebra.uniform_axes import RIGID
from conslaw.certificates import budget, kernel
from conslaw.certificates.budget import Task
from conslaw.certificates.kernel import Array, Refuted, Shape
from conslaw.certificates.reading import rational
from conslaw.certificates.subject import Subject, kernel_flow
from conslaw.laws.candidates import Combination
from conslaw.laws.index_classes import IndexClasses

MOST = 2**50  # an exponent
FEW = 2  # indices of each class: the one that is rescaled, and any other


def rescaling(subject: Subject, every: IndexClasses, combination: Combination) -> Task | None:
    """*Rescalings*: with index 0 of a class rescaled as a family says, the entries that are added anywhere in
    the code are multiplied by the same power of t, and the potential by none; in the network with two indices
    of each class, of which the other stands for all others.  None if the family is no sum of squares along a
    class, or the flow not of this kind.
    """
    section, model = subject.section, every.flow.model
    if section["kind"] != "gradient" or Fraction(section["weight_decay"]) or model is None:
        return None
    exponents = _exponents(subject, every, combination)
    if exponents is None:
        return None
    lengths = {c: min(n, FEW) for c, n in every.lengths.items()}
    made = every.smaller_flow(lengths)
    [potential] = every.resized([model.potential], lengths)
    shapes = {n: made.state[n] for n in model.parameters}
    flow = kernel_flow(potential, shapes, made.data, section)
    inputs = {n: np.zeros(s, dtype=np.int64) for n, s in {**shapes, **made.data}.items()}
    for (name, axis), weight in exponents.items():
        first = np.arange(inputs[name].shape[axis]) == 0
        line = first.reshape([-1 if i == axis else 1 for i in range(inputs[name].ndim)])
        inputs[name] = inputs[name] + weight * line

    def check() -> str:
        try:
            [last] = kernel.run(flow.code, inputs, Exponents())[-1].reshape(-1).tolist()
        except Refuted as problem:
            return str(problem)
        return "" if last in (0, Exponents.zero) else "is no rescaling that leaves the potential as it is"

    return budget.derivatives([flow.code], 1, check)


def _exponents(
    subject: Subject, every: IndexClasses, combination: Combination
) -> Mapping[tuple[str, int], int] | None:
    """By which power of t an entry is multiplied for each index of an axis of an array that is rescaled."""
    found, classes = dict[tuple[str, int], Fraction](), set[int]()
    for coefficient, c in combination.terms:
        (name, letters), *others = c.factors
        word = subject.section["metric"].get(name, "z") if subject.section["metric"] else "z"
        if others != [(name, letters)] or len(c.out) != 1 or c.out not in letters or word.startswith("z"):
            return None
        axis = letters.index(c.out)
        rate = Fraction(1) if word == "euclidean" else rational(word)
        classes.add(every.state[name][axis])
        found[name, axis] = found.get((name, axis), Fraction(0)) + coefficient * rate
    if len(classes) != 1 or RIGID in classes or combination.power:
        return None
    whole = lcm(*(x.denominator for x in found.values()))
    result = {place: int(x * whole) for place, x in found.items()}
    return result if all(abs(x) < MOST for x in result.values()) else None


class Exponents:
    """Numbers that say with which power of t an entry is multiplied; ``zero`` for the entry 0, which is with
    any.
    """

    zero = -(2**62)

    def constant(self, values: Array) -> Array:
        entries = [self.zero if v == 0 else 0 for v in values.reshape(-1)]
        return np.array(entries, dtype=np.int64).reshape(values.shape)

    def add(self, x: Array, y: Array) -> Array:
        return self.sum(np.stack([x, y]), (0,))

    def product(self, x: Array, y: Array, a: str, b: str, out: str) -> Array:
        every = out + "".join(c for c in dict.fromkeys(a + b) if c not in out)
        sizes = dict(zip(a + b, x.shape + y.shape, strict=True))
        left, right = (
            z.transpose([letters.index(c) for c in every if c in letters]).reshape(
                [sizes[c] if c in letters else 1 for c in every]
            )
            for z, letters in ((x, a), (y, b))
        )
        total = np.where((left == self.zero) | (right == self.zero), self.zero, left + right)
        if (abs(total[total != self.zero]) > MOST).any():
            raise Refuted("has powers that are too large")
        return self.sum(total, tuple(range(len(out), len(every))))

    def sum(self, x: Array, axes: Shape) -> Array:
        if not axes:
            return x
        if not prod(x.shape):
            return np.full([n for i, n in enumerate(x.shape) if i not in axes], self.zero)
        most = x.max(axis=axes, keepdims=True)
        if ((x != most) & (x != self.zero)).any():
            raise Refuted("rescales terms of one sum by different powers")
        return np.asarray(most.max(axis=axes))

    def take(self, x: Array, indices: Array) -> Array:
        return x.reshape(-1)[indices]

    def put(self, x: Array, indices: Array, shape: Shape) -> Array:
        most, least = np.full(prod(shape), self.zero), np.full(prod(shape), -self.zero)
        places, values = indices.reshape(-1), x.reshape(-1)
        real = values != self.zero
        np.maximum.at(most, places[real], values[real])
        np.minimum.at(least, places[real], values[real])
        if ((most != self.zero) & (most != least)).any():
            raise Refuted("rescales terms of one sum by different powers")
        return most.reshape(shape)

    def reshape(self, x: Array, shape: Shape) -> Array:
        return x.reshape(shape)

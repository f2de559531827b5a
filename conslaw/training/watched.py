"""The laws of an analysis as sums of parts that are quick to evaluate, on NumPy arrays and on torch tensors.

A law of degree at most 2 is a sum of terms that are linear in one array, or bilinear in two (twice the same,
as a rule).  Its value, its derivative along a step and the second-order term of that step are then sums over
the same parts, each with its own factors: learning rates, weight decay.  That is all that the exact formulas
of :mod:`conslaw.training.predictions` need.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any, ClassVar

import numpy as np

from conslaw.algebra.expressions import Shape
from conslaw.algebra.polynomials import terms
from conslaw.answers import Analysis
from conslaw.errors import ConslawError
from conslaw.flows.coordinates import write
from conslaw.flows.flow import TIME, Flow, velocity
from conslaw.laws.ansatz import PolynomialLaws
from conslaw.laws.forms import (
    Arrays,
    Part,
    Probed,
    Sums,
    Values,
    axes_of,
    first_of,
    form_of,
    labels_of,
    order_of,
    summed,
)
from conslaw.laws.matrix_notation import FoundFamily

PROBES = 4  # random vectors z with which z' G z stands for a Gram matrix G
UNITS = 8  # of a vector of laws, the first ones, where not all entries are wanted


@dataclass(frozen=True, eq=False)
class Watched:
    """Some laws of one kind, as they are watched in training.

    Attributes
    ----------
    text, latex : the laws in the notation of the model
    terms : coefficients and parts
    labels : what each watched number is
    skew : whether they are bilinear in parameters and velocities (laws of a momentum flow)
    power : of the function of time that they are multiplied by
    """

    text: str
    latex: str
    terms: tuple[tuple[Any, Part], ...]
    labels: tuple[str, ...]
    skew: bool = False
    power: int = 0

    @cached_property
    def parts(self) -> list[Part]:
        """The parts alone."""
        return [part for _, part in self.terms]

    @cached_property
    def quadratic(self) -> list[Part]:
        """Those of degree 2."""
        return [part for part in self.parts if len(part.arrays) == 2]

    def total(self, values: Mapping[Part, Values], factor: Callable[[Part], Any] = lambda _: 1) -> Values:
        """The sum of some of its parts, given by their values, each with a factor more."""
        return sum(c * factor(part) * values[part] for c, part in self.terms if part in values)

    def at(self, x: Arrays) -> Values:
        """The laws at a point."""
        return self.total({part: part.of(x) for part in self.parts})

    def magnitude(self, x: Arrays) -> Values:
        """The sum of the absolute values of the terms that the laws have at a point."""
        absolute = {name: abs(values) for name, values in x.items()}
        return sum(abs(c) * abs(part.of(absolute)) for c, part in self.terms)


def watched(analysis: Analysis, *, entries: bool, seed: int = 0) -> tuple[list[Watched], list[Any]]:
    """The laws of an analysis that can be watched, those of degree at most 2 in the parameters, or in
    parameters and velocities; and the others, as SymPy expressions.

    Parameters
    ----------
    entries : whether every law is watched; if not, of a Gram matrix a few random quadratic forms, of a vector
        the first 8 entries
    seed : of the random forms
    """
    if not isinstance(analysis, Analysis):
        raise ConslawError(f"analysis={analysis!r}: give what conslaw.analyze(...) returned")
    if analysis.analyzed is None:
        raise ConslawError("this analysis was read back from JSON: analyze the flow again")
    flow, rng = analysis.analyzed, np.random.default_rng(seed)
    families, left = analysis._families
    found = [_family(family, flow, entries, rng) for family in families if isinstance(family, FoundFamily)]
    laws, others = analysis.polynomial_laws, list[Any]()
    if isinstance(laws, PolynomialLaws):
        known = terms(laws.polynomials)
        plain = flow.time is None and len(laws.coordinates) == flow.dimension  # no time, no logarithms
        quadratic = [i for i in left if plain and all(0 < len(monomial) < 3 for monomial, _ in known[i])]
        if quadratic:
            found.append(_polynomials(laws, [known[i] for i in quadratic], flow))
        written = laws.expressions() if len(quadratic) < len(left) else []
        others = [written[i] for i in left if i not in quadratic]
        others += analysis.rational_laws.expressions() if analysis.rational_laws else []
    return [one for one in found if one], others


def _family(family: FoundFamily, flow: Flow, entries: bool, rng: np.random.Generator) -> Watched | None:
    """A family of laws; None if it is of another degree."""
    like, candidates = family.combination.like, [c for _, c in family.combination.terms]
    moving = {velocity(name) for name in (flow.model.parameters if flow.model else {})} | {TIME}
    skew = like.kind == "skew"
    if not skew and any(name in moving for c in candidates for name, _ in c.factors):
        return None
    forms: Sequence[Any]
    indices: list[tuple[slice, ...]] = [()] * len(candidates)
    few = not entries and like.each * like.size > (PROBES if like.kind == "symmetric" else UNITS)
    if like.kind == "symmetric" and few:
        probes = rng.choice([-1, 1], (like.size, PROBES))
        forms = [Probed(*axes_of(c), probes) for c in candidates]
        labels = labels_of(like, [f"z{k}" for k in range(PROBES)])
    elif like.is_matrix:
        rows, columns = np.triu_indices(like.size, int(skew))
        forms = [form_of(c) for c in candidates]
        labels = labels_of(like, [f"{i},{j}" for i, j in zip(rows.tolist(), columns.tolist(), strict=True)])
    else:
        some = few and len(like.out) == 1
        forms = [Sums(summed(c), order_of(c)) for c in candidates]
        indices = [first_of(c, UNITS) if some else () for c in candidates]
        count = UNITS if some else like.size
        labels = labels_of(like, [str(k) for k in range(count)] if count > 1 else [""])
    arrays = [tuple(name for name, _ in c.factors) for c in candidates]
    parts = [Part(*given) for given in zip(arrays, forms, indices, strict=True)]
    coefficients = [coefficient for coefficient, _ in family.combination.terms]
    names = flow.model.arguments.get("names") if flow.model else None
    shown = family.in_names(names) if names else family
    text, latex = shown.text, shown.latex
    if family.combination.power:  # the function of time is no part of what is watched
        text, latex = (family.combination.written(None, latex=which) for which in (False, True))
    both = tuple(zip(coefficients, parts, strict=True))
    return Watched(text, latex, both, tuple(labels), skew, family.combination.power)


@dataclass(frozen=True, eq=False)
class _Monomials:
    """Sums of monomials: ``table`` times the products of these entries."""

    table: Any
    places: tuple[Any, ...]
    multiplies: ClassVar[bool] = True

    def __call__(self, *arrays: Values) -> Values:
        table = self.table
        if arrays[0].dtype != object:
            table = table.astype(np.float64)
            table = arrays[0].new_tensor(table) if hasattr(arrays[0], "new_tensor") else table
        factors = [x.reshape(-1)[place] for x, place in zip(arrays, self.places, strict=True)]
        return table @ (factors[0] * factors[1] if len(factors) > 1 else factors[0])


def _polynomials(laws: PolynomialLaws, written: Sequence[Any], flow: Flow) -> Watched:
    """Some polynomials of degree at most 2."""
    homes = [(c.name, _place(flow.state, c.name, c.index)) for c in laws.coordinates]
    groups: dict[tuple[int, tuple[str, ...]], list[tuple[int, tuple[int, ...], Any]]] = {}
    for k, law in enumerate(written):
        for monomial, coefficient in law:
            arrays, places = zip(*sorted(homes[v - 1] for v in monomial), strict=True)
            sign = 1 if coefficient > 0 else -1
            groups.setdefault((sign, arrays), []).append((k, places, abs(coefficient)))
    first = write(written[0], laws.coordinates)
    return Watched(
        first if len(written) == 1 else f"{len(written)} laws that are in no matrix notation: {first}, ...",
        r"\text{other laws}",
        tuple((sign, Part(arrays, _monomials(len(written), x))) for (sign, arrays), x in groups.items()),
        tuple(str(k) for k in range(len(written))),
    )


def _place(state: Mapping[str, Shape], name: str, index: tuple[int, ...]) -> int:
    return int(np.ravel_multi_index(index, state[name])) if prod(state[name]) > 1 else 0


def _monomials(count: int, members: Sequence[tuple[int, tuple[int, ...], Any]]) -> _Monomials:
    """The form of the monomials of laws (law, places, coefficient) in the same arrays."""
    table = np.zeros((count, len(members)), dtype=object)
    for column, (k, _, coefficient) in enumerate(members):
        table[k, column] = coefficient
    places = tuple(np.array(one) for one in zip(*(places for _, places, _ in members), strict=True))
    return _Monomials(table, places)

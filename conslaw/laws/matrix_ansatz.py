"""The matrix ansatz: laws as combinations of arrays, found without monomials and proved for all widths."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial, reduce
from operator import add
from typing import TYPE_CHECKING

import numpy as np

from conslaw.algebra.evaluation import evaluate, gradient, topological_order
from conslaw.algebra.expressions import LETTERS, einsum, input_array
from conslaw.algebra.finite_field import LIFTING_PRIME as PRIME
from conslaw.algebra.finite_field import RowSpace
from conslaw.algebra.polynomials import PolynomialArray, Polynomials, concatenate, number, terms
from conslaw.algebra.uniform_axes import Axes
from conslaw.errors import ConslawError, check_memory
from conslaw.flows.coordinates import to_sympy, write
from conslaw.flows.flow import Flow
from conslaw.laws.candidates import ORDER, Candidate, Combination, arrays_of, candidates
from conslaw.laws.exact_fields import expansion
from conslaw.laws.index_classes import IndexClasses
from conslaw.laws.lie import random_point
from conslaw.laws.windows import alike, arrays_of_windows, window

if TYPE_CHECKING:
    import sympy
from conslaw.laws.matrix_notation import (
    MOST_TERMS,
    FoundFamily,
    conserved_combinations,
    derivatives_along,
)

FEW = 3  # neurons of each class of the networks in which identities are checked, about
SMALL_CLASS = 12  # indices of a class that may be left whole
MOST_EXPANDED = 300_000.0  # terms of a window that is written out


@dataclass(frozen=True)
class MatrixLaws:
    """Laws that the matrix ansatz finds: the entries of combinations of the model's own arrays.

    Attributes
    ----------
    families : those whose entries are independent of the families before
    independent : proved: at least that many of their entries are independent
    flow : the flow that they are laws of
    """

    families: Sequence[FoundFamily]
    independent: int
    flow: Flow = field(repr=False)

    @staticmethod
    def none(flow: Flow) -> MatrixLaws:
        """No laws of a flow."""
        return MatrixLaws((), 0, flow)

    def __len__(self) -> int:
        return self.independent

    @property
    def terms(self) -> int:
        """How many terms the laws have, written out as polynomials."""
        return sum(c.terms(self.flow.state) for f in self.families for _, c in f.combination.terms)

    @cached_property
    def polynomials(self) -> PolynomialArray:
        """All entries as polynomials.

        Raises
        ------
        ConslawError
            If they have more than 200,000 terms.
        """
        if self.terms > MOST_TERMS:
            raise ConslawError(
                f"{self.independent:,} laws with {self.terms:,} terms are too much to write out: "
                f"read them as analysis.law_families, and one at a time: analysis.law_families[0].law(0, 1)"
            )
        state, combinations = arrays_of(self.flow), [f.combination for f in self.families]
        arrays = [c.timed(c.like.distinct(c.array(state))) for c in combinations]
        parts = evaluate(arrays, number(self.flow.state), Polynomials())
        starts = np.cumsum([0, *(x.shape[0] for x in parts)]).tolist()
        return concatenate(parts, starts[:-1], (starts[-1],))

    def strings(self) -> list[str]:
        """The entries as text."""
        coordinates = self.flow.coordinates
        return [write(polynomial, coordinates) for polynomial in terms(self.polynomials)]

    def latex(self) -> list[str]:
        """The entries as LaTeX."""
        coordinates = self.flow.coordinates
        return [write(polynomial, coordinates, latex=True) for polynomial in terms(self.polynomials)]

    def expressions(self) -> list[sympy.Expr]:
        """The entries as SymPy expressions."""
        coordinates = self.flow.coordinates
        return [to_sympy(polynomial, coordinates) for polynomial in terms(self.polynomials)]


def columns_directly(flow: Flow, combinations: Sequence[Combination]) -> int:
    """The number of columns of the matrix of gradients that :func:`directly` works on."""
    return min(flow.dimension, sum(c.like.entries for c in combinations) + 2)


def directly(flow: Flow, combinations: Sequence[Combination], seed: int) -> list[int]:
    """What each combination adds to the rank of the gradients of all entries at a random point mod p: proved
    lower bounds.

    The rank of the gradients is at least that of their products with random tangent vectors, somewhat more
    than there are entries.
    """
    state, rng = arrays_of(flow), np.random.default_rng(seed)
    arrays = [c.like.distinct(c.array(state)) for c in combinations]
    total = min(flow.dimension, sum(x.size for x in arrays) + 2)
    check_memory(24.0 * total * flow.dimension, f"the gradients of {total - 2:,} entries at once")
    point, directions = random_point(flow, rng, PRIME), random_point(flow, rng, PRIME, total)
    space, result = RowSpace.zero(total, PRIME), list[int]()
    for slopes in derivatives_along(arrays, point, directions, total):
        larger = space.extend(slopes.T)
        result.append(larger.rank - space.rank)
        space = larger
    return result


def matrix_combinations(classes: IndexClasses) -> list[Combination]:
    """The conserved combinations of candidates of a flow, whatever the numbers of its neurons: each entry is
    proved a law.

    The derivative of an entry along a field, as a polynomial, has monomials with at most so many distinct
    indices of each class as its expression has summations (:meth:`IndexClasses.distinct_indices`).  If it is
    zero for a network with so many neurons, no monomial can be left over in a larger one.
    """
    flow, groups = classes.flow, dict[Axes, list[tuple[Candidate, dict[int, int]]]]()
    for candidate in candidates(flow):
        counts = indices_of_derivative(classes, candidate)
        if counts is not None:
            groups.setdefault(candidate.axes(classes), []).append((candidate, counts))
    powers, found = flow.time_degree if flow.time is not None else 0, list[Combination]()
    for axes, members in groups.items():
        needed = {c: max(1, *(counts.get(c, 0) for _, counts in members)) for c in classes.lengths}
        smaller = classes.smaller_flow({c: min(n, needed[c]) for c, n in classes.lengths.items()})
        group: Callable[[Candidate], Hashable] = partial(lambda own, _: own, axes)
        pairs = conserved_combinations(smaller, [c for c, _ in members], powers, group)
        found += [combination for combination, _ in pairs]
    return in_order(found)


def combinations_of_windows(flow: Flow) -> list[Combination]:
    """The conserved combinations of arrays that share an index class, each found in its window.

    Windows of the same code are solved once, so the cost is linear in the depth of a network.
    """
    found, solved = dict[Combination, None](), dict[Hashable, tuple[Flow, list[Combination] | None]]()
    for arrays in arrays_of_windows(IndexClasses.of(flow)):
        for apart in (False, True):
            part = window(flow, arrays, apart=apart)
            key = alike(part)
            if key not in solved:
                own = IndexClasses.of(part)
                ways = [own, *([with_small_classes_whole(own)] if _has_numbers(part) else [])]
                short = [x for x in dict.fromkeys(ways) if is_short(x)]
                laws = [c for x in short for c in matrix_combinations(x)] if short else None
                solved[key] = (part, laws)
            like, known = solved[key]
            if known is not None:
                same = dict(zip(candidates(like), candidates(part), strict=True))
                renamed = (Combination(tuple((k, same[c]) for k, c in x.terms), x.power) for x in known)
                found.update(dict.fromkeys(renamed))
                break
    return in_order(found)


def with_small_classes_whole(classes: IndexClasses) -> IndexClasses:
    """The same with classes of few indices left whole: constants may depend on their lengths (a mean)."""
    return classes.without([c for c, n in classes.lengths.items() if n <= SMALL_CLASS], classes.zero)


def _has_numbers(flow: Flow) -> bool:
    """Whether numbers other than 1 and -1 stand in the code of a flow: they may be lengths of classes."""
    assert flow.model is not None
    numbers = (x.attribute for x in topological_order([flow.model.potential]) if x.operation == "constant")
    return any(abs(v) != 1 for values in numbers for v in values.reshape(-1).tolist())


def is_short(classes: IndexClasses) -> bool:
    """Whether the fields of a flow with few neurons, in which identities are checked, can be written out."""
    return terms_of_few(classes) <= MOST_EXPANDED


def terms_of_few(classes: IndexClasses) -> float:
    """A bound for the number of terms of its fields then."""
    return expansion(classes.smaller_flow({c: min(n, FEW) for c, n in classes.lengths.items()}))


def in_order(combinations: Iterable[Combination]) -> list[Combination]:
    """Large families first."""
    return sorted(combinations, key=lambda x: (ORDER.index(x.like.kind), -x.like.size * x.like.each, x.power))


def indices_of_derivative(classes: IndexClasses, candidate: Candidate) -> dict[int, int] | None:
    """How many distinct indices of each class a monomial of the derivative of an entry involves; None if that
    is not known.
    """
    state = arrays_of(classes.flow)
    array = candidate.array(state)
    tests = {f"_{k}": input_array(f"_{k}", (n,)) for k, n in enumerate(array.shape)}  # they pick an entry
    letters = LETTERS[: array.ndim]
    value = einsum(",".join([letters, *letters]) + "->", array, *tests.values())
    known = classes.with_data(dict(zip(tests, ((c,) for c in candidate.axes(classes)), strict=True)))
    names = sorted({name for name, _ in candidate.factors})
    slopes = dict(zip(names, gradient(value, [state[n] for n in names]), strict=True))
    parts = [[(slopes[n] * x[n]).sum() for n in names if n in x] for x in classes.flow.fields]
    result: dict[int, int] = {}
    for polynomial in [value, *(reduce(add, pieces) for pieces in parts if pieces)]:
        if not known.decouples(polynomial, first_order=False):
            return None
        counts = known.distinct_indices(polynomial)
        if counts is None:
            return None
        for c, n in counts.items():
            result[c] = max(result.get(c, 0), n)
    return result

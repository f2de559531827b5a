"""The matrix ansatz: laws as combinations of arrays, found without monomials and proved for all widths."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache, reduce
from math import prod
from operator import add
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from conslaw import display
from conslaw.algebra.einsum import einsum
from conslaw.algebra.evaluation import evaluate, gradient, topological_order
from conslaw.algebra.expressions import LETTERS, Expression, input_array
from conslaw.algebra.finite_field import LIFTING_PRIME as PRIME
from conslaw.algebra.finite_field import RowSpace
from conslaw.algebra.interpretations import Counts, Kinds
from conslaw.algebra.polynomials import PolynomialArray, Polynomials, concatenate, number, terms
from conslaw.algebra.uniform_axes import RIGID, Axes
from conslaw.errors import ConslawError, check_memory
from conslaw.flows.coordinates import to_sympy, write_law
from conslaw.flows.flow import TIME, Flow
from conslaw.laws.candidates import ORDER, Candidate, Combination, arrays_of, candidates
from conslaw.laws.exact_fields import expansion, expansion_of_gradient
from conslaw.laws.index_classes import IndexClasses, only_own
from conslaw.laws.lie import random_point
from conslaw.laws.matrix_notation import (
    MOST_TERMS,
    FoundFamily,
    conserved_combinations,
    derivatives_along,
)
from conslaw.laws.rescalings import rescalings
from conslaw.laws.windows import MOST_ARRAYS, alike, ends, sets_of_windows, window, window_at_any_place

if TYPE_CHECKING:
    import sympy

FEW = 3  # neurons of each class of the networks in which identities are checked, about
SMALL_CLASS = 12  # indices of a class that may be left whole
MOST_EXPANDED = 300_000.0  # terms of a window that is written out
LITTLE_EXPANDED = 20_000.0  # of one that is not replaced by its code at one place
CHEAP, MOST_IN_BLOCKS = 3_000_000, 30_000_000  # entries of one such matrix, and of several, made at once


@dataclass(frozen=True, repr=False)
class MatrixLaws(display.Shown):
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

    def _summary(self) -> display.Summary:
        rows = [("independent", f"{self.independent:,}   proved at least")]
        families = [family.latex_counted for family in self.families]
        laws = display.Section("laws in matrix notation", list(map(str, self.families)), families)
        return display.Summary("laws of the matrix ansatz", rows, (), [laws] if families else [])

    def strings(self) -> list[str]:
        """The entries as text."""
        coordinates = self.flow.coordinates
        return [write_law(polynomial, coordinates) for polynomial in terms(self.polynomials)]

    def latex(self) -> list[str]:
        """The entries as LaTeX."""
        coordinates = self.flow.coordinates
        return [write_law(polynomial, coordinates, latex=True) for polynomial in terms(self.polynomials)]

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
    return _ranks_along(flow, combinations, list(flow.state), seed)


def array_by_array(flow: Flow, combinations: Sequence[Combination], seed: int) -> tuple[list[int], bool]:
    """The same in time linear in the depth, and whether no more are independent at the point.

    Counted are the gradients of the combinations of the same arrays with respect to those of them that none
    before has (:func:`blocks_of`), if that is little work.
    """
    result, exact, left = [0] * len(combinations), True, MOST_IN_BLOCKS
    for members, columns in blocks_of(flow, combinations):
        own = [combinations[i] for i in members]
        arrays = _arrays_in(own)
        size = _size_of_block(flow, own)
        left -= size
        if size > CHEAP or left < 0:
            exact = False
            continue
        every = _ranks_along(flow, own, list(arrays), seed)
        ranks = _ranks_along(flow, own, columns, seed) if arrays > set(columns) else every
        exact = exact and sum(ranks) == sum(every)
        for i, n in zip(members, ranks, strict=True):
            result[i] = n
    return result, exact


def entries_in_blocks(flow: Flow, combinations: Sequence[Combination]) -> int:
    """The entries of the matrices that :func:`array_by_array` makes."""
    sizes = [
        _size_of_block(flow, [combinations[i] for i in members])
        for members, _ in blocks_of(flow, combinations)
    ]
    return min(sum(size for size in sizes if size <= CHEAP), MOST_IN_BLOCKS)


def _size_of_block(flow: Flow, own: Sequence[Combination]) -> int:
    return sum(prod(flow.state[n]) for n in _arrays_in(own)) * sum(c.like.entries for c in own)


def _arrays_in(combinations: Sequence[Combination]) -> frozenset[str]:
    return frozenset[str]().union(*(c.names for c in combinations))


def blocks_of(flow: Flow, combinations: Sequence[Combination]) -> list[tuple[list[int], list[str]]]:
    """The numbers of the combinations of the same arrays, in the order of these in the state, and those of
    the arrays that none before has.
    """
    order = {name: i for i, name in enumerate(flow.state)}
    groups, seen, found = dict[tuple[int, ...], list[int]](), set[str](), list[tuple[list[int], list[str]]]()
    for i, combination in enumerate(combinations):
        groups.setdefault(tuple(sorted(order[name] for name in combination.names)), []).append(i)
    for numbers, members in sorted(groups.items()):
        names = [name for name, i in order.items() if i in numbers]
        found.append((members, [n for n in names if n not in seen]))
        seen |= set(names)
    return found


def _ranks_along(
    flow: Flow, combinations: Sequence[Combination], columns: Sequence[str], seed: int
) -> list[int]:
    """What each combination adds to the rank of the gradients with respect to some arrays."""
    rng = np.random.default_rng(seed)
    names = _arrays_in(combinations)
    part = replace(flow, state={n: s for n, s in flow.state.items() if n in names or n in columns})
    state = arrays_of(part)
    arrays = [c.like.distinct(c.array(state)) for c in combinations]
    moved = sum(prod(flow.state[n]) for n in columns)
    total = min(moved, sum(x.size for x in arrays) + 2)
    check_memory(24.0 * total * moved, f"the gradients of {total - 2:,} entries at once")
    point, directions = random_point(part, rng, PRIME), random_point(part, rng, PRIME, total)
    space, result = RowSpace.zero(total, PRIME), list[int]()
    moves = {n: x for n, x in directions.items() if n in columns}
    for slopes in derivatives_along(arrays, point, moves, total):
        larger = space.extend(slopes.T)
        result.append(larger.rank - space.rank)
        space = larger
    return result


def matrix_combinations(classes: IndexClasses, *, along: bool = False) -> list[Combination]:
    """The conserved combinations of candidates of a flow, whatever the numbers of its neurons: each entry is
    proved a law.

    The derivative of an entry along a field, as a polynomial, has monomials with at most so many distinct
    indices of each class as its expression has summations (:meth:`IndexClasses.distinct_indices`).  If it is
    zero for a network with so many neurons, no monomial can be left over in a larger one.  With ``along``
    only candidates with an index of a class that all arrays have: sums along this class.
    """
    flow, groups = classes.flow, dict[Axes, list[tuple[Candidate, dict[int, int]]]]()
    shared = set(classes.lengths).intersection(
        *(set(classes.state[n]) for n in classes.flow.state if n != TIME)
    )
    for candidate in candidates(flow):
        if along and not set(candidate.axes(classes)) & shared:
            continue
        counts = indices_of_derivative(classes, candidate)
        if counts is not None:
            groups.setdefault(candidate.axes(classes), []).append((candidate, counts))
    powers, found = flow.time_degree if flow.time is not None else 0, list[Combination]()
    small: dict[tuple[int, ...], Flow] = {}
    for members in groups.values():
        needed = {c: max(1, *(counts.get(c, 0) for _, counts in members)) for c in classes.lengths}
        lengths = {c: min(n, needed[c]) for c, n in classes.lengths.items()}
        key = tuple(lengths.values())
        if key not in small:
            small[key] = classes.smaller_flow(lengths)
        chosen = [candidate for candidate, _ in members]
        pairs = conserved_combinations(small[key], chosen, powers, lambda _: None)  # all have the same axes
        found += [combination for combination, _ in pairs]
    return in_order(found)


def combinations_of_windows(flow: Flow) -> list[Combination]:
    """The conserved combinations of arrays that share an index class, each found in its window.

    Windows of the same code are solved once, so the cost is linear in the depth of a network.  Where a window
    is too long (a residual stream), rescalings of its class are looked for.
    """
    found, solved = dict[Combination, None](), dict[Hashable, tuple[Flow, list[Combination] | None]]()
    done, classes, long = set[tuple[str, ...]](), IndexClasses.of(flow), set[int]()

    def look_at(arrays: tuple[str, ...]) -> bool:
        """Whether the window is short enough for that."""
        for apart in ends(arrays):
            part = window(flow, arrays, apart=apart)
            if not is_short(IndexClasses.of(part), LITTLE_EXPANDED):
                part = window_at_any_place(part) or part
            key = alike(part)
            if key not in solved:
                solved[key] = (part, _of_window(part, along=len(arrays) > MOST_ARRAYS))
            like, known = solved[key]
            if known:
                same = dict(zip(candidates(like), candidates(part), strict=True))
                renamed = (Combination(tuple((k, same[c]) for k, c in x.terms), x.power) for x in known)
                found.update(dict.fromkeys(renamed))
            if known is not None:
                return True
        return False

    for whole, *smaller in sets_of_windows(classes):
        if whole not in done:
            enough = look_at(whole)  # what lies along a class of very many; each of them alone is cheap
            if not enough or len(whole) > MOST_ARRAYS:
                long.update(c for c in classes.lengths if all(c in classes.state[name] for name in whole))
            for arrays in dict.fromkeys(x for x in smaller if not enough or len(x) == 1):
                if arrays not in done:
                    look_at(arrays)
            done |= set(smaller)
        done.add(whole)
    return in_order(dict.fromkeys([*found, *rescalings(flow, sorted(long))]))


def _of_window(part: Flow, *, along: bool) -> list[Combination] | None:
    """The conserved combinations of a window; None if it is too long."""
    own = IndexClasses.of(part)
    ways = [own, *([with_small_classes_whole(own)] if has_numbers(part) else [])]
    short = [x for x in dict.fromkeys(ways) if is_short(x)]
    return [c for x in short for c in matrix_combinations(x, along=along)] if short else None


def with_small_classes_whole(classes: IndexClasses) -> IndexClasses:
    """The same with classes of few indices left whole: constants may depend on their lengths (a mean)."""
    return classes.without([c for c, n in classes.lengths.items() if n <= SMALL_CLASS], classes.zero)


def has_numbers(flow: Flow) -> bool:
    """Whether numbers other than 1 and -1 stand in the code of a flow: they may be lengths of classes."""
    assert flow.model is not None
    numbers = (x.attribute for x in topological_order([flow.model.potential]) if x.operation == "constant")
    return any(abs(v) != 1 for values in numbers for v in values.reshape(-1).tolist())


def is_short(classes: IndexClasses, most: float = MOST_EXPANDED) -> bool:
    """Whether the fields of a flow with few neurons, in which identities are checked, can be written out."""
    return terms_of_few(classes) <= most


def terms_of_few(classes: IndexClasses) -> float:
    """A bound for the number of terms of its fields then."""
    lengths, flow = {c: min(n, FEW) for c, n in classes.lengths.items()}, classes.flow
    least = expansion(classes.smaller_flow(lengths))
    words = flow.metric_words
    if flow.model and words is not None and not any(word.startswith("z") for word in words.values()):
        least = min(least, expansion_of_gradient(classes.resized([flow.model.potential], lengths)[0]))
    return least


def in_order(combinations: Iterable[Combination]) -> list[Combination]:
    """Arrays that do not move first, then large families."""

    def place(x: Combination) -> tuple[bool, int, int, int]:
        moves = len(x.terms) > 1 or x.like.kind != "array" or len(x.like.factors) > 1
        return (moves, ORDER.index(x.like.kind), -x.like.size * x.like.each, x.power)

    return sorted(combinations, key=place)


class Velocities(NamedTuple):
    """What is true of the fields of a flow at any width: the kinds of terms and the summation indices of each
    component; None if that is not known.
    """

    kinds: Mapping[str, Kinds]
    counts: Mapping[str, Counts]


@lru_cache(maxsize=64)
def velocities_of_fields(classes: IndexClasses) -> tuple[Velocities | None, ...]:
    """The same for each field, so that derivatives along it need not look at its code again."""
    found = list[Velocities | None]()
    for one in classes.flow.fields:
        values, names = list(one.values()), list(one)
        axes = classes.axes(values, names)
        kinds = classes.kinds(values, axes, first_order=False)
        counts = classes.distinct_indices(values, axes, {})
        found.append(
            None
            if kinds is None
            else Velocities(dict(zip(names, kinds, strict=True)), dict(zip(names, counts, strict=True)))
        )
    return tuple(found)


def indices_of_derivative(classes: IndexClasses, candidate: Candidate) -> dict[int, int] | None:
    """How many distinct indices of each class a monomial of the derivative of an entry involves; None if that
    is not known.
    """
    state = arrays_of(classes.flow)
    return indices_of_slopes(classes, candidate.array(state), candidate.axes(classes), state)


def indices_of_slopes(
    classes: IndexClasses, array: Expression, axes_of_array: Axes, state: Mapping[str, Expression]
) -> dict[int, int] | None:
    """The same of any array of functions of the state, whose axes are of these classes."""
    tests = {f"_{k}": input_array(f"_{k}", (n,)) for k, n in enumerate(array.shape)}  # they pick an entry
    letters = LETTERS[: array.ndim]
    value = einsum(",".join([letters, *letters]) + "->", array, *tests.values())
    used = {x.attribute for x in topological_order([array]) if x.operation == "input"}
    names = sorted(used & state.keys())
    slopes = dict(zip(names, gradient(value, [state[n] for n in names]), strict=True))
    more: dict[str, Axes] = {name: (c,) for name, c in zip(tests, axes_of_array, strict=True)}
    polynomials, kinds, counts = [value], dict[str, Kinds](), dict[str, Counts]()
    pairs = zip(classes.flow.fields, velocities_of_fields(classes), strict=True)
    for k, (one, velocity) in enumerate(pairs):
        moving = {n: input_array(f"_{k}_{n}", state[n].shape) for n in names if n in one}
        if moving and velocity is None:
            return None
        for n, x in moving.items():
            assert velocity
            more[x.attribute] = classes.state[n]
            kinds[x.attribute], counts[x.attribute] = velocity.kinds[n], velocity.counts[n]
        if moving:
            polynomials.append(reduce(add, [(slopes[n] * x).sum() for n, x in moving.items()]))
    known = classes.with_data(more)
    axes = known.axes(polynomials)
    found = known.kinds(polynomials, axes, first_order=False, given=kinds)
    if found is None or not all(only_own(k, x) for k, x in zip(found, polynomials, strict=True)):
        return None
    result = dict[int, int]()
    for indices in known.distinct_indices(polynomials, axes, counts):
        if indices is None:
            return None
        for c, many in indices.items():
            result[c] = max(result.get(c, 0), many)
    return {c: n for c, n in result.items() if c != RIGID}

"""Rational laws P/Q of small flows.

The polynomials up to some degree that vanish on the leaf through a point form a linear space that depends on
the leaf alone, so the entries of its reduced echelon basis are conserved functions of the point, and rational
ones: such entries generate the field of rational invariants (E. Hubert and I. Kogan, *Rational invariants of
a group action*, J. Symb. Comp. 42 (2007), for orbits).  Which polynomials vanish on the leaf, power series
along a random curve in it tell, mod p and at many points at once (:mod:`conslaw.laws.curves`).  The entries
are interpolated as P/Q mod p, their coefficients lifted to Q, and X(P) Q = P X(Q) is then checked exactly:
what is returned is proved, but nothing is claimed about what is not found.

Low degrees come first, so that a higher one only adds to them; coordinates that move on their own are
searched on their own: the leaf is then the product of theirs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from math import comb, gcd, lcm
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from conslaw import display
from conslaw.algebra.finite_field import LIFTING_PRIME as PRIME
from conslaw.algebra.finite_field import Residues, RowSpace, fraction
from conslaw.algebra.polynomials import (
    PolynomialArray,
    Polynomials,
    concatenate,
    evaluate_mod,
    integral,
    terms,
)
from conslaw.errors import ConslawError, TooLargeError, check_seed
from conslaw.flows.coordinates import Coordinate, to_sympy, write
from conslaw.flows.flow import Flow, check_flow
from conslaw.laws.curves import Terms, along_curves, at_points, monomials
from conslaw.laws.exact_fields import (
    Sample,
    exact_fields,
    expansion,
    lie_derivative,
    random_sample,
    state_gradients,
)
from conslaw.models.potential import Model, is_positive_integer

if TYPE_CHECKING:
    import sympy

LARGEST = 120  # monomials in coordinates that move together, up to which the search is a matter of seconds
MOST_TERMS = 100_000  # of the fields, which are looked through one by one
PER_MONOMIAL = 300  # terms of the fields that take as long as the monomials themselves, measured
AT_A_TIME = 50  # echelon entries, of which the shortest come first
CANDIDATES = 300  # echelon entries that are interpolated at most


@dataclass(frozen=True, repr=False)
class RationalLaws(display.Shown):
    """Rational laws P/Q, each a verified identity, and independent of one another.

    Attributes
    ----------
    coordinates : the state coordinates
    numerators, denominators : (k,) arrays of polynomials with integer coefficients; of P/Q, -P/Q, Q/P and
        -Q/P the one that :func:`canonical` takes
    degree : up to which degree of P and Q such were looked for
    """

    coordinates: Sequence[Coordinate] = field(repr=False)
    numerators: PolynomialArray = field(repr=False)
    denominators: PolynomialArray = field(repr=False)
    degree: int

    @staticmethod
    def none(flow: Flow) -> RationalLaws:
        """No laws of a flow, of no search."""
        nothing = concatenate([], [], (0,))
        return RationalLaws(flow.coordinates, nothing, nothing, 0)

    def select(self, chosen: Sequence[int]) -> RationalLaws:
        """Some of the laws, by their numbers."""
        numbers = np.array(chosen, dtype=np.intp)
        sides = (self.numerators.select(numbers), self.denominators.select(numbers))
        return RationalLaws(self.coordinates, *sides, self.degree)

    def __len__(self) -> int:
        return self.numerators.shape[0]

    def strings(self) -> list[str]:
        """The laws as text that SymPy parses back."""
        return [p if q == "1" else f"{_bracketed(p)}/{_bracketed(q)}" for p, q in self._written(latex=False)]

    def latex(self) -> list[str]:
        """The laws as LaTeX."""
        return [p if q == "1" else rf"\frac{{{p}}}{{{q}}}" for p, q in self._written(latex=True)]

    def _written(self, *, latex: bool) -> list[tuple[str, str]]:
        """Numerators and denominators."""
        pairs = zip(terms(self.numerators), terms(self.denominators), strict=True)
        return [
            (write(p, self.coordinates, latex=latex), write(q, self.coordinates, latex=latex))
            for p, q in pairs
        ]

    def expressions(self) -> list[sympy.Expr]:
        """The laws as SymPy expressions."""
        pairs = zip(terms(self.numerators), terms(self.denominators), strict=True)
        return [to_sympy(p, self.coordinates) / to_sympy(q, self.coordinates) for p, q in pairs]

    def _summary(self) -> display.Summary:
        laws = display.Section("laws", self.strings(), self.latex())
        rows = [("laws", f"{len(self):,}   proved independent")]
        return display.Summary("quotients", rows, (), [laws] if len(self) else [])

    def gradients(self, sample: Sample) -> Residues:
        """The gradients (k, n) at a random sample, each times the square of its denominator."""
        return _gradients(self.numerators, self.denominators, sample)


def rational_laws(flow: Flow | Model, *, degree: int = 2, seed: int = 0) -> RationalLaws:
    """Search for rational laws P/Q with P and Q up to a degree.

    Parameters
    ----------
    flow : Flow, or Model for its gradient flow
        With at most 120 monomials up to that degree in the coordinates that move together.
    degree : int >= 1
    seed : int

    Returns
    -------
    RationalLaws
        Proved to be conserved, and independent.  There may be others; coordinates that no field moves or
        looks at are laws as they are, and left out.

    Raises
    ------
    ConslawError
        If the flow is too large.

    Examples
    --------
    >>> import conslaw
    >>> radial = conslaw.model(lambda p, c: (p.x**2 + p.y**2) / 2, parameters={"x": (), "y": ()})
    >>> conslaw.rational_laws(conslaw.gradient_flow(radial)).expressions()
    [y/x]
    """
    flow = check_flow(flow)
    if not is_positive_integer(degree):
        raise ConslawError(f"degree={degree!r}: give a positive integer")
    degree, seed = int(degree), check_seed(seed)
    if (bound := expansion(flow)) > 20 * MOST_TERMS:
        raise TooLargeError(f"quotients: the fields may have {bound:.2g} terms; lower the size of the model")
    search = Search.of(flow)
    if min(search.degrees(degree), default=degree) < degree:
        raise ConslawError(
            f"degree={str(degree)[:40]}: more than {LARGEST} monomials in the "
            f"{max(map(len, search.blocks))} coordinates that move together; lower the degree"
        )
    n, sample = flow.dimension, random_sample(flow.dimension, seed)
    laws = RationalLaws.none(flow)
    for d in range(1 if search.blocks else degree, degree + 1):  # where nothing moves, all degrees are alike
        space = RowSpace.zero(n, sample.prime).extend(laws.gradients(sample))
        laws = search.quotients(d, laws, space, n, seed)
    return laws


@dataclass(frozen=True, eq=False)
class Search:
    """What a search for quotients needs to know of a flow: its fields, and which coordinates move
    together.
    """

    flow: Flow
    fields: list[PolynomialArray]
    terms: Terms
    blocks: list[npt.NDArray[np.intp]]

    @staticmethod
    def of(flow: Flow) -> Search:
        """Write the fields out.

        Raises
        ------
        TooLargeError
            If they have too many terms.
        """
        fields, _ = exact_fields(flow)
        if (many := sum(map(len, fields))) > MOST_TERMS:
            raise TooLargeError(f"quotients: the fields have {many:,} terms, more than {MOST_TERMS:,}")
        terms = Terms.of(fields)
        return Search(flow, fields, terms, terms.blocks())

    def degrees(self, degree: int) -> list[int]:
        """Up to which degree, at most this, each block is small enough."""
        sizes = map(len, self.blocks)
        return [max(d for d in range(min(degree, LARGEST) + 1) if comb(k + d, d) <= LARGEST) for k in sizes]

    def work(self, degree: int) -> float:
        """How much a search in this degree is, in products of the size of its matrices."""
        sizes = [comb(len(block) + degree, degree) for block in self._blocks_of(degree)]
        return sum(float(size) ** 3 for size in sizes) * (1 + len(self.terms.entry) / PER_MONOMIAL)

    def quotients(
        self, degree: int, laws: RationalLaws, known: RowSpace, most: int, seed: int
    ) -> RationalLaws:
        """These laws, and quotients of exactly this degree whose gradients at ``random_sample(n, seed)``
        enlarge the space of known gradients, up to ``most`` in all.
        """
        sample, space = random_sample(self.flow.dimension, seed), known
        found = list[tuple[PolynomialArray, PolynomialArray]]()
        for block in self._blocks_of(degree):
            candidates = self._candidates(block, degree, np.random.default_rng([seed, degree, int(block[0])]))
            while space.rank < most and (some := list(islice(candidates, AT_A_TIME))):
                for pair in sorted((canonical(*pair) for pair in some), key=_length):
                    larger = space.extend(_gradients(*pair, sample)) if space.rank < most else space
                    if larger.rank > space.rank and all(_conserved(*pair, x) for x in self.fields):
                        found.append(pair)
                        space = larger
        offsets, count = [0, *range(len(laws), len(laws) + len(found))], len(laws) + len(found)
        tops, bottoms = zip((laws.numerators, laws.denominators), *found, strict=True)
        return RationalLaws(
            laws.coordinates,
            concatenate(list(tops), offsets, (count,)),
            concatenate(list(bottoms), offsets, (count,)),
            min([degree, *self.degrees(degree)]),
        )

    def _blocks_of(self, degree: int) -> list[npt.NDArray[np.intp]]:
        """The blocks that are small enough for this degree."""
        return [x for x, d in zip(self.blocks, self.degrees(degree), strict=True) if d == degree]

    def _candidates(
        self, block: npt.NDArray[np.intp], degree: int, rng: np.random.Generator
    ) -> Iterator[tuple[PolynomialArray, PolynomialArray]]:
        """Quotients that are conserved mod p, as far as points tell."""
        index, own = monomials(len(block), degree), self.terms.within(block)
        count, degrees = 2 * len(index) + 8, (index < len(block)).sum(axis=1)
        points = rng.integers(0, PRIME, (count, len(block)), dtype=np.uint64)
        if not len(_leaf_invariants(own, points[:3], index, rng)[1]):
            return
        kept, entries = _leaf_invariants(own, points, index, rng)
        values = at_points(points[kept], index)
        variables = np.append(block, -1)[index] + 1
        for entry in entries[:CANDIDATES]:
            if pair := _interpolated(values, entry, degrees, variables):
                yield pair


def canonical(p: PolynomialArray, q: PolynomialArray) -> tuple[PolynomialArray, PolynomialArray]:
    """Of P/Q, -P/Q, Q/P and -Q/P, all of them laws if one is, the one with the shorter denominator (1 if
    there is such), or else the one of higher degree, or the one with the earlier variables; what is written
    first in P and Q is positive.
    """

    def rank(x: PolynomialArray) -> tuple[bool, int, int, list[list[int]]]:
        [ordered] = terms(x)
        degree = len(ordered[-1][0])
        return degree > 0, len(ordered), -degree, [list(monomial) for monomial, _ in ordered]

    if rank(p) < rank(q):
        p, q = q, p
    return _positive(p if q.degree else integral(p)), _positive(q if q.degree else integral(q))


def _length(pair: tuple[PolynomialArray, PolynomialArray]) -> tuple[int, int]:
    """How long a quotient is: short ones are chosen first."""
    p, q = pair
    return len(p) + len(q), p.degree + q.degree


def _positive(x: PolynomialArray) -> PolynomialArray:
    """The polynomial, or its negative, whose first term as written is positive."""
    sign = 1 if terms(x)[0][0][1] > 0 else -1
    return PolynomialArray(x.shape, x.entry, x.monomial, sign * x.coefficient)


def _bracketed(text: str) -> str:
    return text if re.fullmatch(r"\w+(\[[0-9,]+\])?", text) else f"({text})"


def _gradients(tops: PolynomialArray, bottoms: PolynomialArray, sample: Sample) -> Residues:
    p, q = (evaluate_mod(x, sample.values, sample.prime)[:, None] for x in (tops, bottoms))
    modulus = np.uint64(sample.prime)
    dp, dq = (state_gradients(x, sample) for x in (tops, bottoms))
    return (dp * q % modulus + modulus - p * dq % modulus) % modulus


def _conserved(p: PolynomialArray, q: PolynomialArray, x: PolynomialArray) -> bool:
    """Whether X(P) Q = P X(Q), exactly."""
    numbers = Polynomials()
    left, right = (
        numbers.product(lie_derivative(p, x), q, "a", "a", "a"),
        numbers.product(p, lie_derivative(q, x), "a", "a", "a"),
    )
    minus = PolynomialArray(right.shape, right.entry, right.monomial, -right.coefficient)
    return not len(numbers.add(left, minus))


def _leaf_invariants(
    own: Terms, points: Residues, index: npt.NDArray[np.intp], rng: np.random.Generator
) -> tuple[npt.NDArray[np.intp], Residues]:
    """Which of the points (t, n) are generic, and for each non-constant echelon entry its values at them
    (entries, t).
    """
    spaces = [RowSpace.zero(len(index), PRIME).extend(x) for x in along_curves(own, points, index, rng)]
    pivots = [tuple(sorted(s.pivots.tolist())) for s in spaces]
    usual = max(pivots, key=lambda x: (pivots.count(x), x))
    kept = np.array([t for t, x in enumerate(pivots) if x == usual])
    table = np.array([spaces[t].rest[np.argsort(spaces[t].pivots)].ravel() for t in kept], dtype=np.uint64).T
    varying = table[(table != table[:, :1]).any(axis=1)]
    return kept, varying[np.sort(np.unique(varying, axis=0, return_index=True)[1])]


def _interpolated(
    values: Residues, entry: Residues, degrees: npt.NDArray[np.intp], variables: npt.NDArray[np.intp]
) -> tuple[PolynomialArray, PolynomialArray] | None:
    """P and Q of the lowest degree with P = entry * Q at all points, lifted to Q; None if there are none."""
    modulus = np.uint64(PRIME)
    for degree in range(1, int(degrees.max()) + 1):
        chosen = np.flatnonzero(degrees <= degree)
        used = slice(2 * len(chosen) + 8)
        left = values[used, chosen]
        system = np.concatenate([left, (modulus - entry[used, None] * left % modulus) % modulus], axis=1)
        space = RowSpace.zero(system.shape[1], PRIME).extend(system)
        if len(space.free):
            solution = np.zeros(system.shape[1], dtype=np.uint64)
            solution[space.pivots] = (modulus - space.rest[:, 0]) % modulus
            solution[space.free[0]] = 1
            return _lifted(solution, variables[chosen])
    return None


def _lifted(
    solution: Residues, variables: npt.NDArray[np.intp]
) -> tuple[PolynomialArray, PolynomialArray] | None:
    """The two halves of a solution mod p as polynomials with small integer coefficients, if it has such."""
    ratios = [fraction(int(v), PRIME) for v in solution]
    if any(r is None for r in ratios):
        return None
    scale = lcm(*(r[1] for r in ratios if r))
    whole = np.array([r[0] * (scale // r[1]) for r in ratios if r], dtype=object)
    whole = whole // gcd(*whole.tolist())
    sides = []
    for half in np.split(whole, 2):
        used = np.flatnonzero(half)
        rows = np.sort(variables[used], axis=1).astype(np.int32)
        one = PolynomialArray((1,), np.zeros(len(used), np.int64), rows, half[used])
        sides.append(concatenate([one], [0], (1,)))
    return (sides[0], sides[1]) if all(len(side) for side in sides) else None

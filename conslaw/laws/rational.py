"""Rational laws P/Q of small flows.

The polynomials up to some degree that vanish on the leaf through a point form a linear space that depends on
the leaf alone, so the entries of its reduced echelon basis are conserved functions of the point, and rational
ones: such entries generate the field of rational invariants (E. Hubert and I. Kogan, *Rational invariants of
a group action*, J. Symb. Comp. 42 (2007), for orbits).  Here the leaf is known through its tangents of all
orders: a polynomial vanishes on it iff all iterated derivatives along the fields, X_{i_1} ... X_{i_k} h,
vanish at the point, which jets over GF(p) evaluate at many points at once.  The entries are interpolated as
P/Q mod p, their coefficients lifted to Q, and X(P) Q = P X(Q) is then checked exactly: what is returned is
proved, but nothing is claimed about what is not found.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations_with_replacement
from math import comb, gcd, lcm
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from conslaw import display
from conslaw.algebra.finite_field import LIFTING_PRIME as PRIME
from conslaw.algebra.finite_field import Residues, RowSpace, fraction
from conslaw.algebra.jets import Jet, Jets, lift
from conslaw.algebra.polynomials import PolynomialArray, Polynomials, concatenate, evaluate_mod, terms
from conslaw.errors import ConslawError, check_seed
from conslaw.flows.coordinates import Coordinate, to_sympy, write
from conslaw.flows.flow import Flow, check_flow
from conslaw.laws.brackets import RandomField, flattened
from conslaw.laws.exact_fields import Sample, exact_fields, lie_derivative, random_sample, state_gradients
from conslaw.laws.lie import random_point
from conslaw.models.potential import Model, is_positive_integer

if TYPE_CHECKING:
    import sympy

LARGEST = 120  # monomials up to which the search is a matter of seconds
WORD = 6  # iterated derivatives of up to so many fields
CANDIDATES = 300  # echelon entries that are interpolated at most


@dataclass(frozen=True, repr=False)
class RationalLaws(display.Shown):
    """Rational laws P/Q, each a verified identity, and independent of one another.

    Attributes
    ----------
    coordinates : the state coordinates
    numerators, denominators : (k,) arrays of polynomials with integer coefficients
    """

    coordinates: Sequence[Coordinate] = field(repr=False)
    numerators: PolynomialArray = field(repr=False)
    denominators: PolynomialArray = field(repr=False)

    def __len__(self) -> int:
        return self.numerators.shape[0]

    def strings(self) -> list[str]:
        """The laws as text that SymPy parses back."""
        pairs = zip(terms(self.numerators), terms(self.denominators), strict=True)
        return [
            f"{_bracketed(write(p, self.coordinates))}/{_bracketed(write(q, self.coordinates))}"
            for p, q in pairs
        ]

    def latex(self) -> list[str]:
        """The laws as LaTeX."""
        pairs = zip(terms(self.numerators), terms(self.denominators), strict=True)
        return [
            rf"\frac{{{write(p, self.coordinates, latex=True)}}}{{{write(q, self.coordinates, latex=True)}}}"
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
        p, q = (
            evaluate_mod(x, sample.values, sample.prime)[:, None]
            for x in (self.numerators, self.denominators)
        )
        modulus = np.uint64(sample.prime)
        dp, dq = (state_gradients(x, sample) for x in (self.numerators, self.denominators))
        return (dp * q % modulus + modulus - p * dq % modulus) % modulus


def rational_laws(flow: Flow | Model, *, degree: int = 2, seed: int = 0) -> RationalLaws:
    """Search for rational laws P/Q with P and Q up to a degree.

    Parameters
    ----------
    flow : Flow, or Model for its gradient flow
        With at most 120 monomials up to that degree in its state.
    degree : int >= 1
    seed : int

    Returns
    -------
    RationalLaws
        Proved to be conserved, and independent.  There may be others.

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
    n = flow.dimension
    if not is_positive_integer(degree):
        raise ConslawError(f"degree={degree!r}: give a positive integer")
    if not is_small(flow, degree):
        raise ConslawError(
            f"degree={degree}: {comb(n + degree, degree):,} monomials in {n} coordinates, more than "
            f"{LARGEST}; lower the degree"
        )
    seed = check_seed(seed)
    return search_quotients(flow, int(degree), RowSpace.zero(n, random_sample(n, seed).prime), n, seed)


def search_quotients(flow: Flow, degree: int, known: RowSpace, most: int, seed: int) -> RationalLaws:
    """Quotients whose gradients at ``random_sample(n, seed)`` enlarge the space of known gradients, up to
    ``most`` in all.
    """
    n, sample, space = flow.dimension, random_sample(flow.dimension, seed), known
    rng = np.random.default_rng(seed)
    rows = [row for d in range(degree, -1, -1) for row in combinations_with_replacement(range(n), d)]
    index = np.array([[*row, *[n] * (degree - len(row))] for row in rows], dtype=np.intp)
    fields, _ = exact_fields(flow)
    points, entries = _leaf_invariants(flow, index, rng)
    values = _monomials_at({0: points}, index)[0]
    degrees = (index < n).sum(axis=1)
    found: list[tuple[PolynomialArray, PolynomialArray]] = []
    for entry in entries[:CANDIDATES]:
        if space.rank == most:
            break
        pair = _interpolated(values, entry, degrees, index, n)
        if pair is None or not all(_conserved(*pair, x) for x in fields):
            continue
        larger = space.extend(RationalLaws((), *pair).gradients(sample))
        if larger.rank > space.rank:
            found.append(pair)
            space = larger
    tops, bottoms = [p for p, _ in found], [q for _, q in found]
    sides = (concatenate(side, list(range(len(found))), (len(found),)) for side in (tops, bottoms))
    return RationalLaws(flow.coordinates, *sides)


def is_small(flow: Flow, degree: int) -> bool:
    """Whether a flow is small enough for the search."""
    return monomials_of(flow, degree) <= LARGEST


def monomials_of(flow: Flow, degree: int) -> int:
    """How many monomials there are up to a degree."""
    return comb(flow.dimension + degree, degree)


def _bracketed(text: str) -> str:
    return text if text.replace("_", "").isalnum() else f"({text})"


def _conserved(p: PolynomialArray, q: PolynomialArray, x: PolynomialArray) -> bool:
    """Whether X(P) Q = P X(Q), exactly."""
    numbers = Polynomials()
    left, right = (
        numbers.product(lie_derivative(p, x), q, "a", "a", "a"),
        numbers.product(p, lie_derivative(q, x), "a", "a", "a"),
    )
    minus = PolynomialArray(right.shape, right.entry, right.monomial, -right.coefficient)
    return not len(numbers.add(left, minus))


def _monomials_at(point: Jet, index: npt.NDArray[np.intp]) -> Jet:
    """The monomials (rows of ``index``, n standing for 1) at points (batch, n): (batch, monomials)."""
    jets = Jets(PRIME)
    ones = np.ones((1, 1), dtype=np.uint64)
    table = {
        mask: np.concatenate([c, np.broadcast_to(ones * (mask == 0), (len(c), 1))], axis=1)
        for mask, c in point.items()
    }
    result: Jet = jets.take(table, index[:, 0])
    for column in index.T[1:]:
        result = jets.product(result, jets.take(table, column), "a", "a", "a")
    return result


def _leaf_invariants(
    flow: Flow, index: npt.NDArray[np.intp], rng: np.random.Generator
) -> tuple[Residues, Residues]:
    """Random points (t, n), and for each non-constant echelon entry its values at them (entries, t)."""
    count, size = 2 * len(index) + 8, len(index)
    state = random_point(flow, rng, PRIME, count)
    blocks = list[Residues]()
    for _ in range(-(-(size + 8) // 2**WORD)):
        moved = state
        for k in range(
            WORD
        ):  # theta <- theta + e_k X_k(theta): the coefficient of e_S is a word in the fields of S
            velocity = RandomField(flow, count, rng, PRIME)(moved)
            moved = {name: lift(x, velocity[name], 1 << k) for name, x in moved.items()}
        flat = flattened(flow, moved, count)
        words = _monomials_at(flat, index)
        blocks.append(np.stack([words[mask] for mask in words if mask], axis=1))
    matrices = np.concatenate(
        [_monomials_at(flattened(flow, state, count), index)[0][:, None], *blocks], axis=1
    )
    spaces = [RowSpace.zero(size, PRIME).extend(matrix) for matrix in matrices]
    usual = max((tuple(s.pivots) for s in spaces), key=[tuple(s.pivots) for s in spaces].count)
    kept = [t for t, s in enumerate(spaces) if tuple(s.pivots) == usual]
    table = np.array([spaces[t].rest.ravel() for t in kept], dtype=np.uint64).reshape(len(kept), -1).T
    varying = table[(table != table[:, :1]).any(axis=1)] if len(table) else table
    return flattened(flow, state, count)[0][kept], np.unique(varying, axis=0)


def _interpolated(
    values: Residues, entry: Residues, degrees: npt.NDArray[np.intp], index: npt.NDArray[np.intp], n: int
) -> tuple[PolynomialArray, PolynomialArray] | None:
    """P and Q of the lowest degree with P = entry * Q at all points, lifted to Q; None if there are none."""
    modulus = np.uint64(PRIME)
    for degree in range(1, int(degrees.max()) + 1):
        chosen = np.flatnonzero(degrees <= degree)
        left = values[:, chosen]
        system = np.concatenate([left, (modulus - entry[:, None] * left % modulus) % modulus], axis=1)
        space = RowSpace.zero(system.shape[1], PRIME).extend(system)
        if len(space.free):
            solution = np.zeros(system.shape[1], dtype=np.uint64)
            solution[space.pivots] = (modulus - space.rest[:, 0]) % modulus
            solution[space.free[0]] = 1
            return _lifted(solution, index[chosen], n)
    return None


def _lifted(
    solution: Residues, index: npt.NDArray[np.intp], n: int
) -> tuple[PolynomialArray, PolynomialArray] | None:
    """The two halves of a solution mod p as polynomials with small integer coefficients, if it has such."""
    ratios = [fraction(int(v), PRIME) for v in solution]
    if any(r is None for r in ratios):
        return None
    scale = lcm(*(r[1] for r in ratios if r))
    whole = np.array([r[0] * (scale // r[1]) for r in ratios if r], dtype=object)
    first = next(
        (v for v in whole[len(index) :][::-1] if v), 1
    )  # the denominator starts with a positive coefficient
    whole = whole // (gcd(*whole.tolist()) * (1 if first > 0 else -1))
    sides = []
    for half in np.split(whole, 2):
        used = np.flatnonzero(half)
        rows = np.sort(np.where(index[used] < n, index[used] + 1, 0), axis=1).astype(np.int32)
        one = PolynomialArray((1,), np.zeros(len(used), np.int64), rows, half[used])
        sides.append(concatenate([one], [0], (1,)))
    if not all(len(side) for side in sides):
        return None
    return sides[0], sides[1]

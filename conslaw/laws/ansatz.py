"""The polynomial solver: all conservation laws up to a degree, exactly over Q, from a generic-coefficient
ansatz.

h = sum a_alpha theta^alpha is conserved iff its derivative along every field vanishes as a polynomial in
state and data: one sparse linear system in the a_alpha, an equation for each monomial.  Its matrix is built
in NumPy with monomials as sums of random 64-bit keys.  Components of the fields (coefficients of one data
monomial) share no equation, so they are taken in portions: an equation with one unknown left kills it, and
after a few portions nearly all unknowns are gone.  What survives falls into connected components, mostly
alike, each solved exactly.

Why the answer is complete: two monomials that happened to share a key would only *add* two true equations, so
the kernel found always contains every law of the ansatz.  Why it is sound: each law found is then checked as
an identity with exact monomials.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import comb, prod
from numbers import Integral
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt

from conslaw import display
from conslaw.algebra.finite_field import Residues, rank
from conslaw.algebra.polynomials import PolynomialArray, concatenate, terms
from conslaw.algebra.sparse_kernel import Vector
from conslaw.errors import ConslawError, TooLargeError, check_flags, check_memory, check_seed
from conslaw.flows.coordinates import Coordinate, to_sympy, write_law
from conslaw.flows.flow import TIME, Flow, check_flow
from conslaw.laws.ansatz_equations import ansatz_kernel
from conslaw.laws.exact_fields import (
    Sample,
    conserved,
    exact_fields,
    random_sample,
    state_gradients,
)
from conslaw.laws.generators import generators, law_array
from conslaw.models.potential import Model, is_positive_integer

if TYPE_CHECKING:
    import sympy

Degree: TypeAlias = int | Mapping[str | tuple[str, ...], int]

logger = logging.getLogger(__name__)

LARGEST_DEGREE = 60  # of a law


@dataclass(frozen=True, repr=False)
class PolynomialLaws(display.Shown):
    """All polynomial laws of an ansatz.

    Attributes
    ----------
    coordinates : what the variables 1, 2, ... are: the state, and with ``logs`` the logarithms of its entries
    polynomials : (k,) array of polynomials with primitive integer coefficients: generators of the algebra of
        laws, in order of degree; a law that is a polynomial in earlier ones is left out
    independent : the rank of their gradients at a random point mod p, so proved: at least that many laws are
        independent
    unknowns : number of monomials in the ansatz
    """

    coordinates: Sequence[Coordinate] = field(repr=False)
    polynomials: PolynomialArray = field(repr=False)
    independent: int
    unknowns: int

    @staticmethod
    def none(flow: Flow) -> PolynomialLaws:
        """No laws of a flow, of no ansatz."""
        return PolynomialLaws(flow.coordinates, concatenate([], [], (0,)), 0, 0)

    def __len__(self) -> int:
        return self.polynomials.shape[0]

    def strings(self) -> list[str]:
        """The laws as text in the model's own names: ``W1[0,0]**2 - W2[0,0]**2``."""
        return [write_law(polynomial, self.coordinates) for polynomial in terms(self.polynomials)]

    def latex(self) -> list[str]:
        """The laws as LaTeX."""
        return [write_law(polynomial, self.coordinates, latex=True) for polynomial in terms(self.polynomials)]

    def expressions(self) -> list[sympy.Expr]:
        """The laws as SymPy expressions in ``IndexedBase`` symbols of the model's own names (``Symbol`` for a
        scalar).
        """
        return [to_sympy(polynomial, self.coordinates) for polynomial in terms(self.polynomials)]

    def _summary(self) -> display.Summary:
        rows: list[tuple[str, str | int]] = [
            ("laws", len(self)),
            ("independent", f"{self.independent:,}   proved at least"),
            ("monomials of the ansatz", self.unknowns),
        ]
        laws = display.Section("laws", self.strings(), self.latex())
        return display.Summary("polynomial laws", rows, (), [laws] if len(self) else [])

    def gradients(self, sample: Sample) -> Residues:
        """The gradients (k, n) in the state coordinates at a random sample."""
        return state_gradients(self.polynomials, sample)


def polynomial_laws(
    flow: Flow | Model,
    *,
    degree: Degree = 2,
    time_degree: int | None = None,
    logs: bool = False,
    homogeneous: bool = False,
    seed: int = 0,
    max_unknowns: int = 10_000_000,
) -> PolynomialLaws:
    """Find all polynomial conservation laws up to a degree.

    Parameters
    ----------
    flow : Flow, or Model for its gradient flow
    degree : int, or mapping from groups of state arrays to integers
        The largest total degree in the state without time; or one for each group: ``{"U": 1, ("V", "b"): 2}``
        (arrays not named do not appear).  At least 1.
    time_degree : int >= 0, optional
        The largest degree in the array ``"time"`` (which may stand for exp(tau t), say).  By default what the
        known laws of this kind of flow need.
    logs : bool
        Adds a coordinate log(x) for each state entry x by which its own velocity is divisible, as in mirror
        flows; they count towards the degree of x's array.
    homogeneous : bool
        Only monomials of exactly that degree (in each group).
    seed : int
        Draws the random keys and the order of the equations; the answer does not depend on it.
    max_unknowns : int
        Refuse an ansatz with more monomials than this (about 100 bytes each).

    Returns
    -------
    PolynomialLaws
        Proved: each law is an identity, and there are no others of this form.

    Raises
    ------
    ConslawError
        For a degree that is not a positive integer, an unknown array, or an ansatz that is too large.

    Examples
    --------
    >>> import conslaw
    >>> laws = conslaw.polynomial_laws(conslaw.gradient_flow(conslaw.linear([1, 1, 1])), degree=2)
    >>> laws.strings()
    ['W1[0,0]**2 - W2[0,0]**2']

    References
    ----------
    [MGP23] arXiv 2307.00144, Section 2.3: finding conserved functions as the kernel of a linear map on
    polynomials.
    """
    flow = check_flow(flow)
    seed = check_seed(seed)
    unknowns = check_ansatz(
        flow, degree, time_degree, homogeneous=homogeneous, logs=logs, max_unknowns=max_unknowns
    )
    named = _groups(flow, degree, time_degree)
    check_memory(
        100.0 * unknowns * sum(d for _, d in named), f"degree={degree!r}: an ansatz of {unknowns:,} unknowns"
    )
    fields, coordinates = exact_fields(flow, logs=logs)
    groups = _variables(flow, named, coordinates)
    linear = (
        {}
        if isinstance(degree, Mapping) or degree == 1 or homogeneous
        else _linear_laws(groups, fields, seed)
    )
    monomials = _monomials([([i for i in v if i not in linear], d) for v, d in groups], homogeneous)
    found = law_array(monomials, generators(monomials, _checked_kernel(monomials, fields, seed), seed))
    laws = concatenate(
        [*linear.values(), found], list(range(len(linear) + 1)), (len(linear) + found.shape[0],)
    )
    laws = laws.select(np.argsort(laws.degrees(), kind="stable"))
    names = [c or Coordinate("unused") for c in coordinates]
    looked_at = _count([(len(variables), d) for variables, d in groups], homogeneous)
    return PolynomialLaws(names, laws, _independent(laws, flow.dimension, seed), looked_at)


def _checked_kernel(
    monomials: npt.NDArray[np.int32], fields: list[PolynomialArray], seed: int
) -> list[Vector]:
    """A basis of all laws in some monomials, checked as identities."""
    for salt in range(seed, seed + 3):
        basis = ansatz_kernel(monomials, fields, salt) if len(monomials) else []
        if all(conserved(law_array(monomials, basis), x) for x in fields):
            return basis
    raise AssertionError("three sets of random 64-bit keys each had a collision")


def with_more(laws: PolynomialLaws, others: PolynomialArray, flow: Flow, seed: int) -> PolynomialLaws:
    """Linear laws, and others that are known, of a larger degree."""
    more = others.select(np.flatnonzero(others.degrees() > 1))
    parts = [laws.polynomials, more]
    whole = concatenate(parts, [0, len(laws)], (len(laws) + more.shape[0],))
    return replace(laws, polynomials=whole, independent=_independent(whole, flow.dimension, seed))


def check_ansatz(
    flow: Flow,
    degree: Degree,
    time_degree: int | None,
    *,
    homogeneous: bool,
    max_unknowns: int,
    logs: bool = False,
    refuse: bool = True,
) -> int:
    """The number of monomials in the ansatz, or :class:`ConslawError` for bad arguments, and if it is larger
    than ``max_unknowns`` where such are to be refused.
    """
    check_flags(homogeneous=homogeneous, logs=logs)
    if not is_positive_integer(max_unknowns):
        raise ConslawError(f"max_unknowns={max_unknowns!r}: give a positive integer")
    of_state = [d for names, d in _groups(flow, degree, time_degree) if names != (TIME,)]
    if max(of_state, default=0) > LARGEST_DEGREE:  # before monomials are counted, which would take long
        raise TooLargeError(f"degree={degree!r}: laws are looked for up to degree {LARGEST_DEGREE}")
    unknowns = ansatz_size(flow, degree, time_degree, homogeneous, logs=logs)
    if refuse and unknowns > max_unknowns:
        many = f"{unknowns:,}" if unknowns < 10**15 else f"about 10^{int(unknowns.bit_length() * 0.30103)}"
        raise ConslawError(
            f"degree={degree!r}: the ansatz has {many} unknowns, more than "
            f"max_unknowns={int(max_unknowns):,}; lower the degree or give degrees per group of arrays"
        )
    return unknowns


def ansatz_size(
    flow: Flow, degree: Degree, time_degree: int | None, homogeneous: bool, *, logs: bool = False
) -> int:
    """The number of monomials in the ansatz; with ``logs``, if every entry had a logarithm."""
    check_flags(homogeneous=homogeneous, logs=logs)
    named = _groups(check_flow(flow), degree, time_degree)
    sizes = [(sum(prod(flow.state[name]) for name in names), d) for names, d in named]
    return _count([(size * (1 + logs), d) for size, d in sizes], homogeneous)


def _count(sizes: Iterable[tuple[int, int]], homogeneous: bool) -> int:
    """How many monomials groups of so many variables have up to these degrees."""
    return prod(comb(size + d - homogeneous, d) for size, d in sizes) - (not homogeneous)


def _independent(laws: PolynomialArray, n: int, seed: int) -> int:
    """The rank of the gradients at a random sample, or at a second one if that leaves it open whether all are
    independent.
    """
    best = 0
    for sample in (random_sample(n, seed), random_sample(n, seed + 1)):
        best = max(best, rank(state_gradients(laws, sample), sample.prime))
        if best == min(n, laws.shape[0]):
            break
    return best


def _linear_laws(
    groups: list[tuple[list[int], int]], fields: list[PolynomialArray], salt: int
) -> dict[int, PolynomialArray]:
    """Linear laws l with a variable x that occurs in no field: they are put aside, and x is left out of the
    ansatz.

    In coordinates with l in place of x no field depends on l, so every law is a sum of powers of the l times
    laws without x.
    """
    occurring = {int(v) for x in fields for v in np.unique(x.monomial)}
    variables, _ = groups[-1]  # the state, after time
    spectators = [v for v in variables if v not in occurring]
    if not spectators:
        return {}
    ordered = np.array([v for v in variables if v in occurring] + spectators, dtype=np.int32)[:, None]
    basis = ansatz_kernel(ordered, fields, salt)
    laws = law_array(ordered, basis)
    if not all(conserved(laws, x) for x in fields):
        return {}  # a collision of keys: nothing is put aside
    last = [int(ordered[max(vector), 0]) for vector in basis]
    return {v: laws.select(np.array([i])) for i, v in enumerate(last) if v in spectators}


# the monomials of the ansatz


def _groups(flow: Flow, degree: Degree, time_degree: int | None) -> list[tuple[tuple[str, ...], int]]:
    """The state arrays and the degree of each group."""
    whole = tuple(n for n in flow.state if n != TIME or not flow.time)
    given = dict(degree) if isinstance(degree, Mapping) else {whole: degree}
    groups: list[tuple[tuple[str, ...], int]] = []
    seen = set[str]()
    for key, d in given.items():
        names = tuple(key) if isinstance(key, tuple | list) else (key,)
        if (
            not names
            or seen & set(names)
            or len(set(names)) < len(names)
            or not all(name in flow.state for name in names)
        ):
            known = ", ".join(flow.state)
            raise ConslawError(
                f"degree={degree!r}: group {key!r} must name arrays of the state, each once; they are {known}"
            )
        if not is_positive_integer(d):
            where = f" for {key!r}" if isinstance(degree, Mapping) else ""
            raise ConslawError(f"degree={degree!r}: give a positive integer{where}")
        seen |= set(names)
        groups.append((names, int(d)))
    if not groups:
        raise ConslawError(f"degree={degree!r}: name at least one array; they are {', '.join(flow.state)}")
    if time_degree is not None and not (
        isinstance(time_degree, Integral) and not isinstance(time_degree, bool) and time_degree >= 0
    ):
        raise ConslawError(f"time_degree={time_degree!r}: give an integer >= 0")
    if time_degree is not None and (flow.time is None or TIME in seen):
        raise ConslawError(
            f"time_degree={time_degree}: "
            + ("time is in degree already" if flow.time else "this flow has no time")
        )
    if flow.time and TIME not in seen:
        total = sum(d for _, d in groups)
        in_time = (
            max(flow.time_degree, -(-flow.time_degree * total // 2))
            if time_degree is None
            else int(time_degree)
        )
        groups = [((TIME,), in_time), *groups] if in_time else groups
    return groups


def _variables(
    flow: Flow, named: Sequence[tuple[tuple[str, ...], int]], coordinates: Sequence[Coordinate | None]
) -> list[tuple[list[int], int]]:
    """The numbers of the variables of each group, with those of the logarithms that there are, and its
    degree.
    """
    n = flow.dimension
    logs = {i for i, c in enumerate(coordinates[n:], start=1) if c is not None}
    groups = []
    for names, d in named:
        own = [i for i, c in enumerate(flow.coordinates, start=1) if c.name in names]
        groups.append((own + [n + i for i in own if i in logs], d))
    return groups


def _monomials(groups: list[tuple[list[int], int]], homogeneous: bool) -> npt.NDArray[np.int32]:
    """All monomials of the ansatz but 1, a row each (sorted variable numbers, 0 for none), in graded
    lexicographic order.
    """
    product = np.zeros((1, 0), dtype=np.int32)
    for variables, degree in groups:
        layer = np.zeros((1, 0), dtype=np.int32)  # positions in `variables`, non-decreasing along a row
        layers = []
        for d in range(1, degree + 1):
            last = layer[:, -1] if d > 1 else np.zeros(1, dtype=np.int32)
            count = len(variables) - last
            start = np.repeat(np.cumsum(count) - count, count)
            appended = np.arange(count.sum()) - start + np.repeat(last, count)
            layer = np.concatenate(
                [np.repeat(layer, count, axis=0), appended[:, None].astype(np.int32)], axis=1
            )
            layers.append(layer)
        chosen = layers[-1:] if homogeneous else [np.zeros((1, 0), dtype=np.int32), *layers]
        numbers = np.array([*variables, 0], dtype=np.int32)
        rows = np.concatenate(
            [numbers[np.pad(x, ((0, 0), (degree - x.shape[1], 0)), constant_values=-1)] for x in chosen]
        )
        product = np.concatenate(
            [np.repeat(product, len(rows), axis=0), np.tile(rows, (len(product), 1))], axis=1
        )
    if len(groups) > 1:
        product = np.sort(product, axis=1)
        product = product[np.lexsort((*product.T[::-1], (product > 0).sum(axis=1)))]
    return product[product.any(axis=1)]

"""The polynomial solver: all conservation laws up to a degree, exactly over Q, from a generic-coefficient ansatz.

h = sum a_alpha theta^alpha is conserved iff its derivative along every field vanishes as a polynomial in state and data: one
sparse linear system in the a_alpha, an equation for each monomial.  Its matrix is built in NumPy with monomials as sums of random
64-bit keys.  Components of the fields (coefficients of one data monomial) share no equation, so they are taken in portions: an
equation with one unknown left kills it, and after a few portions nearly all unknowns are gone.  What survives falls into connected
components, mostly alike, each solved exactly.

Why the answer is complete: two monomials that happened to share a key would only *add* two true equations, so the kernel found
always contains every law of the ansatz.  Why it is sound: each law found is then checked as an identity with exact monomials.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations_with_replacement
from math import comb, prod
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from conslaw.coordinates import Coordinate, size, to_sympy, write
from conslaw.errors import ConslawError, check_seed
from conslaw.expressions import evaluate
from conslaw.finite_field import Residues, RowSpace, from_integers, invert, rank
from conslaw.flows import TIME, Flow
from conslaw.polynomials import (
    Keys,
    PolynomialArray,
    Polynomials,
    collect,
    concatenate,
    derivatives,
    evaluate_mod,
    integral,
    join,
    keys,
    multiply,
    number,
    terms,
)
from conslaw.sparse_kernel import Equations, Vector, added_up, distinct, kernel_by_components, kill, merged

if TYPE_CHECKING:
    import sympy

Degree: TypeAlias = int | Mapping[str | tuple[str, ...], int]

logger = logging.getLogger(__name__)

PORTION = 2**15  # nonzeros of the first portion of equations; it doubles up to
LARGEST_PORTION = 2**22
PRIME = 2**31 - 1


@dataclass(frozen=True)
class PolynomialLaws:
    """All polynomial laws of an ansatz.

    Attributes
    ----------
    coordinates : what the variables 1, 2, ... of the polynomials are: the state, and with ``logs`` the logarithms of its entries
    polynomials : (k,) array of polynomials with primitive integer coefficients: generators of the algebra of laws, in order of
        degree; a law that is a polynomial in earlier ones is left out
    independent : the rank of their gradients at a random point mod p, so proved: at least that many laws are independent
    unknowns : number of monomials in the ansatz
    """

    coordinates: Sequence[Coordinate] = field(repr=False)
    polynomials: PolynomialArray = field(repr=False)
    independent: int
    unknowns: int

    def __len__(self) -> int:
        return self.polynomials.shape[0]

    def strings(self) -> list[str]:
        """The laws as text in the model's own names: ``W1[0,0]**2 - W2[0,0]**2``."""
        return [write(polynomial, self.coordinates) for polynomial in terms(self.polynomials)]

    def latex(self) -> list[str]:
        """The laws as LaTeX."""
        return [write(polynomial, self.coordinates, latex=True) for polynomial in terms(self.polynomials)]

    def expressions(self) -> list[sympy.Expr]:
        """The laws as SymPy expressions in ``IndexedBase`` symbols of the model's own names (``Symbol`` for a scalar)."""
        return [to_sympy(polynomial, self.coordinates) for polynomial in terms(self.polynomials)]

    def gradients(self, point: Residues) -> Residues:
        """The gradients (k, n) in the state coordinates mod :data:`PRIME`, at a point (2 n,): the state, then free logarithms."""
        return state_gradients(self.polynomials, point)


def polynomial_laws(
    flow: Flow,
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
    flow : Flow
    degree : int, or mapping from groups of state arrays to integers
        The largest total degree in the state without time; or one for each group: ``{"U": 1, ("V", "b"): 2}`` (arrays not named
        do not appear).  At least 1.
    time_degree : int >= 0, optional
        The largest degree in the array ``"time"`` (which may stand for exp(tau t), say).  By default what the known laws of this
        kind of flow need.
    logs : bool
        Adds a coordinate log(x) for each state entry x by which its own velocity is divisible, as in mirror flows; they count
        towards the degree of x's array.
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
    [MGP23] arXiv 2307.00144, Section 2.3: finding conserved functions as the kernel of a linear map on polynomials.
    """
    check_seed(seed)
    groups = _groups(flow, degree, time_degree)
    unknowns = prod(comb(len(v) * (1 + logs) + d - homogeneous, d) for v, d in groups) - (not homogeneous)
    if unknowns > max_unknowns:
        raise ConslawError(
            f"degree={degree!r}: the ansatz has {unknowns:,} unknowns, more than max_unknowns={max_unknowns:,}; "
            f"lower the degree or give degrees per group of arrays"
        )
    fields, coordinates = exact_fields(flow, logs=logs)
    n = flow.dimension
    if logs:
        usable = {i for i, c in enumerate(coordinates[n:], start=1) if c is not None}
        groups = [(sorted([*v, *(n + i for i in v if i in usable)]), d) for v, d in groups]
    monomials = _monomials(groups, homogeneous)
    for salt in range(seed, seed + 3):
        laws = _law_array(monomials, _kernel(monomials, fields, salt), len(coordinates))
        if not any(len(lie_derivative(laws, x)) for x in fields):
            break
    else:
        raise AssertionError("three sets of random 64-bit keys each had a collision")
    laws = _generators(laws)
    names = [c or Coordinate("unused") for c in coordinates]
    return PolynomialLaws(names, laws, rank(state_gradients(laws, random_state(n, seed)), PRIME), len(monomials))


def exact_fields(flow: Flow, *, logs: bool = False) -> tuple[list[PolynomialArray], list[Coordinate | None]]:
    """The vector fields as exact polynomials with integer coefficients, and the coordinates of their components.

    A rational field is multiplied by its common denominator, which changes no law.  The variables are numbered state first, then
    data.  With ``logs`` a component x'/x of log(x) follows for each state entry x; where that is no polynomial, it is 0 and its
    coordinate None.
    """
    n = flow.dimension
    first_data = 1 + n * (1 + logs)
    inputs = {**number(flow.state), **number(flow.data, first_data)}
    first = dict(zip(flow.state, np.cumsum([0, *(prod(s) for s in flow.state.values())]).tolist(), strict=False))
    fields = []
    for components in flow.fields:
        numbers = Polynomials(first_data + size(flow.data))
        values = evaluate(list(components.values()), inputs, numbers)
        field, _ = numbers.cleared(concatenate(values, [first[name] for name in components], (n,)))
        fields.append(integral(field))
    coordinates: list[Coordinate | None] = list(flow.coordinates)
    if logs:
        divisible = [all(_divisible(x, i) for x in fields) and any((x.entry == i).any() for x in fields) for i in range(n)]
        fields = [_with_logs(x, np.array(divisible)) for x in fields]
        for c, whether in zip(flow.coordinates, divisible, strict=True):
            coordinates.append(Coordinate(c.name, c.index, "log") if whether else None)
    return fields, coordinates


def has_logarithms(flow: Flow) -> bool:
    """Whether the velocity of some state entry is divisible by it, so that its logarithm has a polynomial velocity."""
    return any(c is not None for c in exact_fields(flow, logs=True)[1][flow.dimension :])


def _divisible(field: PolynomialArray, i: int) -> bool:
    return bool((field.monomial[field.entry == i] == i + 1).any(axis=1).all())


def _with_logs(field: PolynomialArray, divisible: npt.NDArray[np.bool_]) -> PolynomialArray:
    """The field with a component more for the logarithm of each coordinate: its own component divided by the coordinate."""
    [n] = field.shape
    chosen = divisible[field.entry]
    rows = field.monomial[chosen]
    own = rows == field.entry[chosen, None] + 1
    divided = np.where(own & (np.cumsum(own, axis=1) == 1), 0, rows)
    logs = PolynomialArray((n,), field.entry[chosen], divided, field.coefficient[chosen])
    return concatenate([field, logs], [0, n], (2 * n,))


def lie_derivative(laws: PolynomialArray, field: PolynomialArray) -> PolynomialArray:
    """The derivatives of some polynomials along a field; no terms iff each is conserved, as a polynomial identity."""
    return Polynomials().product(derivatives(laws, field.shape[0]), field, "ln", "n", "l")


def random_state(n: int, seed: int) -> Residues:
    """A random point mod :data:`PRIME` for n state coordinates and as many logarithms (algebraically independent of them)."""
    return np.random.default_rng(seed).integers(1, PRIME, 2 * n, dtype=np.uint64)


def state_gradients(laws: PolynomialArray, point: Residues) -> Residues:
    """The gradients (k, n) with respect to the state, at a point (2 n,): d h(x, log x) = h_x + h_log / x."""
    n, modulus = len(point) // 2, np.uint64(PRIME)
    gradients = evaluate_mod(derivatives(laws, 2 * n), point, PRIME)
    return (gradients[:, :n] + gradients[:, n:] * invert(point[:n], PRIME) % modulus) % modulus


# the monomials of the ansatz


def _groups(flow: Flow, degree: Degree, time_degree: int | None) -> list[tuple[list[int], int]]:
    """The variables (numbered from 1) and the degree of each group."""
    numbers: dict[str, list[int]] = {name: [] for name in flow.state}
    for i, c in enumerate(flow.coordinates, start=1):
        numbers[c.name].append(i)
    given = dict(degree) if isinstance(degree, Mapping) else {tuple(n for n in flow.state if n != TIME or not flow.time): degree}
    groups, seen = [], set[str]()
    for key, d in given.items():
        names = (key,) if isinstance(key, str) else tuple(key)
        unknown = [name for name in names if name not in numbers]
        if unknown or seen & set(names):
            raise ConslawError(
                f"degree={degree!r}: group {key!r} must name arrays of the state, each once; they are {', '.join(numbers)}"
            )
        if isinstance(d, bool) or not isinstance(d, int | np.integer) or d < 1:
            raise ConslawError(
                f"degree={degree!r}: give a positive integer" + (f" for {key!r}" if isinstance(degree, Mapping) else "")
            )
        seen |= set(names)
        groups.append((sorted(i for name in names for i in numbers[name]), int(d)))
    if not groups:
        raise ConslawError(f"degree={degree!r}: name at least one array; they are {', '.join(numbers)}")
    if time_degree is not None and (isinstance(time_degree, bool) or not isinstance(time_degree, int) or time_degree < 0):
        raise ConslawError(f"time_degree={time_degree!r}: give an integer >= 0")
    if time_degree is not None and (flow.time is None or TIME in seen):
        raise ConslawError(f"time_degree={time_degree}: " + ("time is in degree already" if flow.time else "this flow has no time"))
    if flow.time and TIME not in seen:
        quadratic = max(1, max(d for _, d in groups) // 2)
        in_time = flow.time_degree * quadratic if time_degree is None else time_degree
        groups = [(numbers[TIME], in_time), *groups] if in_time else groups
    return groups


def _monomials(groups: list[tuple[list[int], int]], homogeneous: bool) -> npt.NDArray[np.int32]:
    """All monomials of the ansatz but 1, a row each (sorted variable numbers, 0 for none), in graded lexicographic order."""
    product = np.zeros((1, 0), dtype=np.int32)
    for variables, degree in groups:
        layer = np.zeros((1, 0), dtype=np.int32)  # positions in `variables`, non-decreasing along a row
        layers = []
        for d in range(1, degree + 1):
            last = layer[:, -1] if d > 1 else np.zeros(1, dtype=np.int32)
            count = len(variables) - last
            start = np.repeat(np.cumsum(count) - count, count)
            appended = np.arange(count.sum()) - start + np.repeat(last, count)
            layer = np.concatenate([np.repeat(layer, count, axis=0), appended[:, None].astype(np.int32)], axis=1)
            layers.append(layer)
        chosen = layers[-1:] if homogeneous else [np.zeros((1, 0), dtype=np.int32), *layers]
        numbers = np.array([*variables, 0], dtype=np.int32)
        rows = np.concatenate([numbers[np.pad(x, ((0, 0), (degree - x.shape[1], 0)), constant_values=-1)] for x in chosen])
        product = np.concatenate([np.repeat(product, len(rows), axis=0), np.tile(rows, (len(product), 1))], axis=1)
    if len(groups) > 1:
        product = np.sort(product, axis=1)
        product = product[np.lexsort((*product.T[::-1], (product > 0).sum(axis=1)))]
    return product[product.any(axis=1)]


# the linear system


@dataclass(frozen=True)
class Factors:
    """Terms with a variable set apart: ``variable``, the key of what is left, and the coefficient; ``owner`` says whose term."""

    variable: npt.NDArray[Any]
    key: Keys
    coefficient: npt.NDArray[Any]
    owner: npt.NDArray[np.intp]

    def where(self, kept: npt.NDArray[Any]) -> Factors:
        """Some of the terms."""
        return Factors(self.variable[kept], self.key[kept], self.coefficient[kept], self.owner[kept])


def _kernel(monomials: npt.NDArray[np.int32], fields: list[PolynomialArray], salt: int) -> list[Vector]:
    """A canonical basis of the kernel of the system, each vector a dictionary from monomial number to primitive integers."""
    alive = np.ones(len(monomials), dtype=bool)
    rng = np.random.default_rng(salt)
    system = merged([_eliminated(_gradient_factors(monomials, salt), x, alive, rng, salt) for x in fields])
    system = kill(system.where(alive[system.column]), alive)
    return kernel_by_components(distinct(system), np.flatnonzero(alive))


def _gradient_factors(monomials: npt.NDArray[np.int32], salt: int) -> Factors:
    """All partial derivatives of the monomials: variable, key of the derivative, exponent, number of the monomial."""
    count = len(monomials)
    identity = PolynomialArray((count,), np.arange(count), monomials, np.ones(count, dtype=np.int64))
    n = int(monomials.max())
    slopes = derivatives(identity, n)
    return Factors(slopes.entry % n, keys(slopes.monomial, salt), slopes.coefficient, slopes.entry // n)


def _eliminated(
    unknowns: Factors, field: PolynomialArray, alive: npt.NDArray[np.bool_], rng: np.random.Generator, salt: int
) -> Equations:
    """The equations of one field, portion by portion, without those that only kill unknowns (which are marked in ``alive``)."""
    n = field.shape[0]
    data = np.where(field.monomial > n, field.monomial, 0)
    component = np.unique(keys(np.sort(data, axis=1), salt), return_inverse=True)[1]
    order = rng.permutation(int(component.max(initial=-1)) + 1)[component]  # components in random order
    sort = np.argsort(order, kind="stable")
    slopes = Factors(field.entry, keys(field.monomial, salt), field.coefficient, order).where(sort)
    ends = np.flatnonzero(np.diff(slopes.owner, append=-1)) + 1  # a portion ends where a component does
    kept: list[Equations] = []
    start, portion = 0, PORTION
    while start < len(field):
        unknowns = unknowns.where(alive[unknowns.owner])
        size = np.cumsum(np.bincount(unknowns.variable, minlength=n)[slopes.variable[start:]])
        reach = start + int(np.searchsorted(size, portion, side="right"))
        stop = int(ends[min(int(np.searchsorted(ends, max(reach, start + 1))), len(ends) - 1)])
        kept.append(_portion(unknowns, slopes.where(np.arange(start, stop)), alive))
        logger.info("ansatz: %d of %d terms of the field used, %d unknowns left", stop, len(field), alive.sum())
        start, portion = stop, min(2 * portion, LARGEST_PORTION)
    return merged(kept) if kept else Equations(np.zeros(0, np.int64), np.zeros(0, np.intp), np.zeros(0, np.int64))


def _portion(unknowns: Factors, slopes: Factors, alive: npt.NDArray[np.bool_]) -> Equations:
    """The equations of some components: <grad h, field>, its terms sorted into equations by the key of their monomial."""
    i, j = join(slopes.variable, unknowns.variable)
    key = slopes.key[i] + unknowns.key[j]
    order = np.argsort(key)
    key, column = key[order], unknowns.owner[j[order]]
    row = np.cumsum(np.concatenate([[0], key[1:] != key[:-1]])) if len(key) else key.astype(np.int64)
    alone = np.bincount(row)[row] == 1 if len(row) else np.zeros(0, dtype=bool)
    alive[column[alone]] = False
    rest = alive[column]
    row, column, i, j = row[rest], column[rest], i[order[rest]], j[order[rest]]
    system = Equations(row, column, multiply(slopes.coefficient[i], unknowns.coefficient[j]))
    return kill(added_up(system), alive)


# from vectors to laws


def _law_array(monomials: npt.NDArray[np.int32], basis: list[Vector], n: int) -> PolynomialArray:
    entry = np.array([i for i, vector in enumerate(basis) for _ in vector], dtype=np.int64)
    rows = np.array([m for vector in basis for m in vector], dtype=np.intp)
    values = [v for vector in basis for v in vector.values()]
    small = all(abs(v) < 2**62 for v in values)
    return collect((len(basis),), entry, monomials[rows], np.array(values, dtype=np.int64 if small else object))


def _generators(laws: PolynomialArray) -> PolynomialArray:
    """In order of degree, the laws that are not polynomials in those before (products of laws are laws, and say nothing new)."""
    degrees = laws.degrees()
    order = np.argsort(degrees, kind="stable")
    if not len(order) or degrees.max() < 2 * degrees.min():
        return laws.select(order)
    chosen: list[int] = []
    for d in sorted(set(degrees.tolist())):
        candidates = [int(i) for i in order if degrees[i] == d]
        products = [laws.select(np.array([*chosen, *candidates]))]
        for count in range(2, d // int(degrees.min()) + 1):
            products += [
                _product([laws.select(np.array([i])) for i in factors])
                for factors in combinations_with_replacement(chosen, count)
                if sum(int(degrees[i]) for i in factors) <= d
            ]
        sizes = [x.shape[0] for x in products]
        table = _coefficients(concatenate(products, np.cumsum([0, *sizes[:-1]]).tolist(), (sum(sizes),)))
        space = RowSpace.zero(table.shape[1], PRIME)
        space = space.extend(np.delete(table, np.arange(len(chosen), sizes[0]), axis=0))
        for i, row in zip(candidates, table[len(chosen) : sizes[0]], strict=True):
            larger = space.extend(row[None])
            if larger.rank > space.rank:
                chosen.append(i)
            space = larger
    return laws.select(np.array(chosen))


def _product(factors: list[PolynomialArray]) -> PolynomialArray:
    result = factors[0]
    for x in factors[1:]:
        result = Polynomials().product(result, x, "a", "a", "a")
    return result


def _coefficients(x: PolynomialArray) -> npt.NDArray[np.uint64]:
    """The matrix of coefficients mod p: a row for each polynomial, a column for each monomial that occurs."""
    column = np.unique(keys(x.monomial), return_inverse=True)[1]
    table = np.zeros((x.shape[0], int(column.max(initial=-1)) + 1), dtype=np.uint64)
    table[x.entry, column] = from_integers(x.coefficient, PRIME)
    return table

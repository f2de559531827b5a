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
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations_with_replacement
from math import comb, prod
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from conslaw.algebra.expressions import evaluate
from conslaw.algebra.finite_field import Residues, RowSpace, from_integers, invert, random_prime, rank
from conslaw.algebra.polynomials import (
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
from conslaw.algebra.sparse_kernel import (
    Equations,
    Vector,
    added_up,
    distinct,
    kernel_by_components,
    kill,
    merged,
    sparser,
)
from conslaw.errors import ConslawError, check_memory, check_seed
from conslaw.flows.coordinates import Coordinate, size, to_sympy, write
from conslaw.flows.flow import TIME, Flow, check_flow
from conslaw.models.potential import is_positive_integer

if TYPE_CHECKING:
    import sympy

Degree: TypeAlias = int | Mapping[str | tuple[str, ...], int]

logger = logging.getLogger(__name__)

PORTION = 2**15  # nonzeros of the first portion of equations; it doubles up to
LARGEST_PORTION = 2**22


@dataclass(frozen=True)
class PolynomialLaws:
    """All polynomial laws of an ansatz.

    Attributes
    ----------
    coordinates : what the variables 1, 2, ... of the polynomials are: the state, and with ``logs`` the
        logarithms of its entries
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

    def __len__(self) -> int:
        return self.polynomials.shape[0]

    def strings(self) -> list[str]:
        """The laws as text in the model's own names: ``W1[0,0]**2 - W2[0,0]**2``."""
        return [write(polynomial, self.coordinates) for polynomial in terms(self.polynomials)]

    def latex(self) -> list[str]:
        """The laws as LaTeX."""
        return [write(polynomial, self.coordinates, latex=True) for polynomial in terms(self.polynomials)]

    def expressions(self) -> list[sympy.Expr]:
        """The laws as SymPy expressions in ``IndexedBase`` symbols of the model's own names (``Symbol`` for a
        scalar).
        """
        return [to_sympy(polynomial, self.coordinates) for polynomial in terms(self.polynomials)]

    def gradients(self, sample: Sample) -> Residues:
        """The gradients (k, n) in the state coordinates at a random sample."""
        return state_gradients(self.polynomials, sample)


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
    check_flow(flow)
    seed = check_seed(seed)
    if (
        not isinstance(homogeneous, bool)
        or not isinstance(logs, bool)
        or not is_positive_integer(max_unknowns)
    ):
        raise ConslawError(
            f"homogeneous={homogeneous!r}, logs={logs!r}, max_unknowns={max_unknowns!r}: give two booleans "
            f"and an integer"
        )
    named, unknowns = (
        _groups(flow, degree, time_degree),
        ansatz_size(flow, degree, time_degree, homogeneous, logs=logs),
    )
    if unknowns > max_unknowns:
        many = f"{unknowns:,}" if unknowns < 10**15 else f"about 10^{int(unknowns.bit_length() * 0.30103)}"
        raise ConslawError(
            f"degree={degree!r}: the ansatz has {many} unknowns, more than max_unknowns={max_unknowns:,}; "
            f"lower the degree or give degrees per group of arrays"
        )
    check_memory(
        100.0 * unknowns * sum(d for _, d in named), f"degree={degree!r}: an ansatz of {unknowns:,} unknowns"
    )
    fields, coordinates = exact_fields(flow, logs=logs)
    n = flow.dimension
    groups = [
        ([i for i, c in enumerate(flow.coordinates, start=1) if c.name in names], d) for names, d in named
    ]
    if logs:
        usable = {i for i, c in enumerate(coordinates[n:], start=1) if c is not None}
        groups = [(sorted([*v, *(n + i for i in v if i in usable)]), d) for v, d in groups]
    linear = (
        {}
        if isinstance(degree, Mapping) or degree == 1 or homogeneous
        else _linear_laws(groups, fields, seed)
    )
    monomials = _monomials([([i for i in v if i not in linear], d) for v, d in groups], homogeneous)
    for salt in range(seed, seed + 3):
        basis = _kernel(monomials, fields, salt) if len(monomials) else []
        if not any(len(lie_derivative(_law_array(monomials, basis), x)) for x in fields):
            break
    else:
        raise AssertionError("three sets of random 64-bit keys each had a collision")
    found = _law_array(monomials, _generators(monomials, basis, seed))
    laws = concatenate(
        [*linear.values(), found], list(range(len(linear) + 1)), (len(linear) + found.shape[0],)
    )
    laws = laws.select(np.argsort(laws.degrees(), kind="stable"))
    names = [c or Coordinate("unused") for c in coordinates]
    return PolynomialLaws(names, laws, _independent(laws, n, seed), unknowns)


def ansatz_size(
    flow: Flow, degree: Degree, time_degree: int | None, homogeneous: bool, *, logs: bool = False
) -> int:
    """The number of monomials in the ansatz."""
    named = _groups(check_flow(flow), degree, time_degree)
    sizes = [(sum(prod(flow.state[name]) for name in names), d) for names, d in named]
    return prod(comb(size * (1 + logs) + d - homogeneous, d) for size, d in sizes) - (not homogeneous)


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
    variables = [v for v, d in groups if d > 1 or len(groups) == 1][-1]
    spectators = [v for v in variables if v not in occurring]
    if not spectators:
        return {}
    ordered = np.array([v for v in variables if v in occurring] + spectators, dtype=np.int32)[:, None]
    basis = _kernel(ordered, fields, salt)
    laws = _law_array(ordered, basis)
    if any(len(lie_derivative(laws, x)) for x in fields):
        return {}  # a collision of keys: nothing is put aside
    last = [int(ordered[max(vector), 0]) for vector in basis]
    return {v: laws.select(np.array([i])) for i, v in enumerate(last) if v in spectators}


def exact_fields(flow: Flow, *, logs: bool = False) -> tuple[list[PolynomialArray], list[Coordinate | None]]:
    """The vector fields as exact polynomials with integer coefficients, and the coordinates of their
    components.

    A rational field is multiplied by its common denominator, which changes no law.  The variables are
    numbered state first, then data.  With ``logs`` a component x'/x of log(x) follows for each state entry x;
    where that is no polynomial, it is 0 and its coordinate None.
    """
    n = flow.dimension
    first_data = 1 + n * (1 + logs)
    inputs = {**number(flow.state), **number(flow.data, first_data)}
    first = dict(
        zip(flow.state, np.cumsum([0, *(prod(s) for s in flow.state.values())]).tolist(), strict=False)
    )
    fields = []
    for components in flow.fields:
        numbers = Polynomials(first_data + size(flow.data))
        try:
            values = evaluate(list(components.values()), inputs, numbers)
        except ZeroDivisionError:
            raise ConslawError(
                f"the {flow.name} flow (metric {flow.metric}) divides by zero everywhere"
            ) from None
        field, _ = numbers.cleared(concatenate(values, [first[name] for name in components], (n,)))
        fields.append(integral(field))
    coordinates: list[Coordinate | None] = list(flow.coordinates)
    if logs:
        divisible = [
            all(_divisible(x, i) for x in fields)
            and any((x.entry == i).any() for x in fields)
            and c.name != TIME
            for i, c in enumerate(flow.coordinates)
        ]
        fields = [_with_logs(x, np.array(divisible)) for x in fields]
        for c, whether in zip(flow.coordinates, divisible, strict=True):
            coordinates.append(Coordinate(c.name, c.index, "log") if whether else None)
    return fields, coordinates


def has_logarithms(flow: Flow) -> bool:
    """Whether the velocity of some state entry is divisible by it, so that its logarithm has a polynomial
    velocity.
    """
    return any(c is not None for c in exact_fields(flow, logs=True)[1][flow.dimension :])


def _divisible(field: PolynomialArray, i: int) -> bool:
    return bool((field.monomial[field.entry == i] == i + 1).any(axis=1).all())


def _with_logs(field: PolynomialArray, divisible: npt.NDArray[np.bool_]) -> PolynomialArray:
    """The field with a component more for the logarithm of each coordinate: its own component divided by the
    coordinate.
    """
    [n] = field.shape
    chosen = divisible[field.entry]
    rows = field.monomial[chosen]
    own = rows == field.entry[chosen, None] + 1
    divided = np.where(own & (np.cumsum(own, axis=1) == 1), 0, rows)
    logs = PolynomialArray((n,), field.entry[chosen], divided, field.coefficient[chosen])
    return concatenate([field, logs], [0, n], (2 * n,))


def lie_derivative(laws: PolynomialArray, field: PolynomialArray) -> PolynomialArray:
    """The derivatives of some polynomials along a field; no terms iff each is conserved, as a polynomial
    identity.
    """
    return Polynomials().product(derivatives(laws, field.shape[0]), field, "ln", "n", "l")


class Sample(NamedTuple):
    """A random prime and a random point mod it: n state coordinates, and as many logarithms, algebraically
    independent of them.
    """

    prime: int
    values: Residues


def random_sample(n: int, seed: int) -> Sample:
    """The sample of this seed."""
    rng = np.random.default_rng(seed)
    p = random_prime(rng)
    return Sample(p, rng.integers(1, p, 2 * n, dtype=np.uint64))


def state_gradients(laws: PolynomialArray, sample: Sample) -> Residues:
    """The gradients (k, n) with respect to the state at a random sample: d h(x, log x) = h_x + h_log / x."""
    p, point = sample
    n, modulus = len(point) // 2, np.uint64(p)
    gradients = evaluate_mod(derivatives(laws, 2 * n), point, p)
    return (gradients[:, :n] + gradients[:, n:] * invert(point[:n], p) % modulus) % modulus


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
    if time_degree is not None and time_degree != 0 and not is_positive_integer(time_degree):
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


# the linear system


@dataclass(frozen=True)
class Factors:
    """Terms with a variable set apart: ``variable``, the key of what is left, and the coefficient; ``owner``
    says whose term.
    """

    variable: npt.NDArray[Any]
    key: Keys
    coefficient: npt.NDArray[Any]
    owner: npt.NDArray[np.intp]

    def where(self, kept: npt.NDArray[Any]) -> Factors:
        """Some of the terms."""
        return Factors(self.variable[kept], self.key[kept], self.coefficient[kept], self.owner[kept])


def _kernel(monomials: npt.NDArray[np.int32], fields: list[PolynomialArray], salt: int) -> list[Vector]:
    """A canonical basis of the kernel of the system, each vector a dictionary from monomial number to
    primitive integers.
    """
    alive = np.ones(len(monomials), dtype=bool)
    rng = np.random.default_rng(salt)
    system = merged([_eliminated(_gradient_factors(monomials, salt), x, alive, rng, salt) for x in fields])
    system = kill(system.where(alive[system.column]), alive)
    return kernel_by_components(distinct(system, salt), np.flatnonzero(alive))


def _gradient_factors(monomials: npt.NDArray[np.int32], salt: int) -> Factors:
    """All partial derivatives of the monomials: variable, key of the derivative, exponent, number of the
    monomial.
    """
    count = len(monomials)
    identity = PolynomialArray((count,), np.arange(count), monomials, np.ones(count, dtype=np.int64))
    n = int(monomials.max())
    slopes = derivatives(identity, n)
    return Factors(slopes.entry % n, keys(slopes.monomial, salt), slopes.coefficient, slopes.entry // n)


def _eliminated(
    unknowns: Factors,
    field: PolynomialArray,
    alive: npt.NDArray[np.bool_],
    rng: np.random.Generator,
    salt: int,
) -> Equations:
    """The equations of one field, portion by portion, without those that only kill unknowns (which are marked
    in ``alive``).
    """
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
        logger.info(
            "ansatz: %d of %d terms of the field used, %d unknowns left", stop, len(field), alive.sum()
        )
        start, portion = stop, min(2 * portion, LARGEST_PORTION)
    return (
        merged(kept)
        if kept
        else Equations(np.zeros(0, np.int64), np.zeros(0, np.intp), np.zeros(0, np.int64))
    )


def _portion(unknowns: Factors, slopes: Factors, alive: npt.NDArray[np.bool_]) -> Equations:
    """The equations of some components: <grad h, field>, its terms sorted into equations by the key of their
    monomial.
    """
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


def _law_array(monomials: npt.NDArray[np.int32], basis: list[Vector]) -> PolynomialArray:
    entry = np.array([i for i, vector in enumerate(basis) for _ in vector], dtype=np.int64)
    rows = np.array([m for vector in basis for m in vector], dtype=np.intp)
    values = [v for vector in basis for v in vector.values()]
    small = all(abs(v) < 2**62 for v in values)
    return collect(
        (len(basis),), entry, monomials[rows], np.array(values, dtype=np.int64 if small else object)
    )


def _generators(monomials: npt.NDArray[np.int32], basis: list[Vector], seed: int) -> list[Vector]:
    """Of a basis of all laws, those that are not polynomials in earlier ones (products of laws say nothing
    new), made sparse.

    Exact, although ranks mod p decide: products that lie in the ansatz are laws, so together with the chosen
    laws they span at most what the basis spans, and all of it if they have its dimension mod p.
    """
    degree = (monomials > 0).sum(axis=1)
    degrees = [int(degree[list(vector)].max()) for vector in basis]
    if not basis or max(degrees) < 2 * min(degrees):
        return sparser(basis)
    for attempt in range(seed, seed + 3):
        chosen = _chosen(monomials, basis, degrees, random_prime(np.random.default_rng(attempt)))
        if chosen is not None:
            break
    else:
        raise AssertionError("three random primes each divided a minor")
    return [v for d in sorted(set(degrees)) for v in sparser([basis[i] for i in chosen if degrees[i] == d])]


def _chosen(
    monomials: npt.NDArray[np.int32], basis: list[Vector], degrees: list[int], p: int
) -> list[int] | None:
    """The numbers of the generators; None if the ranks mod p do not prove that the others are polynomials in
    them.
    """
    laws, known, least = _law_array(monomials, basis), np.sort(keys(monomials)), min(degrees)
    chosen: list[int] = []
    for d in sorted(set(degrees)):
        candidates = [i for i, e in enumerate(degrees) if e == d]
        factors = [
            f
            for count in range(2, d // least + 1)
            for f in combinations_with_replacement(chosen, count)
            if sum(degrees[i] for i in f) <= d
        ]
        products = _products(laws, factors)
        inside = np.ones(len(factors), dtype=bool)
        inside[products.entry[~np.isin(keys(products.monomial), known)]] = False
        together = [laws.select(np.array(chosen + candidates)), products.select(np.flatnonzero(inside))]
        sizes = [x.shape[0] for x in together]
        table = coefficients(concatenate(together, [0, sizes[0]], (sum(sizes),)), p)
        space = RowSpace.zero(table.shape[1], p).extend(
            np.delete(table, np.arange(len(chosen), sizes[0]), axis=0)
        )
        new = space.independent(table[len(chosen) : sizes[0]])
        chosen += [candidates[position] for position in new]
        if space.rank + len(new) < sum(e <= d for e in degrees):
            return None
    return chosen


def _products(laws: PolynomialArray, factors: list[tuple[int, ...]]) -> PolynomialArray:
    """The products of some of the laws."""
    width = max(map(len, factors), default=1)
    one = PolynomialArray((1,), np.zeros(1, np.int64), np.zeros((1, 0), np.int32), np.ones(1, np.int64))
    padded = concatenate([laws, one], [0, laws.shape[0]], (laws.shape[0] + 1,))
    index = np.array([[*f, *[laws.shape[0]] * (width - len(f))] for f in factors], dtype=np.intp).reshape(
        len(factors), width
    )
    result = padded.select(index[:, 0])
    for column in index.T[1:]:
        result = Polynomials().product(result, padded.select(column), "a", "a", "a")
    return result


def coefficients(x: PolynomialArray, p: int) -> npt.NDArray[np.uint64]:
    """The matrix of coefficients mod p: a row for each polynomial, a column for each monomial that occurs."""
    column = np.unique(keys(x.monomial), return_inverse=True)[1]
    check_memory(
        40.0 * x.shape[0] * (column.max(initial=0) + 1), f"comparing {x.shape[0]:,} products of laws"
    )
    table = np.zeros((x.shape[0], int(column.max(initial=-1)) + 1), dtype=np.uint64)
    table[x.entry, column] = from_integers(x.coefficient, p)
    return table

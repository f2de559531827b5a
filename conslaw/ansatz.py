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
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import combinations_with_replacement
from math import comb, prod
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from conslaw.errors import ConslawError, check_seed
from conslaw.expressions import Shape, evaluate
from conslaw.finite_field import RowSpace, from_integers, rank
from conslaw.flows import Flow
from conslaw.models import flatten
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
    state : mapping from state array to shape, which number the variables of
    polynomials : (k,) array of polynomials with primitive integer coefficients: generators of the algebra of laws, in order of
        degree; a law that is a polynomial in earlier ones is left out
    independent : the rank of their gradients at a random point mod p, so proved: at least that many laws are independent
    unknowns : number of monomials in the ansatz
    """

    state: Mapping[str, Shape]
    polynomials: PolynomialArray = field(repr=False)
    independent: int
    unknowns: int

    def __len__(self) -> int:
        return self.polynomials.shape[0]

    def strings(self) -> list[str]:
        """The laws as text in the model's own names: ``W1[0,0]**2 - W2[0,0]**2``."""
        names = [f"{name}[{','.join(map(str, index))}]" if index else name for name, index in flatten(self.state)]
        return [_text(polynomial, names, "*", "**{}") for polynomial in terms(self.polynomials)]

    def latex(self) -> list[str]:
        """The laws as LaTeX."""
        base = {name: re.sub("^([a-zA-Z])([0-9]+)$", r"{\1_{\2}}", name.replace("_", r"\_")) for name in self.state}
        names = [f"{base[name]}_{{{','.join(map(str, index))}}}" if index else base[name] for name, index in flatten(self.state)]
        return [_text(polynomial, names, " ", "^{{{}}}") for polynomial in terms(self.polynomials)]

    def expressions(self) -> list[sympy.Expr]:
        """The laws as SymPy expressions in ``IndexedBase`` symbols of the model's own names (``Symbol`` for a scalar)."""
        import sympy

        def symbol(name: str, index: tuple[int, ...]) -> Any:
            return sympy.IndexedBase(name)[index] if index else sympy.Symbol(name)

        symbols = [sympy.S.One] + [symbol(name, index) for name, index in flatten(self.state)]
        return [
            sympy.Add(*[sympy.Mul(c, *[symbols[v] for v in monomial]) for monomial, c in polynomial])
            for polynomial in terms(self.polynomials)
        ]


def _text(polynomial: Iterable[tuple[tuple[int, ...], int | Fraction]], names: list[str], times: str, power: str) -> str:
    """A polynomial in variables with these names, with a sign for a product and a pattern for a power."""
    text = ""
    for monomial, coefficient in polynomial:
        powers = [
            names[v - 1] + (power.format(monomial.count(v)) if monomial.count(v) > 1 else "") for v in dict.fromkeys(monomial)
        ]
        size = [] if abs(coefficient) == 1 and powers else [str(abs(coefficient))]
        sign = (" - " if coefficient < 0 else " + ") if text else ("-" if coefficient < 0 else "")
        text += sign + times.join(size + powers)
    return text


def polynomial_laws(
    flow: Flow, *, degree: Degree = 2, homogeneous: bool = False, seed: int = 0, max_unknowns: int = 10_000_000
) -> PolynomialLaws:
    """Find all polynomial conservation laws up to a degree.

    Parameters
    ----------
    flow : Flow
    degree : int, or mapping from groups of state arrays to integers
        The largest total degree in the state; or one for each group: ``{"U": 1, ("V", "b"): 2}`` (arrays not named do not
        appear).  At least 1.
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
    groups = _groups(flow, degree)
    unknowns = prod(comb(len(v) + d - homogeneous, d) for v, d in groups) - (not homogeneous)
    if unknowns > max_unknowns:
        raise ConslawError(
            f"degree={degree!r}: the ansatz has {unknowns:,} unknowns, more than max_unknowns={max_unknowns:,}; "
            f"lower the degree or give degrees per group of arrays"
        )
    monomials = _monomials(groups, homogeneous)
    fields = exact_fields(flow)
    for salt in range(seed, seed + 3):
        laws = _law_array(monomials, _kernel(monomials, fields, salt), flow.dimension)
        if not any(_derivative(laws, x, flow.dimension) for x in fields):
            break
    else:
        raise AssertionError("three sets of random 64-bit keys each had a collision")
    laws = _generators(laws)
    return PolynomialLaws(flow.state, laws, independent_laws(laws, flow.dimension, seed), unknowns)


def exact_fields(flow: Flow) -> list[PolynomialArray]:
    """The vector fields as exact polynomials with integer coefficients, shape (n,): state variables first, then data."""
    inputs = number({**flow.state, **flow.data})
    first = dict(zip(flow.state, np.cumsum([0, *(prod(s) for s in flow.state.values())]).tolist(), strict=False))
    fields = []
    for components in flow.fields:
        values = evaluate(list(components.values()), inputs, Polynomials())
        fields.append(integral(concatenate(values, [first[name] for name in components], (flow.dimension,))))
    return fields


def _derivative(laws: PolynomialArray, field: PolynomialArray, n: int) -> int:
    """Number of terms of the derivatives of the laws along a field: 0 iff each is conserved, as a polynomial identity."""
    return len(Polynomials().product(derivatives(laws, n), field, "ln", "n", "l"))


def independent_laws(laws: PolynomialArray, n: int, seed: int) -> int:
    """The rank of the gradients at a random point mod p: that many laws are functionally independent, with certainty."""
    point = np.random.default_rng(seed).integers(0, PRIME, n, dtype=np.uint64)
    return rank(evaluate_mod(derivatives(laws, n), point, PRIME), PRIME)


# the monomials of the ansatz


def _groups(flow: Flow, degree: Degree) -> list[tuple[list[int], int]]:
    """The variables (numbered from 1) and the degree of each group."""
    numbers: dict[str, list[int]] = {name: [] for name in flow.state}
    for i, (name, _) in enumerate(flatten(flow.state), start=1):
        numbers[name].append(i)
    given = degree.items() if isinstance(degree, Mapping) else [(tuple(flow.state), degree)]
    groups, seen = [], set[str]()
    for key, d in given:
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

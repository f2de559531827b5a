"""A model from its parametrisation phi as SymPy expressions; SymPy polynomials as array code."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from functools import reduce
from math import comb
from operator import mul
from typing import Any

import flint
import numpy as np

from conslaw.algebra.exact_numbers import FLOAT, hyper_parameter
from conslaw.algebra.expressions import Expression, _put, as_expression, stacked
from conslaw.errors import ConslawError, TooLargeError
from conslaw.models.potential import Model, model
from conslaw.models.sympy_symbols import Symbols, _is_symbol, as_list

MOST_ENTRIES = 10**6  # terms of one polynomial, times degree
LONGEST = 10**6  # bits of a coefficient
DOUBLE = 53  # bits of a Python float

Terms = Mapping[tuple[int, ...], Fraction]  # a polynomial: from exponents to coefficients


def from_sympy(
    phi: Any,
    parameters: Any,
    *,
    data: Any = (),
    name: str = "phi",
    metric: Any = "euclidean",
) -> Model:
    """A model from its parametrisation phi = (phi_1, ..., phi_d) as SymPy expressions.

    Parameters
    ----------
    phi : SymPy expression, or list, tuple or matrix of d of them
        Polynomials in parameters and data.  Numbers are exact: a decimal number is what it says, 0.1 is 1/10.
    parameters : symbols
        Symbols of any name, entries of an ``IndexedBase`` or a ``MatrixSymbol``, or such a matrix.  Entries
        that fill a box become an array, other symbols scalars.  ``analysis.laws`` are written in these
        symbols.
    data : symbols, optional
        Symbols that stand for free data: laws hold for all their values.
    name : str, optional
    metric : optional
        The customary metric, see :func:`gradient_flow`.

    Returns
    -------
    Model
        With the potential c_1 phi_1 + ... + c_d phi_d.

    Raises
    ------
    ConslawError
        If an entry is no polynomial in parameters and data; the message names the sub-expression.

    Examples
    --------
    >>> import conslaw, sympy
    >>> x, y, z = sympy.symbols("x y z")
    >>> conslaw.analyze(conslaw.gradient_flow(conslaw.from_sympy([x * y, y * z], [x, y, z]))).laws
    (x**2 - y**2 + z**2,)

    >>> A, B = sympy.MatrixSymbol("A", 2, 1), sympy.MatrixSymbol("B", 1, 2)
    >>> conslaw.analyze(conslaw.from_sympy(A * B, [A, B])).laws
    (A[0, 0]**2 + A[1, 0]**2 - B[0, 0]**2 - B[0, 1]**2,)
    """
    own = Symbols.of("parameters", parameters)
    rates = Symbols.of("data", data, [own]) if as_list(data) else Symbols([], [], {})
    polynomials = [p for p, _ in fractions_of("phi", as_list(phi), own, rates, denominators=False)]
    if not polynomials:
        raise ConslawError("phi is empty: give at least one polynomial")
    free = free_name([*own.shapes, *rates.shapes])

    def potential(p: Any, c: Any) -> Any:
        return c[free] @ values_of(polynomials, [*own.columns(p.__getitem__), *rates.columns(c.__getitem__)])

    return model(
        potential,
        parameters=own.shapes,
        data={**rates.shapes, free: (len(polynomials),)},
        name=name,
        arguments={"symbols": own.by_array},
        metric=metric,
    )


def free_name(names: list[str]) -> str:
    """A name for the coefficients that no variable has."""
    name = "c"
    while name in names:
        name += "_"
    return name


def fractions_of(
    what: str, entries: list[Any], variables: Symbols, data: Symbols, *, denominators: bool
) -> list[tuple[Terms, Any]]:
    """The numerators of the entries over their common denominator, and that denominator, as polynomials with
    rational coefficients in variables and data.
    """
    reader, read = _Reader([*variables.own, *data.own], denominators), []
    for i, entry in enumerate(entries):
        place = f"{what}, entry {i}"
        try:
            expression = _scalar(entry)
        except (TypeError, AttributeError, ValueError):  # also of ConslawError, which is one
            raise ConslawError(f"{place}: {entry!r} is not a scalar SymPy expression") from None
        try:
            read.append(reader.fraction(expression))
        except _StrangerError as error:
            raise ConslawError(
                f"{place}: {error} is neither a variable nor data: give data=[{error}, ...] if laws shall "
                f"hold whatever its value, or a number in its place"
            ) from None
        except (_NoPolynomial, RecursionError) as error:
            kind = "a quotient of polynomials" if denominators else "a polynomial"
            fix = "" if denominators else " (quotients: give the gradients to conslaw.flow_from_fields)"
            raise ConslawError(
                f"{place}: {str(entry)[:200]} is not {kind} in {list(reader.place)} over Q, because of "
                f"{str(error)[:200]}{fix}"
            ) from None
    common = reader.ring.constant(1)
    for _, q in read:
        common *= q // common.gcd(q)
    return [(terms_of(p * (common // q)), common) for p, q in read]


def _scalar(entry: Any) -> Any:
    """A scalar SymPy expression of what may be a number."""
    import sympy

    number = sympy.Rational(str(hyper_parameter(entry))) if isinstance(entry, FLOAT) else entry
    expression = sympy.sympify(number, strict=True)
    if isinstance(expression, sympy.Poly) and not expression.domain.is_FiniteField:
        expression = expression.as_expr()
    if not isinstance(expression, sympy.Expr) or isinstance(expression, sympy.MatrixExpr):
        raise TypeError
    return expression


class _NoPolynomial(Exception):  # noqa: N818
    """The text is the sub-expression."""


class _StrangerError(Exception):
    """The text is a symbol that was not declared."""


class _Reader:
    """From SymPy expressions to quotients of FLINT polynomials: nothing is expanded whose terms are not
    counted before.
    """

    def __init__(self, variables: list[Any], denominators: bool) -> None:
        self.denominators = denominators
        self.place = {v: i for i, v in enumerate(variables)}
        self.ring = flint.fmpq_mpoly_ctx.get([f"x{i}" for i in range(len(variables))], "degrevlex")
        self.one = self.ring.constant(1)

    def fraction(self, x: Any) -> tuple[Any, Any]:
        """Numerator and denominator."""
        if x in self.place:
            return self.ring.gens()[self.place[x]], self.one
        if x.is_Rational or x.is_Float:
            value = _exact(x)
            return self.ring.constant(flint.fmpq(value.numerator, value.denominator)), self.one
        if x.is_Pow and x.exp.is_Integer:
            base, n = self.fraction(x.base), abs(int(x.exp))
            top, bottom = (self.power(x, side, n) for side in base)
            if x.exp > 0:
                return top, bottom
            if top == 0 or not (self.denominators or _degree(top) == 0):
                raise _NoPolynomial(x)
            return bottom, top
        if not (x.is_Add or x.is_Mul):
            raise (_StrangerError if _is_symbol(x) else _NoPolynomial)(x)
        parts = [self.fraction(y) for y in x.args]
        top, bottom = parts[0]
        for p, q in parts[1:]:
            if x.is_Mul:
                top, bottom = self.product(x, top, p), self.product(x, bottom, q)
            elif bottom == q:
                top = top + p
            else:
                top = self.product(x, top, q) + self.product(x, p, bottom)
                bottom = self.product(x, bottom, q)
        if bottom == 1:
            return top, bottom
        common = top.gcd(bottom)
        return top // common, bottom // common

    def product(self, x: Any, p: Any, q: Any) -> Any:
        """Of two polynomials."""
        self.check(x, len(p) * len(q), _degree(p) + _degree(q))
        return p * q

    def power(self, x: Any, base: Any, n: int) -> Any:
        """Of a polynomial."""
        bits = max((max(int(c.p).bit_length(), int(c.q).bit_length()) for c in base.coeffs()), default=0)
        if bits > 1 and bits * n > LONGEST:
            raise TooLargeError(f"{str(x)[:60]}: its coefficients are too long")
        few = min(n, 10**4)
        self.check(x, comb(max(len(base), 1) + few - 1, few), _degree(base) * n)
        return base**n

    def check(self, x: Any, terms: int, degree: int) -> None:
        """Refuse polynomials of too many terms; so many they have at most."""
        if terms > 1:
            n = min(degree, 10**4)
            terms = min(terms, comb(len(self.place) + n, n))
        if terms * min(terms, max(degree, 1)) > MOST_ENTRIES:
            raise TooLargeError(
                f"{str(x)[:60]}: its {min(terms, 10**18):,} terms of degree {degree} are too many; write it "
                f"as array code, which is not expanded (conslaw.model)"
            )


def _degree(p: Any) -> int:
    return max(int(p.total_degree()), 0)


def _exact(x: Any) -> Fraction:
    """A rational number; a float is the shortest decimal that stands for it."""
    if x.is_Rational:
        return Fraction(int(x.p), int(x.q))
    try:
        return Fraction(hyper_parameter(float(x) if x._prec == DOUBLE else str(x)))
    except ConslawError:
        raise _NoPolynomial(x) from None


def terms_of(polynomial: Any) -> Terms:
    """Exponents and coefficients."""
    return {
        tuple(map(int, powers)): Fraction(int(c.p), int(c.q)) for powers, c in polynomial.to_dict().items()
    }


def values_of(polynomials: list[Terms], columns: list[Expression]) -> Expression:
    """The vector of these polynomials at the point whose coordinates are the columns."""
    n, owner, coefficients = len(columns), list[int](), list[Fraction]()
    rows: list[list[tuple[int, int]]] = []
    for i, polynomial in enumerate(polynomials):
        for powers, c in polynomial.items():
            owner.append(i)
            rows.append([(v, e) for v, e in enumerate(powers) if e])
            coefficients.append(c)
    if not rows:
        return as_expression(np.zeros(len(polynomials), dtype=np.int64))
    width, exponents = max(map(len, rows)), sorted({e for row in rows for _, e in row} | {1})
    place = {
        e: i * (n + 1) for i, e in enumerate(exponents)
    }  # x**e stands in the table once for each exponent
    index = np.array(
        [[place[e] + v for v, e in row] + [n] * (width - len(row)) for row in rows], dtype=np.intp
    )
    index = index.reshape(len(rows), width)
    point = stacked([*columns, as_expression(1)])
    table = stacked([point**e for e in exponents])
    weights = np.empty(len(rows), dtype=object)
    weights[:] = coefficients
    terms = reduce(mul, [table[index[:, i]] for i in range(width)], as_expression(weights))
    return _put(terms, np.array(owner), (len(polynomials),))

"""A model from its parametrisation phi as SymPy expressions; SymPy polynomials as array code."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from functools import reduce
from keyword import iskeyword
from math import comb, prod
from operator import add, mul
from typing import TYPE_CHECKING, Any

import flint
import numpy as np

from conslaw.algebra.expressions import Expression, _put, as_expression, stacked
from conslaw.errors import ConslawError, TooLargeError
from conslaw.models.potential import Model, model

if TYPE_CHECKING:
    import sympy


MOST_ENTRIES = 10**6  # terms of one polynomial, times degree
LONGEST = 10**6  # bits of a coefficient

Terms = Mapping[tuple[int, ...], Fraction]  # a polynomial: from exponents to coefficients


def from_sympy(
    phi: Any, parameters: Sequence[sympy.Symbol], *, name: str = "phi", metric: Any = "euclidean"
) -> Model:
    """A model from its parametrisation phi = (phi_1, ..., phi_d) as SymPy expressions.

    Parameters
    ----------
    phi : SymPy expression, or list, tuple or matrix of d of them
        Polynomials in the parameters with rational coefficients.
    parameters : symbols
        Each becomes a scalar parameter of its own name.  Laws come back in plain symbols of these names,
        without assumptions.
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
        If an entry is no polynomial in the parameters; the message names the sub-expression.

    Examples
    --------
    >>> import conslaw, sympy
    >>> x, y, z = sympy.symbols("x y z")
    >>> conslaw.analyze(conslaw.gradient_flow(conslaw.from_sympy([x * y, y * z], [x, y, z]))).laws
    (x**2 - y**2 + z**2,)
    """
    names = names_of(parameters)
    polynomials = polynomials_of("phi", as_list(phi), as_list(parameters))
    if not polynomials:
        raise ConslawError("phi is empty: give at least one polynomial")

    free = free_name(names)

    def potential(p: Any, c: Any) -> Any:
        return c[free] @ values_of(polynomials, [p[n] for n in names])

    return model(
        potential,
        parameters=dict.fromkeys(names, ()),
        data={free: (len(polynomials),)},
        name=name,
        metric=metric,
    )


def free_name(names: list[str]) -> str:
    """A name for the coefficients that no variable has."""
    name = "c"
    while name in names:
        name += "_"
    return name


def as_list(value: Any) -> list[Any]:
    """The entries of a list, a matrix or an array, or the one expression."""
    if isinstance(value, str | Mapping) or value is None:
        raise ConslawError(f"{value!r}: give SymPy expressions, or a list or matrix of them")
    if hasattr(value, "tolist"):
        return list(np.ravel(np.array(value.tolist(), dtype=object)))
    return list(value) if isinstance(value, Iterable) else [value]


def names_of(symbols: Sequence[Any]) -> list[str]:
    """The names of distinct symbols."""
    import sympy

    given = as_list(symbols)
    wrong = [
        s for s in given if not isinstance(s, sympy.Symbol) or not s.name.isidentifier() or iskeyword(s.name)
    ]
    names = [str(s) for s in given]
    if wrong or len(set(names)) < len(names) or not names:
        detail = f", not {wrong[0]!r}" if wrong else ""
        raise ConslawError(f"{given}: give distinct SymPy symbols whose names are identifiers{detail}")
    return names


def polynomials_of(what: str, entries: list[Any], variables: Sequence[Any]) -> list[Terms]:
    """The entries as polynomials with rational coefficients."""
    import sympy

    result = []
    for i, entry in enumerate(entries):
        try:
            expression = sympy.sympify(entry, strict=True)
            if isinstance(expression, sympy.Poly):
                numerical = expression.domain.is_Numerical and not expression.domain.is_FiniteField
                expression = expression.as_expr() if numerical else None
            if not isinstance(expression, sympy.Expr) or isinstance(expression, sympy.MatrixExpr):
                raise sympy.SympifyError(entry)
        except (sympy.SympifyError, TypeError, AttributeError):
            raise ConslawError(f"{what}, entry {i}: {entry!r} is not a scalar SymPy expression") from None
        reader = _Reader(list(variables))
        try:
            result.append(terms_of(reader.polynomial(expression)[0]))
        except (_NoPolynomial, RecursionError) as error:
            raise ConslawError(
                f"{what}, entry {i}: {str(entry)[:200]} is not a polynomial in {list(variables)} over Q, "
                f"because of {str(error)[:200]}"
            ) from None
    return result


class _NoPolynomial(Exception):  # noqa: N818
    """The text is the sub-expression."""


class _Reader:
    """From SymPy expressions to FLINT polynomials: nothing is expanded whose terms are not counted before."""

    def __init__(self, variables: list[Any]) -> None:
        self.place = {v: i for i, v in enumerate(variables)}
        self.ring = flint.fmpq_mpoly_ctx.get([f"x{i}" for i in range(len(variables))], "degrevlex")

    def polynomial(self, x: Any) -> tuple[Any, int, int]:
        """The polynomial, and bounds for its number of terms and its degree."""
        if x in self.place:
            return self.ring.gens()[self.place[x]], 1, 1
        if x.is_Rational:
            return self.ring.constant(flint.fmpq(int(x.p), int(x.q))), 1, 0
        if x.is_Pow and x.exp.is_Integer and x.exp >= 0:
            base, terms, degree = self.polynomial(x.base)
            n = int(x.exp)
            bits = max((max(int(c.p).bit_length(), int(c.q).bit_length()) for c in base.coeffs()), default=0)
            if bits > 1 and bits * n > LONGEST:
                raise TooLargeError(f"{str(x)[:60]}: its coefficients are too long")
            size = self.counted(x, comb(terms + min(n, 10**4) - 1, min(n, 10**4)), degree * n)
            return base**n, size, degree * n
        if not (x.is_Add or x.is_Mul):
            raise _NoPolynomial(x)
        parts = [self.polynomial(y) for y in x.args]
        if x.is_Add:
            terms, degree = sum(n for _, n, _ in parts), max(d for *_, d in parts)
        else:
            terms, degree = prod(n for _, n, _ in parts), sum(d for *_, d in parts)
        size = self.counted(x, terms, degree)
        return reduce(add if x.is_Add else mul, [y for y, *_ in parts]), size, degree

    def counted(self, x: Any, terms: int, degree: int) -> int:
        """The number of terms, at most; refused if that is too many."""
        if terms > 1:
            n = min(degree, 10**4)
            terms = min(terms, comb(len(self.place) + n, n))
        if terms * min(terms, max(degree, 1)) > MOST_ENTRIES:
            raise TooLargeError(
                f"{str(x)[:60]}: its {min(terms, 10**18):,} terms of degree {degree} are too many; write it "
                f"as array code, which is not expanded (conslaw.model)"
            )
        return terms


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

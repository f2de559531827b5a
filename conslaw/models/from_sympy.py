"""A model from its parametrisation phi as SymPy expressions; SymPy polynomials as array code."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from functools import reduce
from keyword import iskeyword
from operator import mul
from typing import TYPE_CHECKING, Any

import numpy as np

from conslaw.algebra.expressions import Expression, as_expression, scattered, stacked
from conslaw.errors import ConslawError
from conslaw.models.potential import Model, model

if TYPE_CHECKING:
    import sympy


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
    polynomials = polynomials_of("phi", as_list(phi), parameters)
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

    given = list(symbols) if isinstance(symbols, Iterable) else [symbols]
    wrong = [
        s for s in given if not isinstance(s, sympy.Symbol) or not s.name.isidentifier() or iskeyword(s.name)
    ]
    names = [str(s) for s in given]
    if wrong or len(set(names)) < len(names) or not names:
        detail = f", not {wrong[0]!r}" if wrong else ""
        raise ConslawError(f"{given}: give distinct SymPy symbols whose names are identifiers{detail}")
    return names


def polynomials_of(what: str, entries: list[Any], variables: Sequence[Any]) -> list[Any]:
    """The entries as ``sympy.Poly`` with rational coefficients."""
    import sympy

    result = []
    for i, entry in enumerate(entries):
        try:
            expression = sympy.sympify(entry)
            if isinstance(expression, sympy.Poly):
                expression = (
                    expression.as_expr()
                    if expression.domain.is_Numerical and not expression.domain.is_FiniteField
                    else None
                )
            if not isinstance(expression, sympy.Expr) or isinstance(expression, sympy.MatrixExpr):
                raise sympy.SympifyError(entry)
        except (sympy.SympifyError, TypeError, AttributeError):
            raise ConslawError(f"{what}, entry {i}: {entry!r} is not a scalar SymPy expression") from None
        try:
            polynomial = sympy.Poly(expression, *variables)
            culprit = next((c for c in polynomial.coeffs() if not c.is_Rational), None)
        except sympy.PolynomialError:
            culprit = _culprit(expression, set(variables))
        if culprit is not None:
            raise ConslawError(
                f"{what}, entry {i}: {entry} is not a polynomial in {list(variables)} over Q, because of "
                f"{culprit}"
            )
        result.append(polynomial)
    return result


def _culprit(expression: Any, variables: set[Any]) -> Any:
    """The smallest sub-expression that is no polynomial."""
    for argument in expression.args:
        if not argument.is_polynomial(*variables):
            return _culprit(argument, variables)
    return expression


def values_of(polynomials: list[Any], columns: list[Expression]) -> Expression:
    """The vector of these polynomials at the point whose coordinates are the columns."""
    n, owner, coefficients = len(columns), list[int](), list[Fraction]()
    rows: list[list[tuple[int, int]]] = []
    for i, polynomial in enumerate(polynomials):
        for powers, c in polynomial.terms():
            if c:
                owner.append(i)
                rows.append([(v, e) for v, e in enumerate(powers) if e])
                coefficients.append(Fraction(int(c.p), int(c.q)))
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
    return scattered(terms, np.array(owner), (len(polynomials),))

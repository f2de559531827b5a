"""Models and flows from SymPy: the parametrisation phi itself, or raw vector fields."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from functools import reduce
from keyword import iskeyword
from operator import mul
from typing import TYPE_CHECKING, Any

import numpy as np

from conslaw.algebra.expressions import Expression, Shape, as_expression, input_array, scattered, stacked
from conslaw.errors import ConslawError
from conslaw.flows.flow import Flow
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
    names = _names(parameters)
    polynomials = _polynomials("phi", _listed(phi), parameters)
    if not polynomials:
        raise ConslawError("phi is empty: give at least one polynomial")

    free = _free_name(names)

    def potential(p: Any, c: Any) -> Any:
        return c[free] @ _values(polynomials, [p[n] for n in names])

    return model(
        potential,
        parameters=dict.fromkeys(names, ()),
        data={free: (len(polynomials),)},
        name=name,
        metric=metric,
    )


def flow_from_fields(fields: Iterable[Any], variables: Sequence[sympy.Symbol], *, drift: Any = None) -> Flow:
    """A flow from raw vector fields: its laws are the functions constant along each of them.

    Parameters
    ----------
    fields : iterable of vector fields
        Each a list or matrix of polynomials in the variables, one for each variable.
    variables : symbols
        The coordinates of the state space.
    drift : vector field, optional
        One more field (what an uncontrolled system follows); a law is constant along it too.

    Returns
    -------
    Flow

    Raises
    ------
    ConslawError
        If a field has another number of components than there are variables, or is not polynomial.

    Examples
    --------
    >>> import conslaw, sympy
    >>> x, y, z = sympy.symbols("x y z")
    >>> rotations = conslaw.flow_from_fields([[y, -x, 0], [0, z, -y]], [x, y, z])
    >>> conslaw.analyze(rotations).laws
    (x**2 + y**2 + z**2,)
    """
    names = _names(variables)
    free = _free_name(names)
    rows = fields.tolist() if hasattr(fields, "tolist") else fields  # of a matrix, each row is a field
    if not isinstance(rows, Iterable):
        raise ConslawError(f"fields={fields!r}: give a list of vector fields")
    listed = [_listed(f) for f in rows]
    if not listed and drift is None:
        raise ConslawError("fields=[]: give at least one vector field")
    columns = {n: input_array(n, ()) for n in names}
    result = []
    if drift is not None:
        result.append(_field("drift", _listed(drift), variables, columns))
    if listed:
        components = [p for i, f in enumerate(listed) for p in _components(f"fields[{i}]", f, variables)]
        control = _values(components, list(columns.values())).reshape(len(listed), len(names))
        mixture = input_array(free, (len(listed),)) @ control
        result.append({n: mixture[j] for j, n in enumerate(names)})
    state: dict[str, Shape] = dict.fromkeys(names, ())
    return Flow("given", None, state, {free: (len(listed),)} if listed else {}, tuple(result))


def _free_name(names: list[str]) -> str:
    """A name for the coefficients that no variable has."""
    name = "c"
    while name in names:
        name += "_"
    return name


def _field(
    what: str, field: list[Any], variables: Sequence[Any], columns: Mapping[str, Expression]
) -> dict[str, Expression]:
    vector = _values(_components(what, field, variables), list(columns.values()))
    return {name: vector[j] for j, name in enumerate(columns)}


def _components(what: str, field: list[Any], variables: Sequence[Any]) -> list[Any]:
    if len(field) != len(variables):
        raise ConslawError(
            f"{what} has {len(field)} components for {len(variables)} variables: give one for each"
        )
    return _polynomials(what, field, variables)


def _listed(value: Any) -> list[Any]:
    """The entries of a list, a matrix or an array, or the one expression."""
    if isinstance(value, str | Mapping) or value is None:
        raise ConslawError(f"{value!r}: give SymPy expressions, or a list or matrix of them")
    if hasattr(value, "tolist"):
        return list(np.ravel(np.array(value.tolist(), dtype=object)))
    return list(value) if isinstance(value, Iterable) else [value]


def _names(symbols: Sequence[Any]) -> list[str]:
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


def _polynomials(what: str, entries: list[Any], variables: Sequence[Any]) -> list[Any]:
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


def _values(polynomials: list[Any], columns: list[Expression]) -> Expression:
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

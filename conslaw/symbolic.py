"""Models and flows from SymPy: the parametrisation phi itself, or raw vector fields."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from functools import reduce
from operator import mul
from typing import TYPE_CHECKING, Any

import numpy as np

from conslaw.errors import ConslawError
from conslaw.expressions import Expression, Shape, as_expression, input_array, scattered, stacked
from conslaw.flows import Flow
from conslaw.models import Model, model

if TYPE_CHECKING:
    import sympy


def from_sympy(phi: Any, parameters: Sequence[sympy.Symbol], *, name: str = "phi", metric: Any = "euclidean") -> Model:
    """A model from its parametrisation phi = (phi_1, ..., phi_d) as SymPy expressions.

    Parameters
    ----------
    phi : SymPy expression, or list, tuple or matrix of d of them
        Polynomials in the parameters with rational coefficients.
    parameters : symbols
        Each becomes a scalar parameter of its own name.
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

    def potential(p: Any, c: Any) -> Any:
        return c.c @ _values(polynomials, [p[n] for n in names])

    return model(potential, parameters=dict.fromkeys(names, ()), data={"c": (len(polynomials),)}, name=name, metric=metric)


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
    listed = [_listed(f) for f in fields]
    if not listed and drift is None:
        raise ConslawError("fields=[]: give at least one vector field")
    columns = {n: input_array(n, ()) for n in names}
    result = []
    if drift is not None:
        result.append(_field("drift", _listed(drift), variables, columns))
    if listed:
        components = [p for i, f in enumerate(listed) for p in _components(f"fields[{i}]", f, variables)]
        control = _values(components, list(columns.values())).reshape(len(listed), len(names))
        mixture = input_array("c", (len(listed),)) @ control
        result.append({n: mixture[j] for j, n in enumerate(names)})
    if "c" in names and listed:
        raise ConslawError("variables: the name 'c' is kept for the coefficients of the fields; rename the variable")
    state: dict[str, Shape] = dict.fromkeys(names, ())
    return Flow("given", None, state, {"c": (len(listed),)} if listed else {}, tuple(result))


def _field(what: str, field: list[Any], variables: Sequence[Any], columns: Mapping[str, Expression]) -> dict[str, Expression]:
    vector = _values(_components(what, field, variables), list(columns.values()))
    return {name: vector[j] for j, name in enumerate(columns)}


def _components(what: str, field: list[Any], variables: Sequence[Any]) -> list[Any]:
    if len(field) != len(variables):
        raise ConslawError(f"{what} has {len(field)} components for {len(variables)} variables: give one for each")
    return _polynomials(what, field, variables)


def _listed(value: Any) -> list[Any]:
    """The entries of a list, a matrix or an array, or the one expression."""
    if hasattr(value, "tolist"):
        return list(np.ravel(np.array(value.tolist(), dtype=object)))
    return list(value) if isinstance(value, Iterable) else [value]


def _names(symbols: Sequence[Any]) -> list[str]:
    import sympy

    wrong = [s for s in symbols if not isinstance(s, sympy.Symbol)]
    if wrong or len(set(symbols)) < len(symbols) or not len(symbols):
        raise ConslawError(f"{list(symbols)}: give distinct SymPy symbols" + (f", not {wrong[0]!r}" if wrong else ""))
    return [s.name for s in symbols]


def _polynomials(what: str, entries: list[Any], variables: Sequence[Any]) -> list[Any]:
    """The entries as ``sympy.Poly`` with rational coefficients."""
    import sympy

    result = []
    for i, entry in enumerate(entries):
        try:
            expression = sympy.sympify(entry)
            polynomial = sympy.Poly(expression, *variables)
        except sympy.SympifyError:
            raise ConslawError(f"{what}, entry {i}: {entry!r} is not a SymPy expression") from None
        except (sympy.PolynomialError, TypeError):
            polynomial = None
        if polynomial is None or not all(c.is_Rational for c in polynomial.coeffs()):
            culprit = _culprit(expression, set(variables)) if polynomial is None else next(
                c for c in polynomial.coeffs() if not c.is_Rational)  # fmt: skip
            raise ConslawError(f"{what}, entry {i}: {entry} is not a polynomial in {list(variables)} over Q, because of {culprit}")
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
    n, owner, rows, coefficients = len(columns), [], [], []
    for i, polynomial in enumerate(polynomials):
        for exponents, c in polynomial.terms():
            if c:
                owner.append(i)
                rows.append([v for v, e in enumerate(exponents) for _ in range(e)])
                coefficients.append(Fraction(int(c.p), int(c.q)))
    if not rows:
        return as_expression(np.zeros(len(polynomials), dtype=np.int64))
    width = max(map(len, rows))
    index = np.array([row + [n] * (width - len(row)) for row in rows], dtype=np.intp).reshape(len(rows), width)
    point = stacked([*columns, as_expression(1)])
    weights = np.empty(len(rows), dtype=object)
    weights[:] = coefficients
    terms = reduce(mul, [point[index[:, place]] for place in range(width)], as_expression(weights))
    return scattered(terms, np.array(owner), (len(polynomials),))

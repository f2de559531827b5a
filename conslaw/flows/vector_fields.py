"""A flow from raw vector fields, as SymPy expressions."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from conslaw.algebra.expressions import Expression, input_array
from conslaw.errors import ConslawError
from conslaw.flows.flow import Flow
from conslaw.models.from_sympy import Terms, fractions_of, free_name, values_of
from conslaw.models.sympy_symbols import Symbols, as_list


def flow_from_fields(fields: Iterable[Any], variables: Any, *, drift: Any = None, data: Any = ()) -> Flow:
    """A flow from raw vector fields: its laws are the functions constant along each of them.

    Parameters
    ----------
    fields : iterable of vector fields
        Each a list or matrix of polynomials in variables and data, or of quotients of such, one for each
        variable.  A field is multiplied by its common denominator, which changes no law.  Numbers are exact:
        a decimal number is what it says, 0.1 is 1/10.
    variables : symbols
        The coordinates of the state space: symbols of any name, entries of an ``IndexedBase`` or a
        ``MatrixSymbol``, or such a matrix.  ``analysis.laws`` are written in these symbols.
    drift : vector field, optional
        One more field (what an uncontrolled system follows); a law is constant along it too.
    data : symbols, optional
        Symbols of the fields that are no coordinates, such as rate constants: a law is constant whatever
        their values.

    Returns
    -------
    Flow

    Raises
    ------
    ConslawError
        If a field has another number of components than there are variables, is not rational, or has a symbol
        that is neither a variable nor data.

    Examples
    --------
    >>> import conslaw, sympy
    >>> x, y, z = sympy.symbols("x y z")
    >>> rotations = conslaw.flow_from_fields([[y, -x, 0], [0, z, -y]], [x, y, z])
    >>> conslaw.analyze(rotations).laws
    (x**2 + y**2 + z**2,)

    A reaction x + y <-> z at any rates:

    >>> k1, k2 = sympy.symbols("k1 k2")
    >>> rate = k1 * x * y - k2 * z
    >>> reaction = conslaw.flow_from_fields([[-rate, -rate, rate]], [x, y, z], data=[k1, k2])
    >>> conslaw.analyze(reaction).laws
    (x - y, x + z)
    """
    own = Symbols.of("variables", variables)
    rates = Symbols.of("data", data, [own]) if as_list(data) else Symbols([], [], {})
    rows = fields.tolist() if hasattr(fields, "tolist") else fields  # of a matrix, each row is a field
    if not isinstance(rows, Iterable) or isinstance(rows, str):
        raise ConslawError(f"fields={fields!r}: give a list of vector fields")
    listed = [_components(f"fields[{i}]", as_list(f), own, rates) for i, f in enumerate(rows)]
    if not listed and drift is None:
        raise ConslawError("fields=[]: give at least one vector field")
    arrays = {name: input_array(name, shape) for name, shape in {**own.shapes, **rates.shapes}.items()}
    columns = [*own.columns(arrays.__getitem__), *rates.columns(arrays.__getitem__)]
    free, result, numbers = free_name([*arrays]), list[dict[str, Expression]](), {}
    if drift is not None:
        components = _components("drift", as_list(drift), own, rates)
        result.append(own.arrays(values_of(components, columns)))
    if listed:
        numbers = {free: (len(listed),)}
        every = values_of([p for field in listed for p in field], columns)
        control = every.reshape(len(listed), len(own.places))
        result.append(own.arrays(input_array(free, numbers[free]) @ control))
    state, free_data = dict(own.shapes), {**rates.shapes, **numbers}
    return Flow("given", None, state, free_data, tuple(result), symbols=own.by_array)


def _components(what: str, field: list[Any], variables: Symbols, data: Symbols) -> list[Terms]:
    """A field, times its common denominator."""
    count = len(variables.own)
    if len(field) != count:
        raise ConslawError(f"{what} has {len(field)} components for {count} variables: give one for each")
    return [p for p, _ in fractions_of(what, field, variables, data, denominators=True)]

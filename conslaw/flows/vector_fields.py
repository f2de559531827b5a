"""A flow from raw vector fields, as SymPy expressions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from conslaw.algebra.expressions import Expression, Shape, input_array
from conslaw.errors import ConslawError
from conslaw.flows.flow import Flow
from conslaw.models.from_sympy import Terms, as_list, free_name, names_of, polynomials_of, values_of

if TYPE_CHECKING:
    import sympy


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
    names = names_of(variables)
    variables = as_list(variables)
    free = free_name(names)
    rows = fields.tolist() if hasattr(fields, "tolist") else fields  # of a matrix, each row is a field
    if not isinstance(rows, Iterable):
        raise ConslawError(f"fields={fields!r}: give a list of vector fields")
    listed = [as_list(f) for f in rows]
    if not listed and drift is None:
        raise ConslawError("fields=[]: give at least one vector field")
    columns = {n: input_array(n, ()) for n in names}
    result = []
    if drift is not None:
        result.append(_field("drift", as_list(drift), variables, columns))
    if listed:
        components = [p for i, f in enumerate(listed) for p in _components(f"fields[{i}]", f, variables)]
        control = values_of(components, list(columns.values())).reshape(len(listed), len(names))
        mixture = input_array(free, (len(listed),)) @ control
        result.append({n: mixture[j] for j, n in enumerate(names)})
    state: dict[str, Shape] = dict.fromkeys(names, ())
    return Flow("given", None, state, {free: (len(listed),)} if listed else {}, tuple(result))


def _field(
    what: str, field: list[Any], variables: Sequence[Any], columns: Mapping[str, Expression]
) -> dict[str, Expression]:
    vector = values_of(_components(what, field, variables), list(columns.values()))
    return {name: vector[j] for j, name in enumerate(columns)}


def _components(what: str, field: list[Any], variables: Sequence[Any]) -> list[Terms]:
    if len(field) != len(variables):
        raise ConslawError(
            f"{what} has {len(field)} components for {len(variables)} variables: give one for each"
        )
    return polynomials_of(what, field, variables)

"""The vector fields of a flow as exact polynomials, and what is conserved along them, identically."""

from __future__ import annotations

from dataclasses import replace
from math import prod
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from conslaw.algebra.bounds import Bounds, BoundsNumbers
from conslaw.algebra.evaluation import evaluate, topological_order
from conslaw.algebra.expressions import Expression, size
from conslaw.algebra.finite_field import Residues, from_integers, invert, random_prime
from conslaw.algebra.polynomials import (
    PolynomialArray,
    Polynomials,
    concatenate,
    derivatives,
    evaluate_mod,
    integral,
    keys,
    number,
)
from conslaw.algebra.term_counts import count_terms
from conslaw.errors import ConslawError, TooLargeError, check_memory
from conslaw.flows.coordinates import Coordinate
from conslaw.flows.flow import TIME, Flow

LARGEST_DEGREE = 10_000
PRODUCTS = 4e6  # of terms with terms, made at a time
PER_TERM = 100.0  # bytes for each factor of a term, measured


def exact_fields(flow: Flow, *, logs: bool = False) -> tuple[list[PolynomialArray], list[Coordinate | None]]:
    """The vector fields as exact polynomials with integer coefficients, and the coordinates of their
    components.

    A rational field is multiplied by its common denominator, which changes no law.  The variables are
    numbered state first, then data.  With ``logs`` a component x'/x of log(x) follows for each state entry x;
    where that is no polynomial, it is 0 and its coordinate None.
    """
    check_size(flow)
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
            coordinates.append(replace(c, kind="log") if whether else None)
    return fields, coordinates


def check_size(flow: Flow) -> None:
    """Refuse, before they are begun, fields that do not fit into the memory with the equations that are made
    of them.
    """
    degree = max(x.degree for x in bounds(flow))
    if degree > LARGEST_DEGREE:
        raise TooLargeError(f"fields of degree {degree:,}: they are written out up to {LARGEST_DEGREE:,}")
    terms = expansion(flow)
    fix = "use ansatz='matrix', which writes nothing out, or make the model smaller"
    check_memory(PER_TERM * (degree + 1) * terms, f"writing out fields of {terms:.2g} terms", fix)


def has_room(flow: Flow) -> bool:
    """Whether the fields are not refused."""
    try:
        check_size(flow)
    except TooLargeError:
        return False
    return True


def bounds(flow: Flow) -> list[Bounds]:
    """Degrees and heights of the components of the fields of a flow."""
    arrays = {name: Bounds(shape, 1, 0.0) for name, shape in {**flow.state, **flow.data}.items()}
    return evaluate([value for one in flow.fields for value in one.values()], arrays, BoundsNumbers())


def expansion(flow: Flow) -> float:
    """A bound for the number of terms of the fields of a flow, if they are written out."""
    variables = flow.dimension + size(flow.data)
    fields = [value for one in flow.fields for value in one.values()]
    return sum(prod(x.shape) * x.count for x in count_terms(fields, variables))


def expansion_of_gradient(potential: Expression) -> float:
    """A bound for the number of terms of all derivatives of a potential together: it is at most the degree
    times the number of its own.
    """
    inputs = [x for x in topological_order([potential]) if x.operation == "input"]
    [found] = count_terms([potential], sum(prod(x.shape) for x in inputs))
    return found.degree * found.count


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


def conserved(laws: PolynomialArray, field: PolynomialArray) -> bool:
    """Whether each of some polynomials is conserved along a field; a few at a time, to save memory."""
    products = float(np.bincount(field.entry, minlength=1).max()) * len(laws)
    parts = min(max(1, laws.shape[0]), 1 + int(products / PRODUCTS))
    return not any(
        len(lie_derivative(laws.select(part), field))
        for part in np.array_split(np.arange(laws.shape[0]), parts)
    )


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


def coefficients(x: PolynomialArray, p: int) -> npt.NDArray[np.uint64]:
    """The matrix of coefficients mod p: a row for each polynomial, a column for each monomial that occurs."""
    column = np.unique(keys(x.monomial), return_inverse=True)[1]
    check_memory(
        40.0 * x.shape[0] * (column.max(initial=0) + 1), f"comparing {x.shape[0]:,} products of laws"
    )
    table = np.zeros((x.shape[0], int(column.max(initial=-1)) + 1), dtype=np.uint64)
    table[x.entry, column] = from_integers(x.coefficient, p)
    return table

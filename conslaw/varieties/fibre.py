"""The fibre of a user's own model: exact polynomial fields that leave all its functions unchanged."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations_with_replacement
from math import comb

import numpy as np

from conslaw.algebra.evaluation import evaluate, gradient, topological_order
from conslaw.algebra.expressions import Expression
from conslaw.algebra.finite_field import LIFTING_PRIME, Residues, RowSpace, drawn, fraction, rank
from conslaw.algebra.jets import Jets
from conslaw.algebra.polynomials import Polynomials, number
from conslaw.models.potential import Model
from conslaw.varieties.coordinates import monomial_values

MOST_UNKNOWNS = 1500  # coefficients of a field
MOST_TERMS = 2 * 10**5  # of the gradient, up to which an identity is checked by expansion
SURPLUS = 8


def gradient_of(model: Model) -> tuple[list[str], list[Expression]]:
    """The parameter arrays that the potential uses, and its gradient by them."""
    nodes = {
        node.attribute: node for node in topological_order([model.potential]) if node.operation == "input"
    }
    used = [name for name in model.parameters if name in nodes]
    return used, gradient(model.potential, [nodes[name] for name in used])


def gradients_mod(
    model: Model, points: int, key: str, p: int, moving: bool = False
) -> tuple[Residues, Residues]:
    """Values of the used parameters (n or 1, D), and gradients (n, D), at random data; with ``moving`` at
    random weights as well.
    """
    used, outputs = gradient_of(model)
    inputs = {}
    for name, shape in model.parameters.items():
        inputs[name] = {0: drawn(f"{key}/{name}", (points if moving else 1, *shape), p)}
    for name, shape in model.data.items():
        inputs[name] = {0: drawn(f"{key}/{name}", (points, *shape), p)}
    values = evaluate(outputs, inputs, Jets(p))
    rows = [_rows(value.get(0), output.size, points) for value, output in zip(values, outputs, strict=True)]
    weights = [inputs[name][0].reshape(len(inputs[name][0]), -1) for name in used]
    return np.concatenate(weights, axis=1), np.concatenate(rows, axis=1)


def _rows(value: Residues | None, size: int, points: int) -> Residues:
    if value is None:
        return np.zeros((points, size), dtype=np.uint64)
    return np.broadcast_to(value, (points, *value.shape[1:])).reshape(points, size)


def fibre_dimension(model: Model, key: str) -> tuple[int, int]:
    """A proved lower bound for the dimension of the generic fibre, and the degree of the fields behind it.

    Fields X of degree <= 2 with X f = 0 identically: found mod p at random points, lifted to Q, and checked
    by expansion.  Their rank at a random point mod p bounds the dimension of the fibre from below; arrays
    that the potential does not use add their sizes.
    """
    used, _ = gradient_of(model)
    unused = model.size - sum(int(np.prod(model.parameters[name])) for name in used)
    best = (unused, 0)
    for degree in (1, 2):
        size = model.size - unused
        if size * comb(size + degree, degree) > MOST_UNKNOWNS:
            break
        found = unused + _fields(model, used, degree, key)
        best = max(best, (found, degree), key=lambda one: one[0])
    return best


def _fields(model: Model, used: list[str], degree: int, key: str) -> int:
    """The rank of the verified fields of this degree at a random point."""
    p = LIFTING_PRIME
    size = sum(int(np.prod(model.parameters[name])) for name in used)
    monomials = [m for d in range(degree + 1) for m in combinations_with_replacement(range(size), d)]
    unknowns = size * len(monomials)
    weights, rows = gradients_mod(model, unknowns + SURPLUS, f"{key}/fields", p, moving=True)
    values = np.stack([monomial_values(weights, m, p) for m in monomials], axis=1)
    equations = (rows[:, :, None] * values[:, None, :] % np.uint64(p)).reshape(len(rows), unknowns)
    space = RowSpace.zero(unknowns, p).extend(equations)
    gradient_terms = _expanded(model, used)
    if gradient_terms is None:
        return 0
    point = drawn(f"{key}/point", (1, size), p)
    at = np.concatenate([monomial_values(point, m, p) for m in monomials])
    tangent = []
    for i, column in enumerate(space.free.tolist()):
        field = {column: (1, 1)}
        for pivot, value in zip(space.pivots.tolist(), space.rest[:, i].tolist(), strict=True):
            if value:
                lifted = fraction(p - value, p)
                if lifted is None:
                    break
                field[pivot] = lifted
        else:
            if _vanishes(field, gradient_terms, monomials):
                row = np.zeros((size, len(monomials)), dtype=np.uint64)
                for column_, (a, b) in field.items():
                    row.reshape(-1)[column_] = a * pow(b, -1, p) % p
                tangent.append((row * at % np.uint64(p)).sum(axis=1) % np.uint64(p))
    return rank(np.stack(tangent), p) if tangent else 0


Terms = list[dict[tuple[int, ...], object]]


def _expanded(model: Model, used: list[str]) -> Terms | None:
    """The gradient by each used parameter, with the parameters numbered from 0 and data after them; None if
    it is too large.
    """
    from conslaw.algebra.polynomials import terms

    _, outputs = gradient_of(model)
    arrays: Mapping[str, tuple[int, ...]] = {name: model.parameters[name] for name in used}
    inputs = number({**arrays, **model.data})
    values = evaluate(outputs, inputs, Polynomials())
    if sum(map(len, values)) > MOST_TERMS:
        return None
    entries = [entry for value in values for entry in terms(value)]
    return [{tuple(i - 1 for i in monomial): c for monomial, c in entry} for entry in entries]


def _vanishes(
    field: dict[int, tuple[int, int]], gradient_terms: Terms, monomials: list[tuple[int, ...]]
) -> bool:
    """Whether X f = 0, exactly."""
    from fractions import Fraction

    total: dict[tuple[int, ...], Fraction] = {}
    for column, (a, b) in field.items():
        entry, factor = divmod(column, len(monomials))
        for monomial, coefficient in gradient_terms[entry].items():
            product = tuple(sorted(monomial + monomials[factor]))
            total[product] = total.get(product, Fraction(0)) + Fraction(a, b) * coefficient  # type: ignore[operator]
    return not any(total.values())

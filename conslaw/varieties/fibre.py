"""The fibre of a user's own model: exact polynomial fields that leave all its functions unchanged."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from itertools import combinations_with_replacement
from math import comb, prod

import numpy as np

from conslaw.algebra.evaluation import evaluate, gradient, topological_order
from conslaw.algebra.expressions import Expression
from conslaw.algebra.finite_field import LIFTING_PRIME, Residues, RowSpace, drawn, fraction, residue
from conslaw.algebra.jets import Jets
from conslaw.algebra.polynomials import Polynomials, number, terms
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


Field = dict[int, list[tuple[tuple[int, ...], Fraction]]]  # from parameters to terms in them, numbered from 1


def fibre_fields(model: Model, key: str) -> tuple[list[Field], int]:
    """Fields that are independent at a general point and leave the functions unchanged, and their degree.

    Fields X of degree <= 2 with X f = 0 identically: found mod p at random points, lifted to Q, and checked
    by expansion.  Their number bounds the dimension of the fibre from below.  Arrays that the potential does
    not use move freely.
    """
    used, _ = gradient_of(model)
    numbers, start = dict[str, range](), 1
    for name, shape in model.parameters.items():
        numbers[name] = range(start, start + prod(shape))
        start += prod(shape)
    free = [i for name, own in numbers.items() if name not in used for i in own]
    moving = [i for name in used for i in numbers[name]]
    fields, best = [Field({i: [((), Fraction(1))]}) for i in free], (list[Field](), 0)
    for degree in (1, 2):
        if len(moving) * comb(len(moving) + degree, degree) > MOST_UNKNOWNS:
            break
        found = _fields(model, used, moving, degree, key)
        if len(found) > len(best[0]):
            best = found, degree
    return fields + best[0], best[1]


def _fields(model: Model, used: list[str], moving: list[int], degree: int, key: str) -> list[Field]:
    """Verified fields of this degree that are independent at a random point."""
    p, size = LIFTING_PRIME, len(moving)
    monomials = [m for d in range(degree + 1) for m in combinations_with_replacement(range(size), d)]
    unknowns = size * len(monomials)
    gradient_terms = _expanded(model, used)
    if gradient_terms is None:
        return []
    weights, rows = gradients_mod(model, unknowns + SURPLUS, f"{key}/fields", p, moving=True)
    values = np.stack([monomial_values(weights, m, p) for m in monomials], axis=1)
    equations = (rows[:, :, None] * values[:, None, :] % np.uint64(p)).reshape(len(rows), unknowns)
    space = RowSpace.zero(unknowns, p).extend(equations)
    point = drawn(f"{key}/point", (1, size), p)
    at = np.concatenate([monomial_values(point, m, p) for m in monomials])
    tangent, verified = list[Residues](), list[Field]()
    for i, column in enumerate(space.free.tolist()):
        lifted = _lifted(space, i, column)
        if lifted is None or not _vanishes(lifted, gradient_terms, monomials):
            continue
        row = np.zeros((size, len(monomials)), dtype=np.uint64)
        field: Field = {}
        for where, value in lifted.items():
            entry, factor = divmod(where, len(monomials))
            row[entry, factor] = residue(value, p)
            field.setdefault(moving[entry], []).append((tuple(moving[j] for j in monomials[factor]), value))
        tangent.append((row * at % np.uint64(p)).sum(axis=1) % np.uint64(p))
        verified.append(field)
    if not verified:
        return []
    return [verified[i] for i in RowSpace.zero(size, p).independent(np.stack(tangent))]


def _lifted(space: RowSpace, i: int, column: int) -> dict[int, Fraction] | None:
    """The i-th vector of the kernel, over Q."""
    found = {column: Fraction(1)}
    for pivot, value in zip(space.pivots.tolist(), space.rest[:, i].tolist(), strict=True):
        if value:
            lifted = fraction(space.prime - value, space.prime)
            if lifted is None:
                return None
            found[pivot] = Fraction(*lifted)
    return found


Terms = list[dict[tuple[int, ...], Fraction]]


def _expanded(model: Model, used: list[str]) -> Terms | None:
    """The gradient by each used parameter, with the parameters numbered from 0 and data after them; None if
    it is too large.
    """
    _, outputs = gradient_of(model)
    arrays: Mapping[str, tuple[int, ...]] = {name: model.parameters[name] for name in used}
    inputs = number({**arrays, **model.data})
    values = evaluate(outputs, inputs, Polynomials())
    if sum(map(len, values)) > MOST_TERMS:
        return None
    entries = [entry for value in values for entry in terms(value)]
    return [{tuple(i - 1 for i in monomial): Fraction(c) for monomial, c in entry} for entry in entries]


def _vanishes(field: Mapping[int, Fraction], gradient_terms: Terms, monomials: list[tuple[int, ...]]) -> bool:
    """Whether X f = 0, exactly."""
    total: dict[tuple[int, ...], Fraction] = {}
    for column, value in field.items():
        entry, factor = divmod(column, len(monomials))
        for monomial, coefficient in gradient_terms[entry].items():
            product = tuple(sorted(monomial + monomials[factor]))
            total[product] = total.get(product, Fraction(0)) + value * coefficient
    return not any(total.values())

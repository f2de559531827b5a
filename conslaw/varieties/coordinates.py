"""The coordinates of a neurovariety: coefficients of the outputs as polynomials in the weights, their grading
by tori, and their values mod p.

Coefficients of a network without biases are divided by their multinomials, as symmetric tensors are: the
equations then have small coefficients, and lift from one prime.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from math import factorial, prod
from typing import Any

import numpy as np
import numpy.typing as npt

from conslaw.algebra.evaluation import evaluate
from conslaw.algebra.finite_field import Residues, drawn, residue
from conslaw.algebra.polynomials import Polynomials, number, terms
from conslaw.errors import ConslawError
from conslaw.models.potential import Model
from conslaw.varieties.architecture import Architecture, architecture, shapes

MOST_COEFFICIENTS = 4000
MOST_TERMS = 3 * 10**5

Polynomial = Mapping[tuple[int, ...], Fraction]  # from sorted parameter numbers, from 0


def monomial_values(values: Residues, monomial: Sequence[int], p: int) -> Residues:
    """The product mod p of columns of values (points, variables), each as often as the monomial names it."""
    result = np.ones(len(values), dtype=np.uint64)
    for i in monomial:
        result = result * values[:, i] % np.uint64(p)
    return result


@dataclass(frozen=True, eq=False)
class Coordinates:
    """The coordinates: ``names``; ``polynomials`` in the weights, numbered from 0 to ``parameters`` - 1;
    ``weights`` (N, g), non-negative for networks without biases.

    ``index`` says for each coordinate of such a network its output and exponents, else it is empty: then
    permutations of outputs and of inputs permute the coordinates, ``outputs`` and ``inputs`` in number.
    ``ones`` are weights that may be put to 1 where an equation, homogeneous in each output and each input, is
    to be checked: the scales of the hidden units, of the outputs and of the inputs move almost every point
    there; ``scales`` are those of the hidden units alone.
    """

    names: tuple[str, ...]
    polynomials: tuple[Polynomial, ...]
    parameters: int
    weights: npt.NDArray[np.int64]
    index: tuple[tuple[int, tuple[int, ...]], ...] = ()
    outputs: int = 0
    inputs: int = 0
    ones: frozenset[int] = frozenset()
    scales: frozenset[int] = frozenset()

    def __len__(self) -> int:
        return len(self.names)

    @cached_property
    def place(self) -> dict[tuple[int, tuple[int, ...]], int]:
        """Where a coordinate of a network without biases stands."""
        return {one: i for i, one in enumerate(self.index)}

    def values(self, points: int, key: str, p: int) -> Residues:
        """Values (points, N) mod p at random weights."""
        theta = drawn(key, (points, self.parameters), p)
        modulus, columns = np.uint64(p), []
        for polynomial in self.polynomials:
            total = np.zeros(points, dtype=np.uint64)
            for monomial, coefficient in polynomial.items():
                factor = np.uint64(residue(coefficient, p))
                total = (total + factor * monomial_values(theta, monomial, p)) % modulus
            columns.append(total)
        return np.stack(columns, axis=1)


def coordinates(model: Model) -> Coordinates:
    """The coordinates of a model: of the family ``polynomial`` without biases with its symmetries; of any
    other the coefficients of its potential in the data, and 1 if they are not homogeneous.
    """
    network = architecture(model)
    if network is not None and network.ambient > MOST_COEFFICIENTS:
        raise ConslawError(
            f"equations of polynomial {network}: there are {network.ambient:,} coefficients, more than "
            f"{MOST_COEFFICIENTS:,}; make the network smaller"
        )
    arrays = {**model.parameters, **model.data}
    potential = evaluate([model.potential], number(arrays), Polynomials())[0]
    if len(potential) > MOST_TERMS:
        raise ConslawError(
            f"equations of {model.name}: {len(potential):,} terms, more than {MOST_TERMS:,}; make it smaller"
        )
    size, collected = model.size, dict[tuple[int, ...], dict[tuple[int, ...], Fraction]]()
    for monomial, coefficient in terms(potential)[0]:
        data = tuple(i - 1 - size for i in monomial if i > size)
        weights = tuple(i - 1 for i in monomial if i <= size)
        collected.setdefault(data, {})[weights] = Fraction(coefficient)
    if network is not None and not network.bias:
        return of_network(network, size, collected)
    return _of_model(model, size, collected)


def of_network(
    network: Architecture, size: int, collected: Mapping[tuple[int, ...], Mapping[tuple[int, ...], Fraction]]
) -> Coordinates:
    """The coordinates of functions like those of this network: their terms in inputs x and outputs' v, by the
    terms in the data.
    """
    n, m = network.widths[0], network.widths[-1]
    index, polynomials = list[tuple[int, tuple[int, ...]]](), list[Polynomial]()
    for data, polynomial in collected.items():
        exponents = tuple(data.count(i) for i in range(n))
        multinomial = factorial(network.degree) // prod(map(factorial, exponents))
        index.append((max(data) - n, exponents))
        polynomials.append({monomial: c / multinomial for monomial, c in polynomial.items()})
    order = sorted(range(len(index)), key=lambda i: (index[i][0], [-e for e in index[i][1]]))
    chosen = tuple(index[i] for i in order)
    names = tuple(f"f{j}[{','.join(map(str, exponents))}]" for j, exponents in chosen)
    weights = np.array([[*(int(j == k) for k in range(m)), *exponents] for j, exponents in chosen])
    return Coordinates(
        names, tuple(polynomials[i] for i in order), size, weights, chosen, m, n, *_first_columns(network)
    )


def _first_columns(network: Architecture) -> tuple[frozenset[int], frozenset[int]]:
    """The numbers of the weights in the first columns of all matrices and the first row of the first, and of
    those in the first columns of all matrices but the last.
    """
    columns, start = list[list[int]](), 0
    for rows, width in shapes(network.widths):
        columns.append([start + row * width for row in range(rows)])
        start += rows * width
    hidden = frozenset(i for column in columns[:-1] for i in column)
    return hidden | {*columns[-1], *range(network.widths[0])}, hidden


def _of_model(
    model: Model, size: int, collected: Mapping[tuple[int, ...], Mapping[tuple[int, ...], Fraction]]
) -> Coordinates:
    """Graded by the kernel over Z of the differences of exponents within each coefficient."""
    import flint

    if len(collected) > MOST_COEFFICIENTS:
        raise ConslawError(
            f"equations of {model.name}: there are {len(collected):,} coefficients; make it smaller"
        )
    known = [
        f"{a}{list(i) if i else ''}".replace(" ", "") for a, s in model.data.items() for i in np.ndindex(*s)
    ]
    names = ["*".join(known[i] for i in data) or "1" for data in collected]
    polynomials = list(collected.values())
    exponents = [[np.bincount(m, minlength=size) for m in polynomial] for polynomial in polynomials]
    differences = [row - rows[0] for rows in exponents for row in rows[1:]] or [
        np.zeros(size, dtype=np.int64)
    ]
    matrix = flint.fmpz_mat([[int(x) for x in row] for row in np.unique(np.array(differences), axis=0)])
    kernel, rank = matrix.nullspace()
    torus = np.array([[int(kernel[i, j]) for i in range(size)] for j in range(size - rank)], dtype=object)
    torus = torus.reshape(size - rank, size)
    divisors = [max(1, int(np.gcd.reduce(row))) for row in torus]
    torus = np.array([row // g for row, g in zip(torus, divisors, strict=True)], dtype=object).reshape(
        torus.shape
    )
    weights = np.array([[int(u @ rows[0]) for u in torus] for rows in exponents], dtype=object)
    weights = weights.reshape(len(names), len(torus))
    homogeneous = _has_degree(weights)
    if not homogeneous:
        names.append("1")
        polynomials.append({(): Fraction(1)})
        weights = np.concatenate([weights, np.zeros((1, weights.shape[1]), dtype=object)])
    return Coordinates(tuple(names), tuple(polynomials), size, weights.astype(np.int64))


def _has_degree(weights: npt.NDArray[Any]) -> bool:
    """Whether the torus scales all coordinates alike, so that the set is a cone."""
    import flint

    columns = [[int(x) for x in column] for column in weights.T]
    if not columns:
        return False
    with_ones = flint.fmpz_mat([*columns, [1] * len(weights)])
    return bool(with_ones.rank() == flint.fmpz_mat(columns).rank())

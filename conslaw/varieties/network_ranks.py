"""A polynomial network at random points mod p: its units, its derivatives, its gradients, and their ranks.

The dimension is the generic rank of the Jacobian of the coefficients.  Its rows, combined, are the gradients
of v f(x): no coefficient is ever expanded, and a rank mod p at a point is at most the generic rank over Q.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import comb

import numpy as np

from conslaw.algebra.finite_field import LIFTING_PRIME, Residues, drawn, matmul, powered, rank
from conslaw.varieties.architecture import Architecture, shapes

WIDEST_SPAN = 400  # units whose independence is tested by one rank
LARGEST_TEST = 640**2  # parameters of a network that it is tested with


@dataclass(frozen=True)
class Pass:
    """A network run at points: ``units[l]`` (n, d_l) after their activation, ``before[l]`` before it,
    ``derivatives[l]`` (n, d_l) of v f by what stands before the activation (of layer 0: by the inputs).
    """

    units: list[Residues]
    before: list[Residues]
    derivatives: list[Residues]
    modulus: np.uint64

    def by_weights(self, layer: int, rows: slice = slice(None)) -> Residues:
        """The gradients (n, rows * d_(l-1)) by rows of the weights of a layer."""
        p = self.modulus
        outer = self.derivatives[layer][:, rows, None] * self.units[layer - 1][:, None, :] % p
        return outer.reshape(len(outer), -1)


def run(
    network: Architecture, points: int, key: str, p: int = LIFTING_PRIME, feeding: int | None = None
) -> Pass:
    """Forward and backward mod p at weights and points (x, v) that a key stands for; only so many hidden
    units of the last layer feed the outputs, if that is said.
    """
    d, modulus = network.widths, np.uint64(p)
    weights = [drawn(f"{key}/W{i}", shape, p) for i, shape in enumerate(shapes(d), start=1)]
    x, v = drawn(f"{key}/x", (points, d[0]), p), drawn(f"{key}/v", (points, d[-1]), p)
    if feeding is not None:
        weights[-1][:, feeding:] = 0
    units, before, last = [x], [x], network.depth
    for layer, matrix in enumerate(weights, start=1):
        z = matmul(units[-1], np.ascontiguousarray(matrix.T), p)
        if network.bias and layer < last:
            z = (z + drawn(f"{key}/b{layer}", (1, d[layer]), p)) % modulus
        before.append(z)
        units.append(powered(z, network.powers[layer - 1], p) if layer < last else z)
    derivatives = [v]
    for layer in range(last, 0, -1):
        derivative = matmul(derivatives[0], weights[layer - 1], p)
        if layer > 1:
            r = network.powers[layer - 2]
            slope = powered(before[layer - 1], r - 1, p) * np.uint64(r % p) % modulus
            derivative = derivative * slope % modulus
        derivatives.insert(0, derivative)
    return Pass(units, before, derivatives, modulus)


def gradients(network: Architecture, points: int, key: str, p: int = LIFTING_PRIME) -> Residues:
    """The gradients (n, D) of v f(x) by all weights and biases."""
    here, last = run(network, points, key, p), network.depth
    columns = list[Residues]()
    for layer in range(1, last + 1):
        columns.append(here.by_weights(layer))
        if network.bias and layer < last:
            columns.append(here.derivatives[layer])
    return np.concatenate(columns, axis=1)


def dense(network: Architecture, most: int, key: str, p: int = LIFTING_PRIME) -> int:
    """The rank of the gradients at as many points as the dimension can be."""
    points = min(most, network.parameters)
    return rank(gradients(network, points, key, p), p)


@lru_cache(maxsize=100_000)
def independent_units(d: tuple[int, ...], r: tuple[int, ...], m: int) -> bool:
    """Whether it is certified that units of the last layer of d, after their activation r[-1], span m
    dimensions generically (of the layer 0: its inputs do).
    """
    if len(d) == 1:
        return m <= d[0]
    if m <= min(d):  # weights 0 between m chains of one neuron a layer: powers of different inputs
        return True
    if m <= _powers_of_forms(d, r):
        return True
    network = Architecture((*d, 1), r)
    if m > WIDEST_SPAN or network.parameters > LARGEST_TEST:
        return False
    return rank(run(network, m, f"units {d} {r}").units[-2], LIFTING_PRIME) >= m


def _powers_of_forms(d: tuple[int, ...], r: tuple[int, ...]) -> int:
    """How many units are independent if those of each layer before are all forms: powers of general forms
    span as much as there is room for; else 0.
    """
    degree, found, full = 1, 0, True
    for width, power in zip(d[1:], r, strict=True):
        if not full:
            return 0
        degree *= power
        room = comb(d[0] - 1 + degree, degree)
        found, full = min(width, room), width >= room
    return found

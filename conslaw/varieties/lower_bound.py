"""Lower bounds for the dimension of a neurovariety: exact ranks mod p at one point.

The dimension is the generic rank of the Jacobian of the coefficients.  Its rows, combined, are the gradients
of v f(x): no coefficient is ever expanded, and a rank mod p at a point is at most the generic rank over Q.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from conslaw.algebra.finite_field import LIFTING_PRIME, Residues, drawn, matmul, powered, rank
from conslaw.varieties.architecture import Architecture, shapes

DENSE = 640  # parameters up to which the Jacobian is taken as a whole
MOST_NEURONS = 12  # of the narrowest layer in a class of a colouring
WIDEST_SPAN = 400  # units whose independence is tested by one rank


@dataclass(frozen=True)
class Pass:
    """A network run at points: ``units[l]`` (n, d_l) after their activation, ``before[l]`` before it,
    ``derivatives[l]`` (n, d_l) of v f by what stands before the activation, ``gradients`` (n, D) by the
    weights.
    """

    units: list[Residues]
    before: list[Residues]
    derivatives: list[Residues]
    gradients: Residues


def run(network: Architecture, points: int, key: str, p: int = LIFTING_PRIME) -> Pass:
    """Forward and backward mod p at weights and points (x, v) that a key stands for."""
    d, modulus = network.widths, np.uint64(p)
    weights = [drawn(f"{key}/W{i}", shape, p) for i, shape in enumerate(shapes(d), start=1)]
    x, v = drawn(f"{key}/x", (points, d[0]), p), drawn(f"{key}/v", (points, d[-1]), p)
    units, before, last = [x], [x], network.depth
    for layer, matrix in enumerate(weights, start=1):
        z = matmul(units[-1], np.ascontiguousarray(matrix.T), p)
        if network.bias and layer < last:
            z = (z + drawn(f"{key}/b{layer}", (1, d[layer]), p)) % modulus
        before.append(z)
        units.append(powered(z, network.powers[layer - 1], p) if layer < last else z)
    derivative, derivatives, gradients = v, [v], list[Residues]()
    for layer in range(last, 0, -1):
        outer = derivative[:, :, None] * units[layer - 1][:, None, :] % modulus
        own = [outer.reshape(points, -1)] + ([derivative] if network.bias and layer < last else [])
        gradients = own + gradients
        if layer > 1:
            r = network.powers[layer - 2]
            slope = powered(before[layer - 1], r - 1, p) * np.uint64(r % p) % modulus
            derivative = matmul(derivative, weights[layer - 1], p) * slope % modulus
            derivatives.insert(0, derivative)
    return Pass(units, before, [x, *derivatives], np.concatenate(gradients, axis=1))


def dense(network: Architecture, most: int, key: str, p: int = LIFTING_PRIME) -> int:
    """The rank of the gradients at as many points as the dimension can be."""
    points = min(most, network.parameters)
    return rank(run(network, points, key, p).gradients, p)


@lru_cache(maxsize=100_000)
def independent_units(d: tuple[int, ...], r: tuple[int, ...], m: int) -> bool:
    """Whether it is certified that units of the last layer of d, after their activation r[-1], span m
    dimensions generically (of the layer 0: its inputs do).
    """
    if len(d) == 1:
        return m <= d[0]
    if m <= min(d):  # weights 0 between m chains of one neuron a layer: powers of different inputs
        return True
    network = Architecture((*d, 1), r)
    if m > WIDEST_SPAN or network.parameters > DENSE**2:
        return False
    return rank(run(network, m, f"units {d} {r}").units[-2], LIFTING_PRIME) >= m


@dataclass(frozen=True)
class Colouring:
    """Neurons in ``colours`` classes, weights between classes 0; with ``shared`` outputs each class has all
    of them. ``bound`` is the lower bound that it proves.
    """

    colours: int
    shared: bool
    bound: int = 0


def coloured(network: Architecture, colouring: Colouring, key: str, p: int = LIFTING_PRIME) -> int:
    """Sum over the classes A of dim V(A), and over pairs A != B and layers l of the span of A's derivatives
    by what enters layer l times the span of B's units in the layer below.

    Proof: scale the inputs (and outputs) of each class by a number of its own.  The columns of the Jacobian
    at this point have weights then, and those of W_l between B and A have one of their own: x_B to the degree
    of B's units, x_A to the rest (and v_A).  Where outputs are shared, the weights of (A, B, l) and (B, A, l)
    agree if the last power is 2 and l = L - 1: the two spaces meet in nothing if no two columns of W_L are
    collinear, in one dimension for each pair of units if there is one output.
    """
    d, r, q = network.widths, network.powers, colouring.colours
    last = network.depth
    top = last - 1 if colouring.shared else last
    total, spans, derivatives, squares = 0, [0] * last, [0] * (last + 1), 0
    for count, part in classes(d, q, colouring.shared):
        own = Architecture(part, r)
        within = dense(own, min(own.naive, own.ambient), f"{key}/{part}", p)
        here = run(own, max(part), f"{key}/{part}/spans", p)
        eta = [rank(here.units[layer], p) for layer in range(last)]
        rho = [0, *(rank(here.derivatives[layer], p) for layer in range(1, last + 1))]
        if colouring.shared and r[-1] == 2 and rank(here.before[last - 1], p) < part[last - 1]:
            return 0
        total += count * (within - sum(rho[layer] * eta[layer - 1] for layer in range(1, top + 1)))
        squares += count * part[last - 1] ** 2
        for layer in range(1, top + 1):
            derivatives[layer] += count * rho[layer]
            spans[layer - 1] += count * eta[layer - 1]
    total += sum(derivatives[layer] * spans[layer - 1] for layer in range(1, top + 1))
    if network.bias:  # at biases 0 their columns have weights of their own: those of l are of lower degree
        total += sum(derivatives[1:last])
    if colouring.shared and r[-1] == 2 and d[-1] == 1:
        total -= (d[-2] ** 2 - squares) // 2
    return total


def classes(d: tuple[int, ...], q: int, shared: bool) -> list[tuple[int, tuple[int, ...]]]:
    """How many classes have which widths, if each layer is dealt out evenly to q classes."""
    dealt: dict[tuple[int, ...], int] = {}
    marks = sorted({0, q, *(n % q for n in (d[:-1] if shared else d))})
    for start, end in itertools.pairwise(marks):
        part = [n // q + (start < n % q) for n in d]
        widths = (*part[:-1], d[-1]) if shared else tuple(part)
        dealt[widths] = dealt.get(widths, 0) + end - start
    return [(count, widths) for widths, count in dealt.items()]


def best_colouring(network: Architecture, most: int, key: str, p: int = LIFTING_PRIME) -> Colouring | None:
    """The first colouring that reaches the upper bound, else the best of those tried: classes of one neuron
    in the narrowest layer, then of two, of three.
    """
    best, narrowest = None, min(network.widths[:-1])
    for q in dict.fromkeys(narrowest // size for size in range(1, min(narrowest, MOST_NEURONS) + 1)):
        for shared in (False, True):
            parts = classes(network.widths, q, shared)
            largest = max(Architecture(part, network.powers).parameters for _, part in parts)
            if largest > DENSE or (not shared and q > network.widths[-1]):
                continue
            found = Colouring(q, shared, coloured(network, Colouring(q, shared), key, p))
            if best is None or found.bound > best.bound:
                best = found
            if best.bound >= most:
                return best
    return best

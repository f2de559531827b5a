"""The rank of the true gradients of a chain of layers of any width, from what changes at its kinks.

Let all inputs be allowed.  Where the gates are certain they stay so on an open set of inputs, on which the
gradient is affine in x: its span is that of all vectors e = (x, 1), whatever x is, and all v at the outputs.
Across the kinks of one unit of each of the layers 1, ..., k, where all other gates stay as they are, the
alternating sum of the gradients at these e and v is the gradient of the paths through these units alone,

    f = (d . w) s u e,    w = W_{k+1}[:, unit k],   u = (W_1, b_1)[unit 1],   d = adjoint of v in layer k+1,

where s is the product of the jumps of the gates and of the weights between the units.  It has no part in the
biases of layers 2, 3, ..., as their gradients do not depend on gates before them.  For a unit i of layer k
let D be the span of all d - c d' with (d - c d') . w = 0, of crossings of the same units, which end in unit
i.  Then, with n_0 inputs (+ 1 if layer 1 has biases),

    rank >=  sum over i of layer 1 with d . w != 0 of n_0 (+ 1)
           + sum over k, i of dim(D)
           + rank of the adjoints (d_2, ..., d_{L+1}) in layers with biases, over all inputs and v.

*Proof.* Project on the biases of layers 2, ...: the last term, and the sums are of elements of the kernel.
In it, project on W_1 and b_1: from (d . w) s e in the row of each i of layer 1 comes the first.  As s and u
are those of the units, what combines f to d with d . w = 0 vanishes in layers 1, ..., k, and is s (u e) d in
column i of W_{k+1}, where u e is not 0 for some e: layer by layer, the columns are different coordinates,
and the second sum follows.

*All of it.* If all D are all that is orthogonal to w, no w is 0, and the adjoints are as large as they can
be, this is the number of parameters less that of hidden units, which the law of each unit allows: the
network is at its generic rank.
All ranks here are mod a prime, and small; none is more than over Q.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import numpy as np

from conslaw.algebra.finite_field import Residues, RowSpace, from_integers, matmul, small_prime
from conslaw.attained.enclosures import Array
from conslaw.attained.functions import GATES
from conslaw.attained.gradients import RealNetwork
from conslaw.attained.layers import Chain
from conslaw.attained.ranks import of_floats
from conslaw.attained.units import Seen
from conslaw.laws.brackets import random_residues

logger = logging.getLogger(__name__)

FIRST = 256  # inputs at first
ENTRIES = 2**23  # of the inputs of a batch, or of its units
OUTPUTS = 16  # from which on random vectors there are enough
STEPS = 20  # of Newton's method
NEAR = 1e-6  # how far from a kink, in units of what goes into the gates of the layer
SPARE, TURNS, IDLE = 4, 64, 3
DEEPEST = 8  # hidden layers: around a crossing of units of k of them there are 2^k inputs to look at


@dataclass
class Kinks:
    """A search for the rank of a chain, and what it has seen."""

    network: RealNetwork
    chain: Chain
    rng: np.random.Generator
    number: int = 0
    left_out: int = 0
    units: Seen = field(init=False)

    def __post_init__(self) -> None:
        self.units = Seen(self.network.model.readings)
        self.prime = small_prime(self.rng)
        weights, layers = self.network.weights, self.chain.layers
        self.matrices = [x.matrix(weights) for x in layers]
        self.offsets = [0.0 if x.bias is None else weights[x.bias] for x in layers]
        self.modular = [of_floats(W, self.prime) for W in self.matrices]
        self.gates = [x.gate for x in layers if x.gate is not None]
        readings = [self.network.model.readings[i] for i in self.gates]
        self.values = [GATES[r.operation](**r.options).gates() for r in readings]
        self.widths = [len(W) for W in self.matrices]

    @property
    def generic(self) -> int:
        """The generic rank of the fields: a law for each hidden unit, and no more."""
        return self.network.model.size - sum(self.widths[:-1])

    def rank(self) -> int:
        """A proved lower bound."""
        inputs = self.matrices[0].shape[1] + (self.chain.layers[0].bias is not None)
        rank = self._biases()
        for k in range(len(self.gates)):
            ranks, moving = self._at_units(k)
            rank += int(ranks.sum())
            rank += 0 if k else inputs * int(moving.sum())
        return rank

    def _biases(self) -> int:
        """The rank of the adjoints in layers with biases, but the first."""
        layers = [k for k, x in enumerate(self.chain.layers) if k and x.bias is not None]
        width = sum(self.widths[k] for k in layers)
        places = [(k, i) for k in layers for i in range(self.widths[k])]
        space, x, idle = RowSpace.zero(width, self.prime), self._drawn(FIRST), 0
        for _ in range(TURNS):
            patterns, sure = self._patterns(x)
            before = space.rank
            for start in range(0, int(sure.sum()), FIRST):
                part = [x[sure][start : start + FIRST] for x in patterns]
                adjoints = self._adjoints(part)
                rows = [adjoints[k].reshape(-1, self.widths[k]) for k in layers]
                if space.rank < width:
                    space = space.extend(np.concatenate(rows, axis=1))
            idle = 0 if space.rank > before else idle + 1
            if space.rank == width or idle == IDLE:
                break
            more = [self._drawn(FIRST)]  # and units on that were never so
            for k, i in (places[j] for j in space.free if places[j][0] < len(self.gates)):
                more.append(self._moved(self._drawn(2 * SPARE), self._units(np.full(2 * SPARE, i), k), k, k))
            x = np.concatenate(more)
        return space.rank

    def _at_units(self, k: int) -> tuple[Array, Array]:
        """For each unit of a hidden layer the rank of what adjoints in the layer behind it combine to that is
        orthogonal to its weights, at crossings of the same units; and whether some adjoints are not.
        """
        p, width, units = self.prime, self.widths[k + 1], self.widths[k]
        spaces, fixed = [RowSpace.zero(width, p) for _ in range(units)], dict[int, Residues]()
        heavy, moving = np.asarray(self.matrices[k + 1].any(0)), np.zeros(units, bool)
        left, idle, paths = list(range(units)), 0, self._units(np.arange(units), k)
        last = k + 1 == len(self.gates)  # where the adjoints are all vectors
        number = SPARE + (0 if last else -(-width // min(*self.widths[k + 1 :], OUTPUTS)))
        batch = max(1, ENTRIES // (2 ** (k + 1) * (sum(self.widths) + self.matrices[0].shape[1])))
        for turn in range(TURNS):
            before = np.array([s.rank for s in spaces]) + moving
            wanted = np.repeat(left, number)
            for start in range(0, len(wanted), batch):
                words = "kinks of layer %d of %d, turn %d: %d units left"
                logger.info(words, k + 1, len(self.gates), turn + 1, len(left))
                ends = wanted[start : start + batch]
                on = [self.rng.choice(spaces[i].free) for i in ends] if turn and not last else None
                patterns, sure = self._crossed(paths[ends], on)
                adjoints = self._adjoints(patterns, k + 1)[k + 1] if len(sure) else np.zeros(0)
                for unit in np.unique(ends[sure]).tolist():
                    own = adjoints[ends[sure] == unit].reshape(-1, width)
                    rows = np.eye(width, dtype=np.uint64) if last else own
                    if heavy[unit]:
                        rows = self._orthogonal(rows, self.modular[k + 1][:, unit], unit, fixed)
                        moving[unit] |= unit in fixed
                    spaces[unit] = spaces[unit].extend(rows)
            ranks = np.array([s.rank for s in spaces])
            stuck = np.equal(ranks + moving, before)
            paths[stuck] = self._units(np.flatnonzero(stuck), k)
            fixed = {unit: row for unit, row in fixed.items() if not stuck[unit]}
            done = (ranks == width - heavy) & (moving | ~heavy | bool(k))
            left, idle = np.flatnonzero(~done).tolist(), 0 if not stuck.all() else idle + 1
            if not left or idle == IDLE:
                break
            number = max(2 * SPARE, number // 2)
        return ranks, moving

    def _orthogonal(self, rows: Residues, w: Residues, unit: int, fixed: dict[int, Residues]) -> Residues:
        """Adjoints less multiples of one at crossings of the same units: of the first that is not orthogonal
        to w, which is kept in ``fixed``; none before.
        """
        p = self.prime
        products = matmul(rows, w[:, None], p)[:, 0]
        if unit not in fixed:
            if not products.any():
                return rows[:0]
            first = int(np.argmax(products != 0))
            fixed[unit] = rows[first] * np.uint64(pow(int(products[first]), -1, p)) % np.uint64(p)
        multiples = products[:, None] * fixed[unit] % np.uint64(p)
        return (rows + (np.uint64(p) - multiples)) % np.uint64(p)

    def _adjoints(self, patterns: list[Array], first: int = 1) -> dict[int, Residues]:
        """The adjoints (inputs, outputs, units) of the outputs, or of some vectors there, in the layers from
        one on.
        """
        p, number, last = self.prime, len(patterns[0]), len(self.widths) - 1
        outputs, some = self.widths[-1], min(self.widths[-1], OUTPUTS)
        vectors = np.eye(outputs, dtype=np.uint64)
        if some < outputs:
            vectors = random_residues((number, some, outputs), self.rng, p)
        made = {last: np.broadcast_to(vectors, (number, some, outputs))}
        for k in reversed(range(first, len(self.widths) - 1)):
            behind = made[k + 1].reshape(-1, self.widths[k + 1])
            back = matmul(behind, self.modular[k + 1], p).reshape(number, some, self.widths[k])
            table = from_integers(np.array(self.values[k], dtype=object), p)
            made[k] = back * table[patterns[k]][:, None] % np.uint64(p)
        return made

    def _drawn(self, size: int) -> Array:
        return self.rng.standard_normal((size, self.matrices[0].shape[1]))

    def _patterns(self, x: Array) -> tuple[list[Array], Array]:
        """The pieces of each layer (inputs, units), and at which inputs all are certain."""
        shape = self.network.model.data[self.chain.source]
        found, sure = self.network.patterns({self.chain.source: x.reshape(-1, *shape)}, len(x))
        self.number += len(x)
        self.left_out += int((~sure).sum())
        self.units.add([None if y is None else y[sure] for y in found], self.rng)
        made = [np.array(y.reshape(len(x), -1)) for y in (found[i] for i in self.gates) if y is not None]
        return made, sure

    def _crossed(self, units: Array, on: list[int] | None = None) -> tuple[list[Array], Array]:
        """Pieces (crossings, units) at inputs around kinks of units (crossings, layers) at once, where units
        ``on`` of the next layer are so, if that can be: of those for which it is certain that there is one,
        and that no other gate changes; and which these are.
        """
        k = units.shape[1] - 1
        wanted = units if on is None else np.concatenate([units, np.array(on)[:, None]], axis=1)
        x = self._moved(self._drawn(len(units)), wanted, 0, k + 1)
        between = [self.matrices[t + 1][units[:, t + 1], units[:, t]] for t in range(k)]
        left, first = np.flatnonzero(np.all([np.ones(len(units)), *between], axis=0)), list[Array]()
        for sides in product((0, 1), repeat=k + 1):
            if not len(left):
                break
            own, rows = units[left], np.arange(len(left))
            _, slopes, scales = self._heights(x[left], own, sides)
            aims = (2 * np.array(sides) - 1) * NEAR * scales
            made, sure = self._patterns(x[left] + _least(slopes, aims))
            for t, side in enumerate(sides):
                sure &= made[t][rows, own[:, t]] == side
                made[t][rows, own[:, t]] = 0
            for known, found in zip(first or made, made, strict=True):
                sure &= (known == found).all(1)
            left, first = left[sure], [y[sure] for y in first or made]
        return first, left

    def _units(self, ends: Array, k: int) -> Array:
        """Some of layer k, and any of each layer before."""
        return np.stack([*(self.rng.integers(0, self.widths[t], len(ends)) for t in range(k)), ends], axis=1)

    def _moved(self, x: Array, units: Array, first: int, on: int) -> Array:
        """Move inputs to kinks of the units of layers from ``first`` on, and from ``on`` on into where the
        units are on: as far as Newton's method comes.
        """
        left = np.arange(len(x))
        for _ in range(STEPS if units.shape[1] > 1 else 1):  # what goes into the first layer is affine
            heights, slopes, scales = self._heights(x[left], units[left])
            heights[:, on:] -= scales[:, on:] / 8
            x[left] -= _least(slopes[:, first:], heights[:, first:])
            left = left[(abs(heights) > NEAR / 8 * scales)[:, first:].any(1)]
        return x

    def _heights(
        self, x: Array, units: Array, sides: tuple[int, ...] | None = None
    ) -> tuple[Array, Array, Array]:
        """What goes into the gates of a unit of each layer (inputs, layers), its slopes in x, and the size of
        what goes into its layer; the gates of these units are on some side, if one is given.
        """
        rows, gates = np.arange(len(x)), list[Array]()
        heights, slopes, scales, h = list[Array](), list[Array](), list[Array](), x
        for t in range(units.shape[1]):
            z = h @ self.matrices[t].T + self.offsets[t]
            slope = self.matrices[t][units[:, t]]
            for s in reversed(range(t)):
                slope = (slope * gates[s]) @ self.matrices[s]
            heights.append(z[rows, units[:, t]])
            slopes.append(slope)
            scales.append(np.sqrt((z * z).mean(1)))
            piece = (z > 0).astype(int)
            if sides is not None:
                piece[rows, units[:, t]] = sides[t]
            gates.append(np.array(self.values[t], dtype=float)[piece])
            h = z * gates[-1]
        return np.stack(heights, axis=1), np.stack(slopes, axis=1), np.stack(scales, axis=1)


def _least(slopes: Array, heights: Array) -> Array:
    """The shortest steps with these slopes (batch, k, inputs) to these heights; nowhere if there is none."""
    gram: Any = slopes @ slopes.transpose(0, 2, 1)
    gram = np.where(np.isfinite(gram).all((1, 2), keepdims=True), gram, 0.0)
    solved = np.linalg.pinv(gram, hermitian=True) @ np.where(np.isfinite(heights), heights, 0.0)[..., None]
    return np.asarray((slopes.transpose(0, 2, 1) @ solved)[..., 0])

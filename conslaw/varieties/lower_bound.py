"""Lower bounds for the dimension of a neurovariety: exact ranks mod p at special points.

A small network's Jacobian is taken as a whole.  For a large one there is a recursion over the widths: each
rule is a special point where the Jacobian falls into blocks (Statement and Proof in
``docs/neurovarieties.md``), whose ranks are small or of networks that are smaller.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from math import prod

import numpy as np

from conslaw.algebra.finite_field import rank
from conslaw.varieties import graded_forms
from conslaw.varieties.architecture import Architecture
from conslaw.varieties.network_ranks import dense, run
from conslaw.varieties.steps import Step, Widths
from conslaw.varieties.upper_bound import span_bounds, upper_bound

DENSE = 640  # parameters up to which the Jacobian is taken as a whole
LARGEST = 4000  # the same, where no other rule settles it
MOST_COLOURINGS = 3  # of those that cannot reach the upper bound
MOST_NEURONS = 12  # of the narrowest layer in a class of a colouring
WIDEST = 1500  # layers of a class whose spans are ranks
LARGEST_PASS = 10**6  # weights of one layer of a class
LARGEST_BLOCK = 2500  # columns of a block that is taken as a whole
Part = tuple[
    int, Widths, int, list[int], list[int]
]  # how many, widths, dimension, spans of units, derivatives


@dataclass(frozen=True)
class Colouring:
    """Neurons in classes, weights between classes 0; if outputs are shared each class has all of them.
    ``hope`` is what it proves if the dimensions of its classes are their upper bounds.
    """

    colours: int
    shared: bool
    hope: int
    parts: tuple[Part, ...]


@dataclass
class LowerBounds:
    """The best lower bounds found so far, without biases; weights and points follow from a key."""

    key: str
    p: int
    known: dict[tuple[Widths, Widths], Step] = field(default_factory=dict)
    level: int = 0  # of classes in classes: what takes long is tried for the whole network only

    def of(self, network: Architecture) -> Step:
        """The best lower bound that the rules give, for any network."""
        if not network.bias or network.depth == 1:
            return self.best(network.widths, network.powers)
        d, r = network.widths, network.powers
        if network.parameters <= DENSE:
            return self._rank(network)
        part = self.best((d[0] + 1, *d[1:]), r)  # biases of the first layer are weights from an input
        found = [self._biases(network), Step("one more input", d, r, part.bound, parts=(part,))]
        if network.parameters <= LARGEST and max(s.bound for s in found) < upper_bound(network).bound:
            found.append(self._rank(network))
        return max(found, key=lambda step: step.bound)

    def best(self, d: Widths, r: Widths) -> Step:
        """The first bound that meets the upper bound, else the best."""
        if (d, r) not in self.known:
            most = upper_bound(Architecture(d, r)).bound
            best = Step("nothing", d, r, 0)
            self.known[d, r] = best
            for step in self._tried(d, r, most):
                if step.bound > best.bound:
                    self.known[d, r] = best = step
                if best.bound >= most:
                    break
        return self.known[d, r]

    def _tried(self, d: Widths, r: Widths, most: int) -> Iterator[Step]:
        network, last = Architecture(d, r), len(d) - 1
        if network.parameters <= DENSE or last == 1:
            yield self._linear(network) if last == 1 else self._rank(network)
            return
        colourings = list[Colouring]()
        for colouring in self._colourings(d, r):
            if colouring.hope >= most:
                yield self._coloured(d, r, colouring)
            colourings.append(colouring)
        for k in range(1, last):
            if d[k] <= min(*d[:k], WIDEST):
                yield self._bottleneck(d, r, k)
        if (m := span_bounds(d, r)[-1]) < d[-1]:
            yield self._outputs(d, r, m)
        smaller = narrowed(d, r, most)
        if smaller != d:
            part = self.best(smaller, r)
            yield Step("subnetwork", d, r, part.bound, parts=(part,))
        if most * network.parameters <= LARGEST**2 / 4:
            yield self._rank(network)
        if self.level == 0:
            yield from self._dealt(d, r)
            yield from self._forms(d, r)
            if most * network.parameters <= LARGEST**2:
                yield self._rank(network)
        colourings.sort(key=lambda one: one.hope, reverse=True)
        for colouring in colourings[:MOST_COLOURINGS]:
            if self.known[d, r].bound < colouring.hope < most:
                yield self._coloured(d, r, colouring)
        narrowest = min(d[:-1])
        for most_units in (min(d[-3:-1]), narrowest):  # where classes are not independent
            cut = (*d[:-2], min(d[-2], most_units), d[-1])
            if most_units == narrowest:
                cut = (d[0], *(min(n, narrowest) for n in d[1:-1]), d[-1])
            if cut != d and upper_bound(Architecture(cut, r)).bound > self.known[d, r].bound:
                part = self.best(cut, r)
                yield Step("subnetwork", d, r, part.bound, parts=(part,))

    def _key(self, rule: str, d: Widths) -> str:
        return f"{self.key}/{rule}/{'-'.join(map(str, d))}"

    def _linear(self, network: Architecture) -> Step:
        """A matrix: every linear map."""
        return Step("coefficients", network.widths, network.powers, network.ambient)

    def _rank(self, network: Architecture) -> Step:
        """The rank of the gradients at as many points as the dimension can be."""
        key = self._key("rank", network.widths)
        found = dense(network, upper_bound(network).bound, key, self.p)
        return Step("rank", network.widths, network.powers, found)

    def _biases(self, network: Architecture) -> Step:
        """At biases 0 their columns have degrees of their own: they add the spans of the derivatives."""
        d, r = network.widths, network.powers
        part = self.best(d, r)
        cut = _capped(d)
        here = run(Architecture(cut, r), max(cut), self._key("biases", cut), self.p)
        spans = [rank(here.derivatives[layer][: cut[layer]], self.p) for layer in range(1, network.depth)]
        return Step("biases", d, r, part.bound + sum(spans), numbers=tuple(spans), parts=(part,))

    # colours

    def _colourings(self, d: Widths, r: Widths) -> Iterator[Colouring]:
        """Neurons in classes, weights between classes 0: first those of one neuron of the narrowest layer."""
        narrowest = min(d[:-1])
        for q in dict.fromkeys(narrowest // size for size in range(1, min(narrowest, MOST_NEURONS) + 1)):
            for shared in (False, True):
                if q > 1 and (shared or q <= d[-1]):
                    yield self._colouring(d, r, q, shared)

    def _colouring(self, d: Widths, r: Widths, q: int, shared: bool) -> Colouring:
        """A colouring with the spans of its classes, and their upper bounds for their dimensions."""
        parts = list[Part]()
        for count, widths in classes(d, q, shared):
            if max(widths[:-1]) > WIDEST or prod(sorted(widths)[-2:]) > LARGEST_PASS:
                return Colouring(q, shared, 0, ())
            last = len(widths) - 1
            most = upper_bound(Architecture(widths, r)).bound
            apart = not shared or r[-1] > 2
            if not apart and span_bounds(widths, r)[last - 2] < widths[-2]:
                return Colouring(q, shared, 0, ())
            here = run(Architecture(widths, r), max(widths[:-1]), self._key("spans", widths), self.p)
            eta = [rank(here.units[layer][: widths[layer]], self.p) for layer in range(last)]
            rho = [0, *(rank(here.derivatives[k][: widths[k]], self.p) for k in range(1, last)), widths[-1]]
            if not apart and rank(here.before[last - 1][: widths[-2]], self.p) < widths[-2]:
                return Colouring(q, shared, 0, ())
            parts.append((count, widths, most, eta, rho))
        return Colouring(q, shared, coloured(d, r, shared, parts), tuple(parts))

    def _coloured(self, d: Widths, r: Widths, colouring: Colouring) -> Step:
        """What a colouring proves: the lower bounds of its classes instead of the upper ones."""
        if not colouring.parts:
            return Step("nothing", d, r, 0)
        self.level += 1
        steps = [self.best(widths, r) for _, widths, *_ in colouring.parts]
        self.level -= 1
        parts = [
            (count, widths, step.bound, eta, rho)
            for (count, widths, _, eta, rho), step in zip(colouring.parts, steps, strict=True)
        ]
        shared = colouring.shared
        rule = "colours with shared outputs" if shared else "colours"
        bound = coloured(d, r, shared, parts)
        return Step(rule, d, r, bound, units=colouring.colours, parts=tuple(steps))

    # other special points

    def _bottleneck(self, d: Widths, r: Widths, k: int) -> Step:
        """Each unit of layer k has a class of its own before it: d_k forms in variables of their own."""
        head = (d[: k + 1], r[: k - 1])
        before = (
            self._linear(Architecture(*head))
            if k == 1
            else self._coloured(*head, self._colouring(*head, d[k], False))
        )
        after = self.best(d[k:], r[k:])
        tail = Architecture((d[k], *_capped(d[k + 1 :])), r[k:])
        here = run(tail, d[k], self._key("inputs", tail.widths), self.p)
        if not before.bound or rank(here.derivatives[0], self.p) < d[k]:
            return Step("nothing", d, r, 0)
        bound = before.bound + after.bound - d[k]
        return Step("bottleneck", d, r, bound, layer=k, parts=(before, after))

    def _outputs(self, d: Widths, r: Widths, m: int) -> Step:
        """Outputs beyond m are any combinations of the last hidden units."""
        part = self.best((*d[:-1], m), r)
        span = self._span(d, r)
        return Step("outputs", d, r, part.bound + (d[-1] - m) * span, units=m, numbers=(span,), parts=(part,))

    def _span(self, d: Widths, r: Widths) -> int:
        """The dimension spanned by the last hidden units, by a rank."""
        cut = _capped(d[:-1])
        network = Architecture((*cut, 1), r)
        here = run(network, cut[-1], self._key("units", network.widths), self.p)
        return rank(here.units[-2], self.p)

    def _dealt(self, d: Widths, r: Widths) -> Iterator[Step]:
        """The last hidden units are dealt to groups of c outputs each: as many as a block has room for."""
        sizes = [
            c
            for c in range(1, min(d[-1], LARGEST_BLOCK) + 1)
            if c * d[-2] + -(-d[-2] // -(-d[-1] // c)) * d[-3] <= LARGEST_BLOCK
        ]
        if sizes and max(d[:-1]) <= LARGEST_BLOCK:
            yield self.dealt(d, r, sizes[-1])

    def dealt(self, d: Widths, r: Widths, c: int) -> Step:
        """The bound for groups of c outputs."""
        total = 0
        for i, (count, outputs, units) in enumerate(groups_of(d[-1], d[-2], c)):
            own = self._group(d, r, outputs, units, whole=False)
            total += count * own
            if i == 0 and len(d) > 3 and sum(d[j] * d[j + 1] for j in range(len(d) - 3)) <= LARGEST_BLOCK:
                total += self._group(d, r, outputs, units, whole=True) - own
        return Step("outputs dealt", d, r, total, units=c)

    def _group(self, d: Widths, r: Widths, outputs: int, units: int, whole: bool) -> int:
        """The rank of the gradients of these outputs, which so many hidden units feed: by all weights of the
        outputs, by those into their own units, and by those of lower layers.
        """
        network = Architecture((*d[:-1], outputs), r)
        last = network.depth
        lower = sum(d[j] * d[j + 1] for j in range(last - 2)) if whole else 0
        columns = outputs * d[-2] + units * d[-3] + lower
        points = min(columns, network.ambient)
        here = run(network, points, self._key(f"dealt {units}", network.widths), self.p, feeding=units)
        blocks = [here.by_weights(last), here.by_weights(last - 1, slice(units))]
        blocks += [here.by_weights(layer) for layer in range(1, last - 1)] if whole else []
        return rank(np.concatenate(blocks, axis=1), self.p)

    def _forms(self, d: Widths, r: Widths) -> Iterator[Step]:
        """The units of the last hidden layer are any forms, if the network before it is filling."""
        k = len(d) - 2
        before = Architecture(d[: k + 1], r[: k - 1])
        if graded_forms.too_large(prod(r), d[-1]) or upper_bound(before).bound < before.ambient:
            return
        part = self.best(d[: k + 1], r[: k - 1])
        if part.bound < before.ambient:
            return
        found = graded_forms.best(d[0], prod(r[: k - 1]), r[-1], d[k], d[-1], self._key("forms", d), self.p)
        if found:
            groups, counts, bound = found
            yield Step("forms", d, r, bound, layer=k, units=groups, numbers=counts, parts=(part,))


def coloured(d: Widths, r: Widths, shared: bool, parts: Sequence[Part]) -> int:
    """Sum over the classes A of dim V(A), and over pairs A != B and layers l of the span of A's derivatives
    by what enters layer l times the span of B's units in the layer below.

    Proof: scale the inputs (and outputs) of each class by a number of its own.  The columns of the Jacobian
    at this point have weights then, and those of W_l between B and A have one of their own: x_B to the degree
    of B's units, x_A to the rest (and v_A).  Where outputs are shared, the weights of (A, B, l) and (B, A, l)
    agree if the last power is 2 and l = L - 1: the two spaces meet in nothing if no two columns of W_L are
    collinear, in one dimension for each pair of units if there is one output.
    """
    last = len(d) - 1
    top = last - 1 if shared else last
    total, spans, derivatives, squares = 0, [0] * last, [0] * (last + 1), 0
    for count, part, within, eta, rho in parts:
        total += count * (within - sum(rho[layer] * eta[layer - 1] for layer in range(1, top + 1)))
        squares += count * part[last - 1] ** 2
        for layer in range(1, top + 1):
            derivatives[layer] += count * rho[layer]
            spans[layer - 1] += count * eta[layer - 1]
    total += sum(derivatives[layer] * spans[layer - 1] for layer in range(1, top + 1))
    if shared and r[-1] == 2 and d[-1] == 1:
        total -= (d[-2] ** 2 - squares) // 2
    return total


def classes(d: Widths, q: int, shared: bool) -> list[tuple[int, Widths]]:
    """How many classes have which widths, if each layer is dealt out evenly to q classes."""
    dealt: dict[Widths, int] = {}
    marks = sorted({0, q, *(n % q for n in (d[:-1] if shared else d))})
    for start, end in itertools.pairwise(marks):
        part = [n // q + (start < n % q) for n in d]
        widths = (*part[:-1], d[-1]) if shared else tuple(part)
        dealt[widths] = dealt.get(widths, 0) + end - start
    return [(count, widths) for widths, count in dealt.items()]


def _capped(d: Widths) -> Widths:
    """A subnetwork whose spans are ranks."""
    return tuple(min(n, WIDEST) for n in d)


def groups_of(outputs: int, units: int, c: int) -> list[tuple[int, int, int]]:
    """How many groups of at most c outputs have how many outputs and how many units, dealt out evenly."""
    number = -(-outputs // c)
    size, more = divmod(units, number)
    found = [(more, c, size + 1), (number - 1 - more, c, size), (1, outputs - (number - 1) * c, size)]
    return [(count, own, some) for count, own, some in found if count]


def narrowed(d: Widths, r: Widths, most: int) -> Widths:
    """Hidden layers as narrow as the upper bound allows without falling."""
    for k in sorted(range(1, len(d) - 1), key=lambda i: -d[i]):
        low, high = 1, d[k]
        while low < high:
            middle = (low + high) // 2
            cut = (*d[:k], middle, *d[k + 1 :])
            low, high = (
                (low, middle) if upper_bound(Architecture(cut, r)).bound >= most else (middle + 1, high)
            )
        d = (*d[:k], low, *d[k + 1 :])
    return d

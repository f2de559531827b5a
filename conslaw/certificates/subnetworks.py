"""A network in colours, as a certificate says, and the small networks of some colours that are written out
for the kernel.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from functools import reduce
from hashlib import shake_256
from itertools import combinations, combinations_with_replacement
from math import comb, prod
from operator import add
from typing import Any

import numpy as np

from conslaw.algebra.expressions import input_array
from conslaw.algebra.uniform_axes import RIGID
from conslaw.certificates import kernel
from conslaw.certificates.budget import NotChecked
from conslaw.certificates.kernel import Array, Refuted, Shape
from conslaw.certificates.reading import prime
from conslaw.certificates.subject import Subject, kernel_flow
from conslaw.laws.index_classes import IndexClasses, velocities
from conslaw.models.potential import Model

MOST_SHAPES = 500  # shapes of subnetworks
LARGEST = 50_000  # coordinates of a subnetwork that is written out
Widths = tuple[int, ...]  # of a colour: its number of neurons of each class


@dataclass(frozen=True)
class Small:
    """The network of some colours, for the kernel: what each coordinate of state and data has to do with each
    colour.
    """

    flow: kernel.Flow
    point: Mapping[str, Array]
    colours: Mapping[str, Array]  # (entries, colours) for each array: whether the colour is in the indices
    flips: Mapping[str, Array]  # the same: whether flipping the signs of its neurons flips the entry

    def of_state(self, marks: Mapping[str, Array]) -> Array:
        """The marks of all coordinates of the state."""
        return np.concatenate([marks[name] for name in self.flow.state])

    def exact(self, count: int) -> Array:
        """Which coordinates of the state have indices of all of the first so many colours, and no others."""
        seen = self.of_state(self.colours)
        return (seen == (np.arange(seen.shape[1]) < count)).all(axis=1)

    def off(self, count: int) -> dict[str, Array]:
        """For each array the entries with no index of another colour than the first so many."""
        return {
            n: ~self.colours[n][:, count:].any(axis=1).reshape(s)
            for n, s in {**self.flow.state, **self.flow.data}.items()
        }


def by_colours(blocks: Sequence[Mapping[str, Any]]) -> dict[tuple[Widths, ...], Mapping[str, Any]]:
    """What a certificate says of the subnetworks of each shape."""
    found = {tuple(map(tuple, block["colours"])): block for block in blocks}
    if len(found) < len(blocks):
        raise Refuted("subnetworks of one shape stand twice")
    return found


class Network:
    """A network in colours, as the certificate says, from which small ones are written out."""

    def __init__(self, subject: Subject, split: Mapping[str, Any]) -> None:
        subject = subject.with_zero_data(split.get("data"))
        if "dark" in split:
            subject = subject.without_dark_entries(split["dark"]["left"])
        if subject.flow is None or subject.flow.model is None:
            raise Refuted("only flows of models in a metric of words are split")
        self.subject, self.flow, self.model = subject, subject.flow, subject.flow.model
        self.prime, self.seed = prime(split["prime"]), split["seed"]
        every = IndexClasses.of(self.flow)
        axes = [
            (n, i, c)
            for n, a in [*every.state.items(), *every.data.items()]
            for i, c in enumerate(a)
            if c != RIGID
        ]
        members = [[[n, i] for n, i, k in axes if k == c] for c in every.lengths]
        if len({str(group) for group in split["classes"]}) < len(split["classes"]) or any(
            g not in members for g in split["classes"]
        ):
            raise Refuted("the classes of the certificate are not those of the array code")
        order = [list(every.lengths)[members.index(group)] for group in split["classes"]]
        if order != [c for c in every.lengths if c in order]:
            raise Refuted("the classes are not in the order of the array code")
        self.classes = every.without(set(every.lengths) - set(order), split["zero"])
        self.same = dict(split.get("same", {}))
        self.order, self.signs = order, {name: list(turn) for name, turn in split["sign_flips"].items()}
        self.moving = {dot: name for name, dot in velocities(self.flow).items()}
        known = {**{n: self.classes.state[n] for n in self.model.parameters}, **self.classes.data}
        if any(
            name not in known or len(turn) != len(known[name]) or set(turn) - {0, 1}
            for name, turn in self.signs.items()
        ):
            raise Refuted("the sign flips are not 0 or 1 for each axis of arrays of the model")
        self.colouring = Counter({tuple(widths): count for widths, count in split["colours"]})
        if len(self.colouring) < len(split["colours"]) or any(
            len(w) != len(order) or not any(w) for w in self.colouring
        ):
            raise Refuted("the colours have not one width for each class, each kind once")
        self.check_shapes()
        for k, c in enumerate(order):
            if sum(w[k] * count for w, count in self.colouring.items()) != self.classes.lengths[c]:
                raise Refuted(
                    f"the colours do not add up to the {self.classes.lengths[c]} neurons of class {k}"
                )

    def of_arrays(self, names: Collection[str]) -> Network:
        """Some arrays alone: a network of nothing else."""
        result, moved = copy(self), {self.moving.get(name, name) for name in names}
        parameters = {n: s for n, s in self.model.parameters.items() if n in moved}
        arrays = [input_array(n, s) for n, s in parameters.items()]
        whole = reduce(add, (x.sum() if x.ndim else x for x in arrays))
        result.model = Model("arrays", parameters, {}, whole)
        state = {
            n: s
            for n, s in self.flow.state.items()
            if self.moving.get(n, n) in moved or n not in {*self.model.parameters, *self.moving}
        }
        result.flow = replace(self.flow, model=result.model, state=state, data={}, fields=({},))
        axes, zero = {n: self.classes.state[n] for n in state}, self.classes.zero & set(state)
        result.classes = replace(self.classes, flow=result.flow, state=axes, data={}, zero=zero)
        return result

    def check_shapes(self) -> None:
        """Refuse colours of which there are none, or more kinds than can be gone through."""
        most = max((sum(c != RIGID for c in axes) for axes in self.classes.state.values()), default=0)
        if not self.colouring or not self.order or not most:
            raise Refuted("nothing is coloured")
        if comb(len(self.colouring) + most - 1, most) > MOST_SHAPES:
            raise NotChecked(f"{len(self.colouring)} kinds of colours on arrays of {most} axes")

    def shapes(self) -> Iterator[tuple[tuple[Widths, ...], int]]:
        """The shapes of subnetworks and how many there are."""
        most = max((sum(c != RIGID for c in axes) for axes in self.classes.state.values()), default=0)
        for size in range(1, most + 1):
            for colours in combinations_with_replacement(sorted(self.colouring, reverse=True), size):
                if copies := prod(comb(self.colouring[w], k) for w, k in Counter(colours).items()):
                    yield colours, copies

    def called(self, names: Sequence[str]) -> dict[str, str]:
        """For each array one that has the same values, or itself where two of these would be one."""
        known = {n: self.same.get(n, n) for n in names}
        return known if len({*known.values()}) == len(names) else {n: f"{n} itself" for n in names}

    def alike(self, names: Sequence[str], colours: Sequence[Widths]) -> Any:
        """What arrays have in common that are equal at the point: values, shapes, colours of their axes."""
        shapes, place = self.flow.state, {c: k for k, c in enumerate(self.order)}
        found, called = list[Any](), self.called(names)
        for n in names:
            axes = zip(shapes[n], self.classes.state[n], strict=True)
            lengths = [m if c == RIGID else [w[place[c]] for w in colours] for m, c in axes]
            turn = self.signs.get(self.moving.get(n, n))
            found.append((called[n], n in self.classes.zero, turn, lengths))
        return found

    def exact(self, colours: Sequence[Widths]) -> int:
        """The number of coordinates with all of some colours in their indices."""
        total = 0
        for k in range(len(colours) + 1):
            for some in combinations(colours, k):
                lengths = {c: sum(w[i] for w in some) for i, c in enumerate(self.order)}
                total += (-1) ** (len(colours) - k) * self.classes.dimension(lengths)
        return total

    def others(self, colours: Sequence[Widths]) -> list[Widths]:
        """One more colour of each kind, as long as there are some."""
        return [w for w in self.colouring if self.colouring[w] > colours.count(w)]

    def helpers(self, colours: Sequence[Widths]) -> list[Widths]:
        """Those of them that may help (*symmetry and helpers*)."""
        return [w for w in self.others(colours) if len(colours) > 1 or w > colours[0]]

    def of_each_index(self, colours: Sequence[Widths]) -> dict[int, Array]:
        """The colour of each index of each class."""
        return {
            c: np.repeat(np.arange(len(colours)), [w[k] for w in colours]) for k, c in enumerate(self.order)
        }

    def small(self, colours: Sequence[Widths]) -> Small:
        """The network of some colours."""
        lengths = {c: sum(w[k] for w in colours) for k, c in enumerate(self.order)}
        if self.classes.dimension(lengths) > LARGEST:
            raise NotChecked(f"a subnetwork of {self.classes.dimension(lengths):,} coordinates")
        made = self.classes.smaller_flow(lengths)
        [potential] = self.classes.resized([self.model.potential], lengths)
        parameters = {name: made.state[name] for name in self.model.parameters}
        flow = kernel_flow(potential, parameters, made.data, self.subject.section)
        of, seen, flips = self.of_each_index(colours), dict[str, Array](), dict[str, Array]()
        for name, axes in [*self.classes.state.items(), *self.classes.data.items()]:
            shape = {**made.state, **made.data}[name]
            turn = self.signs.get(self.moving.get(name, name), [0] * len(shape))
            here = [np.eye(len(colours), dtype=np.intp)[of[c]] for c in axes if c != RIGID]
            index = np.indices(shape).reshape(len(shape), prod(shape))[
                [i for i, c in enumerate(axes) if c != RIGID]
            ]
            each = np.array([x[i] for x, i in zip(here, index, strict=True)]).reshape(
                len(here), prod(shape), len(colours)
            )
            odd = np.array([t for t, c in zip(turn, axes, strict=True) if c != RIGID], dtype=np.intp).reshape(
                -1, 1, 1
            )
            seen[name], flips[name] = each.sum(axis=0) > 0, (each * odd).sum(axis=0) % 2 == 1
        point = {
            name: self.values(name, s, colours, seen[name], flips[name]) for name, s in flow.state.items()
        }
        return Small(flow, point, seen, flips)

    def values(self, name: str, shape: Shape, colours: Sequence[Widths], seen: Array, flips: Array) -> Array:
        """The values of an array at the point: a slice for each colour, zero for several colours, what
        changes sign, what shall vanish.
        """
        result, axes = np.zeros(prod(shape), dtype=np.uint64), self.classes.state[name]
        for number, widths in enumerate(colours) if any(c != RIGID for c in axes) else [(0, ())]:
            of = dict(zip(self.order, widths, strict=False))
            own = [of.get(c, n) for c, n in zip(axes, shape, strict=True)]
            alone = (seen.sum(axis=1) == 1) & seen[:, number] if widths else np.ones(len(result), dtype=bool)
            known = self.same.get(name, name)
            key = f"conslaw point {self.seed} {self.prime} {known} {','.join(map(str, widths))}"
            words = np.frombuffer(shake_256(key.encode()).digest(8 * prod(own)), dtype="<u8")
            result[alone] = words % np.uint64(self.prime)
        result[flips.any(axis=1)] = 0
        return (result * (name not in self.classes.zero)).reshape(1, 1, *shape)


class Characters:
    """Numbers that say with which colours' sign flips an entry changes its sign: a bit for each colour; -1
    for zero.
    """

    def constant(self, values: Array) -> Array:
        return np.where([v == 0 for v in values.reshape(-1)], -1, 0).reshape(values.shape)

    def add(self, x: Array, y: Array) -> Array:
        return self.sum(np.stack([x, y]), (0,))

    def product(self, x: Array, y: Array, a: str, b: str, out: str) -> Array:
        every = out + "".join(c for c in a if c not in out)
        sizes = dict(zip(a + b, x.shape + y.shape, strict=True))
        wide = []
        for z, letters in ((x, a), (y, b)):
            ordered = z.transpose([letters.index(c) for c in every if c in letters])
            wide.append(ordered.reshape([sizes[c] if c in letters else 1 for c in every]))
        return self.sum(
            np.where((wide[0] < 0) | (wide[1] < 0), -1, wide[0] ^ wide[1]), tuple(range(len(out), len(every)))
        )

    def sum(self, x: Array, axes: Shape) -> Array:
        if not axes:
            return x
        most = x.max(axis=axes)
        if (
            np.where(x < 0, np.expand_dims(most, axes), x).min(axis=axes, initial=2**60).tolist()
            != most.tolist()
        ):
            raise Refuted("flipping signs as the certificate says changes the potential")
        return most

    def take(self, x: Array, indices: Array) -> Array:
        return x.reshape(-1)[indices]

    def put(self, x: Array, indices: Array, shape: Shape) -> Array:
        result = np.full(prod(shape), -1)
        for place, value in zip(indices.reshape(-1), x.reshape(-1), strict=True):
            result[place] = self.sum(np.array([result[place], value]), (0,))
        return result.reshape(shape)

    def reshape(self, x: Array, shape: Shape) -> Array:
        return x.reshape(shape)

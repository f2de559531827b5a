"""The network of some colours at the one point of a splitting: its ranks in its own coordinates."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, replace
from math import log, prod
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from conslaw.algebra.evaluation import evaluate, topological_order
from conslaw.algebra.expressions import Shape
from conslaw.algebra.finite_field import Residues, RowSpace, drawn, rank
from conslaw.algebra.jets import Jets
from conslaw.algebra.uniform_axes import RIGID, Axes, resized_shape
from conslaw.flows.flow import TIME, Flow
from conslaw.laws.brackets import State, trace_samples
from conslaw.laws.candidates import Combination, arrays_of
from conslaw.laws.index_classes import IndexClasses, velocities
from conslaw.laws.lie import prolonged, ranks_by_depth
from conslaw.laws.matrix_notation import derivatives_along

DEPTH = 8  # brackets of more fields than this are not tried in a subnetwork
SHALLOW, MOST_STEPS = 4, 4e5  # nor more than this many if their code, 3 times as long a depth, gets longer
PATIENCE = 2  # depths in a row that add nothing: at a special point a rank may stand still and grow later
LARGEST = 4000  # coordinates of a subnetwork up to which its rank is computed
SILENT = 4  # depths that may pass before anything is found

Widths: TypeAlias = tuple[int, ...]  # the number of neurons of each class
Marks: TypeAlias = tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]


@dataclass(frozen=True, eq=False)
class Subnetwork:
    """The flow of some colours, at a point that sign flips of each colour leave alone.

    The first colours make up the set T, the others help.  ``exact`` marks the coordinates with all of T and
    nothing else in their indices, ``odd`` those whose sign changes with each colour of T and no other,
    ``even`` those whose sign never changes; ``number`` counts the colours in the indices.
    """

    flow: Flow
    point: State
    exact: npt.NDArray[np.bool_]
    odd: npt.NDArray[np.bool_]
    even: npt.NDArray[np.bool_]
    number: npt.NDArray[np.intp]

    def of(self, names: Sequence[str]) -> Subnetwork:
        """The coordinates of some arrays alone."""
        here, state = marked(self.flow, names), {n: s for n, s in self.flow.state.items() if n in names}
        exact, odd, even = (x[here] for x in (self.exact, self.odd, self.even))
        point = {n: self.point[n] for n in state}
        return Subnetwork(replace(self.flow, state=state), point, exact, odd, even, self.number[here])

    def usable(self, alone: bool) -> npt.NDArray[np.bool_]:
        """The exact coordinates in which a projection of the trace by sign flips lies in the trace, if
        helpers take part.
        """
        odd = self.odd if not (self.odd & ~self.exact).any() else np.zeros_like(self.odd)
        even = self.even if alone and not (self.even & (self.number > 1)).any() else np.zeros_like(self.even)
        return self.exact & (odd | even)


@dataclass(frozen=True)
class Beside:
    """Elements of the trace of one subnetwork that move no coloured coordinate.

    Attributes
    ----------
    colours : the widths of each colour of the subnetwork
    ranks : of its trace in all coordinates but time, depth by depth
    rank : the last of them minus the rank of the same elements in the coloured coordinates
    """

    colours: tuple[Widths, ...]
    ranks: tuple[int, ...]
    rank: int


def marked(flow: Flow, names: Container[str]) -> npt.NDArray[np.bool_]:
    """Which coordinates of a state are those of some arrays."""
    return np.concatenate([np.full(prod(shape), name in names) for name, shape in flow.state.items()])


def _seen(
    axes: Axes, shape: Shape, of: Mapping[int, npt.NDArray[np.intp]], count: int, turn: Sequence[int]
) -> Marks:
    """For each colour and entry of an array: whether the colour is in the entry's indices; whether flipping
    it flips the entry.
    """
    seen, change = (np.zeros((count, *shape), dtype=bool) for _ in range(2))
    for axis, c in enumerate(axes):
        if c != RIGID:
            line = of[c].reshape([-1 if i == axis else 1 for i in range(len(shape))])
            here = line == np.arange(count).reshape(-1, *[1] * len(shape))
            seen, change = seen | here, change ^ here if turn[axis] else change
    return seen, change


def _flipped(classes: IndexClasses) -> dict[str, tuple[int, ...]]:
    """How often each state array changes sign with an index of each axis: velocities as their parameters,
    time not at all.
    """
    moving = {dot: name for name, dot in velocities(classes.flow).items()}
    return {
        name: classes.flips.get(moving.get(name, name), (0,) * len(axes))
        for name, axes in classes.state.items()
    }


def _colour_of(classes: IndexClasses, colours: Sequence[Widths]) -> dict[int, npt.NDArray[np.intp]]:
    """The colour of each index of each class."""
    return {
        c: np.repeat(np.arange(len(colours)), [w[i] for w in colours]) for i, c in enumerate(classes.lengths)
    }


def lengths_of(classes: IndexClasses, colours: Sequence[Widths]) -> dict[int, int]:
    """How many neurons of each class some colours have."""
    return {c: sum(w[i] for w in colours) for i, c in enumerate(classes.lengths)}


def slice_of_point(name: str, shape: Shape, widths: Widths, *, seed: int, p: int) -> Residues:
    """The values mod p, at the point of a seed, of a state array's entries whose indices have one colour of
    these widths.
    """
    return drawn(f"conslaw point {seed} {p} {name} {','.join(map(str, widths))}", shape, p)


def split_point(classes: IndexClasses, colours: Sequence[Widths], *, seed: int, p: int) -> State:
    """The point of a seed in the subnetwork of some colours, or in the whole network if these are all its
    colours.

    Entries with indices of several colours are zero, so are the arrays of ``zero`` and what changes sign with
    its colour.
    """
    of, flipped, point = _colour_of(classes, colours), _flipped(classes), dict[str, dict[int, Residues]]()
    lengths = lengths_of(classes, colours)
    for name, axes in classes.state.items():
        coloured = any(c != RIGID for c in axes)
        whole = np.zeros(resized_shape(classes.flow.state[name], axes, lengths), dtype=np.uint64)
        if name not in classes.zero and sum(flipped[name]) % 2 == 0:
            for number, widths in enumerate(colours) if coloured else [(0, ())]:
                shape = resized_shape(
                    classes.flow.state[name], axes, dict(zip(classes.lengths, widths, strict=False))
                )
                chosen = [
                    np.flatnonzero(of[c] == number) if c != RIGID else np.arange(n)
                    for c, n in zip(axes, shape, strict=True)
                ]
                known = classes.same.get(name, name)
                whole[np.ix_(*chosen)] = slice_of_point(known, shape, widths, seed=seed, p=p)
        point[name] = {0: whole[None]}
    return point


def subnetwork(
    classes: IndexClasses, colours: Sequence[Widths], helpers: Sequence[Widths], *, seed: int, p: int
) -> Subnetwork:
    """The subnetwork of some colours, and others that help, at the point of a seed."""
    both, marks = [*colours, *helpers], []
    flow = classes.smaller_flow(lengths_of(classes, both))
    of, flipped = _colour_of(classes, both), _flipped(classes)
    for name, shape in flow.state.items():
        seen, change = _seen(classes.state[name], shape, of, len(both), flipped[name])
        wanted = (np.arange(len(both)) < len(colours)).reshape(-1, *[1] * len(shape))
        exact, odd = (seen == wanted).all(axis=0), (change == wanted).all(axis=0)
        even, number = ~change.any(axis=0), seen.sum(axis=0)
        marks.append([x.reshape(-1) for x in (exact, odd, even, number)])
    point = split_point(classes, both, seed=seed, p=p)
    return Subnetwork(flow, point, *(np.concatenate(x) for x in zip(*marks, strict=True)))


def time_moves(part: Subnetwork, p: int) -> bool:
    """Whether the drift, if there is one, changes time at the point (mod p it might stand still)."""
    if len(part.flow.fields) == 1:
        return True
    [speed] = evaluate([part.flow.fields[0][TIME]], part.point, Jets(p))
    return bool(speed.get(0, np.zeros(1)).any())


def _samples(part: Subnetwork, depth: int, count: int, rng: np.random.Generator, p: int) -> Residues:
    """Elements of the trace that do not move the other neurons: brackets, and at depth 1 control fields
    without the drift.
    """
    flow = replace(part.flow, fields=part.flow.fields[-1:]) if depth == 1 else part.flow
    return trace_samples(flow, part.point, depth, count, rng, p)


def with_helpers(
    classes: IndexClasses, colours: Sequence[Widths], helpers: Sequence[Widths], *, seed: int, p: int
) -> tuple[Subnetwork, npt.NDArray[np.bool_]]:
    """The subnetwork with its helpers, and the exact coordinates in which these may help."""
    aided = subnetwork(classes, colours, helpers, seed=seed, p=p)
    return aided, aided.usable(len(colours) == 1)


def block_ranks(
    part: Subnetwork,
    aided: Callable[[], tuple[Subnetwork, npt.NDArray[np.bool_]]] | None,
    most: int,
    rng: np.random.Generator,
    p: int,
) -> tuple[tuple[int, ...], bool]:
    """The ranks of the trace in the exact coordinates, and whether helpers were needed: only if elements of
    the subnetwork alone do not reach ``most``, those of a larger one are taken as well, in some columns.
    Without helpers a block is given up once a depth adds nothing: gradients alone are expected to do.
    """

    def alone(depth: int, count: int) -> Residues:
        return _samples(part, depth, count, rng, p)[:, part.exact]

    size = int(part.exact.sum())
    own = _ranks(alone, size, most, part, p, patience=1, silent=SILENT if aided else 1)
    slow = len(own) > 2 and own[-1] > own[-2] and prolonged(own, _limit(part)) < most
    if own[-1] == most or slow or not aided:  # helpers serve where ranks stand still
        return own, False
    larger, columns = aided()

    def both(depth: int, count: int) -> Residues:
        helped = (_samples(larger, depth, count, rng, p) * columns)[:, larger.exact]
        return np.concatenate([alone(depth, count), helped])

    return _ranks(both if columns.any() else alone, size, most, larger, p), bool(columns.any())


def beside_of(
    part: Subnetwork,
    colours: tuple[Widths, ...],
    every: npt.NDArray[np.bool_],
    coloured: npt.NDArray[np.bool_],
    rng: np.random.Generator,
    p: int,
) -> Beside:
    """The elements of the trace, of those that are drawn, that vanish in the coloured coordinates: two ranks
    of one matrix.
    """
    elements = list[Residues]()

    def samples(depth: int, count: int) -> Residues:
        elements.append(_samples(part, depth, count, rng, p))
        return elements[-1][:, every]

    ranks = _ranks(samples, int(every.sum()), int(every.sum()), part, p)
    return Beside(colours, ranks, ranks[-1] - rank(np.concatenate(elements)[:, coloured], p))


def _ranks(
    samples: Callable[[int, int], Residues],
    size: int,
    most: int,
    largest: Subnetwork,
    p: int,
    patience: int = PATIENCE,
    silent: int = SILENT,
) -> tuple[int, ...]:
    return ranks_by_depth(
        samples,
        size,
        p,
        limit=_limit(largest),
        target=most,
        width=largest.flow.dimension,
        patience=patience,
        silent=silent,
        all_or_nothing=most < size,
    )


def _limit(part: Subnetwork) -> int:
    """The depth up to which brackets are tried."""
    nodes = len(topological_order([value for one in part.flow.fields for value in one.values()]))
    return max(SHALLOW, min(DEPTH, int(log(MOST_STEPS / nodes, 3))))


def law_gradients(
    classes: IndexClasses,
    part: Subnetwork,
    colours: Sequence[Widths],
    combinations: Sequence[Combination],
    p: int,
) -> list[Residues]:
    """The gradients, in the exact coordinates, of the entries of each combination with all colours in their
    indices.
    """
    state, of = arrays_of(part.flow), _colour_of(classes, colours)
    exact, rows = np.flatnonzero(part.exact), list[Residues]()
    directions = np.zeros((len(exact), part.flow.dimension), dtype=np.uint64)
    directions[np.arange(len(exact)), exact] = 1
    ends = np.cumsum([0, *(prod(shape) for shape in part.flow.state.values())])
    moves = {
        n: {0: directions[:, a:b].reshape(len(exact), *s)}
        for (n, s), a, b in zip(part.flow.state.items(), ends, ends[1:], strict=False)
    }
    arrays = [c.array(state) for c in combinations]
    slopes = derivatives_along(arrays, part.point, moves, len(exact), p)
    for combination, array, slope in zip(combinations, arrays, slopes, strict=True):
        seen, _ = _seen(combination.like.axes(classes), array.shape, of, len(colours), [0] * array.ndim)
        rows.append(slope[:, seen.all(axis=0)].T if array.ndim else slope[None][:0])
    return rows


def law_ranks(gradients: Sequence[Residues], p: int) -> list[int]:
    """What each of some matrices adds to the rank of those before."""
    space, result = RowSpace.zero(gradients[0].shape[1], p) if gradients else None, list[int]()
    for rows in gradients:
        assert space is not None
        larger = space.extend(rows)
        result.append(larger.rank - space.rank)
        space = larger
    return result


def helpers_of(colouring: Counter[Widths], colours: Sequence[Widths]) -> list[Widths]:
    """A further colour of each shape; beside a single colour only larger ones."""
    return [w for w in colouring if colouring[w] > colours.count(w) and (len(colours) > 1 or w > colours[0])]

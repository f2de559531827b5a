"""Isotypic splitting: the Lie rank of a large network from the ranks of its small subnetworks.

Give every neuron a colour and take a point where weights between different colours are zero, a point fixed by
flipping the signs of all neurons of one colour.  There the trace of the Lie algebra contains, for each set T
of colours, the trace of the
*subnetwork* of those colours (the data of all others being zero), and the parts with all colours of T in
their indices are independent for different T.  So the one big rank is at least a sum of small ones, all at
one point mod p; colours of the same widths take the same values there, so subnetworks of the same shape have
the same rank: each shape is computed once.  The same holds for the gradients of laws.  Statement and proof:
docs/what_is_proved.md.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, combinations_with_replacement, islice
from math import comb, prod
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from conslaw.algebra.expressions import Shape, evaluate, topological_order
from conslaw.algebra.finite_field import Residues, RowSpace, drawn, random_prime, rank
from conslaw.algebra.jets import Jets
from conslaw.flows.flow import TIME, Flow
from conslaw.laws.index_classes import RIGID, Axes, IndexClasses, resized_shape, velocities
from conslaw.laws.lie import State, ranks_by_depth, trace_samples
from conslaw.laws.matrix_notation import Combination, arrays_of, derivatives_along

logger = logging.getLogger(__name__)

DEPTH = 8  # brackets of more fields than this are not tried in a subnetwork
PATIENCE = 2  # depths in a row that add nothing: at a special point a rank may stand still and grow later
LARGEST = 1200  # coordinates of a subnetwork up to which its rank is computed

SILENT = 4  # depths that may pass before anything is found
MOST_CHOICES = 64  # sets of classes that are looked at
MOST_WORK, LITTLE_WORK = 10.0, 5.0  # seconds of work, by estimate, with laws to compare with and without

Marks: TypeAlias = tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]
Widths = tuple[int, ...]  # the number of neurons of each class


@dataclass(frozen=True)
class Block:
    """All subnetworks of one shape.

    Attributes
    ----------
    colours : the widths of each of its colours
    copies : how many subnetworks of this shape there are
    dimension : number of state coordinates with all its colours in their indices
    ranks : of its trace in those coordinates, depth by depth
    laws : what each family of laws adds to the rank of the gradients in those coordinates
    """

    colours: tuple[Widths, ...]
    copies: int
    dimension: int
    ranks: tuple[int, ...]
    laws: tuple[int, ...]


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


@dataclass(frozen=True, eq=False)
class Split:
    """What a colouring proves about a flow, at one point.

    Attributes
    ----------
    classes : the index classes that are coloured
    colouring : how many colours there are of which widths
    blocks : one for each shape of subnetworks
    beside : the rank of coordinates without colour, if there are some that move
    drift : how many of the drift fields are no combination of the rest, as time moves: 0 or 1
    laws : what each family adds to the rank of gradients
    prime, seed : the point is drawn mod this prime from this seed (:func:`slice_of_point`)
    """

    classes: IndexClasses
    colouring: Counter[Widths]
    blocks: list[Block]
    beside: Beside | None
    drift: int
    laws: list[int]
    prime: int
    seed: int

    @property
    def ranks(self) -> tuple[int, ...]:
        """Ranks of the trace at the point with brackets of up to 1, 2, ... fields: proved lower bounds of the
        generic ones.
        """
        every = [b.ranks for b in self.blocks] + ([self.beside.ranks] if self.beside else [])
        depths = max(map(len, every), default=1)
        ranks = [
            self.drift + sum(b.copies * b.ranks[min(d, len(b.ranks) - 1)] for b in self.blocks)
            for d in range(depths)
        ]
        return (*ranks[:-1], ranks[-1] + (self.beside.rank if self.beside else 0))

    @property
    def laws_at_most(self) -> int:
        """State dimension minus the last rank: a proved bound."""
        return self.classes.flow.dimension - self.ranks[-1]

    @property
    def laws_found(self) -> int:
        """The rank of the gradients of the laws: a proved bound."""
        return sum(self.laws)

    def __str__(self) -> str:
        colours, shapes = sum(self.colouring.values()), len(self.blocks)
        subnetworks, symmetry = (
            sum(b.copies for b in self.blocks),
            "sign flips, " if self.classes.flips else "",
        )
        return (
            f"{symmetry}{colours} colours, {subnetworks:,} subnetworks of {shapes} shape{'s' * (shapes > 1)}"
        )

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready dictionary: the classes (their axes, as array and number), the group, the colours, and
        the blocks.
        """
        classes, flips = self.classes, self.classes.flips
        arrays = {**classes.state, **classes.data}
        return {
            "classes": [
                [[n, i] for n, axes in arrays.items() for i, k in enumerate(axes) if k == c]
                for c in classes.lengths
            ],
            "zero": sorted(classes.zero),
            "sign_flips": {name: list(flips[name]) for name in flips},
            "colours": [[list(widths), count] for widths, count in self.colouring.items()],
            "prime": self.prime,
            "seed": self.seed,
            "blocks": [
                {"colours": [list(w) for w in b.colours], "copies": b.copies, "dimension": b.dimension}
                | {"ranks": list(b.ranks), "laws": sum(b.laws)}
                for b in self.blocks
            ],
            "beside": None
            if self.beside is None
            else {
                "colours": [list(w) for w in self.beside.colours],
                "ranks": list(self.beside.ranks),
                "rank": self.beside.rank,
            },
        }


def best_split(
    choices: Sequence[IndexClasses],
    combinations: Sequence[Combination] = (),
    *,
    seed: int,
    enough: int | None = None,
) -> tuple[Split, Split] | None:
    """The splits that prove the best upper and the best lower bound, tried from cheap to dear.

    ``enough`` is a proved lower bound that is known already.  It ends when the bounds meet or so much work is
    done; if there is nothing to compare with, when a dearer one proves no more.  None if all are too large.
    """
    p, spent, idle = random_prime(np.random.default_rng(seed)), 0.0, False
    upper, lower = None, None
    most = (
        min(MOST_WORK, 1 + 1e-9 * choices[0].flow.dimension ** 3) if choices else 0.0
    )  # no more than the plain route takes
    tasks = [
        (_work(classes, colouring), i, classes, colouring)
        for i, classes in enumerate(choices)
        for colouring in colourings(classes)
    ]
    for work, _, classes, colouring in sorted(tasks, key=lambda task: task[:2]):
        known = max(lower.laws_found if lower else 0, enough or 0)
        if upper and (
            upper.laws_at_most == known
            or spent + work > (most if known else LITTLE_WORK)
            or (idle and not known)
        ):
            break
        spent += work
        try:
            split = split_ranks(classes, colouring, combinations, seed=seed, p=p)
        except ZeroDivisionError:  # mod p at this point
            split = None
        if split is None:
            continue
        logger.info("splitting: %s: at most %d laws", split, split.laws_at_most)
        idle = upper is not None and split.laws_at_most >= upper.laws_at_most
        upper = upper if upper and idle else split
        lower = split if lower is None or split.laws_found > lower.laws_found else lower
    return (upper, lower) if upper and lower else None


def _work(classes: IndexClasses, colouring: Counter[Widths]) -> float:
    """About how many seconds a colouring takes."""
    total = 0.0
    for colours, _ in shapes(classes, colouring):
        largest = classes.dimension(_lengths(classes, [*colours, *_helpers(colouring, colours)]))
        own = classes.dimension(_lengths(classes, colours))
        total += 0.02 + 4e-6 * min(own, largest) * largest + 1e-9 * own**3
    return total


def _helpers(colouring: Counter[Widths], colours: Sequence[Widths]) -> list[Widths]:
    """A further colour of each shape; beside a single colour only larger ones."""
    return [w for w in colouring if colouring[w] > colours.count(w) and (len(colours) > 1 or w > colours[0])]


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

    def usable(self, alone: bool) -> npt.NDArray[np.bool_]:
        """The exact coordinates in which a projection of the trace by sign flips lies in the trace, if
        helpers take part.
        """
        odd = self.odd if not (self.odd & ~self.exact).any() else np.zeros_like(self.odd)
        even = self.even if alone and not (self.even & (self.number > 1)).any() else np.zeros_like(self.even)
        return self.exact & (odd | even)


def splits(flow: Flow) -> list[IndexClasses]:
    """The sets of classes, and symmetries, along which a flow falls apart into subnetworks, as far as
    theorems here apply to it.

    With constant learning rates all classes may be coloured; with another diagonal metric, where weights
    between colours must not vanish, only one axis of each array.
    """
    if flow.model is None or flow.name not in ("gradient", "momentum"):
        return []
    if any(
        name not in flow.model.parameters or block.shape != flow.state[name]
        for name, block in flow.metric_entries.items()
    ):
        return []
    constant = constant_metric(flow)
    every = IndexClasses.of(flow)
    vectors = [name for name, axes in every.state.items() if len(axes) == 1]
    moved = sorted({c for axes in every.state.values() for c in axes} - {RIGID})
    kept = islice((some for k in range(len(moved), 0, -1) for some in combinations(moved, k)), MOST_CHOICES)
    found = list[IndexClasses]()
    for some in kept:
        for zero in ([], vectors) if constant and vectors else ([],):
            classes = every.without(set(every.lengths) - set(some), zero)
            single = _single(classes)
            fits = constant or (single and all(classes.decouples(x) for x in flow.metric_entries.values()))
            if fits and classes.decouples(flow.model.potential):
                flips = (
                    [{}] if single or not constant else [classes.signs(vectors=odd) for odd in (True, False)]
                )
                found += [replace(classes, flips=x) for i, x in enumerate(flips) if x not in flips[:i]]
                break
    return found


def _single(classes: IndexClasses) -> bool:
    """Whether no array has two coloured axes, so that no weight lies between colours."""
    return all(sum(c != RIGID for c in axes) < 2 for axes in classes.state.values())


def constant_metric(flow: Flow) -> bool:
    """Whether the metric of a flow is made of constant learning rates."""
    return not any(node.operation == "input" for node in topological_order(flow.metric_entries.values()))


def colourings(classes: IndexClasses) -> list[Counter[Widths]]:
    """Ways to give each index of each class a colour, from fine to coarse: how many colours there are of
    which widths.
    """
    lengths = list(classes.lengths.values())
    most = max(lengths)
    if _single(classes):  # one colour of some neurons, then single ones
        first = [tuple(min(k, n) for n in lengths) for k in (1, 4, 8)]
        left = [[n - k for n, k in zip(lengths, own, strict=True)] for own in first]
        return [
            Counter([own]) + Counter(tuple(int(a < n) for n in rest) for a in range(max(rest)))
            for own, rest in zip(first, left, strict=True)
        ]
    numbers = sorted({*lengths, *(-(-most // k) for k in range(1, 9))}, reverse=True)
    return [Counter(tuple(n // m + (a < n % m) for n in lengths) for a in range(m)) for m in numbers]


def shapes(classes: IndexClasses, colouring: Counter[Widths]) -> Iterator[tuple[tuple[Widths, ...], int]]:
    """The shapes of subnetworks that matter, and how many there are of each."""
    most = max(sum(c != RIGID for c in axes) for axes in classes.state.values())
    for size in range(1, most + 1):
        for colours in combinations_with_replacement(sorted(colouring, reverse=True), size):
            copies = prod(comb(colouring[w], k) for w, k in Counter(colours).items())
            if copies:
                yield colours, copies


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


def _lengths(classes: IndexClasses, colours: Sequence[Widths]) -> dict[int, int]:
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
    lengths = _lengths(classes, colours)
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
                whole[np.ix_(*chosen)] = slice_of_point(name, shape, widths, seed=seed, p=p)
        point[name] = {0: whole[None]}
    return point


def subnetwork(
    classes: IndexClasses, colours: Sequence[Widths], helpers: Sequence[Widths], *, seed: int, p: int
) -> Subnetwork:
    """The subnetwork of some colours, and others that help, at the point of a seed."""
    both = [*colours, *helpers]
    flow, of, flipped = (
        classes.smaller_flow(_lengths(classes, both)),
        _colour_of(classes, both),
        _flipped(classes),
    )
    marks = []
    for name, shape in flow.state.items():
        seen, change = _seen(classes.state[name], shape, of, len(both), flipped[name])
        wanted = (np.arange(len(both)) < len(colours)).reshape(-1, *[1] * len(shape))
        even, number = ~change.any(axis=0), seen.sum(axis=0)
        marks.append(
            [
                x.reshape(-1)
                for x in ((seen == wanted).all(axis=0), (change == wanted).all(axis=0), even, number)
            ]
        )
    point = split_point(classes, both, seed=seed, p=p)
    return Subnetwork(flow, point, *(np.concatenate(x) for x in zip(*marks, strict=True)))


def split_ranks(
    classes: IndexClasses,
    colouring: Counter[Widths],
    combinations: Sequence[Combination] = (),
    *,
    seed: int,
    p: int,
) -> Split | None:
    """The blocks of a colouring, with the ranks of the trace and of some laws in each; None if a block is too
    large.
    """
    flow = classes.flow
    usable = [c for c in combinations if classes.decouples(c.array(arrays_of(flow)))]
    blocks, beside, common, moving = list[Block](), None, 0, True
    for colours, copies in shapes(classes, colouring):
        alone, helpers = len(colours) == 1, _helpers(colouring, colours)
        if classes.dimension(_lengths(classes, [*colours, *helpers])) > LARGEST:
            return None
        rng = np.random.default_rng([seed, *np.ravel(colours)])
        part, aided = (subnetwork(classes, colours, some, seed=seed, p=p) for some in ((), helpers))
        moving = moving and _time_moves(part, p)
        if part.exact.any():
            ranks = _block_ranks(part, aided, aided.usable(alone), rng, p)
            laws = _law_ranks(classes, part, colours, usable, p)
            blocks.append(Block(colours, copies, int(part.exact.sum()), ranks, tuple(laws)))
        own, others = part.number == 0, part.number > 0
        own[: len(flow.fields) - 1] = False  # time
        if own.any():
            found, common = _beside(part, colours, own | others, others, rng, p), int(own.sum())
            beside = found if found.rank > (beside.rank if beside else 0) else beside
    drift = len(flow.fields) - 1
    assert sum(b.copies * b.dimension for b in blocks) + common + drift == flow.dimension
    if not blocks:
        return None
    contributions = dict(
        zip(usable, np.sum([[b.copies * n for n in b.laws] for b in blocks], axis=0).tolist(), strict=True)
    )
    laws = [contributions.get(c, 0) for c in combinations]
    return Split(classes, colouring, blocks, beside, drift if moving else 0, laws, p, seed)


def _time_moves(part: Subnetwork, p: int) -> bool:
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


def _block_ranks(
    part: Subnetwork, aided: Subnetwork, columns: npt.NDArray[np.bool_], rng: np.random.Generator, p: int
) -> tuple[int, ...]:
    """The ranks of the trace in the exact coordinates, in some ``columns`` with elements of the larger
    subnetwork.
    """

    def samples(depth: int, count: int) -> Residues:
        rows = _samples(part, depth, count, rng, p)[:, part.exact]
        if not columns.any():
            return rows
        return np.concatenate([rows, (_samples(aided, depth, count, rng, p) * columns)[:, aided.exact]])

    return _ranks(samples, int(part.exact.sum()), aided, p)


def _beside(
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

    ranks = _ranks(samples, int(every.sum()), part, p)
    return Beside(colours, ranks, ranks[-1] - rank(np.concatenate(elements)[:, coloured], p))


def _ranks(
    samples: Callable[[int, int], Residues], size: int, largest: Subnetwork, p: int
) -> tuple[int, ...]:
    width = largest.flow.dimension
    return ranks_by_depth(
        samples, size, p, limit=DEPTH, target=size, width=width, patience=PATIENCE, silent=SILENT
    )


def _law_ranks(
    classes: IndexClasses,
    part: Subnetwork,
    colours: Sequence[Widths],
    combinations: Sequence[Combination],
    p: int,
) -> list[int]:
    """What the entries of each combination with all colours in their indices add to the rank of gradients in
    these coordinates.
    """
    state, of = arrays_of(part.flow), _colour_of(classes, colours)
    exact = np.flatnonzero(part.exact)
    space, result = RowSpace.zero(len(exact), p), list[int]()
    directions = np.zeros((len(exact), part.flow.dimension), dtype=np.uint64)
    directions[np.arange(len(exact)), exact] = 1
    ends = np.cumsum([0, *(prod(shape) for shape in part.flow.state.values())])
    moves = {
        n: {0: directions[:, a:b].reshape(len(exact), *s)}
        for (n, s), a, b in zip(part.flow.state.items(), ends, ends[1:], strict=False)
    }
    arrays = [c.array(state) for c in combinations]
    for combination, array, slopes in zip(
        combinations, arrays, derivatives_along(arrays, part.point, moves, len(exact), p), strict=True
    ):
        seen, _ = _seen(combination.like.axes(classes), array.shape, of, len(colours), [0] * array.ndim)
        rows = slopes[:, seen.all(axis=0)].T if array.ndim else slopes[None][:0]
        larger = space.extend(rows)
        result.append(larger.rank - space.rank)
        space = larger
    return result

"""What groups prove: a lower bound of the Lie rank, as a sum of ranks of small subnetworks of each group.

At one point mod p, in colours: the ranks of each group in its own coordinates, the rank of what all groups
together do to the shared arrays alone, and the rank of the gradients in linear arrays.  Statement and proof:
docs/what_is_proved.md.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, pairwise, product
from math import inf, prod
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from conslaw.algebra.evaluation import evaluate, gradient, topological_order
from conslaw.algebra.finite_field import Residues, RowSpace, drawn, rank
from conslaw.algebra.jets import Jets
from conslaw.algebra.uniform_axes import RIGID
from conslaw.flows.flow import Flow
from conslaw.laws.brackets import RandomField, as_rows, nested_bracket
from conslaw.laws.candidates import Combination, arrays_of
from conslaw.laws.colourings import constant_metric, shapes
from conslaw.laws.groups import Group, Grouping, grouping
from conslaw.laws.index_classes import IndexClasses
from conslaw.laws.law_rows import LawRows
from conslaw.laws.lie import ranks_by_depth
from conslaw.laws.splitting import Block, Coloured, Split, laws_in_blocks, sums_apart
from conslaw.laws.subnetworks import LARGEST, Subnetwork, Widths, lengths_of, marked, subnetwork

logger = logging.getLogger(__name__)

DEPTH, PATIENCE = 8, 3  # of brackets: at a special point ranks stand still and grow later
MOST_COORDINATES, MOST_MARKED = 20_000, 2_000_000  # of a subnetwork of a group, and of the whole network
LONG, FEW_OF_A_COLOUR = 100, 32  # indices of a class in a colour that are too many, and then so few
UNEVEN = 32.0  # times as dear equal shares are that are tried first where data are centred: they show more
MUCH = 0.25  # of the coordinates of a group
FEW_INDICES = 3  # of each class, of the network in which gradients of linear arrays are looked at


@dataclass(frozen=True)
class GroupBlock:
    """All subnetworks of one shape of one group.

    Attributes
    ----------
    colours : the widths of each of its colours
    copies : how many subnetworks of this shape there are
    dimension : number of the group's own coordinates with all its colours in their indices
    ranks : of its elements in these coordinates, depth by depth; of a single colour also in the shared ones
        and in those without colour
    rank : of the same elements in its own coordinates
    """

    colours: tuple[Widths, ...]
    copies: int
    dimension: int
    ranks: tuple[int, ...]
    rank: int

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready dictionary."""
        return {
            "colours": [list(widths) for widths in self.colours],
            "copies": self.copies,
            "dimension": self.dimension,
            "ranks": list(self.ranks),
            "rank": self.rank,
        }


@dataclass(frozen=True, eq=False)
class Groups(Coloured):
    """What groups prove about a flow.

    Attributes
    ----------
    parts : the groups
    blocks : of each group, one for each shape of subnetworks
    shared : the rank of what the groups do to shared arrays alone
    linear : the rank of gradients in linear arrays
    """

    parts: Grouping
    blocks: Sequence[Sequence[GroupBlock]]
    shared: int
    linear: int

    @property
    def ranks(self) -> tuple[int, ...]:
        """The Lie rank, as a sum."""
        own = sum(block.copies * block.rank for blocks in self.blocks for block in blocks)
        return (own + self.shared + self.linear,)

    def __str__(self) -> str:
        colours, many = sum(self.colouring.values()), len(self.blocks)
        return f"{many} group{'s' * (many > 1)} of arrays in {colours} colours"

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready dictionary: the colours, and the blocks of each group."""
        groups = [
            {"arrays": list(group.own), "blocks": [block.to_json() for block in blocks]}
            for group, blocks in zip(self.parts.groups, self.blocks, strict=True)
        ]
        rest = {"shared": (self.parts.shared, self.shared), "linear": (self.parts.linear, self.linear)}
        return {
            **super().to_json(),
            "groups": groups,
            **{name: {"arrays": list(arrays), "rank": found} for name, (arrays, found) in rest.items()},
        }


class GroupColouring(NamedTuple):
    """A way to look at groups: classes, colours of which widths, and about how much work it is, in units."""

    parts: Grouping
    classes: IndexClasses
    colours: Counter[Widths]
    work: float


def every_group_colouring(flow: Flow) -> tuple[GroupColouring, ...]:
    """All of them, from cheap to dear, without those that have too large parts; none if there are no groups.

    Equal shares of every class that has as many indices, as few arrays zero as can be; colours of which only
    the first have indices of shorter classes (the size of a head, beside a width); and one colour for all.
    """
    if flow.model is None or flow.metric_words is None or flow.name != "gradient" or len(flow.fields) > 1:
        return ()
    if not constant_metric(flow) or len((parts := grouping(flow)).groups) < 2:
        return ()
    every, made = IndexClasses.of(flow), list[tuple[bool, float, GroupColouring]]()
    centred = any(axes.count(c) > 1 for axes in every.data.values() for c in {*axes} - {RIGID})
    for classes, colours, even in _shared_out(every, parts.groups):
        if (work := _work(classes, parts.groups, colours)) < inf:
            one = GroupColouring(parts, replace(classes, same=parts.same), colours, work)
            last = UNEVEN * work if centred and not even else work
            made.append((_much_is_zero(classes, parts.groups), last, one))
    return tuple(one for _, _, one in sorted(made, key=lambda x: x[:2]))


def _shared_out(
    every: IndexClasses, groups: Sequence[Group]
) -> Iterator[tuple[IndexClasses, Counter[Widths], bool]]:
    """Classes, their colours, and whether each class has indices in all of them: one colour for all; then
    shares for as many colours as some class has indices, a half or a quarter of that, of the classes with at
    least so many indices as another one.
    """
    known = dict[frozenset[int], IndexClasses | None]()
    moved = {c for axes in every.state.values() for c in axes} - {RIGID}
    if moved:
        yield every, Counter([tuple(every.lengths.values())]), True
    lengths = {every.lengths[c] for c in moved} - {1}
    numbers = {n // k for n in lengths for k in (1, 2, 4)} - {0, 1}
    pairs = {(least, n) for least, n in product(lengths, numbers) if n > least} | {(n, n) for n in numbers}
    tried = set[tuple[frozenset[int], int]]()
    for least, number in sorted(pairs, reverse=True):
        of_two = _of_two_longest(every) if number > least else moved
        some = frozenset(c for c in of_two if every.lengths[c] >= least)
        if some not in known:
            known[some] = _decoupled(every, groups, some)
        if (some, number) not in tried and (classes := known[some]):
            yield classes, _shares(list(classes.lengths.values()), number), number == least
        tried.add((some, number))


def _of_two_longest(every: IndexClasses) -> set[int]:
    """The classes that in each array are among the two with the most indices (not those of heads): a matrix
    in colours has blocks, an array of three coloured axes hardly anything that is not zero.
    """
    found = set(every.lengths)
    for axes in every.state.values():
        own = sorted((c for c in axes if c != RIGID), key=lambda c: every.lengths[c])
        found -= {*own[:-2]} - {*own[-2:]}
    return found & {c for axes in every.state.values() for c in axes}


def _shares(lengths: Sequence[int], number: int) -> Counter[Widths]:
    """Equal shares of every class for so many colours; classes with fewer indices have one in each of the
    first; very long classes (a vocabulary) have more colours, in which there is nothing else.
    """
    colours = [min(n, number) if n <= LONG * number else n // FEW_OF_A_COLOUR for n in lengths]
    pairs = list(zip(lengths, colours, strict=True))
    ends = sorted({0, *colours, *(n % k for n, k in pairs)})
    return Counter(
        {tuple(n // k + (a < n % k) if a < k else 0 for n, k in pairs): b - a for a, b in pairwise(ends)}
    )


def _much_is_zero(classes: IndexClasses, groups: Sequence[Group]) -> bool:
    """Whether matrices of a group are zero, and not biases alone: then little is seen of what they do."""
    for group in groups:
        own = {n: prod(group.flow.state[n]) for n in group.own}
        if sum(size for n, size in own.items() if n in classes.zero) > MUCH * sum(own.values()):
            return True
    return False


def _decoupled(every: IndexClasses, groups: Sequence[Group], some: frozenset[int]) -> IndexClasses | None:
    """These classes, or all but the smallest, such that the groups decouple, with as few arrays zero as can
    be.
    """
    vectors = [n for n, axes in every.state.items() if sum(c in some for c in axes) == 1]
    known = dict[Any, bool]()

    def fits(zero: Sequence[str]) -> bool:
        classes = every.without(every.lengths.keys() - some, zero)
        for group in groups:
            part = of_group(classes, group)
            key = (group.form, *_pattern(part))
            if key not in known:
                assert group.flow.model is not None
                known[key] = part.decouples(group.flow.model.potential)
            if not known[key]:
                return False
        return True

    while some and not fits(vectors):
        some -= {min(some, key=lambda c: (every.lengths[c], c))}
    zero = list(vectors)
    for name in vectors if some else ():
        if fits(less := [n for n in zero if n != name]):
            zero = less
    return every.without(every.lengths.keys() - some, zero) if some else None


def _pattern(part: IndexClasses) -> tuple[Any, ...]:
    """Which axes of the arrays of a group are coloured, by classes in order, and which arrays are zero."""
    numbers = dict[int, int]()
    axes = [
        tuple(-1 if c == RIGID else numbers.setdefault(c, len(numbers)) for c in one)
        for one in (*part.state.values(), *part.data.values())
    ]
    return (*axes, tuple(name in part.zero for name in part.state))


def of_group(classes: IndexClasses, group: Group) -> IndexClasses:
    """The same classes in the flow of a group."""
    flow = group.flow
    return replace(
        classes,
        flow=flow,
        state={n: classes.state[n] for n in flow.state},
        data={n: classes.data.get(n, ()) for n in flow.data},
        zero=classes.zero & flow.state.keys(),
    )


def _work(classes: IndexClasses, groups: Sequence[Group], colouring: Counter[Widths]) -> float:
    """About how many units a colouring takes; infinite if a subnetwork is too large."""
    total, known = 0.0, set[Any]()
    own = [(group.form, of_group(classes, group)) for group in groups]
    different = {(form, *_pattern(part)): part for form, part in own}
    for number, part in enumerate(different.values()):
        for colours, _ in shapes(part, colouring):
            key = (number, *_widths(part, colours))
            if key in known:
                continue
            known.add(key)
            if part.dimension(lengths_of(classes, colours)) > MOST_COORDINATES:
                return inf
            n = _exact(part, colours)
            total += 0.02 + 4e-7 * n**2 + 3e-10 * n**3 if n <= LARGEST else inf
    return total


def _widths(part: IndexClasses, colours: Sequence[Widths]) -> list[Any]:
    """How many indices each axis of the arrays of a group has in each colour."""
    place = {c: i for i, c in enumerate(part.lengths)}
    return [
        tuple(w[place[c]] for axes in (*part.state.values(), *part.data.values()) for c in axes if c != RIGID)
        for w in colours
    ]


def _exact(classes: IndexClasses, colours: Sequence[Widths]) -> int:
    """The number of coordinates with all of some colours in their indices."""
    subsets = ((len(colours) - k, some) for k in range(len(colours) + 1) for some in combinations(colours, k))
    return sum((-1) ** left * classes.dimension(lengths_of(classes, some)) for left, some in subsets)


def group_ranks(
    colouring: GroupColouring,
    laws: Sequence[Combination],
    *,
    seed: int,
    p: int,
) -> tuple[Groups, Split] | None:
    """The blocks of a colouring, and ranks of the gradients of some laws; None if a block is too large."""
    parts, classes, colours_of, _ = colouring
    state = arrays_of(classes.flow)
    usable = [c for c in laws if classes.decouples(c.array(state))]
    counted = LawRows(classes, usable, sums_apart(laws, usable), p)
    blocks, common, law_blocks = [list[GroupBlock]() for _ in parts.groups], list[tuple[int, Residues]](), []
    own, known = [of_group(classes, group) for group in parts.groups], dict[Any, _Found | None]()
    for colours, copies in shapes(classes, colours_of):
        if classes.dimension(lengths_of(classes, colours)) > MOST_MARKED:
            return None
        whole = subnetwork(classes, colours, (), seed=seed, p=p)
        counted.take(whole, colours)
        law_blocks.append(Block(colours, copies, int(whole.exact.sum()), (), False, tuple(counted.added)))
        beside = list[Residues]()
        for group, part, found in zip(parts.groups, own, blocks, strict=True):
            alone = len(colours) == 1
            most = counted.rank_in([n for n in group.flow.state if alone or n in group.own])
            key = (group.form, *_pattern(part), *_widths(part, colours), colours, most)
            if key not in known:
                known[key] = _group_block(group, part, colours, most, seed, p)
            if (made := known[key]) is not None:
                found.append(GroupBlock(colours, copies, made.size, made.ranks, made.rank))
                beside.append(_in_shared(whole, group, parts.shared, made.rest))
        if len(colours) == 1 and beside:
            common.append((copies, np.concatenate(beside)))
    shared = sum(copies * rank(rows, p) for copies, rows in common)
    found_laws = laws_in_blocks(laws, usable, law_blocks, p)
    lower = Split(classes, colours_of, p, seed, [b for b in law_blocks if b.dimension], None, 0, found_laws)
    linear = linear_rank(IndexClasses.of(classes.flow), parts, seed=seed, p=p)
    return Groups(classes, colours_of, p, seed, parts, blocks, shared, linear), lower


class _Found(NamedTuple):
    """A block, and what the group does to the shared arrays alone: rows in those of its coordinates that have
    the one colour of the shape.
    """

    size: int
    ranks: tuple[int, ...]
    rank: int
    rest: Residues


def _group_block(
    group: Group, own: IndexClasses, colours: tuple[Widths, ...], known: int, seed: int, p: int
) -> _Found | None:
    """The block of a group of one shape; ``known`` is the rank of the laws there."""
    if not any(c != RIGID for axes in own.state.values() for c in axes):
        return None
    part = subnetwork(own, colours, (), seed=seed, p=p)
    mine = marked(part.flow, group.own)
    alone = len(colours) == 1 and bool((part.exact & ~mine).any())
    columns = columns_of(part, mine, alone=alone)
    size, last = int((part.exact & mine).sum()), int((part.exact & ~mine).sum())
    if not len(columns):
        return None
    rng, elements = np.random.default_rng([seed, *np.ravel(colours)]), list[Residues]()

    def samples(depth: int, count: int) -> Residues:
        elements.append(guest_samples(group, part, depth, count, rng, p)[:, columns])
        return elements[-1]

    target, width = len(columns) - known, part.flow.dimension
    ranks = ranks_by_depth(
        samples, len(columns), p, limit=DEPTH, target=target, width=width, patience=PATIENCE
    )
    if not alone or not elements:  # none are drawn where laws leave no room
        return _Found(size, ranks, ranks[-1], np.zeros((0, last), dtype=np.uint64))
    space = RowSpace.zero(len(columns), p).extend(np.concatenate(elements))
    basis = np.zeros((space.rank, len(columns)), dtype=np.uint64)
    basis[np.arange(space.rank), space.pivots] = 1
    basis[:, space.free] = space.rest
    rest = basis[space.pivots >= len(columns) - last][:, len(columns) - last :]
    return _Found(size, ranks, int((space.pivots < size).sum()), rest)


def _in_shared(whole: Subnetwork, group: Group, shared: Sequence[str], rest: Residues) -> Residues:
    """Rows in the shared arrays of a group as rows in all shared arrays."""
    common = marked(whole.flow, shared)[whole.exact]
    rows = np.zeros((len(rest), common.sum()), dtype=np.uint64)
    places = marked(whole.flow, [n for n in group.flow.state if n not in group.own])
    if len(rest):
        rows[:, places[whole.exact][common]] = rest
    return rows


def columns_of(part: Subnetwork, mine: npt.NDArray[np.bool_], *, alone: bool) -> npt.NDArray[np.intp]:
    """The coordinates in which a block is looked at: its own ones; if ``alone``, those without colour and the
    shared ones, too.
    """
    wanted = [part.exact & mine, part.number == 0, part.exact & ~mine]
    return np.concatenate([np.flatnonzero(x) for x in wanted[: 3 if alone else 1]])


def guest_samples(
    group: Group, part: Subnetwork, depth: int, count: int, rng: np.random.Generator, p: int
) -> Residues:
    """As :func:`conslaw.laws.brackets.trace_samples`; linear guests take part in brackets only, and of the
    two innermost fields only the last has guests.
    """
    fields = [RandomField(part.flow, count, rng, p) for _ in range(depth)]
    absent = {0: np.zeros(count, dtype=np.uint64)}
    fields[max(0, depth - 2)].data |= {group.guest: absent}
    if depth == 1:
        fields[0].data |= {group.linear_guest: absent}
    return as_rows(part.flow, nested_bracket(fields, part.point, Jets(p), 1), count)


def linear_rank(every: IndexClasses, parts: Grouping, *, seed: int, p: int) -> int:
    """A lower bound of the rank of the gradients in the linear arrays, from a few indices of each class.

    The span of these gradients is a representation of the permutations of each class: a multiple of the
    trivial one, of the rank of sums over each class, and of the standard one, of the rank of differences.
    """
    if parts.linear_part is None or not every.decouples(parts.linear_part):
        return 0
    [small] = every.resized([parts.linear_part], {c: min(n, FEW_INDICES) for c, n in every.lengths.items()})
    nodes = {x.attribute: x for x in topological_order([small]) if x.operation == "input"}
    arrays = [nodes[n] for n in parts.linear]
    count = sum(x.size for x in arrays) + 8
    data: dict[str, Mapping[int, Residues]] = {
        n: {0: drawn(f"conslaw linear {seed} {p} {n}", (count, *x.shape), p)} for n, x in nodes.items()
    }
    trivial, standard = list[Residues](), dict[int, list[Residues]]()
    for node, slope in zip(arrays, evaluate(gradient(small, arrays), data, Jets(p)), strict=True):
        rows = np.broadcast_to(slope.get(0, np.uint64(0)), (count, *node.shape))
        axes = every.state[node.attribute]
        axis = next((i for i, c in enumerate(axes, start=1) if c != RIGID), None)
        trivial.append((rows if axis is None else rows.sum(axis=axis) % p).reshape(count, -1))
        if axis is not None and node.shape[axis - 1] > 1:
            difference = rows.take(0, axis=axis) + (p - rows.take(1, axis=axis))
            standard.setdefault(axes[axis - 1], []).append((difference % p).reshape(count, -1))
    ranks = [(every.lengths[c] - 1) * rank(np.concatenate(x, axis=1), p) for c, x in standard.items()]
    return rank(np.concatenate(trivial, axis=1), p) + sum(ranks)

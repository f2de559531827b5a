"""Groups: a lower bound of the Lie rank of a network from parts of its potential that act on few arrays.

The span W of the gradients of f contains, for each degree in the data arrays, that component of f at any
data.  Components that act on the arrays of one *group* only, and brackets of them, stay in the group and what
it shares with others; so does a bracket with one *guest*, a component of which the rest does not touch the
group.  The ranks of the groups in their own coordinates, what they do to the shared ones alone, and the rank
of the gradients in arrays on which f depends linearly add up.  All at one point mod p, in colours.  Statement
and proof: docs/what_is_proved.md.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from itertools import combinations, islice
from math import prod
from operator import add
from typing import Any

import numpy as np

from conslaw.algebra.evaluation import evaluate, gradient, topological_order
from conslaw.algebra.expressions import Expression, Shape, input_array
from conslaw.algebra.finite_field import Residues, RowSpace, drawn, rank, random_prime
from conslaw.algebra.jets import Jets
from conslaw.algebra.terms import Degree, TooManyTermsError, terms_of
from conslaw.algebra.uniform_axes import RIGID, resized_shape
from conslaw.flows.flow import Flow
from conslaw.laws.index_classes import IndexClasses
from conslaw.laws.lie import RandomField, as_rows, nested_bracket
from conslaw.laws.splitting import MOST_CHOICES, colourings, constant_metric, shapes
from conslaw.laws.subnetworks import LARGEST, Widths, lengths_of, subnetwork
from conslaw.laws.windows import flow_like
from conslaw.models.potential import Model

logger = logging.getLogger(__name__)

FEW_INDICES = 3  # of each class, of the network in which gradients of linear arrays are looked at


@dataclass(frozen=True, eq=False)
class Group:
    """Arrays that some components of the potential act on, and nothing else but shared arrays.

    Attributes
    ----------
    own : its arrays
    guest : the name of a number among the data
    flow : of these components, and of guests times ``guest``, on its own and the shared arrays
    """

    own: tuple[str, ...]
    guest: str
    flow: Flow


GUEST = "guest"


def data_degree(degree: Degree, parameters: Mapping[str, Shape]) -> Degree:
    """The part of a degree that belongs to data."""
    return tuple(name for name in degree if name not in parameters)


def components(flow: Flow) -> dict[Degree, dict[Degree, Expression]]:
    """Components of the potential: for each degree in the data its terms, by their degrees in parameters.

    All up to that total degree in the data from which they would be too many; empty if there are too many
    before every array is in one.
    """
    assert flow.model is not None
    parameters, output = flow.model.parameters, flow.model.potential
    used = {x.attribute for x in topological_order([output]) if x.operation == "input"} & set(parameters)
    found, most, left_out = dict[Degree, Expression](), 0, True
    while left_out:
        most += 1
        try:
            more, left_out = terms_of(output, flow.data, most)
        except TooManyTermsError:
            break
        found = dict(more)
    if left_out and not used <= {name for degree in found for name in degree}:
        return {}
    result = dict[Degree, dict[Degree, Expression]]()
    for degree, term in found.items():
        own = tuple(name for name in degree if name in parameters)
        if own:
            result.setdefault(data_degree(degree, parameters), {})[own] = term
    return result


def linear_arrays(parts: Mapping[Degree, Mapping[Degree, Expression]], classes: IndexClasses) -> list[str]:
    """The arrays on which the potential depends linearly, with coefficients of data alone, and that have at
    most one class of indices.
    """
    assert classes.flow.model is not None
    together = {name for part in parts.values() for own in part if len(own) > 1 for name in own}
    return [
        name
        for name in classes.flow.model.parameters
        if name not in together and sum(c != RIGID for c in classes.state[name]) < 2
    ]


def groups_of(flow: Flow) -> tuple[list[Group], list[str], list[str]]:
    """The groups of a flow, the arrays that several share, and the linear ones."""
    every, parts = IndexClasses.of(flow), components(flow)
    linear = linear_arrays(parts, every)
    terms = [{*own} - {*linear} for part in parts.values() for own in part]
    matrices = {n for n, axes in every.state.items() if sum(c != RIGID for c in axes) > 1}
    cores = [term & matrices or term for term in terms if term]
    of = {name: name for core in cores for name in sorted(core)}

    def root(name: str) -> str:
        while of[name] != name:
            name = of[name]
        return name

    for core in cores:
        first, *others = sorted(core)
        for name in others:
            of[root(name)] = root(first)
    near = dict[str, set[str]]()  # the groups beside which an array of none is found
    for core, term in zip(cores, filter(None, terms), strict=True):
        for name in term - of.keys():
            near.setdefault(name, set()).add(root(next(iter(core))))
    members = {r: [n for n in of if root(n) == r] for r in dict.fromkeys(map(root, of))}
    for name, roots in near.items():
        if len(roots) == 1:
            members[next(iter(roots))].append(name)
    shared = [name for name, roots in near.items() if len(roots) > 1]
    made = [
        group
        for r, own in members.items()
        if (group := _group(flow, parts, own, [n for n in shared if r in near[n]]))
    ]
    return made, shared, linear


def _group(
    flow: Flow,
    parts: Mapping[Degree, Mapping[Degree, Expression]],
    own: Sequence[str],
    shared: Sequence[str],
) -> Group | None:
    """The group of some arrays; None if no component acts on them alone."""
    assert flow.model is not None
    arrays, local, guests = {*own, *shared}, list[Expression](), list[Expression]()
    for part in parts.values():
        inside = [term for degree, term in part.items() if arrays >= {*degree}]
        apart = all(arrays >= {*degree} or not arrays & {*degree} for degree in part)
        if inside and len(inside) == len(part):
            local += inside
        elif inside and apart:
            guests += inside
    if not local:
        return None
    guest = next(n for n in (GUEST + "_" * k for k in range(99)) if n not in {**flow.data, **flow.state})
    switch = input_array(guest, ())
    whole = reduce(add, local + [switch * term for term in guests])
    used = {x.attribute for x in topological_order([whole]) if x.operation == "input"}
    parameters = {n: s for n, s in flow.model.parameters.items() if n in used}
    data = {n: s for n, s in flow.data.items() if n in used} | {guest: ()}
    made = flow_like(flow, Model("a group", parameters, data, whole), {n: n for n in parameters})
    return Group(tuple(n for n in parameters if n in own), guest, made)


@dataclass(frozen=True, eq=False)
class GroupBlock:
    """All subnetworks of one shape of one group: as :class:`conslaw.laws.splitting.Block`, in its own arrays."""

    colours: tuple[Widths, ...]
    copies: int
    dimension: int
    ranks: tuple[int, ...]


def choices(flow: Flow) -> Iterator[tuple[IndexClasses, list[Group], list[str], list[str]]]:
    """Sets of classes along which all groups of a flow fall apart into subnetworks, with as few arrays zero as
    can be.
    """
    if flow.model is None or flow.metric_words is None or flow.name != "gradient" or len(flow.fields) > 1:
        return
    if not constant_metric(flow):
        return
    groups, shared, linear = groups_of(flow)
    if len(groups) < 2 and not linear:
        return
    every = IndexClasses.of(flow)
    moved = sorted({c for axes in every.state.values() for c in axes} - {RIGID})
    subsets = (some for k in range(len(moved), 0, -1) for some in combinations(moved, k))
    for some in islice(subsets, MOST_CHOICES):
        frozen = set(every.lengths) - set(some)
        vectors = [n for n, axes in every.state.items() if sum(c in some for c in axes) == 1]
        def fits(zero):
            return all(_classes(every.without(frozen, zero), g).decouples(g.flow.model.potential) for g in groups)
        if fits(vectors):
            zero = list(vectors)
            for name in vectors:
                less = [n for n in zero if n != name]
                if fits(less):
                    zero = less
            yield every.without(frozen, zero), groups, shared, linear


def _classes(classes: IndexClasses, group: Group) -> IndexClasses:
    flow = group.flow
    return replace(
        classes,
        flow=flow,
        state={n: classes.state[n] for n in flow.state},
        data={n: classes.data.get(n, ()) for n in flow.data},
        zero=classes.zero & set(flow.state),
    )


@dataclass(frozen=True, eq=False)
class Groups:
    """What groups prove about a flow, at one point."""

    classes: IndexClasses
    colouring: Counter[Widths]
    blocks: list[list[GroupBlock]]
    shared: int
    linear: int
    prime: int
    seed: int

    @property
    def rank(self) -> int:
        return self.shared + self.linear + sum(b.copies * b.ranks[-1] for x in self.blocks for b in x)

    @property
    def laws_at_most(self) -> int:
        return self.classes.flow.dimension - self.rank


def group_ranks(classes, groups, shared, linear, colouring, *, seed, p):
    """The blocks of all groups, and the rest."""
    every, common = [], {}
    for group in groups:
        own, blocks = _classes(classes, group), []
        for colours, copies in shapes(own, colouring):
            part = subnetwork(own, colours, (), seed=seed, p=p)
            if part.flow.dimension > LARGEST:
                return None
            mine = np.concatenate([np.full(prod(s), n in group.own) for n, s in part.flow.state.items()])
            first = np.flatnonzero(part.exact & mine)
            between = np.flatnonzero(part.number == 0)
            last = np.flatnonzero(part.exact & ~mine)
            if len(first) + len(last) == 0:
                continue
            columns = np.concatenate([first, between, last]) if len(colours) == 1 else first
            rng = np.random.default_rng([seed, *np.ravel(colours)])
            space, ranks = _space(part, group.guest, columns, rng, p)
            found = int((space.pivots < len(first)).sum())
            blocks.append(GroupBlock(colours, copies, len(first), (found,)))
            if len(colours) == 1 and len(last):
                start = len(first) + len(between)
                rows = np.zeros((space.rank, len(columns)), dtype=np.uint64)
                rows[np.arange(space.rank), space.pivots] = 1
                rows[:, space.free] = space.rest
                names = [n for n, s in part.flow.state.items() if n not in group.own]
                wide = _spread(part, group, rows[space.pivots >= start][:, start:], shared, colours[0], classes)
                common.setdefault((colours[0], copies), []).append(wide)
            logger.info("group %s, %s x %d: %s of %d", group.own, colours, copies, ranks, len(first))
        every.append(blocks)
    extra = sum(copies * rank(np.concatenate(x), p) for (_, copies), x in common.items())
    return Groups(classes, colouring, every, extra, linear_rank(classes.flow, linear, seed, p), p, seed)


def _spread(part, group, rows, shared, widths, classes):
    """Rows in the shared arrays of a group, in all shared arrays."""
    sizes = {
        n: prod(resized_shape(classes.flow.state[n], classes.state[n], lengths_of(classes, [widths])))
        if any(c != RIGID for c in classes.state[n]) else 0
        for n in shared
    }
    starts = dict(zip(sizes, np.cumsum([0, *sizes.values()]), strict=False))
    wide, at = np.zeros((len(rows), sum(sizes.values())), dtype=np.uint64), 0
    for n in part.flow.state:
        if n not in group.own and sizes[n]:
            wide[:, starts[n] : starts[n] + sizes[n]] = rows[:, at : at + sizes[n]]
            at += sizes[n]
    return wide


def _space(part, guest, columns, rng, p, patience=2, limit=6):
    space, ranks, idle = RowSpace.zero(len(columns), p), [], 0
    while len(ranks) < limit and idle < patience and space.rank < len(columns):
        before, depth, exhausted = space.rank, len(ranks) + 1, False
        while not exhausted and space.rank < len(columns):
            count = len(columns) - space.rank + 8
            known = space.rank
            space = space.extend(guest_samples(part.flow, part.point, guest, depth, count, rng, p)[:, columns])
            exhausted = space.rank - known <= count - 8
        ranks.append(space.rank)
        idle = idle + 1 if space.rank == before else 0
    return space, ranks


def guest_samples(flow, state, guest, depth, count, rng, p):
    """As :func:`conslaw.laws.lie.trace_samples`; the guest takes part innermost alone."""
    fields = [RandomField(flow, count, rng, p) for _ in range(depth)]
    for one in fields[: -1 if depth > 1 else None]:
        one.data[guest] = {0: np.zeros(count, dtype=np.uint64)}
    return as_rows(flow, nested_bracket(fields, state, Jets(p), 1), count)


def linear_rank(flow, linear, seed, p):
    """The rank of gradients in linear arrays"""
    if not linear:
        return 0
    every = IndexClasses.of(flow)
    parts = components(flow)
    terms = [t for part in parts.values() for own, t in part.items() if len(own) == 1 and own[0] in linear]
    whole = reduce(add, terms)
    if not every.decouples(whole):
        return 0
    lengths = {c: min(n, FEW_INDICES) for c, n in every.lengths.items()}
    [small] = every.resized([whole], lengths)
    nodes = {x.attribute: x for x in topological_order([small]) if x.operation == "input"}
    linear = [n for n in linear if n in nodes]
    slopes = gradient(small, [nodes[n] for n in linear])
    count = sum(prod(nodes[n].shape) for n in linear) + 8
    data = {
        n: {0: drawn(f"conslaw linear {seed} {p} {n}", (count, *x.shape), p)}
        for n, x in nodes.items() if n not in linear
    }
    values = evaluate(slopes, data, Jets(p))
    trivial, standard = [], {}
    for name, value in zip(linear, values, strict=True):
        rows = np.broadcast_to(value.get(0, np.zeros((1,) * (1 + len(nodes[name].shape)), dtype=np.uint64)), (count, *nodes[name].shape))
        axes = every.state[name]
        axis = next((i for i, c in enumerate(axes) if c != RIGID), None)
        if axis is None:
            trivial.append(rows.reshape(count, -1))
            continue
        trivial.append((rows.sum(axis=1 + axis) % p).reshape(count, -1))
        if every.lengths[axes[axis]] > 1:
            x, y = rows.take(0, axis=1 + axis), rows.take(1, axis=1 + axis)
            standard.setdefault(axes[axis], []).append(((x + (p - y)) % p).reshape(count, -1))
    return rank(np.concatenate(trivial, axis=1), p) + sum(
        (every.lengths[c] - 1) * rank(np.concatenate(x, axis=1), p) for c, x in standard.items()
    )

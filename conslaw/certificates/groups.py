"""The rule of groups: components of the potential that keep to few arrays, group by group in colours."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import replace
from functools import reduce
from math import prod
from operator import add
from typing import Any

import flint
import numpy as np

from conslaw.algebra.evaluation import topological_order
from conslaw.algebra.expressions import Expression, input_array
from conslaw.algebra.uniform_axes import RIGID
from conslaw.algebra.values import form
from conslaw.certificates import budget, kernel
from conslaw.certificates.budget import SURPLUS, Task
from conslaw.certificates.kernel import Array, Refuted
from conslaw.certificates.rules import climb, decoupling, elements_of, rising
from conslaw.certificates.subject import Subject, kernel_flow
from conslaw.certificates.subnetworks import Network, Widths, by_colours
from conslaw.flows.flow import Flow
from conslaw.laws.groups import Components, components
from conslaw.laws.index_classes import IndexClasses
from conslaw.models.potential import Model

FEW = 3  # indices of each class where linear arrays are looked at
GUEST, LINEAR_GUEST = "guest of a group", "linear guest of a group"  # no arrays: no identifiers

Rows = Mapping[str, Array]  # for each shared array


def groups(whole: Mapping[str, Any], subject: Subject) -> Task:
    """*Groups*: the rank of the trace is at least the sum of those of the groups in their own coordinates, of
    what they do to the shared arrays alone, and of gradients in linear arrays, all at one point.
    """
    upper, flow = whole["upper"], subject.flow
    if flow is None or flow.model is None or flow.name != "gradient" or len(flow.fields) > 1:
        raise Refuted("groups are of gradient flows of models, without weight decay")
    network, parts = Network(subject, upper), components(flow)
    if any(word.startswith("z") for word in subject.section["metric"].values()) or network.signs:
        raise Refuted("groups are of constant metrics, without sign flips")
    if max(network.classes.lengths.values()) >= network.prime:
        raise Refuted("a class has more indices than the prime")
    shared, linear = upper["shared"]["arrays"], upper["linear"]["arrays"]
    named = [*shared, *linear, *(name for one in upper["groups"] for name in one["arrays"])]
    if len(set(named)) < len(named) or not set(named) <= set(flow.model.parameters):
        raise Refuted("each parameter array belongs to one group, is shared or linear")
    sets = {name: frozenset(one["arrays"]) for one in upper["groups"] for name in one["arrays"]}
    total, tasks, alone = 0, list[Task](), dict[Widths, list[Callable[[], Rows]]]()
    known = dict[str, tuple[Callable[[], Rows], list[str]]]()
    for one in upper["groups"]:
        part = _network_of_group(network, flow.model, parts, sets[one["arrays"][0]], set(shared))
        blocks = by_colours(one["blocks"])
        for colours, copies in network.shapes():
            if (block := blocks.pop(colours, None)) is None:
                continue
            if block["copies"] != copies:
                raise Refuted(f"there are {copies} subnetworks {colours}, not {block['copies']}")
            names, key = list(part.flow.state), _form_of_block(part, one["arrays"], colours, block)
            if key not in known:
                task, found = _block(part, one["arrays"], colours, block)
                tasks.append(task)
                known[key] = (found, names)
            total += copies * block["rank"]
            if len(colours) == 1:
                alone.setdefault(colours[0], []).append(_renamed(*known[key], names))
        if blocks:
            raise Refuted(f"there are no subnetworks {next(iter(blocks))}")
    tasks.append(_linear_arrays(network, parts, linear, upper["linear"]["rank"]))
    rank = total + upper["shared"]["rank"] + upper["linear"]["rank"]
    if upper["ranks"] != [rank]:
        raise Refuted(f"the parts add up to rank {rank}, not {upper['ranks']}"[:200])
    n, p = subject.dimension, network.prime

    def check() -> tuple[int, str]:
        for task in tasks:
            task.run()
        found = sum(network.colouring[colour] * _rank_together(rows, p) for colour, rows in alone.items())
        if found != upper["shared"]["rank"]:
            raise Refuted(f"the groups move the shared arrays alone by rank {found}, not as stated")
        return (
            n - rank,
            f"{n} - {rank} = {n - rank} laws, as {len(upper['groups'])} groups show mod {p}",
        )

    return Task(sum(t.operations for t in tasks), max(t.bytes for t in tasks), check)


def _network_of_group(
    network: Network, model: Model, parts: Components, own: frozenset[str], shared: set[str]
) -> Network:
    """The network of the components that act on the arrays of a group and shared ones alone; and of such
    terms of other components, if the rest of each touches none of these arrays, times a switch: another one
    if that is linear in arrays on which nothing else depends.
    """
    near = {name for part in parts.values() for degree in part if own & {*degree} for name in degree}
    nonlinear = {name for part in parts.values() for degree in part if len(degree) > 1 for name in degree}
    arrays, terms = own | (near & shared), list[Expression]()
    for part in parts.values():
        inside = [degree for degree in part if {*degree} <= arrays]
        outside = [degree for degree in part if not {*degree} <= arrays]
        rest = {name for degree in outside for name in degree}
        if not outside:
            terms += [part[degree] for degree in inside]
        elif not rest & arrays:
            switch = input_array(GUEST if rest & nonlinear else LINEAR_GUEST, ())
            terms += [switch * part[degree] for degree in inside]
    named = {name: name for name in (*arrays, GUEST, LINEAR_GUEST)}
    terms = list({form([x], named): x for x in terms}.values())  # one of those that differ in data alone
    if not terms:
        raise Refuted(f"no component of the potential acts on {', '.join(sorted(own))}")
    whole = reduce(add, terms)
    used = {x.attribute for x in topological_order([whole]) if x.operation == "input"}
    parameters = {name: shape for name, shape in model.parameters.items() if name in used}
    data = {name: shape for name, shape in model.data.items() if name in used} | {GUEST: (), LINEAR_GUEST: ()}
    result, classes = copy(network), network.classes
    result.model = Model("a group", parameters, data, whole)
    result.flow = _gradient_flow(result.model)
    result.classes = replace(
        classes,
        flow=result.flow,
        state={name: classes.state[name] for name in parameters},
        data={name: classes.data.get(name, ()) for name in data},
        zero=classes.zero & set(parameters),
    )
    if network.colouring.total() > 1:
        decoupling(result)
    return result


def _form_of_block(
    part: Network, own: Sequence[str], colours: tuple[Widths, ...], block: Mapping[str, Any]
) -> str:
    """All on which the check of a block depends, with arrays called as those that have the same values: their
    colours and values, the array code, what is stated.
    """
    names = list(part.flow.state)
    called = part.called(names) | {GUEST: GUEST, LINEAR_GUEST: LINEAR_GUEST}
    numbers = dict[int, int]()
    classes = [
        [c if c == RIGID else numbers.setdefault(c, len(numbers)) for c in axes]
        for axes in (*part.classes.state.values(), *part.classes.data.values())
    ]
    place = {c: k for k, c in enumerate(part.order)}
    widths = [[w[place[c]] for c in numbers] for w in [*colours, *part.others(colours)[:1]]]
    code = form([part.model.potential], called)
    values = part.alike(names, colours)
    return repr((code, values, [n in own for n in names], classes, widths, len(colours), block))


def _renamed(rest: Callable[[], Rows], before: Sequence[str], names: Sequence[str]) -> Callable[[], Rows]:
    """The same rows in arrays that are called otherwise."""
    called = dict(zip(before, names, strict=True))
    return lambda: {called[name]: rows for name, rows in rest().items()}


def _gradient_flow(model: Model) -> Flow:
    """The state and the data of a gradient flow: fields are made by the kernel."""
    return Flow("gradient", model, model.parameters, model.data, ({},))


def _block(
    part: Network, own: Sequence[str], colours: tuple[Widths, ...], block: Mapping[str, Any]
) -> tuple[Task, Callable[[], Rows]]:
    """The rank of a group's elements in its own coordinates with all of some colours; then, of a single
    colour, those that vanish in all of its own coordinates and all without colour, in the shared arrays.
    """
    small, p, count = part.small([*colours, *part.others(colours)[:1]]), part.prime, len(colours)
    seen = small.of_state(small.colours)
    exact = small.exact(count)
    mine = np.concatenate([np.full(prod(s), name in own) for name, s in small.flow.state.items()])
    first, last = np.flatnonzero(exact & mine), np.flatnonzero(exact & ~mine)
    if len(first) != block["dimension"]:
        raise Refuted(f"the subnetworks {colours} have {len(first)} coordinates of their own, not as stated")
    between = np.flatnonzero(~seen.any(axis=1))
    columns = np.concatenate([first, between, last]) if count == 1 and len(last) else first
    ranks, found = rising(block["ranks"], len(columns)), list[Array]()

    def sample(depth: int, samples: int) -> Array:
        return elements_of(small, count, p, depth, samples, guest=GUEST, nested=LINEAR_GUEST)

    def check() -> None:
        try:
            found.extend(climb(ranks, lambda d, k: sample(d, k)[:, columns], p))
        except Refuted as problem:
            raise Refuted(f"{', '.join(own)}, the subnetworks {colours}: {problem}") from None
        if (rank := _rank_of(found, slice(len(first)), p)) != block["rank"]:
            raise Refuted(f"the subnetworks {colours} have rank {rank}, not {block['rank']}")

    def rest() -> Rows:
        rows = _vanishing(np.concatenate(found), len(first) + len(between), p) if found else None
        names = np.repeat([*small.flow.state], [prod(s) for s in small.flow.state.values()])[last]
        return (
            {} if rows is None else {name: rows[:, names == name] for name in dict.fromkeys(names.tolist())}
        )

    return budget.brackets(small.flow, ranks, len(columns), check), rest


def _rank_of(rows: Sequence[Array], columns: slice, p: int) -> int:
    return kernel.rank(np.concatenate(rows)[:, columns], p) if rows else 0


def _vanishing(rows: Array, count: int, p: int) -> Array:
    """A basis of the combinations of rows whose first entries vanish, without these entries."""
    reduced, rank = flint.nmod_mat(len(rows), rows.shape[1], rows.reshape(-1).tolist(), p).rref()
    table = np.array([int(x) for x in reduced.entries()], dtype=np.uint64).reshape(rows.shape)[:rank]
    return table[~table[:, :count].any(axis=1), count:]


def _rank_together(rests: Sequence[Callable[[], Rows]], p: int) -> int:
    """The rank of rows in several arrays, each of some of them."""
    every = [rows for rows in (rest() for rest in rests) if rows]
    widths = {name: rows.shape[1] for one in every for name, rows in one.items()}
    if not every:
        return 0
    counts = [len(next(iter(one.values()))) for one in every]
    blocks = [
        [one.get(name, np.zeros((count, width), dtype=np.uint64)) for name, width in widths.items()]
        for one, count in zip(every, counts, strict=True)
    ]
    return kernel.rank(np.block(blocks), p)


def _linear_arrays(network: Network, parts: Components, arrays: Sequence[str], stated: int) -> Task:
    """*Linear arrays*: the rank of gradients in arrays with at most one class of indices on which components
    depend linearly, with coefficients of data, in a network of few indices of each class.
    """
    every, model, p = IndexClasses.of(network.flow), network.model, network.prime
    terms = [term for part in parts.values() for degree, term in part.items() if {*degree} <= {*arrays}]
    mixed = [
        degree for part in parts.values() for degree in part if len(degree) > 1 and {*degree} & {*arrays}
    ]
    if mixed or any(sum(c != RIGID for c in every.state[name]) > 1 for name in arrays):
        raise Refuted("an array is not linear with data for coefficients, or has two classes of indices")
    if not terms or not stated:
        if stated:
            raise Refuted("there are no linear arrays")
        return Task(0.0, 0.0, lambda: None)
    potential = reduce(add, terms)
    if not every.decouples(potential):
        raise Refuted("the linear arrays do not decouple")
    lengths = {c: min(n, FEW) for c, n in every.lengths.items()}
    [small] = every.resized([potential], lengths)
    nodes = {x.attribute: x.shape for x in topological_order([small]) if x.operation == "input"}
    state = {name: nodes[name] for name in model.parameters if name in nodes}
    data = {name: shape for name, shape in nodes.items() if name not in state}
    flow = kernel_flow(small, state, data, network.subject.section)
    n = sum(map(prod, state.values()))
    point = {name: np.zeros((1, 1, *shape), dtype=np.uint64) for name, shape in state.items()}

    def check() -> None:
        rows, at = kernel.elements(flow, point, 1, n + SURPLUS, p), 0
        sums, differences = list[Array](), dict[int, list[Array]]()
        for name, shape in state.items():
            values = rows[:, at : at + prod(shape)].reshape(len(rows), *shape)
            at += prod(shape)
            axis = next((i for i, c in enumerate(every.state[name]) if c != RIGID), None)
            if axis is None:
                sums.append(values.reshape(len(rows), -1))
                continue
            turned = np.moveaxis(values, 1 + axis, 1).reshape(len(rows), shape[axis], -1)
            sums.append(turned.sum(axis=1) % np.uint64(p))
            if shape[axis] > 1:
                one = (turned[:, 0] + (np.uint64(p) - turned[:, 1])) % np.uint64(p)
                differences.setdefault(every.state[name][axis], []).append(one)
        found = _together(sums, p) + sum(
            (every.lengths[c] - 1) * _together(x, p) for c, x in differences.items()
        )
        if found != stated:
            raise Refuted(f"the gradients in linear arrays have rank {found}, not {stated}")

    return budget.brackets(flow, [n], 2 * n, check)


def _together(columns: Sequence[Array], p: int) -> int:
    return kernel.rank(np.concatenate(columns, axis=1), p)

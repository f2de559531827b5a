"""The rules of the matrix ansatz: laws of a large network, and how many of them are independent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import prod
from typing import Any

import numpy as np

from conslaw.algebra.expressions import input_array
from conslaw.algebra.uniform_axes import RIGID
from conslaw.certificates import budget, kernel
from conslaw.certificates.budget import NotChecked, Task
from conslaw.certificates.kernel import Array, Polynomials, Refuted, Shape
from conslaw.certificates.reading import code
from conslaw.certificates.rescalings import rescaling
from conslaw.certificates.rules import PRIME
from conslaw.certificates.subject import Subject, arrays_from, kernel_flow, velocities_of
from conslaw.certificates.subnetworks import Network, Widths, by_colours
from conslaw.flows.flow import Flow
from conslaw.laws.candidates import Combination, arrays_of, candidates
from conslaw.laws.index_classes import IndexClasses, velocities
from conslaw.laws.matrix_ansatz import blocks_of, indices_of_derivative, with_small_classes_whole
from conslaw.laws.matrix_notation import family
from conslaw.laws.windows import arrays_of_windows, ends, has_windows, window, window_at_any_place

CHEAP, MOST = 1e6, 3e7  # multiplications: of a cheap window, and up to which further ones are looked at
MANY = 5  # squares that are more than a window has, as a rule: they are looked at as a rescaling first


def matrix_ansatz(whole: Mapping[str, Any], subject: Subject) -> Task:
    """*The matrix ansatz*: entries of families are laws at any width, if they are in networks of as many
    neurons as a term can involve.
    """
    lower, flow = whole["lower"], subject.flow
    if flow is None or flow.model is None:
        raise Refuted("families are of flows of models in a metric of words")
    every = IndexClasses.of(flow)
    combinations = [_combination(flow, one) for one in lower["families"]]
    pairs = zip(lower["families"], combinations, strict=True)
    tasks = [_identity(subject, every, one, combination) for one, combination in pairs]
    stated, split = [one["laws"] for one in lower["families"]], lower["split"]
    if split is not None:
        rank = gradients_in_subnetworks(Network(subject, split), split, combinations, stated)
    else:
        rank = gradients_along_tangent_vectors(flow, subject.written, combinations, stated)
    tasks.append(rank)

    def check() -> tuple[int, str]:
        for task in tasks:
            task.run()
        for one, combination in zip(lower["families"], combinations, strict=True):
            said = family(flow, combination, one["laws"])
            if any(getattr(said, name) != one[name] for name in ("text", "latex", "kind", "size", "each")):
                raise Refuted(
                    f"{one['text'][:60]} is not what its terms say: {said.text} of size {said.size}"
                )
        number, texts = sum(stated), "; ".join(one["text"] for one in lower["families"]) or "no family"
        where = "at a random point" if split is None else "in subnetworks"
        return (
            number,
            f"{number} laws: the entries of {texts} are identities over Q with gradients of this rank "
            f"{where}",
        )

    return Task(sum(t.operations for t in tasks), max(t.bytes for t in tasks), check)


def _combination(flow: Flow, one: Mapping[str, Any]) -> Combination:
    """The combination of candidates of this model that a family is."""
    known = {(c.kind, c.factors, c.out): c for c in candidates(flow)}
    parts = [
        (t["coefficient"], known.get((one["kind"], tuple(map(tuple, t["factors"])), t["indices"])))
        for t in one["terms"]
    ]
    if not parts or any(c is None for _, c in parts):
        raise Refuted(f"{one['text'][:60]}: its terms are no candidates of this model")
    every, state = IndexClasses.of(flow), arrays_of(flow)
    several = every.without([c for c, n in every.lengths.items() if n == 1], every.zero)
    if len({(c.axes(several), c.size, c.array(state).shape) for _, c in parts if c}) > 1:
        raise Refuted(f"{one['text'][:60]}: its terms do not fit together")
    if one["time_power"] and flow.time is None:
        raise Refuted(f"{one['text'][:60]}: there is no time")
    return Combination(tuple((k, c) for k, c in parts if c), one["time_power"])


def locality(subject: Subject, every: IndexClasses, combination: Combination) -> Iterator[IndexClasses]:
    """*Locality*, *Any place*: a law of a window, or of its code at one place, is a law of the network.  The
    windows of the arrays of a family, shortest first, and the network itself; in each, small classes whole as
    well.
    """
    assert subject.flow is not None
    moving = {dot: name for name, dot in velocities(subject.flow).items()}
    arrays = {moving.get(name, name) for name in combination.names}
    sets = arrays_of_windows(every) if has_windows(subject.flow) else []
    for some in sorted((x for x in sets if arrays <= set(x)), key=len):
        for apart in ends(some):
            whole = window(subject.flow, some, apart=apart)
            for one in (window_at_any_place(whole), whole):
                if one:
                    part = IndexClasses.of(one)
                    yield from dict.fromkeys([part, with_small_classes_whole(part)])
    yield from dict.fromkeys([every, with_small_classes_whole(every)])


def _identity(
    subject: Subject, every: IndexClasses, one: Mapping[str, Any], combination: Combination
) -> Task:
    """A family is conserved if it is in one of its windows: in the first that is cheap to look at or, if it
    is not, another, from cheap to dear; if none is cheap, first in that of least work.  A sum of many squares
    is looked at as a rescaling before.
    """
    windows = (_in_window(subject, part, combination) for part in locality(subject, every, combination))
    dear = list[Task]()
    first = rescaling(subject, every, combination) if len(combination.terms) > MANY else None
    while not first and (task := next(windows, ...)) is not ...:
        if task and task.operations <= CHEAP:
            first = task
        dear += [task] if task else []
    if not first and (task := rescaling(subject, every, combination)):
        dear.append(task)
    if not first and not dear:
        raise Refuted(f"{one['text'][:60]} depends on the number of neurons")
    first = first or min(dear, key=lambda task: task.operations)

    def check() -> None:
        if not (problem := first.run()):
            return
        others = [task for task in [*dear, *windows] if task and task is not first]
        for task in sorted(others, key=lambda task: task.operations):
            if task.operations > MOST:
                text = f"{one['text'][:60]} in windows of {task.operations:.1e} multiplications and more"
                raise NotChecked(text)
            if not task.run():
                return
        raise Refuted(f"{one['text'][:60]} {problem}")

    return Task(first.operations, first.bytes, check)


def _in_window(subject: Subject, part: IndexClasses, combination: Combination) -> Task | None:
    """Whether the entries are conserved in a network with as many neurons as a term can involve, by theorem
    *The matrix ansatz*: the task says what speaks against it.  None if that number is not known.
    """
    needed = dict.fromkeys(part.lengths, 1)
    for _, candidate in combination.terms:
        counts = indices_of_derivative(part, candidate)
        if counts is None:
            return None
        needed = {c: max(n, counts.get(c, 0)) for c, n in needed.items()}
    lengths = {c: min(n, needed[c]) for c, n in part.lengths.items()}
    made = part.smaller_flow(lengths)
    assert part.flow.model is not None
    [potential] = part.resized([part.flow.model.potential], lengths)
    parameters = {n: made.state[n] for n in part.flow.model.parameters}
    flow = kernel_flow(potential, parameters, made.data, subject.section)
    entries = code(combination.timed(combination.array(arrays_of(made))))

    def check() -> str:
        numbers = Polynomials(flow.dimension + sum(map(prod, flow.data.values())))
        own = numbers.variables({**flow.state, **flow.data})
        along = velocities_of(flow, numbers, own)
        try:
            for h in kernel.run(entries, own, numbers)[-1].reshape(-1):
                if h != 0:
                    kernel.check_conserved(h, along, {})
        except Refuted as problem:
            return str(problem)
        return ""

    return budget.identities(flow, float(sum(prod(node.shape) for node in entries)), check)


def gradients_in_subnetworks(
    network: Network, split: Mapping[str, Any], combinations: Sequence[Combination], stated: Sequence[int]
) -> Task:
    """*Gradients in subnetworks*: their matrix is block triangular by colours at the point, so the ranks of
    its blocks add up; and that of sums of arrays in arrays of which no such family is made.
    """
    blocks, each = by_colours(split["blocks"]), list[tuple[int, Task]]()
    fitting = [network.classes.decouples(c.array(arrays_of(network.flow))) for c in combinations]
    linear = [_linear_in_arrays(c) for c in combinations]
    slices, own = _sums_of_slices(combinations, fitting)
    fits_somehow = zip(stated, fitting, linear, slices, strict=True)
    if any(laws and not fits and not row and not apart for laws, fits, row, apart in fits_somehow):
        raise Refuted("a family ties all neurons together")
    parts, known = _laws_apart(network, combinations), dict[str, Task]()
    for colours, copies in network.shapes():
        if block := blocks.pop(colours, None):
            if (block["copies"], block["dimension"]) != (copies, network.exact(colours)):
                raise Refuted(f"there are {copies} subnetworks {colours}, not as stated")
            tasks = [
                _gradients_of_block(part, colours, members, combinations, fitting, own, known)
                for members, part in parts
            ]
            each.append((copies, _together(colours, block, tasks, len(stated))))
    if blocks:
        raise Refuted(f"there are no subnetworks {next(iter(blocks))}")

    def check() -> None:
        found = list(slices)
        for copies, task in each:
            found = [n + copies * more for n, more in zip(found, task.run(), strict=True)]
        sums = sums_of_arrays(found, combinations, network.prime)
        found = [n + more for n, more in zip(found, sums, strict=True)]
        if found != list(stated):
            raise Refuted(f"the families add {found} laws, not {list(stated)}")

    return Task(sum(t.operations for _, t in each), max((t.bytes for _, t in each), default=0.0), check)


def _laws_apart(network: Network, combinations: Sequence[Combination]) -> list[tuple[list[int], Network]]:
    """The numbers of families that have arrays in common, and the network of these arrays alone: the
    gradients of others have no entries there.
    """
    found = list[tuple[list[int], frozenset[str]]]()
    for i, combination in enumerate(combinations):
        names = combination.names
        near = [one for one in found if one[1] & names]
        found = [one for one in found if not one[1] & names]
        found.append(
            (sorted([i, *(j for one in near for j in one[0])]), names.union(*(one[1] for one in near)))
        )
    return [(members, network.of_arrays(names)) for members, names in found]


def _together(
    colours: tuple[Widths, ...],
    block: Mapping[str, Any],
    tasks: Sequence[tuple[list[int], Task]],
    number: int,
) -> Task:
    """What all families add to the rank in subnetworks, from what those with arrays in common add."""

    def check() -> list[int]:
        found = [0] * number
        for members, task in tasks:
            for i, n in zip(members, task.run(), strict=True):
                found[i] = n
        if sum(found) != block["laws"]:
            raise Refuted(
                f"the laws of the subnetworks {colours} have rank {sum(found)}, not {block['laws']}"
            )
        return found

    one = {id(task): task for _, task in tasks}.values()
    return Task(sum(t.operations for t in one), max((t.bytes for t in one), default=0.0), check)


def _sums_of_slices(
    combinations: Sequence[Combination], fitting: Sequence[bool]
) -> tuple[list[int], set[str]]:
    """*Gradients in subnetworks*: how many laws families of sums of slices are in arrays of their own, in
    which no other family is looked at: each has an array that none before it has, where each of its entries
    is a sum of entries that are in no other.
    """
    result, own = list[int](), set[str]()
    for c, fits in zip(combinations, fitting, strict=True):
        factors = [candidate.factors for _, candidate in c.terms]
        names = [name for (name, _), *_ in factors]
        sums = bool(c.like.out) and not c.power and all(len(one) == 1 for one in factors)
        new = sums and not fits and len(set(names)) == len(names) and bool(set(names) - own)
        own |= set(names) if new else set()
        result.append(c.like.size * c.like.each if new else 0)
    return result, own


def sums_of_arrays(found: Sequence[int], combinations: Sequence[Combination], p: int) -> list[int]:
    """What families that are one number, a combination of sums of arrays, add to the rank, beyond families of
    combinations of whole arrays, in the arrays that no other family with laws is made of.
    """
    rows = [_linear_in_arrays(c) for c in combinations]
    whole = [row for n, c, row in zip(found, combinations, rows, strict=True) if n and row and c.like.out]
    others = [c for n, c, row in zip(found, combinations, rows, strict=True) if n and not row]
    busy = {name for c in others for name in c.names}
    free = sorted({name for row in rows for name in row} - busy)

    def rank_of(some: Sequence[Mapping[str, int]]) -> int:
        table = [[row.get(name, 0) % p for name in free] for row in some]
        return kernel.rank(np.array(table, dtype=np.uint64).reshape(len(table), len(free)), p)

    result, known, before = list[int](), whole, rank_of(whole)
    for c, row in zip(combinations, rows, strict=True):
        known = [*known, row] if row and not c.like.out else known
        result.append(rank_of(known) - before)
        before += result[-1]
    return result


def _linear_in_arrays(combination: Combination) -> dict[str, int]:
    """The coefficient of each array, if a family is a combination of whole arrays, or of sums of arrays."""
    result = dict[str, int]()
    for coefficient, candidate in combination.terms:
        (name, letters), *more = candidate.factors
        if more or candidate.out not in ("", letters) or combination.power:
            return {}
        result[name] = result.get(name, 0) + coefficient
    return result


def _gradients_of_block(
    network: Network,
    colours: tuple[Widths, ...],
    members: list[int],
    every_family: Sequence[Combination],
    every_fitting: Sequence[bool],
    apart: set[str],
    known: dict[str, Task],
) -> tuple[list[int], Task]:
    """What the entries of each of some families with all of some colours add to the rank of gradients in the
    coordinates with all of them, without those of arrays that are looked at apart; ``known`` are those of
    other names.
    """
    combinations, fitting = [every_family[i] for i in members], [every_fitting[i] for i in members]
    names = list(network.flow.state)
    called = network.called(names)
    families = [
        [(k, x.kind, x.out, [(called[n], a) for n, a in x.factors]) for k, x in c.terms] for c in combinations
    ]
    own = [name in apart for name in names]
    key = repr(
        (colours, network.alike(names, colours), own, families, fitting, [c.power for c in combinations])
    )
    if key in known:
        return members, known[key]
    count, p = len(colours), network.prime  # that others decouple is known, and tried out beside one colour
    every = [*colours, *(network.others(colours)[:1] if count == 1 else [])]
    small, of = network.small(every), network.of_each_index(every)
    seen = small.of_state(small.colours)
    exact, beyond = small.exact(count), seen[:, count:].any(axis=1)
    arrays = {name: input_array(name, shape) for name, shape in small.flow.state.items()}
    codes = [code(c.array(arrays)) for c in combinations]

    def rows(combination: Combination, written: Sequence[kernel.Node]) -> Array:
        marks = np.zeros((*written[-1].shape, len(every)), dtype=bool)
        for axis, c in enumerate(combination.like.axes(network.classes)):
            if c != RIGID:
                marks |= np.expand_dims(
                    np.eye(len(every), dtype=bool)[of[c]], [i for i in range(marks.ndim - 1) if i != axis]
                )
        own, full = ~marks[..., count:].any(axis=-1), marks[..., :count].all(axis=-1)
        used = {node.attribute for node in written if node.operation == "input"}
        moving = {name: shape for name, shape in small.flow.state.items() if name in used}
        here = np.concatenate([np.full(prod(s), name in used) for name, s in small.flow.state.items()])
        away = np.concatenate([np.full(prod(s), name in apart) for name, s in small.flow.state.items()])
        result = np.zeros((int((own & full).sum()), small.flow.dimension), dtype=np.uint64)
        if not here.any():
            return result[:, exact]
        slopes = slopes_along(written, moving, small.point, np.eye(here.sum(), dtype=np.uint64), p)
        if slopes[own.reshape(-1)][:, beyond[here]].any():
            raise Refuted("a family ties the neurons of a subnetwork to others")
        result[:, here] = slopes[(own & full).reshape(-1)]
        result[:, away] = 0
        return result[:, exact]

    def check() -> list[int]:
        found, ranks = [np.zeros((0, int(exact.sum())), dtype=np.uint64)], [0]
        for combination, written, fits in zip(combinations, codes, fitting, strict=True):
            found += [rows(combination, written)] if fits else []
            ranks.append(kernel.rank(np.concatenate(found), p))
        differences: list[int] = np.diff(ranks).tolist()
        return differences

    known[key] = budget.once(budget.derivatives(codes, small.flow.dimension, check))
    return members, known[key]


def gradients_along_tangent_vectors(
    flow: Flow, written: kernel.Flow, combinations: Sequence[Combination], stated: Sequence[int]
) -> Task:
    """*The matrix ansatz*, gradients: the rank of their products with tangent vectors, at any point mod any
    prime, is no larger.  They are taken array by array (*Gradients array by array*) and, if that does not
    give what is stated, all at once.
    """
    blocks = blocks_of(flow, combinations)
    tasks = [_gradients(flow, [combinations[i] for i in members], columns) for members, columns in blocks]
    seen = set[str]()
    for members, columns in blocks:
        if seen & set(columns):
            raise Refuted("the blocks of gradients are not triangular")
        seen |= {name for i in members for name in combinations[i].names}
    whole = _gradients(flow, combinations, list(flow.state))

    def check() -> None:
        found = [0] * len(stated)
        for (members, _), task in zip(blocks, tasks, strict=True):
            for i, n in zip(members, task.run(), strict=True):
                found[i] = n
        if found != list(stated) and whole.operations > budget.OPERATIONS:
            raise NotChecked(
                f"array by array {sum(found)} of {sum(stated)} laws; all at once is too much work"
            )
        found = found if found == list(stated) else whole.run()
        if found != list(stated):
            raise Refuted(f"the families add {found} laws, not {list(stated)}")

    return Task(sum(t.operations for t in tasks), max((t.bytes for t in tasks), default=0.0), check)


def _gradients(flow: Flow, combinations: Sequence[Combination], columns: Sequence[str]) -> Task:
    """What the entries of each combination add to the rank of gradients with respect to some arrays."""
    names = {name for one in combinations for name in one.names}
    shapes = {n: s for n, s in flow.state.items() if n in names or n in columns}
    codes = [code(c.like.distinct(c.array(arrays_of(flow)))) for c in combinations]
    most = sum(prod(flow.state[n]) for n in columns)
    count = min(most, sum(one[-1].shape[0] for one in codes) + 2)

    def check() -> list[int]:
        rng, size = np.random.default_rng(1), sum(map(prod, shapes.values()))
        point = arrays_from(rng.integers(0, PRIME, (1, size), dtype=np.uint64), shapes)
        moves = np.concatenate(
            [np.full(prod(s), n in columns, dtype=np.uint64) for n, s in shapes.items()]
            or [np.zeros(0, np.uint64)]
        )
        directions = rng.integers(0, PRIME, (count, size), dtype=np.uint64) * moves
        found, ranks = [np.zeros((0, count), dtype=np.uint64)], [0]
        for one in codes:
            found.append(slopes_along(one, shapes, point, directions, PRIME) if count else found[0])
            ranks.append(kernel.rank(np.concatenate(found), PRIME))
        differences: list[int] = np.diff(ranks).tolist()
        return differences

    return budget.derivatives(codes, count, check)


def slopes_along(
    written: Sequence[kernel.Node],
    state: Mapping[str, Shape],
    point: Mapping[str, Array],
    directions: Array,
    p: int,
) -> Array:
    """The derivatives of the entries of an array, one a row, along tangent vectors."""
    portion = max(1, kernel.BATCH // (16 * sum(prod(node.shape) for node in written)))
    parts = [
        kernel.slopes(written, point, arrays_from(directions[i : i + portion], state), p)[1]
        for i in range(0, len(directions), portion)
    ]
    slopes = np.concatenate(parts)
    return slopes.reshape(len(directions), -1).T

"""The rules: one function for each theorem of *What is proved*, which reduces a bound to small ones that the
kernel decides.

Each returns a task: what it will cost, and what then says what was found or refutes it.  They share with the
search what array code means, which axes belong together, and how the code is cut down to fewer neurons
(:mod:`conslaw.laws.index_classes`), no more.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from itertools import pairwise
from math import prod
from typing import Any

import numpy as np

from conslaw.algebra.uniform_axes import RIGID
from conslaw.certificates import budget, kernel
from conslaw.certificates.budget import SURPLUS, NotChecked, Task
from conslaw.certificates.kernel import Array, Polynomials, Refuted
from conslaw.certificates.reading import parse, polynomial_code, prime
from conslaw.certificates.subject import Subject, arrays_from, coordinate_names, velocities_of
from conslaw.certificates.subnetworks import Characters, Network, Small, Widths, by_colours
from conslaw.flows.flow import TIME
from conslaw.models.live_indices import is_dark

MOST_COLOURS = 50  # of a subnetwork with its helpers
LOGS = "log()"  # no array has this name, which is no identifier
DEEPEST = 40  # brackets of more fields are not looked at
PRIME = 2**31 - 1  # for ranks at random points of the verifier's own


def climb(ranks: Sequence[int], sample: Callable[[int, int], Array], p: int) -> list[Array]:
    """``sample(depth, count)`` of as many elements of each depth as these ranks need; refuted if theirs are
    smaller.
    """
    rows = list[Array]()
    for depth, (before, after) in enumerate(pairwise([0, *ranks]), start=1):
        if after > before:
            rows.append(sample(depth, after - before + SURPLUS))
            if (found := kernel.rank(np.concatenate(rows), p)) < after:
                raise Refuted(
                    f"the brackets of up to {depth} fields reach rank {found} at this point, not {after}"
                )
    return rows


def rising(given: Sequence[int], most: int) -> Sequence[int]:
    """Ranks depth by depth, which rise to at most so much."""
    if len(given) > DEEPEST:
        raise NotChecked(f"brackets of {len(given)} fields")
    if not given or list(given) != sorted(given) or given[-1] > most:
        raise Refuted(f"the ranks {list(given)[:9]} do not rise to at most {most}")
    return given


def upper_bound(whole: Mapping[str, Any], subject: Subject) -> Task:
    """*The upper bound*: brackets at the point of the certificate have the rank that it says, so there are at
    most n - rank laws.
    """
    upper, n = whole["upper"], subject.dimension
    flow = subject.with_zero_data(upper.get("data")).written
    p, ranks = prime(upper["prime"]), rising(upper["ranks"], n)
    if {name: len(values) for name, values in upper["point"].items()} != {
        name: prod(s) for name, s in subject.state.items()
    }:
        raise Refuted("the point does not fit the state")
    every = np.array([v for name in subject.state for v in upper["point"][name]], dtype=object)
    if any(not 0 <= v < p for v in every):
        raise Refuted(f"the point does not consist of residues mod {p}")
    point = arrays_from(every.astype(np.uint64)[None], flow.state)

    def check() -> tuple[int, str]:
        climb(ranks, lambda depth, count: kernel.elements(flow, point, depth, count, p, drift=True), p)
        return n - ranks[
            -1
        ], f"{n} - {ranks[-1]} = {n - ranks[-1]} laws, as brackets reach rank {ranks[-1]} mod {p}"

    return budget.brackets(flow, ranks, n, check)


def lower_bound(whole: Mapping[str, Any], subject: Subject) -> Task:
    """*The lower bound*: each law is conserved, identically over Q, and their gradients are independent at
    the point of the certificate.
    """
    lower, n, flow = whole["lower"], subject.dimension, subject.written
    p, names = prime(lower["prime"]), lower["coordinates"]
    if len(names) < n:
        raise Refuted(f"{len(names)} coordinates; the state has {n}")
    state = coordinate_names(subject.state)
    logs = [re.fullmatch(r"log\((.*)\)", name) for name in names[n:]]
    fits = sorted(names[:n]) == sorted(state) and all(x and x[1] in state for x in logs)
    if not fits or len(set(names)) < len(names):
        raise Refuted("the coordinates are not those of the state and logarithms of some of them")
    inner = [state.index(x[1]) for x in logs if x]
    if len(lower["point"]) != len(names) or any(not 0 <= v < p for v in lower["point"]):
        raise Refuted(f"the point has not {len(names)} residues mod {p}")
    at = dict(zip(names, lower["point"], strict=True))
    names = [*state, *names[n:]]  # a reader may sort the names of an object, and with them the state
    point = [at[name] for name in names]
    numbers = {name: i for i, name in enumerate(names)}
    laws = [
        (parse(x["numerator"], numbers), x["denominator"] and parse(x["denominator"], numbers))
        for x in lower["laws"]
    ]
    for i, (top, bottom) in enumerate(laws):
        if not top or (not any(top) and not (bottom and any(bottom))):
            raise Refuted(f"law {i + 1}, {lower['laws'][i]['numerator'][:60]}, is a constant")
        if bottom is not None and not bottom:
            raise Refuted(f"law {i + 1} has the denominator 0")
    arrays = {"state": n, "logs": len(inner)}
    written = polynomial_code([{(): Fraction(1)} if x is None else x for law in laws for x in law], arrays)
    terms = sum(len(m) + 1 for law in laws for x in law if x for m in x)

    def check() -> tuple[int, str]:
        count = n + sum(map(prod, flow.data.values()))
        polynomials = Polynomials(count + len(inner))
        own = polynomials.variables({**flow.state, **flow.data, LOGS: (len(inner),)})
        along = velocities_of(flow, polynomials, own)
        whole_state = np.concatenate([own[name].reshape(-1) for name in flow.state])
        functions = kernel.run(written, {"state": whole_state, "logs": own[LOGS]}, polynomials)[-1]
        for i, (_, bottom) in enumerate(laws):
            try:
                below = None if bottom is None else functions[2 * i + 1]
                kernel.check_conserved(
                    functions[2 * i], along, {count + k: x for k, x in enumerate(inner)}, below
                )
            except Refuted as problem:
                raise Refuted(f"law {i + 1}, {lower['laws'][i]['numerator'][:60]}, {problem}") from None
        found = kernel.rank(_gradients(written, arrays, inner, point, p, len(laws)), p) if laws else 0
        return (
            found,
            f"{found} laws, as {len(laws)} are identities over Q with gradients of rank {found} mod {p}",
        )

    first, second = budget.identities(flow, float(terms), check), budget.derivatives([written], n, check)
    return Task(first.operations + second.operations, first.bytes + second.bytes, check)


def _gradients(
    written: Any, arrays: Mapping[str, int], inner: Sequence[int], point: Sequence[int], p: int, count: int
) -> Array:
    """The gradients mod p of laws P / Q, times Q**2: log x moves with 1/x."""
    n = arrays["state"]
    if not all(point[i] for i in inner):
        raise Refuted("a logarithm of 0 at the point")
    inverse = [pow(point[i], -1, p) for i in inner]
    values = np.array(point, dtype=np.uint64)
    inputs, rows = {"state": values[None, None, :n], "logs": values[None, None, n:]}, []
    portion = max(1, kernel.BATCH // (16 * sum(prod(node.shape) for node in written)))
    for start in range(0, n, portion):
        directions = np.eye(n, dtype=np.uint64)[start : start + portion]
        logs = (
            directions[:, inner] * np.array(inverse, dtype=np.uint64)
            if inner
            else np.zeros((len(directions), 0), dtype=np.uint64)
        )
        value, slopes = kernel.slopes(written, inputs, {"state": directions[None], "logs": logs[None]}, p)
        top, bottom, modulus = slopes[:, ::2], slopes[:, 1::2], np.uint64(p)
        rows.append((top * value[1::2] % modulus + (modulus - value[::2]) * bottom % modulus) % modulus)
    return np.concatenate(rows).T[:count]


def decoupling(network: Network) -> None:
    """*Decoupling*: with data zero off T the potential is that of the colours T, up to terms of second order
    in mixed entries.
    """
    if not network.classes.decouples(network.model.potential):
        raise Refuted("the neurons of these classes do not decouple")


def momentum_or_weight_decay(network: Network) -> None:
    """*With momentum or weight decay*: the drift keeps to the points without mixed entries, as velocities
    vanish with their arrays.
    """
    zero = network.classes.zero
    if not zero <= set(network.classes.state) - {TIME}:
        raise Refuted("arrays that the state does not have are to vanish")
    if any((dot in zero) != (name in zero) for dot, name in network.moving.items()):
        raise Refuted("an array is to vanish without its velocity, or a velocity without its array")


def another_diagonal_metric(network: Network) -> None:
    """*With another diagonal metric*: no array has two coloured axes, and no signs are flipped."""
    words = network.subject.section["metric"].values()
    single = all(sum(c != RIGID for c in axes) < 2 for axes in network.classes.state.values())
    if any(word.startswith("z") for word in words) and (network.signs or network.classes.zero or not single):
        raise Refuted(
            "with this metric one axis of an array may be coloured, no array vanishes, no signs are flipped"
        )


def symmetry_and_helpers(network: Network, small: Small, count: int) -> Array:
    """*Symmetry and helpers*: the coordinates of the first colours in which parts of the trace of the whole
    small network lie in it.
    """
    every = {**small.flow.state, **small.flow.data}
    if len(next(iter(small.flips.values())).T) > MOST_COLOURS:  # a bit of a 64-bit integer for each
        raise NotChecked(f"more than {MOST_COLOURS} kinds of colours")
    powers = 2 ** np.arange(len(next(iter(small.flips.values())).T))
    characters = {name: (small.flips[name] @ powers).reshape(every[name]) for name in every}
    if network.signs and kernel.run(small.flow.code, characters, Characters())[-1].max() > 0:
        raise Refuted("flipping signs as the certificate says changes the potential")
    colours, flips = small.of_state(small.colours), small.of_state(small.flips)
    wanted = np.arange(colours.shape[1]) < count
    exact, odd = (colours == wanted).all(axis=1), (flips == wanted).all(axis=1)
    even = ~flips.any(axis=1)
    usable = odd if not (odd & ~exact).any() else np.zeros_like(odd)
    return exact & (usable | even if count == 1 and (colours[even].sum(axis=1) < 2).all() else usable)


def network_of(subject: Subject, split: Mapping[str, Any]) -> Network:
    """The network in the colours of a certificate, to which the theorems apply."""
    network = Network(subject, split)
    decoupling(network)
    momentum_or_weight_decay(network)
    another_diagonal_metric(network)
    return network


def splitting(whole: Mapping[str, Any], subject: Subject) -> Task:
    """*Splitting into subnetworks*: the rank of the trace is at least the sum of those of its parts, all at
    the point of the certificate.
    """
    upper = whole["upper"]
    network = network_of(subject, upper)
    blocks, tasks, total = by_colours(upper["blocks"]), list[Task](), 0
    for colours, copies in network.shapes():
        small = network.small([*colours, *network.others(colours)])
        size = int(small.exact(len(colours)).sum())
        block = blocks.pop(colours, None)
        if block is None and size:
            raise Refuted(f"the subnetworks {colours} are missing")
        if block is None:
            continue
        if (block["copies"], block["dimension"]) != (copies, size):
            raise Refuted(
                f"there are {copies} subnetworks {colours} of {size} coordinates, not as the certificate says"
            )
        ranks = rising(block["ranks"], size)
        total += copies * ranks[-1]
        tasks.append(_block(network, colours, ranks, block["helped"]))
    if blocks:
        raise Refuted(f"there are no subnetworks {next(iter(blocks))}")
    if upper["beside"] is not None:
        tasks.append(_beside(network, upper["beside"]))
        total += upper["beside"]["rank"]
    drift, n, p = len(network.flow.fields) - 1, subject.dimension, network.prime
    if drift:
        tasks.append(_time_moves(network))
    if dark := n - network.flow.dimension:
        tasks += dark_entries(subject, upper["dark"], dark)
    rank, shapes = total + drift + dark, len(upper["blocks"])
    beside = [upper["beside"]] if upper["beside"] else []
    depths = max((len(b["ranks"]) for b in [*upper["blocks"], *beside]), default=0)
    sums = [
        drift
        + dark
        + sum(b["copies"] * [*b["ranks"], *[b["ranks"][-1]] * depths][d] for b in upper["blocks"])
        for d in range(depths)
    ]
    if [*sums[:-1], rank] != upper["ranks"]:
        raise Refuted(f"the blocks add up to ranks {[*sums[:-1], rank]}, not {upper['ranks']}"[:200])

    def check() -> tuple[int, str]:
        for task in tasks:
            task.run()
        alone = f"{dark:,} dark entries and " if dark else ""
        many = f"{alone}{shapes} shape{'s' * (shapes > 1)} of subnetworks"
        return n - rank, f"{n} - {rank} = {n - rank} laws, as {many} show mod {p}"

    return Task(sum(t.operations for t in tasks), max(t.bytes for t in tasks), check)


def dark_entries(subject: Subject, section: Mapping[str, Any], number: int) -> Iterator[Task]:
    """*Dark entries*: gradients at a point of their own span them all, in each set of colours."""
    network, left = Network(subject, {**section, "zero": [], "sign_flips": {}}), section["left"]
    decoupling(network)
    another_diagonal_metric(network)
    state = network.classes.state
    if any(some and c != RIGID for n in left for some, c in zip(left[n], state[n], strict=True)):
        raise Refuted("indices of a coloured class are dark")
    for colours, copies in network.shapes():
        small = network.small([*colours, *network.others(colours)[:1]])
        wanted = small.exact(len(colours)) & np.concatenate(
            [
                (is_dark(s, left[n]) if n in left else np.zeros(s, dtype=bool)).reshape(-1)
                for n, s in small.flow.state.items()
            ]
        )
        size = int(wanted.sum())
        number -= copies * size
        if size:
            yield _dark_block(network, small, colours, wanted, size)
    if number:
        raise Refuted(f"{number} of the dark entries are in no subnetwork")


def _dark_block(
    network: Network, small: Small, colours: tuple[Widths, ...], wanted: Array, size: int
) -> Task:
    """The rank of gradients in the dark entries with all of some colours."""

    def check() -> None:
        rows = elements_of(small, len(colours), network.prime, 1, size + SURPLUS)
        if kernel.rank(rows[:, wanted], network.prime) < size:
            raise Refuted(f"the subnetworks {colours}: not all dark entries move")

    return budget.brackets(small.flow, [size], size, check)


def elements_of(
    small: Small,
    count: int,
    p: int,
    depth: int,
    samples: int,
    *,
    guest: str | None = None,
    nested: str | None = None,
) -> Array:
    """Elements of the trace with data of the first colours alone, which must not move what has others.

    ``guest`` and ``nested`` are as in :func:`conslaw.certificates.kernel.elements`.
    """
    allowed = small.off(count)
    rows = kernel.elements(
        small.flow, small.point, depth, samples, p, only=allowed, guest=guest, nested=nested
    )
    if rows[:, ~np.concatenate([allowed[n].reshape(-1) for n in small.flow.state])].any():
        raise Refuted("the subnetworks move other neurons")
    return rows


def _block(network: Network, colours: tuple[Widths, ...], ranks: Sequence[int], helped: bool) -> Task:
    """The rank of the trace in the coordinates with all of some colours."""
    count, p, helping = len(colours), network.prime, network.helpers(colours) if helped else []
    small = network.small([*colours, *(helping or network.others(colours)[:1])])
    usable = symmetry_and_helpers(network, small, count)
    exact = small.exact(count)

    def sample(depth: int, samples: int) -> Array:
        rows = [elements_of(small, count, p, depth, samples)]
        if helping and usable.any():
            rows.append(
                kernel.elements(small.flow, small.point, depth, samples, p) * usable.astype(np.uint64)
            )
        return np.concatenate(rows)[:, exact]

    def check() -> None:
        try:
            climb(ranks, sample, p)
        except Refuted as problem:
            raise Refuted(f"the subnetworks {colours}: {problem}") from None

    one = budget.brackets(small.flow, ranks, int(exact.sum()), check)
    return Task(2 * one.operations, one.bytes, check)


def _beside(network: Network, beside: Mapping[str, Any]) -> Task:
    """Elements of one subnetwork that vanish in the coloured coordinates: the difference of two ranks of one
    matrix.
    """
    colours = tuple(map(tuple, beside["colours"]))
    if colours not in [shape for shape, _ in network.shapes()]:
        raise Refuted(f"there are no subnetworks {colours}")
    small, p = network.small([*colours, *network.others(colours)[:1]]), network.prime
    coloured = small.of_state(small.colours).any(axis=1)
    ranks = rising(beside["ranks"], len(coloured))

    def check() -> None:
        rows = np.concatenate(climb(ranks, lambda depth, k: elements_of(small, len(colours), p, depth, k), p))
        found = kernel.rank(rows, p) - kernel.rank(rows[:, coloured], p)
        if found < beside["rank"]:
            raise Refuted(f"the rank in coordinates without colour is {found}, not {beside['rank']}")

    return budget.brackets(small.flow, ranks, 2 * len(coloured), check)


def _time_moves(network: Network) -> Task:
    """The drift moves time at the point, and nothing else does."""
    small = network.small([next(iter(network.colouring))])

    def check() -> None:
        numbers = kernel.Residues(network.prime)
        data = {name: np.zeros((1, 1, *shape), dtype=np.uint64) for name, shape in small.flow.data.items()}
        if not kernel.fields(small.flow, small.point, data, numbers)[0][TIME].any():
            raise Refuted(f"time stands still at the point mod {network.prime}")

    return budget.brackets(small.flow, [1], 1, check)

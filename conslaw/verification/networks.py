"""Bounds of large networks: subnetworks that are written out, families of laws at any width."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement, product
from math import comb, prod
from typing import Any

import numpy as np
import numpy.typing as npt

from conslaw.families import LARGEST_DIRECTLY, Combination, candidates, directly, family, indices_of_derivative, size_directly
from conslaw.flows import TIME, Flow
from conslaw.index_classes import RIGID, IndexClasses, velocities
from conslaw.verification.algebra import (
    Polynomial,
    Refuted,
    Sampler,
    VectorField,
    check_prime,
    coordinate_names,
    expanded,
    increments,
    is_symbolic,
    rank,
)
from conslaw.verification.bounds import SURPLUS, derivative
from conslaw.verification.subject import Subject, derived_fields, family_model

LARGEST_SMALL = 4_000  # coordinates and data of a subnetwork that is written out


@dataclass
class _Small:
    """Some colours of a network, written out: potential, fields, and what each coordinate has to do with each colour."""

    state: dict[str, tuple[int, ...]]
    numbers: dict[str, int]
    n: int
    fields: list[VectorField]
    potential: Polynomial
    colours: list[frozenset[int]]  # of each coordinate and datum
    flips: list[frozenset[int]]  # the colours whose sign flip flips it
    names: list[str]  # the array that it belongs to

    def allowed(self, own: frozenset[int]) -> npt.NDArray[np.bool_]:
        """The coordinates and data of some colours alone."""
        return np.array([c <= own for c in self.colours])


class _Network:
    """A large model in classes, as the certificate says, from which small ones are written out."""

    def __init__(self, whole: Mapping[str, Any], subject: Subject, split: Mapping[str, Any]) -> None:
        if subject.flow is None or subject.model is None:
            raise Refuted("only flows of models in a metric of words are split")
        self.subject, self.family = subject, whole["model"]["family"]
        every = IndexClasses.of(subject.flow)
        axes = {(n, i): c for n, a in [*every.state.items(), *every.data.items()] for i, c in enumerate(a)}
        chosen = [{axes[name, i] for name, i in group} for group in split["classes"]]
        if any(len(c) != 1 or RIGID in c for c in chosen) or len(set.union(set(), *chosen)) != len(chosen):
            raise Refuted("the classes of the certificate are not those of the array code")
        self.order = [min(c) for c in chosen]
        self.classes = every.without(set(every.lengths) - set(self.order), split["zero"])
        if not self.classes.decouples(subject.model.potential):
            raise Refuted("the neurons of these classes do not decouple")
        if set(split["zero"]) - set(self.classes.state) or set(split["sign_flips"]) - {*self.classes.state, *self.classes.data}:
            raise Refuted("arrays that the model does not have are to vanish or to change sign")
        self.signs = {name: list(turn) for name, turn in split["sign_flips"].items()}
        self.moving = {dot: name for name, dot in velocities(subject.flow).items()}
        words = subject.flow_section["metric"].values()
        single = all(sum(c != RIGID for c in a) < 2 for a in self.classes.state.values())
        if any(word.startswith("z") for word in words) and (self.signs or not single):
            raise Refuted("with this metric only one axis of an array may be coloured, and signs may not be flipped")
        self.drift = len(subject.flow.fields) > 1
        self.colouring = Counter({tuple(widths): count for widths, count in split["colours"]})
        for k, c in enumerate(self.order):
            if sum(w[k] * count for w, count in self.colouring.items()) != self.classes.lengths[c]:
                raise Refuted(f"the colours do not add up to the {self.classes.lengths[c]} neurons of class {k}")

    def shapes(self) -> Iterator[tuple[tuple[tuple[int, ...], ...], int]]:
        """The shapes of subnetworks and how many there are."""
        most = max(sum(c != RIGID for c in axes) for axes in self.classes.state.values())
        for size in range(1, most + 1):
            for colours in combinations_with_replacement(sorted(self.colouring, reverse=True), size):
                count = prod(comb(self.colouring[w], k) for w, k in Counter(colours).items())
                if count:
                    yield colours, count

    def written(self, colours: Sequence[Sequence[int]]) -> _Small:
        """The network of some colours."""
        lengths = {c: sum(w[k] for w in colours) for k, c in enumerate(self.order)}
        if any(n > self.classes.lengths[c] or n < 0 for c, n in lengths.items()):
            raise Refuted(f"there are not so many neurons as in the colours {list(colours)}")
        flow, subject = self.classes.smaller_flow(lengths), self.subject
        assert subject.model is not None
        state, data = dict(flow.state), dict(flow.data)
        if sum(prod(s) for s in [*state.values(), *data.values()]) > LARGEST_SMALL:
            raise Refuted(f"a subnetwork of more than {LARGEST_SMALL:,} coordinates")
        numbers = {name: i for i, name in enumerate([*coordinate_names(state), *coordinate_names(data)])}
        parameters = {name: state[name] for name in subject.model.parameters}
        arrays = {**parameters, **data}
        [small] = self.classes.resized([subject.model.potential], lengths)
        potential = expanded(small, arrays, numbers)
        self._same_as_family(parameters, arrays, numbers, potential)
        fields = derived_fields(potential, parameters, numbers, subject.flow_section)
        of = {c: [i for i, w in enumerate(colours) for _ in range(w[k])] for k, c in enumerate(self.order)}
        known, marks, flips = {**self.classes.state, **self.classes.data}, list[frozenset[int]](), list[frozenset[int]]()
        for name, shape in [*state.items(), *data.items()]:
            turn = self.signs.get(self.moving.get(name, name), [0] * len(shape))
            for index in np.ndindex(*shape):
                pairs = [(of[c][i], t) for c, i, t in zip(known[name], index, turn, strict=True) if c != RIGID]
                marks.append(frozenset(i for i, _ in pairs))
                flips.append(frozenset(i for i, k in Counter(i for i, t in pairs if t).items() if k % 2))
        n = sum(prod(s) for s in state.values())
        for monomial in potential.terms:
            if self.signs and any(k % 2 for k in Counter(i for v in monomial for i in flips[v]).values()):
                raise Refuted("flipping signs as the certificate says changes the potential")
        owners = [name for name, shape in [*state.items(), *data.items()] for _ in range(prod(shape))]
        return _Small(state, numbers, n, fields, potential, marks, flips, owners)

    def _same_as_family(self, parameters: Any, arrays: Any, numbers: Mapping[str, int], potential: Polynomial) -> None:
        """The small network of a family is what the family makes of small sizes."""
        if self.family is None or any(n == 0 for s in parameters.values() for n in s):
            return
        name, shapes = self.family["name"], list(parameters.values())
        if name in ("linear", "relu"):
            matrices = [s for s in shapes if len(s) == 2]
            widths = [matrices[0][1], *(s[0] for s in matrices)]
        elif name in ("nmf", "icnn"):
            widths = [*shapes[0], shapes[1][1]]
        elif name == "pca":
            widths = list(shapes[0])
        else:
            return
        made = family_model(name, {**self.family["arguments"], "widths": widths})
        if expanded(made.potential, arrays, numbers) != potential:
            raise Refuted(f"cut down to {widths}, the network is not the {name} network of these widths")

    def mixed(self, small: _Small, own: frozenset[int], v: int) -> bool:
        """Whether a coordinate is small where the colours of ``own`` decouple from the others."""
        colours = small.colours[v]
        name = small.names[v]
        return bool(colours & own and colours - own) or (name in self.classes.zero and bool(colours - own))

    def check_decoupled(self, small: _Small, terms: Polynomial, own: frozenset[int], what: str) -> None:
        """Each term whose data have colours of ``own`` alone has state entries of these colours alone, or two mixed ones."""
        for monomial in terms.terms:
            if any(v >= small.n and not small.colours[v] <= own for v in monomial):
                continue
            state = [v for v in monomial if v < small.n]
            if any(not small.colours[v] <= own for v in state) and sum(self.mixed(small, own, v) for v in state) < 2:
                raise Refuted(f"{what} couples the colours {sorted(own)} to others")

    def point(self, small: _Small, seed: Sequence[int], p: int) -> npt.NDArray[np.int64]:
        """A random point that has weights between different colours, and what flips sign, equal to zero."""
        values = np.random.default_rng([1, *seed]).integers(0, p, small.n)
        for v in range(small.n):
            zero = small.names[v] in self.classes.zero
            if len(small.colours[v]) > 1 or small.flips[v] or zero:
                values[v] = 0
        return values


def upper_by_subnetworks(whole: Mapping[str, Any], subject: Subject, bounds: dict[str, int]) -> str:
    """At most so many laws: each shape of subnetworks has the recorded rank, and there are as many of each as recorded."""
    upper = whole["upper"]
    check_prime(upper["prime"])
    network = _Network(whole, subject, upper)
    by_shape = {tuple(map(tuple, b["colours"])): b for b in upper["blocks"]}
    total, dimension, jets = upper["beside"], 0, 0
    for colours, copies in network.shapes():
        block = by_shape.pop(colours, None)
        of_one, size, symbolic = _block(network, colours, block, upper["prime"])
        jets += not symbolic
        dimension += copies * size
        total += copies * of_one
        if block is not None and (block["copies"], block["dimension"]) != (copies, size):
            raise Refuted(f"there are {copies} subnetworks {colours} with {size} coordinates each, not as the certificate says")
    if by_shape:
        raise Refuted(f"there are no subnetworks {next(iter(by_shape))}")
    beside = subject.dimension - dimension - network.drift
    if not 0 <= upper["beside"] <= beside:
        raise Refuted(f"{beside} coordinates have no colour; {upper['beside']} is not their rank")
    if upper["beside"]:
        _check_beside(network, upper)
    whole_rank = total + network.drift
    depths = max(len(b["ranks"]) for b in upper["blocks"])
    padded = [(b["copies"], [*b["ranks"], *[b["ranks"][-1]] * depths]) for b in upper["blocks"]]
    sums = [network.drift + sum(copies * ranks[d] for copies, ranks in padded) for d in range(depths)]
    if [*sums[:-1], whole_rank] != upper["ranks"]:
        raise Refuted(f"the blocks add up to ranks {[*sums[:-1], whole_rank]}, not {upper['ranks']}")
    bounds["laws_at_most"] = subject.dimension - whole_rank
    how = "exact symbolic brackets" + (f"; jets, the method of the search, for {jets} of them" if jets else "")
    how += "; jets beside them" if upper["beside"] else ""
    n, blocks = subject.dimension, len(upper["blocks"])
    return f"{n} - {whole_rank} = {n - whole_rank} laws, as {blocks} shape{'s' * (blocks > 1)} of subnetworks show ({how})"


def _check_beside(network: _Network, upper: Mapping[str, Any]) -> None:
    """The rank in coordinates without colour, by the search's own method."""
    from conslaw.splitting import split_ranks

    again = split_ranks(network.classes, network.colouring, seed=upper["seed"] + 1, p=upper["prime"])
    if again is None or again.beside != upper["beside"]:
        raise Refuted(f"the rank in coordinates without colour is not {upper['beside']}")


def _block(
    network: _Network, colours: tuple[tuple[int, ...], ...], block: Mapping[str, Any] | None, p: int
) -> tuple[int, int, bool]:
    """The rank of the trace in the coordinates with all of some colours; their number; whether it was found symbolically."""
    alone = len(colours) == 1
    own = frozenset(range(len(colours)))
    helpers = [w for w in network.colouring if network.colouring[w] > colours.count(w) and (not alone or w > colours[0])]
    small = network.written([*colours, *helpers])
    exact = [v for v in range(small.n) if small.colours[v] == own]
    if not exact:
        return 0, 0, True
    if block is None:
        raise Refuted(f"the subnetworks {colours} are missing")
    network.check_decoupled(small, small.potential, own, "the potential")
    lengths = [network.classes.lengths[c] for c in network.order]
    used = [sum(w[k] for w in (*colours, *helpers)) for k in range(len(lengths))]
    if any(a < n for a, n in zip(used, lengths, strict=True)):  # others than the helpers must be decoupled too
        one_more = network.written([*colours, tuple(min(1, n - a) for a, n in zip(used, lengths, strict=True))])
        network.check_decoupled(one_more, one_more.potential, own, "the potential")
    state = range(small.n)
    odd = [v for v in state if small.flips[v] == own]
    even = [v for v in state if not small.flips[v]]
    usable = set(odd) if all(small.colours[v] == own for v in odd) else set()
    if alone and all(len(small.colours[v]) < 2 for v in even):
        usable |= set(even)
    ranks = block["ranks"]
    if not ranks or sorted(ranks) != ranks or ranks[-1] > len(exact):
        raise Refuted(f"the ranks {ranks[:9]} of the subnetworks {colours} do not rise to at most {len(exact)}")
    sampler = Sampler(small.fields, small.n, p, np.random.default_rng(2))
    control = [len(small.fields) - 1]
    symbolic = is_symbolic(sampler.terms, ranks)
    if not symbolic:
        return _block_by_jets(network, colours, helpers, ranks, p), len(exact), False
    point, allowed = network.point(small, list(np.ravel(colours)), p), small.allowed(own)
    inside = point * allowed[: small.n]
    rows = list[list[int]]()
    for depth, more in enumerate(increments(ranks), start=1):
        for _ in range(more + SURPLUS if more else 0):
            value = sampler.sample(depth, inside, first=control, allowed=allowed)
            if any(value[v] for v in state if not small.colours[v] <= own and not (network.drift and v == 0)):
                raise Refuted(f"the subnetwork {colours} moves other neurons")
            rows.append([int(value[v]) for v in exact])
            if helpers and usable:
                value = sampler.sample(depth, point, first=control)
                rows.append([int(value[v]) if v in usable else 0 for v in exact])
        if more and (found := rank(rows, p)) != ranks[depth - 1]:
            raise Refuted(f"the subnetworks {colours} have rank {found}, not {ranks[depth - 1]}")
    return ranks[-1], len(exact), True


def _block_by_jets(
    network: _Network, colours: Sequence[tuple[int, ...]], helpers: Sequence[tuple[int, ...]], ranks: Sequence[int], p: int
) -> int:
    from conslaw.splitting import block_ranks

    found = block_ranks(network.classes, colours, helpers, seed=3, p=p)
    if list(found) != list(ranks):
        raise Refuted(f"the subnetworks {colours} have ranks {found}, not {ranks}")
    return found[-1]


def lower_by_families(whole: Mapping[str, Any], subject: Subject, bounds: dict[str, int]) -> str:
    """The entries of families are identities in a network that has as many neurons as a term can involve, and independent."""
    lower = whole["lower"]
    if subject.flow is None:
        raise Refuted("families are of flows of models in a metric of words")
    every = IndexClasses.of(subject.flow)
    combinations = [_combination(subject.flow, one) for one in lower["families"]]
    for one, combination in zip(lower["families"], combinations, strict=True):
        _check_identity(subject, every, one, combination)
        _check_written(subject.flow, one, combination)
    if lower["split"] is None:
        each = _rank_directly(subject.flow, combinations, lower["seed"] + 1)
        how = "at a random point, by jets"
    else:
        check_prime(lower["split"]["prime"])
        each = _rank_in_blocks(_Network(whole, subject, lower["split"]), lower)
        how = "in subnetworks"
    found = sum(each)
    bounds["laws_found"] = found
    if found != whole["bounds"]["laws_found"]:
        raise Refuted(f"the gradients of the families have rank {found}, not {whole['bounds']['laws_found']}")
    for one, laws in zip(lower["families"], each, strict=True):
        if one["laws"] != laws:
            raise Refuted(f"{one['text']} adds {laws} laws, not {one['laws']}")
    texts = "; ".join(one["text"] for one in lower["families"]) or "no family"
    return f"{found} laws, as the entries of {texts} are identities over Q, and their gradients have rank {found} ({how})"


def _combination(flow: Flow, one: Mapping[str, Any]) -> Combination:
    """The combination of candidates of this model that a family is."""
    known = {(c.kind, c.factors, c.out): c for c in candidates(flow)}
    parts = []
    if not one["terms"]:
        raise Refuted(f"{one['text']}: a family without terms")
    for term in one["terms"]:
        candidate = known.get((one["kind"], tuple(map(tuple, term["factors"])), term["indices"]))
        if candidate is None:
            raise Refuted(f"{one['text']}: {term['factors']} is not a candidate of this model")
        parts.append((term["coefficient"], candidate))
    return Combination(tuple(parts), one["time_power"])


def _check_written(flow: Flow, one: Mapping[str, Any], combination: Combination) -> None:
    """A family is written as its terms say."""
    written = family(flow, combination, one["laws"])
    for name in ("text", "latex", "kind", "size"):
        if getattr(written, name) != one[name]:
            raise Refuted(
                f"{one['text']} of size {one['size']} is written as its terms do not say: {written.text}, size {written.size}"
            )


def _entries_of(
    one: Mapping[str, Any], state: Mapping[str, Sequence[int]], numbers: Mapping[str, int]
) -> dict[tuple[int, ...], Polynomial]:
    """The entries of a family, written out by index."""
    result: dict[tuple[int, ...], Polynomial] = {}
    for term in one["terms"]:
        sizes: dict[str, int] = {}
        for name, letters in term["factors"]:
            for letter, n in zip(letters, state[name], strict=True):
                if sizes.setdefault(letter, n) != n:
                    raise Refuted(f"{one['text']}: the axes {letter} differ in length")
        out = term["indices"]
        skew = one["kind"] == "skew"
        sums: dict[tuple[int, ...], dict[tuple[int, ...], int]] = {}
        for values in product(*(range(n) for n in sizes.values())):
            at = dict(zip(sizes, values, strict=True))
            monomial = tuple(sorted(numbers[_entry_name(name, [at[c] for c in letters])] for name, letters in term["factors"]))
            index = tuple(at[c] for c in out)
            for where, sign in ((index, 1), (index[::-1], -1)) if skew else ((index, 1),):
                mine = sums.setdefault(where, {})
                mine[monomial] = mine.get(monomial, 0) + sign * term["coefficient"]
        for index in product(*(range(sizes[c]) for c in out)):
            piece = Polynomial({m: c for m, c in sums.get(index, {}).items() if c})
            result[index] = result[index] + piece if index in result else piece
    if one["time_power"]:
        result = {index: x * Polynomial.variable(numbers[TIME]) ** one["time_power"] for index, x in result.items()}
    return result


def _entry_name(name: str, index: Sequence[int]) -> str:
    return f"{name}[{','.join(map(str, index))}]" if index else name


def _check_identity(subject: Subject, every: IndexClasses, one: Mapping[str, Any], combination: Combination) -> None:
    assert subject.model is not None
    needed = dict.fromkeys(every.lengths, 1)
    for _, candidate in combination.terms:
        counts = indices_of_derivative(every, candidate)
        if counts is None:
            raise Refuted(f"{one['text']} depends on the number of neurons")
        needed = {c: max(n, counts.get(c, 0)) for c, n in needed.items()}
    lengths = {c: min(n, needed[c]) for c, n in every.lengths.items()}  # as many as a term can involve
    flow = every.smaller_flow(lengths)
    state, data = dict(flow.state), dict(flow.data)
    numbers = {name: i for i, name in enumerate([*coordinate_names(state), *coordinate_names(data)])}
    parameters = {name: state[name] for name in subject.model.parameters}
    [small] = every.resized([subject.model.potential], lengths)
    potential = expanded(small, {**parameters, **data}, numbers)
    fields = derived_fields(potential, parameters, numbers, subject.flow_section)
    for index, entry in _entries_of(one, state, numbers).items():
        for vector_field in fields:
            if derivative(entry, vector_field, {}).terms:
                raise Refuted(f"{one['text']}: entry {index} is not conserved")


def _rank_directly(flow: Flow, combinations: Sequence[Combination], seed: int) -> list[int]:
    if size_directly(flow, combinations) > LARGEST_DIRECTLY:
        raise Refuted("too many gradients for a random point of the whole: they need subnetworks")
    return directly(flow, combinations, seed)


def _rank_in_blocks(network: _Network, lower: Mapping[str, Any]) -> list[int]:
    """What each family adds to the rank of the gradients, shape by shape."""
    split, total = lower["split"], [0] * len(lower["families"])
    by_shape = {tuple(map(tuple, b["colours"])): b for b in split["blocks"]}
    for colours, copies in network.shapes():
        block = by_shape.get(colours)
        if block is None:
            continue
        own = frozenset(range(len(colours)))
        lengths = [network.classes.lengths[c] for c in network.order]
        used = [sum(w[k] for w in colours) for k in range(len(lengths))]
        other = tuple(min(1, n - a) for a, n in zip(used, lengths, strict=True))
        small = network.written([*colours, other])
        point = network.point(small, list(np.ravel(colours)), split["prime"]).tolist() + [0] * (len(small.numbers) - small.n)
        if network.drift:
            point[0] = 1
        exact = [v for v in range(small.n) if small.colours[v] == own]
        rows, ranks = list[list[int]](), [0]
        for one in lower["families"]:
            axes = _family_axes(network, one)
            of = {c: [i for i, w in enumerate([*colours, other]) for _ in range(w[k])] for k, c in enumerate(network.order)}
            for index, entry in _entries_of(one, small.state, small.numbers).items():
                where = frozenset(of[c][i] for c, i in zip(axes, index, strict=True) if c != RIGID)
                if not where <= own:
                    continue
                network.check_decoupled(small, entry, own, one["text"])
                if where == own:
                    slopes = entry.slopes()
                    rows.append([slopes[v].at(point, split["prime"]) if v in slopes else 0 for v in exact])
            ranks.append(rank(rows, split["prime"]))
        found = ranks[-1]
        if (found, copies, len(exact)) != (block["laws"], block["copies"], block["dimension"]):
            raise Refuted(f"the laws of the subnetworks {colours} have gradients of rank {found}, not {block['laws']}")
        total = [t + copies * (b - a) for t, a, b in zip(total, ranks, ranks[1:], strict=False)]
    return total


def _family_axes(network: _Network, one: Mapping[str, Any]) -> list[int]:
    """The class of each axis of a family."""
    term = one["terms"][0]
    by_letter = {c: k for name, letters in term["factors"] for c, k in zip(letters, network.classes.state[name], strict=True)}
    return [by_letter[c] for c in term["indices"]]

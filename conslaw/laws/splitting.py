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

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from itertools import combinations, combinations_with_replacement, islice, pairwise
from math import comb, inf, prod
from typing import Any

import numpy as np

from conslaw.algebra.evaluation import topological_order
from conslaw.algebra.expressions import Shape
from conslaw.algebra.finite_field import Residues, RowSpace
from conslaw.algebra.threads import mapped
from conslaw.algebra.uniform_axes import RIGID, Axes, resized_shape
from conslaw.flows.flow import Flow
from conslaw.laws.candidates import Combination, arrays_of
from conslaw.laws.index_classes import IndexClasses
from conslaw.laws.subnetworks import (
    LARGEST,
    Beside,
    Subnetwork,
    Widths,
    beside_of,
    block_ranks,
    helpers_of,
    law_gradients,
    law_ranks,
    lengths_of,
    marked,
    subnetwork,
    time_moves,
    with_helpers,
)

MOST_CHOICES, MOST_LOOKED_AT = 64, 20_000  # sets of classes that are looked at, and nodes of code for them
LONG_CODE = 150  # nodes
AN_ENTRY = 3e-7  # units for an entry of the code, in all brackets of a coordinate
AN_ENTRY_OF_GRADIENTS = 1e-8  # the same, in gradients alone


@dataclass(frozen=True)
class Block:
    """All subnetworks of one shape.

    Attributes
    ----------
    colours : the widths of each of its colours
    copies : how many subnetworks of this shape there are
    dimension : number of state coordinates with all its colours in their indices
    ranks : of its trace in those coordinates, depth by depth
    helped : whether elements of a larger subnetwork were needed for these ranks
    laws : what each family of laws adds to the rank of the gradients in those coordinates
    """

    colours: tuple[Widths, ...]
    copies: int
    dimension: int
    ranks: tuple[int, ...]
    helped: bool
    laws: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Coloured:
    """What a colouring proves about a flow, at one point.

    Attributes
    ----------
    classes : the index classes that are coloured
    colouring : how many colours there are of which widths
    prime, seed : the point is drawn mod this prime from this seed (:func:`slice_of_point`)
    """

    classes: IndexClasses
    colouring: Counter[Widths]
    prime: int
    seed: int

    @property
    def ranks(self) -> tuple[int, ...]:
        """Ranks of the trace at the point with brackets of up to 1, 2, ... fields: proved lower bounds of the
        generic ones.
        """
        raise NotImplementedError

    @property
    def laws_at_most(self) -> int:
        """State dimension minus the last rank: a proved bound."""
        return self.classes.flow.dimension - self.ranks[-1]

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready dictionary: the classes (their axes, as array and number), and the colours."""
        classes, arrays = self.classes, {**self.classes.state, **self.classes.data}
        return {
            "classes": [
                [[n, i] for n, axes in arrays.items() for i, k in enumerate(axes) if k == c]
                for c in classes.lengths
            ],
            "zero": sorted(classes.zero),
            "sign_flips": {name: list(classes.flips[name]) for name in classes.flips},
            "colours": [[list(widths), count] for widths, count in self.colouring.items()],
            "prime": self.prime,
            "seed": self.seed,
            **({"same": dict(classes.same)} if classes.same else {}),
        }


@dataclass(frozen=True, eq=False)
class Split(Coloured):
    """Subnetworks of some colours, and their ranks.

    Attributes
    ----------
    blocks : one for each shape of subnetworks
    beside : the rank of coordinates without colour, if there are some that move
    drift : how many of the drift fields are no combination of the rest, as time moves: 0 or 1
    laws : what each family adds to the rank of gradients
    """

    blocks: list[Block]
    beside: Beside | None
    drift: int
    laws: list[int]

    @property
    def ranks(self) -> tuple[int, ...]:
        """Ranks of the trace at the point, depth by depth: sums of those of the blocks."""
        every = [b.ranks for b in self.blocks] + ([self.beside.ranks] if self.beside else [])
        depths = max(map(len, every), default=1)
        ranks = [
            self.drift + sum(b.copies * b.ranks[min(d, len(b.ranks) - 1)] for b in self.blocks)
            for d in range(depths)
        ]
        return (*ranks[:-1], ranks[-1] + (self.beside.rank if self.beside else 0))

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
        """A JSON-ready dictionary: the colours, and the blocks."""
        return super().to_json() | {
            "data": self.classes.flow.kept,
            "blocks": [
                {"colours": [list(w) for w in b.colours], "copies": b.copies, "dimension": b.dimension}
                | {"ranks": list(b.ranks), "helped": b.helped, "laws": sum(b.laws)}
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


@dataclass(frozen=True, eq=False)
class Colouring:
    """A way to split a flow: classes, how many colours there are of which widths, of how many shapes their
    subnetworks are, and about how much work these are, in units, apart from the depth of their brackets.
    """

    classes: IndexClasses
    colours: Counter[Widths]
    shapes: int
    work: float

    @property
    def rich(self) -> bool:
        """Whether weights lie between colours, and nothing vanishes by sign flips."""
        return not self.classes.flips and not _single(self.classes)


def every_colouring(choices: Sequence[IndexClasses]) -> tuple[Colouring, ...]:
    """All colourings of some sets of classes, from cheap to dear, without those that have too large parts;
    first those where nothing vanishes by sign flips.
    """
    found = [
        Colouring(x, colours, len(list(shapes(x, colours))), _work(x, colours))
        for x in choices
        for colours in colourings(x)
    ]
    return tuple(sorted((x for x in found if x.work < inf), key=lambda x: (not x.rich, x.work)))


def _work(classes: IndexClasses, colouring: Counter[Widths]) -> float:
    """About how many units the rest of a colouring takes: infinite if a part is too large."""
    total = 0.0
    for colours, _ in shapes(classes, colouring):
        helpers = _helping(classes, colouring, colours)
        if classes.dimension(lengths_of(classes, [*colours, *helpers])) > LARGEST:
            return inf
        own = classes.dimension(lengths_of(classes, colours))
        an_entry = AN_ENTRY if classes.flips or _single(classes) else AN_ENTRY_OF_GRADIENTS
        values = an_entry * _entries(classes, tuple(lengths_of(classes, colours).items())) * own
        total += 0.02 + values + 2e-6 * own**2 + 1e-9 * own**3
    return total


def _helping(classes: IndexClasses, colouring: Counter[Widths], colours: Sequence[Widths]) -> list[Widths]:
    """The colours that help: none without sign flips, where weights lie between colours."""
    return helpers_of(colouring, colours) if classes.flips or _single(classes) else []


@lru_cache(maxsize=4096)
def _entries(classes: IndexClasses, lengths: tuple[tuple[int, int], ...]) -> int:
    """The entries of all arrays of the code of a subnetwork."""
    assert classes.flow.model is not None
    few = dict(lengths)
    return sum(prod(resized_shape(shape, axes, few)) for shape, axes in _arrays_of_code(classes))


@lru_cache(maxsize=64)
def _arrays_of_code(classes: IndexClasses) -> list[tuple[Shape, Axes]]:
    """Shapes and classes of all nodes of the potential."""
    assert classes.flow.model is not None
    output = classes.flow.model.potential
    axes = classes.axes([output])
    return [(x.shape, axes[id(x)]) for x in topological_order([output])]


def splits(flow: Flow) -> list[IndexClasses]:
    """The sets of classes, and symmetries, along which a flow falls apart into subnetworks, as far as
    theorems here apply to it.

    With constant learning rates all classes may be coloured; with another diagonal metric, where weights
    between colours must not vanish, only one axis of each array.  In long code, where brackets are dear, sign
    flips are done without as well: the point is richer then (no bias vanishes), and gradients may do.
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
    nodes = len(topological_order([flow.model.potential]))
    most = min(MOST_CHOICES, max(2, MOST_LOOKED_AT // nodes // len(moved or [0])))
    longer = tuple(c for c in moved if every.lengths[c] > 1)  # kernels of one pixel have axes of length one
    kept = dict.fromkeys([tuple(moved), *_subsets(longer, most), *_subsets(moved, most)])
    found = list[IndexClasses]()
    for some in filter(None, kept):
        for zero in ([], vectors) if constant and vectors else ([],):
            classes = every.without(set(every.lengths) - set(some), zero)
            single = _single(classes)
            fits = constant or (single and all(classes.decouples(x) for x in flow.metric_entries.values()))
            if fits and classes.decouples(flow.model.potential):
                flips = [classes.signs(vectors=odd) for odd in (True, False)] if constant else [{}]
                flips = [{}] if single else [*([{}] if nodes > LONG_CODE else []), *flips]
                found += [replace(classes, flips=x) for i, x in enumerate(flips) if x not in flips[:i]]
                break
    return found


def _subsets(classes: Sequence[int], most: int) -> Iterator[tuple[int, ...]]:
    """The first so many subsets of some classes, the largest first."""
    return islice((some for k in range(len(classes), 0, -1) for some in combinations(classes, k)), most)


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
        return [Counter([own]) + _dealt(rest, max(rest)) for own, rest in zip(first, left, strict=True)]
    numbers = sorted({*lengths, *(-(-most // k) for k in range(1, 9))}, reverse=True)
    return [_dealt(lengths, m) for m in numbers]


def _dealt(lengths: Sequence[int], m: int) -> Counter[Widths]:
    """So many neurons of each class, dealt out evenly to m colours."""
    if not m:
        return Counter()
    ends = sorted({0, m, *(n % m for n in lengths)})
    return Counter({tuple(n // m + (a < n % m) for n in lengths): b - a for a, b in pairwise(ends)})


def shapes(classes: IndexClasses, colouring: Counter[Widths]) -> Iterator[tuple[tuple[Widths, ...], int]]:
    """The shapes of subnetworks that matter, and how many there are of each."""
    most = max(sum(c != RIGID for c in axes) for axes in classes.state.values())
    for size in range(1, most + 1):
        for colours in combinations_with_replacement(sorted(colouring, reverse=True), size):
            copies = prod(comb(colouring[w], k) for w, k in Counter(colours).items())
            if copies:
                yield colours, copies


def split_ranks(
    classes: IndexClasses,
    colouring: Counter[Widths],
    combinations: Sequence[Combination] = (),
    *,
    seed: int,
    p: int,
    workers: int = 1,
) -> Split | None:
    """The blocks of a colouring, with the ranks of the trace and of some laws in each; None if a block is too
    large.
    """
    flow = classes.flow
    usable = [c for c in combinations if classes.decouples(c.array(arrays_of(flow)))]
    apart = sums_apart(combinations, usable)
    every = list(shapes(classes, colouring))
    long = flow.model is not None and len(topological_order([flow.model.potential])) > LONG_CODE
    gradients_do = long and not classes.flips and not _single(classes)  # as a rule
    if _work(classes, colouring) == inf:
        return None

    def of_shape(shape: tuple[tuple[Widths, ...], int]) -> tuple[Block | None, Beside | None, int, bool]:
        """The block of a shape of subnetworks, if it has one; what lies beside, and how much; does time
        move?
        """
        (colours, copies), block, found = shape, None, None
        helpers = _helping(classes, colouring, colours)
        rng = np.random.default_rng([seed, *np.ravel(colours)])
        part = subnetwork(classes, colours, (), seed=seed, p=p)
        if part.exact.any():
            gradients = law_gradients(classes, part, colours, usable, p)
            laws = law_ranks(outside(part, gradients, apart), p)
            # gradients of laws annihilate the trace
            most = int(part.exact.sum()) - (sum(law_ranks(gradients, p)) if apart else sum(laws))
            aided = partial(with_helpers, classes, colours, helpers, seed=seed, p=p)
            ranks, helped = block_ranks(part, None if gradients_do else aided, most, rng, p)
            block = Block(colours, copies, int(part.exact.sum()), ranks, helped, tuple(laws))
        own, others = part.number == 0, part.number > 0
        own[: len(flow.fields) - 1] = False  # time
        if own.any():
            found = beside_of(part, colours, own | others, others, rng, p)
        return block, found, int(own.sum()), time_moves(part, p)

    found = mapped(of_shape, every, workers)
    blocks = [block for block, _, _, _ in found if block]
    beside = max((b for _, b, _, _ in found if b and b.rank), key=lambda b: b.rank, default=None)
    common, moving = max(own for _, _, own, _ in found), all(moves for _, _, _, moves in found)
    drift = len(flow.fields) - 1
    assert sum(b.copies * b.dimension for b in blocks) + common + drift == flow.dimension
    if not blocks:
        return None
    laws = laws_in_blocks(combinations, usable, blocks, p)
    return Split(classes, colouring, p, seed, blocks, beside, drift if moving else 0, laws)


def laws_in_blocks(
    combinations: Sequence[Combination], usable: Sequence[Combination], blocks: Sequence[Block], p: int
) -> list[int]:
    """What each combination adds to the rank of gradients: those that are usable in the blocks; sums of
    slices in arrays of their own (:func:`sums_apart`); then sums of arrays, whose gradients do not change, in
    arrays on which no other law depends but linear ones.
    """
    counted = [sum(b.copies * b.laws[i] for b in blocks) for i in range(len(usable))]
    apart = sums_apart(combinations, usable)
    of = dict(zip(usable, counted, strict=True)) | {c: c.like.entries for c in apart}
    linear = {c: row for c in combinations if (row := _linear(c)) and (of.get(c) or not c.like.out)}
    busy = {
        name for c in usable if of[c] and c not in linear for _, one in c.terms for name, _ in one.factors
    }.union(*apart.values())
    arrays = sorted({name for row in linear.values() for name in row} - busy)
    space, result = RowSpace.zero(len(arrays), p), [of.get(c, 0) for c in combinations]
    for i, c in sorted(enumerate(combinations), key=lambda pair: not pair[1].like.out):
        if c in linear:
            coefficients = [[linear[c].get(name, 0) % p for name in arrays]]
            larger = space.extend(np.array(coefficients, dtype=np.uint64))
            result[i] += 0 if c.like.out else larger.rank - space.rank
            space = larger
    return result


def sums_apart(
    combinations: Sequence[Combination], usable: Sequence[Combination]
) -> dict[Combination, frozenset[str]]:
    """Combinations of sums of slices of arrays that tie all neurons together, and their arrays; each has an
    array that none before it has.

    In it each entry is a sum of entries of its own, so all are independent; the gradients of all other laws
    are looked at outside of these arrays.
    """
    found = dict[Combination, frozenset[str]]()
    still = [c for c in usable if len(c.terms) == 1 and c.like.kind == "array" and len(c.like.factors) == 1]
    seen = {c.like.factors[0][0] for c in still}  # arrays that do not move
    for c in combinations:
        arrays = frozenset(name for _, one in c.terms for name, _ in one.factors)
        sums = c.like.out and not c.power and all(len(one.factors) == 1 for _, one in c.terms)
        if sums and c not in usable and len(arrays) == len(c.terms) and arrays - seen:
            found[c] = arrays
            seen |= arrays
    return found


def outside(
    part: Subnetwork, rows: Sequence[Residues], apart: Mapping[Combination, frozenset[str]]
) -> list[Residues]:
    """Rows in the exact coordinates of a subnetwork, zero in the arrays of some combinations."""
    own = marked(part.flow, frozenset[str]().union(*apart.values()))[part.exact]
    return [np.where(own, np.uint64(0), x) for x in rows]


def _linear(combination: Combination) -> dict[str, int]:
    """The coefficient of each array, if a combination is one of whole arrays or of their sums; else none."""
    result = dict[str, int]()
    for coefficient, one in combination.terms:
        (name, letters), *more = one.factors
        if more or one.out not in ("", letters) or combination.power:
            return {}
        result[name] = result.get(name, 0) + coefficient
    return result

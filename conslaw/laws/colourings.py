"""Colourings: how neurons get colours, so that a network falls apart, and what that costs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import combinations, combinations_with_replacement, islice, pairwise
from math import comb, inf, prod

from conslaw.algebra.evaluation import topological_order
from conslaw.algebra.expressions import Shape
from conslaw.algebra.uniform_axes import RIGID, Axes, resized_shape
from conslaw.flows.flow import Flow
from conslaw.laws.index_classes import IndexClasses
from conslaw.laws.subnetworks import LARGEST, Widths, helpers_of, lengths_of

MOST_CHOICES, MOST_LOOKED_AT = 64, 20_000  # sets of classes that are looked at, and nodes of code for them
LONG_CODE = 150  # nodes
AN_ENTRY = 3e-7  # units for an entry of the code, in all brackets of a coordinate
AN_ENTRY_OF_GRADIENTS = 1e-8  # the same, in gradients alone


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
        return not self.classes.flips and not single(self.classes)


def every_colouring(choices: Sequence[IndexClasses]) -> tuple[Colouring, ...]:
    """All colourings of some sets of classes, from cheap to dear, without those that have too large parts;
    first those where nothing vanishes by sign flips, and of equally cheap ones those where less does.
    """
    found = [
        Colouring(x, colours, len(list(shapes(x, colours))), work_of(x, colours))
        for x in choices
        for colours in colourings(x)
    ]
    return tuple(
        sorted((x for x in found if x.work < inf), key=lambda x: (not x.rich, x.work, _vanishing(x.classes)))
    )


def _vanishing(classes: IndexClasses) -> int:
    """How many arrays vanish at the point by sign flips."""
    return sum(sum(turn) % 2 for turn in classes.flips.values())


def work_of(classes: IndexClasses, colouring: Counter[Widths]) -> float:
    """About how many units the rest of a colouring takes: infinite if a part is too large."""
    total = 0.0
    for colours, _ in shapes(classes, colouring):
        helpers = helping(classes, colouring, colours)
        if classes.dimension(lengths_of(classes, [*colours, *helpers])) > LARGEST:
            return inf
        own = classes.dimension(lengths_of(classes, colours))
        an_entry = AN_ENTRY if classes.flips or single(classes) else AN_ENTRY_OF_GRADIENTS
        values = an_entry * _entries(classes, tuple(lengths_of(classes, colours).items())) * own
        total += 0.02 + values + 2e-6 * own**2 + 1e-9 * own**3
    return total


def helping(classes: IndexClasses, colouring: Counter[Widths], colours: Sequence[Widths]) -> list[Widths]:
    """The colours that help: none without sign flips, where weights lie between colours."""
    return helpers_of(colouring, colours) if classes.flips or single(classes) else []


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
            alone = single(classes)
            fits = constant or (alone and all(classes.decouples(x) for x in flow.metric_entries.values()))
            if fits and classes.decouples(flow.model.potential):
                flips = [classes.signs(vectors=odd) for odd in (True, False)] if constant else [{}]
                flips = [{}] if alone else [*([{}] if nodes > LONG_CODE else []), *flips]
                found += [replace(classes, flips=x) for i, x in enumerate(flips) if x not in flips[:i]]
                break
    return found


def _subsets(classes: Sequence[int], most: int) -> Iterator[tuple[int, ...]]:
    """The first so many subsets of some classes, the largest first."""
    return islice((some for k in range(len(classes), 0, -1) for some in combinations(classes, k)), most)


def single(classes: IndexClasses) -> bool:
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
    if single(classes):  # one colour of some neurons, then single ones
        first = [tuple(min(k, n) for n in lengths) for k in (1, 4, 8)]
        left = [[n - k for n, k in zip(lengths, own, strict=True)] for own in first]
        return [Counter([own]) + dealt(rest, max(rest)) for own, rest in zip(first, left, strict=True)]
    numbers = sorted({*lengths, *(-(-most // k) for k in range(1, 9))}, reverse=True)
    return [dealt(lengths, m) for m in numbers]


def dealt(lengths: Sequence[int], m: int) -> Counter[Widths]:
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

"""A few data that move a network as richly as all of them: the same flow with most pixels zero.

Data may be zero, so the fields of a flow with zero data are some of its own, and bounds from them are bounds
for it.  Channels are uniform, pixels are not: of the axes that are not, some consecutive indices are left, as
few as keep the fields, in a network with one neuron of each class, spanning as much as with all data.  That
is a guess; what is proved or probable is so for other reasons (:func:`conslaw.laws.lie.lie_ranks`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np

from conslaw.algebra.evaluation import evaluate, gradient, topological_order
from conslaw.algebra.expressions import Expression, Shape
from conslaw.algebra.finite_field import LIFTING_PRIME as PRIME
from conslaw.algebra.finite_field import Residues, rank
from conslaw.algebra.jets import Jets
from conslaw.algebra.uniform_axes import RIGID, Axes, resized_shape
from conslaw.flows.flow import Flow
from conslaw.laws.index_classes import IndexClasses
from conslaw.laws.windows import flow_like, has_windows
from conslaw.models.fused_code import fused
from conslaw.models.live_indices import box_of
from conslaw.models.potential import Model
from conslaw.models.zero_data import Kept, data_that_matter, with_zero_data

POINTS, MOST_SAMPLES, MOST_OF_FEW, SURPLUS = 2, 200, 1000, 4
MOST_ARRAYS = 8  # data arrays that are made smaller, those used last in the code
PATCHES = (2, 4)  # pixels in a row of each of very many data arrays
WORTH_IT = 500_000  # entries of the code, for all samples of a rank, from which it is tried


Indices = list[list[int] | None]
"""Those of each axis that are left, None for all of them."""


@lru_cache(maxsize=64)
def with_few_data(flow: Flow) -> Flow:
    """The flow with few data, in which its fields span as much as far as can be seen; or the flow itself, if
    it is small, not of this kind, or has no such data.
    """
    if not has_windows(flow) or flow.kept is not None or not is_large(flow):
        return flow
    assert flow.model is not None
    classes = IndexClasses.of(flow)
    arrays = [n for n, axes in classes.data.items() if any(has_places(flow.data[n], axes))]
    if not arrays:
        return flow
    first = [n for n in from_the_end(flow.model.potential) if n in arrays]
    try:
        chosen = (len(first) > MOST_ARRAYS and _all_at_once(classes, first)) or _chosen(
            classes, first[:MOST_ARRAYS]
        )
    except ZeroDivisionError:  # mod p, by a constant's denominator
        return flow
    return restricted(flow, chosen) if chosen else flow


@lru_cache(maxsize=64)
def with_all_data(flow: Flow) -> Flow:
    """The flow in the same code as its parts, with fewer nodes than its own may have."""
    return restricted(flow, {})


def restricted(flow: Flow, kept: Kept) -> Flow:
    """The flow with all other data zero: the same state, some of the fields; the flow itself if none are
    left.  Parameter arrays that are named are cut to these indices.
    """
    assert flow.model is not None
    part = with_zero_data(flow.model, kept)
    if part is None:
        return flow
    return replace(flow_like(flow, part, {n: n for n in part.parameters}), kept=kept)


def from_the_end(output: Expression) -> list[str]:
    """The inputs, those used last first."""
    order, steps = topological_order([output]), {id(output): 0}
    for node in reversed(order):
        for x in node.args:
            steps[id(x)] = min(steps.get(id(x), len(order)), steps[id(node)] + 1)
    return [x.attribute for x in sorted(order, key=lambda x: steps[id(x)]) if x.operation == "input"]


def is_large(flow: Flow) -> bool:
    """Whether the code has so many entries, for all samples of a rank, that fewer data are worth a search."""
    assert flow.model is not None
    entries = sum(x.size for x in topological_order([flow.model.potential]))
    return entries * flow.dimension >= WORTH_IT


def has_places(shape: Shape, axes: Axes) -> list[bool]:
    """Which axes of an array may be shortened: those of pixels."""
    return [c == RIGID and n > 1 for c, n in zip(axes, shape, strict=True)]


def _chosen(classes: IndexClasses, arrays: Sequence[str]) -> dict[str, Indices]:
    """The indices of each data array that are left, array after array: the first few in the middle of those
    that matter with which as much is spanned as with all.
    """
    small = _of_one_neuron(classes)
    span, kept = _Span(small), dict[str, Indices]()
    most = span.rank({})
    for name in arrays:
        indices = _that_matter(classes, small, kept, name)
        longest, length = max((len(i) for i in indices if i is not None), default=0), 1
        while length <= longest // 3:
            some = {name: [None if i is None else _middle(i, length) for i in indices]}
            if span.rank(kept | some) == most:
                kept |= some
                break
            length *= 2
    return kept


def _all_at_once(classes: IndexClasses, arrays: Sequence[str]) -> dict[str, Indices]:
    """The same for many arrays (a deep network): equally many indices of each, but for what comes first (the
    image), of which no more matters than the others ask for.

    Two neighbours meet in all taps of a kernel of three.  Empty if there is nothing to leave out.
    """
    small = _of_one_neuron(classes)
    few, more = (_patches(classes, small, arrays[:-1], length) for length in PATCHES)
    if not few:
        return {}
    parts = [with_zero_data(small, kept) for kept in (few, more)]
    ranks = [_Span(part, MOST_OF_FEW).rank({}) if part else 0 for part in parts]
    return few if ranks[0] == ranks[1] else more


def _patches(classes: IndexClasses, small: Model, arrays: Sequence[str], length: int) -> dict[str, Indices]:
    """So many indices in a row of each array, in the middle of those that matter; of arrays with more."""
    kept = dict[str, Indices]()
    for name in arrays:
        indices = _that_matter(classes, small, kept, name)
        if any(i is not None and len(i) > length for i in indices):
            kept[name] = [None if i is None else _middle(i, length) for i in indices]
    return kept


def _that_matter(classes: IndexClasses, small: Model, kept: Kept, name: str) -> Indices:
    """The indices of a data array on which the small model depends, on the axes that may be shortened."""
    places = has_places(classes.flow.data[name], classes.data[name])
    box = data_that_matter(small, kept)[name]
    if box is None:  # all are zero with what else is kept
        return [None] * len(places)
    return [np.flatnonzero(m).tolist() if x else None for m, x in zip(box, places, strict=True)]


def _of_one_neuron(classes: IndexClasses) -> Model:
    """The model with one neuron of each class."""
    flow, lengths = classes.flow, dict.fromkeys(classes.lengths, 1)
    assert flow.model is not None
    [potential] = classes.resized([flow.model.potential], lengths)
    shapes = [
        {n: resized_shape(s, axes[n], lengths) for n, s in arrays.items()}
        for arrays, axes in ((flow.model.parameters, classes.state), (flow.data, classes.data))
    ]
    return replace(flow.model, parameters=shapes[0], data=shapes[1], potential=fused(potential))


def _middle(indices: list[int], length: int) -> list[int]:
    """So many consecutive ones of some indices."""
    start = max(0, (len(indices) - length) // 2)
    return indices[start : start + length]


class _Span:
    """How many dimensions, up to a number, the gradients of a model span as functions: by their values at a
    few points.
    """

    def __init__(self, model: Model, most: int = MOST_SAMPLES) -> None:
        self.model, self.rng = model, np.random.default_rng(0)
        self.samples = min(POINTS * model.size + SURPLUS, most)
        nodes = {x.attribute: x for x in topological_order([model.potential]) if x.operation == "input"}
        self.used = [n for n in model.parameters if n in nodes]
        self.slopes = gradient(model.potential, [nodes[n] for n in self.used])
        points = {n: self._drawn((POINTS, *model.parameters[n])) for n in self.used}
        self.state = {n: {0: np.tile(x, (self.samples,) + (1,) * (x.ndim - 1))} for n, x in points.items()}

    def _drawn(self, shape: Shape) -> Residues:
        return self.rng.integers(0, PRIME, shape, dtype=np.uint64)

    def rank(self, kept: Kept) -> int:
        """With these data."""
        data = dict[str, dict[int, Residues]]()
        for name, shape in self.model.data.items():
            values = self._drawn((self.samples, *shape)) * _mask(shape, kept, name)
            data[name] = {0: values.repeat(POINTS, axis=0)}
        found = evaluate(self.slopes, {**data, **self.state}, Jets(PRIME))
        count = self.samples * POINTS
        rows = [np.broadcast_to(x[0], (count, *x[0].shape[1:])).reshape(count, -1) for x in found if 0 in x]
        return rank(np.concatenate(rows, axis=1).reshape(self.samples, -1), PRIME) if rows else 0


def _mask(shape: Shape, kept: Kept, name: str) -> Residues:
    box = box_of(shape, kept.get(name))
    assert box is not None
    result = np.zeros(shape, dtype=np.uint64)
    result[np.ix_(*box) if box else ()] = 1
    return result

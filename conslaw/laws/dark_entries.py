"""Entries of parameter arrays that few data leave dark: a flow without them, and proof that all of them move.

A layer that reads all pixels has a weight for each.  With data zero but for what one of its pixels sees, the
others' weights stand still, and the flow is that of a network of one pixel.  With other data all of them
move, independently of each other: gradients alone show it.  So both ranks add up (*Dark entries* in
docs/what_is_proved.md), and the number of pixels does not matter.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from functools import lru_cache
from math import prod
from typing import Any

import numpy as np

from conslaw.algebra.expressions import Shape
from conslaw.algebra.finite_field import rank
from conslaw.algebra.uniform_axes import RIGID, Axes
from conslaw.flows.flow import Flow
from conslaw.laws.brackets import trace_samples
from conslaw.laws.colourings import constant_metric, dealt, shapes
from conslaw.laws.few_data import (
    SURPLUS,
    Indices,
    from_the_end,
    has_places,
    is_large,
    restricted,
    with_few_data,
)
from conslaw.laws.index_classes import IndexClasses
from conslaw.laws.subnetworks import LARGEST, Widths, lengths_of, subnetwork
from conslaw.laws.windows import has_windows
from conslaw.models.live_indices import Box, is_dark
from conslaw.models.zero_data import Kept, boxes_that_matter

MOST_ARRAYS = 2  # with places, that are looked at: kernels come before


@dataclass(frozen=True, eq=False)
class DarkEntries:
    """Entries of state arrays that move independently of each other, with some data.

    Attributes
    ----------
    left : for arrays with dark entries the indices of each axis that are not dark, None for all of them
    classes : of a flow with most data zero, in which all dark entries move; those that are coloured
    colouring : how many colours there are of which widths
    prime, seed : the point, as in :class:`conslaw.laws.splitting.Coloured`
    dimension : how many entries are dark
    """

    left: Kept
    classes: IndexClasses
    colouring: Counter[Widths]
    prime: int
    seed: int
    dimension: int

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready dictionary."""
        return {
            "left": dict(self.left),
            "data": self.classes.flow.kept,
            "classes": self.classes.members(),
            "colours": [[list(widths), count] for widths, count in self.colouring.items()],
            "prime": self.prime,
            "seed": self.seed,
        }


@lru_cache(maxsize=64)
def without_dark_entries(flow: Flow, *, seed: int, p: int) -> tuple[Flow, DarkEntries] | None:
    """The flow with few data without the entries that stand still in it, and these; None if there are none
    such, or they do not all move with other data.
    """
    suited = (
        flow.name == "gradient"
        and len(flow.fields) == 1
        and flow.kept is None
        and has_windows(flow)
        and constant_metric(flow)
    )
    if not suited or not is_large(flow):
        return None
    classes = IndexClasses.of(flow)
    try:
        for name in _candidates(classes):
            kept, left = _one_place(classes, name)
            if name in left and (dark := _moving(classes, left, seed=seed, p=p)):
                return _with_fewer_data(flow, kept, left), dark
    except ZeroDivisionError:  # mod p, by a constant's denominator
        return None
    return None


def _candidates(classes: IndexClasses) -> list[str]:
    """The arrays with a coloured axis, and with places that may be dark, that are used last."""
    assert classes.flow.model is not None
    used = [n for n in from_the_end(classes.flow.model.potential) if n in classes.state]
    some = [n for n in used if any(has_places(classes.flow.state[n], classes.state[n]))]
    return [n for n in some if any(c != RIGID for c in classes.state[n])][:MOST_ARRAYS]


def _middle(shape: Shape, axes: Axes) -> Indices:
    """The place in the middle of an array."""
    places = zip(shape, has_places(shape, axes), strict=True)
    return [[n // 2] if whether else None for n, whether in places]


def _one_place(classes: IndexClasses, name: str) -> tuple[Kept, Kept]:
    """The data that the place in the middle of an array sees, and what else they move."""
    model = classes.flow.model
    assert model is not None
    middle = _middle(classes.flow.state[name], classes.state[name])
    seen, data = boxes_that_matter(model, {name: middle}), classes.data
    kept = {n: x for n in data if (x := _indices(seen.get(n), data[n]))}
    moved = boxes_that_matter(model, kept)
    return kept, {n: x for n, axes in classes.state.items() if (x := _indices(moved.get(n), axes))}


def _indices(box: Box, axes: Axes) -> Indices | None:
    """The indices of a box on the axes that are not uniform, if there are not all of them."""
    if box is None:
        return None
    few = [
        None if c != RIGID or m.all() else np.flatnonzero(m).tolist() for m, c in zip(box, axes, strict=True)
    ]
    return few if any(few) else None


def _with_fewer_data(flow: Flow, kept: Kept, left: Kept) -> Flow:
    """The flow without dark entries, with as few of the data kept as move it as richly (a guess)."""
    few = with_few_data(replace(restricted(restricted(flow, kept), left), kept=None))
    fewer = {n: [None if some is None else list(some) for some in x] for n, x in kept.items()}
    for name, chosen in (few.kept or {}).items():
        places = fewer.get(name, [None] * len(chosen))
        fewer[name] = [
            x if some is None else list(some) if x is None else [x[i] for i in some]
            for x, some in zip(places, chosen, strict=True)
        ]
    return replace(restricted(restricted(flow, fewer), left), kept=fewer)


def _moving(classes: IndexClasses, left: Kept, *, seed: int, p: int) -> DarkEntries | None:
    """Whether gradients span all dark entries: with all data of the last arrays, and what one place of the
    others adds.
    """
    flow, data = classes.flow, classes.data
    assert flow.model is not None
    arrays = [n for n in from_the_end(flow.model.potential) if n in data]
    for k in range(1, len(arrays) + 1):
        kept: dict[str, Indices] = {}
        for name in arrays[k:]:
            middle = _middle(flow.data[name], data[name])
            kept |= {name: middle} if any(middle) else {}
        moved = boxes_that_matter(flow.model, kept)
        if all(_all_in(moved.get(n)) for n in left):
            part = IndexClasses.of(restricted(flow, kept))
            if dark := _all_move(part, left, seed=seed, p=p):
                return dark
    return None


def _all_in(box: Box) -> bool:
    return box is not None and all(m.all() for m in box)


def _all_move(part: IndexClasses, left: Kept, *, seed: int, p: int) -> DarkEntries | None:
    """The dark entries, if gradients at a point span all of them, colour by colour."""
    assert part.flow.model is not None
    axes = [pair for n in left for pair in zip(part.state[n], left[n], strict=True)]
    cut = {c for c, some in axes if some is not None}
    coloured = {c for c, _ in axes} - cut - {RIGID}
    classes = part.without(set(part.lengths) - coloured, [])
    if not all(any(c != RIGID for c in classes.state[n]) for n in left):
        return None
    if not classes.decouples(part.flow.model.potential):
        return None
    colouring, total = dealt(list(classes.lengths.values()), max(classes.lengths.values())), 0
    for colours, copies in shapes(classes, colouring):
        if classes.dimension(lengths_of(classes, colours)) > LARGEST:
            return None
        one = subnetwork(classes, colours, (), seed=seed, p=p)
        wanted = one.exact & np.concatenate(
            [
                is_dark(s, left[n]).reshape(-1) if n in left else np.zeros(prod(s), dtype=bool)
                for n, s in one.flow.state.items()
            ]
        )
        size = int(wanted.sum())
        rng = np.random.default_rng([seed, *np.ravel(colours)])
        if size and rank(trace_samples(one.flow, one.point, 1, size + SURPLUS, rng, p)[:, wanted], p) < size:
            return None
        total += copies * size
    return DarkEntries(left, classes, colouring, p, seed, total)

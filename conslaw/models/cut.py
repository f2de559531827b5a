"""The cut: pieces <u, z> in place of slopes, for those values of nonlinearities that act on the potential.

A value that nothing uses has no slope either: a piece for it would add fields that the network does not have.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from conslaw.algebra.evaluation import evaluate, topological_order
from conslaw.algebra.expressions import LETTERS, Expression, contract
from conslaw.models.live_indices import Box, Live, Mask, both, needs, unless_empty, whole_box


@dataclass(frozen=True, eq=False)
class Cut:
    """A nonlinearity with free value and free slopes.

    Attributes
    ----------
    value : the free value
    argument : what goes in, an array of the same shape
    seen : the same without what slopes do not see
    slopes : u
    axes : along which each entry of the value depends on all of the argument's
    """

    value: Expression
    argument: Expression
    seen: Expression
    slopes: Expression
    axes: tuple[int, ...] = ()


def paired(u: Expression, z: Expression) -> Expression:
    """The scalar <u, z>."""
    letters = LETTERS[: z.ndim]
    return contract(u, z, letters, letters, "")


def with_pieces(potential: Expression, cuts: Sequence[Cut]) -> Expression:
    """The potential and the pieces of its cuts, which are in the order in which they were made."""
    for cut, box in zip(cuts, _acting(potential, cuts), strict=True):
        if box is not None:
            u, z = (_on(x, box) for x in (cut.slopes, cut.seen))
            potential = potential + paired(u, z)
    return potential


def _acting(potential: Expression, cuts: Sequence[Cut]) -> list[Box]:
    """The indices of each axis of each value that act on the potential, directly or through later pieces."""
    if not cuts:
        return []
    last_first = [cut.argument for cut in reversed(cuts)]
    order = topological_order([potential, *last_first])  # so each argument stands before its value
    behind = {id(cut.value): cut for cut in cuts}
    lead = set(behind)
    for node in order:
        if any(id(x) in lead for x in node.args):
            lead.add(id(node))
    inputs = {x.attribute: whole_box(x.shape) for x in order if x.operation == "input"}
    live = dict(zip(map(id, order), evaluate(order, inputs, Live()), strict=True))
    asked: dict[int, list[Mask]] = {id(potential): []}

    def ask(x: Expression, masks: Sequence[Mask]) -> None:
        known = asked.get(id(x))
        asked[id(x)] = list(masks) if known is None else [a | b for a, b in zip(known, masks, strict=True)]

    boxes = dict[int, Box]()
    for node in reversed(order):
        box = boxes[id(node)] = unless_empty(asked[id(node)]) if id(node) in asked else None
        if box is None or id(node) not in lead:
            continue
        cut = behind.get(id(node))
        if cut is not None:
            every = whole_box(node.shape)
            ask(cut.argument, [every[i] if i in cut.axes else mask for i, mask in enumerate(box)])
            continue
        before = [live[id(x)] for x in node.args]
        for x, masks in zip(node.args, needs(node, box, before), strict=True):
            if masks is not None and id(x) in lead:
                ask(x, both(masks, whole_box(x.shape)))
    return [boxes.get(id(cut.value)) for cut in cuts]


def _on(x: Expression, box: Sequence[Mask]) -> Expression:
    """An array on the indices of a box."""
    for i, mask in enumerate(box):
        if not mask.all():
            x = x[(slice(None),) * i + (np.flatnonzero(mask),)]
    return x

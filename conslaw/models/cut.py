"""The cut: pieces <u, z> in place of slopes, for those values of nonlinearities that act on the potential.

A value that nothing uses has no slope either: a piece for it would add fields that the network does not have.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from conslaw.algebra.evaluation import topological_order
from conslaw.algebra.expressions import LETTERS, Expression, contract
from conslaw.models.live_indices import Box, Live, Mask, both, needs, unless_empty, whole_box


@dataclass(frozen=True, eq=False)
class Cut:
    """A nonlinearity with free value and free slopes.

    Attributes
    ----------
    value : the free value
    argument : what goes in, an array of the same shape, or of any if ``axes`` is None
    seen : the same without what slopes do not see
    slopes : u
    axes : along which each entry of the value depends on all of the argument's; None if on all there are
    """

    value: Expression
    argument: Expression
    seen: Expression
    slopes: Expression
    axes: tuple[int, ...] | None = ()


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
    last_first = [cut.argument for cut in reversed(cuts)]
    order = topological_order([potential, *last_first])  # so each argument stands before its value
    behind = dict[int, list[Cut]]()
    for cut in cuts:
        behind.setdefault(id(cut.value), []).append(cut)
    lead = set(behind)
    for node in order:
        if any(id(x) in lead for x in node.args):
            lead.add(id(node))
    asked: dict[int, list[Mask]] = {id(potential): []}

    def ask(x: Expression, masks: Sequence[Mask]) -> None:
        known = asked.get(id(x))
        asked[id(x)] = list(masks) if known is None else [a | b for a, b in zip(known, masks, strict=True)]

    boxes = dict[int, Box]()
    for node in reversed(order):
        box = boxes[id(node)] = unless_empty(asked[id(node)]) if id(node) in asked else None
        if box is None or id(node) not in lead:
            continue
        if id(node) in behind:
            for cut in behind[id(node)]:
                ask(cut.argument, _of_argument(cut, box))
            continue
        before = [
            Live().constant(x.attribute) if x.operation == "constant" else whole_box(x.shape)
            for x in node.args
        ]
        for x, masks in zip(node.args, needs(node, box, before), strict=True):
            if masks is not None and id(x) in lead:
                ask(x, both(masks, whole_box(x.shape)))
    found = [(cut, boxes.get(id(cut.value))) for cut in cuts]
    return [box if box is None or cut.axes is not None else _of_argument(cut, box) for cut, box in found]


def _of_argument(cut: Cut, box: Sequence[Mask]) -> tuple[Mask, ...]:
    """The indices of the argument that those of the value depend on."""
    every = whole_box(cut.argument.shape)
    if cut.axes is None:
        return every
    return tuple(every[i] if i in cut.axes else mask for i, mask in enumerate(box))


def _on(x: Expression, box: Sequence[Mask]) -> Expression:
    """An array on the indices of a box."""
    for i, mask in enumerate(box):
        if not mask.all():
            x = x[(slice(None),) * i + (np.flatnonzero(mask),)]
    return x

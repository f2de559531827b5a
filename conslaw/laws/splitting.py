"""Isotypic splitting: the Lie rank of a large network from the ranks of its small subnetworks.

Give every neuron a colour and take a point where weights between different colours are zero, a point fixed by
flipping the signs of all neurons of one colour.  There the trace of the Lie algebra contains, for each set T
of colours, the trace of the *subnetwork* of those colours (the data of all others being zero), and the parts
with all colours of T in their indices are independent for different T.  So the one big rank is at least a sum
of small ones, all at one point mod p; colours of the same widths take the same values there, so subnetworks
of the same shape have the same rank: each shape is computed once.  The same holds for the gradients of laws.
Statement and proof: docs/what_is_proved.md.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import inf
from typing import Any

import numpy as np

from conslaw import display
from conslaw.algebra.evaluation import topological_order
from conslaw.algebra.finite_field import Residues, RowSpace
from conslaw.algebra.threads import mapped
from conslaw.laws.candidates import Combination, arrays_of
from conslaw.laws.colourings import (
    LONG_CODE,
    helping,
    shapes,
    single,
    work_of,
)
from conslaw.laws.dark_entries import DarkEntries
from conslaw.laws.index_classes import IndexClasses
from conslaw.laws.subnetworks import (
    Beside,
    Subnetwork,
    Widths,
    beside_of,
    block_ranks,
    law_gradients,
    law_ranks,
    marked,
    subnetwork,
    time_moves,
    with_helpers,
)


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
class Coloured(display.InNotebooks):
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

    def _summary(self) -> display.Summary:
        rows: list[tuple[str, str | int]] = [
            ("split into", str(self)),
            ("ranks, depth by depth", display.numbers(self.ranks)),
            ("laws at most", f"{self.laws_at_most:,}   proved"),
            ("prime, seed", f"{self.prime}, {self.seed}"),
        ]
        return display.Summary("an upper bound, in parts", rows)

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready dictionary: the classes (their axes, as array and number), and the colours."""
        classes = self.classes
        return {
            "classes": classes.members(),
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
    dark : entries of the state arrays that are left out here, and all move
    """

    blocks: list[Block]
    beside: Beside | None
    drift: int
    laws: list[int]
    dark: DarkEntries | None = None

    @property
    def ranks(self) -> tuple[int, ...]:
        """Ranks of the trace at the point, depth by depth: sums of those of the blocks."""
        every = [b.ranks for b in self.blocks] + ([self.beside.ranks] if self.beside else [])
        depths = max(map(len, every), default=1)
        ranks = [
            self.drift + self._dark + sum(b.copies * b.ranks[min(d, len(b.ranks) - 1)] for b in self.blocks)
            for d in range(depths)
        ]
        return (*ranks[:-1], ranks[-1] + (self.beside.rank if self.beside else 0))

    @property
    def _dark(self) -> int:
        return self.dark.dimension if self.dark else 0

    @property
    def laws_at_most(self) -> int:
        """State dimension minus the last rank: a proved bound."""
        return super().laws_at_most + self._dark

    @property
    def laws_found(self) -> int:
        """The rank of the gradients of the laws: a proved bound."""
        return sum(self.laws)

    def __str__(self) -> str:
        colours, shapes = sum(self.colouring.values()), len(self.blocks)
        subnetworks = sum(b.copies for b in self.blocks)
        symmetry = "sign flips, " if self.classes.flips else ""
        return (
            f"{symmetry}{colours} colours, {subnetworks:,} subnetworks of {shapes} shape{'s' * (shapes > 1)}"
            + (f", {self._dark:,} dark entries" if self.dark else "")
        )

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready dictionary: the colours, and the blocks."""
        return super().to_json() | {
            "data": self.classes.flow.kept,
            **({"dark": self.dark.to_json()} if self.dark else {}),
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


def split_ranks(
    classes: IndexClasses,
    colouring: Counter[Widths],
    combinations: Sequence[Combination] = (),
    *,
    seed: int,
    p: int,
    workers: int = 1,
    dark: DarkEntries | None = None,
) -> Split | None:
    """The blocks of a colouring, with the ranks of the trace and of some laws in each; None if a block is too
    large.  With ``dark`` entries left out the laws are those of what is left.
    """
    flow = classes.flow
    usable = [c for c in combinations if classes.decouples(c.array(arrays_of(flow)))]
    apart = sums_apart(combinations, usable)
    every = list(shapes(classes, colouring))
    long = flow.model is not None and len(topological_order([flow.model.potential])) > LONG_CODE
    gradients_do = long and not classes.flips and not single(classes)  # as a rule
    if work_of(classes, colouring) == inf:
        return None

    def of_shape(shape: tuple[tuple[Widths, ...], int]) -> tuple[Block | None, Beside | None, int, bool]:
        """The block of a shape of subnetworks, if it has one; what lies beside, and how much; does time
        move?
        """
        (colours, copies), block, found = shape, None, None
        helpers = helping(classes, colouring, colours)
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
    return Split(classes, colouring, p, seed, blocks, beside, drift if moving else 0, laws, dark)


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
    dependent = [c.names for c in usable if of[c] and c not in linear]
    busy = frozenset[str]().union(*dependent, *apart.values())
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
        arrays = c.names
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

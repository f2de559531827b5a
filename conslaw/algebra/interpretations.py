"""What is true of array code whatever the lengths of its uniform axes: it is run over abstract numbers.

Each question is a number system: one method a primitive.  The classes of the axes of each node are known
(:mod:`conslaw.algebra.uniform_axes`); :func:`conslaw.algebra.evaluation.evaluate` tells a system where it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from typing import TypeAlias

from conslaw.algebra.expressions import Constants, Expression, Indices, Shape
from conslaw.algebra.uniform_axes import RIGID, Axes, Links, axes_kept, reshape_links

OWN, OTHER, MIXED = 1, 2, 4  # kinds of terms, see `Decoupling`

Block = tuple[bool, ...]  # for each axis whether its index is off T
Kinds = dict[Block, int]


class Interpretation:
    """A number system that knows the classes of the axes of the node that it is at, and of its arguments."""

    def __init__(self, classes: Mapping[int, Axes]) -> None:
        self.classes = classes

    def at(self, node: Expression) -> None:
        """Called before each node."""
        self.result = self.classes[id(node)]
        self.shape = node.shape
        self.operands = [self.classes[id(x)] for x in node.args]
        self.before = [x.shape for x in node.args]

    def links_of_take(self, indices: Indices) -> Links:
        """The axes that a take keeps."""
        return axes_kept(indices, self.before[0])

    def links_of_put(self, indices: Indices) -> Links:
        """The axes that a put keeps."""
        return [(i, j) for j, i in axes_kept(indices, self.shape)]

    def links_of_reshape(self) -> Links:
        """The axes that a reshape keeps."""
        return reshape_links(self.before[0], self.shape)


class Decoupling(Interpretation):
    """Whether indices T of each class decouple from all others, whatever the numbers of both.

    A value says of each block of an array which kinds of terms its entries have: OWN, in entries of T alone;
    OTHER, without mixed entries, that involve indices off T; MIXED, linear in mixed entries.  Terms of second
    order in mixed entries are dropped.
    """

    def blocks(self) -> list[Block]:
        """The blocks of the array of this node."""
        return _blocks(self.result)

    def array(self, classes: Axes, *, free: bool, vanishing: bool, first_order: bool) -> Kinds:
        """An input: of the state if ``free``, else data, which are zero off T.

        Mixed entries are those with indices in T and off T, and those off T of an array that is
        ``vanishing``. Without ``first_order`` all entries but those of T are zero.
        """
        result = dict[Block, int]()
        mixed = MIXED if free and first_order else 0
        other = (mixed if vanishing else OTHER) if mixed else 0
        for block in _blocks(classes):
            sides = [off for c, off in zip(classes, block, strict=True) if c != RIGID]
            result[block] = OWN if not any(sides) else other if all(sides) else mixed
        return result

    def constant(self, values: Constants) -> Kinds:
        full = any(v != 0 for v in values.ravel())
        return {b: (OTHER if any(b) else OWN) if full else 0 for b in self.blocks()}

    def add(self, x: Kinds, y: Kinds) -> Kinds:
        return {b: x.get(b, 0) | y.get(b, 0) for b in self.blocks()}

    def product(self, x: Kinds, y: Kinds, a: str, b: str, out: str) -> Kinds:
        value: Kinds = {}
        for (left, s), (right, t) in product(x.items(), y.items()):
            where = dict(zip(a, left, strict=True))
            if any(where.setdefault(letter, r) != r for letter, r in zip(b, right, strict=True)):
                continue
            plain = OWN | OTHER
            other = OTHER if (s & OTHER and t & plain) or (s & OWN and t & OTHER) else 0
            mixed = MIXED if (s & MIXED and t & plain) or (s & plain and t & MIXED) else 0
            image = tuple(where[letter] for letter in out)
            value[image] = value.get(image, 0) | (s & t & OWN) | other | mixed
        return value

    def sum(self, x: Kinds, axes: tuple[int, ...]) -> Kinds:
        value: Kinds = {}
        for b, s in x.items():
            kept = tuple(r for i, r in enumerate(b) if i not in axes)
            value[kept] = value.get(kept, 0) | s
        return value

    def take(self, x: Kinds, indices: Indices) -> Kinds:
        return self._linked(x, self.links_of_take(indices))

    def put(self, x: Kinds, indices: Indices, shape: Shape) -> Kinds:
        return self._linked(x, self.links_of_put(indices))

    def reshape(self, x: Kinds, shape: Shape) -> Kinds:
        return self._linked(x, self.links_of_reshape())

    def reciprocal(self, x: Kinds) -> Kinds:
        return {b: OWN if s == OWN else OTHER | MIXED for b, s in x.items()}

    def _linked(self, x: Kinds, links: Links) -> Kinds:
        value = dict.fromkeys(self.blocks(), 0)
        for b, s in x.items():
            for image in value:
                if all(b[i] == image[j] for i, j in links):
                    value[image] |= s
        return value


def _blocks(classes: Axes) -> list[Block]:
    """The blocks of an array with axes of these classes: an axis of no uniform class is not cut."""
    return list(product(*[(False, True) if c != RIGID else (False,) for c in classes]))


class Parities(Interpretation):
    """Whether entries change sign when the signs of an index are flipped: unknown for each axis of each
    input.

    A value is, for each axis, a sum mod 2 of the unknowns (a bit mask); ``conditions`` are sums that must be
    0 for each sum in the code to have terms that change alike.
    """

    def __init__(self, classes: Mapping[int, Axes]) -> None:
        super().__init__(classes)
        self.conditions: list[int] = []

    def constant(self, values: Constants) -> Sequence[int]:
        return [0] * values.ndim

    def add(self, x: Sequence[int], y: Sequence[int]) -> Sequence[int]:
        self.conditions += [i ^ j for i, j in zip(x, y, strict=True)]
        return x

    def product(self, x: Sequence[int], y: Sequence[int], a: str, b: str, out: str) -> Sequence[int]:
        total = dict.fromkeys(a + b, 0)
        for letter, mask in zip(a + b, [*x, *y], strict=True):
            total[letter] ^= mask
        self.conditions += [mask for letter, mask in total.items() if letter not in out]
        return [total[letter] for letter in out]

    def sum(self, x: Sequence[int], axes: tuple[int, ...]) -> Sequence[int]:
        self.conditions += [x[i] for i in axes]
        return [mask for i, mask in enumerate(x) if i not in axes]

    def take(self, x: Sequence[int], indices: Indices) -> Sequence[int]:
        return self._linked(x, self.links_of_take(indices))

    def put(self, x: Sequence[int], indices: Indices, shape: Shape) -> Sequence[int]:
        return self._linked(x, self.links_of_put(indices))

    def reshape(self, x: Sequence[int], shape: Shape) -> Sequence[int]:
        return self._linked(x, self.links_of_reshape())

    def reciprocal(self, x: Sequence[int]) -> Sequence[int]:
        return x

    def _linked(self, x: Sequence[int], links: Links) -> Sequence[int]:
        value = [0] * len(self.shape)
        for i, j in links:
            value[j] ^= x[i]
        self.conditions += [mask for i, mask in enumerate(x) if i not in {i for i, _ in links}]
        return value


Counts: TypeAlias = dict[int, int] | None


class DistinctIndices(Interpretation):
    """For each class a bound on the distinct indices of one monomial, those of its entry not counted.

    None if something with indices is a denominator: over a common one a monomial has the indices of all.
    """

    def array(self) -> Counts:
        """An input: an entry has the indices of its place."""
        return {}

    def constant(self, values: Constants) -> Counts:
        return {}

    def add(self, x: Counts, y: Counts) -> Counts:
        return None if x is None or y is None else {c: max(x.get(c, 0), y.get(c, 0)) for c in {*x, *y}}

    def product(self, x: Counts, y: Counts, a: str, b: str, out: str) -> Counts:
        by_letter = dict(zip(a + b, [*self.operands[0], *self.operands[1]], strict=True))
        return self._summed([x, y], [c for letter, c in by_letter.items() if letter not in out])

    def sum(self, x: Counts, axes: tuple[int, ...]) -> Counts:
        return self._summed([x], [self.operands[0][i] for i in axes])

    def take(self, x: Counts, indices: Indices) -> Counts:
        return self._summed([x], [c for c in self.operands[0] if c not in self.result])

    def put(self, x: Counts, indices: Indices, shape: Shape) -> Counts:
        return self._summed([x], [c for c in self.operands[0] if c not in self.result])

    def reshape(self, x: Counts, shape: Shape) -> Counts:
        return x

    def reciprocal(self, x: Counts) -> Counts:
        return None if x is None or x or any(c != RIGID for c in self.result) else x

    def _summed(self, parts: Sequence[Counts], gone: Sequence[int]) -> Counts:
        """The counts of a product of terms, and one more for each axis that is summed up."""
        total = dict[int, int]()
        for one in parts:
            if one is None:
                return None
            for c, n in one.items():
                total[c] = total.get(c, 0) + n
        for c in gone:
            total[c] = total.get(c, 0) + 1
        return total

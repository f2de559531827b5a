"""Lower bounds where the units before the last activation are any forms of degree R in n variables.

Deal the variables to g groups and let each unit be homogeneous in each group: of a degree alpha, a vector of
g numbers with sum R.  The torus that scales the groups splits the tangent space into blocks, one for each
degree beta of the outputs: spanned by (outgoing weights of a unit) z**(r - 1) m, m the monomials of degree
beta - (r - 1) alpha, and by z**r in each output.  Degrees that are permutations of one another have blocks of
the same rank, so few ranks are taken.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations_with_replacement, product
from math import comb, factorial, perm, prod

import numpy as np

from conslaw.algebra.finite_field import Residues, drawn, matmul, powered, rank

LARGEST_BLOCK = 1000  # rank of a block
LARGEST_DEGREE = 12
SHARES = 12  # in which units are dealt to types
SPARE = 40  # columns of a block beyond what its rank can be
Numbers = tuple[int, ...]


@dataclass(frozen=True)
class Forms:
    """h forms of degree R in n variables, their powers r added up to m outputs; the variables in g groups."""

    n: int
    degree: int
    power: int
    outputs: int
    groups: int

    @property
    def sizes(self) -> tuple[int, int, int, int]:
        """How many groups have how many variables."""
        size, more = divmod(self.n, self.groups)
        return self.groups - more, size, more, size + 1

    def types(self) -> list[Numbers]:
        """The degrees alpha of units, up to permutations: partitions of R."""
        return [type_ for type_ in partitions(self.degree) if len(type_) <= self.groups]

    def number(self, type_: Numbers) -> int:
        """How many degrees alpha are of a type."""
        return arrangements(type_, self.groups)

    def blocks(self) -> Iterator[tuple[int, Numbers, Numbers]]:
        """How many blocks have a degree beta, and the sizes of the groups where it is not 0."""
        first, small, second, large = self.sizes
        total = self.degree * self.power
        for part in range(total + 1):
            for one in partitions(part):
                for other in partitions(total - part):
                    count = arrangements(one, first) * arrangements(other, second)
                    if count:
                        yield count, one + other, (small,) * len(one) + (large,) * len(other)

    def columns(self, beta: Numbers, units: dict[Numbers, int]) -> list[tuple[Numbers, int]]:
        """The degrees alpha of units that a block has to do with, and how many units have each."""
        ranges = [range(b // (self.power - 1) + 1) for b in beta]
        found = [
            (alpha, units.get(_type(alpha), 0)) for alpha in product(*ranges) if sum(alpha) == self.degree
        ]
        return [(alpha, count) for alpha, count in found if count]

    def most(self, beta: Numbers, sizes: Numbers, units: dict[Numbers, int]) -> int:
        """What the rank of a block can be at most."""
        total = 0
        for alpha, count in self.columns(beta, units):
            rest = [b - (self.power - 1) * a for a, b in zip(alpha, beta, strict=True)]
            total += count * (dimension(rest, sizes) + (rest == list(alpha)) * (self.outputs - 1))
        return min(self.outputs * dimension(beta, sizes), total)

    def rank(self, beta: Numbers, sizes: Numbers, units: dict[Numbers, int], key: str, p: int) -> int:
        """The rank of a block, at random points mod p."""
        points = self.most(beta, sizes, units)
        if points == 0:
            return 0
        key, modulus = f"{key}/{beta}/{sizes}", np.uint64(p)
        x = [drawn(f"{key}/x{i}", (points, size), p) for i, size in enumerate(sizes)]
        v = drawn(f"{key}/v", (points, self.outputs), p)
        blocks, width = list[Residues](), 0
        for alpha, count in self.columns(beta, units):
            rest = tuple(b - (self.power - 1) * a for a, b in zip(alpha, beta, strict=True))
            below, above = monomials(x, alpha, p), monomials(x, rest, p)
            for unit in range(count):
                z = matmul(below, drawn(f"{key}/{alpha}/{unit}/z", (below.shape[1], 1), p), p)
                out = matmul(v, drawn(f"{key}/{alpha}/{unit}/u", (self.outputs, 1), p), p)
                slope = powered(z, self.power - 1, p)
                blocks.append(above * (slope * out % modulus) % modulus)
                if rest == alpha:
                    blocks.append(v * (slope * z % modulus) % modulus)
                width += blocks[-1].shape[1] + (above.shape[1] if rest == alpha else 0)
                if width > 2 * points + SPARE:
                    break
        return rank(np.concatenate(blocks, axis=1), p)

    def bound(self, units: dict[Numbers, int], key: str, p: int) -> int:
        """The sum of the ranks."""
        return sum(count * self.rank(beta, sizes, units, key, p) for count, beta, sizes in self.blocks())


def too_large(degree: int, outputs: int) -> bool:
    """Whether outputs have more types of blocks than are tried, or are too many for a block."""
    return degree > LARGEST_DEGREE or outputs > LARGEST_BLOCK


def best(
    n: int, degree: int, power: int, hidden: int, outputs: int, key: str, p: int
) -> tuple[int, Numbers, int] | None:
    """The numbers of groups and of units of each type that promise most, and the bound that they give."""
    hopes = []
    tried = {*range(1, 13), n, n // 2, n // 3, hidden, hidden // 2, hidden // 3}
    for groups in sorted(groups for groups in tried if 0 < groups <= n):
        forms = Forms(n, degree, power, outputs, groups)
        for counts in _dealt(forms, hidden):
            units = dict(zip(forms.types(), counts, strict=True))
            sizes = [(count, forms.most(beta, where, units)) for count, beta, where in forms.blocks()]
            if max(size for _, size in sizes) <= LARGEST_BLOCK:
                hopes.append((sum(count * size for count, size in sizes), -groups, counts))
    if not hopes:
        return None
    _, negative, counts = max(hopes)
    forms = Forms(n, degree, power, outputs, -negative)
    return forms.groups, counts, forms.bound(dict(zip(forms.types(), counts, strict=True)), key, p)


def _dealt(forms: Forms, hidden: int) -> Iterator[Numbers]:
    """Some ways to deal the hidden units to types."""
    types = forms.types()
    numbers = [forms.number(type_) for type_ in types]
    for shares in combinations_with_replacement(range(len(types)), SHARES if len(types) < 3 else 2):
        left, counts = hidden, [0] * len(types)
        for i in range(len(types)):
            counts[i] = hidden * shares.count(i) // len(shares) // numbers[i]
            left -= counts[i] * numbers[i]
        for i in sorted(range(len(types)), key=lambda i: -numbers[i]):
            counts[i] += left // numbers[i]
            left %= numbers[i]
        yield tuple(counts)


@lru_cache(maxsize=1000)
def partitions(n: int, most: int | None = None) -> list[Numbers]:
    """All falling lists of positive integers with sum n."""
    if n == 0:
        return [()]
    top = n if most is None else min(n, most)
    return [(k, *rest) for k in range(top, 0, -1) for rest in partitions(n - k, k)]


def arrangements(type_: Numbers, places: int) -> int:
    """How many lists of so many numbers have these and else zeros."""
    repeated = prod(factorial(type_.count(k)) for k in set(type_))
    return perm(places, len(type_)) // repeated


def _type(alpha: Numbers) -> Numbers:
    return tuple(sorted((a for a in alpha if a), reverse=True))


def dimension(degrees: Numbers | list[int], sizes: Numbers) -> int:
    """The number of monomials of these degrees in groups of these sizes."""
    return prod(comb(size - 1 + b, b) for b, size in zip(degrees, sizes, strict=True))


def monomials(x: list[Residues], degrees: Numbers, p: int) -> Residues:
    """Their values (points, number)."""
    points = len(x[0])
    values = np.ones((points, 1), dtype=np.uint64)
    for own, degree in zip(x, degrees, strict=True):
        columns = []
        for chosen in combinations_with_replacement(range(own.shape[1]), degree):
            column = np.ones(points, dtype=np.uint64)
            for i in chosen:
                column = column * own[:, i] % np.uint64(p)
            columns.append(column)
        rows = np.stack(columns, axis=1)
        values = (values[:, :, None] * rows[:, None, :] % np.uint64(p)).reshape(points, -1)
    return values

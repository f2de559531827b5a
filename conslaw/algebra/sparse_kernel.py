"""The kernel of a sparse linear system over Q, exactly.

An equation with one unknown kills it; what survives falls into connected components, mostly alike, each
solved over FLINT rationals (large ones by SymPy's sparse elimination), equal ones once.  Each step only drops
equations that say nothing new or unknowns that are zero.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import gcd, lcm
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from conslaw.algebra.polynomials import room

Vector: TypeAlias = dict[int, int]

DENSE = 48  # unknowns of a block that is solved densely
MOST_COMPARED = 150


@dataclass(frozen=True)
class Equations:
    """Entries of the sparse system: equation ``row``, unknown ``column`` and nonzero ``value``."""

    row: npt.NDArray[Any]
    column: npt.NDArray[np.intp]
    value: npt.NDArray[Any]

    def where(self, kept: npt.NDArray[Any]) -> Equations:
        """Some of the entries, in another order."""
        return Equations(self.row[kept], self.column[kept], self.value[kept])


def merged(parts: list[Equations]) -> Equations:
    """Several systems in one, with the rows of each numbered apart."""
    rows, first = [], 0
    for x in parts:
        rows.append(x.row + first)
        first += int(x.row.max(initial=-1)) + 1
    return Equations(
        np.concatenate(rows),
        np.concatenate([x.column for x in parts]),
        np.concatenate([x.value for x in parts]),
    )


def added_up(system: Equations) -> Equations:
    """Add entries of the same equation and unknown; sorted by equation, then unknown."""
    order = np.lexsort((system.column, system.row))
    x = system.where(order)
    new = np.concatenate([[True], (x.row[1:] != x.row[:-1]) | (x.column[1:] != x.column[:-1])])[: len(order)]
    if new.all():
        return x
    total = np.add.reduceat(room(x.value, len(x.value)), np.flatnonzero(new))
    return Equations(x.row[new], x.column[new], total).where(np.asarray(total != 0, dtype=bool))


def kill(system: Equations, alive: npt.NDArray[np.bool_]) -> Equations:
    """While an equation has one unknown left, that unknown is zero.  Rows are renumbered from 0."""
    while True:
        row = np.unique(system.row, return_inverse=True)[1]
        alone = (np.bincount(row) == 1)[row] if len(row) else np.zeros(0, dtype=bool)
        if not alone.any():
            return Equations(row, system.column, system.value)
        alive[system.column[alone]] = False
        system = system.where(alive[system.column])


def distinct(system: Equations, salt: int) -> Equations:
    """One of each set of equations that are multiples of one another, told apart by random sums.

    Should two different ones be taken for equal, the kernel only becomes too large, which the check of the
    laws finds out.
    """
    if not len(system.row):
        return system
    rng = np.random.default_rng([salt, 20240512888])
    start = np.flatnonzero(np.diff(system.row, prepend=-1))
    divisor = np.gcd.reduceat(system.value, start)
    leading = np.where(system.value[start] < 0, -divisor, divisor)
    value = system.value // leading[system.row]
    weight = rng.integers(0, 2**63, int(system.column.max()) + 1, dtype=np.uint64)
    small = np.asarray(value % int(rng.integers(2**30, 2**31)), dtype=np.uint64)
    total = np.add.reduceat(weight[system.column] * small, start)
    chosen = np.zeros(len(start), dtype=bool)
    chosen[np.unique(total, return_index=True)[1]] = True
    kept = Equations(system.row, system.column, value).where(chosen[system.row])
    return Equations(np.unique(kept.row, return_inverse=True)[1], kept.column, kept.value)


def kernel_by_components(system: Equations, alive: npt.NDArray[np.intp]) -> list[Vector]:
    """The kernel of the system in the unknowns still alive: components one by one, equal ones once."""
    position = np.searchsorted(alive, system.column)
    label = _components(position, system.row, len(alive))
    count = int(label.max(initial=-1)) + 1
    members = _blocks(label, count)
    entries = _blocks(label[position], count)
    solved: dict[tuple[Any, ...], list[Vector]] = {}
    basis: list[Vector] = []
    for member, entry in zip(members, entries, strict=True):
        row = np.unique(system.row[entry], return_inverse=True)[1]
        block = Equations(row, np.searchsorted(member, position[entry]), system.value[entry])
        known = (len(member), *(tuple(x.tolist()) for x in (block.row, block.column, block.value)))
        if known not in solved:
            solved[known] = _block_kernel(block, len(member))
        basis.extend({int(alive[member[i]]): v for i, v in vector.items()} for vector in solved[known])
    return sorted(basis, key=sorted)


def _components(position: npt.NDArray[np.intp], row: npt.NDArray[Any], size: int) -> npt.NDArray[np.intp]:
    """The number of the connected component of each unknown; equations (sorted by row) link their unknowns.

    Each unknown takes the smallest label in its equations, and the label of that one, until none changes.
    """
    label, start = np.arange(size), np.flatnonzero(np.diff(row, prepend=-1))
    while len(start):
        before, smallest = label.copy(), np.minimum.reduceat(label[position], start)
        np.minimum.at(label, label[position], smallest[row])
        label = label[label]
        if (label == before).all():
            break
    return np.asarray(np.unique(label, return_inverse=True)[1])


def _blocks(label: npt.NDArray[Any], count: int) -> Iterator[npt.NDArray[np.intp]]:
    """The positions of each label 0..count-1, in order."""
    order = np.argsort(label, kind="stable")
    return iter(np.split(order, np.cumsum(np.bincount(label, minlength=count))[:-1]))


def _block_kernel(block: Equations, size: int) -> list[Vector]:
    """The kernel of a connected block in ``size`` unknowns: sparse primitive integer vectors.

    With many more equations than unknowns a sample is solved, and equations that its kernel violates are
    added until none is.
    """
    import flint

    starts = np.flatnonzero(np.diff(block.row, prepend=-1, append=-1))
    count = len(starts) - 1 if len(block.row) else 0
    order = np.random.default_rng(0).permutation(count)
    chosen, rest = order[: 2 * size], order[2 * size :]
    rows: dict[int, dict[int, Any]] = {}
    while True:
        for r in chosen.tolist():
            part = slice(starts[r], starts[r + 1])
            entries = zip(block.column[part].tolist(), block.value[part].tolist(), strict=True)
            rows[r] = {c: flint.fmpq(v) for c, v in entries}
        reduced, pivots = _reduced(list(rows.values()), size)
        rows = {-1 - i: row for i, row in enumerate(reduced)}  # the old equations, reduced
        free = sorted(set(range(size)) - set(pivots))
        basis = [
            primitive(
                {f: flint.fmpq(1)} | {q: -reduced[i][f] for i, q in enumerate(pivots) if f in reduced[i]}
            )
            for f in free
        ]
        violated = _violated(block, basis, size)
        chosen = rest[np.isin(rest, violated)][: 2 * size]
        if not len(chosen):
            return basis


def _reduced(rows: list[dict[int, Any]], size: int) -> tuple[list[dict[int, Any]], list[int]]:
    """The reduced row echelon form, and its pivots; dense if small, as SymPy takes a while to import."""
    import flint

    if size <= DENSE:
        flat = [row.get(c, 0) for row in rows for c in range(size)]
        echelon, rank = flint.fmpq_mat(len(rows), size, flat).rref()
        found = [{c: echelon[i, c] for c in range(size) if echelon[i, c] != 0} for i in range(rank)]
        return found, [min(row) for row in found]
    from sympy.polys.matrices.sdm import sdm_irref

    reduced, pivots, _ = sdm_irref(dict(enumerate(rows)))
    return [reduced[i] for i in range(len(pivots))], list(pivots)


def _violated(block: Equations, basis: list[Vector], size: int) -> npt.NDArray[np.intp]:
    """The equations that some vector does not satisfy (exactly)."""
    bad = np.zeros(int(block.row.max(initial=-1)) + 1, dtype=bool)
    start = np.flatnonzero(np.diff(block.row, prepend=-1))
    largest = max((abs(v) for vector in basis for v in vector.values()), default=0)
    small = block.value.dtype != object and largest * int(np.abs(block.value).max(initial=0)) * size < 2**62
    for vector in basis if len(start) else []:
        dense = np.zeros(size, dtype=np.int64 if small else object)
        dense[list(vector)] = list(vector.values())
        bad |= np.asarray(np.add.reduceat(block.value * dense[block.column], start) != 0, dtype=bool)
    return np.flatnonzero(bad)


def primitive(vector: Mapping[int, Any]) -> Vector:
    """The multiple with coprime integer entries and a positive first one."""
    scale = lcm(*(int(v.denominator) for v in vector.values()))
    whole = {i: int(v.numerator) * (scale // int(v.denominator)) for i, v in sorted(vector.items())}
    divisor = gcd(*whole.values()) * (1 if next(iter(whole.values())) > 0 else -1)
    return {i: v // divisor for i, v in whole.items()}


def sparser(basis: list[Vector]) -> list[Vector]:
    """The same space with shorter vectors: while a multiple of one shortens another, subtract it.

    On a deep network this turns the reduced echelon basis into one law for each hidden unit.  Vectors are
    compared within sets that are linked by common unknowns, of up to :data:`MOST_COMPARED`.
    """
    owner: dict[int, int] = {}  # unknown -> a vector that has it
    parent = list(range(len(basis)))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    for i, vector in enumerate(basis):
        for unknown in vector:
            parent[root(i)] = root(owner.setdefault(unknown, i))
    linked: dict[int, list[Vector]] = {}
    for i, vector in enumerate(basis):
        linked.setdefault(root(i), []).append(vector)
    shorter = [
        v for group in linked.values() for v in (_shortened(group) if len(group) <= MOST_COMPARED else group)
    ]
    return sorted(shorter, key=sorted)


def _shortened(basis: list[Vector]) -> list[Vector]:
    changed = len(basis) > 1
    while changed:
        changed = False
        for i, x in enumerate(basis):
            for k, y in enumerate(basis):
                ratios = Counter(Fraction(x[s], y[s]) for s in y.keys() & x.keys()) if i != k else {}
                if not ratios:
                    continue
                ratio, cancelled = max(ratios.items(), key=lambda item: (item[1], -abs(item[0]), item[0]))
                if cancelled > len(y.keys() - x.keys()):
                    difference = {s: x.get(s, 0) - ratio * y.get(s, 0) for s in x.keys() | y.keys()}
                    x = basis[i] = primitive({s: Fraction(v) for s, v in difference.items() if v})
                    changed = True
    return basis

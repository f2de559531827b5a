"""Random curves in the leaves of a flow, as power series mod p, and the groups of coordinates that move on
their own.

A leaf is what can be reached along the fields of a flow.  With controls a_m(t) that are random power series,
theta' = sum_m a_m(t) X_m(theta) has one solution through each point; its coefficients follow one from the
other.  Some controls lead close to any few points of an open part of the leaf, so the monomials in theta(t)
are as independent along a random curve as they are on the leaf; their Wronskian is then not 0, and as many
derivatives at one point as there are monomials tell which polynomials vanish on the leaf: no bracket is
needed, whatever its depth.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations_with_replacement

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from conslaw.algebra.finite_field import LIFTING_PRIME as PRIME
from conslaw.algebra.finite_field import Residues, from_integers, matmul
from conslaw.algebra.polynomials import PolynomialArray

MODULUS = np.uint64(PRIME)
AT_ONCE = 2**22  # numbers in one array
SMALL = 200  # coordinates that move together, up to which parts of them are looked for


@dataclass(frozen=True)
class Terms:
    """The terms of some fields, those whose data are alike under one control.

    Attributes: ``entry`` (T,) the coordinate that moves, ``control`` (T,), ``monomial`` (T, d) variables from
    1, sorted, and ``coefficient`` (T,) residues.
    """

    entry: npt.NDArray[np.intp]
    control: npt.NDArray[np.intp]
    monomial: npt.NDArray[np.int32]
    coefficient: Residues

    @staticmethod
    def of(fields: list[PolynomialArray]) -> Terms:
        """All terms of the fields: a control for each field and monomial in the data."""
        width = max(x.degree for x in fields)
        rows = np.concatenate([np.pad(x.monomial, ((0, 0), (width - x.degree, 0))) for x in fields])
        owner = np.repeat(np.arange(len(fields)), [len(x) for x in fields])
        n = fields[0].shape[0]
        data = np.sort(np.where(rows > n, rows, 0), axis=1)
        named = np.concatenate([owner[:, None], data], axis=1)
        control = np.unique(named, axis=0, return_inverse=True)[1].reshape(-1)
        return Terms(
            np.concatenate([x.entry for x in fields]).astype(np.intp),
            control,
            np.sort(np.where(rows > n, 0, rows), axis=1),
            np.concatenate([from_integers(x.coefficient, PRIME) for x in fields]),
        )

    def blocks(self) -> list[npt.NDArray[np.intp]]:
        """The coordinates in groups that no control moves, or looks at, together with others, those that none
        moves left out; before each group its parts that move by themselves.
        """
        if not len(self.entry):
            return []
        n = max(int(self.entry.max()) + 1, int(self.monomial.max(initial=0)))
        parts = int(self.control.max()) + 1
        term, place = np.nonzero(self.monomial)
        variable = np.concatenate([self.entry, self.monomial[term, place] - 1])
        ends = (variable, n + np.concatenate([self.control, self.control[term]]))
        graph = coo_array((np.ones(len(variable), dtype=bool), ends), shape=(n + parts, n + parts))
        group = connected_components(graph, directed=False)[1]
        moved = [np.flatnonzero(group[:n] == g) for g in dict.fromkeys(group[np.unique(self.entry)].tolist())]
        return [part for block in moved for part in [*self._closed(block), block.astype(np.intp)]]

    def _closed(self, block: npt.NDArray[np.intp]) -> list[npt.NDArray[np.intp]]:
        """What the velocity of each coordinate of a block depends on, directly or not, smallest first; none
        of the whole block.
        """
        if len(block) > SMALL:
            return []
        own = self.within(block)
        term, place = np.nonzero(own.monomial)
        reached = np.eye(len(block), dtype=bool)
        reached[own.entry[term], own.monomial[term, place] - 1] = True
        for _ in range(len(block).bit_length()):
            reached = reached @ reached
        rows = ~np.unique(~reached, axis=0)  # earlier coordinates first
        sizes = rows.sum(axis=1)
        order = [i for i in np.argsort(sizes, kind="stable").tolist() if 1 < sizes[i] < len(block)]
        return [block[rows[i]] for i in order]

    def within(self, block: npt.NDArray[np.intp]) -> Terms:
        """The terms of a group, its coordinates numbered anew."""
        kept = np.isin(self.entry, block)
        return Terms(
            np.searchsorted(block, self.entry[kept]),
            np.unique(self.control[kept], return_inverse=True)[1].reshape(-1),
            np.where(self.monomial[kept] > 0, np.searchsorted(block + 1, self.monomial[kept]) + 1, 0),
            self.coefficient[kept],
        )


def monomials(n: int, degree: int) -> npt.NDArray[np.intp]:
    """The monomials in n variables up to a degree, from the highest: sorted numbers of variables, n for
    none.
    """
    rows = [row for d in range(degree, -1, -1) for row in combinations_with_replacement(range(n), d)]
    return np.array([[*row, *[n] * (degree - len(row))] for row in rows], dtype=np.intp)


def at_points(points: Residues, index: npt.NDArray[np.intp]) -> Residues:
    """The values of these monomials (N, d) at points (t, n): (t, N)."""
    table = np.concatenate([points, np.ones((len(points), 1), dtype=np.uint64)], axis=1)
    result = table[:, index[:, 0]]
    for column in index.T[1:]:
        result = result * table[:, column] % MODULUS
    return result


def along_curves(
    terms: Terms, points: Residues, index: npt.NDArray[np.intp], rng: np.random.Generator
) -> Residues:
    """A random curve from each of the points (t, n), and the coefficients of the monomials (N, d) along it:
    (t, N, N), an order a row.
    """
    order, products = len(index), _Products(terms, len(index))
    largest = max(products.size, len(terms.entry), order * points.shape[1])
    portion = max(1, AT_ONCE // (order * largest))
    parts = [points[start : start + portion] for start in range(0, len(points), portion)]
    return np.concatenate([_monomial_series(products.curves(x, rng), index) for x in parts])


def _monomial_series(curves: Residues, index: npt.NDArray[np.intp]) -> Residues:
    """Monomials of power series (t, order, n): products by the Toeplitz matrix of one variable at a time."""
    count, order, n = curves.shape
    k = np.arange(order)
    lower = np.where(k[:, None] >= k, k[:, None] - k, order)  # the series is 0 at order ``order``
    padded = np.concatenate([curves, np.zeros((count, 1, n), dtype=np.uint64)], axis=1)
    toeplitz = [padded[:, lower, i] for i in range(n)]
    place = {tuple(v for v in row if v < n): i for i, row in enumerate(index.tolist())}
    result = np.zeros((count, order, len(index)), dtype=np.uint64)
    result[:, 0, place[()]] = 1
    for degree in range(1, index.shape[1] + 1):
        for i in range(n):
            own = [m for m in place if len(m) == degree and m[0] == i]
            factors = result[:, :, [place[m[1:]] for m in own]]
            result[:, :, [place[m] for m in own]] = matmul(toeplitz[i], factors, PRIME)
    return result


class _Products:
    """The products that the terms of some fields are made of, each of an earlier one and a variable."""

    def __init__(self, terms: Terms, order: int) -> None:
        self.terms, self.order = terms, order
        number: dict[tuple[int, ...], int] = {(): 0}
        rows = [tuple(v for v in row if v) for row in terms.monomial.tolist()]
        # by degree: the product, the earlier one, the variable
        self.levels: list[list[tuple[int, int, int]]] = [[] for _ in range(max(map(len, rows), default=0))]
        for row in rows:
            for stop, variable in enumerate(row, start=1):
                if row[:stop] not in number:
                    number[row[:stop]] = len(number)
                    step = (number[row[:stop]], number[row[: stop - 1]], variable - 1)
                    self.levels[stop - 1].append(step)
        self.size = len(number)
        pairs = np.stack([terms.entry, [number[row] for row in rows]], axis=1)
        self.pairs, self.pair = np.unique(pairs, axis=0, return_inverse=True)

    def curves(self, points: Residues, rng: np.random.Generator) -> Residues:
        """The solutions through some points (t, n), as power series (t, order, n)."""
        (count, n), order = points.shape, self.order
        controlled = self._controls(count, rng)
        curves = np.zeros((count, order, n), dtype=np.uint64)
        curves[:, 0] = points
        made = np.zeros((count, order, self.size), dtype=np.uint64)
        made[:, 0, 0] = 1
        moves = np.zeros((len(self.pairs), n), dtype=np.uint64)
        moves[np.arange(len(self.pairs)), self.pairs[:, 0]] = 1
        for k in range(order - 1):
            for level in self.levels:
                new, old, variable = np.array(level, dtype=np.intp).T
                made[:, k, new] = _convolved(made[:, : k + 1, old], curves[:, : k + 1, variable])
            speed = _convolved(controlled[:, : k + 1], made[:, : k + 1, self.pairs[:, 1]])
            curves[:, k + 1] = matmul(speed, moves, PRIME) * np.uint64(pow(k + 1, -1, PRIME)) % MODULUS
        return curves

    def _controls(self, count: int, rng: np.random.Generator) -> Residues:
        """The factor that stands before each pair of coordinate and product: (t, order, pairs)."""
        terms = self.terms
        shape = (count, self.order, int(terms.control.max()) + 1)
        controls = rng.integers(0, PRIME, shape, dtype=np.uint64)
        order = np.argsort(self.pair.reshape(-1), kind="stable")
        start = np.searchsorted(self.pair.reshape(-1)[order], np.arange(len(self.pairs)))
        scaled = controls[:, :, terms.control[order]] * terms.coefficient[order] % MODULUS
        return np.asarray(np.add.reduceat(scaled, start, axis=2) % MODULUS)


def _convolved(x: Residues, y: Residues) -> Residues:
    """The last coefficient of the products of power series (t, k, m)."""
    return np.asarray((x * y[:, ::-1] % MODULUS).sum(axis=1) % MODULUS)

"""Linear algebra over GF(p), p < 2**31, on NumPy arrays of residues (``uint64``, canonical in ``[0, p)``).

Why not ``flint.nmod_mat``: its rank is good, but making the matrix from Python integers costs as much again,
and the Lie ranks need an *incremental* row space (is this new row in the span?) that python-flint does not
offer.  Here products are float64 matrix products on BLAS of *centred* residues, at most p/2 in size: one
product if p < 2**23, two if p is larger and a factor is cut in halves (:func:`_less` says why they are
exact).  An echelon form is made of such products, but for blocks of a few rows.  ``benchmarks/`` has the rank
of n x n matrices beside FLINT's.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from hashlib import shake_256
from math import gcd, isqrt, prod
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from conslaw.algebra.threads import one_blas_thread
from conslaw.errors import ConslawError

Residues: TypeAlias = npt.NDArray[np.uint64]
Floats: TypeAlias = npt.NDArray[
    np.float64
]  # centred residues, but for rounding: whole, at most p/2 + 2 in size
Columns: TypeAlias = npt.NDArray[np.intp]

SMALLEST_PRIME = 2**20  # below this the error probabilities would mean nothing
LARGEST_PRIME = 2**31  # products of two residues must fit 64 bits with room for a sum
LIFTING_PRIME = 2**31 - 1  # for what is found mod p, lifted to Q and then checked exactly: any prime will do
ONE_PRODUCT = 2**23  # below this, products of residues are exact in float64 as they are
LEAF = 16  # rows that are brought to echelon form one by one
PANEL = 256  # rows that are, before all others are reduced by them
TINY = 64  # the same for each of a stack of products
SMALL = 2**14  # multiplications below which a product is summed up directly
PRIMES_DRAWN_FROM = 50_697_537  # number of primes between 2**30 and 2**31: pi(2**31) - pi(2**30)


def check_prime(p: int) -> int:
    """Return ``p`` if it is a prime that the arithmetic here can use; raise :class:`ConslawError` with the
    witness if not.
    """
    import flint

    if isinstance(p, bool) or not isinstance(p, int | np.integer):
        raise ConslawError(f"prime={p!r}: the modulus must be a prime integer, such as 2147483647")
    p = int(p)
    if not SMALLEST_PRIME <= p < LARGEST_PRIME:
        raise ConslawError(f"prime={p}: choose a prime between 2**20 and 2**31, such as 2147483647")
    if not flint.fmpz(p).is_prime():
        factors = " * ".join(f"{q}^{e}" for q, e in flint.fmpz(p).factor())
        raise ConslawError(f"prime={p}: not a prime, {p} = {factors}; choose one, such as 2147483647")
    return p


def random_prime(rng: np.random.Generator) -> int:
    """A uniformly random prime between 2**30 and 2**31."""
    return _prime_of(31, rng)


def small_prime(rng: np.random.Generator) -> int:
    """A uniformly random prime between 2**22 and 2**23, with which everything takes half the time: for ranks
    that need no bound of how probable it is that they are generic, since something else decides that.
    """
    return _prime_of(23, rng)


def _prime_of(bits: int, rng: np.random.Generator) -> int:
    """A uniformly random prime of so many bits."""
    import flint

    while True:
        p = int(rng.integers(2 ** (bits - 2), 2 ** (bits - 1))) * 2 + 1
        if flint.fmpz(p).is_prime():
            return p


def drawn(key: str, shape: tuple[int, ...], p: int) -> Residues:
    """The residues that a key stands for, the same for ever: the 64-bit little-endian words of its SHAKE-256,
    mod p, in C order.
    """
    words = np.frombuffer(shake_256(key.encode()).digest(8 * prod(shape)), dtype="<u8")
    return (words % np.uint64(p)).astype(np.uint64).reshape(shape)


@lru_cache(maxsize=1024)
def _axes(
    a: str, b: str, out: str
) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...], int, int, int]:
    """How to bring operands ``a`` and ``b`` of a contraction into matrix form: (batch, free a, sum) and
    (batch, sum, free b).
    """
    batch = [x for x in out if x in a and x in b]
    total = [x for x in a if x in b and x not in out]
    free_a = [x for x in out if x in a and x not in b]
    free_b = [x for x in out if x in b and x not in a]
    result = batch + free_a + free_b
    return (
        tuple(a.index(x) for x in batch + free_a + total),
        tuple(b.index(x) for x in batch + total + free_b),
        tuple(result.index(x) for x in out),
        len(batch),
        len(free_a),
        len(total),
    )


def contract(x: Residues, y: Residues, a: str, b: str, out: str, p: int) -> Residues:
    """The product ``einsum(a, b -> out)`` mod p; each letter is in at least two of ``a``, ``b``, ``out``."""
    axes_x, axes_y, axes_out, batch, free, total = _axes(a, b, out)
    x, y = x.transpose(axes_x), y.transpose(axes_y)
    shape = x.shape[: batch + free] + y.shape[batch + total :]
    if total == 0:  # outer or elementwise: no sum, so no BLAS
        tail = (1,) * (y.ndim - batch)
        product = (
            x.reshape(x.shape + tail)
            * y.reshape(y.shape[:batch] + (1,) * free + y.shape[batch:])
            % np.uint64(p)
        )
        return product.transpose(axes_out)
    stack, inner = x.shape[:batch], prod(x.shape[batch + free :])
    rows, columns = prod(x.shape[batch : batch + free]), prod(y.shape[batch + total :])
    left, right = x.reshape(*stack, rows, inner), y.reshape(*stack, inner, columns)
    return matmul(left, right, p).reshape(shape).transpose(axes_out)


def matmul(x: Residues, y: Residues, p: int) -> Residues:
    """``x @ y`` mod p for stacks of matrices: by exact float64 products if it is not small."""
    modulus, inner = np.uint64(p), x.shape[-1]
    if inner == 0:
        return np.zeros(
            (*np.broadcast_shapes(x.shape[:-2], y.shape[:-2]), x.shape[-2], y.shape[-1]), dtype=np.uint64
        )
    one = inner * x.shape[-2] * y.shape[-1]
    if (
        one * prod(x.shape[:-2]) <= SMALL or one <= TINY
    ):  # calls to BLAS and back would cost more than the sums
        return np.asarray(((x[..., :, :, None] * y[..., None, :, :]) % modulus).sum(axis=-2) % modulus)
    with one_blas_thread():
        return _residues(_less(None, _centred(x, p, -1), _centred(y, p), p), p)


def _centred(x: Residues, p: int, sign: int = 1) -> Floats:
    """Residues, or their negatives, as float64 numbers of size at most p/2."""
    result = x.astype(np.float64, order="C")
    result -= (result > p // 2) * float(p)
    return result if sign > 0 else np.negative(result, out=result)


def _residues(x: Floats, p: int) -> Residues:
    """Back to canonical residues."""
    return np.where(x < 0, x + p, x).astype(np.uint64)


def _reduce(x: Floats, p: int) -> None:
    """Centre whole numbers up to 2**53 - 2**32 in size, in place.

    The quotient by p is rounded, wrong by less than 2/p, to a whole number q; q p is whole and below
    2**53, so the difference x - q p is exact, and at most p/2 + 2 in size.
    """
    quotient = x * (1.0 / p)
    np.rint(quotient, out=quotient)
    quotient *= p
    x -= quotient


def _less(rows: Floats | None, x: Floats, y: Floats, p: int) -> Floats:
    """``rows - x @ y`` mod p for stacks of matrices, centred; rows are zero if None.

    If p < 2**23, each product is below 2**44 + 2**25, so 2**8 of them add up exactly in float64 whatever the
    order of summation, with room for the rows.  For larger p, y = 2**15 high + low: products with the high
    half are at most 2**45 + 2**33, so 2**7 of them add up exactly; 2**15 times what they leave mod p, 2**7
    products with the low half, and the rows, are together below 2**53 again.
    """
    chunk = 256 if p < ONE_PRODUCT else 128
    for start in range(0, x.shape[-1], chunk):
        left, right = x[..., start : start + chunk], y[..., start : start + chunk, :]
        if p < ONE_PRODUCT:
            sums = left @ right
        else:
            high = np.rint(right * 2.0**-15)
            sums = left @ high
            _reduce(sums, p)
            sums *= 2.0**15
            high *= 2.0**15
            sums += left @ (right - high)
        if rows is None:
            np.negative(sums, out=sums)
        else:
            np.subtract(rows, sums, out=sums)
        _reduce(sums, p)
        rows = sums
    if rows is None:
        return np.zeros((*x.shape[:-1], y.shape[-1]))
    return rows


def from_integers(values: npt.ArrayLike, p: int) -> Residues:
    """Residues of integers or fractions (any array-like of int, Fraction or NumPy integers)."""
    array = np.asarray(values)
    if array.dtype.kind in "iu":
        return np.asarray(
            array.astype(object) % p if array.dtype.kind == "u" else array.astype(np.int64) % p
        ).astype(np.uint64)
    flat = [residue(v, p) for v in array.ravel().tolist()]
    return np.array(flat, dtype=np.uint64).reshape(array.shape)


def residue(value: object, p: int) -> int:
    """An integer or fraction mod p."""
    numerator, denominator = int(value.numerator), int(value.denominator)  # type: ignore[attr-defined]
    if denominator % p == 0:
        raise ZeroDivisionError(f"the denominator of {value} is divisible by the prime {p}")
    return numerator * pow(denominator, -1, p) % p


def invert(x: Residues, p: int) -> Residues:
    """The inverses mod p, entry by entry: x**(p - 2), by Fermat.

    Raises
    ------
    ZeroDivisionError
        If an entry is zero.
    """
    if not x.all():
        raise ZeroDivisionError("division by zero mod p")
    return powered(x, p - 2, p)


def powered(x: Residues, exponent: int, p: int) -> Residues:
    """The powers mod p, entry by entry."""
    result, modulus = np.ones_like(x), np.uint64(p)
    while exponent:
        if exponent & 1:
            result = result * x % modulus
        x, exponent = x * x % modulus, exponent >> 1
    return result


def fraction(value: int, p: int) -> tuple[int, int] | None:
    """The fraction (a, b) = value mod p with |a|, b <= sqrt(p/2), if there is one (Wang's rational
    reconstruction).
    """
    bound = isqrt(p // 2)
    r, s, a, b = p, value % p, 0, 1
    while s > bound:
        quotient = r // s
        r, s, a, b = s, r - quotient * s, b, a - quotient * b
    if abs(b) > bound or gcd(s, b) != 1:
        return None
    return (s, b) if b > 0 else (-s, -b)


@dataclass(frozen=True)
class RowSpace:
    """A subspace of GF(p)^n in reduced echelon form: its basis is the identity on ``pivots`` and ``rest`` on
    ``free``.

    Attributes: ``prime``; ``pivots`` (r,) and ``free`` (n - r,) column numbers; ``rest`` (r, n - r) residues.
    """

    prime: int
    pivots: npt.NDArray[np.intp]
    free: npt.NDArray[np.intp]
    rest: Residues

    @staticmethod
    def zero(n: int, p: int) -> RowSpace:
        """The zero subspace of GF(p)^n."""
        return RowSpace(p, np.arange(0), np.arange(n), np.zeros((0, n), dtype=np.uint64))

    @property
    def rank(self) -> int:
        """Its dimension r."""
        return len(self.pivots)

    def reduce(self, rows: Residues) -> Residues:
        """The rows (m, n) modulo this space, in its free coordinates: (m, n - r).  A row is in the space iff
        it becomes 0.
        """
        if self.rank == 0:
            return rows[:, self.free]
        return _residues(self._reduce(_centred(rows, self.prime)), self.prime)

    def _reduce(self, rows: Floats) -> Floats:
        return _less(rows[:, self.free], rows[:, self.pivots], _centred(self.rest, self.prime), self.prime)

    def independent(self, rows: Residues) -> list[int]:
        """The numbers of the rows, taken in order, that each raise the rank of this space and the rows before
        it.
        """
        reduced, chosen = self.reduce(rows), list[int]()
        new, waiting = RowSpace.zero(reduced.shape[1], self.prime), [np.flatnonzero(reduced.any(axis=1))]
        while waiting:  # many at once: all of them if the rank rises by so much, none if it does not
            some = waiting.pop()
            larger = new.extend(reduced[some])
            if larger.rank == new.rank + len(some):
                chosen, new = chosen + some.tolist(), larger
            elif larger.rank > new.rank:
                waiting += [some[len(some) // 2 :], some[: len(some) // 2]]
        return chosen

    @one_blas_thread()
    def extend(self, rows: Residues) -> RowSpace:
        """The sum of this space and the span of ``rows`` (m, n)."""
        p, old = self.prime, _centred(self.rest, self.prime)
        floats = _centred(rows, p)
        reduced = _less(floats[:, self.free], floats[:, self.pivots], old, p)
        pivots, rest = _echelon(reduced, p)
        if len(pivots) == 0:
            return self
        free = _others(pivots, reduced.shape[1])
        old = _less(old[:, free], old[:, pivots], rest, p)
        return RowSpace(
            p,
            np.concatenate([self.pivots, self.free[pivots]]),
            self.free[free],
            _residues(np.concatenate([old, rest]), p),
        )


@one_blas_thread()
def rank(rows: Residues, p: int) -> int:
    """The rank mod p of a matrix (m, n) of residues: a panel of rows at a time is brought to echelon form,
    and the rows below are reduced by it.
    """
    left, found = _centred(rows if rows.shape[0] <= rows.shape[1] else rows.T, p), 0
    while left.size:
        pivots, rest = _echelon(left[:PANEL], p)
        below = left[PANEL:]
        free, factors = _columns(below, _others(pivots, below.shape[1])), _columns(below, pivots).copy()
        left, found = free, found + len(pivots)
        if len(pivots):
            for start in range(0, len(left), PANEL):  # in place, as much as the cache holds
                part = slice(start, start + PANEL)
                left[part] = _less(free[part], factors[part], rest, p)
    return found


def _others(columns: Columns, n: int) -> Columns:
    """The numbers below n that are not among these."""
    others = np.ones(n, dtype=bool)
    others[columns] = False
    return np.flatnonzero(others)


def _columns(rows: Floats, columns: Columns) -> Floats:
    """Some columns of a matrix: without a copy, if they are neighbours."""
    if len(columns) and (columns[1:] - columns[:-1] == 1).all():
        return rows[:, int(columns[0]) : int(columns[-1]) + 1]
    return rows[:, columns]


def _echelon(rows: Floats, p: int) -> tuple[Columns, Floats]:
    """The pivots and the rest of the reduced echelon form of a matrix, by halves: the upper half is solved,
    the lower half is reduced by it and solved in turn.
    """
    m, n = rows.shape
    if m <= LEAF:
        return _echelon_of_few(rows, p)
    pivots, rest = _echelon(rows[: m // 2], p)
    free, lower = _others(pivots, n), rows[m // 2 :]
    lower = _less(_columns(lower, free), _columns(lower, pivots), rest, p)
    more, new = _echelon(lower, p)
    if len(more) == 0:
        return pivots, rest
    kept = _others(more, n - len(pivots))
    rest = _less(_columns(rest, kept), _columns(rest, more), new, p)
    return np.concatenate([pivots, free[more]]), np.concatenate([rest, new])


def _echelon_of_few(rows: Floats, p: int) -> tuple[Columns, Floats]:
    """The same for a few rows: they are solved in as many of the first columns as that takes, mostly a square
    block, and the others are multiplied by what was done to it.
    """
    m, n = rows.shape
    used = np.flatnonzero(rows.any(axis=0))
    pivots, done = list[int](), list[int]()
    for width in (2 * m, len(used)):
        window = used[:width]
        block = np.concatenate([rows[:, window].astype(np.int64), np.eye(m, dtype=np.int64)], axis=1) % p
        pivots, done = _gauss_jordan(block, len(window), p)
        if len(pivots) == m or len(window) == len(used):
            break
    columns = used[pivots].astype(np.intp)
    solution = _centred(block[done, len(window) :].view(np.uint64), p)
    return columns, _less(None, -solution, rows[:, _others(columns, n)], p)


def _gauss_jordan(block: npt.NDArray[np.int64], width: int, p: int) -> tuple[list[int], list[int]]:
    """Solve a block of canonical residues in place; the pivot columns among the first ``width``, and the
    rows that they are in.
    """
    pivots, done = list[int](), list[int]()
    for i, row in enumerate(block):
        [places] = row[:width].nonzero()
        if len(places) == 0:
            continue
        column = int(places[0])
        row *= pow(int(row[column]), -1, p)
        row %= p
        factors = block[:, column].copy()
        factors[i] = 0
        block -= factors[:, None] * row
        block %= p
        pivots.append(column)
        done.append(i)
    return pivots, done

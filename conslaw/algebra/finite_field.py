"""Linear algebra over GF(p), p < 2**31, on NumPy arrays of residues (``uint64``, canonical in ``[0, p)``).

Why not ``flint.nmod_mat``: its rank is excellent, but making the matrix from Python integers costs as much
again, and the Lie ranks need an *incremental* row space (is this new row in the span?) that python-flint does
not offer.  Here every product is two float64 matrix products on BLAS, exact because one factor is split into
16-bit halves; the row space of 1800 x 1800 takes about a third of the time of FLINT's rank with its
conversion (``benchmarks/``).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from hashlib import shake_256
from math import gcd, isqrt, prod
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from conslaw.errors import ConslawError

Residues: TypeAlias = npt.NDArray[np.uint64]

SMALLEST_PRIME = 2**20  # below this the error probabilities would mean nothing
LARGEST_PRIME = 2**31  # products of two residues must fit 64 bits with room for a sum
LIFTING_PRIME = 2**31 - 1  # for what is found mod p, lifted to Q and then checked exactly: any prime will do
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
    import flint

    while True:
        p = int(rng.integers(2**29, 2**30)) * 2 + 1
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
    """``x @ y`` mod p for stacks of matrices, by exact float64 products.

    With x centred (at most 2**30 in size) and y cut into a high and a low half of 16 bits, each product is
    below 2**46, so 2**7 of them add up exactly in float64 whatever the order of summation.
    """
    modulus, chunk = np.uint64(p), 128
    inner = x.shape[-1]
    if inner == 0:
        return np.zeros(
            (*np.broadcast_shapes(x.shape[:-2], y.shape[:-2]), x.shape[-2], y.shape[-1]), dtype=np.uint64
        )
    one = inner * x.shape[-2] * y.shape[-1]
    if (
        one * prod(x.shape[:-2]) <= SMALL or one <= TINY
    ):  # six calls to BLAS and back would cost more than the sums
        return np.asarray(((x[..., :, :, None] * y[..., None, :, :]) % modulus).sum(axis=-2) % modulus)
    left = x.astype(np.float64)
    left -= (left > p // 2) * float(p)
    high, low = (y >> np.uint64(16)).astype(np.float64), (y & np.uint64(0xFFFF)).astype(np.float64)
    lift = (2**53 // p + 1) * p  # makes any exact float64 sum non-negative without changing it mod p
    result: Residues | None = None
    for start in range(0, inner, chunk):
        part = slice(start, start + chunk)
        upper = _residues(left[..., part] @ high[..., part, :], lift, modulus)
        lower = _residues(left[..., part] @ low[..., part, :], lift, modulus)
        piece = ((upper << np.uint64(16)) + lower) % modulus
        result = piece if result is None else (result + piece) % modulus
    assert result is not None
    return result


def _residues(sums: npt.NDArray[np.float64], lift: int, modulus: np.uint64) -> Residues:
    whole = sums.astype(np.int64)
    whole += lift
    return whole.view(np.uint64) % modulus


def from_integers(values: npt.ArrayLike, p: int) -> Residues:
    """Residues of integers or fractions (any array-like of int, Fraction or NumPy integers)."""
    array = np.asarray(values)
    if array.dtype.kind in "iu":
        return np.asarray(
            array.astype(object) % p if array.dtype.kind == "u" else array.astype(np.int64) % p
        ).astype(np.uint64)
    flat = [_residue(v, p) for v in array.ravel().tolist()]
    return np.array(flat, dtype=np.uint64).reshape(array.shape)


def _residue(value: object, p: int) -> int:
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
    modulus, result, power, exponent = np.uint64(p), np.ones_like(x), x, p - 2
    while exponent:
        if exponent & 1:
            result = result * power % modulus
        power, exponent = power * power % modulus, exponent >> 1
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
        p = np.uint64(self.prime)
        if self.rank == 0:
            return rows[:, self.free]
        return (rows[:, self.free] + (p - matmul(rows[:, self.pivots], self.rest, self.prime))) % p

    def independent(self, rows: Residues) -> list[int]:
        """The numbers of the rows, taken in order, that each raise the rank of this space and the rows before
        it.
        """
        reduced, chosen = self.reduce(rows), list[int]()
        new = RowSpace.zero(reduced.shape[1], self.prime)
        for i in np.flatnonzero(reduced.any(axis=1)).tolist():
            larger = new.extend(reduced[i : i + 1])
            if larger.rank > new.rank:
                chosen.append(i)
            new = larger
        return chosen

    def extend(self, rows: Residues) -> RowSpace:
        """The sum of this space and the span of ``rows`` (m, n)."""
        new = _echelon(self.reduce(rows), self.prime)
        if new.rank == 0:
            return self
        modulus = np.uint64(self.prime)
        old = self.rest[:, new.free]
        if self.rank:
            old = (old + (modulus - matmul(self.rest[:, new.pivots], new.rest, self.prime))) % modulus
        return RowSpace(
            self.prime,
            np.concatenate([self.pivots, self.free[new.pivots]]),
            self.free[new.free],
            np.concatenate([old, new.rest]),
        )


def _echelon(rows: Residues, p: int) -> RowSpace:
    """Row space of a matrix, by halves: the upper half is solved, the lower half is reduced by it and solved
    in turn.
    """
    m, n = rows.shape
    if m > 12:
        return _echelon(rows[: m // 2], p).extend(rows[m // 2 :])
    rows, modulus = rows.copy(), np.uint64(p)
    pivots: list[int] = []
    for i in range(m):
        nonzero = rows[i] != 0
        column = int(nonzero.argmax()) if n else 0
        if n == 0 or not nonzero[column]:
            continue
        rows[i] = rows[i] * np.uint64(pow(int(rows[i, column]), -1, p)) % modulus
        factors = (modulus - rows[:, column]) % modulus
        factors[i] = 0
        rows = (rows + factors[:, None] * rows[i]) % modulus
        pivots.append(column)
    free = np.setdiff1d(np.arange(n), pivots)
    kept = rows[rows.any(axis=1)]
    return RowSpace(p, np.array(pivots, dtype=np.intp), free, kept[:, free])


def rank(rows: Residues, p: int) -> int:
    """The rank mod p of a matrix (m, n) of residues."""
    return _echelon(rows, p).rank

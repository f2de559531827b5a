"""The functions that one synapse of a high-order layer can be: piecewise polynomials and Fourier series.

On each of S equal pieces of the domain, with local coordinate t in [-1, 1], a polynomial basis is a matrix
applied to the Legendre polynomials of t, which keeps every basis well conditioned at any degree.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from numbers import Integral
from typing import Any

import numpy as np
from numpy.polynomial import legendre
from numpy.typing import NDArray

from conslaw.errors import ConslawError, TooLargeError, check_memory
from conslaw.models.potential import is_positive_integer

LARGEST, LARGEST_DEGREE = 1e300, 1_000  # of numbers, and of functions
MOST_WORK = 4e11  # of a projection: points times functions squared, some 20 s

Array = NDArray[np.float64]
BASES = ("lagrange", "monomial", "legendre", "fourier", "identity")


@dataclass(frozen=True)
class Space:
    """A basis of functions of one variable.

    Attributes
    ----------
    degree, segments, continuous, basis, frequencies, domain
        As in :class:`conslaw.layers.HighOrderLinear`; ``basis="identity"`` is the one function x.
    """

    degree: int = 1
    segments: int = 1
    continuous: bool = True
    basis: str = "lagrange"
    frequencies: int | None = None
    domain: tuple[float, float] = (-1.0, 1.0)

    def __post_init__(self) -> None:
        if not isinstance(self.basis, str) or self.basis not in BASES:
            raise ConslawError(f"basis={self.basis!r}: give one of {', '.join(map(repr, BASES[:-1]))}")
        if not is_positive_integer(self.segments):
            raise ConslawError(f"segments={self.segments!r}: give an integer >= 1")
        constant = (
            isinstance(self.degree, Integral) and not isinstance(self.degree, bool) and self.degree == 0
        )
        if not (is_positive_integer(self.degree) or constant) or int(self.degree) > LARGEST_DEGREE:
            raise ConslawError(f"degree={self.degree!r}: give an integer from 0 to {LARGEST_DEGREE:,}")
        if not isinstance(self.continuous, bool):
            raise ConslawError(f"continuous={self.continuous!r}: give True or False")
        try:
            left, right = (float(x) for x in self.domain)
        except (TypeError, ValueError, OverflowError):
            left, right = 1.0, 0.0
        if not -np.inf < left < right < np.inf:
            raise ConslawError(f"domain={self.domain!r}: give two finite numbers in order, such as (-1, 1)")
        object.__setattr__(self, "domain", (left, right))
        for name in ("degree", "segments", "frequencies"):  # of whatever type of integers
            value = getattr(self, name)
            object.__setattr__(self, name, int(value) if isinstance(value, Integral) else value)
        if self.basis == "fourier":
            if not is_positive_integer(self.frequencies) or self.segments != 1:
                given = f"frequencies={self.frequencies!r}, segments={self.segments}"
                raise ConslawError(f"{given}: a Fourier series needs frequencies >= 1 and one segment")
        elif self.frequencies is not None:
            raise ConslawError(f"frequencies={self.frequencies!r}: only basis='fourier' has them; leave out")
        if self.continuous and self.segments > 1 and self.degree == 0:
            raise ConslawError("degree=0 on several segments cannot be continuous: give continuous=False")

    @property
    def piecewise(self) -> bool:
        """Whether the basis is one of (piecewise) polynomials on the whole domain."""
        return self.basis in ("lagrange", "monomial", "legendre")

    @property
    def active(self) -> int:
        """How many basis functions act on one input."""
        if self.basis == "fourier":
            return 2 * (self.frequencies or 0) + 1
        return self.degree + 1 if self.piecewise else 1

    @property
    def step(self) -> int:
        """By how many functions the pieces are apart; continuous ones share their ends."""
        return self.degree if self.continuous else self.degree + 1

    @property
    def size(self) -> int:
        """How many basis functions there are."""
        return self.active + self.step * (self.segments - 1)

    @cached_property
    def nodes(self) -> Array:
        """The Chebyshev-Lobatto points in [-1, 1], in order."""
        n = self.degree + 1
        return -np.cos(np.pi * np.arange(n) / (n - 1)) if n > 1 else np.zeros(1)

    @cached_property
    def transform(self) -> Array:
        """T of shape (n, n): the basis on a piece is (P_0(t), ..., P_{n-1}(t)) T."""
        n = self.degree + 1
        if self.basis == "lagrange":
            inverse: Array = np.linalg.inv(legendre.legvander(self.nodes, n - 1)).astype(np.float64)
            return inverse
        powers = np.eye(n)
        if self.basis == "monomial":
            powers = np.zeros((n, n))
            for k in range(n):
                powers[: k + 1, k] = legendre.poly2leg(np.eye(n)[k][: k + 1])
        if not self.continuous or self.segments == 1:
            return powers
        # between two ends, (1 - t)/2 and (1 + t)/2, stand functions that vanish at both
        inner = [powers[:, k] - powers[:, k - 2 if self.basis == "legendre" else k % 2] for k in range(2, n)]
        ends = [0.5 * (np.eye(n)[0] + sign * np.eye(n)[1]) for sign in (-1, 1)]
        return np.stack([ends[0], *inner, ends[1]], axis=1)

    @cached_property
    def unity(self) -> NDArray[np.int64]:
        """Numbers s_k in {0, 1} with sum_k s_k phi_k = 1 everywhere; all 0 where the constant is missing."""
        kind = np.zeros(self.active, dtype=np.int64)
        if self.basis == "lagrange":
            kind[:] = 1
        elif self.basis != "identity":
            kind[0] = 1
            if self.piecewise and self.continuous and self.segments > 1:
                kind[-1] = 1
        result = np.zeros(self.size, dtype=np.int64)
        for piece in range(self.segments):
            result[piece * self.step : piece * self.step + self.active] |= kind
        return result

    @property
    def breaks(self) -> Array:
        """The ends of the pieces."""
        return np.linspace(*self.domain, self.segments + 1)

    def values(self, x: Array) -> Array:
        """The plain path: all basis functions at the points x of shape (m,), as an array (m, size)."""
        left, right = self.domain
        if self.basis == "identity":
            return x[:, None].copy()
        if self.basis == "fourier":
            angle = 2 * np.pi * (x - (left + right) / 2) / (right - left)
            turns = angle[:, None] * np.arange(1, (self.frequencies or 0) + 1)
            return np.concatenate([np.ones((len(x), 1)), np.cos(turns), np.sin(turns)], axis=1)
        u = (x - left) / (right - left) * self.segments
        piece = np.clip(np.floor(u), 0, self.segments - 1).astype(int)
        local = legendre.legvander(2 * (u - piece) - 1, self.degree) @ self.transform
        result = np.zeros((len(x), self.size))
        columns = piece[:, None] * self.step + np.arange(self.active)
        np.put_along_axis(result, columns, local, axis=1)
        return result


def why_not_nested(old: Space, new: Space) -> str:
    """Why functions of the old space are not all in the new one; empty if they are."""
    if old.domain != new.domain:
        return f"the domains {old.domain} and {new.domain} differ"
    if "identity" in (old.basis, new.basis):
        return "" if old == new else "the product unit has one function, x"
    if old.piecewise != new.piecewise:
        return "polynomials and Fourier series have only constants in common"
    if not old.piecewise:
        fewer = (new.frequencies or 0) < (old.frequencies or 0)
        return f"{new.frequencies} frequencies are fewer than {old.frequencies}" if fewer else ""
    if new.degree < old.degree:
        return f"degree {new.degree} is less than {old.degree}"
    if new.segments % old.segments:
        return f"{new.segments} segments do not divide those of {old.segments}: give a multiple"
    if old.segments > 1 and new.continuous and not old.continuous:
        return "discontinuous functions are not continuous"
    return ""


def transfer(old: Space, new: Space) -> tuple[Array, Array]:
    """The orthogonal projection in L2 of the domain, as a matrix on coefficients, and what it leaves.

    Parameters
    ----------
    old, new : Space
        With the same domain.

    Returns
    -------
    R : array of shape (new.size, old.size)
        Coefficients w of the old basis become R w.
    Q : array of shape (points, old.size)
        ``|Q w|`` is the root mean square of f - (projection of f), f the function of coefficients w.

    Notes
    -----
    Gauss-Legendre points on each common piece make the inner products of polynomials exact; for Fourier
    series they are exact to rounding.
    """
    if old.domain != new.domain:
        raise ConslawError(f"domains {old.domain} and {new.domain} differ: give the same")
    order = max(old.degree, new.degree) + 1
    for space in (old, new):
        if space.basis == "fourier":
            order = max(order, 8 * (space.frequencies or 0) + 24)
    places, functions = order * (old.segments + new.segments), old.size + new.size
    what = f"from {old.size:,} functions of a synapse to {new.size:,}"
    check_memory(16 * places * functions, what, "change less at once")
    if places * functions**2 > MOST_WORK:
        raise TooLargeError(f"{what}: too much work; change less at once")
    points, weights = np.polynomial.legendre.leggauss(order)
    breaks = np.union1d(old.breaks, new.breaks)
    gaps = np.diff(breaks)
    real = gaps > 1e-12 * (breaks[-1] - breaks[0])  # 1/3 and 2/6 can differ by rounding
    middles, halves = (breaks[:-1] + breaks[1:])[real] / 2, gaps[real] / 2
    x = (middles[:, None] + halves[:, None] * points).ravel()
    root = np.sqrt((halves[:, None] * weights).ravel() / (breaks[-1] - breaks[0]))[:, None]
    before, after = root * old.values(x), root * new.values(x)
    matrix: Any = np.linalg.lstsq(after, before, rcond=None)[0]
    return matrix, before - after @ matrix

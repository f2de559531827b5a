"""Exact numbers from what users write."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextvars import ContextVar
from decimal import Decimal
from fractions import Fraction
from numbers import Integral, Rational
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from conslaw.algebra.not_polynomial import SUPPORTED
from conslaw.errors import ConslawError

FLOAT = (float, np.floating)
T = TypeVar("T")
MOST_DIGITS = 5_000  # of a Decimal, before or behind its point: 1e999999999 would fill the memory
RATIONAL = re.compile(r"\s*[-+]?[0-9.]+([eE][-+]?[0-9]+)?(/[0-9]+)?\s*")
# whose array code is running: that of a "potential", of a "metric"
READING: ContextVar[str] = ContextVar("READING", default="")


def hyper_parameter(value: object) -> int | Fraction:
    """An exact number; a float is the shortest decimal that stands for it: 0.1 is 1/10."""
    decimal = isinstance(value, FLOAT) and np.isfinite(value)
    return exact_rational(Decimal(str(value)) if decimal else value)


def exact_rational(value: object) -> int | Fraction:
    """An exact number from an integer, a fraction, text such as ``"1/2"``, a SymPy rational, or a float that
    is what it seems.
    """
    if isinstance(value, str):
        try:
            short = len(value) <= 200 and abs(int(value.lower().partition("e")[2] or 0)) <= 200
            return Fraction(value if short and RATIONAL.fullmatch(value) else "long")
        except (ValueError, ZeroDivisionError):
            raise ConslawError(
                f"{value[:60]!r} is not a rational number, such as 1/2 (of up to 200 digits)"
            ) from None
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Rational):
        return Fraction(int(value.numerator), int(value.denominator))
    if isinstance(value, Decimal) and value.is_finite() and abs(value.adjusted()) <= MOST_DIGITS:
        return Fraction(value)
    if isinstance(value, FLOAT) and np.isfinite(value):
        if READING.get() == "metric":
            return hyper_parameter(value)
        exact = Fraction(*value.as_integer_ratio())  # of a longdouble too
        if exact.denominator <= 2**20:  # 0.5 means 1/2; 0.1 is not what it seems
            return int(exact) if exact.denominator == 1 else exact
        meant = Fraction(str(value))
        raise ConslawError(
            f"the constant {value!r} is not exact: write fractions.Fraction({meant.numerator}, "
            f"{meant.denominator})"
        )
    raise ConslawError(
        f"{value!r} ({type(value).__name__}) in a potential: use the arrays given, integers and fractions. "
        f"Supported: {SUPPORTED}"
    )


def exact_array(values: object, shape: tuple[int, ...], what: str) -> npt.NDArray[Any]:
    """Weights, data or a point as exact numbers: a float in them is its exact binary value."""
    try:
        np.asarray(values)  # complains of what is ragged
        given = np.array(values, dtype=object)
    except ValueError:
        raise ConslawError(f"{what}={values!r:.200} is ragged; the state has shape {shape}") from None
    if given.shape != shape:
        raise ConslawError(f"{what} has shape {given.shape}; the state has {shape}")
    exact = np.empty(shape, dtype=object)
    flat: list[Any] = given.reshape(-1).tolist()
    try:
        pairs = [v.as_integer_ratio() if isinstance(v, FLOAT) else (v.numerator, v.denominator) for v in flat]
        exact.reshape(-1)[:] = [Fraction(int(a), int(b)) for a, b in pairs]
    except (AttributeError, TypeError, ValueError, OverflowError):
        raise ConslawError(
            f"{what}={values!r:.200} is not exact: give integers, fractions.Fraction values or floats"
        ) from None
    return exact


def power(times: Callable[[T, T], T], x: T, n: int) -> T:
    """The product of n >= 1 factors ``x``, by halves."""
    if n == 1:
        return x
    half = power(times, x, n // 2)
    square = times(half, half)
    return times(square, x) if n % 2 else square

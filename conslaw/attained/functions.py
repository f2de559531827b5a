"""Nonlinear operations at real arguments: which piece of a piecewise polynomial function, and enclosures of
smooth ones by ball arithmetic (Arb, in python-flint).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import inf, lcm
from typing import Any

import numpy as np
from flint import arb, ctx

from conslaw.attained.enclosures import TINY, UNIT, Array, Balls
from conslaw.errors import ConslawError
from conslaw.models.readings import raw_of_sum_zero

BITS = 80  # of the balls in which smooth functions are computed: what goes in and comes out are float64
Polynomial = Sequence[Any]


@dataclass(frozen=True)
class Pieces:
    """A function that is a polynomial between breaks; of a gate, its values between them."""

    breaks: Sequence[Any]
    values: Sequence[Any]

    def __post_init__(self) -> None:
        if not np.isfinite(np.array(self.breaks, float)).all() or sorted(self.breaks) != [*self.breaks]:
            raise ConslawError(
                f"a function in pieces has breaks {[*self.breaks]}: give finite ones, in order"
            )

    def gates(self) -> list[Fraction]:
        """The values of a gate, one for each piece."""
        return [Fraction(v) for v in self.values]

    def coefficients(self, degree: int) -> list[Fraction]:
        """Of z**degree, one for each piece."""
        return [Fraction(v[degree]) if degree < len(v) else Fraction(0) for v in self.values]

    @property
    def degree(self) -> int:
        """The largest degree."""
        return max(len(v) for v in self.values) - 1

    def found(self, z: Balls) -> tuple[Array, Array]:
        """The number of the piece of each entry, and whether it is certain (batch, *shape)."""
        number, sure = np.zeros(z.mid.shape, np.int64), np.ones(z.mid.shape, bool)
        for b in map(float, self.breaks):
            distance = z.mid - b
            number += distance > 0
            sure &= (abs(distance) * (1 - 8 * UNIT) > z.rad) | z.fixed
        return number, sure


GATES: Mapping[str, Callable[..., Pieces]] = {
    "relu": lambda: Pieces([0], [0, 1]),
    "relu_squared": lambda: Pieces([0], [0, 1]),
    "prelu": lambda: Pieces([0], [0, 1]),
    "leaky_relu": lambda negative_slope=0.01: Pieces([0], [negative_slope, 1]),
    "abs": lambda: Pieces([0], [-1, 1]),
    "hardshrink": lambda lambd=0.5: Pieces([-lambd, lambd], [1, 0, 1]),
}

PIECEWISE: Mapping[str, Callable[..., Pieces]] = {
    "relu6": lambda: Pieces([0, 6], [[0], [0, 1], [6]]),
    "hardtanh": lambda min_val=-1.0, max_val=1.0: Pieces([min_val, max_val], [[min_val], [0, 1], [max_val]]),
    "hardsigmoid": lambda: Pieces([-3, 3], [[0], [Fraction(1, 2), Fraction(1, 6)], [1]]),
    "hardswish": lambda: Pieces([-3, 3], [[0], [0, Fraction(1, 2), Fraction(1, 6)], [0, 1]]),
    "softshrink": lambda lambd=0.5: Pieces([-lambd, lambd], [[lambd, 1], [0], [-Fraction(lambd), 1]]),
    "threshold": lambda threshold=0.0, value=0.0: Pieces([threshold], [[value], [0, 1]]),
    "rrelu": lambda: Pieces([0], [[0, Fraction(11, 48)], [0, 1]]),
}


def largest(z: Balls, axes: Sequence[int], allowed: Array | None) -> tuple[Array, Array]:
    """Where the largest entry of each window is (its weights, 0 and 1), and whether that is certain.

    Entries that are fixed zeros may be equal: whichever is chosen, the value is 0 near these weights.
    """
    mask = np.broadcast_to(True if allowed is None else allowed, z.mid.shape[1:])
    over = [a + 1 for a in axes]

    def last(x: Array) -> Array:
        moved = np.moveaxis(x, over, range(-len(over), 0))
        return moved.reshape(*moved.shape[: moved.ndim - len(over)], -1)

    inside = last(np.broadcast_to(mask, z.mid.shape))
    mid, rad, fixed = np.where(inside, last(z.mid), -np.inf), last(z.rad), last(z.fixed)
    first = mid.argmax(-1)[..., None]
    top = [np.take_along_axis(x, first, -1) for x in (mid, rad, fixed)]
    chosen = np.arange(mid.shape[-1]) == first
    above = (top[0] - mid) * (1 - 8 * UNIT) > top[1] + rad
    sure = (above | chosen | ~inside | (top[2] & fixed)).all(-1)
    weights = chosen.reshape(*np.moveaxis(z.mid, over, range(-len(over), 0)).shape)
    return np.moveaxis(weights, range(-len(over), 0), over), sure


def selection(weights: Array, axes: Sequence[int], allowed: Array | None) -> tuple[Array, int]:
    """The free array that stands for a selection with these weights (batch, *shape): whole numbers, and what
    to divide them by.
    """
    mask = np.broadcast_to(True if allowed is None else allowed, weights.shape[1:]).astype(np.int64)
    numbers = mask.sum(tuple(axes), keepdims=True)
    whole = lcm(*np.unique(numbers).tolist())
    kind = np.int64 if whole < 2**53 else object  # windows of many lengths, cut off by a padding
    centred = whole * weights.astype(kind) - mask.astype(kind) * (whole // numbers.astype(kind))
    return raw_of_sum_zero(centred, [a + 1 for a in axes], None if allowed is None else allowed), whole


# smooth functions of one ball: value and slope


def _sigmoid(z: arb) -> arb:
    return 1 / (1 + (-z).exp())


def _normal(z: arb) -> arb:
    return (1 + (z / arb(2).sqrt()).erf()) / 2


def _softplus(z: arb) -> arb:
    return z.exp().log1p() if z < 30 else z + (-z).exp().log1p()


def _inner(z: arb) -> tuple[arb, arb]:
    """The argument of the tanh of the approximate GELU, and its slope."""
    scale, cubic = (2 / arb.pi()).sqrt(), arb(44715) / 1000000
    return scale * (z + cubic * z**3), scale * (1 + 3 * cubic * z**2)


def _gelu(z: arb, approximate: str = "none") -> arb:
    return z * _normal(z) if approximate == "none" else z * (1 + _inner(z)[0].tanh()) / 2


def _gelu_slope(z: arb, approximate: str = "none") -> arb:
    if approximate == "none":
        return _normal(z) + z * (-z * z / 2).exp() / (2 * arb.pi()).sqrt()
    t, slope = _inner(z)[0].tanh(), _inner(z)[1]
    return (1 + t + z * (1 - t * t) * slope) / 2


def _sided(z: arb, above: Callable[[arb], arb], below: Callable[[arb], arb]) -> arb:
    """Where it is not certain on which side of 0 the argument is, nothing is known."""
    return above(z) if z > 0 else below(z) if z < 0 or z == 0 else arb("nan")


def _until(z: arb, threshold: float, below: Callable[[arb], arb], above: Callable[[arb], arb]) -> arb:
    """The same of a threshold."""
    if threshold == inf:
        return below(z)
    return _sided(z - arb(threshold), lambda _: above(z), lambda _: below(z))


def _elu(z: arb, alpha: float = 1.0) -> arb:
    return _sided(z, lambda x: x, lambda x: arb(alpha) * x.expm1())


def _elu_slope(z: arb, alpha: float = 1.0) -> arb:
    return _sided(z, lambda x: arb(1), lambda x: arb(alpha) * x.exp())


def _selu(which: Callable[..., arb]) -> Callable[[arb], arb]:
    scale, alpha = 1.0507009873554804934193349852946, 1.6732632423543772848170429916717
    return lambda z: arb(scale) * which(z, alpha)


def _mish_slope(z: arb) -> arb:
    t = _softplus(z).tanh()
    return t + z * _sigmoid(z) * (1 - t * t)


SMOOTH: Mapping[str, tuple[Callable[..., arb], Callable[..., arb]]] = {
    "gelu": (_gelu, _gelu_slope),
    "silu": (lambda z: z * _sigmoid(z), lambda z: _sigmoid(z) * (1 + z * (1 - _sigmoid(z)))),
    "mish": (lambda z: z * _softplus(z).tanh(), _mish_slope),
    "tanh": (lambda z: z.tanh(), lambda z: 1 - z.tanh() ** 2),
    "sigmoid": (_sigmoid, lambda z: _sigmoid(z) * _sigmoid(-z)),
    "logsigmoid": (lambda z: -_softplus(-z), lambda z: _sigmoid(-z)),
    "softplus": (
        lambda z, beta=1.0, threshold=inf: _until(
            arb(beta) * z, threshold, lambda x: _softplus(x) / arb(beta), lambda x: z
        ),
        lambda z, beta=1.0, threshold=inf: _until(arb(beta) * z, threshold, _sigmoid, lambda x: arb(1)),
    ),
    "softsign": (lambda z: z / (1 + abs(z)), lambda z: 1 / (1 + abs(z)) ** 2),
    "tanhshrink": (lambda z: z - z.tanh(), lambda z: z.tanh() ** 2),
    "elu": (_elu, _elu_slope),
    "celu": (
        lambda z, alpha=1.0: _sided(z, lambda x: x, lambda x: arb(alpha) * (x / arb(alpha)).expm1()),
        lambda z, alpha=1.0: _sided(z, lambda x: arb(1), lambda x: (x / arb(alpha)).exp()),
    ),
    "selu": (_selu(_elu), _selu(_elu_slope)),
    "exp": (lambda z: z.exp(), lambda z: z.exp()),
    "sin": (lambda z: z.sin(), lambda z: z.cos()),
    "cos": (lambda z: z.cos(), lambda z: -z.sin()),
}


# smooth operations on arrays of balls of one of the batch (objects): values, and slopes for an adjoint


def _probabilities(z: Array, axis: int, allowed: Array | None, scale: float) -> tuple[Array, Array]:
    whole = np.broadcast_to(1 if allowed is None else allowed.astype(int), z.shape).astype(object)
    weights = np.frompyfunc(lambda x: x.exp(), 1, 1)(z * arb(scale)) * whole
    return weights / weights.sum(axis, keepdims=True), whole


def _softmax(z: Array, axis: int, allowed: Array | None, scale: float) -> Array:
    value, whole = _probabilities(z, axis, allowed, scale)
    even = whole / np.frompyfunc(arb, 1, 1)(whole.sum(axis, keepdims=True))
    return raw_of_sum_zero(value - even, [axis], allowed)


def _softmax_slopes(z: Array, adjoint: Array, axis: int, allowed: Array | None, scale: float) -> Array:
    value, _ = _probabilities(z, axis, allowed, scale)
    u = value * (adjoint - (adjoint * value).sum(axis, keepdims=True)) * arb(scale)
    return raw_of_sum_zero(u, [axis], allowed)


def _mean(z: Array, over: tuple[int, ...]) -> Any:
    return z.sum(over, keepdims=True) / arb(int(np.prod([z.shape[i] for i in over])))


def _normed(z: Array, axes: Sequence[int], eps: float, centred: bool) -> tuple[Array, Array]:
    over = tuple(axes)
    moved = z - _mean(z, over) if centred else z
    root = np.frompyfunc(lambda x: x.sqrt(), 1, 1)(_mean(moved * moved, over) + arb(eps))
    return moved / root, root


def _norm(z: Array, axes: Sequence[int], eps: float, centred: bool) -> Array:
    value, _ = _normed(z, axes, eps, centred)
    return raw_of_sum_zero(value, axes) if centred else value


def _norm_slopes(z: Array, adjoint: Array, axes: Sequence[int], eps: float, centred: bool) -> Array:
    (value, root), over = _normed(z, axes, eps, centred), tuple(axes)
    u = (adjoint - (_mean(adjoint, over) if centred else 0) - value * _mean(adjoint * value, over)) / root
    return raw_of_sum_zero(u, axes) if centred else u


def _direction(z: Array, axes: Sequence[int], eps: float, centred: bool) -> tuple[Array, Array]:
    root = np.frompyfunc(lambda x: x.sqrt(), 1, 1)((z * z).sum(tuple(axes), keepdims=True))
    return z / root, root


def _direction_slopes(z: Array, adjoint: Array, axes: Sequence[int], eps: float, centred: bool) -> Array:
    value, root = _direction(z, axes, eps, centred)
    return (adjoint - value * (adjoint * value).sum(tuple(axes), keepdims=True)) / root  # type: ignore[no-any-return]


JOINT: Mapping[str, tuple[Callable[..., Array], Callable[..., Array]]] = {
    **dict.fromkeys(("softmax", "attention"), (_softmax, _softmax_slopes)),
    **dict.fromkeys(("layer_norm", "rms_norm", "group_norm", "batch_norm"), (_norm, _norm_slopes)),
    "weight_norm": (lambda *z, **options: _direction(*z, **options)[0], _direction_slopes),
}


def in_balls(function: Callable[..., Array], *arguments: Balls) -> Balls:
    """A function of arrays of Arb's balls, for each of a batch."""
    batch, before = max(len(x.mid) for x in arguments), ctx.prec
    ctx.prec = BITS
    try:
        made = [function(*(_objects(x, i) for x in arguments)) for i in range(batch)]
        pairs = [np.array([_pair(y) for y in x.ravel()]).reshape(*x.shape, 2) for x in made]
    finally:
        ctx.prec = before
    stacked = np.stack(pairs)
    return Balls(stacked[..., 0], stacked[..., 1])


def entry_by_entry(function: Callable[..., arb], **options: Any) -> Callable[[Array], Array]:
    """A function of each entry."""
    return lambda z: np.frompyfunc(lambda x: function(x, **options), 1, 1)(z)


def _objects(x: Balls, i: int) -> Array:
    i = i if len(x.mid) > 1 else 0
    shape = x.mid.shape[1:]
    made = np.empty(shape, dtype=object)
    made.reshape(-1)[:] = [
        arb(a, b) for a, b in zip(x.mid[i].ravel().tolist(), x.rad[i].ravel().tolist(), strict=True)
    ]
    return made


def _pair(x: Any) -> tuple[float, float]:
    if not isinstance(x, arb):  # whole numbers, of what a mask leaves out
        return float(x), 0.0
    if x == 0:  # exactly
        return 0.0, 0.0
    mid = float(x.mid())
    return mid, float(x.rad()) * (1 + 8 * UNIT) + abs(mid) * 2 * UNIT + TINY

"""Norms: centring is exact, and what is divided by a deviation has a free value and free slopes.

A deviation is a function of the weights: its reciprocal as free data would be false.  What holds for eps > 0
are the laws of translations and of gains.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from conslaw.algebra.expressions import Expression, as_expression, stopped
from conslaw.errors import ConslawError
from conslaw.models.cut import Cut
from conslaw.models.readings import (
    REAL,
    Array,
    Recorder,
    raw_of_sum_zero,
    recorder,
    sum_zero,
    varying,
)

Axes = int | Sequence[int]


def layer_norm(
    z: object, weight: object = None, bias: object = None, *, axis: Axes = -1, eps: float = 1e-5
) -> Expression:
    """``(z - mean) / sqrt(var + eps) * weight + bias``, mean and variance over the given axes.

    Parameters
    ----------
    z : array
    weight, bias : arrays that broadcast to z, optional
    axis : the axes that are normalised together, the last by default
    eps : float > 0
        Its value does not matter to the laws.  At ``eps=0`` the scale of what is normalised is conserved too:
        the flow is then one of vector fields, which fits small networks only.

    Returns
    -------
    array of the shape of z: free data that sum to zero, times the weight, plus the bias

    Raises
    ------
    ConslawError
        If there is one entry along the axes, or eps is negative.

    Examples
    --------
    What feeds a LayerNorm conserves its column sums, gain and bias go with what reads them:

    >>> import conslaw
    >>> from conslaw import nn
    >>> network = conslaw.model(
    ...     lambda p, c: c.v @ (p.B @ nn.relu(nn.layer_norm(p.A @ c.x, p.g, p.h))),
    ...     parameters={"A": (3, 2), "g": (3,), "h": (3,), "B": (2, 3)},
    ...     data={"x": (2,), "v": (2,)},
    ... )
    >>> analysis = conslaw.analyze(network)
    >>> analysis.laws_found, analysis.complete
    (5, True)
    """
    return _affine(_normalised("layer_norm", z, axis, eps, centred=True), weight, bias)


def rms_norm(z: object, weight: object = None, *, axis: Axes = -1, eps: float = 1e-5) -> Expression:
    """``z / sqrt(mean(z**2) + eps) * weight``, the mean over the given axes."""
    return _affine(_normalised("rms_norm", z, axis, eps, centred=False), weight, None)


def group_norm(
    z: object, groups: int, weight: object = None, bias: object = None, *, axis: int = 0, eps: float = 1e-5
) -> Expression:
    """A norm over groups of channels and all that follows their axis; weight and bias for each channel."""
    x = as_expression(z)
    axis = _one_axis("group_norm", x, axis)
    channels = x.shape[axis]
    if groups < 1 or channels % groups:
        raise ConslawError(f"group_norm: {channels} channels in {groups} groups: they must be divisible")
    split = x.reshape(*x.shape[:axis], groups, channels // groups, *x.shape[axis + 1 :])
    y = _normalised("group_norm", split, list(range(axis + 1, split.ndim)), eps, centred=True)
    return _affine(y.reshape(*x.shape), *(_along(w, x, axis) for w in (weight, bias)))


def batch_norm(
    z: object,
    weight: object = None,
    bias: object = None,
    *,
    train: bool,
    axis: int = 1,
    eps: float = 1e-5,
) -> Expression:
    """A norm of each channel over the batch and the pixels.

    Parameters
    ----------
    z : array
    weight, bias : arrays with an entry for each channel, optional
    train : bool
        In training the statistics are those of z: centred exactly, then a free value and free slopes.  In
        evaluation they are data: a scale and a shift that are free.
    axis : the axis of the channels; 1 by default, as in PyTorch
    eps : float > 0

    Raises
    ------
    ConslawError
        If a channel has one entry in training, or eps is negative.
    """
    x = as_expression(z)
    axis = _one_axis("batch_norm", x, axis)
    if not isinstance(train, bool):
        raise ConslawError(f"batch_norm: train={train!r}: give True or False")
    if train:
        y = _normalised("batch_norm", x, [i for i in range(x.ndim) if i != axis], eps, centred=True)
    else:
        record, channels = recorder("batch_norm"), (x.shape[axis],)
        _not_negative("batch_norm", eps)
        name = record.numbered("batch_norm")
        scale, shift = record.free(f"{name}_scale", channels), record.free(f"{name}_shift", channels)
        record.note("batch_norm", "data", [scale, shift], [], [], None, {"channels": channels[0]})
        y = x * _along(scale, x, axis) + _along(shift, x, axis)
    return _affine(y, *(_along(w, x, axis) for w in (weight, bias)))


def weight_norm(v: object, g: object, *, axis: int = 0, eps: float | None = None) -> Expression:
    """``g * v / norm(v)``, a norm for each index of the axis: a free direction times the gain.

    The norms of v, which are conserved as well, are laws of the reading with ``eps=0`` (:func:`layer_norm`).
    """
    x = as_expression(v)
    axis = _one_axis("weight_norm", x, axis)
    axes = [i for i in range(x.ndim) if i != axis]
    direction = _normalised("weight_norm", x, axes, 1.0 if eps is None else eps, centred=False)
    gain = as_expression(g)
    return direction * (gain if gain.ndim == x.ndim else _along(gain, x, axis))


def _normalised(operation: str, z: object, axis: Axes, eps: float, *, centred: bool) -> Expression:
    record, x = recorder(operation), as_expression(z)
    axes = [axis] if isinstance(axis, int) else list(axis)
    if not axes or not all(-x.ndim <= a < x.ndim for a in axes):
        raise ConslawError(f"{operation}: axis={axis!r} of an array of shape {x.shape}")
    axes = sorted({a % x.ndim for a in axes})
    _not_negative(operation, eps)
    if np.prod([x.shape[a] for a in axes]) < 2:
        raise ConslawError(
            f"{operation} of shape {x.shape} over axis {axis!r}: a norm of one entry is no norm"
        )
    name, options = record.numbered(operation), {"axes": axes, "eps": eps, "centred": centred}
    value, raw = _free(record, f"{name}_value", x, axes, centred)
    if not record.trains(x):
        record.note(operation, "data", [raw], [], [x], value, options)
        return value
    seen = varying(x, axes) if centred else x
    slopes = list[Expression]()
    if seen is not None and not eps:
        turned = _turned(record, f"{name}_turn", x, axes, centred)
        record.cuts.append(Cut(value, x, seen, turned, tuple(axes)))
    elif seen is not None:
        u, raw_u = _free(record, f"{name}_slope", x, axes, centred)
        record.cuts.append(Cut(value, x, seen, u, tuple(axes)))
        slopes.append(raw_u)
    record.note(operation, "value and slope", [raw], slopes, [x], value, options)
    return value


def _free(
    record: Recorder, name: str, x: Expression, axes: Sequence[int], centred: bool
) -> tuple[Expression, Expression]:
    if centred:
        return sum_zero(record, name, x.shape, axes)
    made = record.free(name, x.shape)
    return made, made


def _turned(record: Recorder, name: str, x: Expression, axes: Sequence[int], centred: bool) -> Expression:
    """What comes back through a norm at eps = 0 is orthogonal to z, and to constants if z is centred: C z
    with free antisymmetric C, through which no gradient passes.
    """
    kept = [i for i in range(x.ndim) if i not in axes]
    lead, n = tuple(x.shape[i] for i in kept), int(np.prod([x.shape[i] for i in axes]))
    free = record.free(name, (*lead, n, n))
    z = stopped(x.transpose(*kept, *axes).reshape(*lead, n))

    def centre(y: Expression) -> Expression:
        return y - y.sum(-1, keepdims=True) / n if centred else y

    turned = centre(np.einsum("...ij,...j->...i", free - np.swapaxes(free, -1, -2), centre(z)))
    back = np.argsort([*kept, *axes]).tolist()
    return turned.reshape(*lead, *(x.shape[i] for i in axes)).transpose(*back)


def _not_negative(operation: str, eps: float) -> None:
    if not eps >= 0:
        raise ConslawError(f"{operation}: eps={eps!r}: give a number >= 0; positive ones do not differ")


def _one_axis(operation: str, x: Expression, axis: int) -> int:
    if not isinstance(axis, int) or not -x.ndim <= axis < x.ndim:
        raise ConslawError(f"{operation}: axis={axis!r} of an array of shape {x.shape}")
    return axis % x.ndim


def _along(w: object, x: Expression, axis: int) -> Any:
    """One entry for each index of an axis, to be multiplied by x."""
    return None if w is None else as_expression(w).reshape(-1, *([1] * (x.ndim - axis - 1)))


def _affine(y: Expression, weight: object, bias: object) -> Expression:
    y = y if weight is None else y * as_expression(weight)
    return y if bias is None else y + as_expression(bias)


# what they are


def _values(z: Array, axes: Sequence[int], eps: float, centred: bool) -> tuple[Array, Array]:
    over = tuple(axes)
    mean = z.mean(over, keepdims=True) if centred else 0.0
    deviation = np.sqrt(((z - mean) ** 2).mean(over, keepdims=True) + eps)
    return (z - mean) / deviation, deviation


def _fill(z: Array, axes: Sequence[int], eps: float, centred: bool) -> list[Array]:
    value, _ = _values(z, axes, eps, centred)
    return [raw_of_sum_zero(value, axes) if centred else value]


def _fill_slopes(z: Array, adjoint: Array, axes: Sequence[int], eps: float, centred: bool) -> list[Array]:
    (value, deviation), over = _values(z, axes, eps, centred), tuple(axes)
    mean = adjoint.mean(over, keepdims=True) if centred else 0.0
    u = (adjoint - mean - value * (adjoint * value).mean(over, keepdims=True)) / deviation
    return [raw_of_sum_zero(u, axes) if centred else u]


def _direction(z: Array, axes: Sequence[int], **_: object) -> list[Array]:
    return [z / np.sqrt((z**2).sum(tuple(axes), keepdims=True))]


def _direction_slopes(z: Array, adjoint: Array, axes: Sequence[int], **_: object) -> list[Array]:
    norm = np.sqrt((z**2).sum(tuple(axes), keepdims=True))
    value = z / norm
    return [(adjoint - value * (adjoint * value).sum(tuple(axes), keepdims=True)) / norm]


def _batch_norm(*arguments: Any, channels: int = 0, **options: Any) -> list[Array]:
    if arguments:
        return _fill(*arguments, **options)
    return [np.ones(channels), np.zeros(channels)]  # running statistics at their start


REAL |= dict.fromkeys(("layer_norm", "rms_norm", "group_norm"), (_fill, _fill_slopes))
REAL["batch_norm"] = (_batch_norm, _fill_slopes)
REAL["weight_norm"] = (_direction, _direction_slopes)

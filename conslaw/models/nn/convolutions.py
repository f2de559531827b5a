"""Convolutions and pooling in one and two dimensions, and dropout.

Pixels are picked by constant 0/1 arrays, one for each direction, so that channels stay alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from conslaw.algebra.expressions import Expression, as_expression
from conslaw.errors import ConslawError
from conslaw.models.potential import is_positive_integer
from conslaw.models.readings import REAL, Array, raw_of_sum_zero, recorder, sum_zero

Pair = int | Sequence[int]


def conv(
    x: object, w: object, *, stride: Pair = 1, padding: Pair = 0, dilation: Pair = 1, groups: int = 1
) -> Expression:
    """A convolution as in PyTorch (a correlation), in one or two dimensions.

    Parameters
    ----------
    x : array (..., channels, pixels) or (..., channels, height, width)
    w : array (outputs, channels / groups, kernel) or (outputs, channels / groups, height, width)
    stride, padding, dilation : int, or one for each direction
    groups : int
        Channels in so many groups, each with its outputs.

    Returns
    -------
    array (..., outputs, pixels) or (..., outputs, height, width)

    Raises
    ------
    ConslawError
        For shapes that do not fit, or a stride or dilation that is not a positive integer.
    """
    image, kernel = as_expression(x), as_expression(w)
    spatial = kernel.ndim - 2
    if spatial not in (1, 2) or image.ndim <= spatial:
        raise ConslawError(
            f"conv of {image.shape} by {kernel.shape}: give (outputs, channels, kernel) or (..., h, w)"
        )
    channels, outputs = image.shape[-spatial - 1], kernel.shape[0]
    if not is_positive_integer(groups) or channels != kernel.shape[1] * groups or outputs % groups:
        raise ConslawError(
            f"conv of {image.shape} by {kernel.shape} with groups={groups!r}: {channels} channels are not "
            f"{kernel.shape[1]} in each of the groups"
        )
    windows = _windows("conv", image, kernel.shape[2:], stride, padding, dilation)
    letters = "ipjq"[: 2 * spatial]
    pixels, places = letters[::2], letters[1::2]
    if groups == 1:
        made = np.einsum(f"...c{letters},oc{pixels}->...o{places}", windows, kernel)
        return as_expression(made)
    lead = windows.shape[: windows.ndim - 2 * spatial - 1]
    split = windows.reshape(*lead, groups, channels // groups, *windows.shape[len(lead) + 1 :])
    parts = kernel.reshape(groups, outputs // groups, *kernel.shape[1:])
    if channels == groups:  # depthwise
        split, parts = (
            split.reshape(*lead, groups, *windows.shape[len(lead) + 1 :]),
            parts.reshape(groups, outputs // groups, *kernel.shape[2:]),
        )
        made = np.einsum(f"...g{letters},go{pixels}->...go{places}", split, parts)
    else:
        made = np.einsum(f"...gc{letters},goc{pixels}->...go{places}", split, parts)
    return as_expression(made).reshape(*lead, outputs, *made.shape[len(lead) + 2 :])


def max_pool(x: object, size: Pair, *, stride: Any = None, padding: Pair = 0, spatial: int = 2) -> Expression:
    """The largest entry of each window: a combination of its entries with free weights that sum to 1.

    Parameters
    ----------
    x : array (..., height, width), or (..., pixels) with spatial=1
    size : int, or one for each direction
    stride : the same; the size by default
    padding : int, or one for each direction, with entries that are never the largest
    spatial : 1 or 2
    """
    record, image = recorder("max_pool"), as_expression(x)
    sizes = _pair("max_pool: size", size, spatial, 1)
    step = sizes if stride is None else stride
    windows = _windows("max_pool", image, sizes, step, padding, 1)
    axes = [windows.ndim - 2 * spatial + 2 * i for i in range(spatial)]
    allowed = _inside(image.shape[-spatial:], sizes, step, padding)
    over = tuple(i - windows.ndim for i in axes)
    if not allowed.any(over).all():
        raise ConslawError(f"max_pool: padding={padding!r} of windows {sizes}: some lie outside of the image")
    mask = None if allowed.all() else allowed
    name = record.numbered("max_pool")
    if prod(sizes) == 1:
        return windows.reshape(*(n for i, n in enumerate(windows.shape) if i not in axes))
    centred, raw = sum_zero(record, name, windows.shape, axes, mask)
    base = allowed.astype(int) / as_expression(allowed.sum(over, keepdims=True).astype(int))
    record.note("max_pool", "selection", [raw], [], [windows], None, {"axes": axes, "allowed": mask})
    return (windows * (centred + base)).sum(tuple(axes))


def avg_pool(x: object, size: Pair, *, stride: Any = None, padding: Pair = 0, spatial: int = 2) -> Expression:
    """The mean of each window, exactly; padding counts as zeros."""
    image = as_expression(x)
    sizes = _pair("avg_pool: size", size, spatial, 1)
    windows = _windows("avg_pool", image, sizes, sizes if stride is None else stride, padding, 1)
    axes = tuple(windows.ndim - 2 * spatial + 2 * i for i in range(spatial))
    return windows.sum(axes) / prod(sizes)


def dropout(z: object) -> Expression:
    """Dropout in training: a mask, which is data, as a factor."""
    record, x = recorder("dropout"), as_expression(z)
    made = record.free(record.numbered("dropout"), x.shape)
    record.note("dropout", "data", [made], [], [x], None, {})
    return x * made


def _pair(what: str, value: Any, spatial: int, least: int) -> tuple[int, ...]:
    values = tuple(value) if isinstance(value, list | tuple) else (value,) * spatial
    whole = all(isinstance(n, int) and not isinstance(n, bool) and n >= least for n in values)
    if len(values) != spatial or not whole:
        raise ConslawError(f"{what}={value!r}: give an integer >= {least}, or {spatial} of them")
    return values


def _windows(
    operation: str, image: Expression, sizes: Sequence[int], stride: Any, padding: Any, dilation: Any
) -> Expression:
    """The windows of an image: for each direction an axis of the places in it, and one of the windows."""
    recorder(operation)
    picked = _picked(operation, image.shape[image.ndim - len(sizes) :], sizes, stride, padding, dilation)
    if len(sizes) == 1:
        return as_expression(np.einsum("...h,hip->...ip", image, picked[0]))
    rows = np.einsum("...hw,hip->...ipw", image, picked[0])
    return as_expression(np.einsum("...w,wjq->...jq", rows, picked[1]))


def _picked(
    operation: str, pixels: Sequence[int], sizes: Sequence[int], stride: Any, padding: Any, dilation: Any
) -> list[Array]:
    """For each direction the 0/1 array (pixels, places, windows)."""
    n, made = len(sizes), list[Array]()
    steps, pads = _pair(f"{operation}: stride", stride, n, 1), _pair(f"{operation}: padding", padding, n, 0)
    spread = _pair(f"{operation}: dilation", dilation, n, 1)
    for length, size, step, pad, far in zip(pixels, sizes, steps, pads, spread, strict=True):
        number = (length + 2 * pad - far * (size - 1) - 1) // step + 1
        if number < 1:
            raise ConslawError(
                f"{operation}: a window of {size} does not fit in {length} pixels with padding {pad}"
            )
        start = np.arange(number) * step - pad
        place = start + far * np.arange(size)[:, None]
        made.append((np.arange(length)[:, None, None] == place).astype(int))
    return made


def _inside(pixels: Sequence[int], sizes: Sequence[int], stride: Any, padding: Any) -> Array:
    """Which places of the windows are in the image."""
    picked = [np.asarray(one.any(0)) for one in _picked("max_pool", pixels, sizes, stride, padding, 1)]
    return picked[0] if len(picked) == 1 else np.asarray(picked[0][:, :, None, None] & picked[1])


def _largest(z: Array, axes: Sequence[int], allowed: Array | None) -> list[Array]:
    seen = z if allowed is None else np.where(allowed, z, -np.inf)
    last = np.moveaxis(seen, axes, range(-len(axes), 0))
    flat = last.reshape(*last.shape[: last.ndim - len(axes)], -1)
    chosen = (np.arange(flat.shape[-1]) == flat.argmax(-1)[..., None]).reshape(last.shape).astype(float)
    weights = np.moveaxis(chosen, range(-len(axes), 0), axes)
    whole = np.broadcast_to(True if allowed is None else allowed, z.shape)
    even = whole / whole.sum(tuple(axes), keepdims=True)
    return [raw_of_sum_zero(weights - even, axes, allowed)]


REAL |= {"max_pool": (_largest, None), "dropout": (lambda z: [np.ones_like(z)], None)}

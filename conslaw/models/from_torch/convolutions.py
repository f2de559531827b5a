"""Convolutions and pooling."""

from __future__ import annotations

from math import prod
from typing import Any

from conslaw.algebra.expressions import Expression
from conslaw.algebra.numpy_functions import pad
from conslaw.errors import ConslawError
from conslaw.models.from_torch.reader import Reader, Rule
from conslaw.models.from_torch.rearrangements import reshaped
from conslaw.models.nn.convolutions import avg_pool, conv, max_pool


def _conv(
    read: Reader,
    x: Any,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    transposed: bool = False,
    **_: Any,
) -> Expression:
    if transposed:
        raise ConslawError("a transposed convolution is not read: write it as upsampling and a convolution")
    image, kernel = read.array(x), read.array(weight)
    spatial = kernel.ndim - 2
    if spatial > 2:
        raise ConslawError(f"a convolution in {spatial} dimensions is not read: in 1 or 2 it is")
    stride, dilation = _each(stride, spatial), _each(dilation, spatial)
    if padding == "same":
        whole = [d * (k - 1) for d, k in zip(dilation, kernel.shape[2:], strict=True)]
        image = pad(image, [(0, 0)] * (image.ndim - spatial) + [(n // 2, n - n // 2) for n in whole])
    padding = _each(0 if isinstance(padding, str) else padding, spatial)
    made = conv(image, kernel, stride=stride, padding=padding, dilation=dilation, groups=groups)
    return made if bias is None else made + reshaped(read.array(bias), (kernel.shape[0], *[1] * spatial))


def _each(value: Any, spatial: int) -> list[int]:
    values = list(value) if isinstance(value, list | tuple) else [value]
    return values * spatial if len(values) == 1 else values


def _max_pool(
    read: Reader,
    x: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    **_: Any,
) -> Any:
    image = read.array(x)
    spatial = _directions(read)
    _check_pool(read, spatial, ceil_mode)
    if any(n != 1 for n in _each(dilation, spatial)):
        raise ConslawError(f"max_pool with dilation={dilation} is not read: give 1")
    size = _each(kernel_size, spatial)
    made = max_pool(
        image,
        size,
        stride=_each(stride, spatial) if stride else size,
        padding=_each(padding, spatial),
        spatial=spatial,
    )
    return read.with_others(made)


def _avg_pool(
    read: Reader,
    x: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: Any = None,
    **_: Any,
) -> Expression:
    spatial = _directions(read)
    _check_pool(read, spatial, ceil_mode)
    size, border = _each(kernel_size, spatial), _each(padding, spatial)
    if any(border) and not count_include_pad:
        raise ConslawError("avg_pool with padding that is not counted is not read: pad before it")
    made = avg_pool(
        read.array(x),
        size,
        stride=_each(stride, spatial) if stride else size,
        padding=border,
        spatial=spatial,
    )
    return made * prod(size) / divisor_override if divisor_override else made


def _directions(read: Reader) -> int:
    """Of a pooling, by its name: 2 for max_pool2d."""
    return int(read.node.target._schema.name.partition("pool")[2][0])


def _check_pool(read: Reader, spatial: int, ceil_mode: bool) -> None:
    if spatial > 2 or ceil_mode:
        raise ConslawError("pooling with ceil_mode=True, or in 3 dimensions, is not read")


def _adaptive(read: Reader, x: Any, output_size: Any, **_: Any) -> Any:
    """Adaptive pooling to sizes that divide the pixels."""
    spatial = _directions(read)
    image, wanted = read.array(x), _each(output_size, spatial)
    pixels = image.shape[image.ndim - spatial :]
    if any(n % m for n, m in zip(pixels, wanted, strict=True)):
        raise ConslawError(
            f"adaptive pooling of {pixels} to {tuple(wanted)} is not read: give sizes that divide the pixels"
        )
    size = [n // m for n, m in zip(pixels, wanted, strict=True)]
    pool = max_pool if "max" in read.node.target._schema.name else avg_pool
    made = pool(image, size, spatial=spatial)
    return read.with_others(made)


RULES: dict[str, Rule] = {
    **dict.fromkeys(("conv1d", "conv2d", "conv3d", "convolution"), _conv),
    **dict.fromkeys(("max_pool1d", "max_pool2d"), _max_pool),
    **dict.fromkeys(("max_pool1d_with_indices", "max_pool2d_with_indices"), _max_pool),
    **dict.fromkeys(("avg_pool1d", "avg_pool2d"), _avg_pool),
    **dict.fromkeys(("adaptive_avg_pool1d", "adaptive_avg_pool2d", "_adaptive_avg_pool2d"), _adaptive),
    **dict.fromkeys(("adaptive_max_pool1d", "adaptive_max_pool2d"), _adaptive),
}

"""Convolutions whose weights are functions, in one and two dimensions, and transposed ones."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import product
from numbers import Integral
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from conslaw.errors import ConslawError
from conslaw.layers.spaces import Space
from conslaw.layers.synapses import HighOrder


def _each_axis(name: str, value: Any, axes: int, least: int) -> tuple[int, ...]:
    values = (value,) * axes if isinstance(value, Integral) else value
    good = isinstance(values, Sequence) and len(values) == axes
    if not good or not all(isinstance(v, Integral) and int(v) >= least for v in values):
        raise ConslawError(f"{name}={value!r}: give an integer >= {least}, or {axes} of them")
    return tuple(int(v) for v in values)


class HighOrderConv(HighOrder):
    """A convolution whose weights are functions; its arguments are those of :class:`HighOrderLinear` and

    Parameters
    ----------
    in_channels, out_channels : int
    kernel_size, stride, padding, dilation, output_padding : int or one for each axis
        As in PyTorch; a padded pixel adds nothing to a sum (and multiplies a product by 1).
    """

    axes = 1
    transposed = False

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | Sequence[int],
        *,
        stride: int | Sequence[int] = 1,
        padding: int | Sequence[int] = 0,
        dilation: int | Sequence[int] = 1,
        output_padding: int | Sequence[int] = 0,
        degree: int = 1,
        segments: int = 1,
        continuous: bool = True,
        basis: str = "lagrange",
        frequencies: int | None = None,
        domain: tuple[float, float] = (-1.0, 1.0),
        **options: Any,
    ) -> None:
        kernel = _each_axis("kernel_size", kernel_size, self.axes, 1)
        super().__init__(
            in_channels,
            out_channels,
            kernel,
            Space(degree, segments, continuous, basis, frequencies, domain),
            **options,
        )
        self.stride = _each_axis("stride", stride, self.axes, 1)
        self.padding = _each_axis("padding", padding, self.axes, 0)
        self.dilation = _each_axis("dilation", dilation, self.axes, 1)
        self.output_padding = _each_axis("output_padding", output_padding, self.axes, 0)
        if any(self.output_padding) and not self.transposed:
            raise ConslawError(f"output_padding={output_padding!r}: only transposed convolutions have it")

    def forward(self, x: Tensor) -> Tensor:
        layout = "(..., {}, {})".format(self.inputs, ", ".join(["length"] * self.axes))
        self._check(x, -1 - self.axes, range(self.axes + 1, 64), layout)
        self._check_size(x.shape[-self.axes :])
        batch, image = x.shape[: -1 - self.axes], x.shape[-1 - self.axes :]
        x = x.reshape(math.prod(batch), *image)
        plain = self.combine == "sum" and self._is_dense()
        y = self._as_convolution(x) if plain else self._by_taps(x)
        y = self._finished(y).movedim(-1, 1)
        return y.reshape(*batch, *y.shape[1:])

    def _check_size(self, sizes: Sequence[int]) -> None:
        for n, reach in zip(self._output_size(sizes), sizes, strict=True):
            if n < 1:
                raise ConslawError(
                    f"{type(self).__name__}({self.extra_repr()}): an axis of {reach} is too short: pad it"
                )

    def _output_size(self, sizes: Sequence[int]) -> list[int]:
        result = []
        for a, n in enumerate(sizes):
            reach = self.dilation[a] * (self.kernel[a] - 1)
            if self.transposed:
                result.append(
                    (n - 1) * self.stride[a] - 2 * self.padding[a] + reach + self.output_padding[a] + 1
                )
            else:
                result.append((n + 2 * self.padding[a] - reach - 1) // self.stride[a] + 1)
        return result

    def _as_convolution(self, x: Tensor) -> Tensor:
        """All functions of all pixels, then an ordinary convolution."""
        expanded = self._spread(x).movedim(-1, 2).flatten(1, 2)
        weight = self.weight.flatten(0, 1).movedim(-1, 0 if not self.transposed else 1)
        options: dict[str, Any] = {"stride": self.stride, "padding": self.padding, "dilation": self.dilation}
        if self.transposed:
            convolve = F.conv_transpose1d if self.axes == 1 else F.conv_transpose2d
            options["output_padding"] = self.output_padding
        else:
            convolve = F.conv1d if self.axes == 1 else F.conv2d
        return convolve(expanded, weight, **options).movedim(1, -1)

    def _by_taps(self, x: Tensor) -> Tensor:
        """What each pixel sends to each tap of the kernel, from its active functions; then shifted sums."""
        sizes, taps = x.shape[2:], math.prod(self.kernel)
        pixels = x.movedim(1, -1).reshape(-1, self.inputs)
        if self.combine == "sum":
            sent = self._synapses(pixels, together=True).view(x.shape[0], *sizes, taps, self.outputs)
            return self._shifted(sent, 0.0, torch.add)
        f = self._synapses(pixels, together=False)
        shape = (x.shape[0], *sizes, taps, self.outputs)
        one_plus = self._shifted((1 + f).prod(1).view(shape), 1.0, torch.mul)
        total = self._shifted(f.sum(1).view(shape), 0.0, torch.add) if self.alpha != 1 else None
        return self._product(one_plus, total)

    def _shifted(self, sent: Tensor, neutral: float, join: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
        """y[q] = join over taps t of sent[pixel of q and t, t], neutral where there is no such pixel."""
        sizes, (batch, *_, taps, outputs) = sent.shape[1:-2], sent.shape
        results = self._output_size(sizes)
        stride, pads = self.stride, [(p, p) for p in self.padding]
        if self.transposed:  # zeros between pixels, then an ordinary convolution with the taps turned round
            wide = [(n - 1) * s + 1 for n, s in zip(sizes, stride, strict=True)]
            if any(s > 1 for s in stride):
                apart = sent.new_full((batch, *wide, taps, outputs), neutral)
                every = (slice(None), *(slice(None, None, s) for s in stride))
                apart[every] = sent
                sent = apart
            stride = (1,) * self.axes
            reach = [d * (k - 1) for d, k in zip(self.dilation, self.kernel, strict=True)]
            before = [r - p for r, p in zip(reach, self.padding, strict=True)]
            pads = [(b, b + o) for b, o in zip(before, self.output_padding, strict=True)]
        padding = [0, 0, 0, 0, *(n for pair in reversed(pads) for n in pair)]
        if any(padding):
            sent = F.pad(sent, padding, value=neutral)
        result: Tensor | None = None
        for tap, of_tap in zip(product(*map(range, self.kernel)), sent.unbind(-2), strict=True):
            place: list[Any] = [slice(None)]
            for a, t in enumerate(tap):
                start = self.dilation[a] * (self.kernel[a] - 1 - t if self.transposed else t)
                place.append(slice(start, start + (results[a] - 1) * stride[a] + 1, stride[a]))
            part = of_tap[tuple(place)]
            result = part if result is None else join(result, part)
        assert result is not None
        return result


class HighOrderConv1d(HighOrderConv):
    """A 1-D convolution of functions: (..., in_channels, length) -> (..., out_channels, length')."""

    axes = 1


class HighOrderConv2d(HighOrderConv):
    """A 2-D convolution of functions: (..., in_channels, h, w) -> (..., out_channels, h', w').

    Examples
    --------
    >>> import torch
    >>> from conslaw.layers import HighOrderConv2d
    >>> layer = HighOrderConv2d(1, 4, 3, degree=2, segments=2, continuous=False, padding=1)
    >>> layer(torch.zeros(5, 1, 8, 8)).shape
    torch.Size([5, 4, 8, 8])
    """

    axes = 2


class HighOrderConvTranspose1d(HighOrderConv):
    """The transposed 1-D convolution, with ``output_padding``."""

    axes, transposed = 1, True


class HighOrderConvTranspose2d(HighOrderConv):
    """The transposed 2-D convolution, with ``output_padding``."""

    axes, transposed = 2, True

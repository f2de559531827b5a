"""High-order layers as PyTorch modules: each synapse is a function of one variable with weights of its own."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import product
from numbers import Integral, Real
from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from conslaw.errors import ConslawError
from conslaw.layers.bags import bags
from conslaw.layers.spaces import Space, transfer, why_not_nested
from conslaw.models.potential import Model, is_positive_integer

DENSE = 4  # at most so many times the active functions: one GEMM with all of them (benchmarks/layers.py)


@dataclass(frozen=True)
class Projection:
    """A layer in another space, and what was lost.

    Attributes
    ----------
    layer : the projected layer
    error : the largest root mean square, over the domain, of a synapse's function minus its projection
    """

    layer: Any
    error: float


class HighOrder(nn.Module):
    """What fully connected layers and convolutions have in common; see :class:`HighOrderLinear`.

    Attributes
    ----------
    weight : parameter of shape (inputs, functions of a synapse, *kernel, outputs)
    nodes : buffer, the Chebyshev-Lobatto points of one piece in its local coordinate
    """

    nodes: Tensor
    transform: Tensor
    bias: nn.Parameter | None

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: tuple[int, ...],
        space: Space,
        *,
        combine: str = "sum",
        alpha: float = 1.0,
        period: float | None = None,
        rescale: bool = False,
        bias: bool = False,
    ) -> None:
        super().__init__()
        if not is_positive_integer(inputs) or not is_positive_integer(outputs):
            raise ConslawError(f"{inputs!r} inputs, {outputs!r} outputs: give integers >= 1")
        if combine not in ("sum", "product"):
            raise ConslawError(f"combine={combine!r}: give 'sum' or 'product'")
        if not isinstance(alpha, Real) or not math.isfinite(alpha):
            raise ConslawError(f"alpha={alpha!r}: give a finite number")
        if period is not None and (not isinstance(period, Real) or not 0 < period < math.inf):
            raise ConslawError(f"period={period!r}: give a positive number, or None")
        self.inputs, self.outputs, self.kernel, self.space = int(inputs), int(outputs), kernel, space
        self.combine, self.alpha, self.period, self.rescale = combine, float(alpha), period, bool(rescale)
        self.weight = nn.Parameter(torch.empty(inputs, space.size, *kernel, outputs))
        self.register_parameter("bias", nn.Parameter(torch.empty(outputs)) if bias else None)
        self._place_buffers()
        self.reset_parameters()

    @property
    def fan_in(self) -> int:
        """How many synapses each output has."""
        return self.inputs * math.prod(self.kernel)

    def reset_parameters(self) -> None:
        """Random functions, uniform weights: of variance near that of the inputs, and never constants."""
        bound = self.fan_in ** (-0.5 if self.combine == "sum" else -1.0) * (
            self.fan_in if self.rescale else 1
        )
        nn.init.uniform_(self.weight, -bound, bound)
        if self.bias is not None:
            nn.init.uniform_(self.bias, -(self.fan_in**-0.5), self.fan_in**-0.5)

    def _place_buffers(self) -> None:
        """Buffers in the weight's precision, from the exact ones: a float32 buffer made double has lost it."""
        exact = {"nodes": self.space.nodes, "transform": self.space.monic_transform}
        for name, value in exact.items():
            tensor = torch.tensor(value, dtype=self.weight.dtype, device=self.weight.device)
            self.register_buffer(name, tensor, persistent=False)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        super()._apply(fn, recurse)
        if self.weight.is_floating_point() and not self.weight.is_meta:
            self._place_buffers()
        return self

    def extra_repr(self) -> str:
        s = self.space
        kind = f"frequencies={s.frequencies}" if s.basis == "fourier" else f"degree={s.degree}"
        shape = f"{self.inputs}, {self.outputs}" + (f", kernel={self.kernel}" if self.kernel else "")
        pieces = f", segments={s.segments}, continuous={s.continuous}" if s.segments > 1 else ""
        return f"{shape}, basis={s.basis!r}, {kind}{pieces}, combine={self.combine!r}"

    # the functions of an input

    def _check(self, x: Tensor, axis: int, axes: Sequence[int], layout: str) -> None:
        good = isinstance(x, Tensor) and x.dim() in axes
        if not good or x.shape[axis] != self.inputs:
            given = tuple(x.shape) if isinstance(x, Tensor) else type(x).__name__
            raise ConslawError(
                f"{type(self).__name__}({self.extra_repr()}): the input is {given}, it must be {layout}"
            )
        if x.dtype != self.weight.dtype:
            raise ConslawError(
                f"{type(self).__name__}: the input is {x.dtype}, the weights {self.weight.dtype}: convert one"
            )

    def _active(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """The active functions at x, on a new last axis, and the first one's number (None: all are active)."""
        s = self.space
        left, right = s.domain
        middle = (left + right) / 2
        if self.period is not None:  # mirrored at both ends of a stretch of this length around the middle
            p = float(self.period)
            turned = torch.remainder(x - middle + p / 2, 2 * p)
            x = torch.where(turned > p, 2 * p - turned, turned) - p / 2 + middle
        if s.basis == "identity":
            return x.unsqueeze(-1), None
        if s.basis == "fourier":
            turns = torch.arange(1, (s.frequencies or 0) + 1, dtype=x.dtype, device=x.device)
            angles = (2 * math.pi / (right - left) * (x - middle)).unsqueeze(-1) * turns
            return torch.cat([torch.ones_like(x).unsqueeze(-1), angles.cos(), angles.sin()], -1), None
        u = (x - left) * (s.segments / (right - left))
        piece = None
        if s.segments > 1:
            piece = u.detach().long().clamp(0, s.segments - 1)
            u = u - piece
        t = 2 * u - 1
        monic = [torch.ones_like(t), t]  # Legendre polynomials over their leading coefficients
        for k in range(2, s.degree + 1):
            monic.append(torch.sub(t * monic[-1], monic[-2], alpha=(k - 1) ** 2 / ((2 * k - 1) * (2 * k - 3))))
        values = torch.stack(monic[: s.degree + 1], -1) @ self.transform
        return values, None if piece is None else piece * s.step

    def _is_dense(self) -> bool:
        return self.space.size <= DENSE * self.space.active

    def _spread(self, x: Tensor) -> Tensor:
        """All functions at x, on a new last axis."""
        values, first = self._active(x)
        if first is None:
            return values
        columns = first.unsqueeze(-1) + torch.arange(self.space.active, device=x.device)
        return values.new_zeros(*x.shape, self.space.size).scatter(-1, columns, values)

    def _synapses(self, x: Tensor, together: bool) -> Tensor:
        """For x of shape (m, inputs): f(x) of each synapse, (m, inputs, -1), or their sum (m, -1)."""
        table = self.weight.reshape(self.inputs, self.space.size, -1)
        if self._is_dense():
            values = self._spread(x)
            if together:
                return values.flatten(1) @ table.flatten(0, 1)
            return torch.einsum("min,ino->mio", values, table)
        values, first = self._active(x)
        blocks = torch.arange(self.inputs, device=x.device) * self.space.size
        start = blocks if first is None else first + blocks
        rows = start.unsqueeze(-1) + torch.arange(self.space.active, device=x.device)
        shape = (x.shape[0], -1) if together else (-1, self.space.active)
        width = table.shape[-1]
        if not x.shape[0]:
            return x.new_zeros((0, width) if together else (0, self.inputs, width))
        result = bags(values.reshape(shape), rows.expand_as(values).reshape(shape), table.reshape(-1, width))
        return result if together else result.view(x.shape[0], self.inputs, width)

    def _finished(self, y: Tensor) -> Tensor:
        if self.rescale:
            y = y / self.fan_in
        return y if self.bias is None else y + self.bias

    def _product(self, one_plus: Tensor, total: Tensor | None) -> Tensor:
        y = one_plus - 1
        return y if total is None else y - (1 - self.alpha) * total

    # the same function in other spaces

    def _in_space(self, changes: dict[str, Any]) -> Space:
        unknown = sorted(set(changes) - {"degree", "segments", "continuous", "basis", "frequencies"})
        if unknown:
            raise ConslawError(f"{unknown[0]}: give degree, segments, continuous, basis or frequencies")
        return replace(self.space, **{k: v for k, v in changes.items() if v is not None})

    def _moved(self, space: Space) -> tuple[Self, Any]:
        matrix, left_over = transfer(self.space, space)
        other = copy.deepcopy(self)
        other.space = space
        with torch.no_grad():
            weight = self.weight.detach().double().movedim(1, 0)
            flat = weight.reshape(weight.shape[0], -1)
            moved = torch.as_tensor(matrix, device=flat.device) @ flat
            moved = moved.reshape(space.size, *weight.shape[1:]).movedim(0, 1)
            other.weight = nn.Parameter(moved.to(self.weight.dtype).contiguous())
            error = (torch.as_tensor(left_over, device=flat.device) @ flat).norm(dim=0).max()
        other._place_buffers()
        return other, float(error)

    def refined(self, **changes: Any) -> Self:
        """The same function with more weights, to rounding.

        Parameters
        ----------
        degree, segments, frequencies, continuous, basis
            What changes: a higher degree, a multiple of the segments, more frequencies, continuous functions as
            discontinuous ones, polynomials in another basis.

        Raises
        ------
        ConslawError
            If the functions of this layer are not all in the new space; it says why.
        """
        space = self._in_space(changes)
        why = why_not_nested(self.space, space)
        if why:
            raise ConslawError(
                f"refined({_written(changes)}): {why}; projected(...) gives the nearest and its error"
            )
        return self._moved(space)[0]

    def projected(self, **changes: Any) -> Projection:
        """The nearest functions in another space (least squares on the domain), with the error.

        Parameters
        ----------
        degree, segments, frequencies, continuous, basis
            What changes, as for :meth:`refined`; here coarser spaces are welcome.
        """
        if "identity" in (self.space.basis, changes.get("basis")):
            raise ConslawError(f"projected({_written(changes)}): the product unit has no other space")
        layer, error = self._moved(self._in_space(changes))
        return Projection(layer, error)

    def model(self) -> Model:
        """The exact potential of this layer: see :func:`conslaw.layers.model`."""
        from conslaw.layers.potentials import model

        return model(self)


def _written(changes: dict[str, Any]) -> str:
    return ", ".join(f"{k}={v!r}" for k, v in changes.items())


class HighOrderLinear(HighOrder):
    r"""A fully connected layer whose weights are functions: :math:`y_o = \sum_i f_{oi}(x_i)`.

    Parameters
    ----------
    in_features, out_features : int
        x has shape (..., in_features), y (..., out_features).
    degree, segments : int
        Each :math:`f_{oi}` is a polynomial of this degree on each of so many equal pieces of the domain; on the
        left and right of it the outer pieces go on.
    continuous : bool
        Whether neighbouring pieces share their common value.
    basis : "lagrange", "monomial", "legendre" or "fourier"
        Values at the Chebyshev-Lobatto nodes; powers; Legendre polynomials, of the local coordinate of a piece
        (continuous pieces: the two ends' hat functions and polynomials that vanish at both ends); or 1, cosines
        and sines with the domain as period.  The functions are the same for all polynomial bases; what training
        conserves is not.
    frequencies : int
        For ``"fourier"``: how many.
    combine : "sum" or "product"
        The product is :math:`\prod_i (1 + f_{oi}) - 1 - (1 - \alpha) \sum_i f_{oi}`.
    alpha : float
        1 for the whole product, 0 for its mixed terms alone.
    period : float, optional
        Inputs are mirrored at the ends of a stretch of this length around the middle of the domain.
    domain : pair of floats
    rescale : bool
        Divide by the number of inputs.
    bias : bool
        Add a vector (which a sum of functions with constants does not need).

    Raises
    ------
    ConslawError
        For arguments out of range, and, when called, for inputs of another shape or precision.

    Examples
    --------
    >>> import torch
    >>> from conslaw.layers import HighOrderLinear
    >>> layer = HighOrderLinear(3, 2, degree=4, segments=10)
    >>> layer(torch.zeros(7, 5, 3)).shape, layer.weight.shape
    (torch.Size([7, 5, 2]), torch.Size([3, 41, 2]))
    >>> import conslaw
    >>> conslaw.analyze(layer.model()).laws_found  # outputs (inputs - 1)
    4
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        degree: int = 1,
        segments: int = 1,
        continuous: bool = True,
        basis: str = "lagrange",
        frequencies: int | None = None,
        combine: str = "sum",
        alpha: float = 1.0,
        period: float | None = None,
        domain: tuple[float, float] = (-1.0, 1.0),
        rescale: bool = False,
        bias: bool = False,
    ) -> None:
        super().__init__(
            in_features,
            out_features,
            (),
            Space(degree, segments, continuous, basis, frequencies, domain),
            combine=combine,
            alpha=alpha,
            period=period,
            rescale=rescale,
            bias=bias,
        )

    def forward(self, x: Tensor) -> Tensor:
        self._check(x, -1, range(1, 64), f"(..., {self.inputs})")
        flat = x.reshape(-1, self.inputs)
        if self.combine == "sum":
            y = self._synapses(flat, together=True)
        else:
            f = self._synapses(flat, together=False)
            y = self._product((1 + f).prod(1), f.sum(1) if self.alpha != 1 else None)
        return self._finished(y).reshape(*x.shape[:-1], self.outputs)


def _each_axis(name: str, value: Any, axes: int, least: int) -> tuple[int, ...]:
    values = (value,) * axes if isinstance(value, Integral) else value
    good = isinstance(values, Sequence) and len(values) == axes
    if not good or not all(isinstance(v, Integral) and v >= least for v in values):
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
        layout = "(batch, {}, {})".format(self.inputs, ", ".join(["length"] * self.axes))
        self._check(x, 1 if isinstance(x, Tensor) and x.dim() > 1 else 0, [self.axes + 2], layout)
        self._check_size(x.shape[2:])
        if self.combine == "sum" and self._is_dense():
            y = self._as_convolution(x)
        else:
            y = self._by_taps(x)
        return self._finished(y).movedim(-1, 1)

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
            convolve = F.conv1d if self.axes == 1 else F.conv2d  # type: ignore[assignment]
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
        for number, tap in enumerate(product(*map(range, self.kernel))):
            place: list[Any] = [slice(None)]
            for a, t in enumerate(tap):
                start = self.dilation[a] * (self.kernel[a] - 1 - t if self.transposed else t)
                place.append(slice(start, start + (results[a] - 1) * stride[a] + 1, stride[a]))
            part = sent[(*place, number)]
            result = part if result is None else join(result, part)
        assert result is not None
        return result


class HighOrderConv1d(HighOrderConv):
    """A 1-D convolution of functions: (batch, in_channels, length) -> (batch, out_channels, length')."""

    axes = 1


class HighOrderConv2d(HighOrderConv):
    """A 2-D convolution of functions: (batch, in_channels, h, w) -> (batch, out_channels, h', w').

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


class ProductUnit(HighOrderLinear):
    r"""The product unit :math:`\prod_i (1 + w_{oi} x_i) - 1 - (1 - \alpha) \sum_i w_{oi} x_i + b_o`.

    Parameters
    ----------
    in_features, out_features : int
    bias, alpha, period, rescale
        As in :class:`HighOrderLinear`.
    """

    def __init__(self, in_features: int, out_features: int, *, bias: bool = True, **options: Any) -> None:
        super().__init__(in_features, out_features, basis="identity", combine="product", bias=bias, **options)


class MaxAbsNorm(nn.Module):
    """x / (max |x| + eps), the largest over all axes of a sample but the first (or over the given ones).

    Parameters
    ----------
    eps : float
    dim : int or tuple of ints, optional
        ``-1`` for inputs of shape (..., features), whatever their batch.
    """

    def __init__(self, eps: float = 1e-6, dim: int | tuple[int, ...] | None = None) -> None:
        super().__init__()
        if not isinstance(eps, Real) or not eps > 0:
            raise ConslawError(f"eps={eps!r}: give a positive number")
        self.eps, self.dim = float(eps), dim

    def forward(self, x: Tensor) -> Tensor:
        axes = tuple(range(1, x.dim())) if self.dim is None else self.dim
        if x.dim() == 1 and self.dim is None:
            axes = 0
        return x / (x.abs().amax(dim=axes, keepdim=True) + self.eps)


"""What all high-order layers share: each synapse is a function of one variable with weights of its own."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from numbers import Real
from typing import Any, Self

import torch
from torch import Tensor, nn

from conslaw.errors import ConslawError, check_flags, check_memory
from conslaw.layers.bags import bags
from conslaw.layers.potentials import model
from conslaw.layers.spaces import LARGEST, Space, transfer, why_not_nested
from conslaw.models.potential import Model, is_positive_integer

# at most so many times the active functions, without and with gradients: one GEMM with all of them is faster
DENSE = (2, 6)  # measured by benchmarks/layers.py


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

    inputs: int
    outputs: int
    kernel: tuple[int, ...]
    space: Space
    combine: str
    alpha: float
    period: float | None
    rescale: bool
    weight: nn.Parameter
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
        check_flags(rescale=rescale, bias=bias)
        if not isinstance(combine, str) or combine not in ("sum", "product"):
            raise ConslawError(f"combine={combine!r}: give 'sum' or 'product'")
        if not isinstance(alpha, Real) or not abs(alpha) <= LARGEST:
            raise ConslawError(f"alpha={alpha!r}: give a finite number")
        if period is not None and (not isinstance(period, Real) or not 0 < period <= LARGEST):
            raise ConslawError(f"period={period!r}: give a positive number, or None")
        self.inputs, self.outputs, self.kernel, self.space = int(inputs), int(outputs), kernel, space
        weights = int(inputs) * space.size * math.prod(kernel) * int(outputs)
        check_memory(16 * weights, f"a layer of {inputs} inputs and {outputs} outputs", "make it smaller")
        self.combine, self.alpha, self.period, self.rescale = combine, float(alpha), period, rescale
        self.weight = nn.Parameter(torch.empty(self.inputs, space.size, *kernel, self.outputs))
        self.register_parameter("bias", nn.Parameter(torch.empty(self.outputs)) if bias else None)
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
        """Buffers in the weight's precision, from the exact ones: a float32 buffer made double has lost
        it.
        """
        exact = {"nodes": self.space.nodes, "transform": self.space.transform}
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
        """The active functions at x, on a new last axis, and the first one's number (None: all are
        active).
        """
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
        first = None
        if s.segments > 1:
            # huge inputs are in the outer pieces; what is not a number is so in any
            piece = u.detach().clamp(0, s.segments - 1).to(torch.int32).clamp(min=0)
            u, first = u - piece, piece * s.step
        t = 2 * u - 1
        legendre = [torch.ones_like(t), t]
        for k in range(2, s.degree + 1):
            legendre.append(torch.lerp(legendre[-2], t * legendre[-1], (2 * k - 1) / k))
        basis = torch.stack(legendre[: s.degree + 1]).flatten(1)  # functions first: long copies are fast
        return (basis.t() @ self.transform).to(x.dtype).unflatten(0, x.shape), first

    def _is_dense(self) -> bool:
        return self.space.size <= DENSE[torch.is_grad_enabled()] * self.space.active

    def _spread(self, x: Tensor) -> Tensor:
        """All functions at x, on a new last axis."""
        values, first = self._active(x)
        if first is None:
            return values
        columns = first.long().unsqueeze(-1) + torch.arange(self.space.active, device=x.device)
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
        assert first is not None  # one piece is dense
        kind = torch.int32 if self.inputs * self.space.size < 2**31 else torch.int64
        first = first + torch.arange(self.inputs, dtype=kind, device=x.device) * self.space.size
        if together:
            return bags(values, first, table.flatten(0, 1))
        one = bags(values.flatten(0, 1).unsqueeze(1), first.reshape(-1, 1), table.flatten(0, 1))
        return one.unflatten(0, x.shape)

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
            What changes: a higher degree, a multiple of the segments, more frequencies, continuous
            functions as discontinuous ones, polynomials in another basis.

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
        space = self._in_space(changes)
        if "identity" in (self.space.basis, space.basis):
            raise ConslawError(f"projected({_written(changes)}): the product unit has no other space")
        layer, error = self._moved(space)
        return Projection(layer, error)

    def model(self) -> Model:
        """The exact potential of this layer: see :func:`conslaw.layers.model`."""
        return model(self)


def _written(changes: dict[str, Any]) -> str:
    return ", ".join(f"{k}={v!r}" for k, v in changes.items())

"""Keeping the inputs of the next layer in its domain."""

from __future__ import annotations

from numbers import Real

from torch import Tensor, nn

from conslaw.errors import ConslawError
from conslaw.layers.spaces import LARGEST


class MaxAbsNorm(nn.Module):
    """``x / (max |x| + eps)``, the largest over all axes of a sample but the first (or over the given ones).

    Parameters
    ----------
    eps : float
    dim : int or tuple of ints, optional
        ``-1`` for inputs of shape (..., features), whatever their batch.
    """

    eps: float
    dim: int | tuple[int, ...] | None

    def __init__(self, eps: float = 1e-6, dim: int | tuple[int, ...] | None = None) -> None:
        super().__init__()
        if not isinstance(eps, Real) or not 0 < eps <= LARGEST:
            raise ConslawError(f"eps={eps!r}: give a positive number")
        self.eps, self.dim = float(eps), dim

    def forward(self, x: Tensor) -> Tensor:
        axes = tuple(range(1, x.dim())) if self.dim is None else self.dim
        if x.dim() == 1 and self.dim is None:
            axes = 0
        return x / (x.abs().amax(dim=axes, keepdim=True) + self.eps)

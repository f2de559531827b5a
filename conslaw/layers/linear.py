"""Fully connected high-order layers."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from conslaw.layers.spaces import Space
from conslaw.layers.synapses import HighOrder


class HighOrderLinear(HighOrder):
    r"""A fully connected layer whose weights are functions: :math:`y_o = \sum_i f_{oi}(x_i)`.

    Parameters
    ----------
    in_features, out_features : int
        x has shape (..., in_features), y (..., out_features).
    degree, segments : int
        Each :math:`f_{oi}` is a polynomial of this degree on each of so many equal pieces of the domain;
        on the left and right of it the outer pieces go on.
    continuous : bool
        Whether neighbouring pieces share their common value.
    basis : "lagrange", "monomial", "legendre" or "fourier"
        Values at the Chebyshev-Lobatto nodes; powers; Legendre polynomials, of the local coordinate of a
        piece (continuous pieces: the two ends' hat functions and polynomials that vanish at both ends); or
        1, cosines and sines with the domain as period.  The functions are the same for all polynomial bases;
        what training conserves is not.
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

"""Networks of high-order layers, their refinement, and layers by the names of the published package."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from itertools import pairwise
from numbers import Real
from typing import Any

from torch import nn

from conslaw.errors import ConslawError, check_flags
from conslaw.layers.convolutions import (
    HighOrderConv1d,
    HighOrderConv2d,
    HighOrderConvTranspose1d,
    HighOrderConvTranspose2d,
)
from conslaw.layers.linear import HighOrderLinear, ProductUnit
from conslaw.layers.normalization import MaxAbsNorm
from conslaw.layers.spaces import LARGEST
from conslaw.layers.synapses import HighOrder
from conslaw.models.potential import is_positive_integer

CONVOLUTIONS = {
    ("1d", False): HighOrderConv1d,
    ("2d", False): HighOrderConv2d,
    ("1d", True): HighOrderConvTranspose1d,
    ("2d", True): HighOrderConvTranspose2d,
}
TYPES = (
    "continuous",
    "continuous_prod",
    "discontinuous",
    "discontinuous_prod",
    "polynomial",
    "polynomial_prod",
    "product",
    "fourier",
)


class HighOrderMLP(nn.Sequential):
    """Fully connected high-order layers, with a :class:`MaxAbsNorm` between them that keeps inputs in [-1,
    1].

    Parameters
    ----------
    widths : at least two integers, from the input to the output
    normalize : bool
    options
        For every layer, see :class:`HighOrderLinear`.

    Examples
    --------
    >>> import torch
    >>> from conslaw.layers import HighOrderMLP
    >>> HighOrderMLP([2, 10, 1], degree=3, segments=4)(torch.zeros(5, 2)).shape
    torch.Size([5, 1])
    """

    def __init__(self, widths: Sequence[int], *, normalize: bool = True, **options: Any) -> None:
        if isinstance(widths, str) or not isinstance(widths, Sequence) or len(widths) < 2:
            raise ConslawError(
                f"widths={widths!r}: give at least two, from input to output, such as [2, 10, 1]"
            )
        check_flags(normalize=normalize)
        parts: list[nn.Module] = []
        for before, after in pairwise(widths):
            if parts and normalize:
                parts.append(MaxAbsNorm(dim=-1))
            parts.append(HighOrderLinear(before, after, **options))
        super().__init__(*parts)


def refine(network: nn.Module, **changes: Any) -> nn.Module:
    """The same network with every high-order layer refined: the same function, to rounding.

    Parameters
    ----------
    network : nn.Module
        Any; product units, which have nothing to refine, and other modules are copied as they are.
    changes
        See ``layer.refined``: ``degree``, ``segments``, ``frequencies``, ``continuous``, ``basis``.

    Raises
    ------
    ConslawError
        If there is no layer to refine, or one whose functions are not all in the new space.

    Examples
    --------
    >>> import torch
    >>> from conslaw.layers import HighOrderMLP, refine
    >>> network, x = HighOrderMLP([2, 4, 1], degree=2, segments=2).double(), torch.rand(9, 2).double()
    >>> bool(torch.allclose(refine(network, degree=3, segments=6)(x), network(x)))
    True
    """
    if not isinstance(network, nn.Module):
        raise ConslawError(f"network={network!r:.60}: give a torch module")
    done: dict[int, nn.Module] = {}

    def walk(module: nn.Module) -> nn.Module:
        if id(module) not in done:
            if isinstance(module, HighOrder):
                same = module.space.basis == "identity"
                done[id(module)] = copy.deepcopy(module) if same else module.refined(**changes)
            else:
                children = {name: walk(child) for name, child in module._modules.items() if child is not None}
                kept = {id(child): child for child in module.children()}
                done[id(module)] = other = copy.deepcopy(module, {**kept})
                for name, child in children.items():
                    setattr(other, name, child)
        return done[id(module)]

    if not any(isinstance(m, HighOrder) and m.space.basis != "identity" for m in network.modules()):
        raise ConslawError(f"{type(network).__name__} has no high-order layer to refine")
    return walk(network)


def select(
    layer_type: str,
    *,
    n: int | None = None,
    in_features: int,
    out_features: int,
    segments: int | None = None,
    **options: Any,
) -> HighOrderLinear:
    """A fully connected layer by the type names of the published package high-order-layers-torch.

    Parameters
    ----------
    layer_type : str
        ``"continuous"``, ``"continuous_prod"``, ``"discontinuous"``, ``"discontinuous_prod"``,
        ``"polynomial"``,
        ``"polynomial_prod"``, ``"product"``, ``"fourier"``.
    n : int
        Points of a piece (degree + 1); for ``"fourier"``, functions (an even n is one more).
    segments : int
        Pieces, of continuous and discontinuous types.
    options
        ``rescale_output``, ``periodicity``, ``length`` (of the domain, around 0), ``alpha``, ``bias``.

    Examples
    --------
    >>> from conslaw import layers
    >>> layers.select("continuous_prod", n=5, in_features=3, out_features=2, segments=10)
    HighOrderLinear(3, 2, basis='lagrange', degree=4, segments=10, continuous=True, combine='product')
    """
    arguments = _arguments(layer_type, layer_type, n, segments, options)
    if layer_type == "product":
        for name in ("basis", "combine", "domain"):
            arguments.pop(name)
        return ProductUnit(in_features, out_features, **arguments)
    return HighOrderLinear(in_features, out_features, **arguments)


def select_convolution(
    layer_type: str,
    *,
    n: int | None = None,
    in_channels: int,
    out_channels: int,
    kernel_size: int | Sequence[int],
    segments: int | None = None,
    transposed: bool = False,
    **options: Any,
) -> HighOrder:
    """A convolution by its type name: one of :func:`select`, with ``1d`` or ``2d`` behind it.

    Parameters
    ----------
    transposed : bool
    options
        Those of :func:`select`, and ``stride``, ``padding``, ``dilation``, ``output_padding``.

    Examples
    --------
    >>> from conslaw import layers
    >>> layer = layers.select_convolution(
    ...     "discontinuous2d", n=3, in_channels=1, out_channels=4, kernel_size=3, segments=2
    ... )
    >>> layer.weight.shape
    torch.Size([1, 6, 3, 3, 4])
    """
    kind, axes = (layer_type[:-2], layer_type[-2:]) if isinstance(layer_type, str) else ("", "")
    if axes not in ("1d", "2d"):
        raise ConslawError(f"{layer_type!r}: give a type with 1d or 2d behind it, such as 'continuous2d'")
    arguments = _arguments(layer_type, kind, n, segments, options)
    check_flags(transposed=transposed)
    return CONVOLUTIONS[axes, transposed](in_channels, out_channels, kernel_size, **arguments)


def _arguments(
    given: str, kind: str, n: int | None, segments: int | None, options: dict[str, Any]
) -> dict[str, Any]:
    """Our arguments from those of the published package."""
    if not isinstance(kind, str) or kind not in TYPES:
        raise ConslawError(f"{given!r}: give one of {', '.join(TYPES)} (convolutions: with 1d or 2d)")
    names = {"rescale_output": "rescale", "periodicity": "period"}
    arguments = {names.get(name, name): value for name, value in options.items()}
    length: float = arguments.pop("length", 2.0)
    if not isinstance(length, Real) or not 0 < length <= LARGEST:
        raise ConslawError(f"length={length!r}: give a positive number, the length of the domain")
    arguments["domain"] = (-length / 2, length / 2)
    if kind == "product":
        return arguments | {"basis": "identity", "combine": "product"}
    if not is_positive_integer(n):
        raise ConslawError(f"{given!r} with n={n!r}: give the number of points, n >= 1")
    assert n is not None
    if kind == "fourier":
        return arguments | {"basis": "fourier", "frequencies": n // 2}
    arguments |= {"degree": n - 1, "combine": "product" if kind.endswith("_prod") else "sum"}
    if not kind.startswith("polynomial"):
        if segments is None:
            raise ConslawError(f"{given!r} without segments: say how many pieces")
        arguments |= {"segments": segments, "continuous": kind.startswith("continuous")}
    return arguments

"""High-order layers in PyTorch: each weight is a piecewise polynomial or a Fourier series.  Needs the extra
``torch``; the names are imported when they are first asked for.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from conslaw.errors import ConslawError

if TYPE_CHECKING:
    from conslaw.layers.convolutions import HighOrderConv1d as HighOrderConv1d
    from conslaw.layers.convolutions import HighOrderConv2d as HighOrderConv2d
    from conslaw.layers.convolutions import HighOrderConvTranspose1d as HighOrderConvTranspose1d
    from conslaw.layers.convolutions import HighOrderConvTranspose2d as HighOrderConvTranspose2d
    from conslaw.layers.linear import HighOrderLinear as HighOrderLinear
    from conslaw.layers.linear import ProductUnit as ProductUnit
    from conslaw.layers.networks import HighOrderMLP as HighOrderMLP
    from conslaw.layers.networks import refine as refine
    from conslaw.layers.networks import select as select
    from conslaw.layers.networks import select_convolution as select_convolution
    from conslaw.layers.normalization import MaxAbsNorm as MaxAbsNorm
    from conslaw.layers.potentials import model as model
    from conslaw.layers.synapses import Projection as Projection

_HOMES = {
    "convolutions": (
        "HighOrderConv1d",
        "HighOrderConv2d",
        "HighOrderConvTranspose1d",
        "HighOrderConvTranspose2d",
    ),
    "linear": ("HighOrderLinear", "ProductUnit"),
    "networks": ("HighOrderMLP", "refine", "select", "select_convolution"),
    "normalization": ("MaxAbsNorm",),
    "potentials": ("model",),
    "synapses": ("Projection",),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}

__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    """A public name, imported when it is first asked for."""
    if name not in _HOME:
        raise AttributeError(f"module 'conslaw.layers' has no attribute {name!r}")
    try:
        import_module("torch")
    except ImportError as error:
        raise ConslawError(
            f"conslaw.layers.{name} needs PyTorch: pip install 'conslaw[torch]' (or pip install torch)"
        ) from error
    value = globals()[name] = getattr(import_module(f"conslaw.layers.{_HOME[name]}"), name)
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])

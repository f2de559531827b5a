"""High-order layers in PyTorch: each weight is a piecewise polynomial or a Fourier series.  Needs the extra
``torch``; the names are imported when they are first asked for.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from conslaw.errors import ConslawError

if TYPE_CHECKING:
    from conslaw.layers.modules import HighOrderConv1d as HighOrderConv1d
    from conslaw.layers.modules import HighOrderConv2d as HighOrderConv2d
    from conslaw.layers.modules import HighOrderConvTranspose1d as HighOrderConvTranspose1d
    from conslaw.layers.modules import HighOrderConvTranspose2d as HighOrderConvTranspose2d
    from conslaw.layers.modules import HighOrderLinear as HighOrderLinear
    from conslaw.layers.modules import MaxAbsNorm as MaxAbsNorm
    from conslaw.layers.modules import ProductUnit as ProductUnit
    from conslaw.layers.modules import Projection as Projection
    from conslaw.layers.networks import HighOrderMLP as HighOrderMLP
    from conslaw.layers.networks import refine as refine
    from conslaw.layers.networks import select as select
    from conslaw.layers.networks import select_convolution as select_convolution
    from conslaw.layers.potentials import model as model

_HOMES = {
    "modules": (
        "HighOrderConv1d",
        "HighOrderConv2d",
        "HighOrderConvTranspose1d",
        "HighOrderConvTranspose2d",
        "HighOrderLinear",
        "MaxAbsNorm",
        "ProductUnit",
        "Projection",
    ),
    "networks": ("HighOrderMLP", "refine", "select", "select_convolution"),
    "potentials": ("model",),
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

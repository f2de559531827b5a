"""Neurovarieties: what a polynomial model can represent, as an algebraic set."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from conslaw.varieties.critical import CriticalPoints as CriticalPoints
    from conslaw.varieties.critical import critical_points as critical_points
    from conslaw.varieties.dimensions import Dimension as Dimension
    from conslaw.varieties.dimensions import dimension as dimension
    from conslaw.varieties.interpolation import Equations as Equations
    from conslaw.varieties.interpolation import equations as equations

_HOME = {
    "CriticalPoints": "critical",
    "critical_points": "critical",
    "Dimension": "dimensions",
    "dimension": "dimensions",
    "Equations": "interpolation",
    "equations": "interpolation",
}

__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    """A public name, imported when it is first asked for."""
    if name not in _HOME:
        raise AttributeError(f"module 'conslaw.varieties' has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"conslaw.varieties.{_HOME[name]}"), name)
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])

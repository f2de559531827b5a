"""Neurovarieties: what a polynomial model can represent, as an algebraic set."""

from typing import TYPE_CHECKING

from conslaw.lazy_names import lazily

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
__getattr__, __dir__ = lazily(__name__, _HOME)

"""Training runs: flows and discrete methods simulated, and the laws watched in real ones."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from conslaw.training.callbacks import lightning_callback as lightning_callback
    from conslaw.training.callbacks import trainer_callback as trainer_callback
    from conslaw.training.drift import Drift as Drift
    from conslaw.training.drift import LawDrift as LawDrift
    from conslaw.training.monitor import Monitor as Monitor
    from conslaw.training.simulation import simulate as simulate

_HOME = {
    "Drift": "drift",
    "LawDrift": "drift",
    "Monitor": "monitor",
    "lightning_callback": "callbacks",
    "simulate": "simulation",
    "trainer_callback": "callbacks",
}

__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    """A public name, imported when it is first asked for."""
    if name not in _HOME:
        raise AttributeError(f"module 'conslaw.training' has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"conslaw.training.{_HOME[name]}"), name)
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])

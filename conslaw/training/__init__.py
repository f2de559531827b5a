"""Training runs: flows and discrete methods simulated, and the laws watched in real ones."""

from typing import TYPE_CHECKING

from conslaw.lazy_names import lazily

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
__getattr__, __dir__ = lazily(__name__, _HOME)

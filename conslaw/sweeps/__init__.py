"""Sweeps: a question asked of thousands of networks, and conjectures from the table of answers."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from conslaw.sweeps.expectations import Comparison as Comparison
    from conslaw.sweeps.expectations import compare as compare
    from conslaw.sweeps.running import Sweep as Sweep
    from conslaw.sweeps.running import run as run
    from conslaw.sweeps.running import status as status
    from conslaw.sweeps.suggestions import Conjecture as Conjecture
    from conslaw.sweeps.suggestions import suggest_formula as suggest_formula
    from conslaw.sweeps.sweep import resume as resume
    from conslaw.sweeps.tables import read as read
    from conslaw.sweeps.tables import write_pair as write_pair

_HOME = {
    "Comparison": "expectations",
    "compare": "expectations",
    "Conjecture": "suggestions",
    "suggest_formula": "suggestions",
    "Sweep": "running",
    "run": "running",
    "status": "running",
    "resume": "sweep",
    "read": "tables",
    "write_pair": "tables",
}

__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    """A public name, imported when it is first asked for."""
    if name not in _HOME:
        raise AttributeError(f"module 'conslaw.sweeps' has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"conslaw.sweeps.{_HOME[name]}"), name)
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])

"""Sweeps: a question asked of thousands of networks, and conjectures from the table of answers."""

from typing import TYPE_CHECKING

from conslaw.lazy_names import lazily

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
__getattr__, __dir__ = lazily(__name__, _HOME)

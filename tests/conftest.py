"""Hypothesis profiles: quick by default, thorough in CI."""

import os

from hypothesis import HealthCheck, settings

slow_is_fine = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("quick", max_examples=15, derandomize=True, **slow_is_fine)
settings.register_profile("thorough", max_examples=150, **slow_is_fine)
settings.load_profile("thorough" if os.environ.get("CI") else "quick")

collect_ignore = ["laws/oracle"]  # its script needs another computer algebra system

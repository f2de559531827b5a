"""Hypothesis profiles: quick by default, thorough in CI; true certificates of every kind."""

import copy
import json
import os
import sys
from importlib.util import find_spec

import pytest
from hypothesis import HealthCheck, settings

import conslaw

slow_is_fine = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("quick", max_examples=10, derandomize=True, **slow_is_fine)
settings.register_profile("thorough", max_examples=100, **slow_is_fine)
settings.load_profile("thorough" if os.environ.get("CI") else "quick")

# their scripts need another computer algebra system
collect_ignore = ["laws/oracle", "regions/oracle", "varieties/oracle"]
collect_ignore_glob = ["**/conftest.py"]  # two of them have no doctests, but one name
if not find_spec("torch"):
    collect_ignore += ["real_networks/spans.py", "real_networks/written_out.py", "training/monitored.py"]
if sys.platform == "win32":  # what these kill, link, select and give modes to is that of POSIX
    collect_ignore += ["sweeps/test_kills.py", "sweeps/test_limits.py", "sweeps/test_cluster.py"]
    collect_ignore += ["test_nothing_is_lost.py", "test_hostile.py"]


@pytest.fixture(scope="session")
def certificates():
    from kinds import FLOWS

    made = {}

    def certificate(name):
        if name not in made:
            question = FLOWS[name]()
            flow, options = question if isinstance(question, tuple) else (question, {})
            made[name] = json.loads(json.dumps(conslaw.analyze(flow, **options).certificate()))
        return copy.deepcopy(made[name])

    return certificate


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport():
    """With all extras installed a skipped test is a failure."""
    report = (yield).get_result()
    if report.skipped and os.environ.get("NO_SKIPS") and not hasattr(report, "wasxfail"):
        report.outcome = "failed"

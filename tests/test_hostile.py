"""Whatever public functions are given, they answer, or refuse it with one error of one line: in time, within
some memory, and in a worker that lives on.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from select import select

import hostile
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

CASES = 20_000 if os.environ.get("THOROUGH") else 500


class Worker:
    """A process that makes calls; it is replaced if one of them does not end."""

    def __init__(self, folder):
        self.folder, self.process = folder, None

    def _line(self, seconds):
        ready, _, _ = select([self.process.stdout], [], [], seconds)
        return self.process.stdout.readline().strip() if ready else ""

    def end(self):
        """Let it go."""
        if self.process:
            self.process.kill()
            self.process.communicate()
        self.process = None

    def __call__(self, call):
        """What comes of a call."""
        if self.process is None:
            self.process = subprocess.Popen(
                [sys.executable, hostile.__file__],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                encoding="utf-8",
                errors="replace",
                cwd=self.folder,
                env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
            )
            assert self._line(120) == "ready"
        self.process.stdin.write(call + "\n")
        self.process.stdin.flush()
        found = self._line(hostile.SECONDS)
        if not found:
            self.end()
        return found or f"no answer in {hostile.SECONDS} s"


@pytest.fixture(scope="module")
def worker(tmp_path_factory) -> Iterator[Worker]:
    made = Worker(tmp_path_factory.mktemp("worker"))
    yield made
    with suppress(OSError):
        made.end()


@st.composite
def calls(draw):
    """A public function; most arguments are good, some are hostile."""
    name = draw(st.sampled_from(sorted(hostile.CALLS)))
    positional, named = hostile.CALLS[name]

    def value(good):
        return draw(st.sampled_from(good if draw(st.integers(0, 2)) else hostile.ANY))

    given_names = draw(st.lists(st.sampled_from(sorted(named)), unique=True)) if named else []
    given_names = sorted({*given_names, *hostile.REQUIRED.get(name, ())})
    return hostile.text(name, [value(x) for x in positional], {k: value(named[k]) for k in given_names})


@pytest.mark.skipif(sys.platform == "win32", reason="limits of memory are POSIX")
@settings(max_examples=CASES, suppress_health_check=list(HealthCheck), deadline=None)
@given(calls())
def test_every_call_is_answered_or_refused_in_one_line(worker, call):
    assert worker(call) == "ok", call


def test_the_table_names_what_is_public():
    import conslaw

    public = {f"conslaw.{name}" for name in conslaw.__all__ if not name[0].isupper()}
    for room in ("layers", "regions", "varieties"):
        names = getattr(conslaw, room).__all__
        answers = (
            *("Component", "CriticalPoints", "Crossings", "DataPatterns", "Dimension", "Equations", "Film"),
            *("Frame", "LevelSet", "PolyhedralComplex", "Polytope", "Step", "Topology"),
        )
        public |= {f"conslaw.{room}.{name}" for name in names if name not in (*answers, "Projection")}
    assert public <= set(hostile.CALLS)
    assert Path(hostile.__file__).parent == Path(__file__).parent

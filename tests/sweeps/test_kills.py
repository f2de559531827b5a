"""Killed at random moments and started again: every finished row once, none twice, none lost."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter

import functions
import pytest
from test_limits import children_of, gone

import conslaw

MOMENTS = 20 if os.environ.get("CI") or os.environ.get("THOROUGH") else 3
CASES = 25 * MOMENTS


def rows_of(path):
    """The whole lines of a journal, but for its first."""
    lines = path.read_bytes().split(b"\n")[1:-1] if path.exists() else []
    return [json.loads(line) for line in lines]


@pytest.mark.parametrize("whom", ["driver", "workers"])
def test_killed_at_random_moments(tmp_path, whom):
    out, rng, kills = tmp_path / "x.jsonl", random.Random(whom), 0
    kept = {}
    while True:
        driver = functions.driver(out, "slow", CASES)
        workers = []
        while kills < MOMENTS and driver.poll() is None:
            time.sleep(rng.uniform(0.1, 0.8))
            workers = children_of(driver.pid)
            kills += 1
            if whom == "driver":
                driver.kill()
                break
            for pid in rng.sample(workers, min(len(workers), rng.choice([1, 2]))):
                os.kill(pid, signal.SIGKILL)
        driver.wait(timeout=100)
        assert gone(workers)
        rows = rows_of(out)
        again = {row["case"]: row for row in rows}
        assert len(again) == len(rows)
        assert kept.items() <= again.items()
        kept = again
        if driver.returncode == 0:
            break
        assert driver.returncode == -signal.SIGKILL, functions.errors_of(out).read_text()
    assert sorted(kept) == list(range(CASES))
    killed = Counter(row["status"] for row in kept.values())
    assert set(killed) <= {"ok", "killed"}
    assert killed["killed"] == 0 or whom == "workers"
    assert all(row["square"] == row["n"] ** 2 for row in kept.values() if row["status"] == "ok")


def test_killed_while_it_forgets(tmp_path):
    """``--retry`` writes the journal anew: before, or after, never half."""
    out = tmp_path / "x.jsonl"
    code = (
        "import functions, os, sys\n"
        "from conslaw.sweeps.journal import Journal, head\n"
        "from pathlib import Path\n"
        "journal = Journal(Path(sys.argv[1]), head({'what': 'square', 'count': 4}, 4))\n"
        "Path.replace = lambda *_: os.kill(os.getpid(), 9)\n"
        "journal.forget(['error'])\n"
    )
    header = json.dumps(conslaw.sweeps.journal.head({"what": "square", "count": 4}, 4))
    lines = [f'{{"case": {n}, "status": "{status}"}}' for n, status in enumerate(("ok", "error", "ok"))]
    before = "\n".join([header, *lines, ""])
    out.write_text(before)
    done = subprocess.run([sys.executable, "-c", code, out], cwd=functions.HERE, check=False)
    assert done.returncode == -signal.SIGKILL
    assert out.read_text() == before
    assert len(list(tmp_path.iterdir())) == 2  # what it had begun to write
    assert functions.swept(functions.square, 4, out=out, retry="error").statuses == {"ok": 4}
    assert list(tmp_path.iterdir()) == [out]
    assert Counter(row["case"] for row in rows_of(out)) == dict.fromkeys(range(4), 1)

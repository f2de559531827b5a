"""Workers are really ended: by time, by memory, by what a case does, and with what started them."""

import os
import signal
import sys
import time
from pathlib import Path

import functions
import pytest

import conslaw

EXPECTED = {0: "ok", 1: "timeout", 2: "timeout", 3: "memory", 4: "killed", 5: "killed"}
EXPECTED |= {6: "error", 7: "killed", 8: "ok", 9: "error"}
REASONS = {
    1: "after 0.5 seconds",
    2: "killed after 0.5 seconds",
    4: "SIGABRT",
    5: "status 7",
    6: "ValueError: two lines",
    7: "SIGKILL",
    9: "SystemExit: out",
}


def state_of(pid):
    """The state and the parent of a process (Linux); None if it has gone."""
    try:
        state, parent = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[:2]
    except (FileNotFoundError, ProcessLookupError):
        return None
    return state, int(parent)


def children_of(pid):
    """The living processes that were started by one."""
    states = {int(path.name): state_of(path.name) for path in Path("/proc").glob("[0-9]*")}
    return [one for one, state in states.items() if state and state[0] not in "ZX" and state[1] == pid]


def is_running(pid):
    state = state_of(pid)
    return bool(state) and state[0] not in "ZX"


def gone(pids, within=10.0):
    """Whether all of these end within a time that no machine should need."""
    end = time.monotonic() + within
    while any(map(is_running, pids)) and time.monotonic() < end:
        time.sleep(0.02)
    return not any(map(is_running, pids))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits of memory are those of Linux")
def test_each_case_has_its_row_and_its_reason():
    swept = functions.swept(functions.hostile, 10, timeout=0.5, memory="1GB", workers=2)
    rows = {row["n"]: row for row in swept.rows()}
    assert {n: row["status"] for n, row in rows.items()} == EXPECTED
    for n, reason in REASONS.items():
        assert reason in rows[n]["reason"]
    assert children_of(os.getpid()) == []
    assert rows[0]["n_squared"] == 0
    assert {row["memory_limit"] for row in rows.values()} == {10**9}


def test_what_was_proved_until_the_limit_is_in_the_row():
    swept = functions.swept(functions.Proving(), 1, timeout=0.3)
    (row,) = swept.rows()
    assert (row["status"], row["at_most"]) == ("timeout", 7)
    assert row["reason"].endswith("the bounds are those proved until then")


def test_an_interrupted_driver_leaves_no_worker_and_keeps_its_rows(tmp_path):
    for number, sent in enumerate((signal.SIGINT, signal.SIGTERM, signal.SIGKILL)):
        out = tmp_path / f"{number}.jsonl"
        driver = functions.driver(out, "slow", 100_000)
        functions.wait_for(out, driver, 3)
        workers = children_of(driver.pid)
        assert len(workers) == 2
        driver.send_signal(sent)
        assert driver.wait(timeout=20) != 0
        assert gone(workers), sent
        found = conslaw.sweeps.status(out)
        assert found.statuses["ok"] > 3
        assert set(found.statuses) == {"ok"}


def test_a_worker_busy_in_c_code_goes_with_its_driver(tmp_path):
    out = tmp_path / "x.jsonl"
    driver = functions.driver(out, "hostile", 3, workers=3)
    functions.wait_for(out, driver, 0)
    workers = children_of(driver.pid)
    assert len(workers) >= 2
    driver.kill()
    driver.wait()
    assert gone(workers)


def test_a_worker_that_cannot_start_is_one_line():
    with pytest.raises(conslaw.ConslawError, match="could not be started: ModuleNotFoundError") as caught:
        functions.swept(Unreadable(), 2)
    assert "\n" not in str(caught.value)


class Unreadable:
    __name__ = "unreadable"

    def __reduce__(self):
        return (__import__, ("no_such_module",))


@pytest.mark.parametrize(
    "options",
    [
        *({"timeout": value} for value in (0, -1, True, "60", float("nan"), 1e10)),
        *({"memory": value} for value in ("4XB", "-1GB", "10MB", True, "", "1e9GB", 0)),
        *({"workers": value} for value in (0, -1, 1.5, True, "2")),
        *({"retry": value} for value in ("ok", "late", ["error", "x"])),
    ],
    ids=str,
)
def test_limits_that_are_none_are_refused(options):
    with pytest.raises(conslaw.ConslawError) as caught:
        functions.swept(functions.square, 1, **options)
    assert "\n" not in str(caught.value)


def test_where_memory_cannot_be_limited_it_says_so(monkeypatch):
    monkeypatch.setattr("conslaw.sweeps.running.can_limit_memory", lambda: False)
    swept = functions.swept(functions.square, 2, memory="1GB")
    assert "not limited" in str(swept)
    assert {row["memory_limit"] for row in swept.rows()} == {None}

"""The same on a real scheduler of Dask with worker processes, one of which is killed."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress

import functions
import pytest
from test_limits import EXPECTED, children_of, gone

import conslaw

pytest.importorskip("distributed")

THOROUGH = bool(os.environ.get("CI") or os.environ.get("THOROUGH"))
LOCAL = {**os.environ, "PYTHONPATH": str(functions.HERE), "DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT": "10s"}


def started(arguments, tmp_path):
    """A process of the cluster, whose words go to a file."""
    command = [sys.executable, "-m", f"distributed.cli.dask_{arguments[0]}", *arguments[1:]]
    with (tmp_path / f"{arguments[0]}{len(list(tmp_path.iterdir()))}.log").open("w") as log:
        return subprocess.Popen(
            command, stdout=log, stderr=log, env=LOCAL, cwd=tmp_path, start_new_session=True
        )


def end(processes):
    """End processes with all that they started."""
    for process in processes:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def address_of(path):
    """Where a scheduler says that it listens."""
    for _ in range(500):
        with suppress(FileNotFoundError, ValueError):  # it may be half written
            return json.loads(path.read_text())["address"]
        time.sleep(0.05)
    raise TimeoutError("no scheduler")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """A scheduler and two workers, each of one thread under a nanny that starts it anew."""
    folder = tmp_path_factory.mktemp("cluster")
    scheduler = started(
        ["scheduler", "--port", "0", "--no-dashboard", "--scheduler-file", "file.json"], folder
    )
    address = address_of(folder / "file.json")
    options = ["--nthreads", "1", "--no-dashboard", "--local-directory", str(folder)]
    nannies = [started(["worker", address, *options], folder) for _ in range(2)]
    yield address, scheduler, nannies
    end([*nannies, scheduler])


def test_a_worker_is_killed_and_every_case_has_one_row(cluster, tmp_path):
    address, _, nannies = cluster
    out = tmp_path / "x.jsonl"
    running = functions.driver(out, "slow", 150, cluster=address)
    functions.wait_for(out, running, 20)
    (worker,) = [pid for pid in children_of(nannies[0].pid) if children_of(pid)]
    own = children_of(worker)
    os.kill(worker, signal.SIGKILL)
    assert running.wait(timeout=100) == 0, functions.errors_of(out).read_text()
    assert gone(own)
    rows = [json.loads(line) for line in out.read_text().splitlines()[1:]]
    assert sorted(row["case"] for row in rows) == list(range(150))
    assert all(row["status"] == "ok" and row["square"] == row["n"] ** 2 for row in rows)


if THOROUGH:  # among others, it takes ten seconds until a scheduler is given up

    def test_limits_hold_there_too(cluster, tmp_path):
        out = tmp_path / "x.jsonl"
        running = functions.driver(out, "hostile", 8, cluster=cluster[0], timeout=0.5, memory="1GB")
        assert running.wait(timeout=100) == 0, functions.errors_of(out).read_text()
        rows = [json.loads(line) for line in out.read_text().splitlines()[1:]]
        assert {row["n"]: row["status"] for row in rows} == {n: EXPECTED[n] for n in range(8)}
        assert conslaw.sweeps.status(out).finished

    def test_a_scheduler_that_is_lost_is_one_line_and_the_rows_stay(tmp_path):
        scheduler = started(
            ["scheduler", "--port", "0", "--no-dashboard", "--scheduler-file", "file.json"], tmp_path
        )
        address = address_of(tmp_path / "file.json")
        nanny = started(
            ["worker", address, "--nthreads", "1", "--no-dashboard", "--local-directory", "."], tmp_path
        )
        out = tmp_path / "x.jsonl"
        try:
            running = functions.driver(out, "slow", 10_000, cluster=address)
            functions.wait_for(out, running, 5)
            scheduler.kill()
            assert running.wait(timeout=60) == 1
            assert "ConslawError: cluster: the scheduler was lost" in functions.errors_of(out).read_text()
            assert conslaw.sweeps.status(out).statuses["ok"] >= 4
        finally:
            for process in (nanny, scheduler):
                process.kill()
                process.wait()


def test_a_scheduler_that_is_not_there_is_one_line():
    code = (
        "import conslaw, functions, conslaw.sweeps.cluster\n"
        "conslaw.sweeps.cluster.CONNECT = 0.5\n"
        "for address in ('tcp://127.0.0.1:1', 'http://x', 5):\n"
        "    try: functions.swept(functions.square, 1, cluster=address)\n"
        "    except conslaw.ConslawError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], env=LOCAL, capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    assert len(lines) == 3
    assert all(line.startswith("cluster=") for line in lines)

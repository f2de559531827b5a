"""Benchmarks: ``python benchmarks/run.py`` prints a table; ``--save`` also writes ``results.json``,
``results.md`` and ``growth.svg`` beside this file.

Each run of a row has a process of its own (so that its peak memory is its own) and one BLAS thread; imports
and a first small analysis are not counted.  CPU seconds are those of all its threads and children.  Rows
below ten seconds are run three times: medians.  Times on a shared machine are noisy; ``compare.py`` reads
them beside a yardstick, one dense rank, that is measured in the same minute.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import statistics
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from datetime import date
from importlib import import_module
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from growth import plot
from rows import Row

HERE = Path(__file__).parent
FILES = (
    "laws quotients values real_networks attained training reports neurovarieties linear_regions topology "
    "layers sweeps inputs"
)
YARDSTICK = Row("yardstick", import_module("laws").flint_rank, (2000,))
SHORT, RUNS = 10.0, 3  # seconds; how often shorter rows are run
HEADING = "| what | answer | CPU seconds | seconds | memory, GB | published |\n|---|---|---:|---:|---:|---|"
PACKAGES = ("numpy", "scipy", "sympy", "python-flint")


def cpu() -> float:
    """CPU seconds of this process and of its children that have ended."""
    return sum(os.times()[:4])


def peak() -> float:
    """The most memory that this process, or one of its children, had, in GB."""
    import resource  # not on Windows

    unit = 1e9 if sys.platform == "darwin" else 1e6
    own, children = (
        resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    status = Path("/proc/self/status")
    if status.exists():  # ru_maxrss begins with what the parent had
        own = int(re.search(r"VmHWM:\s*(\d+)", status.read_text())[1])  # type: ignore[index]
    return max(own, children) / unit


def measured(row: Row) -> dict[str, Any]:
    """One run: what came out, CPU and wall seconds, memory."""
    import sympy  # noqa: F401

    import conslaw

    repr(conslaw.analyze(conslaw.linear([2, 1, 2])))  # imports what rows use
    before, start = cpu(), time.perf_counter()
    answer = row.function(*row.arguments)
    seconds, used = time.perf_counter() - start, cpu() - before
    return {"answer": answer, "cpu": used, "seconds": seconds, "memory": peak()}


def medians(row: Row) -> dict[str, Any]:
    """The medians of a row's runs."""
    runs: list[dict[str, Any]] = []
    while not runs or (len(runs) < RUNS and runs[0]["seconds"] < SHORT):
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
            runs.append(process.submit(measured, row).result())
    figures = {
        key: round(statistics.median(run[key] for run in runs), 3) for key in ("cpu", "seconds", "memory")
    }
    return {"name": row.name, "answer": runs[-1]["answer"], "runs": len(runs), "beside": row.beside} | figures


def rows(files: list[str]) -> dict[str, list[Row]]:
    """The rows of each file that can be imported here."""
    found = {}
    for name in files:
        try:
            found[name] = import_module(name).ROWS
        except ModuleNotFoundError as error:
            print(f"left out: {name}.py, which needs {error.name}", file=sys.stderr)
    return found


def as_row(result: dict[str, Any]) -> str:
    """A line of the table."""
    times = f"{result['cpu']:.2f} | {result['seconds']:.2f} | {result['memory']:.2f}"
    return f"| {result['name']} | {result['answer']} | {times} | {result['beside']} |"


def machine() -> str:
    """Where and with what."""
    cores = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    return f"{date.today()}, {cores}, " + ", ".join(f"{name} {version(name)}" for name in PACKAGES)


def save(results: list[dict[str, Any]]) -> None:
    """Put these rows into the files, in place of earlier ones of the same names."""
    path, listed = HERE / "results.json", [row.name for each in rows(FILES.split()).values() for row in each]
    earlier = json.loads(path.read_text())["rows"] if path.exists() else []
    known = {row["name"]: row for row in [*earlier, *results]}
    every = [known[name] for name in listed if name in known]
    path.write_text(json.dumps({"machine": machine(), "rows": every}, indent=1) + "\n")
    plot(every, HERE / "growth.svg")
    text = [
        "# Benchmark results",
        "Made by `python benchmarks/run.py --save`.",
        "![growth](growth.svg)",
        machine(),
    ]
    for file in dict.fromkeys(row["file"] for row in every):
        lines = [as_row(row) for row in every if row["file"] == file]
        text.append("\n".join([f"## {file}.py", "", HEADING, *lines]))
    (HERE / "results.md").write_text("\n\n".join(text) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--save", action="store_true", help="put the rows into results.json, .md and growth.svg"
    )
    parser.add_argument("--only", default="", help="rows whose name contains this")
    parser.add_argument("--files", nargs="+", default=FILES.split(), help=f"of {FILES}")
    options = parser.parse_args()
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    print(f"{machine()}\n\n{HEADING}", flush=True)
    for file, listed in rows(options.files).items():
        chosen, results = [row for row in listed if options.only in row.name], []
        yardstick = medians(YARDSTICK)["cpu"] if chosen else 0.0
        for row in chosen:
            try:
                result = medians(row)
            except Exception as error:  # a row that fails says so, and the others go on
                result = {"name": row.name, "answer": f"failed: {error}", "runs": 1, "beside": row.beside}
                result |= {"cpu": 0.0, "seconds": 0.0, "memory": 0.0}
            results.append(result | {"file": file, "along": row.along, "yardstick": yardstick})
            print(as_row(result), flush=True)
        if options.save and results:
            save(results)


if __name__ == "__main__":
    main()

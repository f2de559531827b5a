"""Sweeps: what they cost beside the work.

1,000 small analyses on two workers; a file of a million rows that is gone on with, and its table.
"""

from __future__ import annotations

import json
import resource
import tempfile
import time
from pathlib import Path

from rows import Row

ROW = {"reason": None, "laws_at_most": 10, "laws_found": 10, "complete": True, "error_probability": 0.0}
ROW |= {"parameters": 33, "state_dimension": 33, "lie_ranks": "9,17", "primes": "5357581", "seed": 0}
ROW |= {"split": False, "stopped": "the bounds meet", "budget": 60.0, "work": 0.0092, "seconds": 0.0243}
ROW |= {
    "cpu_seconds": 0.0121,
    "memory_bytes": 142151680,
    "conslaw": "0",
    "timeout": None,
    "memory_limit": None,
}


def used(who: int) -> float:
    """CPU seconds of this process, or of its children that have ended."""
    usage = resource.getrusage(who)
    return usage.ru_utime + usage.ru_stime


def peak() -> int:
    """The largest memory of this process, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def analyses() -> str:
    """Linear and ReLU networks, widths 1 to 4, depths 2 and 3, at most 60 parameters: the first 1,000."""
    import conslaw

    start, own, children = time.perf_counter(), used(resource.RUSAGE_SELF), used(resource.RUSAGE_CHILDREN)
    options = {"widths": "1..4", "depth": "2,3", "bias": "both", "max_parameters": 60, "first": 1000}
    with tempfile.TemporaryDirectory() as folder:
        swept = conslaw.sweep("linear,relu", workers=2, out=Path(folder) / "small.parquet", **options)
        seconds = time.perf_counter() - start
        work = sum(row["cpu_seconds"] for row in swept.rows())
    driver = used(resource.RUSAGE_SELF) - own
    workers = used(resource.RUSAGE_CHILDREN) - children
    return (
        f"{seconds:.1f} s; CPU {work:.1f} s of work, {driver:.1f} s of the "
        f"driver, {workers - work:.1f} s more of the workers: "
        f"{100 * (driver + workers - work) / work:.0f}% overhead"
    )


def million() -> str:
    """A million rows, three of which are missing."""
    from conslaw.sweeps import resume
    from conslaw.sweeps.cases import space
    from conslaw.sweeps.journal import head

    cases = space(["linear"], "1..100", depth=2)
    asked = {"cases": cases.to_json(), "ask": "analyze", "budget": 60.0, "function": None}
    parts = []
    with tempfile.TemporaryDirectory() as folder:
        for name in ("rows.jsonl", "rows.parquet"):
            out = Path(folder) / name
            journal = out if out.suffix == ".jsonl" else out.with_name(f"{name}.journal")
            with journal.open("w", encoding="utf-8") as file:
                file.write(json.dumps(head(asked, 10**6)) + "\n")
                for number, case in zip(range(10**6 - 3), cases, strict=False):
                    file.write(json.dumps({"case": number, "status": "ok", **case, **ROW}) + "\n")
            before, start = used(resource.RUSAGE_SELF), time.perf_counter()
            resume(out)
            spent = used(resource.RUSAGE_SELF) - before
            parts.append(f"{out.suffix} {spent:.1f} s CPU ({time.perf_counter() - start:.0f} s), {peak()} MB")
            journal.unlink()
    return f"3 cases left: {'; '.join(parts)} (with its table)"


ROWS = [
    Row("1,000 small analyses on two workers", analyses),
    Row("a file of a million rows gone on with", million),
]

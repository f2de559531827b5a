"""``python benchmarks/compare.py OLD NEW``: two files ``results.json``, row by row.

Says which rows need more than 1.3 times the CPU time or memory, or answer otherwise, and which rows are gone;
leaves with 1 if there are such.  CPU seconds are divided by the yardstick of their file and minute, one dense
rank, so that another machine or hour compares; differences below 0.1 seconds or 0.05 GB do not count.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

LIMIT, LEAST = 1.3, {"cpu": 0.1, "memory": 0.05}


def read(path: str) -> dict[str, dict[str, Any]]:
    """The rows by name."""
    return {row["name"]: row for row in json.loads(Path(path).read_text())["rows"]}


def ratio(old: dict[str, Any], new: dict[str, Any], what: str) -> float:
    """How many times as much the new one needs; 1 where the difference is noise."""
    speed = new["yardstick"] / old["yardstick"] if what == "cpu" and old["yardstick"] else 1.0
    before = old[what] * speed
    small = abs(new[what] - before) < LEAST[what]
    return 1.0 if small else new[what] / max(before, LEAST[what])


def said(answer: str) -> str:
    """An answer without the seconds and sizes in it."""
    return re.sub(r"\d+(\.\d+)? (s|ms|kB|MB|GB)\b", "", answer)


def differences(old: dict[str, dict[str, Any]], new: dict[str, dict[str, Any]]) -> list[str]:
    """What is worse, one line each."""
    lines = [f"gone: {name}" for name in old if name not in new]
    for name in [name for name in old if name in new]:
        for what, unit in (("cpu", "CPU seconds"), ("memory", "GB")):
            times = ratio(old[name], new[name], what)
            if times > LIMIT:
                lines.append(f"{times:.2f} x: {name}: {old[name][what]:.2f} -> {new[name][what]:.2f} {unit}")
        if said(old[name]["answer"]) != said(new[name]["answer"]):
            lines.append(f"answers otherwise: {name}: {old[name]['answer']} -> {new[name]['answer']}")
    return lines


def main() -> None:
    if len(sys.argv) != 3:
        sys.exit((__doc__ or "").splitlines()[0])
    old, new = map(read, sys.argv[1:])
    faster = sum(1 for name in old if name in new and ratio(new[name], old[name], "cpu") > LIMIT)
    lines = differences(old, new)
    print("\n".join([*lines, f"{len(lines)} worse, {faster} faster, of {len(old)} rows"]))
    sys.exit(1 if lines else 0)


if __name__ == "__main__":
    main()

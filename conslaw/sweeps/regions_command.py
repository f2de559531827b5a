"""The command ``conslaw regions``: the topology of level sets of random networks."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from conslaw.errors import ConslawError
from conslaw.long_work import CLEARED, is_terminal


def add_to(commands: Any, integer: Any, number: Any) -> None:
    """Add the command to those of ``conslaw``; ``integer`` and ``number`` read its numbers."""
    parser = commands.add_parser(
        "regions",
        help="the topology of level sets of random ReLU networks, trial by trial",
        description="Betti numbers of F = level for random networks; the same command again goes on.",
    )
    add = parser.add_argument
    add("--random", required=True, metavar="W", help="the architecture, n for widths that vary: 2-n-n-1")
    add("--widths", required=True, metavar="N", help="what n is: 6..12..3 (both ends are in), or 4,8,16")
    add("--trials", type=integer, default=20, metavar="N", help="networks for each (default 20)")
    add("--level", default="0", metavar="Q", help="a rational number (default 0)")
    add("--seed", type=integer, default=0, metavar="N", help="draws the networks (default 0)")
    add("--timeout", type=number, metavar="SECONDS", help="for each trial")
    add("--memory", metavar="SIZE", help="for each worker, such as 4GB")
    add("--workers", type=integer, default=1, metavar="N", help="processes (default 1)")
    add("--out", required=True, metavar="FILE.npz", help="the arrays; a table of the trials is beside it")
    add("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    import json

    from conslaw.algebra.exact_numbers import exact_rational
    from conslaw.regions.random_level_sets import Trial, architectures, cases, write
    from conslaw.sweeps.ranges import integers
    from conslaw.sweeps.running import run

    out = Path(options.out)
    if out.suffix != ".npz":
        raise ConslawError(f"--out {options.out!r}: give a name that ends in .npz")
    archs = architectures(options.random, integers(options.widths, "--widths"))
    if options.trials < 1:
        raise ConslawError(f"--trials {options.trials}: give a positive integer")
    try:
        level = str(exact_rational(options.level))
    except ConslawError:
        raise ConslawError(f"--level {options.level[:60]!r}: give a rational number, such as 1/2") from None
    asked = {
        "what": "level sets",
        "archs": archs,
        "trials": options.trials,
        "level": level,
        "seed": options.seed,
    }
    table, every = out.with_suffix(".jsonl"), list(cases(archs, options.trials))
    try:
        swept = run(
            Trial(level, options.seed),
            every,
            count=len(every),
            asked=asked,
            out=table,
            timeout=options.timeout,
            memory=options.memory,
            workers=options.workers,
            progress=False if options.json else None,
        )
    except KeyboardInterrupt:
        said = f"finished trials are kept in {table.name}: the same command goes on"
        print(f"{CLEARED if is_terminal() else ''}conslaw: {said}", file=sys.stderr)
        raise
    rows = list(swept.rows())
    kept = write(rows, out)
    if options.json:
        print(json.dumps({**swept.to_json(), "kept": kept}))
        return 0
    print(swept)
    for arch in archs:
        betti = Counter(
            row["boundary_betti"] for row in rows if row["arch"] == arch and row["status"] == "ok"
        )
        said = "; ".join(
            f"{count} times {numbers.replace(',', ', ')}" for numbers, count in betti.most_common(5)
        )
        print(f"  {arch}: Betti numbers of F = {level}: {said or 'none'}")
    return 0

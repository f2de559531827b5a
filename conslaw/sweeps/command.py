"""The command ``conslaw sweep``."""

from __future__ import annotations

import argparse
import sys
from contextlib import suppress
from typing import Any

from conslaw.errors import ConslawError
from conslaw.long_work import CLEARED, is_terminal

REFUTED = 1
RUN = ("timeout", "memory", "workers", "cluster", "retry")  # options that a sweep may be gone on with
CASES = ("widths", "depth", "power", "bias", "flow", "damping", "ask", "budget", "seed", "max_parameters")
CHOSEN = (*CASES, "symmetric", "sample", "first")


def add_to(commands: Any, integer: Any, number: Any) -> None:
    """Add the command to those of ``conslaw``; ``integer`` and ``number`` read its numbers."""
    parser = commands.add_parser(
        "sweep",
        help="ask a question of thousands of networks, resumable, and test conjectures on the answers",
        description="Ranges: 3, 1..5 (both ends are in), 6..12..3, joined by commas.",
        argument_default=argparse.SUPPRESS,
    )
    add = parser.add_argument_group("networks").add_argument
    add(
        "family", nargs="?", help="a family, several (linear,relu), or FILE.py:NAME, a function of the widths"
    )
    add("--widths", metavar="W", help="1..5 for every layer (with --depth), or layer by layer: 3-1..4-2,5-5")
    add("--depth", metavar="D", help="numbers of weight matrices: 2..4")
    add("--power", metavar="R", help="of polynomial networks: 2..5 (default 2)")
    add("--bias", nargs="?", const="yes", choices=["yes", "no", "both"], help="on hidden layers (default no)")
    add = parser.add_argument_group("question").add_argument
    add("--flow", metavar="F", help="gradient, momentum, nesterov (default gradient)")
    add("--damping", metavar="Q", help="of momentum: 0,1/2,3/t (default 0)")
    add("--ask", metavar="Q", help="analyze (default), count or dimension")
    add(
        "--budget",
        type=number,
        metavar="X",
        help="work for each case, in units of about a second (default 60)",
    )
    add("--seed", type=integer, metavar="N", help="draws primes, points and samples (default 0)")
    add = parser.add_argument_group("cases").add_argument
    add("--max-parameters", type=integer, metavar="N", help="leave out larger networks")
    add("--symmetric", action="store_true", help="of widths and the same reversed take one")
    add("--sample", type=integer, metavar="N", help="so many of the cases, at random")
    add("--first", type=integer, metavar="N", help="so many of the cases, the first")
    add = parser.add_argument_group("work").add_argument
    add("--timeout", type=number, metavar="SECONDS", help="for each case")
    add("--memory", metavar="SIZE", help="for each worker, such as 4GB")
    add("--workers", type=integer, metavar="N", help="processes (default 1)")
    add("--cluster", metavar="ADDRESS", help="of a Dask scheduler, such as tcp://host:8786")
    add = parser.add_argument_group("answer").add_argument
    add("--out", metavar="FILE", help="the table: .parquet, .csv or .jsonl")
    add("--resume", metavar="FILE", help="go on with a sweep")
    add("--retry", metavar="STATUSES", help="try cases again: timeout,memory,error,killed")
    add("--status", metavar="FILE", help="say how far a sweep is")
    add("--expect", metavar="EXPRESSION", help="compare with an expression in the widths, such as r*(r+1)//2")
    add("--csv", action="store_true", help="write the results and the timeouts as a pair of CSV files, too")
    add("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    import json

    from conslaw.sweeps import tables

    given = vars(options)
    expected = _expression(given)
    swept = _swept(given)
    compared = None
    if expected is not None:
        from conslaw.sweeps.expectations import compare

        compared = compare(swept, expected)
    pair = tables.write_pair(swept.path) if "csv" in given else ()
    if "json" in given:
        found = {**swept.to_json(), **({"expected": compared.to_json()} if compared else {})}
        print(json.dumps(found))
    else:
        print(swept)
        for path in pair:
            print(f"  also   {path.name}")
        if compared:
            print(f"\n{compared}")
    return REFUTED if compared and compared.refuted else 0


def _expression(given: dict[str, Any]) -> Any:
    if "expect" not in given:
        return None
    from conslaw.sweeps.expressions import Expression

    return Expression(given["expect"])


def _swept(given: dict[str, Any]) -> Any:
    """The sweep that is run, gone on with, or looked at."""
    from conslaw.sweeps.running import status
    from conslaw.sweeps.sweep import resume, sweep

    what = [name for name in ("status", "resume", "out") if name in given]
    chosen = {name: given[name] for name in CHOSEN if name in given}
    running = {name: given[name] for name in RUN if name in given}
    if len(what) != 1:
        raise ConslawError("sweep: give one of --out FILE (a new sweep), --resume FILE and --status FILE")
    file = given[what[0]]
    if what[0] != "out" and ("family" in given or chosen):
        names = [name for name in ("family", *chosen) if name in given]
        raise ConslawError(
            f"--{what[0]} {file!r}: {', '.join(names)}: what is swept is in the file; leave it out"
        )
    if what[0] == "status":
        if running:
            raise ConslawError(f"--status {file!r}: nothing is run; leave {', '.join(running)} out")
        return status(file)
    try:
        if what[0] == "resume":
            return resume(file, progress=_progress(given), **running)
        missing = [name for name in ("family", "widths") if given.get(name) is None]
        if missing:
            raise ConslawError(
                f"sweep: {missing[0]} is missing, such as: conslaw sweep linear --widths 1..3 --depth 2"
            )
        return sweep(given["family"], out=file, progress=_progress(given), **chosen, **running)
    except KeyboardInterrupt:
        with suppress(ConslawError):  # it may not have begun
            found = status(file)
            done = sum(found.statuses.values())
            said = f"{done:,} of {found.cases:,} cases are kept: conslaw sweep --resume {file}"
            print(f"{CLEARED if is_terminal() else ''}conslaw: {said}", file=sys.stderr)
        raise


def _progress(given: dict[str, Any]) -> bool:
    return "json" not in given

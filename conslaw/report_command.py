"""The command ``conslaw report``."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from conslaw.errors import Interrupted

if TYPE_CHECKING:
    from conslaw.models.potential import Model

INTERRUPTED = 130


def add_to(
    commands: Any,
    network: argparse.ArgumentParser,
    number: Callable[[str], float],
    model: Callable[[argparse.Namespace], Model],
) -> None:
    """Add the command; ``network`` has the arguments that name a model, and ``model`` makes it of them."""
    parser = commands.add_parser("report", parents=[network], help="all that there is to ask, on one page")
    parser.add_argument(
        "--seconds", type=number, default=10.0, metavar="X", help="for each part (default 10)"
    )
    parser.add_argument("--html", metavar="FILE", help="write it as a page as well")
    parser.set_defaults(run=partial(_run, model))


def _run(model: Callable[[argparse.Namespace], Model], options: argparse.Namespace) -> int:
    """Print the report, of what is done if it is interrupted, then write the page."""
    import json

    from conslaw.reporting import report

    try:
        found, status = report(model(options), seconds=options.seconds, seed=options.seed), 0
    except Interrupted as stop:
        found, status = stop.answer, INTERRUPTED
    print(json.dumps(found.to_json()) if options.json else found, flush=True)
    if options.html is not None:
        found.to_html(options.html)
    return status

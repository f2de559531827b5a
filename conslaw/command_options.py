"""The options of the command ``conslaw``, in groups, with examples: what ``--help`` says."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from conslaw.errors import ConslawError
from conslaw.sweeps import command as sweep_command
from conslaw.sweeps import regions_command
from conslaw.version import __version__

QUESTION = "What does training this network conserve?  Exact, proved conservation laws of gradient flows."
STATUSES = """exit status: 0 all is well, 1 refuted, 2 bad input, 3 not checked, 4 stopped by --timeout,
130 interrupted (what was proved until then is printed)"""
EXAMPLES = {
    "": ["analyze linear 3-2-4", "analyze relu 784-512-10 --explain", "analyze --help"],
    "analyze": [
        "analyze linear 3-2-4",
        "analyze relu 3-5-5-2 --bias --laws",
        "analyze linear 2-2-1 --flow momentum --damping 1/2",
        "analyze linear 3-2-4 --metric W1=1/10,W2=mirror --weight-decay 1/3",
        "analyze my_net.py:net --input 1,3,32,32 --at",
        "analyze my_model.py:model --timeout 60 --certificate proof.json",
    ],
    "count": ["count relu 784-512-10", "count icnn 3-4-2 --bias --flow nesterov --json"],
    "dimension": [
        "dimension polynomial 3-3-3 --power 2",
        "dimension polynomial 2-3-2 --certificate proof.json",
    ],
    "report": ["report relu 3-5-2", "report my_net.py:net --input 1,8 --html page.html"],
    "verify": ["verify proof.json", "verify proof.json --budget 10 --json"],
    "sweep": [
        'sweep linear --widths 1..3 --depth 2 --out table.csv --expect "r*(r+1)//2"',
        "sweep --resume table.csv --retry timeout --timeout 600",
        "sweep --status table.csv",
    ],
    "regions": ["regions --random 2-n-n-1 --widths 4..12..4 --trials 50 --out rings.npz"],
    "models": [],
}
Handler = Callable[[argparse.Namespace], int | None]


class Parser(argparse.ArgumentParser):
    """A parser that keeps the lines of its examples."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(formatter_class=argparse.RawDescriptionHelpFormatter, **settings)

    def error(self, message: str) -> NoReturn:
        """One line, not the usage."""
        raise ConslawError(f"{message} (see '{self.prog} --help')")


def parser(run: Mapping[str, Handler]) -> Parser:
    """The parser; ``run`` says what each command calls."""
    whole = Parser(prog="conslaw", description=QUESTION)
    whole.add_argument("--version", action="version", version=f"conslaw {__version__}")
    commands = whole.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=Parser)

    analyze = commands.add_parser(
        "analyze", help="count the laws, find the polynomial ones, say whether the list is complete"
    )
    _network(analyze)
    _training(analyze)
    search = analyze.add_argument_group("search")
    add = search.add_argument
    add("--degree", type=integer, default=2, help="largest degree of the laws looked for (default 2)")
    add(
        "--time-degree",
        type=integer,
        metavar="N",
        help="largest degree in time (default: what the known laws need)",
    )
    add("--homogeneous", action="store_true", help="laws of exactly that degree only")
    add(
        "--ansatz",
        metavar="KIND",
        help="'monomials': all polynomials; 'matrix': combinations of the arrays (default: by size)",
    )
    _work(search)
    answer = _answer(analyze)
    answer.add_argument("--laws", action="store_true", help="write out every law as a polynomial")
    _explain(answer)
    _certificate(answer)
    answer.add_argument(
        "--evaluate", metavar="FILE", help="add the values of the laws at the weights in FILE (.npz, .pt)"
    )
    answer.add_argument(
        "--at",
        nargs="?",
        const="",
        metavar="FILE",
        help="say whether these are all laws near the weights in FILE (default: the module's own)",
    )

    count = commands.add_parser("count", help="count the laws from the Lie ranks alone")
    _network(count)
    _training(count)
    search = count.add_argument_group("search")
    search.add_argument(
        "--point", metavar="FILE", help="at the weights in FILE (.npz, .pt), as exact numbers"
    )
    _work(search)
    _explain(_answer(count))

    dimension = commands.add_parser(
        "dimension", help="the dimension of the set of functions that a model represents"
    )
    _network(dimension)
    _seed(dimension.add_argument_group("search"))
    _certificate(_answer(dimension))

    report = commands.add_parser("report", help="all that there is to ask about a model, on one page")
    _network(report)
    search = report.add_argument_group("search")
    search.add_argument(
        "--seconds", type=number, default=10.0, metavar="X", help="for each part of the page (default 10)"
    )
    _seed(search)
    answer = report.add_argument_group("answer")
    answer.add_argument("--json", action="store_true", help="print one JSON object")
    answer.add_argument("--html", metavar="FILE", help="write it as a page as well")

    verify = commands.add_parser("verify", help="check a certificate with other code than that which made it")
    verify.add_argument(
        "file",
        help="a certificate, JSON ('conslaw analyze ... --certificate FILE'; - for standard input) or NPZ",
    )
    verify.add_argument(
        "--budget",
        type=number,
        default=1.0,
        metavar="X",
        help="work that it may take, in billions of multiplications and GB (default 1)",
    )
    verify.add_argument("--json", action="store_true", help="print one JSON object")
    sweep_command.add_to(commands, integer, number)
    regions_command.add_to(commands, integer, number)
    commands.add_parser("models", help="list the families of models")

    for name, one in {"": whole, **commands.choices}.items():
        lines = "".join(f"\n  conslaw {example}" for example in EXAMPLES[name])
        one.epilog = f"examples:{lines}" if lines else None
        if name in run:
            one.set_defaults(run=run[name])
    whole.epilog = f"{whole.epilog}\n\n{STATUSES}"
    return whole


def _network(command: Parser) -> None:
    add = command.add_argument_group("network").add_argument
    add("model", help="a family ('conslaw models' lists them) or FILE.py:NAME for a model of your own")
    add(
        "sizes",
        nargs="?",
        help="sizes of the family: the widths of a network, from input to output, as 3-2-4",
    )
    add(
        "--input",
        action="append",
        metavar="SHAPE",
        help="of a PyTorch module in FILE.py:NAME: 1,3,32,32, or 1,16:int64 for tokens; once for each input",
    )
    add("--bias", action="store_true", help="with a bias vector on each hidden layer")
    add("--power", metavar="R", help="of polynomial: 2, or 2,3 (one a hidden layer)")


def _training(command: Parser) -> None:
    add = command.add_argument_group("training").add_argument
    flows = ["gradient", "momentum", "nesterov"]
    add("--flow", choices=flows, help="how it is trained (default gradient)")
    add(
        "--damping",
        metavar="Q",
        help="of a momentum flow: a rational number or C/t (default 0; nesterov is 3/t)",
    )
    add(
        "--metric",
        help="'euclidean', 'mirror', 'z**2', or ARRAY=METRIC,... with one of these or a scaling "
        "(default: the model's own)",
    )
    add("--weight-decay", metavar="Q", help="a rational number (default 0)")


def _work(group: Any) -> None:
    group.add_argument(
        "--split",
        action=argparse.BooleanOptionalAction,
        help="split the network into subnetworks (default: if it is large)",
    )
    group.add_argument(
        "--budget",
        type=number,
        default=60.0,
        metavar="X",
        help="work to spend, in estimated units of about a second (default 60)",
    )
    group.add_argument(
        "--timeout",
        type=number,
        metavar="SECONDS",
        help="stop after so much time, and print what is proved so far (exit status 4)",
    )
    group.add_argument(
        "--workers", type=integer, default=1, metavar="N", help="threads for what is independent (default 1)"
    )
    _seed(group)


def _seed(group: Any) -> None:
    group.add_argument("--seed", type=integer, default=0, help="draws primes, points, samples (default 0)")


def _answer(command: Parser) -> Any:
    group = command.add_argument_group("answer")
    form = group.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print one JSON object")
    form.add_argument("--latex", action="store_true", help="print it as LaTeX")
    return group


def _explain(group: Any) -> None:
    group.add_argument(
        "--explain", action="store_true", help="say which routes were tried, with what, and why it ended"
    )


def _certificate(group: Any) -> None:
    group.add_argument(
        "--certificate",
        metavar="FILE",
        help="write what is needed to check the answer again ('conslaw verify FILE')",
    )


def integer(text: str) -> int:
    """An integer in plain digits."""
    if not re.fullmatch(r"-?[0-9]{1,4000}", text):
        raise argparse.ArgumentTypeError(f"{text[:60]!r} is not an integer, such as 3")
    return int(text)


def number(text: str) -> float:
    """A positive number in plain digits."""
    if not re.fullmatch(r"[0-9]{1,9}(\.[0-9]*)?(e-?[0-9]{1,2})?", text):
        raise argparse.ArgumentTypeError(f"{text[:60]!r} is not a positive number, such as 2.5")
    return float(text)

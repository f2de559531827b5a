"""The command ``conslaw``: count, find and prove conservation laws from a shell."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from conslaw import report_command
from conslaw.errors import ConslawError, Interrupted
from conslaw.sweeps import command as sweep_command
from conslaw.sweeps import regions_command
from conslaw.time_limit import TimeIsUp, time_limit
from conslaw.version import __version__

if TYPE_CHECKING:
    from conslaw.answers import Analysis, Count
    from conslaw.flows.flow import Flow
    from conslaw.models.potential import Model
    from conslaw.varieties.dimensions import Dimension

REFUTED, BAD_INPUT, NOT_CHECKED, LATE, INTERRUPTED = 1, 2, 3, 4, 130
C = TypeVar("C", bound="Count")


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """One line, not the usage."""
        raise ConslawError(f"{message} (see '{self.prog} --help')")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status.

    0: all is well; 1: a certificate is not valid; 2: bad input; 3: not checked, as it takes too much work;
    4: stopped by ``--timeout``; 130: interrupted.  What was proved until then is printed.
    """
    for stream in (sys.stdout, sys.stderr):  # a terminal that cannot show a sign gets a question mark
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    try:
        options = _parser().parse_args(_no_negative(sys.argv[1:] if arguments is None else arguments))
        _show_progress(options)
        return options.run(options) or 0
    except ConslawError as error:
        print(f"conslaw: {error}", file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt as stop:
        late = isinstance(stop, TimeIsUp)
        said = "time is up, and nothing is proved yet" if late else "interrupted"
        print(f"conslaw: {said}", file=sys.stderr)
        return LATE if late else INTERRUPTED
    except MemoryError:
        print("conslaw: out of memory: make the model or the degree smaller", file=sys.stderr)
        return BAD_INPUT
    except BrokenPipeError:  # the reader (head, less) has had enough
        sys.stderr.close()
        return 0
    except OSError as error:
        print(f"conslaw: {error}", file=sys.stderr)
        return BAD_INPUT


def _no_negative(arguments: Sequence[str]) -> Sequence[str]:
    """The arguments, none of which looks like an option but is meant as sizes or as a fraction."""
    for given in arguments:
        if re.match(r"-[0-9]", given) and not re.fullmatch(r"-[0-9]+(\.[0-9]*)?", given):
            raise ConslawError(f"{given!r}: give positive numbers; sizes are joined by '-', such as 3-2-4")
    return arguments


def _integer(text: str) -> int:
    """An integer in plain digits."""
    if not re.fullmatch(r"-?[0-9]{1,4000}", text):
        raise argparse.ArgumentTypeError(f"{text[:60]!r} is not an integer, such as 3")
    return int(text)


def _number(text: str) -> float:
    """A positive number in plain digits."""
    if not re.fullmatch(r"[0-9]{1,9}(\.[0-9]*)?(e-?[0-9]{1,2})?", text):
        raise argparse.ArgumentTypeError(f"{text[:60]!r} is not a positive number, such as 2.5")
    return float(text)


def _parser() -> argparse.ArgumentParser:
    question = "What does training this network conserve?  Exact, proved conservation laws of gradient flows."
    parser = _Parser(prog="conslaw", description=question)
    parser.add_argument("--version", action="version", version=f"conslaw {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=_Parser)

    network = _Parser(add_help=False)
    network.add_argument("model", help="a family ('conslaw models' lists them) or FILE.py:NAME of your own")
    network.add_argument(
        "sizes", nargs="?", help="of the family: the widths of a network, from input to output, as 3-2-4"
    )
    network.add_argument(
        "--input",
        action="append",
        metavar="SHAPE",
        help="of a PyTorch module in FILE.py:NAME: 1,3,32,32, or 1,16:int64 for tokens; once for each input",
    )
    network.add_argument("--bias", action="store_true", help="with a bias vector on each hidden layer")
    network.add_argument("--power", metavar="R", help="of polynomial: 2, or 2,3 (one a hidden layer)")
    network.add_argument("--seed", type=_integer, default=0, help="draws primes, points, samples (default 0)")
    network.add_argument("--json", action="store_true", help="print one JSON object")
    common = _Parser(add_help=False, parents=[network])
    common.add_argument(
        "--flow", choices=["gradient", "momentum", "nesterov"], help="how it is trained (default gradient)"
    )
    common.add_argument(
        "--damping",
        metavar="Q",
        help="of a momentum flow: a rational number or C/t (default 0; nesterov is 3/t)",
    )
    common.add_argument(
        "--metric",
        help="'euclidean', 'mirror', 'z**2', or ARRAY=METRIC,... with one of these or a scaling "
        "(default: the model's own)",
    )
    common.add_argument("--weight-decay", metavar="Q", help="a rational number (default 0)")
    common.add_argument(
        "--split",
        action=argparse.BooleanOptionalAction,
        help="split the network into subnetworks (default: if it is large)",
    )
    common.add_argument(
        "--budget",
        type=_number,
        default=60.0,
        metavar="X",
        help="work to spend, in estimated units of about a second (default 60)",
    )
    common.add_argument(
        "--timeout",
        type=_number,
        metavar="SECONDS",
        help="stop after so much time, and print what is proved so far (exit status 4)",
    )
    common.add_argument(
        "--explain", action="store_true", help="say which routes were tried, with what, and why it ended"
    )
    common.add_argument(
        "--workers", type=_integer, default=1, metavar="N", help="threads for what is independent (default 1)"
    )

    analyze = commands.add_parser(
        "analyze",
        parents=[common],
        help="count the laws, find the polynomial ones, say whether the list is complete",
    )
    analyze.add_argument(
        "--degree", type=_integer, default=2, help="largest degree of the laws looked for (default 2)"
    )
    analyze.add_argument(
        "--time-degree",
        type=_integer,
        metavar="N",
        help="largest degree in time (default: what the known laws need)",
    )
    analyze.add_argument("--homogeneous", action="store_true", help="laws of exactly that degree only")
    analyze.add_argument(
        "--ansatz",
        metavar="KIND",
        help="'monomials': all polynomials; 'matrix': combinations of the arrays (default: by size)",
    )
    analyze.add_argument(
        "--certificate",
        metavar="FILE",
        help="write what is needed to check the answer again ('conslaw verify FILE')",
    )
    analyze.add_argument(
        "--at",
        nargs="?",
        const="",
        metavar="FILE",
        help="whether this is all near weights: .npz, or .pt of a state_dict (default: the module's own)",
    )
    analyze.set_defaults(run=_analyze)
    count = commands.add_parser("count", parents=[common], help="count the laws from the Lie ranks alone")
    count.set_defaults(run=_count)
    dimension = commands.add_parser(
        "dimension", parents=[network], help="the dimension of the set of functions that a model represents"
    )
    dimension.add_argument("--certificate", metavar="FILE", help="write what is needed to check it again")
    dimension.set_defaults(run=_dimension)
    report_command.add_to(commands, network, _number, _model)
    verify = commands.add_parser("verify", help="check a certificate with other code than that which made it")
    verify.add_argument(
        "file",
        help="a certificate, JSON ('conslaw analyze ... --certificate FILE'; - for standard input) or NPZ",
    )
    verify.add_argument(
        "--budget",
        type=_number,
        default=1.0,
        metavar="X",
        help="work that it may take, in 10⁹ multiplications and GB (default 1)",
    )
    verify.add_argument("--json", action="store_true", help="print one JSON object")
    verify.set_defaults(run=_verify)
    sweep_command.add_to(commands, _integer, _number)
    regions_command.add_to(commands, _integer, _number)
    models = commands.add_parser("models", help="list the families of models")
    models.set_defaults(run=_models)
    return parser


def _show_progress(options: argparse.Namespace) -> None:
    """In a terminal, a line on the standard error that says how far a long run is."""
    import logging

    if sys.stderr.isatty() and not getattr(options, "json", False):
        handler = logging.StreamHandler(sys.stderr)
        handler.terminator = "\r"
        handler.setFormatter(logging.Formatter("\033[K%(message)s"))
        logging.getLogger("conslaw").addHandler(handler)
        logging.getLogger("conslaw").setLevel(logging.INFO)


def _print(result: Count | Dimension, options: argparse.Namespace) -> None:
    import json

    if sys.stderr.isatty() and not options.json:
        print("\033[K", end="", file=sys.stderr, flush=True)
    print(json.dumps(result.to_json()) if options.json else result, flush=True)
    if getattr(options, "explain", False) and not options.json:
        explained = getattr(result, "explained", None)
        print(f"\n{explained() if explained else ''}", flush=True)


def _answer(options: argparse.Namespace, ask: Callable[[], tuple[Analysis | Dimension, int]]) -> int:
    """Ask, print the answer, then write its certificate: whether that can be written is known before."""
    from conslaw.certificates import files

    place = None if options.certificate is None else files.check_place(options.certificate)
    result, status = ask()
    try:
        _print(result, options)
    finally:
        if place and status and place.exists():
            print(f"conslaw: {str(place)!r} is as it was: the answer was cut short", file=sys.stderr)
        elif place:
            files.write(result.certificate(), place)
    return status


def _asked(question: Callable[..., C], options: argparse.Namespace, names: Sequence[str]) -> tuple[C, int]:
    """The answer to a question about a flow, and an exit status; if interrupted, what is proved so far."""
    try:
        with time_limit(options.timeout):
            chosen = {name: getattr(options, name) for name in names}
            return question(_flow(options), **chosen), 0
    except Interrupted as stop:
        late = isinstance(stop.__cause__, TimeIsUp)
        print("conslaw: time is up" if late else "conslaw: interrupted", file=sys.stderr)
        return stop.answer, LATE if late else INTERRUPTED


def _analyze(options: argparse.Namespace) -> int:
    from conslaw.analysis import analyze

    names = ("degree", "time_degree", "homogeneous", "seed", "split", "ansatz", "budget", "workers")
    if options.at is None:
        return _answer(options, lambda: _asked(analyze, options, names))
    import json

    from conslaw.attained.weights_file import weights_from

    weights: Any = weights_from(options.at) if options.at else None
    asked = cache(lambda: _asked(analyze, options, names))
    if status := _answer(options, asked):
        return status
    if weights is None and (weights := getattr(options, "module", None)) is None:
        raise ConslawError("--at: only a PyTorch module has weights of its own; give --at FILE")
    with time_limit(options.timeout):
        found = asked()[0].at(weights, seed=options.seed)
    print(json.dumps(found.to_json()) if options.json else f"\n{found}", flush=True)
    return 0


def _count(options: argparse.Namespace) -> int:
    from conslaw.analysis import count

    counted, status = _asked(count, options, ("seed", "split", "budget", "workers"))
    _print(counted, options)
    return status


def _dimension(options: argparse.Namespace) -> int:
    from conslaw.varieties import dimension

    return _answer(options, lambda: (dimension(_model(options), seed=options.seed), 0))


def _verify(options: argparse.Namespace) -> int:
    import json

    from conslaw.certificates.verification import verify

    try:
        result = verify(options.file, budget=options.budget)
    except MemoryError:
        print("conslaw: not checked: out of memory", file=sys.stderr)
        return NOT_CHECKED
    print(json.dumps(result.to_json()) if options.json else result)
    return {"ok": 0, "FAIL": REFUTED, "not checked": NOT_CHECKED}[result.verdict]


def _models(options: argparse.Namespace) -> None:
    from conslaw.models.networks import FAMILIES

    for name, family in FAMILIES.items():
        arguments = family.sizes + " [--bias]" * family.bias + " [--power]" * family.power
        print(f"{name:10} {arguments:25} {(family.build.__doc__ or '').splitlines()[0]}")
    print(
        f"{'FILE.py:NAME':36} A model of your own, made with conslaw.model (or a flow, or a function that "
        f"returns either)."
    )


def _made(options: argparse.Namespace) -> Model | Flow:
    named = ":" in options.model or options.model.endswith(".py")
    if options.input and not named:
        raise ConslawError(f"model {options.model!r}: --input is for a PyTorch module in FILE.py:NAME")
    return _from_file(options) if named else _from_family(options)


def _model(options: argparse.Namespace) -> Model:
    from conslaw.models.potential import Model

    made = _made(options)
    if not isinstance(made, Model):
        raise ConslawError(f"model {options.model!r} is a flow: give the model that it is of")
    return made


def _flow(options: argparse.Namespace) -> Flow:
    from conslaw.flows.flow import Flow, gradient_flow, momentum_flow

    made = _made(options)
    chosen = {"metric": _metric(options.metric), "weight_decay": options.weight_decay}
    given = {name: value for name, value in chosen.items() if value is not None}
    if isinstance(made, Flow):
        if given or options.flow or options.damping:
            raise ConslawError(
                f"model {options.model!r} is a flow: say in the file what --flow, --damping, --metric, "
                f"--weight-decay say"
            )
        return made
    if options.flow in (None, "gradient"):
        if options.damping is not None:
            raise ConslawError(f"--damping {options.damping}: a gradient flow has none; add --flow momentum")
        return gradient_flow(made, **given)
    if options.flow == "nesterov" and options.damping is not None:
        raise ConslawError(
            f"--damping {options.damping}: Nesterov's is 3/t; for another, use --flow momentum"
        )
    damping = "nesterov" if options.flow == "nesterov" else options.damping or 0
    return momentum_flow(made, damping=damping, **given)


def _metric(text: str | None) -> str | dict[str, str] | None:
    """A word for all arrays, or ARRAY=METRIC for some."""
    if text is None or "=" not in text:
        return text
    pairs = [part.partition("=") for part in text.split(",")]
    if not all(equals and name and value for name, equals, value in pairs):
        raise ConslawError(f"--metric {text!r}: give ARRAY=METRIC,..., such as U=mirror,V=1/10")
    metrics = {name.strip(): value.strip() for name, _, value in pairs}
    if len(metrics) < len(pairs):
        raise ConslawError(f"--metric {text!r}: names an array twice")
    return metrics


def _from_family(options: argparse.Namespace) -> Model:
    from conslaw.models.networks import FAMILIES

    if options.model not in FAMILIES:
        known = ", ".join(FAMILIES)
        raise ConslawError(
            f"model {options.model!r}: the families are {known}; or give FILE.py:NAME for a model of your own"
        )
    family = FAMILIES[options.model]
    if options.sizes is None:
        raise ConslawError(
            f"model {options.model!r} needs sizes {family.sizes}, such as: {options.model} {family.example}"
        )
    if not re.fullmatch(r"[0-9]{1,18}(-[0-9]{1,18})*", options.sizes):
        raise ConslawError(
            f"sizes {options.sizes[:60]!r}: give positive integers joined by '-', such as {family.example}"
        )
    sizes = [int(n) for n in options.sizes.split("-")]
    return family(sizes, options.bias, _power(options.power))


def _power(text: str | None) -> int | list[int] | None:
    """One integer, or a list with commas."""
    if text is None:
        return None
    if not re.fullmatch(r"[0-9]{1,9}(,[0-9]{1,9})*", text):
        raise ConslawError(f"--power {text[:60]!r}: give an integer of at least 2, or several as 2,3")
    powers = [int(n) for n in text.split(",")]
    return powers if "," in text else powers[0]


def _is_module(made: object) -> bool:
    """Whether something is a PyTorch module; if it is, PyTorch is imported."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(made, torch.nn.Module)


def _from_module(module: object, shapes: Sequence[str] | None) -> Model:
    from conslaw.models.from_torch import from_torch
    from conslaw.models.from_torch.inputs import inputs_of

    return from_torch(module, *inputs_of(module, shapes or ()))


def _from_file(options: argparse.Namespace) -> Model | Flow:
    from conslaw.flows.flow import Flow
    from conslaw.models.own_file import load, raised_by, split_name
    from conslaw.models.potential import Model

    file, name = split_name(options.model)
    if options.sizes is not None or options.bias or options.power:
        raise ConslawError(
            f"model {options.model!r}: sizes, --bias and --power are for the families; put them into the file"
        )
    module, _ = load(options.model)
    with raised_by(options.model):
        made = getattr(module, name, None)
        if callable(made) and not _is_module(made):
            made = made()
        if _is_module(made):
            options.module = made
            made = _from_module(made, options.input)
        elif options.input:
            raise ConslawError(f"--input {options.input[0]!r} is for a PyTorch module, which {name} is not")
    if not isinstance(made, Model | Flow):
        others = [n for n, value in vars(module).items() if isinstance(value, Model | Flow)]
        raise ConslawError(
            f"model {options.model!r}: {file} has no model named {name!r}; it has "
            f"{', '.join(others) or 'none'}"
        )
    return made

"""The command ``conslaw``: count, find and prove conservation laws from a shell."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

from conslaw import display
from conslaw.command_options import Handler, parser
from conslaw.errors import ConslawError, Interrupted
from conslaw.long_work import CLEARED, is_terminal, progress
from conslaw.time_limit import TimeIsUp, time_limit

if TYPE_CHECKING:
    from conslaw.answers import Analysis, Count
    from conslaw.flows.flow import Flow
    from conslaw.models.potential import Model
    from conslaw.varieties.dimensions import Dimension

REFUTED, BAD_INPUT, NOT_CHECKED, LATE, INTERRUPTED = 1, 2, 3, 4, 130
C = TypeVar("C", bound="Count")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status.

    0: all is well; 1: a certificate is not valid; 2: bad input; 3: not checked, as it takes too much work;
    4: stopped by ``--timeout``; 130: interrupted.  What was proved until then is printed.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors=display.IN_ASCII)  # signs that it cannot show
    try:
        given = _no_negative(sys.argv[1:] if arguments is None else arguments)
        options = parser(COMMANDS).parse_args(given)
        return options.run(options) or 0
    except ConslawError as error:
        _say(str(error))
        return BAD_INPUT
    except KeyboardInterrupt as stop:
        late = isinstance(stop, TimeIsUp)
        said = "time is up, and nothing is proved yet" if late else "interrupted"
        _say(said)
        return LATE if late else INTERRUPTED
    except MemoryError:
        _say("out of memory: make the model or the degree smaller")
        return BAD_INPUT
    except BrokenPipeError:  # the reader (head, less) has had enough
        sys.stderr.close()
        return 0
    except OSError as error:
        _say(str(error))
        return BAD_INPUT


def _no_negative(arguments: Sequence[str]) -> Sequence[str]:
    """The arguments, none of which looks like an option but is meant as sizes or as a fraction."""
    for given in arguments:
        if re.match(r"-[0-9]", given) and not re.fullmatch(r"-[0-9]+(\.[0-9]*)?", given):
            raise ConslawError(f"{given!r}: give positive numbers; sizes are joined by '-', such as 3-2-4")
    return arguments


def _say(message: str) -> None:
    """On the standard error; on a terminal in place of what stands in the line, such as ``^C``."""
    print(f"{CLEARED if is_terminal() else ''}conslaw: {message}", file=sys.stderr, flush=True)


def _print(result: Any, options: argparse.Namespace) -> None:
    """The answer, then the values of its laws: if weights do not fit, it comes before the complaint."""
    import json

    import numpy as np

    from conslaw.weights_file import evaluated

    explain, weights = getattr(options, "explain", False), getattr(options, "weights", None)
    if not options.json:
        summary = result.with_laws() if getattr(options, "laws", False) else result._summary()
        print(
            display.latex(summary) if options.latex else display.text(summary, display.columns()), flush=True
        )
    values, plain = dict[str, Any](), result.to_json() if options.json else {}
    try:
        values = evaluated(result, weights) if weights is not None else {}
    finally:
        if options.json:  # which has no NaN: null where a law is not defined
            made = {law: np.where(np.isfinite(x), x, np.array(None)).tolist() for law, x in values.items()}
            print(json.dumps(plain | ({"values": made} if made else {})), flush=True)
    beside = [f"\n{law} =\n{value}" for law, value in values.items()]
    beside += [f"\n{result.explained()}"] if explain else []
    for text in beside if not options.json else []:
        print(text.replace("\n", "\n% ") if options.latex else text, flush=True)


def _answer(options: argparse.Namespace, ask: Callable[[], tuple[Analysis | Dimension, int]]) -> int:
    """Ask, print the answer, then write its certificate: whether that can be written is known before."""
    from conslaw.certificates import files

    place = None if options.certificate is None else files.check_place(options.certificate)
    result, status = ask()
    try:
        _print(result, options)
    finally:
        if place and status and place.exists():
            _say(f"{str(place)!r} is as it was: the answer was cut short")
        elif place:
            files.write(result.certificate(), place)
    return status


def _asked(question: Callable[..., C], options: argparse.Namespace, names: Sequence[str]) -> tuple[C, int]:
    """The answer to a question about a flow, and an exit status; if interrupted, what is proved so far."""
    try:
        with progress(None), time_limit(options.timeout):
            chosen = {name: getattr(options, name) for name in names}
            return question(_flow(options), **chosen), 0
    except Interrupted as stop:
        late = isinstance(stop.__cause__, TimeIsUp)
        _say("time is up" if late else "interrupted")
        return stop.answer, LATE if late else INTERRUPTED


def _analyze(options: argparse.Namespace) -> int:
    from conslaw import weights_file
    from conslaw.analysis import analyze

    names = ("degree", "time_degree", "homogeneous", "seed", "split", "ansatz", "budget", "workers")
    options.weights = options.evaluate and weights_file.read(options.evaluate, "--evaluate")
    if options.at is None:
        return _answer(options, lambda: _asked(analyze, options, names))
    import json

    weights: Any = weights_file.read(options.at, "--at") if options.at else None
    asked = cache(lambda: _asked(analyze, options, names))
    if status := _answer(options, asked):
        return status
    if weights is None and (weights := getattr(options, "module", None)) is None:
        raise ConslawError("--at: only a PyTorch module has weights of its own; give --at FILE")
    with progress(None), time_limit(options.timeout):
        found = asked()[0].at(weights, seed=options.seed)
    print(json.dumps(found.to_json()) if options.json else f"\n{found}", flush=True)
    return 0


def _count(options: argparse.Namespace) -> int:
    from conslaw import weights_file
    from conslaw.analysis import count

    options.point = options.point and weights_file.read(options.point, "--point")
    counted, status = _asked(count, options, ("seed", "split", "budget", "workers", "point"))
    _print(counted, options)
    return status


def _dimension(options: argparse.Namespace) -> int:
    from conslaw.varieties import dimension

    def ask() -> tuple[Dimension, int]:
        with progress(None):
            return dimension(_model(options), seed=options.seed), 0

    return _answer(options, ask)


def _verify(options: argparse.Namespace) -> int:
    import json

    from conslaw.certificates.verification import verify

    try:
        with progress(None):
            result = verify(options.file, budget=options.budget)
    except MemoryError:
        _say("not checked: out of memory")
        return NOT_CHECKED
    print(json.dumps(result.to_json()) if options.json else result)
    return {"ok": 0, "FAIL": REFUTED, "not checked": NOT_CHECKED}[result.verdict]


def _report(options: argparse.Namespace) -> int:
    """Print the report, of what is done if it is interrupted, then write the page."""
    import json

    from conslaw.reporting import report

    try:
        with progress(None):
            found, status = report(_model(options), seconds=options.seconds, seed=options.seed), 0
    except Interrupted as stop:
        found, status = stop.answer, INTERRUPTED
    print(json.dumps(found.to_json()) if options.json else found, flush=True)
    if options.html is not None:
        found.to_html(options.html)
    return status


def _models(options: argparse.Namespace) -> None:
    from conslaw.models.networks import FAMILIES

    for name, family in FAMILIES.items():
        arguments = family.sizes + " [--bias]" * family.bias + " [--power]" * family.power
        print(f"{name:10} {arguments:25} {(family.build.__doc__ or '').splitlines()[0]}")
    print(
        f"{'FILE.py:NAME':36} A model of your own, made with conslaw.model (or a flow, or a function that "
        f"returns either)."
    )


COMMANDS: dict[str, Handler] = {
    "analyze": _analyze,
    "count": _count,
    "dimension": _dimension,
    "report": _report,
    "verify": _verify,
    "models": _models,
}


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

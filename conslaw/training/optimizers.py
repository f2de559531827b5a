"""What a PyTorch optimizer does, read for the exact formulas; and whether module, optimizer and laws fit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from conslaw.answers import Analysis
from conslaw.errors import ConslawError
from conslaw.models.weights import Part, names_shown, parts_of, plain, whole_of
from conslaw.training.predictions import Step

SAME = 1e-6  # relative difference of learning rates that are called equal
WAYS = ("momentum", "dampening", "nesterov", "weight_decay", "maximize")  # of SGD, by group, beside lr


class NoPredictionError(Exception):
    """What this optimizer does has no formula: the message says why."""


@dataclass(frozen=True)
class Array:
    """Where an array of the analysis is in a module: a parameter, a part of one, or that in another shape."""

    name: str
    parameter: Any
    part: Part | None
    shape: tuple[int, ...]

    def of(self, tensor: Any) -> Any:
        """The same part of a tensor that is like the parameter: a view of it."""
        part = self.part.of(tensor) if self.part else tensor
        return part if tuple(part.shape) == self.shape else part.reshape(self.shape)


def arrays_of(module: Any, analysis: Analysis, names: Mapping[str, str] | None) -> dict[str, Array]:
    """Where each array of the analysis is in the module.

    Raises
    ------
    ConslawError
        If one is missing, has another shape, is not trained or not of floats; or, without ``names``, if the
        module has more.
    """
    flow = analysis.analyzed
    assert flow is not None
    assert flow.model is not None
    if not isinstance(names, Mapping | None):
        raise ConslawError(f'names={names!r}: give a mapping, such as {{"W1": "0.weight"}}')
    parts = parts_of(flow.model.arguments.get("pieces", {}))
    wholes = {whole_of(parts, name) for name in flow.model.parameters}
    if strangers := [name for name in names or {} if name not in wholes]:
        raise ConslawError(
            f"names: the analysis has no array {strangers[0]!r}; it has {', '.join(sorted(wholes))}"
        )
    called = {**{name: name for name in wholes}, **names_shown(flow.model), **(names or {})}
    own = _named(module, {called[name] for name in wholes}, complete=names is None)
    found = {}
    for name, shape in flow.model.parameters.items():
        whole = whole_of(parts, name)
        found[name] = Array(whole, own[called[whole]], parts.get(name), tuple(shape))
        _check(found[name], called[whole], split="pieces" in flow.model.arguments)
    if len({id(own[called[name]]) for name in wholes}) < len(wholes):
        raise ConslawError(
            "two arrays of the analysis are one parameter of the module: tie them in the model"
        )
    return found


def _named(module: Any, wanted: set[str], *, complete: bool) -> dict[str, Any]:
    """The parameters of a module by name, if these are among them, or if they are all that are trained."""
    own = {plain(name): p for name, p in module.named_parameters()}
    missing = sorted(wanted - set(own))
    more = [name for name, p in own.items() if p.requires_grad and name not in wanted]
    if missing or (more and complete):
        what = f"no {missing[0]!r}" if missing else f"{more[0]!r}, which the analysis has not"
        listed = ", ".join(f"{name} {tuple(p.shape)}" for name, p in own.items()) or "none"
        raise ConslawError(f'the module has {what}; give names={{"W1": "0.weight", ...}}. It has {listed}')
    return own


def _check(array: Array, called: str, *, split: bool) -> None:
    """Refuse a parameter that does not fit."""
    p = array.parameter
    try:
        fits = tuple(p.shape) == array.shape or (split and array.of(p.detach()).shape == array.shape)
    except (RuntimeError, AttributeError):  # the latter: it has no such part
        fits = False
    if not fits:
        raise ConslawError(f"{called} has shape {tuple(p.shape)}, {array.name} of the analysis {array.shape}")
    if str(p.dtype) not in ("torch.float32", "torch.float64"):
        raise ConslawError(f"{called} is of {p.dtype}: laws are watched in float32 and float64 weights")
    if not p.requires_grad:
        raise ConslawError(f"{called} is not trained (requires_grad=False): analyze it as data")


def groups_of(optimizer: Any, arrays: Mapping[str, Array]) -> dict[str, int]:
    """The number of the parameter group that each array is in."""
    groups = {id(p): i for i, group in enumerate(optimizer.param_groups) for p in group["params"]}
    missing = [x.name for x in arrays.values() if id(x.parameter) not in groups]
    if missing:
        raise ConslawError(f"the optimizer does not hold {missing[0]}: it was made for other parameters")
    return {name: groups[id(x.parameter)] for name, x in arrays.items()}


def rates_of(analysis: Analysis) -> dict[str, float]:
    """The learning rates of the arrays relative to one another, of which these are laws; 1 is left out."""
    flow = analysis.analyzed
    assert flow is not None
    if flow.metric_words is None or any(word.startswith("z") for word in flow.metric_words.values()):
        raise NoPredictionError(
            f"these are laws in the metric {flow.metric}, the optimizer makes gradient steps: no prediction."
        )
    if flow.name != "gradient" or flow.weight_decay != "0":
        raise NoPredictionError(
            "there are predictions for laws of gradient flows without weight decay: analyze that flow."
        )
    words = {name: word for name, word in flow.metric_words.items() if word != "euclidean"}
    return {name: float(Fraction(word)) for name, word in words.items() if Fraction(word) != 1}


def step_of(optimizer: Any, groups: Mapping[str, int], rates: Mapping[str, float], first: bool) -> Step:
    """How ``torch.optim.SGD`` makes its next step; ``first``: its momentum buffers are not there yet.

    Raises
    ------
    NoPredictionError
        If the groups of these arrays are trained in ways of which these are no laws.
    """
    if getattr(optimizer, "grad_scale", None) is not None:
        raise NoPredictionError("a fused optimizer under a GradScaler hides its gradients: no prediction.")
    used = {i: optimizer.param_groups[i] for i in set(groups.values())}
    ways = {(g["momentum"], g["dampening"], g["nesterov"]) for g in used.values()}
    if len(ways) > 1:
        raise NoPredictionError("the parameter groups have different momenta, of which these are no laws.")
    etas = {name: float(used[i]["lr"]) / rates.get(name, 1) for name, i in groups.items()}
    eta = next(iter(etas.values()))
    for name, other in etas.items():
        if abs(other - eta) > SAME * abs(eta):
            given = {n: float(used[i]["lr"]) for n, i in groups.items()}
            raise NoPredictionError(
                f"{name} has another learning rate than these are laws of: analyze gradient_flow(model, "
                f"metric=...) with the rates {given}, or a multiple."
            )
    [(momentum, dampening, nesterov)] = ways
    decays = {name: used[i]["weight_decay"] for name, i in groups.items()}
    return Step(
        eta,
        float(momentum),
        0.0 if first else float(dampening),
        bool(nesterov),
        decays if any(decays.values()) else None,
        rates or None,
    )

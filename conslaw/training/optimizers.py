"""What a PyTorch optimizer does, read for the exact formulas; and whether module, optimizer and laws fit."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from conslaw.answers import Analysis
from conslaw.errors import ConslawError
from conslaw.training.predictions import Step

SAME = 1e-6  # relative difference of learning rates that are called equal
WAYS = ("lr", "momentum", "dampening", "nesterov", "weight_decay", "maximize")  # of SGD, by group
WRAPPED = ("_orig_mod.", "module.")  # in front of the names in compiled and parallel modules


class NoPredictionError(Exception):
    """What this optimizer does has no formula: the message says why."""


def parameters_of(module: Any, analysis: Analysis, names: Mapping[str, str] | None) -> dict[str, Any]:
    """The parameter of the module that each array of the analysis is.

    Raises
    ------
    ConslawError
        If one is missing, has another shape, is not trained or not of floats; or, without ``names``, if the
        module has more.
    """
    flow = analysis.analyzed
    assert flow is not None
    assert flow.model is not None
    arrays = flow.model.parameters
    own = {_plain(name): p for name, p in module.named_parameters()}
    if not isinstance(names, Mapping | None):
        raise ConslawError(f'names={names!r}: give a mapping, such as {{"W1": "0.weight"}}')
    listed = ", ".join(f"{name} {tuple(p.shape)}" for name, p in own.items()) or "none"
    if strangers := [name for name in names or {} if name not in arrays]:
        raise ConslawError(f"names: the analysis has no array {strangers[0]!r}; it has {', '.join(arrays)}")
    called = {name: (names or {}).get(name, name) for name in arrays}
    more = [name for name, p in own.items() if p.requires_grad and name not in called.values()]
    missing = [name for name, its in called.items() if its not in own]
    if missing or (more and names is None):
        what = f"no {called[missing[0]]!r}" if missing else f"{more[0]!r}, which the analysis has not"
        raise ConslawError(f'the module has {what}; give names={{"W1": "0.weight", ...}}. It has {listed}')
    for name, shape in arrays.items():
        p = own[called[name]]
        if tuple(p.shape) != tuple(shape):
            raise ConslawError(
                f"{called[name]} has shape {tuple(p.shape)}, {name} of the analysis {tuple(shape)}"
            )
        if str(p.dtype) not in ("torch.float32", "torch.float64"):
            raise ConslawError(
                f"{called[name]} is of {p.dtype}: laws are watched in float32 and float64 weights"
            )
        if not p.requires_grad:
            raise ConslawError(f"{called[name]} is not trained (requires_grad=False): analyze it as data")
    if len({id(own[its]) for its in called.values()}) < len(called):
        raise ConslawError(
            "two arrays of the analysis are one parameter of the module: tie them in the model"
        )
    return {name: own[its] for name, its in called.items()}


def _plain(name: str) -> str:
    """A name without what wrappers put in front."""
    while name.startswith(WRAPPED):
        name = name.removeprefix("_orig_mod.").removeprefix("module.")
    return name


def groups_of(optimizer: Any, parameters: Mapping[str, Any]) -> dict[str, int]:
    """The number of the parameter group that each array is in."""
    groups = {id(p): i for i, group in enumerate(optimizer.param_groups) for p in group["params"]}
    missing = [name for name, p in parameters.items() if id(p) not in groups]
    if missing:
        raise ConslawError(f"the optimizer does not hold {missing[0]}: it was made for other parameters")
    return {name: groups[id(p)] for name, p in parameters.items()}


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

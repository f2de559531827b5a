"""A module as a model: what comes out is paired with free data, or goes into a loss."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch

from conslaw.algebra.expressions import Expression
from conslaw.errors import ConslawError
from conslaw.models.cut import paired
from conslaw.models.from_torch import (
    arithmetic,
    convolutions,
    functions,
    layers,
    rearrangements,
    recurrent,
)
from conslaw.models.from_torch.export import MODES, exported
from conslaw.models.from_torch.names import parameters_of
from conslaw.models.from_torch.reader import Masked, Reader, Unread
from conslaw.models.nn.attention import cross_entropy
from conslaw.models.potential import Model, model
from conslaw.models.readings import recorder

ROOMS = (rearrangements, arithmetic, layers, convolutions, functions, recurrent)
RULES = {name: rule for room in ROOMS for name, rule in room.RULES.items()}
LOSSES = ("cross_entropy",)


def model_of(
    module: Any, inputs: Sequence[Any], kwargs: Mapping[str, Any], loss: str | None, mode: str | None
) -> Model:
    """See :func:`conslaw.from_torch`."""
    module = _checked(module, inputs, kwargs)
    if loss is not None and (not isinstance(loss, str) or loss not in LOSSES):
        raise ConslawError(f"loss={loss!r}: give 'cross_entropy', or None for any loss")
    if mode is not None and mode not in MODES:
        raise ConslawError(f"mode={mode!r}: give 'train' or 'eval', or None for what module.training says")
    parameters = parameters_of(module)
    graph = exported(module, inputs, kwargs, mode)
    known = dict[str, Any]()  # what the data are, where they are evaluated (Analysis.at)

    def potential(p: Any, c: Any) -> Expression:
        arrays = {path: p[name] for path, name in parameters.arrays.items()}
        reader = Reader(graph, recorder("from_torch"), RULES, functions.SMOOTH)
        returned = reader.run(arrays)
        if any(isinstance(x, Unread) for x in returned):
            raise ConslawError(
                f"{type(module).__name__} returns the mean or deviation of a norm: leave it out"
            )
        outputs = [x for x in returned if isinstance(x, Expression | Masked)]
        if not outputs:
            raise ConslawError(f"{type(module).__name__} returns no tensor in which a trained parameter is")
        known["inputs"], known["numbers"] = reader.inputs(), reader.numbers()
        before = set(reader.record.arrays)
        value = _potential(reader, [reader.array(x) for x in outputs], loss)
        known["outputs"] = [name for name in reader.record.arrays if name not in before]
        return value

    flags = {part.training for part in module.modules()} if mode is None else {mode == "train"}
    says = "in part in training" if len(flags) > 1 else "in training" if True in flags else "in evaluation"
    made = model(potential, parameters=parameters.shapes, name=f"{type(module).__name__} {says}")
    return replace(made, arguments={"loss": loss, "names": dict(parameters.names), **known})


def _potential(reader: Reader, outputs: Sequence[Expression], loss: str | None) -> Expression:
    if loss is None:
        parts = [paired(reader.record.free("v", x.shape), x) for x in outputs]
        total = parts[0]
        for part in parts[1:]:
            total = total + part
        return total
    if len(outputs) > 1:
        raise ConslawError(
            f"loss={loss!r}: the module returns {len(outputs)} arrays; give one that returns the logits"
        )
    return cross_entropy(outputs[0], axis=1 if outputs[0].ndim in (2, 4, 5) else -1)


def _checked(module: Any, inputs: Sequence[Any], kwargs: Mapping[str, Any]) -> torch.nn.Module:
    module = getattr(module, "_orig_mod", module)  # what torch.compile was given
    if not isinstance(kwargs, Mapping):
        raise ConslawError(f"kwargs={kwargs!r}: give a mapping from names to inputs")
    if not isinstance(module, torch.nn.Module):
        raise ConslawError(f"from_torch({module!r}): give a torch.nn.Module, and its inputs")
    name = type(module).__name__
    if isinstance(module, torch.jit.ScriptModule):
        raise ConslawError(f"{name} is compiled by torch.jit: give the module that it was made from")
    if isinstance(module, torch.nn.DataParallel | torch.nn.parallel.DistributedDataParallel):
        raise ConslawError(f"{name} wraps a module: give that one, net.module")
    for path, part in module.named_modules():
        if part._backward_hooks or part._backward_pre_hooks:
            raise ConslawError(
                f"{path or name} has a backward hook, which may change its gradient: remove it"
            )
    for path, x in module.named_parameters():
        if x._backward_hooks or getattr(x, "_post_accumulate_grad_hooks", None):
            raise ConslawError(
                f"parameter {path!r} has a gradient hook, which may change its gradient: remove it"
            )
    if not inputs and not kwargs:
        raise ConslawError(f"from_torch({name}): give an input too, such as torch.zeros(1, 3, 32, 32)")
    return module

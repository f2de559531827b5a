"""The parameters of a module as arrays: names that are identifiers, tied ones once, frozen ones as data."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from keyword import iskeyword

import torch

from conslaw.algebra.expressions import Shape
from conslaw.errors import ConslawError


@dataclass(frozen=True)
class Parameters:
    """The arrays that are trained.

    Attributes
    ----------
    arrays : for each path in the module, tied ones included, the name of its array; frozen ones are left out
    shapes : for each array its shape
    names : for each array its path in the module, the first one of those that are tied
    """

    arrays: Mapping[str, str]
    shapes: Mapping[str, Shape]
    names: Mapping[str, str]


def parameters_of(module: torch.nn.Module) -> Parameters:
    """The trained arrays of a module.

    Raises
    ------
    ConslawError
        If nothing is trained, or a parameter has no shape or no real entries.
    """
    arrays, shapes, names = dict[str, str](), dict[str, Shape](), dict[str, str]()
    seen, places = dict[int, str](), dict[int, tuple[str, int]]()
    for path, x in module.named_parameters(remove_duplicate=False):
        _check(path, x)
        if x.device.type != "meta":
            other, own = places.setdefault(x.data_ptr(), (path, id(x)))
            if own != id(x):
                raise ConslawError(
                    f"parameters {other!r} and {path!r} share memory but are two: tie them, b.w = a.w"
                )
        if not x.requires_grad:
            continue
        if id(x) not in seen:
            seen[id(x)] = _identifier(path, shapes)
            shapes[seen[id(x)]] = tuple(x.shape)
            names[seen[id(x)]] = path
        arrays[path] = seen[id(x)]
    if not arrays:
        raise ConslawError(
            f"{type(module).__name__} has no parameter with requires_grad=True: nothing is trained"
        )
    return Parameters(arrays, shapes, names)


def _check(path: str, x: torch.nn.Parameter) -> None:
    if isinstance(x, torch.nn.parameter.UninitializedParameter):
        raise ConslawError(
            f"parameter {path!r} is lazy, its shape is not known: call the module once on an input"
        )
    if x.layout != torch.strided:
        raise ConslawError(f"parameter {path!r} is sparse ({x.layout}): give a dense one, x.to_dense()")
    if x.requires_grad and not x.is_floating_point():
        raise ConslawError(f"parameter {path!r} has entries of {x.dtype}: give real ones")
    if 0 in x.shape:
        raise ConslawError(f"parameter {path!r} of shape {tuple(x.shape)} has no entries: leave it out")


def _identifier(path: str, taken: Mapping[str, object]) -> str:
    name = re.sub(r"\W", "_", path).strip("_")
    if not name.isidentifier() or iskeyword(name):
        name = f"m{name}"
    while name in taken:
        name += "_"
    return name

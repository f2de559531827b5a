"""Weights that a user gives, by the names of a model or of the module that it was made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from conslaw.algebra.expressions import Shape
from conslaw.errors import ConslawError
from conslaw.models.potential import Model

Array: TypeAlias = npt.NDArray[Any]

WRAPPED = ("_orig_mod.", "module.")  # in front of the names in compiled and parallel modules


@dataclass(frozen=True)
class Part:
    """A part of an array: of which, in which shape that is read, where it begins and ends on each axis."""

    whole: str
    shape: Shape
    ends: tuple[tuple[int, int], ...]

    def of(self, array: Any) -> Any:
        """The part of an array or a tensor, or None if that cannot be read in this shape."""
        if len(self.ends) != len(self.shape) or prod(array.shape) != prod(self.shape):
            return None
        return array.reshape(self.shape)[tuple(slice(a, b) for a, b in self.ends)]

    def to_json(self) -> list[Any]:
        """A JSON-ready list."""
        return [self.whole, list(self.shape), [list(pair) for pair in self.ends]]


def whole_of(parts: Mapping[str, Part], name: str) -> str:
    """The array that an array is a part of: itself, if it is none."""
    return parts[name].whole if name in parts else name


def parts_of(pieces: Mapping[str, Any]) -> dict[str, Part]:
    """Parts by name, from ``arguments["pieces"]`` of a model, or from JSON."""
    return {
        name: Part(whole, tuple(shape), tuple((a, b) for a, b in ends))
        for name, (whole, shape, ends) in pieces.items()
    }


def arrays_in(weights: Any, what: str = "weights") -> Mapping[str, Any]:
    """The arrays of a mapping, a ``state_dict`` or a module, by name."""
    found = weights.state_dict() if callable(getattr(weights, "state_dict", None)) else weights
    if not isinstance(found, Mapping):
        raise ConslawError(
            f"{what}={str(weights)[:60]!r}: give a mapping of arrays, a state_dict or a module"
        )
    return {plain(name): value for name, value in found.items()}


def plain(name: Any) -> Any:
    """A name without what wrappers put in front."""
    while isinstance(name, str) and name.startswith(WRAPPED):
        name = name.removeprefix("_orig_mod.").removeprefix("module.")
    return name


def chosen(
    found: Mapping[str, Any], name: str, shown: Mapping[str, str], what: str = "weights"
) -> tuple[str, Any]:
    """The array of this name, or of the name that the module has for it; and what it is called there."""
    key = name if name in found else shown.get(name, name)
    if key not in found:
        raise ConslawError(
            f"{what} have no {key!r}, but {', '.join(map(str, found))[:200]}; where names differ give "
            f"names={{{name!r}: ...}}"
        )
    return key, found[key]


def check_names(names: Mapping[str, str] | None, known: Mapping[str, Any]) -> Mapping[str, str]:
    """The user's names of arrays."""
    if not isinstance(names, Mapping | None) or any(n not in known for n in names or {}):
        raise ConslawError(
            f"names={names!r}: give a mapping from the model's names, {', '.join(known)[:200]}, to those of "
            f"the weights"
        )
    return names or {}


def weights_of(model: Model, weights: Any, names: Mapping[str, str] | None) -> dict[str, Array]:
    """The parameters of a model as float64 arrays.

    Raises
    ------
    ConslawError
        If an array is missing, has another shape, or entries that are no finite real numbers.
    """
    found = arrays_in(weights)
    shown = {**names_shown(model), **check_names(names, model.parameters)}
    made = dict[str, Array]()
    for name, shape in model.parameters.items():
        key, value = chosen(found, name, shown)
        made[name] = as_array(value, f"weights: {key}", shape)
    return made


def names_shown(model: Model) -> Mapping[str, str]:
    """For each parameter its name in the module that the model was made from."""
    names = model.arguments.get("names", {})
    return names if isinstance(names, Mapping) else {}


def as_numpy(value: Any) -> Any:
    """A tensor as an array of NumPy, of the same numbers; anything else as it is."""
    if not callable(getattr(value, "detach", None)):
        return value
    tensor = value.detach().cpu()
    return tensor.double().numpy() if tensor.is_floating_point() else tensor.numpy()


def as_array(value: Any, what: str, shape: Shape | None = None) -> Array:
    """Finite real numbers as float64; of a shape, if one is given."""
    try:
        array = np.asarray(as_numpy(value))
        real = array.dtype.kind != "c" and array.astype(np.float64)
    except (TypeError, ValueError, OverflowError, RuntimeError):  # the last: a tensor without entries
        real = False
    if real is False:
        raise ConslawError(f"{what}: give an array of real numbers")
    if not np.isfinite(real).all():
        raise ConslawError(f"{what} has entries that are NaN or infinite: give finite numbers")
    if shape is not None and real.shape != shape:
        raise ConslawError(f"{what} has shape {real.shape}, where the model has {shape}")
    return np.asarray(real)

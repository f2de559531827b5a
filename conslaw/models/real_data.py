"""The free data that a real network has at its weights and inputs: gates, by what they multiply."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from conslaw.algebra.evaluation import NumPyNumbers, evaluate
from conslaw.algebra.expressions import Expression, Shape
from conslaw.errors import ConslawError
from conslaw.models.nn.activations import GATES, SMOOTH
from conslaw.models.potential import Model
from conslaw.models.readings import REAL, Values, filled

Arrays: TypeAlias = Mapping[str, npt.NDArray[Any]]

FOLLOWED = {*GATES, *SMOOTH, "softmax", "layer_norm", "rms_norm"}  # what is read and can be filled in
GATED = ("relu", "icnn")  # families whose data g, g1, ... are gates, and gamma, gamma1, ... scale biases


@dataclass(frozen=True)
class _Gate:
    """A gate that waits for the array that it multiplies."""

    name: str
    whole: Shape  # of the data array
    shape: Shape
    value: Any = None  # if it is known


class _Filling:
    """Another number system, in which a gate becomes 1 where the array that it multiplies is positive, else 0
    (at a kink too, as automatic differentiation has it).
    """

    def __init__(self, numbers: NumPyNumbers[Any]) -> None:
        self.numbers = numbers
        self.gates: dict[str, Any] = {}
        self.before: dict[str, Any] = {}  # what they multiply

    def __getattr__(self, name: str) -> Any:
        return getattr(self.numbers, name)

    def product(self, x: Any, y: Any, a: str, b: str, out: str) -> Any:
        if isinstance(x, _Gate):
            x = self._fill(x, y, a, b)
        elif isinstance(y, _Gate):
            y = self._fill(y, x, b, a)
        return self.numbers.product(x, y, a, b, out)

    def reshape(self, x: Any, shape: Shape) -> Any:
        return replace(x, shape=shape) if isinstance(x, _Gate) else self.numbers.reshape(x, shape)

    def _fill(self, gate: _Gate, z: Any, own: str, others: str) -> Any:
        z = np.einsum(f"{others}->{own}", z)
        if gate.value is None:
            value = np.where(z > 0, self.numbers.convert(1), self.numbers.convert(0))
        else:
            value = gate.value.reshape(z.shape)
        self.gates[gate.name], self.before[gate.name] = value.reshape(gate.whole), z.reshape(gate.whole)
        return value


@dataclass(frozen=True)
class RealData:
    """All data of a network at its weights and inputs.

    Attributes
    ----------
    outputs : the outputs of the network, of the shape of the array ``output``
    data : all data arrays but that one
    before : what each gate multiplies: its sign decides
    """

    outputs: npt.NDArray[Any]
    data: Arrays
    before: Arrays

    @property
    def gates(self) -> dict[str, npt.NDArray[Any]]:
        """The gates alone."""
        return {name: self.data[name] for name in self.before}


def real_data(
    model: Model,
    output: Expression,
    weights: Arrays,
    inputs: Arrays,
    numbers: NumPyNumbers[Any],
    gates: Arrays | None = None,
    frozen: Mapping[str, tuple[Values, Values | None]] | None = None,
) -> RealData:
    """Fill in gates from real inputs.

    Parameters
    ----------
    model : Model
        One network, or one summed over samples (:func:`conslaw.models.given_data.over_samples`).
    output : the outputs as an expression: the gradient of the potential in the output vector
    weights, inputs : numbers for the parameters, and for the data that are given
    numbers : the number system
    gates : if given these, whatever the signs are
    frozen : other functions than the real ones, by data that stand for their values
    """
    filling, arrays = _Filling(numbers), dict[str, Any]({**weights, **inputs})
    arrays |= _read(model, arrays, numbers, frozen or {})
    for name, shape in model.data.items():
        if name not in arrays and is_gate(model, name):
            arrays[name] = _Gate(name, shape, shape, (gates or {}).get(name))
        elif name not in arrays and is_filled(model, name):
            arrays[name] = numbers.constant(np.ones(shape, dtype=object))
    [outputs] = evaluate([output], arrays, filling)
    filled = {name: x for name, x in arrays.items() if name in model.data and not isinstance(x, _Gate)}
    return RealData(outputs, {**filled, **filling.gates}, filling.before)


def _read(
    model: Model,
    arrays: Arrays,
    numbers: NumPyNumbers[Any],
    frozen: Mapping[str, tuple[Values, Values | None]],
) -> dict[str, Any]:
    """What stands for nonlinearities that were read (:mod:`conslaw.nn`), where it is not given; slopes are
    those at the output gradients given.
    """
    readings = [r for r in model.readings if not set(r.data) <= set(arrays)]
    if others := [r.operation for r in readings if r.operation not in FOLLOWED]:
        raise ConslawError(
            f"{model.name}: {others[0]} is not followed here; train the network in PyTorch, with a "
            f"conslaw.Monitor"
        )
    if numbers.convert is float:
        return filled(readings, model.potential, arrays, {}, frozen) if readings else {}
    made = dict[str, Any]()
    for r in readings:
        if r.rule != "gate":
            raise ConslawError(f"{model.name}: {r.operation} is no rational function; leave precision out")
        values = evaluate(r.arguments, {**arrays, **made}, numbers)
        [gate] = frozen.get(r.data[0], REAL[r.operation])[0](*values, **r.options)
        exact = [Fraction(float(x)) for x in gate.reshape(-1).tolist()]
        made[r.data[0]] = numbers.constant(np.array(exact, dtype=object)).reshape(gate.shape)
    return made


def _is_gated(model: Model) -> bool:
    return model.name in GATED and "widths" in model.arguments  # which a model of that name has not


def is_gate(model: Model, name: str) -> bool:
    """Whether a data array of a named family is a gate."""
    return _is_gated(model) and re.fullmatch(r"g\d*", name) is not None


def is_filled(model: Model, name: str) -> bool:
    """Whether a data array needs no number from the user: what was read in place of a nonlinearity, a gate,
    or the scale of a bias, which is 1.
    """
    if any(name in (*r.data, *r.slopes) for r in model.readings):
        return True
    return is_gate(model, name) or (_is_gated(model) and re.fullmatch(r"gamma\d*", name) is not None)

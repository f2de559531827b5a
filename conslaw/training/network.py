"""A network with its loss on real data, from its potential: the one definition that simulations use.

The outputs of a network are the gradient of its potential in the vector of output gradients; with that of the
loss in its place, the gradient of the potential in the parameters is that of the training loss.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, TypeAlias

import mpmath
import numpy as np
import numpy.typing as npt

from conslaw.algebra.evaluation import NumPyNumbers, evaluate, gradient, topological_order
from conslaw.algebra.expressions import Expression, input_array
from conslaw.errors import ConslawError
from conslaw.flows.metrics import Metric, MetricSpecification
from conslaw.models.given_data import OUTPUT, output_of, over_samples
from conslaw.models.potential import Model
from conslaw.models.real_data import RealData, is_filled, is_gate, real_data
from conslaw.training.kinks import before_kinks, frozen, pieces_of

Array: TypeAlias = npt.NDArray[Any]
Loss: TypeAlias = str | Callable[[Any, Any], Any]

LOSSES = ("squared", "cross_entropy")


@dataclass(frozen=True)
class Numbers:
    """What a run is computed with: floats, exact fractions, or floats of so many digits."""

    system: NumPyNumbers[Any]
    exp: Callable[[Any], Any] | None

    @staticmethod
    def of(precision: object) -> Numbers:
        """None for float64, ``"exact"``, or a number of decimal digits."""
        if precision is None:
            return Numbers(NumPyNumbers(float), np.exp)
        if isinstance(precision, str) and precision == "exact":
            return Numbers(NumPyNumbers(Fraction), None)
        if isinstance(precision, int) and not isinstance(precision, bool) and 15 <= precision <= 10_000:
            return Numbers(NumPyNumbers(_mpf), np.frompyfunc(mpmath.exp, 1, 1))
        raise ConslawError(
            f"precision={precision!r}: give None (floats), 'exact', or digits from 15 to 10000"
        )

    @property
    def rounding(self) -> float:
        """The relative size of a rounding error."""
        if self.are_floats:
            return float(np.finfo(np.float64).eps)
        return 0.0 if self.exp is None else float(mpmath.mp.eps)

    @property
    def are_floats(self) -> bool:
        """Whether these are floats of NumPy."""
        return self.system.convert is float

    def array(self, what: str, values: object, shape: tuple[int, ...] | None = None) -> Array:
        """The user's numbers as such; a float is its exact binary value."""
        given = _as_array(what, values)
        if given.dtype.kind not in "biufO" or given.dtype == np.float16:
            raise ConslawError(f"{what} holds {given.dtype}: give integers, fractions, float32 or float64")
        if shape is not None and given.shape != shape:
            raise ConslawError(f"{what} has shape {given.shape}; it must be {shape}")
        try:
            if self.are_floats:
                made = given.astype(np.float64)
                finite = bool(np.isfinite(made).all())
            else:
                made = np.empty(given.shape, dtype=object)
                made.reshape(-1)[:] = [self.number(v) for v in given.reshape(-1).tolist()]
                finite = True
        except (TypeError, ValueError, OverflowError) as error:
            raise ConslawError(f"{what} holds what is no finite number: {error}") from None
        if not finite:
            raise ConslawError(f"{what} has entries that are NaN or infinite: give finite numbers")
        return made

    def number(self, value: Any) -> Any:
        """One number."""
        return self.system.convert(value)


def _as_array(what: str, values: object) -> Array:
    try:
        return np.asarray(values)
    except (ValueError, TypeError) as error:  # rows of different lengths
        raise ConslawError(f"{what}: {error}") from None


def _mpf(value: Any) -> Any:
    if isinstance(value, Fraction):
        return mpmath.mpf(value.numerator) / value.denominator
    if isinstance(value, float) and not np.isfinite(value):
        raise ValueError(value)
    return mpmath.mpf(value)


@dataclass(frozen=True)
class Network:
    """A model on real data with a loss, ready to be trained.

    Attributes
    ----------
    model : the model summed over the samples
    inputs, targets : the data, by array, and what the loss compares the outputs with
    loss : its name, or a function that gives its gradient in the outputs
    numbers : what it is computed with
    output, direction : the outputs, and M(z) times the gradient in the parameters, z under other names
    """

    model: Model
    inputs: Mapping[str, Array]
    targets: Any
    loss: Loss
    numbers: Numbers
    output: Expression
    direction: Mapping[str, Expression]

    @staticmethod
    def of(
        model: Model,
        data: Mapping[str, Any] | None,
        targets: Any,
        loss: Loss,
        metric: MetricSpecification,
        precision: object,
    ) -> Network:
        """Checked and put together."""
        numbers = Numbers.of(precision)
        if not (callable(loss) or (isinstance(loss, str) and loss in LOSSES)):
            raise ConslawError(f"loss={loss!r}: give {LOSSES}, or a function (outputs, targets) -> gradient")
        if loss == "cross_entropy" and numbers.exp is None:
            raise ConslawError("precision='exact': cross-entropy is not rational; give a number of digits")
        if OUTPUT not in model.data:
            raise ConslawError(
                f"{model.name} has no data {OUTPUT!r}: multiply the outputs by a free vector of this name"
            )
        inputs, count = _inputs(model, data, numbers)
        whole = over_samples(model, count)
        made = _targets(targets, whole.data[OUTPUT], loss, numbers)
        theta = {name: input_array(name, shape) for name, shape in model.parameters.items()}
        nodes = {x.attribute: x for x in topological_order([whole.potential]) if x.operation == "input"}
        used = [name for name in theta if name in nodes]
        slopes = dict(zip(used, gradient(whole.potential, [nodes[n] for n in used]), strict=True))
        chosen = Metric.of(whole, metric)
        at = chosen.entries({name: input_array(_beside(name), x.shape) for name, x in theta.items()})
        direction = chosen.apply(at, slopes)
        return Network(whole, inputs, made, loss, numbers, output_of(whole), direction)

    def real(self, theta: Mapping[str, Array], gates: Mapping[str, Array] | None = None) -> RealData:
        """Outputs and gates at some weights; with these gates if given."""
        if not self.model.readings:
            return real_data(self.model, self.output, theta, self.inputs, self.numbers.system, gates)
        return self._read(theta, self.silent, gates)

    def _read(self, theta: Mapping[str, Array], back: Array, sides: Mapping[str, Array] | None) -> RealData:
        """The same where nonlinearities were read; what decides is on which sides of breaks arguments are."""
        known, system = {**self.inputs, OUTPUT: back}, self.numbers.system
        fixed = None if sides is None else frozen(self.model, sides)
        real = real_data(self.model, self.output, theta, known, system, None, fixed)
        before = before_kinks(self.model, {**theta, **known, **real.data}, system)
        made = {n: np.where(z > 0, 1.0, 0.0) for n, z in before.items()} if sides is None else sides
        return RealData(real.outputs, {**real.data, **made}, before)

    @property
    def silent(self) -> Array:
        """Output gradients of zero."""
        return np.zeros(self.model.data[OUTPUT])

    def step(
        self, theta: Mapping[str, Array], z: Mapping[str, Array], gates: Mapping[str, Array] | None = None
    ) -> dict[str, Array]:
        """M(z) times the gradient of the training loss at theta, by array; with these gates if given."""
        real = self.real(theta, gates)
        back = {OUTPUT: self.output_gradient(real.outputs)}
        if self.model.readings:  # slopes depend on what the loss sends back
            real = self._read(theta, back[OUTPUT], gates)
        arrays = {**theta, **real.data, **back}
        arrays |= {_beside(name): x for name, x in z.items()}
        values = evaluate(list(self.direction.values()), arrays, self.numbers.system)
        made = dict(zip(self.direction, values, strict=True))
        zero = self.numbers.number(0)
        return {name: made[name] if name in made else np.full(x.shape, zero) for name, x in theta.items()}

    def output_gradient(self, outputs: Array) -> Array:
        """The gradient of the loss, the mean over the samples, in the outputs."""
        count = outputs.shape[0]
        if callable(self.loss):
            found = _as_array("loss: its gradient", self.loss(outputs, self.targets))
            if found.shape != outputs.shape or found.dtype.kind not in "iufO":
                raise ConslawError(
                    f"loss: its gradient is of shape {found.shape} and {found.dtype}, the outputs of shape "
                    f"{outputs.shape}"
                )
            return found if self.numbers.are_floats else self.numbers.array("the gradient of the loss", found)
        if self.loss == "squared":
            return np.asarray((outputs - self.targets) / self.numbers.number(count))
        assert self.numbers.exp is not None
        powers = self.numbers.exp(outputs - outputs.max(axis=-1, keepdims=True))
        return np.asarray((powers / powers.sum(axis=-1, keepdims=True) - self.targets) / count)

    @property
    def has_kinks(self) -> bool:
        """Whether there are gates."""
        families = any(is_gate(self.model, name) for name in self.model.data if name not in self.inputs)
        return families or bool(pieces_of(self.model))


def _beside(name: str) -> str:
    """The name of the array z that the metric is taken at."""
    return f"{name}_at"


def _inputs(model: Model, data: Mapping[str, Any] | None, numbers: Numbers) -> tuple[dict[str, Array], int]:
    """The data of each array, a row for each sample, and the number of these."""
    if not isinstance(data, Mapping | None):
        raise ConslawError(f"data={data!r}: give a mapping from data arrays to rows, such as {{'x': X}}")
    given = dict(data or {})
    needed = [name for name in model.data if name != OUTPUT and not is_filled(model, name)]
    for name in given:
        if name not in model.data or name == OUTPUT:
            raise ConslawError(f"data: no input {name!r}; {model.name} needs {', '.join(needed) or 'none'}")
    if missing := [name for name in needed if name not in given]:
        raise ConslawError(f"data: {model.name} needs {', '.join(missing)}: give a row for each sample")
    inputs, count = dict[str, Array](), None
    for name, values in given.items():
        inputs[name] = array = numbers.array(f"data {name}", values)
        count = (len(array) if array.ndim else 0) if count is None else count
        if not count or array.shape != (count, *model.data[name]):
            raise ConslawError(
                f"data: {name} has shape {array.shape}; give {('N', *model.data[name])}: a row per sample"
            )
    return inputs, 1 if count is None else count


def _targets(targets: Any, shape: tuple[int, ...], loss: Loss, numbers: Numbers) -> Any:
    """What the outputs are compared with, of their shape; class numbers become rows of 0 and 1."""
    if callable(loss):
        return targets
    if targets is None:
        raise ConslawError(f"targets=None: the loss {loss!r} needs targets of shape {shape}")
    array = _as_array("targets", targets)
    if loss == "cross_entropy" and len(shape) == 2 and array.shape == shape[:1] and array.dtype.kind in "iu":
        if array.min() < 0 or array.max() >= shape[1]:
            raise ConslawError(f"targets: classes from {array.min()} to {array.max()}, of {shape[1]} outputs")
        array = np.eye(shape[1], dtype=np.int64)[array]
    if shape[0] == 1 and array.shape == shape[1:]:
        array = array[None]
    return numbers.array("targets", array, shape)

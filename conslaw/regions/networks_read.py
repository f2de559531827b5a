"""ReLU networks as given: lists of (W, b), torch modules, conslaw models with weights; all exact."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from itertools import pairwise
from numbers import Integral, Rational
from typing import Any

import numpy as np
import numpy.typing as npt
from flint import fmpq, fmpq_mat, fmpz, fmpz_mat

from conslaw.errors import ConslawError
from conslaw.models.potential import Model

Array = npt.NDArray[Any]
SMALLER = "give within=, or a smaller network"  # what to do where memory does not suffice


@dataclass(frozen=True, eq=False)
class Layer:
    """z = W h + b, then max(z, slope z) in each coordinate; ``slope`` is None where nothing follows.

    ``numerators`` is the integer matrix (W | b) times ``denominator``, shape (n, m + 1).
    """

    numerators: Array
    denominator: int
    slope: Fraction | None

    @property
    def width(self) -> int:
        return len(self.numerators)

    def kinked(self, values: Array, active: Array) -> Array:
        """Integers behind the kink, times the denominator of the slope: those that are ``active`` stay.

        Both sides are multiplied before one is chosen: numpy.where wraps integers of 64 bits and more.
        """
        slope = self.slope or Fraction(0)
        return np.asarray(np.where(active, slope.denominator * values, slope.numerator * values), object)

    @cached_property
    def floats(self) -> Array:
        """(W | b) rounded to float64: exact for floats, else to within half a unit of the last place."""
        try:
            with np.errstate(over="ignore"):
                flat = [number / self.denominator for number in self.numerators.ravel()]
                return np.array(flat, float).reshape(self.numerators.shape)
        except OverflowError:
            return np.full(self.numerators.shape, np.inf)

    @cached_property
    def slope_float(self) -> float:
        """The slope rounded to float64, infinite where it is too large; 0 where nothing follows."""
        slope = self.slope or Fraction(0)
        try:
            return float(slope)
        except OverflowError:
            return math.inf if slope > 0 else -math.inf


@dataclass(frozen=True, eq=False)
class Network:
    """A piecewise linear network: layers, all but perhaps the last with a kink."""

    layers: tuple[Layer, ...]
    name: str

    @property
    def inputs(self) -> int:
        return int(self.layers[0].numerators.shape[1]) - 1

    @property
    def hidden(self) -> tuple[Layer, ...]:
        """The layers whose neurons cut the input space."""
        return tuple(layer for layer in self.layers if layer.slope is not None)

    @cached_property
    def in_range(self) -> bool:
        """Whether float64 holds every number without underflow or overflow, so that error bounds hold."""
        numbers = [abs(layer.floats[layer.numerators != 0]) for layer in self.layers]
        slopes = [abs(layer.slope_float) for layer in self.layers if layer.slope]
        every = np.concatenate([*numbers, np.array(slopes)])
        return bool(((every > 2.0**-300) & (every < 2.0**300)).all())

    @cached_property
    def neurons(self) -> tuple[tuple[int, int], ...]:
        """(layer, index) of each neuron, layers counted from 1 and neurons from 0."""
        return tuple((k, i) for k, layer in enumerate(self.hidden, 1) for i in range(layer.width))

    @cached_property
    def digest(self) -> str:
        """Of the exact network."""
        parts = []
        for layer in self.layers:
            rows = ", ".join(f"[{', '.join(map(decimal, row))}]" for row in layer.numerators.tolist())
            parts.append(f"([{rows}], {decimal(layer.denominator)}, {str(layer.slope)!r})")
        return hashlib.sha256(f"[{', '.join(parts)}]".encode()).hexdigest()

    def to_json(self) -> list[dict[str, Any]]:
        return [
            {
                "numerators": [[decimal(x) for x in row] for row in layer.numerators.tolist()],
                "denominator": decimal(layer.denominator),
                "slope": None if layer.slope is None else str(layer.slope),
            }
            for layer in self.layers
        ]

    @classmethod
    def from_json(cls, data: Sequence[Mapping[str, Any]], name: str) -> Network:
        layers = []
        for one in data:
            numerators = _objects([[int(fmpz(x)) for x in row] for row in one["numerators"]])
            slope = None if one["slope"] is None else Fraction(one["slope"])
            layers.append(Layer(numerators, int(fmpz(one["denominator"])), slope))
        return cls(_checked(layers), name)


def decimal(x: int) -> str:
    """As str(x), which refuses what has more than 4300 digits: common denominators may."""
    return str(fmpz(x))


def _objects(rows: Sequence[Sequence[Any]]) -> Array:
    result = np.empty((len(rows), len(rows[0]) if rows else 0), object)
    for i, row in enumerate(rows):
        result[i, :] = row
    return result


def read(network: Any, weights: Any = None) -> Network:
    """The exact network that the user means.

    Raises
    ------
    ConslawError
        For what is no ReLU network: other modules (named), shapes that do not fit, NaN, infinity, float16.
    """
    if isinstance(network, Network):
        return network
    if isinstance(network, Model):
        return Network(_checked(list(_of_model(network, weights))), _named(network.arguments["widths"]))
    if weights is not None:
        raise ConslawError(
            f"weights={type(weights).__name__}: only a conslaw model takes weights; this network has its own"
        )
    given = list(_of_torch(network)) if hasattr(network, "state_dict") else list(_of_list(network))
    layers = _checked(given)
    widths = [layers[0].numerators.shape[1] - 1, *(layer.width for layer in layers)]
    return Network(layers, _named(widths))


def read_states(states: Any) -> Iterator[tuple[str, Network]]:
    """The networks of a run, one by one, with their labels: those that are given, or numbers from 0."""
    if not isinstance(states, Iterable) or hasattr(states, "state_dict") or getattr(states, "ndim", 1) == 0:
        raise ConslawError(f"states={states!r:.60}: give a list of networks, or of pairs (label, network)")
    for number, state in enumerate(states):
        labelled = isinstance(state, tuple) and len(state) == 2 and isinstance(state[0], str)
        label, given = state if labelled else (str(number), state)
        try:
            network = read(given)
        except ConslawError as error:
            raise ConslawError(f"state {label!r}: {error}") from None
        yield label, network


def _named(widths: Sequence[int]) -> str:
    return "-".join(map(str, widths))


def _of_list(network: Any) -> Iterator[Layer]:
    if not isinstance(network, Sequence) or isinstance(network, str) or not len(network):
        raise ConslawError(
            f"network={network!r:.60}: give a list of pairs (W, b), a torch.nn.Sequential, or a conslaw.relu "
            f"model with weights"
        )
    for number, pair in enumerate(network, 1):
        if not isinstance(pair, Sequence) or len(pair) not in (2, 3):
            raise ConslawError(
                f"layer {number} is {type(pair).__name__}: give a pair (W, b), or (W, b, slope) if leaky"
            )
        slope = (
            _rational(pair[2], f"the slope of layer {number}")
            if len(pair) == 3 and pair[2] is not None
            else None
        )
        if slope is None and number < len(network):
            slope = Fraction(0)
        yield layer(pair[0], pair[1], slope, f"layer {number}")


def _of_model(model: Model, weights: Any) -> Iterator[Layer]:
    if model.name != "relu" or "widths" not in model.arguments:
        raise ConslawError(f"model {model.name!r} is no conslaw.relu network: its pieces are not known")
    if not isinstance(weights, Mapping) or set(weights) != set(model.parameters):
        raise ConslawError(
            f"weights={type(weights).__name__}: give a mapping with the arrays {', '.join(model.parameters)}"
        )
    last = len(model.arguments["widths"]) - 1
    for number in range(1, last + 1):
        slope = None if number == last else Fraction(0)
        made = layer(weights[f"W{number}"], weights.get(f"b{number}"), slope, f"W{number}")
        shape = (made.width, made.numerators.shape[1] - 1)
        if shape != model.parameters[f"W{number}"]:
            raise ConslawError(
                f"W{number} has shape {shape}: the model says {model.parameters[f'W{number}']}"
            )
        yield made


def _of_torch(module: Any) -> Iterator[Layer]:
    flat = list(_modules(module, type(module).__name__))
    pending: Layer | None = None
    for path, one in flat:
        kind = type(one).__name__
        if kind == "Linear":
            made = layer(one.weight, one.bias, None, path)
            pending = made if pending is None else _composed(pending, made, path)
        elif kind in ("ReLU", "LeakyReLU"):
            if pending is None:
                raise ConslawError(f"{path} ({kind}) follows no Linear: put a Linear before it")
            slope = _rational(one.negative_slope, path) if kind == "LeakyReLU" else Fraction(0)
            yield Layer(pending.numerators, pending.denominator, slope)
            pending = None
    if pending is not None:
        yield pending


def _modules(module: Any, path: str) -> Iterator[tuple[str, Any]]:
    if getattr(module, "_forward_hooks", None) or getattr(module, "_forward_pre_hooks", None):
        raise ConslawError(f"{path} has a forward hook, which may change what it computes: remove it")
    made = type(module)
    kind = made.__name__
    if not made.__module__.startswith("torch.nn.modules."):
        kind = f"{made.__module__}.{kind}"  # whatever its name, it may compute something else
    if kind in ("Linear", "ReLU", "LeakyReLU", "Identity", "Flatten") or (
        kind == "Dropout" and not module.training
    ):
        yield path, module
    elif kind == "Sequential":
        for name, child in module._modules.items():  # named_children() leaves out one that comes again
            yield from _modules(child, f"{path}.{name}")
    else:
        raise ConslawError(
            f"{path} is a {kind}: only Sequential modules of Linear, ReLU and LeakyReLU have a known complex"
        )


def _composed(first: Layer, second: Layer, path: str) -> Layer:
    if second.numerators.shape[1] - 1 != first.width:
        raise ConslawError(f"{path} takes {second.numerators.shape[1] - 1} inputs, but {first.width} come in")
    product = second.numerators[:, :-1].dot(first.numerators)
    product[:, -1] += second.numerators[:, -1] * first.denominator
    return Layer(product, first.denominator * second.denominator, None)


def layer(W: Any, b: Any, slope: Fraction | None, what: str) -> Layer:
    """A layer from arrays of floats, integers or fractions."""
    weights = _array(W, 2, f"W of {what}")
    bias = _array(b, 1, f"b of {what}") if b is not None else np.zeros(len(weights), int)
    if 0 in weights.shape:
        raise ConslawError(f"W of {what} has shape {weights.shape}: a layer of width 0 is no layer")
    if len(bias) != len(weights):
        raise ConslawError(f"b of {what} has {len(bias)} entries: W has {len(weights)} rows")
    joined = np.empty((len(weights), weights.shape[1] + 1), object)
    joined[:, :-1], joined[:, -1] = weights, bias
    numerators, denominator = integers(joined, what)
    return Layer(numerators, denominator, slope)


def _array(values: Any, axes: int, what: str) -> Array:
    if hasattr(values, "detach"):
        values = values.detach().cpu()
        if "float16" in str(values.dtype):
            raise ConslawError(f"{what} is of dtype {values.dtype}: convert it to float32 or float64")
        values = values.numpy()
    try:
        array = values if isinstance(values, np.ndarray) else np.array(values, dtype=object)
    except ValueError:
        raise ConslawError(f"{what} is ragged: give rows of equal length") from None
    if array.ndim != axes:
        raise ConslawError(f"{what} has shape {array.shape}: give {'a matrix' if axes == 2 else 'a vector'}")
    if (array.dtype.kind == "f" and array.dtype.itemsize == 2) or array.dtype.kind not in "fiuO":
        raise ConslawError(f"{what} is of dtype {array.dtype}: give float32, float64, integers or fractions")
    if array.dtype.kind == "f" and array.dtype.itemsize > 8:
        raise ConslawError(f"{what} is of dtype {array.dtype}: convert it to float64")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise ConslawError(f"{what} contains {array[~np.isfinite(array)][0]}: give finite numbers")
    return array


def _rational(value: Any, what: str) -> Fraction:
    if isinstance(value, float | np.floating):
        if getattr(value, "itemsize", 8) not in (4, 8):
            raise ConslawError(f"{what} is of dtype {type(value).__name__}: convert it to float32 or float64")
        if not math.isfinite(value):
            raise ConslawError(f"{what} contains {value}: give finite numbers")
        return Fraction(float(value))
    if isinstance(value, Rational | Integral) and not isinstance(value, bool):
        return Fraction(int(value.numerator), int(value.denominator))
    raise ConslawError(f"{what} contains {value!r:.40}: give floats, integers or fractions")


def integers(array: Array, what: str) -> tuple[Array, int]:
    """Integers and their common denominator."""
    result, flat = np.empty(array.shape, object), array.ravel()
    pairs = [x.as_integer_ratio() if type(x) is float and math.isfinite(x) else _ratio(x, what) for x in flat]
    denominator = math.lcm(*{q for _, q in pairs}) if pairs else 1
    result.ravel()[:] = [p * (denominator // q) for p, q in pairs]
    return result, denominator


def _ratio(value: Any, what: str) -> tuple[int, int]:
    fraction = _rational(value, what)
    return fraction.numerator, fraction.denominator


def _checked(layers: list[Layer]) -> tuple[Layer, ...]:
    if not layers:
        raise ConslawError("the network has no layers: give at least one pair (W, b)")
    if any(layer.slope is None for layer in layers[:-1]):
        raise ConslawError("a layer before the last has no slope: give 0 for a ReLU")
    for number, (first, second) in enumerate(pairwise(layers), 1):
        if second.numerators.shape[1] - 1 != first.width:
            raise ConslawError(
                f"layer {number + 1} takes {second.numerators.shape[1] - 1} inputs, but layer {number} has "
                f"{first.width} neurons"
            )
    return tuple(layers)


def point(x: Any, inputs: int, what: str = "x") -> tuple[Array, int]:
    """An exact point as integers over a common denominator."""
    array = _array(x, 1, what)
    if len(array) != inputs:
        raise ConslawError(f"{what} has {len(array)} coordinates: the network takes {inputs}")
    return integers(array.astype(object), what)


def matrix(values: Any, what: str) -> Array:
    """A matrix of finite floats, integers or fractions, as the user gives it."""
    return _array(values, 2, what)


def product(a: Array, b: Array) -> Array:
    """The product of two integer matrices, by FLINT where it does more than to convert."""
    if 0 in (*a.shape, *b.shape):
        return np.zeros((a.shape[0], b.shape[1]), object)
    if b.shape[1] == 1:
        return np.asarray(a.dot(b), object)
    entries = (fmpz_mat(a.tolist()) * fmpz_mat(b.tolist())).entries()
    result = np.empty(a.shape[0] * b.shape[1], object)
    result[:] = list(map(int, entries))
    return result.reshape(a.shape[0], b.shape[1])


def rank(rows: Array) -> int:
    """Of an integer matrix; much faster than :func:`independent_rows`."""
    return 0 if 0 in rows.shape else int(fmpz_mat(rows.tolist()).rank())


def independent_rows(rows: Array) -> list[int]:
    """Indices of the first rows that form a basis of the row space."""
    if 0 in rows.shape:
        return []
    reduced = fmpz_mat(rows.T.tolist()).rref()[0]
    return [next(j for j in range(len(rows)) if reduced[i, j] != 0) for i in range(rank(rows))]


def inverse(rows: Array) -> tuple[Array, int]:
    """The inverse of an invertible integer matrix, as integers over a positive denominator."""
    n = len(rows)
    found = fmpq_mat(fmpz_mat(rows.tolist())).inv()
    fractions = _objects([[_fraction(found[i, j]) for j in range(n)] for i in range(n)])
    return integers(fractions, "inverse")


def _fraction(x: fmpq) -> Fraction:
    return Fraction(int(x.p), int(x.q))

"""What the user gives: weights by the names of a model, a state_dict or a module, and inputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from conslaw.algebra.evaluation import topological_order
from conslaw.algebra.expressions import Shape
from conslaw.attained.enclosures import Array
from conslaw.errors import ConslawError
from conslaw.models import networks
from conslaw.models.networks import nn_relu
from conslaw.models.potential import Model
from conslaw.models.weights import as_array

# operations of modules whose readings keep all options, so that they can be evaluated
OF_MODULES = (
    *("relu", "leaky_relu", "abs", "relu_squared", "prelu", "gelu", "silu", "mish", "tanh", "sigmoid", "exp"),
    *("logsigmoid", "softsign", "tanhshrink", "sin", "cos", "relu6", "hardsigmoid", "hardswish", "max_pool"),
    *("layer_norm", "rms_norm", "group_norm", "cross_entropy", "hardtanh", "softshrink", "softmax"),
    *("elu", "celu", "selu", "softplus", "threshold"),
)


@dataclass(frozen=True)
class Sources:
    """Where the data of a network come from: each is a source of its own, or a view of an input of a module.

    Attributes
    ----------
    shapes : the shape of each source
    views : of data that are not sources: which, and the positions in it
    """

    shapes: Mapping[str, Shape]
    views: Mapping[str, tuple[str, Array]]

    def data(self, sources: Mapping[str, Array]) -> dict[str, Array]:
        """The data (number, *shape) that some sources make."""
        own = {n: x for n, x in sources.items() if all(n != source for source, _ in self.views.values())}
        seen = {n: (s, places) for n, (s, places) in self.views.items() if s in sources}
        return {**own, **{n: sources[s].reshape(len(sources[s]), -1)[:, at] for n, (s, at) in seen.items()}}


def views_of(model: Model) -> Mapping[str, tuple[str, Array]]:
    """Of data of a module that are an input of it: which, and its positions."""
    return dict(model.arguments["inputs"]) if "outputs" in model.arguments else {}


def constants_of(model: Model) -> dict[str, Array]:
    """Data of a module that are numbers in its code."""
    numbers = dict(model.arguments["numbers"]) if "outputs" in model.arguments else {}
    return {n: np.array(float(x)) for n, x in numbers.items()}


def sources_of(model: Model, names: Sequence[str]) -> Sources:
    """The sources of some data of a model."""
    views = views_of(model)
    shapes = {n: model.data[n] for n in names if n not in views}
    shapes |= {
        source: at.shape if n == source else (at.size,) for n, (source, at) in views.items() if n in names
    }
    return Sources(shapes, views)


def inputs_of(model: Model, sources: Sources, inputs: Any) -> dict[str, Array]:
    """The inputs of a user, (number, *shape) for each source.

    Raises
    ------
    ConslawError
        If some are missing, do not fit, or are no finite real numbers.
    """
    known = {**model.data, **sources.shapes}
    if not isinstance(inputs, Mapping):
        wanted = [*sources.shapes] or [n for n in model.data if n == "x"]
        if len(wanted) != 1:
            raise ConslawError(
                f"inputs: the network is evaluated on {', '.join(wanted or known)}: give a mapping, "
                f"inputs={{name: array}}"
            )
        inputs = {wanted[0]: inputs}
    made = dict[str, Array]()
    follow = {n for r in model.readings if r.slopes for n in (*r.data, *r.slopes)}
    for name, value in inputs.items():
        if name in follow:
            raise ConslawError(f"inputs: {name!r} follows from weights and inputs: leave it out")
        if name not in known:
            raise ConslawError(
                f"inputs: {name!r} is no data of the model, which has {', '.join(known)[:200]}"
            )
        array, shape = as_array(value, f"inputs: {name}"), known[name]
        number = array.size // prod(shape)
        one, many = array.shape == shape, _bare(array.shape) == _bare((number, *shape))
        flat = name not in model.data and array.size == number * prod(shape)  # a module's input, in any shape
        if not number or not (one or many or flat):
            raise ConslawError(
                f"inputs: {name} has shape {array.shape}: give (number, {', '.join(map(str, shape))})"
            )
        made[name] = array.reshape(number, *shape)
    missing = [n for n in sources.shapes if n not in made]
    if missing:
        raise ConslawError(
            f"inputs: {missing[0]!r} is missing; the network is evaluated on {', '.join(sources.shapes)}"
        )
    numbers = {len(x) for x in made.values()} - {1}
    if len(numbers) > 1:
        shapes = ", ".join(f"{n} {x.shape}" for n, x in made.items())
        raise ConslawError(f"inputs: {shapes}: give as many of each")
    most = max(numbers, default=1)
    return {n: np.broadcast_to(x, (most, *x.shape[1:])) for n, x in made.items()}


def _bare(shape: Shape) -> Shape:
    """Without axes of length 1, such as a module's batch."""
    return tuple(n for n in shape if n > 1)


def evaluable(model: Model, given: frozenset[str]) -> Model:
    """The model with nonlinearities that can be evaluated: conslaw.relu is written with conslaw.nn.

    Raises
    ------
    ConslawError
        If there are gates by hand, values and slopes of high-order layers, or operations of a module that are
        read without all of their options.
    """
    widths, bias = model.arguments.get("widths"), model.arguments.get("bias")
    if model.name == "relu" and widths and model == networks.relu(list(widths), bias=bool(bias)):
        return nn_relu(list(widths), bias=bool(bias))
    gates = [n for n in _gates(model) if n not in given]
    if gates:
        raise ConslawError(
            f"the data {gates[0]!r} are factors of units, as gates by hand are: write the nonlinearity with "
            f"conslaw.nn, such as nn.relu(z); or give their values, inputs={{{gates[0]!r}: ...}}"
        )
    if model.name.endswith(("high-order layer", "high-order layers")):
        _check_layers(model, given)
    if "outputs" in model.arguments:
        _check_module(model, given)
    return model


def _check_layers(model: Model, given: frozenset[str]) -> None:
    """Behind the first of :mod:`conslaw.layers`, free data stand for functions of what the weights make."""
    own = [name for name in model.data if name != "v" and name not in given]
    if own not in ([], ["e1"]):
        raise ConslawError(
            f"the data {own[-1]!r} of {model.name} follow from weights and inputs, which is not evaluated: "
            f"take the model of one layer, layer.model()"
        )


def _check_module(model: Model, given: frozenset[str]) -> None:
    known, outputs, numbers = (model.arguments[what] for what in ("inputs", "outputs", "numbers"))
    own = {n for r in model.readings for n in (*r.data, *r.slopes)} | {*outputs, *known, *numbers, *given}
    for r in model.readings:
        known_here = r.operation in OF_MODULES and r.options.get("scale", 1.0) is not None
        if not known_here and not set(r.data) <= given:
            fix = "" if r.slopes else f"; give its data, inputs={{{r.data[0]!r}: ...}}"
            raise ConslawError(f"{r}: evaluating it at weights of a module is not supported{fix}")
    for name in model.data:
        if name not in own:
            raise ConslawError(
                f"the data {name!r} of {model.name} are computed from others, or constants: give their "
                f"values too, inputs={{{name!r}: ...}}"
            )


def _gates(model: Model) -> list[str]:
    """Data that are only used as factors, entry by entry, of what is trained, before more of it follows."""
    order = topological_order([model.potential])
    own = {n for r in model.readings for n in (*r.data, *r.slopes)}
    trained = set[int]()
    for x in order:
        if (x.operation == "input" and x.attribute in model.parameters) or any(
            id(y) in trained for y in x.args
        ):
            trained.add(id(x))
    meets = set[int]()  # what parameters meet later on
    for x in reversed(order):
        both = x.operation == "product" and all(id(y) in trained for y in x.args)
        if both or id(x) in meets:
            meets |= {id(y) for y in x.args}
    uses = dict[str, list[bool]]()
    for x in order:
        for i, y in enumerate(x.args):
            if y.operation == "input" and y.attribute in model.data and y.attribute not in own:
                factor = x.operation == "product" and id(x.args[1 - i]) in trained and id(x) in meets
                kept = factor and set(x.attribute[i]) <= set(x.attribute[2]) & set(x.attribute[1 - i])
                uses.setdefault(y.attribute, []).append(bool(kept and x.attribute[i]))
    return [name for name, found in uses.items() if all(found)]

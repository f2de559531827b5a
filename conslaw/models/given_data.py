"""A model on data that are given: its potential summed over the samples, each with its own free data.

For all losses, the gradient of a training loss is a sum over the samples n of the fields of f(theta; c) with
the data of sample n in c.  Where some data are given, row by row, the others (the output gradients, say) stay
free, those of each sample on their own; so the potential sum_n f(theta; given_n, free_n) makes the same span
as the samples together, and everything that is known for a model holds for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from math import prod
from typing import Any, TypeAlias

import numpy as np

from conslaw.algebra.evaluation import NumPyNumbers, evaluate, gradient, topological_order
from conslaw.algebra.exact_numbers import exact_array
from conslaw.algebra.expressions import (
    LETTERS,
    Constants,
    Expression,
    Indices,
    Shape,
    _ones,
    _put,
    _reshape,
    as_expression,
    contract,
    input_array,
    summed,
    taken,
)
from conslaw.algebra.values import Graphs
from conslaw.errors import ConslawError
from conslaw.models.potential import Model
from conslaw.models.readings import graphs_of, with_graphs
from conslaw.models.real_data import is_filled, is_gate, real_data
from conslaw.models.zero_data import with_zero_data

Rows: TypeAlias = Mapping[str, Any]  # data arrays with an axis in front, the samples

OUTPUT = "v"  # the data array that stands for the gradient of the loss in the outputs


class Samples:
    """The number system of many samples at once: an expression of the shape of a node, or one with an axis
    in front where it depends on the sample.
    """

    def __init__(self, count: int) -> None:
        self.count = count

    def each(self, x: Expression, shape: Shape) -> Expression:
        """The same with an axis for the samples."""
        if x.ndim > len(shape):
            return x
        letters = LETTERS[: x.ndim]
        return contract(_ones((self.count,)), x, LETTERS[-1], letters, LETTERS[-1] + letters)

    def constant(self, values: Constants) -> Value:
        return as_expression(values), values.shape

    def add(self, x: Value, y: Value) -> Value:
        (a, shape), (b, _) = x, y
        if a.ndim != b.ndim:
            a, b = self.each(a, shape), self.each(b, shape)
        return Expression("add", (a, b), None, a.shape), shape

    def product(self, x: Value, y: Value, a: str, b: str, out: str) -> Value:
        sample = next(c for c in LETTERS if c not in a + b)
        own = [sample * (e.ndim > len(shape)) + letters for (e, shape), letters in ((x, a), (y, b))]
        whole = (sample if any(c.startswith(sample) for c in own) else "") + out
        sizes = dict(zip(a + b, x[1] + y[1], strict=True))
        made = contract(x[0], y[0], own[0], own[1], whole)
        return made, tuple(sizes[c] for c in out)

    def sum(self, x: Value, axes: tuple[int, ...]) -> Value:
        e, shape = x
        more = e.ndim - len(shape)
        left = tuple(n for i, n in enumerate(shape) if i not in axes)
        return summed(e, tuple(i + more for i in axes)), left

    def take(self, x: Value, indices: Indices) -> Value:
        e, shape = x
        if e.ndim > len(shape):
            indices = self._places(indices, prod(shape))
            return taken(e, indices), indices.shape[1:]
        return taken(e, indices), indices.shape

    def put(self, x: Value, indices: Indices, shape: Shape) -> Value:
        e, own = x
        if e.ndim > len(own):
            return _put(e, self._places(indices, prod(shape)), (self.count, *shape)), shape
        return _put(e, indices, shape), shape

    def _places(self, indices: Indices, size: int) -> Indices:
        first = np.arange(self.count) * size
        return np.asarray(first.reshape(-1, *(1,) * indices.ndim) + indices, dtype=np.intp)

    def reshape(self, x: Value, shape: Shape) -> Value:
        e, own = x
        return _reshape(e, (self.count, *shape) if e.ndim > len(own) else shape), shape

    def reciprocal(self, x: Value) -> Value:
        raise ZeroDivisionError  # no potential has one


Value: TypeAlias = tuple[Expression, Shape]  # and the shape of the node itself


def over_samples(model: Model, count: int) -> Model:
    """The sum of the potential over so many samples: all data arrays have an axis for them in front, and so
    has what is read in place of nonlinearities.

    Raises
    ------
    ConslawError
        If the gradient is that of no potential (norms at eps = 0).
    """
    _check_gradient(model)
    data = {name: (count, *shape) for name, shape in model.data.items()}
    inputs = {name: (input_array(name, shape), shape) for name, shape in model.parameters.items()}
    inputs |= {name: (input_array(name, data[name]), shape) for name, shape in model.data.items()}
    samples = Samples(count)
    (value, _), *graphs = evaluate([model.potential, *graphs_of(model.readings)], inputs, samples)
    readings = with_graphs(model.readings, [samples.each(x, shape) for x, shape in graphs])
    readings = tuple(replace(r, options=_behind_one_axis(r.options)) for r in readings)
    return replace(model, data=data, potential=summed(value, tuple(range(value.ndim))), readings=readings)


def stops(model: Model) -> bool:
    """Whether the gradient of the model is that of no potential: norms at eps = 0."""
    return any(x.operation == "stop" for x in topological_order([model.potential]))


def _check_gradient(model: Model) -> None:
    """Refuse a model whose gradient is that of no potential."""
    if stops(model):
        raise ConslawError(f"{model.name} has norms with eps=0: give a positive eps where data are given")


def _behind_one_axis(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options of an operation on arrays with one axis more in front."""
    made = dict(options)
    if "axis" in made:
        made["axis"] += 1
    if "axes" in made:
        made["axes"] = [axis + 1 for axis in made["axes"]]
    return made


def given_data(
    model: Model, data: Rows | None = None, patterns: Rows | None = None, loss: str | None = None
) -> Model:
    """The model with these rows of data, and of gates, given jointly; what else is free stays free for each.

    Rows that are equal are one: they have the same fields.  If nothing that is free makes the fields of a
    sample scale (a scalar network without an output vector), a free factor ``scale`` for each sample does:
    the derivative of the loss there.
    """
    if loss is not None:
        model = _centred(model, loss)
    rows = _rows("data", data, model)
    if isinstance(patterns, Mapping) and set(patterns) & set(model.parameters):
        patterns = _patterns_at(model, patterns, rows)
    gates = _rows("patterns", patterns, model)
    if twice := sorted(set(rows) & set(gates)):
        raise ConslawError(f"{twice[0]!r} stands in data and in patterns: give each array once")
    rows |= gates
    if not rows:
        return model
    counts = {name: len(values) for name, values in rows.items()}
    if len(set(counts.values())) > 1:
        raise ConslawError(
            f"data and patterns have {counts} rows: row n of each array belongs to sample n; give as many of "
            f"each"
        )
    first = _different(list(rows.values()))
    return _with_constants(model, {name: rows[name][first] for name in model.data if name in rows})


def _with_constants(model: Model, rows: Mapping[str, Constants]) -> Model:
    """The sum over the samples, constants in place of the arrays given."""
    _check_gradient(model)
    count = len(next(iter(rows.values())))
    if _is_still_there(model, rows):
        if "scale" in {**model.parameters, **model.data}:
            raise ConslawError("the name 'scale' is needed for the factor of each sample; rename the array")
        scaled = model.potential * input_array("scale", ())
        model = replace(model, data={**model.data, "scale": ()}, potential=scaled)
    whole = over_samples(model, count)
    free = {name: shape for name, shape in whole.data.items() if name not in rows}
    inputs = {name: input_array(name, shape) for name, shape in {**model.parameters, **free}.items()}
    inputs |= {name: as_expression(values) for name, values in rows.items()}
    [potential] = evaluate([whole.potential], inputs, Graphs())
    widths = model.arguments.get("widths")
    sizes = " " + "-".join(map(str, widths)) if widths else ""
    bias = " with bias" if model.arguments.get("bias") else ""
    called = f"{model.name}{sizes}{bias}, {', '.join(rows)} given ({count} row{'s' * (count > 1)})"
    readings = tuple(r for r in whole.readings if not set(r.data) <= set(rows))
    kept = {key: model.arguments[key] for key in ("symbols",) if key in model.arguments}
    return replace(model, name=called, data=free, potential=potential, arguments=kept, readings=readings)


def _is_still_there(model: Model, rows: Mapping[str, object]) -> bool:
    """Whether anything of the potential is left where all data that stay free are zero."""
    inputs = {name: input_array(name, shape) for name, shape in {**model.parameters, **model.data}.items()}
    for name, shape in model.data.items():
        if name not in rows:
            inputs[name] = as_expression(np.zeros(shape, dtype=np.int64))
    [potential] = evaluate([model.potential], inputs, Graphs())
    return with_zero_data(replace(model, potential=potential), {}) is not None


def _rows(what: str, given: Rows | None, model: Model) -> dict[str, Constants]:
    """Rows of data arrays as exact numbers: floats are their exact binary values."""
    if given is None:
        return {}
    if not isinstance(given, Mapping) or not given:
        raise ConslawError(f"{what}={given!r}: give a mapping from data arrays to rows, such as {{'x': X}}")
    result = {}
    for name, values in given.items():
        if name not in model.data:
            known = ", ".join(model.data) or "none"
            raise ConslawError(f"{what}: no data array {name!r}; the data arrays are {known}")
        shape, found = model.data[name], _shape(values)
        if len(found) != 1 + len(shape) or found[1:] != shape or not found[0]:
            raise ConslawError(
                f"{what}: {name} has shape {found}; give {('N', *shape)}: a row of shape {shape} per sample"
            )
        result[name] = _exact(values, found, f"{what}: {name}")
    return result


def _shape(values: Any) -> Shape:
    try:
        return np.shape(values)
    except ValueError:
        return ()


def _exact(values: object, shape: Shape, what: str) -> Constants:
    array = np.asarray(values)
    if array.dtype.kind in "fc" and not np.isfinite(array).all():
        raise ConslawError(f"{what} has entries that are NaN or infinite: give finite numbers")
    if array.dtype.kind not in "biufO":
        raise ConslawError(f"{what} holds {array.dtype}: give integers, fractions.Fraction values or floats")
    return exact_array(array, shape, what)


def _patterns_at(model: Model, weights: Rows, rows: Mapping[str, Constants]) -> dict[str, Constants]:
    """The gates that occur at these weights on these rows of data: exact signs of exact numbers."""
    if not any(is_gate(model, name) for name in model.data) and all(r.rule != "gate" for r in model.readings):
        raise ConslawError(f"patterns: no gates of {model.name} are known; give rows of them by name")
    missing = [
        name for name in model.data if name not in rows and name != OUTPUT and not is_filled(model, name)
    ]
    if set(weights) != set(model.parameters) or missing:
        needed = ", ".join([*model.parameters, *(f"data {name}" for name in missing)])
        raise ConslawError(f"patterns at weights {sorted(weights)}: give {needed}")
    exact = {
        name: _exact(weights[name], shape, f"patterns: {name}") for name, shape in model.parameters.items()
    }
    count = len(next(iter(rows.values())))
    whole = over_samples(model, count)
    found = real_data(whole, output_of(whole), exact, rows, NumPyNumbers(Fraction)).data
    return {name: values for name, values in found.items() if name not in rows}


def output_of(model: Model, name: str = OUTPUT) -> Expression:
    """The outputs of a network: the gradient of its potential in the vector that stands for output
    gradients.
    """
    nodes = topological_order([model.potential])
    [vector] = [x for x in nodes if x.operation == "input" and x.attribute == name]
    return gradient(model.potential, [vector])[0]


def _different(arrays: Sequence[Constants]) -> list[int]:
    """The first of each kind of equal rows."""
    rows = [tuple(v for a in arrays for v in a[n : n + 1].ravel().tolist()) for n in range(len(arrays[0]))]
    found: dict[tuple[Any, ...], int] = {}
    for n, row in enumerate(rows):
        found.setdefault(row, n)
    return list(found.values())


def _centred(model: Model, loss: str) -> Model:
    """Output gradients whose entries sum to zero, as those of cross-entropy after softmax do.

    Written as sums of differences of free entries, so that no output is singled out.
    """
    shape = model.data.get(OUTPUT)
    if not isinstance(loss, str) or loss != "cross_entropy":
        raise ConslawError(f"loss={loss!r}: give 'cross_entropy', or leave it out for all losses at once")
    if shape is None or len(shape) != 1 or shape[0] < 2:
        raise ConslawError(
            f"loss={loss!r}: the output gradients must be a data vector {OUTPUT!r} of at least two entries; "
            f"{model.name} has {OUTPUT}: {shape}"
        )
    free = input_array(OUTPUT, (shape[0], shape[0]))
    arrays = {**model.parameters, **model.data}
    inputs = {name: input_array(name, s) for name, s in arrays.items()}
    inputs[OUTPUT] = free.sum(1) - free.sum(0)
    [potential] = evaluate([model.potential], inputs, Graphs())
    data = {**model.data, OUTPUT: free.shape}
    return replace(model, name=f"{model.name} with cross-entropy", data=data, potential=potential)

"""Nonlinearities in array code: the free data that stand for them, and what was read in their place.

A nonlinear operation a = s(z) is replaced by its local linearisation a = e + D z with free data.  Where e and
D are free the span of the gradients is that of the network with e in place of a, and of the pieces <u, z>
with free u (the *cut*, see *What is proved*): a model with cuts is a sum of small pieces, whatever its depth.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from importlib import import_module
from typing import Any

import numpy as np
import numpy.typing as npt

from conslaw.algebra.evaluation import NumPyNumbers, adjoints, evaluate, topological_order
from conslaw.algebra.expressions import Expression, Shape, input_array, summed
from conslaw.algebra.uniform_axes import axes_kept, reshape_links
from conslaw.errors import ConslawError
from conslaw.models.cut import Cut

Array = npt.NDArray[Any]
Values = Callable[..., Sequence[Array]]

REAL: dict[str, tuple[Values, Values | None]] = {}
"""For each operation its free data at real arguments, and its slopes at these and the gradient at the value;
the modules of :mod:`conslaw.nn` fill this in.
"""

RULES = {
    "gate": "a factor that is free data, the value's and the slope's alike",
    "selection": "a combination with free weights that sum to 1",
    "value and slope": "a free value, and free slopes",
    "data": "free data: no parameter is in it, or no gradient passes",
}


@dataclass(frozen=True)
class Reading:
    """How one nonlinear operation was read.

    Attributes
    ----------
    operation : its name, such as ``"gelu"``
    rule : ``"gate"``, ``"selection"``, ``"value and slope"`` or ``"data"``
    data : the free data arrays that stand for its value (a gate, weights)
    slopes : the free data arrays that stand for what its argument gets of the gradient
    where : the line of the user's code, or the path of the module
    arguments, value : the expressions that go in, and that came out
    options : what the function in :data:`REAL` of this operation is called with
    """

    operation: str
    rule: str
    data: tuple[str, ...]
    slopes: tuple[str, ...]
    where: str
    arguments: tuple[Expression, ...] = field(repr=False)
    value: Expression | None = field(repr=False)
    options: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def __str__(self) -> str:
        return said(self.to_json())

    def to_json(self) -> dict[str, Any]:
        """What is said of it in answers and certificates."""
        data = [*self.data, *self.slopes]
        return {"operation": self.operation, "rule": self.rule, "data": data, "where": self.where}


def said(reading: Mapping[str, Any]) -> str:
    """A reading in words."""
    where = f", {reading['where']}" if reading["where"] else ""
    return f"{reading['operation']}{where}: {reading['rule']} ({RULES[reading['rule']]})"


def graphs_of(readings: Sequence[Reading]) -> list[Expression]:
    """All expressions in some readings, in order."""
    return [x for r in readings for x in (*r.arguments, *([] if r.value is None else [r.value]))]


def with_graphs(readings: Sequence[Reading], graphs: Sequence[Expression]) -> tuple[Reading, ...]:
    """The same readings of other expressions."""
    left, made = iter(graphs), list[Reading]()
    for r in readings:
        arguments = tuple(next(left) for _ in r.arguments)
        made.append(replace(r, arguments=arguments, value=None if r.value is None else next(left)))
    return tuple(made)


class Recorder:
    """What the functions of :mod:`conslaw.nn` add to the model whose potential is being called."""

    def __init__(
        self, parameters: Mapping[str, Shape], data: Mapping[str, Shape], where: Callable[[], str]
    ) -> None:
        self.parameters, self.taken = frozenset(parameters), {*parameters, *data}
        self.arrays = dict[str, Expression]()
        self.cuts = list[Cut]()
        self.readings = list[Reading]()
        self.where = where
        self._trains = dict[
            int, tuple[bool, Expression]
        ]()  # the expression keeps its id from being used again
        self._numbers = dict[str, int]()

    def note(
        self,
        operation: str,
        rule: str,
        data: Sequence[Expression],
        slopes: Sequence[Expression],
        arguments: Sequence[Expression],
        value: Expression | None,
        options: Mapping[str, Any],
    ) -> None:
        """Write a reading down; data and slopes are the free arrays themselves."""
        made, own = (tuple(x.attribute for x in arrays) for arrays in (data, slopes))
        self.readings.append(
            Reading(operation, rule, made, own, self.where(), tuple(arguments), value, dict(options))
        )

    def numbered(self, operation: str) -> str:
        """A name for the next operation of this kind: ``gelu1``, ``gelu2``, ..."""
        self._numbers[operation] = self._numbers.get(operation, 0) + 1
        return f"{operation}{self._numbers[operation]}"

    def free(self, name: str, shape: Shape) -> Expression:
        """A free data array of this name, or the next one that is not taken."""
        while name in self.taken:
            name += "_"
        self.taken.add(name)
        self.arrays[name] = input_array(name, shape)
        return self.arrays[name]

    @property
    def data(self) -> dict[str, Shape]:
        """The shapes of the free data arrays that were made."""
        return {name: x.shape for name, x in self.arrays.items()}

    def trains(self, x: Expression) -> bool:
        """Whether a parameter is in an expression, or behind a free value in it that has slopes."""
        if id(x) not in self._trains:
            behind = {id(cut.value) for cut in self.cuts}
            stack, order = [x], list[Expression]()
            while stack:
                node = stack.pop()
                if id(node) not in self._trains:
                    order.append(node)
                    self._trains[id(node)] = (False, node)
                    stack.extend(node.args)
            for node in topological_order(order):
                known = any(self._trains[id(y)][0] for y in node.args)
                own = node.operation == "input" and node.attribute in self.parameters
                self._trains[id(node)] = (known or own or id(node) in behind, node)
        return self._trains[id(x)][0]


RECORDER: ContextVar[Recorder | None] = ContextVar("recorder", default=None)


def recorder(operation: str) -> Recorder:
    """The recorder of the model that is being made."""
    found = RECORDER.get()
    if found is None:
        raise ConslawError(
            f"conslaw.nn.{operation} makes free data for a model: call it in the potential that "
            f"conslaw.model is given"
        )
    return found


# constrained data, and the free arrays that they are made of


def sum_zero(
    record: Recorder, name: str, shape: Shape, axes: Sequence[int], allowed: Array | None = None
) -> tuple[Expression, Expression]:
    """Free data that sum to zero over some axes together, and the free array that they are made of.

    They are the sums of a free array over a copy of the axes, minus its sums over the axes themselves: no
    constant such as 1/n is needed, and all indices are alike.  Entries that are not ``allowed`` (a mask that
    broadcasts to the shape) are zero.
    """
    axes = sorted(a % len(shape) for a in axes)
    raw = record.free(name, (*shape, *(shape[a] for a in axes)))
    used = raw
    if allowed is not None:
        mask = np.broadcast_to(allowed, shape).astype(int)
        first = tuple(slice(0, 1) if mask.strides[i] == 0 else slice(None) for i in range(mask.ndim))
        other = np.moveaxis(mask, axes, range(-len(axes), 0))
        other = other.reshape(
            *(1 if i in axes else n for i, n in enumerate(shape)), *(shape[a] for a in axes)
        )
        one = mask[first].reshape(*mask[first].shape, *([1] * len(axes)))
        rest = tuple(
            slice(0, 1) if i < mask.ndim and mask.strides[i] == 0 else slice(None) for i in range(other.ndim)
        )
        used = raw * one * other[rest]
    kept = [a for a in range(len(shape)) if a not in axes]
    back = np.argsort([*kept, *axes]).tolist()
    sums = summed(used, tuple(range(len(shape), raw.ndim)))
    return sums - summed(used, tuple(axes)).transpose(back), raw


def raw_of_sum_zero(values: Array, axes: Sequence[int], allowed: Array | None = None) -> Array:
    """A free array whose :func:`sum_zero` is this one."""
    axes = sorted(a % values.ndim for a in axes)
    copies = [values.shape[a] for a in axes]
    raw = np.zeros((*values.shape, *copies), dtype=values.dtype)
    mask = np.broadcast_to(True if allowed is None else allowed, values.shape)
    last = np.moveaxis(mask, axes, range(-len(axes), 0)).reshape(*_others(values.shape, axes), -1)
    chosen = last.argmax(-1)  # the first allowed place of each row
    own = np.moveaxis(raw, axes, range(values.ndim - len(axes), values.ndim))
    flat = own.reshape(*_others(values.shape, axes), last.shape[-1], last.shape[-1])
    moved = np.moveaxis(values, axes, range(-len(axes), 0)).reshape(*chosen.shape, -1)
    np.put_along_axis(flat, np.broadcast_to(chosen[..., None, None], (*moved.shape, 1)), moved[..., None], -1)
    whole = flat.reshape(*_others(values.shape, axes), *copies, *copies)
    kept = [a for a in range(values.ndim) if a not in axes]
    return whole.transpose([*np.argsort([*kept, *axes]).tolist(), *range(values.ndim, whole.ndim)])


def _others(shape: Shape, axes: Sequence[int]) -> Shape:
    return tuple(n for i, n in enumerate(shape) if i not in axes)


def varying(x: Expression, axes: Sequence[int]) -> Expression | None:
    """An expression without its summands that are constant along some axes together; None if nothing is left.

    What sums to zero along the axes does not see them: a key's bias in a softmax, a bias before a BatchNorm.
    """
    return _Varying().of(x, frozenset(a % x.ndim for a in axes), 60)


class _Varying:
    """The varying summands of arrays of some code, each found once: sums of sums share their terms."""

    def __init__(self) -> None:
        self.known = dict[tuple[int, frozenset[int], int], Expression | None]()

    def of(self, x: Expression, axes: frozenset[int], depth: int) -> Expression | None:
        """Those of an array; below a depth it is left as it is."""
        if not depth:
            return x
        key = id(x), axes, depth
        if key not in self.known:
            self.known[key] = self._found(x, axes, depth - 1)
        return self.known[key]

    def _found(self, x: Expression, axes: frozenset[int], depth: int) -> Expression | None:
        if x.operation == "add":
            parts = [self.of(y, axes, depth) for y in x.args]
            left = [y for y in parts if y is not None]
            if len(left) == 2:
                return _with_arguments(x, left)
            return left[0] if left else None
        if x.operation == "constant":
            start = tuple(slice(0, 1) if i in axes else slice(None) for i in range(x.ndim))
            return None if bool((x.attribute == x.attribute[start]).all()) else x
        if x.operation == "product":
            return self._product(x, {x.attribute[2][i] for i in axes}, depth)
        if x.operation == "sum":
            kept = [i for i in range(x.args[0].ndim) if i not in x.attribute]
            inner = self.of(x.args[0], frozenset(kept[i] for i in axes), depth)
            return None if inner is None else _with_arguments(x, [inner])
        if x.operation in ("reshape", "take"):
            return self._view(x, axes, depth)
        return None if all(x.shape[i] == 1 for i in axes) else x

    def _view(self, x: Expression, axes: frozenset[int], depth: int) -> Expression | None:
        """Of entries that were moved, if the axes are kept."""
        [before] = x.args
        moved = x.operation == "take"
        links = axes_kept(x.attribute, before.shape) if moved else reshape_links(before.shape, x.shape)
        along = frozenset(i for i, j in links if j in axes)
        if len(along) < len(axes):
            return None if all(x.shape[i] == 1 for i in axes) else x
        inner = self.of(before, along, depth)
        return None if inner is None else _with_arguments(x, [inner])

    def _product(self, x: Expression, letters: set[str], depth: int) -> Expression | None:
        """Of a product: those of a factor that has all the axes, if the other is constant along them."""
        parts = list[Expression | None]()
        for factor, own in zip(x.args, x.attribute, strict=False):
            along = frozenset(own.index(c) for c in letters if c in own)
            parts.append(self.of(factor, along, depth) if along else None)
        if parts[0] is None and parts[1] is None:
            return None
        for i in (0, 1):
            part = parts[i]
            if parts[1 - i] is None and part is not None and letters <= set(x.attribute[i]):
                return _with_arguments(x, [part, x.args[1]] if i == 0 else [x.args[0], part])
        return x


def _with_arguments(x: Expression, arguments: Sequence[Expression]) -> Expression:
    """The same operation on other arrays of the same shapes; itself, if they are its own."""
    if all(y is z for y, z in zip(arguments, x.args, strict=True)):
        return x
    return Expression(x.operation, tuple(arguments), x.attribute, x.shape)


# filling in


def filled(
    readings: Sequence[Reading],
    potential: Expression,
    parameters: Mapping[str, Array],
    data: Mapping[str, Array],
    frozen: Mapping[str, tuple[Values, Values | None]] | None = None,
) -> dict[str, Array]:
    """The data that stand for nonlinearities, at real parameters and data.

    Gates and values are found from the inputs on, slopes from the output back.  With them the gradient of the
    potential is that of the real network; ``frozen`` has, by data, other functions than the real ones.
    """
    for room in ("activations", "attention", "convolutions", "normalisation"):  # they fill in REAL
        import_module(f"conslaw.models.nn.{room}")
    known: dict[str, Array] = {n: np.asarray(x, dtype=np.float64) for n, x in {**parameters, **data}.items()}
    numbers: NumPyNumbers[Array] = NumPyNumbers()
    made, arguments = dict[str, Array](), list[list[Array]]()
    functions = dict[tuple[str, ...], tuple[Values, Values | None]]()
    for r in readings:  # each needs only what was filled before
        if r.operation not in REAL:
            raise ConslawError(f"{r}: what it is at real inputs is not known; give its data")
        values = evaluate(r.arguments, {**known, **made}, numbers) if r.arguments else []
        arguments.append(values)
        functions[r.data] = (frozen or {}).get(r.data[0]) or REAL[r.operation]
        made |= dict(zip(r.data, functions[r.data][0](*values, **r.options), strict=True))
    order = topological_order([potential])
    slopes = {name for r in readings for name in r.slopes}
    returned = adjoints(order) if slopes else {}
    unknown = {
        x.attribute: np.zeros(x.shape) for x in order if x.operation == "input" and x.attribute in slopes
    }
    for r, values in reversed(list(zip(readings, arguments, strict=True))):
        back = functions[r.data][1]
        if r.slopes and back is not None and r.value is not None:
            # slopes before it are not known yet, and not needed
            adjoint = np.zeros(r.value.shape)
            if id(r.value) in returned:
                [adjoint] = evaluate([returned[id(r.value)]], {**unknown, **known, **made}, numbers)
            made |= dict(zip(r.slopes, back(*values, adjoint, **r.options), strict=True))
    return made

"""The true gradients of a network at its weights and at real inputs, enclosed in balls or exact mod p.

The readings of a model say which operation stands where; with the free data that stand for these at real
inputs the gradient of the potential is that of the network.  Inputs go in batches; for each the pieces of all
piecewise polynomial functions are found first, in balls, on a neighbourhood of the weights.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from math import prod
from typing import Any, Generic, TypeVar

import numpy as np

from conslaw.algebra.evaluation import _apply, gradient, topological_order
from conslaw.algebra.expressions import LETTERS, Expression
from conslaw.algebra.finite_field import Residues, from_integers
from conslaw.algebra.jets import Jet, Jets
from conslaw.attained import functions
from conslaw.attained.enclosures import Array, Balls, Enclosures, around, exactly
from conslaw.attained.given import views_of
from conslaw.errors import ConslawError
from conslaw.models.potential import Model
from conslaw.models.readings import Reading

T = TypeVar("T")
FREE = ("cross_entropy",)  # data of readings that loss and labels choose
BYTES = 2**29  # of all arrays of a batch


class Modular(Jets):
    """Residues of a batch, with what stands for nonlinearities."""

    def chosen(self, table: Sequence[Fraction], places: Array) -> Jet:
        """Entries of a table of rationals, by number (batch, *shape)."""
        return {0: from_integers(np.array(table, dtype=object), self.prime)[places]}

    def quotients(self, values: Array, denominator: int) -> Jet:
        """Whole numbers (batch, *shape) by a whole number."""
        inverse = np.uint64(pow(denominator, -1, self.prime))
        return {0: from_integers(values, self.prime) * inverse % np.uint64(self.prime)}


class Evaluation(Generic[T]):
    """Values of expressions over a number system, each found once; inputs may be added as they are known."""

    def __init__(self, numbers: Any, inputs: Mapping[str, T]) -> None:
        self.numbers, self.inputs = numbers, dict(inputs)
        self._values = dict[int, T]()

    def __call__(self, node: Expression) -> T:
        stack = [node]
        while stack:
            x = stack[-1]
            waiting = [y for y in x.args if id(y) not in self._values]
            if id(x) not in self._values and not waiting:
                arguments = [self._values[id(y)] for y in x.args]
                self._values[id(x)] = _apply(x, arguments, self.inputs, self.numbers)
            if not waiting:
                stack.pop()
            stack.extend(waiting)
        return self._values[id(node)]


@dataclass(frozen=True, eq=False)
class RealNetwork:
    """A model whose nonlinearities take the values that they have at real weights and inputs.

    Attributes
    ----------
    model : the model, with readings
    weights : its parameters, and data that are constants
    arrays : the parameters with respect to which gradients are taken
    """

    model: Model
    weights: Mapping[str, Array]
    arrays: tuple[str, ...]

    @property
    def width(self) -> int:
        """The number of scalar parameters with respect to which gradients are taken."""
        return sum(prod(self.model.parameters[n]) for n in self.arrays)

    @cached_property
    def filled(self) -> frozenset[str]:
        """The data that follow from the inputs."""
        rest = (r for r in self.model.readings if r.operation not in FREE and r.arguments)
        return frozenset(name for r in rest for name in (*r.data, *r.slopes))

    @cached_property
    def inputs(self) -> tuple[str, ...]:
        """The data that nonlinearities depend on, and that do not follow from others."""
        order = topological_order([x for r in self.model.readings for x in r.arguments])
        used = {x.attribute for x in order if x.operation == "input"}
        used |= set(views_of(self.model))
        rest = {n for r in self.model.readings if not r.arguments for n in r.data}
        known = {*self.filled, *self.weights}
        return tuple(n for n in self.model.data if n in used | rest and n not in known)

    @cached_property
    def free(self) -> tuple[str, ...]:
        """The data that losses choose: the gradients of all of their values are gradients of the network."""
        known = {*self.filled, *self.inputs, *self.weights}
        return tuple(n for n in self.model.data if n not in known)

    @cached_property
    def smooth(self) -> bool:
        """Whether some function is no piecewise polynomial."""
        known = (*functions.GATES, *functions.PIECEWISE, "max_pool", "stop_gradient", "embedding")
        return any(r.operation not in (*known, *FREE) and r.arguments for r in self.model.readings)

    @cached_property
    def _gradients(self) -> tuple[list[Expression], list[Expression]]:
        """With respect to the values of functions with slopes, and to the parameters."""
        order = topological_order([self.model.potential])
        nodes = {x.attribute: x for x in order if x.operation == "input"}
        values = [r.value for r in self.model.readings if r.slopes and r.value is not None]
        made = gradient(self.model.potential, [*values, *(nodes[n] for n in self.arrays)])
        return made[: len(values)], made[len(values) :]

    @cached_property
    def batch(self) -> int:
        """How many inputs fit into a batch."""
        order = topological_order([*self._gradients[0], *self._gradients[1]])
        return max(1, BYTES // (16 * (sum(prod(x.shape) for x in order) + self.width)))

    def patterns(self, inputs: Mapping[str, Array], number: int) -> tuple[list[Array | None], Array]:
        """For each reading the pieces (number, *shape) at these inputs, None of a smooth function; and for
        which inputs all are certain, on a neighbourhood of the weights.
        """
        numbers = Enclosures()
        found, sure = list[Array | None](), np.ones(number, bool)
        known = {n: around(x) for n, x in self.weights.items()} | {n: exactly(x) for n, x in inputs.items()}
        at: Evaluation[Balls] = Evaluation(numbers, known)
        for r in self.model.readings:
            if self._has_data(r, at):
                found.append(None)
                continue
            values = [at(x) for x in r.arguments]
            pattern, certain = _pattern(r, values)
            whole = None if pattern is None else np.broadcast_to(pattern, (number, *pattern.shape[1:]))
            found.append(whole)
            sure &= certain.reshape(len(certain), -1).all(1) & np.logical_and.reduce(
                [v.finite for v in values]
            )
            at.inputs |= _data(r, values, pattern, numbers)
        return found, sure

    def enclosed(self, data: Mapping[str, Array], patterns: Sequence[Array | None]) -> Balls:
        """The gradients (batch, parameters) at inputs and loss data."""
        known = {n: around(x) for n, x in self.weights.items()} | {n: exactly(x) for n, x in data.items()}
        parts = self._run(Evaluation(Enclosures(), known), patterns)
        return Balls(*(_rows([getattr(x, what) for x in parts]) for what in ("mid", "rad")))

    def modular(
        self,
        data: Mapping[str, Residues],
        patterns: Sequence[Array | None],
        weights: Mapping[str, Jet],
        p: int,
    ) -> Residues:
        """The same mod p, where no function is smooth."""
        known = {**weights, **{n: {0: x} for n, x in data.items()}}
        parts = self._run(Evaluation(Modular(p), known), patterns)
        return _rows([part[0] for part in parts])

    def _run(self, at: Evaluation[Any], patterns: Sequence[Array | None]) -> list[Any]:
        arguments = list[list[Any]]()
        for r, pattern in zip(self.model.readings, patterns, strict=True):
            known = self._has_data(r, at)
            arguments.append([] if known and not r.slopes else [at(x) for x in r.arguments])
            if not known:
                at.inputs |= _data(r, arguments[-1], pattern, at.numbers)
        to_values, to_parameters = self._gradients
        adjoints = {
            id(r): x for r, x in zip((r for r in self.model.readings if r.slopes), to_values, strict=True)
        }
        back = list(zip(self.model.readings, arguments, patterns, strict=True))
        for r, values, pattern in reversed(back):
            if r.slopes:
                at.inputs |= _slopes(r, values, pattern, at(adjoints[id(r)]), at.numbers)
        return [at(x) for x in to_parameters]

    def _has_data(self, r: Reading, at: Evaluation[Any]) -> bool:
        return r.operation in FREE or all(name in at.inputs for name in r.data)


def _rows(parts: Sequence[Array]) -> Array:
    """Arrays (batch or 1, *shape) side by side."""
    batch = max(len(x) for x in parts)
    flat = [np.broadcast_to(x, (batch, *x.shape[1:])).reshape(batch, -1) for x in parts]
    return np.concatenate(flat, axis=1)


def _pattern(r: Reading, values: Sequence[Balls]) -> tuple[Array | None, Array]:
    if r.operation in functions.GATES or r.operation in functions.PIECEWISE:
        return _pieces(r).found(values[0])
    if r.operation == "max_pool":
        return functions.largest(values[0], r.options["axes"], r.options["allowed"])
    return None, np.ones((1, 1), bool)


def _pieces(r: Reading) -> functions.Pieces:
    return (functions.GATES.get(r.operation) or functions.PIECEWISE[r.operation])(**r.options)


def _times(numbers: Any, x: Any, y: Any, axes: int) -> Any:
    letters = LETTERS[:axes]
    return numbers.product(x, y, letters, letters, letters)


def _data(r: Reading, values: Sequence[Any], pattern: Array | None, numbers: Any) -> dict[str, Any]:
    """The free data that stand for the value of an operation."""
    if r.operation in functions.GATES:
        made = numbers.chosen(_pieces(r).gates(), pattern)
    elif r.operation in functions.PIECEWISE:
        pieces, axes = _pieces(r), r.arguments[0].ndim
        made = numbers.chosen(pieces.coefficients(pieces.degree), pattern)
        for degree in reversed(range(pieces.degree)):  # Horner
            made = _times(numbers, made, values[0], axes)
            made = numbers.add(made, numbers.chosen(pieces.coefficients(degree), pattern))
    elif r.operation == "max_pool":
        assert pattern is not None
        weights = functions.selection(pattern, r.options["axes"], r.options["allowed"])
        made = numbers.quotients(*weights)
    elif r.operation == "stop_gradient":
        made = values[0]
    elif r.operation in functions.SMOOTH:
        value = functions.SMOOTH[r.operation][0]
        made = functions.in_balls(functions.entry_by_entry(value, **r.options), values[0])
    elif r.operation in functions.JOINT and values:
        value_of = functions.JOINT[r.operation][0]
        made = functions.in_balls(lambda z: value_of(z, **r.options), values[0])
    else:
        raise ConslawError(
            f"{r}: its value at real inputs is not known; give inputs={{{r.data[0]!r}: ...}} as well"
        )
    return {r.data[0]: made}


def _slopes(
    r: Reading, values: Sequence[Any], pattern: Array | None, adjoint: Any, numbers: Any
) -> dict[str, Any]:
    """The free data that stand for what the argument gets of the gradient."""
    if r.operation in functions.PIECEWISE:
        pieces, axes = _pieces(r), r.arguments[0].ndim
        made = numbers.chosen(pieces.coefficients(1), pattern)
        if pieces.degree == 2:
            twice = numbers.chosen([2 * c for c in pieces.coefficients(2)], pattern)
            made = numbers.add(made, _times(numbers, twice, values[0], axes))
        return {r.slopes[0]: _times(numbers, made, adjoint, axes)}
    if r.operation in functions.SMOOTH:
        slope = functions.SMOOTH[r.operation][1]
        made = functions.in_balls(functions.entry_by_entry(slope, **r.options), values[0])
        return {r.slopes[0]: _times(numbers, made, adjoint, r.arguments[0].ndim)}
    slopes_of = functions.JOINT[r.operation][1]
    made = functions.in_balls(lambda z, u: slopes_of(z, u, **r.options), values[0], adjoint)
    return {r.slopes[0]: made}

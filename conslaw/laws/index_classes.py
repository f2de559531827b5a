"""Index classes: which axes of a flow's arrays are indexed by the same neurons, read off its array code.

Two axes belong to one class if the code ties them together: by a contraction, a sum, or the gradient of an
array.  A class is *uniform* if the code treats all its indices alike.  Uniform array code makes sense for any
number of neurons, so a flow can be cut down to some of them (:meth:`IndexClasses.resized`), and what is true
of the small flow for structural reasons is true of the large one.  Such reasons are found by running the code
over abstract numbers (:mod:`conslaw.algebra.interpretations`): whether some neurons decouple from the others,
which sign flips change nothing, how many distinct indices a monomial can have.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache, reduce
from math import prod
from operator import xor

from conslaw.algebra.evaluation import evaluate, topological_order
from conslaw.algebra.expressions import Expression
from conslaw.algebra.interpretations import OWN, Counts, Decoupling, DistinctIndices, Kinds, Parities
from conslaw.algebra.uniform_axes import RIGID, Axes, UniformAxes, resized_indices, resized_shape
from conslaw.errors import ConslawError
from conslaw.flows.flow import Flow, velocity

Lengths = Mapping[int, int]


@dataclass(frozen=True, eq=False)
class IndexClasses:
    """The uniform index classes of a flow.

    Attributes
    ----------
    flow : Flow
    lengths : mapping from class to its number of indices
    state, data : mapping from array name to the class of each of its axes
    zero : state arrays that are to vanish at the points looked at, such as biases that would tie all neurons
        together
    flips : a symmetry that is made use of (see :meth:`signs`); empty for none
    same : state arrays that have the values of others at the point of a splitting
    """

    flow: Flow
    lengths: Lengths
    state: Mapping[str, Axes]
    data: Mapping[str, Axes]
    zero: frozenset[str] = frozenset()
    flips: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    same: Mapping[str, str] = field(default_factory=dict)

    @staticmethod
    @lru_cache(maxsize=64)
    def of(flow: Flow) -> IndexClasses:
        """The classes of a flow, from the expressions of its fields and its model's potential; found once."""
        arrays, numbers = {**flow.state, **flow.data}, UniformAxes()
        axes = {name: numbers.array(shape) for name, shape in arrays.items()}
        moves = [(name, value) for one in flow.fields for name, value in one.items()]
        outputs = [value for _, value in moves] + ([flow.model.potential] if flow.model else [])
        found = evaluate(outputs, axes, numbers)
        for (name, _), value in zip(moves, found, strict=False):
            numbers.tie(value.axes, axes[name].axes)
        for name, dot in velocities(flow).items():
            numbers.tie(axes[name].axes, axes[dot].axes)
        classes = {name: numbers.classes(x) for name, x in axes.items()}
        lengths = {
            c: n for name, x in classes.items() for c, n in zip(x, arrays[name], strict=True) if c != RIGID
        }
        return IndexClasses(
            flow, lengths, {n: classes[n] for n in flow.state}, {n: classes[n] for n in flow.data}
        )

    def without(self, frozen: Iterable[int], zero: Iterable[str]) -> IndexClasses:
        """The same with some classes taken for rigid and some state arrays set to zero."""
        gone = set(frozen)

        def left(arrays: Mapping[str, Axes]) -> dict[str, Axes]:
            return {
                name: tuple(RIGID if c in gone else c for c in classes) for name, classes in arrays.items()
            }

        lengths = {c: n for c, n in self.lengths.items() if c not in gone}
        return IndexClasses(self.flow, lengths, left(self.state), left(self.data), frozenset(zero))

    def members(self) -> list[list[list[str | int]]]:
        """For each class the axes that belong to it, as array and number."""
        arrays = {**self.state, **self.data}
        return [
            [[n, i] for n, axes in arrays.items() for i, k in enumerate(axes) if k == c] for c in self.lengths
        ]

    def with_data(self, more: Mapping[str, Axes]) -> IndexClasses:
        """The same with more data arrays, of these classes."""
        return replace(self, data={**self.data, **more})

    def axes(self, outputs: Sequence[Expression], values_of: Sequence[str] = ()) -> dict[int, Axes]:
        """The class of each axis of each node that the outputs depend on, by id; all other axes are rigid.

        ``values_of`` names the state arrays that the outputs are velocities of, if they are.
        """
        known, numbers, nodes = {**self.state, **self.data}, UniformAxes(), topological_order(outputs)
        arrays = {x.attribute: numbers.array(x.shape) for x in nodes if x.operation == "input"}
        found = dict(zip(map(id, nodes), evaluate(nodes, arrays, numbers), strict=True))
        tied = [(x.axes, known.get(name, (RIGID,) * len(x.axes))) for name, x in arrays.items()]
        tied += [(found[id(x)].axes, known[name]) for x, name in zip(outputs, values_of, strict=False)]
        names = dict[int, int]()
        for ids, classes in tied:
            for i, c in zip(ids, classes, strict=True):
                if names.setdefault(numbers.root(i), c) != c:  # the outputs tie two classes together
                    numbers.stiffen([i])
        return {
            node: tuple(RIGID if c == RIGID else names.get(c, RIGID) for c in numbers.classes(x))
            for node, x in found.items()
        }

    def resized(
        self, outputs: Sequence[Expression], lengths: Lengths, values_of: Sequence[str] = ()
    ) -> list[Expression]:
        """The same expressions for other numbers of indices (at most those there are); classes not named keep
        theirs.
        """
        axes, made = self.axes(outputs, values_of), dict[int, Expression]()
        for node in topological_order(outputs):
            shape = resized_shape(node.shape, axes[id(node)], lengths)
            arguments = tuple(made[id(x)] for x in node.args)
            attribute = node.attribute
            if node.operation == "constant":
                attribute = attribute[tuple(slice(n) for n in shape)] if shape else attribute
            elif node.operation == "take":
                attribute = resized_indices(attribute, node.args[0].shape, shape, arguments[0].shape)
            elif node.operation == "put":
                attribute = resized_indices(attribute, node.shape, arguments[0].shape, shape)
            made[id(node)] = Expression(node.operation, arguments, attribute, shape)
        return [made[id(x)] for x in outputs]

    def dimension(self, lengths: Lengths) -> int:
        """The dimension of the flow with other numbers of indices, which is not built for it."""
        return sum(
            prod(resized_shape(shape, self.state[name], lengths)) for name, shape in self.flow.state.items()
        )

    def smaller_flow(self, lengths: Lengths) -> Flow:
        """The flow of the same array code with other numbers of indices."""
        flow = self.flow
        fields = [
            dict(zip(x, self.resized(list(x.values()), lengths, list(x)), strict=True)) for x in flow.fields
        ]
        state = {name: resized_shape(shape, self.state[name], lengths) for name, shape in flow.state.items()}
        for name, value in (pair for x in fields for pair in x.items()):
            if value.shape != state[name]:
                raise ConslawError(f"the velocity of {name} cannot be cut down to fewer neurons")
        data = {name: resized_shape(shape, self.data[name], lengths) for name, shape in flow.data.items()}
        return replace(flow, state=state, data=data, fields=tuple(fields), metric_entries={})

    def decouples(self, output: Expression, *, first_order: bool = True) -> bool:
        """Whether some neurons T decouple from the others R, whatever the numbers of both.

        True proves: if all data with an index in R are zero, then f(state; data) = f_T(state_T; data_T) +
        terms of order two in the *mixed* entries of the state: those with indices in T and in R, and those of
        ``zero`` with indices in R.  f_T is the same code for the neurons T only.  Where the output has axes,
        this holds for its entries with all indices in T. With ``first_order=False``: the same if all state
        entries but those with all indices in T are set to zero.
        """
        kinds = self.kinds([output], self.axes([output]), first_order=first_order)
        return kinds is not None and only_own(kinds[0], output)

    def kinds(
        self,
        outputs: Sequence[Expression],
        axes: Mapping[int, Axes],
        *,
        first_order: bool = True,
        given: Mapping[str, Kinds] | None = None,
    ) -> list[Kinds] | None:
        """Which kinds of terms the entries of outputs have (:class:`Decoupling`); None if they tie classes
        together that are not one.  ``axes`` are those of the outputs, ``given`` inputs of known kinds.
        """
        known = {**self.state, **self.data}
        inputs = {x.attribute: axes[id(x)] for x in topological_order(outputs) if x.operation == "input"}
        if any(classes != known[name] for name, classes in inputs.items()):
            return None
        arrays = dict[str, Kinds](given or {})
        for name in inputs:
            if name not in arrays:
                vanishing = name in self.zero
                free = name in self.flow.state
                arrays[name] = Decoupling(axes).array(
                    inputs[name], free=free, vanishing=vanishing, first_order=first_order
                )
        return evaluate(outputs, arrays, Decoupling(axes))

    def signs(self, *, vectors: bool = True) -> dict[str, tuple[int, ...]]:
        """A symmetry of the model's potential: flipping the sign of one index flips each array entry as often
        as this says.

        For each array and axis 0 or 1: whether entries change sign when the sign of an index of this axis is
        flipped.  Found by linear algebra over GF(2), from the condition that every term of the array code is
        a sum of terms that change alike.  Matrices shall be even where both indices are the same neuron, and
        otherwise change sign as often as they can; arrays with one axis in the classes shall change sign
        (``vectors``), so that they vanish where signs may be flipped, or shall not.
        """
        assert self.flow.model is not None
        output = self.flow.model.potential
        axes, parameters = self.axes([output]), list(self.flow.model.parameters)
        arrays = {**{n: self.state[n] for n in parameters}, **self.data}
        places = [(n, i) for n, a in arrays.items() for i in range(len(a))]
        unknown = {place: 1 << k for k, place in enumerate(places)}
        numbers = Parities(axes)
        inputs = {n: [unknown[n, i] for i in range(len(a))] for n, a in arrays.items()}
        [parity] = evaluate([output], inputs, numbers)
        conditions = [unknown[n, i] for n, a in arrays.items() for i, c in enumerate(a) if c == RIGID]
        conditions += numbers.conditions
        conditions += [x for x, c in zip(parity, axes[id(output)], strict=True) if c != RIGID]
        system = _EquationsMod2(len(unknown))
        for condition in conditions:
            if not system.add(condition, 0):
                return {}
        movable = {n: [unknown[n, i] for i, c in enumerate(a) if c != RIGID] for n, a in arrays.items()}
        matrices = [n for n in parameters if len(movable[n]) > 1]
        wishes = [(reduce(xor, movable[n]), 0) for n in matrices] + [
            (x, 1) for n in matrices for x in movable[n]
        ]
        wishes += [(x, int(vectors)) for n in parameters for x in movable[n]]
        wishes += [(x, 0) for n in arrays for x in movable[n]]
        for mask, bit in wishes:
            system.add(mask, bit)
        found = {n: tuple(system.value(x) for x in inputs[n]) for n in arrays}
        return found if any(any(x) for x in found.values()) else {}

    def distinct_indices(
        self, outputs: Sequence[Expression], axes: Mapping[int, Axes], given: Mapping[str, Counts]
    ) -> list[Counts]:
        """For each class a bound on the number of distinct indices that one monomial of an entry of each
        output involves, those of the entry itself not counted.

        None if something with indices is a denominator: over a common denominator a monomial has the indices
        of all of them.  ``axes`` are those of the outputs, ``given`` inputs for whose entries this is known.
        """
        numbers = DistinctIndices(axes)
        names = {x.attribute for x in topological_order(outputs) if x.operation == "input"}
        return evaluate(outputs, {**{name: numbers.array() for name in names}, **given}, numbers)


def only_own(kinds: Kinds, output: Expression) -> bool:
    """Whether the entries with all indices in T have terms of T alone."""
    return kinds.get((False,) * output.ndim, 0) & ~OWN == 0


def velocities(flow: Flow) -> dict[str, str]:
    """The state array that holds the velocity of each parameter array, in a momentum flow."""
    return (
        {name: velocity(name) for name in flow.model.parameters}
        if flow.model and flow.name == "momentum"
        else {}
    )


class _EquationsMod2:
    """Linear equations over GF(2): masks of variables, with bit ``constant`` for the right-hand side, in
    echelon form.
    """

    def __init__(self, count: int) -> None:
        self.constant, self.rows = 1 << count, dict[int, int]()

    def reduced(self, mask: int) -> int:
        for pivot, row in self.rows.items():
            if mask & pivot:
                mask ^= row
        return mask

    def add(self, mask: int, bit: int) -> bool:
        """Add an equation; False, and nothing changed, if it contradicts those before."""
        left = self.reduced(mask | (self.constant if bit else 0))
        variables = left & (self.constant - 1)
        if not variables:
            return not left
        pivot = variables & -variables
        self.rows = {p: row ^ left if row & pivot else row for p, row in self.rows.items()} | {pivot: left}
        return True

    def value(self, mask: int) -> int:
        """The value of a sum of variables, those not determined being 0."""
        return int(bool(self.reduced(mask) & self.constant))

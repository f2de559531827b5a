"""Index classes: which axes of a flow's arrays are indexed by the same neurons, read off its array code.

Two axes belong to one class if the code ties them together: by a contraction, a sum, or the gradient of an
array.  A class is
*uniform* if the code treats all its indices alike (no index is picked out, no constant varies along it).
Array code that is uniform makes sense for any number of neurons, so a flow can be cut down to some of its
neurons (:meth:`IndexClasses.resized`), and what is true of the small flow for structural reasons is true of
the large one.  Two such reasons are decided here by abstract evaluation, exactly: whether some neurons
decouple from the others, and how many distinct indices a monomial can have.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from itertools import product
from math import prod
from operator import xor

import numpy as np

from conslaw.algebra.expressions import Expression, Indices, Shape, topological_order
from conslaw.errors import ConslawError
from conslaw.flows.flow import Flow, velocity

Axes = tuple[int, ...]  # the class of each axis of an array; RIGID for an axis of no uniform class
Lengths = Mapping[int, int]

RIGID = -1
OWN, OTHER, MIXED = 1, 2, 4  # see `_signs`


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
    """

    flow: Flow
    lengths: Lengths
    state: Mapping[str, Axes]
    data: Mapping[str, Axes]
    zero: frozenset[str] = frozenset()
    flips: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    @staticmethod
    def of(flow: Flow) -> IndexClasses:
        """Read the classes off the expressions of a flow and of its model's potential."""
        arrays = {**flow.state, **flow.data}
        outputs = [value for field in flow.fields for value in field.values()] + (
            [flow.model.potential] if flow.model else []
        )
        axes = _Axes(arrays)
        nodes = topological_order(outputs)
        for node in nodes:
            axes.add(node)
        for one in flow.fields:
            for name, value in one.items():
                axes.tie(axes.of[id(value)], axes.arrays[name])
        for name, dot in velocities(flow).items():
            axes.tie(axes.arrays[name], axes.arrays[dot])
        classes = {name: axes.classes(ids) for name, ids in axes.arrays.items()}
        lengths = {
            c: n
            for name, ids in classes.items()
            for c, n in zip(ids, arrays[name], strict=True)
            if c != RIGID
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

    def with_data(self, more: Mapping[str, Axes]) -> IndexClasses:
        """The same with more data arrays, of these classes."""
        return replace(self, data={**self.data, **more})

    def axes(self, outputs: Sequence[Expression], values_of: Sequence[str] = ()) -> dict[int, Axes]:
        """The class of each axis of each node that the outputs depend on, by id; all other axes are rigid.

        ``values_of`` names the state arrays that the outputs are velocities of, if they are.
        """
        known = {**self.state, **self.data}
        axes = _Axes({})
        result: dict[int, Axes] = {}
        nodes = topological_order(outputs)
        for node in nodes:
            axes.add(node)
        names = dict[int, int]()
        tied = [(ids, known.get(name, (RIGID,) * len(ids))) for name, ids in axes.arrays.items()]
        tied += [(axes.of[id(x)], known[name]) for x, name in zip(outputs, values_of, strict=False)]
        for ids, classes in tied:
            for i, c in zip(ids, classes, strict=True):
                names.setdefault(axes.root(i), c)
                if names[axes.root(i)] != c:  # the outputs tie two classes together
                    axes.stiff.add(axes.root(i))
        for node in nodes:
            roots = [axes.root(i) for i in axes.of[id(node)]]
            result[id(node)] = tuple(RIGID if r in axes.stiff else names.get(r, RIGID) for r in roots)
        return result

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
                attribute = _resized_indices(attribute, node.args[0].shape, shape, arguments[0].shape)
            elif node.operation == "put":
                attribute = _resized_indices(attribute, node.shape, arguments[0].shape, shape)
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
        axes, known = self.axes([output]), {**self.state, **self.data}
        for node in topological_order([output]):
            if node.operation == "input" and axes[id(node)] != known[node.attribute]:
                return False  # it ties classes together that are not one
        signs = self._signs(output, axes, first_order)
        own = tuple(False for _ in output.shape)
        return signs.get(own, 0) & ~OWN == 0

    def _signs(
        self, output: Expression, axes: Mapping[int, Axes], first_order: bool
    ) -> dict[tuple[bool, ...], int]:
        """What the entries of the output consist of, block by block: a block says for each axis whether its
        index is in R.

        OWN: terms in entries of T alone; OTHER: terms without mixed entries that involve R; MIXED: terms
        linear in mixed entries.
        """
        values = dict[int, dict[tuple[bool, ...], int]]()
        for node in topological_order([output]):
            classes = axes[id(node)]
            blocks = list(product(*[(False, True) if c != RIGID else (False,) for c in classes]))
            arguments = [values[id(x)] for x in node.args]
            if node.operation == "input":
                movable = [[r for c, r in zip(classes, b, strict=True) if c != RIGID] for b in blocks]
                parameter = node.attribute in self.flow.state
                mixed = MIXED if parameter and first_order else 0
                other = mixed if node.attribute in self.zero else OTHER if mixed else 0
                value = {
                    b: OWN if not any(m) else other if all(m) else mixed
                    for b, m in zip(blocks, movable, strict=True)
                }
            elif node.operation == "constant":
                full = any(v != 0 for v in node.attribute.ravel())
                value = {b: (OTHER if any(b) else OWN) if full else 0 for b in blocks}
            elif node.operation == "add":
                value = {b: arguments[0].get(b, 0) | arguments[1].get(b, 0) for b in blocks}
            elif node.operation == "product":
                value = _product_of_signs(arguments[0], arguments[1], *node.attribute)
            elif node.operation == "sum":
                value = {}
                for b, s in arguments[0].items():
                    kept = tuple(r for i, r in enumerate(b) if i not in node.attribute)
                    value[kept] = value.get(kept, 0) | s
            elif node.operation == "reciprocal":
                value = {b: OWN if s == OWN else OTHER | MIXED for b, s in arguments[0].items()}
            else:
                inner, outer = node.args[0], node
                value = dict.fromkeys(blocks, 0)
                links = _links(node.operation, node.attribute, inner.shape, outer.shape)
                for b, s in arguments[0].items():
                    for image in blocks:
                        if all(b[i] == image[j] for i, j in links):
                            value[image] |= s
            values[id(node)] = value
        return values[id(output)]

    def signs(self, *, vectors: bool = True) -> dict[str, tuple[int, ...]]:
        """A symmetry of the model's potential: flipping the sign of one index flips each array entry as often
        as this says.

        For each array and axis 0 or 1: whether entries change sign when the sign of an index of this axis is
        flipped.  Found by linear algebra over GF(2), from the condition that every term of the array code is
        a sum of terms that change alike. Matrices shall be even where both indices are the same neuron, and
        otherwise change sign as often as they can; arrays with one axis in the classes shall change sign
        (``vectors``), so that they vanish where signs may be flipped, or shall not.
        """
        assert self.flow.model is not None
        output = self.flow.model.potential
        axes, parity, conditions = self.axes([output]), dict[int, list[int]](), list[int]()
        arrays = {**{n: self.state[n] for n in self.flow.model.parameters}, **self.data}
        variables = {
            (n, i): 1 << k
            for k, (n, i) in enumerate((n, i) for n, a in arrays.items() for i in range(len(a)))
        }
        conditions += [variables[n, i] for n, a in arrays.items() for i, c in enumerate(a) if c == RIGID]
        for node in topological_order([output]):
            arguments, rank = [parity[id(x)] for x in node.args], node.ndim
            if node.operation == "input":
                value = [variables[node.attribute, i] for i in range(rank)]
            elif node.operation == "constant":
                value = [0] * rank
            elif node.operation == "add":
                conditions += [x ^ y for x, y in zip(*arguments, strict=True)]
                value = arguments[0]
            elif node.operation == "product":
                a, b, out = node.attribute
                total = dict.fromkeys(a + b, 0)
                for letter, x in zip(a + b, [*arguments[0], *arguments[1]], strict=True):
                    total[letter] ^= x
                conditions += [x for letter, x in total.items() if letter not in out]
                value = [total[letter] for letter in out]
            elif node.operation == "sum":
                conditions += [arguments[0][i] for i in node.attribute]
                value = [x for i, x in enumerate(arguments[0]) if i not in node.attribute]
            else:
                links = _links(node.operation, node.attribute, node.args[0].shape, node.shape)
                value = [0] * rank
                for i, j in links:
                    value[j] ^= arguments[0][i]
                conditions += [x for i, x in enumerate(arguments[0]) if i not in {i for i, _ in links}]
            parity[id(node)] = value
        conditions += [x for x, c in zip(parity[id(output)], axes[id(output)], strict=True) if c != RIGID]
        system = _Parities(len(variables))
        for condition in conditions:
            if not system.add(condition, 0):
                return {}
        movable = {n: [variables[n, i] for i, c in enumerate(a) if c != RIGID] for n, a in arrays.items()}
        parameters = list(self.flow.model.parameters)
        matrices = [n for n in parameters if len(movable[n]) > 1]
        wishes = [(reduce(xor, movable[n]), 0) for n in matrices] + [
            (x, 1) for n in matrices for x in movable[n]
        ]
        wishes += [(x, int(vectors)) for n in parameters for x in movable[n]] + [
            (x, 0) for n in arrays for x in movable[n]
        ]
        for mask, bit in wishes:
            system.add(mask, bit)
        found = {n: tuple(system.value(variables[n, i]) for i in range(len(a))) for n, a in arrays.items()}
        return found if any(any(x) for x in found.values()) else {}

    def distinct_indices(self, output: Expression) -> dict[int, int] | None:
        """For each class a bound on the number of distinct indices that one monomial of a scalar (or of one
        entry) involves.

        None if something with indices is a denominator: over a common denominator a monomial has the indices
        of all of them.
        """
        axes, counts = self.axes([output]), dict[int, dict[int, int]]()
        for node in topological_order([output]):
            classes, arguments = axes[id(node)], [counts[id(x)] for x in node.args]
            if node.operation == "reciprocal" and (arguments[0] or any(c != RIGID for c in classes)):
                return None
            if node.operation == "add":
                first, second = arguments
                counts[id(node)] = {c: max(first.get(c, 0), second.get(c, 0)) for c in {*first, *second}}
                continue
            total = dict[int, int]()
            for one in arguments:
                for c, n in one.items():
                    total[c] = total.get(c, 0) + n
            gone: list[int] = []
            if node.operation == "product":
                a, b, out = node.attribute
                by_letter = dict(zip(a + b, [*axes[id(node.args[0])], *axes[id(node.args[1])]], strict=True))
                gone = [c for letter, c in by_letter.items() if letter not in out]
            elif node.operation == "sum":
                gone = [axes[id(node.args[0])][i] for i in node.attribute]
            elif node.operation in ("take", "put"):
                gone = [c for c in axes[id(node.args[0])] if c not in classes]
            for c in gone:
                total[c] = total.get(c, 0) + 1
            counts[id(node)] = total
        result = counts[id(output)]
        for c in axes[id(output)]:
            result[c] = result.get(c, 0) + 1
        return {c: n for c, n in result.items() if c != RIGID}


def velocities(flow: Flow) -> dict[str, str]:
    """The state array that holds the velocity of each parameter array, in a momentum flow."""
    return (
        {name: velocity(name) for name in flow.model.parameters}
        if flow.model and flow.name == "momentum"
        else {}
    )


class _Parities:
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


class _Axes:
    """Union-find over the axes of nodes: ``of`` a node by id, ``arrays`` by name of an input; ``stiff`` roots
    are not uniform.
    """

    def __init__(self, arrays: Mapping[str, Shape]) -> None:
        self.parent: list[int] = []
        self.stiff: set[int] = set()
        self.of: dict[int, list[int]] = {}
        self.arrays: dict[str, list[int]] = {name: self.new(len(shape)) for name, shape in arrays.items()}

    def new(self, count: int) -> list[int]:
        start = len(self.parent)
        self.parent.extend(range(start, start + count))
        return list(range(start, start + count))

    def root(self, i: int) -> int:
        while self.parent[i] != i:
            self.parent[i] = self.parent[self.parent[i]]
            i = self.parent[i]
        return i

    def tie(self, left: Sequence[int], right: Sequence[int]) -> None:
        for i, j in zip(left, right, strict=True):
            a, b = self.root(i), self.root(j)
            if a != b:
                self.parent[b] = a
                if b in self.stiff:
                    self.stiff.add(a)

    def stiffen(self, ids: Iterable[int]) -> None:
        self.stiff.update(self.root(i) for i in ids)

    def classes(self, ids: Sequence[int]) -> Axes:
        return tuple(RIGID if self.root(i) in self.stiff else self.root(i) for i in ids)

    def add(self, node: Expression) -> None:
        """Tie the axes of a node, whose arguments are known, to theirs."""
        arguments = [self.of[id(x)] for x in node.args]
        if node.operation == "input":
            self.arrays.setdefault(node.attribute, [])
            if len(self.arrays[node.attribute]) != node.ndim:
                self.arrays[node.attribute] = self.new(node.ndim)
            ids = self.arrays[node.attribute]
        elif node.operation == "product":
            a, b, out = node.attribute
            by_letter = dict(zip(b, arguments[1], strict=True))
            for letter, i in zip(a, arguments[0], strict=True):
                self.tie([i], [by_letter.setdefault(letter, i)])
            ids = [by_letter[letter] for letter in out]
        elif node.operation == "sum":
            ids = [i for axis, i in enumerate(arguments[0]) if axis not in node.attribute]
        elif node.operation == "add":
            self.tie(*arguments)
            ids = arguments[0]
        elif node.operation == "reciprocal":
            ids = arguments[0]
        else:
            ids = self.new(node.ndim)
            if node.operation == "constant":
                v = node.attribute
                self.stiffen(i for axis, i in enumerate(ids) if not (v == v.take([0], axis)).all())
            else:
                inner, outer = node.args[0].shape, node.shape
                links = _links(node.operation, node.attribute, inner, outer)
                self.stiffen(arguments[0][i] for i in range(len(inner)) if i not in {i for i, _ in links})
                self.stiffen(ids[j] for j in range(len(outer)) if j not in {j for _, j in links})
                for i, j in links:
                    self.tie([arguments[0][i]], [ids[j]])
        self.of[id(node)] = ids


def _links(operation: str, indices: Indices, inner: Shape, outer: Shape) -> list[tuple[int, int]]:
    """The pairs (axis before, axis after) that a take, put or reshape keeps as they are."""
    if operation == "put":
        return [(i, j) for j, i in _axes_kept(indices, outer)]
    return _axes_kept(indices, inner) if operation == "take" else _reshape_links(inner, outer)


def _axes_kept(indices: Indices, shape: Shape) -> list[tuple[int, int]]:
    """The pairs (i, j) such that axis i of an array of this shape is axis j of the array of its flat
    positions ``indices``.
    """
    coordinates = np.unravel_index(indices, shape)
    links: list[tuple[int, int]] = []
    for i, c in enumerate(coordinates):
        for j, n in enumerate(indices.shape):
            line = np.arange(n).reshape([n if k == j else 1 for k in range(indices.ndim)])
            if shape[i] == n > 1 and (c == line).all():
                links.append((i, j))
                break
    for i, c in enumerate(coordinates):  # an axis that others of the picked positions depend on is not kept
        if i not in {i for i, _ in links}:
            links = [(k, j) for k, j in links if (c == c.take([0], j)).all()]
    return links + _unit_links(shape, indices.shape, links)


def _unit_links(inner: Shape, outer: Shape, links: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Axes of length 1 before and after, in order, if there are equally many."""
    left = [i for i, n in enumerate(inner) if n == 1 and i not in {i for i, _ in links}]
    right = [j for j, n in enumerate(outer) if n == 1 and j not in {j for _, j in links}]
    return list(zip(left, right, strict=True)) if len(left) == len(right) else []


def _reshape_links(inner: Shape, outer: Shape) -> list[tuple[int, int]]:
    """The pairs of axes that a reshape keeps: those that are neither merged nor cut."""
    left, right = ([(k, n) for k, n in enumerate(shape) if n != 1] for shape in (inner, outer))
    links, i, j = list[tuple[int, int]](), 0, 0
    while i < len(left) and j < len(right):
        if left[i][1] == right[j][1]:
            links.append((left[i][0], right[j][0]))
            i, j = i + 1, j + 1
            continue
        a, b = left[i][1], right[j][1]
        i, j = i + 1, j + 1
        while a != b:
            if a < b:
                a, i = a * left[i][1], i + 1
            else:
                b, j = b * right[j][1], j + 1
    return links + _unit_links(inner, outer, links)


def resized_shape(shape: Shape, classes: Axes, lengths: Lengths) -> Shape:
    """The shape of an array with axes of these classes for other numbers of neurons."""
    return tuple(lengths.get(c, n) if c != RIGID else n for n, c in zip(shape, classes, strict=True))


def _resized_indices(indices: Indices, shape: Shape, new: Shape, into: Shape) -> Indices:
    """Flat positions ``indices`` in an array of ``shape`` for other lengths: of shape ``new``, in an array of
    shape ``into``.
    """
    links = dict(_axes_kept(indices, shape))
    kept = set(links.values())
    grid = np.indices(new)
    coordinates = []
    for i, c in enumerate(np.unravel_index(indices, shape)):
        fixed = c[tuple(slice(1) if j in kept else slice(None) for j in range(indices.ndim))]
        coordinates.append(grid[links[i]] if i in links else np.broadcast_to(fixed, new))
    return np.asarray(np.ravel_multi_index(coordinates, into)) if prod(new) else np.zeros(new, dtype=np.intp)


def _product_of_signs(
    x: Mapping[tuple[bool, ...], int], y: Mapping[tuple[bool, ...], int], a: str, b: str, out: str
) -> dict[tuple[bool, ...], int]:
    value = dict[tuple[bool, ...], int]()
    for (left, s), (right, t) in product(x.items(), y.items()):
        where = dict(zip(a, left, strict=True))
        if any(where.setdefault(letter, r) != r for letter, r in zip(b, right, strict=True)):
            continue
        plain, other = (
            OWN | OTHER,
            OTHER if (s & OTHER and t & (OWN | OTHER)) or (s & OWN and t & OTHER) else 0,
        )
        mixed = MIXED if (s & MIXED and t & plain) or (s & plain and t & MIXED) else 0
        image = tuple(where[letter] for letter in out)
        value[image] = value.get(image, 0) | (s & t & OWN) | other | mixed
    return value

"""Any place: a network of pixels as the code of one pixel, whose laws are those of all.

Where a potential is a sum over places (the pixels of an image, the tokens of a text), it is the sum of what
its code makes at one place each.  That is written out for a place that stays a symbol: its neighbours are at
the place plus a number, and data at different neighbours are free data of their own; padding is a free
factor.  At every place the potential is this one at some data, so every law of it is a law of the network.
Statement and proof: What is proved.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import product
from math import prod
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from conslaw.algebra.evaluation import evaluate, topological_order
from conslaw.algebra.expressions import (
    Expression,
    Indices,
    Shape,
    as_expression,
    contract,
    input_array,
    summed,
)
from conslaw.algebra.uniform_axes import Links, UniformAxes, axes_kept, reshape_links
from conslaw.models.potential import Model

MOST_ENTRIES = 4000  # of arrays that are written out at a place
DEEPEST = 300  # nodes on a way through the code, two calls each: Python allows 1000 in all

Place: TypeAlias = tuple[Fraction, tuple[tuple[int, Fraction], ...]]
"""A number plus multiples of symbols: where an entry is on an axis."""

Index: TypeAlias = tuple[Place | None, ...]  # of an array; None for a uniform axis, which is kept as a whole


class Unfit(Exception):  # noqa: N818
    """The code is not of this kind."""


@dataclass(frozen=True)
class Entry:
    """What an array is at an index: an array with its uniform axes; ``sums`` are the symbols it is summed
    over.
    """

    value: Expression
    sums: frozenset[int] = frozenset()


def at_any_place(whole: Model) -> tuple[Expression, dict[str, Shape]] | None:
    """The potential at one place, in the parameters and free data, and the shapes of the data.

    None if it is not a sum over places, or too long.
    """
    places = _Places(whole)
    if not places.found:
        return None
    try:
        entry = places.at(places.order[-1], ())
    except Unfit:
        return None
    return (entry.value, places.data) if entry and places.symbols else None


def number(value: int | Fraction) -> Place:
    """A place that is a number."""
    return (Fraction(value), ())


def combined(start: Fraction, parts: Sequence[tuple[Fraction, Place]]) -> Place:
    """A number plus multiples of places."""
    symbols = dict[int, Fraction]()
    for factor, (constant, own) in parts:
        start += factor * constant
        for symbol, k in own:
            symbols[symbol] = symbols.get(symbol, Fraction(0)) + factor * k
    return (start, tuple(sorted((s, k) for s, k in symbols.items() if k)))


@dataclass(frozen=True)
class _Map:
    """How the rigid coordinates of the entries of one array depend on those in another: for each axis there
    the start and the step along each axis here, None where that is not linear; with the table of all of them.
    """

    linear: list[tuple[int, dict[int, int]] | None]
    table: list[Indices]
    links: Links


class _Places:
    """The code of a model at places that are symbols."""

    def __init__(self, whole: Model) -> None:
        self.whole, self.order = whole, topological_order([whole.potential])
        numbers, arrays = UniformAxes(), {**whole.parameters, **whole.data}
        inputs = {name: numbers.array(shape) for name, shape in arrays.items()}
        ends = evaluate(self.order, inputs, numbers)
        own = {numbers.root(i) for name in whole.parameters for i in inputs[name].axes}
        self.kinds = dict[int, str]()  # a letter for each axis: uniform, place, or number
        for node, tied in zip(self.order, ends, strict=True):
            roots = [numbers.root(i) for i in tied.axes]
            self.kinds[id(node)] = "".join(
                "u" if i not in numbers.stiff else "n" if i in own or n == 1 else "p"
                for i, n in zip(roots, node.shape, strict=True)
            )
        self.found = any("p" in kinds for kinds in self.kinds.values())
        self.known = dict[tuple[int, Index], Entry | None]()
        self.data, self.names = dict[str, Shape](), dict[tuple[object, Index], Expression]()
        self.symbols, self.depth = 0, 0
        self.maps = dict[int, _Map]()
        self.stem = "place"
        while any(name.startswith(self.stem) for name in whole.parameters):
            self.stem += "_"

    def at(self, node: Expression, index: Index) -> Entry | None:
        """The entry of a node; None for zero."""
        key = (id(node), index)
        if key not in self.known:
            self.depth += 1
            if self.depth > DEEPEST or len(self.known) > MOST_ENTRIES:
                raise Unfit
            self.known[key] = getattr(self, f"_{node.operation}")(node, index)
            self.depth -= 1
        return self.known[key]

    def _free(self, what: object, index: Index, shape: Shape) -> Entry:
        """Free data of this shape, the same for the same entry."""
        if (what, index) not in self.names:
            name = f"{self.stem}_{len(self.data)}"
            self.data[name] = shape
            self.names[what, index] = input_array(name, shape)
        return Entry(self.names[what, index])

    def _uniform(self, node: Expression) -> Shape:
        return tuple(n for n, kind in zip(node.shape, self.kinds[id(node)], strict=True) if kind == "u")

    def _input(self, node: Expression, index: Index) -> Entry | None:
        if node.attribute in self.whole.data:
            return self._free(node.attribute, index, self._uniform(node))
        chosen = tuple(slice(None) if i is None else _whole_number(i) for i in index)
        return Entry(node[chosen] if index else node)

    def _constant(self, node: Expression, index: Index) -> Entry | None:
        values = np.asarray(
            node.attribute[tuple(0 if i is None else slice(None) for i in index)], dtype=object
        )
        given = [i for i in index if i is not None]
        places = tuple(slice(None) if i[1] else _whole_number(i) for i in given)
        chosen = np.asarray(values[places], dtype=object).reshape(-1)
        if any(v != chosen[0] for v in chosen):
            return self._free(id(node), index, self._uniform(node))
        full = np.empty(self._uniform(node), dtype=object)
        full.fill(chosen[0])
        return Entry(as_expression(full)) if chosen[0] != 0 else None

    def _add(self, node: Expression, index: Index) -> Entry | None:
        entries = list[Entry]()
        for x in node.args:  # a comprehension would be one more call on the way
            if e := self.at(x, index):
                entries += [e]
        return self._sum_of(entries)

    def _sum_of(self, entries: Sequence[Entry]) -> Entry | None:
        """The sum of entries; what is not summed over all symbols of the others has a free factor."""
        if not entries:
            return None
        sums = frozenset[int]().union(*(e.sums for e in entries))
        total: Expression | None = None
        for e in entries:
            value = e.value
            if e.sums != sums:
                value = value * self._free(("factor", sums - e.sums), (), ()).value
            total = value if total is None else total + value
        assert total is not None
        return Entry(total, sums)

    def _product(self, node: Expression, index: Index) -> Entry | None:
        a, b, out = node.attribute
        kinds = dict(zip(a + b, self.kinds[id(node.args[0])] + self.kinds[id(node.args[1])], strict=True))
        sizes = dict(zip(a + b, node.args[0].shape + node.args[1].shape, strict=True))
        of: dict[str, Place | None] = dict.fromkeys(kinds) | dict(zip(out, index, strict=True))
        gone = [c for c in kinds if c not in out and kinds[c] != "u"]
        left, right, result = ("".join(c for c in s if kinds[c] == "u") for s in (a, b, out))
        terms = list[Entry]()
        for chosen, symbols in self._summed([(kinds[c], sizes[c]) for c in gone]):
            here = {**of, **dict(zip(gone, chosen, strict=True))}
            x = self.at(node.args[0], tuple(here[c] for c in a))
            y = self.at(node.args[1], tuple(here[c] for c in b))
            if not x or not y:
                continue
            if x.sums & y.sums:
                raise Unfit  # the square of a sum is not the sum of squares
            terms.append(Entry(contract(x.value, y.value, left, right, result), x.sums | y.sums | symbols))
        return self._sum_of(terms)

    def _summed(self, axes: Sequence[tuple[str, int]]) -> list[tuple[list[Place], frozenset[int]]]:
        """The values of summation indices: each of an axis of numbers, a new symbol for an axis of places."""
        choices, symbols = list[list[Place]](), list[int]()
        for kind, n in axes:
            if kind == "p":
                self.symbols += 1
                symbols.append(self.symbols)
                choices.append([(Fraction(0), ((self.symbols, Fraction(1)),))])
            else:
                choices.append([number(k) for k in range(n)])
        if prod(map(len, choices)) > MOST_ENTRIES:
            raise Unfit
        return [(list(chosen), frozenset(symbols)) for chosen in product(*choices)]

    def _sum(self, node: Expression, index: Index) -> Entry | None:
        [x] = node.args
        kinds = self.kinds[id(x)]
        gone = [i for i in node.attribute if kinds[i] != "u"]
        uniform = [i for i, kind in enumerate(kinds) if kind == "u"]
        axes = tuple(k for k, i in enumerate(uniform) if i in node.attribute)
        terms = list[Entry]()
        for chosen, symbols in self._summed([(kinds[i], x.shape[i]) for i in gone]):
            here, left = dict(zip(gone, chosen, strict=True)), iter(index)
            full = tuple(
                here[i] if i in here else None if i in node.attribute else next(left) for i in range(x.ndim)
            )
            if e := self.at(x, full):
                terms.append(Entry(summed(e.value, axes), e.sums | symbols))
        return self._sum_of(terms)

    def _take(self, node: Expression, index: Index) -> Entry | None:
        [x] = node.args
        there = self._map(node, x, node)
        given = [i for i in index if i is not None]
        source = list[Place | None]()
        for kind, line, table in zip(self.kinds[id(x)], there.linear, there.table, strict=True):
            if kind == "u":
                source.append(None)
            elif line is not None:
                source.append(
                    combined(Fraction(line[0]), [(Fraction(s), given[j]) for j, s in line[1].items()])
                )
            else:
                source.append(number(int(table[tuple(_whole_number(i) for i in given)])))
        e = self.at(x, tuple(source))
        return e and Entry(_turned(e.value, self._order(x, node, there.links)), e.sums)

    _reshape = _take

    def _put(self, node: Expression, index: Index) -> Entry | None:
        [x] = node.args
        there = self._map(x, node, node)
        rigid = [j for j, kind in enumerate(self.kinds[id(x)]) if kind != "u"]
        source, free = {j: number(0) for j in rigid if x.shape[j] == 1}, False
        for i, (kind, line) in enumerate(zip(self.kinds[id(node)], there.linear, strict=True)):
            if kind == "u":
                continue
            place, n = index[i], node.shape[i]
            if line is None or place is None or len(line[1]) > 1:
                raise Unfit
            start, steps = line
            if not steps:
                if place[1]:
                    free = True
                elif place[0] != start:
                    return None
                continue
            [(k, step)] = steps.items()
            j = rigid[k]
            if j in source:
                raise Unfit
            source[j] = combined(Fraction(-start, step), [(Fraction(1, step), place)])
            constant, symbols = source[j]
            if not symbols and (constant.denominator > 1 or not 0 <= constant < x.shape[j]):
                return None
            free = free or (bool(symbols) and (start, step, x.shape[j]) != (0, 1, n))
        if set(source) != set(rigid):
            raise Unfit
        full = tuple(source.get(j) for j in range(x.ndim))
        e = self.at(x, full)
        if e is None:
            return None
        value = _turned(e.value, self._order(x, node, [(j, i) for i, j in there.links]))
        return Entry(value * self._free(id(node), index, ()).value if free else value, e.sums)

    def _map(self, here: Expression, there: Expression, node: Expression) -> _Map:
        """Where in ``there`` the entries of ``here`` are; ``links`` are pairs (axis there, axis here)."""
        if id(node) not in self.maps:
            if node.operation == "reshape":
                indices, links = (
                    np.arange(here.size).reshape(here.shape),
                    reshape_links(there.shape, here.shape),
                )
            else:
                indices, links = node.attribute, axes_kept(node.attribute, there.shape)
            rigid: Indices = indices[tuple(0 if k == "u" else slice(None) for k in self.kinds[id(here)])]
            table = [np.asarray(c) for c in np.unravel_index(rigid, there.shape)]
            self.maps[id(node)] = _Map([_linear(c) for c in table], table, links)
        return self.maps[id(node)]

    def _order(self, x: Expression, result: Expression, links: Links) -> list[int]:
        """For each uniform axis of the result the number of that of x among its uniform ones."""
        before = [i for i, kind in enumerate(self.kinds[id(x)]) if kind == "u"]
        of = {j: before.index(i) for i, j in links if i in before}
        after = [j for j, kind in enumerate(self.kinds[id(result)]) if kind == "u"]
        if len(after) != len(before) or any(j not in of for j in after):
            raise Unfit
        return [of[j] for j in after]


def _linear(c: npt.NDArray[np.intp]) -> tuple[int, dict[int, int]] | None:
    """The start and the steps of a table of coordinates that is linear."""
    start, steps = int(c.reshape(-1)[0]), dict[int, int]()
    line = np.full(c.shape, start)
    for j, n in enumerate(c.shape):
        if n > 1:
            step = int(c.take([1], axis=j).reshape(-1)[0]) - start
            if step:
                steps[j] = step
                line = line + step * np.arange(n).reshape([-1 if k == j else 1 for k in range(c.ndim)])
    return (start, steps) if (line == c).all() else None


def _turned(x: Expression, order: Sequence[int]) -> Expression:
    return x if list(order) == sorted(order) else x.transpose(*order)


def _whole_number(place: Place) -> int:
    constant, symbols = place
    if symbols or constant.denominator > 1:
        raise Unfit
    return int(constant)

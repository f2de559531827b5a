"""SymPy symbols of any kind and name as named arrays, and back."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from keyword import iskeyword
from math import prod
from typing import Any

import numpy as np

from conslaw.algebra.expressions import Expression, Shape
from conslaw.errors import ConslawError

Index = tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Symbols:
    """Symbols, in the order in which they were given, as scalars and as entries of arrays.

    Entries of an ``IndexedBase`` or a ``MatrixSymbol`` that fill a box become one array of its name; any
    other symbol becomes a scalar.  A name that is no identifier is written with underscores (``x_{1}`` as
    ``x_1``, ``lambda`` as ``lambda_``).

    Attributes: ``own`` the symbols; ``places`` the array and the index of each; ``shapes`` of the arrays.
    """

    own: Sequence[Any]
    places: Sequence[tuple[str, Index]]
    shapes: Mapping[str, Shape]

    @staticmethod
    def of(what: str, given: Any, others: Sequence[Symbols] = ()) -> Symbols:
        """The symbols that a user gave, whose names differ from those of others."""
        own = [x for symbol in as_list(given) for x in (as_list(symbol) if _is_matrix(symbol) else [symbol])]
        taken = {name for x in others for name in x.shapes}
        known = [x for y in others for x in y.own]
        seen = [str(x) for x in (*known, *own)]  # two symbols that print alike would make laws unreadable
        wrong = [x for i, x in enumerate(own, len(known)) if not _is_symbol(x) or seen.index(str(x)) < i]
        if wrong or not own:
            detail = f", not {wrong[0]!r}" if wrong else ""
            raise ConslawError(
                f"{what}={given!r}: give distinct SymPy symbols, or entries of an IndexedBase or a "
                f"MatrixSymbol{detail}"[:500]
            )
        bases = dict[Any, list[Index]]()
        for x in own:
            if (base := _base(x)) is not None:
                bases.setdefault(base, []).append(
                    tuple(map(int, x.indices if _is_indexed(x) else x.args[1:]))
                )
        boxes = {b: tuple(max(i) + 1 for i in zip(*at, strict=True)) for b, at in bases.items() if _fills(at)}
        names, shapes, places = dict[Any, str](), dict[str, Shape](), list[tuple[str, Index]]()
        for x in own:
            key = base if (base := _base(x)) in boxes else x
            if key not in names:
                names[key] = _free(identifier(str(key)), taken)
                taken.add(names[key])
                shapes[names[key]] = boxes.get(key, ())
            index = tuple(map(int, x.indices if _is_indexed(x) else x.args[1:])) if key in boxes else ()
            places.append((names[key], index))
        return Symbols(own, places, shapes)

    @cached_property
    def by_array(self) -> dict[str, tuple[Any, ...]]:
        """The symbols of each array, in C order: how laws are written in SymPy."""
        known = dict(zip(self.places, self.own, strict=True))
        return {
            name: tuple(known[name, index] for index in np.ndindex(*shape))
            for name, shape in self.shapes.items()
        }

    def columns(self, array: Callable[[str], Expression]) -> list[Expression]:
        """The symbols as scalars, out of the arrays."""
        return [array(name)[index] if index else array(name) for name, index in self.places]

    def arrays(self, vector: Expression) -> dict[str, Expression]:
        """The arrays, from the vector of a value for each symbol."""
        number = {place: i for i, place in enumerate(self.places)}
        return {
            name: vector[np.array([number[name, i] for i in np.ndindex(*shape)])].reshape(shape)
            if shape
            else vector[number[name, ()]]
            for name, shape in self.shapes.items()
        }


def as_list(value: Any) -> list[Any]:
    """The entries of a list, a matrix or an array, or the one expression."""
    if isinstance(value, str | Mapping) or value is None:
        raise ConslawError(f"{value!r}: give SymPy expressions, or a list or matrix of them")
    if _is_matrix(value):
        value = value.as_explicit()
    if hasattr(value, "tolist"):
        return list(np.ravel(np.array(value.tolist(), dtype=object)))
    return list(value) if isinstance(value, Iterable) else [value]


def identifier(name: str) -> str:
    """A name as Python can write it; the name itself, if it can."""
    if name.isidentifier() and re.fullmatch(r"[^\W\d_]\w*", name) and not iskeyword(name):
        return name
    plain = re.sub(r"[\W_]+", "_", name).strip("_")
    if not plain or not plain[0].isalpha():
        plain = f"x{plain}"
    return f"{plain}_" if iskeyword(plain) else plain


def _free(name: str, taken: set[str]) -> str:
    """The name, with underscores until it is free."""
    while name in taken:
        name += "_"
    return name


def _is_matrix(x: Any) -> bool:
    """Whether this is a SymPy matrix of known size that is not written out."""
    import sympy

    return (
        isinstance(x, sympy.MatrixExpr) and hasattr(x, "as_explicit") and all(n.is_Integer for n in x.shape)
    )


def _is_indexed(x: Any) -> bool:
    import sympy

    return isinstance(x, sympy.Indexed)


def _base(x: Any) -> Any:
    """Of which ``IndexedBase`` or ``MatrixSymbol`` this is an entry."""
    from sympy.matrices.expressions.matexpr import MatrixElement

    return x.base if _is_indexed(x) else (x.parent if isinstance(x, MatrixElement) else None)


def _is_symbol(x: Any) -> bool:
    """Whether this is a symbol, or an entry at numbers of an array that is one."""
    import sympy
    from sympy.matrices.expressions.matexpr import MatrixElement

    if _is_indexed(x):
        indices = x.indices
    elif isinstance(x, MatrixElement):
        if not isinstance(x.parent, sympy.MatrixSymbol):
            return False
        indices = x.args[1:]
    else:
        return isinstance(x, sympy.Symbol)
    return all(i.is_Integer and i >= 0 for i in indices)


def _fills(indices: list[Index]) -> bool:
    """Whether indices are those of an array, each once."""
    if len({len(i) for i in indices}) != 1:
        return False
    ends = [max(i) + 1 for i in zip(*indices, strict=True)]
    return prod(ends) == len(indices) and set(indices) == set(product(*map(range, ends)))

"""The entries of laws in matrix notation as sums of parts that are quick to evaluate, on NumPy arrays and on
torch tensors.

Of a combination of arrays each term is linear in one array, or bilinear in two (twice the same, as a rule):
a form.  What is watched in training and what is evaluated at weights are sums of the same forms.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, TypeAlias

import numpy as np

from conslaw.errors import check_memory
from conslaw.laws.candidates import Candidate, Combination

Arrays: TypeAlias = Mapping[str, Any]
Values: TypeAlias = Any  # a vector: an array of NumPy, or a tensor


class Form(Protocol):
    """A linear or bilinear form."""

    multiplies: ClassVar[bool]
    """Whether it makes matrix products, which automatic mixed precision would round."""

    def __call__(self, *arrays: Values) -> Values:
        """Its value."""


@dataclass(frozen=True, eq=False)
class Part:
    """A linear form of one array, or a bilinear form of two, which is symmetric if they are the same: a
    vector of numbers.

    Attributes
    ----------
    arrays : the names of its arguments
    form : the form, on what is looked at of these
    index : what is looked at of each array
    """

    arrays: tuple[str, ...]
    form: Form
    index: tuple[slice, ...] = ()

    def of(self, x: Arrays) -> Values:
        """Its value at a point."""
        return self.form(*[x[name][self.index] if self.index else x[name] for name in self.arrays])

    def between(self, x: Arrays, y: Arrays) -> Values:
        """The symmetric bilinear form whose square is a part of degree 2."""
        one, other = self.arrays
        if one == other:
            return self.form(*[z[one][self.index] if self.index else z[one] for z in (x, y)])
        a, b, c, d = (z[n][self.index] if self.index else z[n] for z in (x, y) for n in (one, other))
        return (self.form(a, d) + self.form(c, b)) / 2


def parts_of(combination: Combination) -> list[Part]:
    """The parts of all entries that are no repetitions, in the order of :meth:`Candidate.distinct`."""
    return [Part(tuple(n for n, _ in c.factors), form_of(c)) for _, c in combination.terms]


def form_of(candidate: Candidate) -> Form:
    """The form of a candidate."""
    if candidate.is_matrix:
        skew = candidate.kind == "skew"
        return Gram(*axes_of(candidate), *np.triu_indices(candidate.size, int(skew)), skew)
    return Sums(summed(candidate), order_of(candidate))


def values_of(combination: Combination, x: Arrays) -> Any:
    """The whole array of a combination at a point, of shape (each, ...) if there is one for each slice,
    without the power of time.
    """
    like = combination.like
    side = like.size if like.is_matrix else 1
    check_memory(40.0 * like.each * like.size * side, "the values of a family of laws")
    parts = zip(combination.terms, parts_of(combination), strict=True)
    distinct = sum(coefficient * part.of(x) for (coefficient, _), part in parts)
    if not like.is_matrix:
        shapes = dict(pair for n, letters in like.factors for pair in zip(letters, x[n].shape, strict=True))
        return np.reshape(distinct, tuple(shapes[c] for c in like.out))
    rows, columns = np.triu_indices(like.size, int(like.kind == "skew"))
    whole = np.zeros((like.each, like.size, like.size))
    distinct = np.reshape(distinct, (like.each, len(rows)))
    whole[:, columns, rows] = -distinct if like.kind == "skew" else distinct
    whole[:, rows, columns] = distinct
    return whole if len(like.out) > 2 else whole[0]


def labels_of(like: Candidate, entries: list[str]) -> list[str]:
    """One for each entry, of each slice."""
    return [f"{h},{x}" for h in range(like.each) for x in entries] if like.each > 1 else entries


def axes_of(candidate: Candidate) -> tuple[int | None, int]:
    """The axis of the slices of an array, if there are some, and that of which Gram matrices are made."""
    letters = candidate.factors[0][1]
    return (letters.index(candidate.out[0]) if candidate.each > 1 else None), letters.index(candidate.out[-2])


def summed(candidate: Candidate) -> tuple[int, ...]:
    """Which axes are summed over."""
    return tuple(i for i, c in enumerate(candidate.factors[0][1]) if c not in candidate.out)


def order_of(candidate: Candidate) -> tuple[int, ...]:
    """The order in which the other axes are wanted; nothing if it is theirs."""
    kept = [c for c in candidate.factors[0][1] if c in candidate.out]
    order = tuple(kept.index(c) for c in candidate.out)
    return order if order != tuple(range(len(order))) else ()


def first_of(candidate: Candidate, count: int) -> tuple[slice, ...]:
    """So many indices of the axis that is not summed over, the first ones."""
    letters = candidate.factors[0][1]
    return (*[slice(None)] * letters.index(candidate.out), slice(count))


def _permuted(array: Values, order: Sequence[int]) -> Values:
    return array.permute(order) if hasattr(array, "permute") else array.transpose(order)


def _unfolded(array: Values, head: int | None, axis: int) -> Values:
    """An array as matrices, one for each slice, with that axis first."""
    first = [axis] if head is None else [head, axis]
    order = [*first, *(i for i in range(array.ndim) if i not in first)]
    array = _permuted(array, order)
    sizes = tuple(array.shape)
    return array.reshape(1 if head is None else sizes[0], sizes[len(first) - 1], -1)


@dataclass(frozen=True)
class Sums:
    """Sums of entries, or of products of two arrays entry by entry, over some axes."""

    axes: tuple[int, ...]
    order: tuple[int, ...]
    multiplies: ClassVar[bool] = False

    def __call__(self, *arrays: Values) -> Values:
        product = arrays[0] * arrays[1] if len(arrays) > 1 else arrays[0]
        total = product.sum(self.axes) if self.axes else product
        total = total if hasattr(total, "reshape") else np.asarray(total)  # one object is no array
        total = _permuted(total, self.order) if self.order else total
        return total if total.ndim == 1 else total.reshape(-1)


@dataclass(frozen=True, eq=False)
class Gram:
    """The entries of A B' that are no repetitions, symmetric (A B' + B A') / 2, or skew A B' - B A'."""

    head: int | None
    axis: int
    rows: Any
    columns: Any
    skew: bool
    multiplies: ClassVar[bool] = True

    def __call__(self, x: Values, y: Values) -> Values:
        one, other = (_unfolded(z, self.head, self.axis) for z in (x, y))
        gram = one @ other.swapaxes(1, 2)
        upper, lower = gram[:, self.rows, self.columns], gram[:, self.columns, self.rows]
        return (upper - lower if self.skew else (upper + lower) / 2).reshape(-1)


@dataclass(frozen=True, eq=False)
class Probed:
    """z' A B' z for some vectors z."""

    head: int | None
    axis: int
    probes: Any
    multiplies: ClassVar[bool] = True

    def __call__(self, x: Values, y: Values) -> Values:
        probes = x.new_tensor(self.probes) if hasattr(x, "new_tensor") else self.probes
        one = _unfolded(x, self.head, self.axis).swapaxes(1, 2) @ probes
        other = one if y is x else _unfolded(y, self.head, self.axis).swapaxes(1, 2) @ probes
        return (one * other).sum(1).reshape(-1)

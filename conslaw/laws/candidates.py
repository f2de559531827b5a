"""Candidates for laws, made of the model's own arrays: contractions of one array, or of two that belong
together.

From every array A of the state and each of its axes: Gram matrices (also those of the slices by another
axis, such as attention heads), norms and sums of slices, the whole array and its norm, and with velocities
the skew products; of two arrays with the same index classes the product entry by entry.  Their number is
bounded by that of arrays and axes, whatever the sizes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import combinations
from math import prod
from operator import add, mul
from typing import NamedTuple

import numpy as np

from conslaw.algebra.einsum import einsum
from conslaw.algebra.expressions import LETTERS, Expression, Shape, input_array
from conslaw.algebra.uniform_axes import RIGID, Axes
from conslaw.flows.coordinates import Coordinate, latex_name, text_name
from conslaw.flows.flow import TIME, Flow
from conslaw.laws.index_classes import IndexClasses, velocities

ORDER = ("symmetric", "skew", "array", "vector", "scalar")  # the larger a family, the earlier it is tried
MOST_ALIKE = 8  # arrays with the same classes of which products are looked at


@dataclass(frozen=True)
class Candidate:
    """An array of functions of the state: a contraction of ``factors`` (array, letters) to the letters
    ``out``.

    ``kind``, ``size`` and ``each`` are those of :class:`LawFamily`; a skew one is the contraction minus its
    transpose. ``text`` and ``latex`` are how it is written, in signed parts.
    """

    kind: str
    size: int
    factors: tuple[tuple[str, str], ...]
    out: str
    text: tuple[str, ...]
    latex: tuple[str, ...]
    each: int = 1

    @property
    def is_matrix(self) -> bool:
        """Whether it is a square matrix, or one for each slice, of which half the entries are repetitions."""
        return self.kind in ("symmetric", "skew")

    @property
    def signs(self) -> tuple[int, ...]:
        """The sign of each part."""
        return (1, -1)[: len(self.text)]

    @property
    def transposed(self) -> str:
        """The letters of the transpose: of each slice, if there are several."""
        return self.out[:-2] + self.out[:-3:-1]

    @property
    def entries(self) -> int:
        """The number of entries that are not repetitions."""
        matrix = {"symmetric": self.size * (self.size + 1) // 2, "skew": self.size * (self.size - 1) // 2}
        return self.each * matrix.get(self.kind, self.size)

    def fits(self, state: Mapping[str, Shape]) -> bool:
        """Whether it is a contraction of arrays of this state as they are made here, of its kind and size."""
        sizes, letters = dict[str, int](), [own for _, own in self.factors]
        for name, own in self.factors:
            if (
                len(own) != len(state.get(name, own + " "))
                or len({*own}) < len(own)
                or not set(own) <= set(LETTERS)
            ):
                return False
            if any(sizes.setdefault(c, n) != n for c, n in zip(own, state[name], strict=True)):
                return False
        if not 1 <= len(letters) <= 2 or len({*self.out}) < len(self.out) or not {*self.out} <= sizes.keys():
            return False
        lengths = [sizes[c] for c in self.out]
        if self.is_matrix:
            if not 2 <= len(self.out) <= 3:
                return False
            one, other = self.out[-2], self.out[-1]
            pair = len(letters) == 2 and letters[0].replace(one, other) == letters[1] and one in letters[0]
            return pair and prod(lengths[:-2]) == self.each and lengths[-2:] == [self.size] * 2
        heads = [] if self.each == 1 else [self.each]
        whole = prod(lengths) == self.each * self.size and lengths[: len(heads)] == heads
        return len({*letters}) == 1 and whole

    def array(self, state: Mapping[str, Expression]) -> Expression:
        """The whole array, of shape (size, size) for a matrix, (each, size, size) for one for each slice."""
        arrays = [state[name] for name, _ in self.factors]
        letters = ",".join(letters for _, letters in self.factors)
        value = einsum(f"{letters}->{self.out}", *arrays)
        return value - einsum(f"{letters}->{self.transposed}", *arrays) if self.kind == "skew" else value

    def entry(self, state: Mapping[str, Expression], index: Sequence[int]) -> Expression:
        """One entry of it, from the slices of the arrays that it is made of."""

        def value(out: str) -> Expression:
            chosen = dict(zip(out, index, strict=True))
            slices = [
                state[name][tuple(chosen.get(c, slice(None)) for c in letters)]
                for name, letters in self.factors
            ]
            return reduce(mul, slices).sum()

        return value(self.out) - value(self.transposed) if self.kind == "skew" else value(self.out)

    def axes(self, classes: IndexClasses) -> Axes:
        """The class of each of its axes."""
        pairs = [zip(letters, classes.state[name], strict=True) for name, letters in self.factors]
        by_letter = {letter: c for pair in pairs for letter, c in pair}
        return tuple(by_letter[letter] for letter in self.out)

    def terms(self, state: Mapping[str, Shape]) -> int:
        """How many terms all its entries have together."""
        sizes = {
            letter: n
            for name, letters in self.factors
            for letter, n in zip(letters, state[name], strict=True)
        }
        return prod(sizes.values()) * len(self.text)

    def distinct(self, array: Expression) -> Expression:
        """The entries that are not repetitions, as a vector."""
        if self.is_matrix:
            rows, columns = np.triu_indices(array.shape[-1], int(self.kind == "skew"))
            return array[..., rows, columns].reshape(-1)
        return array.reshape(-1)


@dataclass(frozen=True)
class Combination:
    """A linear combination of candidates, times a power of time."""

    terms: tuple[tuple[int, Candidate], ...]
    power: int

    @property
    def like(self) -> Candidate:
        """A candidate of its kind."""
        return self.terms[0][1]

    @property
    def names(self) -> frozenset[str]:
        """The arrays of the state that it is made of."""
        return frozenset(name for _, candidate in self.terms for name, _ in candidate.factors)

    def array(self, state: Mapping[str, Expression]) -> Expression:
        """The whole array, without the power of time."""
        return reduce(add, [coefficient * candidate.array(state) for coefficient, candidate in self.terms])

    def timed(self, value: Expression) -> Expression:
        """With the power of time."""
        return input_array(TIME, ()) ** self.power * value if self.power else value

    def written(self, time: Coordinate | None, *, latex: bool) -> str:
        """As text or LaTeX, with the power of time in front."""
        minus, parts = "-" if latex else "−", []
        for coefficient, candidate in self.terms:
            for sign, written in zip(
                candidate.signs, candidate.latex if latex else candidate.text, strict=True
            ):
                size = "" if abs(coefficient) == 1 else f"{abs(coefficient)} "
                parts.append((coefficient * sign < 0, size + written))
        head = (minus if parts[0][0] else "") + parts[0][1]
        whole = head + "".join(f" {minus if negative else '+'} {written}" for negative, written in parts[1:])
        if not self.power or time is None:
            return whole
        factor = time.latex(self.power) if latex else time.text(self.power)
        return f"{factor} ({whole})" if len(parts) > 1 else f"{factor} {whole}"


def arrays_of(flow: Flow) -> dict[str, Expression]:
    """The arrays of the state as expressions."""
    return {name: input_array(name, shape) for name, shape in flow.state.items()}


def candidates(flow: Flow) -> Iterator[Candidate]:
    """Functions of one array of the state and, in a momentum flow, its velocity; products of two arrays."""
    moving, sliced = velocities(flow), _pairs_of_axes(flow)
    k, h = "k", "h"  # the same in a window and in the whole, whatever arrays are called
    for name, shape in flow.state.items():
        if name == TIME and flow.time:
            continue
        text, latex, letters = text_name(name), latex_name(name), LETTERS[: len(shape)]
        twice = ((name, letters), (name, letters))
        yield Candidate(
            "array" if shape else "scalar", prod(shape), ((name, letters),), letters, (text,), (latex,)
        )
        yield Candidate("scalar", 1, twice, "", (_norm(text, shape),), (_norm(latex, shape, latex=True),))
        if len(shape) == 1:
            total = (f"Σ{text}[{k}]",), (rf"\textstyle\sum_{k} {latex}_{k}",)
            yield Candidate("scalar", 1, ((name, letters),), "", *total)
        for axis, n in enumerate(shape):
            out, kind = letters[axis], "vector" if n > 1 else "scalar"
            index = ",".join(k if i == axis else ":" for i in range(len(shape)))
            if len(shape) > 1:
                written = (f"Σ{text}[{index}]",), (rf"\textstyle\sum {latex}_{{{index}}}",)
                yield Candidate(kind, n, ((name, letters),), out, *written)
            squared = (
                (f"‖{text}[{index}]‖²", rf"\|{latex}_{{{index}}}\|^2")
                if len(shape) > 1
                else (f"{text}[{k}]²", f"{latex}_{k}^2")
            )
            yield Candidate(kind, n, twice, out, squared[:1], squared[1:])
            if n == 1:
                continue
            first, other = (name, letters), letters.replace(out, "Y")
            for slices in (None, *(i for i in range(len(shape)) if (name, i, axis) in sliced)):
                head, each = ("", 1) if slices is None else (letters[slices], shape[slices])
                own = _Unfolding(name, axis, len(shape), slices, h)
                if slices is not None and len(shape) > 2:
                    index = ",".join(h if i == slices else k if i == axis else ":" for i in range(len(shape)))
                    written = (f"Σ{text}[{index}]",), (rf"\textstyle\sum {latex}_{{{index}}}",)
                    yield Candidate("vector", n, ((name, letters),), head + out, *written, each)
                    written = (f"‖{text}[{index}]‖²",), (rf"\|{latex}_{{{index}}}\|^2",)
                    yield Candidate("vector", n, twice, head + out, *written, each)
                matrix = head + out + "Y"
                gram, gram_latex = _product(own, own)
                yield Candidate("symmetric", n, (first, (name, other)), matrix, (gram,), (gram_latex,), each)
                if name in moving:
                    dotted = own._replace(name=moving[name])
                    texts, latexs = zip(_product(own, dotted), _product(dotted, own), strict=True)
                    yield Candidate("skew", n, (first, (moving[name], other)), matrix, texts, latexs, each)
    yield from _products_of_two(flow, k)


def _pairs_of_axes(flow: Flow) -> set[tuple[str, int, int]]:
    """The arrays and pairs of their axes (slices, axis) whose slices have Gram matrices of interest: those of
    three axes or more, and matrices with the same two index classes, such as the biases of heads.
    """
    classes = IndexClasses.of(flow).state
    pairs = [
        (name, i, j, ((classes[name][i], shape[i]), (classes[name][j], shape[j])))
        for name, shape in flow.state.items()
        for i in range(len(shape))
        for j in range(len(shape))
        if i != j and shape[i] > 1
    ]
    known = {kind for name, _, _, kind in pairs if len(flow.state[name]) > 2}
    return {(name, i, j) for name, i, j, kind in pairs if kind in known}


def _products_of_two(flow: Flow, k: str) -> Iterator[Candidate]:
    """The products, entry by entry, of two arrays with the same index classes."""
    classes, alike = IndexClasses.of(flow), dict[tuple[Shape, Axes], list[str]]()
    for name, shape in flow.state.items():
        if name != TIME or not flow.time:
            alike.setdefault((shape, classes.state[name]), []).append(name)
    for (shape, axes), names in alike.items():
        if not shape or RIGID in axes or len(names) > MOST_ALIKE:
            continue
        letters, index = LETTERS[: len(shape)], k if len(shape) == 1 else "…"
        for one, two in combinations(names, 2):
            text = (f"{text_name(one)}[{index}] {text_name(two)}[{index}]",)
            latex = (rf"{latex_name(one)} \odot {latex_name(two)}",)
            kind = "vector" if len(shape) == 1 else "array"
            yield Candidate(kind, prod(shape), ((one, letters), (two, letters)), letters, text, latex)


class _Unfolding(NamedTuple):
    """An array with one axis set apart, ``axis`` of ``axes``; if given, in each slice by another axis."""

    name: str
    axis: int
    axes: int
    slices: int | None = None
    letter: str = ""


def _norm(name: str, shape: Shape, *, latex: bool = False) -> str:
    if not shape:
        return f"{name}^2" if latex else f"{name}²"
    return rf"\|{name}\|^2" if latex else f"‖{name}‖²"


def _product(left: _Unfolding, right: _Unfolding) -> tuple[str, str]:
    """How A B^T is written, as text and as LaTeX, for the unfoldings of two arrays, or of their slices."""
    axes, axis = left.axes, left.axis
    a, b, tex_a, tex_b = *map(_sliced, (left, right)), *(_sliced(x, latex=True) for x in (left, right))
    if left.slices is not None:
        axes, axis = axes - 1, axis - (axis > left.slices)
    if axes == 2 and axis == 1:
        return f"{a}ᵀ {b}", rf"{tex_a}^\top {tex_b}"
    if axes <= 2:
        return f"{a} {b}ᵀ", rf"{tex_a} {tex_b}^\top"
    return f"{a}₍{axis}₎ {b}₍{axis}₎ᵀ", rf"{tex_a}_{{({axis})}} {tex_b}_{{({axis})}}^\top"


def _sliced(x: _Unfolding, *, latex: bool = False) -> str:
    """The name, with its index if it is a slice."""
    name = latex_name(x.name) if latex else text_name(x.name)
    if x.slices is None:
        return name
    index = ",".join([":"] * x.slices + [x.letter])
    return f"{name}_{{{index}}}" if latex else f"{name}[{index}]"

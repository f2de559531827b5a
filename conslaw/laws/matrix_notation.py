"""Laws in matrix notation, written in the model's own arrays, and the matrix ansatz that finds them without
monomials.

Candidates are made from every array A of the state and each of its axes: Gram matrices, norms and sums of
slices, the whole array and its norm, and with velocities the skew products.  Those of one kind, size and
power of time are combined with unknown coefficients, found from their derivatives along random fields at
random points over GF(p), with no monomials; a combination is kept if each of its entries is conserved, as an
exact identity.  Nothing depends on the name of a family of models.

The identity does not depend on the number of neurons: a monomial of it involves few of them, so it is
checked, exactly, on a network that has no more (:func:`matrix_combinations`).  So the 5,050 laws of ``linear
100-100-100`` are proved in a moment.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import reduce
from math import prod
from operator import add, mul
from typing import TYPE_CHECKING

import numpy as np

from conslaw.algebra.evaluation import evaluate
from conslaw.algebra.expressions import LETTERS, Expression, Shape, einsum, input_array
from conslaw.algebra.finite_field import LIFTING_PRIME as PRIME
from conslaw.algebra.finite_field import Residues, RowSpace, fraction
from conslaw.algebra.jets import Jets, lift, part
from conslaw.algebra.polynomials import PolynomialArray, Polynomials, concatenate, multiply, number, terms
from conslaw.algebra.sparse_kernel import Vector, primitive, sparser
from conslaw.algebra.uniform_axes import Axes
from conslaw.errors import ConslawError
from conslaw.flows.coordinates import Coordinate, latex_name, text_name, to_sympy
from conslaw.flows.flow import TIME, Flow
from conslaw.laws.exact_fields import coefficients, exact_fields, lie_derivative
from conslaw.laws.index_classes import IndexClasses, velocities
from conslaw.laws.lie import RandomField, State, random_point

if TYPE_CHECKING:
    import sympy

ORDER = ("symmetric", "skew", "array", "vector", "scalar")  # the larger a family, the earlier it is tried
MOST_TERMS = 200_000  # terms of polynomials that are written out


@dataclass(frozen=True)
class Candidate:
    """An array of functions of the state: a contraction of ``factors`` (array, letters) to the letters
    ``out``.

    ``kind`` and ``size`` are those of :class:`LawFamily`; a skew one is the contraction minus its transpose.
    ``text`` and ``latex`` are how it is written, in signed parts.
    """

    kind: str
    size: int
    factors: tuple[tuple[str, str], ...]
    out: str
    text: tuple[str, ...]
    latex: tuple[str, ...]

    @property
    def signs(self) -> tuple[int, ...]:
        """The sign of each part."""
        return (1, -1)[: len(self.text)]

    @property
    def entries(self) -> int:
        """The number of entries that are not repetitions."""
        return {"symmetric": self.size * (self.size + 1) // 2, "skew": self.size * (self.size - 1) // 2}.get(
            self.kind, self.size
        )

    def array(self, state: Mapping[str, Expression]) -> Expression:
        """The whole array, of shape (size, size) for a matrix."""
        arrays = [state[name] for name, _ in self.factors]
        letters = ",".join(letters for _, letters in self.factors)
        value = einsum(f"{letters}->{self.out}", *arrays)
        return value - einsum(f"{letters}->{self.out[::-1]}", *arrays) if self.kind == "skew" else value

    def entry(self, state: Mapping[str, Expression], index: Sequence[int]) -> Expression:
        """One entry of it, from the slices of the arrays that it is made of."""

        def value(out: str) -> Expression:
            chosen = dict(zip(out, index, strict=True))
            slices = [
                state[name][tuple(chosen.get(c, slice(None)) for c in letters)]
                for name, letters in self.factors
            ]
            return reduce(mul, slices).sum()

        return value(self.out) - value(self.out[::-1]) if self.kind == "skew" else value(self.out)

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
        if self.kind in ("symmetric", "skew"):
            return array[np.triu_indices(array.shape[0], int(self.kind == "skew"))]
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


@dataclass(frozen=True)
class LawFamily:
    """Laws that are the entries of one combination of arrays.

    Attributes
    ----------
    text, latex : the combination, such as ``W1 W1ᵀ - W2ᵀ W2``; in ``‖U[:,k]‖²`` k is any index
    kind : ``"symmetric"`` or ``"skew"`` (size x size), ``"vector"`` or ``"array"`` (size entries),
        ``"scalar"``
    size : see there
    laws : how many linearly independent laws its entries add to those of the families before it
    """

    text: str
    latex: str
    kind: str
    size: int
    laws: int

    def __str__(self) -> str:
        shape = {
            "symmetric": f"symmetric {self.size}×{self.size}, ",
            "skew": f"skew {self.size}×{self.size}, ",
            "vector": f"k = 0…{self.size - 1}, ",
            "array": f"{self.size} entries, ",
            "scalar": "",
        }
        return f"{self.text}   {shape[self.kind]}{self.laws} law{'s' * (self.laws > 1)}"

    def law(self, *index: int) -> sympy.Expr:
        """One entry as a SymPy expression: ``family.law(0, 1)`` of a matrix, ``family.law(3)`` of a vector.

        Raises
        ------
        ConslawError
            For an index that does not fit.

        Examples
        --------
        >>> import conslaw
        >>> analysis = conslaw.analyze(conslaw.gradient_flow(conslaw.linear([1, 2, 1])))
        >>> [family] = analysis.law_families
        >>> family.law(0, 1)
        W1[0, 0]*W1[1, 0] - W2[0, 0]*W2[0, 1]
        """
        raise ConslawError(f"{self.text} was read back from JSON: analyze the flow again for single laws")

    def to_json(self) -> dict[str, object]:
        """A JSON-ready dictionary."""
        return {
            "text": self.text,
            "latex": self.latex,
            "kind": self.kind,
            "size": self.size,
            "laws": self.laws,
        }


@dataclass(frozen=True)
class FoundFamily(LawFamily):
    """A family with the combination of arrays that it is made of, and the flow that conserves it."""

    combination: Combination = field(repr=False, compare=False)
    flow: Flow = field(repr=False, compare=False)

    def law(self, *index: int) -> sympy.Expr:
        """One entry as a SymPy expression."""
        state = arrays_of(self.flow)
        shape = self.combination.array(state).shape
        if len(index) != len(shape) or not all(
            isinstance(i, int | np.integer) and 0 <= i < n for i, n in zip(index, shape, strict=True)
        ):
            raise ConslawError(f"law{index!r} of {self.text}: give {len(shape)} indices within {shape}")
        entry = reduce(
            add, [coefficient * c.entry(state, index) for coefficient, c in self.combination.terms]
        )
        [polynomial] = evaluate(
            [self.combination.timed(entry).reshape(1)], number(self.flow.state), Polynomials()
        )
        return to_sympy(terms(polynomial)[0], self.flow.coordinates)


def law_families(flow: Flow, laws: PolynomialArray) -> tuple[list[FoundFamily], list[int]]:
    """The families that polynomial laws form, and the numbers of the laws left over.

    Parameters
    ----------
    flow : Flow
    laws : (k,) array of linearly independent laws, polynomials in the state

    Returns
    -------
    families, left
        Proved: every entry of a family is a law, and the families and the laws left over span what the laws
        span.
    """
    powers = 0
    if flow.time is not None:
        variable = 1 + [c.name for c in flow.coordinates].index(TIME)
        powers = int((laws.monomial == variable).sum(axis=1).max(initial=0))
    found = conserved_combinations(flow, list(candidates(flow)), powers, lambda candidate: candidate.size)
    arrays = [laws, *(total for _, total in found)]
    starts = np.cumsum([0, *(x.shape[0] for x in arrays)]).tolist()
    table, count = coefficients(concatenate(arrays, starts[:-1], (starts[-1],)), PRIME), laws.shape[0]
    whole, space = (
        RowSpace.zero(table.shape[1], PRIME).extend(table[:count]),
        RowSpace.zero(table.shape[1], PRIME),
    )
    if whole.rank < count:  # dependent mod this prime, so that nothing can be counted with it
        return [], list(range(count))
    families = list[FoundFamily]()
    for (combination, total), start in zip(found, starts[1:], strict=False):
        rows = table[start : start + total.shape[0]]
        larger = space.extend(rows)
        if larger.rank > space.rank and not whole.reduce(rows).any():
            families.append(family(flow, combination, larger.rank - space.rank))
            space = larger
    return families, space.independent(table[:count])


def family(flow: Flow, combination: Combination, laws: int) -> FoundFamily:
    """The family that the entries of a combination form."""
    text, latex = (combination.written(flow.time, latex=which) for which in (False, True))
    return FoundFamily(text, latex, combination.like.kind, combination.like.size, laws, combination, flow)


def arrays_of(flow: Flow) -> dict[str, Expression]:
    """The arrays of the state as expressions."""
    return {name: input_array(name, shape) for name, shape in flow.state.items()}


def conserved_combinations(
    flow: Flow, chosen: Sequence[Candidate], powers: int, group: Callable[[Candidate], Hashable]
) -> list[tuple[Combination, PolynomialArray]]:
    """All conserved combinations of candidates of one kind and group, and their entries as polynomials:
    proved to be laws.
    """
    fields, _ = exact_fields(flow)
    inputs, state = number(flow.state), arrays_of(flow)
    groups: dict[tuple[int, int, int, Hashable], list[Candidate]] = {}
    for candidate in chosen:
        shape = flow.state[candidate.factors[0][0]] if candidate.kind == "array" else ()
        for power in range(powers + 1):
            key = (ORDER.index(candidate.kind), -candidate.size, power, (shape, group(candidate)))
            groups.setdefault(key, []).append(candidate)
    found = list[tuple[Combination, PolynomialArray]]()
    for (_, _, power, _), members in sorted(groups.items(), key=lambda item: item[0][:3]):
        timed = Combination((), power).timed
        arrays = [timed(c.distinct(c.array(state))) for c in members]
        for vector in _kernel(flow, arrays):
            parts = evaluate([arrays[i] for i in vector], inputs, Polynomials())
            scaled = [_times(x, v) for x, v in zip(parts, vector.values(), strict=True)]
            total = concatenate(scaled, [0] * len(scaled), parts[0].shape)
            if len(total) and not any(len(lie_derivative(total, x)) for x in fields):
                found.append((Combination(tuple((v, members[i]) for i, v in vector.items()), power), total))
    return found


def candidates(flow: Flow) -> Iterator[Candidate]:
    """Functions of one array of the state and, in a momentum flow, its velocity."""
    moving = velocities(flow)
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
            total = (f"Σ{text}[k]",), (rf"\textstyle\sum_k {latex}_k",)
            yield Candidate("scalar", 1, ((name, letters),), "", *total)
        for axis, n in enumerate(shape):
            out, kind = letters[axis], "vector" if n > 1 else "scalar"
            index = ",".join("k" if i == axis else ":" for i in range(len(shape)))
            if len(shape) > 1:
                written = (f"Σ{text}[{index}]",), (rf"\textstyle\sum {latex}_{{{index}}}",)
                yield Candidate(kind, n, ((name, letters),), out, *written)
            squared = (
                (f"‖{text}[{index}]‖²", rf"\|{latex}_{{{index}}}\|^2")
                if len(shape) > 1
                else (f"{text}[k]²", f"{latex}_k^2")
            )
            yield Candidate(kind, n, twice, out, squared[:1], squared[1:])
            if n == 1:
                continue
            other = letters.replace(out, "Y")
            own = (name, axis, len(shape))
            text_product, latex_product = _product(own, own)
            yield Candidate(
                "symmetric", n, ((name, letters), (name, other)), out + "Y", (text_product,), (latex_product,)
            )
            if name in moving:
                dotted = (moving[name], axis, len(shape))
                first, second = _product(own, dotted), _product(dotted, own)
                pair = (first[0], second[0]), (first[1], second[1])
                yield Candidate("skew", n, ((name, letters), (moving[name], other)), out + "Y", *pair)


def _norm(name: str, shape: Shape, *, latex: bool = False) -> str:
    if not shape:
        return f"{name}^2" if latex else f"{name}²"
    return rf"\|{name}\|^2" if latex else f"‖{name}‖²"


def _product(left: tuple[str, int, int], right: tuple[str, int, int]) -> tuple[str, str]:
    """How A B^T is written, as text and as LaTeX, for the unfoldings of two arrays (name, axis, number of
    axes).
    """
    (name_a, axis, axes), (name_b, _, _) = left, right
    a, b, tex_a, tex_b = text_name(name_a), text_name(name_b), latex_name(name_a), latex_name(name_b)
    if axes == 2 and axis == 1:
        return f"{a}ᵀ {b}", rf"{tex_a}^\top {tex_b}"
    if axes <= 2:
        return f"{a} {b}ᵀ", rf"{tex_a} {tex_b}^\top"
    return f"{a}₍{axis}₎ {b}₍{axis}₎ᵀ", rf"{tex_a}_{{({axis})}} {tex_b}_{{({axis})}}^\top"


def _kernel(flow: Flow, arrays: list[Expression]) -> list[Vector]:
    """The linear combinations of some arrays whose derivatives vanish along random fields at random points
    mod p.
    """
    rng, count = np.random.default_rng(0), 4 + len(arrays)
    point = random_point(flow, rng, PRIME, count)
    blocks = []
    for _ in range(1 + len(flow.fields)):
        slopes = derivatives_along(arrays, point, RandomField(flow, count, rng, PRIME)(point), count)
        blocks.append(np.stack(slopes, axis=-1))
    rows = np.concatenate([block.reshape(-1, len(arrays)) for block in blocks])
    space = RowSpace.zero(len(arrays), PRIME)
    for start in range(0, len(rows), 4 * len(arrays)):  # random rows: almost always the first few decide
        space = space.extend(rows[start : start + 4 * len(arrays)])
    basis = []
    for k, free in enumerate(space.free.tolist()):
        entries = zip(space.pivots.tolist(), space.rest[:, k].tolist(), strict=True)
        column = {free: (1, 1)} | {pivot: fraction(-v, PRIME) for pivot, v in entries if v}
        if all(value is not None for value in column.values()):
            basis.append(primitive({i: Fraction(*value) for i, value in column.items() if value}))
    return sparser(sorted(basis, key=sorted))


def derivatives_along(
    arrays: Sequence[Expression], point: State, direction: State, count: int, p: int = PRIME
) -> list[Residues]:
    """The derivatives of arrays of functions along tangent vectors mod p, each of shape (count, *shape)."""
    moved = {name: lift(x, direction.get(name, {}), 1) for name, x in point.items()}
    slopes = [part(value, 1).get(0) for value in evaluate(arrays, moved, Jets(p))]
    return [
        np.zeros((count, *a.shape), np.uint64) if x is None else np.broadcast_to(x, (count, *a.shape))
        for a, x in zip(arrays, slopes, strict=True)
    ]


def _times(x: PolynomialArray, factor: int) -> PolynomialArray:
    factors = np.full(len(x), factor, dtype=np.int64 if abs(factor) < 2**31 else object)
    return PolynomialArray(x.shape, x.entry, x.monomial, multiply(x.coefficient, factors))


# the matrix ansatz

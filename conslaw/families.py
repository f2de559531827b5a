"""Laws in matrix notation: the space of laws written in the model's own arrays.

Candidates are made from every array A of the state and each of its axes: Gram matrices, norms and sums of slices, the whole array
and its norm, and with velocities the skew products.  Those of one kind, size and power of time are combined with unknown
coefficients, found from their derivatives along random fields at random points over GF(p), with no monomials; a combination is kept
if each of its entries is conserved, as an exact identity.  Nothing depends on the name of a family of models.  What the
combinations do not span is left as polynomials.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from conslaw.ansatz import coefficients, exact_fields, lie_derivative
from conslaw.coordinates import latex_name, text_name
from conslaw.expressions import Expression, evaluate, input_array
from conslaw.finite_field import LIFTING_PRIME as PRIME
from conslaw.finite_field import RowSpace, fraction
from conslaw.flows import TIME, Flow, velocity
from conslaw.jets import Jets, lift, part
from conslaw.lie import RandomField, random_point
from conslaw.polynomials import PolynomialArray, Polynomials, concatenate, multiply, number
from conslaw.sparse_kernel import Vector, primitive, sparser

ORDER = ("symmetric", "skew", "array", "vector", "scalar")  # the larger a family, the earlier it is tried


@dataclass(frozen=True)
class LawFamily:
    """Laws that are the entries of one combination of arrays.

    Attributes
    ----------
    text, latex : the combination, such as ``W1 W1ᵀ - W2ᵀ W2``; in ``‖U[:,k]‖²`` k is any index
    kind : ``"symmetric"`` or ``"skew"`` (size x size), ``"vector"`` or ``"array"`` (size entries), ``"scalar"``
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


@dataclass(frozen=True)
class Candidate:
    """An array of functions of the state: its kind and size, its distinct entries, and the signed parts that it is written with."""

    kind: str
    size: int
    entries: Expression
    text: tuple[str, ...]
    latex: tuple[str, ...]
    signs: tuple[int, ...] = (1,)
    shape: tuple[int, ...] = ()  # of an "array", which combines only with its like


def law_families(flow: Flow, laws: PolynomialArray) -> tuple[list[LawFamily], list[int]]:
    """The families that polynomial laws form, and the numbers of the laws left over.

    Parameters
    ----------
    flow : Flow
    laws : (k,) array of linearly independent laws, polynomials in the state

    Returns
    -------
    families, left
        Proved: every entry of a family is a law, and the families and the laws left over span what the laws span.
    """
    fields, _ = exact_fields(flow)
    found: list[tuple[list[tuple[int, Candidate]], int, PolynomialArray]] = []
    inputs, time = number(flow.state), input_array(TIME, ())
    groups: dict[tuple[int, int, int, tuple[int, ...]], list[Candidate]] = {}
    for candidate in _candidates(flow):
        for power in range(_time_degree(flow, laws) + 1):
            groups.setdefault((ORDER.index(candidate.kind), -candidate.size, power, candidate.shape), []).append(candidate)
    for (_, _, power, _), candidates in sorted(groups.items()):
        written = [time**power * c.entries if power else c.entries for c in candidates]
        for vector in _combinations(flow, written):
            terms = [(v, candidates[i]) for i, v in vector.items()]
            parts = evaluate([written[i] for i in vector], inputs, Polynomials())
            scaled = [_times(x, v) for x, v in zip(parts, vector.values(), strict=True)]
            total = concatenate(scaled, [0] * len(scaled), parts[0].shape)
            if len(total) and not any(len(lie_derivative(total, x)) for x in fields):
                found.append((terms, power, total))
    arrays = [laws, *(total for _, _, total in found)]
    starts = np.cumsum([0, *(x.shape[0] for x in arrays)]).tolist()
    table, count = coefficients(concatenate(arrays, starts[:-1], (starts[-1],)), PRIME), laws.shape[0]
    whole, space = RowSpace.zero(table.shape[1], PRIME).extend(table[:count]), RowSpace.zero(table.shape[1], PRIME)
    families = list[LawFamily]()
    for (terms, power, total), start in zip(found, starts[1:], strict=False):
        rows = table[start : start + total.shape[0]]
        larger = space.extend(rows)
        if larger.rank > space.rank and not whole.reduce(rows).any():
            text, latex = (_written(flow, terms, power, latex=which) for which in (False, True))
            families.append(LawFamily(text, latex, terms[0][1].kind, terms[0][1].size, larger.rank - space.rank))
            space = larger
    return families, space.independent(table[:count])


def _time_degree(flow: Flow, laws: PolynomialArray) -> int:
    if flow.time is None:
        return 0
    variable = 1 + [c.name for c in flow.coordinates].index(TIME)
    return int((laws.monomial == variable).sum(axis=1).max(initial=0))


def _candidates(flow: Flow) -> Iterator[Candidate]:
    """Functions of one array and, in a momentum flow, its velocity."""
    for name, shape in flow.state.items():
        if name == TIME and flow.time:
            continue
        array, text, latex = input_array(name, shape), text_name(name), latex_name(name)
        moving = input_array(velocity(name), shape) if velocity(name) in flow.state else None
        yield Candidate("array" if shape else "scalar", array.size, array.reshape(-1), (text,), (latex,), shape=shape)
        yield Candidate("scalar", 1, (array * array).sum().reshape(1), (_norm(text, shape),), (_norm(latex, shape, latex=True),))
        for axis, n in enumerate(shape):
            rows = _unfolded(array, axis)
            index = ",".join("k" if i == axis else ":" for i in range(len(shape)))
            kind = "vector" if n > 1 else "scalar"
            if len(shape) > 1:
                yield Candidate(kind, n, rows.sum(axis=1), (f"Σ{text}[{index}]",), (rf"\textstyle\sum {latex}_{{{index}}}",))
            squared = (f"‖{text}[{index}]‖²", rf"\|{latex}_{{{index}}}\|^2") if len(shape) > 1 else (f"{text}[k]²", f"{latex}_k^2")
            yield Candidate(kind, n, (rows * rows).sum(axis=1), squared[:1], squared[1:])
            if n == 1:
                continue
            own = (name, axis, len(shape))
            products = _product(own, own)
            yield Candidate("symmetric", n, (rows @ rows.T)[np.triu_indices(n)], products[:1], products[1:])
            if moving is not None:
                product, other = rows @ _unfolded(moving, axis).T, (velocity(name), axis, len(shape))
                first, second = _product(own, other), _product(other, own)
                skew = (product - product.T)[np.triu_indices(n, 1)]
                yield Candidate("skew", n, skew, (first[0], second[0]), (first[1], second[1]), (1, -1))


def _unfolded(array: Expression, axis: int) -> Expression:
    """The matrix whose rows are the slices along an axis."""
    order = (axis, *(i for i in range(array.ndim) if i != axis))
    return array.transpose(*order).reshape(array.shape[axis], -1)


def _norm(name: str, shape: tuple[int, ...], *, latex: bool = False) -> str:
    if not shape:
        return f"{name}^2" if latex else f"{name}²"
    return rf"\|{name}\|^2" if latex else f"‖{name}‖²"


def _product(left: tuple[str, int, int], right: tuple[str, int, int]) -> tuple[str, str]:
    """How A B^T is written, as text and as LaTeX, for the unfoldings of two arrays (name, axis, number of axes)."""
    (name_a, axis, axes), (name_b, _, _) = left, right
    a, b, tex_a, tex_b = text_name(name_a), text_name(name_b), latex_name(name_a), latex_name(name_b)
    if axes == 2 and axis == 1:
        return f"{a}ᵀ {b}", rf"{tex_a}^\top {tex_b}"
    if axes <= 2:
        return f"{a} {b}ᵀ", rf"{tex_a} {tex_b}^\top"
    return f"{a}₍{axis}₎ {b}₍{axis}₎ᵀ", rf"{tex_a}_{{({axis})}} {tex_b}_{{({axis})}}^\top"


def _combinations(flow: Flow, arrays: list[Expression]) -> list[Vector]:
    """The linear combinations of some arrays whose derivatives vanish along random fields at random points mod p."""
    rng, count = np.random.default_rng(0), 4 + len(arrays)
    point = random_point(flow, rng, PRIME, count)
    blocks = []
    for _ in range(1 + len(flow.fields)):
        velocities = RandomField(flow, count, rng, PRIME)(point)
        moved = {name: lift(x, velocities[name], 1) for name, x in point.items()}
        slopes = [part(value, 1).get(0) for value in evaluate(arrays, moved, Jets(PRIME))]
        shape = next((x.shape for x in slopes if x is not None), (count, 0))
        blocks.append(np.stack([np.zeros(shape, np.uint64) if x is None else np.broadcast_to(x, shape) for x in slopes], axis=-1))
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


def _times(x: PolynomialArray, factor: int) -> PolynomialArray:
    factors = np.full(len(x), factor, dtype=np.int64 if abs(factor) < 2**31 else object)
    return PolynomialArray(x.shape, x.entry, x.monomial, multiply(x.coefficient, factors))


def _written(flow: Flow, terms: list[tuple[int, Candidate]], power: int, *, latex: bool) -> str:
    """A combination of candidates as text or LaTeX, with the power of time in front."""
    minus, parts = "-" if latex else "−", []
    for coefficient, candidate in terms:
        for sign, written in zip(candidate.signs, candidate.latex if latex else candidate.text, strict=True):
            size = "" if abs(coefficient) == 1 else f"{abs(coefficient)} "
            parts.append((coefficient * sign < 0, size + written))
    head = (minus if parts[0][0] else "") + parts[0][1]
    whole = head + "".join(f" {minus if negative else '+'} {written}" for negative, written in parts[1:])
    if not power or flow.time is None:
        return whole
    factor = flow.time.latex(power) if latex else flow.time.text(power)
    return f"{factor} ({whole})" if len(parts) > 1 else f"{factor} {whole}"

"""Laws in matrix notation, written in the model's own arrays, and the matrix ansatz that finds them without
monomials.

Candidates are made from every array A of the state and each of its axes: Gram matrices, norms and sums of
slices, the whole array and its norm, and with velocities the skew products.  Those of one kind, size and
power of time are combined with unknown coefficients, found from their derivatives along random fields at
random points over GF(p), with no monomials; a combination is kept if each of its entries is conserved, as an
exact identity.  Nothing depends on the name of a family of models.

The identity does not depend on the number of neurons: a monomial of it involves few of them, so it is
checked, exactly, on a network that has no more (:func:`conslaw.laws.matrix_ansatz.matrix_combinations`).
So the 5,050 laws of ``linear 100-100-100`` are proved in a moment.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from dataclasses import fields as dataclass_fields
from fractions import Fraction
from functools import lru_cache, reduce
from operator import add
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from conslaw import display
from conslaw.algebra.evaluation import evaluate
from conslaw.algebra.expressions import Expression, input_array
from conslaw.algebra.finite_field import LIFTING_PRIME as PRIME
from conslaw.algebra.finite_field import Residues, RowSpace, fraction
from conslaw.algebra.jets import Jets, lift, part
from conslaw.algebra.polynomials import PolynomialArray, Polynomials, concatenate, multiply, number, terms
from conslaw.algebra.sparse_kernel import Vector, primitive, sparser
from conslaw.errors import ConslawError
from conslaw.flows.coordinates import latex_name, text_name, to_sympy
from conslaw.flows.flow import TIME, Flow, velocity
from conslaw.laws.brackets import RandomField, State
from conslaw.laws.candidates import ORDER, Candidate, Combination, arrays_of, candidates
from conslaw.laws.exact_fields import coefficients, exact_fields, lie_derivative
from conslaw.laws.forms import values_of
from conslaw.laws.lie import random_point
from conslaw.laws.state_space import StateSpace
from conslaw.models.weights import Array

if TYPE_CHECKING:
    import sympy

MOST_TERMS = 200_000  # terms of polynomials that are written out


@dataclass(frozen=True, repr=False)
class LawFamily:
    """Laws that are the entries of one combination of arrays.

    Attributes
    ----------
    text, latex : the combination, such as ``W1 W1ᵀ - W2ᵀ W2``; in ``‖U[:,k]‖²`` k is any index
    kind : ``"symmetric"`` or ``"skew"`` (size x size), ``"vector"`` or ``"array"`` (size entries),
        ``"scalar"``
    size : see there
    each : the number of such matrices, if there is one for each slice of the arrays (attention heads, say)
    laws : how many linearly independent laws its entries add to those of the families before it
    entries : how many different entries there are
    """

    text: str
    latex: str
    kind: str
    size: int
    laws: int
    each: int = 1

    @property
    def entries(self) -> int:
        """How many entries there are that are not repetitions: at most so many are ``laws``."""
        n = self.size
        matrix = {"symmetric": n * (n + 1) // 2, "skew": n * (n - 1) // 2}
        return self.each * matrix.get(self.kind, n)

    @property
    def counted(self) -> str:
        """What shape it has, and how many laws: ``symmetric 12×12, 63 laws of 78 entries``."""
        index = re.search(r"\[([:,a-z]*[a-z][:,a-z]*)\]", self.text)  # any array with an index has it so
        letters = sorted(re.findall("[a-z]", index[1] if index else "k"), key="kijlmnabcdefgh".find)
        letter, slice_ = letters[0], letters[-1]
        shape = {
            "symmetric": f"symmetric {self.size:,}×{self.size:,}, ",
            "skew": f"skew {self.size:,}×{self.size:,}, ",
            "vector": f"{letter} = 0…{self.size - 1:,}, ",
            "array": f"{self.size:,} entries, ",
            "scalar": "",
        }
        slices = f"{slice_} = 0…{self.each - 1:,}, " if self.each > 1 else ""
        of = f" of {self.entries:,} entries" if self.laws < self.entries else ""
        number, left = divmod(self.laws, self.each)
        if self.each > 1 and not left:
            laws = f"{number:,} law{'s' * (number > 1)} each{f' of {self.entries // self.each:,}' * bool(of)}"
        else:
            laws = f"{self.laws:,} law{'s' * (self.laws != 1)}{of}"
        return f"{slices}{shape[self.kind]}{laws}"

    def __str__(self) -> str:
        return display.in_signs_of(sys.stdout, f"{self.text}   {self.counted}")

    __repr__ = __str__

    def _repr_latex_(self) -> str:
        return f"${self.latex_counted}$"

    @property
    def latex_counted(self) -> str:
        """The same as LaTeX."""
        return rf"{self.latex}\quad{display.in_latex(f'({self.counted})')}"

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
        raise NotImplementedError

    def evaluate(
        self,
        weights: Any,
        velocities: Any = None,
        time: float | None = None,
        *,
        names: Mapping[str, str] | None = None,
    ) -> Array:
        """The values of all entries at weights, as floats.

        Parameters
        ----------
        weights, velocities, time, names : see :meth:`conslaw.answers.Analysis.evaluate`

        Returns
        -------
        array
            Of shape (size, size) for a symmetric or skew family, (size,) for a vector, () for a scalar; of
            that of the arrays for an ``"array"``; with an axis (each,) in front if there is one for each
            slice.

        Examples
        --------
        >>> import conslaw
        >>> [family] = conslaw.analyze(conslaw.linear([1, 2, 1])).law_families
        >>> family.evaluate({"W1": [[1], [2]], "W2": [[3, 0]]})
        array([[-8.,  2.],
               [ 2.,  4.]])
        """
        raise NotImplementedError

    def in_names(self, names: Mapping[str, str]) -> Self:
        """The same, written in other names of the arrays: those of a PyTorch module are no identifiers."""
        given = {text_name(name): own for name, own in names.items()}
        given |= {text_name(velocity(name)): text_name(velocity(own)) for name, own in names.items()}
        latex = {latex_name(name): rf"\texttt{{{own}}}".replace("_", r"\_") for name, own in names.items()}
        return replace(self, text=_renamed(self.text, given, "_"), latex=_renamed(self.latex, latex, r"\\_"))

    def to_json(self) -> dict[str, object]:
        """A JSON-ready dictionary."""
        return {
            "text": self.text,
            "latex": self.latex,
            "kind": self.kind,
            "size": self.size,
            "laws": self.laws,
            "each": self.each,
        }


def _renamed(text: str, names: Mapping[str, str], joint: str) -> str:
    """A text with names replaced, which are no parts of longer ones: what joins words is not beside them."""
    some = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))
    return re.sub(rf"(?<![A-Za-z0-9_])({some})(?![A-Za-z0-9]|{joint})", lambda found: names[found[1]], text)


@dataclass(frozen=True, repr=False)
class FoundFamily(LawFamily):
    """A family with the combination of arrays that it is made of, and the state that these are of."""

    combination: Combination = field(repr=False, compare=False, kw_only=True)
    space: StateSpace = field(repr=False, compare=False, kw_only=True)

    def to_json(self) -> dict[str, object]:
        """A JSON-ready dictionary."""
        terms = [
            {"coefficient": coefficient, "factors": [list(f) for f in c.factors], "indices": c.out}
            for coefficient, c in self.combination.terms
        ]
        return {**super().to_json(), "time_power": self.combination.power, "terms": terms}

    @classmethod
    def from_json(cls, data: Mapping[str, Any], space: StateSpace) -> Self:
        """A family of a state from that dictionary."""
        plain = {x.name: data[x.name] for x in dataclass_fields(LawFamily)}
        shown = {"kind": data["kind"], "size": data["size"], "each": data["each"]}
        terms = [
            (
                term["coefficient"],
                Candidate(
                    factors=tuple(map(tuple, term["factors"])),
                    out=term["indices"],
                    text=("",),
                    latex=("",),
                    **shown,
                ),
            )
            for term in data["terms"]
        ]
        if not terms or not all(c.fits(space.state) for _, c in terms):
            raise ConslawError(f"the family {data['text'][:60]!r} does not fit the arrays of the state")
        if data["time_power"] and space.time is None:
            raise ConslawError(f"the family {data['text'][:60]!r} has a power of time, and the state none")
        return cls(**plain, combination=Combination(tuple(terms), data["time_power"]), space=space)

    def evaluate(
        self,
        weights: Any,
        velocities: Any = None,
        time: float | None = None,
        *,
        names: Mapping[str, str] | None = None,
    ) -> Array:
        """The values of all entries at weights, as floats."""
        point, t = self.space.point(weights, velocities, time, names)
        return self.value(point, t)

    def value(self, point: Mapping[str, Array], time: float | None) -> Array:
        """The same at a point of the state."""
        with np.errstate(all="ignore"):  # what overflows is infinite
            found = np.asarray(values_of(self.combination, point))
            if not self.combination.power:
                return found
            if time is None:
                raise ConslawError(f"{self.text} depends on time: give it as time=...")
            return found * self.space.clock(time) ** self.combination.power

    def law(self, *index: int) -> sympy.Expr:
        """One entry as a SymPy expression."""
        state = {name: input_array(name, shape) for name, shape in self.space.state.items()}
        shape = self.combination.array(state).shape
        if len(index) != len(shape) or not all(
            isinstance(i, int | np.integer) and not isinstance(i, bool) and 0 <= i < n
            for i, n in zip(index, shape, strict=True)
        ):
            raise ConslawError(f"law{index!r} of {self.text}: give {len(shape)} indices within {shape}")
        entry = reduce(
            add, [coefficient * c.entry(state, index) for coefficient, c in self.combination.terms]
        )
        [polynomial] = evaluate(
            [self.combination.timed(entry).reshape(1)], number(self.space.state), Polynomials()
        )
        return to_sympy(terms(polynomial)[0], self.space.coordinates)


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
    found = conserved_combinations(
        flow, list(candidates(flow)), powers, lambda candidate: (candidate.size, candidate.each)
    )
    arrays = [laws, *(total for _, total in found)]
    starts = np.cumsum([0, *(x.shape[0] for x in arrays)]).tolist()
    table, count = coefficients(concatenate(arrays, starts[:-1], (starts[-1],)), PRIME), laws.shape[0]
    space = RowSpace.zero(table.shape[1], PRIME)
    whole = space.extend(table[:count])
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
    like, free = combination.like, [c for c in "ijlmnabcdefg" if c not in flow.state]
    for letter in {"k", "h"} & flow.state.keys():  # an index is not called as an array is
        other = free.pop(0)
        text = re.sub(rf"(?<=[\[,]){letter}(?=[\],])", other, text)
        latex = re.sub(rf"(?<=[_{{,]){letter}(?=[}},^ ]|$)", other, latex)
    return FoundFamily(
        text, latex, like.kind, like.size, laws, like.each, combination=combination, space=StateSpace.of(flow)
    )


def conserved_combinations(
    flow: Flow, chosen: Sequence[Candidate], powers: int, group: Callable[[Candidate], Hashable]
) -> list[tuple[Combination, PolynomialArray]]:
    """All conserved combinations of candidates of one kind and group, and their entries as polynomials:
    proved to be laws.
    """
    inputs, state = number(flow.state), arrays_of(flow)
    groups: dict[tuple[int, int, int, Hashable], list[Candidate]] = {}
    for candidate in chosen:
        shape = flow.state[candidate.factors[0][0]] if candidate.kind == "array" else ()
        for power in range(powers + 1):
            key = (
                ORDER.index(candidate.kind),
                -candidate.size,
                power,
                (shape, candidate.each, group(candidate)),
            )
            groups.setdefault(key, []).append(candidate)
    found = list[tuple[Combination, PolynomialArray]]()
    for (_, _, power, _), members in sorted(groups.items(), key=lambda item: item[0][:3]):
        timed = Combination((), power).timed
        arrays = [timed(c.distinct(c.array(state))) for c in members]
        for vector in _kernel(flow, arrays):
            parts = evaluate([arrays[i] for i in vector], inputs, Polynomials())
            scaled = [_times(x, v) for x, v in zip(parts, vector.values(), strict=True)]
            total = concatenate(scaled, [0] * len(scaled), parts[0].shape)
            if len(total) and not any(len(lie_derivative(total, x)) for x in _fields(flow)):
                found.append((Combination(tuple((v, members[i]) for i, v in vector.items()), power), total))
    return found


@lru_cache(maxsize=4)
def _fields(flow: Flow) -> list[PolynomialArray]:
    """Its exact fields, for as long as combinations of this flow are looked at."""
    return exact_fields(flow)[0]


@lru_cache(maxsize=8)
def _tangents(flow: Flow, count: int) -> tuple[State, list[State]]:
    """Random points mod p and, at each, the values of a few random fields."""
    rng = np.random.default_rng(0)
    point = random_point(flow, rng, PRIME, count)
    return point, [RandomField(flow, count, rng, PRIME)(point) for _ in range(1 + len(flow.fields))]


def _kernel(flow: Flow, arrays: list[Expression]) -> list[Vector]:
    """The linear combinations of some arrays whose derivatives vanish along random fields at random points
    mod p.
    """
    count = 8 * (1 + len(arrays) // 5)  # at least four more than there are arrays; few different numbers
    point, directions = _tangents(flow, count)
    blocks = [np.stack(derivatives_along(arrays, point, x, count), axis=-1) for x in directions]
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

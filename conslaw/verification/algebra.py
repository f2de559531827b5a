"""Polynomials as dictionaries of exact coefficients, vector fields of them, and Lie brackets mod p, taken symbolically."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import reduce
from itertools import product
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from conslaw.errors import ConslawError
from conslaw.expressions import Expression, NumPyNumbers, evaluate, topological_order

LARGEST_DEGREE = 2000
DEPTH = 14  # brackets of more fields are not looked at
LARGEST_ARRAY = 1_000_000  # entries of an array of polynomials
MOST_PRODUCTS = 20_000_000  # products of terms in one product of polynomials
SYMBOLIC = (0, 10**6, 10**6, 3000, 500, 120)  # terms of the fields up to which brackets of 1, 2, ... fields are taken symbolically


class Refuted(Exception):  # noqa: N818
    """A check that does not hold; the text says what was found."""


class Polynomial:
    """A polynomial over Q: ``terms`` from monomials (sorted variable numbers, repeated for powers) to coefficients."""

    __slots__ = ("terms",)

    def __init__(self, terms: dict[tuple[int, ...], Any]) -> None:
        self.terms = terms

    @staticmethod
    def variable(number: int) -> Polynomial:
        return Polynomial({(number,): 1})

    @staticmethod
    def constant(value: Any) -> Polynomial:
        return Polynomial({(): value} if value else {})

    def __add__(self, other: Any) -> Polynomial:
        if not isinstance(other, Polynomial):
            other = Polynomial.constant(other)
        large, small = (self, other) if len(self.terms) >= len(other.terms) else (other, self)
        result = dict(large.terms)
        for monomial, c in small.terms.items():
            total = result.get(monomial, 0) + c
            if total:
                result[monomial] = total
            else:
                del result[monomial]
        return Polynomial(result)

    __radd__ = __add__

    def __mul__(self, other: Any) -> Polynomial:
        if not isinstance(other, Polynomial):
            other = Polynomial.constant(other)
        result: dict[tuple[int, ...], Any] = {}
        if len(self.terms) * len(other.terms) > MOST_PRODUCTS:
            raise ConslawError(f"a product of polynomials of {len(self.terms):,} and {len(other.terms):,} terms")
        for (m, c), (k, d) in product(self.terms.items(), other.terms.items()):
            if len(m) + len(k) > LARGEST_DEGREE:
                raise ConslawError(f"a polynomial of degree more than {LARGEST_DEGREE}")
            monomial = tuple(sorted(m + k))
            result[monomial] = result.get(monomial, 0) + c * d
        return Polynomial({m: c for m, c in result.items() if c})

    __rmul__ = __mul__

    def __pow__(self, exponent: int) -> Polynomial:
        if not 0 <= exponent <= LARGEST_DEGREE:
            raise ConslawError(f"a power {exponent} of a polynomial")
        return reduce(lambda x, y: x * y, [self] * exponent, Polynomial.constant(1))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Polynomial) and self.terms == other.terms

    __hash__ = None  # type: ignore[assignment]

    def slopes(self) -> dict[int, Polynomial]:
        """The partial derivatives that are not zero."""
        result: dict[int, dict[tuple[int, ...], Any]] = {}
        for monomial, c in self.terms.items():
            for v in dict.fromkeys(monomial):
                lower, mine = without(monomial, v), result.setdefault(v, {})
                mine[lower] = mine.get(lower, 0) + c * monomial.count(v)
        return {v: Polynomial(terms) for v, terms in result.items()}

    def at(self, values: Sequence[int], p: int) -> int:
        """Its value mod p."""
        total = 0
        for monomial, c in self.terms.items():
            value = _mod(c, p)
            for v in monomial:
                value = value * values[v] % p
            total += value
        return total % p


VectorField = dict[int, Polynomial]  # from coordinate to component


def without(monomial: tuple[int, ...], v: int) -> tuple[int, ...]:
    """A monomial divided by one of its variables."""
    position = monomial.index(v)
    return monomial[:position] + monomial[position + 1 :]


def _mod(value: Any, p: int) -> int:
    return int(value.numerator) * pow(int(value.denominator), -1, p) % p


NAME = r"[^\W\d]\w*(?:\[[0-9,]+\])?"
TOKEN = re.compile(rf"\s*(?:(\*\*)|([-+*/])|([0-9]+)|(log\({NAME}\)|{NAME}))")


def parse(text: str, names: Mapping[str, int]) -> Polynomial:
    """A sum of products of numbers, names and their powers."""
    tokens, position, text = list[tuple[str, str]](), 0, text.rstrip()
    while position < len(text):
        found = TOKEN.match(text, position)
        if not found:
            raise Refuted(f"{text[position : position + 40]!r} is not part of a polynomial")
        position = found.end()
        tokens.append((("power", "sign", "number", "name")[(found.lastindex or 1) - 1], str(found[found.lastindex or 1])))
    terms: dict[tuple[int, ...], Fraction] = {}
    sign, coefficient, monomial, expect, divide = 1, Fraction(1), list[int](), True, False
    i = 0
    if tokens and tokens[0] == ("sign", "-"):  # one sign may lead
        sign, i = -1, 1
    tokens.append(("sign", "+"))
    while i < len(tokens):
        kind, token = tokens[i]
        if kind == "sign" and token in "+-" and not expect:
            key = tuple(sorted(monomial))
            terms[key] = terms.get(key, Fraction(0)) + sign * coefficient
            sign, coefficient, monomial, expect = (1 if token == "+" else -1), Fraction(1), [], True
        elif kind == "sign" and token in "*/" and not expect:
            expect, divide = True, token == "/"
        elif kind == "number" and expect:
            coefficient = coefficient / int(token) if divide else coefficient * int(token)
            expect, divide = False, False
        elif kind == "name" and expect and not divide:
            if token not in names:
                raise Refuted(f"there is no coordinate {token}")
            power = 1
            if i + 2 < len(tokens) and tokens[i + 1][0] == "power" and tokens[i + 2][0] == "number":
                power, i = int(tokens[i + 2][1]), i + 2
            if len(monomial) + power > LARGEST_DEGREE:
                raise Refuted(f"the degree of {text[:40]!r} is more than {LARGEST_DEGREE}")
            monomial += [names[token]] * power
            expect = False
        else:
            raise Refuted(f"{text[:60]!r} is not a polynomial: unexpected {token!r}")
        i += 1
    return Polynomial({m: (int(c) if c.denominator == 1 else c) for m, c in terms.items() if c})


def coordinate_names(arrays: Mapping[str, Sequence[int]]) -> list[str]:
    """The coordinates of some arrays, in order."""
    return [
        f"{name}[{','.join(map(str, index))}]" if shape else name for name, shape in arrays.items() for index in np.ndindex(*shape)
    ]


def _variables(arrays: Mapping[str, Sequence[int]], numbers: Mapping[str, int]) -> dict[str, npt.NDArray[Any]]:
    """Arrays of variables."""
    result = {}
    for name, shape in arrays.items():
        array = np.empty(tuple(shape), dtype=object)
        flat = [Polynomial.variable(numbers[text]) for text in coordinate_names({name: shape})]
        array.reshape(-1)[:] = flat
        result[name] = array
    return result


def expanded(potential: Expression, arrays: Mapping[str, Sequence[int]], numbers: Mapping[str, int]) -> Polynomial:
    """A potential as a polynomial, its coordinates numbered as given."""
    widest = max(prod(node.shape) for node in topological_order([potential]))
    if widest > LARGEST_ARRAY:
        raise ConslawError(f"an array of {widest:,} polynomials")
    [value] = evaluate([potential], _variables(arrays, numbers), NumPyNumbers(convert=Polynomial.constant))
    result = value.item() if value.size else Polynomial({})
    return result if isinstance(result, Polynomial) else Polynomial.constant(result)


# brackets


class Sampler:
    """Random elements of the span of some fields, and values of their brackets, mod p, at points of n coordinates."""

    def __init__(self, fields: Sequence[VectorField], n: int, p: int, rng: np.random.Generator) -> None:
        self.n, self.p, self.rng = n, p, rng
        self.fields = [self._flat(one) for one in fields]
        self.data = 1 + max((v for one in fields for x in one.values() for m in x.terms for v in m), default=n)

    @property
    def terms(self) -> int:
        return sum(len(component) for component, *_ in self.fields)

    def _flat(self, one: VectorField) -> tuple[npt.NDArray[Any], ...]:
        rows = [(i, _mod(c, self.p), m) for i, x in one.items() for m, c in x.terms.items()]
        degree = max((sum(v < self.n for v in m) for _, _, m in rows), default=0)
        more = max((sum(v >= self.n for v in m) for _, _, m in rows), default=0)
        state = np.full((len(rows), degree), self.n)
        data = np.full((len(rows), more), -1)
        for row, (_, _, m) in enumerate(rows):
            own, other = [v for v in m if v < self.n], [v for v in m if v >= self.n]
            state[row, : len(own)], data[row, : len(other)] = own, other
        return np.array([r[0] for r in rows], dtype=np.intp), np.array([r[1] for r in rows], dtype=np.int64), state, data

    def field(self, chosen: Sequence[int], allowed: npt.NDArray[np.bool_] | None) -> Modular:
        """A random element of the span of the chosen fields; data that are not allowed are zero."""
        p = self.p
        values = self.rng.integers(0, p, self.data + 1)
        if allowed is not None:
            some = min(len(allowed), len(values))
            values[:some][~allowed[:some]] = 0
        values[-1] = 1
        parts = []
        for i in chosen:
            component, coefficient, state, data = self.fields[i]
            total = coefficient * int(self.rng.integers(1, p)) % p
            for column in data.T:
                total = total * values[column] % p
            parts.append((component, total, state))
        width = max(state.shape[1] for _, _, state in parts)
        padded = [np.pad(state, ((0, 0), (0, width - state.shape[1])), constant_values=self.n) for _, _, state in parts]
        joined = [np.concatenate(x) for x in zip(*[(a, b) for a, b, _ in parts], strict=True)]
        return Modular(self.n, p, joined[0], joined[1], np.concatenate(padded))

    def sample(
        self, depth: int, point: npt.NDArray[np.int64], *, first: Sequence[int], allowed: npt.NDArray[np.bool_] | None = None
    ) -> npt.NDArray[np.int64]:
        """The value at a point of a right-nested bracket of so many random fields (of ``first`` fields alone if it is one)."""
        every = range(len(self.fields))
        if depth == 1:
            return self.field(first, allowed).value(point)
        outer, *middle, inner = [self.field(every, allowed) for _ in range(depth)]
        for one in reversed(middle):
            inner = one.bracket(inner)
        forward, back = inner.along(point, outer.value(point)), outer.along(point, inner.value(point))
        return (forward - back) % self.p


@dataclass(frozen=True)
class Modular:
    """A polynomial vector field mod p as a list of terms: component, coefficient, and a row of variables (n stands for 1)."""

    n: int
    p: int
    component: npt.NDArray[np.intp]
    coefficient: npt.NDArray[np.int64]
    state: npt.NDArray[np.intp]

    def _sum(self, terms: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        low, high = (np.bincount(self.component, weights=x, minlength=self.n) for x in (terms & 0xFFFF, terms >> 16))
        return (low.astype(np.int64) + (high.astype(np.int64) % self.p << 16)) % self.p

    def value(self, point: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        values, total = np.append(point, 1), self.coefficient
        for column in self.state.T:
            total = total * values[column] % self.p
        return self._sum(total)

    def along(self, point: npt.NDArray[np.int64], direction: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """The derivative of the field at a point along a vector."""
        values, slopes, result = np.append(point, 1), np.append(direction, 0), np.zeros(self.n, dtype=np.int64)
        for i in range(self.state.shape[1]):
            total = self.coefficient
            for j, column in enumerate(self.state.T):
                total = total * (slopes if i == j else values)[column] % self.p
            result = (result + self._sum(total)) % self.p
        return result

    def _terms(self) -> dict[int, dict[tuple[int, ...], int]]:
        result: dict[int, dict[tuple[int, ...], int]] = {}
        for i, c, row in zip(self.component.tolist(), self.coefficient.tolist(), self.state.tolist(), strict=True):
            if c:
                monomial, mine = tuple(sorted(v for v in row if v < self.n)), result.setdefault(i, {})
                mine[monomial] = (mine.get(monomial, 0) + c) % self.p
        return result

    def bracket(self, other: Modular) -> Modular:
        """[self, other] = D(other) self - D(self) other, symbolically."""
        left, right, result = self._terms(), other._terms(), dict[tuple[int, tuple[int, ...]], int]()
        for outer, inner, sign in ((right, left, 1), (left, right, -1)):
            for i, terms in outer.items():
                for monomial, c in terms.items():
                    for v in dict.fromkeys(monomial):
                        lower, factor = without(monomial, v), sign * c * monomial.count(v)
                        for other_monomial, d in inner.get(v, {}).items():
                            key = (i, tuple(sorted(lower + other_monomial)))
                            result[key] = (result.get(key, 0) + factor * d) % self.p
        kept = [(i, c, m) for (i, m), c in result.items() if c]
        state = np.full((len(kept), max((len(m) for _, _, m in kept), default=0)), self.n)
        for row, (_, _, m) in enumerate(kept):
            state[row, : len(m)] = m
        component, coefficient = np.array([k[0] for k in kept], dtype=np.intp), np.array([k[1] for k in kept], dtype=np.int64)
        return Modular(self.n, self.p, component, coefficient, state)


def rank(rows: Sequence[Sequence[int]], p: int) -> int:
    """The rank mod p, by FLINT."""
    import flint

    if not len(rows) or not len(rows[0]):
        return 0
    return int(flint.nmod_mat(len(rows), len(rows[0]), [int(v) for row in rows for v in row], p).rank())


def check_prime(p: int) -> None:
    """Refuse a modulus that is no prime of 20 to 31 bits."""
    import flint

    if not 2**20 <= p < 2**31 or not flint.fmpz(p).is_prime():
        raise Refuted(f"{p} is not a prime between 2**20 and 2**31")


def increments(ranks: Sequence[int]) -> list[int]:
    """What each depth adds to the rank."""
    if len(ranks) > DEPTH:
        raise Refuted(f"brackets of {len(ranks)} fields")
    return [after - before for before, after in zip([0, *ranks], ranks, strict=False)]


def is_symbolic(terms: int, ranks: Sequence[int]) -> bool:
    """Whether the brackets that these ranks need are small enough to be taken symbolically."""
    depth = max((d for d, more in enumerate(increments(ranks), start=1) if more), default=1)
    return depth < len(SYMBOLIC) and terms <= SYMBOLIC[depth]

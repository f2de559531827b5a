"""A quantity of the user's, read as array code in the state of a flow.

A law's text, a SymPy expression and matrix notation are read by grammars of their own: nothing is evaluated.
A logarithm of an entry becomes an entry of an array of its own, which moves as log(x) does, by x'/x: it is
algebraically independent of the state.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import reduce
from operator import add, mul
from typing import Any, Self, TypeAlias

import numpy as np

from conslaw.algebra.evaluation import topological_order
from conslaw.algebra.expressions import Expression, as_expression, input_array
from conslaw.errors import ConslawError, TooLargeError
from conslaw.flows.flow import TIME, Flow
from conslaw.laws.law_text import LawNumbers, SymPyNumbers, check_power, read_law
from conslaw.laws.matrix_notation import FoundFamily
from conslaw.models.potential import Arrays, run_array_code

MOST_TERMS = 200_000  # of a quantity
LARGEST_DEGREE = 1000
MOST_WORK = 10**8  # factors of the terms of one product, before these are added up: seconds
LONGEST_NOTATION, MOST_FACTORS = 10_000, 100
MOST_NODES = 20_000  # of its array code
LONGEST_TEXT = 10**7  # characters
TAKEN = (
    "give array code such as lambda z: z.W1 @ z.W1.T, a SymPy expression, or text such as "
    "'W1[0,0]**2 - W2[0,0]**2' or 'W1 W1ᵀ − W2ᵀ W2'"
)
LOG = "log "  # in front of the name of an array whose logarithms are meant

Monomial: TypeAlias = tuple[int, ...]
Terms: TypeAlias = Mapping[Monomial, Fraction]


@dataclass(frozen=True)
class Quantity:
    """A function of the state.

    Attributes
    ----------
    text : as the user gave it
    flow : with the logarithms that it uses as arrays of the state
    inputs : the arrays of that state
    value : the function; it is conserved if each of its entries is
    """

    text: str
    flow: Flow
    inputs: Mapping[str, Expression]
    value: Expression

    @classmethod
    def of(cls, flow: Flow, quantity: Any) -> Self:
        """What the user gave, read.

        Raises
        ------
        ConslawError
            If it is no function of the state.
        """
        inputs = {name: input_array(name, shape) for name, shape in flow.state.items()}
        if isinstance(quantity, FoundFamily):
            text, value = quantity.text, quantity.combination.timed(quantity.combination.array(inputs))
        elif type(quantity).__module__.startswith("sympy") and hasattr(quantity, "free_symbols"):
            text, value = _written(quantity), None
        elif isinstance(quantity, str):
            text, value = quantity, _in_notation(quantity, inputs)
        elif callable(quantity):
            text = str(getattr(quantity, "__name__", "quantity")).replace("<lambda>", "array code")
            made = run_array_code("quantity", quantity, Arrays("state array", inputs))
            try:
                value = as_expression(made)
            except (ConslawError, TypeError, ValueError):
                raise ConslawError(f"quantity: the array code returned {str(made)[:60]!r}: {TAKEN}") from None
        else:
            raise ConslawError(f"quantity={str(quantity)[:60]!r}: {TAKEN}")
        logs = set[str]()
        if value is None:
            reader = _OfState(flow)
            value = reader.expression(reader.read(text), inputs)
            logs = {name for name, _ in reader.variables if name.startswith(LOG)}
        used = {x.attribute: x for x in topological_order([value]) if x.operation == "input"}
        for name, x in used.items():
            if name not in inputs or inputs[name].shape != x.shape:
                raise ConslawError(f"quantity: it uses {x!r}, which is no array of the state of this flow")
        if not used or not value.size:
            raise ConslawError(f"quantity={text[:60]!r}: it does not depend on the state; {TAKEN}")
        return cls(text, _with_logarithms(flow, logs), inputs, value)


def _with_logarithms(flow: Flow, logs: Iterable[str]) -> Flow:
    """The flow with logarithms of arrays in its state."""
    shapes = {name: flow.state[name.removeprefix(LOG)] for name in sorted(logs)}
    if not shapes:
        return flow
    wholes = {name: name.removeprefix(LOG) for name in shapes}
    moves = [
        {**one, **{log: one[n] / input_array(n, flow.state[n]) for log, n in wholes.items() if n in one}}
        for one in flow.fields
    ]
    return replace(flow, state={**flow.state, **shapes}, fields=tuple(moves))


def _written(quantity: Any) -> str:
    """A SymPy expression as text of the grammar of laws."""
    import sympy

    if not isinstance(quantity, sympy.Expr) or isinstance(quantity, sympy.MatrixExpr):
        raise ConslawError(f"quantity={str(quantity)[:60]!r}: no scalar SymPy expression; {TAKEN}")
    try:
        return re.sub(r"sqrt\(t\)", "t**(1/2)", str(quantity))
    except RecursionError:
        raise ConslawError("quantity: this SymPy expression is nested too deeply") from None


# matrix notation

FACTOR = r"[^\W\d]\w*ᵀ?"
PRODUCT = re.compile(rf"(?:([0-9]{{1,18}}) )?({FACTOR}(?: {FACTOR})*)")


def _in_notation(text: str, inputs: Mapping[str, Expression]) -> Expression | None:
    """A sum of products of matrices, 'W1 W1ᵀ − 2 W2ᵀ W2', vectors being columns; None if it is none."""
    if "ᵀ" not in text and not re.fullmatch(FACTOR, text.strip()):
        return None
    if len(text) > LONGEST_NOTATION:
        raise TooLargeError(f"quantity: more than {LONGEST_NOTATION:,} characters in matrix notation")
    parts = re.split(r" *([-−+]) *", text.strip())
    signs, products = ["+", *parts[1::2]], parts[::2]
    if not products[0]:  # a sign in front
        signs, products = signs[1:], products[1:]
    terms = list[Expression]()
    for sign, product in zip(signs, products, strict=True):
        found = PRODUCT.fullmatch(product)
        if not found:
            raise ConslawError(f"quantity={text[:60]!r}: {product[:40]!r} is no product of matrices; {TAKEN}")
        names = found[2].split(" ")
        if len(names) > MOST_FACTORS:
            raise TooLargeError(f"quantity={text[:60]!r}: a product of more than {MOST_FACTORS} matrices")
        factors = [_factor(text, name, inputs) for name in names]
        scale = int(found[1] or 1) * (1 if sign == "+" else -1)
        try:
            terms.append(scale * reduce(lambda a, b: a @ b, factors))
        except ConslawError as error:
            raise ConslawError(f"quantity={text[:60]!r}: {product[:60]!r}: {error}") from None
    if len({x.shape for x in terms}) > 1:
        raise ConslawError(f"quantity={text[:60]!r}: adds arrays of shapes {[x.shape for x in terms]}"[:300])
    return reduce(add, terms)


def _factor(text: str, name: str, inputs: Mapping[str, Expression]) -> Expression:
    array = inputs.get(name.removesuffix("ᵀ"))
    if array is None or array.ndim > 2:
        known = ", ".join(n for n, x in inputs.items() if x.ndim < 3)
        raise ConslawError(
            f"quantity={text[:60]!r}: {name.removesuffix('ᵀ')[:40]!r} is no matrix or vector of the state, "
            f"which has {known[:200]}"
        )
    matrix = array if array.ndim == 2 else array.reshape(-1, 1)
    return matrix.T if name.endswith("ᵀ") else (matrix if "ᵀ" in text else array)


# text of the grammar of laws


@dataclass(frozen=True)
class _Quotient:
    """A quotient of polynomials in numbered variables."""

    above: Terms
    below: Terms

    def __neg__(self) -> _Quotient:
        return _Quotient({m: -c for m, c in self.above.items()}, self.below)

    def __mul__(self, other: _Quotient) -> _Quotient:
        return _Quotient(_product(self.above, other.above), _product(self.below, other.below))

    def __truediv__(self, other: _Quotient) -> _Quotient:
        if not other.above:
            raise ConslawError("quantity: it divides by zero")
        return _Quotient(_product(self.above, other.below), _product(self.below, other.above))


CONSTANT: Terms = {(): Fraction(1)}


def _product(x: Terms, y: Terms) -> Terms:
    if x == CONSTANT or y == CONSTANT:
        return y if x == CONSTANT else x
    degree, pairs = max(map(len, x), default=0) + max(map(len, y), default=0), len(x) * len(y)
    if degree > LARGEST_DEGREE:
        raise TooLargeError(f"quantity: of a degree above {LARGEST_DEGREE:,}: give array code")
    if pairs * degree > MOST_WORK:
        raise TooLargeError(f"quantity: {pairs:,} products of degree {degree:,}: give array code")
    if pairs > 10 * MOST_TERMS:
        raise TooLargeError(f"quantity: more than {MOST_TERMS:,} terms when written out: give array code")
    found = dict[Monomial, Fraction]()
    for m, a in x.items():
        for n, b in y.items():
            key = tuple(sorted(m + n))
            found[key] = found.get(key, Fraction(0)) + a * b
    return _checked({m: c for m, c in found.items() if c})


def _checked(x: Terms) -> Terms:
    if sum(1 + len(m) for m in x) > 10 * MOST_TERMS or len(x) > MOST_TERMS:
        raise TooLargeError(f"quantity: more than {MOST_TERMS:,} terms when written out: give array code")
    check_power(max((max(abs(c.numerator), c.denominator) for c in x.values()), default=1), Fraction(1))
    return x


class _OfState:
    """The numbers that the text of a law is read over: quotients of polynomials in entries of the state."""

    def __init__(self, flow: Flow) -> None:
        self.flow = flow
        self.variables = dict[tuple[str, tuple[int, ...]], int]()

    @property
    def inside(self) -> LawNumbers:
        return SymPyNumbers()

    def read(self, text: str) -> _Quotient:
        """The quantity that a text says."""
        if len(text) > LONGEST_TEXT:
            raise ConslawError(f"quantity: more than {LONGEST_TEXT:,} characters")
        try:
            found: _Quotient = read_law(text, self)
        except ConslawError as error:
            what = str(error).replace("parse_law", "quantity", 1)
            raise ConslawError(what if TAKEN in what or "quantity:" in what else f"{what}; {TAKEN}") from None
        return found

    def integer(self, value: int) -> _Quotient:
        return _Quotient({(): Fraction(value)} if value else {}, CONSTANT)

    def entry(self, name: str, index: tuple[int, ...]) -> _Quotient:
        state = self.flow.state
        time = self.flow.time
        if name == "t" and not index and name not in state:
            if time is None or time.kind != "power":
                raise ConslawError(f"quantity: time stands in it as {self._clock()}")
            return self._variable(TIME, (), time.rate.denominator)
        shape = state.get(name)
        if shape is None or (name == TIME and time is not None):
            known = ", ".join(n for n in state if n != TIME or time is None)
            raise ConslawError(f"quantity: {name[:40]!r} is no array of the state, which has {known[:300]}")
        if len(index) != len(shape) or any(i >= n for i, n in zip(index, shape, strict=True)):
            example = f"{name}[{','.join('0' for _ in shape)}]" if shape else name
            raise ConslawError(
                f"quantity: {name}{list(index) if index else ''} is no entry of an array of shape {shape}: "
                f"give one, such as {example}"
            )
        return self._variable(name, index)

    def _clock(self) -> str:
        time = self.flow.time
        return f"powers of {time.text(1)}" if time else "nothing: this flow does not depend on it"

    def _variable(self, name: str, index: tuple[int, ...], power: int = 1) -> _Quotient:
        number = self.variables.setdefault((name, index), len(self.variables) + 1)
        return _Quotient({(number,) * power: Fraction(1)}, CONSTANT)

    def sum(self, parts: Sequence[_Quotient]) -> _Quotient:
        below = parts[0].below
        if any(x.below != below for x in parts):
            return reduce(self._sum_of_two, parts)
        total = dict[Monomial, Fraction]()
        for x in parts:
            for m, c in x.above.items():
                total[m] = total.get(m, Fraction(0)) + c
        return _Quotient(_checked({m: c for m, c in total.items() if c}), below)

    def _sum_of_two(self, a: _Quotient, b: _Quotient) -> _Quotient:
        below = _product(a.below, b.below)
        return self.sum([_Quotient(_product(x.above, y.below), below) for x, y in ((a, b), (b, a))])

    def power(self, base: _Quotient, exponent: Fraction) -> _Quotient:
        if exponent.denominator > 1:
            time = self.flow.time
            clock = self.variables.get((TIME, ()))
            monomials = list(base.above)
            single = base.below == CONSTANT and len(monomials) == 1 and base.above[monomials[0]] == 1
            whole = len(monomials[0]) * exponent if single else exponent
            if time is None or not single or set(monomials[0]) != {clock} or whole.denominator > 1:
                raise ConslawError(f"quantity: the power {exponent} is not rational; powers are integers")
            base, exponent = _Quotient({(monomials[0][0],): Fraction(1)}, CONSTANT), whole
        if exponent < 0:
            return self.power(self.integer(1) / base, -exponent)
        for terms in (base.above, base.below):
            if len(terms) == 1:  # a power at once
                [(m, c)] = terms.items()
                check_power(max(abs(c.numerator), c.denominator), exponent)
                if len(m) * exponent > LARGEST_DEGREE:
                    raise TooLargeError(
                        f"quantity: the power {exponent} is of a degree above {LARGEST_DEGREE:,}"
                    )
            elif len(terms) > 1 and exponent > 1000:
                raise TooLargeError(f"quantity: the power {exponent} of a sum has too many terms")
        result, square, n = self.integer(1), base, int(exponent)
        while n:
            result = result * square if n % 2 else result
            n //= 2
            square = square * square if n else square
        return result

    def function(self, name: str, argument: Any) -> _Quotient:
        import sympy

        time, t = self.flow.time, sympy.Symbol("t")
        if name == "log":
            entry = argument
            indexed = isinstance(entry, sympy.Indexed)
            if not indexed and not isinstance(entry, sympy.Symbol):
                raise ConslawError(f"quantity: log({str(entry)[:40]}): the logarithms are those of entries")
            base = str(entry.base) if indexed else entry.name
            index = tuple(int(i) for i in entry.indices) if indexed else ()
            self.entry(base, index)  # refused if it is none
            if base in ("t", TIME):
                raise ConslawError("quantity: log(t) is not taken")
            return self._variable(LOG + base, index)
        rate = argument / t
        if time is None or time.kind != "exp" or not rate.is_Rational:
            raise ConslawError(f"quantity: exp({str(argument)[:40]}): time stands in it as {self._clock()}")
        power = Fraction(int(rate.p), int(rate.q)) / time.rate
        if power.denominator > 1 or abs(power) > LARGEST_DEGREE:
            raise ConslawError(f"quantity: exp({argument}): time stands in it as {self._clock()}")
        return self.power(self._variable(TIME, ()), power)

    def expression(self, found: _Quotient, inputs: dict[str, Expression]) -> Expression:
        """As array code in a few nodes."""
        places = dict[int, tuple[str, int]]()
        for (name, index), number in self.variables.items():
            shape = self.flow.state[name.removeprefix(LOG)]
            inputs.setdefault(name, input_array(name, shape))
            places[number] = (name, int(np.ravel_multi_index(index, shape)) if index else 0)
        above = _evaluated(found.above, places, inputs)
        return above if found.below == CONSTANT else above / _evaluated(found.below, places, inputs)


def _evaluated(
    terms: Terms, places: Mapping[int, tuple[str, int]], inputs: Mapping[str, Expression]
) -> Expression:
    """A polynomial in entries: the terms in entries of the same arrays at once."""
    groups = dict[tuple[str, ...], list[tuple[list[int], Fraction]]]()
    for monomial, coefficient in terms.items():
        own = sorted(places[v] for v in monomial)
        groups.setdefault(tuple(n for n, _ in own), []).append(([i for _, i in own], coefficient))
    if sum(map(len, groups)) > MOST_NODES:
        raise TooLargeError("quantity: too many kinds of terms when written out: give array code")
    parts = [as_expression(0)]
    for names, members in groups.items():
        coefficients = np.empty(len(members), dtype=object)
        coefficients[:] = [c for _, c in members]
        columns = np.array([where for where, _ in members], dtype=np.int64).reshape(len(members), -1).T
        factors = [inputs[n].reshape(-1)[column] for n, column in zip(names, columns, strict=True)]
        parts.append(reduce(mul, factors, as_expression(coefficients)).sum())
    return reduce(add, parts[1:] or parts)

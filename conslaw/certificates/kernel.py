"""The kernel: all that is computed when a certificate is checked.  It stands alone, on NumPy for arrays and
FLINT for numbers.

A flow is array code, a list of nodes each after its arguments, and the words that say how it moves.  The code
is run over two kinds of numbers: exact polynomials over Q (is a function conserved?), and residues mod p with
nilpotent parts (values of Lie brackets, gradients).  This decides plain certificates;
:mod:`conslaw.certificates.rules` reduces large ones to small ones.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from math import prod
from typing import Any, NamedTuple, TypeAlias

import flint
import numpy as np

Shape: TypeAlias = tuple[int, ...]
Array: TypeAlias = Any  # of numbers of one of the two kinds
Named: TypeAlias = Mapping[str, Any]
Field: TypeAlias = Callable[[Named], dict[str, Array]]

LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
BATCH = 2**26  # bytes of the arrays of a batch of samples
TIME = "time"


class Refuted(Exception):  # noqa: N818
    """A check that does not hold; the text says what was found."""


class Node(NamedTuple):
    """One step of array code: what is done to the values of which nodes before it, into which shape."""

    operation: str
    arguments: tuple[int, ...]
    shape: Shape
    attribute: Any


@dataclass(frozen=True)
class Flow:
    """A flow: arrays, a potential as array code (its last node), a metric diag(rate z**power) of each array.

    ``damping`` is (tau, whether it is divided by t) in a momentum flow.  ``given`` are fields in place of
    those of the potential: each maps a state array to the node of ``code`` that is its velocity.
    """

    parameters: Mapping[str, Shape]
    data: Mapping[str, Shape]
    code: Sequence[Node]
    powers: Mapping[str, int] = field(default_factory=dict)
    rates: Mapping[str, Fraction] = field(default_factory=dict)
    decay: Fraction = Fraction(0)
    damping: tuple[Fraction, bool] | None = None
    given: Sequence[Mapping[str, int]] | None = None

    @property
    def state(self) -> dict[str, Shape]:
        """The arrays of the state, in the order of the coordinates."""
        time = {TIME: ()} if self.given is None and (self.decay or self.damping) else {}
        moving = {velocity(name): shape for name, shape in self.parameters.items()} if self.damping else {}
        return {**time, **self.parameters, **moving}

    @property
    def dimension(self) -> int:
        """The number of state coordinates."""
        return sum(map(prod, self.state.values()))


def velocity(name: str) -> str:
    """The array that holds the velocity of another."""
    return f"{name}_dot"


# two kinds of numbers


class Numbers:
    """Arrays whose first so many axes do not belong to their shape."""

    leading = 0

    def take(self, x: Array, indices: Array) -> Array:
        return x.reshape(*x.shape[: self.leading], -1)[..., indices]

    def reshape(self, x: Array, shape: Shape) -> Array:
        return x.reshape((*x.shape[: self.leading], *shape))


class Polynomials(Numbers):
    """Arrays of polynomials over Q in so many variables."""

    def __init__(self, count: int) -> None:
        self.context = flint.fmpq_mpoly_ctx.get(("x", max(1, count)), "lex")
        self.zero = self.context.constant(0)

    def variables(self, arrays: Mapping[str, Shape]) -> dict[str, Array]:
        """The entries of some arrays, in order."""
        generators = iter(self.context.gens())
        return {n: objects([next(generators) for _ in range(prod(s))], s) for n, s in arrays.items()}

    def constant(self, values: Array) -> Array:
        exact = [flint.fmpq(v.numerator, v.denominator) for v in values.reshape(-1)]
        return objects([self.context.constant(v) for v in exact], values.shape)

    def add(self, x: Array, y: Array) -> Array:
        return np.add(x, y, out=np.empty(x.shape, dtype=object))

    def product(self, x: Array, y: Array, a: str, b: str, out: str) -> Array:
        sizes = dict(zip(a + b, x.shape + y.shape, strict=True))
        return np.einsum(f"{a},{b}->{out}", x, y, out=np.empty([sizes[c] for c in out], dtype=object))

    def sum(self, x: Array, axes: Shape) -> Array:
        return np.sum(
            x, axis=axes, out=np.empty([n for i, n in enumerate(x.shape) if i not in axes], dtype=object)
        )

    def put(self, x: Array, indices: Array, shape: Shape) -> Array:
        result = objects([self.zero] * prod(shape), (prod(shape),))
        np.add.at(result, indices.reshape(-1), x.reshape(-1))
        return result.reshape(shape)


def objects(values: Sequence[Any], shape: Shape) -> Array:
    """An array of objects; NumPy alone would take a polynomial for the sequence of its terms."""
    return np.fromiter(values, dtype=object, count=len(values)).reshape(shape)


ONE = objects([Fraction(1)], ())


class Residues(Numbers):
    """Arrays over GF(p)[e_0, e_1, ...] with e_i**2 = 0, in batches: shape (2**k, batch, *shape), the bits of
    the first index being the e_i of a monomial.  Arrays with fewer e_i, and the batch 1, serve for all.
    """

    leading = 2

    def __init__(self, p: int) -> None:
        self.p = np.uint64(p)

    def constant(self, values: Array) -> Array:
        p = int(self.p)
        flat = [v.numerator * pow(v.denominator, -1, p) % p for v in values.reshape(-1)]
        return np.array(flat, dtype=np.uint64).reshape(1, 1, *values.shape)

    def add(self, x: Array, y: Array) -> Array:
        x, y = (x, y) if len(x) >= len(y) else (y, x)
        low = (x[: len(y)] + y) % self.p
        return np.concatenate([low, np.broadcast_to(x[len(y) :], (len(x) - len(y), *low.shape[1:]))])

    def product(self, x: Array, y: Array, a: str, b: str, out: str) -> Array:
        """Taken at e_i = 0, infinity and 1 for each e_i of both: the coefficients of 1 and of e_i follow from
        these.
        """
        bits = min(len(x), len(y)).bit_length() - 1
        x, y = (z.reshape(len(z) >> bits, *[2] * bits, *z.shape[1:]) for z in (x, y))
        for axis in range(1, bits + 1):
            x, y = (np.concatenate([z, z.sum(axis=axis, keepdims=True) % self.p], axis=axis) for z in (x, y))
        inner = prod(n for c, n in zip(a, x.shape[bits + 2 :], strict=True) if c not in out)
        letters, half = f"...{a},...{b}->...{out}", np.uint64(16)
        if inner > 2**16:
            raise Refuted(f"a sum over {inner:,} entries")  # of 31 + 16 bits each: it would not fit 64 bits
        if inner == 1:
            value = np.einsum(letters, x, y) % self.p
        else:
            high, low = np.einsum(letters, x, y >> half), np.einsum(letters, x, y & np.uint64(2**16 - 1))
            value = ((high % self.p << half) + low) % self.p
        for axis in range(1, bits + 1):
            at_0, at_infinity, at_1 = np.split(value, 3, axis=axis)
            slope = (at_1 + self.p - at_0 + self.p - at_infinity) % self.p
            value = np.concatenate([at_0, slope], axis=axis)
        return value.reshape(-1, *value.shape[bits + 1 :])

    def sum(self, x: Array, axes: Shape) -> Array:
        return x.sum(axis=tuple(i + 2 for i in axes)) % self.p

    def put(self, x: Array, indices: Array, shape: Shape) -> Array:
        result = np.zeros((*x.shape[:2], prod(shape)), dtype=np.uint64)
        np.add.at(result.T, indices.reshape(-1), x.reshape(*x.shape[:2], -1).T)
        return (result % self.p).reshape(*x.shape[:2], *shape)


def widened(arrays: Sequence[Array], size: int) -> list[Array]:
    """Arrays of residues with so many coefficients, those they have not being zero, in one batch."""
    batch = max(x.shape[1] for x in arrays)
    wide = [np.broadcast_to(x[:size], (min(size, len(x)), batch, *x.shape[2:])) for x in arrays]
    return [np.concatenate([x, np.zeros((size - len(x), *x.shape[1:]), dtype=np.uint64)]) for x in wide]


# code, its gradient, and the fields of a flow


def run(code: Sequence[Node], inputs: Named, numbers: Any) -> list[Array]:
    """The value of each node."""
    values = list[Array]()
    for operation, arguments, shape, attribute in code:
        if operation == "input":
            values.append(inputs[attribute])
            continue
        rest = {"add": (), "product": attribute, "put": (attribute, shape), "reshape": (shape,)}.get(
            operation, (attribute,)
        )
        values.append(getattr(numbers, operation)(*[values[i] for i in arguments], *rest))
    return values


def gradient(code: Sequence[Node], inputs: Named, numbers: Any) -> dict[str, Array]:
    """The derivative of the last node, a scalar, with respect to each input that it depends on."""
    values, slopes, result = run(code, inputs, numbers), dict[int, Array](), dict[str, Array]()

    def add(known: dict[Any, Array], key: Any, value: Array) -> None:
        known[key] = numbers.add(known[key], value) if key in known else value

    slopes[len(code) - 1] = numbers.constant(ONE)
    for i in range(len(code) - 1, -1, -1):
        if i not in slopes:
            continue
        (operation, arguments, _, attribute), slope = code[i], slopes.pop(i)
        shapes = [code[j].shape for j in arguments]
        match operation:
            case "input":
                add(result, attribute, slope)
            case "add":
                for j in arguments:
                    add(slopes, j, slope)
            case "product":
                (j, k), (a, b, out) = arguments, attribute
                add(slopes, j, numbers.product(slope, values[k], out, b, a))
                add(slopes, k, numbers.product(slope, values[j], out, a, b))
            case "sum":
                positions = np.expand_dims(np.arange(prod(code[i].shape)).reshape(code[i].shape), attribute)
                add(slopes, arguments[0], numbers.take(slope, np.broadcast_to(positions, shapes[0])))
            case "take":
                add(slopes, arguments[0], numbers.put(slope, attribute, shapes[0]))
            case "put":
                add(slopes, arguments[0], numbers.take(slope, attribute))
            case "reshape":
                add(slopes, arguments[0], numbers.reshape(slope, shapes[0]))
    return result


def fields(flow: Flow, state: Named, data: Named, numbers: Any) -> list[dict[str, Array]]:
    """The vector fields, the control last: each maps state arrays to their velocities, those not named being
    at rest.
    """
    if flow.given is not None:
        values = run(flow.code, {**state, **data}, numbers)
        return [{name: values[node] for name, node in one.items()} for one in flow.given]
    letters = {name: LETTERS[: len(shape)] for name, shape in flow.state.items()}

    def times(factor: Array | Fraction, name: str, x: Array) -> Array:
        """A scalar times an array of the shape of one of the state."""
        scalar = numbers.constant(objects([factor], ())) if isinstance(factor, Fraction) else factor
        return numbers.product(scalar, x, "", letters[name], letters[name])

    def power(x: Array, name: str, exponent: int) -> Array:
        result = x
        for digit in bin(exponent)[3:]:
            result = numbers.product(result, result, *[letters[name]] * 3)
            result = numbers.product(result, x, *[letters[name]] * 3) if digit == "1" else result
        return result

    def metric(name: str, z: Array, slope: Array) -> Array:
        slope, exponent = times(flow.rates.get(name, Fraction(1)), name, slope), flow.powers.get(name, 0)
        return numbers.product(power(z, name, exponent), slope, *[letters[name]] * 3) if exponent else slope

    slopes = gradient(flow.code, {**state, **data}, numbers)
    moved, one = [name for name in flow.parameters if name in slopes], numbers.constant(ONE)
    if flow.damping is None:
        control = {name: metric(name, state[name], slopes[name]) for name in moved}
        if not flow.decay:
            return [control]
        decaying = {name: times(-flow.decay, name, state[name]) for name in flow.parameters}
        return [{TIME: times(flow.decay, TIME, state[TIME]), **decaying}, control]
    (tau, over_t), s = flow.damping, state[TIME]  # tau / t with t = s**q: the drift is multiplied by q t
    t = power(s, TIME, tau.denominator) if over_t else one
    speed, drag = (
        (times(Fraction(tau.denominator), TIME, t), Fraction(tau.numerator)) if over_t else (one, tau)
    )
    drift, control = {TIME: s if over_t else times(tau, TIME, s) if tau else one}, {}
    for name in flow.parameters:
        force = times(times(-flow.decay, TIME, speed), name, state[name])
        drift[name] = times(speed, name, state[velocity(name)])
        drift[velocity(name)] = numbers.add(times(-drag, name, state[velocity(name)]), force)
    most = max((flow.powers.get(name, 0) for name in flow.parameters), default=0) if over_t else 0
    for name in moved:  # the control is multiplied by as many powers of t as the metric has
        z = numbers.add(times(tau, name, state[name]), times(t, name, state[velocity(name)]))
        value, missing = metric(name, z, slopes[name]), most - flow.powers.get(name, 0)
        control[velocity(name)] = times(power(t, TIME, missing), name, value) if over_t and missing else value
    return [drift, control]


def elements(
    flow: Flow,
    point: Named,
    depth: int,
    count: int,
    p: int,
    *,
    only: Named | None = None,
    drift: bool = False,
    guest: str | None = None,
    nested: str | None = None,
) -> Array:
    """Values at a point of right-nested brackets of ``depth`` random elements of the span of the fields:
    (count, n) residues mod p.  Of the data ``only`` those where it says so are not zero, ``guest`` not in the
    last but one (or only) field of a bracket, and ``nested`` in brackets alone.  Single fields are controls,
    unless with ``drift``.
    """
    numbers, rng = Residues(p), np.random.default_rng(depth)
    batch = max(1, BATCH // (8 * 3 ** (depth - 1) * sum(prod(node.shape) for node in flow.code)))

    def random_field(some: int, alone: bool) -> Field:
        def drawn(shape: Shape) -> Array:
            return rng.integers(0, p, (1, some, *shape), dtype=np.uint64)

        data = {n: drawn(s) * np.uint64(1 if only is None else only[n]) for n, s in flow.data.items()}
        for name, absent in ((guest, alone), (nested, depth == 1)):
            if name is not None and absent:
                data[name] = data[name] * np.uint64(0)
        scales = [drawn(()) for _ in flow.given or (0, 0)]

        def field(state: Named) -> dict[str, Array]:
            result = {n: np.zeros((1, some, *s), dtype=np.uint64) for n, s in flow.state.items()}
            found = fields(flow, state, data, numbers)
            for one, scale in zip(found if drift or depth > 1 else found[-1:], scales, strict=False):
                for name, x in one.items():
                    letters = LETTERS[: len(flow.state[name])]
                    result[name] = numbers.add(result[name], numbers.product(scale, x, "", letters, letters))
            return result

        return field

    rows = list[Array]()
    for start in range(0, count, batch):
        some = min(batch, count - start)
        found = bracket([random_field(some, i == max(0, depth - 2)) for i in range(depth)], point, numbers.p)
        every = [np.broadcast_to(found[n][0], (some, *shape)) for n, shape in flow.state.items()]
        rows.append(np.concatenate([x.reshape(some, -1) for x in every], axis=1))
    return np.concatenate(rows)


def bracket(some: Sequence[Field], state: Named, p: Any, size: int = 1) -> dict[str, Array]:
    """[X_1, [X_2, ...]] = D[X_2, ...] X_1 - D X_1 [X_2, ...] mod p at a state with ``size`` coefficients."""

    def moved(direction: Named) -> dict[str, Array]:
        return {name: np.concatenate(widened([x, direction[name]], size)) for name, x in state.items()}

    first = some[0](state)
    if len(some) == 1:
        return first
    along_first = bracket(some[1:], moved(first), p, 2 * size)
    along_rest = some[0](moved(along_first))
    both = {name: widened([along_first[name], along_rest[name]], 2 * size) for name in state}
    return {name: (x[size:] + p - y[size:]) % p for name, (x, y) in both.items()}


def rank(rows: Array, p: int) -> int:
    """The rank mod p of a matrix of residues, by FLINT."""
    return flint.nmod_mat(len(rows), rows.shape[1], rows.reshape(-1).tolist(), p).rank() if rows.size else 0


def check_conserved(
    h: Any, along: Sequence[Sequence[Any]], logs: Mapping[int, int], below: Any = None
) -> None:
    """Refute that h, or h / below, is conserved, given the velocity of each variable along each field.

    ``logs`` maps variables that are logarithms to those whose logarithms they are; log x moves with x' / x.
    """

    def derivative(polynomial: Any, velocities: Sequence[Any]) -> Any:
        total = polynomial * 0
        for v, degree in enumerate(polynomial.degrees()):
            if degree:
                moved, rest = velocities[logs.get(v, v)], 0
                if v in logs:
                    moved, rest = divmod(moved, polynomial.context().gens()[logs[v]])
                if rest != 0:
                    raise Refuted("has a logarithm whose velocity is not a polynomial")
                total += polynomial.derivative(v) * moved
        return total

    for velocities in along:
        change = derivative(h, velocities)
        if below is not None:
            change = change * below - h * derivative(below, velocities)
        if change != 0:
            raise Refuted("is not conserved")


def slopes(code: Sequence[Node], inputs: Named, directions: Named, p: int) -> tuple[Array, Array]:
    """The values mod p (*shape) of the last node, and its derivatives (count, *shape) along tangent vectors.

    Each input that moves has ``count`` directions, of shape (1, count, *shape).
    """
    moving = {name: np.concatenate(widened([inputs[name], x], 1)) for name, x in directions.items()}
    value = widened([run(code, {**inputs, **moving}, Residues(p))[-1]], 2)[0]
    count = max(x.shape[1] for x in directions.values())
    return value[0, 0], np.broadcast_to(value[1], (count, *value.shape[2:]))

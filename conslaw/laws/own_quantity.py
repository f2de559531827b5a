"""Is this one of mine?  Whether a quantity of the user's is conserved, with a proof either way where there is
one.

*No* is a witness: a point of the state and data at which the quantity moves, computed exactly.  *Yes* is an
identity of polynomials: the derivative along every field, written out, is zero; or it is for so few neurons
that it is for any number (:mod:`conslaw.laws.matrix_ansatz`); or the quantity is a combination of laws that
are proved at any width.  Else it is zero at random points mod random primes, and that is only probable.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import reduce
from math import prod
from operator import add
from typing import Any, Self

import numpy as np

from conslaw import display
from conslaw.algebra.bounds import Bounds, BoundsNumbers
from conslaw.algebra.evaluation import NumPyNumbers, evaluate, gradient, topological_order
from conslaw.algebra.expressions import LETTERS, Expression, contract, input_array, size
from conslaw.algebra.finite_field import PRIMES_DRAWN_FROM, random_prime
from conslaw.algebra.polynomials import Polynomials, number
from conslaw.algebra.term_counts import count_terms
from conslaw.algebra.threads import one_blas_thread
from conslaw.errors import ConslawError, TooLargeError, check_seed
from conslaw.flows.flow import Flow, check_flow, velocity
from conslaw.laws.brackets import RandomField
from conslaw.laws.combination_of_laws import is_combination_of_laws
from conslaw.laws.index_classes import IndexClasses
from conslaw.laws.lie import random_point
from conslaw.laws.matrix_ansatz import indices_of_slopes
from conslaw.laws.matrix_notation import derivatives_along
from conslaw.laws.quantity import Quantity
from conslaw.laws.windows import has_windows, window
from conslaw.models.potential import Model
from conslaw.models.weights import Array

VERSION = 1  # of the JSON
RUNS = 2  # random points, each mod a prime of its own
FEW_TERMS, MANY_TERMS = 1e5, 5e6  # of an identity that is written out before others are tried, and after
MOST_EXACT = 3e6  # multiplications of exact numbers
DRAWS = 20  # of small points for a witness


@dataclass(frozen=True, eq=False)
class Witness:
    """Where a quantity moves.

    Attributes
    ----------
    point, data : the arrays of the state and of the data, of integers; ``"log U"`` is a logarithm, which is a
        number of its own
    entry : which entry of the quantity moves
    velocity : its derivative along the flow there, exactly; not 0
    prime : where that is too much work in exact numbers: all this is mod a prime, which proves as much
    """

    point: Mapping[str, Array] = field(repr=False)
    data: Mapping[str, Array] = field(repr=False)
    entry: tuple[int, ...]
    velocity: Fraction
    prime: int | None = None

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready dictionary."""
        return {
            "point": {n: x.tolist() for n, x in self.point.items()},
            "data": {n: x.tolist() for n, x in self.data.items()},
            "entry": list(self.entry),
            "velocity": str(self.velocity),
            "prime": self.prime,
        }

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Witness) and self.to_json() == other.to_json()


@dataclass(frozen=True, repr=False)
class Conserved(display.Shown):
    """Whether a quantity is conserved.

    Attributes
    ----------
    flow : the flow that was asked about
    quantity : as text
    conserved : whether it is
    how : what shows it
    error_probability : 0 where it is **proved**; else a bound on the probability that it is not conserved
    witness : where it moves, if it does
    """

    flow: str
    quantity: str
    conserved: bool
    how: str
    error_probability: float
    witness: Witness | None = None

    def __bool__(self) -> bool:
        return self.conserved

    @property
    def about(self) -> str:
        """What the answer is about."""
        return f"{self.flow}: for all data and all losses"

    @property
    def proved(self) -> Mapping[str, Any]:
        """The answer, if it is proved; else empty, so false."""
        return {} if self.error_probability else {"conserved": self.conserved}

    @property
    def probable(self) -> Mapping[str, Any]:
        """The answer and the probability that it is wrong, if it is not proved."""
        found = {"conserved": self.conserved, "error_probability": self.error_probability}
        return found if self.error_probability else {}

    def _summary(self) -> display.Summary:
        quantity = self.quantity if len(self.quantity) < 200 else f"{self.quantity[:200]} ..."
        if self.witness:
            said = f"no   proved: {self._moves(self.witness)}"
        elif self.error_probability:
            said = f"yes   {display.unless(self.error_probability)}: {self.how}"
        else:
            said = f"yes   proved: {self.how}"
        return display.Summary(self.flow, [("quantity", quantity), ("conserved", said)])

    def _moves(self, w: Witness) -> str:
        which = f" of entry {list(w.entry)}" if w.entry else ""
        if w.prime:
            return f"its derivative{which} is {w.velocity} mod {w.prime} at a point, in .witness"
        where = ", ".join(f"{n} = {x.tolist()}" for n, x in {**w.point, **w.data}.items())
        at = where if len(where) < 200 else "a point, in .witness"
        return f"its derivative{which} is {w.velocity} at {at}"

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready dictionary."""
        witness = self.witness and self.witness.to_json()
        names = ("flow", "quantity", "conserved", "how", "error_probability")
        values = {name: getattr(self, name) for name in names}
        return {**display.stamp("quantity", VERSION), **values, "witness": witness}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """The answer from that dictionary."""
        display.check_stamp(data, "quantity", VERSION)
        names = ("flow", "quantity", "conserved", "how", "error_probability")
        witness, w = None, data["witness"]
        if w:
            point, data_there = (
                {n: np.array(x, dtype=object) for n, x in w[which].items()} for which in ("point", "data")
            )
            witness = Witness(point, data_there, tuple(w["entry"]), Fraction(w["velocity"]), w["prime"])
        if data["conserved"] == bool(witness):
            raise ConslawError("what is conserved has no witness, and what is not has one")
        return cls(**{name: data[name] for name in names}, witness=witness)


@one_blas_thread()
def is_conserved(flow: Flow | Model, quantity: Any, *, seed: int = 0) -> Conserved:
    """Whether a quantity is conserved along a flow, for all data and all losses.

    Parameters
    ----------
    flow : Flow, or Model for its gradient flow
    quantity : array code, SymPy expression, text or family of laws
        Array code takes the arrays of the state, ``lambda z: z.W1 @ z.W1.T - z.W2.T @ z.W2``; that of an
        array is conserved if every entry is.  The velocity of ``W1`` in a momentum flow is ``z.W1_dot``;
        ``z.time`` is what time stands in a flow as, such as exp(tau t).  A SymPy expression is one in the
        symbols of ``analysis.laws``; text is what ``analysis.laws`` prints, ``"W1[0,0]**2 - exp(2*t)"``, or
        a sum of products of matrices, ``"W1 W1ᵀ − W2ᵀ W2"``.  No text is ever evaluated as code.
    seed : int
        Draws points and primes; the same seed gives the same run.

    Returns
    -------
    Conserved
        True or false as a condition; ``proved``, or with ``error_probability``; *no* is always **proved**,
        by a ``witness``.  Where a model has nonlinearities that are read as free data, *no* is about its
        parametrisation.

    Raises
    ------
    ConslawError
        If the quantity is no function of the state.

    Examples
    --------
    >>> import conslaw
    >>> net = conslaw.linear([3, 2, 4])
    >>> conslaw.is_conserved(net, lambda z: z.W1 @ z.W1.T - z.W2.T @ z.W2)
    linear 3-2-4, gradient flow
      quantity   array code
      conserved  yes   proved: its derivative, written out, is zero
    >>> no = conslaw.is_conserved(conslaw.linear([1, 1, 1]), "W1[0,0]**2 + W2[0,0]**2")
    >>> no.conserved, no.witness.velocity != 0
    (False, True)

    References
    ----------
    J. T. Schwartz, J. ACM 27 (1980), R. Zippel, EUROSAM 1979, for what is only probable.
    """
    whole, seed = check_flow(flow), check_seed(seed)
    asked = Quantity.of(whole, quantity)
    rng, title = np.random.default_rng(seed), _title(whole)
    for _ in range(RUNS):
        if (found := _moving(asked, rng)) is not None:
            witness = _exact_witness(asked, found.entry, rng) or found
            return Conserved(title, asked.text, False, "a witness", 0.0, witness)
    for how, proof in PROOFS:
        try:
            if proof(asked):
                return Conserved(title, asked.text, True, how, 0.0)
        except (TooLargeError, MemoryError):
            continue
    chance = max(_chance(asked), 1e-300)  # not 0: it is not proved
    return Conserved(title, asked.text, True, "zero at random points mod random primes", chance)


def _title(flow: Flow) -> str:
    """What is asked about, in a line."""
    model = flow.model
    widths = model.arguments.get("widths") if model else None
    sizes = " " + "-".join(map(str, widths)) if widths else ""
    read = ", whose nonlinearities are read as free data" if model and model.readings else ""
    return f"{model.name}{sizes}, {flow.name} flow{read}" if model else f"{flow.name} flow"


# no


def _moving(asked: Quantity, rng: np.random.Generator) -> Witness | None:
    """A random point mod a random prime where some entry moves; None if none does there."""
    for _ in range(3):
        p = random_prime(rng)
        point = random_point(asked.flow, rng, p)
        along = RandomField(asked.flow, 1, rng, p)
        try:
            [slopes] = derivatives_along([asked.value], point, along(point), 1, p)
        except ZeroDivisionError:
            continue
        places = np.argwhere(slopes[0])
        if not len(places):
            return None
        entry = tuple(places[0].tolist())
        state, data = ({n: x[0][0] for n, x in arrays.items()} for arrays in (point, along.data))
        return Witness(state, data, entry, Fraction(int(slopes[0][entry])), p)
    raise ConslawError(
        f"quantity={asked.text[:60]!r}: it, or the flow, divides by zero wherever it was tried"
    )


def _exact_witness(asked: Quantity, entry: tuple[int, ...], rng: np.random.Generator) -> Witness | None:
    """A point of small integers where this entry moves; None if that is too much work."""
    slopes = _derivatives(asked.flow, asked.value[entry] if entry else asked.value)
    if sum(_work(x) for x in topological_order(slopes)) > MOST_EXACT:
        return None
    for draw in range(DRAWS):
        most = 2 + draw
        point = {n: _integers(rng, s, 1, most) for n, s in asked.flow.state.items()}
        data = {n: _integers(rng, s, -most, most) for n, s in asked.flow.data.items()}
        try:
            velocities = evaluate(slopes, {**point, **data}, NumPyNumbers(Fraction))
        except ZeroDivisionError:
            continue
        if moving := [x.item() for x in velocities if x.item()]:
            return Witness(point, data, entry, Fraction(moving[0]))
    return None


def _integers(rng: np.random.Generator, shape: tuple[int, ...], low: int, high: int) -> Array:
    made = np.empty(shape, dtype=object)
    made.reshape(-1)[:] = rng.integers(low, high + 1, prod(shape)).tolist()
    return made


def _work(node: Expression) -> float:
    """Multiplications of a node."""
    if node.operation != "product":
        return float(prod(node.shape))
    a, b, _ = node.attribute
    sizes = dict(zip(a + b, node.args[0].shape + node.args[1].shape, strict=True))
    return float(prod(sizes.values()))


def _derivatives(flow: Flow, value: Expression) -> list[Expression]:
    """The derivative of a scalar function of the state along each field."""
    used = {
        x.attribute: x
        for x in topological_order([value])
        if x.operation == "input" and x.attribute in flow.state
    }
    slopes = dict(zip(used, gradient(value, list(used.values())), strict=True))
    return [
        reduce(add, [(slopes[n] * x).sum() for n, x in one.items() if n in used])
        for one in flow.fields
        if used.keys() & one.keys()
    ]


# yes


def _tested(value: Expression) -> tuple[Expression, Mapping[str, tuple[int, ...]]]:
    """The sum of all entries, each times a free number: zero iff all are."""
    letters, test = LETTERS[: value.ndim], "test of entries"
    if not value.ndim:
        return value, {}
    return contract(value, input_array(test, value.shape), letters, letters, ""), {test: value.shape}


def vanishes(flow: Flow, value: Expression, most: float = MANY_TERMS) -> bool:
    """Whether the derivative of each entry along each field is zero, written out: proved if true."""
    total, tests = _tested(value)
    slopes = _derivatives(flow, total)
    arrays = {**flow.state, **flow.data, **tests}
    nodes = topological_order(slopes)
    if sum(prod(x.shape) * x.count for x in count_terms(nodes, size(arrays))) > most:
        raise TooLargeError("an identity of too many terms")
    for slope in slopes:
        numbers = Polynomials(1 + size(arrays))
        [found] = evaluate([slope], number(arrays), numbers)
        if len(numbers.cleared(found)[0]):
            return False
    return True


def _of_few_neurons(asked: Quantity) -> bool:
    """Whether the identity holds for as few neurons as one of its monomials involves; in windows first."""
    used = {x.attribute for x in topological_order([asked.value]) if x.operation == "input"}
    return any(_holds_at_any_width(part, asked) for part in _parts(asked.flow, used))


def _parts(flow: Flow, used: set[str]) -> list[Flow]:
    """The windows of the arrays that are used, and the whole."""
    if flow.model is None or not has_windows(flow):
        return [flow]
    reached = {x.attribute for x in topological_order([flow.model.potential]) if x.operation == "input"}
    own = [n for n in flow.model.parameters if n in used or velocity(n) in used]
    if not own or not reached.issuperset(own):
        return [flow]
    return [*(window(flow, own, apart=apart) for apart in (True, False)), flow]


def _holds_at_any_width(part: Flow, asked: Quantity) -> bool:
    used = [x for x in topological_order([asked.value]) if x.operation == "input"]
    if any(part.state.get(x.attribute) != x.shape for x in used):
        return False
    classes = IndexClasses.of(part)
    axes = classes.axes([asked.value])[id(asked.value)]
    counts = indices_of_slopes(classes, asked.value, axes, asked.inputs)
    if counts is None:
        return False
    lengths = {c: min(n, max(1, counts.get(c, 0))) for c, n in classes.lengths.items()}
    try:
        smaller, [value] = classes.smaller_flow(lengths), classes.resized([asked.value], lengths)
    except ConslawError:
        return False
    return vanishes(smaller, value)


WRITTEN, SMALL, SPAN = (
    "its derivative, written out, is zero",
    "its derivative is zero for few neurons, so for any number",
    "a combination of laws that hold at any width",
)
PROOFS: list[tuple[str, Callable[[Quantity], bool]]] = [
    (WRITTEN, lambda asked: vanishes(asked.flow, asked.value, FEW_TERMS)),
    (SMALL, _of_few_neurons),
    (SPAN, lambda asked: is_combination_of_laws(asked.flow, asked.value)),
    (WRITTEN, lambda asked: vanishes(asked.flow, asked.value)),
]


# probably


def _chance(asked: Quantity) -> float:
    """A bound on the probability that all runs were zero although the quantity moves."""
    total, tests = _tested(asked.value)
    slopes = _derivatives(asked.flow, total)
    arrays = {**asked.flow.state, **asked.flow.data, **tests}
    known = {name: Bounds(shape, 1, 0.0) for name, shape in arrays.items()}
    once = 0.0
    for x in evaluate(slopes, known, BoundsNumbers()):
        unlucky_prime = (1 + x.height + x.below[1]) / 30 / PRIMES_DRAWN_FROM
        unlucky_point = (x.degree + x.below[0] + 1) / 2**30
        once = max(once, unlucky_prime + unlucky_point)
    return float(min(1.0, once) ** RUNS) if once else 0.0

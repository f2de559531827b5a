"""Critical points of the distance to a target on a neurovariety, counted over C (mod p, by Gröbner bases)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import combinations, pairwise
from math import factorial, prod
from typing import Any, Self

import numpy as np

from conslaw import display
from conslaw.algebra.evaluation import evaluate
from conslaw.algebra.finite_field import drawn, residue
from conslaw.algebra.polynomials import Polynomials, number, terms
from conslaw.errors import ConslawError
from conslaw.models.networks import polynomial
from conslaw.models.potential import Model
from conslaw.models.potential import model as made
from conslaw.varieties.architecture import Architecture, architecture
from conslaw.varieties.coordinates import Coordinates, coordinates, of_network
from conslaw.varieties.dimensions import dimension
from conslaw.varieties.groebner import points, require_msolve, text

VERSION = 1
INNER_PRODUCTS = ("data", "generic", "bombieri")
PRIMES = (2147483629, 2147483587)
MOST_UNKNOWNS = 30


@dataclass(frozen=True, repr=False)
class CriticalPoints(display.Shown):
    """How many complex critical points the squared distance to a general target has.

    Attributes
    ----------
    model : str
    inner_product : ``"data"`` (the mean over general data), ``"generic"`` (any symmetric form) or
        ``"bombieri"``
    full_rank : number of points where the weights are all used and the Jacobian has the rank of the
        dimension; None if they are not isolated
    dead_neurons : from the number of hidden units that are left to the number of critical points of that
        smaller network (two layers only)
    boundary : critical points where two hidden units have merged into a tangent, which no weights represent
        (two layers only)
    zero : 1: the zero function, where all weights vanish
    fibre : how many weights, up to scales, stand for one function of full rank
    primes : the count is the same mod each: **probable**
    """

    model: str
    inner_product: str
    full_rank: int | None
    dead_neurons: Mapping[int, int | None] | None
    boundary: int | None
    zero: int
    fibre: int | None
    primes: tuple[int, ...] = field(repr=False)

    @property
    def about(self) -> str:
        """What the answer is about."""
        return f"{self.model}, squared distance to a general target, inner product {self.inner_product!r}"

    @property
    def proved(self) -> Mapping[str, Any]:
        """That the zero function is critical: the rest is counted mod p."""
        return {"zero": self.zero}

    @property
    def probable(self) -> Mapping[str, Any]:
        """The counts, mod two primes and for random targets."""
        names = ("full_rank", "dead_neurons", "boundary", "fibre")
        return {name: getattr(self, name) for name in names if getattr(self, name) is not None}

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready dictionary."""
        values = {name: getattr(self, name) for name in type(self).__dataclass_fields__}
        dead = None if self.dead_neurons is None else [[k, n] for k, n in self.dead_neurons.items()]
        return {
            **display.stamp("critical points", VERSION),
            **values,
            "dead_neurons": dead,
            "primes": list(self.primes),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Critical points from their JSON."""
        display.check_stamp(data, "critical points", VERSION)
        values = {name: data[name] for name in cls.__dataclass_fields__}
        dead = values["dead_neurons"]
        values["dead_neurons"] = None if dead is None else dict(dead)
        return cls(**{**values, "primes": tuple(values["primes"])})

    def _summary(self) -> display.Summary:
        def said(n: int | None) -> str:
            return "not isolated" if n is None else f"{n:,}   mod two primes: probable"

        rows = [("full rank", said(self.full_rank))]
        for left, n in (self.dead_neurons or {}).items():
            rows.append((f"{left} hidden left", said(n)))
        if self.boundary is not None:
            rows.append(("boundary", said(self.boundary)))
        return display.Summary(
            f"critical points of {self.about}", [*rows, ("zero", f"{self.zero:,}   proved")]
        )


def critical_points(model: Model, *, inner_product: str) -> CriticalPoints:
    """The number of complex critical points of the squared distance to a general target (extra ``groebner``).

    The inner product must be named, since the number depends on it: with the mean over data, functions are
    compared by the moments of the inputs, output by output; a generic form on the coefficients has more
    critical points; Bombieri's is that of symmetric tensors.

    Parameters
    ----------
    model : Model
        A network of the family ``polynomial`` without biases, not defective.
    inner_product : ``"data"``, ``"generic"`` or ``"bombieri"``

    Returns
    -------
    CriticalPoints

    Raises
    ------
    ConslawError
        For another model, a bad inner product, a missing extra, or too many unknowns.

    References
    ----------
    Draisma, Horobeţ, Ottaviani, Sturmfels, Thomas, *The Euclidean distance degree of an algebraic variety*,
    2016; Kubjas, Li, Wiesmann, arXiv 2402.00949.
    """
    if not isinstance(inner_product, str) or inner_product not in INNER_PRODUCTS:
        raise ConslawError(
            f"inner_product={inner_product!r}: give one of {', '.join(map(repr, INNER_PRODUCTS))}"
        )
    network = architecture(model) if isinstance(model, Model) else None
    if network is None or network.bias:
        raise ConslawError(
            f"critical points of {str(model)[:60]!r}: give a network of the family polynomial without biases"
        )
    require_msolve()
    if network.naive > MOST_UNKNOWNS:
        raise ConslawError(
            f"critical points of polynomial {network}: {network.naive} unknowns, more than {MOST_UNKNOWNS}; "
            "make it smaller"
        )
    found = dimension(model)
    if not found.finitely_identifiable:
        raise ConslawError(
            f"critical points of polynomial {network}: infinitely many weights stand for one function "
            f"(dimension {found.dimension}, naive {network.naive}); choose one that is finitely identifiable"
        )
    counted = [_count(network, inner_product, p) for p in PRIMES]
    if counted[0] != counted[1]:
        raise ConslawError(
            f"critical points of polynomial {network}: {counted[0]} and {counted[1]} mod two primes"
        )
    full, fibre, dead, boundary = counted[0]
    return CriticalPoints(f"polynomial {network}", inner_product, full, dead, boundary, 1, fibre, PRIMES)


Counted = tuple[int | None, int | None, dict[int, int | None] | None, int | None]


def _count(network: Architecture, inner_product: str, p: int) -> Counted:
    d = network.widths
    whole = coordinates(polynomial(d, network.powers or 2))
    form = _form(whole, inner_product, network.degree, p)
    full, fibre = _of_stratum(whole, whole.scales, _factors(d), form, p)
    if network.depth != 2:
        return full, fibre, None, None
    dead: dict[int, int | None] = {}
    for left in range(d[1] - 1, 0, -1):
        smaller = (d[0], left, d[2])
        part = coordinates(polynomial(smaller, network.powers))
        dead[left] = _of_stratum(part, part.scales, _factors(smaller), form, p)[0]
    return full, fibre, dead, _boundary(network, form, p) if d[1] > 1 and d[0] > 1 else None


def _form(whole: Coordinates, inner_product: str, degree: int, p: int) -> list[list[int]]:
    """The Gram matrix mod p of an inner product on the coefficients divided by multinomials."""
    multinomials = [factorial(degree) // prod(map(factorial, exponents)) for _, exponents in whole.index]

    def entry(a: int, b: int) -> int:
        if inner_product == "generic":
            return _draw(f"form {a}" if a == b else f"form {min(a, b)} {max(a, b)}", p)
        if inner_product == "bombieri":
            return multinomials[a] if a == b else 0
        (j, alpha), (k, beta) = whole.index[a], whole.index[b]
        moment = tuple(x + y for x, y in zip(alpha, beta, strict=True))
        return _draw(f"moment {moment}", p) * multinomials[a] * multinomials[b] % p if j == k else 0

    return [[entry(a, b) for b in range(len(whole))] for a in range(len(whole))]


def _draw(key: str, p: int) -> int:
    return int(drawn(f"critical points {key}", (1,), p)[0])


def _factors(d: Sequence[int]) -> list[list[list[int]]]:
    """What must not vanish: for each hidden unit a combination of its outgoing weights, for each pair of a
    layer one of the differences of their incoming weights (first weights are 1).  A factor is a list of
    [coefficient, parameter].
    """
    starts = np.cumsum([0, *(a * b for a, b in pairwise(d))]).tolist()
    factors = []
    for layer in range(1, len(d) - 1):
        into, out = starts[layer - 1], starts[layer]
        for unit in range(d[layer]):
            rows = range(d[layer + 1])
            factors.append([[2 * row + 1, out + row * d[layer] + unit] for row in rows])
        for one, other in combinations(range(d[layer]), 2):
            columns = range(1, d[layer - 1])
            plus = [[2 * c + 1, into + one * d[layer - 1] + c] for c in columns]
            minus = [[-2 * c - 1, into + other * d[layer - 1] + c] for c in columns]
            factors.append(plus + minus)
    return factors


def _of_stratum(
    part: Coordinates,
    ones: frozenset[int],
    factors: Sequence[Sequence[Sequence[int]]],
    form: list[list[int]],
    p: int,
) -> tuple[int | None, int | None]:
    """The number of critical points of a parametrised set, and of weights over one of its points."""
    import flint

    left = [i for i in range(part.parameters) if i not in ones]
    names = [f"t{i}" for i in left] + [f"s{i}" for i in range(len(factors))]
    context = flint.nmod_mpoly_ctx.get(names, modulus=p, ordering="degrevlex")
    gens, zero = context.gens(), context.from_dict({})
    variable = dict(zip(left, gens, strict=False))
    inverse = []
    for s, factor in zip(gens[len(left) :], factors, strict=True):
        value = sum((variable.get(i, zero + 1) * (c % p) for c, i in factor), zero)
        inverse.append(s * value - 1)
    images = []
    for polynomial_ in part.polynomials:
        image = zero
        for monomial, c in polynomial_.items():
            exponents = [monomial.count(i) for i in left] + [0] * len(factors)
            image += context.from_dict({tuple(exponents): residue(c, p)})
        images.append(image)
    residual = [image - _draw(f"target {i}", p) for i, image in enumerate(images)]
    dual = [sum((r * a for r, a in zip(residual, row, strict=True) if a), zero) for row in form]
    critical = []
    for i in range(len(left)):
        derivative = sum((image.derivative(i) * y for image, y in zip(images, dual, strict=True)), zero)
        critical.append(derivative)
    at = {i: _draw(f"weight {i}", p) for i in left}
    values = [
        sum(residue(c, p) * prod(at.get(i, 1) for i in m) for m, c in one.items()) % p
        for one in part.polynomials
    ]
    fibre = [image - value for image, value in zip(images, values, strict=True)]
    written = [[text(f, names) for f in system if len(f)] for system in (critical + inverse, fibre + inverse)]
    total, over = points(names, written[0], p), points(names, written[1], p)
    if total is None or not over:
        return None, over
    if total % over:
        raise ConslawError(f"{total} solutions, {over} for each function: the target was not general")
    return total // over, over


def _boundary(network: Architecture, form: list[list[int]], p: int) -> int | None:
    """Critical points of the functions a w**r + b w**(r - 1) w' + the other hidden units."""
    (n, h, m), r = network.widths, network.powers[0]

    def potential(q: Any, c: Any) -> Any:
        first = q.w @ c.x
        merged = (c.v @ q.a) * first**r + (c.v @ q.b) * first ** (r - 1) * (q.t @ c.x)
        return merged + (c.v @ q.U @ ((q.V @ c.x) ** r) if h > 2 else 0)

    arrays: dict[str, tuple[int, ...]] = {"w": (n,), "a": (m,), "b": (m,), "t": (n,)}
    if h > 2:
        arrays |= {"V": (h - 2, n), "U": (m, h - 2)}
    merged = made(potential, parameters=arrays, data={"x": (n,), "v": (m,)}, name="boundary")
    expanded = evaluate([merged.potential], number({**merged.parameters, **merged.data}), Polynomials())[0]
    collected: dict[tuple[int, ...], dict[tuple[int, ...], Any]] = {}
    zeros = {2 * m + n}  # t[0] is 0: the part along w belongs to a
    for monomial, c in terms(expanded)[0]:
        weights = tuple(i - 1 for i in monomial if i <= merged.size)
        if not zeros & set(weights):
            data = tuple(i - 1 - merged.size for i in monomial if i > merged.size)
            collected.setdefault(data, {})[weights] = Fraction(c)
    part = of_network(network, merged.size, collected)
    start = 2 * n + 2 * m
    ones = {0, *zeros, 2 * m + n + 1, *(start + row * n for row in range(h - 2))}
    factors = [[[2 * i + 1, n + m + i] for i in range(m)]]
    for unit in range(h - 2):
        factors.append([[2 * j + 1, start + (h - 2) * n + j * (h - 2) + unit] for j in range(m)])
        factors.append(
            [[s * (2 * c + 1), at + c] for c in range(1, n) for s, at in ((1, 0), (-1, start + unit * n))]
        )
    for one, other in combinations(range(h - 2), 2):
        factors.append(
            [[s * (2 * c + 1), start + u * n + c] for c in range(1, n) for s, u in ((1, one), (-1, other))]
        )
    return _of_stratum(part, frozenset(ones), factors, form, p)[0]

"""The equations of a neurovariety up to a degree, by multigraded interpolation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import lru_cache
from itertools import groupby
from math import comb, lcm, prod
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from conslaw import display
from conslaw.algebra.finite_field import LIFTING_PRIME, Residues, RowSpace, fraction
from conslaw.errors import ConslawError
from conslaw.models.networks import polynomial
from conslaw.models.potential import Model, is_positive_integer
from conslaw.varieties.architecture import Architecture, architecture
from conslaw.varieties.coordinates import Coordinates, coordinates
from conslaw.varieties.dimensions import Dimension, dimension
from conslaw.varieties.lower_bound import narrowed
from conslaw.varieties.weight_spaces import Space, Weight, check_size, dominant, moved, orbit, spaces

if TYPE_CHECKING:
    import sympy

VERSION = 1
SURPLUS = 5  # points beyond the number of monomials
PRIMES = (LIFTING_PRIME, 2147483629, 2147483587, 2147483579)  # the next is tried where lifting fails
MOST_PRODUCTS = 2 * 10**8  # products of terms in an expansion by which an equation is verified
Terms = tuple[tuple[tuple[int, ...], int], ...]  # (sorted coordinate numbers, coefficient)


@dataclass(frozen=True, repr=False)
class Equations(display.Shown):
    """All equations of a neurovariety up to a degree (never more than that: not "the ideal").

    Attributes
    ----------
    model : str
    coordinates : names of the coefficients; of a network without biases they are divided by multinomials
    degree : up to which the equations were looked for
    multidegree : of the outputs, within which they were looked for; None for all
    by_multidegree : from the degrees in the outputs (for a model of the user's own: the degree) to
        (dimension of the space of equations, number of new generators), where there are any
    hilbert_function : monomials less equations, in degrees 0, 1, ..., degree
    complete_to_degree : the degree up to which the count is **proved** on both sides: kernels mod p from
        above, equations lifted to Q and verified by expansion from below
    dimension, codimension : as :func:`dimension` finds them (codimension None for a model of the user's own)
    filling : True if it is proved that there are no equations of any degree
    generators : the new generators, as lists of (coordinate numbers, integer)
    whole_ideal : whether an elimination mod p says that these generate the ideal (**probable**); None if not
        asked
    """

    model: str
    coordinates: tuple[str, ...] = field(repr=False)
    degree: int
    multidegree: tuple[int, ...] | None
    by_multidegree: Mapping[tuple[int, ...], tuple[int, int]]
    hilbert_function: tuple[int, ...]
    complete_to_degree: int
    dimension: int
    codimension: int | None
    filling: bool
    generators: tuple[Terms, ...] = field(repr=False)
    whole_ideal: bool | None = None

    @property
    def about(self) -> str:
        """What the answer is about."""
        where = f" of multidegree within {self.multidegree}" if self.multidegree else ""
        return f"{self.model}: all equations up to degree {self.degree}{where}"

    @property
    def proved(self) -> Mapping[str, Any]:
        """That the generators vanish, and the counts that are proved on both sides."""
        always = {"filling": True} if self.filling else {"equations": len(self.generators)}
        return always | {"complete_to_degree": self.complete_to_degree}

    @property
    def probable(self) -> Mapping[str, Any]:
        """Counts beyond, as kernels mod p give them."""
        beyond = {"hilbert_function": self.hilbert_function} if self.complete_to_degree < self.degree else {}
        return beyond | ({} if self.whole_ideal is None else {"whole_ideal": self.whole_ideal})

    def number(self, degree: int) -> tuple[int, int]:
        """The dimension of the equations of this degree, and how many of them are new generators."""
        own = [value for key, value in self.by_multidegree.items() if sum(key) == degree]
        return sum(a for a, _ in own), sum(b for _, b in own)

    @property
    def polynomials(self) -> list[sympy.Expr]:
        """The generators as SymPy polynomials."""
        import sympy

        symbols = [sympy.Symbol(name) if name != "1" else sympy.Integer(1) for name in self.coordinates]
        return [
            sympy.Add(*(c * sympy.Mul(*(symbols[i] for i in monomial)) for monomial, c in terms))
            for terms in self.generators
        ]

    def strings(self) -> list[str]:
        """The generators as text."""
        return [
            " ".join(f"{c:+d}*" + "*".join(self.coordinates[i] for i in monomial) for monomial, c in terms)
            for terms in self.generators
        ]

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready dictionary."""
        data = {name: getattr(self, name) for name in type(self).__dataclass_fields__}
        data["by_multidegree"] = [[list(key), *value] for key, value in self.by_multidegree.items()]
        data["generators"] = [[[list(m), str(c)] for m, c in terms] for terms in self.generators]
        lists = {name: list(x) if isinstance(x, tuple) else x for name, x in data.items()}
        return {**display.stamp("equations", VERSION), **lists}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Equations from their JSON."""
        display.check_stamp(data, "equations", VERSION)
        values = {name: data[name] for name in cls.__dataclass_fields__}
        values["by_multidegree"] = {tuple(key): (a, b) for key, a, b in values["by_multidegree"]}
        values["generators"] = tuple(
            tuple((tuple(m), int(c)) for m, c in terms) for terms in values["generators"]
        )
        for name in ("coordinates", "hilbert_function"):
            values[name] = tuple(values[name])
        values["multidegree"] = tuple(values["multidegree"]) if values["multidegree"] else None
        return cls(**values)

    def _summary(self) -> display.Summary:
        if self.filling:
            return display.Summary(self.about, [("equations", "none of any degree   proved: filling")])
        rows = [("coefficients", f"{len(self.coordinates):,}"), ("dimension", f"{self.dimension:,}")]
        for degree in range(1, self.degree + 1):
            total, new = self.number(degree)
            how = "proved" if degree <= self.complete_to_degree else "mod p"
            rows.append((f"degree {degree}", f"{total:,} equations, {new:,} new   {how}"))
        if self.whole_ideal is not None:
            said = "these generate" if self.whole_ideal else "these do not generate"
            rows.append(("whole ideal", f"{said} it, by an elimination mod p   probable"))
        latex = [rf"\texttt{{{text}}}".replace("_", r"\_") for text in self.strings()]
        return display.Summary(
            self.about, rows, (), [display.Section("new generators", self.strings(), latex)]
        )


def equations(
    model: Model, *, degree: int, multidegree: Sequence[int] | None = None, method: str = "interpolation"
) -> Equations:
    """All equations of a neurovariety up to a degree.

    Monomials in the coefficients are sorted by the weights of the tori that act; permutations of inputs and
    outputs leave one weight space of each orbit.  In each the equations are the kernel of the monomials'
    values at random points mod p, which bounds their number from above; those that do not follow from lower
    degrees are lifted to Q and verified by substitution, which bounds it from below.

    Parameters
    ----------
    model : Model
        A network of the family ``polynomial``, or any model: then its coordinates are the coefficients of the
        potential in the data, and 1 if these do not form a cone.
    degree : int >= 1
    multidegree : degrees in the outputs, optional
        Only equations within it.
    method : ``"interpolation"`` or ``"elimination"``
        The latter (extra ``groebner``) compares them with the whole ideal mod p.

    Returns
    -------
    Equations

    Raises
    ------
    ConslawError
        For a bad degree, more monomials than memory has room for, or a missing extra.

    Examples
    --------
    >>> import conslaw
    >>> from conslaw import varieties
    >>> found = varieties.equations(conslaw.networks.polynomial([2, 2, 3]), degree=3)
    >>> found.number(2), found.number(3), found.complete_to_degree
    ((0, 0), (1, 1), 3)
    """
    if not isinstance(model, Model):
        raise ConslawError(f"equations of {str(model)[:60]!r}: give a model, as networks.polynomial makes")
    if not is_positive_integer(degree):
        raise ConslawError(f"degree={degree!r}: give a positive integer")
    if method not in ("interpolation", "elimination"):
        raise ConslawError(f"method={method!r}: give 'interpolation' or 'elimination'")
    network = architecture(model)
    within = _within(multidegree, network.widths[-1] if network and not network.bias else 0)
    found = dimension(model)
    if method == "elimination":
        from conslaw.varieties.groebner import require_msolve

        require_msolve()
    if found.exact and found.filling:
        ambient, empty = found.ambient_dimension or 0, dict[tuple[int, ...], tuple[int, int]]()
        hilbert = tuple(comb(ambient - 1 + d, d) for d in range(degree + 1))
        multi = tuple(multidegree) if multidegree else None
        return Equations(found.model, (), degree, multi, empty, hilbert, degree, found.dimension, 0, True, ())
    interpolation = _Interpolation(coordinates(_narrowest(model, network, found)))
    check_size(interpolation.coordinates, degree)
    for d in range(1, degree + 1):
        interpolation.add_degree(d, within)
    codimension = len(interpolation.coordinates) - found.dimension if network and not network.bias else None
    answer = Equations(
        model=found.model,
        coordinates=interpolation.coordinates.names,
        degree=degree,
        multidegree=tuple(multidegree) if multidegree else None,
        by_multidegree=interpolation.counts,
        hilbert_function=tuple(interpolation.hilbert),
        complete_to_degree=interpolation.complete,
        dimension=found.dimension,
        codimension=codimension,
        filling=False,
        generators=tuple(interpolation.generators),
    )
    if method == "elimination":
        from conslaw.varieties.groebner import generates

        return replace(answer, whole_ideal=generates(interpolation.coordinates, answer.generators))
    return answer


def _narrowest(model: Model, network: Architecture | None, found: Dimension) -> Model:
    """A subnetwork of the same dimension, both proved: it has the same variety, an irreducible one."""
    if network is None or network.bias or not found.exact:
        return model
    d = narrowed(network.widths, network.powers, found.dimension)
    smaller = polynomial(d, network.powers or 2)
    same = d != network.widths and dimension(smaller)
    return smaller if same and same.exact and same.dimension == found.dimension else model


def _within(multidegree: Sequence[int] | None, outputs: int) -> Weight | None:
    if multidegree is None:
        return None
    fits = isinstance(multidegree, Sequence) and len(multidegree) == outputs
    if not fits or not all(isinstance(n, int) and n >= 0 for n in multidegree):
        raise ConslawError(
            f"multidegree={multidegree!r}: give a degree for each of the {outputs} outputs (no biases)"
        )
    return tuple(sorted(multidegree, reverse=True))


class _Interpolation:
    """The equations found so far, degree by degree."""

    def __init__(self, coordinates: Coordinates) -> None:
        self.coordinates = coordinates
        self.kernels: dict[tuple[int, Weight], tuple[Space, Residues]] = {}
        self.counts: dict[tuple[int, ...], tuple[int, int]] = {}
        self.hilbert = [1]
        self.generators: list[Terms] = []
        self.complete, self.lifted = 0, True
        self.values = lru_cache(maxsize=8)(self._values)

    def _values(self, points: int, p: int) -> Residues:
        return self.coordinates.values(points, f"equations {points}", p)

    def add_degree(self, degree: int, within: Weight | None) -> None:
        """The equations of the next degree."""
        outputs, rest = self.coordinates.outputs, 0
        for space in spaces(self.coordinates, degree, within):
            kernel = self._kernel(space, PRIMES[0])[1]
            weights = orbit(self.coordinates, space.weight)
            rest += (len(space.monomials) - len(kernel)) * len(weights)
            if not len(kernel):
                continue
            self.kernels[degree, space.weight] = space, kernel
            new = self._new(degree, space, kernel)
            self._lift(space, new, weights)
            for weight in weights:
                key = weight[:outputs] if outputs else (degree,)
                known = self.counts.get(key, (0, 0))
                self.counts[key] = known[0] + len(kernel), known[1] + len(new)
        self.hilbert.append(rest)
        if self.lifted:
            self.complete = degree

    def _kernel(self, space: Space, p: int) -> tuple[RowSpace, Residues]:
        """The monomials' values at random points, and the equations (k, n) that they satisfy mod p."""
        n = len(space.monomials)
        values = self.values(_rounded(n + SURPLUS), p)[: n + SURPLUS]
        matrix = np.ones((len(values), n), dtype=np.uint64)
        for column in space.monomials.T:
            matrix = matrix * values[:, column] % np.uint64(p)
        rows = RowSpace.zero(n, p).extend(matrix)
        kernel = np.zeros((n - rows.rank, n), dtype=np.uint64)
        kernel[np.arange(n - rows.rank), rows.free] = 1
        kernel[:, rows.pivots] = (np.uint64(p) - rows.rest.T) % np.uint64(p)
        return rows, kernel

    def _new(self, degree: int, space: Space, kernel: Residues) -> list[int]:
        """Which rows of the kernel do not follow from lower degrees and the rows before them."""
        n, p = len(space.monomials), PRIMES[0]
        follows = RowSpace.zero(n, p)
        for i, own in enumerate(self.coordinates.weights.tolist()):
            weight = tuple(a - b for a, b in zip(space.weight, own, strict=True))
            known = self.kernels.get((degree - 1, dominant(self.coordinates, weight)))
            if known is None:
                continue
            below, rows = known
            monomials = moved(self.coordinates, weight)[below.monomials]
            times = np.concatenate([monomials, np.full((len(monomials), 1), i)], axis=1).astype(np.int32)
            times.sort(axis=1)
            places = [space.numbers[row.tobytes()] for row in times]
            products = np.zeros((len(rows), n), dtype=np.uint64)
            products[:, places] = rows
            follows = follows.extend(products)
            if follows.rank == len(kernel):
                return []
        return follows.independent(kernel)

    def _lift(self, space: Space, new: list[int], weights: list[Weight]) -> None:
        """Lift new generators to Q, verify them, and write down their images under permutations."""
        for row in new:
            terms = self._lifted(space, row) if self.lifted else None
            if terms is None or not self._vanishes(terms):
                self.lifted = False  # what is not lifted is not complete, nor is any later degree
                return
            for weight in weights:
                places = moved(self.coordinates, weight)
                images = [(tuple(sorted(places[list(m)].tolist())), c) for m, c in terms]
                self.generators.append(tuple(sorted(images)))

    def _lifted(self, space: Space, row: int) -> Terms | None:
        """An equation with integer coefficients, from its residues modulo as many primes as that takes."""
        modulus, residues = 1, [0] * len(space.monomials)
        free: list[int] | None = None
        for p in PRIMES:
            rows, kernel = self._kernel(space, p)
            free = rows.free.tolist() if free is None else free
            if free != rows.free.tolist():
                return None
            inverse = pow(modulus, -1, p)
            pairs = zip(residues, kernel[row].tolist(), strict=True)
            residues = [a + modulus * ((b - a) * inverse % p) for a, b in pairs]
            modulus *= p
            lifted = [fraction(a, modulus) for a in residues]
            if None not in lifted:
                values = [Fraction(*x) for x in lifted if x is not None]
                common = lcm(*(x.denominator for x in values))
                named = zip(space.monomials.tolist(), values, strict=True)
                terms = tuple((tuple(m), int(x * common)) for m, x in named if x)
                if self._vanishes_mod(terms):
                    return terms
        return None

    def _vanishes_mod(self, terms: Terms) -> bool:
        """Whether it vanishes at a point modulo another prime: before the expansion is made."""
        p, total = PRIMES[-1], 0
        values = self.values(1, p)[0].tolist()
        for monomial, c in terms:
            total += c * prod(values[i] for i in monomial)
        return total % p == 0

    def _vanishes(self, terms: Terms) -> bool:
        """Whether it vanishes identically in the weights: by expansion over Q, if that is not too much work.

        As Horner does: what a coordinate is multiplied by is summed up first, large coordinates last.
        """
        images, zero = _images(self.coordinates)
        left = MOST_PRODUCTS

        def value(rows: list[tuple[tuple[int, ...], int]], depth: int) -> Any:
            nonlocal left
            if depth == len(rows[0][0]):
                return sum(c for _, c in rows)
            total = zero
            for i, own in groupby(rows, key=lambda row: row[0][depth]):
                rest = value(list(own), depth + 1)
                if depth < len(rows[0][0]) - 1:
                    left -= len(rest) * len(images[i])
                    if left < 0:
                        raise _TooMuch
                total += rest * images[i]
            return total

        rows = sorted((tuple(sorted(m, key=lambda i: (-len(images[i]), i))), c) for m, c in terms)
        try:
            return not len(value(rows, 0))
        except _TooMuch:
            return False


class _TooMuch(Exception):  # noqa: N818
    """An expansion of more products than MOST_PRODUCTS."""


def _rounded(n: int) -> int:
    """The next of few numbers of points, so that the coordinates are evaluated seldom."""
    return max(64, 1 << (n - 1).bit_length())


@lru_cache(maxsize=4)
def _images(coordinates: Coordinates) -> tuple[list[Any], Any]:
    """The coordinates as FLINT polynomials in the weights that are left when ``coordinates.ones`` are 1."""
    import flint

    left = [i for i in range(coordinates.parameters) if i not in coordinates.ones]
    context = flint.fmpq_mpoly_ctx.get([f"t{i}" for i in left] or ["t"], "degrevlex")
    zero, images = context.from_dict({}), []
    for one in coordinates.polynomials:
        image = zero
        for monomial, c in one.items():
            exponents = tuple(monomial.count(i) for i in left) or (0,)
            image += context.from_dict({exponents: flint.fmpq(c.numerator, c.denominator)})
        images.append(image)
    return images, zero

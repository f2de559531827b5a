"""The two questions: how many conservation laws (:func:`count`), and what are they (:func:`analyze`)."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from functools import cached_property
from math import prod
from typing import TYPE_CHECKING, Any

from conslaw import display
from conslaw.algebra.finite_field import RowSpace
from conslaw.certificates.written import certificate
from conslaw.errors import ConslawError, check_seed
from conslaw.flows.flow import Flow, check_flow
from conslaw.laws.ansatz import (
    Degree,
    PolynomialLaws,
    ansatz_size,
    has_logarithms,
    polynomial_laws,
    random_sample,
)
from conslaw.laws.index_classes import IndexClasses
from conslaw.laws.lie import LieRanks, Point, lie_ranks
from conslaw.laws.matrix_notation import (
    LARGEST_DIRECTLY,
    MOST_TERMS,
    LawFamily,
    MatrixLaws,
    directly,
    family,
    law_families,
    matrix_combinations,
    size_directly,
)
from conslaw.laws.rational import RationalLaws, is_small, search_quotients
from conslaw.laws.splitting import Split, best_split, splits
from conslaw.models.potential import is_positive_integer

if TYPE_CHECKING:
    import sympy

SECOND_RUN = 2**32  # added to the seed for the independent second run
SPLIT_FROM = 2000  # state coordinates from which a count is split into subnetworks
SPLIT_ANALYSIS_FROM = 500  # the same where laws can show that nothing was lost
CHEAP = 3_000_000  # entries of a matrix of gradients that is made at once
QUICK, SLOW = (
    2e9,
    4e10,
)  # multiplications of a plain rank that are spent where subnetworks gave a bound already
MATRIX_FROM = 500_000  # unknowns of the ansatz with monomials from which the matrix ansatz is tried first


@dataclass(frozen=True, eq=False)
class Count:
    """How many independent conservation laws a flow has; the attributes carry the names of the JSON object.

    Attributes
    ----------
    model, flow : names
    widths, bias : how a named family was called, else None
    damping, weight_decay, metric : how the flow was made
    parameters : number of scalar parameters
    state_dimension : number of state coordinates (n)
    lie_ranks : ranks of the Lie algebra's trace with brackets of up to 1, 2, ... fields; **proved** lower
        bounds
    laws_at_most : n minus the last rank; **proved** upper bound on the number of independent laws
    generic : True for a random point; False if ``point`` was given, for which alone the answer then holds
    error_probability : bound on the *probability* that there are fewer laws than ``laws_at_most``: 0 where
        that is excluded, None where nothing is known (at a given point, with a given prime, or if the
        brackets were not exhausted)
    primes, seed : what reproduces the run
    bound : the run that proves ``laws_at_most``; the JSON has its ``split``
    seconds : wall-clock seconds, ``lie``, ``ansatz`` and ``total``
    """

    model: str
    widths: tuple[int, ...] | None
    bias: bool | None
    flow: str
    damping: str | None
    weight_decay: str
    metric: str
    parameters: int
    state_dimension: int
    lie_ranks: tuple[int, ...]
    laws_at_most: int
    generic: bool
    error_probability: float | None
    primes: tuple[int, ...]
    seed: int
    bound: LieRanks | Split = field(repr=False)
    seconds: Mapping[str, float] = field(repr=False)

    @property
    def split(self) -> Split | None:
        """How the network was split into subnetworks, at a special point; None for the plain route."""
        return self.bound if isinstance(self.bound, Split) else None

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready dictionary of the attributes."""
        values = {name: getattr(self, name) for name in Count.__dataclass_fields__ if name != "bound"}
        values["split"] = self.split.to_json() if self.split else None
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}

    @property
    def title(self) -> str:
        """What was asked about: the model and its flow."""
        widths = " " + "-".join(map(str, self.widths)) if self.widths else ""
        options = [
            *([f"damping {self.damping}"] if self.damping is not None else []),
            *([f"metric {self.metric}"] if self.metric != "euclidean" else []),
            *([f"weight decay {self.weight_decay}"] if self.weight_decay != "0" else []),
        ]
        kind = f"{self.flow} flow{' (' + ', '.join(options) + ')' if options else ''}"
        return f"{self.model}{widths}{' with bias' if self.bias else ''}, {kind}"

    def _summary(self) -> display.Summary:
        where = "" if self.generic else " at the given point only"
        rows = [
            ("parameters", f"{self.parameters}"),
            ("state dimension", f"{self.state_dimension}"),
            ("Lie ranks", ", ".join(map(str, self.lie_ranks))),
            *([("split into", str(self.split))] if self.split else []),
            ("laws at most", f"{self.laws_at_most}   proved{where}"),
        ]
        if not self.laws_at_most and self.generic:
            rows.append(("laws exactly", "0   proved"))
        elif self.error_probability is not None and self.error_probability < 1:
            rows.append(
                (
                    "laws exactly",
                    f"{self.laws_at_most}   except with probability < {self.error_probability:.0e}",
                )
            )
        return display.Summary(self.title, rows)

    def __repr__(self) -> str:
        return display.text(self._summary())

    def _repr_html_(self) -> str:
        return display.html(self._summary())


@dataclass(frozen=True, eq=False, repr=False)
class Analysis(Count):
    """A count together with the explicit polynomial laws (see :class:`Count` for the inherited attributes).

    Attributes
    ----------
    degree : the degree of the ansatz
    homogeneous : whether only monomials of exactly that degree were looked at
    laws_found : rank of the gradients of ``laws``; **proved** lower bound on the number of independent laws
    complete : True iff ``laws_found == laws_at_most``: both bounds meet, so the number of laws is **proved**
    ansatz : how the laws were found: ``"monomials"`` (all polynomials up to the degree) or ``"matrix"``
        (combinations of the model's own arrays)
    laws : the laws as SymPy expressions in the model's own names
    polynomial_laws : those that are polynomials (in the state, and where needed the logarithms of its
        entries)
    rational_laws : those that are quotients, independent of the polynomial ones
    lower_split : where the gradients of the laws of the matrix ansatz were counted in subnetworks: in which
    analyzed : the flow
    """

    degree: Degree
    homogeneous: bool
    laws_found: int
    complete: bool
    ansatz: str
    polynomial_laws: PolynomialLaws | MatrixLaws
    rational_laws: RationalLaws | None
    lower_split: Split | None
    analyzed: Flow

    def certificate(self) -> dict[str, Any]:
        """Everything that is needed to check both bounds again, ready for JSON.

        Returns
        -------
        dict
            In the documented format (:doc:`certificates`); :func:`conslaw.verify` checks it.

        Examples
        --------
        >>> import conslaw
        >>> analysis = conslaw.analyze(conslaw.gradient_flow(conslaw.linear([3, 2, 4])))
        >>> certificate = analysis.certificate()
        >>> certificate["claim"]
        'linear 3-2-4, gradient flow: exactly 3 independent conservation laws near a generic point'
        >>> conslaw.verify(certificate).ok
        True
        """
        return certificate(
            self.analyzed,
            upper=self.bound,
            laws=self.polynomial_laws,
            quotients=self.rational_laws,
            lower=self.lower_split,
            laws_found=self.laws_found,
            seed=self.seed,
        )

    @cached_property
    def laws(self) -> tuple[sympy.Expr, ...]:
        """The laws as SymPy expressions, in order of degree.

        Raises
        ------
        ConslawError
            If the matrix ansatz found more than can be written out; :attr:`law_families` has them.
        """
        return tuple(law for found in self._found for law in found.expressions())

    @cached_property
    def _families(self) -> tuple[list[LawFamily], list[int]]:
        if isinstance(self.polynomial_laws, MatrixLaws):
            return list(self.polynomial_laws.families), []
        if any(c.kind == "log" for c in self.polynomial_laws.coordinates) or not len(self.polynomial_laws):
            return [], list(range(len(self.polynomial_laws)))
        return law_families(self.analyzed, self.polynomial_laws.polynomials)

    @property
    def law_families(self) -> tuple[LawFamily, ...]:
        """The laws in matrix notation, as combinations of the model's own arrays, each entry of which is a
        law.
        """
        return tuple(self._families[0])

    @property
    def _found(self) -> list[PolynomialLaws | MatrixLaws | RationalLaws]:
        return [self.polynomial_laws, *([self.rational_laws] if self.rational_laws else [])]

    def _tried(self) -> str:
        """What else was looked for, for the remark on laws that were not found."""
        if isinstance(self.polynomial_laws, MatrixLaws):
            return ""
        logs = any(c.kind == "log" for c in self.polynomial_laws.coordinates)
        tried = [
            *(["with logarithms"] if logs else []),
            *(["as a quotient"] if self.rational_laws is not None else []),
        ]
        return f", and none was found {' or '.join(tried)}" if tried else ""

    @property
    def _many(self) -> bool:
        """Whether there are too many laws to write them out."""
        return isinstance(self.polynomial_laws, MatrixLaws) and self.polynomial_laws.terms > MOST_TERMS

    def _written(self) -> list[str]:
        return [law for found in self._found for law in found.strings()]

    def _latex(self) -> list[str]:
        return [law for found in self._found for law in found.latex()]

    def _summary(self) -> display.Summary:
        counted = super()._summary()
        found, most = self.laws_found, self.laws_at_most
        up_to = (
            f"{'of exactly' if self.homogeneous else 'up to'} degree {self.degree}"
            if self.ansatz == "monomials"
            else "of these kinds"
        )
        rows = [row for row in counted.rows if row[0] != "laws exactly"]
        rows.append(("laws found", f"{found}   proved independent"))
        if self.ansatz == "matrix":
            rows.append(("found by", "matrix ansatz: combinations of the arrays"))
        rows.append(("complete", "proved" if self.complete else "no: the bounds do not meet"))
        remarks = []
        if not self.complete and self.split:
            remarks.append(
                f"Proved: {found} to {most} independent laws.  The upper bound is a rank at a special "
                f"point and may be too large;\n"
                f"a plain rank is too much work here."
            )
        elif not self.complete:
            chance = (
                ""
                if self.error_probability is None
                else f" (except with probability < {self.error_probability:.0e})"
            )
            remarks.append(
                f"Proved: {found} to {most} independent laws.  Probable: exactly {most}{chance};\n"
                f"then {most - found} of them {'has' if most - found == 1 else 'have'} no polynomial form "
                f"{up_to}{self._tried()}."
            )
        if not self.complete and self.ansatz == "matrix":
            remarks.append(
                f"Polynomials up to degree {self.degree} that are not of these kinds were not looked for."
            )
        return display.Summary(counted.title, rows, remarks, self._sections(up_to))

    def _sections(self, up_to: str) -> list[display.Section]:
        """The laws in matrix notation, and as polynomials those left over, or all if they are few."""
        if not self.laws_found:
            return [display.Section(f"no polynomial laws {up_to}")]
        families = [rf"{f.latex}\quad\text{{({str(f).partition('   ')[2]})}}" for f in self.law_families]
        sections = (
            [display.Section("laws in matrix notation", [str(f) for f in self.law_families], families)]
            if families
            else []
        )
        if self._many:
            return [
                *sections,
                display.Section(
                    f"{self.laws_found:,} polynomials; one at a time: analysis.law_families[0].law(...)"
                ),
            ]
        written, latex = self._written(), self._latex()
        if len(written) <= display.SHOWN or not families:
            return [*sections, display.Section("laws", written, latex)]
        left = [*self._families[1], *range(len(self.polynomial_laws), len(written))]
        others = display.Section("and as polynomials", [written[i] for i in left], [latex[i] for i in left])
        return (
            [*sections, others]
            if left
            else [*sections, display.Section(f"as {len(written)} polynomials: analysis.laws, or --json")]
        )

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready dictionary of the attributes; the laws are strings that SymPy parses back, None if
        they are too many.
        """
        degree = (
            self.degree if isinstance(self.degree, int) else {str(k): int(v) for k, v in self.degree.items()}
        )
        found = {
            "degree": degree,
            "homogeneous": self.homogeneous,
            "laws_found": self.laws_found,
            "complete": self.complete,
            "ansatz": self.ansatz,
            "laws": None if self._many else self._written(),
            "law_families": [family.to_json() for family in self.law_families],
        }
        known = super().to_json()
        seconds = known.pop("seconds")
        return {**known, **found, "seconds": seconds}


def count(
    flow: Flow,
    *,
    seed: int = 0,
    prime: int | None = None,
    point: Point | None = None,
    split: bool | None = None,
) -> Count:
    """Count the independent conservation laws of a flow, without finding them.

    The bound ``laws_at_most`` is proved.  That it is attained is probable: of two runs with different primes
    and points the one that finds more counts, and ``error_probability`` bounds the chance that both missed
    something (one run only if ``prime`` or ``point`` is given).

    Parameters
    ----------
    flow : Flow
    seed : int
        The same seed gives the same run.
    prime : int, optional
        A prime between 2**20 and 2**31 to compute with; random ones by default.
    point : mapping from state array to integers or fractions, optional
        Count at this point instead of a generic one; the answer holds there only.
    split : bool, optional
        Whether to split the network into subnetworks.  By default from 2,000 state coordinates on, where that
        is possible. The bound is proved either way; how probable it is that it is attained is not known then,
        but :func:`analyze` can show it.

    Returns
    -------
    Count

    Raises
    ------
    ConslawError
        For an unusable prime, seed or point, or if a network is to be split that cannot be.

    Examples
    --------
    >>> import conslaw
    >>> conslaw.count(conslaw.gradient_flow(conslaw.relu([3, 5, 2]))).laws_at_most
    5

    References
    ----------
    [MGP23] arXiv 2307.00144, Theorem 3.3.
    """
    seed = check_seed(seed)
    start = time.perf_counter()
    choices = _classes_to_split(flow, split, SPLIT_FROM) if prime is None and point is None else []
    bounds = best_split(choices, seed=seed) if choices else None
    if split and not bounds:
        raise ConslawError(
            f"split={split!r}: this network does not fall apart into small subnetworks; leave split out"
        )
    runs: list[LieRanks | Split] = [bounds[0]] if bounds else []
    with (
        suppress(ConslawError) if bounds else nullcontext()
    ):  # too large: the bound of the subnetworks stands
        if not bounds or (split is None and bounds[0].ranks[-1] <= _feasible(flow, QUICK)):
            most = _feasible(flow, QUICK) if bounds else None
            runs = [lie_ranks(flow, seed=seed, prime=prime, point=point, most=most)]
            if prime is None and point is None:
                runs.append(lie_ranks(flow, seed=seed + SECOND_RUN, most=most))
    counted = _counted(flow, runs, seed)
    spent = time.perf_counter() - start
    return Count(**counted, seconds={"lie": spent, "ansatz": 0.0, "total": spent})


def _classes_to_split(flow: Flow, split: bool | None, smallest: int) -> list[IndexClasses]:
    """The sets of classes along which to split a flow: if that is wanted, or by default if it is large."""
    if split is not None and not isinstance(split, bool):
        raise ConslawError(f"split={split!r}: give True, False or None")
    wanted = check_flow(flow).dimension >= smallest if split is None else split
    return splits(flow) if wanted else []


def _feasible(flow: Flow, work: float) -> int:
    """The largest rank that the plain route finds with so many multiplications."""
    return int((work / flow.dimension) ** 0.5)


def analyze(
    flow: Flow,
    *,
    degree: Degree = 2,
    time_degree: int | None = None,
    homogeneous: bool = False,
    seed: int = 0,
    max_unknowns: int = 10_000_000,
    ansatz: str | None = None,
    split: bool | None = None,
) -> Analysis:
    """Count the conservation laws of a flow, find the polynomial ones, and say whether the list is complete.

    If polynomials do not reach the upper bound, quotients of polynomials are tried on small flows, then
    polynomials in the state and the logarithms of its entries (where the velocity of an entry is divisible by
    it, as in mirror flows).

    Parameters
    ----------
    flow : Flow
    degree : int, or mapping from groups of state arrays to integers
        Up to which degree to look for laws; see :func:`polynomial_laws`.
    time_degree : int >= 0, optional
        The largest degree in time; see :func:`polynomial_laws`.
    homogeneous : bool
        Look at monomials of exactly that degree only.
    seed : int
        The same seed gives the same run.
    max_unknowns : int
        Refuse a larger ansatz.
    ansatz : ``"monomials"`` or ``"matrix"``, optional
        Look for all polynomials up to the degree, or for combinations of the model's own arrays (Gram
        matrices, norms and sums of slices, skew products with velocities), which needs no monomials.  By
        default the latter from 500,000 monomials on; if it leaves laws open, the former as well, where
        ``max_unknowns`` allows it.
    split : bool, optional
        Whether to split the network into subnetworks for the upper bound.  By default where that is possible
        from 500 state coordinates on; if the bounds then do not meet, the plain route is taken as well, where
        memory allows it.

    Returns
    -------
    Analysis
        ``complete`` means proved: at most as many laws by the Lie ranks as were found with independent
        gradients.  If the bounds do not meet, both are reported, and the upper one was confirmed with a
        second prime and point.

    Raises
    ------
    ConslawError
        For a bad degree or seed, an unknown ansatz, or one that is too large.

    Examples
    --------
    >>> import conslaw
    >>> analysis = conslaw.analyze(conslaw.gradient_flow(conslaw.linear([1, 2, 1])))
    >>> analysis.laws_found, analysis.laws_at_most, analysis.complete
    (3, 3, True)
    >>> analysis.laws[0]
    W1[0, 0]**2 - W2[0, 0]**2

    References
    ----------
    [MGP23] arXiv 2307.00144, Sections 2.3 and 3.3; [MGP24] arXiv 2405.12888 for the other flows.
    """
    seed = check_seed(seed)
    degree = degree if isinstance(degree, Mapping) or not is_positive_integer(degree) else int(degree)
    start = time.perf_counter()
    if ansatz not in (None, "monomials", "matrix"):
        raise ConslawError(f"ansatz={ansatz!r}: give 'monomials' or 'matrix', or leave it out")
    options: dict[str, Any] = {
        "degree": degree,
        "time_degree": time_degree,
        "homogeneous": homogeneous,
        "seed": seed,
    }
    large = ansatz_size(flow, degree, time_degree, homogeneous) > MATRIX_FROM
    matrix = ansatz == "matrix" or (large and ansatz is None)
    choices = _classes_to_split(flow, split, 0 if matrix else SPLIT_ANALYSIS_FROM)
    laws: PolynomialLaws | MatrixLaws | None = None
    bounds: tuple[Split, Split] | None = None
    lower: Split | None = None
    if matrix:
        laws, bounds, lower = _matrix_laws(flow, choices, seed)
    if laws is None or (ansatz is None and not (bounds and bounds[0].laws_at_most == laws.independent)):
        with (
            suppress(ConslawError) if laws is not None else nullcontext()
        ):  # too large: the laws of the matrix ansatz stand
            laws, matrix, lower = polynomial_laws(flow, **options, max_unknowns=max_unknowns), False, None
            if choices and not bounds:
                bounds = best_split(choices, seed=seed, enough=laws.independent)
    assert laws is not None
    found = laws.independent
    spent = time.perf_counter() - start
    runs: list[LieRanks | Split] = [bounds[0]] if bounds else []
    if not bounds or found < bounds[0].laws_at_most:
        with (
            suppress(ConslawError) if bounds else nullcontext()
        ):  # too large: the bound of the subnetworks stands
            most = _feasible(flow, SLOW) if bounds else None
            runs.append(lie_ranks(flow, seed=seed, most=most))
            if found < runs[-1].laws_at_most:
                runs.append(lie_ranks(flow, seed=seed + SECOND_RUN, most=most))
    counted = _counted(flow, runs, seed)
    most, lie = counted["laws_at_most"], time.perf_counter() - start - spent
    quotients = None
    if isinstance(laws, PolynomialLaws):
        found, quotients = _with_quotients(flow, laws, degree, homogeneous, most, seed)
        if found < most and has_logarithms(flow):
            with suppress(ConslawError):  # too large: the polynomial answer stands
                laws = polynomial_laws(flow, **options, logs=True, max_unknowns=max_unknowns)
                found, quotients = _with_quotients(flow, laws, degree, homogeneous, most, seed)
    total = time.perf_counter() - start
    if found == most:
        counted["error_probability"] = 0.0
    return Analysis(
        **counted,
        degree=degree,
        homogeneous=homogeneous,
        laws_found=found,
        complete=found == most,
        ansatz="matrix" if matrix else "monomials",
        polynomial_laws=laws,
        rational_laws=quotients,
        lower_split=lower,
        analyzed=flow,
        seconds={"lie": lie, "ansatz": total - lie, "total": total},
    )


def _matrix_laws(
    flow: Flow, choices: Sequence[IndexClasses], seed: int
) -> tuple[MatrixLaws, tuple[Split, Split] | None, Split | None]:
    """The laws of the matrix ansatz, what subnetworks prove about them, and in which their gradients were
    counted, if in any.
    """
    combinations = matrix_combinations(IndexClasses.of(flow))
    added, bounds, lower = [0] * len(combinations), None, None
    if size_directly(flow, combinations) <= CHEAP:
        added = directly(flow, combinations, seed)
        bounds = best_split(choices, seed=seed, enough=sum(added)) if choices else None
    elif choices and (bounds := best_split(choices, combinations, seed=seed)):
        lower = bounds[1]
        added = lower.laws
    open_ = not bounds or sum(added) < bounds[0].laws_at_most
    if open_ and CHEAP < size_directly(flow, combinations) <= LARGEST_DIRECTLY:
        direct = directly(flow, combinations, seed)
        added, lower = (direct, None) if sum(direct) > sum(added) else (added, lower)
    families = [family(flow, c, laws) for c, laws in zip(combinations, added, strict=True) if laws]
    return MatrixLaws(families, sum(added), flow), bounds, lower


def _with_quotients(
    flow: Flow, laws: PolynomialLaws, degree: Degree, homogeneous: bool, most: int, seed: int
) -> tuple[int, RationalLaws | None]:
    """How many laws are independent, with the quotients that add to the polynomials; None if they were not
    looked for.
    """
    if laws.independent == most or homogeneous or not isinstance(degree, int) or not is_small(flow, degree):
        return laws.independent, None
    sample = random_sample(flow.dimension, seed)
    known = RowSpace.zero(flow.dimension, sample.prime).extend(laws.gradients(sample))
    quotients = search_quotients(flow, degree, known, most, seed)
    return max(laws.independent, known.rank + len(quotients)), quotients


def _counted(flow: Flow, runs: Sequence[LieRanks | Split], seed: int) -> dict[str, Any]:
    """What both results say; of several runs the one that found most, for each rank is a true lower bound."""
    best = max(runs, key=lambda run: run.ranks[-1])
    errors = [run.error_probability for run in runs if isinstance(run, LieRanks)]
    arguments = flow.model.arguments if flow.model else {}
    return {
        "model": flow.model.name if flow.model else "vector fields",
        "widths": tuple(arguments["widths"]) if isinstance(arguments.get("widths"), list) else None,
        "bias": arguments["bias"] if isinstance(arguments.get("bias"), bool) else None,
        "flow": flow.name,
        "damping": flow.damping,
        "weight_decay": flow.weight_decay,
        "metric": flow.metric,
        "parameters": flow.model.size if flow.model else flow.dimension,
        "state_dimension": flow.dimension,
        "lie_ranks": best.ranks,
        "laws_at_most": best.laws_at_most,
        "generic": isinstance(best, Split) or best.generic,
        # independent runs fail together only if each does
        "error_probability": None
        if None in errors or not errors
        else prod(e for e in errors if e is not None),
        "primes": tuple(run.prime for run in runs),
        "seed": seed,
        "bound": best,
    }

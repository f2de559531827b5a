"""The two questions: how many conservation laws (:func:`count`), and what are they (:func:`analyze`)."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext, suppress
from math import prod
from typing import Any

from conslaw.algebra.finite_field import LIFTING_PRIME, RowSpace
from conslaw.algebra.threads import check_workers, mapped, one_blas_thread
from conslaw.answers import Analysis, Count
from conslaw.errors import ConslawError, TooLargeError, check_memory, check_seed
from conslaw.flows.flow import Flow, check_flow
from conslaw.laws.ansatz import Degree, PolynomialLaws, ansatz_size, polynomial_laws
from conslaw.laws.candidates import Combination
from conslaw.laws.exact_fields import expansion, has_logarithms, random_sample
from conslaw.laws.few_data import with_few_data
from conslaw.laws.group_ranks import best_groups
from conslaw.laws.index_classes import IndexClasses
from conslaw.laws.lie import LieRanks, Point, lie_ranks, quick_ranks
from conslaw.laws.matrix_ansatz import (
    CHEAP,
    LARGEST_DIRECTLY,
    MatrixLaws,
    array_by_array,
    combinations_of_windows,
    directly,
    in_order,
    is_short,
    matrix_combinations,
    size_directly,
)
from conslaw.laws.matrix_notation import family
from conslaw.laws.rational import RationalLaws, is_small, search_quotients
from conslaw.laws.splitting import Coloured, Split, best_split, splits
from conslaw.laws.windows import flow_in_pieces, has_windows
from conslaw.models.potential import Model, is_positive_integer

SECOND_RUN = 2**32  # added to the seed for the independent second run
SPLIT_FROM = 2000  # state coordinates from which a count is split into subnetworks
SPLIT_ANALYSIS_FROM = 500  # the same where laws can show that nothing was lost
# multiplications of a plain rank that are spent where subnetworks gave a bound already
QUICK, SLOW = 2e9, 4e10
HARDEST = 1e12  # and where there is no other bound
MATRIX_FROM = 500_000  # unknowns of the ansatz with monomials from which the matrix ansatz is tried first
# terms of the fields, by estimate, from which it is too, and up to which they are written out
LONG, LONGEST = 3e5, 1e11


@one_blas_thread()
def count(
    flow: Flow | Model,
    *,
    seed: int = 0,
    prime: int | None = None,
    point: Point | None = None,
    split: bool | None = None,
    workers: int = 1,
) -> Count:
    """Count the independent conservation laws of a flow, without finding them.

    The bound ``laws_at_most`` is proved.  That it is attained is probable: of two runs with different primes
    and points the one that finds more counts, and ``error_probability`` bounds the chance that both missed
    something (one run only if ``prime`` or ``point`` is given).

    Parameters
    ----------
    flow : Flow, or Model for its gradient flow
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
    workers : int
        In how many threads to do what is independent: the two runs, or subnetworks of several shapes.
        The answer is the same for any number.

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
    flow, seed, workers = check_flow(flow), check_seed(seed), check_workers(workers)
    _check_split(split)
    start = time.perf_counter()
    wanted = prime is None and point is None and (flow.dimension >= SPLIT_FROM if split is None else split)
    choices = _classes_to_split(flow, split, SPLIT_FROM) if prime is None and point is None else []
    bounds: tuple[Coloured, Split] | None = best_groups(flow, seed=seed) if wanted else None
    bounds = _better(bounds, best_split(choices, seed=seed, workers=workers))
    if split and not bounds:
        raise ConslawError(
            f"split={split!r}: this network does not fall apart into small subnetworks; leave split out"
        )
    runs: list[LieRanks | Coloured] = [bounds[0]] if bounds else []
    with (
        suppress(ConslawError) if bounds else nullcontext()
    ):  # too large: the bound of the subnetworks stands
        if not bounds or (split is None and bounds[0].ranks[-1] <= _feasible(flow, QUICK)):
            most = _feasible(flow, QUICK if bounds else HARDEST)
            if not bounds and point is None:
                _check_plain(flow, seed)
            if prime is None and point is None:
                runs = _two_runs(flow, seed, most, workers)
            else:
                runs = [lie_ranks(flow, seed=seed, prime=prime, point=point, most=most)]
    counted = _counted(flow, runs, seed)
    spent = time.perf_counter() - start
    return Count(**counted, seconds={"lie": spent, "ansatz": 0.0, "total": spent})


def _check_plain(flow: Flow, seed: int) -> None:
    """Refuse a plain rank that subnetworks show to be out of reach, before it is begun."""
    shown = best_split(splits(flow), seed=seed) if flow.dimension >= SPLIT_FROM else None
    least = shown[0].ranks[-1] if shown else 0
    what = f"a Lie rank of at least {least:,} in {flow.dimension:,} coordinates"
    check_memory(24.0 * least * flow.dimension, what)
    if least > _feasible(flow, HARDEST):
        raise TooLargeError(f"{what} is too large for the plain route: leave split out")


def _two_runs(flow: Flow, seed: int, most: int | None, workers: int) -> list[LieRanks | Coloured]:
    """Lie ranks with two primes and points."""
    return mapped(lambda s: lie_ranks(flow, seed=s, most=most), (seed, seed + SECOND_RUN), workers)


def _classes_to_split(flow: Flow, split: bool | None, smallest: int) -> list[IndexClasses]:
    """The sets of classes along which to split a flow: if that is wanted, or by default if it is large."""
    _check_split(split)
    wanted = flow.dimension >= smallest if split is None else split
    return splits(with_few_data(flow)) if wanted else []


def _check_split(split: object) -> None:
    if not isinstance(split, bool | None):
        raise ConslawError(f"split={split!r}: give True, False or None")


def _feasible(flow: Flow, work: float) -> int:
    """The largest rank that the plain route finds with so many multiplications."""
    return int((work / flow.dimension) ** 0.5)


@one_blas_thread()
def analyze(
    flow: Flow | Model,
    *,
    degree: Degree = 2,
    time_degree: int | None = None,
    homogeneous: bool = False,
    seed: int = 0,
    max_unknowns: int = 10_000_000,
    ansatz: str | None = None,
    split: bool | None = None,
    workers: int = 1,
) -> Analysis:
    """Count the conservation laws of a flow, find the polynomial ones, and say whether the list is complete.

    If polynomials do not reach the upper bound, quotients of polynomials are tried on small flows, then
    polynomials in the state and the logarithms of its entries (where the velocity of an entry is divisible by
    it, as in mirror flows).

    Parameters
    ----------
    flow : Flow, or Model for its gradient flow
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
    workers : int
        In how many threads to do what is independent, as in :func:`count`.

    Returns
    -------
    Analysis
        ``complete`` means proved: at most as many laws by the Lie ranks as were found with independent
        gradients.  If the bounds do not meet, both are reported, and the upper one was confirmed with
        two large primes and points.

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
    flow, seed, workers = check_flow(flow), check_seed(seed), check_workers(workers)
    degree = degree if isinstance(degree, Mapping) or not is_positive_integer(degree) else int(degree)
    start = time.perf_counter()
    if not isinstance(ansatz, str | None) or ansatz not in (None, "monomials", "matrix"):
        raise ConslawError(f"ansatz={ansatz!r}: give 'monomials' or 'matrix', or leave it out")
    options: dict[str, Any] = {
        "degree": degree,
        "time_degree": time_degree,
        "homogeneous": homogeneous,
        "seed": seed,
    }
    terms = expansion(flow)
    large = ansatz_size(flow, degree, time_degree, homogeneous) > MATRIX_FROM or terms > LONG
    matrix = ansatz == "matrix" or (large and ansatz is None)
    if matrix and isinstance(degree, int) and (pieces := flow_in_pieces(flow)):  # else it names the arrays
        flow, terms = pieces, expansion(pieces)
    choices = _classes_to_split(flow, split, 0 if matrix else SPLIT_ANALYSIS_FROM)
    laws: PolynomialLaws | MatrixLaws | None = None
    bounds: tuple[Coloured, Split] | None = None
    lower: Split | None = None
    if matrix:
        laws, bounds, lower = _matrix_laws(flow, choices, split is not False, seed, workers)
    open_ = laws is None or not (bounds and bounds[0].laws_at_most == laws.independent)
    if laws is None or (ansatz is None and open_ and terms <= LONGEST):
        with (
            suppress(ConslawError) if laws is not None else nullcontext()
        ):  # too large: the laws of the matrix ansatz stand
            laws, matrix, lower = polynomial_laws(flow, **options, max_unknowns=max_unknowns), False, None
            if not bounds:
                bounds = best_split(choices, seed=seed, enough=laws.independent, workers=workers)
    assert laws is not None
    found = laws.independent
    spent = time.perf_counter() - start
    runs: list[LieRanks | Coloured] = [bounds[0]] if bounds else []
    largest = _feasible(flow, SLOW if bounds else HARDEST)
    if not bounds or (found < bounds[0].laws_at_most and bounds[0].ranks[-1] <= largest):
        with (
            suppress(ConslawError) if bounds or found else nullcontext()
        ):  # too large: the bound of the subnetworks stands, or none but the dimension
            if not bounds:
                _check_plain(flow, seed)
            quick = quick_ranks(flow, seed=seed, most=largest, laws=found)
            # a small prime proves as much, but says less of how probable it is that there are no more laws
            runs += [quick] if found == quick.laws_at_most else _two_runs(flow, seed, largest, workers)
    runs = runs or [LieRanks((0,), flow.dimension, LIFTING_PRIME, seed, True, None)]
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
    flow: Flow, choices: Sequence[IndexClasses], grouped: bool, seed: int, workers: int
) -> tuple[MatrixLaws, tuple[Coloured, Split] | None, Split | None]:
    """The laws of the matrix ansatz, what subnetworks prove about them, and in which their gradients were
    counted, if in any.
    """
    every = IndexClasses.of(flow)
    combinations = combinations_of_windows(flow) if has_windows(flow) else matrix_combinations(every)
    found = _counted_gradients(flow, combinations, choices, grouped, seed, workers)
    bounds = found[1]
    if (
        has_windows(flow)
        and is_short(every)
        and not (bounds and found[0].independent == bounds[0].laws_at_most)
    ):
        more = in_order(dict.fromkeys([*combinations, *matrix_combinations(every)]))
        if len(more) > len(combinations):
            again = _counted_gradients(flow, more, choices, grouped, seed, workers)
            found = again if again[0].independent > found[0].independent else found
    return found


def _counted_gradients(
    flow: Flow,
    combinations: Sequence[Combination],
    choices: Sequence[IndexClasses],
    grouped: bool,
    seed: int,
    workers: int,
) -> tuple[MatrixLaws, tuple[Coloured, Split] | None, Split | None]:
    """The same for some combinations."""
    bounds: tuple[Coloured, Split] | None = best_groups(flow, combinations, seed=seed) if grouped else None
    lower: Split | None = bounds[1] if bounds else None
    if bounds and lower and bounds[0].laws_at_most == lower.laws_found:
        added = lower.laws
    else:
        added, exact = array_by_array(flow, combinations, seed)
        cheap = size_directly(flow, combinations) <= CHEAP
        added = directly(flow, combinations, seed) if cheap and not exact else added
        others = best_split(choices, combinations, seed=seed, enough=sum(added), workers=workers)
        bounds = _better(bounds, others)
        lower = bounds[1] if bounds and bounds[1].laws_found > sum(added) else None
        added = lower.laws if lower else added
        open_ = not bounds or sum(added) < bounds[0].laws_at_most
        if open_ and not exact and CHEAP < size_directly(flow, combinations) <= LARGEST_DIRECTLY:
            direct = directly(flow, combinations, seed)
            added, lower = (direct, None) if sum(direct) > sum(added) else (added, lower)
    families = [family(flow, c, laws) for c, laws in zip(combinations, added, strict=True) if laws]
    return MatrixLaws(families, sum(added), flow), bounds, lower


def _better(
    one: tuple[Coloured, Split] | None, two: tuple[Coloured, Split] | None
) -> tuple[Coloured, Split] | None:
    """The better upper and the better lower bound of two."""
    if not one or not two:
        return one or two
    upper = one[0] if one[0].laws_at_most <= two[0].laws_at_most else two[0]
    return upper, one[1] if one[1].laws_found >= two[1].laws_found else two[1]


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


def _counted(flow: Flow, runs: Sequence[LieRanks | Coloured], seed: int) -> dict[str, Any]:
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
        "generic": isinstance(best, Coloured) or best.generic,
        # independent runs fail together only if each does
        "error_probability": None
        if None in errors or not errors
        else prod(e for e in errors if e is not None),
        "primes": tuple(run.prime for run in runs),
        "seed": seed,
        "bound": best,
    }

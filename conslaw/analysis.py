"""The two questions: how many conservation laws (:func:`count`), and what are they (:func:`analyze`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from math import prod
from typing import Any, TypeVar

from conslaw.algebra.finite_field import LIFTING_PRIME
from conslaw.algebra.threads import check_workers, one_blas_thread
from conslaw.answers import Analysis, Count
from conslaw.errors import ConslawError, Interrupted, check_memory, check_seed
from conslaw.flows.flow import Flow, check_flow
from conslaw.laws.ansatz import Degree, PolynomialLaws, check_ansatz
from conslaw.laws.lie import LieRanks, Point, lie_ranks
from conslaw.laws.matrix_ansatz import MatrixLaws
from conslaw.laws.plain_rank import largest_rank, work_of_run
from conslaw.models.potential import Model, is_positive_integer
from conslaw.routes.known import Bound, Known, Question
from conslaw.routes.plan import AT_MOST, BUDGET, Journey, Route, check_budget
from conslaw.routes.table import ANALYZE, CONFIRM, COUNT
from conslaw.routes.upper import runs_of

Table = Sequence[Route[Known]]
A = TypeVar("A", bound=Count)


@one_blas_thread()
def count(
    flow: Flow | Model,
    *,
    seed: int = 0,
    prime: int | None = None,
    point: Point | None = None,
    split: bool | None = None,
    budget: float = BUDGET,
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
    point : mapping from state array to values, ``state_dict`` or module, optional
        Count at this point instead of a generic one; the answer holds there only.  Floats are the exact
        numbers that they are.
    split : bool, optional
        Whether to split the network into subnetworks.  By default where the plain rank is more than a unit
        or so of work. The bound is proved either way; how probable it is that it is attained is not known
        then, but :func:`analyze` can show it.
    budget : float
        How much work to spend, in units of about a second, as in :func:`analyze`.
    workers : int
        In how many threads to do what is independent: the two runs, or subnetworks of several shapes.
        The answer is the same for any number.

    Returns
    -------
    Count

    Raises
    ------
    ConslawError
        For an unusable prime, seed or point, if a network is to be split that cannot be, or if the budget is
        too small to prove anything.
    Interrupted
        By Ctrl-C, once something is proved: its ``answer`` says what.

    Examples
    --------
    >>> import conslaw
    >>> conslaw.count(conslaw.gradient_flow(conslaw.relu([3, 5, 2]))).laws_at_most
    5

    References
    ----------
    [MGP23] arXiv 2307.00144, Theorem 3.3.
    """
    question = _question(flow, seed, budget, workers, split, only_count=True)
    table = COUNT if prime is None and point is None else (_as_given(question, prime, point),)

    def answer(journey: Journey[Known]) -> Count:
        known = journey.known
        if known.bound is None and split and known.colourings == ():
            raise ConslawError(
                f"split={split!r}: this network does not fall apart into small subnetworks; leave split out"
            )
        if known.bound is None:
            raise ConslawError(_failure(journey, table))
        return Count(**_counted(journey, table))

    return _followed(question, (table,), answer)


def _as_given(question: Question, prime: int | None, point: Point | None) -> Route[Known]:
    """The route of one run with this prime or at this point."""
    flow, work = question.flow, work_of_run(question.flow, [question.flow.dimension // 2] * 2)

    def go(known: Known) -> tuple[Known, float]:
        most = largest_rank(flow, question.budget)
        run = lie_ranks(flow, seed=question.seed, prime=prime, point=point, most=most)
        return replace(known, pair=(run,)).bounded(run), work

    return Route("plain rank, as given", AT_MOST, lambda known: None if known.pair else work, go)


def _question(
    flow: Flow | Model, seed: int, budget: float, workers: int, split: bool | None, **others: Any
) -> Question:
    """What is asked, with the arguments that both questions have checked, in this order."""
    flow, seed = check_flow(flow), check_seed(seed)
    budget, workers = check_budget(budget), check_workers(workers)
    if split is not None and not isinstance(split, bool):
        raise ConslawError(f"split={split!r}: give True, False or None")
    return Question(flow, seed=seed, budget=budget, workers=workers, split=split, **others)


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
    budget: float = BUDGET,
    workers: int = 1,
) -> Analysis:
    """Count the conservation laws of a flow, find the polynomial ones, and say whether the list is complete.

    Upper bounds and laws are looked for by routes, from cheap to dear, until the bounds meet or the budget is
    spent (see *Routes* in the documentation); ``analysis.route`` says what was tried.  If polynomials do not
    reach the upper bound, quotients of polynomials are tried on small flows, and polynomials in the state and
    the logarithms of its entries (where the velocity of an entry is divisible by it, as in mirror flows).

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
        default the former if it is at most two units of work, else the latter; if that leaves laws open, the
        former as well, where ``max_unknowns`` and the budget allow it.
    split : bool, optional
        Whether to split the network into subnetworks for the upper bound.  By default where that is cheaper
        than the plain rank, which is tried as well if the bounds then do not meet.
    budget : float
        How much work to spend, in units of about a second.  It is estimated, never measured, so that the same
        call gives the same answer on every machine.
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
        For a bad degree, seed or budget, an unknown ansatz, or one that is asked for and too large.
    Interrupted
        By Ctrl-C, once something is proved: its ``answer`` says what.

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
    if not isinstance(ansatz, str | None) or ansatz not in (None, "monomials", "matrix"):
        raise ConslawError(f"ansatz={ansatz!r}: give 'monomials' or 'matrix', or leave it out")
    question = _question(
        flow,
        seed,
        budget,
        workers,
        split,
        ansatz=ansatz,
        degree=degree if isinstance(degree, Mapping) or not is_positive_integer(degree) else int(degree),
        time_degree=time_degree,
        homogeneous=homogeneous,
        max_unknowns=max_unknowns,
    )
    check_ansatz(
        question.given,
        question.degree,
        time_degree,
        homogeneous=homogeneous,
        max_unknowns=max_unknowns,
        refuse=ansatz == "monomials",
    )
    return _followed(question, (ANALYZE, CONFIRM), _analysis)


def _analysis(journey: Journey[Known]) -> Analysis:
    """The answer from what is known."""
    known, question = journey.known, journey.known.question
    if known.bound is None and known.laws is None and any(step.failed for step in journey.steps):
        raise ConslawError(_failure(journey, ANALYZE))
    counted = _counted(journey, (*ANALYZE, *CONFIRM))
    laws = known.laws
    if laws is None:
        by_arrays = question.by_arrays and question.has_windows
        laws = (MatrixLaws if by_arrays else PolynomialLaws).none(question.flow)
    by_monomials = "monomials" if isinstance(laws, PolynomialLaws) else "matrix"
    return Analysis(
        **{**counted, "error_probability": 0.0 if known.met else counted["error_probability"]},
        degree=question.degree,
        homogeneous=question.homogeneous,
        laws_found=known.found,
        complete=known.met,
        ansatz=None if known.laws is None else by_monomials,
        polynomial_laws=laws,
        rational_laws=known.quotients,
        lower_split=known.lower,
        analyzed=question.flow,
        given=question.given,
    )


def _followed(question: Question, tables: Sequence[Table], answer: Callable[[Journey[Known]], A]) -> A:
    """The answer that the routes of some tables lead to; if they are interrupted, what they proved until
    then.
    """
    journey = Journey(Known(question), question.budget)
    try:
        for table in tables:
            journey.follow(table)
    except KeyboardInterrupt as stop:
        if not journey.known.found and not (journey.known.bound and journey.known.bound.ranks[-1]):
            raise
        raise Interrupted(answer(journey)) from stop
    return answer(journey)


def _failure(journey: Journey[Known], table: Table) -> str:
    """Why nothing is proved."""
    for step in reversed(journey.steps):
        if step.failed:
            return step.failed
    n, taken = journey.known.question.flow.dimension, journey.taken(table)
    check_memory(800.0 * n, f"the Lie rank in {n:,} coordinates")
    name, work = min(taken.left.items(), key=lambda item: item[1])
    return (
        f"budget={taken.budget:g}: nothing is proved with so little work; the {name} takes about {work:.2g} "
        f"units: too large for the plain route; give budget={taken.enough:g}"
    )


def _counted(journey: Journey[Known], table: Table) -> dict[str, Any]:
    """What both answers say."""
    known, flow = journey.known, journey.known.question.flow
    nothing = LieRanks((0,), flow.dimension, LIFTING_PRIME, known.question.seed, True, None)
    runs = runs_of(known) or (nothing,)
    best = max(runs, key=lambda run: run.ranks[-1])
    arguments = flow.model.arguments if flow.model else {}
    read = known.question.given.model.readings if known.question.given.model else ()
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
        "generic": not isinstance(best, LieRanks) or best.generic,
        "error_probability": _error_probability(runs),
        "primes": tuple(run.prime for run in runs),
        "seed": known.question.seed,
        "readings": tuple(r.to_json() for r in read),
        "bound": best,
        "route": journey.taken(table),
        "seconds": journey.timed(),
    }


def _error_probability(runs: Sequence[Bound]) -> float | None:
    """Independent runs fail together only if each does."""
    errors = [run.error_probability for run in runs if isinstance(run, LieRanks)]
    known = [e for e in errors if e is not None]
    return prod(known) if known and len(known) == len(errors) else None

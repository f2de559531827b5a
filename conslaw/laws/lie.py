"""Lie ranks: the dimension of the trace of the Lie algebra that a flow's vector fields generate.

The right-nested bracket [X_1, [X_2, ... [X_{k-1}, X_k]]] of random elements of the span of the fields,
evaluated at a point, is a random element of the trace at depth k.  It is evaluated by jets over GF(p), where
[F, G](x) = dG(x) F(x) - dF(x) G(x) and a derivative along a vector is a nilpotent part; nothing is expanded.

What is proved: the rank found mod p at any point is at most the rank at a generic point over Q, so there are
*at most* ``state dimension - rank`` independent conservation laws.  What is only probable: that no more rank
was there to be found.  The three ways to miss it are bounded in :func:`error_probability`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from math import comb, log2
from numbers import Integral
from typing import Any

import numpy as np
import numpy.typing as npt

from conslaw import display
from conslaw.algebra.bounds import Bounds, BoundsNumbers
from conslaw.algebra.evaluation import evaluate
from conslaw.algebra.exact_numbers import exact_array
from conslaw.algebra.finite_field import (
    PRIMES_DRAWN_FROM,
    Residues,
    RowSpace,
    check_prime,
    from_integers,
    random_prime,
    rank,
)
from conslaw.algebra.jets import Jets
from conslaw.algebra.threads import one_blas_thread
from conslaw.errors import ConslawError, check_memory, check_seed
from conslaw.flows.flow import TIME, Flow, check_flow
from conslaw.laws.brackets import RandomField, State, random_residues, trace_samples
from conslaw.laws.few_data import with_all_data, with_few_data
from conslaw.models.potential import Model
from conslaw.models.weights import arrays_in, as_numpy, names_shown
from conslaw.models.zero_data import Kept

logger = logging.getLogger(__name__)

FIRST_BATCH = 32  # samples; each further batch of a depth is twice as large
SURPLUS = 4  # samples that add no rank before a depth counts as exhausted
MEMORY = 2**28  # bytes of jets per batch of samples
DEPTH = 14  # brackets of more fields than this are not tried (each depth costs three times the one before)
DEPTH_AT_POINT = 6  # the same at a point of the user's, where an unchanged rank is no proof that it stays

Point = Any  # a mapping of arrays, a state_dict or a module


@dataclass(frozen=True)
class LieRanks(display.InNotebooks):
    """The ranks of the trace, depth by depth.

    Attributes
    ----------
    ranks : rank found with brackets of up to 1, 2, ... fields; a generic run ends with the depth that added
        nothing
    state_dimension : n; ``n - ranks[-1]`` bounds the number of independent laws from above, with certainty
    prime, seed : what the run was made with
    generic : True at a random point; False at a point of the user's, for which alone the answer then holds
    error_probability : bound on the probability that the generic rank of the Lie algebra is larger than the
        last rank; None if the user chose prime or point, or if brackets of 14 fields still added rank
    kept : the data that reach these ranks, if all others may be zero (:func:`with_few_data`)
    """

    ranks: tuple[int, ...]
    state_dimension: int
    prime: int
    seed: int
    generic: bool
    error_probability: float | None
    kept: Kept | None = None

    @property
    def laws_at_most(self) -> int:
        """State dimension minus the last rank."""
        return self.state_dimension - self.ranks[-1]

    def _summary(self) -> display.Summary:
        where = "near a generic point" if self.generic else "at the given point"
        laws = f"{self.laws_at_most:,}   proved {where}"
        rows: list[tuple[str, str | int]] = [
            ("state dimension", self.state_dimension),
            ("ranks, depth by depth", display.numbers(self.ranks)),
            ("laws at most", laws),
            ("prime, seed", f"{self.prime}, {self.seed}"),
        ]
        return display.Summary("Lie ranks", rows)


@one_blas_thread()
def lie_ranks(
    flow: Flow | Model,
    *,
    seed: int = 0,
    prime: int | None = None,
    point: Point | None = None,
    most: int | None = None,
    laws: int = 0,
) -> LieRanks:
    """The ranks of the Lie algebra's trace at a random point mod a random prime, or at a given rational
    point.

    Parameters
    ----------
    flow : Flow, or Model for its gradient flow
    seed : int
        Draws the prime, the point and the samples; the same seed gives the same run.
    prime : int, optional
        A prime between 2**20 and 2**31; random between 2**30 and 2**31 by default.
    point : mapping from state array to values, ``state_dict`` or module, optional
        Integers, fractions or floats, which are the exact numbers that they are; a module's arrays have its
        own names (``"time"`` is the value of what that array stands for, such as exp(tau t)).
        The rank there may be smaller than generically, and may grow after standing still, so brackets of up
        to 6 fields are tried; the bound is for laws whose gradients are independent at this point.
    most : int, optional
        Give up if the rank is larger than this.
    laws : int
        So many independent laws are proved already: a rank of n minus that is the last.

    Returns
    -------
    LieRanks

    Raises
    ------
    ConslawError
        For an unusable prime, a point that does not fit the state, numbers that are none, or a rank larger
        than ``most`` or than fits the memory.

    Examples
    --------
    >>> import conslaw
    >>> conslaw.lie_ranks(conslaw.gradient_flow(conslaw.linear([3, 2, 4]))).ranks
    (10, 11, 11)

    References
    ----------
    [MGP23] arXiv 2307.00144, Theorem 3.3 and Section 3.3 (stopping); J. T. Schwartz, J. ACM 27 (1980), R.
    Zippel, EUROSAM 1979.
    """
    flow = check_flow(flow)
    n, seed = flow.dimension, check_seed(seed)
    for name, count in (("most", n if most is None else most), ("laws", laws)):
        if isinstance(count, bool) or not isinstance(count, Integral) or count < 0:
            raise ConslawError(f"{name}={count!r}: give an integer >= 0")
    if prime is not None:
        check_prime(prime)
    check_memory(800.0 * n, f"the Lie rank in {n:,} coordinates")
    exact = {} if point is None else exact_point(flow, point)
    below = {v.denominator for values in exact.values() for v in values.ravel()}
    p, state, rng = random_start(flow, seed, prime, below)

    def ranks_at(state: State, **options: Any) -> tuple[tuple[int, ...], Kept | None]:
        samples = Samples(flow, state, rng, p)
        options |= {"width": n, "most": n if most is None else most, "confirm": samples.confirmed}
        return ranks_by_depth(samples, n, p, **options), samples.kept

    ranks, kept = ranks_at(state, limit=DEPTH, target=n - laws)
    if point is None:
        closed = ranks[-1] == n - laws or len(ranks) < DEPTH or ranks[-1] == ranks[-2]
        error = error_probability(flow, ranks, p) if prime is None and closed else None
        return LieRanks(ranks, n, p, seed, True, error, kept)
    given: State = {name: {0: from_integers(values, p)[None]} for name, values in exact.items()}
    where = singular(flow, given, p)
    if where:
        raise ConslawError(f"the {flow.name} flow is singular at this point: {where}; choose another point")
    ranks, kept = ranks_at(given, limit=DEPTH_AT_POINT, target=ranks[-1], patience=DEPTH_AT_POINT)
    return LieRanks(ranks, n, p, seed, False, None, kept)


def random_start(
    flow: Flow, seed: int, prime: int | None, denominators: Iterable[int] = ()
) -> tuple[int, State, np.random.Generator]:
    """The prime, which divides none of the denominators, and the point of a run, drawn from its seed, and the
    generator that draws samples.
    """
    rng = np.random.default_rng(seed)
    for _ in range(3):
        p = int(prime) if prime is not None else random_prime(rng)
        if divided := [d for d in denominators if d % p == 0]:
            where = f"a denominator, {divided[0]}, is divisible by {p}"
            if prime is not None:
                raise ConslawError(f"prime={prime!r}: {where}; give another prime, or leave it out")
            continue
        state = random_point(flow, rng, p)
        where = singular(flow, state, p)
        if not where:
            return p, state, rng
    raise ConslawError(
        f"the {flow.name} flow (metric {flow.metric}) is singular at every point tried: {where}"
    )


def singular(flow: Flow, state: State, p: int) -> str:
    """Where the metric is singular, or a field is not defined, at a point; empty if all is well."""
    for name, block in flow.metric_entries.items():
        try:
            [value] = evaluate([block], state, Jets(p))
        except ZeroDivisionError:
            return "the metric divides by zero (mod p)"
        entries = value.get(0, np.zeros((1, *block.shape), dtype=np.uint64))[0]
        matrix = name not in flow.state or block.shape != flow.state[name]
        if rank(entries, p) < len(entries) if matrix else not entries.all():
            return f"the metric is not invertible on {name or 'the parameters'}"
    try:
        RandomField(flow, 1, np.random.default_rng(0), p)(state)
    except ZeroDivisionError:
        return "a field divides by zero (mod p)"
    return ""


def random_point(flow: Flow, rng: np.random.Generator, p: int, count: int = 1) -> State:
    """Uniformly random points of the state space over GF(p)."""
    return {name: {0: random_residues((count, *shape), rng, p)} for name, shape in flow.state.items()}


def exact_point(flow: Flow, point: Point) -> dict[str, npt.NDArray[Any]]:
    """A point of the user's, of exact numbers: floats are the exact numbers that they are."""
    arrays = arrays_in(point, "point")
    shown = names_shown(flow.model) if flow.model else {}
    found = {name: shown[name] if name not in arrays and name in shown else name for name in flow.state}
    more = set() if shown else set(arrays) - set(found.values())  # a module has buffers, too
    if more or any(key not in arrays for key in found.values()):
        raise ConslawError(
            f"point has arrays {sorted(map(str, arrays))}; the state has {sorted(found.values())}: give each "
            f"of them a value"
        )
    exact = {
        name: exact_array(as_numpy(arrays[key]), flow.state[name], f"point: {key}")
        for name, key in found.items()
    }
    reduced = flow.time is not None and (flow.time.kind == "exp" or (flow.damping or "").endswith("/t"))
    if reduced and not exact[TIME] > 0:
        raise ConslawError(f"point: time={arrays[TIME]!r} stands for {flow.time.text(1)}, which is positive")  # type: ignore[union-attr]
    return exact


class Samples:
    """Random elements of the trace at a point, from fields of few data as long as these find all there is.

    ``kept`` are the data that are not zero; None for all.
    """

    def __init__(self, flow: Flow, state: State, rng: np.random.Generator, p: int) -> None:
        self.whole, self.state, self.rng, self.p = flow, state, rng, p
        self.flow = with_few_data(flow)
        self.kept = None if self.flow is flow else self.flow.kept

    def __call__(self, depth: int, count: int) -> Residues:
        return trace_samples(self.flow, self.state, depth, count, self.rng, self.p)

    def confirmed(self, depth: int, space: RowSpace) -> RowSpace:
        """The space of an exhausted depth, with samples of all data; if these add rank, so are all from now
        on.
        """
        if self.kept is None:
            return space
        whole = with_all_data(self.whole)
        larger = space.extend(trace_samples(whole, self.state, depth, SURPLUS, self.rng, self.p))
        if larger.rank > space.rank:
            self.flow, self.kept = whole, None
        return larger


@dataclass(frozen=True)
class Trace:
    """What is known of a trace, depth by depth: it grows by batches of samples (:func:`grown`).

    Attributes
    ----------
    space : what the samples span
    ranks : the rank after each depth that is done
    batch : how many samples to draw next, at most
    idle : how many depths in a row added nothing
    ended : whether it is known as far as it was wanted
    """

    space: RowSpace
    ranks: tuple[int, ...] = ()
    batch: int = FIRST_BATCH
    idle: int = 0
    ended: bool = False

    @property
    def depth(self) -> int:
        """Of the next samples."""
        return len(self.ranks) + 1

    @property
    def known(self) -> tuple[int, ...]:
        """The ranks with what the depth that is not done has found so far."""
        before = self.ranks[-1] if self.ranks else 0
        return self.ranks if self.space.rank == before and self.ranks else (*self.ranks, self.space.rank)


def ranks_by_depth(
    samples: Callable[[int, int], Residues], columns: int, p: int, *, most: int | None = None, **options: Any
) -> tuple[int, ...]:
    """Ranks of ``samples(depth, count)`` depth by depth, until they reach a target or stand still: see
    :func:`grown`.  Refused if the rank exceeds ``most``.
    """
    trace = Trace(RowSpace.zero(columns, p))
    while not trace.ended:
        trace = grown(trace, samples, **options)
        if most is not None and trace.space.rank > most:
            raise ConslawError(
                f"the Lie rank is more than {most:,} in {columns:,} coordinates: too large for the "
                f"plain route"
            )
    return trace.ranks


def grown(
    trace: Trace,
    samples: Callable[[int, int], Residues],
    *,
    limit: int,
    target: int,
    width: int,
    patience: int = 1,
    silent: int = 0,
    all_or_nothing: bool = False,
    confirm: Callable[[int, RowSpace], RowSpace] | None = None,
) -> Trace:
    """A trace with a batch of samples more.

    It ends after ``limit`` depths, when the rank reaches ``target``, or stands still for ``patience`` depths
    in a row, not counting the first ``silent`` ones if they found nothing at all.  ``width`` is the dimension
    of the state.  With ``all_or_nothing`` it ends as soon as ranks that go on growing as they do would not
    reach the target.  A depth is exhausted only if ``confirm`` adds nothing to what it spans.
    """
    space, depth, known, exhausted = trace.space, trace.depth, trace.space.rank, False
    if known < target:
        count = next_batch(trace, target, width)
        columns = known + len(space.free)
        check_memory(
            24.0 * (known + count) * columns, f"a Lie rank of more than {known:,} in {columns:,} coordinates"
        )
        space = space.extend(samples(depth, count))
        exhausted = space.rank - known <= count - SURPLUS
        if exhausted and confirm and space.rank < target:
            found = space.rank
            space = confirm(depth, space)
            exhausted = space.rank == found
        logger.info("Lie ranks: depth %d, rank %s of at most %s", depth, f"{space.rank:,}", f"{target:,}")
    if space.rank < target and not exhausted:
        return replace(trace, space=space, batch=2 * trace.batch)
    before, ranks = trace.ranks[-1] if trace.ranks else 0, (*trace.ranks, space.rank)
    idle = trace.idle + 1 if space.rank == before and (space.rank or depth > silent) else 0
    slow = all_or_nothing and depth > 2 and prolonged(ranks, limit) * (1.5 if depth == 3 else 1) < target
    ended = space.rank >= target or depth == limit or idle == patience or slow
    return Trace(space, ranks, idle=idle, ended=ended)


def next_batch(trace: Trace, target: int, width: int) -> int:
    """How many samples of its depth a trace gets next."""
    most = max(SURPLUS + 1, MEMORY // (8 * width << trace.depth))
    return min(trace.batch, target - trace.space.rank + SURPLUS, most)


def prolonged(ranks: Sequence[int], depth: int) -> int:
    """The rank at a depth if steps change on average by what the last one did."""
    step, before = ranks[-1] - ranks[-2], ranks[-2] - ranks[-3]
    left = depth - len(ranks)
    return ranks[-1] + left * step + max(0, step - before) * left * (left + 1) // 2


# how sure a generic run is


def error_probability(flow: Flow, ranks: tuple[int, ...], p: int) -> float:
    """Bound on the probability that the generic rank over Q is larger than the last rank found by a generic
    run.

    The run stops wrongly at some depth k only if one of three things happens there; all depths are added up.
    (1) The prime divides every r-minor of the trace at depth k, r <= n being its generic rank: a nonzero
    coefficient of one is at most r! H^r, H bounding the coefficient sums of a bracket, and fewer than log2 of
    that / 30 of the primes between 2**30 and 2**31 divide it.  (2) The minor vanishes at the random point and
    samples: at most r deg / p, by the lemma of Schwartz and Zippel.  (3) ``SURPLUS`` of the samples (fewer
    than 3 n + 32) fell into a proper subspace.  Rational fields are first multiplied by their denominators,
    which are not zero at the point.
    """
    inputs = {name: Bounds(shape, 1, 0.0) for name, shape in {**flow.state, **flow.data}.items()}
    fields = [_common(evaluate(list(field.values()), inputs, BoundsNumbers())) for field in flow.fields]
    degree, below = (max(f[i] for f in fields) + (len(fields) > 1) for i in (0, 2))
    height, under = (max(f[i] for f in fields) + log2(len(fields)) for i in (1, 3))
    n, total = flow.dimension, 0.0
    d, h, b, u = degree, height, below, under
    for _ in ranks:
        unlucky_prime = n * (log2(n + 1) + h) / 30 / PRIMES_DRAWN_FROM
        unlucky_point = n * (d + b) / p
        left_early = comb(3 * n + 32, SURPLUS) * min(1.0, (d + b) / p) ** SURPLUS
        total += unlucky_prime + unlucky_point + left_early
        # of dG.F - dF.G: the coefficient sum of a derivative is at most the degree times that of G
        h += height + u + under + log2(d + degree + b + below + 1) + 1
        d += degree + b + below
        b, u = 2 * (b + below), 2 * (u + under)
    return min(1.0, total)


def _common(components: list[Bounds]) -> tuple[int, float, int, float]:
    """Degree and height of the numerators, and of the common denominator, of the components of a field."""
    below, under = sum(x.below[0] for x in components), sum(x.below[1] for x in components)
    degree = max(x.degree + below - x.below[0] for x in components)
    return degree, max(x.height + under - x.below[1] for x in components), below, under

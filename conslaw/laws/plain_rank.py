"""The plain route to an upper bound: Lie ranks in all coordinates, batch by batch, with what each will cost.

A run is a value: it can be left where it is, and gone on with once more laws are known.  Whatever it has
found when it is left is proved.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import pairwise
from math import prod

import numpy as np

from conslaw.algebra.evaluation import topological_order
from conslaw.algebra.finite_field import RowSpace, small_prime
from conslaw.errors import check_memory
from conslaw.flows.flow import Flow
from conslaw.laws.lie import (
    DEPTH,
    SURPLUS,
    LieRanks,
    Samples,
    Trace,
    grown,
    next_batch,
    random_point,
    random_start,
    singular,
)

# units of work, each about a second, measured on small and large networks
PER_NODE, PER_ENTRY, PER_PRODUCT = 3e-5, 1e-8, 4e-11


@dataclass(frozen=True)
class PlainRun:
    """Lie ranks at a random point mod a small prime, as far as they are known.

    They prove as much as those mod a larger prime and take less time, but have no ``error_probability``.

    Attributes
    ----------
    flow, seed, prime : what is asked, and what the run is made with
    samples : what draws its samples, at its point
    trace : how far it is
    """

    flow: Flow
    seed: int
    prime: int
    samples: Samples = field(repr=False)
    trace: Trace = field(repr=False)

    @property
    def ranks(self) -> LieRanks:
        """What is proved."""
        ranks = self.trace.known
        short = ranks[: ranks.index(ranks[-1]) + 1]  # a depth that added nothing is no part of the proof
        return LieRanks(short, self.flow.dimension, self.prime, self.seed, True, None, self.samples.kept)

    @property
    def ended(self) -> bool:
        """Whether further samples would add nothing."""
        return self.trace.ended


def plain_run(flow: Flow, seed: int) -> PlainRun:
    """A run that has not begun, at a random point mod a random prime between 2**22 and 2**23 (a larger one if
    the metric is singular mod three of them).
    """
    check_memory(800.0 * flow.dimension, f"the Lie rank in {flow.dimension:,} coordinates")
    rng, chosen = np.random.default_rng(seed), None
    for _ in range(3):
        p = small_prime(rng)
        if not singular(flow, random_point(flow, rng, p), p):
            chosen = p
            break
    p, point, generator = random_start(flow, seed, chosen)
    return PlainRun(
        flow, seed, p, Samples(flow, point, generator, p), Trace(RowSpace.zero(flow.dimension, p))
    )


def gone_on(run: PlainRun, laws: int) -> PlainRun:
    """The run with a batch of samples more.  So many independent laws are known, which end it where they meet
    it.
    """
    flow, target = run.flow, run.flow.dimension - laws
    if run.trace.space.rank == target:
        return replace(run, trace=replace(run.trace, ended=True))
    confirm, width = run.samples.confirmed, flow.dimension
    trace = grown(run.trace, run.samples, limit=DEPTH, target=target, width=width, confirm=confirm)
    return replace(run, trace=trace)


def work_of_batch(flow: Flow, trace: Trace | None, laws: int) -> float:
    """About how much work the next batch is, in units."""
    trace = trace or Trace(RowSpace.zero(flow.dimension, 2))
    count = next_batch(trace, flow.dimension - laws, flow.dimension)
    return _work(flow, trace.depth, count, trace.space.rank, trace.space.rank + count)


def work_to(flow: Flow, trace: Trace | None, rank: int) -> float:
    """About how much work is left until this rank is reached, if the depth that is looked at does it."""
    depth, known = (trace.depth, trace.space.rank) if trace else (1, 0)
    return _work(flow, depth, max(rank - known, 1), known, max(rank, known))


def work_of_run(flow: Flow, ranks: Sequence[int]) -> float:
    """About how much work a run is that finds these ranks, depth by depth."""
    pairs = enumerate(pairwise([0, *ranks]), start=1)
    return sum(_work(flow, depth, b - a + SURPLUS, a, b) for depth, (a, b) in pairs)


def largest_rank(flow: Flow, work: float) -> int:
    """The largest rank that is found with so much work."""
    return int(min((work / PER_PRODUCT / flow.dimension) ** 0.5, flow.dimension))


def work_of_depth(flow: Flow, depth: int) -> float:
    """About how much work brackets of so many fields are in a small flow of the same code."""
    return PER_NODE * _code(flow)[0] * 2.0**depth / 2


def _work(flow: Flow, depth: int, count: int, before: int, after: int) -> float:
    evaluated = work_of_depth(flow, depth) + 3.0**depth / 3 * PER_ENTRY * _code(flow)[1] * count
    return evaluated + PER_PRODUCT * flow.dimension * (float(after) ** 2 - float(before) ** 2)


@lru_cache(maxsize=64)
def _code(flow: Flow) -> tuple[int, int]:
    """The numbers of nodes of the code of the fields, and of entries that they work on."""
    order = topological_order([value for one in flow.fields for value in one.values()])
    return len(order), sum(max(prod(y.shape) for y in (x, *x.args)) for x in order)

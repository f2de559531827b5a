"""Routes to an upper bound: each proves that there are at most so many laws.

A function ``work_of_...`` estimates a route in units, None if it would add nothing; the function of the
route's name goes a part of it, and returns what is known then and the units of that part.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from conslaw.algebra.finite_field import random_prime
from conslaw.algebra.threads import mapped
from conslaw.laws.colourings import every_colouring, splits
from conslaw.laws.dark_entries import without_dark_entries
from conslaw.laws.few_data import with_few_data
from conslaw.laws.group_ranks import every_group_colouring, group_ranks
from conslaw.laws.lie import lie_ranks
from conslaw.laws.plain_rank import (
    gone_on,
    largest_rank,
    plain_run,
    work_of_batch,
    work_of_depth,
    work_of_run,
    work_to,
)
from conslaw.laws.splitting import split_ranks
from conslaw.routes.known import Bound, Known
from conslaw.routes.lower import Part, with_families, work_of_windows

DEPTH_OF_GRADIENTS = 2  # where nothing vanishes by sign flips
LOOKING, FINDING_GROUPS = 0.1, 0.02  # units to find the classes along which a flow splits, and its groups
DEPTH, DEPTH_WITH_DRIFT = 5, 6  # of brackets in subnetworks, as a rule
SURE = 1.2  # units that a count spends to know how probable it is that its bound is attained
SECOND_RUN = 2**32  # added to the seed for the independent second run


def work_of_subnetworks(known: Known) -> float | None:
    """The next colouring.  Laws tell each subnetwork when its rank is done, so it comes after windows."""
    question, ended = known.question, known.pair or (known.plain and known.plain.ended)
    if question.split is False or ended or known.colourings == ():
        return None
    if question.only_count and (known.idle or (question.split is None and work_of_pair(known))):
        return None
    return _work_of_colouring(known) + (work_of_windows(known) or 0.0)


def _work_of_colouring(known: Known) -> float:
    """The next one, or the search for them.  Brackets must be as deep as in all coordinates."""
    flow, reached = known.question.flow, known.plain.trace.depth if known.plain else 0
    usual = DEPTH if len(flow.fields) == 1 else DEPTH_WITH_DRIFT
    if known.colourings is None:
        return LOOKING + work_of_depth(flow, max(reached + 1, usual))
    first = known.colourings[0]
    depth = max(reached + 1, DEPTH_OF_GRADIENTS if first.rich else usual)
    return first.work + first.shapes * work_of_depth(flow, depth)


def subnetworks(known: Known) -> Part:
    """Find the colourings, or go on to the next."""
    question, work = known.question, _work_of_colouring(known)
    p = random_prime(np.random.default_rng(question.seed))
    if known.colourings is None:
        found = without_dark_entries(question.flow, seed=question.seed, p=p)
        if found and (colourings := every_colouring(splits(found[0]))):
            return replace(known, colourings=colourings, dark=found[1]), LOOKING
        return _with_colourings(known), LOOKING
    first, *others = known.colourings
    known, dark = replace(known, colourings=tuple(others)), known.dark
    if dark and not others:
        known = _with_colourings(known)
    try:
        split = split_ranks(
            first.classes,
            first.colours,
            known.combinations or (),
            seed=question.seed,
            p=p,
            workers=question.workers,
            dark=dark,
        )
    except ZeroDivisionError:  # mod p at this point
        split = None
    if split is None:
        return known, work
    idle = known.bound is not None and split.laws_at_most >= known.at_most
    known = replace(known.bounded(split), idle=idle)
    return (known if dark else with_families(known, split.laws, split)), work


def _with_colourings(known: Known) -> Known:
    """With those of the flow in all its coordinates."""
    flow = with_few_data(known.question.flow)
    return replace(known, colourings=every_colouring(splits(flow)), dark=None)


def work_of_groups(known: Known) -> float | None:
    """The next colouring of groups; after windows, as that of subnetworks."""
    question, ended = known.question, known.pair or (known.plain and known.plain.ended)
    if question.split is False or ended or known.group_colourings == ():
        return None
    if question.only_count and question.split is None and work_of_pair(known):
        return None
    return _work_of_group_colouring(known) + (work_of_windows(known) or 0.0)


def _work_of_group_colouring(known: Known) -> float:
    return FINDING_GROUPS if known.group_colourings is None else known.group_colourings[0].work


def groups(known: Known) -> Part:
    """Find the groups and their colourings, or go on to the next."""
    question, work = known.question, _work_of_group_colouring(known)
    if known.group_colourings is None:
        return replace(known, group_colourings=every_group_colouring(question.flow)), work
    first, *others = known.group_colourings
    known = replace(known, group_colourings=tuple(others))
    p = random_prime(np.random.default_rng(question.seed))
    if found := group_ranks(first, known.combinations or (), seed=question.seed, p=p):
        known = with_families(known.bounded(found[0]), found[1].laws, found[1])
    return known, work


def work_of_plain_rank(known: Known) -> float | None:
    """What is left of the ranks in all coordinates."""
    question, plain = known.question, known.plain
    if _to_be_split(known) or (plain and plain.ended):
        return None
    return work_to(question.flow, plain.trace if plain else None, _expected(known))


def plain_rank(known: Known) -> Part:
    """Go on by a batch of samples."""
    flow, plain = known.question.flow, known.plain
    work = work_of_batch(flow, plain.trace if plain else None, known.found)
    plain = gone_on(plain or plain_run(flow, known.question.seed), known.found)
    return replace(known, plain=plain).bounded(plain.ranks), work


def _to_be_split(known: Known) -> bool:
    """Whether the user wants subnetworks, and there are some that were not tried yet and can be."""
    if not known.question.split or known.colourings == ():
        return False
    return known.colourings is None or known.colourings[0].work <= known.question.budget


def _expected(known: Known) -> int:
    """The rank to expect: all that known laws leave, at least what is known; if none were looked for, what
    subnetworks show once dearer ones show no more, or half of the coordinates.
    """
    n = known.question.flow.dimension
    shown = known.bound.ranks[-1] if known.bound and known.special else 0
    reached = known.plain.trace.space.rank if known.plain else 0
    if known.laws is not None:
        return max(shown, reached, n - known.found)
    return max(shown, reached, 0 if known.special and known.idle else n // 2)


def work_of_pair(known: Known) -> float | None:
    """What is left of two runs with large primes.

    They say how probable it is that nothing was missed, so they confirm an upper bound that laws do not meet;
    a count begins with them if they are little work.
    """
    question, plain = known.question, known.plain
    wanted = question.split is not True if question.only_count else plain and plain.ended
    if len(known.pair) == 2 or not wanted:
        return None
    ranks = plain.trace.ranks if plain else (_expected(known),) * 2
    work = (2 - len(known.pair)) * work_of_run(question.flow, ranks)
    may_split = known.special or known.colourings != ()
    dear = question.only_count and question.split is None and may_split and not known.pair and work > SURE
    return None if dear else work


def pair(known: Known) -> Part:
    """Run the next one, or both if there are two workers."""
    question, work, left = known.question, work_of_pair(known) or 0.0, 2 - len(known.pair)
    seeds = [question.seed, question.seed + SECOND_RUN][len(known.pair) :][: question.workers]
    most = largest_rank(question.flow, question.budget / 2)
    runs = mapped(lambda seed: lie_ranks(question.flow, seed=seed, most=most), seeds, question.workers)
    for one in runs:
        known = replace(known, pair=(*known.pair, one)).bounded(one)
    return known, work * len(runs) / left


def runs_of(known: Known) -> tuple[Bound, ...]:
    """The runs that an answer rests on, the one that proves its bound first; of plain runs those that say how
    probable it is that it is attained.
    """
    if known.bound is None:
        return known.pair
    best = max((run.ranks[-1] for run in known.pair), default=-1)
    kept = known.special or known.bound.ranks[-1] > best
    return (*([known.bound] if kept else []), *known.pair)

"""The table of routes: what `analyze` and `count` try, from cheap to dear (:mod:`conslaw.routes.plan`)."""

from __future__ import annotations

from conslaw.routes import lower, upper
from conslaw.routes.known import Known
from conslaw.routes.plan import AT_LEAST, AT_MOST, Route

SUBNETWORKS = Route[Known]("subnetworks", AT_MOST, upper.work_of_subnetworks, upper.subnetworks)
GROUPS = Route[Known]("groups", AT_MOST, upper.work_of_groups, upper.groups)
PAIR = Route[Known]("plain rank, two large primes", AT_MOST, upper.work_of_pair, upper.pair)

ANALYZE: tuple[Route[Known], ...] = (
    GROUPS,
    SUBNETWORKS,
    Route("plain rank", AT_MOST, upper.work_of_plain_rank, upper.plain_rank),
    Route("windows", AT_LEAST, lower.work_of_windows, lower.windows),
    Route("all arrays", AT_LEAST, lower.work_of_arrays, lower.arrays),
    Route("gradients, array by array", AT_LEAST, lower.work_of_blocks, lower.blocks),
    Route("gradients", AT_LEAST, lower.work_of_gradients, lower.gradients),
    Route("linear laws", AT_LEAST, lower.work_of_linear, lower.linear),
    Route("monomials", AT_LEAST, lower.work_of_monomials, lower.monomials),
    Route("quotients", AT_LEAST, lower.work_of_quotients, lower.quotients),
    Route("logarithms", AT_LEAST, lower.work_of_logarithms, lower.logarithms),
)
CONFIRM = (PAIR,)  # where the bounds do not meet: how probable is it that no rank was missed?
COUNT = (PAIR, GROUPS, SUBNETWORKS)
UPPER = {route.name for route in (*ANALYZE, PAIR) if route.proves == AT_MOST}

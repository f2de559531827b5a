"""A plan: routes to what is asked, each with an estimate of its work, tried from cheap to dear.

Work is estimated, never measured: the same question is answered in the same way on every machine.  A unit is
about a second.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from math import ceil, floor, inf, log10
from numbers import Real
from sys import float_info
from typing import Any, Generic, Protocol, TypeVar

from conslaw.errors import ConslawError

logger = logging.getLogger(__name__)

BUDGET = 60.0  # units

AT_MOST, AT_LEAST = "at most", "at least"
MEET, NOTHING_LEFT, SPENT, INTERRUPTED = "the bounds meet", "nothing is left to try", "budget", "interrupted"


@dataclass(frozen=True)
class Step:
    """A route that was tried.

    Attributes
    ----------
    route : its name
    work : what it took, in units, by estimate
    proves : ``"at most"`` or ``"at least"``
    at_least, at_most : the bounds that are proved after it; None if there is none yet
    failed : why it could not be gone to its end; empty if it was
    """

    route: str
    work: float
    proves: str
    at_least: int | None
    at_most: int | None
    failed: str = ""

    def __str__(self) -> str:
        bounds = {"at least": self.at_least, "at most": self.at_most}
        proved = ", ".join(f"{word} {laws:,}" for word, laws in bounds.items() if laws is not None)
        failed = f" ({self.failed})" if self.failed else ""
        return f"{self.route}, {rounded(self.work):g} units: {proved or 'nothing proved yet'}{failed}"


@dataclass(frozen=True)
class RouteTaken:
    """How an answer was found; no measured time is in it.

    Attributes
    ----------
    steps : what was tried, in order
    stopped : why it ended: ``"the bounds meet"``, ``"nothing is left to try"``, ``"budget"`` or
        ``"interrupted"``
    budget : the units that there were
    work : the units that were spent, by estimate
    left : what was not tried, or not to its end, and about how many units it would take
    """

    steps: tuple[Step, ...]
    stopped: str
    budget: float
    work: float
    left: Mapping[str, float]

    @property
    def enough(self) -> float | None:
        """A budget that would go on; None if the budget was not what ended it."""
        return rounded(1.2 * (self.work + min(self.left.values()))) if self.stopped == SPENT else None

    def remarks(self) -> list[str]:
        """Why there may be more to find: nothing, if all was tried."""
        failed = [f"By {x.route}: {x.failed}." for x in self.steps if x.failed and self.stopped != MEET]
        if self.stopped == INTERRUPTED:
            return [*failed, "Interrupted: this is what was proved until then."]
        if self.enough is None:
            return failed
        name = min(self.left, key=lambda route: self.left[route])
        return [
            *failed,
            f"The budget of {self.budget:g} units of work is spent: {name} would take about "
            f"{rounded(self.left[name]):g} more;\nbudget={self.enough:g} would go on.",
        ]

    def __str__(self) -> str:
        spent = f"after {rounded(self.work):g} of {self.budget:g} units"
        why = f"the budget is spent: budget={self.enough:g} would go on" if self.enough else self.stopped
        left = [f"{name} (about {rounded(work):g} units)" for name, work in self.left.items()]
        lines = [f"  {i}. {step}" for i, step in enumerate(self.steps, start=1)]
        lines += [f"  not gone to its end: {', '.join(left)}"] if left else []
        return "\n".join([f"route ({spent}: {why})", *lines])

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready dictionary."""
        values = {"stopped": self.stopped, "budget": self.budget, "work": self.work, "left": dict(self.left)}
        return {"steps": [asdict(step) for step in self.steps], **values, "enough": self.enough}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> RouteTaken:
        """The route from that dictionary."""
        names = ("stopped", "budget", "work", "left")
        return cls(tuple(Step(**step) for step in data["steps"]), *(data[name] for name in names))


class Bounds(Protocol):
    """What is known so far."""

    @property
    def met(self) -> bool:
        """Whether nothing is left open."""

    def proved(self, proves: str) -> int | None:
        """The number of laws ``"at most"`` or ``"at least"``, as far as proved."""


S = TypeVar("S", bound=Bounds)


@dataclass(frozen=True)
class Route(Generic[S]):
    """A row of a table of routes.

    Attributes
    ----------
    name : of the route
    proves : ``"at most"`` or ``"at least"``
    estimate : about how many units it would take from what is known; None if it would add nothing
    go : what is known after a part of it, and the units that this part is estimated at
    """

    name: str
    proves: str
    estimate: Callable[[S], float | None]
    go: Callable[[S], tuple[S, float]]


@dataclass
class Journey(Generic[S]):
    """What is known, and how: it grows while routes are followed, and whatever interrupts that, it is there.

    Attributes
    ----------
    known : what is proved
    budget, work : the units that may be spent, and those that are
    steps : what was tried
    seconds : what each route took, measured
    stopped : why it ended
    """

    known: S
    budget: float
    work: float = 0.0
    steps: list[Step] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    stopped: str = INTERRUPTED
    start: float = field(default_factory=time.perf_counter)

    def follow(self, table: Sequence[Route[S]]) -> None:
        """Try the routes of a table from cheap to dear, until nothing is open or the budget is spent.

        A route that fails (too large for the memory, say) is not tried again; what it says is in its step.
        """
        before, self.stopped = self.stopped, INTERRUPTED
        while not self.known.met:
            options = self._options(table)
            if not options:
                self.stopped = SPENT if before == SPENT else NOTHING_LEFT
                return
            work, number = min(options)
            if self.work + work > self.budget:
                self.stopped = SPENT
                return
            self._go(table[number], work)
        self.stopped = MEET

    def _options(self, table: Sequence[Route[S]]) -> list[tuple[float, int]]:
        failed = {step.route for step in self.steps if step.failed}
        estimates = [None if route.name in failed else route.estimate(self.known) for route in table]
        return [(work, number) for number, work in enumerate(estimates) if work is not None]

    def _go(self, route: Route[S], expected: float) -> None:
        logger.info("%s", route.name, extra={"units": expected})
        start, failed = time.perf_counter(), ""
        try:
            self.known, work = route.go(self.known)
        except (ConslawError, MemoryError) as error:
            failed, work = str(error) or "out of memory", expected
        finally:
            spent = time.perf_counter() - start
            self.seconds[route.name] = self.seconds.get(route.name, 0.0) + spent
        self.work += work
        again = bool(self.steps) and self.steps[-1].route == route.name
        total = work + (self.steps.pop().work if again else 0.0)
        bounds = (self.known.proved(AT_LEAST), self.known.proved(AT_MOST))
        self.steps.append(Step(route.name, total, route.proves, *bounds, failed))

    def timed(self) -> dict[str, float]:
        """Wall-clock seconds: of each route, of all to laws (``ansatz``), of all else (``lie``), in all."""
        total = time.perf_counter() - self.start
        names = {step.route for step in self.steps if step.proves == AT_LEAST}
        laws = sum(spent for name, spent in self.seconds.items() if name in names)
        return {"lie": total - laws, "ansatz": laws, "total": total, **self.seconds}

    def taken(self, table: Sequence[Route[S]]) -> RouteTaken:
        """How what is known was found."""
        met = self.stopped == MEET
        left = {} if met else {table[i].name: work for work, i in sorted(self._options(table))}
        finite = {name: work for name, work in left.items() if work < inf}
        return RouteTaken(tuple(self.steps), self.stopped, self.budget, self.work, finite)


def rounded(work: float) -> float:
    """Units to two digits, upwards."""
    scale = 10.0 ** (floor(log10(work)) - 1) if work > 0 else 1.0
    return float(f"{ceil(work / scale) * scale:.3g}")


def check_budget(budget: float) -> float:
    """Return a budget as float, or raise :class:`ConslawError`."""
    if not isinstance(budget, Real) or isinstance(budget, bool) or not 0 < budget <= float_info.max:
        raise ConslawError(f"budget={budget!r}: give a positive number of units of work, such as 60")
    return float(budget)

"""Any function of cases, worked out for all: with limits, workers, and a journal that nothing breaks."""

from __future__ import annotations

import logging
import re
import shutil
import tempfile
import time
import weakref
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from conslaw import display
from conslaw.algebra.threads import check_workers
from conslaw.errors import ConslawError, is_finite_number
from conslaw.long_work import duration
from conslaw.long_work import progress as shown
from conslaw.sweeps import tables
from conslaw.sweeps.child import can_limit_memory
from conslaw.sweeps.journal import OK, STATUSES, Journal, clear, head, index, plain, read_head, rows
from conslaw.sweeps.workers import Outcome, Task, Work, outcomes, packed

if TYPE_CHECKING:
    import pandas as pd

logger = logging.getLogger(__name__)

LEAST_MEMORY = 200 * 10**6  # bytes; a worker takes half of that before its first case
UNITS = {"": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}
NO_LIMIT = "memory is not limited on this system: it has no limit that it keeps to"


@dataclass(frozen=True, repr=False)
class Sweep(display.Shown):
    """What there is of a sweep.

    Attributes
    ----------
    path : the table, or its journal if that is all there is
    asked : what is swept, in words that JSON has
    cases : how many there are
    statuses : how many of them ended how: ``ok``, ``timeout``, ``memory``, ``error``, ``killed``
    seconds : wall-clock time of this run
    remarks : what else there is to know
    """

    path: Path
    asked: Mapping[str, Any] = field(repr=False)
    cases: int
    statuses: Mapping[str, int]
    seconds: float = 0.0
    remarks: tuple[str, ...] = ()
    _folder: Any = field(default=None, repr=False, compare=False)  # goes with this object, if it is temporary

    @property
    def finished(self) -> bool:
        """Whether each case has a row."""
        return sum(self.statuses.values()) == self.cases

    def rows(self) -> Iterator[dict[str, Any]]:
        """The rows that are finished, in the order of the cases."""
        yield from rows(tables.journal_of(self.path))

    def table(self) -> pd.DataFrame:
        """The same as a pandas frame (see :func:`conslaw.sweeps.read`)."""
        return tables.read(self.path)

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready dictionary."""
        said = {"path": str(self.path), "asked": dict(self.asked), "cases": self.cases}
        return {**display.stamp("sweep summary", 1), **said, "statuses": dict(self.statuses)}

    def _summary(self) -> display.Summary:
        done = sum(self.statuses.values())
        counts = [f"{count:,} {name}" for name, count in self.statuses.items()]
        parts = [
            ("cases", f"{done:,} of {self.cases:,} finished"),
            ("ended", ", ".join(counts) or "none yet"),
            *([("time", duration(self.seconds))] if self.seconds else []),
            ("file", self.path.name),
        ]
        families = ", ".join(self.asked.get("cases", {}).get("families", []))
        return display.Summary(f"sweep of {families or self.asked.get('what', 'cases')}", parts, self.remarks)


def run(
    function: Callable[[dict[str, Any]], Mapping[str, Any]],
    cases: Iterable[Mapping[str, Any]],
    *,
    count: int,
    asked: Mapping[str, Any],
    out: str | Path | None = None,
    timeout: float | None = None,
    memory: int | str | None = None,
    workers: int = 1,
    cluster: Any = None,
    retry: str | Iterable[str] = (),
    progress: bool | None = None,
) -> Sweep:
    """Work out a function for each case that has no row yet, and write the table.

    Parameters
    ----------
    function : picklable, of a case to columns; its ``warm()``, ``partial(answer)`` and ``settings`` are used
        if it has them (see :class:`conslaw.sweeps.questions.Question`)
    cases : mappings of columns, in an order that never changes; gone through more than once
    count : how many there are
    asked : what defines the sweep, as JSON: of a journal that is there it must be the same
    out, timeout, memory, workers, cluster, retry, progress : as of :func:`conslaw.sweep`

    Returns
    -------
    Sweep
    """
    if not count:
        raise ConslawError("sweep: there is no case; give larger ranges, or fewer conditions")
    timeout, limit = check_timeout(timeout), check_memory_limit(memory)
    workers, statuses = check_workers(workers), check_statuses(retry)
    line = shown(progress)
    place, folder = (tables.check_out(out), None) if out is not None else _temporary()
    path, start = tables.journal_of(place), time.monotonic()
    work = Work(packed(function), timeout, limit)
    settings = dict(getattr(function, "settings", {}))
    settings |= {"timeout": timeout, "memory_limit": limit if can_limit_memory() else None}
    with closing(Journal(path, head(asked, count))) as journal:
        clear(path)
        clear(place)
        if any(journal.statuses[name] for name in statuses):
            journal.forget(statuses)
        before, aside = sum(journal.statuses.values()), journal.aside
        left = ((i, dict(case)) for i, case in enumerate(cases) if not journal.finished[i])
        if before < count:
            found = _outcomes(work, left, workers, cluster)
            with line, closing(found):
                _report(journal.statuses, count)
                for (number, case), outcome in found:
                    first = {"case": number, "status": outcome["status"], "reason": outcome["reason"]}
                    known = {name: plain(value) for name, value in case.items()}
                    journal.append({**first, **known, **outcome, **settings, **first})  # in this order
                    _report(journal.statuses, count)
        if place != path and not (place.exists() and place.stat().st_mtime >= path.stat().st_mtime):
            tables.write(path, place)
        done = in_order(journal.statuses)
    remarks = [
        *([f"{aside} broken lines were put aside into {path.name}.broken."] if aside else []),
        *([f"{NO_LIMIT.capitalize()}."] if limit is not None and not can_limit_memory() else []),
    ]
    seconds = time.monotonic() - start
    return Sweep(place, dict(asked), count, done, seconds, tuple(remarks), folder)


def _report(statuses: Mapping[str, int], count: int) -> None:
    """Say how far it is, and of the cases that have no answer how many ended in which way."""
    done = sum(statuses.values())
    others = "".join(f", {many:,} {name}" for name, many in statuses.items() if name != OK and many)
    extra = {"done": done, "total": count}
    logger.info("%s of %s cases%s", f"{done:,}", f"{count:,}", others, extra=extra)


class _Folder:
    """A folder that goes when this object does."""

    def __init__(self, path: str) -> None:
        weakref.finalize(self, shutil.rmtree, path, ignore_errors=True)


def _temporary() -> tuple[Path, _Folder]:
    """Where the rows of a sweep without a file are, and what keeps them."""
    path = tempfile.mkdtemp(prefix="conslaw-")
    return Path(path) / "sweep.jsonl", _Folder(path)


def _outcomes(
    work: Work, tasks: Iterator[Task], workers: int, cluster: Any
) -> Generator[tuple[Task, Outcome], None, None]:
    if cluster is None:
        return outcomes(work, tasks, workers)
    from conslaw.sweeps.cluster import outcomes_on

    return outcomes_on(cluster, work, tasks)


def status(path: str | Path) -> Sweep:
    """What there is of a sweep, which may be running.

    Raises
    ------
    ConslawError
        If there is no such sweep.
    """
    journal = tables.journal_of(path)
    header = read_head(journal)
    found = index(journal, header["cases"])
    return Sweep(Path(path), header["asked"], header["cases"], in_order(found.statuses))


def in_order(statuses: Mapping[str, int]) -> dict[str, int]:
    """Counts of statuses, those that do not occur left out."""
    return {name: statuses[name] for name in STATUSES if statuses.get(name)}


def check_timeout(seconds: float | None) -> float | None:
    """Seconds, or raise :class:`ConslawError`."""
    if seconds is None:
        return None
    if not is_finite_number(seconds) or not 0 < seconds < 1e9:
        raise ConslawError(f"timeout={seconds!r}: give a positive number of seconds, such as 60")
    return float(seconds)


def check_memory_limit(memory: int | str | None) -> int | None:
    """Bytes, or raise :class:`ConslawError`.

    Examples
    --------
    >>> check_memory_limit("4GB"), check_memory_limit("1.5 GiB")
    (4000000000, 1610612736)
    """
    if memory is None:
        return None
    match = re.fullmatch(r"([0-9]{1,18}(?:\.[0-9]{1,9})?) ?([KMG]i?B|)", str(memory), re.IGNORECASE)
    if not match:
        raise ConslawError(f"memory={memory!r}: give bytes, or a size such as 500MB or 4GB")
    size = int(float(match[1]) * UNITS[match[2].upper()])
    if size < LEAST_MEMORY:
        raise ConslawError(f"memory={memory!r}: a worker needs {LEAST_MEMORY // 10**6}MB to start with")
    return size


def check_statuses(retry: str | Iterable[str]) -> tuple[str, ...]:
    """Statuses other than ``ok``, or raise :class:`ConslawError`."""
    given = retry.split(",") if isinstance(retry, str) else retry
    names = tuple(str(one).strip() for one in given) if isinstance(given, list | tuple | set) else ("",)
    known = [name for name in STATUSES if name != OK]
    if not all(name in known for name in names):
        raise ConslawError(f"retry={str(retry)[:60]!r}: give some of {', '.join(known)}")
    return names

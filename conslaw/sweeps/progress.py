"""How far a sweep is, and about how long it will take: by tqdm where it is installed, else in plain text."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec

PLAIN_EVERY = 10.0  # seconds between lines that are not on a terminal

Report = Callable[[Mapping[str, int]], None]


@contextmanager
def shown(total: int, done: int, show: bool | None) -> Iterator[Report]:
    """A function that is called after each row with the number of rows of each status.

    ``show=None`` shows it on a terminal only.
    """
    terminal = sys.stderr.isatty()
    if not (terminal if show is None else show) or done >= total:
        yield lambda _: None
        return
    if not terminal or find_spec("tqdm") is None:
        yield plain(total, done)
        if terminal:
            print(file=sys.stderr)
        return
    from tqdm import tqdm

    with tqdm(total=total, initial=done, unit=" cases", smoothing=0.05, file=sys.stderr) as bar:

        def report(statuses: Mapping[str, int]) -> None:
            bar.set_postfix_str(_others(statuses), refresh=False)
            bar.update()

        yield report


def plain(total: int, before: int) -> Report:
    """Lines of text; on a terminal one that changes."""
    start = last = time.monotonic()
    terminal = sys.stderr.isatty()
    every = 0.5 if terminal else PLAIN_EVERY

    def report(statuses: Mapping[str, int]) -> None:
        nonlocal last
        now, done = time.monotonic(), sum(statuses.values())
        if now - last < every and not (terminal and done == total):
            return
        last = now
        left = (now - start) / max(1, done - before) * (total - done)
        others = _others(statuses)
        line = f"{done:,} of {total:,} cases{', ' if others else ''}{others}, about {duration(left)} left"
        print(
            f"\r\033[K{line}" if terminal else line, end="" if terminal else "\n", file=sys.stderr, flush=True
        )

    return report


def _others(statuses: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in statuses.items() if name != "ok")


def duration(seconds: float) -> str:
    """Seconds in words, such as ``2 min 5 s``."""
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"

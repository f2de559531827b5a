"""Progress of long work: a line with the time that is gone, and an estimate of what is left.

What takes long says how far it is through the loggers of its modules (``conslaw.*``, level INFO); a record
may carry ``done`` and ``total``, or ``units`` of about a second that are expected; :func:`progress` shows it.
"""

from __future__ import annotations

import logging
import os
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from threading import Event, Thread

from conslaw.errors import ConslawError

AFTER = 2.0  # seconds before anything is shown
EVERY = 0.5  # seconds between changes of the line on a terminal
LINE_EVERY = 10.0  # seconds between lines in a file or a notebook
LEAST_LEFT = 1.0  # seconds that are worth saying
CLEARED = "\r\033[K"  # to the beginning of the line, and nothing on it


def progress(show: bool | None = True) -> AbstractContextManager[None]:
    """Show on the standard error how far everything is that is called inside.

    On a terminal it is one line that changes, from 2 seconds on, and is gone at the end; elsewhere (a file, a
    notebook) a line every 10 seconds.  It says how much time is gone and, where the amount of work is known,
    about how much is left.  What is computed is not touched by it.

    Parameters
    ----------
    show : bool, optional
        None shows it on a terminal only, False never.

    Raises
    ------
    ConslawError
        For anything else.

    Examples
    --------
    >>> import conslaw
    >>> with conslaw.progress():
    ...     conslaw.count(conslaw.relu([64, 64, 10])).laws_at_most
    64
    """
    if show is not None and not isinstance(show, bool):
        raise ConslawError(f"progress({str(show)[:60]!r}): give True, False or None")
    return _shown(is_terminal() if show is None else show)


def is_terminal() -> bool:
    """Whether the standard error is a terminal on which a line can change."""
    return sys.stderr is not None and sys.stderr.isatty() and os.environ.get("TERM") != "dumb"


@contextmanager
def _shown(show: bool) -> Iterator[None]:
    logger = logging.getLogger("conslaw")
    if not show or any(isinstance(handler, _Line) for handler in logger.handlers):  # one line is enough
        yield
        return
    line, before = _Line(), (logger.level, logger.propagate)
    if not logger.isEnabledFor(logging.INFO):  # nobody else asked for these records
        logger.setLevel(logging.INFO)
        logger.propagate = False
    logger.addHandler(line)
    line.start()
    try:
        yield
    finally:
        logger.removeHandler(line)
        logger.setLevel(before[0])
        logger.propagate = before[1]
        line.stop()


class _Line(logging.Handler):
    """The line, drawn by a thread of its own, so that time goes on where nothing is said for long."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.begun, self.said, self.drawn = time.monotonic(), "", False
        self.expected = 0.0  # the time at which the present route ends by its estimate
        self.total, self.done = 0, 0  # of counted work
        self.first = (0.0, 0)  # when it was begun, and from where
        self.ended, self.thread = Event(), Thread(target=self._draw, daemon=True)

    def start(self) -> None:
        self.thread.start()

    def stop(self) -> None:
        self.ended.set()
        self.thread.join(timeout=EVERY)
        if self.drawn:
            _write(CLEARED)

    def emit(self, record: logging.LogRecord) -> None:
        now, values = time.monotonic(), vars(record)
        if "units" in values:
            self.expected, self.total = now + values["units"], 0
        if "total" in values:
            if values["total"] != self.total:
                self.total, self.first = values["total"], (now, values["done"])
            self.done = values["done"]
        self.said = record.getMessage()

    def left(self, now: float) -> float:
        """About how many seconds are left; 0 where that is not known."""
        if not self.total:
            return self.expected - now
        begun, before = self.first
        return (now - begun) / (self.done - before) * (self.total - self.done) if self.done > before else 0

    def __str__(self) -> str:
        now = time.monotonic()
        left = self.left(now)
        estimate = f", about {duration(left)} left" if left >= LEAST_LEFT else ""
        return f"{duration(now - self.begun)}{': ' * bool(self.said)}{self.said}{estimate}"

    def _draw(self) -> None:
        terminal = is_terminal()
        wait = AFTER if terminal else LINE_EVERY
        while not self.ended.wait(wait):
            if terminal:
                wait, self.drawn = EVERY, True
                _write(CLEARED + str(self)[: shutil.get_terminal_size().columns - 1])
            else:
                _write(f"{self}\n")


def _write(text: str) -> None:
    with suppress(OSError, ValueError):  # closed, or it cannot show a sign: no reason to stop the work
        sys.stderr.write(text)
        sys.stderr.flush()


def duration(seconds: float) -> str:
    """Seconds in words, such as ``2 min 5 s``."""
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"

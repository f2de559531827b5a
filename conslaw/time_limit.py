"""A limit of time: it ends what is done as Ctrl-C does."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from conslaw.errors import ConslawError


class TimeIsUp(KeyboardInterrupt):
    """The limit of ``--timeout`` is reached."""


@contextmanager
def time_limit(seconds: float | None) -> Iterator[None]:
    """Raise :class:`TimeIsUp` inside, after so many seconds."""
    if seconds is None:
        yield
        return
    if not 0 < seconds < 1e9 or not hasattr(signal, "setitimer"):
        raise ConslawError(f"--timeout {seconds:g}: give a positive number of seconds, on a POSIX system")

    def stop(*_: object) -> NoReturn:
        raise TimeIsUp

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)

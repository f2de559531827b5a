"""The one error that conslaw raises for bad input, and checks that several modules share."""

from __future__ import annotations

import os
from numbers import Integral
from typing import Any


class ConslawError(ValueError):
    """Bad input: the message repeats what was given and says how to mend it."""


class UnsupportedError(ConslawError, AttributeError, TypeError):
    """Array code asks for something that arrays do not have here; also what Python and NumPy expect to be
    raised then.
    """


class Interrupted(KeyboardInterrupt):
    """Ctrl-C, or a limit of time, after something was proved: ``answer`` says what."""

    def __init__(self, answer: Any) -> None:
        super().__init__("interrupted; what is proved so far is the `answer` of this exception")
        self.answer = answer


def check_seed(seed: int) -> int:
    """Return the seed, or raise :class:`ConslawError`."""
    if isinstance(seed, bool) or not isinstance(seed, Integral) or seed < 0:
        raise ConslawError(f"seed={seed!r}: give an integer >= 0")
    return int(seed)


def check_memory(size: float, what: str) -> None:
    """Refuse, before anything is allocated, what would need more than half of the memory (bytes)."""
    try:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # not a POSIX system
        memory = 16 * 2**30
    if size > memory / 2:
        raise ConslawError(
            f"{what}: would need about {size / 1e9:,.0f} GB of memory; make the model or the degree smaller"
        )

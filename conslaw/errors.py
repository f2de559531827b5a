"""The one error that conslaw raises for bad input, and checks that several modules share."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from functools import cache
from math import isfinite
from numbers import Integral, Real
from pathlib import Path
from typing import Any


class ConslawError(ValueError):
    """Bad input: the message, of one line, repeats what was given and says how to mend it."""

    def __init__(self, message: object) -> None:
        super().__init__(re.sub(r"\s*\n\s*", " ", str(message)))


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


def is_finite_number(value: object) -> bool:
    """Whether a value is a real number, but no bool, that is finite as a float."""
    if isinstance(value, bool) or not isinstance(value, Real):
        return False
    try:
        return isfinite(value)
    except OverflowError:  # an integer or a fraction that is larger than any float
        return False


def check_flags(**flags: object) -> None:
    """Refuse what is not True or False."""
    for name, value in flags.items():
        if not isinstance(value, bool):
            raise ConslawError(f"{name}={value!r}: give True or False")


class TooLargeError(ConslawError):
    """What is asked for needs more memory than there is, or more work than is ever worth beginning."""


CONTROL_GROUPS = (Path("/proc/self/cgroup"), Path("/sys/fs/cgroup"))  # which one this is, and where they are


@cache
def _of_the_system() -> int:
    """Bytes of memory of this machine, or of the control group that this process is in."""
    try:
        found = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    except (AttributeError, ValueError, OSError):  # not a POSIX system
        found = [16 * 2**30]
    with suppress(OSError):
        own, mounted = CONTROL_GROUPS
        for line in own.read_text(encoding="utf-8").splitlines():
            _, controllers, group = line.split(":", 2)
            second = not controllers  # of version 2, else of version 1
            root = mounted if second else mounted / "memory"
            folder = root / group.lstrip("/")
            for one in (folder, *folder.parents) if second or "memory" in controllers.split(",") else ():
                with suppress(OSError, ValueError):  # "max" is no number: no limit
                    file = one / ("memory.max" if second else "memory.limit_in_bytes")
                    found.append(int(file.read_text(encoding="ascii")))
    return min(found)


def memory_limit() -> int:
    """Bytes of memory that this process may have: the machine's, its control group's or its own limit
    (``ulimit -v``), whichever is smallest.
    """
    limits = [_of_the_system()]
    with suppress(ImportError):  # not a POSIX system
        import resource

        for kind in (resource.RLIMIT_AS, resource.RLIMIT_DATA):
            soft = resource.getrlimit(kind)[0]
            limits += [soft] if soft != resource.RLIM_INFINITY else []
    return min(limits)


def check_memory(size: float, what: str, fix: str = "make the model or the degree smaller") -> None:
    """Refuse, before anything is allocated, what would need more than half of the memory (bytes)."""
    if size > memory_limit() / 2:
        needed = f"{size / 1e9:,.0f}" if size < 1e15 else f"{min(size, 10**300) / 1e9:.0e}"
        raise TooLargeError(
            f"{what}: would need about {needed} GB of memory, more than half of the "
            f"{memory_limit() / 1e9:.3g} GB that there are; {fix}"
        )

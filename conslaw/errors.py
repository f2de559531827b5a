"""The one error that conslaw raises for bad input, and checks that several modules share."""

from __future__ import annotations

import os
from contextlib import suppress
from functools import cache
from numbers import Integral
from pathlib import Path


class ConslawError(ValueError):
    """Bad input: the message repeats what was given and says how to mend it."""


class UnsupportedError(ConslawError, AttributeError, TypeError):
    """Array code asks for something that arrays do not have here; also what Python and NumPy expect to be
    raised then.
    """


def check_seed(seed: int) -> int:
    """Return the seed, or raise :class:`ConslawError`."""
    if isinstance(seed, bool) or not isinstance(seed, Integral) or seed < 0:
        raise ConslawError(f"seed={seed!r}: give an integer >= 0")
    return int(seed)


def check_flags(**flags: object) -> None:
    """Refuse what is not True or False."""
    for name, value in flags.items():
        if not isinstance(value, bool):
            raise ConslawError(f"{name}={value!r}: give True or False")


class TooLargeError(ConslawError):
    """What is asked for needs more memory than there is, or more work than is ever worth beginning."""


@cache
def _of_the_system() -> int:
    """Bytes of memory of this machine, or of the control group that this process is in."""
    try:
        found = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    except (AttributeError, ValueError, OSError):  # not a POSIX system
        found = [16 * 2**30]
    with suppress(OSError):
        for line in Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines():
            number, controllers, group = line.split(":", 2)
            if number == "0":
                root, file = Path("/sys/fs/cgroup"), "memory.max"
            elif "memory" in controllers.split(","):
                root, file = Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes"
            else:
                continue
            own = root / group.lstrip("/")
            for folder in (own, *own.parents):
                if folder.is_relative_to(root):
                    with suppress(OSError, ValueError):  # "max" is no number: no limit
                        found.append(int((folder / file).read_text(encoding="ascii")))
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


def check_memory(size: float, what: str) -> None:
    """Refuse, before anything is allocated, what would need more than half of the memory (bytes)."""
    if size > memory_limit() / 2:
        raise TooLargeError(
            f"{what}: would need about {size / 1e9:,.0f} GB of memory, more than half of the "
            f"{memory_limit() / 1e9:.3g} GB that there are; make the model or the degree smaller"
        )

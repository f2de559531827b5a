"""The one error that conslaw raises for bad input."""

from numbers import Integral


class ConslawError(ValueError):
    """Bad input: the message repeats what was given and says how to mend it."""


def check_seed(seed: int) -> int:
    """Return the seed, or raise :class:`ConslawError`."""
    if isinstance(seed, bool) or not isinstance(seed, Integral) or seed < 0:
        raise ConslawError(f"seed={seed!r}: give an integer >= 0")
    return int(seed)

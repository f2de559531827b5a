"""The one error that conslaw raises for bad input."""


class ConslawError(ValueError):
    """Bad input: the message repeats what was given and says how to mend it."""

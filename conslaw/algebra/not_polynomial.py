"""What array code may not call, and what to write instead."""

from __future__ import annotations

SUPPORTED = (
    "+ - * / (by a number) ** (by an integer >= 0) @ .T [...], and what is polynomial in NumPy: .sum .mean "
    ".prod .trace .reshape .transpose, numpy.einsum, .dot, .concatenate, ..."
)


GATE = "multiply by a gate, free data: c.g * z"
SMOOTH = "see 'What is not polynomial' in the page 'Your own model' of the documentation"
WAYS_ROUND = {
    **dict.fromkeys(("maximum", "minimum", "fmax", "fmin", "max", "min", "clip", "abs", "absolute"), GATE),
    **dict.fromkeys(
        ("amax", "amin", "fabs", "sign", "heaviside", "where", "greater", "less", "select"), GATE
    ),
    **dict.fromkeys(("exp", "log", "tanh", "sin", "cos", "expm1", "log1p", "logaddexp", "arctan"), SMOOTH),
    **dict.fromkeys(("sqrt", "cbrt", "std", "norm", "inv", "solve", "pinv", "svd", "softmax"), SMOOTH),
    "astype": "leave it out, the numbers are exact",
}


def way_round(name: str) -> str:
    """What to write instead of something that is not polynomial."""
    return f": {WAYS_ROUND[name]}" if name in WAYS_ROUND else ""

"""What array code may not call, and what to write instead."""

from __future__ import annotations

from conslaw.errors import ConslawError

SUPPORTED = (
    "+ - * / (by a number) ** (by an integer >= 0) @ .T [...], and what is polynomial in NumPy: .sum .mean "
    ".prod .trace .reshape .transpose, numpy.einsum, .dot, .concatenate, ..."
)


GATE = "multiply by a gate, free data: c.g * z, or call a function of conslaw.nn"
SMOOTH = "call a function of conslaw.nn; see the page 'Nonlinearities' of the documentation"
RELU = "call conslaw.nn.relu(z)"
WAYS_ROUND = {
    **dict.fromkeys(("maximum", "fmax", "heaviside", "relu"), RELU),
    **dict.fromkeys(("minimum", "fmin"), "min(z, a) is a - relu(a - z): call conslaw.nn.relu"),
    **dict.fromkeys(("abs", "absolute", "fabs"), "call conslaw.nn.abs(z)"),
    **dict.fromkeys(("max", "amax"), "call conslaw.nn.max_pool(z, size, spatial=1)"),
    **dict.fromkeys(("min", "amin"), "call conslaw.nn.max_pool of -z"),
    "clip": "call conslaw.nn.hardtanh(z, min_val=..., max_val=...)",
    **dict.fromkeys(("sign", "where", "greater", "less", "select"), GATE),
    **{name: f"call conslaw.nn.{name}(z)" for name in ("exp", "tanh", "sin", "cos")},
    **dict.fromkeys(
        ("log", "expm1", "log1p", "logaddexp", "arctan", "sinh", "cosh", "tan", "arcsin", "arccos"),
        "call conslaw.nn.activation(z)",
    ),
    **dict.fromkeys(("sqrt", "cbrt", "reciprocal"), "call conslaw.nn.activation(z)"),
    **dict.fromkeys(("std", "norm"), "call conslaw.nn.layer_norm, rms_norm or weight_norm"),
    **dict.fromkeys(("inv", "solve", "pinv", "svd"), SMOOTH),
    "softmax": "call conslaw.nn.softmax(z)",
    "astype": "leave it out, the numbers are exact",
}


def way_round(name: str) -> str:
    """What to write instead of something that is not polynomial."""
    return f": {WAYS_ROUND[name]}" if name in WAYS_ROUND else ""


def not_supported(name: str) -> ConslawError:
    """The error for a function of NumPy that is not supported."""
    instead = way_round(name.split(".")[-1]) or way_round(name.split(".")[1])
    return ConslawError(
        f"the array code calls {name}, which is not supported{instead}. Supported: {SUPPORTED}"
    )

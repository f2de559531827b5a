"""Elementwise functions: homogeneous ones are gates, the others have a free value and a free slope."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any

import numpy as np
from scipy.special import erf, expit, log_expit

from conslaw.algebra.expressions import Expression, as_expression
from conslaw.errors import ConslawError
from conslaw.models.cut import Cut
from conslaw.models.readings import REAL, Array, recorder

Function = Callable[..., Any]


def free_value(operation: str, z: object, **options: Any) -> Expression:
    """A free value in place of a function of each entry, and the piece <u, z> with free u (the cut)."""
    record, x = recorder(operation), as_expression(z)
    name = record.numbered(operation)
    made = record.free(f"{name}_value", x.shape)
    if not record.trains(x):
        record.note(operation, "data", [made], [], [x], made, options)
        return made
    slopes = record.free(f"{name}_slope", x.shape)
    record.cuts.append(Cut(made, x, x, slopes))
    record.note(operation, "value and slope", [made], [slopes], [x], made, options)
    return made


def gate(operation: str, z: object, degree: int = 1, **options: Any) -> Expression:
    """``g * z**degree`` with a free gate g, for a function that is such a multiple on each side of 0."""
    record, x = recorder(operation), as_expression(z)
    made = record.free(record.numbered(operation), x.shape)
    record.note(operation, "gate", [made], [], [x], None, options)
    return made * x**degree


# what the gates are


def _sides(z: Array, low: float = 0.0, high: float = 1.0) -> Array:
    return np.where(z > 0, high, low)


GATES: Mapping[str, Function] = {
    "relu": _sides,
    "relu_squared": _sides,
    "prelu": _sides,
    "leaky_relu": lambda z, negative_slope=0.01: _sides(z, negative_slope),
    "abs": lambda z: np.sign(z),
    "hardshrink": lambda z, lambd=0.5: np.where(np.abs(z) > lambd, 1.0, 0.0),
}


def relu(z: object) -> Expression:
    """max(z, 0), as a gate.

    Parameters
    ----------
    z : array of any shape

    Returns
    -------
    array of the shape of z: ``g * z`` with free data g

    Raises
    ------
    ConslawError
        Outside of a potential that :func:`conslaw.model` calls.

    Examples
    --------
    >>> import conslaw
    >>> from conslaw.nn import relu
    >>> network = conslaw.model(
    ...     lambda p, c: c.v @ (p.V @ relu(p.U @ c.x)),
    ...     parameters={"U": (4, 3), "V": (2, 4)},
    ...     data={"x": (3,), "v": (2,)},
    ... )
    >>> conslaw.count(network).laws_at_most
    4
    """
    return gate("relu", z)


def leaky_relu(z: object, negative_slope: float = 0.01) -> Expression:
    """z where z > 0, else ``negative_slope * z``, as a gate."""
    return gate("leaky_relu", z, negative_slope=float(negative_slope))


def abs(z: object) -> Expression:  # noqa: A001
    """The absolute value, as a gate."""
    return gate("abs", z)


def hardshrink(z: object, lambd: float = 0.5) -> Expression:
    """z where ``abs(z) > lambd``, else 0, as a gate."""
    return gate("hardshrink", z, lambd=float(lambd))


def relu_squared(z: object) -> Expression:
    """max(z, 0)**2, as ``g * z**2`` with a free gate g."""
    return gate("relu_squared", z, 2)


def prelu(z: object, weight: object) -> Expression:
    """z where z > 0, else ``weight * z`` with a trained weight: ``z * (g + (1 - g) * weight)``, g free."""
    record, x = recorder("prelu"), as_expression(z)
    made = record.free(record.numbered("prelu"), x.shape)
    record.note("prelu", "gate", [made], [], [x], None, {})
    return x * (made + (1 - made) * as_expression(weight))


# functions with a free value and a free slope: what they are, and their slopes


def _normal(z: Array) -> Any:
    return (1 + erf(z / np.sqrt(2))) / 2


def _gelu(z: Array, approximate: str = "none") -> Any:
    if approximate == "tanh":
        return z * (1 + np.tanh(np.sqrt(2 / np.pi) * (z + 0.044715 * z**3))) / 2
    return z * _normal(z)


def _gelu_slope(z: Array, approximate: str = "none") -> Any:
    if approximate == "tanh":
        t = np.tanh(np.sqrt(2 / np.pi) * (z + 0.044715 * z**3))
        return (1 + t) / 2 + z * (1 - t**2) * np.sqrt(2 / np.pi) * (1 + 3 * 0.044715 * z**2) / 2
    return _normal(z) + z * np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)


def _elu(z: Array, alpha: float = 1.0) -> Any:
    return np.where(z > 0, z, alpha * np.expm1(np.minimum(z, 0)))


def _elu_slope(z: Array, alpha: float = 1.0) -> Any:
    return np.where(z > 0, 1.0, alpha * np.exp(np.minimum(z, 0)))


def _mish_slope(z: Array) -> Any:
    t = np.tanh(np.logaddexp(0, z))
    return t + z * expit(z) * (1 - t**2)


def _inside(z: Array, low: float, high: float, slope: float = 1.0) -> Any:
    return np.where((z > low) & (z < high), slope, 0.0)


SELU = 1.0507009873554804934193349852946, 1.6732632423543772848170429916717

SMOOTH: Mapping[str, tuple[str, Function, Function]] = {
    "gelu": ("z Φ(z); ``approximate='tanh'`` as in PyTorch", _gelu, _gelu_slope),
    "silu": ("z sigmoid(z)", lambda z: z * expit(z), lambda z: expit(z) * (1 + z * (1 - expit(z)))),
    "mish": ("z tanh(softplus(z))", lambda z: z * np.tanh(np.logaddexp(0, z)), _mish_slope),
    "tanh": ("The hyperbolic tangent", np.tanh, lambda z: 1 - np.tanh(z) ** 2),
    "sigmoid": ("1/(1 + exp(-z))", expit, lambda z: expit(z) * expit(-z)),
    "logsigmoid": ("log sigmoid(z)", log_expit, lambda z: expit(-z)),
    "softplus": (
        "log(1 + exp(beta z))/beta, and z where beta z > threshold",
        lambda z, beta=1.0, threshold=np.inf: np.where(
            beta * z > threshold, z, np.logaddexp(0, beta * z) / beta
        ),
        lambda z, beta=1.0, threshold=np.inf: np.where(beta * z > threshold, 1.0, expit(beta * z)),
    ),
    "softsign": ("z/(1 + abs(z))", lambda z: z / (1 + np.abs(z)), lambda z: 1 / (1 + np.abs(z)) ** 2),
    "tanhshrink": ("z - tanh(z)", lambda z: z - np.tanh(z), lambda z: np.tanh(z) ** 2),
    "elu": ("z where z > 0, else alpha (exp(z) - 1)", _elu, _elu_slope),
    "celu": (
        "z where z > 0, else alpha (exp(z/alpha) - 1)",
        lambda z, alpha=1.0: np.where(z > 0, z, alpha * np.expm1(np.minimum(z, 0) / alpha)),
        lambda z, alpha=1.0: np.where(z > 0, 1.0, np.exp(np.minimum(z, 0) / alpha)),
    ),
    "selu": (
        "The scaled ELU of self-normalising networks",
        lambda z: SELU[0] * _elu(z, SELU[1]),
        lambda z: SELU[0] * _elu_slope(z, SELU[1]),
    ),
    "exp": ("The exponential", np.exp, np.exp),
    "sin": ("The sine", np.sin, np.cos),
    "cos": ("The cosine", np.cos, lambda z: -np.sin(z)),
    "relu6": ("min(max(z, 0), 6)", lambda z: np.clip(z, 0, 6), lambda z: _inside(z, 0, 6)),
    "hardtanh": (
        "z between min_val and max_val, else the nearer of them",
        lambda z, min_val=-1.0, max_val=1.0: np.clip(z, min_val, max_val),
        lambda z, min_val=-1.0, max_val=1.0: _inside(z, min_val, max_val),
    ),
    "hardsigmoid": (
        "relu6(z + 3)/6",
        lambda z: np.clip(z / 6 + 0.5, 0, 1),
        lambda z: _inside(z, -3, 3, 1 / 6),
    ),
    "hardswish": (
        "z relu6(z + 3)/6",
        lambda z: z * np.clip(z / 6 + 0.5, 0, 1),
        lambda z: np.where(z > 3, 1.0, np.where(z < -3, 0.0, z / 3 + 0.5)),
    ),
    "softshrink": (
        "z without its part in [-lambd, lambd]",
        lambda z, lambd=0.5: np.sign(z) * np.maximum(np.abs(z) - lambd, 0),
        lambda z, lambd=0.5: np.where(np.abs(z) > lambd, 1.0, 0.0),
    ),
    "threshold": (
        "z where z > threshold, else value",
        lambda z, threshold=0.0, value=0.0: np.where(z > threshold, z, value),
        lambda z, threshold=0.0, value=0.0: np.where(z > threshold, 1.0, 0.0),
    ),
    "rrelu": (
        "A leaky ReLU with slopes that are drawn in training; the mean slope here",
        lambda z: np.where(z > 0, z, z * 11 / 48),
        lambda z: _sides(z, 11 / 48),
    ),
}


def _elementwise(name: str) -> Callable[..., Expression]:
    meaning, value, _ = SMOOTH[name]

    @wraps(free_value)
    def function(z: object, **options: Any) -> Expression:
        try:
            value(np.zeros(()), **options)
        except TypeError as error:
            raise ConslawError(f"conslaw.nn.{name}({', '.join(options)}): {error}") from None
        return free_value(name, z, **options)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"{meaning}, entry by entry: a free value and a free slope."
    return function


gelu, silu, mish, tanh = map(_elementwise, ("gelu", "silu", "mish", "tanh"))
sigmoid, logsigmoid, softplus, softsign = map(_elementwise, ("sigmoid", "logsigmoid", "softplus", "softsign"))
tanhshrink, elu, celu, selu = map(_elementwise, ("tanhshrink", "elu", "celu", "selu"))
exp, sin, cos, relu6, hardtanh = map(_elementwise, ("exp", "sin", "cos", "relu6", "hardtanh"))
hardsigmoid, hardswish, softshrink = map(_elementwise, ("hardsigmoid", "hardswish", "softshrink"))
threshold, rrelu = map(_elementwise, ("threshold", "rrelu"))


def activation(z: object) -> Expression:
    """Any other function of each entry: a free value and a free slope; what is found holds for them all."""
    return free_value("activation", z)


def stop_gradient(z: object) -> Expression:
    """z, through which no gradient passes: a free value."""
    record, x = recorder("stop_gradient"), as_expression(z)
    made = record.free(f"{record.numbered('stop_gradient')}_value", x.shape)
    record.note("stop_gradient", "data", [made], [], [x], made, {})
    return made


def _value(function: Function) -> Function:
    return lambda *z, **options: [np.asarray(function(*z, **options), dtype=float)]


def _slope(function: Function) -> Function:
    return lambda z, adjoint, **options: [adjoint * function(z, **options)]


REAL |= {name: (_value(function), None) for name, function in GATES.items()}
REAL |= {name: (_value(value), _slope(slope)) for name, (_, value, slope) in SMOOTH.items()}
REAL["stop_gradient"] = (_value(lambda z: z), None)

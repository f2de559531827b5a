"""Activations, losses, and all other functions: gates, free values and free slopes."""

from __future__ import annotations

from typing import Any

from conslaw.algebra.expressions import Expression
from conslaw.models.cut import Cut
from conslaw.models.from_torch.arithmetic import axes_of
from conslaw.models.from_torch.reader import Reader, Rule
from conslaw.models.from_torch.rearrangements import reshaped
from conslaw.models.nn.activations import free_value, gate, hardshrink, leaky_relu, prelu
from conslaw.models.nn.convolutions import dropout
from conslaw.models.readings import sum_zero, varying


def _dropout(read: Reader, x: Any, p: float, train: bool | None = True, **_: Any) -> Any:
    return read.with_others(dropout(x) if train and p else x)


def _prelu(read: Reader, x: Any, weight: Any, **_: Any) -> Expression:
    z, slope = read.array(x), read.array(weight)
    if slope.size > 1:
        slope = reshaped(slope, (slope.size, *[1] * (z.ndim - 2)))
    return prelu(z, slope if slope.size > 1 else reshaped(slope, ()))


def _leaky_relu(read: Reader, x: Expression, negative_slope: float = 0.01, **_: Any) -> Expression:
    return leaky_relu(x, negative_slope)


def _hardshrink(read: Reader, x: Expression, lambd: float = 0.5, **_: Any) -> Expression:
    return hardshrink(x, lambd)


def _rrelu(
    read: Reader, x: Expression, lower: float = 1 / 8, upper: float = 1 / 3, training: bool = False, **_: Any
) -> Expression:
    """In training with slopes that are drawn: gates of which nothing is known at real inputs."""
    return gate("rrelu_with_noise", x) if training else leaky_relu(x, (lower + upper) / 2)


def _gate(name: str) -> Rule:
    return lambda read, x, **_: gate(name, x)


OPTIONS = {
    "gelu": ("approximate",),
    "hardtanh": ("min_val", "max_val"),
    "softshrink": ("lambd",),
    "elu": ("alpha",),
    "celu": ("alpha",),
    "softplus": ("beta", "threshold"),
    "threshold": ("threshold", "value"),
}


def _smooth(name: str) -> Rule:
    def rule(read: Reader, x: Any, **others: Any) -> Expression:
        bounds = [y for y in others.values() if isinstance(y, Expression)]  # of a clamp
        known = {n: y for n, y in others.items() if n in OPTIONS.get(name, ())}
        scaled = any(others.get(n, 1) != 1 for n in ("scale", "input_scale"))  # of an ELU
        return read.cut(name, x, *bounds) if bounds or scaled else free_value(name, x, **known)

    return rule


def _glu(read: Reader, x: Expression, dim: int = -1, **_: Any) -> Expression:
    axis = dim % x.ndim
    half, before = x.shape[axis] // 2, (slice(None),) * axis
    return x[(*before, slice(half))] * free_value("sigmoid", x[(*before, slice(half, None))])


def _cut(name: str) -> Rule:
    """Any other function: a free value and a free slope for each array that goes in."""

    def rule(read: Reader, x: Any, **others: Any) -> Any:
        arrays = [y for z in (x, *others.values()) for y in (z if isinstance(z, list) else [z])]
        return read.with_others(read.cut(name, *arrays))

    return rule


def _centred(name: str) -> Rule:
    """A function that a constant along some axes does not change: its slopes sum to zero there."""

    def rule(read: Reader, x: Expression, dim: Any = None, **others: Any) -> Expression:
        record = read.record
        if any(isinstance(y, Expression) for y in others.values()):
            return read.cut(name, x, *others.values())
        axes = [min(1, x.ndim - 1)] if name == "cross_entropy_loss" else list(axes_of(x, dim))
        own = record.numbered(name)
        made = record.free(f"{own}_value", read.shape)
        seen, slopes = varying(x, axes), list[Expression]()
        if seen is not None:
            u, raw = sum_zero(record, f"{own}_slope", x.shape, axes)
            record.cuts.append(Cut(made, x, seen, u, None))
            slopes.append(raw)
        record.note(name, "value and slope", [made], slopes, [x], made, {"axes": axes})
        return made

    return rule


GATES = ("relu", "abs", "rrelu_with_noise", "rrelu_with_noise_functional")
SMOOTH = (
    *(
        "gelu",
        "silu",
        "mish",
        "tanh",
        "sigmoid",
        "log_sigmoid",
        "softplus",
        "elu",
        "celu",
        "selu",
        "exp",
        "sin",
        "cos",
    ),
    *(
        "hardtanh",
        "relu6",
        "hardsigmoid",
        "hardswish",
        "softshrink",
        "threshold",
        "log",
        "log2",
        "log10",
        "log1p",
        "expm1",
    ),
    *(
        "exp2",
        "sqrt",
        "rsqrt",
        "reciprocal",
        "erf",
        "erfc",
        "erfinv",
        "tan",
        "asin",
        "acos",
        "atan",
        "sinh",
        "cosh",
    ),
    *(
        "asinh",
        "acosh",
        "atanh",
        "logit",
        "sinc",
        "digamma",
        "lgamma",
        "clamp",
        "clamp_min",
        "clamp_max",
        "frac",
        "i0",
    ),
)
CENTRED = ("log_softmax", "_log_softmax", "var", "std", "cross_entropy_loss")
CUT = (
    *("atan2", "hypot", "logaddexp", "logaddexp2", "xlogy", "addcdiv", "fmod", "remainder", "copysign"),
    *(
        "linalg_vector_norm",
        "norm",
        "logsumexp",
        "prod",
        "cumprod",
        "logcumsumexp",
        "cosine_similarity",
        "dist",
    ),
    *(
        "_cdist_forward",
        "cdist",
        "pairwise_distance",
        "upsample_bilinear2d",
        "upsample_linear1d",
        "upsample_bicubic2d",
    ),
    *(
        "mse_loss",
        "l1_loss",
        "smooth_l1_loss",
        "huber_loss",
        "binary_cross_entropy",
        "kl_div",
        "soft_margin_loss",
    ),
    *("binary_cross_entropy_with_logits", "nll_loss", "nll_loss_nd", "nll_loss2d", "margin_ranking_loss"),
    *("hinge_embedding_loss", "poisson_nll_loss", "cosine_embedding_loss", "triplet_margin_loss", "bilinear"),
    *(
        "topk",
        "sort",
        "kthvalue",
        "mode",
        "msort",
        "index_put",
        "index_add",
        "scatter",
        "scatter_add",
        "scatter_reduce",
        "masked_scatter",
        "index_copy",
        "index_fill",
    ),
    *(
        "embedding_bag",
        "median",
        "quantile",
        "linalg_det",
        "linalg_inv",
        "linalg_matrix_exp",
        "matrix_exp",
        "_trilinear",
    ),
    *("conv_transpose1d", "conv_transpose2d", "conv_transpose3d", "grid_sampler_2d", "grid_sampler"),
)

RULES: dict[str, Rule] = {
    **dict.fromkeys(("dropout", "native_dropout", "feature_dropout"), _dropout),
    **dict.fromkeys(("prelu", "_prelu_kernel"), _prelu),
    "leaky_relu": _leaky_relu,
    "hardshrink": _hardshrink,
    "rrelu": _rrelu,
    "glu": _glu,
    **{name: _gate(name) for name in GATES},
    **{name: _smooth(name) for name in SMOOTH},
    **{name: _cut(name.strip("_")) for name in CUT},
    **{name: _centred(name.strip("_")) for name in CENTRED},
}

"""Layers: attention, norms, convolutions, activations and losses, each as :mod:`conslaw.nn` reads it."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from conslaw.algebra.einsum import einsum
from conslaw.algebra.expressions import Expression, as_expression
from conslaw.algebra.numpy_functions import pad
from conslaw.errors import ConslawError
from conslaw.models.cut import Cut
from conslaw.models.from_torch.arithmetic import allowed_by
from conslaw.models.from_torch.reader import Free, Masked, Reader, Rule
from conslaw.models.from_torch.rearrangements import reshaped
from conslaw.models.nn.activations import free_value, gate, leaky_relu, prelu
from conslaw.models.nn.attention import embedding, scaled_softmax
from conslaw.models.nn.convolutions import avg_pool, conv, dropout, max_pool
from conslaw.models.nn.normalisation import batch_norm, group_norm, layer_norm, rms_norm, weight_norm
from conslaw.models.readings import sum_zero, varying


def _same(read: Reader, x: Any, **_: Any) -> Any:
    return x


# attention


def _softmax(read: Reader, x: Any, dim: int, **_: Any) -> Expression:
    return _softmax_of(x, dim)


def _softmax_of(x: Any, dim: int, scale: float | None = 1.0, *, masks: bool = False) -> Expression:
    """A softmax of logits; what was added to masked ones is not known, but where they are only ``masks``."""
    if isinstance(x, Masked):
        return scaled_softmax("softmax", x.logits, dim, x.allowed, scale if masks else None)
    return scaled_softmax("softmax", x, dim, None, scale)


def _attention(
    read: Reader,
    query: Any,
    key: Any,
    value: Any,
    attn_mask: Any = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    enable_gqa: bool = False,
    scale: float | None = None,
    **_: Any,
) -> Expression:
    """Scaled dot product attention; the scale is left out, as the slopes of the softmax are free."""
    q, k, v = map(read.array, (query, key, value))
    groups = q.shape[-3] // k.shape[-3] if enable_gqa and q.ndim > 2 else 1
    if groups > 1:  # a head of keys for several of queries
        q = reshaped(q, (*q.shape[:-3], k.shape[-3], groups, *q.shape[-2:]))
        k, v = (reshaped(x, (*x.shape[:-2], 1, *x.shape[-2:])) for x in (k, v))
    logits: Any = einsum("...si,...ti->...st", q, k)
    known = None if attn_mask is not None else q.shape[-1] ** -0.5 if scale is None else scale
    if is_causal:
        logits = Masked(logits, np.tri(*logits.shape[-2:], dtype=np.bool_))
    elif isinstance(attn_mask, Masked | Expression):
        size = (
            1 if scale is None else scale
        )  # relative to the mask it does not matter: that is trained as well
        bias = attn_mask.logits if isinstance(attn_mask, Masked) else attn_mask
        whole = logits * as_expression(int(size) or 1) + bias
        logits = Masked(whole, attn_mask.allowed) if isinstance(attn_mask, Masked) else whole
    elif isinstance(attn_mask, Free):
        logits = _masked(read, logits, attn_mask)
    weights = _softmax_of(logits, -1, known, masks=True)
    if dropout_p > 0:
        weights = dropout(weights)
    made = einsum("...st,...ti->...si", weights, v)
    return reshaped(made, read.shape) if groups > 1 else made


def _masked(read: Reader, logits: Expression, mask: Free) -> Any:
    """Logits with a mask that is data; what is added to them is not seen by slopes that are free."""
    found = read.constant(mask)
    if found is None:
        return logits
    allowed = allowed_by(read, mask) if found.is_floating_point() else found.numpy().astype(bool)
    return logits if allowed is None else Masked(logits, allowed)


def _embedding(
    read: Reader,
    weight: Any,
    indices: Free,
    padding_idx: int = -1,
    scale_grad_by_freq: bool = False,
    **_: Any,
) -> Expression:
    if scale_grad_by_freq:
        raise ConslawError("an embedding with scale_grad_by_freq=True has another gradient: give False")
    made = embedding(indices.shape, read.array(weight))
    if padding_idx < 0:
        return made
    return made + read.record.free(read.record.numbered("padding"), made.shape)  # rows without a gradient


# norms


def _layer_norm(
    read: Reader,
    x: Any,
    normalized_shape: Sequence[int],
    weight: Any = None,
    bias: Any = None,
    eps: float = 1e-5,
    **_: Any,
) -> Any:
    made = layer_norm(
        read.array(x), *_given(read, weight, bias), axis=_last(normalized_shape), eps=eps or 1e-30
    )
    return _with_statistics(read, made)


def _rms_norm(
    read: Reader, x: Any, normalized_shape: Sequence[int], weight: Any = None, eps: Any = None, **_: Any
) -> Any:
    made = rms_norm(read.array(x), *_given(read, weight), axis=_last(normalized_shape), eps=eps or 1e-5)
    return _with_statistics(read, made)


def _last(shape: Sequence[int]) -> list[int]:
    return list(range(-len(shape), 0))


def _given(read: Reader, *values: Any) -> list[Any]:
    return [None if x is None else read.array(x) for x in values]


def _with_statistics(read: Reader, made: Expression) -> Any:
    """Operations that return mean and deviation too: whatever needs these is not read."""
    others = read.node.meta["val"]
    return made if not isinstance(others, list | tuple) else [made, *(_Unread() for _ in others[1:])]


class _Unread:
    """A statistic of a trained array that a layer returns beside its value."""

    shape = ()


def _group_norm(
    read: Reader, x: Any, weight: Any = None, bias: Any = None, eps: float = 1e-5, **others: Any
) -> Any:
    groups = others["num_groups"] if "num_groups" in others else others["group"]
    made = group_norm(read.array(x), groups, *_given(read, weight, bias), axis=1, eps=eps or 1e-5)
    return _with_statistics(read, made)


def _batch_norm(
    read: Reader, x: Any, weight: Any = None, bias: Any = None, eps: float = 1e-5, **others: Any
) -> Any:
    train = others.get("training", read.node.target._schema.name.endswith("functional"))
    made = batch_norm(read.array(x), *_given(read, weight, bias), train=train, eps=eps or 1e-5)
    return _with_statistics(read, made)


def _instance_norm(
    read: Reader,
    x: Any,
    weight: Any = None,
    bias: Any = None,
    use_input_stats: bool = True,
    eps: float = 1e-5,
    **_: Any,
) -> Any:
    z = read.array(x)
    if not use_input_stats:
        return batch_norm(z, *_given(read, weight, bias), train=False)
    return group_norm(z, z.shape[1], *_given(read, weight, bias), axis=1, eps=eps or 1e-5)


def _weight_norm(read: Reader, v: Any, g: Any, dim: int = 0, **_: Any) -> Any:
    return _with_statistics(read, weight_norm(read.array(v), read.array(g), axis=dim))


# convolutions


def _conv(
    read: Reader,
    x: Any,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    transposed: bool = False,
    **_: Any,
) -> Expression:
    if transposed:
        raise ConslawError("a transposed convolution is not read: write it as upsampling and a convolution")
    image, kernel = read.array(x), read.array(weight)
    spatial = kernel.ndim - 2
    if spatial > 2:
        raise ConslawError(f"a convolution in {spatial} dimensions is not read: in 1 or 2 it is")
    stride, dilation = _each(stride, spatial), _each(dilation, spatial)
    if padding == "same":
        whole = [d * (k - 1) for d, k in zip(dilation, kernel.shape[2:], strict=True)]
        image = pad(image, [(0, 0)] * (image.ndim - spatial) + [(n // 2, n - n // 2) for n in whole])
    padding = _each(0 if isinstance(padding, str) else padding, spatial)
    made = conv(image, kernel, stride=stride, padding=padding, dilation=dilation, groups=groups)
    return (
        made
        if bias is None
        else made + reshaped(read.array(bias), (-1 if False else kernel.shape[0], *[1] * spatial))
    )


def _each(value: Any, spatial: int) -> list[int]:
    values = list(value) if isinstance(value, list | tuple) else [value]
    return values * spatial if len(values) == 1 else values


def _max_pool(
    read: Reader,
    x: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    **_: Any,
) -> Any:
    image = read.array(x)
    spatial = int(read.node.target._schema.name.partition("pool")[2][0])
    _check_pool(read, spatial, ceil_mode)
    if any(n != 1 for n in _each(dilation, spatial)):
        raise ConslawError(f"max_pool with dilation={dilation} is not read: give 1")
    size = _each(kernel_size, spatial)
    made = max_pool(
        image,
        size,
        stride=_each(stride, spatial) if stride else size,
        padding=_each(padding, spatial),
        spatial=spatial,
    )
    return [made, None] if isinstance(read.node.meta["val"], list | tuple) else made


def _avg_pool(
    read: Reader,
    x: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: Any = None,
    **_: Any,
) -> Expression:
    spatial = int(read.node.target._schema.name.partition("pool")[2][0])
    _check_pool(read, spatial, ceil_mode)
    size, border = _each(kernel_size, spatial), _each(padding, spatial)
    if any(border) and not count_include_pad:
        raise ConslawError("avg_pool with padding that is not counted is not read: pad before it")
    made = avg_pool(
        read.array(x),
        size,
        stride=_each(stride, spatial) if stride else size,
        padding=border,
        spatial=spatial,
    )
    return made * prod(size) / divisor_override if divisor_override else made


def _check_pool(read: Reader, spatial: int, ceil_mode: bool) -> None:
    if spatial > 2 or ceil_mode:
        raise ConslawError("pooling with ceil_mode=True, or in 3 dimensions, is not read")


def _adaptive(read: Reader, x: Any, output_size: Any, **_: Any) -> Any:
    """Adaptive pooling to sizes that divide the pixels."""
    spatial = int(read.node.target._schema.name.partition("pool")[2][0])
    image, wanted = read.array(x), _each(output_size, spatial)
    pixels = image.shape[image.ndim - spatial :]
    if any(n % m for n, m in zip(pixels, wanted, strict=True)):
        raise ConslawError(
            f"adaptive pooling of {pixels} to {tuple(wanted)} is not read: give sizes that divide the pixels"
        )
    size = [n // m for n, m in zip(pixels, wanted, strict=True)]
    pool = max_pool if "max" in read.node.target._schema.name else avg_pool
    made = pool(image, size, spatial=spatial)
    return [made, None] if isinstance(read.node.meta["val"], list | tuple) else made


# activations


def _dropout(read: Reader, x: Any, p: float, train: bool | None = True, **_: Any) -> Any:
    made = dropout(x) if train and p else x
    return [made, None] if isinstance(read.node.meta["val"], list | tuple) else made


def _prelu(read: Reader, x: Any, weight: Any, **_: Any) -> Expression:
    z, slope = read.array(x), read.array(weight)
    if slope.size > 1:
        slope = reshaped(slope, (slope.size, *[1] * (z.ndim - 2)))
    return prelu(z, slope if slope.size > 1 else reshaped(slope, ()))


def _leaky_relu(read: Reader, x: Expression, negative_slope: float = 0.01, **_: Any) -> Expression:
    return leaky_relu(x, negative_slope)


def _gate(name: str) -> Rule:
    return lambda read, x, **_: gate(name, x)


OPTIONS = {"gelu": ("approximate",), "hardtanh": ("min_val", "max_val"), "softshrink": ("lambd",)}


def _smooth(name: str) -> Rule:
    def rule(read: Reader, x: Any, **others: Any) -> Expression:
        bounds = [y for y in others.values() if isinstance(y, Expression)]  # of a clamp
        known = {n: y for n, y in others.items() if n in OPTIONS.get(name, ())}
        return read.cut(name, x, *bounds) if bounds else free_value(name, x, **known)

    return rule


def _glu(read: Reader, x: Expression, dim: int = -1, **_: Any) -> Expression:
    axis = dim % x.ndim
    half, before = x.shape[axis] // 2, (slice(None),) * axis
    return x[(*before, slice(half))] * free_value("sigmoid", x[(*before, slice(half, None))])


def _cut(name: str) -> Rule:
    """Any other function: a free value and a free slope for each array that goes in."""

    def rule(read: Reader, x: Any, **others: Any) -> Any:
        arrays = [y for z in (x, *others.values()) for y in (z if isinstance(z, list) else [z])]
        made, outputs = read.cut(name, *arrays), read.node.meta["val"]
        return [made, *(None for _ in outputs[1:])] if isinstance(outputs, list | tuple) else made

    return rule


def _centred(name: str) -> Rule:
    """A function that a constant along some axes does not change: its slopes sum to zero there."""

    def rule(read: Reader, x: Expression, dim: Any = None, **others: Any) -> Expression:
        record = read.record
        axes = [1 % x.ndim if x.ndim > 1 else 0] if name == "cross_entropy_loss" else _axes(x, dim)
        if any(isinstance(y, Expression) for y in others.values()):
            return read.cut(name, x, *others.values())
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


def _axes(x: Expression, dim: Any) -> list[int]:
    given = [dim] if isinstance(dim, int) else list(dim or ()) or list(range(x.ndim))
    return [i % x.ndim for i in given]


GATES = ("relu", "abs", "hardshrink", "rrelu_with_noise", "rrelu_with_noise_functional", "rrelu")
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
    **dict.fromkeys(
        ("clone", "contiguous", "alias", "_to_copy", "to", "lift_fresh_copy", "type_as", "view_of"), _same
    ),
    **dict.fromkeys(("softmax", "_softmax", "_safe_softmax"), _softmax),
    "scaled_dot_product_attention": _attention,
    "embedding": _embedding,
    **dict.fromkeys(("layer_norm", "native_layer_norm"), _layer_norm),
    **dict.fromkeys(("rms_norm", "_fused_rms_norm"), _rms_norm),
    **dict.fromkeys(("group_norm", "native_group_norm"), _group_norm),
    **dict.fromkeys(
        ("batch_norm", "_native_batch_norm_legit", "_native_batch_norm_legit_functional"), _batch_norm
    ),
    **dict.fromkeys(
        ("native_batch_norm", "_native_batch_norm_legit_no_training", "cudnn_batch_norm"), _batch_norm
    ),
    **dict.fromkeys(("_batch_norm_with_update", "_batch_norm_with_update_functional"), _batch_norm),
    "instance_norm": _instance_norm,
    **dict.fromkeys(("_weight_norm", "_weight_norm_interface"), _weight_norm),
    **dict.fromkeys(("conv1d", "conv2d", "conv3d", "convolution"), _conv),
    **dict.fromkeys(
        ("max_pool1d", "max_pool2d", "max_pool2d_with_indices", "max_pool1d_with_indices"), _max_pool
    ),
    **dict.fromkeys(("avg_pool1d", "avg_pool2d"), _avg_pool),
    **dict.fromkeys(("adaptive_avg_pool1d", "adaptive_avg_pool2d", "_adaptive_avg_pool2d"), _adaptive),
    **dict.fromkeys(("adaptive_max_pool1d", "adaptive_max_pool2d"), _adaptive),
    **dict.fromkeys(("dropout", "native_dropout", "feature_dropout", "alpha_dropout"), _dropout),
    **dict.fromkeys(("prelu", "_prelu_kernel"), _prelu),
    "leaky_relu": _leaky_relu,
    "glu": _glu,
    **{name: _gate(name) for name in GATES},
    **{name: _smooth(name) for name in SMOOTH},
    **{name: _cut(name.strip("_")) for name in CUT},
    **{name: _centred(name.strip("_")) for name in CENTRED},
}

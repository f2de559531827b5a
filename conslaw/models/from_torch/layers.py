"""Attention, embeddings and norms, each as :mod:`conslaw.nn` reads it."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt
from typing import Any

import numpy as np
import torch

from conslaw.algebra.einsum import einsum
from conslaw.algebra.expressions import Expression, Shape
from conslaw.errors import ConslawError
from conslaw.models.from_torch.arithmetic import allowed_by
from conslaw.models.from_torch.reader import Free, Masked, Reader, Rule, Unread
from conslaw.models.from_torch.rearrangements import reshaped
from conslaw.models.nn.attention import embedding, scaled_softmax
from conslaw.models.nn.convolutions import dropout
from conslaw.models.nn.normalisation import batch_norm, group_norm, layer_norm, rms_norm, weight_norm


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
    """The scale is left out, as the slopes of the softmax are free, but beside a mask that is trained."""
    q, k, v = map(read.array, (query, key, value))
    groups = q.shape[-3] // k.shape[-3] if enable_gqa and q.ndim > 2 else 1
    if groups > 1:  # a head of keys for several of queries
        q = reshaped(q, (*q.shape[:-3], k.shape[-3], groups, *q.shape[-2:]))
        k, v = (reshaped(x, (*x.shape[:-2], 1, *x.shape[-2:])) for x in (k, v))
    logits: Any = einsum("...si,...ti->...st", q, k)
    known = None if attn_mask is not None else 1 / sqrt(q.shape[-1]) if scale is None else scale
    if is_causal:
        logits = Masked(logits, np.tri(*logits.shape[-2:], dtype=np.bool_))
    elif isinstance(attn_mask, Masked | Expression):
        mask = attn_mask if isinstance(attn_mask, Masked) else Masked(attn_mask, None)
        bias = reshaped(mask.logits, _in_groups(mask.shape, groups))
        whole = logits * read.number(1 / sqrt(q.shape[-1]) if scale is None else scale) + bias
        logits = Masked(whole, _allowed_in_groups(mask.allowed, groups))
    elif isinstance(attn_mask, Free):
        logits = _masked(read, logits, attn_mask, groups)
    weights = _softmax_of(logits, -1, known, masks=True)
    if dropout_p > 0:
        weights = dropout(weights)
    made = einsum("...st,...ti->...si", weights, v)
    return reshaped(made, read.shape) if groups > 1 else made


def _in_groups(shape: Shape, groups: int) -> Shape:
    """The shape of a mask (..., heads, queries, keys) with an axis more, for the heads of each group."""
    if groups == 1 or len(shape) < 3:
        return shape
    heads = (1, 1) if shape[-3] == 1 else (shape[-3] // groups, groups)
    return (*shape[:-3], *heads, *shape[-2:])


def _allowed_in_groups(allowed: Any, groups: int) -> Any:
    return None if allowed is None else allowed.reshape(_in_groups(allowed.shape, groups))


def _masked(read: Reader, logits: Expression, mask: Free, groups: int) -> Any:
    """Logits with a mask that is data; what is added to them is not seen by slopes that are free."""
    found = read.constant(mask)
    if found is None:
        return logits
    allowed = allowed_by(read, mask) if found.is_floating_point() else found.numpy().astype(bool)
    return logits if allowed is None else Masked(logits, _allowed_in_groups(allowed, groups))


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
        read.array(x), *_given(read, weight, bias), axis=_last(normalized_shape), eps=_positive(read, eps)
    )
    return _with_statistics(read, made)


def _rms_norm(
    read: Reader, x: Any, normalized_shape: Sequence[int], weight: Any = None, eps: Any = None, **_: Any
) -> Any:
    made = rms_norm(
        read.array(x), *_given(read, weight), axis=_last(normalized_shape), eps=_positive(read, eps)
    )
    return _with_statistics(read, made)


def _last(shape: Sequence[int]) -> list[int]:
    return list(range(-len(shape), 0))


def _positive(read: Reader, eps: float | None) -> float:
    """As in PyTorch; 0 is a tiny number, as the gradient at 0 is that of no potential."""
    if eps is None:
        made = read.node.meta["val"]
        return float(torch.finfo((made[0] if read.several else made).dtype).eps)
    return eps or 1e-30


def _given(read: Reader, *values: Any) -> list[Any]:
    return [None if x is None else read.array(x) for x in values]


def _with_statistics(read: Reader, made: Expression) -> Any:
    """Operations that return mean and deviation too: whatever needs these is not read."""
    return read.with_others(made, Unread())


def _group_norm(
    read: Reader, x: Any, weight: Any = None, bias: Any = None, eps: float = 1e-5, **others: Any
) -> Any:
    groups = others["num_groups"] if "num_groups" in others else others["group"]
    made = group_norm(read.array(x), groups, *_given(read, weight, bias), axis=1, eps=_positive(read, eps))
    return _with_statistics(read, made)


def _batch_norm(
    read: Reader, x: Any, weight: Any = None, bias: Any = None, eps: float = 1e-5, **others: Any
) -> Any:
    train = others.get("training", "with_update" in read.node.target._schema.name)
    made = batch_norm(read.array(x), *_given(read, weight, bias), train=train, eps=_positive(read, eps))
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
    return group_norm(z, z.shape[1], *_given(read, weight, bias), axis=1, eps=_positive(read, eps))


def _weight_norm(read: Reader, v: Any, g: Any, dim: int = 0, **_: Any) -> Any:
    whole, gain = read.array(v), read.array(g)
    if dim != -1:
        return _with_statistics(read, weight_norm(whole, gain, axis=dim))
    in_a_row = weight_norm(reshaped(whole, (1, whole.size)), reshaped(gain, (1,)))  # one norm of all entries
    return _with_statistics(read, reshaped(in_a_row, whole.shape))


RULES: dict[str, Rule] = {
    **dict.fromkeys(("clone", "contiguous", "alias", "_to_copy", "to", "lift_fresh_copy", "type_as"), _same),
    **dict.fromkeys(("softmax", "_softmax", "_safe_softmax"), _softmax),
    "scaled_dot_product_attention": _attention,
    "embedding": _embedding,
    **dict.fromkeys(("layer_norm", "native_layer_norm"), _layer_norm),
    **dict.fromkeys(("rms_norm", "_fused_rms_norm"), _rms_norm),
    **dict.fromkeys(("group_norm", "native_group_norm"), _group_norm),
    **dict.fromkeys(("batch_norm", "native_batch_norm", "cudnn_batch_norm"), _batch_norm),
    **dict.fromkeys(("_native_batch_norm_legit", "_native_batch_norm_legit_functional"), _batch_norm),
    **dict.fromkeys(("_native_batch_norm_legit_no_training", "_batch_norm_no_update"), _batch_norm),
    **dict.fromkeys(("_batch_norm_with_update", "_batch_norm_with_update_functional"), _batch_norm),
    "instance_norm": _instance_norm,
    **dict.fromkeys(("_weight_norm", "_weight_norm_interface"), _weight_norm),
}

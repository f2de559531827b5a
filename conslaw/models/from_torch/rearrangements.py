"""Operations that move entries: PyTorch itself is asked where they go, by running it on their numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from conslaw.algebra.expressions import LETTERS, Expression, as_expression, broadcast_to, contract, moved, numbers, stacked
from conslaw.errors import ConslawError
from conslaw.models.from_torch.reader import Free, Masked, Reader, Rule
from conslaw.models.nn.attention import embedding


def reshaped(x: Expression, shape: Sequence[int]) -> Expression:
    """The same entries in another shape."""
    return x if x.shape == tuple(shape) else Expression("reshape", (x,), None, tuple(shape))


def permuted(x: Expression, order: Sequence[int]) -> Expression:
    """The axes in another order, without a table of the entries: a product with one."""
    letters = LETTERS[: x.ndim]
    out = "".join(letters[i % x.ndim] for i in order)
    return x if out == letters else contract(as_expression(1), x, "", letters, out)


def _reshape(read: Reader, x: Any, **_: Any) -> Any:
    shape = tuple(read.node.meta["val"].shape)
    if isinstance(x, Masked):
        allowed = None if x.allowed is None else np.broadcast_to(x.allowed, x.shape).reshape(shape)
        return Masked(reshaped(x.logits, shape), allowed)
    return reshaped(read.array(x), shape)


def _permute(read: Reader, x: Any, dims: Sequence[int] = (1, 0), **_: Any) -> Expression:
    return permuted(read.array(x), dims)


def _transpose(read: Reader, x: Any, dim0: int = 0, dim1: int = 1, **_: Any) -> Expression:
    order = list(range(len(x.shape)))
    if order:
        order[dim0], order[dim1] = order[dim1], order[dim0]
    return permuted(read.array(x), order)


def _expand(read: Reader, x: Any, **_: Any) -> Expression:
    return broadcast_to(read.array(x), tuple(read.node.meta["val"].shape))


def _filled(read: Reader, x: Any, value: Any = None, src: Any = None, **_: Any) -> Expression:
    return broadcast_to(read.array(value if src is None else src), tuple(x.shape))


def _select(read: Reader, x: Any, dim: int, index: int, **_: Any) -> Expression:
    return read.array(x)[(*(slice(None),) * (dim % len(x.shape)), index)]


def _slice(read: Reader, x: Any, **options: Any) -> Any:
    return x if tuple(x.shape) == tuple(read.node.meta["val"].shape) else _moved(read, x, **options)


def _moved(read: Reader, x: Any, **options: Any) -> Any:
    """Any operation of which each entry is one of the entries that go in, or zero."""
    if options.get("value") not in (None, 0, 0.0) and not isinstance(options["value"], Free | Expression):
        raise ConslawError(f"{read.node.target} with value={options['value']}: give 0")
    parts = list[Expression]()

    def numbered(value: Any) -> Any:
        if isinstance(value, list):
            return [numbered(y) for y in value]
        if isinstance(value, Free) and (known := _indices(read, value)) is not None:
            return known
        if not isinstance(value, Free | Expression | Masked):
            return value
        entries, start = read.array(value), 1 + sum(part.size for part in parts)
        parts.append(entries)
        return torch.from_numpy(numbers(entries.shape, start).astype(np.float64))

    declared = read.node.target._schema.arguments
    own = {declared[0].name: numbered(x), **{name: numbered(value) for name, value in options.items()}}
    plain = [own[argument.name] for argument in declared if not argument.kwarg_only]
    named = {argument.name: own[argument.name] for argument in declared if argument.kwarg_only}
    found = read.node.target(*plain, **named)
    whole = parts[0] if len(parts) == 1 else stacked(parts)
    if isinstance(found, list | tuple):
        return [moved(whole, _positions(y)) for y in found]
    return moved(whole, _positions(found))


def _positions(found: torch.Tensor) -> Any:
    return found.numpy().astype(np.intp)


def _indices(read: Reader, value: Free) -> torch.Tensor | None:
    """Integers or booleans that say which entries are meant."""
    if value.node.meta["val"].is_floating_point():
        return None
    found = read.constant(value)
    if found is None:
        raise _NotKnown
    return found


class _NotKnown(Exception):  # noqa: N818
    """Which entries are meant depends on data."""


def _picked(read: Reader, x: Any, **options: Any) -> Any:
    """Entries picked by an index: by one that is data they are rows of a table, or a free value."""
    indices = options.get("indices")
    table = isinstance(x, Expression) and x.ndim == 2 and indices and len(indices) == 1
    if table and isinstance(indices[0], Free) and not indices[0].node.meta["val"].dtype == torch.bool:
        return embedding(indices[0].shape, x)  # also where they are known: other inputs have other rows
    try:
        return _moved(read, x, **options)
    except _NotKnown:
        return read.cut(str(read.node.target.__name__).partition(".")[0], x, *options.values())


RULES: dict[str, Rule] = {
    **dict.fromkeys(("view", "_unsafe_view", "reshape", "unsqueeze", "squeeze", "flatten", "unflatten"), _reshape),
    **dict.fromkeys(("permute", "numpy_T"), _permute),
    **dict.fromkeys(("transpose", "t"), _transpose),
    **dict.fromkeys(("fill", "copy"), _filled),
    "expand": _expand,
    "select": _select,
    "slice": _slice,
    **dict.fromkeys(("cat", "stack", "split", "split_with_sizes", "chunk", "unbind", "narrow", "repeat"), _moved),
    **dict.fromkeys(("flip", "roll", "tril", "triu", "diagonal", "diag_embed", "constant_pad_nd", "pad"), _moved),
    **dict.fromkeys(("unfold", "im2col", "pixel_shuffle", "pixel_unshuffle", "channel_shuffle", "rot90"), _moved),
    **dict.fromkeys(("select_scatter", "slice_scatter", "diagonal_scatter", "as_strided_scatter"), _moved),
    **dict.fromkeys(("reflection_pad1d", "reflection_pad2d", "replication_pad1d", "replication_pad2d"), _moved),
    **dict.fromkeys(("upsample_nearest1d", "upsample_nearest2d", "repeat_interleave", "split_copy"), _moved),
    **dict.fromkeys(("index", "index_select", "gather", "take"), _picked),
}

Moving = Callable[..., Any]

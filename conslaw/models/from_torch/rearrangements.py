"""Operations that move entries: PyTorch itself is asked where they go, by running it on their numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from conslaw.algebra.expressions import (
    LETTERS,
    Expression,
    Indices,
    as_expression,
    broadcast_to,
    contract,
    moved,
    numbers,
    stacked,
)
from conslaw.errors import ConslawError
from conslaw.models.from_torch.reader import Free, Masked, Reader, Rule
from conslaw.models.nn.attention import embedding

LARGEST_VIEW = 10**6  # entries of arrays of which it is kept where their entries come from


def reshaped(x: Expression, shape: Sequence[int]) -> Expression:
    """The same entries in another shape."""
    return x if x.shape == tuple(shape) else Expression("reshape", (x,), None, tuple(shape))


def permuted(x: Expression, order: Sequence[int]) -> Expression:
    """The axes in another order, without a table of the entries: a product with one."""
    letters = LETTERS[: x.ndim]
    out = "".join(letters[i % x.ndim] for i in order)
    return x if out == letters else contract(as_expression(1), x, "", letters, out)


def _reshape(read: Reader, x: Any, **_: Any) -> Any:
    shape = read.shape
    if isinstance(x, Masked):
        allowed = None if x.allowed is None else np.broadcast_to(x.allowed, x.shape).reshape(shape)
        return Masked(reshaped(x.logits, shape), allowed)
    whole = read.array(x)
    return _noted(read, reshaped(whole, shape), whole, lambda places: places.reshape(shape))


def _permute(read: Reader, x: Any, dims: Sequence[int] | None = None, **_: Any) -> Expression:
    whole = read.array(x)
    order = [i % whole.ndim for i in dims] if dims is not None else list(range(whole.ndim))[::-1]
    return _noted(read, permuted(whole, order), whole, lambda places: places.transpose(order))


def _transpose(read: Reader, x: Any, dim0: int = 0, dim1: int = 1, **_: Any) -> Expression:
    order = list(range(len(x.shape)))
    if len(order) > 1:
        order[dim0], order[dim1] = order[dim1], order[dim0]
    return _permute(read, x, order)


def _noted(read: Reader, made: Expression, x: Expression, move: Callable[[Indices], Indices]) -> Expression:
    """Remember of which array this is a view, and where its entries are in it."""
    if made.size <= LARGEST_VIEW:
        root, places = _view(read, x)
        read.views[made] = root, move(places)
    return made


def _view(read: Reader, x: Expression) -> tuple[Expression, Indices]:
    return read.views.get(x) or (x, numbers(x.shape, 0))


def _written(root: Expression, places: Indices) -> Expression | None:
    """Entries of an array as a block of it, of which axes are split and permuted; None if they are none.

    A layer's queries, keys and values are so, however they were taken apart: as slices of one product.
    """
    block, numbered = root, numbers(root.shape, 0)
    box = tuple(slice(int(c.min()), int(c.max()) + 1) for c in np.unravel_index(places, root.shape))
    inside = numbered[box]
    if inside.size != places.size:
        return None
    within = np.full(root.size, -1)
    within[inside.reshape(-1)] = np.arange(inside.size)
    own = within[places]
    first = own.reshape(-1)[0]
    steps = [int(own.take(1, i).reshape(-1)[0] - first) if n > 1 else 0 for i, n in enumerate(own.shape)]
    order = sorted(range(own.ndim), key=lambda i: -steps[i])
    if (np.transpose(own, order).reshape(-1) != np.arange(own.size)).any():
        return None
    if inside.shape != root.shape:
        block = root[box]
    return permuted(reshaped(block, [own.shape[i] for i in order]), np.argsort(order).tolist())


def _expand(read: Reader, x: Any, **_: Any) -> Expression:
    return broadcast_to(read.array(x), read.shape)


def _broadcast(read: Reader, tensors: Sequence[Any], **_: Any) -> list[Expression]:
    return [broadcast_to(read.array(x), read.shape) for x in tensors]


def _filled(read: Reader, x: Any, value: Any = None, src: Any = None, **_: Any) -> Expression:
    return broadcast_to(read.array(value if src is None else src), tuple(x.shape))


def _slice(read: Reader, x: Any, **options: Any) -> Any:
    return x if tuple(x.shape) == read.shape else _moved(read, x, **options)


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
        return [_part(read, whole, y) for y in found]
    return _part(read, whole, found)


def _part(read: Reader, x: Expression, found: torch.Tensor) -> Expression:
    """The entries of these numbers, which count from 1; 0 stands for zero."""
    positions: Indices = found.numpy().astype(np.intp)
    if not positions.all() or positions.size > x.size or x.size > LARGEST_VIEW:
        return moved(x, positions)
    root, places = _view(read, x)
    wanted = places.reshape(-1)[positions - 1]
    made = _written(root, wanted)
    return _noted(read, moved(x, positions) if made is None else made, root, lambda _: wanted)


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
    indices: Any = options.get("indices")
    table = (
        isinstance(x, Expression) and x.operation == "input" and x.ndim == 2 and indices and len(indices) == 1
    )
    if table and isinstance(indices[0], Free) and indices[0].node.meta["val"].dtype != torch.bool:
        return embedding(indices[0].shape, x)  # also where they are known: other inputs have other rows
    try:
        return _moved(read, x, **options)
    except _NotKnown:
        return read.cut(str(read.node.target.__name__).partition(".")[0], x, *options.values())


RULES: dict[str, Rule] = {
    **dict.fromkeys(
        ("view", "_unsafe_view", "reshape", "unsqueeze", "squeeze", "flatten", "unflatten"), _reshape
    ),
    **dict.fromkeys(("permute", "numpy_T"), _permute),
    **dict.fromkeys(("transpose", "t"), _transpose),
    **dict.fromkeys(("fill", "copy"), _filled),
    "expand": _expand,
    "broadcast_tensors": _broadcast,
    "slice": _slice,
    **dict.fromkeys(
        ("select", "cat", "stack", "split", "split_with_sizes", "chunk", "unbind", "narrow", "repeat"), _moved
    ),
    **dict.fromkeys(
        ("flip", "roll", "tril", "triu", "diagonal", "diag_embed", "constant_pad_nd", "pad"), _moved
    ),
    **dict.fromkeys(
        ("unfold", "im2col", "pixel_shuffle", "pixel_unshuffle", "channel_shuffle", "rot90"), _moved
    ),
    **dict.fromkeys(("select_scatter", "slice_scatter", "diagonal_scatter", "as_strided_scatter"), _moved),
    **dict.fromkeys(
        ("reflection_pad1d", "reflection_pad2d", "replication_pad1d", "replication_pad2d"), _moved
    ),
    **dict.fromkeys(("upsample_nearest1d", "upsample_nearest2d", "repeat_interleave", "split_copy"), _moved),
    **dict.fromkeys(("index", "index_select", "gather", "take"), _picked),
}

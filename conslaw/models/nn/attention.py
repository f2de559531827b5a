"""Softmax, attention, cross-entropy and embeddings."""

from __future__ import annotations

from typing import Any

import numpy as np

from conslaw.algebra.expressions import Expression, Shape, as_expression
from conslaw.errors import ConslawError
from conslaw.models.cut import Cut, paired
from conslaw.models.potential import is_shape
from conslaw.models.readings import REAL, Array, raw_of_sum_zero, recorder, sum_zero, varying


def softmax(z: object, *, axis: int = -1, mask: Any = None) -> Expression:
    """exp(z) / sum exp(z) along an axis: free weights that sum to 1; the slopes sum to zero.

    Parameters
    ----------
    z : array
    axis : int
    mask : constant array of booleans that broadcasts to z, optional
        True where an entry takes part; the others are 0.

    Returns
    -------
    array of the shape of z

    Raises
    ------
    ConslawError
        For one entry along the axis, or a row of which the mask leaves nothing.
    """
    return scaled_softmax("softmax", as_expression(z), axis, mask)


def scaled_softmax(
    operation: str, x: Expression, axis: int, mask: Any, scale: float | None = 1.0
) -> Expression:
    """The softmax of ``scale * x``; to free slopes the scale does not matter (None where it is not known)."""
    record = recorder(operation)
    if not isinstance(axis, int) or not -x.ndim <= axis < x.ndim:
        raise ConslawError(f"{operation}: axis={axis!r} of an array of shape {x.shape}")
    axis %= x.ndim
    if x.shape[axis] == 1:
        raise ConslawError(
            f"{operation} of shape {x.shape} along axis {axis}: a softmax of one entry is 1, whatever it is; "
            f"give at least 2 entries (tokens, classes)"
        )
    allowed = None if mask is None else _mask(operation, x.shape, axis, mask)
    whole = np.ones((1,) * x.ndim) if allowed is None else allowed
    along = (*whole.shape[:axis], x.shape[axis], *whole.shape[axis + 1 :])
    number = np.broadcast_to(whole, along).sum(axis, keepdims=True)
    name, options = record.numbered(operation), {"axis": axis, "allowed": allowed, "scale": scale}
    centred, raw = sum_zero(record, f"{name}_value", x.shape, [axis], allowed)
    value = centred + whole.astype(int) / as_expression(number.astype(int))
    if not record.trains(x):
        record.note(operation, "data", [raw], [], [x], value, options)
        return value
    slopes, seen = list[Expression](), varying(x, [axis])
    if seen is not None:
        u, raw_u = sum_zero(record, f"{name}_slope", x.shape, [axis], allowed)
        record.cuts.append(Cut(value, x, seen, u, (axis,)))
        slopes.append(raw_u)
    record.note(operation, "value and slope", [raw], slopes, [x], value, options)
    return value


def _mask(operation: str, shape: Shape, axis: int, mask: Any) -> Array:
    array = np.asarray(mask)
    try:
        if array.dtype != bool:
            raise ValueError
        array = array.reshape((1,) * (len(shape) - array.ndim) + array.shape)
        np.broadcast_to(array, shape)
    except ValueError:
        raise ConslawError(
            f"{operation}: mask={mask!r}: give booleans that broadcast to {shape}, True where an entry takes "
            f"part"
        ) from None
    if not np.broadcast_to(array, shape).any(axis).all():
        raise ConslawError(f"{operation}: the mask leaves no entry in some rows")
    return array


def attention(q: object, k: object, v: object, *, mask: Any = None) -> Expression:
    """softmax(q kᵀ / sqrt(size)) v.

    Parameters
    ----------
    q, k, v : arrays (..., queries, size), (..., keys, size), (..., keys, values)
        Leading axes, such as heads, go together.
    mask : constant array of booleans that broadcasts to (..., queries, keys), or ``"causal"``, optional
        True where a query sees a key.

    Returns
    -------
    array (..., queries, values)

    Raises
    ------
    ConslawError
        For shapes that do not fit, one key, or a query that sees no key.

    Examples
    --------
    A head conserves QQᵀ - KKᵀ and VVᵀ - OOᵀ:

    >>> import conslaw
    >>> from conslaw import nn
    >>> def potential(p, c):
    ...     head = nn.attention(c.x @ p.Q.T, c.x @ p.K.T, c.x @ p.V.T)
    ...     return (c.v * (head @ p.O)).sum()
    >>> head = conslaw.model(
    ...     potential, parameters=dict.fromkeys("QKVO", (2, 4)), data={"x": (3, 4), "v": (3, 4)}
    ... )
    >>> [str(family) for family in conslaw.analyze(head).law_families]
    ['Q Qᵀ − K Kᵀ   symmetric 2×2, 3 laws', 'V Vᵀ − O Oᵀ   symmetric 2×2, 3 laws']
    """
    query, key, value = map(as_expression, (q, k, v))
    if min(query.ndim, key.ndim, value.ndim) < 2 or query.shape[-1] != key.shape[-1]:
        raise ConslawError(
            f"attention: q {query.shape}, k {key.shape}, v {value.shape}: give (..., tokens, size) each"
        )
    logits = np.einsum("...si,...ti->...st", query, key)
    if isinstance(mask, str) and mask == "causal":
        mask = np.tri(*logits.shape[-2:], dtype=bool)
    weights = scaled_softmax("attention", logits, -1, mask, query.shape[-1] ** -0.5)
    return as_expression(np.einsum("...st,...ti->...si", weights, value))


def cross_entropy(z: object, *, axis: int = -1) -> Expression:
    """The cross-entropy of softmax(z) for any labels: <v, z>, v free, with sum zero along the axis."""
    record, x = recorder("cross_entropy"), as_expression(z)
    if not -x.ndim <= axis < x.ndim or x.shape[axis] == 1:
        raise ConslawError(f"cross_entropy of shape {x.shape} along axis {axis}: give at least 2 classes")
    v, raw = sum_zero(record, record.numbered("cross_entropy"), x.shape, [axis])
    record.note("cross_entropy", "data", [raw], [], [x], None, {"axis": axis})
    seen = varying(x, [axis])
    return paired(v, x if seen is None else seen)


def embedding(tokens: int | Shape, weight: object) -> Expression:
    """Rows of a table for tokens that are data: free vectors @ weight.

    Parameters
    ----------
    tokens : a number of tokens, or a shape of them
    weight : array (entries, size)

    Returns
    -------
    array (*tokens, size)
    """
    record, table = recorder("embedding"), as_expression(weight)
    shape = (tokens,) if isinstance(tokens, int) else tuple(tokens)
    if not is_shape(shape) or table.ndim != 2:
        raise ConslawError(f"embedding({tokens!r}, {table!r}): give a number of tokens and a matrix")
    chosen = record.free(record.numbered("embedding"), (*shape, table.shape[0]))
    record.note("embedding", "data", [chosen], [], [], None, {"shape": chosen.shape})
    return chosen @ table


# what they are


def _probabilities(z: Array, axis: int, allowed: Array | None) -> Array:
    seen = z if allowed is None else np.where(allowed, z, -np.inf)
    weights = np.exp(seen - seen.max(axis, keepdims=True))
    return np.asarray(weights / weights.sum(axis, keepdims=True))


def _fill(z: Array, axis: int, allowed: Array | None, scale: float) -> list[Array]:
    value = _probabilities(scale * z, axis, allowed)
    whole = np.broadcast_to(True if allowed is None else allowed, z.shape)
    return [raw_of_sum_zero(value - whole / whole.sum(axis, keepdims=True), [axis], allowed)]


def _fill_slopes(z: Array, adjoint: Array, axis: int, allowed: Array | None, scale: float) -> list[Array]:
    value = _probabilities(scale * z, axis, allowed)
    u = scale * value * (adjoint - (adjoint * value).sum(axis, keepdims=True))
    return [raw_of_sum_zero(u, [axis], allowed)]


def _fill_loss(z: Array, axis: int) -> list[Array]:
    target = np.zeros_like(z)
    np.moveaxis(target, axis, 0)[0] = 1.0  # the first class
    return [raw_of_sum_zero(_probabilities(z, axis, None) - target, [axis])]


def _first_rows(shape: Shape) -> list[Array]:
    rows = np.arange(int(np.prod(shape[:-1]))) % shape[-1]
    return [np.eye(shape[-1])[rows].reshape(shape)]


REAL |= {"softmax": (_fill, _fill_slopes), "attention": (_fill, _fill_slopes)}
REAL |= {"cross_entropy": (_fill_loss, None), "embedding": (_first_rows, None)}

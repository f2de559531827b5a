"""The functions of NumPy that array code may call: each means what NumPy means by it, or is refused.

Most of them only move entries, and fill in zeros: NumPy itself is asked where they go, by calling it on the
numbers of the entries.  The others are sums and products.  A function is known by what it is, not by its name
(``np.trace`` and ``np.linalg.trace`` differ).
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from functools import partial, reduce
from inspect import signature
from math import prod
from operator import add, mul, neg, pos, sub, truediv
from typing import Any

import numpy as np

from conslaw.algebra.einsum import einsum
from conslaw.algebra.exact_numbers import power
from conslaw.algebra.expressions import (
    FUNCTIONS,
    LARGEST,
    LETTERS,
    METHODS,
    UFUNCS,
    Expression,
    _ones,
    as_expression,
    broadcast_to,
    contract,
    matmul,
    moved,
    numbers,
    permuted,
    stacked,
    summed,
)
from conslaw.errors import ConslawError

Axis = int | tuple[int, ...] | None


# functions that move entries


def arrangement(function: Callable[..., Any], arrays: Sequence[int] = (0,)) -> Callable[..., Any]:
    """A function that moves entries of the arrays (or nested lists of arrays) at these arguments, which may
    be given by name.
    """
    try:
        names = [name for i, name in enumerate(signature(function).parameters) if i in arrays]
    except ValueError:  # of C, without a signature
        names = []

    def call(*arguments: Any, **options: Any) -> Any:
        parts = list[Expression]()

        def numbered(x: Any) -> Any:
            if isinstance(x, list | tuple) and x:
                return [numbered(y) for y in x]
            entries, start = as_expression(x), 1 + sum(part.size for part in parts)
            parts.append(entries)
            return numbers(entries.shape, start)

        given = [numbered(x) if i in arrays else _known(x) for i, x in enumerate(arguments)]
        chosen = dict[str, Any]()
        for name, value in options.items():
            if name in ("out", "dtype", "casting", "like", "subok") and value is not None:
                raise ConslawError(f"{name}={value!r}: leave it out")
            chosen[name] = numbered(value) if name in names else _known(value)
        found = function(*given, **chosen)
        whole = parts[0] if len(parts) == 1 else stacked(parts)
        if isinstance(found, list | tuple):
            return [moved(whole, x) for x in found]
        return moved(whole, np.asarray(found))

    return call


def permutation(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function that puts axes in another order: NumPy is asked on an array whose axes have lengths of their
    own.
    """

    def call(x: Any, *arguments: Any, **options: Any) -> Expression:
        entries = as_expression(x)
        found = function(np.broadcast_to(np.int8(0), range(entries.ndim)), *map(_known, arguments), **options)
        return permuted(entries, found.shape)

    return call


def _known(value: Any) -> Any:
    """An argument that is no array of the model."""
    for entry in value if isinstance(value, list | tuple) else ():
        _known(entry)
    if isinstance(value, Expression):
        raise ConslawError(
            f"{value!r} stands where a constant must stand; select by a gate, free data: c.g * z, or call a "
            f"function of conslaw.nn"
        )
    if isinstance(value, str) and value in ("A", "K"):
        raise ConslawError(f"order={value!r} depends on how arrays lie in memory; give 'C' or 'F'")
    return value


def pad(x: Any, pad_width: Any, mode: str = "constant") -> Any:
    """``numpy.pad`` with zeros."""
    if mode not in ("constant", "edge", "wrap", "reflect", "symmetric"):
        raise ConslawError(f"pad with mode={mode!r}: give 'constant' (zeros), 'edge', 'wrap' or 'reflect'")
    return arrangement(np.pad)(x, pad_width, mode)


def repeat(x: Any, repeats: Any, axis: int | None = None) -> Any:
    """``numpy.repeat``."""
    _refuse_large(as_expression(x).size * max(map(int, np.ravel(repeats)), default=0))
    return arrangement(np.repeat)(x, repeats, axis)


def tile(x: Any, reps: Any) -> Any:
    """``numpy.tile``."""
    _refuse_large(as_expression(x).size * prod(map(int, np.ravel(reps))))
    return arrangement(np.tile)(x, reps)


def _refuse_large(entries: int) -> None:
    if entries > LARGEST:
        raise ConslawError(f"an array of {entries:,} entries: more than {LARGEST:,}")


ARRANGEMENTS: Mapping[str, Sequence[int]] = {
    **dict.fromkeys(("concatenate", "stack", "vstack", "hstack", "dstack", "column_stack", "block"), (0,)),
    **dict.fromkeys(("roll", "flip", "fliplr", "flipud", "rot90"), (0,)),
    **dict.fromkeys(("reshape", "ravel", "squeeze", "expand_dims", "copy", "unstack"), (0,)),
    **dict.fromkeys(("atleast_1d", "atleast_2d", "atleast_3d"), range(64)),
    **dict.fromkeys(("take", "delete", "split", "array_split", "hsplit", "vsplit"), (0,)),
    **dict.fromkeys(("diag", "diagonal", "diagflat", "tril", "triu"), (0,)),
    "append": (0, 1),
    "insert": (0, 2),
    "where": (1, 2),
}
PERMUTATIONS = ("transpose", "swapaxes", "moveaxis", "rollaxis", "permute_dims", "matrix_transpose")
MOVING_METHODS = (*("reshape", "ravel", "flatten", "squeeze", "take", "diagonal", "copy", "__copy__"),)


# sums


def axes_of(x: Expression, axis: Axis) -> tuple[int, ...]:
    """The axes that ``axis`` names, in order."""
    given = range(x.ndim) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    wanted = [index(i) for i in given]
    if any(not -x.ndim <= i < x.ndim for i in wanted) or len({i % x.ndim for i in wanted}) < len(wanted):
        raise ConslawError(f"axis {axis} of {x!r}: no such axis, or one axis twice")
    return tuple(sorted(i % x.ndim for i in wanted))


def index(value: Any) -> int:
    """An integer, as NumPy takes it; but no truth value, which it takes in some places only."""
    if isinstance(value, bool | np.bool_):
        raise ConslawError(f"{value!r} stands where an integer must stand")
    return operator.index(value)


def _kept(x: Expression, result: Expression, axes: Sequence[int], keepdims: bool) -> Expression:
    if not isinstance(keepdims, int | np.integer | np.bool_):
        raise ConslawError(f"keepdims={keepdims!r}: give True or False")
    return result.reshape([1 if i in axes else n for i, n in enumerate(x.shape)]) if keepdims else result


def total(x: object, axis: Axis = None, *, keepdims: bool = False) -> Expression:
    """``numpy.sum``."""
    x = as_expression(x)
    axes = axes_of(x, axis)
    return _kept(x, summed(x, axes), axes, keepdims)


def mean(x: object, axis: Axis = None, *, keepdims: bool = False) -> Expression:
    """``numpy.mean``."""
    x = as_expression(x)
    count = prod(x.shape[i] for i in axes_of(x, axis))
    if not count:
        raise ConslawError(f"the mean of no entries, along axis {axis} of {x!r}")
    return total(x, axis, keepdims=keepdims) * Fraction(1, count)


def var(x: object, axis: Axis = None, *, ddof: int = 0, keepdims: bool = False) -> Expression:
    """``numpy.var``."""
    x = as_expression(x)
    count = prod(x.shape[i] for i in axes_of(x, axis))
    return total((x - mean(x, axis, keepdims=True)) ** 2, axis, keepdims=keepdims) / (count - Fraction(ddof))


def product(x: object, axis: Axis = None, *, keepdims: bool = False) -> Expression:
    """``numpy.prod``."""
    x = as_expression(x)
    axes = axes_of(x, axis)
    others = [i for i in range(x.ndim) if i not in axes]
    rows = x.transpose([*axes, *others]).reshape([-1, *(x.shape[i] for i in others)])
    while len(rows) > 1:  # by halves
        k = len(rows) // 2
        halves = rows[:k] * rows[k : 2 * k]
        rows = arrangement(np.concatenate)([halves, rows[2 * k :]]) if len(rows) % 2 else halves
    return _kept(x, rows[0] if len(rows) else _ones(rows.shape[1:]), axes, keepdims)


def cumsum(x: object, axis: int | None = None) -> Expression:
    """``numpy.cumsum``."""
    x = as_expression(x)
    x, [i] = (x.reshape(-1), (0,)) if axis is None else (x, axes_of(x, index(axis)))
    n, order = x.shape[i], [k for k in range(x.ndim) if k != i] + [i]
    return (x.transpose(order) @ np.triu(np.ones((n, n), dtype=int))).transpose(list(np.argsort(order)))


def diff(x: object, n: int = 1, axis: int = -1) -> Expression:
    """``numpy.diff``."""
    x = as_expression(x)
    [i] = axes_of(x, index(axis))
    if index(n) < 0:
        raise ConslawError(f"n={n!r}: differences are of an order >= 0")
    before = (slice(None),) * i
    for _ in range(min(index(n), x.shape[i])):  # nothing is left then
        x = x[(*before, slice(1, None))] - x[(*before, slice(-1))]
    return x


def trace(x: object, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Expression:
    """``numpy.trace``."""
    x = as_expression(x)
    if (
        not index(offset)
        and {axis1, axis2} in ({0, 1}, {-2, -1})
        and x.ndim == 2
        and x.shape[0] == x.shape[1]
    ):
        return einsum("ii->", x)  # its axes stay uniform
    return total(arrangement(np.diagonal)(x, offset, axis1, axis2), -1)


# products


def multi_dot(arrays: Sequence[Any]) -> Any:
    """``numpy.linalg.multi_dot``."""
    if len(arrays) < 2 or not all(1 <= np.ndim(x) <= 2 for x in arrays):
        raise ConslawError("multi_dot: give two or more vectors and matrices")
    return reduce(dot, arrays)


def tensordot(x: object, y: object, axes: Any = 2) -> Expression:
    """``numpy.tensordot``."""
    x, y = as_expression(x), as_expression(y)
    count = axes if isinstance(axes, int | np.integer) and not isinstance(axes, bool) else None
    if count is not None:
        axes = (range(x.ndim - count, x.ndim), range(count)) if 0 <= count <= min(x.ndim, y.ndim) else None
    if not isinstance(axes, Sequence) or len(axes) != 2:
        raise ConslawError(f"tensordot of shapes {x.shape} and {y.shape}: no such axes")
    pairs = [[index(i) for i in (one if isinstance(one, Sequence | np.ndarray) else (one,))] for one in axes]
    for z, own in zip((x, y), pairs, strict=True):
        axes_of(z, tuple(own))
    left, right = ([i % z.ndim for i in own] for z, own in zip((x, y), pairs, strict=True))
    if len(left) != len(right) or any(x.shape[i] != y.shape[j] for i, j in zip(left, right, strict=True)):
        raise ConslawError(
            f"tensordot of shapes {x.shape} and {y.shape} over axes {left} and {right}: differ"
        )
    a, b = LETTERS[: x.ndim], list(LETTERS[x.ndim : x.ndim + y.ndim])
    for i, j in zip(left, right, strict=True):
        b[j] = a[i]
    out = "".join(c for i, c in enumerate(a) if i not in left) + "".join(c for c in b if c not in a)
    return contract(x, y, a, "".join(b), out)


def pairs(operation: Callable[[Any, Any], Any], x: object, y: object) -> Any:
    """``ufunc.outer``: an operation on all pairs of entries."""
    x, y = as_expression(x), as_expression(y)
    return operation(x.reshape(x.shape + (1,) * y.ndim), y)


def dot(x: object, y: object) -> Expression:
    """``numpy.dot``: over the last axis of x and the last but one of y."""
    x, y = as_expression(x), as_expression(y)
    return tensordot(x, y, (-1, max(y.ndim - 2, 0))) if x.ndim and y.ndim else x * y


def inner(x: object, y: object) -> Expression:
    """``numpy.inner``: over the last axes."""
    x, y = as_expression(x), as_expression(y)
    return tensordot(x, y, (-1, -1)) if x.ndim and y.ndim else x * y


def vdot(x: object, y: object) -> Expression:
    """``numpy.vdot``."""
    return dot(as_expression(x).reshape(-1), as_expression(y).reshape(-1))


def outer(x: object, y: object) -> Expression:
    """``numpy.outer``."""
    return tensordot(as_expression(x).reshape(-1), as_expression(y).reshape(-1), 0)


def kron(x: object, y: object) -> Expression:
    """``numpy.kron``."""
    x, y = as_expression(x), as_expression(y)
    n = max(x.ndim, y.ndim)
    x, y = (z.reshape((1,) * (n - z.ndim) + z.shape) for z in (x, y))
    product = tensordot(x, y, 0).transpose([k for i in range(n) for k in (i, n + i)])
    return product.reshape([a * b for a, b in zip(x.shape, y.shape, strict=True)])


def matrix_power(x: object, n: int) -> Expression:
    """``numpy.linalg.matrix_power``, n >= 1."""
    x = as_expression(x)
    if index(n) < 1 or x.ndim < 2 or x.shape[-1] != x.shape[-2]:
        raise ConslawError(f"power {n} of matrices of shape {x.shape}: give square ones, and at least 1")
    return power(matmul, x, index(n))


FUNCTIONS |= {
    **{getattr(np, n): arrangement(getattr(np, n), a) for n, a in ARRANGEMENTS.items() if hasattr(np, n)},
    **{getattr(np, n): permutation(getattr(np, n)) for n in PERMUTATIONS if hasattr(np, n)},
    np.pad: pad,
    np.repeat: repeat,
    np.tile: tile,
    np.shape: lambda x: x.shape,
    np.ndim: lambda x: x.ndim,
    np.size: lambda x: x.size,
    np.zeros_like: lambda x: np.zeros(x.shape, dtype=object),
    np.ones_like: lambda x: np.ones(x.shape, dtype=object),
    np.full_like: lambda x, value: np.full(x.shape, value, dtype=object),
    np.broadcast_to: broadcast_to,
    np.einsum: lambda *operands, optimize=True: einsum(*operands),
    np.sum: total,
    np.mean: mean,
    np.var: var,
    np.prod: product,
    np.trace: trace,
    np.cumsum: cumsum,
    np.diff: diff,
    np.dot: dot,
    np.inner: inner,
    np.vdot: vdot,
    np.outer: outer,
    np.kron: kron,
    np.tensordot: tensordot,
    np.linalg.matrix_power: matrix_power,
    np.linalg.multi_dot: multi_dot,
}
METHODS |= {
    **{name: arrangement(getattr(np.ndarray, name)) for name in MOVING_METHODS},
    **{name: permutation(getattr(np.ndarray, name)) for name in ("transpose", "swapaxes")},
    "repeat": repeat,
    "sum": total,
    "mean": mean,
    "var": var,
    "prod": product,
    "trace": trace,
    "cumsum": cumsum,
    "dot": dot,
}
_UFUNCS: dict[tuple[Any, str], Callable[..., Any]] = {
    (np.add, "__call__"): add,
    (np.subtract, "__call__"): sub,
    (np.multiply, "__call__"): mul,
    (np.divide, "__call__"): truediv,
    (np.reciprocal, "__call__"): lambda x: 1 / x,
    (np.negative, "__call__"): neg,
    (np.positive, "__call__"): pos,
    (np.matmul, "__call__"): matmul,
    (np.power, "__call__"): lambda x, n: x**n,
    (np.float_power, "__call__"): lambda x, n: x**n,
    (np.square, "__call__"): lambda x: x * x,
    (np.add, "reduce"): lambda x, axis=0, **options: total(x, axis, **options),
    (np.multiply, "reduce"): lambda x, axis=0, **options: product(x, axis, **options),
    (np.add, "accumulate"): lambda x, axis=0: cumsum(x, axis),
    **{
        (ufunc, "outer"): partial(pairs, operation)
        for ufunc, operation in ((np.add, add), (np.subtract, sub), (np.multiply, mul))
    },
}
UFUNCS |= _UFUNCS

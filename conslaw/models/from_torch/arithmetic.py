"""Sums, products and masks: exact, but for data in them."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import prod
from typing import Any

import numpy as np

from conslaw.algebra.einsum import einsum
from conslaw.algebra.expressions import Expression, as_expression, broadcast_to
from conslaw.algebra.numpy_functions import cumsum, total
from conslaw.errors import ConslawError
from conslaw.models.from_torch.reader import Free, Masked, Reader, Rule
from conslaw.models.nn.activations import free_value
from conslaw.models.readings import sum_zero

NEVER = -1000.0  # exp of it is 0 in floating point: a logit so low is minus infinity


def _add(read: Reader, x: Any, other: Any, alpha: Any = 1, **_: Any) -> Any:
    if isinstance(x, Masked):
        return Masked(x.logits + _times(read, read.array(other), alpha), x.allowed)
    if isinstance(other, Masked) and alpha > 0:
        return Masked(read.array(x) + _times(read, other.logits, alpha), other.allowed)
    for logits, mask in ((x, other), (other, x)):
        if isinstance(logits, Expression) and alpha == 1 and (allowed := allowed_by(read, mask)) is not None:
            return Masked(logits, allowed)
    return read.array(x) + _times(read, read.array(other), alpha)


def allowed_by(read: Reader, mask: Any) -> Any:
    """Where an array that is added to logits leaves them as they are, if it is minus infinity elsewhere."""
    found = read.constant(mask)
    if found is None or not found.is_floating_point() or not bool((found < NEVER).any()):
        return None
    return (found >= NEVER).numpy()


def _times(read: Reader, x: Expression, factor: Any) -> Expression:
    return x if factor == 1 else x * read.number(factor)


def _sub(read: Reader, x: Any, other: Any, alpha: Any = 1, **_: Any) -> Expression:
    return read.array(x) - _times(read, read.array(other), alpha)


def _rsub(read: Reader, x: Any, other: Any, alpha: Any = 1, **_: Any) -> Expression:
    return read.array(other) - _times(read, read.array(x), alpha)


def _mul(read: Reader, x: Any, other: Any, **_: Any) -> Any:
    for logits, factor in ((x, other), (other, x)):
        if isinstance(logits, Masked):
            known = read.scalar(factor)
            if known is None or known <= 0:
                raise ConslawError("minus infinity in a trained array times what is not a positive number")
            return Masked(logits.logits * read.number(known), logits.allowed)
    return read.array(x) * read.array(other)


def _div(read: Reader, x: Any, other: Any, rounding_mode: str | None = None, **_: Any) -> Any:
    if rounding_mode is not None:
        return Free(read.node)
    known = read.scalar(other)
    if known is not None:
        if not known:
            raise ConslawError("division by zero")
        factor = read.number(1 / known)
        return Masked(x.logits * factor, x.allowed) if isinstance(x, Masked) else read.array(x) * factor
    by = read.leaf(other) if isinstance(other, Free) else free_value("reciprocal", read.array(other))
    return read.array(x) * by  # one over data is data


def _pow(read: Reader, x: Any, exponent: Any, **_: Any) -> Expression:
    if isinstance(x, Expression) and isinstance(exponent, int | float) and exponent in (1, 2, 3, 4):
        return x ** int(exponent)
    return read.cut("pow", x, exponent)


def _square(read: Reader, x: Expression, **_: Any) -> Expression:
    return x * x


def _neg(read: Reader, x: Expression, **_: Any) -> Expression:
    return -x


def _addcmul(read: Reader, x: Any, tensor1: Any, tensor2: Any, value: Any = 1, **_: Any) -> Expression:
    return read.array(x) + _times(read, read.array(tensor1) * read.array(tensor2), value)


def _lerp(read: Reader, x: Any, end: Any, weight: Any, **_: Any) -> Expression:
    start = read.array(x)
    return start + read.array(weight) * (read.array(end) - start)


# sums


def _sum(read: Reader, x: Expression, dim: Any = None, keepdim: bool = False, **_: Any) -> Expression:
    return total(x, axes_of(x, dim), keepdims=keepdim)


def _mean(read: Reader, x: Expression, dim: Any = None, keepdim: bool = False, **_: Any) -> Expression:
    axes = axes_of(x, dim)
    return total(x, axes, keepdims=keepdim) * Fraction(1, prod(x.shape[i] for i in axes))


def axes_of(x: Any, dim: Any) -> tuple[int, ...]:
    """The axes that PyTorch means; all of them for None or ()."""
    n = len(x.shape)
    given = [dim] if isinstance(dim, int) else list(dim or ()) or range(n)
    return tuple(i % n for i in given) if n else ()


def _cumsum(read: Reader, x: Expression, dim: int, **_: Any) -> Expression:
    return cumsum(x, dim)


# products


def _matmul(read: Reader, x: Any, **others: Any) -> Expression:
    [other] = [others[name] for name in ("other", "mat2", "vec", "tensor") if name in others]
    return read.array(x) @ read.array(other)


def _outer(read: Reader, x: Any, vec2: Any, **_: Any) -> Expression:
    return einsum("i,j->ij", read.array(x), read.array(vec2))


def _addmm(read: Reader, x: Any, beta: Any = 1, alpha: Any = 1, **others: Any) -> Expression:
    a, b = (read.array(y) for name, y in others.items() if name.startswith(("mat", "batch", "vec")))
    made = _times(read, a @ b, alpha)
    added = _times(read, read.array(x), beta)
    return made + broadcast_to(added, made.shape)


def linear(read: Reader, x: Any, weight: Any, bias: Any = None, **_: Any) -> Expression:
    """x Wᵀ + b."""
    w = read.array(weight)
    made = einsum("...i,oi->...o" if w.ndim == 2 else "...i,i->...", read.array(x), w)
    return made if bias is None else made + read.array(bias)


def _einsum(read: Reader, equation: str, tensors: Sequence[Any], **_: Any) -> Expression:
    return einsum(equation, *(read.array(x) for x in tensors))


# masks and selections


def _where(read: Reader, condition: Any, self: Any, other: Any, **_: Any) -> Any:
    if _is_never(read, other):
        return Masked(read.array(self), _booleans(read, condition))
    if _is_never(read, self):
        allowed = _booleans(read, condition)
        return Masked(read.array(other), None if allowed is None else ~allowed)
    chosen = read.array(condition)
    return read.array(self) * chosen + read.array(other) * (1 - chosen)


def _masked_fill(read: Reader, x: Any, mask: Any, value: Any, **_: Any) -> Any:
    if _is_never(read, value):
        masked = _booleans(read, mask)
        logits, before = (x.logits, x.allowed) if isinstance(x, Masked) else (read.array(x), np.array(True))
        known = masked is not None and before is not None
        return Masked(logits, ~masked & before if known else None)
    gone = read.array(mask)
    left = read.array(x) * (1 - gone)
    return left if read.scalar(value) == 0 else left + read.array(value) * gone


def _is_never(read: Reader, value: Any) -> bool:
    if isinstance(value, float | int):
        return value < NEVER
    found = read.constant(value)
    return found is not None and found.is_floating_point() and bool((found < NEVER).all())


def _booleans(read: Reader, value: Any) -> Any:
    found = read.constant(value)
    return None if found is None else found.numpy().astype(bool)


def _extreme_of_two(read: Reader, x: Any, other: Any, **_: Any) -> Expression:
    a, b, shape = read.array(x), read.array(other), read.shape
    name = read.record.numbered("maximum")
    chosen = read.record.free(name, shape)
    read.record.note("maximum", "selection", [chosen], [], [a, b], None, {})
    return a * chosen + b * (1 - chosen)


def _extreme(
    read: Reader, x: Any, dim: Any = None, keepdim: bool = False, other: Any = None, **_: Any
) -> Any:
    """The largest or smallest entries: combinations with free weights that sum to 1."""
    if other is not None:
        return _extreme_of_two(read, x, other)
    axes = axes_of(x, dim)
    size = prod(x.shape[i] for i in axes)
    weights, raw = sum_zero(read.record, read.record.numbered("max"), x.shape, axes)
    read.record.note("max", "selection", [raw], [], [x], None, {"axes": axes})
    return read.with_others(total(x * (weights + as_expression(Fraction(1, size))), axes, keepdims=keepdim))


RULES: dict[str, Rule] = {
    **dict.fromkeys(("add", "__add__"), _add),
    "sub": _sub,
    "rsub": _rsub,
    "mul": _mul,
    **dict.fromkeys(("div", "true_divide"), _div),
    "pow": _pow,
    "square": _square,
    "neg": _neg,
    "addcmul": _addcmul,
    "lerp": _lerp,
    "sum": _sum,
    "mean": _mean,
    "cumsum": _cumsum,
    **dict.fromkeys(("matmul", "mm", "bmm", "mv", "dot", "vdot"), _matmul),
    **dict.fromkeys(("addmm", "baddbmm", "addmv"), _addmm),
    "outer": _outer,
    "linear": linear,
    "einsum": _einsum,
    "where": _where,
    "masked_fill": _masked_fill,
    **dict.fromkeys(("maximum", "minimum", "fmax", "fmin"), _extreme_of_two),
    **dict.fromkeys(("max", "min", "amax", "amin"), _extreme),
}

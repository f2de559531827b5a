"""Array expressions: what a potential becomes when it is called once on symbolic arrays.

The user's array code runs a single time, on :class:`Expression` objects that record it as a graph of five
primitives: sum, product with contraction, sum over axes, and the two index maps that are adjoint to one
another (take, put).  Each is linear in each of its arguments, so reverse mode turns a graph into another
graph (:func:`gradient`), and :func:`evaluate` runs either over any number system: an object with the methods
of :class:`NumberSystem`.  A sixth primitive, the reciprocal, serves rational metrics and vector fields;
potentials are polynomial.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from functools import reduce
from math import prod
from numbers import Integral
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from conslaw.algebra.exact_numbers import SUPPORTED, exact_rational
from conslaw.errors import ConslawError, UnsupportedError

Shape = tuple[int, ...]
Indices = npt.NDArray[np.intp]
Constants = npt.NDArray[Any]
T = TypeVar("T")

LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXY"  # Z is kept for the batch axis of jets


class Expression:
    """An array-valued polynomial expression in named input arrays (a node of the graph; immutable).

    Operators: ``+ - * / ** @ .T [...] .sum() .reshape()`` with NumPy's meaning and broadcasting, and
    ``numpy.einsum``.
    """

    __slots__ = ("args", "attribute", "operation", "shape")

    def __init__(self, operation: str, args: tuple[Expression, ...], attribute: Any, shape: Shape) -> None:
        self.operation, self.args, self.attribute, self.shape = operation, args, attribute, shape

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of entries."""
        return prod(self.shape)

    def __len__(self) -> int:
        if not self.shape:
            raise ConslawError("len() of a scalar: this array has shape ()")
        return self.shape[0]

    def __repr__(self) -> str:
        return (
            f"<{self.operation} {self.attribute + ' ' if self.operation == 'input' else ''}of shape "
            f"{self.shape}>"
        )

    def __bool__(self) -> bool:
        raise ConslawError(
            "the potential branches on the value of an array: it must be the same polynomial for every value"
        )

    def _unsupported(self, *_: object) -> Any:
        raise UnsupportedError(
            f"a float, a comparison, abs, //, % or the like of {self!r} is not polynomial. Supported: "
            f"{SUPPORTED}"
        )

    __float__ = __int__ = __abs__ = __mod__ = __rmod__ = __floordiv__ = __rfloordiv__ = __rpow__ = (
        _unsupported
    )
    __lt__ = __le__ = __gt__ = __ge__ = __eq__ = __ne__ = _unsupported
    __hash__ = object.__hash__

    def _sympy_(self) -> None:  # a SymPy number on the left then leaves the operation to the array
        from sympy import SympifyError

        raise SympifyError(self)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        raise UnsupportedError(f".{name} of {self!r} is not supported. Supported: {SUPPORTED}")

    # arithmetic

    def __add__(self, other: object) -> Expression:
        x, y = _broadcast(self, as_expression(other), "+")
        return Expression("add", (x, y), None, x.shape)

    __radd__ = __add__

    def __neg__(self) -> Expression:
        return self * -1

    def __pos__(self) -> Expression:
        return self

    def __sub__(self, other: object) -> Expression:
        return self + -as_expression(other)

    def __rsub__(self, other: object) -> Expression:
        return as_expression(other) + -self

    def __mul__(self, other: object) -> Expression:
        y = as_expression(other)
        shape = _broadcast_shape(self.shape, y.shape, "*")
        letters = LETTERS[: len(shape)]
        # an axis that is stretched carries no letter: that is what broadcasting means in a contraction
        own = [
            [
                c if n == m else ""
                for c, n, m in zip(
                    letters[len(shape) - z.ndim :], z.shape, shape[len(shape) - z.ndim :], strict=True
                )
            ]
            for z in (self, y)
        ]
        x, y = (
            _reshape(z, tuple(n for c, n in zip(a, z.shape, strict=True) if c))
            for a, z in zip(own, (self, y), strict=True)
        )
        a, b = ("".join(c) for c in own)
        return _contract(x, y, a, b, letters)

    __rmul__ = __mul__

    def __truediv__(self, other: object) -> Expression:
        y = as_expression(other)
        if y.operation != "constant":
            return self * Expression("reciprocal", (y,), None, y.shape)
        if any(v == 0 for v in y.attribute.ravel()):
            raise ConslawError(f"division by zero: {other!r}")
        reciprocal = np.empty(y.shape, dtype=object)
        reciprocal.reshape(-1)[:] = [Fraction(1) / v for v in y.attribute.ravel()]
        return self * reciprocal

    def __rtruediv__(self, other: object) -> Expression:
        return as_expression(other) / self

    def __pow__(self, exponent: object) -> Expression:
        if not isinstance(exponent, Integral) or isinstance(exponent, bool):
            raise ConslawError(f"exponent {exponent!r}: only integer powers are polynomial or rational")
        power = int(exponent)
        if power < 0:
            return 1 / self**-power
        if power < 2:
            return self if power else _ones(self.shape)
        half = self ** (power // 2)
        return half * half * self if power % 2 else half * half

    def __matmul__(self, other: object) -> Expression:
        return _matmul(self, as_expression(other))

    def __rmatmul__(self, other: object) -> Expression:
        return _matmul(as_expression(other), self)

    # rearrangement

    @property
    def T(self) -> Expression:  # noqa: N802
        """The transpose (axes reversed)."""
        return self.transpose()

    def transpose(self, *axes: int) -> Expression:
        """The axes in another order (reversed by default)."""
        positions = np.arange(self.size).reshape(self.shape)
        order = axes[0] if len(axes) == 1 and isinstance(axes[0], Sequence) else axes or None
        return _take(self, _numpy(lambda: positions.transpose(order), f"transpose{axes} of {self!r}"))

    def __getitem__(self, key: Any) -> Expression:
        positions = np.arange(self.size).reshape(self.shape)
        return _take(self, np.asarray(_numpy(lambda: positions[key], f"[{key}] of {self!r}")))

    def __iter__(self) -> Iterator[Expression]:
        return (self[i] for i in range(len(self)))

    def reshape(self, *shape: Any) -> Expression:
        """The same entries, in C order, in another shape (one -1 allowed)."""
        wanted = shape[0] if len(shape) == 1 and isinstance(shape[0], Sequence) else shape
        positions = np.arange(self.size)
        return _reshape(self, _numpy(lambda: positions.reshape(wanted), f"reshape{shape} of {self!r}").shape)

    def sum(self, axis: int | Shape | None = None) -> Expression:
        """The sum over one axis, several, or all."""
        if axis is None:
            axis = tuple(range(self.ndim))
        axes = (int(axis),) if isinstance(axis, Integral) else tuple(axis)  # type: ignore[arg-type]
        if any(not -self.ndim <= i < self.ndim for i in axes):
            raise ConslawError(f"sum over axis {axis} of {self!r}: no such axis")
        return _sum(self, tuple(sorted({i % self.ndim for i in axes})))

    # NumPy functions called on an expression

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: object, **kwargs: object) -> Expression:
        operation = _UFUNCS.get(ufunc.__name__)
        if operation is None or method != "__call__" or kwargs:
            name = f"numpy.{ufunc.__name__}" + ("" if method == "__call__" else f".{method}")
            raise ConslawError(
                f"the potential calls {name}, which is not supported (not a polynomial operation). "
                f"Supported: {SUPPORTED}"
            )
        return operation(as_expression(inputs[0]), *inputs[1:])

    def __array_function__(
        self, function: Any, types: object, args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> Expression:
        name = function.__name__
        if name == "einsum" and set(kwargs) <= {"optimize"}:
            return einsum(*args)
        if name in ("concatenate", "stack") and set(kwargs) <= {"axis"}:
            return _joined(
                [as_expression(x) for x in args[0]],
                args[1] if len(args) > 1 else kwargs.get("axis", 0),
                name == "stack",
            )
        if name in ("sum", "transpose", "reshape"):
            method: Callable[..., Expression] = getattr(as_expression(args[0]), name)
            return method(*args[1:], **kwargs)
        if name == "dot" and not kwargs:
            return as_expression(args[0]) @ as_expression(args[1])
        raise ConslawError(
            f"the potential calls {function.__module__}.{name}, which is not supported. Supported: "
            f"{SUPPORTED}"
        )


_UFUNCS: dict[str, Callable[..., Expression]] = {
    "add": operator.add,
    "subtract": operator.sub,
    "multiply": operator.mul,
    "divide": operator.truediv,
    "reciprocal": lambda x: 1 / x,
    "negative": operator.neg,
    "positive": operator.pos,
    "matmul": operator.matmul,
    "power": operator.pow,
    "float_power": operator.pow,
    "square": lambda x: x * x,
}


# building expressions


def size(arrays: Mapping[str, Shape]) -> int:
    """The number of scalar coordinates of some arrays."""
    return sum(prod(shape) for shape in arrays.values())


def input_array(name: str, shape: Shape) -> Expression:
    """A free input array."""
    return Expression("input", (), name, shape)


def as_expression(value: object) -> Expression:
    """An expression, or the constant that a number or array of exact numbers stands for."""
    if isinstance(value, Expression):
        return value
    array = value if isinstance(value, np.ndarray) else np.asarray(value, dtype=object)
    if array.dtype.kind in "iu":
        return _constant(array.astype(object))
    if any(isinstance(v, Expression) for v in array.ravel().tolist()):
        return stacked([as_expression(v).reshape(1) for v in array.ravel().tolist()]).reshape(array.shape)
    flat = [exact_rational(v) for v in array.ravel().tolist()]
    exact = np.empty(array.shape, dtype=object)
    exact.reshape(-1)[:] = flat
    return _constant(exact)


def _constant(values: Constants) -> Expression:
    return Expression("constant", (), values, values.shape)


ONE = _constant(np.array(1, dtype=object))


def _ones(shape: Shape) -> Expression:
    return _constant(np.ones(shape, dtype=np.int64).astype(object))


def _numpy(call: Callable[[], npt.NDArray[np.intp]], what: str) -> npt.NDArray[np.intp]:
    """NumPy decides what an index or a shape means; its complaint is passed on with the user's words before
    it.
    """
    try:
        return call()
    except (IndexError, ValueError, TypeError) as error:
        raise ConslawError(f"{what}: {error}") from None


def _broadcast_shape(x: Shape, y: Shape, sign: str) -> Shape:
    try:
        return np.broadcast_shapes(x, y)
    except ValueError:
        raise ConslawError(f"shapes {x} and {y} do not match in {sign}") from None


def _broadcast(x: Expression, y: Expression, sign: str) -> tuple[Expression, Expression]:
    shape = _broadcast_shape(x.shape, y.shape, sign)
    ones = _ones(shape)
    return (x if x.shape == shape else ones * x), (y if y.shape == shape else ones * y)


def _reshape(x: Expression, shape: Shape) -> Expression:
    return x if shape == x.shape else Expression("reshape", (x,), None, shape)


def _take(x: Expression, indices: Indices) -> Expression:
    if indices.size == x.size and (indices.ravel() == np.arange(x.size)).all():
        return _reshape(x, indices.shape)
    return Expression("take", (x,), indices, indices.shape)


def _put(x: Expression, indices: Indices, shape: Shape) -> Expression:
    return Expression("put", (x,), indices, shape)


def _sum(x: Expression, axes: tuple[int, ...]) -> Expression:
    if not axes:
        return x
    return Expression("sum", (x,), axes, tuple(n for i, n in enumerate(x.shape) if i not in axes))


def stacked(parts: Sequence[Expression]) -> Expression:
    """The entries of several arrays, one after the other, in one vector."""
    total, start, pieces = sum(x.size for x in parts), 0, []
    for x in parts:
        pieces.append(_put(x.reshape(-1), np.arange(start, start + x.size), (total,)))
        start += x.size
    return reduce(operator.add, pieces)


def _joined(parts: Sequence[Expression], axis: int, new_axis: bool) -> Expression:
    """``numpy.concatenate``, or ``numpy.stack`` if each part gets an axis of its own."""
    starts = np.cumsum([0, *(x.size for x in parts)])
    positions = [np.arange(x.size).reshape(x.shape) + s for x, s in zip(parts, starts, strict=False)]
    join = np.stack if new_axis else np.concatenate
    return _take(
        stacked(parts),
        _numpy(lambda: join(positions, axis=axis), f"joining shapes {[x.shape for x in parts]}"),
    )


def scattered(x: Expression, positions: Indices, shape: Shape) -> Expression:
    """An array of zeros to which each entry of ``x`` is added at its flat position."""
    return _put(x, positions, shape)


def _contract(x: Expression, y: Expression, a: str, b: str, out: str) -> Expression:
    """``einsum(a, b -> out)`` for operands without repeated letters; sums over a letter of one operand alone
    are done first.
    """
    if x is ONE and b == out:  # where reverse mode starts
        return y
    x = _sum(x, tuple(i for i, letter in enumerate(a) if letter not in b + out))
    y = _sum(y, tuple(i for i, letter in enumerate(b) if letter not in a + out))
    a, b = ("".join(letter for letter in one if letter in other + out) for one, other in ((a, b), (b, a)))
    sizes = dict(zip(a + b, x.shape + y.shape, strict=True))
    return Expression("product", (x, y), (a, b, out), tuple(sizes[letter] for letter in out))


def _matmul(x: Expression, y: Expression) -> Expression:
    if not x.shape or not y.shape or x.shape[-1] != y.shape[max(y.ndim - 2, 0)]:
        raise ConslawError(f"shapes {x.shape} and {y.shape} do not match in @")
    batch = _broadcast_shape(x.shape[:-2], y.shape[:-2], "@")
    letters, i, j, k = LETTERS[: len(batch)], "W", "X", "Y"
    x, y = (_reshape_batch(z, batch) for z in (x, y))
    a = (letters + i if x.ndim > 1 else "") + k
    b = (letters if y.ndim > 1 else "") + k + (j if y.ndim > 1 else "")
    return _contract(x, y, a, b, "".join(c for c in letters + i + j if c in a or c in b))


def _reshape_batch(x: Expression, batch: Shape) -> Expression:
    return x if x.ndim < 2 or x.shape[:-2] == batch else x * _ones((*batch, 1, 1))


def einsum(subscripts: object, *operands: object) -> Expression:
    """``numpy.einsum`` with a subscript string (no ellipsis)."""
    arrays = [as_expression(x) for x in operands]
    if not isinstance(subscripts, str) or "." in subscripts:
        raise ConslawError(
            f"einsum({subscripts!r}, ...): give the subscripts as a string without an ellipsis, such as "
            f"'ij,jk->ik'"
        )
    left, arrow, out = subscripts.replace(" ", "").partition("->")
    names = left.split(",")
    sizes: dict[str, int] = {}
    fits = len(names) == len(arrays) and (left + "a").replace(",", "").isalpha()
    fits = fits and all(len(a) == x.ndim for a, x in zip(names, arrays, strict=True))
    if fits:
        pairs = [(c, n) for a, x in zip(names, arrays, strict=True) for c, n in zip(a, x.shape, strict=True)]
        sizes = dict(pairs)
        fits = all(sizes[c] == n for c, n in pairs) and set(out) <= set(sizes) and len(set(out)) == len(out)
    if not fits or set(sizes) - set(LETTERS):
        raise ConslawError(
            f"einsum({subscripts!r}): does not match operands of shapes {[x.shape for x in arrays]}"
        )
    if not arrow:
        out = "".join(sorted(c for c in sizes if left.count(c) == 1))
    terms = [_diagonal(x, a) for x, a in zip(arrays, names, strict=True)]
    x, a = terms[0]
    for number, (y, b) in enumerate(terms[1:], start=1):
        later = out + "".join(c for _, c in terms[number + 1 :])
        kept = "".join(c for c in dict.fromkeys(a + b) if c in later) if number + 1 < len(terms) else out
        x, a = _contract(x, y, a, b, kept), kept
    if len(terms) == 1:
        x = _sum(x, tuple(i for i, c in enumerate(a) if c not in out))
        a = "".join(c for c in a if c in out)
        x = x.transpose(*[a.index(c) for c in out]) if out else x
    return x


def _diagonal(x: Expression, letters: str) -> tuple[Expression, str]:
    """Replace repeated letters of an operand (``ii``) by the diagonal."""
    kept = "".join(dict.fromkeys(letters))
    if kept == letters:
        return x, letters
    sizes = [x.shape[letters.index(c)] for c in kept]
    grid = np.indices(sizes)
    position = np.ravel_multi_index([grid[kept.index(c)] for c in letters], x.shape)
    return _take(x, np.asarray(position)), kept


# walking the graph

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
from functools import partial, partialmethod, reduce
from math import prod
from numbers import Integral
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from conslaw.algebra.exact_numbers import READING, exact_rational, power
from conslaw.algebra.not_polynomial import SMOOTH, SUPPORTED, not_supported, way_round
from conslaw.errors import ConslawError, TooLargeError, UnsupportedError, check_memory

LARGEST = 4 * 10**7  # entries of an array that are numbered, or written out
MANY = 10**5  # ones

Shape = tuple[int, ...]
Sizes = Sequence[int | np.integer[Any]] | npt.NDArray[np.integer[Any]]  # as users give them
Indices = npt.NDArray[np.intp]
Constants = npt.NDArray[Any]
T = TypeVar("T")

LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXY"  # Z is kept for the batch axis of jets


class Expression:
    """An array-valued polynomial expression in named input arrays (a node of the graph; immutable).

    Operators ``+ - * / ** @ .T [...]``, and the methods and functions of NumPy that stand in the tables of
    :mod:`conslaw.algebra.numpy_functions`, with NumPy's meaning and broadcasting.
    """

    __slots__ = ("args", "attribute", "operation", "shape")
    reshape: Callable[..., Expression]
    transpose: Callable[..., Expression]
    sum: Callable[..., Expression]

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
            f"the value of {self!r} is not known: no comparison, abs, //, % is polynomial (for a ReLU, abs, "
            f"a maximum call conslaw.nn.relu, abs, max_pool; for a mask multiply by a gate, free data: "
            f"c.g * z). Supported: {SUPPORTED}"
        )

    def __float__(self) -> float:
        raise UnsupportedError(
            f"a float of {self!r}: its value is not known. To fill an array by index, make it with "
            f"np.zeros(shape, dtype=object), or use np.stack; for math.exp and the like {SMOOTH}"
        )

    def __setitem__(self, key: object, value: object) -> None:
        raise UnsupportedError(
            f"{self!r} cannot be changed in place: use np.where with a constant mask, or np.concatenate"
        )

    __int__ = __complex__ = __float__
    __abs__ = __mod__ = __rmod__ = __floordiv__ = __rfloordiv__ = __rpow__ = _unsupported
    __lt__ = __le__ = __gt__ = __ge__ = __eq__ = __ne__ = _unsupported
    __hash__ = object.__hash__

    def _sympy_(self) -> None:  # a SymPy number on the left then leaves the operation to the array
        from sympy import SympifyError

        raise SympifyError(self)

    def __getattr__(self, name: str) -> Any:
        if name in METHODS:
            return partial(_called, METHODS[name], f".{name}", self)
        if name.startswith("_"):
            raise AttributeError(name)
        raise UnsupportedError(
            f".{name} of {self!r} is not supported{way_round(name)}. Supported: {SUPPORTED}"
        )

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
        return contract(x, y, a, b, letters)

    __rmul__ = __mul__

    def __truediv__(self, other: object) -> Expression:
        y = as_expression(other)
        if y.operation != "constant":
            if READING.get() == "potential":
                raise ConslawError(
                    f"division by {y!r}: a potential is polynomial, it can be divided by numbers only; "
                    f"{SMOOTH}"
                )
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
        n = int(exponent)
        if n < 0:
            return 1 / self**-n
        return power(operator.mul, self, n) if n else _ones(self.shape)

    def __matmul__(self, other: object) -> Expression:
        return matmul(self, other)

    def __rmatmul__(self, other: object) -> Expression:
        return matmul(other, self)

    __iadd__, __isub__, __imul__, __itruediv__, __ipow__, __imatmul__ = (
        partialmethod(lambda self, operation, other: _in_place(self, operation(self, other)), change)
        for change in (
            operator.add,
            operator.sub,
            operator.mul,
            operator.truediv,
            operator.pow,
            operator.matmul,
        )
    )

    # rearrangement

    @property
    def T(self) -> Expression:  # noqa: N802
        """The transpose (axes reversed)."""
        return self.transpose()

    def __getitem__(self, key: Any) -> Expression:
        positions = numbers(self.shape, 1)
        found: Expression = _called(lambda: moved(self, np.asarray(positions[key])), f"[{key}] of {self!r}")
        return found

    def __iter__(self) -> Iterator[Expression]:
        return (self[i] for i in range(len(self)))

    # NumPy functions called on an expression

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: object, **options: object) -> Any:
        name = f"numpy.{ufunc.__name__}" + ("" if method == "__call__" else f".{method}")
        if options.get("out") is not None:
            raise ConslawError(
                f"{name} into an array of NumPy: write a = a + b, not a += b (a[i] = a[i] + b)"
            )
        if (ufunc, method) not in UFUNCS:
            raise not_supported(name)
        return _called(UFUNCS[ufunc, method], name, as_expression(inputs[0]), *inputs[1:], **options)

    def __array_function__(
        self, function: Any, types: object, args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> Any:
        name = f"{function.__module__}.{function.__name__}"
        if function not in FUNCTIONS:
            raise not_supported(name)
        return _called(FUNCTIONS[function], name, *args, **kwargs)


def _in_place(before: Expression, after: Expression) -> Expression:
    """What ``h += b`` gives, where it means the same as ``h = h + b``."""
    if after.shape != before.shape or before.operation in ("input", "take", "reshape"):
        raise ConslawError(
            f"an operation such as += on {before!r} would change other arrays, or its shape, in NumPy: write "
            f"h = h + b, not h += b"
        )
    return after


# what NumPy's functions and methods are here; :mod:`conslaw.algebra.numpy_functions` fills these in
FUNCTIONS: dict[Any, Callable[..., Any]] = {}
METHODS: dict[str, Callable[..., Any]] = {}
UFUNCS: dict[tuple[Any, str], Callable[..., Any]] = {}


def _called(function: Callable[..., Any], what: str, *arguments: Any, **options: Any) -> Any:
    """NumPy decides what indices, shapes and axes mean; its complaint is passed on with the user's words
    before it.
    """
    try:
        return function(*arguments, **options)
    except ConslawError as error:
        raise ConslawError(f"{what}: {error}") from None
    except (IndexError, ValueError, TypeError, AttributeError, DeprecationWarning) as error:
        given = ", ".join([*map(str, arguments[1:]), *(f"{k}={v}" for k, v in options.items())])[:100]
        raise ConslawError(f"{what}{f'({given})' if given else ''}: {error}") from None


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
    if isinstance(value, str):
        raise ConslawError(f"{value[:60]!r} stands where a number must stand: use fractions.Fraction")
    if isinstance(value, np.ndarray) and type(value) is not np.ndarray:
        raise ConslawError(f"{type(value).__name__} has a meaning of its own: use numpy.asarray")
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


def numbers(shape: Shape, start: int) -> Indices:
    """The entries of an array of this shape, numbered."""
    _check_entries(shape)
    return np.arange(start, start + prod(shape)).reshape(shape)


def _check_entries(shape: Shape) -> None:
    check_memory(16.0 * prod(shape), f"an array of shape {shape}")
    if prod(shape) > LARGEST:
        raise TooLargeError(f"an array of shape {shape} has more than {LARGEST:,} entries")


def _ones(shape: Shape) -> Expression:
    if len(shape) > 1 and prod(shape) > MANY:  # not written out: one axis after the other
        before, letters = _ones(shape[:-1]), LETTERS[: len(shape)]
        return contract(before, _ones(shape[-1:]), letters[:-1], letters[-1], letters)
    _check_entries(shape)
    return _constant(np.ones(shape, dtype=np.int64).astype(object))


def _broadcast_shape(x: Shape, y: Shape, sign: str) -> Shape:
    try:
        return np.broadcast_shapes(x, y)
    except ValueError:
        raise ConslawError(f"shapes {x} and {y} do not match in {sign}") from None


def broadcast_to(x: object, shape: Any) -> Expression:
    """``numpy.broadcast_to``."""
    x, shape = as_expression(x), np.empty(shape, dtype=[]).shape
    if _broadcast_shape(x.shape, shape, "broadcast_to") != shape:
        raise ConslawError(f"broadcast_to: {x!r} does not become {shape}")
    return x if x.shape == shape else _ones(shape) * x


def _broadcast(x: Expression, y: Expression, sign: str) -> tuple[Expression, Expression]:
    shape = _broadcast_shape(x.shape, y.shape, sign)
    if x.shape == shape == y.shape:
        return x, y
    ones = _ones(shape)
    return (x if x.shape == shape else ones * x), (y if y.shape == shape else ones * y)


def _reshape(x: Expression, shape: Shape) -> Expression:
    if shape == x.shape:
        return x
    if _is_permuted(x):  # a view of a view
        x = _of_base(x, np.arange(x.size).reshape(x.shape))
    return Expression("reshape", (x,), None, shape)


def permuted(x: Expression, axes: Sequence[int]) -> Expression:
    """The axes in another order: a product with one, which no index array has to say."""
    if list(axes) == list(range(x.ndim)):
        return x
    letters = LETTERS[: x.ndim]
    out = "".join(letters[i] for i in axes)
    return Expression("product", (x, ONE), (letters, "", out), tuple(x.shape[i] for i in axes))


def _of_base(x: Expression, indices: Indices) -> Expression:
    """The entries of permuted axes, as a view of the array itself."""
    (a, _, out), base = x.attribute, x.args[0]
    places = dict(zip(out, np.unravel_index(indices, x.shape), strict=True))
    return taken(base, np.asarray(np.ravel_multi_index([places[c] for c in a], base.shape)))


def _is_permuted(x: Expression) -> bool:
    return x.operation == "product" and x.args[1] is ONE and x.attribute[1] == ""


def stopped(x: Expression) -> Expression:
    """The same array, through which no gradient passes: what it makes is no potential."""
    return Expression("stop", (x,), None, x.shape)


def taken(x: Expression, indices: Indices) -> Expression:
    """The entries of ``x`` at these flat positions."""
    if indices.size == x.size and (indices.ravel() == np.arange(x.size)).all():
        return _reshape(x, indices.shape)
    if _is_permuted(x):
        return _of_base(x, indices)
    return Expression("take", (x,), indices, indices.shape)


def _put(x: Expression, indices: Indices, shape: Shape) -> Expression:
    return Expression("put", (x,), indices, shape)


def summed(x: Expression, axes: tuple[int, ...]) -> Expression:
    """The sum over some axes."""
    if not axes:
        return x
    return Expression("sum", (x,), axes, tuple(n for i, n in enumerate(x.shape) if i not in axes))


def stacked(parts: Sequence[Expression]) -> Expression:
    """The entries of several arrays, one after the other, in one vector."""
    total, start, pieces = sum(x.size for x in parts), 0, list[Expression]()
    for x in (x for x in parts if x.size):
        pieces.append(_put(x.reshape(-1), np.arange(start, start + x.size), (total,)))
        start += x.size
    return reduce(operator.add, pieces or [_ones((0,))])


def moved(x: Expression, positions: Indices) -> Expression:
    """The entries of ``x`` at these positions, which count from 1; 0 stands for zero."""
    if positions.all():
        return taken(x, positions - 1)
    filled = np.flatnonzero(positions)
    if not filled.size:
        return _ones(positions.shape) * 0
    return _put(taken(x, positions.reshape(-1)[filled] - 1), filled, positions.shape)


def contract(x: Expression, y: Expression, a: str, b: str, out: str) -> Expression:
    """``einsum(a, b -> out)`` for operands without repeated letters; sums over a letter of one operand alone
    are done first.
    """
    if x is ONE and b == out:  # where reverse mode starts
        return y
    x = summed(x, tuple(i for i, letter in enumerate(a) if letter not in b + out))
    y = summed(y, tuple(i for i, letter in enumerate(b) if letter not in a + out))
    a, b = ("".join(letter for letter in one if letter in other + out) for one, other in ((a, b), (b, a)))
    sizes = dict(zip(a + b, x.shape + y.shape, strict=True))
    return Expression("product", (x, y), (a, b, out), tuple(sizes[letter] for letter in out))


def matmul(x: Any, y: Any) -> Expression:
    """``numpy.matmul``."""
    x, y = as_expression(x), as_expression(y)
    if not x.shape or not y.shape or x.shape[-1] != y.shape[max(y.ndim - 2, 0)]:
        raise ConslawError(f"shapes {x.shape} and {y.shape} do not match in @")
    batch = _broadcast_shape(x.shape[:-2], y.shape[:-2], "@")
    letters, i, j, k = LETTERS[: len(batch)], "W", "X", "Y"
    x, y = (z if z.ndim < 2 or z.shape[:-2] == batch else z * _ones((*batch, 1, 1)) for z in (x, y))
    a = (letters + i if x.ndim > 1 else "") + k
    b = (letters if y.ndim > 1 else "") + k + (j if y.ndim > 1 else "")
    return contract(x, y, a, b, "".join(c for c in letters + i + j if c in a or c in b))

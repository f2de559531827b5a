"""Every function and method of NumPy that array code may call means what it means in NumPy, or is refused."""

import operator
import os

import numpy as np
import pytest

import conslaw
from conslaw.algebra.evaluation import NumPyNumbers, evaluate
from conslaw.algebra.expressions import FUNCTIONS, METHODS, UFUNCS, as_expression, input_array
from conslaw.algebra.not_polynomial import WAYS_ROUND

RUNS = 400 if os.environ.get("CI") else 40


def shape(rng, low=0, high=4):
    """A random shape; widths are small, so that axes often fit."""
    return tuple(int(n) for n in rng.choice([1, 2, 2, 3], size=rng.integers(low, high + 1)))


def one(rng):
    return [shape(rng)]


def two(rng):
    """Two shapes that may or may not fit: equal, cut, broadcast, or of their own."""
    first = shape(rng)
    cut = first[int(rng.integers(0, len(first) + 1)) :]
    return [
        [first, first],
        [first, cut],
        [cut, first],
        [first, tuple(1 if rng.random() < 0.5 else n for n in first)],
        [first, first[::-1]],
        [first, shape(rng)],
        [(2, 3, 2, 3)[: rng.integers(0, 5)], (2, 3, 2, 3)[: rng.integers(0, 5)]],
    ][rng.integers(0, 7)]


def axis(rng, none=True):
    return None if none and rng.random() < 0.2 else int(rng.integers(-4, 4))


def axes(rng):
    return tuple(int(i) for i in rng.integers(-4, 4, size=rng.integers(0, 4)))


def some_axes(rng):
    return axes(rng) if rng.random() < 0.5 else axis(rng)


def order(rng, n):
    return [int(i) - n * int(rng.random() < 0.5) for i in rng.permutation(n)]


def integer(rng, low=-2, high=3):
    return int(rng.integers(low, high))


def letter(rng):
    return "CF"[rng.integers(0, 2)]


def flag(rng):
    return bool(rng.random() < 0.5)


def factored(rng, x):
    """A shape of as many entries as x has, mostly, with or without -1."""
    sizes = [int(n) for n in rng.permutation(x)] if flag(rng) else [int(np.prod(x, dtype=int))]
    if sizes and flag(rng):
        sizes[rng.integers(0, len(sizes))] = -1
    return tuple(sizes)


def simple(shapes, *arguments, **options):
    """A case: of which shapes, and the further arguments, each drawn."""

    def draw(rng, function):
        given = [a(rng) for a in arguments]
        named = {name: value(rng) for name, value in options.items()}
        return shapes(rng), lambda *x: function(*x, *given, **named)

    return draw


def listed(*options):
    """The same with two arrays in a list."""
    return lambda rng, function: simple(two, **dict(options))(rng, lambda *x, **k: function(list(x), **k))


def reshaped(rng, function):
    x = shape(rng)
    wanted, how = factored(rng, x), letter(rng)
    return [x], lambda a: function(a, wanted, order=how)


def transposed(rng, function):
    x = shape(rng)
    wanted = order(rng, len(x)) if flag(rng) else None
    return [x], lambda a: function(a, wanted)


def blocked(rng, function):
    a, b = shape(rng, 0, 2), shape(rng, 0, 2)
    nested = flag(rng)
    return [a, b], lambda x, y: function([[x, y], [x, y]] if nested else [x, y])


def chosen(rng, function):
    [x, y] = two(rng)
    mask = rng.random(shape(rng) if flag(rng) else x) < 0.5
    return [x, y], lambda a, b: function(mask, a, b)


def sliced(rng, function):
    [x, picked] = shape(rng), rng.integers(-3, 3, size=shape(rng, 0, 2))
    along = axis(rng)
    return [x], lambda a: function(a, picked, axis=along)


def broadcasted(rng, function):
    [x, y] = two(rng)
    return [x], lambda a: function(a, y)


def contracted(rng, function):
    [x, y] = two(rng)
    n = integer(rng, 0, 3)
    over = [n, (order(rng, 4)[:n], order(rng, 4)[:n]), (axis(rng, False), axis(rng, False))]
    over = over[rng.integers(0, 3)]
    return [x, y], lambda a, b: function(a, b, over)


def summed(rng, function):
    [x, y] = two(rng)
    letters = [
        "".join("abc"[rng.integers(0, 3)] for _ in (z if rng.random() < 0.95 else (*z, 1))) for z in (x, y)
    ]
    every = sorted(set("".join(letters)))
    out = "".join(str(c) for c in rng.permutation(every)[: rng.integers(0, len(every) + 1)])
    subscripts = ",".join(letters) + f"->{out}" * flag(rng)
    return [x, y], lambda a, b: function(subscripts, a, b)


def powered(rng, function):
    n = integer(rng, 0, 4)
    x = shape(rng, 2, 3) if flag(rng) else (2, 2)
    return [x], lambda a: function(a, n)


def matrices(rng, function):
    a, b, c = (int(n) for n in rng.integers(1, 4, size=3))
    return [(a, b), (b, c), (c, a)], lambda *x: function(list(x))


def padded(rng, function):
    width = [integer(rng, 0, 3), (1, 2), ((0, 1), (2, 0))][rng.integers(0, 3)]
    mode = ["constant", "edge", "wrap"][rng.integers(0, 3)]
    return [shape(rng, 1, 3)], lambda a: function(a, width, mode)


def moved(rng, function):
    x = shape(rng)
    n = int(rng.integers(0, len(x) + 1))
    before, after = order(rng, len(x))[:n], order(rng, len(x))[:n]
    return [x], lambda a: function(a, before, after)


def inserted(rng, function):
    where, along, n = integer(rng), axis(rng), shape(rng, 0, 1)
    return [shape(rng), n], lambda a, b: function(a, where, b, along)


SUM = simple(one, some_axes, keepdims=flag)
MOVES = {
    **dict.fromkeys(("concatenate", "stack"), listed(("axis", axis))),
    **dict.fromkeys(("vstack", "hstack", "dstack", "column_stack"), listed()),
    "block": blocked,
    **dict.fromkeys(("transpose", "permute_dims"), transposed),
    **dict.fromkeys(("matrix_transpose", "fliplr", "flipud", "atleast_1d", "atleast_2d"), simple(one)),
    **dict.fromkeys(("atleast_3d", "copy", "diagflat"), simple(one)),
    "swapaxes": simple(one, lambda r: axis(r, False), lambda r: axis(r, False)),
    "moveaxis": moved,
    "rollaxis": simple(one, lambda r: axis(r, False), integer),
    "roll": simple(one, integer, axis),
    "flip": simple(one, some_axes),
    "rot90": simple(one, integer),
    "reshape": reshaped,
    "ravel": simple(one, letter),
    "squeeze": simple(one, some_axes),
    "expand_dims": simple(one, some_axes),
    "unstack": simple(one, axis=lambda r: axis(r, False)),
    "repeat": simple(one, lambda r: integer(r, 1), axis),
    "tile": simple(one, lambda r: tuple(r.integers(1, 3, size=r.integers(1, 4)).tolist())),
    "take": sliced,
    "delete": simple(one, integer, axis),
    **dict.fromkeys(
        ("split", "array_split"), simple(one, lambda r: integer(r, 1, 4), lambda r: axis(r, False))
    ),
    **dict.fromkeys(("hsplit", "vsplit"), simple(one, lambda r: integer(r, 1, 4))),
    **dict.fromkeys(("diag", "tril", "triu"), simple(one, integer)),
    "diagonal": simple(one, integer, lambda r: axis(r, False), lambda r: axis(r, False)),
    "append": simple(two, axis),
    "insert": inserted,
    "where": chosen,
}
CASES = {
    **MOVES,
    "pad": padded,
    "broadcast_to": broadcasted,
    "einsum": summed,
    **dict.fromkeys(("sum", "mean", "prod"), SUM),
    "var": simple(one, some_axes, ddof=lambda r: integer(r, -1, 1), keepdims=flag),
    "trace": simple(one, integer, lambda r: axis(r, False), lambda r: axis(r, False)),
    "cumsum": simple(one, axis),
    "diff": simple(one, lambda r: integer(r, 1, 3), lambda r: axis(r, False)),
    **dict.fromkeys(("dot", "inner", "vdot", "outer", "kron"), simple(two)),
    "tensordot": contracted,
    "matrix_power": powered,
    "multi_dot": matrices,
    "flatten": simple(one, letter),
    **dict.fromkeys(("shape", "ndim", "size", "zeros_like", "ones_like"), simple(one)),
    "full_like": simple(one, integer),
    "__copy__": simple(one),
}
UFUNC_CASES = {
    "__call__": {1: simple(one), 2: simple(two)},
    "outer": {2: simple(two)},
    "reduce": {2: simple(one, some_axes, keepdims=flag)},
    "accumulate": {2: simple(one, lambda r: axis(r, False))},
}
# NumPy stretches axes of width 1 in einsum; makes an array of no entries; multiplies no matrix at all
REFUSED = {"einsum", "matrix_power", "power", "float_power"}
OF_SCALARS = {"sum", "mean", "prod", "cumsum", "diff", "reduce"}  # NumPy lets a scalar have an axis in these
EVERY = {
    **{("numpy", f.__name__): (f, CASES[f.__name__]) for f in FUNCTIONS},
    **{("method", name): (getattr(np.ndarray, name), CASES[name]) for name in METHODS},
    **{
        (u.__name__, how): (u if how == "__call__" else getattr(u, how), UFUNC_CASES[how][u.nin])
        for u, how in UFUNCS
        if u not in (np.power, np.float_power)
    },
    ("numpy", "power"): (lambda x, n: np.power(x, n), powered),
    ("numpy", "float_power"): (lambda x, n: np.float_power(x, n), powered),
}


@pytest.mark.parametrize("case", EVERY, ids=".".join)
def test_it_means_what_numpy_means(case):
    function, draw = EVERY[case]
    agreed = 0
    for seed in range(RUNS):
        rng = np.random.default_rng([seed, *map(ord, "".join(case))])

        def applied(x, *arguments, **options):
            if case[0] == "method" and not isinstance(x, np.ndarray):
                return getattr(x, case[1])(*arguments, **options)
            return function(x, *arguments, **options)

        shapes, call = draw(rng, applied)
        arrays = [rng.integers(-5, 6, size=x).astype(float) for x in shapes]
        if "divide" in case or "reciprocal" in case:
            arrays = [np.where(x == 0, 1, x) for x in arrays]
        inputs = [input_array(f"x{i}", x) for i, x in enumerate(shapes)]
        try:
            expected = call(*arrays)
        except Exception:
            with pytest.raises(conslaw.ConslawError):
                call(*inputs)
            continue
        several = isinstance(expected, list | tuple)
        expected = [np.asarray(x) for x in (expected if several else [expected])]
        try:
            found = call(*inputs)
        except conslaw.ConslawError:
            fits = case[1] not in REFUSED and not (case[1] in OF_SCALARS and () in shapes)
            assert not fits or any(not x.size for x in expected), (seed, shapes)
            continue
        found = [as_expression(x) for x in (found if several else [found])]
        assert [x.shape for x in found] == [x.shape for x in expected], (seed, shapes)
        values = evaluate(found, {f"x{i}": x for i, x in enumerate(arrays)}, NumPyNumbers())
        for x, y in zip(values, expected, strict=True):
            assert np.allclose(x, y), (seed, shapes)
        agreed += 1
    assert agreed > RUNS // 20


@pytest.mark.parametrize("name", sorted(WAYS_ROUND.keys() - {"astype"}))
def test_what_is_not_polynomial_names_the_way_round_and_the_line(name):
    function = getattr(np, name, None) or getattr(np.linalg, name, None)
    if function is None:  # a method, or a function of another library
        function = lambda x: getattr(x, name)()  # noqa: E731
    more = {"where": (1, 0), "select": ([1], 0), "solve": (1,), "clip": (0, 1)}.get(name, ())
    more = (0,) if isinstance(function, np.ufunc) and function.nin == 2 else more

    def potential(p, c):
        z = p.W @ c.x
        return c.v @ function(z, *more)  # here

    with pytest.raises(conslaw.ConslawError) as error:
        conslaw.model(potential, parameters={"W": (2, 3)}, data={"x": (3,), "v": (2,)})
    assert "conslaw.nn" in str(error.value)
    assert "test_numpy_functions.py" in str(error.value)
    assert "# here" in str(error.value) or "lambda x" in str(error.value)
    assert "\n" not in str(error.value)


def filled(p, dtype):
    z = np.zeros((2, 3), dtype=dtype)
    z[0, 1] = p.a[0]
    z[1] = p.a
    return (z * p.U).sum()


def doubled(p, dtype):
    h = p.U * 1
    h += p.U
    return (h @ p.a).sum()


def joined(p, dtype):
    return (np.array([p.a, p.U[0] * 2], dtype=dtype) * p.U).sum()


@pytest.mark.parametrize("code", [filled, doubled, joined])
def test_arrays_of_objects_and_sums_in_place(code):
    from types import SimpleNamespace

    arrays = {"U": np.arange(6.0).reshape(2, 3), "a": np.array([7.0, -1, 2])}
    inputs = {name: input_array(name, x.shape) for name, x in arrays.items()}
    found = as_expression(code(SimpleNamespace(**inputs), object))
    [value] = evaluate([found], arrays, NumPyNumbers())
    assert value == code(SimpleNamespace(**arrays), float)


REFUSALS = {
    "np.zeros(shape, dtype=object)": lambda p: filled(p, float),
    "write a = a + b": lambda p: np.add(np.zeros(3), p.a, out=np.zeros(3)).sum(),
    "write h = h + b": lambda p: operator.iadd(p.a, 1).sum(),
    "or its shape": lambda p: operator.imul(p.a * 1, p.U).sum(),
    "cannot be changed in place": lambda p: operator.setitem(p.a * 1, 0, 0),
    "makes an array of shape (0, 3)": lambda p: p.U[:0].sum() + p.a.sum(),
    "numpy.asarray": lambda p: (np.matrix([[1, 2, 3]]) * p.U.T).sum(),
    "more than 40,000,000": lambda p: np.repeat(p.a, 10**12).sum(),
    "stands where a constant must": lambda p: np.concatenate([p.a], [p.a]).sum(),
    "numpy.linalg.trace": lambda p: np.linalg.trace(p.U),
    "depends on how arrays lie in memory": lambda p: p.U.T.ravel("K").sum(),
    "stands where a number must stand": lambda p: p.a.sum() * "1/2",
}


@pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")  # of NumPy, for matrices
@pytest.mark.parametrize("message", REFUSALS)
def test_what_does_not_mean_the_same_is_refused_with_the_fix(message):
    with pytest.raises(conslaw.ConslawError) as error:
        conslaw.model(lambda p, c: REFUSALS[message](p), parameters={"U": (2, 3), "a": (3,)})
    assert message in str(error.value)
    assert ".py" in str(error.value)


MIXED = {  # arrays given by name, numbers beside arrays, no entries
    "append, values=": lambda x: np.append(x, values=(2,)),
    "append of a row": lambda x: np.append(x, values=[[7, 8, 9]], axis=0),
    "insert, values=": lambda x: np.insert(x, 1, values=5, axis=1),
    "insert, values= an array": lambda x: np.insert(x, 0, values=x[0], axis=0),
    "roll, a=": lambda x: np.roll(a=x, shift=2),
    "concatenate with numbers": lambda x: np.concatenate([x, [[1, 0, 2]]]),
    "stack with numbers": lambda x: np.vstack([x, np.arange(3)]),
    "atleast_1d of several": lambda x: np.atleast_1d(x, 1)[1],
    "atleast_2d of several": lambda x: np.atleast_2d(x[0], [1, 0, 5])[1],
    "atleast_3d of several": lambda x: np.atleast_3d(3, x)[1],
    "where with numbers": lambda x: np.where(np.eye(2, 3) > 0, x, 7),
    "einsum with the letter of batches": lambda x: np.einsum("Zi,jZ", x, x.T),
    "prod of no entries": lambda x: np.prod(x[:, :0], axis=1),
    "prod of no entries at all": lambda x: np.prod(x[:0], axis=None),
    "sum of no entries": lambda x: x[:0].sum(axis=0),
}


@pytest.mark.parametrize("name", MIXED)
def test_numbers_beside_arrays_stay_numbers(name):
    value = np.arange(6.0).reshape(2, 3) - 2
    expected, found = MIXED[name](value), as_expression(MIXED[name](input_array("x", (2, 3))))
    assert found.shape == np.shape(expected)
    assert np.array_equal(evaluate([found], {"x": value}, NumPyNumbers())[0], expected)


WITH_ANOTHER_MEANING = {
    "a list for an axis": lambda x: x.sum([0, 1]),
    "a truth value for an axis": lambda x: np.cumsum(x, True),
    "keepdims": lambda x: x.prod(keepdims="x"),
    "the axes of an ellipsis left out": lambda x: np.einsum("...i->i", x),
    "a negative order": lambda x: np.diff(x, -1),
    "no offset": lambda x: np.trace(x, None),
    "one matrix": lambda x: np.linalg.multi_dot([x]),
    "the mean of nothing": lambda x: x[:0].mean(),
    "the variance of nothing": lambda x: np.var(x[:0]),
    "order of the memory": lambda x: x.ravel(order="K"),
    "out": lambda x: np.sum(x, out=np.zeros(())),
    "dtype": lambda x: np.sum(x, dtype=np.float32),
    "where": lambda x: np.sum(x, where=[[True, False, True]] * 2),
}


@pytest.mark.parametrize("name", WITH_ANOTHER_MEANING)
def test_arguments_that_would_mean_something_else_are_refused(name):
    with pytest.raises((conslaw.ConslawError, TypeError)):
        WITH_ANOTHER_MEANING[name](input_array("x", (2, 3)))


def test_differences_of_more_orders_than_entries_end_at_once():
    assert np.diff(input_array("x", (2, 3)), 10**15).shape == np.diff(np.zeros((2, 3)), 3).shape

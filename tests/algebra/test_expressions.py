"""Array code on expressions means what it means in NumPy, over every number system; gradients agree with
SymPy's.
"""

from fractions import Fraction

import numpy as np
import pytest
import sympy

import conslaw
from conslaw.algebra.evaluation import NumPyNumbers, evaluate, gradient
from conslaw.algebra.expressions import as_expression, input_array
from conslaw.algebra.finite_field import from_integers
from conslaw.algebra.jets import Jets
from conslaw.algebra.polynomials import Polynomials, evaluate_mod, number

PRIME = 2**31 - 1
SHAPES = {"A": (3, 4), "B": (4, 2), "C": (3, 4), "x": (4,), "y": (3,), "s": (), "T": (2, 3, 4), "one": (3, 1)}

# array code, each with NumPy's meaning
CASES = {
    "matmul": lambda a: a["A"] @ a["B"],
    "matmul vector": lambda a: a["A"] @ a["x"],
    "vector matmul": lambda a: a["y"] @ a["A"],
    "vector vector": lambda a: a["x"] @ a["x"],
    "matmul stack": lambda a: a["T"] @ a["B"],
    "stack matmul stack": lambda a: a["T"] @ a["T"].transpose(0, 2, 1),
    "vector stack": lambda a: a["y"] @ a["T"],
    "sum and difference": lambda a: a["A"] + a["C"] - 2 * a["A"] - a["x"] + 3,
    "broadcast": lambda a: a["x"] * a["A"] + a["one"] * a["x"],
    "broadcast add": lambda a: a["one"] + a["x"],
    "scalar": lambda a: a["s"] * a["A"] * a["s"],
    "power": lambda a: a["A"] ** 3 + a["x"] ** 2 + a["y"][:, None] ** 0 + a["s"] ** 5,
    "transpose": lambda a: a["A"].T @ a["C"],
    "tensor transpose": lambda a: a["T"].transpose(1, 2, 0),
    "slices": lambda a: a["A"][1:, ::2] * a["C"][:2, 1::2],
    "index": lambda a: a["A"][1, 2] * a["x"][-1],
    "fancy": lambda a: a["A"][[0, 0, 2], [1, 1, 3]] + a["y"],
    "newaxis": lambda a: a["x"][None, :] * a["y"][:, None],
    "reshape": lambda a: a["A"].reshape(2, 6) @ a["T"].reshape((6, -1)),
    "sum": lambda a: a["A"].sum() + a["T"].sum(axis=1) + a["T"].sum(axis=(0, 2)).sum(axis=-1),
    "iterate": lambda a: sum(row @ a["x"] for row in a["A"]),
    "constants": lambda a: np.arange(12).reshape(3, 4) * a["A"] + a["A"] * np.ones((3, 4), dtype=int) - 5,
    "constant matmul": lambda a: np.arange(6).reshape(2, 3) @ a["A"],
    "division": lambda a: 12 * (a["A"] / 4 + a["C"] / 3),
    "half": lambda a: 4 * (0.5 * a["A"] - 0.25),
    "einsum": lambda a: np.einsum("ij,jk,i->k", a["A"], a["B"], a["y"]),
    "einsum implicit": lambda a: np.einsum("ij,kj", a["A"], a["C"]),
    "einsum trace": lambda a: np.einsum("ii->", a["A"] @ a["C"].T),
    "einsum diagonal": lambda a: np.einsum("ii->i", a["A"] @ a["C"].T),
    "einsum permuted": lambda a: np.einsum("abc->cab", a["T"]),
    "einsum sums alone": lambda a: np.einsum("abc,d->ad", a["T"], a["x"]),
    "numpy functions": lambda a: (
        np.sum(np.transpose(a["A"]), axis=0)
        + np.square(a["y"])
        + np.reshape(a["one"], (3,))
        + np.dot(a["A"], a["x"])
    ),
    "concatenate": lambda a: (
        np.concatenate([a["A"], a["C"], a["x"][None, :]], axis=0) @ np.stack([a["x"], a["x"] ** 2], axis=1)
    ),
    "numpy axis": lambda a: a["A"].sum(axis=np.int64(1)),
    "ufuncs": lambda a: np.add(a["A"], 1) * np.negative(a["C"]) - np.power(a["A"], 2),
}


@pytest.fixture(scope="module")
def integers():
    rng = np.random.default_rng(7)
    return {name: np.array(rng.integers(-9, 10, shape)) for name, shape in SHAPES.items()}


@pytest.mark.parametrize("case", CASES)
def test_every_number_system_agrees_with_numpy(case, integers):
    inputs = {name: input_array(name, shape) for name, shape in SHAPES.items()}
    expected = np.vectorize(round, otypes=[int])(CASES[case](integers))
    expression = as_expression(CASES[case](inputs))
    assert expression.shape == expected.shape

    [floats] = evaluate([expression], {n: v.astype(float) for n, v in integers.items()}, NumPyNumbers())
    assert np.allclose(floats, expected)
    exact = {n: np.vectorize(Fraction, otypes=[object])(v) for n, v in integers.items()}
    [fractions] = evaluate([expression], exact, NumPyNumbers(Fraction))
    assert (fractions == expected).all()
    [jet] = evaluate(
        [expression], {n: {0: from_integers(v, PRIME)[None]} for n, v in integers.items()}, Jets(PRIME)
    )
    residues = expected % PRIME
    assert (jet[0][0] == residues).all()
    [polynomials] = evaluate([expression], number(SHAPES), Polynomials())
    point = np.concatenate([from_integers(v, PRIME).ravel() for v in integers.values()])
    assert (evaluate_mod(polynomials, point, PRIME) == residues).all()


@pytest.mark.parametrize("case", CASES)
def test_reverse_mode_agrees_with_sympy(case, integers):
    inputs = {name: input_array(name, shape) for name, shape in SHAPES.items()}
    value = as_expression(CASES[case](inputs))
    weights = np.arange(2, 2 + value.size).reshape(value.shape)
    gradients = gradient((value * weights).sum(), list(inputs.values()))

    symbols = {
        n: np.array(sympy.symbols(f"{n}_:{max(v.size, 1)}"), dtype=object).reshape(v.shape)
        for n, v in integers.items()
    }
    exact = {
        n: v.astype(object) if v.shape else np.array(sympy.Integer(int(v)), dtype=object)
        for n, v in integers.items()
    }
    symbolic = sympy.expand(np.sum(evaluate([value], symbols, NumPyNumbers(sympy.Rational))[0] * weights))
    values = {s: int(v) for n in SHAPES for s, v in zip(symbols[n].ravel(), integers[n].ravel(), strict=True)}
    computed = evaluate(gradients, exact, NumPyNumbers(Fraction))
    for name, ours in zip(SHAPES, computed, strict=True):
        expected = [sympy.diff(symbolic, s).subs(values) for s in symbols[name].ravel()]
        assert [sympy.Rational(str(v)) for v in np.ravel(ours)] == expected


BAD = {
    "not scalar": (lambda p, c: p.U @ c.x, "shape (3,); it must be a scalar"),
    "not polynomial": (lambda p, c: np.exp(p.U).sum(), "numpy.exp"),
    "other function": (lambda p, c: np.linalg.det(p.U), "numpy.linalg.det"),
    "reduction": (
        lambda p, c: np.maximum.reduce(p.U).sum(),
        "numpy.maximum.reduce, which is not supported: ",
    ),
    "division": (lambda p, c: (c.x / (p.U @ c.x).sum()).sum(), "division by"),
    "reciprocal": (lambda p, c: 1 / p.s, "division by"),
    "by zero": (lambda p, c: p.s / 0, "division by zero"),
    "unknown parameter": (
        lambda p, c: p.W.sum(),
        "asks for parameter 'W', which is not declared; declared: U, s",
    ),
    "unknown data": (lambda p, c: p.s * c.z, "asks for data 'z'"),
    "shapes": (lambda p, c: p.U @ p.U, "shapes (3, 2) and (3, 2) do not match in @"),
    "broadcast": (lambda p, c: (p.U + p.U.T).sum(), "shapes (3, 2) and (2, 3) do not match in +"),
    "negative power": (lambda p, c: p.s**-1, "division by"),
    "fractional power": (lambda p, c: p.s**0.5, "exponent 0.5"),
    "inexact constant": (lambda p, c: 0.1 * p.s, "Fraction(1, 10)"),
    "complex constant": (lambda p, c: 1j * p.s, "1j"),
    "branch": (lambda p, c: p.s if p.s else p.s * 2, "branches"),
    "float": (lambda p, c: float(p.s), "float"),
    "index": (lambda p, c: p.U[5, 0], "out of bounds"),
    "reshape": (lambda p, c: p.U.reshape(4, 4).sum(), "reshape"),
    "axis": (lambda p, c: p.U.sum(axis=2), "axis 2"),
    "einsum": (lambda p, c: np.einsum("ij,jk->", p.U, p.U), "einsum"),
    "no parameter": (lambda p, c: c.x.sum(), "uses none of the parameters"),
    "deviation": (lambda p, c: p.U.std(), ".std of"),
    "abs": (lambda p, c: abs(p.s), "abs"),
    "comparison": (lambda p, c: p.s * (p.s == 1), "comparison"),
    "maximum": (lambda p, c: max(p.s, 0), "comparison"),
    "exponential": (lambda p, c: 2**p.s, "not polynomial"),
    "keyword": (lambda p, c: p.U.sum(keepdims=True), "shape (1, 1)"),
    "another keyword": (lambda p, c: p.U.sum(initial=1), "initial"),
    "einsum dimensions": (lambda p, c: np.einsum("ij,j->", c.x, c.x), "does not match operands"),
    "nothing": (lambda p, c: None, "returned None"),
    "a list": (lambda p, c: [p.s, p.s], "potential"),
    "arguments": (lambda p: p.s, "raised TypeError"),
    "own mistake": (lambda p, c: undefined_name, "raised NameError"),  # noqa: F821
    "tiny constant": (lambda p, c: 1e-10 * p.s, "Fraction(1, 10000000000)"),
    "not a function": (3, "give a function of 2 arguments"),
    "a string": (lambda p, c: "hello", "hello"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_potential_gets_one_error_that_names_it(case):
    potential, message = BAD[case]
    with pytest.raises(conslaw.ConslawError) as error:
        conslaw.model(potential, parameters={"U": (3, 2), "s": ()}, data={"x": (2,)})
    assert message in str(error.value)


@pytest.mark.parametrize("shape", [(0, 2), (2, -1), 3, "ab", (2.0, 1), (True, 1)])
def test_bad_shapes(shape):
    with pytest.raises(conslaw.ConslawError, match="not a shape"):
        conslaw.model(lambda p, c: p.U.sum(), parameters={"U": shape})


def test_an_array_of_another_model_is_noticed():
    leaked = []
    conslaw.model(lambda p, c: leaked.append(p.x) or p.x, parameters={"x": ()})
    with pytest.raises(conslaw.ConslawError, match="of another model"):
        conslaw.model(lambda p, c: p.x * leaked[0], parameters={"x": ()})


def test_arrays_may_have_any_name_and_sympy_numbers_any_side():
    shapes = {"items": (2,), "keys": (2,), "values": (2,), "get": ()}
    model = conslaw.model(
        lambda p, c: (p.items * p.keys * p.values).sum() * sympy.Rational(1, 3) + sympy.Integer(2) * p.get,
        parameters=shapes,
    )
    assert conslaw.analyze(conslaw.gradient_flow(model)).laws_found == 4


def test_names_must_differ_and_be_identifiers():
    with pytest.raises(conslaw.ConslawError, match="'U' stands in parameters and in data"):
        conslaw.model(lambda p, c: p.U.sum(), parameters={"U": (2,)}, data={"U": (2,)})
    with pytest.raises(conslaw.ConslawError, match="not a usable array name"):
        conslaw.model(lambda p, c: p["U 1"].sum(), parameters={"U 1": (2,)})

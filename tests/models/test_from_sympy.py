"""SymPy in and out: symbols of every kind, numbers that are exact, quotients, and rates that stay free."""

from fractions import Fraction
from itertools import product

import numpy as np
import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st

import conslaw

G = conslaw.gradient_flow
X, Y, Z = sympy.symbols("x y z")
K1, K2 = sympy.symbols("k1 k2")


def laws(subject, **options):
    return conslaw.analyze(subject, **options).laws


NAMES = [
    "lambda",
    "class",
    "my variable",
    "x_{1}",
    r"\alpha",
    "λ",
    "θ̇",
    "1a",
    "_x",
    "x'",
    "+",
    "None",
    "c",
    "x-y",
]


@given(st.lists(st.sampled_from(NAMES), min_size=2, max_size=4, unique=True), st.booleans())
def test_symbols_of_any_name_and_their_assumptions_come_back(names, positive):
    own = [sympy.Symbol(name, positive=positive or None) for name in names]
    analysis = conslaw.analyze(G(conslaw.from_sympy(sympy.prod(own), own)))
    assert analysis.complete
    for law in analysis.laws:
        assert law.free_symbols <= set(own)
    assert sympy.Matrix(analysis.laws).jacobian(own).rank() == len(own) - 1
    for text in analysis.to_json()["laws"]:  # what is written down is read back, in names that Python takes
        assert conslaw.parse_law(text).free_symbols
        sympy.sympify(text)


@pytest.mark.parametrize("shaped", [False, True])
def test_entries_of_an_indexed_base(shaped):
    A, B = (sympy.IndexedBase(n, shape=(2, 2) if shaped else None) for n in "AB")
    a, b = ([M[i, j] for i, j in product(range(2), repeat=2)] for M in (A, B))
    phi = [A[i, 0] * B[0, j] + A[i, 1] * B[1, j] for i, j in product(range(2), repeat=2)]
    analysis = conslaw.analyze(conslaw.from_sympy(phi, [*a, *b]))
    assert analysis.complete
    assert A[0, 0] ** 2 + A[1, 0] ** 2 - B[0, 0] ** 2 - B[0, 1] ** 2 in analysis.laws
    assert [family.text for family in analysis.law_families] == ["Aᵀ A − B Bᵀ"]  # the arrays are seen


def test_matrix_symbols_whole_and_by_entries():
    A, B = sympy.MatrixSymbol("A", 3, 2), sympy.MatrixSymbol("B", 2, 3)
    whole = conslaw.analyze(conslaw.from_sympy(A * B, [A, B]))
    assert (whole.laws_found, whole.complete) == (3, True)
    assert conslaw.verify(whole.certificate()).ok
    assert sympy.expand((A.T * A - B * B.T).as_explicit()[0, 1]) in whole.laws
    entries = conslaw.from_sympy(list((A * B).as_explicit()), [*A.as_explicit(), *B.as_explicit()])
    assert entries == conslaw.from_sympy(A * B, [A, B])
    at = {A: sympy.Matrix(3, 2, range(6)), B: sympy.Matrix(2, 3, range(1, 7))}
    assert [law.subs(at).doit().is_Integer for law in whole.laws] == [True] * len(whole.laws)


def test_entries_that_fill_no_array_are_scalars():
    W = sympy.IndexedBase("W")
    model = conslaw.from_sympy(W[0, 1] * W[3, 2], [W[0, 1], W[3, 2]])
    assert (dict(model.parameters), laws(model)) == (
        {"W_0_1": (), "W_3_2": ()},
        (W[0, 1] ** 2 - W[3, 2] ** 2,),
    )
    W, w = sympy.IndexedBase("W"), sympy.Symbol("W")
    model = conslaw.from_sympy(w * W[0] * W[1], [w, W[0], W[1]])
    assert dict(model.parameters) == {"W": (), "W_": (2,)}


def test_a_law_is_given_back_and_stays_what_it_is():
    """Out and in again: laws as phi of a model in the same symbols; under momentum; with logarithms."""
    A = sympy.MatrixSymbol("A", 2, 1)
    x = sympy.Symbol("x", positive=True)
    for law in laws(conslaw.from_sympy([A[0, 0] * A[1, 0] * x], [A, x])):
        assert conslaw.from_sympy(law, [A, x]).size == 3
    flow = conslaw.momentum_flow(conslaw.from_sympy((A.T * A)[0, 0], [A]), damping=1)
    [law] = laws(flow)
    V, t = sympy.IndexedBase("A_dot"), sympy.Symbol("t")
    assert sympy.expand(law - sympy.exp(t) * (A[0, 0] * V[1, 0] - A[1, 0] * V[0, 0])) == 0
    [law] = laws(conslaw.flow_from_fields([[2 * x, 3 * sympy.Symbol("y")]], [x, sympy.Symbol("y")]), degree=1)
    assert sympy.simplify(law - (3 * sympy.log(x) - 2 * sympy.log(sympy.Symbol("y")))) == 0
    assert sympy.expand_log(sympy.log(x**2)) == 2 * sympy.log(x)  # x is positive in the law as well


def test_decimal_numbers_are_what_they_say():
    tenth, fifth = Fraction(1, 10), Fraction(1, 5)
    exact = conslaw.flow_from_fields([[tenth * X, fifth * Y]], [X, Y])
    for a, b in (
        (0.1, 0.2),
        (np.float64(0.1), np.float32(0.2)),
        (sympy.Float("0.1", 40), sympy.Float("0.2")),
    ):
        assert conslaw.flow_from_fields([[a * X, b * Y]], [X, Y]) == exact or isinstance(a, np.floating)
        assert laws(conslaw.flow_from_fields([[a * X, fifth * Y]], [X, Y])) == (Y / X**2,)
    assert conslaw.flow_from_fields([[0.1, np.float32(0.3)]], [X, Y]) == conslaw.flow_from_fields(
        [[tenth, Fraction(3, 10)]], [X, Y]
    )
    assert laws(conslaw.flow_from_fields([[1.5 * X - X * Y, -3 * Y + X * Y]], [X, Y])) == (
        4 * X + 4 * Y - 12 * sympy.log(X) - 6 * sympy.log(Y),
    ) or laws(conslaw.flow_from_fields([[1.5 * X - X * Y, -3 * Y + X * Y]], [X, Y])) == (
        2 * X + 2 * Y - 6 * sympy.log(X) - 3 * sympy.log(Y),
    )


@given(st.integers(0, 3), st.integers(0, 3), st.integers(1, 5))
def test_a_rational_field_conserves_what_its_polynomial_multiple_does(a, b, c):
    q = c + X**2 + Y
    field = [X**a * Y, -(Y**b) * X * Z, Z]
    plain = conslaw.flow_from_fields([field], [X, Y, Z])
    ours = conslaw.flow_from_fields([[x / q for x in field]], [X, Y, Z])
    mixed = conslaw.flow_from_fields([[field[0] / q, (field[1] + q - q) / q, 1 / (q / Z)]], [X, Y, Z])
    assert ours == plain
    assert mixed == plain
    assert laws(ours) == laws(plain)


def test_michaelis_menten_with_a_free_constant():
    S, P, V, K = sympy.symbols("S P V_max K_m")
    rate = V * S / (K + S)
    assert laws(conslaw.flow_from_fields([[-rate, rate]], [S, P], data=[V, K])) == (P + S,)


@given(st.integers(2, 5), st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=5))
def test_free_rates_conserve_what_the_reactions_do(species, reactions):
    """x_i -> x_j at rates k: whatever the rates, the left kernel of the stoichiometric matrix, no more."""
    x = sympy.symbols(f"x:{species}")
    pairs = sorted({(i % species, j % species) for i, j in reactions})
    k, field = sympy.symbols(f"k:{len(pairs)}"), [sympy.Integer(0)] * species
    for rate, (i, j) in zip(k, pairs, strict=True):
        field[i] -= rate * x[i]
        field[j] += rate * x[i]
    stoichiometric = sympy.Matrix(species, len(pairs), lambda s, r: (s == pairs[r][1]) - (s == pairs[r][0]))
    analysis = conslaw.analyze(conslaw.flow_from_fields([field], x, data=k))
    assert analysis.complete
    assert analysis.laws_found == species - stoichiometric.rank()
    for law in analysis.laws:
        assert not any(sympy.expand(sum(sympy.diff(law, v) * f for v, f in zip(x, field, strict=True))).args)


def test_six_species_at_any_rates():
    """A public case: x2 + x4, x5 + x6 and x1 + x3 + x4 + x6."""
    x1, x2, x3, x4, x5, x6 = x = sympy.symbols("x1:7")
    k1, k2, k3, k4, k5, k6 = k = sympy.symbols("k1:7")
    a, b = k1 * x1 * x2 - (k2 + k3) * x4, k4 * x3 * x5 - (k5 + k6) * x6
    field = [
        -k1 * x1 * x2 + k2 * x4 + k6 * x6,
        -a,
        -k4 * x3 * x5 + k5 * x6 + k3 * x4,
        a,
        -b,
        b,
    ]
    analysis = conslaw.analyze(conslaw.flow_from_fields([field], x, data=k), degree=1)
    assert (analysis.laws_found, analysis.complete) == (3, True)
    found = sympy.Matrix(analysis.laws).jacobian(x)
    assert (
        found.col_join(sympy.Matrix([[0, 1, 0, 1, 0, 0], [0, 0, 0, 0, 1, 1], [1, 0, 1, 1, 0, 1]])).rank() == 3
    )


def test_data_of_a_parametrisation():
    A = sympy.MatrixSymbol("A", 1, 2)
    c = sympy.IndexedBase("c")
    model = conslaw.from_sympy(c[0] * A[0, 0] + c[1] * A[0, 1], [A], data=[c[0], c[1]])
    assert dict(model.data) == {"c": (2,), "c_": (1,)}
    assert conslaw.count(model).laws_at_most == 0
    assert laws(conslaw.from_sympy(K1 * X * Y, [X, Y], data=K1)) == (X**2 - Y**2,)


W = sympy.IndexedBase("W")
I = sympy.Symbol("i", integer=True)  # noqa: E741
REFUSED = {
    "an unknown rate": (
        lambda: conslaw.flow_from_fields([[K1 * X, K2 * Y]], [X, Y], data=[K1]),
        "k2 is neither",
    ),
    "an unknown entry": (lambda: conslaw.flow_from_fields([[W[0], Y]], [X, Y]), r"W\[0\] is neither"),
    "an unknown rate of phi": (lambda: conslaw.from_sympy(K1 * X, [X]), r"give data=\[k1"),
    "a rate that is a variable": (lambda: conslaw.flow_from_fields([[X]], [X], data=[X]), "distinct"),
    "twins": (lambda: conslaw.from_sympy(X, [X, sympy.Symbol("x", real=True)]), "distinct"),
    "an index that is none": (lambda: conslaw.from_sympy(W[I], [W[I]]), r"not W\[i\]"),
    "a rate in an exponent": (lambda: conslaw.flow_from_fields([[X**K1]], [X], data=[K1]), r"x\*\*k1"),
    "a function": (lambda: conslaw.flow_from_fields([[sympy.exp(X)]], [X]), r"exp\(x\)"),
    "division by zero": (
        lambda: conslaw.flow_from_fields([[X / ((Y + 1) ** 2 - Y**2 - 2 * Y - 1), Y]], [X, Y]),
        "because of 1/",
    ),
    "infinity": (lambda: conslaw.flow_from_fields([[sympy.oo]], [X]), "because of oo"),
    "a huge float": (lambda: conslaw.flow_from_fields([[sympy.Float("1e400") * X]], [X]), "because of 1"),
    "a quotient of phi": (lambda: conslaw.from_sympy(X / Y, [X, Y]), "because of 1/y"),
    "many terms": (
        lambda: conslaw.flow_from_fields([[1 / (X + Y + Z + 1) ** 60, 0, 0]], [X, Y, Z]),
        "too many",
    ),
    "text for data": (lambda: conslaw.flow_from_fields([[X]], [X], data="k1"), "'k1'"),
    "text for variables": (lambda: conslaw.flow_from_fields([[X]], "x"), "'x'"),
    "text for fields": (lambda: conslaw.flow_from_fields("x", [X]), "list of vector fields"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused_is_named(case):
    make, message = REFUSED[case]
    with pytest.raises(conslaw.ConslawError, match=message) as error:
        make()
    assert "\n" not in str(error.value)

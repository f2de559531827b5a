"""The polynomial solver against SymPy's own linear algebra, and laws against integrated flows."""

from fractions import Fraction
from itertools import combinations_with_replacement
from math import comb

import mpmath
import numpy as np
import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st
from strategies import gram_difference_rank, widths

import conslaw
from conslaw.algebra.evaluation import NumPyNumbers, evaluate
from conslaw.laws import ansatz_equations, generators


def symbolic_fields(flow):
    """State symbols, and the coefficients phi_i of each field in the data, as SymPy expressions."""
    symbols = {
        n: np.array(sympy.symbols(f"{n}_:{int(np.prod(s))}"), dtype=object).reshape(s)
        for n, s in {**flow.state, **flow.data}.items()
    }
    theta = [s for n in flow.state for s in symbols[n].ravel()]
    data = [s for n in flow.data for s in symbols[n].ravel()]
    components = []
    for field in flow.fields:
        values = dict(
            zip(field, evaluate(list(field.values()), symbols, NumPyNumbers(sympy.Rational)), strict=True)
        )
        vector = [e for n, s in flow.state.items() for e in np.ravel(values.get(n, np.zeros(s, dtype=int)))]
        polynomials = [sympy.Poly(e, *data).as_dict() if data else {(): sympy.sympify(e)} for e in vector]
        components += [
            [p.get(m, 0) for p in polynomials] for m in sorted({m for p in polynomials for m in p})
        ]
    return theta, components


def naive_kernel(flow, degree, homogeneous=False):
    """All laws up to a degree as the nullspace of the textbook system, with no cleverness."""
    theta, components = symbolic_fields(flow)
    monomials = [
        sympy.Mul(*c)
        for d in range(degree if homogeneous else 1, degree + 1)
        for c in combinations_with_replacement(theta, d)
    ]
    rows = []
    for component in components:
        columns = [
            sympy.Poly(
                sum(sympy.diff(m, t) * f for t, f in zip(theta, component, strict=True)), *theta
            ).as_dict()
            for m in monomials
        ]
        rows += [
            [column.get(key, 0) for column in columns] for key in {k for column in columns for k in column}
        ]
    return monomials, sympy.Matrix(rows).nullspace()


def coefficients(laws, flow):
    theta, _ = symbolic_fields(flow)
    named = {str(s): t for s, t in zip(expression_symbols(flow), theta, strict=True)}
    return [law.subs({s: named[str(s)] for s in law.free_symbols if str(s) in named}) for law in laws], theta


def expression_symbols(flow):
    return [
        sympy.IndexedBase(n)[i] if i else sympy.Symbol(n)
        for n, s in flow.state.items()
        for i in np.ndindex(*s)
    ]


def user_model():
    """Not homogeneous, with a rational coefficient, a scalar parameter and a parameter that is idle."""
    return conslaw.model(
        lambda p, c: c.v * (p.a * p.b[0] / 3 + p.b[1] ** 2 / 2) + c.w * (p.a + p.b[0] * p.b[1]),
        parameters={"a": (), "b": (2,), "idle": ()},
        data={"v": (), "w": ()},
    )


def radial():
    """phi = (x**2 + y**2) / 2 conserves y / x, which is not polynomial."""
    return conslaw.model(lambda p, c: (p.x**2 + p.y**2) / 2, parameters={"x": (), "y": ()})


CASES = {
    "linear 1-1-1": (conslaw.linear([1, 1, 1]), 3),
    "linear 2-1-1": (conslaw.linear([2, 1, 1]), 4),
    "linear 1-2-1": (conslaw.linear([1, 2, 1]), 2),
    "linear 2-2-1": (conslaw.linear([2, 2, 1]), 2),
    "linear 1-1-1-1": (conslaw.linear([1, 1, 1, 1]), 3),
    "relu 2-2-1": (conslaw.relu([2, 2, 1]), 2),
    "relu bias": (conslaw.relu([1, 2, 1], bias=True), 2),
    "user": (user_model(), 3),
    "radial": (radial(), 4),
    "pca": (
        conslaw.model(
            lambda p, c: np.einsum("ik,jk,ij->", p.U, p.U, c.s), parameters={"U": (2, 2)}, data={"s": (2, 2)}
        ),
        3,
    ),
    "shift": (
        conslaw.model(
            lambda p, c: c.v * (p.x + p.y) ** 2 + c.w * (p.x + p.y),
            parameters={"x": (), "y": ()},
            data={"v": (), "w": ()},
        ),
        2,
    ),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("homogeneous", [False, True])
def test_the_kernel_is_that_of_a_naive_solution(case, homogeneous):
    model, degree = CASES[case]
    flow = conslaw.gradient_flow(model)
    monomials, nullspace = naive_kernel(flow, degree, homogeneous)
    solution = conslaw.polynomial_laws(flow, degree=degree, homogeneous=homogeneous)
    assert solution.unknowns == len(monomials)
    ours, theta = coefficients(solution.expressions(), flow)
    # products of laws are left out of ours: put them back, then compare spans
    space = [sympy.Mul(*c) for k in range(1, degree + 1) for c in combinations_with_replacement(ours, k)]
    space = [sympy.Poly(p, *theta) for p in space if sympy.Poly(p, *theta).total_degree() <= degree]
    keys = [sympy.Poly(m, *theta).monoms()[0] for m in monomials]
    vectors = [sympy.Matrix([p.as_dict().get(k, 0) for k in keys]) for p in space]
    naive = sympy.Matrix.hstack(*nullspace).rank() if nullspace else 0
    both = sympy.Matrix.hstack(*nullspace, *vectors).rank() if nullspace or vectors else 0
    assert both == naive == (sympy.Matrix.hstack(*vectors).rank() if vectors else 0)


@pytest.mark.parametrize("case", CASES)
def test_each_law_is_an_identity_and_the_independent_ones_are_counted(case):
    model, degree = CASES[case]
    flow = conslaw.gradient_flow(model)
    theta, components = symbolic_fields(flow)
    solution = conslaw.polynomial_laws(flow, degree=degree)
    laws, _ = coefficients(solution.expressions(), flow)
    for law in laws:
        for component in components:
            assert (
                sympy.expand(sum(sympy.diff(law, t) * f for t, f in zip(theta, component, strict=True))) == 0
            )
    jacobian = sympy.Matrix(laws).jacobian(theta) if laws else sympy.zeros(0, 1)
    at = dict(zip(theta, (3, 7, 11, 19, 23, 31, 43, 59), strict=False))
    assert solution.independent == jacobian.subs(at).rank()


@given(widths(2, 4, (2, 3), 60))
def test_laws_of_linear_networks_are_the_gram_differences(sizes):
    analysis = conslaw.analyze(conslaw.gradient_flow(conslaw.linear(sizes)))
    assert analysis.complete
    assert analysis.laws_found == gram_difference_rank(sizes)
    assert len(analysis.laws) == sum(r * (r + 1) // 2 for r in sizes[1:-1])


@given(widths(1, 5, (2, 4), 80), st.booleans())
def test_laws_of_relu_networks_are_one_for_each_hidden_unit(sizes, bias):
    analysis = conslaw.analyze(conslaw.gradient_flow(conslaw.relu(sizes, bias=bias)))
    assert analysis.complete
    expected = set()
    for layer in range(1, len(sizes) - 1):
        for k in range(sizes[layer]):
            into = sum(sympy.IndexedBase(f"W{layer}")[k, i] ** 2 for i in range(sizes[layer - 1]))
            into += sympy.IndexedBase(f"b{layer}")[k] ** 2 if bias else 0
            expected.add(
                into - sum(sympy.IndexedBase(f"W{layer + 1}")[j, k] ** 2 for j in range(sizes[layer + 1]))
            )
    span = [sympy.Poly(e) for e in (*expected, *analysis.laws)]
    symbols = sorted({m for p in span for m in p.gens}, key=str)
    matrix = sympy.Matrix([[sympy.Poly(p, *symbols).coeff_monomial(s**2) for s in symbols] for p in span])
    assert len(analysis.laws) == len(expected) == matrix.rank()


@given(st.integers(0, 2**63), widths(1, 4, (2, 3), 40))
def test_the_answer_does_not_depend_on_the_seed(seed, sizes):
    flow = conslaw.gradient_flow(conslaw.linear(sizes))
    assert conslaw.polynomial_laws(flow, seed=seed).strings() == conslaw.polynomial_laws(flow).strings()


def test_portions_and_collisions_do_not_change_the_answer(monkeypatch):
    flow = conslaw.gradient_flow(conslaw.relu([3, 4, 3], bias=True))
    expected = conslaw.polynomial_laws(flow).strings()
    monkeypatch.setattr(ansatz_equations, "PORTION", 1)
    monkeypatch.setattr(ansatz_equations, "LARGEST_PORTION", 7)
    assert conslaw.polynomial_laws(flow).strings() == expected
    true_keys = ansatz_equations.keys
    monkeypatch.setattr(
        ansatz_equations,
        "keys",
        lambda m, salt=0: true_keys(m, salt) % np.uint64(2 if salt == 0 else 2**64 - 1),
    )
    assert (
        conslaw.polynomial_laws(flow).strings() == expected
    )  # keys of one bit collide: caught, and tried again with others


def test_products_of_laws_are_not_listed():
    flow = conslaw.gradient_flow(conslaw.linear([2, 2, 2]))
    low, high = (conslaw.polynomial_laws(flow, degree=d) for d in (2, 4))
    assert low.strings() == high.strings()
    idle = conslaw.gradient_flow(conslaw.model(lambda p, c: p.x, parameters={"x": (), "y": (), "z": ()}))
    assert conslaw.polynomial_laws(idle, degree=3).strings() == ["y", "z"]


def test_rational_and_large_coefficients():
    big = 10**30
    model = conslaw.model(
        lambda p, c: p.x * p.y ** big.bit_length() / 7 + 0 * big, parameters={"x": (), "y": ()}
    )
    assert conslaw.polynomial_laws(conslaw.gradient_flow(model)).strings() == [
        f"{big.bit_length()}*x**2 - y**2"
    ]
    model = conslaw.model(
        lambda p, c: big * p.x * p.y + c.v * big * p.x * p.y, parameters={"x": (), "y": ()}, data={"v": ()}
    )
    assert conslaw.polynomial_laws(conslaw.gradient_flow(model)).strings() == ["x**2 - y**2"]
    model = conslaw.model(lambda p, c: (big * p.x + p.y) ** 2, parameters={"x": (), "y": ()})
    assert conslaw.polynomial_laws(conslaw.gradient_flow(model)).strings() == [f"x - {big}*y"]


def test_sums_beyond_64_bits_are_exact():
    """Five entries of 2**61 add up in one equation; with a smaller factor the answer is the same."""
    names = "abghe"
    found = []
    for factor in (1, 2**61 - 2):
        model = conslaw.model(
            lambda p, c, k=factor: (
                c.d * sum(k * Fraction(1, 2) * (p[n][0] - p[n][1]) ** 2 for n in names) + c.f * p.a[0] * k
            ),
            parameters=dict.fromkeys(names, (2,)),
            data={"d": (), "f": ()},
        )
        found.append(conslaw.polynomial_laws(conslaw.gradient_flow(model), degree=2).strings())
    assert found[0]
    assert found[0] == found[1]


def test_coefficients_that_agree_modulo_powers_of_two():
    model = conslaw.model(
        lambda p, c: c.a * (p.x + p.z + 2**63 * p.y) + c.b * (p.x + p.z),
        parameters={"x": (), "y": (), "z": ()},
        data={"a": (), "b": ()},
    )
    assert conslaw.polynomial_laws(conslaw.gradient_flow(model)).strings() == ["x - z"]


def test_an_unlucky_prime_loses_no_law(monkeypatch):
    unlucky, true_prime = 2**31 - 1, generators.random_prime
    model = conslaw.model(
        lambda p, c: c.d * (unlucky * p.x + p.y + p.z) ** 2,
        parameters={"x": (), "y": (), "z": ()},
        data={"d": ()},
    )
    drawn = []
    monkeypatch.setattr(
        generators,
        "random_prime",
        lambda rng: drawn.append(0) or (unlucky if len(drawn) < 2 else true_prime(rng)),
    )
    laws = conslaw.polynomial_laws(conslaw.gradient_flow(model), degree=2)
    assert (len(laws), laws.independent) == (2, 2)


def test_many_linear_laws():
    """A sum conserves all differences; their products are not even looked at."""
    model = conslaw.model(
        lambda p, c: c.d * p.x.sum(), parameters={"x": (100,), "idle": (50,)}, data={"d": ()}
    )
    analysis = conslaw.analyze(conslaw.gradient_flow(model), degree=2)
    assert (len(analysis.laws), analysis.laws_found, analysis.complete) == (149, 149, True)


def test_degrees_by_group():
    flow = conslaw.gradient_flow(conslaw.linear([2, 2, 2]))
    by_group = conslaw.polynomial_laws(flow, degree={("W1", "W2"): 2})
    assert by_group.strings() == conslaw.polynomial_laws(flow, degree=2).strings()
    product = conslaw.polynomial_laws(flow, degree={"W1": 2, "W2": 2})
    assert product.unknowns == 15 * 15 - 1
    assert set(by_group.strings()) <= set(product.strings())
    assert conslaw.polynomial_laws(flow, degree={"W1": 2}).strings() == []
    assert conslaw.polynomial_laws(flow, degree={"W1": 1, "W2": 1}, homogeneous=True).unknowns == 16


@pytest.mark.parametrize(
    "degree",
    [
        0,
        -1,
        1.5,
        "2",
        True,
        {"W1": 0},
        {"W3": 2},
        {"W1": 1, ("W1", "W2"): 1},
        {},
        {("W1", "W1"): 2},
        {(): 2},
        {5: 2},
    ],
)
def test_bad_degrees(degree):
    with pytest.raises(conslaw.ConslawError, match="degree="):
        conslaw.polynomial_laws(conslaw.gradient_flow(conslaw.linear([2, 2, 2])), degree=degree)


def test_an_ansatz_too_large_is_refused_with_its_size():
    with pytest.raises(conslaw.ConslawError, match=f"{comb(505, 5) - 1:,} unknowns"):
        conslaw.polynomial_laws(
            conslaw.gradient_flow(conslaw.linear([20, 20, 5])), degree=5, max_unknowns=10**6
        )


def test_a_huge_degree_is_refused_before_monomials_are_counted():
    """There are about 10^(6 * 10^8) of them."""
    flow = conslaw.gradient_flow(conslaw.linear([1000, 1000, 1000]))
    with pytest.raises(conslaw.ConslawError, match="up to degree 60"):
        conslaw.polynomial_laws(flow, degree=10**9)


def test_time_alone_has_no_laws():
    flow = conslaw.momentum_flow(conslaw.linear([1, 1, 1]))
    assert len(conslaw.polynomial_laws(flow, degree={"time": 2})) == 0


def test_degrees_in_time_are_integers_of_any_type():
    flow = conslaw.momentum_flow(conslaw.linear([2, 1, 1]))
    none, one, of_numpy = (conslaw.polynomial_laws(flow, time_degree=d) for d in (0, 1, np.int64(0)))
    assert none.unknowns == of_numpy.unknowns < one.unknowns
    for wrong in (-1, False, 0.0, "1"):
        with pytest.raises(conslaw.ConslawError, match="time_degree="):
            conslaw.polynomial_laws(flow, time_degree=wrong)


def test_only_logarithms_that_there_are_count():
    flow = conslaw.gradient_flow(conslaw.linear([1, 1, 1]))
    assert conslaw.polynomial_laws(flow, logs=True).unknowns == conslaw.polynomial_laws(flow).unknowns == 5


def test_laws_stay_constant_along_a_trajectory_to_30_digits():
    """A real training run (squared loss on fixed data) integrated by Taylor series; nothing of the search is
    used.
    """
    mpmath.mp.dps = 40
    model = conslaw.linear([2, 2, 1])
    flow = conslaw.gradient_flow(model)
    x, y = mpmath.matrix([[1, 2], [-1, 3]]), mpmath.matrix([[2, -1]])

    def velocity(_, theta):
        u, v = mpmath.matrix([theta[0:2], theta[2:4]]), mpmath.matrix([theta[4:6]])
        error = v * u * x - y
        du, dv = v.T * error * x.T, error * (u * x).T
        return [-e for e in [*du, *dv]]

    start = [mpmath.mpf(n) / 7 for n in (3, -2, 1, 4, -5, 2)]
    end = mpmath.odefun(velocity, 0, start)(mpmath.mpf(1) / 4)
    assert max(abs(a - b) for a, b in zip(start, end, strict=True)) > 0.1
    analysis = conslaw.analyze(flow)
    assert analysis.laws_found == 3
    symbols = expression_symbols(flow)
    for law in analysis.laws:
        value = sympy.lambdify(symbols, law, "mpmath")
        assert abs(value(*start) - value(*end)) < mpmath.mpf(10) ** -30
    other = sympy.lambdify(symbols, symbols[0] ** 2 + symbols[4] ** 2, "mpmath")
    assert abs(other(*start) - other(*end)) > 1e-3

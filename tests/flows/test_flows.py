"""Momentum, metrics, weight decay: the counts of the papers for random architectures, and laws that are
checked by other means.
"""

from fractions import Fraction

import numpy as np
import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st
from strategies import widths

import conslaw

T = sympy.Symbol("t")
DAMPINGS = st.sampled_from([0, Fraction(1, 2), 1, 2, "nesterov", "5/t", "3/2/t"])


def count(flow):
    return conslaw.count(flow).laws_at_most


# counts under momentum [MGP24, Section 4]


@given(st.integers(1, 4), st.integers(1, 4), st.integers(1, 5), DAMPINGS)
def test_matrix_factorisation_under_momentum(n, m, r, damping):
    flow = conslaw.momentum_flow(conslaw.linear([m, r, n]), damping=damping)
    total = n + m
    if n == m == 1:
        expected = 0 if r == 1 else 4 * r - 6
    else:
        expected = r * (r - 1) // 2 if r <= 2 * total else 2 * total * r - total * (2 * total + 1)
    assert count(flow) == expected


@pytest.mark.parametrize("damping", [0, "1/2", "nesterov"])
@pytest.mark.parametrize("sizes", [[2, 2, 2, 2], [2, 3, 2, 3], [3, 2, 3, 2], [2, 2, 2, 2, 2]])
def test_deep_linear_networks_under_momentum(sizes, damping):
    expected = sum(r * (r - 1) // 2 for r in sizes[1:-1])
    analysis = conslaw.analyze(conslaw.momentum_flow(conslaw.linear(sizes), damping=damping))
    assert (analysis.laws_at_most, analysis.laws_found) == (expected, expected)


@given(widths(1, 4, (2, 3), 30), st.booleans(), DAMPINGS)
def test_relu_networks_conserve_nothing_under_momentum(sizes, bias, damping):
    assert count(conslaw.momentum_flow(conslaw.relu(sizes, bias=bias), damping=damping)) == 0


@given(st.integers(1, 4), st.integers(1, 4), st.integers(1, 4), DAMPINGS)
def test_nmf(n1, n2, n3, damping):
    model = conslaw.nmf([n1, n2, n3])
    assert count(conslaw.gradient_flow(model)) == (2 * n2 - 1 if n1 == n3 == 1 else n2)
    assert count(conslaw.momentum_flow(model, damping=damping)) == 0


@given(st.integers(1, 3), st.integers(1, 3), st.integers(1, 3), st.booleans(), DAMPINGS)
def test_icnn(n1, n2, n3, bias, damping):
    model = conslaw.icnn([n1, n2, n3], bias=bias)
    analysis = conslaw.analyze(conslaw.gradient_flow(model))
    assert (analysis.laws_at_most, analysis.laws_found) == (n2, n2)
    assert count(conslaw.momentum_flow(model, damping=damping)) == 0


@given(st.integers(1, 4), st.integers(1, 5))
def test_pca(n, r):
    """U U^T moves U by S U, S symmetric; these generate gl(n), whose invariants are the row space: n (r - n),
    if r > n.
    """
    assert count(conslaw.gradient_flow(conslaw.pca([n, r]))) == max(0, n * (r - n))


# metamorphic


@given(widths(1, 3, (2, 3), 20), st.sampled_from([1, Fraction(1, 3), 2]), st.sampled_from([1, 2, 5]))
def test_rescaling_time_changes_no_count(sizes, damping, factor):
    """theta(c t) has damping c tau and c^2 times the metric."""
    model = conslaw.linear(sizes)
    scaled = conslaw.momentum_flow(
        model, damping=damping * factor, metric=dict.fromkeys(model.parameters, Fraction(factor) ** 2)
    )
    assert count(scaled) == count(conslaw.momentum_flow(model, damping=damping))


@given(
    st.integers(1, 3),
    st.integers(1, 3),
    st.integers(1, 3),
    st.fractions(Fraction(1, 5), 5, max_denominator=5),
    st.booleans(),
)
def test_a_parameter_rescaled_together_with_its_metric(n, r, m, scale, momentum):
    """phi(a U', V) with U = a U': U' moves with the metric 1/a^2 as U does with 1."""
    shapes = {"U": (n, r), "V": (r, m)}
    model = conslaw.model(
        lambda p, c: c.v @ (scale * p.U) @ p.V @ c.x, parameters=shapes, data={"v": (n,), "x": (m,)}
    )
    flow = conslaw.momentum_flow if momentum else conslaw.gradient_flow
    assert count(flow(model, metric={"U": 1 / scale**2})) == count(flow(conslaw.linear([m, r, n])))


@given(widths(1, 3, (2, 3), 20), st.integers(1, 3))
def test_weight_decay_keeps_the_number_of_laws(sizes, decay):
    model = conslaw.linear(sizes)
    assert count(conslaw.gradient_flow(model, weight_decay=decay)) == count(conslaw.gradient_flow(model))


@given(widths(1, 3, (2, 2), 20), DAMPINGS)
def test_which_laws_survive_momentum(sizes, damping):
    """A linear law does, as a.v exp(int tau) (here: an idle parameter, and its position); Gram differences do
    not.
    """
    model = conslaw.linear(sizes)
    idle = conslaw.model(
        lambda p, c: c.v @ p.W2 @ p.W1 @ c.x, parameters={**model.parameters, "idle": ()}, data=model.data
    )
    assert (
        count(conslaw.momentum_flow(idle, damping=damping))
        == count(conslaw.momentum_flow(model, damping=damping)) + 2
    )


# found by review


def test_time_has_no_logarithm_of_its_own():
    x, y = sympy.symbols("x y")
    analysis = conslaw.analyze(
        conslaw.gradient_flow(conslaw.from_sympy(x + 2 * y, [x, y], metric="mirror"), weight_decay=1)
    )
    for law in analysis.laws:  # x' = -x + x g, y' = -y + 2 y g, whatever g
        g = sympy.Symbol("g")
        change = sympy.diff(law, T) + sympy.diff(law, x) * (g - 1) * x + sympy.diff(law, y) * (2 * g - 1) * y
        assert sympy.simplify(change) == 0
    assert "time" not in repr(analysis)


def test_points_must_lie_where_time_does():
    model = conslaw.from_sympy(sympy.Symbol("x") * sympy.Symbol("y"), sympy.symbols("x y"))
    point = {"x": 1, "y": 2, "x_dot": 1, "y_dot": 1}
    for damping in ("nesterov", 1):
        with pytest.raises(conslaw.ConslawError, match="time=0 stands for"):
            conslaw.count(conslaw.momentum_flow(model, damping=damping), point={"time": 0, **point})
    assert conslaw.count(conslaw.momentum_flow(model), point={"time": 0, **point}).laws_at_most >= 0


def test_a_law_of_odd_degree_under_weight_decay():
    x, y = sympy.symbols("x y")
    flow = conslaw.gradient_flow(conslaw.from_sympy(x * y, [x, y], metric="z**-1"), weight_decay=1)
    assert conslaw.analyze(flow, degree=3).polynomial_laws.strings() == ["exp(3*t)*x**3 - exp(3*t)*y**3"]


def test_names_of_symbols_and_of_what_laws_are_written_with():
    x = sympy.Symbol("x")
    with pytest.raises(conslaw.ConslawError, match="distinct"):
        conslaw.from_sympy(x * sympy.Symbol("x", positive=True), [x, sympy.Symbol("x", positive=True)])
    t = sympy.Symbol("t")
    with pytest.raises(conslaw.ConslawError, match="needs the name 't'"):
        conslaw.gradient_flow(conslaw.from_sympy(t * x, [t, x]), weight_decay=1)
    c = sympy.Symbol("c")
    assert conslaw.analyze(conslaw.gradient_flow(conslaw.from_sympy(c * x, [c, x]))).laws == (c**2 - x**2,)
    assert conslaw.analyze(conslaw.flow_from_fields([[x, -c]], [c, x])).laws == (c**2 + x**2,)


def test_fields_that_vanish_conserve_everything():
    x, y = sympy.symbols("x y")
    for flow in (
        conslaw.flow_from_fields([[0, 0]], [x, y]),
        conslaw.flow_from_fields([], [x, y], drift=[0, 0]),
    ):
        analysis = conslaw.analyze(flow)
        assert (analysis.laws_at_most, analysis.laws, analysis.complete) == (2, (x, y), True)
    rows = conslaw.flow_from_fields(sympy.Matrix([[y, -x]]), [x, y])
    assert conslaw.analyze(rows).laws == (x**2 + y**2,)


@pytest.mark.parametrize(
    "phi",
    [sympy.Eq(sympy.Symbol("x"), 1), "xy", None, [None], [[1, 2]], {1: 2}, sympy.MatrixSymbol("A", 2, 2)],
)
def test_what_is_no_expression(phi):
    with pytest.raises(conslaw.ConslawError):
        conslaw.from_sympy(phi, sympy.symbols("x y"))


def test_powers_of_a_symbol_cost_no_more_than_their_squarings():
    x, y = sympy.symbols("x y")
    assert conslaw.count(conslaw.gradient_flow(conslaw.from_sympy(x**100_000 * y, [x, y]))).laws_at_most == 1


def test_sizes_that_are_refused():
    flow = conslaw.momentum_flow(conslaw.linear([3, 3, 3]), metric="z**-1", damping="1/2")
    with pytest.raises(conslaw.ConslawError, match=r"common denominator .* conslaw.count does without"):
        conslaw.polynomial_laws(flow)
    assert conslaw.analyze(flow, ansatz="monomials").proved["laws_exactly"] == 0  # which needs none
    for bad in ("1e-9/t", "1e999999999", "1 1/t", np.array([1, 2])):
        with pytest.raises(conslaw.ConslawError, match="damping="):
            conslaw.momentum_flow(conslaw.linear([1, 1]), damping=bad)
    for metric in (
        "z**10000000000",
        {"W1": True},
        {"": np.eye(1), "W1": 1},
        lambda z: {"W1": conslaw.algebra.expressions.input_array("q", ())},
    ):
        with pytest.raises(conslaw.ConslawError, match="metric"):
            conslaw.gradient_flow(conslaw.linear([1, 1]), metric=metric)
    with pytest.raises(conslaw.ConslawError, match="weight_decay="):
        conslaw.gradient_flow(conslaw.linear([1, 1]), weight_decay="1e5000")
    nowhere = conslaw.gradient_flow(conslaw.linear([1, 1]), metric=lambda z: {"W1": 1 / (z.W1 - z.W1)})
    with pytest.raises(conslaw.ConslawError, match="divides by zero everywhere"):
        conslaw.analyze(nowhere)


def test_the_polynomial_answer_stands_where_logarithms_are_too_many():
    analysis = conslaw.analyze(conslaw.gradient_flow(conslaw.nmf([1, 2, 1])), max_unknowns=20)
    assert (analysis.laws_found, analysis.laws_at_most) == (2, 3)


def test_an_array_of_expressions_is_an_array():
    model = conslaw.linear([1, 1, 1])
    matrix = conslaw.gradient_flow(model, metric=lambda z: np.array([[z.W1[0, 0], 0], [0, z.W2[0, 0]]]))
    assert conslaw.analyze(matrix).laws == conslaw.analyze(conslaw.gradient_flow(model, metric="mirror")).laws

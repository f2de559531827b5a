"""Momentum, metrics, weight decay: the counts of the papers for random architectures, and laws that are
checked by other means.
"""

from fractions import Fraction

import mpmath
import numpy as np
import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st
from strategies import widths

import conslaw
from conslaw.algebra.evaluation import NumPyNumbers, evaluate

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
    model = conslaw.nmf(n1, n2, n3)
    assert count(conslaw.gradient_flow(model)) == (2 * n2 - 1 if n1 == n3 == 1 else n2)
    assert count(conslaw.momentum_flow(model, damping=damping)) == 0


@given(st.integers(1, 3), st.integers(1, 3), st.integers(1, 3), st.booleans(), DAMPINGS)
def test_icnn(n1, n2, n3, bias, damping):
    model = conslaw.icnn(n1, n2, n3, bias=bias)
    analysis = conslaw.analyze(conslaw.gradient_flow(model))
    assert (analysis.laws_at_most, analysis.laws_found) == (n2, n2)
    assert count(conslaw.momentum_flow(model, damping=damping)) == 0


@given(st.integers(1, 4), st.integers(1, 5))
def test_pca(n, r):
    """U U^T moves U by S U, S symmetric; these generate gl(n), whose invariants are the row space: n (r - n),
    if r > n.
    """
    assert count(conslaw.gradient_flow(conslaw.pca(n, r))) == max(0, n * (r - n))


# the laws themselves


def skew_law(time, r, n=2, m=2):
    """The (0, 1) entry of time * (U^T U' - U'^T U + V^T V' - V'^T V), U = W2, V = W1^T."""
    w1, w2, d1, d2 = (sympy.IndexedBase(name) for name in ("W1", "W2", "W1_dot", "W2_dot"))
    u = sum(w2[j, 0] * d2[j, 1] - d2[j, 0] * w2[j, 1] for j in range(n))
    return time * (u + sum(w1[0, i] * d1[1, i] - d1[0, i] * w1[1, i] for i in range(m)))


T = sympy.Symbol("t")


@pytest.mark.parametrize(
    ("damping", "time"),
    [
        (0, 1),
        (1, sympy.exp(T)),
        ("1/2", sympy.exp(T / 2)),
        (2, sympy.exp(2 * T)),
        ("nesterov", T**3),
        ("5/2/t", T ** sympy.Rational(5, 2)),
    ],
)
def test_momentum_laws_come_back_in_the_variables_of_the_user(damping, time):
    analysis = conslaw.analyze(conslaw.momentum_flow(conslaw.linear([2, 2, 2]), damping=damping))
    assert analysis.complete
    [law] = analysis.laws
    expected = skew_law(time, 2)
    assert 0 in (sympy.expand(law - expected), sympy.expand(law + expected))


def test_logarithmic_laws_of_nmf_in_one_dimension():
    analysis = conslaw.analyze(conslaw.gradient_flow(conslaw.nmf(1, 2, 1)))
    assert (analysis.laws_at_most, analysis.laws_found, analysis.complete) == (3, 3, True)
    u, v = sympy.IndexedBase("U"), sympy.IndexedBase("V")
    known = sum(
        sign * (sympy.log(u[0, k]) - sympy.log(v[k, 0])) * (u[0, j] - v[j, 0])
        for k, j, sign in ((0, 1, 1), (1, 0, -1))
    )
    assert 0 in (sympy.expand(analysis.laws[-1] - known), sympy.expand(analysis.laws[-1] + known))
    wider = conslaw.analyze(conslaw.gradient_flow(conslaw.nmf(1, 4, 1)))
    assert (wider.laws_found, wider.complete) == (7, True)


def test_rational_laws():
    radial = conslaw.model(lambda p, c: (p.x**2 + p.y**2) / 2, parameters={"x": (), "y": ()})
    analysis = conslaw.analyze(conslaw.gradient_flow(radial))
    x, y = sympy.symbols("x y")
    assert analysis.complete
    assert analysis.laws in ((x / y,), (y / x,))
    for n, r in ((1, 2), (1, 4), (2, 3)):
        analysis = conslaw.analyze(conslaw.gradient_flow(conslaw.pca(n, r)))
        assert (analysis.laws_found, analysis.complete) == (n * (r - n), True)
    with pytest.raises(conslaw.ConslawError, match="monomials"):
        conslaw.rational_laws(conslaw.gradient_flow(conslaw.linear([5, 5, 5])))


@given(st.integers(-3, 5), st.integers(2, 3))
def test_monomial_under_a_power_metric(power, variables):
    """x' = x**a / x * f: conserves x_i**(2-a) - x_1**(2-a), quotients for a = 2, reciprocals for a > 2."""
    flow = conslaw.gradient_flow(conslaw.monomial([1] * variables), metric=f"z**{power}")
    assert count(flow) == variables - 1
    analysis = conslaw.analyze(flow, degree=max(2, abs(2 - power)) if power < 3 else 2 * (power - 2))
    x = sympy.IndexedBase("x")
    for law in analysis.laws:  # each is conserved: an identity, by SymPy
        assert sympy.simplify(sum(sympy.diff(law, x[i]) * x[i] ** (power - 1) for i in range(variables))) == 0
    if power <= 3:
        assert analysis.complete


def check_along_a_trajectory(flow, velocity, start, stop, tolerance=1e-25):
    """Laws are constant along an orbit integrated by Taylor series to 30 digits, with nothing of the search
    in it.
    """
    mpmath.mp.dps = 30
    [t0, t1], analysis = [mpmath.mpf(v) for v in stop], conslaw.analyze(flow)
    assert analysis.laws_found > 0
    end = mpmath.odefun(velocity, t0, start)(t1)
    names = [n for n in flow.state if n != "time"]
    symbols = [
        sympy.IndexedBase(n)[i] if i else sympy.Symbol(n) for n in names for i in np.ndindex(*flow.state[n])
    ]
    for law in analysis.laws:
        value = sympy.lambdify([T, *symbols], law, "mpmath")
        assert abs(value(t0, *start) - value(t1, *end)) < tolerance
        assert abs(value(t0, *start)) > 1e-3


def squared_loss_gradient(theta):
    """Gradient of |W2 W1 x - y|^2 / 2 at fixed data, for W1 (2, 2) and W2 (1, 2)."""
    x, y = mpmath.matrix([[1, 2], [-1, 3]]), mpmath.matrix([[2, -1]])
    w1, w2 = mpmath.matrix([theta[0:2], theta[2:4]]), mpmath.matrix([theta[4:6]])
    error = w2 * w1 * x - y
    return [*(w2.T * error * x.T), *(error * (w1 * x).T)]


START = [mpmath.mpf(n) / 7 for n in (3, -2, 1, 4, -5, 2)]


@pytest.mark.parametrize(
    ("damping", "tau"),
    [
        (0, lambda t: 0),
        ("1/2", lambda t: mpmath.mpf(0.5)),
        ("nesterov", lambda t: 3 / t),
        ("3/2/t", lambda t: mpmath.mpf(1.5) / t),
    ],
)
@pytest.mark.parametrize("decay", [0, 2])
def test_momentum_laws_along_trajectories(damping, tau, decay):
    def velocity(t, state):
        theta, v = state[:6], state[6:]
        forces = squared_loss_gradient(theta)
        return [*v, *(-tau(t) * a - g - decay * x for a, g, x in zip(v, forces, theta, strict=True))]

    flow = conslaw.momentum_flow(conslaw.linear([2, 2, 1]), damping=damping, weight_decay=decay)
    start = START + [mpmath.mpf(n) / 5 for n in (1, -1, 2, 3, 1, -2)]
    check_along_a_trajectory(flow, velocity, start, (1, 1.2))


def test_weight_decay_along_a_trajectory():
    flow = conslaw.gradient_flow(conslaw.linear([2, 2, 1]), weight_decay="1/3")
    third = mpmath.mpf(1) / 3

    def velocity(t, theta):
        return [-g - x / 3 for g, x in zip(squared_loss_gradient(theta), theta, strict=True)]

    assert third
    check_along_a_trajectory(flow, velocity, START, (0, 0.2))


def test_learning_rates_along_a_trajectory():
    flow = conslaw.gradient_flow(conslaw.linear([2, 2, 1]), metric={"W1": Fraction(1, 10)})
    check_along_a_trajectory(
        flow,
        lambda t, theta: [-g * (0.1 if i < 4 else 1) for i, g in enumerate(squared_loss_gradient(theta))],
        START,
        (0, 0.2),
        1e-14,
    )


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


def fields_by_sympy(model, damping, mirror):
    """Drift and controls of a momentum flow with constant damping, written out in SymPy from the potential's
    gradient.
    """
    flow = conslaw.gradient_flow(model, metric="euclidean")
    symbols = {
        n: np.array(sympy.symbols(f"{n}_:{int(np.prod(s))}"), dtype=object).reshape(s)
        for n, s in {**flow.state, **flow.data}.items()
    }
    theta = [s for n in flow.state for s in symbols[n].ravel()]
    v = [sympy.Symbol(f"{s}_v") for s in theta]
    data = [s for n in flow.data for s in symbols[n].ravel()]
    values = dict(
        zip(
            flow.fields[0],
            evaluate(list(flow.fields[0].values()), symbols, NumPyNumbers(sympy.Rational)),
            strict=True,
        )
    )
    gradient = [sympy.Poly(e, *data).as_dict() for n in flow.state for e in np.ravel(values[n])]
    keys = sorted({k for g in gradient for k in g})
    metric = [damping * x + w if mirror else 1 for x, w in zip(theta, v, strict=True)]
    s, time_rate = sympy.Symbol("s"), (damping * sympy.Symbol("s") if damping else 1)
    controls = [
        [0] * (1 + len(theta)) + [M * g.get(k, 0) for M, g in zip(metric, gradient, strict=True)]
        for k in keys
    ]
    return controls, [s, *theta, *v], [time_rate, *v, *(-damping * w for w in v)]


@pytest.mark.parametrize("mirror", [False, True])
@pytest.mark.parametrize("damping", [0, 1, 2])
@pytest.mark.parametrize(
    "model", [conslaw.linear([1, 2, 2]), conslaw.relu([2, 1, 1], bias=True)], ids=["linear", "relu"]
)
def test_raw_vector_fields_reach_what_builders_reach(model, damping, mirror):
    controls, variables, drift = fields_by_sympy(model, damping, mirror)
    raw = conslaw.analyze(
        conslaw.flow_from_fields(controls, variables, drift=drift),
        degree={"s": 1, tuple(map(str, variables[1:])): 2},
    )
    built = conslaw.analyze(
        conslaw.momentum_flow(model, damping=damping, metric="mirror" if mirror else "euclidean")
    )
    assert (raw.state_dimension, raw.laws_at_most, raw.laws_found) == (
        built.state_dimension,
        built.laws_at_most,
        built.laws_found,
    )


def test_from_sympy_reaches_what_models_reach():
    u = sympy.Matrix(2, 2, sympy.symbols("u:4"))
    v = sympy.Matrix(2, 2, sympy.symbols("v:4"))
    model = conslaw.from_sympy(u * v.T, [*u, *v], name="UV^T")
    for flow in (conslaw.gradient_flow, conslaw.momentum_flow):
        ours, theirs = (conslaw.analyze(flow(m)) for m in (model, conslaw.linear([2, 2, 2])))
        assert (ours.laws_at_most, ours.laws_found) == (theirs.laws_at_most, theirs.laws_found)
    x, y = sympy.symbols("x y")
    assert conslaw.analyze(conslaw.gradient_flow(conslaw.from_sympy(x**2 * y / 3, [x, y]))).laws == (
        x**2 - 2 * y**2,
    )


def test_natural_gradient_spans_the_same_fields():
    """M = (J^T G J)^+ maps W_phi onto itself (see the docs): here phi = (x y, y z), exactly, as a matrix of
    rational functions.
    """
    x, y, z = sympy.symbols("x y z", nonzero=True)
    phi = sympy.Matrix([x * y, y * z])
    jacobian = phi.jacobian([x, y, z])
    for gram in (sympy.eye(2), sympy.Matrix([[2, 1], [1, 3]])):
        inner = (jacobian * jacobian.T).inv()
        pseudo_inverse = (jacobian.T * inner * gram.inv() * inner * jacobian).applyfunc(sympy.cancel)
        natural = (jacobian.T * gram * jacobian).applyfunc(sympy.cancel)
        assert (natural * pseudo_inverse * natural - natural).applyfunc(sympy.cancel) == sympy.zeros(3)
        fields = (pseudo_inverse * jacobian.T).applyfunc(sympy.together)
        common = sympy.lcm_list([sympy.denom(e) for e in fields])
        columns = [list((fields[:, k] * common).applyfunc(sympy.cancel)) for k in range(2)]
        laws = conslaw.analyze(conslaw.flow_from_fields(columns, [x, y, z])).laws
        euclidean = conslaw.analyze(conslaw.gradient_flow(conslaw.from_sympy(list(phi), [x, y, z]))).laws
        assert [
            law.subs({sympy.Symbol("x"): x, sympy.Symbol("y"): y, sympy.Symbol("z"): z}) for law in laws
        ] == [
            law.subs({sympy.Symbol("x"): x, sympy.Symbol("y"): y, sympy.Symbol("z"): z}) for law in euclidean
        ]


def test_metrics_of_the_users_own():
    model = conslaw.linear([2, 1, 2])
    rational = conslaw.gradient_flow(model, metric=lambda z: {"W1": 1 / (1 + z.W1**2)})
    assert count(rational) == 0 or count(rational) == 1
    # a constant matrix on all parameters is a change of coordinates: the laws are as many
    matrix = np.array([[2, 1, 0, 0], [1, 2, 1, 0], [0, 1, 2, 1], [0, 0, 1, 2]])
    whole, block = (lambda z: matrix), (lambda z: {"W1": matrix[:2, :2], "W2": matrix[2:, 2:]})
    assert conslaw.count(conslaw.gradient_flow(model, metric=block)).laws_at_most == 1
    assert conslaw.count(conslaw.gradient_flow(model, metric=whole)).state_dimension == 4
    # the same metric said in three ways
    ways = [
        "mirror",
        {"W1": "mirror", "W2": "z"},
        lambda z: {"W1": z.W1, "W2": z.W2},
        lambda z: {"W2": z.W2, "W1": z.W1**2 / z.W1},
    ]
    laws = [
        conslaw.analyze(conslaw.gradient_flow(model, metric=metric)).polynomial_laws.strings()
        for metric in ways
    ]
    assert laws[0]
    assert all(other == laws[0] for other in laws)


def test_a_rational_metric_and_its_polynomial_multiple_agree():
    """Multiplying a field by a function changes no law: M / q and M for a common q."""
    model = conslaw.linear([1, 2, 2])

    def over_q(z):
        q = 1 + (z.W1**2).sum() + z.W2[0, 0] ** 2
        return {"W1": 1 / q, "W2": 1 / q}

    ours, plain = (
        conslaw.analyze(conslaw.gradient_flow(model, metric=over_q)),
        conslaw.analyze(conslaw.gradient_flow(model)),
    )
    assert (ours.laws_at_most, ours.laws) == (plain.laws_at_most, plain.laws)


@pytest.mark.parametrize("damping", [-1, "-1/2", 0.1, float("nan"), "fast", "x/t", 1j, sympy.sqrt(2), "1/0"])
def test_bad_damping(damping):
    with pytest.raises(conslaw.ConslawError, match="damping="):
        conslaw.momentum_flow(conslaw.linear([2, 2]), damping=damping)


BAD_METRICS = {
    "unknown parameter": ({"W3": "mirror"}, "no parameter 'W3'; the parameters are W1, W2"),
    "unknown word": ("hyperbolic", "'hyperbolic' is not a metric"),
    "negative": ({"W1": -1}, "must be positive"),
    "irrational": ({"W1": 0.3}, "not a metric"),
    "shape": (
        lambda z: {"W1": z.W2},
        "shape (2, 3); give of W1, its diagonal of shape (3, 2) or a matrix of shape (6, 6)",
    ),
    "whole": (lambda z: z.W1 @ z.W2, "of all parameters"),
    "unknown array": (lambda z: {"W1": z.Q}, "metric array 'Q'"),
    "type": (7, "metric=7"),
    "not rational": (lambda z: {"W1": np.exp(z.W1)}, "numpy.exp"),
}


@pytest.mark.parametrize("case", BAD_METRICS)
def test_bad_metrics(case):
    metric, message = BAD_METRICS[case]
    for flow in (conslaw.gradient_flow, conslaw.momentum_flow):
        with pytest.raises(conslaw.ConslawError) as error:
            flow(conslaw.linear([2, 3, 2]), metric=metric)
        assert message in str(error.value)


def test_singular_metrics():
    model = conslaw.linear([2, 1, 2])
    with pytest.raises(conslaw.ConslawError, match="singular at every point"):
        conslaw.count(conslaw.gradient_flow(model, metric=lambda z: {"W1": 0}))
    with pytest.raises(conslaw.ConslawError, match="singular at every point"):
        conslaw.count(conslaw.gradient_flow(model, metric=lambda z: {"W1": np.ones((2, 2), dtype=int)}))
    mirror = conslaw.gradient_flow(model, metric="mirror")
    with pytest.raises(
        conslaw.ConslawError, match="singular at this point: the metric is not invertible on W1"
    ):
        conslaw.count(mirror, point={"W1": [[0, 1]], "W2": [[1], [1]]})
    inverse = conslaw.gradient_flow(model, metric="z**-1")
    with pytest.raises(conslaw.ConslawError, match="divides by zero"):
        conslaw.count(inverse, point={"W1": [[0, 1]], "W2": [[1], [1]]})
    assert conslaw.count(inverse, point={"W1": [[5, 1]], "W2": [[1], [2]]}).laws_at_most >= 0


def test_names_that_the_flow_needs():
    for name in ("time", "U_dot"):
        model = conslaw.model(lambda p, c: p["U"] * p[name], parameters={"U": (), name: ()})  # noqa: B023
        with pytest.raises(conslaw.ConslawError, match=f"needs the name '{name}'"):
            conslaw.momentum_flow(model)


def test_bad_weight_decay_and_time_degree():
    with pytest.raises(conslaw.ConslawError, match="weight_decay=-1"):
        conslaw.gradient_flow(conslaw.linear([2, 2]), weight_decay=-1)
    with pytest.raises(conslaw.ConslawError, match="no time"):
        conslaw.analyze(conslaw.gradient_flow(conslaw.linear([2, 2])), time_degree=1)
    with pytest.raises(conslaw.ConslawError, match="time_degree=-1"):
        conslaw.analyze(conslaw.momentum_flow(conslaw.linear([2, 2])), time_degree=-1)


def test_bad_sympy_input():
    x, y = sympy.symbols("x y")
    bad = [
        (x * sympy.sin(x + y), "sin(x + y)"),
        (x / y, "1/y"),
        (sympy.sqrt(2) * x, "sqrt(2)"),
        (sympy.Symbol("z") * x, "z"),
        (x**y, "x**y"),
        ("x +", "x +"),
    ]
    for phi, culprit in bad:
        with pytest.raises(conslaw.ConslawError) as error:
            conslaw.from_sympy([x, phi], [x, y])
        assert "entry 1" in str(error.value)
        assert culprit in str(error.value)
    with pytest.raises(conslaw.ConslawError, match=r"fields\[1\] has 3 components for 2 variables"):
        conslaw.flow_from_fields([[x, y], [x, y, 1]], [x, y])
    with pytest.raises(conslaw.ConslawError, match="drift has 1 components"):
        conslaw.flow_from_fields([[x, y]], [x, y], drift=[1])
    with pytest.raises(conslaw.ConslawError, match="distinct SymPy symbols"):
        conslaw.from_sympy([x], [x, x])
    with pytest.raises(conslaw.ConslawError, match="at least one"):
        conslaw.flow_from_fields([], [x, y])
    assert conslaw.count(conslaw.flow_from_fields([], [x, y], drift=[y, -x])).laws_at_most == 1


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
    for name in ("lambda", "x y", "_dot"):
        with pytest.raises(conslaw.ConslawError, match=r"identifiers|not a usable"):
            conslaw.from_sympy(sympy.Symbol(name) * x, [x, sympy.Symbol(name)])
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
    with pytest.raises(conslaw.ConslawError, match=r"common denominator .* conslaw.count does without"):
        conslaw.analyze(conslaw.momentum_flow(conslaw.linear([3, 3, 3]), metric="z**-1", damping="1/2"))
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
    analysis = conslaw.analyze(conslaw.gradient_flow(conslaw.nmf(1, 2, 1)), max_unknowns=20)
    assert (analysis.laws_found, analysis.laws_at_most) == (2, 3)


def test_an_array_of_expressions_is_an_array():
    model = conslaw.linear([1, 1, 1])
    matrix = conslaw.gradient_flow(model, metric=lambda z: np.array([[z.W1[0, 0], 0], [0, z.W2[0, 0]]]))
    assert conslaw.analyze(matrix).laws == conslaw.analyze(conslaw.gradient_flow(model, metric="mirror")).laws

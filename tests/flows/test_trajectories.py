"""The laws themselves: in the variables of the user, and constant along trajectories."""

from fractions import Fraction

import mpmath
import numpy as np
import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st

import conslaw

DAMPINGS = st.sampled_from([0, Fraction(1, 2), 1, 2, "nesterov", "5/t", "3/2/t"])


def count(flow):
    return conslaw.count(flow).laws_at_most


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
    analysis = conslaw.analyze(conslaw.gradient_flow(conslaw.nmf([1, 2, 1])))
    assert (analysis.laws_at_most, analysis.laws_found, analysis.complete) == (3, 3, True)
    u, v = sympy.IndexedBase("U"), sympy.IndexedBase("V")
    known = sum(
        sign * (sympy.log(u[0, k]) - sympy.log(v[k, 0])) * (u[0, j] - v[j, 0])
        for k, j, sign in ((0, 1, 1), (1, 0, -1))
    )
    assert 0 in (sympy.expand(analysis.laws[-1] - known), sympy.expand(analysis.laws[-1] + known))
    wider = conslaw.analyze(conslaw.gradient_flow(conslaw.nmf([1, 4, 1])))
    assert (wider.laws_found, wider.complete) == (7, True)


def test_rational_laws():
    radial = conslaw.model(lambda p, c: (p.x**2 + p.y**2) / 2, parameters={"x": (), "y": ()})
    analysis = conslaw.analyze(conslaw.gradient_flow(radial))
    x, y = sympy.symbols("x y")
    assert analysis.complete
    assert analysis.laws in ((x / y,), (y / x,))
    for n, r in ((1, 2), (1, 4), (2, 3)):
        analysis = conslaw.analyze(conslaw.gradient_flow(conslaw.pca([n, r])))
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

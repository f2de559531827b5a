"""Flows from SymPy and raw fields, metrics of one's own, and bad input."""

from fractions import Fraction

import numpy as np
import pytest
import sympy
from hypothesis import strategies as st

import conslaw
from conslaw.algebra.evaluation import NumPyNumbers, evaluate

DAMPINGS = st.sampled_from([0, Fraction(1, 2), 1, 2, "nesterov", "5/t", "3/2/t"])


def count(flow):
    return conslaw.count(flow).laws_at_most


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


@pytest.mark.parametrize(
    "damping", [-1, "-1/2", True, "1_0", float("nan"), "fast", "x/t", 1j, sympy.sqrt(2), "1/0"]
)
def test_bad_damping(damping):
    with pytest.raises(conslaw.ConslawError, match="damping="):
        conslaw.momentum_flow(conslaw.linear([2, 2]), damping=damping)


BAD_METRICS = {
    "unknown parameter": ({"W3": "mirror"}, "no parameter 'W3'; the parameters are W1, W2"),
    "unknown word": ("hyperbolic", "'hyperbolic' is not a metric"),
    "negative": ({"W1": -1}, "must be positive"),
    "infinite": ({"W1": float("inf")}, "not a metric"),
    "shape": (
        lambda z: {"W1": z.W2},
        "shape (2, 3); give of W1, its diagonal of shape (3, 2) or a matrix of shape (6, 6)",
    ),
    "whole": (lambda z: z.W1 @ z.W2, "of all parameters"),
    "unknown array": (lambda z: {"W1": z.Q}, "metric array 'Q'"),
    "type": (1j, "metric=1j"),
    "negative rate": (-7, "must be positive"),
    "not rational": (lambda z: {"W1": np.exp(z.W1)}, "numpy.exp"),
}


@pytest.mark.parametrize("case", BAD_METRICS)
def test_bad_metrics(case):
    metric, message = BAD_METRICS[case]
    for flow in (conslaw.gradient_flow, conslaw.momentum_flow):
        with pytest.raises(conslaw.ConslawError) as error:
            flow(conslaw.linear([2, 3, 2]), metric=metric)
        assert message in str(error.value)


@pytest.mark.parametrize(
    "optimizer",
    ["adam", "AdamW", "sign", "SignSGD", "sign-sgd", "rmsprop", "torch.optim.Adam", {"W1": "lion"}],
)
def test_optimizers_are_no_metrics(optimizer):
    for flow in (conslaw.gradient_flow, conslaw.momentum_flow):
        with pytest.raises(conslaw.ConslawError, match="not the flow of a metric"):
            flow(conslaw.linear([2, 3, 2]), metric=optimizer)


def test_classes_of_optimizers_are_no_metrics_but_functions_of_such_names_may_be():
    class Adam:
        pass

    def sign(z):
        return {"W1": z.W1**2}

    for given in (Adam, Adam()):
        with pytest.raises(conslaw.ConslawError, match="metric='Adam': not the flow of a metric"):
            conslaw.gradient_flow(conslaw.linear([2, 3, 2]), metric=given)
    assert conslaw.gradient_flow(conslaw.linear([2, 3, 2]), metric=sign).metric == "sign"


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

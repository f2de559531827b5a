"""What discrete steps do to laws, in exact fractions; flows against other integrators; bad input."""

import json
import pickle
from fractions import Fraction
from itertools import pairwise
from math import isqrt

import numpy as np
import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st

import conslaw
from conslaw import nn
from conslaw.training.kinks import frozen, pieces_of

SMALL = st.integers(-3, 3)


def problem(seed, widths, samples=3):
    """Integers for data, targets and weights."""
    rng = np.random.default_rng(seed)
    data = {"x": rng.integers(-3, 4, (samples, widths[0]))}
    weights = {f"W{i}": rng.integers(-3, 4, (b, a)) for i, (a, b) in enumerate(pairwise(widths), 1)}
    return {"data": data, "targets": rng.integers(-3, 4, (samples, widths[-1])), "start": weights}


def drift_of(model, **options):
    return conslaw.simulate(model, precision="exact", step="1/30", steps=3, **options)


METHODS = {
    "gradient descent": {"method": "gd"},
    "with weight decay": {"method": "gd", "weight_decay": "1/7"},
    "heavy ball": {"method": "heavy_ball", "momentum": "1/2"},
    "heavy ball with decay": {"method": "heavy_ball", "momentum": "2/3", "weight_decay": "1/5"},
    "Nesterov": {"method": "nesterov", "momentum": "1/2"},
    "Nesterov with decay": {"method": "nesterov", "momentum": "2/3", "weight_decay": "1/5"},
    "rates": {"method": "heavy_ball", "metric": {"W1": "1/3"}, "weight_decay": "1/9"},
}


@pytest.mark.parametrize("method", METHODS)
@given(seed=st.integers(0, 10**6))
def test_the_prediction_is_exact(method, seed):
    rng = np.random.default_rng(seed)
    widths = [int(n) for n in rng.integers(2, 4, 3)]
    drift = drift_of(conslaw.linear(widths), **problem(seed, widths), **METHODS[method])
    assert [law.error for law in drift.laws] == [0]
    assert drift.worst > 0 or not any(drift.end[n].any() for n in drift.end)


@pytest.mark.parametrize("method", [m for m in METHODS if m != "rates"])
def test_the_prediction_is_exact_for_relu_whatever_its_gates_do(method):
    rng = np.random.default_rng(1)
    model = conslaw.relu([2, 5, 3, 2], bias=True)
    given = problem(1, [2, 5, 3, 2], samples=4)
    given["start"] |= {"b1": rng.integers(-2, 3, 5), "b2": rng.integers(-2, 3, 3)}
    given["targets"] = 0 * given["targets"]  # small steps: fractions stay short
    drift = conslaw.simulate(
        model, precision="exact", step="1/500", steps=2, states=True, **given, **METHODS[method]
    )
    assert [law.error for law in drift.laws] == [0, 0]
    assert drift.worst > 0


def by_hand(given, steps, eta, beta=Fraction(0), decay=Fraction(0), nesterov=False):
    """W2 W1 x with half the mean squared error, as torch.optim.SGD has it."""
    fractions = np.vectorize(Fraction, otypes=[object])
    x, y = fractions(given["data"]["x"]), fractions(given["targets"])
    theta = [fractions(given["start"][n]) for n in ("W1", "W2")]
    v = [0 * w for w in theta]
    for _ in range(steps):
        h = x @ theta[0].T
        error = (h @ theta[1].T - y) / len(x)
        g = [(error @ theta[1]).T @ x, error.T @ h]
        g = [a + decay * w for a, w in zip(g, theta, strict=True)]
        v = [beta * a + b for a, b in zip(v, g, strict=True)]
        u = [a + beta * b for a, b in zip(g, v, strict=True)] if nesterov else v
        theta = [w - eta * a for w, a in zip(theta, u, strict=True)]
    return theta


@pytest.mark.parametrize("method", ["gd", "heavy_ball", "nesterov"])
def test_methods_are_those_written_by_hand(method):
    given, beta = problem(3, [2, 3, 2]), 0 if method == "gd" else Fraction(1, 2)
    options = {} if method == "gd" else {"momentum": "1/2"}
    drift = drift_of(conslaw.linear([2, 3, 2]), method=method, weight_decay="1/7", **given, **options)
    W1, W2 = by_hand(given, 3, Fraction(1, 30), beta, Fraction(1, 7), method == "nesterov")
    assert (drift.end["W1"] == W1).all()
    assert (drift.end["W2"] == W2).all()
    [law] = drift.laws
    gram = W1 @ W1.T - W2.T @ W2
    assert law.values[-1].tolist() == [gram[i, j] for i in range(3) for j in range(i, 3)]


def test_gradient_descent_changes_a_law_by_its_value_at_the_gradients():
    """h(theta - eta g) - h(theta) = eta^2 h(g); with decay (1 - eta lambda)^2 h + eta^2 h(g)."""
    given, eta, decay = problem(5, [2, 2, 2]), Fraction(1, 30), Fraction(1, 7)
    start = [given["start"][n] for n in ("W1", "W2")]
    gram = lambda a, b: a @ a.T - b.T @ b  # noqa: E731
    for rate in (0, decay):
        after, plain = by_hand(given, 1, eta, decay=rate), by_hand(given, 1, eta)
        g = [(a - b) / eta for a, b in zip(start, plain, strict=True)]
        assert (gram(*after) == (1 - eta * rate) ** 2 * gram(*start) + eta**2 * gram(*g)).all()


@pytest.mark.parametrize(("damping", "step"), [("1/2", "1/16"), (2, "1/25"), (0, "1/9")])
def test_heavy_ball_multiplies_the_skew_law_by_its_momentum(damping, step):
    flow = conslaw.momentum_flow(conslaw.linear([2, 2, 2]), damping=damping)
    given = problem(7, [2, 2, 2])
    given["start"] |= {"W1_dot": [[1, 2], [0, 1]], "W2_dot": [[2, 0], [-1, 1]]}
    for method in ("heavy_ball", "nesterov"):
        drift = conslaw.simulate(flow, precision="exact", method=method, step=step, steps=3, **given)
        [law] = drift.laws
        assert law.error == 0
        beta = 1 - Fraction(damping) * Fraction(1, isqrt(Fraction(step).denominator))
        multiplied = [law.values[0, 0] * beta**k for k in range(4)]
        assert (law.values[:, 0].tolist() == multiplied) == (method == "heavy_ball")
    rest = conslaw.simulate(
        flow, precision="exact", method="heavy_ball", step=step, steps=3, **problem(7, [2, 2, 2])
    )
    assert not rest.laws[0].values.any()


def test_mirror_steps_keep_the_laws_of_nmf_and_momentum_does_not():
    given = {
        "data": {"x": np.eye(3, dtype=int)},
        "targets": [[2, 1], [0, 3], [1, 1]],
        "start": {"U": [[1, 2], [3, 1]], "V": [[1, 2, 1], [2, 1, 1]]},
    }
    drift = drift_of(conslaw.nmf([2, 2, 3]), method="mirror", **given)
    assert len(set(map(tuple, drift.laws[0].values.tolist()))) == 1
    moved = drift_of(conslaw.nmf([2, 2, 3]), method="mirror", momentum="1/2", **given)
    assert moved.laws[0].predicted is None
    assert moved.worst > 0


def test_exponentiated_steps_do_not_keep_them():
    """theta exp(-eta g) instead of theta - eta theta g."""
    rng = np.random.default_rng(0)
    U, V, A = rng.uniform(1, 2, (3, 2)), rng.uniform(1, 2, (2, 3)), rng.uniform(0, 2, (3, 3))
    gU, gV = (U @ V - A) @ V.T, U.T @ (U @ V - A)
    law = lambda U, V: U.sum(0) - V.sum(1)  # noqa: E731
    assert abs(law(U - 0.1 * U * gU, V - 0.1 * V * gV) - law(U, V)).max() < 1e-14
    assert abs(law(U * np.exp(-0.1 * gU), V * np.exp(-0.1 * gV)) - law(U, V)).max() > 1e-3


def test_linear_laws_are_exact_from_rest():
    """Cross-entropy of a linear head: its column sums, under any momentum."""
    model = conslaw.linear([2, 3])
    flow = conslaw.gradient_flow(model, loss="cross_entropy")
    sums = conslaw.analyze(flow)
    assert sums.complete
    rng = np.random.default_rng(0)
    drift = conslaw.simulate(
        model, data={"x": rng.normal(size=(5, 2))}, targets=[0, 1, 2, 0, 1], loss="cross_entropy",
        method="nesterov", step=0.1, steps=20, states=True,
    )  # fmt: skip
    totals = drift.states["W1"].sum(axis=1)
    assert abs(totals - totals[0]).max() < 1e-14


FLOWS = {
    "gradient": lambda m: conslaw.gradient_flow(m),
    "weight decay": lambda m: conslaw.gradient_flow(m, weight_decay=1),
    "rates": lambda m: conslaw.gradient_flow(m, metric={"W1": "1/2"}),
    "damped": lambda m: conslaw.momentum_flow(m, damping="1/2"),
    "Nesterov": lambda m: conslaw.momentum_flow(m, damping="nesterov", weight_decay=1),
}


@pytest.mark.parametrize(
    ("kind", "precision"), [*((k, None) for k in FLOWS), ("weight decay", 25), ("damped", 25)]
)
def test_laws_are_constant_along_flows(kind, precision):
    flow, given = FLOWS[kind](conslaw.linear([2, 2, 1])), problem(9, [2, 2, 1])
    if flow.name == "momentum":
        given["start"]["W1_dot"] = [[1, 2], [0, 1]]
    steps = 2 if precision else 20
    drift = conslaw.simulate(flow, step="1/20", steps=steps, precision=precision, **given)
    assert drift.laws
    assert not drift.stopped
    assert max(law.error for law in drift.laws) < (1e-22 if precision else 1e-10)
    assert any(abs(drift.end[n] - given["start"][n]).max() > 1e-3 for n in ("W1", "W2"))


def test_logarithmic_laws_are_constant_along_their_flow():
    flow = conslaw.gradient_flow(conslaw.nmf([1, 2, 1]))
    start = {"U": [[1, 2]], "V": [[3], [1.5]]}
    drift = conslaw.simulate(flow, data={"x": [[1]]}, targets=[[2]], start=start, step=0.05, steps=10)
    assert "log" in "".join(drift.laws[-1].labels)
    assert drift.worst < 1e-9


def with_kinks(seed):
    rng = np.random.default_rng(seed)
    given = {"data": {"x": rng.normal(size=(6, 2))}, "targets": 2 * rng.normal(size=(6, 1))}
    start = {"W1": rng.normal(size=(4, 2)), "b1": rng.normal(size=4) / 2, "W2": rng.normal(size=(1, 4))}
    return {**given, "start": start}


@pytest.mark.parametrize("seed", [5])
def test_kinks_are_met_and_passed(seed):
    """Gates change on the way; the end is what small steps of gradient descent tend to, at first order."""
    given, model = with_kinks(seed), conslaw.relu([2, 4, 1], bias=True)
    drift = conslaw.simulate(model, step=0.3, steps=5, states=True, **given)
    assert not drift.stopped
    before = np.einsum("tij,nj->tni", drift.states["W1"], given["data"]["x"]) + drift.states["b1"][:, None]
    assert ((before > 0) != (before[0] > 0)).any()
    assert drift.worst < 1e-9
    gaps = []
    for steps in (400, 800):
        small = conslaw.simulate(
            model, method="gd", step=Fraction(3, 2 * steps), steps=steps, every=steps, **given
        )
        gaps.append(max(abs(small.end[n] - drift.end[n]).max() for n in small.end))
    assert gaps[1] < 0.7 * gaps[0] < 0.05


BY_RELU = {
    "relu": (nn.relu, nn.relu),
    "leaky_relu": (
        lambda z: nn.leaky_relu(z, 0.25),
        lambda z: Fraction(3, 4) * nn.relu(z) + Fraction(1, 4) * z,
    ),
    "abs": (nn.abs, lambda z: nn.relu(z) + nn.relu(-z)),
    "hardtanh": (nn.hardtanh, lambda z: nn.relu(z + 1) - nn.relu(z - 1) - 1),
}


@pytest.mark.parametrize("kind", BY_RELU)
def test_kinks_of_other_functions_are_met_as_those_of_relu(kind):
    """The same network written with ReLU, whose family has gates of its own."""
    given, ends = with_kinks(5), []
    for function in BY_RELU[kind]:
        model = conslaw.model(
            lambda p, c, own=function: c.v @ (p.W2 @ own(p.W1 @ c.x + p.b1)),
            parameters={n: x.shape for n, x in given["start"].items()},
            data={"x": (2,), "v": (1,)},
        )
        drift = conslaw.simulate(model, step=0.1, steps=6, states=True, **given)
        assert not drift.stopped
        ends.append(drift.end)
    if kind == "relu":
        ends.append(conslaw.simulate(conslaw.relu([2, 4, 1], bias=True), step=0.1, steps=6, **given).end)
        z = np.einsum("tij,nj->tni", drift.states["W1"], given["data"]["x"]) + drift.states["b1"][:, None]
        assert ((z > 0) != (z[0] > 0)).any()
    for end in ends[1:]:
        assert all(abs(end[n] - x).max() < 1e-9 for n, x in ends[0].items())


def test_between_kinks_a_function_is_one_polynomial():
    """Far beyond a break it goes on as before it."""
    model = conslaw.model(
        lambda p, c: c.v @ (p.A @ nn.hardswish(p.B @ c.x)),
        parameters={"A": (1, 1), "B": (1, 1)},
        data={"x": (1,), "v": (1,)},
    )
    [(reading, pieces)] = pieces_of(model)
    assert [float(b) for b in pieces.breaks] == [-3, 3]
    for low, high, value, slope in ((0, 0, 0, 0), (1, 0, 100 * 103 / 6, 203 / 6), (1, 1, 100, 1)):
        sides = {f"{reading.data[0]} {i}": np.array([x]) for i, x in enumerate((low, high))}
        values, slopes = frozen(model, sides)[reading.data[0]]
        assert values(np.array([100.0]))[0] == pytest.approx([value])
        assert slopes(np.array([100.0]), np.array([1.0]))[0] == pytest.approx([slope])


def test_kinks_are_seen_at_any_precision():
    model = conslaw.model(
        lambda p, c: c.v @ (p.A @ nn.leaky_relu(p.B @ c.x)),
        parameters={"A": (1, 1), "B": (1, 1)},
        data={"x": (1,), "v": (1,)},
    )
    start = {"A": [[1]], "B": [[Fraction(1, 2)]]}
    given = {"data": {"x": [[1]]}, "targets": [[-3]], "start": start}
    drift = conslaw.simulate(model, step=1, steps=2, precision=20, **given)
    assert "a kink lies before" in drift.stopped


def test_a_flow_that_slides_along_a_kink_stops_and_says_so():
    drift = conslaw.simulate(conslaw.relu([2, 4, 1], bias=True), step=0.1, steps=15, **with_kinks(4))
    assert "slides along a kink" in drift.stopped
    assert 1 < len(drift.steps) < 15
    assert drift.worst < 1e-9


def test_a_run_that_overflows_keeps_what_was_recorded():
    drift = conslaw.simulate(
        conslaw.linear([2, 2, 2]), method="gd", step=100, steps=60, **problem(1, [2, 2, 2])
    )
    assert "overflow at step" in drift.stopped
    assert 1 < len(drift.steps) < 60
    assert np.isfinite(np.asarray(drift.end["W1"], float)).all()
    assert "overflow" in str(drift)


def test_a_flow_that_blows_up_stops():
    flow = conslaw.gradient_flow(conslaw.linear([1, 1, 1]))
    drift = conslaw.simulate(
        flow, data={"x": [[1]]}, loss=lambda out, _: -(out**3), start={"W1": [[1]], "W2": [[1]]},
        step="1/2", steps=5,
    )  # fmt: skip
    assert "could not be followed" in drift.stopped or "not enough" in drift.stopped
    assert len(drift.steps) == 1


def test_a_drift_goes_to_json_and_back_and_is_shown():
    drift = drift_of(conslaw.linear([2, 2, 1]), method="gd", **problem(2, [2, 2, 1]))
    again = conslaw.training.Drift.from_json(json.loads(json.dumps(drift.to_json())))
    assert str(again) == str(drift)
    assert "W1 W1ᵀ − W2ᵀ W2" in repr(drift)
    assert drift["W1 W1ᵀ"] is drift.laws[0]
    assert pickle.loads(pickle.dumps(drift)).worst == drift.worst
    with pytest.raises(conslaw.ConslawError, match="no law"):
        drift["W7"]


def test_given_data_are_simulated_as_the_network_on_them():
    X, Y, start = [[1, 2], [0, 1]], [[1, 0], [2, 1]], problem(4, [2, 2, 2])["start"]
    net = conslaw.linear([2, 2, 2])
    one = conslaw.simulate(
        conslaw.gradient_flow(net, data={"x": X}), targets=Y, start=start, steps=5, step=0.05
    )
    assert len(one.laws) >= 1
    assert one.worst < 1e-10


X = sympy.Symbol("x")
GIVEN = problem(1, [2, 2, 2])
NET = conslaw.linear([2, 2, 2])
MOMENTUM = conslaw.momentum_flow(NET, damping=1)
ARRAYS = {"parameters": {"W": (2, 2)}, "data": {"x": (2,), "v": (2,)}}
BAD = {
    "method": (NET, {"method": "adam"}, "one of flow"),
    "subject": ("linear", {}, "give a model"),
    "a flow of no model": (conslaw.flow_from_fields([[X]], [X]), {}, "give a model"),
    "steps": (NET, {"steps": 0}, "positive integer"),
    "step": (NET, {"step": -1}, "positive number"),
    "data": (NET, {"data": {"x": [[1, 2, 3]]}}, "a row per sample"),
    "no data": (NET, {"data": None}, "needs x"),
    "no such data": (NET, {"data": {"z": [[1]]}}, "no input 'z'"),
    "no targets": (NET, {"targets": None}, "needs targets"),
    "targets": (NET, {"targets": [[1, 2]]}, "must be"),
    "ragged targets": (NET, {"targets": [[1], [1, 2]]}, "^targets: "),
    "ragged loss": (NET, {"loss": lambda outputs, _: [[1], [1, 2]]}, "^loss: "),
    "classes": (NET, {"loss": "cross_entropy", "targets": [0, 1, 5]}, "of 2 outputs"),
    "loss": (NET, {"loss": "hinge"}, "function"),
    "a loss of another shape": (NET, {"loss": lambda out, y: 1.0}, "shape"),
    "start": (NET, {"start": {"W1": np.eye(2)}}, "W2 is missing"),
    "start of another shape": (NET, {"start": {"W1": np.eye(3), "W2": np.eye(2)}}, "must be"),
    "start of another name": (NET, {"start": {"U": 1}}, "no parameter 'U'"),
    "complex": (NET, {"start": {"W1": np.eye(2) * 1j, "W2": np.eye(2)}}, "complex"),
    "half": (NET, {"start": {"W1": np.eye(2, dtype="f2"), "W2": np.eye(2)}}, "float16"),
    "NaN": (NET, {"start": {"W1": np.eye(2) * np.nan, "W2": np.eye(2)}}, "NaN"),
    "text": (NET, {"start": {"W1": [["a", "b"]] * 2, "W2": np.eye(2)}}, "holds"),
    "momentum of gd": (NET, {"method": "gd", "momentum": 0.9}, "has none"),
    "momentum of 1": (NET, {"method": "heavy_ball", "momentum": 1}, "less than 1"),
    "gd of a momentum flow": (MOMENTUM, {"method": "gd"}, "does not discretise"),
    "heavy ball of a gradient flow": (
        conslaw.gradient_flow(NET),
        {"method": "heavy_ball"},
        "does not discretise",
    ),
    "momentum beside damping": (MOMENTUM, {"method": "heavy_ball", "momentum": 0.5}, "leave momentum out"),
    "steps too long for the damping": (MOMENTUM, {"method": "heavy_ball", "step": 4}, "at least 0"),
    "c/t": (conslaw.momentum_flow(NET, damping="nesterov"), {"method": "nesterov"}, "not"),
    "metric of a flow": (MOMENTUM, {"metric": "mirror"}, "leave them out"),
    "gd in a mirror metric": (NET, {"method": "gd", "metric": "mirror"}, "method='mirror'"),
    "an exact flow": (NET, {"precision": "exact"}, "digits"),
    "precision": (NET, {"precision": 3}, "digits"),
    "exact cross-entropy": (
        NET,
        {"precision": "exact", "loss": "cross_entropy", "method": "gd"},
        "not rational",
    ),
    "another analysis": (
        NET,
        {"analysis": conslaw.analyze(conslaw.linear([2, 1, 2]))},
        "not that of this flow",
    ),
    "a norm whose gradient is that of no potential": (
        conslaw.model(lambda p, c: c.v @ conslaw.nn.rms_norm(p.W @ c.x, eps=0), **ARRAYS),
        {},
        "positive eps",
    ),
    "outputs of no name": (conslaw.monomial([1, 2]), {"data": None}, "'v'"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input(case):
    subject, options, message = BAD[case]
    with pytest.raises(conslaw.ConslawError, match=message):
        conslaw.simulate(subject, **{**GIVEN, **options})


@pytest.mark.parametrize("method", ["gd", "flow"])
def test_what_was_recorded_is_not_lost_by_an_interruption(method):
    calls, last = [], 300 if method == "gd" else 3000

    def loss(outputs, targets):
        calls.append(1)
        if len(calls) == last:
            raise KeyboardInterrupt
        return outputs - targets

    with pytest.raises(KeyboardInterrupt) as stop:
        conslaw.simulate(
            NET, method=method, step=1e-4, steps=10_000, **{**GIVEN, "loss": loss, "targets": 0.0}
        )
    drift = stop.value.answer
    assert 2 <= len(drift.steps) <= 300
    assert "interrupted after" in str(drift)
    assert len(drift.laws[0].values) == len(drift.steps)

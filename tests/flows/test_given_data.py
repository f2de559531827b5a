"""Data that are given: the span is the sum over the samples, and the laws of a fixed data set."""

import pickle
from fractions import Fraction

import numpy as np
import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st

import conslaw
from conslaw import regions
from conslaw.attained.gradients import RealNetwork
from conslaw.models.networks import nn_relu
from conslaw.models.real_data import is_gate


def count(flow):
    return conslaw.count(flow).laws_at_most


def linear_laws(n, r):
    """Laws of a linear network of r hidden units, n inputs and outputs together, (1, 1) excepted."""
    rho = min(n, r)
    return rho * (2 * r + 1 - rho) // 2


def classes(gates):
    """How many units there are of each pattern on all rows, and how many are always off."""
    units = [tuple(column) for column in np.asarray(gates).T.tolist()]
    off = sum(not any(unit) for unit in units)
    return [units.count(unit) for unit in dict.fromkeys(units) if any(unit)], off


def laws_of_classes(gates, d, m):
    sizes, off = classes(gates)
    return sum(linear_laws(d + m, c) for c in sizes) + off * (d + m)


def spanning(rng, d):
    while True:
        rows = rng.integers(-5, 6, (d, d))
        if sympy.Matrix(rows.tolist()).det():
            return rows


@pytest.mark.parametrize("seed", range(12))
def test_two_layer_relu_conserves_the_gram_matrices_of_its_classes(seed):
    rng = np.random.default_rng(seed)
    d, m, h, patterns = (int(rng.integers(*between)) for between in ((1, 4), (1, 4), (2, 7), (1, 4)))
    m += (d, m) == (1, 1)
    rows = rng.integers(0, 2, (patterns, h))
    gates = np.repeat(rows, d, axis=0)
    inputs = np.concatenate([spanning(rng, d) for _ in rows])
    flow = conslaw.gradient_flow(conslaw.relu([d, h, m]), data={"x": inputs}, patterns={"g1": gates})
    analysis = conslaw.analyze(flow)
    assert analysis.complete
    assert analysis.laws_found == laws_of_classes(rows, d, m)
    assert conslaw.verify(analysis.certificate()).ok


@pytest.mark.parametrize("seed", range(9))
@pytest.mark.parametrize("bias", [False, True])
def test_the_same_at_real_weights_and_inputs(seed, bias):
    """Patterns as they occur, of floats; only data of patterns that span the inputs are kept."""
    rng = np.random.default_rng(seed)
    d, m, h = 2, 2, int(rng.integers(2, 6))
    weights = {"W1": rng.normal(size=(h, d)), "W2": rng.normal(size=(m, h))}
    shift = rng.normal(size=h) if bias else np.zeros(h)
    X = rng.normal(size=(40, d))
    on = X @ weights["W1"].T + shift > 0
    kinds = [tuple(row) for row in on.tolist()]
    kept = np.array([kinds.count(kind) > d for kind in kinds])
    weights |= {"b1": shift} if bias else {}
    net = conslaw.relu([d, h, m], bias=bias)
    flow = conslaw.gradient_flow(net, data={"x": X[kept]}, patterns=weights)
    assert count(flow) == laws_of_classes(on[kept], d + bias, m)
    rows = {"g1": on[kept], **({"gamma1": np.ones((kept.sum(), h))} if bias else {})}
    assert flow == conslaw.gradient_flow(net, data={"x": X[kept]}, patterns=rows)


def test_a_unit_at_its_kink_is_off():
    weights = {"W1": [[0.1, 0.2, -0.3]], "W2": [[1]]}  # 0.1 + 0.2 - 0.3 is positive as rationals
    net = conslaw.relu([3, 1, 1])
    exact = Fraction(0.1) + Fraction(0.2) - Fraction(0.3)
    for x, on in (
        ([[1, 1, 1]], exact > 0),
        ([[0, 3, 2]], 3 * Fraction(0.2) > 2 * Fraction(0.3)),
        ([[0] * 3], 0),
    ):
        flow = conslaw.gradient_flow(net, data={"x": x}, patterns=weights)
        assert flow == conslaw.gradient_flow(net, data={"x": x}, patterns={"g1": [[int(on)]]})


@given(st.integers(0, 10**6))
def test_the_span_is_the_sum_over_the_samples(seed):
    """Against the gradients of (a_o, x_n) -> a_o W2 (g_n * W1 x_n), written out by hand."""
    rng = np.random.default_rng(seed)
    d, h, m, samples = (int(rng.integers(1, 4)) for _ in range(4))
    X, G = rng.integers(-3, 4, (samples, d)), rng.integers(0, 2, (samples, h))
    W1, W2 = rng.integers(-9, 10, (h, d)), rng.integers(-9, 10, (m, h))
    rows = []
    for x, g in zip(X, G, strict=True):
        for o in range(m):
            by_output = np.zeros((m, h), dtype=int)
            by_output[o] = g * (W1 @ x)
            rows.append([*np.outer(g * W2[o], x).ravel(), *by_output.ravel()])
    flow = conslaw.gradient_flow(conslaw.relu([d, h, m]), data={"x": X}, patterns={"g1": G})
    ranks = conslaw.lie_ranks(flow, point={"W1": W1, "W2": W2}).ranks
    assert ranks[0] == sympy.Matrix(rows).rank()


@given(st.integers(0, 10**6), st.sampled_from(["linear", "polynomial", "relu"]))
def test_more_data_never_have_more_laws_and_enough_have_those_of_all(seed, family):
    rng = np.random.default_rng(seed)
    widths = [int(n) for n in rng.integers(2, 4, 3)]
    net = getattr(conslaw.networks, family)(widths)
    X = rng.integers(-9, 10, (12, widths[0]))
    found = [count(conslaw.gradient_flow(net, data={"x": X[:n]})) for n in (1, 2, 12)]
    assert found[0] >= found[1] >= found[2] == count(net)


def test_equal_rows_and_their_order_do_not_matter():
    net, X = conslaw.linear([3, 2, 2]), np.array([[1, 2, 0], [0, 1, 0.5]])
    flow = conslaw.gradient_flow(net, data={"x": X})
    assert flow == conslaw.gradient_flow(net, data={"x": np.concatenate([X, X])})
    assert count(flow) == count(conslaw.gradient_flow(net, data={"x": X[::-1]}))


@pytest.mark.parametrize("make", [conslaw.gradient_flow, conslaw.momentum_flow])
def test_a_flow_on_given_data_is_a_value(make):
    def made():
        return make(conslaw.linear([2, 2, 2]), data={"x": [[0.1, 1], [1, 1]]}, weight_decay=1)

    flow = made()
    assert flow == made() == pickle.loads(pickle.dumps(flow))
    assert hash(flow) == hash(made())
    analysis = conslaw.analyze(flow)
    assert analysis.complete
    assert conslaw.verify(analysis.certificate()).ok


def test_a_scalar_network_has_the_derivative_of_the_loss_at_each_sample():
    """f = a (W x) has no output vector; on x and 2x it is what it is on x, on a basis all is free."""
    net = conslaw.model(lambda p, c: p.a * (p.W @ c.x), parameters={"a": (), "W": (2,)}, data={"x": (2,)})
    assert count(conslaw.gradient_flow(net, data={"x": [[1, 0], [2, 0]]})) == 2
    assert count(conslaw.gradient_flow(net, data={"x": [[1, 0], [1, 1]]})) == 1 == count(net)


@pytest.mark.parametrize("widths", [[2, 3], [3, 2, 3], [2, 3, 2, 4]])
def test_cross_entropy_conserves_the_column_sums_of_the_head(widths):
    net = conslaw.linear(widths)
    assert count(conslaw.gradient_flow(net, loss="cross_entropy")) == count(net) + widths[-2]
    X = np.concatenate([np.eye(widths[0], dtype=int), np.ones((2, widths[0]), dtype=int)])
    assert count(conslaw.gradient_flow(net, data={"x": X}, loss="cross_entropy")) == count(net) + widths[-2]


NET = conslaw.relu([3, 2, 2], bias=True)
W = {"W1": np.ones((2, 3)), "W2": np.ones((2, 2)), "b1": np.ones(2)}
BAD = {
    "another width": ({"data": {"x": np.ones((2, 2))}}, r"\(2, 2\).*\('N', 3\)"),
    "one row without its axis": ({"data": {"x": np.ones(3)}}, "a row of shape"),
    "no row": ({"data": {"x": np.ones((0, 3))}}, "a row of shape"),
    "ragged": ({"data": {"x": [[1, 2, 3], [1]]}}, "a row of shape"),
    "no array": ({"data": {"y": np.ones((2, 3))}}, "the data arrays are x"),
    "a parameter": ({"data": {"W1": np.ones((2, 2, 3))}}, "no data array"),
    "nothing": ({"data": {}}, "give a mapping"),
    "no mapping": ({"data": np.ones((2, 3))}, "give a mapping"),
    "NaN": ({"data": {"x": np.full((2, 3), np.nan)}}, "NaN"),
    "complex": ({"data": {"x": np.ones((2, 3)) * 1j}}, "complex"),
    "text": ({"data": {"x": [["a", "b", "c"]]}}, "give integers"),
    "rows that do not fit": (
        {"data": {"x": np.ones((2, 3))}, "patterns": {"g1": np.ones((3, 2))}},
        "as many of each",
    ),
    "twice": ({"data": {"x": np.ones((2, 3))}, "patterns": {"x": np.ones((2, 3))}}, "once"),
    "patterns without inputs": ({"patterns": W}, "data x"),
    "weights that lack an array": ({"data": {"x": np.ones((1, 3))}, "patterns": {"W1": W["W1"]}}, "b1"),
    "another loss": ({"loss": "mse"}, "cross_entropy"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input(case):
    options, message = BAD[case]
    with pytest.raises(conslaw.ConslawError, match=message):
        conslaw.gradient_flow(NET, **options)


def test_what_has_no_gates_or_outputs_says_so():
    net = conslaw.linear([1, 1])
    with pytest.raises(conslaw.ConslawError, match="no gates of"):
        conslaw.gradient_flow(net, data={"x": [[1]]}, patterns={"W1": [[1]]})
    with pytest.raises(conslaw.ConslawError, match="at least two entries"):
        conslaw.gradient_flow(conslaw.linear([2, 1]), loss="cross_entropy")


def test_what_is_read_in_array_code_is_filled_in_as_in_the_families():
    net = conslaw.model(
        lambda p, c: c.v @ (p.W2 @ conslaw.nn.relu(p.W1 @ c.x + p.b1)),
        parameters={"W1": (4, 2), "b1": (4,), "W2": (2, 4)},
        data={"x": (2,), "v": (2,)},
    )
    rng = np.random.default_rng(0)
    weights = {"W1": rng.normal(size=(4, 2)), "b1": rng.normal(size=4), "W2": rng.normal(size=(2, 4))}
    X = rng.normal(size=(9, 2))
    found = conslaw.analyze(conslaw.gradient_flow(net, data={"x": X}, patterns=weights))
    family = conslaw.relu([2, 4, 2], bias=True)
    assert found.laws_at_most == count(conslaw.gradient_flow(family, data={"x": X}, patterns=weights))
    assert "relu" in str(found)
    assert conslaw.verify(found.certificate()).ok


def test_more_samples_of_a_network_with_smooth_units_are_more_fields():
    net = conslaw.model(
        lambda p, c: c.v @ (p.W2 @ conslaw.nn.gelu(p.W1 @ c.x)),
        parameters={"W1": (3, 2), "W2": (2, 3)},
        data={"x": (2,), "v": (2,)},
    )
    counts = [count(conslaw.gradient_flow(net, data={"x": np.eye(2, dtype=int)[:n]})) for n in (1, 2)]
    assert counts == [3, 0]  # with one sample the weights of the other input do not move
    assert count(net) == 0


@pytest.mark.parametrize("seed", range(6))
def test_gates_are_the_same_for_flows_regions_and_attainment(seed):
    """Patterns at weights, those of regions and the pieces of ``analysis.at`` are those of one network."""
    rng = np.random.default_rng(seed)
    widths = [2, *rng.integers(2, 5, 2).tolist(), 1]
    net = nn_relu(widths, bias=True)
    weights = {name: rng.normal(size=shape) for name, shape in net.parameters.items()}
    x = rng.normal(size=(7, 2))
    regional = regions.data_patterns(
        [(weights[f"W{i}"], weights.get(f"b{i}", np.zeros(1))) for i in (1, 2, 3)], x
    )
    near, sure = RealNetwork(net, weights, tuple(net.parameters)).patterns({"x": x}, len(x))
    assert sure.all()
    flow = conslaw.gradient_flow(net, data={"x": x}, patterns=weights)
    for i, at in enumerate(near, start=1):
        gates = regional.gates[f"g{i}"]
        assert np.array_equal(gates.astype(float), np.asarray(at, float).reshape(gates.shape))
    named = {r.data[0]: regional.gates[f"g{i}"] for i, r in enumerate(net.readings, start=1)}
    assert flow == conslaw.gradient_flow(net, data={"x": x}, patterns=named)


def test_data_without_axes_may_be_given():
    model = conslaw.model(
        lambda p, c: c.s * (c.v @ (p.W @ c.x)),
        parameters={"W": (2, 2)},
        data={"s": (), "x": (2,), "v": (2,)},
    )
    assert count(conslaw.gradient_flow(model, data={"s": [1, 2], "x": [[1, 2], [2, 4]]})) == 2


def test_a_model_that_is_named_like_a_family_has_no_gates_of_it():
    own = conslaw.model(
        lambda p, c: c.v * (c.g * p.u * p.w),
        parameters={"u": (), "w": ()},
        data={"g": (), "v": ()},
        name="relu",
    )
    assert is_gate(conslaw.relu([2, 3, 1]), "g")
    assert not is_gate(own, "g")

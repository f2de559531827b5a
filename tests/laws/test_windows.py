"""Windows: their laws are laws of the network, whatever the rest does; what is alike is solved once."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import array_code, widths

import conslaw
from conslaw.algebra.finite_field import LIFTING_PRIME as P
from conslaw.algebra.finite_field import RowSpace
from conslaw.algebra.polynomials import Polynomials, number
from conslaw.laws import matrix_ansatz
from conslaw.laws.brackets import trace_samples
from conslaw.laws.candidates import arrays_of
from conslaw.laws.exact_fields import exact_fields, lie_derivative
from conslaw.laws.index_classes import IndexClasses
from conslaw.laws.lie import random_point
from conslaw.laws.matrix_ansatz import combinations_of_windows
from conslaw.laws.places import at_any_place
from conslaw.laws.windows import alike, arrays_of_windows, has_windows, window

G, M = conslaw.gradient_flow, conslaw.momentum_flow

models = st.one_of(
    array_code(),
    widths(1, 3, (2, 4), 24).map(conslaw.linear),
    widths(1, 3, (2, 3), 24).map(lambda w: conslaw.relu(w, bias=True)),
)


@st.composite
def flows(draw):
    model = draw(models)
    if draw(st.integers(0, 4)) == 0 and model.size <= 12:
        return M(model, damping=draw(st.sampled_from([0, "1/2", "nesterov"])))
    metric = draw(st.sampled_from([None, {next(iter(model.parameters)): "1/3"}, "mirror"]))
    return G(model, metric=metric, weight_decay=draw(st.sampled_from([0, 0, 1])))


@given(flows(), st.booleans())
def test_fields_of_the_network_are_fields_of_its_windows(flow, apart):
    """The chain rule: in the coordinates of a window the fields of the network lie in the span of its own."""
    rng = np.random.default_rng(0)
    point = random_point(flow, rng, P)
    whole = trace_samples(flow, point, 1, 12, rng, P)
    starts = np.cumsum([0, *(int(np.prod(s)) for s in flow.state.values())])
    place = {name: np.arange(a, b) for name, a, b in zip(flow.state, starts, starts[1:], strict=False)}
    for arrays in arrays_of_windows(IndexClasses.of(flow)):
        part = window(flow, arrays, apart=apart)
        own = trace_samples(part, {name: point[name] for name in part.state}, 1, part.dimension + 4, rng, P)
        columns = np.concatenate([place[name] for name in part.state])
        space = RowSpace.zero(part.dimension, P).extend(own)
        assert not space.reduce(whole[:, columns]).any()


@given(flows())
def test_laws_of_windows_are_laws_of_the_network(flow):
    """Each entry, expanded in the whole network, is conserved along its exact fields."""
    fields, _ = exact_fields(flow)
    inputs, state = number(flow.state), arrays_of(flow)
    for combination in combinations_of_windows(flow):
        array = combination.timed(combination.like.distinct(combination.array(state)))
        [entries] = matrix_ansatz.evaluate([array], inputs, Polynomials())
        assert not any(len(lie_derivative(entries, field)) for field in fields)


@given(flows())
def test_windows_bound_from_below_what_the_plain_route_bounds_from_above(flow):
    analysis = conslaw.analyze(flow, ansatz="matrix", split=False)
    assert analysis.laws_found <= conslaw.count(flow, split=False).laws_at_most


DEEP = {
    "linear": (lambda depth: conslaw.linear([4] * (depth + 1)), lambda depth: 10 * (depth - 1)),
    "relu": (lambda depth: conslaw.relu([3] * (depth + 1), bias=True), lambda depth: 3 * (depth - 1)),
}


@pytest.mark.parametrize("name", DEEP)
@pytest.mark.parametrize("depth", [6, 15])
def test_deep_networks_are_proved_on_both_sides(name, depth):
    make, laws = DEEP[name]
    analysis = conslaw.analyze(make(depth))
    assert (analysis.laws_found, analysis.laws_at_most) == (laws(depth), laws(depth))
    assert conslaw.verify(analysis.certificate()).ok


@pytest.mark.parametrize("name", DEEP)
def test_windows_that_are_alike_are_solved_once(name, monkeypatch):
    solved, true = [], matrix_ansatz.matrix_combinations
    monkeypatch.setattr(
        matrix_ansatz, "matrix_combinations", lambda classes, **how: solved.append(0) or true(classes, **how)
    )
    counts = []
    for depth in (8, 24):
        combinations_of_windows(G(DEEP[name][0](depth)))
        counts.append(len(solved))
        solved.clear()
    assert counts[0] == counts[1]


def test_a_softmax_network_keeps_its_column_sums_and_the_sum_of_its_bias():
    """ReLU 784-20-10 with both biases before a softmax: 20 + 20 + 1 laws."""

    def potential(p, c):
        z = p.B @ (c.g * (p.A @ c.x + c.s * p.a)) + p.b
        return c.v @ (z - z.sum() / 10)

    shapes = {"A": (20, 784), "a": (20,), "B": (10, 20), "b": (10,)}
    model = conslaw.model(potential, parameters=shapes, data={"x": (784,), "g": (20,), "s": (), "v": (10,)})
    analysis = conslaw.analyze(model)
    assert (analysis.laws_found, analysis.complete) == (41, True)
    assert {family.text for family in analysis.law_families} >= {"ΣB[:,k]", "Σb[k]"}
    assert conslaw.verify(analysis.certificate()).ok


def test_a_skip_is_not_cut_through():
    """x + B A x: A and B act through the sum, and the law stays."""
    model = conslaw.model(
        lambda p, c: c.v @ (p.C @ (c.x + p.B @ (p.A @ c.x))),
        parameters={"A": (3, 4), "B": (4, 3), "C": (2, 4)},
        data={"x": (4,), "v": (2,)},
    )
    flow = G(model)
    assert ("A", "B") in arrays_of_windows(IndexClasses.of(flow))
    assert conslaw.analyze(flow, ansatz="matrix").complete


def test_keys_tell_codes_words_and_shapes_apart():
    deep = conslaw.linear([3, 3, 3, 3, 3])
    flow = G(deep)
    assert alike(window(flow, ("W1", "W2"))) == alike(window(flow, ("W2", "W3")))
    rates = G(deep, metric={"W1": "1/2"})
    assert alike(window(rates, ("W1", "W2"))) != alike(window(rates, ("W2", "W3")))
    other = G(conslaw.linear([3, 3, 2, 3, 3]))
    assert alike(window(other, ("W1", "W2"))) != alike(window(flow, ("W1", "W2")))
    names = {"window_0": (3, 2), "window": (2, 3)}
    clash = conslaw.model(
        lambda p, c: c.v @ p.window @ p.window_0 @ c.x, parameters=names, data={"x": (2,), "v": (2,)}
    )
    assert conslaw.analyze(clash, ansatz="matrix").complete
    assert not has_windows(G(deep, metric=lambda z: {"W1": 1 + z.W2[0, 0] ** 2}))


@pytest.mark.parametrize("layers", [3, 18])
def test_a_densenet_keeps_a_sum_of_norms_for_each_unit(layers):
    """Each layer reads all before it: the row of a unit against its columns in all later layers."""

    def potential(p, c):
        h = c.x
        for i in range(layers):
            h = np.concatenate([h, c[f"g{i}"] * (p[f"W{i}"] @ h)])
        return c.v @ (p.O @ h)

    shapes = {f"W{i}": (2, 2 + 2 * i) for i in range(layers)} | {"O": (2, 2 + 2 * layers)}
    data = {"x": (2,), "v": (2,)} | {f"g{i}": (2,) for i in range(layers)}
    model = conslaw.model(potential, parameters=shapes, data=data)
    analysis = conslaw.analyze(model, ansatz="matrix")
    assert analysis.complete
    assert [family.laws for family in analysis.law_families] == [2] * layers
    assert conslaw.verify(analysis.certificate()).ok


def test_a_long_way_through_the_code_of_a_place_fits_the_stack():
    """The answer does not depend on how deep the caller is in calls of its own."""

    def potential(p, c):
        x = c.x
        for _ in range(285):
            x = x + p.b
        x = x @ p.W
        return (c.y * x[1:] * x[:-1]).sum()

    data = {"x": (5, 3), "y": (4, 3)}
    model = conslaw.model(potential, parameters={"W": (3, 3), "b": (3,)}, data=data)

    def called_from(depth):
        return at_any_place(model) if depth == 0 else called_from(depth - 1)

    assert called_from(200)

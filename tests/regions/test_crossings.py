"""Walls crossed in a run: against the definition, and the laws against gradients of deep networks."""

import json

import numpy as np
import pytest
from test_complexes import normal

import conslaw
from conslaw import regions


def gradients(layers, X, y, slope):
    """Of the mean of |F - y|^2/2, by hand: for each layer (W | b)."""
    behind, kept = X, []
    for k, (W, b) in enumerate(layers):
        z = behind @ W.T + b
        gate = np.where(z > 0, 1.0, slope) if k < len(layers) - 1 else np.ones_like(z)
        kept.append((np.column_stack([behind, np.ones(len(X))]), gate))
        behind = z * gate
    back, found = behind - y, []
    for (W, _), (inputs, gate) in zip(reversed(layers), reversed(kept), strict=True):
        back = back * gate
        found.append(back.T @ inputs)
        back = back @ W
    return found[::-1]


@pytest.mark.parametrize("slope", [0.0, 0.25])
@pytest.mark.parametrize("seed", range(4))
def test_listed_laws_are_conserved_to_first_order_and_no_other_pair_is(seed, slope):
    rng = np.random.default_rng(seed)
    layers = normal((2, 12, 9, 7, 2), seed)
    X, y = rng.normal(size=(3, 2)), rng.normal(size=(3, 2))
    given = [(W, b, slope) for W, b in layers[:-1]] + layers[-1:]
    turned = [(W + 5 * rng.normal(size=W.shape), b, s) for W, b, s in given[:-1]] + layers[-1:]
    step = regions.wall_crossings([turned, given], X).steps[1]
    first = regions.wall_crossings([given, turned], X).steps[1]
    assert (step.begun, step.ended) == (first.ended, first.begun)
    change = gradients(layers, X, y, slope)
    whole = [np.column_stack(pair) for pair in layers]

    def moves(k, i, j):
        """The derivative of the Gram entry of units i, j of layer k."""
        W, V, dW, dV = whole[k], whole[k + 1], change[k], change[k + 1]
        return dW[i] @ W[j] + W[i] @ dW[j] - dV[:, i] @ V[:, j] - V[:, i] @ dV[:, j]

    found = regions.data_patterns(given, X)
    kinds = [one.units for one in found.classes] + ([found.off] if slope else [])
    for units in kinds:
        for layer in {k for k, _ in units}:
            of = [i for k, i in units if k == layer]
            assert max(abs(moves(layer - 1, i, j)) for i in of for j in of) < 1e-10
    for law in step.begun:
        if len(law) == 1:
            ((k, i),) = law
            assert not change[k - 1][i].any()
            assert not change[k][:, i].any()
        else:
            (k, i), (_, j) = law
            assert abs(moves(k - 1, i, j)) < 1e-10
    broken = [abs(moves(k - 1, i, j)) for (k, i), *rest in step.ended for _, j in rest]
    assert not broken or max(broken) > 1e-6, "across classes they are not conserved"
    assert step.laws == sum(len(units) * (len(units) + 1) // 2 for units in by_layer(kinds))
    assert step.off == (0 if slope else len(found.off))


def by_layer(kinds):
    for units in kinds:
        for layer in {k for k, _ in units}:
            yield [unit for unit in units if unit[0] == layer]


@pytest.mark.parametrize("seed", range(5))
def test_crossings_are_differences_of_patterns(seed):
    rng = np.random.default_rng(seed)
    states = [normal((2, 6, 5, 1), 10 * seed + k) for k in range(4)]
    X = rng.normal(size=(7, 2))
    found = regions.wall_crossings(((f"step {k}", net) for k, net in enumerate(states)), X)
    gates = [regions.data_patterns(net, X) for net in states]
    for before, after, step in zip(gates, gates[1:], found.steps[1:], strict=False):
        changed = {((k, int(i)), int(j)) for k in (1, 2)
                   for j, i in np.argwhere(before.gates[f"g{k}"] != after.gates[f"g{k}"])}  # fmt: skip
        assert {(unit, datum) for unit, datum, *_ in step.crossed} == changed
        assert (step.classes, step.off, step.on) == (len(after.classes), len(after.off), len(after.on))
    back = regions.Crossings.from_json(json.loads(json.dumps(found.to_json())))
    assert (back, str(back)) == (found, str(found))
    assert len(str(found).splitlines()) == 2 + len(states)


def test_gates_are_the_signs():
    W, b = normal((2, 8, 1))[0]
    X = np.random.default_rng(1).normal(size=(5, 2))
    found = regions.data_patterns([(W, b), ([[1.0] * 8], None)], X)
    assert (found.gates["g1"] == (X @ W.T + b > 0)).all()
    assert set(found.on) == {(1, int(i)) for i in np.flatnonzero((X @ W.T + b > 0).all(axis=0))}


def test_a_run_that_stands_still_crosses_nothing():
    net = normal((2, 9, 6, 1))
    step = regions.wall_crossings([net, net], np.eye(2)).steps[1]
    assert (step.crossed, step.begun, step.ended) == ((), (), ())


def test_outputs_and_units_on_a_wall_have_no_laws_in_pairs():
    """Two equal output units see different gradients; two that are zero at a datum may part there."""
    two = [[1.0, 0], [1.0, 0]]
    outputs = regions.wall_crossings([[(two, None), (two, None, 0)]], [[1, 1]]).steps[0]
    assert (outputs.classes, outputs.laws) == (2, 3)
    wall = regions.wall_crossings([[(two, None), ([[1, 1]], None)]], [[1, 1], [0, 1]]).steps[0]
    assert (wall.classes, wall.laws) == (1, 2)


@pytest.mark.parametrize(("states", "data", "words"), [
    ([], np.eye(2), "states is empty"),
    ([normal((2, 3, 1)), normal((2, 4, 1))], np.eye(2), "state '1' is 2-4-1: the first one is 2-3-1"),
    ([normal((2, 3, 1))], np.eye(3), "data has shape"),
    ([normal((2, 3, 1))], [[np.nan, 0]], "data"),
])  # fmt: skip
def test_bad_input(states, data, words):
    with pytest.raises(conslaw.ConslawError, match=words):
        regions.wall_crossings(states, data)

"""Which units are active on the same data: against rationals, and against the laws that follow."""

from fractions import Fraction

import numpy as np
import pytest

import conslaw
from conslaw import regions


def by_rationals(layers, x):
    behind, signs = [Fraction(c) for c in x], []
    for W, b in layers[:-1]:
        values = [sum(Fraction(w) * h for w, h in zip(row, behind, strict=True)) + Fraction(c)
                  for row, c in zip(W, b, strict=True)]  # fmt: skip
        signs += [(v > 0) - (v < 0) for v in values]
        behind = [max(v, Fraction(0)) for v in values]
    return signs


def table(layers, data):
    """Classes, off and zeros from the definition."""
    signs = np.array([by_rationals(layers, x) for x in data]).T
    names = [(k, i) for k, (W, _) in enumerate(layers[:-1], 1) for i in range(len(W))]
    groups = {}
    for name, row in zip(names, signs.tolist(), strict=True):
        groups.setdefault((name[0], *row), []).append(name)
    off = [name for name, row in zip(names, signs, strict=True) if (row < 0).all()]
    classes = {tuple(group): tuple(np.flatnonzero(np.array(key[1:]) > 0))
               for key, group in groups.items() if group[0] not in off}  # fmt: skip
    return classes, off, {(names[i], j) for i, j in np.argwhere(signs == 0)}


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("integer", [True, False])
def test_classes_are_those_of_the_definition(seed, integer):
    rng = np.random.default_rng(seed)
    draw = (lambda *s: rng.integers(-2, 3, s)) if integer else (lambda *s: rng.normal(size=s))
    layers = [(draw(9, 2), draw(9)), (draw(5, 9), draw(5)), (draw(1, 5), draw(1))]
    data = draw(4, 2)
    classes, off, zeros = table([(W.tolist(), b.tolist()) for W, b in layers], data.tolist())
    found = regions.data_patterns(layers, data)
    assert {one.units: one.active for one in found.classes} == classes
    assert (list(found.off), set(found.zeros)) == (off, zeros)


def test_units_that_differ_by_less_than_rounding_are_told_apart():
    row = [[0.1, 0.2, -0.3]]  # 0.1 + 0.2 - 0.3 is not zero as rationals
    found = regions.data_patterns([(row, [0]), ([[1]], [0])], [[1.0, 1.0, 1.0]])
    exact = Fraction(0.1) + Fraction(0.2) - Fraction(0.3)
    assert (len(found.classes), len(found.off), found.zeros) == (exact > 0, exact < 0, ())


def test_inputs_below_the_range_of_floats_keep_their_signs():
    data = [[Fraction(1, 2**1080), Fraction(-1, 2**1000)]]
    found = regions.data_patterns([([[2.0**290, 1.0]], [0]), ([[1]], [0])], data)
    assert found.classes[0].active == (0,)


def test_laws_of_a_class_are_conserved_to_first_order():
    rng = np.random.default_rng(0)
    W, a, X, y = (
        rng.normal(size=(12, 2)),
        rng.normal(size=(3, 12)),
        rng.normal(size=(3, 2)),
        rng.normal(size=3),
    )
    z = X @ W.T
    r = np.maximum(z, 0) @ a.T - y
    dW, da = ((r @ a) * (z > 0)).T @ X, r.T @ np.maximum(z, 0)
    moment = dW @ W.T + W @ dW.T - da.T @ a - a.T @ da
    found = regions.data_patterns([(W, None), (a, None)], X)
    assert max(len(one.units) for one in found.classes) > 1
    for one in found.classes:
        of = [i for _, i in one.units]
        assert abs(moment[np.ix_(of, of)]).max() < 1e-12
    assert not dW[[i for _, i in found.off]].any()
    assert np.count_nonzero(abs(moment) > 1e-9), "across classes they are not"


def test_gates_restrict_the_flow_to_the_laws_of_the_classes():
    """c(c + 1)/2 for each class, and all weights of units that are off, if each pattern has enough data."""
    rng, checked = np.random.default_rng(1), 0
    while checked < 4:
        W, a = rng.integers(-2, 3, (5, 2)), rng.integers(1, 4, (2, 5))
        X = np.concatenate([rng.integers(-3, 4, (1, 2)) * [[k], [k + 1]] + [[0, 0], [1, 0]] for k in (1, 2)])
        found = regions.data_patterns([(W, None), (a, None)], X)
        kinds = {}
        for x, row in zip(X, found.gates["g1"], strict=True):
            kinds.setdefault(row.tobytes(), []).append(x)
        if found.zeros or any(np.linalg.matrix_rank(x) < 2 for x in kinds.values()):
            continue
        checked += 1
        flow = conslaw.gradient_flow(conslaw.relu([2, 5, 2]), data={"x": X}, patterns=found.gates)
        sizes = [len(one.units) for one in found.classes]
        expected = sum(c * (c + 1) // 2 if c <= 4 else 4 * c - 6 for c in sizes) + 4 * len(found.off)
        assert conslaw.count(flow).laws_at_most == expected


def test_order_of_data_does_not_matter():
    rng = np.random.default_rng(3)
    layers, data, order = [(rng.normal(size=(8, 3)), None)], rng.normal(size=(5, 3)), rng.permutation(5)
    layers.append((rng.normal(size=(1, 8)), None))
    one, two = regions.data_patterns(layers, data), regions.data_patterns(layers, data[order])
    assert [c.units for c in one.classes] == [c.units for c in two.classes]
    assert [c.active for c in one.classes] == [tuple(sorted(order[[*c.active]])) for c in two.classes]


@pytest.mark.parametrize("data", [[1, 2], [[1]], np.zeros((0, 2)), [[np.nan, 1.0]], np.zeros((1, 2), "f2")])
def test_bad_data(data):
    with pytest.raises(conslaw.ConslawError, match=r"data"):
        regions.data_patterns([([[1, 0]], [0]), ([[1]], [0])], data)

"""Models and flows are values: they cannot be changed; they compare, hash, copy and pickle as such."""

import copy
import pickle
import subprocess
import sys
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from strategies import array_code

import conslaw

MAKERS = {
    "linear": lambda: conslaw.linear([3, 2, 4], bias=True),
    "relu": lambda: conslaw.relu([2, 3, 2]),
    "mirror": lambda: conslaw.icnn([2, 1, 3]),
    "own": lambda: conslaw.model(
        lambda p, c: (np.where([True, False], p.W @ c.x, 1) ** 3).mean() / 2,
        parameters={"W": (2, 2)},
        data={"x": (2,)},
        metric=lambda z: {"W": 1 + z.W**2},
    ),
    "flow": lambda: conslaw.gradient_flow(conslaw.linear([2, 2]), metric={"W1": np.eye(4)}, weight_decay=0.1),
    "momentum": lambda: conslaw.momentum_flow(MAKERS["own"](), damping="nesterov"),
    "deep": lambda: conslaw.linear([2] * 400),
}


@pytest.mark.parametrize("name", MAKERS)
def test_made_again_copied_and_pickled_it_is_the_same(name):
    one = MAKERS[name]()
    for other in (MAKERS[name](), copy.copy(one), copy.deepcopy(one), pickle.loads(pickle.dumps(one))):
        assert other == one
        assert hash(other) == hash(one)
        assert len({one, other}) == 1
    restored = pickle.loads(pickle.dumps(one))
    if name != "deep":
        assert conslaw.count(restored).to_json()["lie_ranks"] == conslaw.count(one).to_json()["lie_ranks"]
    assert one != "a model"


def test_what_differs_is_not_equal():
    made = [make() for make in MAKERS.values()]
    made += [
        conslaw.linear([3, 2, 4]),
        conslaw.linear([3, 2, 5]),
        conslaw.gradient_flow(conslaw.linear([3, 2])),
    ]
    made += [
        conslaw.gradient_flow(conslaw.linear([3, 2]), metric=2),
        replace(conslaw.linear([2, 2]), name="x"),
    ]
    made += [
        conslaw.model(code, parameters={a: (2,), b: (2,)}, name="model", metric=metric)
        for a, b, code, metric in (
            ("U", "V", lambda p, c: p.U @ p.V, "euclidean"),
            ("V", "U", lambda p, c: p.U @ p.V, "euclidean"),
            ("U", "V", lambda p, c: 2 * p.U @ p.V, "euclidean"),
            ("U", "V", lambda p, c: p.U[::-1] @ p.V, "euclidean"),
            ("U", "V", lambda p, c: p.U @ p.V, "mirror"),
            ("U", "V", lambda p, c: p.U @ p.V, {"U": np.array([1, 2])}),
            ("U", "V", lambda p, c: p.U @ p.V, lambda z: {"U": z.V}),
            ("U", "V", lambda p, c: p.U @ p.V, lambda z: {"U": z.U}),
        )
    ]
    assert len(set(made)) == len(made)
    assert all((x == y) == (x is y) for x in made for y in made)


@given(array_code())
def test_any_array_code_survives_a_pickle(model):
    assert pickle.loads(pickle.dumps(model)) == model
    flow = conslaw.momentum_flow(model, damping=1)
    assert pickle.loads(pickle.dumps(flow)) == copy.deepcopy(flow) == flow


def test_hashes_are_those_of_every_process():
    code = (
        "import conslaw; net = conslaw.linear([3, 2, 4]); "
        "print(hash(net), hash(conslaw.momentum_flow(conslaw.relu([2, 1, 2]))))"
    )
    done = [
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        for _ in range(2)
    ]
    here = hash(conslaw.linear([3, 2, 4])), hash(conslaw.momentum_flow(conslaw.relu([2, 1, 2])))
    assert done == ["{} {}\n".format(*here)] * 2


CHANGES = {
    "set": lambda net: net.parameters.__setitem__("W1", (1, 1)),
    "del": lambda net: net.parameters.__delitem__("W1"),
    "update": lambda net: net.data.update(x=(1,)),
    "or": lambda net: net.parameters.__ior__({"W9": ()}),
    "pop": lambda net: net.arguments.pop("widths"),
    "append": lambda net: net.arguments["widths"].append(3),
    "item": lambda net: net.arguments["widths"].__setitem__(0, 7),
    "flow": lambda net: conslaw.gradient_flow(net).state.clear(),
    "field": lambda net: conslaw.gradient_flow(net).fields[0].pop("W1"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_nothing_in_them_can_be_changed(change):
    net = conslaw.linear([3, 2, 4])
    with pytest.raises(conslaw.ConslawError, match="cannot be changed"):
        CHANGES[change](net)
    assert net == conslaw.linear([3, 2, 4])
    with pytest.raises(AttributeError):
        net.name = "another"


def test_what_they_were_made_from_may_change_afterwards():
    shapes, metric = {"W": (2, 2)}, {"W": np.eye(4)}
    net = conslaw.model(lambda p, c: p.W.sum(), parameters=shapes, metric=metric)
    same = conslaw.model(lambda p, c: p.W.sum(), parameters={"W": (2, 2)}, metric={"W": np.eye(4)})
    shapes["V"] = (3,)
    metric["W"][0, 0] = 7
    assert net == same
    assert net.metric["W"][0, 0] == 1


SAME_METRIC = [
    [0.1, "1/10", "0.1", Fraction(1, 10), Decimal("0.1"), {"W1": 0.1}, {"W1": "1/10"}, np.float32(0.1)],
    ["mirror", "z", "z**1", "z ** 1", {"W1": "mirror"}, {"W1": "z**1"}],
    [None, "euclidean", 1, "1", 1.0, {"W1": 1}, {}, {"W1": "euclidean"}],
    [{"W1": [[1, 0.1]]}, {"W1": np.array([[1, 0.1]])}, {"W1": [["1", Fraction(1, 10)]]}],
]


def test_flows_are_equal_iff_their_metrics_are_however_these_are_written():
    model = conslaw.linear([2, 1])
    flows = [[conslaw.gradient_flow(model, metric=x) for x in same] for same in SAME_METRIC]
    for same in flows:
        assert len({*same}) == len({flow.metric for flow in same}) == 1
    assert len({same[0] for same in flows}) == len(flows)

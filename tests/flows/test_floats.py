"""One rule for floats: hyper-parameters are shortest decimals; weights, data and points exact binary."""

from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest

import conslaw

NET = conslaw.linear([1, 1, 1])
G, M = conslaw.gradient_flow, conslaw.momentum_flow

# what is written with a float, the same with the fraction that it is
SAME = {
    "damping": (M(NET, damping=0.1), M(NET, damping=Fraction(1, 10))),
    "damping of NumPy": (M(NET, damping=np.float32(0.1)), M(NET, damping="1/10")),
    "decay": (G(NET, weight_decay=0.01), G(NET, weight_decay=Fraction(1, 100))),
    "decay with momentum": (M(NET, weight_decay=1e-3), M(NET, weight_decay="1/1000")),
    "rate": (G(NET, metric={"W1": 0.3}).fields, G(NET, metric={"W1": Fraction(3, 10)}).fields),
    "rate for all": (G(NET, metric=0.7).fields, G(NET, metric=Fraction(7, 10)).fields),
    "diagonal": (
        G(NET, metric={"W1": np.array([[0.1]])}).fields,
        G(NET, metric={"W1": [[Fraction(1, 10)]]}).fields,
    ),
    "matrix": (
        G(NET, metric=np.array([[2, 0.1], [0.1, 2]])).fields,
        G(NET, metric=[[2, Fraction(1, 10)], [Fraction(1, 10), 2]]).fields,
    ),
    "array code": (
        G(NET, metric=lambda z: {"W1": 0.1 * z.W1 + np.array([0.3])}).fields,
        G(NET, metric=lambda z: {"W1": Fraction(1, 10) * z.W1 + np.array([Fraction(3, 10)])}).fields,
    ),
    "a model's own": (
        conslaw.model(lambda p, c: p.a, parameters={"a": ()}, metric=lambda z: {"a": 0.1}),
        conslaw.model(lambda p, c: p.a, parameters={"a": ()}, metric=lambda z: {"a": Fraction(1, 10)}),
    ),
}


def digests(made):
    """Flows and models compare by themselves, fields by their expressions."""
    from conslaw.algebra.values import digest

    return digest(made)


@pytest.mark.parametrize("case", SAME)
def test_a_hyper_parameter_is_its_shortest_decimal(case):
    one, other = SAME[case]
    assert digests(one) == digests(other)


def test_a_point_is_its_exact_binary_value():
    sums = conslaw.model(lambda p, c: (p.W[0] + p.W[1] - p.W[2]) ** 2 / 2, parameters={"W": (3,)})
    found = {
        kind: conslaw.count(sums, point={"W": point}).laws_at_most
        for kind, point in {
            "floats": [0.1, 0.2, 0.3],
            "decimals": [Fraction(1, 10), Fraction(2, 10), Fraction(3, 10)],
            "binary": [Fraction(x) for x in (0.1, 0.2, 0.3)],
        }.items()
    }
    assert found["floats"] == found["binary"] == 2  # 0.1 + 0.2 is not 0.3
    assert found["decimals"] == 3


HUGE = Decimal("1e999999999")  # as an integer it would fill the memory


@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), np.float64("nan"), True, "0,1", "0x1", "1_0", HUGE]
)
def test_what_is_no_number_is_none(value):
    for make in (
        lambda: M(NET, damping=value),
        lambda: G(NET, weight_decay=value),
        lambda: G(NET, metric={"W1": value}),
    ):
        with pytest.raises(conslaw.ConslawError):
            make()


def test_entries_of_a_metric_are_positive():
    for metric in ({"W1": np.eye(2)}, {"W1": np.array([[1, -0.1], [1, 1]])}, {"W1": [[1, "a"], [1, 1]]}):
        with pytest.raises(conslaw.ConslawError, match="positive"):
            G(conslaw.linear([2, 2, 1]), metric=metric)
    whole = G(conslaw.linear([2, 2, 1]), metric={"W1": np.eye(4), "W2": np.eye(2)})
    assert conslaw.count(whole).laws_at_most == conslaw.count(conslaw.linear([2, 2, 1])).laws_at_most

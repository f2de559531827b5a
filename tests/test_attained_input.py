"""What is no weights or inputs of a network is refused in one line; what cannot be evaluated is said."""

import numpy as np
import pytest
from test_attained import SOME, network, random_weights

import conslaw
from conslaw import nn


@pytest.mark.parametrize(
    ("weights", "options", "message"),
    [
        (3, {}, "give a mapping of arrays"),
        ({**SOME, "W1": np.ones((2, 3))}, {}, r"W1 has shape \(2, 3\), where the model has \(2, 2\)"),
        ({**SOME, "W1": np.full((2, 2), np.nan)}, {}, "NaN or infinite"),
        ({**SOME, "W1": np.full((2, 2), 1j)}, {}, "real numbers"),
        ({**SOME, "W1": [["a", "b"], ["c", "d"]]}, {}, "real numbers"),
        ({"W": np.ones((2, 2))}, {}, "no 'W1'"),
        (SOME, {"names": 3}, "names=3"),
        (SOME, {"names": {"W9": "weight"}}, "W9"),
        (SOME, {"names": {"b1": "bias"}, "inputs": np.ones((1, 3))}, r"give \(number, 2\)"),
        (SOME, {"inputs": np.full((1, 2), np.inf)}, "NaN or infinite"),
        (SOME, {"inputs": np.ones((0, 2))}, "at least|give"),
        (SOME, {"inputs": {"relu1_value": np.ones((1, 2))}}, "is no data"),
        (SOME, {"inputs": {"y": np.ones((1, 2))}}, "'y' is no data"),
        (SOME, {"inputs": {"v": np.ones((1, 1))}}, "'x' is missing"),
        (SOME, {"inputs": {"x": np.ones((2, 2)), "v": np.ones((3, 1))}}, "as many of each"),
        (SOME, {"seed": -1}, "seed=-1"),
    ],
)
def test_bad_input_is_one_clear_line(weights, options, message):
    with pytest.raises(conslaw.ConslawError, match=message) as error:
        conslaw.analyze(network([2, 2, 1])).at(weights, **options)
    assert "\n" not in str(error.value)


def test_what_cannot_be_evaluated_is_said():
    gated = conslaw.model(
        lambda p, c: c.v @ (p.B @ (c.g * (p.A @ c.x))),
        parameters={"A": (3, 2), "B": (2, 3)},
        data={"x": (2,), "v": (2,), "g": (3,)},
    )
    weights = random_weights(gated, 0)
    analysis = conslaw.analyze(gated)
    with pytest.raises(conslaw.ConslawError, match=r"conslaw\.nn"):
        analysis.at(weights)
    gates = {"x": np.ones((1, 2)), "g": np.ones((1, 3))}
    assert analysis.at(weights, gates).rank == 2  # one input, one loss vector of each of 2 outputs
    whatever = network([2, 2, 1], nn.activation)
    with pytest.raises(conslaw.ConslawError, match="not known"):
        conslaw.analyze(whatever).at(SOME)
    smooth = conslaw.analyze(network([2, 2, 1], nn.tanh))
    with pytest.raises(conslaw.ConslawError, match="follows from"):
        smooth.at(SOME, {"x": np.ones((1, 2)), "tanh1_slope": np.ones((1, 2))})
    again = conslaw.load(analysis.to_json())
    with pytest.raises(conslaw.ConslawError, match="read back"):
        again.at(weights)

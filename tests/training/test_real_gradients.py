"""The network of a simulation against PyTorch's: the potential with its gates and slopes filled in."""

import numpy as np
import pytest

import conslaw
from conslaw.training.network import Network

torch = pytest.importorskip("torch")
F = torch.nn.functional

MODELS = {
    "relu": (
        conslaw.relu([3, 5, 4, 2], bias=True),
        lambda p, x: p["W3"] @ F.relu(p["W2"] @ F.relu(p["W1"] @ x + p["b1"]) + p["b2"]),
    ),
    "icnn": (conslaw.icnn([2, 4, 3], bias=True), lambda p, x: p["U"] @ F.relu(p["V"] @ x + p["b"])),
    "read": (
        conslaw.model(
            lambda p, c: c.v @ (p.C @ conslaw.nn.gelu(p.B @ conslaw.nn.relu(p.A @ c.x) + p.b)),
            parameters={"A": (4, 3), "B": (5, 4), "b": (5,), "C": (2, 5)},
            data={"x": (3,), "v": (2,)},
        ),
        lambda p, x: p["C"] @ F.gelu(p["B"] @ F.relu(p["A"] @ x) + p["b"]),
    ),
    "smooth twice": (
        conslaw.model(
            lambda p, c: c.v @ (p.B @ conslaw.nn.tanh(conslaw.nn.silu(p.A @ c.x))),
            parameters={"A": (4, 3), "B": (2, 4)},
            data={"x": (3,), "v": (2,)},
        ),
        lambda p, x: p["B"] @ torch.tanh(F.silu(p["A"] @ x)),
    ),
    "norms and softmax": (
        conslaw.model(
            lambda p, c: (
                c.v @ (p.C @ conslaw.nn.softmax(conslaw.nn.layer_norm(p.B @ conslaw.nn.gelu(p.A @ c.x))))
            ),
            parameters={"A": (4, 3), "B": (5, 4), "C": (2, 5)},
            data={"x": (3,), "v": (2,)},
        ),
        lambda p, x: p["C"] @ F.softmax(F.layer_norm(p["B"] @ F.gelu(p["A"] @ x), (5,)), -1),
    ),
}


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("loss", ["squared", "cross_entropy"])
@pytest.mark.parametrize("samples", [1, 6])
def test_gradients_are_those_of_torch(name, loss, samples):
    model, function = MODELS[name]
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(samples, 3))
    targets = rng.normal(size=(samples, 2)) if loss == "squared" else rng.integers(0, 2, samples)
    theta = {n: rng.normal(size=shape) for n, shape in model.parameters.items()}
    network = Network.of(model, {"x": inputs}, targets, loss, "euclidean", None)
    found = network.step(theta, theta)
    weights = {n: torch.tensor(x, requires_grad=True) for n, x in theta.items()}
    outputs = torch.stack([function(weights, torch.tensor(x)) for x in inputs])
    if loss == "squared":
        value = ((outputs - torch.tensor(targets)) ** 2).sum() / (2 * samples)
    else:
        value = F.cross_entropy(outputs, torch.tensor(targets))
    value.backward()
    for n, x in weights.items():
        assert abs(x.grad.numpy() - found[n]).max() < 1e-12


def test_what_is_not_followed_is_left_to_torch():
    model = conslaw.model(
        lambda p, c: c.v @ (p.B @ conslaw.nn.max_pool((p.A @ c.x).reshape(1, 1, 4, 1), (2, 1)).reshape(2)),
        parameters={"A": (4, 3), "B": (2, 2)},
        data={"x": (3,), "v": (2,)},
    )
    with pytest.raises(conslaw.ConslawError, match="Monitor"):
        conslaw.simulate(model, data={"x": np.ones((1, 3))}, targets=np.ones((1, 2)))

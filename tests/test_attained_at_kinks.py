"""Layers of ReLU of any width near weights, from kink to kink; and the command line."""

import json
import logging
import os
import re

import numpy as np
import pytest
from test_attained import network, random_weights

import conslaw
from conslaw import nn
from conslaw.attained.attainment import Attainment
from conslaw.attained.gradients import RealNetwork
from conslaw.attained.kinks import Kinks
from conslaw.attained.layers import chain_of
from conslaw.command_line import main

THOROUGH = bool(os.environ.get("THOROUGH"))


# from kink to kink


def at_kinks(model, weights):
    chain = chain_of(model)
    real = RealNetwork(model, weights, tuple(model.parameters))
    return Kinks(real, chain, np.random.default_rng(0))


@pytest.mark.parametrize("seed", range(60 if THOROUGH else 15))
def test_kinks_show_no_more_rank_than_there_is(seed):
    """Against the rank of the true gradients at many inputs of all sizes."""
    rng = np.random.default_rng(seed)
    function = [nn.relu, nn.leaky_relu, nn.abs][seed % 3]
    model = network(rng.integers(1, 5, rng.integers(3, 6)).tolist(), function, bias=bool(seed % 4))
    weights = random_weights(model, seed)
    if seed % 5 == 0:  # dead, and without way out
        weights["W1"][0], weights["W2"][:, -1] = 0, 0
    found = at_kinks(model, weights)
    inputs = rng.standard_normal((20_000, model.data["x"][0])) * 10.0 ** rng.uniform(-2, 2, (20_000, 1))
    exact = conslaw.analyze(model).at(weights, inputs)
    assert found.rank() <= exact.rank
    assert found.generic == exact.generic_rank


@pytest.mark.parametrize("widths", [[6, 20, 4], [5, 12, 12, 6], [12, 8, 8, 8, 8]])
@pytest.mark.parametrize("bias", [True, False])
def test_random_wide_networks_attain_at_kinks(widths, bias):
    model = network(widths, nn.leaky_relu, bias)
    found = at_kinks(model, random_weights(model, 1))
    assert found.rank() == found.generic == model.size - sum(widths[1:-1])


def test_adjoints_at_a_unit_are_combined_at_crossings_of_the_same_units(monkeypatch):
    """Those of others differ in the layers before as well, so their combinations do not vanish there."""
    model = network([3, 2, 1, 2, 1], nn.leaky_relu)
    kinks, crossed = at_kinks(model, random_weights(model, 0)), []

    def one_adjoint_for_each_path(units, on=None):
        crossed.append(units)
        return [np.zeros((len(units), 1))] * 3, np.arange(len(units))

    def adjoints(patterns, first):
        own = crossed[-1][:, 0] + np.uint64(1)
        return {2: np.stack([own, own**2], axis=1)[:, None].astype(np.uint64)}

    monkeypatch.setattr(kinks, "_crossed", one_adjoint_for_each_path)
    monkeypatch.setattr(kinks, "_adjoints", adjoints)
    ranks, moving = kinks._at_units(1)
    assert ranks.tolist() == [0]  # one for each path: nothing of them is orthogonal
    assert moving.all()
    assert len({tuple(x) for units in crossed for x in units.tolist()}) == 2


def test_large_layers_of_relu_are_looked_at_whole():
    model = network([200, 100, 50, 10])
    weights = random_weights(model, 0)
    analysis = conslaw.analyze(model)
    found = analysis.at(weights)
    assert (found.method, found.rank, found.more) == ("kinks", model.size - 150, 0)
    assert found.proved["attained"]
    assert "150 laws, no more" in str(found)
    assert Attainment.from_json(found.to_json()) == found
    weights["W2"][7], weights["b2"][7] = 0, -1  # off on all inputs: its 100 + 1 weights, and those behind
    less = analysis.at(weights)
    assert not less.attained
    assert less.more >= 110
    assert "relu2[7]" in less.units.off
    with pytest.raises(conslaw.ConslawError, match="leave inputs= out"):
        conslaw.analyze(network([300, 100, 2])).at(
            random_weights(network([300, 100, 2]), 0), np.ones((3, 300))
        )


def test_deep_layers(monkeypatch):
    """Nearly all is seen at kinks, where inputs at random see less; very deep ones go another way."""
    model = network([20] * 6 + [4])
    found = conslaw.analyze(model).at(random_weights(model, 0))
    assert found.method == "kinks"
    assert found.rank > 0.9 * found.generic_rank
    monkeypatch.setattr("conslaw.attained.attainment.MOST", 512)
    model = network([8] * 18 + [2])
    assert conslaw.analyze(model).at(random_weights(model, 0)).method == "exact"


@pytest.mark.parametrize("bias", [True, False])
def test_modules_are_read_as_layers(bias):
    torch = pytest.importorskip("torch")
    module = torch.nn.Sequential(
        torch.nn.Flatten(), torch.nn.Linear(6, 5, bias), torch.nn.LeakyReLU(0.1), torch.nn.Linear(5, 3)
    )
    model = conslaw.from_torch(module, torch.zeros(1, 2, 3))
    chain = chain_of(model)
    assert [x.bias is not None for x in chain.layers] == [bias, True]
    assert [x.gate for x in chain.layers] == [0, None]
    assert not any(x.transposed for x in chain.layers)


def test_other_networks_are_no_chain_of_layers():
    def made(potential):
        return conslaw.model(
            potential, parameters={"A": (3, 3), "B": (3, 3)}, data={"x": (3,), "v": (3,), "y": (3,)}
        )

    for potential in (
        lambda p, c: c.v @ (p.A @ nn.relu(p.A @ c.x)),
        lambda p, c: c.v @ (p.A @ nn.relu(p.B @ c.x) + c.x),
        lambda p, c: c.v @ (p.A @ nn.tanh(p.B @ c.x)),
        lambda p, c: c.v @ (p.A @ (c.y * (p.B @ c.x))),
        lambda p, c: c.v @ (p.A @ nn.relu(p.B @ (c.x + c.y))),
        lambda p, c: c.x @ (p.A @ nn.relu(p.B @ c.x)),
        lambda p, c: c.v @ (p.A @ nn.relu(p.B @ c.x)) + c.v @ c.x,
    ):
        assert chain_of(made(potential)) is None
    assert chain_of(conslaw.linear([40, 40])) is None  # without kinks
    turned = chain_of(made(lambda p, c: c.v @ (nn.relu(p.B @ c.x) @ p.A)))
    assert [x.transposed for x in turned.layers] == [False, True]


@pytest.mark.parametrize("function", [nn.sigmoid, nn.relu6])
def test_what_follows_from_the_inputs_is_not_free(function):
    """The first layer sees values from 0 on, at which no unit is on; all others are beyond reach."""
    model = conslaw.model(
        lambda p, c: c.v @ (p.W2 @ nn.relu(p.W1 @ function(c.x) + p.b1)),
        parameters={"W1": (40, 30), "b1": (40,), "W2": (20, 40)},
        data={"x": (30,), "v": (20,)},
    )
    weights = random_weights(model, 0)
    weights |= {"W1": -abs(weights["W1"]), "b1": -abs(weights["b1"])}
    found = conslaw.analyze(model).at(weights)
    assert (found.rank, found.attained) == (0, False)


def test_tokens_are_not_free():
    """There is a gradient for each token and each output, and no other."""
    model = conslaw.model(
        lambda p, c: c.v @ (p.W @ nn.relu(nn.embedding(1, p.E)[0])),
        parameters={"E": (30, 40), "W": (20, 40)},
        data={"v": (20,)},
    )
    assert conslaw.analyze(model).at(random_weights(model, 0)).rank <= 30 * 20


MODULES = [
    *(("ELU", (0.5,)), ("CELU", (2.0,)), ("SELU", ()), ("Softplus", (2.0, 1.0)), ("Threshold", (0.1, 0.2))),
    *(("RMSNorm", (6,)), ("GroupNorm", (2, 6))),
]


@pytest.mark.parametrize(("kind", "options"), MODULES if THOROUGH else MODULES[::3])
def test_ranks_of_modules_are_those_of_their_gradients(kind, options):
    torch = pytest.importorskip("torch")
    torch.manual_seed(1)
    layer = getattr(torch.nn, kind)(*options)
    module = torch.nn.Sequential(torch.nn.Linear(4, 6), layer, torch.nn.Linear(6, 2)).double()
    data, rows = torch.randn(60, 4, dtype=torch.float64), []
    for x in data:
        for out in module(x[None]).ravel():
            parts = torch.autograd.grad(out, list(module.parameters()), retain_graph=True)
            rows.append(torch.cat([part.ravel() for part in parts]))
    sizes = torch.linalg.svdvals(torch.stack(rows))
    found = conslaw.analyze(conslaw.from_torch(module, data[:1])).at(module, data)
    assert found.rank == int((sizes > 1e-10 * sizes[0]).sum())


# the command line


def test_the_command_says_it_of_weights_in_a_file(tmp_path, capsys):
    file = tmp_path / "weights.npz"
    np.savez(file, **random_weights(conslaw.relu([3, 4, 1]), 0))
    assert main(["analyze", "relu", "3-4-1", "--at", str(file)]) == 0
    assert "near the given weights" in capsys.readouterr().out
    assert main(["analyze", "relu", "3-4-1", "--json", "--at", str(file)]) == 0
    analysis, found = capsys.readouterr().out.splitlines()
    assert conslaw.load(analysis).laws_found == 4
    assert Attainment.from_json(json.loads(found)).attained


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("w.npz", b"hello", "no arrays in it"),
        ("w.npz", b"", "no arrays in it"),
        ("w.pt", b"hello", "no arrays in it|PyTorch"),
        ("w.txt", b"", "give a file .npz"),
        (None, b"", "No such file"),
    ],
)
def test_files_without_weights(tmp_path, capsys, name, content, message):
    file = tmp_path / (name or "none.npz")
    if name:
        file.write_bytes(content)
    assert main(["analyze", "relu", "3-4-1", "--at", str(file)]) == 2
    assert re.fullmatch(f"conslaw: [^\\n]*({message})[^\\n]*\n", capsys.readouterr().err)


def test_a_module_has_weights_of_its_own(tmp_path, capsys):
    torch = pytest.importorskip("torch")
    (tmp_path / "net.py").write_text(
        "import torch\ntorch.manual_seed(0)\n"
        "net = torch.nn.Sequential(torch.nn.Linear(8, 9), torch.nn.ReLU(), torch.nn.Linear(9, 2))\n"
    )
    command = ["analyze", f"{tmp_path / 'net.py'}:net", "--input", "1,8", "--at"]
    assert main(command) == 0
    own = capsys.readouterr().out
    assert "9 laws, no more, for this network" in own
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(8, 9), torch.nn.ReLU(), torch.nn.Linear(9, 2))
    torch.save(net.state_dict(), tmp_path / "net.pt")
    assert main([*command, str(tmp_path / "net.pt")]) == 0
    assert capsys.readouterr().out == own
    torch.save(net, tmp_path / "whole.pt")  # code, which is not run
    assert main([*command, str(tmp_path / "whole.pt")]) == 2
    assert main(["analyze", "relu", "3-4-1", "--at"]) == 2


@pytest.mark.parametrize(
    ("widths", "gate", "words"),
    [
        ([3, 4, 2], nn.relu, "of 22, inputs: "),
        ([3, 4, 2], nn.tanh, "gradients in balls: 0 of"),
        ([30, 20, 20, 5], nn.relu, "kinks of layer 2 of 2, turn 1: 20 units left"),
    ],
)
def test_the_search_says_how_far_it_is(widths, gate, words, caplog):
    model = network(widths, gate)
    with caplog.at_level(logging.INFO, "conslaw"):
        conslaw.analyze(model).at(random_weights(model, 0))
    assert any(words in record.getMessage() for record in caplog.records)

"""How many laws real modules have, and that each is constant along true gradients."""

import os

import pytest

import conslaw

torch = pytest.importorskip("torch")
from spans import drifts, read  # noqa: E402
from torch import nn  # noqa: E402
from written_out import GPT, Llama, LoRA, ResNet  # noqa: E402


def encoder(norm_first, activation="relu"):
    return nn.TransformerEncoderLayer(
        8, 2, 16, batch_first=True, norm_first=norm_first, activation=activation
    ).eval()


def mlp(*activations):
    return nn.Sequential(*(layer for f in activations for layer in (nn.Linear(4, 4), f)), nn.Linear(4, 3))


def conv():
    first, second = nn.Conv2d(1, 2, 3, padding=1), nn.Conv2d(2, 2, 3, padding=1)
    pooled = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2, 3))
    return nn.Sequential(first, nn.ReLU(), nn.MaxPool2d(2), second, pooled)


def real(*shape):
    return lambda: (torch.randn(shape, dtype=torch.float64),)


def three():
    return (torch.randn(1, 3, 4, dtype=torch.float64),) * 3


def tokens(n):
    return lambda: (torch.randint(n, (1, 4)),)


# number of laws: derived in the documentation (Real networks), or of the literature on gradient flows
COUNTS = {
    "ReLU: one for each unit": (lambda: mlp(nn.ReLU()), real(1, 4), {}, 4),
    "heads": (lambda: nn.MultiheadAttention(4, 2, batch_first=True), three, {}, 4 * 3 + 4),
    "encoder, norm first": (lambda: encoder(True), real(1, 3, 8), {}, 81),
}
MORE = {
    "GPT in training, with dropout": (lambda: GPT(dropout=0.1).train(), tokens(11), {}, 64),
    "GELU: none through its units": (lambda: mlp(nn.GELU()), real(1, 4), {}, 0),
    "cross-entropy: column sums of the head": (
        lambda: mlp(nn.Tanh()),
        real(1, 4),
        {"loss": "cross_entropy"},
        5,
    ),
    "LSTM: 4 h": (lambda: nn.LSTM(3, 5, batch_first=True), real(1, 3, 3), {}, 20),
    "GRU: 2 h": (lambda: nn.GRU(3, 5, batch_first=True), real(1, 3, 3), {}, 10),
    "LoRA of rank 2, twice": (
        lambda: nn.Sequential(LoRA(4, 3, 2), nn.ReLU(), LoRA(3, 2, 2)),
        real(1, 4),
        {},
        6,
    ),
    "conv, ReLU, max-pool, conv, linear": (conv, real(1, 1, 8, 8), {}, 2 + 3),
    "encoder, norm after": (lambda: encoder(False), real(1, 3, 8), {}, 90),
    "encoder, norm first, GELU": (lambda: encoder(True, "gelu"), real(1, 3, 8), {}, 81 - 16),
    "GPT": (lambda: GPT().eval(), tokens(11), {}, 40 + 8 + 9 + 33 + 8 + 16),
    "GPT of two blocks": (lambda: GPT(blocks=2).eval(), tokens(11), {}, 220),
    "Llama": (Llama, tokens(11), {}, 12 + 2 + 10 + 24),
    "Llama of two blocks": (lambda: Llama(blocks=2), tokens(11), {}, 88),
}
CASES = COUNTS | MORE if os.environ.get("CI") else COUNTS


@pytest.mark.parametrize("name", CASES)
def test_laws_of_a_module(name):
    make, draw, options, expected = CASES[name]
    module = make()
    model = read(module, draw, **options)
    analysis = conslaw.analyze(model)
    assert (analysis.laws_found, analysis.complete) == (expected, True)
    if expected:
        assert abs(drifts(analysis, model, module, draw, options.get("loss"))).max() < 1e-10


def test_a_bias_before_a_batch_norm_never_moves():
    module = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2), nn.ReLU(), nn.Linear(2, 2))
    analysis = conslaw.analyze(read(module.train(), real(4, 3)))
    assert {"m0_bias[0]", "m0_bias[1]"} <= {str(law) for law in analysis.laws}


def test_time_does_not_depend_on_the_width():
    """Half a billion parameters, on the device without entries."""
    with torch.device("meta"):
        wide = nn.Sequential(nn.Linear(16_384, 16_384), nn.GELU(), nn.Linear(16_384, 16_384, bias=False))
        model = conslaw.from_torch(wide, torch.zeros(1, 16_384))
    assert model.size > 5 * 10**8


def test_laws_are_written_in_the_names_of_the_module():
    model = conslaw.from_torch(nn.MultiheadAttention(4, 2, batch_first=True), *[torch.zeros(1, 3, 4)] * 3)
    analysis = conslaw.analyze(model, ansatz="matrix")
    texts = [family.text for family in analysis.law_families]
    assert "in_proj_bias[4:8]" in texts
    assert any("out_proj.weight[:,h]" in text for text in texts)
    assert all("in\\_proj\\_weight[0:4]" in f.latex for f in analysis.law_families if "weight[0:4]" in f.text)
    again = conslaw.load(analysis.to_json())
    assert [family.text for family in again.law_families] == texts


@pytest.mark.parametrize("blocks", [[(3, 1), (3, 1)], [(3, 1), (4, 2)], [(2, 1)] * 5])
def test_a_resnet_has_the_laws_of_its_channels(blocks):
    """Hidden channels of blocks, channels of stages, and of each shortcut the difference of two shifts."""
    starts = [
        (c, stride)
        for (c, stride), before in zip(blocks, [blocks[0], *blocks], strict=False)
        if c != before[0]
    ]
    hidden, streams = sum(c for c, _ in blocks), blocks[0][0] + sum(c for c, _ in starts)
    shifts = sum(c for c, _ in starts)
    net = ResNet(blocks, 3, stem=3, pool=False)
    analysis = conslaw.analyze(conslaw.from_torch(net, torch.zeros(1, 3, 8, 8), mode="eval"))
    assert (analysis.laws_found, analysis.complete) == (hidden + streams + shifts, True)


def test_velocities_have_the_names_of_the_module():
    module = nn.Sequential(nn.Linear(3, 2, bias=False), nn.Linear(2, 3, bias=False))
    model = conslaw.from_torch(module, torch.zeros(1, 3))
    [family] = conslaw.analyze(conslaw.momentum_flow(model)).law_families
    assert "_weight" not in family.text
    assert r"\dot{\texttt{0.weight}}" in family.latex

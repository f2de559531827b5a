"""True gradients lie in the span of the fields: what is conserved along all fields, the module conserves."""

import os

import pytest

torch = pytest.importorskip("torch")
from spans import outside, read  # noqa: E402
from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402, N812
from torch.nn.utils.parametrizations import spectral_norm, weight_norm  # noqa: E402
from torch.utils.checkpoint import checkpoint  # noqa: E402
from written_out import GPT, BasicBlock, Code, Llama, LoRA, RMSNorm, VisionTransformer  # noqa: E402


def real(*shapes):
    return lambda: tuple(torch.randn(s, dtype=torch.float64) for s in shapes)


def tokens(n, *shape):
    return lambda: (torch.randint(n, shape),)


def without_gradient(m, x):
    with torch.no_grad():
        y = m.l(x) * 2
    return m.l(x) * y + m.k(x)


def changed_in_place(m, x):
    y = m.l(x).clone()
    y[:, 0] = 0
    y[:, 1] = m.k(x)[:, 1]
    return y


def layer_norm(m, x):
    z = m.l(x) - m.l(x).mean(-1, keepdim=True)
    return z / torch.sqrt(z.pow(2).mean(-1, keepdim=True) + 1e-5) * m.k.bias


def ratio(m, x):
    e = torch.exp(m.l(x))
    return e / e.sum(-1, keepdim=True)


def stacked(*layers):
    return nn.Sequential(*layers)


def encoder(**options):
    return nn.TransformerEncoderLayer(4, 2, 5, batch_first=True, **options)


def activations(*functions):
    return stacked(*(layer for f in functions for layer in (nn.Linear(3, 3), f)))


NEVER = torch.tensor([False, False, False, True])
FOR_EACH_SAMPLE = torch.stack([torch.ones(3, 3), torch.eye(3)]).bool()[:, None]


def grouped_heads(bias):
    """Four heads of queries, two of keys."""

    def code(m, x):
        q, k = (y.view(2, 3, -1, 1).transpose(1, 2) for y in (m.l(x), m.k(x)[..., :2]))
        return F.scaled_dot_product_attention(q, k, k, attn_mask=bias(m), enable_gqa=True)

    return Code(code)


CAUSAL = torch.tensor([[0.0, float("-inf")], [-0.5, 0.0]], dtype=torch.float64)

MODULES = {
    "mlp": (
        stacked(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 4), nn.GELU(), nn.Linear(4, 2)),
        real((2, 3)),
        {},
    ),
    "cross-entropy": (
        stacked(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 3)),
        real((2, 3)),
        {"loss": "cross_entropy"},
    ),
    "cnn": (
        stacked(nn.Conv2d(1, 2, 3, padding=1), nn.ReLU(inplace=True), nn.MaxPool2d(2), nn.Conv2d(2, 3, 3))
        .append(nn.BatchNorm2d(3))
        .append(nn.AdaptiveAvgPool2d(1))
        .append(nn.Flatten())
        .append(nn.Linear(3, 2)),
        real((2, 1, 8, 8)),
        {"mode": "train"},
    ),
    "encoder": (encoder(dropout=0.0), real((1, 3, 4)), {}),
    "encoder in training": (encoder(dropout=0.3), real((1, 3, 4)), {"mode": "train"}),
    "encoder, norm first": (encoder(norm_first=True, activation="gelu"), real((1, 3, 4)), {"mode": "eval"}),
    "gpt": (GPT(5, 4, 4, 2, 6), tokens(5, 1, 4), {"mode": "eval"}),
    "gpt in training": (GPT(5, 4, 4, 2, 6, dropout=0.3), tokens(5, 1, 4), {"mode": "train"}),
    "llama": (Llama(5, 4, 2, 1, 3), tokens(5, 1, 4), {}),
    "lstm": (nn.LSTM(2, 3, batch_first=True), real((1, 3, 2)), {}),
    "lstm, two ways": (
        nn.LSTM(2, 2, num_layers=2, bidirectional=True, dropout=0.5),
        real((3, 1, 2)),
        {"mode": "train"},
    ),
    "gru": (nn.GRU(2, 3), real((3, 1, 2)), {}),
    "rnn": (nn.RNN(2, 3, nonlinearity="relu"), real((3, 1, 2)), {}),
    "cells": (nn.ModuleList([nn.LSTMCell(2, 2), nn.GRUCell(2, 2), nn.RNNCell(2, 2)]), real((2, 2)), {}),
    "residual": (
        stacked(
            nn.Conv2d(1, 2, 3, padding=1),
            BasicBlock(2, 2),
            BasicBlock(2, 3, 2),
            nn.Flatten(),
            nn.Linear(12, 2),
        ),
        real((1, 1, 4, 4)),
        {"mode": "eval"},
    ),
    "residual in training": (
        stacked(nn.Conv2d(1, 2, 3), BasicBlock(2, 2)),
        real((2, 1, 6, 6)),
        {"mode": "train"},
    ),
    "lora": (stacked(LoRA(4, 3, 2), nn.ReLU(), LoRA(3, 2, 2)), real((8, 4)), {}),
    "vision": (VisionTransformer(), real((1, 1, 4, 4)), {}),
    "heads and weights": (nn.MultiheadAttention(4, 2, batch_first=True), real(*[(1, 3, 4)] * 3), {}),
    "decoder": (nn.TransformerDecoderLayer(4, 2, 3, dropout=0.0), real((2, 1, 4), (3, 1, 4)), {}),
    "groups": (
        stacked(nn.Conv1d(2, 4, 3), nn.GroupNorm(2, 4), nn.SiLU(), nn.Conv1d(4, 2, 2, groups=2)),
        real((1, 2, 6)),
        {},
    ),
    "instances": (
        stacked(nn.Conv1d(2, 3, 3), nn.InstanceNorm1d(3, affine=True), nn.PReLU(3)),
        real((1, 2, 6)),
        {},
    ),
    "embedding": (stacked(nn.Embedding(5, 3), nn.LayerNorm(3), nn.Linear(3, 3)), tokens(5, 1, 4), {}),
    "padding": (
        stacked(nn.Embedding(5, 3, padding_idx=1), nn.Linear(3, 3)),
        lambda: (torch.tensor([[1, 2, 1]]),),
        {},
    ),
    "weight norm": (weight_norm(nn.Linear(3, 3)), real((2, 3)), {}),
    "spectral norm": (spectral_norm(nn.Linear(3, 3)), real((2, 3)), {"mode": "eval"}),
    "bilinear": (nn.Bilinear(2, 3, 2), real((1, 2), (1, 3)), {}),
    "glu": (stacked(nn.Linear(3, 6), nn.GLU(), nn.Linear(3, 2), nn.LogSoftmax(-1)), real((2, 3)), {}),
    "homogeneous": (
        activations(nn.LeakyReLU(), nn.RReLU(), nn.Hardshrink(), nn.PReLU()),
        real((2, 3)),
        {"mode": "train"},
    ),
    "smooth": (
        activations(nn.Softplus(), nn.ReLU6(), nn.Softsign(), nn.Tanhshrink(), nn.CELU()),
        real((2, 3)),
        {},
    ),
    "nested": (
        stacked(nn.Linear(3, 4), nn.Tanh(), nn.GELU(), nn.Softmax(-1), nn.LayerNorm(4)),
        real((2, 3)),
        {},
    ),
}
CODE = {
    "detach": lambda m, x: m.l(x).detach() * m.l(x) + m.k(x),
    "no gradient": without_gradient,
    "in place": changed_in_place,
    "straight through": lambda m, x: m.k((y := m.l(x)) + (y.sign() - y).detach()),
    "checkpoint": lambda m, x: checkpoint(m.l, x, use_reentrant=False) * m.k(x),
    "clamp": lambda m, x: torch.clamp(m.l(x), min=m.k(x)),
    "extremes": lambda m, x: torch.max(m.l(x), m.k(x)) + m.l(x).max(-1, keepdim=True).values + m.k(x).amin(0),
    "where": lambda m, x: torch.where(m.l(x) > 0, m.k(x), m.l(x) * x),
    "masked fill": lambda m, x: m.l(x).masked_fill(x > 0, 0.5) + m.k(x).masked_fill(torch.arange(4) > 1, 0.0),
    "einsum": lambda m, x: torch.einsum("bi,bj,ij->b", m.l(x), m.k(x), m.l.weight),
    "division": lambda m, x: m.l(x) / (1 + m.k(x) ** 2) / x,
    "normalize": lambda m, x: F.normalize(m.l(x), dim=-1) + m.k(x) / m.k(x).norm(dim=-1, keepdim=True),
    "softmax written out": ratio,
    "layer norm written out": layer_norm,
    "rms norm written out": lambda m, x: (
        m.l(x) * torch.rsqrt((m.l(x) ** 2).mean(-1, keepdim=True) + 1e-6) * m.k.bias
    ),
    "deviation": lambda m, x: m.l(x).std(-1) + m.k(x).var(),
    "experts": lambda m, x: (F.softmax(m.k(x), -1)[..., None] * m.l(x)[:, None]).sum(1),
    "top": lambda m, x: m.l(x).gather(1, m.k(x).topk(2, dim=1).indices) + m.k(x).topk(2).values,
    "index": lambda m, x: m.l(x)[:, [0, 2, 1, 1]] * m.k(x)[torch.arange(2)],
    "moved": lambda m, x: m.l(x).cumsum(1) + m.k(x).flip(1).roll(1, 1) + F.pad(m.l(x), (1, 1))[:, :4],
    "masked weights": lambda m, x: (
        x @ torch.tril(m.l.weight) + x @ (m.k.weight * (torch.arange(16).view(4, 4) % 3 > 0))
    ),
    "losses": lambda m, x: F.mse_loss(m.l(x), x) + F.cross_entropy(m.k(x), torch.tensor([0, 1])),
    "biased logits": lambda m, x: F.softmax(m.l(x) @ m.k(x).T + CAUSAL, -1) @ m.l(x),
    "trained mask": lambda m, x: F.scaled_dot_product_attention(
        m.l(x), m.k(x), m.l(x), attn_mask=m.l(x)[:, :2]
    ),
    "grouped heads": lambda m, x: F.scaled_dot_product_attention(
        m.l(x).view(1, 2, 2, 2),
        m.k(x).view(1, 2, 2, 2)[:, :1],
        m.k(x).view(1, 2, 2, 2)[:, 1:],
        enable_gqa=True,
        is_causal=True,
    ),
    "tied": lambda m, x: m.l(x) @ m.l.weight.T + m.k.weight[:2],
    "powers": lambda m, x: m.l(x) ** 3 + m.k(x) ** -1 + (m.k(x) ** 2 + 1) ** 0.5 + 2.0 ** m.l(x),
    "products": lambda m, x: (
        m.l(x).prod(-1) + m.k(x).cumprod(-1)[:, 1] + torch.outer(m.l(x)[0], m.k(x)[1]).sum()
    ),
    "windows": lambda m, x: m.l(x).unfold(1, 2, 1).sum(1) + F.unfold(m.k(x).view(1, 2, 2, 2), (2, 1)).mean(1),
    "pooled": lambda m, x: F.adaptive_avg_pool1d(m.l(x)[None], 2) + F.adaptive_max_pool1d(m.k(x)[None], 2),
    "interpolated": lambda m, x: (
        F.interpolate(m.l(x)[None], scale_factor=2) + F.interpolate(m.k(x)[None], size=8, mode="linear")
    ),
    "transposed": lambda m, x: F.conv_transpose1d(m.l(x)[None], m.k.weight[:2, :2, None].expand(2, 2, 3)),
    "graph": lambda m, x: (
        torch.zeros(3, 4, dtype=x.dtype).index_add(0, torch.tensor([0, 2]), m.l(x)) @ m.k.weight
    ),
    "addmm": lambda m, x: (
        torch.addmm(m.l.bias, x, m.k.weight, beta=2, alpha=0.5) + torch.lerp(m.l(x), m.k(x), 0.3)
    ),
}
CODE |= {
    "twice a trained bias of masked logits": lambda m, x: F.softmax(
        torch.add(m.l(x).masked_fill(NEVER, float("-inf")), m.k(x), alpha=2), -1
    ),
    "a part of a weight of one norm": lambda m, x: F.linear(
        x[:, :2], torch._weight_norm(m.l.weight, m.k.bias[0], -1)[:, :2]
    ),
    "trained labels": lambda m, x: F.cross_entropy(x, F.softmax(m.l(x), -1)),
}
MODULES |= {name: (Code(code), real((2, 4)), {}) for name, code in CODE.items()}

MODULES |= {
    "a mask for each sample of grouped heads": (
        grouped_heads(lambda m: FOR_EACH_SAMPLE),
        real((2, 3, 4)),
        {},
    ),
    "a bias for each of grouped heads": (
        grouped_heads(lambda m: m.k.weight.view(1, 4, 1, 4)[..., :3]),
        real((2, 3, 4)),
        {},
    ),
}


class Cells(nn.Module):
    """Cells with states that are data."""

    def __init__(self, cells):
        super().__init__()
        self.cells = cells

    def forward(self, x):
        lstm, gru, rnn = self.cells
        h, c = lstm(x, (x * 2, x - 1))
        return rnn(gru(h, x + 1), c)


QUICK = (
    *(
        "mlp",
        "cnn",
        "cross-entropy",
        "encoder in training",
        "gpt in training",
        "llama",
        "gru",
        "lora",
        "padding",
    ),
    *("a mask for each sample of grouped heads", "a bias for each of grouped heads"),
    *("twice a trained bias of masked logits", "a part of a weight of one norm", "trained labels"),
    *(
        "residual in training",
        "nested",
        "detach",
        "no gradient",
        "in place",
        "layer norm written out",
    ),
)


@pytest.mark.parametrize("name", MODULES if os.environ.get("CI") else QUICK)
def test_true_gradients_are_in_the_span_of_the_fields(name):
    module, draw, options = MODULES[name]
    if name == "cells":
        module = Cells(module)
    if "mode" in options:
        module.train(options["mode"] == "train")
    model = read(module, draw, **options)
    assert outside(model, module, draw, options.get("loss")) < 1e-10


@pytest.mark.parametrize(
    "code",
    [
        lambda m, x: RMSNorm(4)(m.l(x)),
        lambda m, x: (y := m.l(x)) / torch.sqrt(y.square().mean(-1, keepdim=True) + 1e-6),
        lambda m, x: torch.rsqrt(((y := m.l(x)) * y).mean(dim=-1, keepdim=True) + 1e-6) * y,
        lambda m, x: F.rms_norm(m.l(x), (4,)),
    ],
)
def test_rms_norms_are_read_as_one(code):
    [reading] = read(Code(code), real((2, 4))).readings
    assert reading.operation == "rms_norm"


def test_a_function_of_each_entry_that_is_written_out_is_read_as_one():
    """GELU by hand; where another array is in it, only what is of the sum."""
    gelu = Code(lambda m, x: 0.5 * (z := m.l(x)) * (1 + torch.tanh(0.8 * (z + 0.04 * z**3))) * x)
    other = Code(lambda m, x: 0.5 * (z := m.l(x)) * (1 + torch.tanh(0.8 * (z + 0.04 * m.k(x) ** 3))))
    for module in (gelu, other):
        model = read(module, real((2, 4)))
        assert [r.operation for r in model.readings] == ["activation"]
        assert outside(model, module, real((2, 4))) < 1e-10


def test_slopes_that_are_drawn_are_their_mean_in_evaluation():
    for training, operation, options in (
        (False, "leaky_relu", {"negative_slope": pytest.approx(0.3)}),
        (True, "rrelu_with_noise", {}),
    ):
        [reading] = read(Code(lambda m, x, on=training: F.rrelu(m.l(x), 0.1, 0.5, on)), real((2, 4))).readings
        assert (reading.operation, reading.options) == (operation, options)


def test_what_is_no_rms_norm_is_not_read_as_one():
    """Of another array, or with a deviation that is used elsewhere as well."""
    for code in (
        lambda m, x: m.l(x) * torch.rsqrt(m.k(x).pow(2).mean(-1, keepdim=True) + 1e-6),
        lambda m, x: m.l(x) * (r := torch.rsqrt(m.l(x).pow(2).mean(-1, keepdim=True) + 1e-6)) + r,
        lambda m, x: (y := m.l(x)) * (r := torch.rsqrt(y.pow(2).mean(-1, keepdim=True) + 1e-6)) + r,
    ):
        module, draw = Code(code), real((2, 4))
        model = read(module, draw)
        assert "rms_norm" not in [r.operation for r in model.readings]
        assert outside(model, module, draw) < 1e-10

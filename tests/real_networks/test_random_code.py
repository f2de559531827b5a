"""True gradients of random code are in the span of the fields: masks, slices, norms, in any order."""

import os
import random

import pytest

torch = pytest.importorskip("torch")
from spans import outside, read  # noqa: E402
from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402, N812

ONE = [
    *(F.relu, F.gelu, torch.tanh, torch.abs, F.silu),
    lambda a: F.softmax(a, -1),
    lambda a: F.softmax(a, 0),
    lambda a: F.log_softmax(a, -1),
    lambda a: F.layer_norm(a, (4,)),
    lambda a: F.rms_norm(a, (4,)),
    lambda a: a * torch.rsqrt(a.pow(2).mean(-1, keepdim=True) + 1e-6),
    lambda a: 0.5 * a * (1 + torch.tanh(0.8 * (a + 0.04 * a**3))),
    lambda a: F.softmax(a.masked_fill(torch.ones(4, 4).triu(1) > 0, float("-inf")), -1),
    lambda a: a.masked_fill(torch.arange(4) > 2, 0.0),
    lambda a: a * torch.tensor([1, 0, 1, 1]),
    lambda a: torch.cat([a[:, :2], a[:, 2:] * 2], 1),
    lambda a: torch.cat(a.chunk(2, 1)[::-1], 1),
    lambda a: a.reshape(2, 2, 4).transpose(0, 1).reshape(4, 4),
    lambda a: a - a.mean(0),
    lambda a: a.max(1, keepdim=True).values + a,
    lambda a: a.detach() * 2,
    lambda a: a.T @ a,
    lambda a: a / (1 + a**2),
]
TWO = [
    *(torch.add, torch.mul, torch.matmul, F.linear, torch.maximum),
    lambda a, b: F.scaled_dot_product_attention(a, b, a + b),
    lambda a, b: F.scaled_dot_product_attention(a, a, b, attn_mask=b),
    lambda a, b: torch.where(a > 0, b, a),
    lambda a, b: torch.sigmoid(a) * b,
    lambda a, b: torch.cat([a, b], 0)[1:5],
]


class RandomCode(nn.Module):
    """Up to seven operations, each mostly of the last value."""

    def __init__(self, seed):
        super().__init__()
        self.l, self.k, self.w = nn.Linear(4, 4), nn.Linear(4, 4), nn.Parameter(torch.ones(4, 4))
        draw = random.Random(seed)
        self.code = []
        for last in range(3, 3 + draw.randint(2, 7)):
            functions, arguments = (ONE, 1) if draw.random() < 0.6 else (TWO, 2)
            chosen = [last if draw.random() < 0.6 else draw.randint(0, last) for _ in range(arguments)]
            self.code.append((draw.choice(functions), chosen))

    def forward(self, x):
        values = [x, self.l(x), self.k(x), self.w]
        for function, chosen in self.code:
            values.append(function(*(values[i] for i in chosen)))
        return values[-1], values[-2] + self.l(x)


@pytest.mark.parametrize("seed", range(200) if os.environ.get("CI") else (0, 1, 2, 73))
def test_true_gradients_of_random_code(seed):
    module, draw = RandomCode(seed), lambda: (torch.randn(4, 4, dtype=torch.float64),)
    model = read(module, draw)
    assert outside(model, module, draw) < 1e-8

"""Cells of recurrent networks; whole layers are taken apart by PyTorch, step by step."""

from __future__ import annotations

from typing import Any

from conslaw.algebra.expressions import Expression
from conslaw.models.from_torch.arithmetic import linear
from conslaw.models.from_torch.reader import Reader, Rule
from conslaw.models.nn.activations import free_value, relu


def _gates(read: Reader, x: Any, weight: Any, bias: Any, parts: int) -> list[Expression]:
    z = linear(read, x, weight, bias)
    size = z.shape[-1] // parts
    return [z[..., i * size : (i + 1) * size] for i in range(parts)]


def _lstm_cell(
    read: Reader, x: Any, hx: Any, w_ih: Any, w_hh: Any, b_ih: Any = None, b_hh: Any = None
) -> list[Expression]:
    own, before = _gates(read, x, w_ih, b_ih, 4), _gates(read, hx[0], w_hh, b_hh, 4)
    i, f, g, o = (a + b for a, b in zip(own, before, strict=True))
    cell = free_value("sigmoid", f) * read.array(hx[1]) + free_value("sigmoid", i) * free_value("tanh", g)
    return [free_value("sigmoid", o) * free_value("tanh", cell), cell]


def _gru_cell(
    read: Reader, x: Any, hx: Any, w_ih: Any, w_hh: Any, b_ih: Any = None, b_hh: Any = None
) -> Expression:
    own, before = _gates(read, x, w_ih, b_ih, 3), _gates(read, hx, w_hh, b_hh, 3)
    r, z = (free_value("sigmoid", a + b) for a, b in zip(own[:2], before[:2], strict=True))
    n = free_value("tanh", own[2] + r * before[2])
    return n + z * (read.array(hx) - n)


def _cell(
    read: Reader, x: Any, hx: Any, w_ih: Any, w_hh: Any, b_ih: Any = None, b_hh: Any = None
) -> Expression:
    [own], [before] = _gates(read, x, w_ih, b_ih, 1), _gates(read, hx, w_hh, b_hh, 1)
    tanh = "tanh" in read.node.target._schema.name
    return free_value("tanh", own + before) if tanh else relu(own + before)


RULES: dict[str, Rule] = {
    "lstm_cell": _lstm_cell,
    "gru_cell": _gru_cell,
    **dict.fromkeys(("rnn_tanh_cell", "rnn_relu_cell"), _cell),
}

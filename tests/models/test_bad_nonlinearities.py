"""Functions of conslaw.nn refuse what they cannot read in one line."""

import numpy as np
import pytest

import conslaw
from conslaw import nn


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (
            lambda p, c: nn.softmax(p.W[:, :1] @ c.x[:1], axis=0)[:1].sum() * 0 + nn.softmax(p.W[:1] @ c.x),
            "a softmax of one entry",
        ),
        (lambda p, c: nn.layer_norm(p.W[:1] @ c.x).sum(), "a norm of one entry"),
        (lambda p, c: nn.batch_norm(p.W, train="yes").sum(), "give True or False"),
        (lambda p, c: nn.layer_norm(p.W @ c.x, eps=-1).sum(), "give a number >= 0"),
        (lambda p, c: nn.conv(c.x[None], p.W[None], stride=-1).sum(), "stride=-1"),
        (lambda p, c: nn.conv(c.x[None], p.W[None], groups=0).sum(), "groups=0"),
        (lambda p, c: nn.max_pool(p.W, 9).sum(), "does not fit"),
        (lambda p, c: nn.max_pool(p.W, 2, padding=2).sum(), "outside of the image"),
        (lambda p, c: nn.softmax(p.W, mask=np.zeros((3, 3), bool)).sum(), "leaves no entry"),
        (lambda p, c: nn.softmax(p.W, mask=[1, 0]).sum(), "give booleans"),
        (lambda p, c: nn.attention(p.W[0], p.W, p.W).sum(), "give (..., tokens, size)"),
        (lambda p, c: nn.group_norm(p.W, 2).sum(), "must be divisible"),
        (lambda p, c: nn.gelu(p.W, alpha=2).sum(), "alpha"),
        (lambda p, c: nn.embedding(0, p.W).sum(), "a number of tokens"),
        (lambda p, c: np.maximum(p.W @ c.x, 0).sum(), "conslaw.nn.relu"),
        (lambda p, c: np.tanh(p.W @ c.x).sum(), "conslaw.nn.tanh"),
        (lambda p, c: conslaw.relu(p.W @ c.x).sum(), "conslaw.nn.relu"),
    ],
)
def test_bad_input_gets_one_line_that_says_the_fix(code, said):
    with pytest.raises(conslaw.ConslawError) as error:
        conslaw.model(code, parameters={"W": (3, 3)}, data={"x": (3,)})
    assert said in str(error.value)
    assert "\n" not in str(error.value)
    assert "test_bad_nonlinearities.py" in str(error.value)


def test_outside_of_a_potential():
    with pytest.raises(conslaw.ConslawError, match="call it in the potential"):
        nn.relu(np.ones(3, dtype=int))

"""Adjoints of data in windows: deep residual streams read by norms keep their laws, and get no others."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import conslaw
from conslaw import nn


def stream(depth, width, norm, last=True, tied=None, doublings=0):
    """A residual stream of layers B gelu(A norm(h)) + b, at the end added to itself again and again."""
    shapes = {f"A{i}": (width + 1, width) for i in range(depth)}
    shapes |= {f"B{i}": (width, width + 1) for i in range(depth)} | {f"b{i}": (width,) for i in range(depth)}

    def potential(p, c):
        h = c.x
        for i in range(depth):
            k = 0 if tied == i else i
            h = h + p[f"B{k}"] @ nn.gelu(p[f"A{k}"] @ norm(h)) + p[f"b{i}"]
        for _ in range(doublings):
            h = h + h
        return c.v @ (norm(h) if last else h)

    return conslaw.model(potential, parameters=shapes, data={"x": (width,), "v": (width,)})


@pytest.mark.parametrize("depth", [1, 2, 7])
def test_sums_of_what_norms_read(depth):
    """Each column of B, each row of A, each b has a conserved sum, in a class of more than 16 arrays, too."""
    analysis = conslaw.analyze(stream(depth, 4, nn.layer_norm), ansatz="matrix")
    laws = depth * (5 + 5 + 1)
    assert (analysis.laws_found, analysis.laws_at_most) == (laws, laws)
    assert conslaw.verify(analysis.certificate(), budget=5).ok


def test_a_stream_that_is_doubled_again_and_again():
    """A number times the stream, whatever the number: its 2**40 summands are not written out."""
    found = [
        conslaw.analyze(stream(2, 3, nn.layer_norm, last=False, doublings=k), ansatz="matrix")
        for k in (0, 40)
    ]
    assert found[0].laws_found == found[1].laws_found > 0


@given(st.integers(0, 2**32 - 1))
def test_windows_have_no_laws_that_the_whole_has_not(seed):
    rng = np.random.default_rng(seed)
    depth, width = int(rng.integers(1, 4)), int(rng.integers(2, 4))
    norms = [nn.layer_norm, nn.rms_norm, lambda h: h, lambda h: nn.layer_norm(h) + h]
    tied = int(rng.integers(1, depth)) if depth > 1 and rng.random() < 0.4 else None
    model = stream(depth, width, norms[rng.integers(len(norms))], bool(rng.random() < 0.5), tied)
    flow = conslaw.gradient_flow(model)
    found = conslaw.analyze(flow, ansatz="matrix")
    assert found.laws_found <= conslaw.count(flow, split=False).laws_at_most

"""Transformers of several blocks, tied, with causal masks: all laws, on both sides, whatever the depth."""

import os

import numpy as np
import pytest

import conslaw
from conslaw import nn
from conslaw.certificates.written import digests


def gpt(vocabulary, positions, width, heads, blocks, tokens=2):
    """The shape of GPT-2: LayerNorms first and at the end, a hidden layer of 4 width, all biases."""
    size, hidden = width // heads, 4 * width
    shapes = {"E": (vocabulary, width), "P": (positions, width), "g": (width,), "h": (width,)}
    for k in map(str, range(blocks)):
        shapes |= dict.fromkeys([n + k for n in "QKVO"], (heads, size, width))
        shapes |= dict.fromkeys(["bQ" + k, "bK" + k, "bV" + k], (heads, size))
        shapes |= dict.fromkeys([n + k for n in ("bO", "bB", "g1", "h1", "g2", "h2")], (width,))
        shapes |= {"A" + k: (hidden, width), "bA" + k: (hidden,), "B" + k: (width, hidden)}

    def potential(p, c):
        x = nn.embedding(tokens, p.E) + nn.embedding(tokens, p.P)
        for k in map(str, range(blocks)):
            n = nn.layer_norm(x, p["g1" + k], p["h1" + k])
            q, key, v = (np.einsum("hid,td->hti", p[z + k], n) + p["b" + z + k][:, None] for z in "QKV")
            x = x + np.einsum("hid,hti->td", p["O" + k], nn.attention(q, key, v, mask="causal")) + p["bO" + k]
            n = nn.layer_norm(x, p["g2" + k], p["h2" + k])
            x = x + nn.gelu(n @ p["A" + k].T + p["bA" + k]) @ p["B" + k].T + p["bB" + k]
        return (c.v * (nn.layer_norm(x, p.g, p.h) @ p.E.T)).sum()

    return conslaw.model(potential, parameters=shapes, data={"v": (tokens, vocabulary)}, name="gpt")


def laws(positions, width, heads, blocks):
    """Rows of positions; of a block Gram matrices, biases of keys, gains, sums of columns and biases."""
    size = width // heads
    return positions + blocks * (heads * size * (size + 1) + width + 2 * width + 4 * width + width + 2)


SIZES = [((11, 8, 8, 2, 1), 114), ((50, 16, 32, 2, 3), None)]
MORE = [((11, 8, 8, 2, 2), 220), ((2000, 8, 16, 1, 4), None)]


@pytest.mark.parametrize(("sizes", "known"), SIZES + MORE * ("CI" in os.environ))
def test_all_laws_of_deep_transformers(sizes, known):
    analysis = conslaw.analyze(gpt(*sizes), ansatz="matrix")
    wanted = laws(*sizes[1:])
    assert known in (None, wanted)
    assert (analysis.laws_found, analysis.laws_at_most) == (wanted, wanted)
    assert conslaw.verify(analysis.certificate(), budget=10).ok


def test_equal_values_are_no_way_to_a_false_bound():
    """Arrays that a certificate says to be equal are so at its point, and ranks there are lower bounds."""
    analysis = conslaw.analyze(gpt(20, 4, 16, 1, 2), ansatz="matrix")
    certificate = analysis.certificate()
    upper = certificate["upper"]
    assert upper["method"] == "groups"
    assert upper["same"]
    for same in (
        {},
        dict.fromkeys(upper["same"], "E"),
        dict.fromkeys(certificate["model"]["parameters"], "bQ0"),
    ):
        forged = {**certificate, "upper": {**upper, "same": same}}
        forged["digests"] = digests(forged)
        assert conslaw.verify(forged, budget=10).ok or same
    fewer = {**upper, "ranks": [upper["ranks"][0] + 1]}
    forged = {**certificate, "upper": fewer, "bounds": {**certificate["bounds"], "laws_at_most": 1}}
    assert not conslaw.verify(forged, budget=10).ok

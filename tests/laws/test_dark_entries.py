"""Dark entries: a network that flattens an image, answered at one of its pixels, against all of them."""

import copy
import json
import os
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import conslaw
from conslaw.algebra.finite_field import random_prime
from conslaw.certificates.written import claim, digests
from conslaw.laws import dark_entries
from conslaw.laws.colourings import every_colouring, splits
from conslaw.laws.dark_entries import without_dark_entries
from conslaw.laws.lie import lie_ranks
from conslaw.laws.splitting import split_ranks

MANY = settings(max_examples=100 if os.environ.get("CI") else 8)
P = random_prime(np.random.default_rng(0))


@pytest.fixture(autouse=True, scope="module")
def small_networks_too():
    with patch.object(dark_entries, "is_large", lambda flow: True):
        yield


def flattening(channels, size, kernels, *, bias, outputs, padding=0, skip=False):
    """A network of gated convolutions of a row of pixels; the last image is read by a matrix for each."""
    shapes, data, sizes = {}, {"x": (channels[0], size)}, [size]
    for i, kernel in enumerate(kernels, start=1):
        sizes.append(sizes[-1] + 2 * padding - kernel + 1)
        shapes[f"K{i}"] = (channels[i], channels[i - 1], kernel)
        data[f"g{i}"] = (channels[i], sizes[-1])
        if bias:
            shapes[f"b{i}"] = (channels[i],)
    shapes["A"] = (outputs, channels[-1], sizes[-1])
    data["v"] = (outputs,)

    def potential(p, c):
        h = c.x
        for i, kernel in enumerate(kernels, start=1):
            zeros = np.zeros((channels[i - 1], padding), dtype=int)
            h = np.concatenate([zeros, h, zeros], axis=1) if padding else h
            places = np.arange(sizes[i])[:, None] + np.arange(kernel)
            h = np.einsum("ock,cyk->oy", p[f"K{i}"], h[:, places])
            h = c[f"g{i}"] * (h + p[f"b{i}"][:, None] if bias else h)
        read = c.v @ np.einsum("ocy,cy->o", p.A, h)
        return read + np.einsum("ocy->o", p.A) @ c.v if skip else read

    return conslaw.model(potential, parameters=shapes, data=data)


@st.composite
def networks(draw):
    layers = draw(st.integers(1, 2))
    channels = [draw(st.integers(1, 2)) for _ in range(layers + 1)]
    kernels = [draw(st.integers(1, 3)) for _ in range(layers)]
    bias, outputs, padding = draw(st.booleans()), draw(st.integers(1, 3)), draw(st.integers(0, 1))
    size = sum(kernels) + draw(st.integers(0, 2))
    return flattening(
        channels, size, kernels, bias=bias, outputs=outputs, padding=padding, skip=draw(st.booleans())
    )


@MANY
@given(networks())
def test_no_split_without_dark_entries_proves_more_than_all_coordinates(model):
    flow = conslaw.gradient_flow(model)
    if found := without_dark_entries(flow, seed=0, p=P):
        part, dark = found
        rank = lie_ranks(flow).ranks[-1]
        assert part.dimension + dark.dimension == flow.dimension
        for one in every_colouring(splits(part))[:6]:
            split = split_ranks(one.classes, one.colours, seed=0, p=P, dark=dark)
            assert split is None or split.ranks[-1] <= rank
            assert split is None or split.laws_at_most == flow.dimension - split.ranks[-1]


@MANY
@given(networks())
def test_analyses_with_and_without_agree(model):
    with_them = conslaw.analyze(model, split=True)
    with patch.object(dark_entries, "is_large", lambda flow: False):
        without = conslaw.analyze(model)
    assert with_them.laws_found <= without.laws_at_most
    assert without.laws_found <= with_them.laws_at_most


@pytest.mark.parametrize("size", [6, 12])
def test_pixels_that_all_outputs_read_add_no_law(size):
    flow = conslaw.gradient_flow(flattening([1, 4, 4], size, [3, 3], bias=True, outputs=3))
    part, dark = without_dark_entries(flow, seed=0, p=P)
    assert part.state["A"] == (3, 4, 1)
    assert dark.dimension == 3 * 4 * (size - 5)
    answer = conslaw.analyze(flow, split=True, ansatz="matrix")
    assert (answer.laws_found, answer.laws_at_most) == (8, 8)


def test_entries_that_never_move_are_not_dark_ones():
    def potential(p, c):
        return c.v @ np.einsum("ocy,cy->o", p.A[:, :, :3], c.g * np.einsum("ci,iy->cy", p.K, c.x))

    shapes = {"K": (2, 2), "A": (2, 2, 5)}
    model = conslaw.model(potential, parameters=shapes, data={"x": (2, 3), "g": (2, 3), "v": (2,)})
    assert without_dark_entries(conslaw.gradient_flow(model), seed=0, p=P) is None
    assert conslaw.analyze(model, split=True).laws_at_most >= 2 + 8


@pytest.fixture(scope="module")
def certificate():
    model = flattening([1, 2, 2], 7, [3, 2], bias=True, outputs=2)
    made = conslaw.analyze(model, split=True, ansatz="matrix").certificate()
    assert "dark" in made["upper"]
    return json.loads(json.dumps(made))


def forged(certificate, more=0, **changed):
    """The certificate with other dark entries, and ``more`` of the rank, consistently."""
    c = copy.deepcopy(certificate)
    c["upper"]["dark"] |= changed
    c["upper"]["ranks"] = [rank + more for rank in c["upper"]["ranks"]]
    c["bounds"]["laws_at_most"] -= more
    c["claim"] = claim(c["model"], c["flow"], c["bounds"])
    c["digests"] = digests(c)
    return c


def test_dark_entries_are_verified(certificate):
    assert conslaw.verify(certificate).ok
    assert conslaw.verify(forged(certificate)).ok


@pytest.mark.parametrize(
    "changed",
    [
        {"left": {"K1": [None, None, [0]]}},  # taps that move
        {"left": {"A": [None, [0], [1]]}},  # an index of a coloured class
        {"left": {"A": [None, None, [0]]}},  # another place
        {"left": {"A": [None, None, [1, 2]]}},  # fewer than there are
        {"left": {}},
        {"left": {"B": [[0]]}},
        {"left": {"A": [None, None, []]}},
        {"left": {"A": [None, None, [9]]}},
        {"data": {"v": [[0]]}},  # data with which not all of them move
        {"data": {"g2": [None, [1]]}},
        {"data": {"x": [None, [0]], "g1": [None, [0]], "g2": [[0], None]}},
        {"colours": []},
        {"classes": []},
    ],
)
@pytest.mark.parametrize("more", [0, 1, 2])
def test_forged_dark_entries_are_refuted(certificate, changed, more):
    assert not conslaw.verify(forged(certificate, more=more, **changed)).ok


def test_dark_entries_of_no_array_are_no_certificate(certificate):
    with pytest.raises(conslaw.ConslawError, match="left"):
        conslaw.verify(forged(certificate, left=None))


def test_more_dark_entries_than_there_are_are_refuted(certificate):
    assert not conslaw.verify(forged(certificate, more=1)).ok

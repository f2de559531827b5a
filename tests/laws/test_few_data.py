"""Data may be zero: a part of the fields, the same code in what is left; and laws at any place."""

import os
from itertools import pairwise
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import conslaw
from conslaw.algebra.evaluation import NumPyNumbers, evaluate, gradient, topological_order
from conslaw.algebra.finite_field import LIFTING_PRIME as P
from conslaw.laws import few_data, matrix_ansatz
from conslaw.laws.brackets import RandomField
from conslaw.laws.candidates import arrays_of
from conslaw.laws.few_data import restricted, with_few_data
from conslaw.laws.lie import lie_ranks, random_point
from conslaw.laws.matrix_ansatz import combinations_of_windows
from conslaw.laws.matrix_notation import derivatives_along
from conslaw.models.zero_data import positions_left, with_zero_data

G = conslaw.gradient_flow
MANY = settings(max_examples=400 if os.environ.get("CI") else 30)
FEWER = settings(max_examples=100 if os.environ.get("CI") else 8)


@st.composite
def images(draw, most=40):
    """Networks of convolutions: by slices or windows of positions, in one or two dimensions, with strides,
    padding, gates and biases of each pixel, skips, pooling.
    """
    axes, layers = draw(st.integers(1, 2)), draw(st.integers(1, 3))
    channels = [draw(st.integers(1, 2)) for _ in range(layers + 1)]
    size = draw(st.integers(2, 7 if axes == 1 else 4))
    shapes, data, steps, n = {}, {"x": (channels[0],) + (size,) * axes}, [], size
    for i in range(1, layers + 1):
        padding = draw(st.integers(0, 1))
        kernel = draw(st.integers(1, min(3, n + 2 * padding)))
        stride = draw(st.integers(1, 2))
        m = (n + 2 * padding - kernel) // stride + 1
        step = {"padding": padding, "kernel": kernel, "stride": stride, "m": m}
        step["gate"], step["bias"] = draw(st.booleans()), draw(st.booleans())
        step["skip"] = m == n and channels[i] == channels[i - 1] and draw(st.booleans())
        step["windows"] = draw(st.sampled_from(["slices", "places", "constant"])) if axes == 1 else "slices"
        shapes[f"K{i}"] = (channels[i], channels[i - 1]) + (kernel,) * axes
        if step["bias"]:
            shapes[f"b{i}"] = (channels[i],)
        if step["gate"]:
            data[f"g{i}"] = (channels[i],) + (m,) * axes
        steps.append(step)
        n = m
    pooled = draw(st.booleans())
    data["v"] = (channels[-1],) if pooled else (channels[-1],) + (n,) * axes
    assume(sum(int(np.prod(s)) for s in shapes.values()) <= most)

    def padded(h, width):
        for axis in range(1, axes + 1) if width else ():
            zeros = np.zeros([*h.shape[:axis], width, *h.shape[axis + 1 :]], dtype=int)
            h = np.concatenate([zeros, h, zeros], axis=axis)
        return h

    def layer(p, c, h, i, padding, kernel, stride, m, **step):
        old, h = h, padded(h, padding)
        places = np.arange(m)[:, None] * stride + np.arange(kernel)
        if step["windows"] == "places":
            new = np.einsum("ock,cyk->oy", p[f"K{i}"], h[:, places])
        elif step["windows"] == "constant":
            window = (np.arange(h.shape[1]) == places[:, :, None]).astype(int)
            new = np.einsum("ock,cyk->oy", p[f"K{i}"], np.einsum("ykx,cx->cyk", window, h))
        else:
            new = 0
            for tap in np.ndindex(*(kernel,) * axes):
                cut = tuple(slice(t, t + (m - 1) * stride + 1, stride) for t in tap)
                left, right = ("oc,cy->oy", "oc,cyx->oyx")[axes - 1], h[(slice(None), *cut)]
                new = new + np.einsum(left, p[f"K{i}"][(slice(None), slice(None), *tap)], right)
        if step["bias"]:
            new = new + p[f"b{i}"].reshape(-1, *(1,) * axes)
        if step["gate"]:
            new = c[f"g{i}"] * new
        return old + new if step["skip"] else new

    def potential(p, c):
        h = c.x
        for i, step in enumerate(steps, start=1):
            h = layer(p, c, h, i, **step)
        return (h.sum(tuple(range(1, axes + 1))) * c.v).sum() if pooled else (h * c.v).sum()

    return conslaw.model(potential, parameters=shapes, data=data)


def some_of(draw, model):
    """Some indices of each data array."""
    kept = {}
    for name, shape in model.data.items():
        if draw(st.booleans()):
            kept[name] = [
                draw(st.none() | st.sets(st.integers(0, n - 1), min_size=1).map(sorted)) for n in shape
            ]
    return kept


@MANY
@given(st.data())
def test_the_code_with_zero_data_is_the_code_at_these_data(data):
    whole = data.draw(images())
    assert_the_same_at_these_data(whole, some_of(data.draw, whole))


def assert_the_same_at_these_data(whole, kept):
    part, rng = with_zero_data(whole, kept), np.random.default_rng(0)
    given_ = {n: rng.integers(-5, 5, s).astype(object) for n, s in whole.parameters.items()}
    large = {n: np.zeros(s, dtype=object) for n, s in whole.data.items()}
    places = positions_left(whole, kept)
    for name, shape in part.data.items() if part else ():
        given_[name] = rng.integers(-5, 5, shape).astype(object)
        large[name].reshape(-1)[places[name]] = given_[name].reshape(-1)
    names = [n for n in whole.parameters if n in used(whole)]
    found = slopes(whole, names, {**given_, **large})
    if part is None:
        assert not any(np.any(x != 0) for x in found)
    else:
        own = dict(zip(used(part), slopes(part, used(part), given_), strict=True))
        assert all(np.all(x == own.get(n, 0)) for n, x in zip(names, found, strict=True))


@pytest.mark.parametrize("pixel", range(4))
@pytest.mark.parametrize("kept", [[[0], [1]], [[1], [2]], [None, [0, 3]], [[0], None]], ids=str)
def test_a_single_entry_that_is_read_is_zero_if_it_is_not_kept(pixel, kept):
    def potential(p, c):
        return ((p["K"] @ c.x) * c.v).sum() + c.x[0, pixel] * (p["U"] * c.u).sum()

    shapes = {"K": (2, 2), "U": (3,)}
    whole = conslaw.model(potential, parameters=shapes, data={"x": (2, 4), "v": (2, 4), "u": (3,)})
    assert_the_same_at_these_data(whole, {"x": kept})


def test_a_law_of_an_array_and_its_entries_is_not_ruled_out_with_few_data():
    """a and b have the same velocity: their difference is conserved."""

    def potential(p, c):
        one, other = c.x.sum(1)[0], c.x[:, :-1].sum(1)[0] + c.x[0, -1]
        return (c.v * (p["K"] @ c.x)).sum() + p["a"] * (one + one**2) + p["b"] * (other + other**2)

    shapes = {"K": (8, 3), "a": (), "b": ()}
    flow = G(conslaw.model(potential, parameters=shapes, data={"x": (3, 3000), "v": (8, 3000)}))
    assert with_few_data(flow).kept is not None
    assert lie_ranks(flow).ranks[-1] == flow.dimension - 1


def test_data_that_matter_nowhere_once_others_are_zero():
    """y is multiplied by one entry of x, which is not among the few that are left."""

    def potential(p, c):
        return (c.v[:, None] * (p["K"] @ c.x)).sum() + c.x[0, 0] * (c.u * (p["K"] @ c.y)).sum()

    data = {"x": (3, 12), "y": (3, 12), "u": (3, 12), "v": (3,)}
    flow = G(conslaw.model(potential, parameters={"K": (3, 3)}, data=data))
    with patch.object(few_data, "WORTH_IT", 0):
        few = with_few_data(flow)
    assert few.kept.keys() == {"x"}
    assert 0 not in few.kept["x"][1]
    assert lie_ranks(few).ranks[-1] == lie_ranks(flow).ranks[-1] == 9


def used(model):
    nodes = topological_order([model.potential])
    return [n for n in model.parameters if any(x.operation == "input" and x.attribute == n for x in nodes)]


def slopes(model, names, values):
    nodes = {x.attribute: x for x in topological_order([model.potential]) if x.operation == "input"}
    return evaluate(gradient(model.potential, [nodes[n] for n in names]), values, NumPyNumbers(int))


@MANY
@given(images(), st.integers(0, 9))
def test_few_data_find_the_rank_of_all(model, seed):
    """Never above the true rank, and confirmed with all data."""
    plain = lie_ranks(G(model), seed=seed)  # too small for few data
    with patch.object(few_data, "WORTH_IT", 0):
        few = lie_ranks(G(model), seed=seed)
        alone = lie_ranks(with_few_data(G(model)), seed=seed)
    assert few.ranks[-1] == plain.ranks[-1] >= alone.ranks[-1]


@MANY
@given(images())
def test_laws_at_any_place_are_laws(model):
    flow = G(model)
    with patch.object(matrix_ansatz, "LITTLE_EXPANDED", 0):
        found = combinations_of_windows(flow)
    rng = np.random.default_rng(1)
    point = random_point(flow, rng, P, 3)
    arrays = [c.array(arrays_of(flow)) for c in found]
    moves = RandomField(flow, 3, rng, P)(point)
    assert not any(x.any() for x in derivatives_along(arrays, point, moves, 3))


@FEWER
@given(images(most=24))
def test_bounds_of_images_are_true(model):
    true = conslaw.count(model).laws_at_most
    with patch.object(few_data, "WORTH_IT", 0):
        analysis = conslaw.analyze(model, ansatz="matrix", split=True)
        assert analysis.laws_found <= true <= analysis.laws_at_most
        assert conslaw.verify(analysis.certificate()).ok


def net(channels, pixels, gate=False):
    """Convolutions of three taps by slices, in one dimension."""
    sizes = [pixels - 2 * i for i in range(len(channels))]
    shapes = {f"K{i}": (b, a, 3) for i, (a, b) in enumerate(pairwise(channels), start=1)}
    data = {"x": (channels[0], pixels), "v": (channels[-1], sizes[-1])}
    data |= {f"g{i}": (channels[i], sizes[i]) for i in range(1, len(channels) - 1) if gate}

    def potential(p, c):
        h = c.x
        for i, n in enumerate(sizes[1:], start=1):
            h = sum(np.einsum("oc,cy->oy", p[f"K{i}"][:, :, k], h[:, k : k + n]) for k in range(3))
            h = c[f"g{i}"] * h if f"g{i}" in data else h
        return (h * c.v).sum()

    return conslaw.model(potential, parameters=shapes, data=data)


@pytest.mark.parametrize(("gate", "laws"), [(False, [10, 10]), (True, [4, 4])])
def test_laws_of_convolutions(gate, laws):
    """Gram matrices over kernels, or norms per channel where there are gates: [MGP25] for one block."""
    analysis = conslaw.analyze(net([3, 4, 4, 3], 12, gate), ansatz="matrix")
    assert analysis.complete
    assert [f.laws for f in analysis.law_families] == laws


def test_one_pixel_serves_and_the_certificate_says_so():
    model = net([3, 6, 6], 40)
    flow = with_few_data(G(model))
    assert flow.data == {"x": (3, 5), "v": (6, 1)}
    certificate = conslaw.analyze(model, split=False, ansatz="matrix").certificate()
    assert certificate["upper"]["data"] == flow.kept
    assert conslaw.verify(certificate).ok
    certificate["upper"]["data"] = {"v": [[0], [0]]}  # one channel does not reach these ranks
    assert not conslaw.verify(certificate).ok
    certificate["upper"]["data"] = {"v": [None, [99]]}
    assert not conslaw.verify(certificate).ok


def test_pixels_with_weights_of_their_own_need_all():
    """A bias for each pixel is moved by its pixel alone: few data do not suffice, and all are taken."""

    def potential(p, c):
        h = sum(np.einsum("oc,cy->oy", p.K[:, :, k], c.x[:, k : k + 8]) for k in range(3))
        return ((h + p.b) * c.v).sum()

    model = conslaw.model(
        potential, parameters={"K": (2, 2, 3), "b": (2, 8)}, data={"x": (2, 10), "v": (2, 8)}
    )
    plain = lie_ranks(G(model))
    with patch.object(few_data, "WORTH_IT", 0):
        found = lie_ranks(G(model))
    assert found.ranks[-1] == plain.ranks[-1]
    poor = restricted(G(model), {"v": [None, [3]]})
    with patch("conslaw.laws.lie.with_few_data", lambda _: poor):
        found = lie_ranks(G(model))
    assert found.ranks[-1] == plain.ranks[-1] > lie_ranks(poor).ranks[-1]
    assert found.kept is None

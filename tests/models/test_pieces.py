"""Arrays in pieces: the same function, whatever is sliced, concatenated and reshaped."""

import re
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import conslaw
from conslaw.algebra.evaluation import NumPyNumbers, evaluate
from conslaw.laws.index_classes import IndexClasses
from conslaw.laws.windows import flow_in_pieces
from conslaw.models.pieces import in_pieces

G = conslaw.gradient_flow


def flat(*widths):
    """A linear network whose weights are cut out of one vector."""
    shapes = list(zip(widths[1:], widths, strict=False))
    ends = np.cumsum([0, *(a * b for a, b in shapes)]).tolist()

    def potential(p, c):
        h = c.x
        for shape, a, b in zip(shapes, ends, ends[1:], strict=False):
            h = p.theta[a:b].reshape(shape) @ h
        return c.v @ h

    data = {"x": (widths[0],), "v": (widths[-1],)}
    return conslaw.model(potential, parameters={"theta": (ends[-1],)}, data=data)


def dense(inputs, growth, layers):
    """Each layer of ReLU units reads all before it."""
    shapes = {f"W{i}": (growth, inputs + i * growth) for i in range(layers)}
    shapes["O"] = (2, inputs + layers * growth)

    def potential(p, c):
        h = c.x
        for i in range(layers):
            h = np.concatenate([c[f"g{i}"] * (p[f"W{i}"] @ h), h])
        return c.v @ (p.O @ h)

    data = {"x": (inputs,), "v": (2,)} | {f"g{i}": (growth,) for i in range(layers)}
    return conslaw.model(potential, parameters=shapes, data=data)


def packed(size, width):
    """Query, key, value and output of an attention head in one array."""

    def potential(p, c):
        q, k, v, o = (p.W[i * size : (i + 1) * size] for i in range(4))
        return (q @ c.x) @ (k @ c.y) + (v @ c.z) @ (o @ c.w)

    return conslaw.model(potential, parameters={"W": (4 * size, width)}, data=dict.fromkeys("xyzw", (width,)))


def crossed(n):
    """Pieces that overlap, a diagonal, a picked row: what does not fit is put together again."""

    def potential(p, c):
        left, right = p.A[:, : n + 1], p.A[:, n:]
        diagonal = np.einsum("ii->i", p.A[:, :n] @ c.m)
        return c.v @ (left @ c.y) - c.v @ (right @ c.y[1:]) + diagonal @ c.v - p.A[0] @ c.u * p.s / 3

    shapes, data = {"A": (n, 2 * n), "s": ()}, {"v": (n,), "y": (n + 1,), "u": (2 * n,), "m": (n, n)}
    return conslaw.model(potential, parameters=shapes, data=data)


def rotary(pairs, width):
    """Halves that are cut, put together the other way round, and cut again."""

    def potential(p, c):
        q = p.Q @ c.x
        turned = np.concatenate([-q[pairs:], q[:pairs]])
        return (q * c.cos + turned * c.sin) @ (p.K @ c.y)

    shapes = dict.fromkeys("QK", (2 * pairs, width))
    data = {"x": (width,), "y": (width,), "cos": (2 * pairs,), "sin": (2 * pairs,)}
    return conslaw.model(potential, parameters=shapes, data=data)


MODELS = st.one_of(
    st.builds(rotary, st.integers(2, 3), st.integers(2, 3)),
    st.lists(st.integers(2, 4), min_size=3, max_size=4).map(lambda w: flat(*w)),
    st.builds(dense, st.integers(2, 3), st.integers(2, 3), st.integers(1, 3)),
    st.builds(packed, st.integers(2, 3), st.integers(2, 4)),
    st.integers(3, 4).map(crossed),
)


def slices_of(name, shapes):
    """The array that a piece is of, and its slice: a name says where the axes that are cut begin and end."""
    own = max((n for n in shapes if re.fullmatch(rf"{n}(_\d+_\d+)*", name)), key=len)
    numbers = [int(x) for x in name[len(own) :].split("_")[1:]]
    pairs, shape = list(zip(numbers[::2], numbers[1::2], strict=True)), shapes[own]
    for axes in combinations(range(len(shape)), len(pairs)):
        if all(b - a < shape[i] and b <= shape[i] for i, (a, b) in zip(axes, pairs, strict=True)):
            where = {i: slice(a, b) for i, (a, b) in zip(axes, pairs, strict=True)}
            return own, tuple(where.get(i, slice(None)) for i in range(len(shape)))
    raise AssertionError(name)


@given(MODELS)
def test_the_function_of_the_pieces_is_the_function(model):
    pieces, of = in_pieces(model, model.parameters)
    rng, shapes = np.random.default_rng(0), {**model.parameters, **model.data}
    whole = {n: np.array(rng.integers(-9, 9, s).tolist(), dtype=object) for n, s in shapes.items()}
    parts, covered = {}, {name: np.zeros(s, dtype=int) for name, s in shapes.items()}
    for name, shape in {**pieces.parameters, **pieces.data}.items():
        own, where = slices_of(name, shapes)
        assert of.get(name, own) == own
        covered[own][where] += 1
        parts[name] = np.array(whole[own][where], dtype=object).reshape(shape)
    assert all((x == 1).all() for x in covered.values())
    [before] = evaluate([model.potential], whole, NumPyNumbers(int))
    [after] = evaluate([pieces.potential], parts, NumPyNumbers(int))
    assert before == after


@given(MODELS)
def test_pieces_have_as_many_laws(model):
    flow = G(model)
    pieces = flow_in_pieces(flow)
    assert pieces.dimension == flow.dimension
    assert conslaw.count(pieces).laws_at_most == conslaw.count(flow).laws_at_most


def test_pieces_are_treated_alike_where_the_whole_is_not():
    """A flat vector has no uniform axis; the matrices cut out of it have nothing else."""
    flow = G(flat(4, 5, 3))
    assert not IndexClasses.of(flow).lengths
    assert sorted(IndexClasses.of(flow_in_pieces(flow)).lengths.values()) == [3, 4, 5]
    assert flow_in_pieces(flow).model.parameters == {"theta_0_20": (5, 4), "theta_20_35": (3, 5)}


def test_metrics_and_drift_go_with_the_pieces():
    flow = conslaw.momentum_flow(dense(2, 2, 2), damping="3/t", metric={"W1": "1/7"})
    pieces = flow_in_pieces(flow)
    assert {n for n, word in pieces.metric_words.items() if word == "1/7"} == {"W1_0_2", "W1_2_4"}
    assert pieces.damping == flow.damping


@pytest.mark.parametrize(
    "model",
    [
        conslaw.linear([3, 2, 4]),
        conslaw.model(lambda p, c: c.x @ p.a[::-1], parameters={"a": (4,)}, data={"x": (4,)}),
    ],
)
def test_what_is_not_cut_stays(model):
    assert in_pieces(model, model.parameters) is None


@pytest.mark.parametrize(
    ("model", "laws"),
    [(flat(20, 20, 20), 210), (dense(6, 8, 4), 32), (packed(12, 40), 2 * 78)],
    ids=["flat", "dense", "packed"],
)
def test_laws_of_networks_in_pieces(model, laws):
    analysis = conslaw.analyze(G(model), ansatz="matrix")
    assert (analysis.laws_found, analysis.laws_at_most) == (laws, laws)
    assert conslaw.verify(analysis.certificate()).ok


@pytest.mark.parametrize("doubled", [True, False])
def test_sums_of_many_terms_are_cut(doubled):
    def potential(p, c):
        z = p.K[:2] @ c.x
        for i in range(60 if doubled else 2000):
            z = z + (z if doubled else (i + 1) * c.y)
        return c.v @ z[::-1] + c.w @ (p.K[2:] @ c.x)

    data = {"x": (3,), "y": (2,), "v": (2,), "w": (2,)}
    model, _ = in_pieces(conslaw.model(potential, parameters={"K": (4, 3)}, data=data), {})
    assert model.parameters == {"K_0_2": (2, 3), "K_2_4": (2, 3)}

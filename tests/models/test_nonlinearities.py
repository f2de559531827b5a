"""Functions of conslaw.nn: what they are read as reaches the value and the gradient of the real functions."""

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.signal import correlate
from scipy.special import erf, expit

import conslaw
from conslaw import nn
from conslaw.algebra.evaluation import NumPyNumbers, evaluate, gradient, topological_order
from conslaw.models.nn.activations import GATES, SMOOTH
from conslaw.models.readings import filled

STEP = 1e-6


def real_gradient(model, parameters, data):
    """The gradient of a model whose readings are filled in, and the value of its potential's main part."""
    made = filled(model.readings, model.potential, parameters, data)
    nodes = {x.attribute: x for x in topological_order([model.potential]) if x.operation == "input"}
    names = [n for n in model.parameters if n in nodes]
    known = {**parameters, **data, **made}
    assert set(model.data) <= set(known)
    found = evaluate(gradient(model.potential, [nodes[n] for n in names]), known, NumPyNumbers())
    return dict(zip(names, found, strict=True))


def drawn(model, seed, own=()):
    rng = np.random.default_rng(seed)
    made = {name for r in model.readings for name in (*r.data, *r.slopes)} - set(own)
    parameters = {n: rng.normal(size=s) for n, s in model.parameters.items()}
    return parameters, {n: rng.normal(size=s) for n, s in model.data.items() if n not in made}, rng


def check(model, real, seed=0, own=()):
    """Finite differences of the real function, in random directions."""
    parameters, data, rng = drawn(model, seed, own)
    found = real_gradient(model, parameters, data)
    for name, x in parameters.items():
        direction = rng.normal(size=x.shape)
        ends = [real({**parameters, name: x + sign * STEP * direction}, data) for sign in (1, -1)]
        moved = (ends[0] - ends[1]) / (2 * STEP)
        assert moved == pytest.approx((found.get(name, 0 * x) * direction).sum(), rel=1e-5, abs=1e-6), name


ELEMENTWISE = {
    "relu": lambda z: np.maximum(z, 0),
    "relu_squared": lambda z: np.maximum(z, 0) ** 2,
    "leaky_relu": lambda z: np.where(z > 0, z, 0.01 * z),
    "abs": np.abs,
    "hardshrink": lambda z: z * (np.abs(z) > 0.5),
    "gelu": lambda z: z * (1 + erf(z / 2**0.5)) / 2,
    "silu": lambda z: z * expit(z),
    "mish": lambda z: z * np.tanh(np.log1p(np.exp(z))),
    "tanh": np.tanh,
    "sigmoid": expit,
    "logsigmoid": lambda z: -np.log1p(np.exp(-z)),
    "softplus": lambda z: np.log1p(np.exp(z)),
    "softsign": lambda z: z / (1 + np.abs(z)),
    "tanhshrink": lambda z: z - np.tanh(z),
    "elu": lambda z: np.where(z > 0, z, np.exp(z) - 1),
    "celu": lambda z: np.where(z > 0, z, np.exp(z) - 1),
    "selu": lambda z: 1.0507009873554805 * np.where(z > 0, z, 1.6732632423543772 * (np.exp(z) - 1)),
    "exp": np.exp,
    "sin": np.sin,
    "cos": np.cos,
    "relu6": lambda z: np.minimum(np.maximum(z, 0), 6),
    "hardtanh": lambda z: np.minimum(np.maximum(z, -1), 1),
    "hardsigmoid": lambda z: np.minimum(np.maximum(z + 3, 0), 6) / 6,
    "hardswish": lambda z: z * np.minimum(np.maximum(z + 3, 0), 6) / 6,
    "softshrink": lambda z: np.where(z > 0.5, z - 0.5, np.where(z < -0.5, z + 0.5, 0)),
    "threshold": lambda z: np.where(z > 0, z, 0),
    "rrelu": lambda z: np.where(z > 0, z, z * (1 / 8 + 1 / 3) / 2),
}


def test_every_function_is_in_the_table():
    assert set(ELEMENTWISE) == {*GATES, *SMOOTH} - {"prelu"}


@pytest.mark.parametrize("name", ELEMENTWISE)
@pytest.mark.parametrize("seed", range(3))
def test_elementwise_functions(name, seed):
    function = getattr(nn, name)
    shapes = {"A": (4, 3), "a": (4,), "B": (3, 4), "C": (2, 3)}

    def code(p, c, of):
        h = of(p["A"] @ c["x"] + p["a"])
        return c["v"] @ (p["C"] @ of(p["B"] @ h))

    model = conslaw.model(lambda p, c: code(p, c, function), parameters=shapes, data={"x": (3,), "v": (2,)})
    check(model, lambda p, c: code(p, c, ELEMENTWISE[name]), seed)


@pytest.mark.parametrize(
    ("function", "real"),
    [
        (
            lambda z: nn.gelu(z, approximate="tanh"),
            lambda z: z * expit(2 * (2 / np.pi) ** 0.5 * (z + 0.044715 * z**3)),
        ),
        (lambda z: nn.leaky_relu(z, 0.2), lambda z: np.where(z > 0, z, 0.2 * z)),
        (lambda z: nn.elu(z, alpha=2.0), lambda z: np.where(z > 0, z, 2 * (np.exp(z) - 1))),
        (lambda z: nn.celu(z, alpha=2.0), lambda z: np.where(z > 0, z, 2 * (np.exp(z / 2) - 1))),
        (
            lambda z: nn.celu(z, alpha=-2.0),
            lambda z: np.where(z > 0, z, -2 * (np.exp(-np.minimum(z, 0) / 2) - 1)),
        ),
        (lambda z: nn.softplus(z, beta=3.0), lambda z: np.log1p(np.exp(3 * z)) / 3),
        (lambda z: nn.hardtanh(z, min_val=-0.1, max_val=0.2), lambda z: np.clip(z, -0.1, 0.2)),
        (lambda z: nn.softshrink(z, lambd=0.1), lambda z: z - np.clip(z, -0.1, 0.1)),
        (lambda z: nn.threshold(z, threshold=0.1, value=2.0), lambda z: np.where(z > 0.1, z, 2.0)),
    ],
)
def test_their_options(function, real):
    model = conslaw.model(
        lambda p, c: c.v @ (p.B @ function(p.A @ c.x)),
        parameters={"A": (4, 3), "B": (2, 4)},
        data={"x": (3,), "v": (2,)},
    )
    check(model, lambda p, c: c["v"] @ (p["B"] @ real(p["A"] @ c["x"])))


def softmax(z, axis=-1, mask=None):
    z = z if mask is None else np.where(mask, z, -np.inf)
    w = np.exp(z - z.max(axis, keepdims=True))
    return w / w.sum(axis, keepdims=True)


def norm(z, axis, centred=True, eps=1e-5):
    z = z - z.mean(axis, keepdims=True) if centred else z
    return z / np.sqrt((z**2).mean(axis, keepdims=True) + eps)


MASK = np.array([[True, False, False], [True, True, False], [False, True, True]])
# functions of an array (3, 4) of which the second layer is a matrix (4, 4): in array code, and what they are
WHOLE = {
    "softmax": (lambda z: nn.softmax(z), lambda z: softmax(z)),
    "softmax of columns": (lambda z: nn.softmax(z, axis=0), lambda z: softmax(z, 0)),
    "softmax with a mask": (lambda z: nn.softmax(z[:, :3], mask=MASK), lambda z: softmax(z[:, :3], -1, MASK)),
    "attention": (lambda z: nn.attention(z, z, z), lambda z: softmax(z @ z.T / 2) @ z),
    "causal attention": (
        lambda z: nn.attention(z, 2 * z, z, mask="causal"),
        lambda z: softmax(z @ z.T, -1, np.tri(3, dtype=bool)) @ z,
    ),
    "layer norm": (lambda z: nn.layer_norm(z), lambda z: norm(z, -1)),
    "layer norm of all": (lambda z: nn.layer_norm(z, axis=(0, 1)), lambda z: norm(z, (0, 1))),
    "rms norm": (lambda z: nn.rms_norm(z, eps=0.1), lambda z: norm(z, -1, centred=False, eps=0.1)),
    "batch norm in training": (lambda z: nn.batch_norm(z, train=True), lambda z: norm(z, 0)),
    "group norm": (
        lambda z: nn.group_norm(z.T, 2).T,
        lambda z: norm(z.T.reshape(2, 2, 3), (1, 2)).reshape(4, 3).T,
    ),
    "weight norm": (
        lambda z: nn.weight_norm(z, np.ones(3, dtype=int)),
        lambda z: z / np.sqrt((z**2).sum(1, keepdims=True)),
    ),
    "max pool": (
        lambda z: nn.max_pool(z, 2, stride=1),
        lambda z: np.lib.stride_tricks.sliding_window_view(z, (2, 2)).max((2, 3)),
    ),
    "max pool with padding": (
        lambda z: nn.max_pool(z, (3, 2), stride=(2, 1), padding=(1, 1)),
        lambda z: np.lib.stride_tricks.sliding_window_view(np.pad(z, 1, constant_values=-np.inf), (3, 2))[
            ::2
        ].max((2, 3)),
    ),
    "average pool": (
        lambda z: nn.avg_pool(z, 2, padding=1),
        lambda z: np.lib.stride_tricks.sliding_window_view(np.pad(z, 1), (2, 2))[::2, ::2].mean((2, 3)),
    ),
    "pool of pixels": (lambda z: nn.max_pool(z, 2, spatial=1), lambda z: z.reshape(3, 2, 2).max(2)),
    "batch norm in evaluation": (lambda z: nn.batch_norm(z, train=False), lambda z: z),
    "dropout": (lambda z: nn.dropout(z), lambda z: z),
}


@pytest.mark.parametrize("name", WHOLE)
@pytest.mark.parametrize("seed", range(3))
def test_functions_of_several_entries(name, seed):
    function, real = WHOLE[name]
    shape = real(np.ones((3, 4))).shape
    shapes = {"A": (2, 4), "a": (4,), "B": (shape[-1], 4)}
    model = conslaw.model(
        lambda p, c: (c.v * nn.tanh(function(c.x @ p.A + p.a) @ p.B)).sum(),
        parameters=shapes,
        data={"x": (3, 2), "v": (shape[0], 4)},
    )
    check(model, lambda p, c: (c["v"] * np.tanh(real(c["x"] @ p["A"] + p["a"]) @ p["B"])).sum(), seed)


@pytest.mark.parametrize("dimensions", [1, 2])
@pytest.mark.parametrize(
    ("stride", "padding", "dilation", "groups"), [(1, 0, 1, 1), (2, 1, 1, 1), (1, 2, 2, 2), (2, 0, 1, 4)]
)
def test_convolutions_against_scipy(dimensions, stride, padding, dilation, groups):
    rng, pixels = np.random.default_rng(0), (8, 7)[:dimensions]
    shape = (4, 4 // groups, *(3, 2)[:dimensions])
    x, w = rng.normal(size=(2, 4, *pixels)), rng.normal(size=shape)
    spread = np.zeros((*shape[:2], *(dilation * (n - 1) + 1 for n in shape[2:])))
    spread[(..., *[slice(None, None, dilation)] * dimensions)] = w
    padded = np.pad(x, [(0, 0)] * 2 + [(padding, padding)] * dimensions)
    each, jump = 4 // groups, (slice(None, None, stride),) * dimensions
    wanted = np.array(
        [
            [
                sum(
                    correlate(image[o // (4 // groups) * each + i], spread[o, i], mode="valid")
                    for i in range(each)
                )[jump]
                for o in range(4)
            ]
            for image in padded
        ]
    )
    model = conslaw.model(
        lambda p, c: (
            c.v * nn.conv(c.x, p.w, stride=stride, padding=padding, dilation=dilation, groups=groups)
        ).sum(),
        parameters={"w": shape},
        data={"x": x.shape, "v": wanted.shape},
    )
    v = rng.normal(size=wanted.shape)
    [found] = evaluate([model.potential], {"x": x, "w": w, "v": v}, NumPyNumbers())
    assert found == pytest.approx((v * wanted).sum())


def test_prelu_embedding_and_cross_entropy():
    def code(p, c):
        h = nn.prelu(nn.embedding(3, p.E) @ p.A.T, p.a)
        return nn.cross_entropy(h @ p.B.T)

    model = conslaw.model(code, parameters={"E": (5, 2), "A": (4, 2), "a": (), "B": (3, 4)}, data={})

    def real(p, c):
        z = p["E"][:3] @ p["A"].T
        z = np.where(z > 0, z, p["a"] * z) @ p["B"].T
        return -np.log(softmax(z)[:, 0]).sum()

    check(model, real)


def test_what_is_of_data_alone_is_data():
    model = conslaw.model(
        lambda p, c: nn.tanh(nn.softmax(nn.layer_norm(nn.gelu(c.x)))) @ p.w,
        parameters={"w": (3,)},
        data={"x": (3,)},
    )
    assert {r.rule for r in model.readings} == {"data"}
    assert not any(r.slopes for r in model.readings)


def with_slopes(z, c, name):
    """A nonlinearity that is not cut."""
    return c[f"e{name}"] + c[f"d{name}"] * z


@given(st.integers(0, 2**32 - 1))
def test_the_cut_spans_as_much_at_every_depth(seed):
    """Statement and proof: *Nonlinearities*.  Deep random nets with skips and ties, cut and not cut."""
    rng = np.random.default_rng(seed)
    depth, width = int(rng.integers(2, 4)), int(rng.integers(1, 4))
    smooth = rng.random(depth) < 0.7
    skips, ties = rng.random(depth) < 0.4, rng.random(depth) < 0.2
    bias = bool(rng.random() < 0.5)
    shapes = {f"W{i}": (width, width) for i in range(depth)} | ({"b": (width,)} if bias else {})
    data = {"x": (width,), "v": (width,)}
    free = {f"{kind}{i}": (width,) for kind in "ed" for i in range(depth) if smooth[i]}

    def code(p, c, of):
        h = c.x
        for i in range(depth):
            z = p[f"W{0 if ties[i] else i}"] @ h + (p.b if bias else 0)
            z = of(z, c, i) if smooth[i] else z
            h = h + z if skips[i] else z
        return c.v @ h

    models = [
        conslaw.model(lambda p, c: code(p, c, lambda z, c, i: nn.gelu(z)), parameters=shapes, data=data),
        conslaw.model(lambda p, c: code(p, c, with_slopes), parameters=shapes, data=data | free),
    ]
    cut, whole = (conslaw.lie_ranks(conslaw.gradient_flow(m)).ranks for m in models)
    assert cut == whole


@given(st.integers(0, 2**32 - 1))
def test_what_does_not_act_has_no_slope(seed):
    """Layers of which only some units are used: the others' weights are all conserved."""
    rng = np.random.default_rng(seed)
    width, depth = int(rng.integers(2, 5)), int(rng.integers(1, 4))
    used = np.flatnonzero(rng.random(width) < 0.6)
    used = used if used.size else np.array([0])
    shapes = {f"W{i}": (width, width) for i in range(depth)}
    norm = bool(rng.random() < 0.3)

    def code(p, c):
        h = c.x
        for i in range(depth):
            h = nn.tanh(p[f"W{i}"] @ h)
            h = nn.rms_norm(h) if norm and i + 1 < depth else h
        return c.v[used] @ h[used]

    model = conslaw.model(code, parameters=shapes, data={"x": (width,), "v": (width,)})
    assert conslaw.count(model).laws_at_most == width * (width - used.size)


def test_a_value_that_nothing_uses():
    model = conslaw.model(
        lambda p, c: 0 * nn.gelu(nn.gelu(p.A @ c.x)).sum() + nn.silu(p.B @ c.x).sum(),
        parameters={"A": (2, 2), "B": (2, 2)},
        data={"x": (2,)},
    )
    assert conslaw.analyze(model).laws_found == 4


def test_slopes_carry_on_through_nonlinearities_of_free_values():
    model = conslaw.model(
        lambda p, c: c.v @ nn.gelu(nn.tanh(p.A @ c.x) * nn.sigmoid(p.B @ c.x)),
        parameters={"A": (3, 2), "B": (3, 2)},
        data={"x": (2,), "v": (3,)},
    )
    assert conslaw.count(model).laws_at_most == 0


@pytest.mark.parametrize("function", [nn.softmax, nn.layer_norm, nn.rms_norm])
def test_slopes_reach_all_that_a_value_depends_on(function):
    """Two of three entries act, each depends on all three: no row of A is at rest."""
    model = conslaw.model(
        lambda p, c: c.v @ function(p.A @ c.x)[:2],
        parameters={"A": (3, 2)},
        data={"x": (2,), "v": (2,)},
    )
    at_rest = 0 if function is nn.rms_norm else 2  # what is added to all rows is not seen
    assert conslaw.count(model).laws_at_most == at_rest


def test_scales_of_norms_are_laws_at_eps_zero_alone():
    """The derivative of z/|z| is orthogonal to z: Wan et al., arXiv 2006.08419."""

    def network(norm, eps):
        return conslaw.model(
            lambda p, c: c.v @ (p.B @ nn.relu(norm(p.A @ c.x, eps=eps))),
            parameters={"A": (3, 2), "B": (2, 3)},
            data={"x": (2,), "v": (2,)},
        )

    for norm, laws in ((nn.rms_norm, 0), (nn.layer_norm, 2)):
        assert conslaw.count(network(norm, 1e-5)).laws_at_most == laws
        analysis = conslaw.analyze(network(norm, 0))
        assert (analysis.laws_found, analysis.complete) == (laws + 1, True)
        assert "at eps = 0" in str(analysis)
        assert conslaw.verify(analysis.certificate()).ok
        headed = conslaw.analyze(conslaw.gradient_flow(network(norm, 0), loss="cross_entropy"))
        assert (headed.laws_found, headed.complete) == (laws + 1 + 3, True)  # the column sums of B
        with pytest.raises(conslaw.ConslawError, match="positive eps"):
            conslaw.momentum_flow(network(norm, 0))
        with pytest.raises(conslaw.ConslawError, match="positive eps"):
            conslaw.gradient_flow(network(norm, 0), data={"x": [[1, 2], [3, 4]]})


def test_models_with_readings_are_values():
    models = [
        conslaw.networks.transformer_block(4, heads=2, hidden=3, activation=of)
        for of in (nn.gelu, nn.gelu, nn.silu)
    ]
    assert models[0] == models[1] != models[2]
    again = pickle.loads(pickle.dumps(models[0]))
    assert again == models[0]
    parameters, data, _ = drawn(models[0], 0)
    first, second = (real_gradient(m, parameters, data) for m in (models[0], again))
    assert all((first[n] == second[n]).all() for n in first)


def test_what_an_answer_is_about():
    analysis = conslaw.analyze(conslaw.networks.swiglu(3, 4, 2))
    assert "laws found hold for the network" in analysis.about
    assert "the parametrisation that its readings make" in analysis.about
    assert "proved for the parametrisation" in str(analysis)
    assert "silu" in analysis.explained()
    assert conslaw.load(analysis.to_json()).about == analysis.about
    certificate = analysis.certificate()
    assert [r["operation"] for r in certificate["model"]["readings"]] == ["silu"]
    assert "in the parametrisation that its readings make" in certificate["claim"]
    assert conslaw.verify(certificate).ok
    forged = {**certificate, "model": {k: x for k, x in certificate["model"].items() if k != "readings"}}
    assert not conslaw.verify(forged).ok
    by_hand = conslaw.analyze(conslaw.linear([2, 2]))
    assert "readings" not in by_hand.about


@pytest.mark.parametrize("outer", [nn.tanh, nn.softmax, nn.layer_norm, nn.relu])
@pytest.mark.parametrize("inner", [nn.silu, nn.softmax, nn.layer_norm, nn.gelu])
def test_a_function_of_a_value_has_slopes_too(inner, outer):
    """The weights before two functions in a row move: what is free data is not there for nothing."""
    model = conslaw.model(
        lambda p, c: c.v @ (p.B @ outer(inner(p.A @ c.x))),
        parameters={"A": (4, 3), "B": (2, 4)},
        data={"x": (3,), "v": (2,)},
    )
    assert conslaw.count(model).laws_at_most < 12  # the entries of A


def test_a_nonlinearity_of_a_scalar_may_get_axes():
    def potential(p, c):
        return (c.v * (nn.silu(p.s).reshape(1) * (p.W @ c.x))).sum()

    model = conslaw.model(potential, parameters={"W": (3, 2), "s": ()}, data={"x": (2,), "v": (3,)})
    assert conslaw.analyze(model).complete


def test_slopes_of_shared_sums_are_found_once():
    """A sum that is doubled fifty times has 2**50 summands; what all tokens share in it is still not seen."""

    def potential(p, c):
        z = c.x @ p.K + p.b
        for _ in range(50):
            z = z + z
        return (c.v * nn.softmax(z, axis=0)).sum()

    doubled = conslaw.model(potential, parameters={"K": (2, 3), "b": (3,)}, data={"x": (4, 2), "v": (4, 3)})
    used = [x.attribute for x in topological_order([doubled.potential]) if x.operation == "input"]
    assert "K" in used
    [reading] = doubled.readings
    assert reading.rule == "value and slope"
    assert conslaw.analyze(doubled).laws_found == 3  # the bias, which never moves

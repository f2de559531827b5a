"""Near one's own weights: ranks of true gradients against theorems, published values and floats."""

import os
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import conslaw
from conslaw import nn
from conslaw.algebra.evaluation import NumPyNumbers, evaluate, gradient, topological_order
from conslaw.attained import functions
from conslaw.attained.attainment import Attainment
from conslaw.attained.enclosures import Balls, Enclosures, around, exactly
from conslaw.attained.gradients import RealNetwork
from conslaw.attained.ranks import certified_rank, of_floats
from conslaw.models.nn import activations
from conslaw.models.readings import filled

THOROUGH = bool(os.environ.get("THOROUGH"))


def network(widths, function=nn.relu, bias=True):
    layers = range(1, len(widths))
    shapes = {f"W{i}": (after, before) for i, (before, after) in enumerate(pairwise(widths), start=1)}
    shapes |= {f"b{i}": (widths[i],) for i in layers if bias}

    def potential(p, c):
        h = c.x
        for i in layers:
            h = p[f"W{i}"] @ h
            h = h + p[f"b{i}"] if bias else h
            h = function(h) if i < layers[-1] else h
        return c.v @ h

    data = {"x": (widths[0],), "v": (widths[-1],)}
    return conslaw.model(potential, parameters=shapes, data=data, name="network")


def random_weights(model, seed):
    rng = np.random.default_rng(seed)
    return {n: rng.standard_normal(shape) for n, shape in model.parameters.items()}


def float_rank(model, weights, inputs):
    """By the model's own readings in floats, for each input and each entry of v."""
    order = topological_order([model.potential])
    nodes = {x.attribute: x for x in order if x.operation == "input"}
    graph, rows = gradient(model.potential, [nodes[n] for n in model.parameters]), []
    for x in inputs:
        for v in np.eye(model.data["v"][0]):
            data = {"x": x, "v": v}
            made = filled(model.readings, model.potential, weights, data)
            parts = evaluate(graph, {**weights, **data, **made}, NumPyNumbers())
            rows.append(np.concatenate([part.ravel() for part in parts]))
    sizes = np.linalg.svd(np.array(rows), compute_uv=False)
    return int((sizes > 1e-9 * sizes[0]).sum()), sizes


# theorems


@pytest.mark.parametrize("function", [nn.gelu, nn.silu, nn.tanh, nn.sigmoid, nn.softplus])
@settings(max_examples=4, deadline=None)
@given(st.lists(st.integers(1, 4), min_size=3, max_size=3), st.integers(0, 99))
def test_two_layers_with_a_smooth_unit_attain_at_random_weights(function, widths, seed):
    """No nonzero a s(t) + (b t + c) s'(t) is a polynomial for these, so W = F."""
    model = network(widths, function)
    found = conslaw.analyze(model).at(random_weights(model, seed))
    assert found.attained
    assert found.proved["attained"]
    assert found.method == "balls"


def test_the_exponential_is_the_exception():
    """s = s': a unit's bias and its outgoing weights move together, one relation a unit."""
    model = network([3, 5, 2], nn.exp)
    found = conslaw.analyze(model).at(random_weights(model, 0))
    assert not found.attained
    assert found.generic_rank - found.seen == found.generic_rank - found.rank == 5


@pytest.mark.parametrize(("outputs", "lost"), [(1, 4), (2, 2)])
def test_units_with_equal_weights_do_not_attain(outputs, lost):
    """Equal values, so equal gradients of outgoing weights; with one output of ingoing ones too."""
    model = network([3, 4, outputs], nn.tanh, bias=False)
    weights = random_weights(model, 0)
    weights["W1"][1] = weights["W1"][0]
    found = conslaw.analyze(model).at(weights)
    assert found.rank == found.generic_rank - lost


@given(
    st.integers(1, 3),
    st.lists(st.integers(1, 4), min_size=1, max_size=2),
    st.integers(1, 3),
    st.integers(0, 99),
)
@settings(max_examples=15, deadline=None)
def test_dead_units_lose_all_their_weights(inputs, hidden, outputs, seed):
    """A unit of the last hidden layer that is off on all data: its gradients vanish."""
    model = network([inputs, *hidden, outputs], bias=True)
    weights = random_weights(model, seed)
    last = len(hidden)
    data = np.random.default_rng(seed).standard_normal((200, inputs))
    before = conslaw.analyze(model).at(weights, data)
    weights[f"b{last}"][0] = -1e6
    after = conslaw.analyze(model).at(weights, data)
    assert f"relu{last}[0]" in after.units.off
    assert after.rank <= model.size - (hidden[-2] if last > 1 else inputs) - 1 - outputs
    assert not after.attained
    assert after.rank <= before.rank


@pytest.mark.parametrize("seed", range(3))
def test_units_that_never_switch_make_a_linear_network(seed):
    """On all units on: the rank is that of the gradients of x -> W2 (W1 x + b1) + b2."""
    model = network([2, 3, 2])
    weights = random_weights(model, seed) | {"b1": np.full(3, 1e3)}
    found = conslaw.analyze(model).at(weights, np.random.default_rng(seed).standard_normal((100, 2)))
    assert len(found.units.on) == 3
    linear = conslaw.model(
        lambda p, c: c.v @ (p.W2 @ (p.W1 @ c.x + p.b1) + p.b2), parameters=model.parameters, data=model.data
    )
    assert found.rank == conslaw.lie_ranks(conslaw.gradient_flow(linear)).ranks[0]


def test_linear_networks_attain_but_at_special_weights():
    analysis = conslaw.analyze(conslaw.linear([3, 2, 4]))
    rng = np.random.default_rng(0)
    weights = {n: rng.standard_normal(s) for n, s in conslaw.linear([3, 2, 4]).parameters.items()}
    found = analysis.at(weights)
    assert found.attained
    assert found.rank == found.generic_rank == conslaw.lie_ranks(conslaw.linear([3, 2, 4])).ranks[0] == 10
    assert (
        0 < found.error_probability < 1e-9
    )  # the fields are not closed under brackets: no law bounds their rank
    assert analysis.at({n: 0 * x for n, x in weights.items()}).rank == 0
    assert analysis.at(weights, inputs={}).rank == 10  # there are none to give
    wide = conslaw.linear([40, 40])
    assert conslaw.analyze(wide).at(random_weights(wide, 0)).attained


# values


@pytest.mark.parametrize(
    ("widths", "generic", "seed", "rank"), [([2, 3, 3, 3, 1], 28, 33, 17), ([4, 6, 6, 6, 3], 117, 6, 104)]
)
def test_relu_at_the_default_start_of_pytorch(widths, generic, seed, rank):
    """It conserves more than theory lists: 17 of 28, 104 of 117, at starts of that kind."""
    torch = pytest.importorskip("torch")
    torch.manual_seed(seed)
    linear = [torch.nn.Linear(before, after) for before, after in pairwise(widths)]
    module = torch.nn.Sequential(*(x for pair in linear for x in (pair, torch.nn.ReLU())))
    names = {
        f"{kind[0].upper() if kind == 'weight' else 'b'}{i + 1}": f"{2 * i}.{kind}"
        for i in range(4)
        for kind in ("weight", "bias")
    }
    analysis = conslaw.analyze(network(widths))
    data = np.random.default_rng(1).standard_normal((20_000, widths[0]))
    found = analysis.at(module, data, names=names)
    assert (found.rank, found.generic_rank) == (rank, generic)
    assert found.more == generic - rank


def test_conslaw_relu_has_the_gates_of_its_pre_activations():
    for bias in (False, True):
        by_hand, read = conslaw.relu([3, 5, 4, 2], bias=bias), None
        weights = random_weights(by_hand, 1)
        found = conslaw.analyze(by_hand).at(weights)
        shapes = dict(by_hand.parameters)

        def potential(p, c, shapes=shapes):
            h = c.x
            for i in (1, 2, 3):
                h = p[f"W{i}"] @ h + (p[f"b{i}"] if f"b{i}" in shapes else 0)
                h = nn.relu(h) if i < 3 else h
            return c.v @ h

        read = conslaw.model(potential, parameters=shapes, data={"x": (3,), "v": (2,)})
        other = conslaw.analyze(read).at(weights)
        assert (found.rank, found.generic_rank, found.units) == (other.rank, other.generic_rank, other.units)


# against floats


FUNCTIONS = [nn.relu, nn.leaky_relu, nn.abs, nn.hardtanh, nn.hardswish, nn.tanh, nn.gelu, nn.elu]


@pytest.mark.parametrize("seed", range(160 if THOROUGH else 40))
def test_ranks_agree_with_floats(seed):
    rng = np.random.default_rng(seed)
    widths = rng.integers(1, 5, rng.integers(3, 5)).tolist()
    model = network(widths, FUNCTIONS[seed % len(FUNCTIONS)], bias=bool(seed % 3))
    weights = random_weights(model, seed)
    inputs = rng.standard_normal((60, widths[0]))
    found = conslaw.analyze(model).at(weights, inputs)
    rank, sizes = float_rank(model, weights, inputs)
    gap = sizes[rank - 1] / sizes[0]
    assert found.rank == rank or gap < 1e-6  # where floats are not sure themselves
    assert found.left_out == 0
    if found.attained:
        assert found.rank == found.generic_rank >= rank


@pytest.mark.parametrize("name", sorted({*functions.SMOOTH, *functions.PIECEWISE, *functions.GATES}))
def test_functions_enclose_their_floats(name):
    """Values and slopes of the same functions, computed twice."""
    z = np.random.default_rng(0).standard_normal((1, 50)) * 4
    ball = Balls(z, np.full(z.shape, 1e-14))
    if name in functions.SMOOTH:
        pairs = zip(functions.SMOOTH[name], activations.SMOOTH[name][1:], strict=True)
        for enclosed, real in pairs:
            found = functions.in_balls(functions.entry_by_entry(enclosed), ball)
            assert (abs(found.mid - real(z)) <= found.rad + 1e-13).all()
            assert (found.rad < 1e-9).all()
        return
    pieces = (functions.GATES.get(name) or functions.PIECEWISE[name])()
    places, sure = pieces.found(ball)
    assert sure.all()
    if name in functions.GATES:
        assert np.array_equal(np.array(pieces.gates(), float)[places], activations.GATES[name](z))
        return
    coefficients = [np.array(pieces.coefficients(i), float)[places] for i in range(3)]
    value = coefficients[0] + coefficients[1] * z + coefficients[2] * z**2
    assert value == pytest.approx(activations.SMOOTH[name][1](z), abs=1e-12)
    assert coefficients[1] + 2 * coefficients[2] * z == pytest.approx(
        activations.SMOOTH[name][2](z), abs=1e-12
    )


def test_options_out_of_the_usual_range():
    z = np.array([[-1.0, 1.0]])
    alpha = {"alpha": -1.0}
    value, slope = (
        functions.in_balls(functions.entry_by_entry(f, **alpha), exactly(z)).mid
        for f in functions.SMOOTH["celu"]
    )
    assert value[0] == pytest.approx([1 - np.e, 1])
    assert slope[0] == pytest.approx([np.e, 1])
    for function in (lambda h: nn.hardshrink(h, -1.0), lambda h: nn.hardtanh(h, max_val=np.inf)):
        model = network([2, 2, 1], function)
        with pytest.raises(conslaw.ConslawError, match="in order"):
            conslaw.analyze(model).at(random_weights(model, 0))


def test_windows_of_many_lengths():
    """The smallest number that all lengths from 13 to 50 divide does not fit 64 bits."""
    model = conslaw.model(
        lambda p, c: c.v @ nn.max_pool((p.W @ c.x).reshape(1, 60), 50, stride=1, padding=25, spatial=1)[0],
        parameters={"W": (60, 2)},
        data={"x": (2,), "v": (61,)},
    )
    weights, inputs = random_weights(model, 0), np.random.default_rng(1).standard_normal((60, 2))
    assert conslaw.analyze(model).at(weights, inputs).rank == float_rank(model, weights, inputs)[0]


def test_attention_and_norms_attain():
    block = conslaw.networks.transformer_block(4, heads=2, hidden=6)
    weights = random_weights(block, 0)
    found = conslaw.analyze(block).at(weights)
    assert found.attained
    assert found.probable["attained"]


def test_convolutions_with_a_pool():
    def potential(p, c):
        h = nn.max_pool(nn.relu(nn.conv(c.x, p.A, padding=1) + p.a.reshape(-1, 1, 1)), 2)
        return c.v @ (p.B @ h.reshape(-1))

    model = conslaw.model(
        potential, parameters={"A": (3, 1, 3, 3), "a": (3,), "B": (2, 12)}, data={"x": (1, 4, 4), "v": (2,)}
    )
    found = conslaw.analyze(model).at(random_weights(model, 0))
    assert found.attained
    assert found.method == "exact"


# numbers


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=20))
def test_floats_are_exact_mod_p(values):
    p = 2**31 - 1
    expected = [a * pow(b, -1, p) % p for a, b in (x.as_integer_ratio() for x in values)]
    assert of_floats(np.array(values), p).tolist() == expected


@given(st.integers(0, 10**6), st.integers(1, 30))
@settings(max_examples=40, deadline=None)
def test_products_enclose_exact_ones(seed, terms):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((2, 3, terms)) * 10.0 ** rng.integers(-160, 160, (2, 3, terms))
    y = rng.standard_normal((1, terms, 2))
    found = Enclosures().product(exactly(x), exactly(y), "ij", "jk", "ik")
    exact = NumPyNumbers(convert=None)
    from fractions import Fraction

    a, b = (np.vectorize(Fraction, otypes=[object])(z) for z in (x, y))
    for i in range(2):
        true = exact.product(a[i], b[0], "ij", "jk", "ik")
        for t, mid, rad in zip(true.ravel(), found.mid[i].ravel(), found.rad[i].ravel(), strict=True):
            assert abs(t - Fraction(mid)) <= Fraction(rad)


def test_fixed_zeros_are_zeros_on_a_neighbourhood():
    """A bias that is 0 moves; a unit behind dead ones does not."""
    numbers = Enclosures()
    zero, fixed = around(np.zeros(3)), exactly(np.zeros((1, 3)))
    assert not zero.fixed.any()
    assert numbers.product(fixed, zero, "i", "i", "i").fixed.all()
    assert not numbers.add(fixed, zero).fixed.any()
    assert not numbers.product(zero, zero, "i", "i", "i").fixed.any()  # its radius does not underflow to 0
    model = network([1, 1, 1])
    at_a_kink = {"W1": [[0.0]], "b1": [0.0], "W2": [[1.0]], "b2": [0.0]}
    found = conslaw.analyze(model).at(at_a_kink, [[1.0]])
    assert (found.rank, found.left_out) == (0, 1)


@pytest.mark.parametrize("spread", [1e-16, 1e-8, 1e-3])
def test_only_full_rank_is_certified(spread):
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((12, 4)) @ rng.standard_normal((4, 9))
    rank, _ = certified_rank(Balls(rows, np.full(rows.shape, spread)))
    assert rank <= 4
    assert rank == 4 or spread > 1e-4
    assert certified_rank(Balls(rows, np.full(rows.shape, 10.0)))[0] == 0
    assert certified_rank(Balls(rows, np.full(rows.shape, np.inf))) == (0, 0)


def test_pieces_at_the_weights_hold_on_a_neighbourhood():
    model = network([2, 3, 3, 1])
    real = RealNetwork(model, random_weights(model, 0), tuple(model.parameters))
    inputs = np.random.default_rng(0).standard_normal((20, 2))
    patterns, sure = real.patterns({"x": inputs}, 20)
    assert sure.all()
    near = RealNetwork(model, {n: x + 1e-12 for n, x in real.weights.items()}, real.arrays)
    for a, b in zip(patterns, near.patterns({"x": inputs}, 20)[0], strict=True):
        assert np.array_equal(a, b)


# the answer


def test_the_answer_goes_to_json_and_back():
    model = network([2, 3, 3, 1])
    found = conslaw.analyze(model).at(random_weights(model, 3))
    again = Attainment.from_json(found.to_json())
    assert again == found
    assert str(again) == str(found)
    assert all(len(line) <= 80 for line in repr(found).splitlines())
    assert found._repr_html_()
    assert found.about


@pytest.mark.parametrize("function", [nn.relu6, nn.tanh])
def test_large_networks_are_looked_at_window_by_window(function, monkeypatch):
    """Where the whole is attained each window is; the ranks of windows are those in their arrays."""
    monkeypatch.setattr("conslaw.attained.attainment.LARGEST", 90)
    model = network([3, 7, 7, 2], function)
    weights = random_weights(model, 0)
    found = conslaw.analyze(model).at(weights)
    assert len(found.windows) > 1
    assert found.attained
    assert {n for w in found.windows for n in w.arrays} == set(model.parameters)
    weights["b2"] = np.full(7, -1e6)  # they never switch, and tanh is flat
    less = conslaw.analyze(model).at(weights)
    assert not less.attained
    assert "windows of" in str(less)
    assert Attainment.from_json(less.to_json()) == less
    monkeypatch.setattr("conslaw.attained.attainment.LARGEST", 20)
    with pytest.raises(conslaw.ConslawError, match="in no window"):
        conslaw.analyze(model).at(weights)


def test_the_same_seed_gives_the_same_answer():
    model = network([2, 4, 2], nn.gelu)
    analysis, weights = conslaw.analyze(model), random_weights(model, 0)
    assert analysis.at(weights, seed=5) == analysis.at(weights, seed=5)


def test_modules_and_their_names():
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    module = torch.nn.Sequential(
        torch.nn.Flatten(), torch.nn.Linear(4, 5), torch.nn.GELU(), torch.nn.Linear(5, 2)
    )
    analysis = conslaw.analyze(conslaw.from_torch(module, torch.zeros(1, 2, 2)))
    for weights in (module, module.state_dict()):
        assert analysis.at(weights).attained
    assert analysis.at(module, torch.randn(40, 1, 2, 2)).attained
    assert analysis.at(module, torch.randn(3, 2, 2)).rank <= 6


def test_a_layer_of_an_encoder():
    """Its input goes several ways; the ranks are those of PyTorch's own gradients."""
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    module = torch.nn.TransformerEncoderLayer(
        4, 2, 4, dropout=0.0, batch_first=True, activation="gelu"
    ).double()
    data = torch.randn(30, 2, 4, dtype=torch.float64)
    found = conslaw.analyze(conslaw.from_torch(module, data[:1])).at(module, data)
    rows = []
    for x in data:
        for out in module(x[None]).ravel():
            parts = torch.autograd.grad(out, list(module.parameters()), retain_graph=True)
            rows.append(torch.cat([part.ravel() for part in parts]))
    sizes = torch.linalg.svdvals(torch.stack(rows))
    assert found.rank == int((sizes > 1e-10 * sizes[0]).sum())
    assert found.attained


SOME = {"W1": np.ones((2, 2)), "b1": np.ones(2), "W2": np.ones((1, 2)), "b2": np.ones(1)}


@pytest.mark.parametrize("function", [nn.relu, nn.tanh, nn.gelu, nn.softplus])
@pytest.mark.parametrize("size", [1e-300, 1e-30, 1e30, 1e300])
def test_weights_of_any_size(function, size):
    """Nothing that overflows or vanishes is proved."""
    model = network([2, 3, 2], function)
    found = conslaw.analyze(model).at({n: size * x for n, x in random_weights(model, 0).items()})
    assert 0 <= found.rank <= found.generic_rank
    mixed = {**random_weights(model, 0), "W2": np.full((2, 3), 1e200)}  # squares of gradients overflow
    assert conslaw.analyze(model).at(mixed).rank <= found.generic_rank

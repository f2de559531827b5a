"""High-order layers against NumPy and brute force; their paths, refinement, gradients, and bad input."""

import copy
import itertools

import numpy as np
import pytest
from numpy.polynomial import chebyshev, polynomial

from conslaw import ConslawError
from conslaw.layers.spaces import Space

torch = pytest.importorskip("torch")
from conslaw import layers  # noqa: E402
from conslaw.layers import synapses  # noqa: E402

KINDS = {
    "continuous": {"n": 4, "segments": 6},
    "continuous_prod": {"n": 3, "segments": 7},
    "discontinuous": {"n": 3, "segments": 8},
    "discontinuous_prod": {"n": 2, "segments": 6},
    "polynomial": {"n": 5},
    "polynomial_prod": {"n": 4},
    "product": {},
    "fourier": {"n": 7},
}
SPACES = [
    {"degree": 0, "segments": 7, "continuous": False},
    {"degree": 1, "segments": 9},
    {"degree": 4, "segments": 10},
    {"degree": 3, "segments": 8, "continuous": False},
    {"degree": 20},
    {"degree": 3, "segments": 7, "basis": "monomial"},
    {"degree": 3, "basis": "monomial"},
    {"degree": 4, "segments": 6, "basis": "legendre", "domain": (-2.0, 1.5)},
    {"degree": 4, "segments": 2, "basis": "legendre", "continuous": False},
    {"basis": "fourier", "frequencies": 4, "domain": (-1.0, 2.0)},
]


def made(inputs=3, outputs=2, **options):
    return layers.HighOrderLinear(inputs, outputs, **options).double()


def inside(layer, *shape):
    left, right = layer.space.domain
    return left + (right - left) * torch.rand(*shape, dtype=torch.float64)


def brute(layer, x):
    """sum or product over the inputs, from the definition, with NumPy alone."""
    w, x = layer.weight.detach().numpy(), x.detach().numpy()
    total, one_plus = np.zeros((len(x), layer.outputs)), np.ones((len(x), layer.outputs))
    for i in range(layer.inputs):
        f = layer.space.values(x[:, i]) @ w[i]
        total, one_plus = total + f, one_plus * (1 + f)
    y = total if layer.combine == "sum" else one_plus - 1 - (1 - layer.alpha) * total
    y = y / layer.inputs if layer.rescale else y
    return y if layer.bias is None else y + layer.bias.detach().numpy()


@pytest.mark.parametrize("options", SPACES, ids=str)
@pytest.mark.parametrize("combine", ["sum", "product"])
def test_layers_are_what_is_defined(options, combine):
    layer = made(combine=combine, alpha=0.5, rescale=True, bias=True, **options)
    x = inside(layer, 11, 3)
    assert np.allclose(layer(x).detach(), brute(layer, x), atol=1e-12)


@pytest.mark.parametrize("options", SPACES, ids=str)
def test_pieces_are_polynomials_that_numpy_knows(options):
    """On each piece a synapse is the polynomial of its degree, in any basis (Fourier: a trigonometric
    one).
    """
    layer = made(1, 1, **options)
    s = layer.space
    for left, right in itertools.pairwise(s.breaks):
        x = np.linspace(left, right, 60)[1:-1]
        y = layer(torch.tensor(x)[:, None]).detach().numpy()[:, 0]
        if s.basis == "fourier":
            angle = 2 * np.pi * (x[:, None] - 0.5) / 3 * np.arange(1, 5)
            basis = np.concatenate([np.ones((58, 1)), np.cos(angle), np.sin(angle)], 1)
            expected = basis @ np.linalg.lstsq(basis, y, rcond=None)[0]
        else:
            t = 2 * (x - left) / (right - left) - 1
            expected = chebyshev.chebval(t, chebyshev.chebfit(t, y, s.degree))
        assert np.allclose(y, expected, atol=1e-10)


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 8, 20])
def test_weights_are_values_at_the_nodes(n):
    layer = made(1, 3, degree=n - 1, segments=3, continuous=n > 1, domain=(-2.0, 5.0))
    nodes, step = layer.nodes.numpy(), layer.space.step
    assert np.allclose(nodes, -np.cos(np.pi * np.arange(n) / max(n - 1, 1)) if n > 1 else [0])
    for piece in range(3):
        inner = nodes[1:-1] if n > 1 else nodes
        x = -2 + 7 / 3 * (piece + (inner + 1) / 2)
        first = piece * step + (n > 1)
        expected = layer.weight[0, first : first + len(inner)]
        assert torch.allclose(layer(torch.tensor(x)[:, None]), expected, atol=1e-12)
    assert torch.allclose(layer(torch.tensor([[-2.0], [5.0]]).double())[:, 0], layer.weight[0, [0, -1], 0])


@pytest.mark.parametrize("options", SPACES, ids=str)
def test_partition_of_unity(options):
    space = Space(**options)
    values = space.values(np.linspace(*space.domain, 101))
    assert np.allclose(values @ space.unity, 1)


@pytest.mark.parametrize("options", [o for o in SPACES if o.get("segments", 1) > 1], ids=str)
def test_continuity_at_the_breaks(options):
    layer = made(1, 1, **options)
    at = torch.tensor(layer.space.breaks[1:-1])[:, None]
    jump = (layer(at + 1e-9) - layer(at - 1e-9)).abs()
    assert bool((jump < 1e-6).all() if layer.space.continuous else (jump > 1e-4).all())


@pytest.mark.parametrize("kind", KINDS)
def test_every_type_of_the_source(kind):
    layer = layers.select(kind, in_features=4, out_features=3, **KINDS[kind]).double()
    x = inside(layer, 5, 4)
    assert np.allclose(layer(x).detach(), brute(layer, x))
    assert torch.allclose(layer(x.reshape(5, 1, 1, 4)).reshape(5, 3), layer(x))
    assert torch.allclose(layer(x[0]), layer(x)[0])
    assert layer(x[:0]).shape == (0, 3)
    assert not torch.allclose(layer(x), layer(x)[:1])  # a random start is not constant


def test_product_unit_by_hand():
    """x1 w1 x2 w2 alone for alpha = 0, with the linear terms for alpha = 1."""
    for alpha in (0.0, 1.0):
        layer = layers.ProductUnit(2, 1, alpha=alpha, bias=False).double()
        a, b = layer.weight.detach()[:, 0, 0].tolist()
        expected = a * b * 6 + alpha * (2 * a + 3 * b)
        assert layer(torch.tensor([2.0, 3.0]).double()).item() == pytest.approx(expected)


def test_mirror_periodicity():
    layer = made(1, 2, degree=4, segments=5, period=2.0)
    x = torch.linspace(-1, 1, 41).double()[:, None]
    for image in (x + 4, x - 8, 2 - x, -2 - x):
        assert torch.allclose(layer(image), layer(x), atol=1e-10)


def taps_by_hand(layer, x):
    """A convolution of functions, pixel by pixel."""
    s, w = layer.space, layer.weight.detach().numpy()
    taps = list(itertools.product(*map(range, layer.kernel)))
    sizes, results = x.shape[2:], layer._output_size(x.shape[2:])
    total = np.zeros((len(x), *results, layer.outputs))
    one_plus = np.ones_like(total)
    for b, c in itertools.product(range(len(x)), range(layer.inputs)):
        f = s.values(x[b, c].numpy().ravel()).reshape(*sizes, s.size)
        for q, tap in itertools.product(itertools.product(*map(range, results)), taps):
            if layer.transposed:
                at = [q[a] + layer.padding[a] - tap[a] * layer.dilation[a] for a in range(len(q))]
                if any(p % layer.stride[a] for a, p in enumerate(at)):
                    continue
                at = [p // layer.stride[a] for a, p in enumerate(at)]
            else:
                at = [
                    q[a] * layer.stride[a] - layer.padding[a] + tap[a] * layer.dilation[a]
                    for a in range(len(q))
                ]
            if all(0 <= p < sizes[a] for a, p in enumerate(at)):
                value = f[tuple(at)] @ w[(c, slice(None), *tap)]
                total[(b, *q)] += value
                one_plus[(b, *q)] *= 1 + value
    y = total if layer.combine == "sum" else one_plus - 1 - (1 - layer.alpha) * total
    return np.moveaxis(y, -1, 1)


GEOMETRIES = [
    {},
    {"stride": 2, "padding": 1},
    {"dilation": 2, "padding": 3},
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("axes", [1, 2])
@pytest.mark.parametrize("transposed", [False, True])
def test_convolutions_against_brute_force(kind, axes, transposed):
    for geometry in GEOMETRIES:
        options = {**KINDS[kind], **geometry, "transposed": transposed}
        if transposed and "stride" in geometry:
            options["output_padding"] = 1
        if kind == "product":
            options["alpha"] = 0.5
        shape = {"in_channels": 2, "out_channels": 2, "kernel_size": (2, 3)[:axes] if axes == 2 else 3}
        layer = layers.select_convolution(f"{kind}{axes}d", **shape, **options).double()
        x = 2 * torch.rand(2, 2, *(6, 5)[:axes], dtype=torch.float64) - 1
        assert np.allclose(layer(x).detach(), taps_by_hand(layer, x), atol=1e-12)


@pytest.mark.parametrize(
    "build", [lambda **o: made(4, 3, **o), lambda **o: layers.HighOrderConv2d(4, 3, 2, **o)]
)
def test_fast_and_plain_paths_agree(build, monkeypatch):
    """Values and all gradients, for few and many pieces, the rows of the table summed in one way or the
    other.
    """
    for pieces, combine in itertools.product((2, 30), ("sum", "product")):
        layer = build(degree=3, segments=pieces, combine=combine).double()
        x = 2 * torch.rand(*((6, 4) if not layer.kernel else (2, 4, 5, 5)), dtype=torch.float64) - 1
        answers = []
        for dense in (0, 1000):
            monkeypatch.setattr(synapses, "DENSE", (dense, dense))
            at, copied = x.clone().requires_grad_(), copy.deepcopy(layer)
            y = copied(at)
            y.square().sum().backward()
            answers.append((y.detach(), at.grad, copied.weight.grad))
        assert all(torch.allclose(a, b) for a, b in zip(*answers, strict=True))


@pytest.mark.parametrize(
    "options",
    [{"degree": 2, "segments": 12}, {"degree": 2, "segments": 2}, {"basis": "fourier", "frequencies": 2}],
    ids=str,
)
@pytest.mark.parametrize("combine", ["sum", "product"])
def test_gradients_and_second_gradients(options, combine):
    layer = made(2, 2, combine=combine, alpha=0.5, **options)
    x = inside(layer, 3, 2).requires_grad_()

    def call(x, w):
        return torch.func.functional_call(layer, {"weight": w}, (x,))

    w = layer.weight.detach().requires_grad_()
    assert torch.autograd.gradcheck(call, (x, w))
    assert torch.autograd.gradgradcheck(call, (x, w))


REFINED = [
    ({"degree": 2, "segments": 3}, {"degree": 4}),
    ({"degree": 2, "segments": 3}, {"segments": 9}),
    ({"degree": 2, "segments": 3}, {"degree": 3, "segments": 6}),
    ({"degree": 2, "segments": 3}, {"continuous": False}),
    ({"degree": 2, "segments": 3}, {"basis": "monomial", "degree": 3}),
    ({"degree": 1, "segments": 2, "continuous": False}, {"degree": 3, "segments": 4}),
    ({"degree": 3, "basis": "monomial"}, {"degree": 5, "segments": 4}),
    ({"degree": 3, "segments": 2, "basis": "legendre", "domain": (0.0, 5.0)}, {"degree": 4, "segments": 6}),
    ({"basis": "fourier", "frequencies": 2}, {"frequencies": 5}),
]


@pytest.mark.parametrize(("options", "changes"), REFINED, ids=str)
@pytest.mark.parametrize("combine", ["sum", "product"])
def test_refinement_is_exact_and_projection_its_inverse(options, changes, combine):
    layer = made(combine=combine, alpha=0.3, **options)
    finer, x = layer.refined(**changes), inside(layer, 50, 3)
    assert torch.allclose(finer(x), layer(x), atol=1e-11)
    before = {"degree": 1, "segments": 1, "continuous": True, "basis": "lagrange", **options}
    back = finer.projected(**{name: before[name] for name in changes})
    assert back.error < 1e-11
    assert torch.allclose(back.layer.weight, layer.weight, atol=1e-10)


def test_networks_and_convolutions_are_refined():
    network = layers.HighOrderMLP([2, 5, 3], degree=2, segments=2, combine="product").double()
    x = torch.rand(20, 2).double()
    assert torch.allclose(layers.refine(network, degree=3, segments=4)(x), network(x), atol=1e-12)
    twice = torch.nn.Sequential(network[0], torch.nn.Linear(5, 2).double(), network[0])
    finer = layers.refine(twice, degree=3)
    assert finer[2] is finer[0]
    assert torch.allclose(finer(x), twice(x), atol=1e-12)
    for kind in (layers.HighOrderConv2d, layers.HighOrderConvTranspose2d):
        conv = torch.nn.Sequential(
            kind(2, 3, 3, degree=2, segments=2, padding=1), torch.nn.Flatten()
        ).double()
        x = torch.rand(2, 2, 6, 6).double()
        assert torch.allclose(layers.refine(conv, degree=4, segments=6)(x), conv(x), atol=1e-12)
        assert isinstance(layers.refine(conv, degree=4)[1], torch.nn.Flatten)


def test_the_error_of_a_projection_is_the_distance():
    """x -> |x| (two pieces) on lines: the best is 1/2, root mean square error sqrt(1/12)."""
    layer = made(1, 1, degree=1, segments=2)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([1.0, 0.0, 1.0])[None, :, None])
    projection = layer.projected(segments=1)
    assert projection.error == pytest.approx(np.sqrt(1 / 12))
    assert torch.allclose(projection.layer.weight, torch.full((1, 2, 1), 0.5).double())


def test_monomials_are_powers():
    layer = made(1, 1, degree=3, basis="monomial")
    x = np.linspace(-1.5, 1.5, 9)  # beyond the domain too
    expected = polynomial.polyval(x, layer.weight[0, :, 0].detach().numpy())
    assert np.allclose(layer(torch.tensor(x)[:, None])[:, 0].detach(), expected)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: made(degree=3).refined(degree=2), "degree 2 is less than 3"),
        (lambda: made(segments=2).refined(segments=3), "give a multiple"),
        (lambda: made(degree=1, segments=2, continuous=False).refined(continuous=True), "discontinuous"),
        (lambda: made(basis="fourier", frequencies=3).refined(frequencies=2), "fewer"),
        (lambda: made().refined(points=2), "points"),
        (lambda: layers.ProductUnit(2, 2).projected(degree=2), "product unit"),
        (lambda: layers.refine(torch.nn.Linear(2, 2), degree=3), "no high-order layer"),
        (lambda: made(degree=-1), "degree=-1"),
        (lambda: made(degree=0, segments=3), "continuous=False"),
        (lambda: made(segments=0), "segments=0"),
        (lambda: made(basis="hermite"), "'lagrange'"),
        (lambda: made(basis="fourier"), "frequencies"),
        (lambda: made(frequencies=3), "frequencies=3"),
        (lambda: made(domain=(1, 1)), "domain"),
        (lambda: made(combine="max"), "'product'"),
        (lambda: made(period=0), "period=0"),
        (lambda: made(alpha=float("nan")), "alpha"),
        (lambda: made(0, 2), "integers >= 1"),
        (lambda: made()(torch.zeros(5, 4).double()), r"\(5, 4\)"),
        (lambda: made()(torch.zeros(3)), "float32"),
        (lambda: made()([1, 2, 3]), "list"),
        (lambda: layers.HighOrderConv2d(1, 1, 3)(torch.zeros(1, 1, 2, 2)), "too short"),
        (lambda: layers.HighOrderConv2d(1, 1, 3)(torch.zeros(1, 2, 8, 8)), r"\(\.\.\., 1"),
        (lambda: layers.HighOrderConv2d(1, 1, 3)(torch.zeros(8, 8)), r"input is \(8, 8\)"),
        (lambda: layers.HighOrderConv2d(1, 1, (3, 0)), "kernel_size"),
        (lambda: layers.HighOrderConv1d(1, 1, 3, output_padding=1), "output_padding"),
        (lambda: layers.HighOrderMLP([3]), "at least two"),
        (lambda: layers.MaxAbsNorm(eps=0), "eps=0"),
        (lambda: layers.select("continous", n=2, in_features=1, out_features=1), "'continous'"),
        (lambda: layers.select("continuous", n=2, in_features=1, out_features=1), "segments"),
        (lambda: layers.select("polynomial", in_features=1, out_features=1), "n=None"),
        (
            lambda: layers.select_convolution("fourier", n=3, in_channels=1, out_channels=1, kernel_size=1),
            "1d",
        ),
        (lambda: layers.model(torch.nn.Linear(2, 2)), "Linear"),
    ],
)
def test_errors_say_what_was_given(call, words):
    with pytest.raises(ConslawError, match=words) as error:
        call()
    assert "\n" not in str(error.value)


def test_not_a_number_stays_one_and_harms_no_other():
    layer = made(1, 1, degree=3, segments=40)
    y = layer(torch.tensor([[np.nan], [np.inf], [0.5]]).double())
    assert y.isfinite().flatten().tolist() == [False, False, True]


def test_max_abs_norm():
    x = torch.tensor([[1.0, -4.0], [0.0, 0.0]])
    assert torch.allclose(layers.MaxAbsNorm()(x), torch.tensor([[0.25, -1.0], [0.0, 0.0]]))
    assert layers.MaxAbsNorm()(torch.ones(2, 3, 4, 4)).shape == (2, 3, 4, 4)


def test_state_dict_and_precision():
    network = layers.HighOrderMLP([2, 4, 1], degree=3, segments=8)
    other = layers.HighOrderMLP([2, 4, 1], degree=3, segments=8)
    other.load_state_dict(network.state_dict())
    x = torch.rand(6, 2)
    assert torch.equal(other(x), network(x))
    assert torch.allclose(copy.deepcopy(network).double()(x.double()).float(), network(x), atol=1e-4)
    exact = layers.HighOrderLinear(1, 1, degree=4).double().transform
    assert torch.equal(exact, torch.tensor(Space(degree=4).transform))


@pytest.mark.parametrize("combine", ["sum", "product"])
def test_xor_has_no_error(combine):
    """Half the sign of x y: the mixed term of a product, or two layers of sums; never one layer of sums."""
    options = {"degree": 1, "segments": 2, "continuous": False}
    sign = torch.tensor([-1.0, -1.0, 1.0, 1.0])
    if combine == "product":
        network = layers.HighOrderLinear(2, 1, combine="product", alpha=0.0, **options)
        weights = [torch.stack([sign, sign / 2])]
    else:
        network = layers.HighOrderMLP([2, 1, 1], normalize=False, **options)
        weights = [torch.stack([0.4 * sign + 0.1, 0.4 * sign]), torch.tensor([[0.5, 0.5, -0.625, 0.625]])]
    with torch.no_grad():
        for parameter, weight in zip(network.parameters(), weights, strict=True):
            parameter.copy_(weight.unsqueeze(-1))
        x = 2 * torch.rand(1000, 2) - 1
        assert torch.allclose(network(x), torch.sign(x.prod(1, keepdim=True)) / 2, atol=1e-6)

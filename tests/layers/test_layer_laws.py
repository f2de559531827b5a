"""What high-order layers conserve: counts from the engine, and constancy along real training."""

from itertools import pairwise

import numpy as np
import pytest

import conslaw

torch = pytest.importorskip("torch")
from conslaw import layers  # noqa: E402


def laws(network):
    answer = conslaw.analyze(layers.model(network))
    assert answer.complete
    return answer.laws_found


def mlp(widths, **options):
    return layers.HighOrderMLP(widths, normalize=False, **options)


@pytest.mark.parametrize(
    ("widths", "options"),
    [
        ([3, 2], {"degree": 2}),
        ([4, 3], {"degree": 1, "segments": 3, "continuous": False}),
        ([2, 2, 2], {"degree": 2}),
        ([2, 3, 2], {"degree": 3}),
        ([2, 2, 2], {"degree": 4}),
        ([2, 2, 2, 1], {"degree": 1, "segments": 2}),
        ([2, 2, 2, 1], {"degree": 2, "segments": 2}),
        ([3, 2, 2], {"degree": 1, "segments": 2, "continuous": False}),
        ([2, 2, 2], {"basis": "fourier", "frequencies": 2}),
        ([2, 3, 2], {"degree": 2, "segments": 2, "basis": "monomial"}),
    ],
    ids=str,
)
def test_the_partition_of_unity_gives_the_laws(widths, options):
    """outputs (inputs - 1) linear laws a layer, and no others, for n >= 3 or S >= 2."""
    expected = sum(o * (i - 1) for i, o in pairwise(widths))
    assert laws(mlp(widths, **options)) == expected


def test_two_points_are_a_linear_network_in_disguise():
    """a = (w1 + w0)/2 and b = (w1 - w0)/2 on each synapse: a linear network with biases, and its Gram
    laws.
    """
    assert laws(mlp([3, 2], degree=1)) == 4
    quadratic = conslaw.analyze(conslaw.linear([2, 2, 2], bias=True)).laws_found
    assert laws(mlp([2, 2, 2], degree=1)) == 2 + 2 + quadratic


@pytest.mark.parametrize("degree", [2, 3])
def test_monomials_have_a_quadratic_law_for_each_hidden_unit(degree):
    """|w_in|^2 - sum_k k a_k^2, beside the linear laws of the constants: the basis decides."""
    network = mlp([2, 2, 2], degree=degree, basis="monomial")
    assert laws(network) == 4 + 2
    assert laws(mlp([2, 2, 2], degree=degree)) == 4


@pytest.mark.parametrize(
    ("layer", "count"),
    [
        (lambda: layers.HighOrderConv2d(3, 2, 2, degree=2, segments=2), 2 * (12 - 1)),
        (lambda: layers.HighOrderConv1d(3, 2, 3, degree=2), 2 * (9 - 1)),
        (lambda: layers.HighOrderConv1d(3, 2, 3, degree=2, padding=1), 2 * 3 * (3 - 1)),
        (lambda: layers.HighOrderLinear(3, 2, degree=2, bias=True), 2 * 3),  # the bias is one more constant
        (lambda: layers.HighOrderLinear(3, 2, degree=2, segments=3, basis="legendre"), 2 * 2),
        (lambda: layers.HighOrderLinear(6, 3, degree=2, segments=2), 3 * 5),
    ],
)
def test_one_layer(layer, count):
    assert laws(layer()) == count


@pytest.mark.parametrize(("inputs", "outputs", "n"), [(2, 1, 3), (3, 2, 2), (2, 2, 4)])
def test_products_keep_differences_of_norms(inputs, outputs, n):
    """1 + f_i = sum_k (w_ik + 1) phi_k: a tensor of rank one in w + 1, so |w_i + 1|^2 - |w_1 + 1|^2."""
    layer = layers.HighOrderLinear(inputs, outputs, degree=n - 1, combine="product")
    assert laws(layer) == outputs * (inputs - 1)


def train(network, steps, momentum, rate=0.05):
    torch.manual_seed(1)
    x, y = 2 * torch.rand(64, 3).double() - 1, torch.rand(64, 2).double()
    optimizer = torch.optim.SGD(network.parameters(), lr=rate, momentum=momentum)
    for _ in range(steps):
        optimizer.zero_grad()
        loss = (network(x) - y).square().mean()
        loss.backward()
        optimizer.step()
    return loss.item()


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize(
    "options",
    [
        {"degree": 4, "segments": 7},
        {"degree": 3, "segments": 40},
        {"degree": 2, "segments": 3, "continuous": False},
        {"degree": 6},
        {"degree": 3, "basis": "monomial"},
        {"degree": 2, "segments": 4, "basis": "legendre"},
        {"frequencies": 3, "basis": "fourier"},
    ],
    ids=str,
)
def test_linear_laws_are_constant_along_real_training(options, momentum):
    """Exact at any step size, with momentum too, and behind a norm."""
    torch.manual_seed(0)
    network = layers.HighOrderMLP([3, 4, 2], **options).double()
    parts = [part for part in network if isinstance(part, layers.HighOrderLinear)]
    unity = [torch.tensor(part.space.unity).double() for part in parts]

    def values():
        sums = [torch.einsum("ino,n->io", p.weight.detach(), s) for p, s in zip(parts, unity, strict=True)]
        return [s - s[:1] for s in sums]

    before, weights = values(), [p.weight.detach().clone() for p in parts]
    train(network, 60, momentum)
    assert all(torch.allclose(a, b, atol=1e-12) for a, b in zip(before, values(), strict=True))
    assert all(float((p.weight.detach() - w).abs().max()) > 1e-2 for p, w in zip(parts, weights, strict=True))


@pytest.mark.parametrize(("padding", "segments"), [(0, 3), (0, 40), (1, 40)])
def test_laws_of_convolutions_are_constant_along_real_training(padding, segments):
    """Differences between channels at each place of the kernel; without padding, between places as well."""
    torch.manual_seed(0)
    layer = layers.HighOrderConv2d(2, 3, 2, degree=2, segments=segments, padding=padding).double()
    sums = layer.weight.detach().sum(1)
    x, y = 2 * torch.rand(5, 2, 6, 6).double() - 1, torch.rand(1).double()
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.02, momentum=0.9)
    for _ in range(30):
        optimizer.zero_grad()
        (layer(x) - y).square().mean().backward()
        optimizer.step()
    moved = layer.weight.detach().sum(1) - sums
    assert torch.allclose(moved[0], moved[1], atol=1e-12)
    assert float(moved.abs().max()) > 1e-2
    assert bool(((moved - moved[:, :1, :1]).abs().max() < 1e-12) == (padding == 0))


def test_the_quadratic_law_drifts_with_the_square_of_the_step():
    """|w_in|^2 - sum_k k a_k^2 along gradient descent: ten times smaller steps, ten times smaller drift."""
    drifts = []
    for rate in (0.02, 0.002):
        torch.manual_seed(0)
        network = mlp([3, 2, 2], degree=2, basis="monomial").double()
        first, second = network[0], network[1]

        def law(first=first, second=second):
            w, a = first.weight.detach(), second.weight.detach()
            k = torch.arange(3).double()
            return w.square().sum((0, 1)) - torch.einsum("n,ino->i", k, a.square())

        before = law()
        train(network, round(2 / rate), 0.0, rate)
        drifts.append(float((law() - before).abs().max()))
    assert drifts[0] / drifts[1] == pytest.approx(10, rel=0.2)
    assert drifts[1] < 1e-3


def test_what_stands_for_functions_behind_the_first_layer_is_not_free_near_weights():
    """With weights of 0 in the first layer one number goes into the second, whose true rank is small."""
    network = layers.HighOrderMLP([1, 2, 1], segments=3, normalize=False)
    weights = {"W1": np.zeros((1, 4, 2)), "W2": np.ones((2, 4, 1))}
    with pytest.raises(conslaw.ConslawError, match="follow from weights"):
        conslaw.analyze(layers.model(network)).at(weights)
    layer = layers.HighOrderLinear(3, 2, segments=4)
    assert conslaw.analyze(layer.model()).at({"W1": layer.weight}).attained

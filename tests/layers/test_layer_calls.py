"""Sums of rows against their definition; layers under PyTorch's transformations, its compiler and its
precisions.
"""

import os
import shutil

import pytest

torch = pytest.importorskip("torch")
from conslaw import layers  # noqa: E402
from conslaw.layers import bags  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit.script")  # PyTorch's own forward mode warns


def drawn(m, inputs, active, size, outputs):
    first = torch.randint(size - active + 1, (m, inputs), dtype=torch.int32)
    shapes = [(m, inputs, active), (m, outputs), (size, outputs)]
    return first, [torch.randn(shape, dtype=torch.float64) for shape in shapes]


@pytest.mark.parametrize("inputs", [1, 16, 19, 50])
def test_the_three_derivatives_are_those_of_the_form(inputs, monkeypatch):
    """For inputs in one chunk, in several, in several parts; rows may be read more than once."""
    monkeypatch.setattr(bags, "LARGEST", 100)
    first, three = drawn(4, inputs, 3, 70, 5)
    c, v, t = [tensor.clone().requires_grad_() for tensor in three]
    read = t[first.long().unsqueeze(-1) + torch.arange(3)]
    gradients = torch.autograd.grad(torch.einsum("mik,mo,miko->", c, v, read), [c, v, t])
    for k, expected in enumerate(gradients):
        arguments = [None if j == k else tensor for j, tensor in enumerate(three)]
        assert torch.allclose(bags._Derivative.apply(first, 3, 70, *arguments), expected)


def test_the_form_differentiates_in_all_modes():
    first, (c, _, t) = drawn(3, 2, 2, 20, 2)
    arguments = (c.requires_grad_(), t.requires_grad_())
    assert torch.autograd.gradcheck(lambda c, t: bags.bags(c, first, t), arguments, check_forward_ad=True)
    assert torch.autograd.gradgradcheck(lambda c, t: bags.bags(c, first, t), arguments)


LAYERS = {
    "sum": lambda: layers.HighOrderLinear(3, 2, degree=2, segments=30),
    "product": lambda: layers.HighOrderLinear(3, 2, degree=2, segments=30, combine="product", alpha=0.5),
    "dense": lambda: layers.HighOrderLinear(3, 2, degree=2, segments=2, continuous=False),
    "network": lambda: layers.HighOrderMLP([3, 4, 2], degree=2, segments=20),
}


@pytest.mark.parametrize("kind", LAYERS)
def test_transformations_of_functions(kind):
    """vmap, Jacobians in both modes, Hessians; by sample, and for several networks at once."""
    layer, x = LAYERS[kind]().double(), 2 * torch.rand(4, 3, dtype=torch.float64) - 1
    jacobian = torch.autograd.functional.jacobian(layer, x)
    assert torch.allclose(torch.func.vmap(layer)(x), layer(x))
    assert torch.allclose(torch.func.jacrev(layer)(x), jacobian)
    assert torch.allclose(torch.func.jacfwd(layer)(x), jacobian)

    def loss(x):
        return layer(x).square().sum()

    assert torch.allclose(torch.func.hessian(loss)(x), torch.autograd.functional.hessian(loss, x))
    weights = {name: p.detach() for name, p in layer.named_parameters()}

    def call(weights, x):
        return torch.func.functional_call(layer, weights, (x,))

    both = {name: torch.stack([w, 2 * w]) for name, w in weights.items()}
    expected = torch.stack([call(weights, x), call({name: 2 * w for name, w in weights.items()}, x)])
    assert torch.allclose(torch.func.vmap(call, (0, None))(both, x), expected)
    by_sample = torch.func.vmap(torch.func.grad(lambda w, x: call(w, x).sum()), (None, 0))(weights, x)
    layer(x).sum().backward()
    for name, p in layer.named_parameters():
        assert torch.allclose(by_sample[name].sum(0), p.grad)


# inductor needs a compiler and takes long
BACKENDS = ["eager", "aot_eager", *["inductor"] * bool(os.environ.get("CI") and shutil.which("g++"))]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("kind", LAYERS)
def test_compiled_layers_are_the_same(kind, backend):
    torch.compiler.reset()
    layer = LAYERS[kind]().double()
    answers = []
    for call in (layer, torch.compile(layer, backend=backend, fullgraph=True)):
        torch.manual_seed(1)
        x = (2 * torch.rand(6, 3, dtype=torch.float64) - 1).requires_grad_()
        layer.zero_grad()
        y = call(x)
        y.square().sum().backward()
        answers.append([y.detach(), x.grad, *(p.grad for p in layer.parameters())])
    assert all(torch.allclose(a, b) for a, b in zip(*answers, strict=True))
    assert all(bool(g.abs().sum() > 0) for g in answers[0])  # no layer stands still at the start


@pytest.mark.parametrize("kind", LAYERS)
def test_exported_layers_take_any_batch(kind):
    layer, x = LAYERS[kind](), torch.rand(6, 3)
    shapes = ({0: torch.export.Dim("batch")},)
    program = torch.export.export(layer, (x,), dynamic_shapes=shapes).module()
    assert torch.allclose(program(x), layer(x))
    assert torch.allclose(program(x.repeat(3, 1)), layer(x.repeat(3, 1)))


@pytest.mark.parametrize("kind", LAYERS)
def test_empty_batches_and_strides(kind):
    layer = LAYERS[kind]()
    x = torch.rand(3, 5)
    assert torch.allclose(layer(x.t()), layer(x.t().contiguous()))
    assert torch.allclose(layer(x[:, :1].t().expand(4, 3)), layer(x[:, 0]).expand(4, 2))
    empty = torch.zeros(0, 3, requires_grad=True)
    layer(empty).sum().backward()
    assert empty.grad.shape == (0, 3)
    assert not any(bool(p.grad.any()) for p in layer.parameters())


@pytest.mark.parametrize("segments", [1, 30])
@pytest.mark.parametrize("transposed", [False, True])
def test_convolutions_take_any_batch(segments, transposed):
    kind = layers.HighOrderConvTranspose1d if transposed else layers.HighOrderConv1d
    layer, x = kind(2, 3, 3, degree=2, segments=segments), torch.rand(2, 4, 2, 7)
    y = layer(x)
    assert torch.allclose(y.flatten(0, 1), layer(x.flatten(0, 1)))
    assert torch.allclose(layer(x[1, 2]), y[1, 2], atol=1e-6)
    assert layer(x[:, :0]).shape == (2, 0, *y.shape[2:])
    program = torch.export.export(layer, (x,), dynamic_shapes=({0: torch.export.Dim("batch")},))
    assert torch.allclose(program.module()(x.repeat(2, 1, 1, 1)), y.repeat(2, 1, 1, 1))


@pytest.mark.parametrize("segments", [2, 40])
@pytest.mark.parametrize("x", [7e4, -7e4, 1e10, -3e9, 1e19])
def test_far_outside_the_outer_pieces_go_on(segments, x):
    layer = layers.HighOrderLinear(1, 1, segments=segments).double()
    w = layer.weight.detach().flatten()
    a, b, end = (w[-1], w[-2], 1.0) if x > 0 else (w[0], w[1], -1.0)
    expected = a + (a - b) * (abs(x) - 1) * segments / 2
    assert layer(torch.tensor([x], dtype=torch.float64)).item() == pytest.approx(expected.item())
    assert layer(torch.tensor([end], dtype=torch.float64)).item() == pytest.approx(a.item())


@pytest.mark.parametrize("basis", ["lagrange", "legendre"])
def test_high_degrees_in_single_precision(basis):
    layer = layers.HighOrderLinear(1, 1, degree=300, basis=basis)
    x = torch.linspace(-1, 1, 400)[:, None]
    assert torch.allclose(layer(x).double(), layer.double()(x.double()), atol=1e-2)

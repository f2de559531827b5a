"""True gradients of modules, and the fields of the potentials that they were read as."""

import numpy as np
import pytest
import torch

import conslaw
from conslaw.algebra.evaluation import NumPyNumbers, evaluate, gradient, topological_order


def arrays_of(model, module):
    """The parameters of a module as the arrays of its model."""
    found = dict(module.named_parameters())
    return {name: found[path].detach().numpy() for name, path in model.arguments["names"].items()}


def fields(model, arrays, number, seed=0):
    """Random gradients of the potential, one a row."""
    draw = np.random.default_rng(seed)
    order = topological_order([model.potential])
    inputs = {x.attribute: x for x in order if x.operation == "input"}
    graph = gradient(model.potential, [inputs[name] for name in model.parameters])
    data = [x for x in inputs.values() if x.attribute not in model.parameters]
    rows = []
    for _ in range(number):
        values = {x.attribute: draw.standard_normal(x.shape) for x in data}
        made = evaluate(graph, {**arrays, **values}, NumPyNumbers())
        rows.append(np.concatenate([np.asarray(x, dtype=float).ravel() for x in made]))
    return np.array(rows)


def true_gradients(model, module, draw, loss=None, number=3):
    """Gradients of the module in double precision, for random gradients of its outputs (or random labels)."""
    rows = []
    for _ in range(number):
        moving = [x for x in tensors(module(*draw())) if x.requires_grad]
        value = sum((torch.randn_like(x) * x).sum() for x in moving)
        if loss == "cross_entropy":
            logits = moving[0].reshape(-1, moving[0].shape[-1])
            value = torch.nn.functional.cross_entropy(logits, torch.randint(logits.shape[-1], (len(logits),)))
        found = dict(module.named_parameters())
        wanted = [found[path] for path in model.arguments["names"].values()]
        made = torch.autograd.grad(value, wanted, allow_unused=True)
        parts = [torch.zeros_like(w) if g is None else g for g, w in zip(made, wanted, strict=True)]
        rows.append(np.concatenate([x.numpy().ravel() for x in parts]))
    return np.array(rows)


def tensors(out):
    if isinstance(out, torch.Tensor):
        return [out]
    return [x for part in (out.values() if isinstance(out, dict) else out) for x in tensors(part)]


def outside(model, module, draw, loss=None):
    """How far true gradients are from the span of the fields at these weights, relative to their lengths."""
    rows = fields(model, arrays_of(model, module), model.size + 5)
    rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-300)
    _, sizes, basis = np.linalg.svd(rows, full_matrices=False)
    basis = basis[sizes > 1e-9 * sizes[0]]
    true = true_gradients(model, module, draw, loss)
    left = true - true @ basis.T @ basis
    moving = np.linalg.norm(true, axis=1) > 0  # not all units are off
    assert moving.any()
    return (np.linalg.norm(left[moving], axis=1) / np.linalg.norm(true[moving], axis=1)).max()


def drifts(analysis, model, module, draw, loss=None):
    """How fast each law changes along a true gradient of length 1: of degree 2, so differences are exact."""
    arrays = arrays_of(model, module)
    flat = max(true_gradients(model, module, draw, loss), key=np.linalg.norm)  # not that of units all off
    ends = np.cumsum([x.size for x in arrays.values()])[:-1]
    parts = np.split(flat / np.linalg.norm(flat), ends)
    moves = {n: part.reshape(x.shape) for (n, x), part in zip(arrays.items(), parts, strict=True)}
    shapes = analysis.analyzed.model.parameters
    pieces = analysis.analyzed.model.arguments.get("pieces", {})
    ahead, behind = (
        {
            name: piece(name, shape, pieces, {n: x + sign * moves[n] for n, x in arrays.items()})
            for name, shape in shapes.items()
        }
        for sign in (1, -1)
    )
    laws = analysis.to_json()["laws"]
    return np.array([eval(law, {}, ahead) - eval(law, {}, behind) for law in laws]) / 2


def piece(name, shape, pieces, arrays):
    """An array of the answer: one of the module, or a part of one."""
    if name not in pieces:
        return arrays[name].reshape(shape)
    whole, read, ends = pieces[name]
    return arrays[whole].reshape(read)[tuple(slice(a, b) for a, b in ends)].reshape(shape)


def read(module, draw, **options):
    """A module in double precision at random weights, and its model."""
    if torch.__version__ < "2.10" and any(isinstance(x, torch.nn.RNNBase) for x in module.modules()):
        pytest.skip("recurrent layers are exported by PyTorch 2.10 and newer")
    torch.manual_seed(0)
    module = module.double()
    with torch.no_grad():
        for x in module.parameters():
            x.copy_(torch.randn_like(x))
    return conslaw.from_torch(module, *draw(), **options)

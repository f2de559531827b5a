"""True gradients of modules, and the fields of the potentials that they were read as."""

import re

import numpy as np
import sympy
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
    return (np.linalg.norm(left, axis=1) / np.linalg.norm(true, axis=1)).max()


def drifts(analysis, model, module, draw, loss=None):
    """How fast each law changes along true gradients, relative to the length of its own gradient."""
    arrays = arrays_of(model, module)
    ends = np.cumsum([0, *(x.size for x in arrays.values())])
    symbols = sorted({x for law in analysis.laws for x in law.free_symbols}, key=str)
    gradients = [[sympy.diff(law, x) for x in symbols] for law in analysis.laws]
    shapes = analysis.analyzed.model.parameters
    places = [np.array(place(str(x), model, shapes), dtype=int) for x in symbols]
    at = [list(arrays).index(name) for name in (whole(str(x), model) for x in symbols)]
    flat = [int(ends[i] + p) for i, p in zip(at, places, strict=True)]
    values = np.concatenate([x.ravel() for x in arrays.values()])
    made = np.array(sympy.lambdify(symbols, gradients)(*values[flat]), dtype=float)
    true = true_gradients(model, module, draw, loss)
    return np.abs(made @ true[:, flat].T) / np.linalg.norm(made, axis=1)[:, None] / np.linalg.norm(true)


def whole(symbol, model):
    """The array that an entry is of: ``weight_0_4[1,0]`` is one of ``weight``."""
    name = symbol.partition("[")[0]
    while name not in model.parameters:
        name = re.sub(r"_\d+_\d+$", "", name)
    return name


def place(symbol, model, shapes):
    """The flat position of an entry in its whole array."""
    piece, _, index = symbol.partition("[")
    name, shape = whole(symbol, model), shapes[piece]
    entry = [int(i) for i in index.rstrip("]").split(",")] if index else []
    own = int(np.ravel_multi_index(entry, shape)) if shape else 0
    if piece == name:
        return own
    numbers = np.arange(int(np.prod(model.parameters[name]))).reshape(model.parameters[name])
    cuts = [tuple(map(int, x)) for x in re.findall(r"_(\d+)_(\d+)", piece[len(name) :])]
    assert len(cuts) == 1  # of packed arrays: along the first axis
    return int(numbers[cuts[0][0] : cuts[0][1]].ravel()[own])


def read(module, draw, **options):
    """A module in double precision, and its model."""
    torch.manual_seed(0)
    module = module.double()
    return conslaw.from_torch(module, *draw(), **options)

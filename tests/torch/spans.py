"""True gradients of modules, and the fields of the potentials that they were read as."""

import numpy as np
import torch

from conslaw.algebra.evaluation import NumPyNumbers, evaluate, gradient, topological_order
from conslaw.models.from_torch import from_torch


def arrays_of(model, module):
    """The parameters of a module as the arrays of its model."""
    found = dict(module.named_parameters())
    return {name: found[path].detach().numpy() for name, path in model.arguments["names"].items()}


def fields(model, arrays, number, seed=0):
    """Random gradients of the potential, one a row."""
    draw = np.random.default_rng(seed)
    inputs = [x for x in topological_order([model.potential]) if x.operation == "input"]
    by_name = {x.attribute: x for x in inputs}
    graph = gradient(model.potential, [by_name[name] for name in model.parameters])
    rows = []
    for _ in range(number):
        data = {n: draw.standard_normal(x.shape) for n, x in by_name.items() if n not in model.parameters}
        made = evaluate(graph, {**arrays, **data}, NumPyNumbers())
        rows.append(np.concatenate([np.asarray(x, dtype=float).ravel() for x in made]))
    return np.array(rows)


def true_gradients(model, module, draws, loss=None, number=3, seed=0):
    """Gradients of the module in double precision, for random outputs' gradients (or labels)."""
    torch.manual_seed(seed)
    rows = []
    for _ in range(number):
        out = module(*draws())
        parts = [x for x in _tensors(out) if x.requires_grad]
        if loss == "cross_entropy":
            classes = parts[0].shape[1 if parts[0].ndim in (2, 4, 5) else -1]
            logits = parts[0].reshape(-1, classes)
            value = torch.nn.functional.cross_entropy(logits, torch.randint(classes, (len(logits),)))
        else:
            value = sum((torch.randn_like(x) * x).sum() for x in parts)
        found = dict(module.named_parameters())
        wanted = [found[path] for path in model.arguments["names"].values()]
        made = torch.autograd.grad(value, wanted, allow_unused=True)
        rows.append(
            np.concatenate(
                [(torch.zeros_like(w) if g is None else g).numpy().ravel() for g, w in zip(made, wanted, strict=True)]
            )
        )
    return np.array(rows)


def _tensors(out):
    if isinstance(out, torch.Tensor):
        return [out]
    parts = out.values() if isinstance(out, dict) else out
    return [x for part in parts for x in _tensors(part)]


def residual(module, draws, loss=None, mode=None):
    """How far true gradients are from the span of the fields, relative to their lengths; and the model."""
    module = module.double()
    if mode:
        module.train(mode == "train")
    model = from_torch(module, *draws(), loss=loss)
    arrays = arrays_of(model, module)
    span = fields(model, arrays, model.size + 5)
    span /= np.maximum(np.linalg.norm(span, axis=1, keepdims=True), 1e-300)
    _, sizes, basis = np.linalg.svd(span, full_matrices=False)
    basis = basis[sizes > 1e-9 * sizes[0]]
    true = true_gradients(model, module, draws, loss)
    outside = true - true @ basis.T @ basis
    return np.linalg.norm(outside, axis=1) / np.linalg.norm(true, axis=1), len(basis), model

"""Sums of few rows of a large table, and their gradients: the arithmetic of high-order layers.

The trilinear form  sum over m, i, k of  c[m, i, k] <v[m], t[first[m, i] + k]>  has coefficients c, values v
and a table t.  Its derivative by v is what a layer answers: of a piecewise function only the n functions of
the active piece are not 0, so few rows are read, for any number of pieces.  Those by c and t are the layer's
gradients.  Derivatives of the three are derivatives of the form again, so they are one operation.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

# measured by benchmarks/layers.py
CHUNK = 16  # inputs whose rows are read together, for all m: their part of the table stays in cache
LARGEST = 2**21  # numbers that chunks may take before they are summed


with warnings.catch_warnings():  # PyTorch warns once of its sparse tensors; tests hold what is used of them
    warnings.simplefilter("ignore")
    torch.sparse_csr_tensor([0, 1], [0], [1.0], (1, 1))


def bags(coefficients: Tensor, first: Tensor, table: Tensor) -> Tensor:
    """y[m] = sum over i, k of c[m, i, k] t[first[m, i] + k], of shape (m, o).

    Parameters
    ----------
    coefficients : (m, i, k)
    first : integers (m, i)
    table : (r, o)
    """
    derive = _compiled if torch.compiler.is_compiling() else _Derivative.apply
    return derive(first, coefficients.shape[2], table.shape[0], coefficients, None, table)


def _parts(inputs: int, size: int) -> Iterator[slice]:
    """All inputs, in parts of whole chunks whose results of this size are not too many numbers."""
    step = CHUNK * max(1, LARGEST // max(1, size))
    return (slice(start, start + step) for start in range(0, inputs, step))


def _chunked(array: Tensor, part: slice) -> Tensor:
    """(m, i, ...) -> (chunks, m, inputs of a chunk, ...); zeros fill the last chunk."""
    array = array[:, part]
    chunk = min(CHUNK, array.shape[1])
    missing = -array.shape[1] % chunk
    if missing:
        array = F.pad(array, [*[0] * (2 * array.dim() - 4), 0, missing])
    return array.unflatten(1, (-1, chunk)).transpose(0, 1).contiguous()


def _rows(first: Tensor, active: int) -> Tensor:
    """(..., i) -> (..., i k): long additions, since those of k numbers are slow."""
    turn = torch.arange(active, dtype=first.dtype, device=first.device).repeat(first.shape[-1])
    return first.repeat_interleave(active, -1) + turn


def _sums(first: Tensor, coefficients: Tensor, table: Tensor) -> Tensor:
    m, i, active = coefficients.shape
    outputs = table.shape[1]
    sums = []
    for part in _parts(i, m * outputs):
        c, rows = _chunked(coefficients, part), _rows(_chunked(first, part), active)
        shape = (c.shape[0] * m, c.shape[2] * active)
        bag = F.embedding_bag(rows.view(shape), table, mode="sum", per_sample_weights=c.view(shape))
        sums.append(bag.view(-1, m, outputs).sum(0) if len(c) > 1 else bag)
    return sum(sums[1:], sums[0])


def _products(first: Tensor, values: Tensor, table: Tensor, active: int) -> Tensor:
    """<v[m], t[first[m, i] + k]>, of shape (m, i, k)."""
    m, i = first.shape
    if values.device.type != "cpu" or values.dtype not in (torch.float32, torch.float64):
        return torch.einsum("mko,mo->mk", table[_rows(first, active)], values).view(m, i, active)
    products = []
    for part in _parts(i, m * values.shape[1]):
        rows = _rows(_chunked(first, part), active)
        chunks, _, width = rows.shape
        starts = torch.arange(0, rows.numel() + 1, width, dtype=rows.dtype)
        copies = values.expand(chunks, *values.shape).flatten(0, 1)
        sampled = torch.sparse_csr_tensor(
            starts,
            rows.view(-1),
            values.new_zeros(rows.numel()),
            (chunks * m, len(table)),
            check_invariants=False,
        )
        sampled = torch.sparse.sampled_addmm(sampled, copies, table.t(), beta=0.0).values()
        products.append(sampled.view(rows.shape).transpose(0, 1).reshape(m, chunks * width // active, active))
    return (products[0] if len(products) == 1 else torch.cat(products, 1))[:, :i].contiguous()


def _collected(first: Tensor, coefficients: Tensor, values: Tensor, size: int) -> Tensor:
    """Row r: the sum of c[m, i, k] v[m] over all (m, i, k) with first[m, i] + k = r."""
    _, i, active = coefficients.shape
    rows = _rows(first, active).view(-1)
    order, counts = torch.argsort(rows), torch.bincount(rows, minlength=size)
    return F.embedding_bag(
        order // (i * active),
        values,
        counts.cumsum(0) - counts,
        mode="sum",
        per_sample_weights=coefficients.reshape(-1).index_select(0, order),
    )


def _derivative(first: Tensor, active: int, size: int, coefficients: Any, values: Any, table: Any) -> Tensor:
    """The derivative of the form by the argument that is None."""
    if coefficients is None:
        return _products(first, values.contiguous(), table.contiguous(), active)
    if values is None:
        return _sums(first, coefficients, table.contiguous())
    return _collected(first, coefficients, values.contiguous(), size)


# the compiler takes it as a whole
_compiled = torch.library.custom_op(
    "conslaw::derivative",
    _derivative,
    mutates_args=(),
    schema="(Tensor first, int active, int size, "
    "Tensor? coefficients, Tensor? values, Tensor? table) -> Tensor",
)


@_compiled.register_fake
def _shape(first: Tensor, active: int, size: int, coefficients: Any, values: Any, table: Any) -> Tensor:
    if coefficients is None:
        return values.new_empty(*first.shape, active)
    if values is None:
        return coefficients.new_empty(first.shape[0], table.shape[1])
    return coefficients.new_empty(size, values.shape[1])


def _remember(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    first, ctx.active, ctx.size, *three = inputs
    ctx.save_for_backward(first, *three)
    ctx.save_for_forward(first, *three)


def _replaced(ctx: Any, derive: Callable[..., Tensor], by: dict[int, Tensor | None]) -> Tensor:
    first, *three = ctx.saved_tensors
    return derive(first, ctx.active, ctx.size, *(by.get(k, old) for k, old in enumerate(three)))


def _backward(derive: Callable[..., Tensor]) -> Callable[..., tuple[Tensor | None, ...]]:
    def backward(ctx: Any, upper: Tensor) -> tuple[Tensor | None, ...]:
        missing = next(k for k, tensor in enumerate(ctx.saved_tensors[1:]) if tensor is None)
        gradients = (
            _replaced(ctx, derive, {missing: upper, k: None}) if wanted else None
            for k, wanted in enumerate(ctx.needs_input_grad[3:])
        )
        return None, None, None, *gradients

    return backward


_compiled.register_autograd(_backward(_compiled), setup_context=_remember)


class _Derivative(torch.autograd.Function):
    """The same outside of the compiler: with forward mode and ``torch.func``, which operators lack."""

    @staticmethod
    def forward(first: Tensor, active: int, size: int, *three: Tensor | None) -> Tensor:
        return _derivative(first, active, size, *three)

    setup_context = staticmethod(_remember)

    @staticmethod
    def backward(ctx: Any, upper: Tensor) -> tuple[Tensor | None, ...]:
        return _backward(_Derivative.apply)(ctx, upper)

    @staticmethod
    def jvp(ctx: Any, *tangents: Tensor | None) -> Tensor:
        moved = [
            _replaced(ctx, _Derivative.apply, {k: t}) for k, t in enumerate(tangents[3:]) if t is not None
        ]
        return sum(moved[1:], moved[0])

    @staticmethod
    def vmap(
        info: Any,
        in_dims: tuple[int | None, ...],
        first: Tensor,
        active: int,
        size: int,
        *three: Tensor | None,
    ) -> tuple[Tensor, int]:
        """Batches side by side, as more m; with tables one below the other where each has its own."""
        batch = info.batch_size

        def joined(tensor: Any, dim: int | None) -> Any:
            if tensor is None:
                return None
            batched = tensor.expand(batch, *tensor.shape) if dim is None else tensor.movedim(dim, 0)
            return batched.flatten(0, 1)

        arguments = [joined(tensor, dim) for tensor, dim in zip(three, in_dims[3:], strict=True)]
        rows = joined(first, in_dims[0])
        if three[2] is not None and in_dims[5] is None:
            arguments[2] = three[2]
        else:
            own = torch.arange(batch, device=rows.device).repeat_interleave(len(rows) // batch)
            rows = rows + size * own.unsqueeze(1)
            size = size * batch
        answer = _Derivative.apply(rows, active, size, *arguments)
        return answer.unflatten(0, (batch, len(answer) // batch)), 0


# PyTorch asks for it at each call, and makes it anew
_Derivative.forward.__signature__ = inspect.signature(_Derivative.forward)  # type: ignore[attr-defined]

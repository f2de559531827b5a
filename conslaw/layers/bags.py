"""Sums of few rows of a large table, and their gradients: the arithmetic of high-order layers.

``bags(coefficients, rows, table)`` is y[m] = sum_k coefficients[m, k] table[rows[m, k]].  Of a piecewise
function only the n functions of the active piece are not 0, so this is all the work that the answer needs,
for
any number of pieces.  Backward, products are sampled where coefficients are, and the table's gradient is one
GEMM with the coefficients spread out if the table is small, else bags of the transpose.
"""

from __future__ import annotations

import warnings
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

SPREAD = 16  # a table of at most so many times the active rows has its gradient by one GEMM


with warnings.catch_warnings():  # PyTorch warns once of its sparse tensors; tests hold what is used of them
    warnings.simplefilter("ignore")
    torch.sparse_csr_tensor([0, 1], [0], [1.0], (1, 1))


@torch.library.custom_op("conslaw::bags", mutates_args=())
def bags(coefficients: Tensor, rows: Tensor, table: Tensor) -> Tensor:
    """y of shape (m, o) from coefficients (m, k), rows (m, k), a table (r, o)."""
    return F.embedding_bag(rows, table, mode="sum", per_sample_weights=coefficients.contiguous())


@bags.register_fake
def _bags_shape(coefficients: Tensor, rows: Tensor, table: Tensor) -> Tensor:
    return table.new_empty(rows.shape[0], table.shape[1])


@torch.library.custom_op("conslaw::bags_coefficients", mutates_args=())
def _coefficients_gradient(gradient: Tensor, rows: Tensor, table: Tensor) -> Tensor:
    """<gradient[m], table[rows[m, k]]>, the products sampled at the rows."""
    m, k = rows.shape
    if gradient.device.type == "cpu" and m:
        starts = torch.arange(0, m * k + 1, k)
        sample = torch.sparse_csr_tensor(
            starts, rows.reshape(-1), gradient.new_zeros(m * k), (m, table.shape[0]), check_invariants=False
        )
        return torch.sparse.sampled_addmm(sample, gradient, table.t(), beta=0.0).values().view(m, k).clone()
    return torch.einsum("mko,mo->mk", table[rows], gradient)


@_coefficients_gradient.register_fake
def _coefficients_gradient_shape(gradient: Tensor, rows: Tensor, table: Tensor) -> Tensor:
    return gradient.new_empty(rows.shape)


@torch.library.custom_op("conslaw::bags_table", mutates_args=())
def _table_gradient(gradient: Tensor, rows: Tensor, coefficients: Tensor, size: int) -> Tensor:
    """The gradient of a table of so many rows: each gets its coefficients times the gradients."""
    m, k = rows.shape
    if size <= SPREAD * k or m == 0:
        return coefficients.new_zeros(m, size).scatter_(1, rows, coefficients).t() @ gradient
    ordered, order = torch.sort(rows.reshape(-1), stable=True)
    starts = torch.searchsorted(ordered, torch.arange(size, device=rows.device))
    return F.embedding_bag(
        order // k,
        gradient.contiguous(),
        starts,
        mode="sum",
        per_sample_weights=coefficients.reshape(-1)[order],
    )


@_table_gradient.register_fake
def _table_gradient_shape(gradient: Tensor, rows: Tensor, coefficients: Tensor, size: int) -> Tensor:
    return gradient.new_empty(size, gradient.shape[1])


def _remember(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    ctx.save_for_backward(*inputs)


def _bags_backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, None, Tensor | None]:
    coefficients, rows, table = ctx.saved_tensors
    for_coefficients, _, for_table = ctx.needs_input_grad
    return (
        _coefficients_gradient(gradient.contiguous(), rows, table) if for_coefficients else None,
        None,
        _table_gradient(gradient, rows, coefficients, table.shape[0]) if for_table else None,
    )


def _sampled_backward(ctx: Any, upper: Tensor) -> tuple[Tensor | None, None, Tensor | None]:
    gradient, rows, table = ctx.saved_tensors
    for_gradient, _, for_table = ctx.needs_input_grad
    return (
        bags(upper, rows, table) if for_gradient else None,
        None,
        _table_gradient(gradient, rows, upper, table.shape[0]) if for_table else None,
    )


def _remember_spread(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    ctx.save_for_backward(*inputs[:3])


def _spread_backward(ctx: Any, upper: Tensor) -> tuple[Tensor | None, None, Tensor | None, None]:
    gradient, rows, coefficients = ctx.saved_tensors
    for_gradient, _, for_coefficients, _ = ctx.needs_input_grad
    return (
        bags(coefficients, rows, upper.contiguous()) if for_gradient else None,
        None,
        _coefficients_gradient(gradient.contiguous(), rows, upper.contiguous()) if for_coefficients else None,
        None,
    )


# the three are the partial gradients of one trilinear form, so they differentiate into each other
bags.register_autograd(_bags_backward, setup_context=_remember)
_coefficients_gradient.register_autograd(_sampled_backward, setup_context=_remember)
_table_gradient.register_autograd(_spread_backward, setup_context=_remember_spread)

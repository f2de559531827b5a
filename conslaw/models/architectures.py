"""The networks that people train, each written with the public :func:`conslaw.model` and :mod:`conslaw.nn`.

A bias has the name of its matrix (bQ for Q).  Shapes are those of PyTorch, (outputs, inputs).
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np

from conslaw.algebra.expressions import Sizes
from conslaw.errors import ConslawError
from conslaw.models.nn.activations import gelu, silu
from conslaw.models.nn.activations import relu as relu_of
from conslaw.models.nn.attention import attention as attended
from conslaw.models.nn.attention import softmax
from conslaw.models.nn.convolutions import conv as convolved
from conslaw.models.nn.normalisation import layer_norm
from conslaw.models.potential import Model, is_list, is_positive_integer, model

Activation = Callable[[Any], Any]


LISTS = ("channels", "sizes", "ranks")


def _check(family: str, **sizes: object) -> None:
    """Refuse what is no positive integer; of :data:`LISTS`, no list of them."""
    for name, value in sizes.items():
        given = list(value) if is_list(value) else [value]
        if is_list(value) != (name in LISTS) or not given or not all(map(is_positive_integer, given)):
            many = "a list of positive integers" if name in LISTS else "a positive integer"
            raise ConslawError(f"{family}: {name}={value!r}: give {many}")


def conv(channels: Sizes, *, pixels: int = 8, kernel: int = 3, activation: Activation = relu_of) -> Model:
    """A convolutional network on square images, without padding.

    Its gradient flow conserves, with ReLU, the norm of what comes into each hidden channel minus that of what
    goes out: a law for each hidden channel; without a nonlinearity (``activation=lambda z: z``) the Gram
    matrices K1 K1ᵀ - K2ᵀ K2, c(c+1)/2 laws for c hidden channels.

    Examples
    --------
    >>> import conslaw
    >>> conslaw.count(conslaw.networks.conv([2, 3, 1], pixels=5)).laws_at_most
    3

    References
    ----------
    [MGP25] arXiv 2506.06194, Section 3.
    """
    _check("conv", channels=channels, pixels=pixels, kernel=kernel)
    shapes = {f"K{i}": (b, a, kernel, kernel) for i, (a, b) in enumerate(pairwise(channels), start=1)}
    last = pixels - (kernel - 1) * len(shapes)

    def potential(p: Any, c: Any) -> Any:
        h = c.x
        for name in shapes:
            h = convolved(h if name == "K1" else activation(h), p[name])
        return (c.v * h).sum()

    data = {"x": (channels[0], pixels, pixels), "v": (channels[-1], last, last)}
    return model(potential, parameters=shapes, data=data, name="conv")


def residual(width: int, hidden: int, layers: int, *, activation: Activation = relu_of) -> Model:
    """A residual network: h + B activation(A h) in each layer.

    Its gradient flow conserves, with ReLU, the norm of each hidden unit's row minus that of its column.

    Examples
    --------
    >>> import conslaw
    >>> conslaw.count(conslaw.networks.residual(4, hidden=3, layers=2)).laws_at_most
    6

    References
    ----------
    [MGP25] arXiv 2506.06194, Section 4.
    """
    _check("residual", width=width, hidden=hidden, layers=layers)
    shapes = {f"A{i}": (hidden, width) for i in range(layers)} | {
        f"B{i}": (width, hidden) for i in range(layers)
    }

    def potential(p: Any, c: Any) -> Any:
        h = c.x
        for i in range(layers):
            h = h + p[f"B{i}"] @ activation(p[f"A{i}"] @ h)
        return c.v @ h

    return model(potential, parameters=shapes, data={"x": (width,), "v": (width,)}, name="residual")


def attention(
    width: int, heads: int, *, size: int | None = None, tokens: int = 3, bias: bool = False
) -> Model:
    """Multi-head attention with softmax, each head of ``size`` (width / heads by default).

    Its gradient flow conserves QQᵀ - KKᵀ and VVᵀ - OOᵀ of each head: heads r (2 size + 1 - r) laws with r =
    min(size, 2 width); with biases (bQ bQᵀ and bV bVᵀ then enter) also the bias of the keys.

    Examples
    --------
    >>> import conslaw
    >>> conslaw.count(conslaw.networks.attention(4, heads=2)).laws_at_most
    12

    References
    ----------
    [MGP25] arXiv 2506.06194, Section 3.3.
    """
    _check("attention", width=width, heads=heads, tokens=tokens)
    size = width // heads if size is None else size
    _check("attention", size=size)
    shapes: dict[str, tuple[int, ...]] = dict.fromkeys("QKVO", (heads, size, width))
    shapes |= dict.fromkeys(("bQ", "bK", "bV"), (heads, size)) if bias else {}

    def potential(p: Any, c: Any) -> Any:
        return (c.v * _heads(p, c.x)).sum()

    data = {"x": (tokens, width), "v": (tokens, width)}
    return model(potential, parameters=shapes, data=data, name="attention")


def _heads(p: Any, x: Any, mask: Any = None) -> Any:
    """Attention on tokens x, with biases where there are some."""
    q, k, v = (np.einsum("hid,td->hti", p[name], x) for name in "QKV")
    if "bQ" in p:
        q, k, v = (z + p[f"b{name}"][:, None] for z, name in zip((q, k, v), "QKV", strict=True))
    return np.einsum("hid,hti->td", p.O, attended(q, k, v, mask=mask))


def transformer_block(
    width: int, heads: int, hidden: int, *, tokens: int = 2, activation: Activation = gelu, mask: Any = None
) -> Model:
    """A transformer block with LayerNorms first and all biases: softmax attention, then a hidden layer.

    With size = width / heads its gradient flow has heads size (size + 1) laws of Gram matrices, width biases
    of keys, 2 width gains and one sum of output biases (ReLU: hidden more).

    Examples
    --------
    >>> import conslaw
    >>> block = conslaw.networks.transformer_block(64, heads=4, hidden=256)
    >>> conslaw.analyze(block).laws_found
    1281

    References
    ----------
    Vaswani et al., *Attention is all you need*, arXiv 1706.03762; Xiong et al., arXiv 2002.04745 (norms
    first); [MGP25] arXiv 2506.06194.
    """
    _check("transformer_block", width=width, heads=heads, hidden=hidden, tokens=tokens)
    _check("transformer_block, width / heads", size=width // heads)
    shapes: dict[str, tuple[int, ...]] = dict.fromkeys("QKVO", (heads, width // heads, width))
    shapes |= dict.fromkeys(("bQ", "bK", "bV"), (heads, width // heads))
    shapes |= dict.fromkeys(("g1", "h1", "g2", "h2", "bO", "bB"), (width,))
    shapes |= {"A": (hidden, width), "bA": (hidden,), "B": (width, hidden)}

    def potential(p: Any, c: Any) -> Any:
        x = c.x + _heads(p, layer_norm(c.x, p.g1, p.h1), mask) + p.bO
        inner = activation(layer_norm(x, p.g2, p.h2) @ p.A.T + p.bA)
        return (c.v * (x + inner @ p.B.T + p.bB)).sum()

    data = {"x": (tokens, width), "v": (tokens, width)}
    return model(potential, parameters=shapes, data=data, name="transformer block")


def glu(inputs: int, hidden: int, outputs: int, *, activation: Activation = lambda z: z) -> Model:
    """A gated linear unit, C (activation(A x) * (B x)); bilinear by default.

    Its gradient flow conserves, of each hidden unit, the norms of the rows of B and (bilinear only) A minus
    that of the column of C.

    Examples
    --------
    >>> import conslaw
    >>> conslaw.count(conslaw.networks.glu(3, 4, 2)).laws_at_most
    8

    References
    ----------
    Shazeer, *GLU variants improve transformer*, arXiv 2002.05202.
    """
    _check("glu", inputs=inputs, hidden=hidden, outputs=outputs)
    return model(
        lambda p, c: c.v @ (p.C @ (activation(p.A @ c.x) * (p.B @ c.x))),
        parameters={"A": (hidden, inputs), "B": (hidden, inputs), "C": (outputs, hidden)},
        data={"x": (inputs,), "v": (outputs,)},
        name="glu",
    )


def swiglu(inputs: int, hidden: int, outputs: int) -> Model:
    """A gated linear unit with SiLU: one law for each hidden unit (see :func:`glu`).

    Examples
    --------
    >>> import conslaw
    >>> conslaw.count(conslaw.networks.swiglu(3, 4, 2)).laws_at_most
    4
    """
    return glu(inputs, hidden, outputs, activation=silu)


def moe(width: int, hidden: int, experts: int, *, activation: Activation = relu_of) -> Model:
    """A mixture of experts B[e] activation(A[e] x), weighted by softmax(R x).

    Its gradient flow conserves, with ReLU, the norms of each expert's hidden units (experts hidden laws), and
    the column sums of the router R (width laws).

    Examples
    --------
    >>> import conslaw
    >>> conslaw.count(conslaw.networks.moe(3, hidden=2, experts=2)).laws_at_most
    7

    References
    ----------
    Shazeer et al., *Outrageously large neural networks*, arXiv 1701.06538 (without noise, all experts).
    """
    _check("moe", width=width, hidden=hidden, experts=experts)

    def potential(p: Any, c: Any) -> Any:
        inner = activation(np.einsum("ehd,d->eh", p.A, c.x))
        return np.einsum("e,ed,d->", softmax(p.R @ c.x), np.einsum("edh,eh->ed", p.B, inner), c.v)

    shapes = {"R": (experts, width), "A": (experts, hidden, width), "B": (experts, width, hidden)}
    return model(potential, parameters=shapes, data={"x": (width,), "v": (width,)}, name="mixture of experts")


def lora(inputs: int, outputs: int, rank: int) -> Model:
    """A low-rank update of a frozen matrix, (W + B A) x; W is data.

    Its gradient flow conserves BᵀB - AAᵀ: rank (rank + 1)/2 laws where rank <= inputs + outputs.

    Examples
    --------
    >>> import conslaw
    >>> conslaw.count(conslaw.networks.lora(8, 8, rank=3)).laws_at_most
    6

    References
    ----------
    Hu et al., *LoRA*, arXiv 2106.09685.
    """
    _check("lora", inputs=inputs, outputs=outputs, rank=rank)
    return model(
        lambda p, c: c.v @ (c.W @ c.x + p.B @ (p.A @ c.x)),
        parameters={"A": (rank, inputs), "B": (outputs, rank)},
        data={"W": (outputs, inputs), "x": (inputs,), "v": (outputs,)},
        name="LoRA",
    )


def diagonal(width: int, *, power: int = 2) -> Model:
    """A diagonal linear network, u**power - v**power entry by entry.

    Its gradient flow conserves uv (power 2), 1/u + 1/v (power 3), ...: width laws.

    Examples
    --------
    >>> import conslaw
    >>> conslaw.analyze(conslaw.networks.diagonal(3)).law_families[0].text
    'u[k] v[k]'

    References
    ----------
    Woodworth et al., *Kernel and rich regimes in overparametrized models*, arXiv 2002.09277.
    """
    _check("diagonal", width=width, power=power)
    return model(
        lambda p, c: c.x @ (p.u**power - p.v**power),
        parameters={"u": (width,), "v": (width,)},
        data={"x": (width,)},
        name="diagonal",
    )


def cp(sizes: Sizes, rank: int) -> Model:
    """The canonical polyadic decomposition of a tensor: sums of products of columns.

    Its gradient flow conserves the differences of the columns' norms: (len(sizes) - 1) rank laws for three
    factors and more.

    Examples
    --------
    >>> import conslaw
    >>> conslaw.count(conslaw.networks.cp([3, 3, 3], rank=2)).laws_at_most
    4

    References
    ----------
    Kolda and Bader, *Tensor decompositions and applications*, SIAM Review 2009.
    """
    _check("cp", sizes=sizes, rank=rank)

    def potential(p: Any, c: Any) -> Any:
        terms = c.x0 @ p.U0
        for i in range(1, len(sizes)):
            terms = terms * (c[f"x{i}"] @ p[f"U{i}"])
        return terms.sum()

    shapes = {f"U{i}": (n, rank) for i, n in enumerate(sizes)}
    return model(potential, parameters=shapes, data={f"x{i}": (n,) for i, n in enumerate(sizes)}, name="CP")


def tucker(sizes: Sizes, ranks: Sizes) -> Model:
    """The Tucker decomposition of a tensor: a core, multiplied by a matrix along each axis.

    Its gradient flow conserves, for each axis, UᵀU minus the Gram matrix of the core along it: the sum of
    r (r + 1)/2 laws.

    Examples
    --------
    >>> import conslaw
    >>> conslaw.count(conslaw.networks.tucker([3, 3, 3], [2, 2, 2])).laws_at_most
    9

    References
    ----------
    Kolda and Bader, *Tensor decompositions and applications*, SIAM Review 2009.
    """
    _check("tucker", sizes=sizes, ranks=ranks)
    if len(sizes) != len(ranks):
        raise ConslawError(f"tucker: sizes={sizes!r}, ranks={ranks!r}: give as many ranks as sizes")

    def potential(p: Any, c: Any) -> Any:
        core = p.G
        for i in range(len(sizes)):
            core = np.tensordot(c[f"x{i}"] @ p[f"U{i}"], core, 1)
        return core

    shapes = {f"U{i}": pair for i, pair in enumerate(zip(sizes, ranks, strict=True))} | {"G": tuple(ranks)}
    data = {f"x{i}": (n,) for i, n in enumerate(sizes)}
    return model(potential, parameters=shapes, data=data, name="Tucker")


def tensor_train(sizes: Sizes, rank: int) -> Model:
    """A tensor train: a product of matrices, one for each index of the tensor.

    Its gradient flow conserves, between two cores, the difference of their Gram matrices:
    (len(sizes) - 1) rank (rank + 1)/2 laws.

    Examples
    --------
    >>> import conslaw
    >>> conslaw.count(conslaw.networks.tensor_train([3, 3, 3], rank=2)).laws_at_most
    6

    References
    ----------
    Oseledets, *Tensor-train decomposition*, SIAM J. Sci. Comput. 2011.
    """
    _check("tensor_train", sizes=sizes, rank=rank)
    ends = [1, *[rank] * (len(sizes) - 1), 1]

    def potential(p: Any, c: Any) -> Any:
        h = np.einsum("anb,n->ab", p.G0, c.x0)
        for i in range(1, len(sizes)):
            h = h @ np.einsum("anb,n->ab", p[f"G{i}"], c[f"x{i}"])
        return h.sum()

    shapes = {f"G{i}": (ends[i], n, ends[i + 1]) for i, n in enumerate(sizes)}
    data = {f"x{i}": (n,) for i, n in enumerate(sizes)}
    return model(potential, parameters=shapes, data=data, name="tensor train")


def rnn(
    inputs: int, hidden: int, outputs: int, *, steps: int = 3, activation: Activation = lambda z: z
) -> Model:
    """A recurrent network, h = activation(A h + B x) at each step, read by C at the end; linear by default.

    Its gradient flow conserves AAᵀ - AᵀA + BBᵀ - CᵀC (its diagonal with ReLU; nothing with tanh).

    Examples
    --------
    >>> import conslaw
    >>> conslaw.count(conslaw.networks.rnn(2, 3, 2)).laws_at_most
    6

    References
    ----------
    Elman, *Finding structure in time*, Cognitive Science 1990.
    """
    _check("rnn", inputs=inputs, hidden=hidden, outputs=outputs, steps=steps)

    def potential(p: Any, c: Any) -> Any:
        h = activation(p.B @ c.x[0])
        for t in range(1, steps):
            h = activation(p.A @ h + p.B @ c.x[t])
        return c.v @ (p.C @ h)

    shapes = {"A": (hidden, hidden), "B": (hidden, inputs), "C": (outputs, hidden)}
    return model(potential, parameters=shapes, data={"x": (steps, inputs), "v": (outputs,)}, name="rnn")

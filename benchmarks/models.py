"""Array code of the benchmark rows, with the number of conservation laws of the gradient flow (closed forms;
small sizes were counted exactly).
"""

from itertools import pairwise

import numpy as np

import conslaw


def heads(number, size, width):
    """Attention with stacked heads (number, size, width), pieces: number * size * (size + 1) laws if size <=
    2 * width.
    """
    return conslaw.model(
        lambda p, c: (
            np.einsum("hij,hik,hj,hk->", p.Q, p.K, c.x, c.y)
            + np.einsum("hij,hik,hj,hk->", p.V, p.O, c.z, c.w)
        ),
        parameters=dict.fromkeys("QKVO", (number, size, width)),
        data=dict.fromkeys("xyzw", (number, width)),
    )


def softmax_network(inputs, hidden, outputs):
    """ReLU network with both biases before a softmax: hidden + hidden + 1 laws (rescaling, column sums, sum
    of the output bias).
    """

    def potential(p, c):
        z = p.B @ (c.g * (p.A @ c.x + c.s * p.a)) + p.b
        return c.v @ (z - z.sum() / outputs)

    shapes = {"A": (hidden, inputs), "a": (hidden,), "B": (outputs, hidden), "b": (outputs,)}
    return conslaw.model(
        potential, parameters=shapes, data={"x": (inputs,), "g": (hidden,), "s": (), "v": (outputs,)}
    )


def diagonal(width, power=2):
    """Diagonal network u**power - v**power: width laws (power 2: u v)."""
    return conslaw.model(
        lambda p, c: c.x @ (p.u**power - p.v**power),
        parameters={"u": (width,), "v": (width,)},
        data={"x": (width,)},
    )


def tensor_train(cores, size, rank):
    """A train of cores: (cores - 1) * rank * (rank + 1) / 2 laws."""
    shapes = {f"G{i}": (1 if i == 0 else rank, size, 1 if i == cores - 1 else rank) for i in range(cores)}

    def potential(p, c):
        h = np.einsum("anb,n->ab", p.G0, c.x0)
        for i in range(1, cores):
            h = h @ np.einsum("anb,n->ab", p[f"G{i}"], c[f"x{i}"])
        return h.sum()

    return conslaw.model(potential, parameters=shapes, data={f"x{i}": (size,) for i in range(cores)})


def densenet(inputs, layers, growth, outputs):
    """Each layer appends `growth` ReLU units to all before it: layers * growth laws."""
    shapes = {f"W{i}": (growth, inputs + i * growth) for i in range(layers)} | {
        "O": (outputs, inputs + layers * growth)
    }

    def potential(p, c):
        h = c.x
        for i in range(layers):
            h = np.concatenate([h, c[f"g{i}"] * (p[f"W{i}"] @ h)])
        return c.v @ (p.O @ h)

    data = {"x": (inputs,), "v": (outputs,)} | {f"g{i}": (growth,) for i in range(layers)}
    return conslaw.model(potential, parameters=shapes, data=data)


def residual(width, hidden, layers):
    """Residual ReLU network: layers * hidden laws."""
    shapes = {f"A{i}": (hidden, width) for i in range(layers)} | {
        f"B{i}": (width, hidden) for i in range(layers)
    }

    def potential(p, c):
        h = c.x
        for i in range(layers):
            h = h + p[f"B{i}"] @ (c[f"g{i}"] * (p[f"A{i}"] @ h))
        return c.v @ h

    return conslaw.model(
        potential,
        parameters=shapes,
        data={"x": (width,), "v": (width,)} | {f"g{i}": (hidden,) for i in range(layers)},
    )


def flat(width):
    """Linear width-width-width, the weights cut out of one vector: width * (width + 1) / 2 laws."""
    n = width * width
    return conslaw.model(
        lambda p, c: c.v @ (p.theta[n:].reshape(width, width) @ (p.theta[:n].reshape(width, width) @ c.x)),
        parameters={"theta": (2 * n,)},
        data={"x": (width,), "v": (width,)},
    )


def convolution(channels, pixels, kernel=3):
    """Linear 2-D convolutions without padding, by slices: sums over hidden channels of c (c + 1) / 2 laws
    (3-8-8: 36).
    """
    sizes = [pixels - (kernel - 1) * i for i in range(len(channels))]

    def potential(p, c):
        h = c.x
        for layer in range(1, len(channels)):
            n = sizes[layer]
            pieces = [
                np.einsum("oc,cyx->oyx", p[f"K{layer}"][:, :, i, j], h[:, i : i + n, j : j + n])
                for i in range(kernel)
                for j in range(kernel)
            ]
            h = sum(pieces[1:], pieces[0])
        return (h * c.v).sum()

    shapes = {f"K{i}": (b, a, kernel, kernel) for i, (a, b) in enumerate(pairwise(channels), start=1)}
    return conslaw.model(
        potential,
        parameters=shapes,
        data={"x": (channels[0], pixels, pixels), "v": (channels[-1], sizes[-1], sizes[-1])},
    )


def transformer_block(width, number, hidden):
    """A whole block as its pieces after the cut: LayerNorms first, softmax attention, GELU, all biases,
    residuals.

    With size = width / number: number * size * (size + 1) Gram + width key biases + 2 width gains + 1 laws
    (64, 4, 256: 1,281). Centred data are written as differences; a key bias cancels from a softmax and is
    conserved itself.
    """
    size = width // number

    def centred(n):
        return n.sum(n.ndim - 1) - n.sum(n.ndim - 2)

    def potential(p, c):
        query = np.einsum("hid,d->hi", p.Q, p.g1 * centred(c.n) + p.h1) + p.bQ
        key = np.einsum("hid,d->hi", p.K, p.g1 * centred(c.m))  # the difference of two keys
        logits = np.einsum("h,hi,hi->", c.s, query, key)
        value = np.einsum("hid,hd->hi", p.V, centred(c.a) * p.g1 + p.h1) + p.bV
        attended = np.einsum("hid,hi->d", p.O, value) + p.bO
        inner = p.A @ (p.g2 * centred(c.b) + p.h2) + p.bA
        return (
            logits + (c.v + centred(c.u)) @ attended + c.w @ inner + c.v @ (p.B @ c.e + p.bB) + 0 * p.bK.sum()
        )

    heads_, square = (number, size, width), (width, width)
    shapes = (
        dict.fromkeys("QKVO", heads_)
        | dict.fromkeys(("bQ", "bK", "bV"), (number, size))
        | dict.fromkeys(("g1", "h1", "g2", "h2", "bO", "bB"), (width,))
    )
    shapes |= {"A": (hidden, width), "bA": (hidden,), "B": (width, hidden)}
    data = {
        "n": square,
        "m": square,
        "a": (number, width, width),
        "b": square,
        "u": square,
        "s": (number,),
        "v": (width,),
        "w": (hidden,),
        "e": (hidden,),
    }
    return conslaw.model(potential, parameters=shapes, data=data)

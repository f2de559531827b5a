"""Transformer-like blocks as a sum of their pieces: random sizes, with and without each part."""

import numpy as np

import conslaw

PARTS = ("attention", "hidden", "bQ", "bV", "bO", "bA", "bB", "gain", "shift", "gain2", "shift2", "centred")


def centred(x):
    return x.sum(x.ndim - 1) - x.sum(x.ndim - 2)


class Block:
    """``depth`` blocks on a stream of ``width``: grouped queries (groups, queries, size), a hidden layer,
    norms with and without centring, biases, residuals whose later readings add to the adjoint of earlier
    outputs.
    """

    def __init__(self, width, groups, queries, size, hidden, depth, parts):
        self.width, self.groups, self.queries, self.size = width, groups, queries, size
        self.hidden, self.depth, self.parts = hidden, depth, frozenset(parts)
        self.parameters, self.data = {}, {"v": (width,)}
        for k in range(depth):
            self._declare(str(k))

    def _declare(self, k):
        d, g, r, s = self.width, self.groups, self.queries, self.size
        normed = (d, d) if "centred" in self.parts else (d,)
        arrays = {}
        if "attention" in self.parts:
            arrays |= {"Q": (g, r, s, d), "K": (g, s, d), "V": (g, s, d), "O": (g, r, s, d)}
            arrays |= {"bQ": (g, r, s), "bV": (g, s), "bO": (d,), "gain": (d,), "shift": (d,)}
            self.data |= {"n" + k: normed, "m" + k: normed, "a" + k: (g, r, *normed), "s" + k: (g, r)}
        if "hidden" in self.parts:
            arrays |= {"A": (self.hidden, d), "B": (d, self.hidden), "bA": (self.hidden,), "bB": (d,)}
            arrays |= {"gain2": (d,), "shift2": (d,)}
            self.data |= {"w" + k: (self.hidden,), "e" + k: (self.hidden,), "b" + k: normed}
        self.data["u" + k] = normed
        kept = {n: shape for n, shape in arrays.items() if n not in PARTS or n in self.parts}
        self.parameters |= {n + k: shape for n, shape in kept.items()}

    def potential(self, p, c):
        norm = centred if "centred" in self.parts else (lambda x: x)

        def plus(x, name):
            return x + p[name] if name in self.parameters else x

        def affine(x, gain, shift):
            return plus(x * p[gain] if gain in self.parameters else x, shift)

        out, total = c.v, 0
        for k in map(str, reversed(range(self.depth))):
            if "hidden" in self.parts:
                inner = affine(norm(c["b" + k]), "gain2" + k, "shift2" + k)
                total = total + out @ plus(p["B" + k] @ c["e" + k], "bB" + k)
                total = total + c["w" + k] @ plus(p["A" + k] @ inner, "bA" + k)
            out = out + norm(c["u" + k])
            if "attention" in self.parts:
                seen = affine(norm(c["n" + k]), "gain" + k, "shift" + k)
                query = plus(np.einsum("grid,d->gri", p["Q" + k], seen), "bQ" + k)
                other = norm(c["m" + k])
                other = other * p["gain" + k] if "gain" in self.parts else other
                key = np.einsum("gid,d->gi", p["K" + k], other)
                total = total + np.einsum("gr,gri,gi->", c["s" + k], query, key)
                read = affine(norm(c["a" + k]), "gain" + k, "shift" + k)
                value = np.einsum("gid,grd->gri", p["V" + k], read)
                if "bV" in self.parts:
                    ones = np.ones((self.groups, self.queries), dtype=int)
                    value = value + np.einsum("gi,gr->gri", p["bV" + k], ones)
                total = total + out @ plus(np.einsum("grid,gri->d", p["O" + k], value), "bO" + k)
        return total

    def model(self):
        return conslaw.model(self.potential, parameters=self.parameters, data=self.data, name="block")


def random_block(rng):
    sizes = [int(rng.integers(a, b)) for a, b in ((3, 5), (1, 3), (1, 3), (1, 4), (2, 6), (1, 3))]
    parts = {part for part in PARTS if rng.random() < 0.5}
    return Block(*sizes, parts | ({"hidden"} if not parts & {"attention", "hidden"} else set()))

"""Random architectures, and the counts that they must give, computed without conslaw."""

from itertools import pairwise

import flint
import numpy as np
from hypothesis import strategies as st


def widths(low, high, layers, most_parameters=120):
    """Widths of networks with some number of weight matrices: low..high, bounded in size."""
    return st.lists(st.integers(low, high), min_size=layers[0] + 1, max_size=layers[1] + 1).filter(
        lambda w: sum(a * b for a, b in pairwise(w)) <= most_parameters
    )


def gram_difference_rank(sizes, seed=0):
    """Rank of the gradients of W_{l+1}^T W_{l+1} - W_l W_l^T at a random point ([MGP23, Section 4])."""
    rng = np.random.default_rng(seed)
    weights = [rng.integers(-99, 100, (b, a)) for a, b in pairwise(sizes)]
    rows = []
    for layer, width in enumerate(sizes[1:-1]):
        for i in range(width):
            for j in range(i, width):
                gradient = [np.zeros_like(w) for w in weights]
                gradient[layer][i] -= weights[layer][j]
                gradient[layer][j] -= weights[layer][i]
                gradient[layer + 1][:, i] += weights[layer + 1][:, j]
                gradient[layer + 1][:, j] += weights[layer + 1][:, i]
                rows.append(np.concatenate([g.ravel() for g in gradient]).tolist())
    return flint.fmpz_mat(rows).rank() if rows else 0


@st.composite
def array_code(draw):
    """Random networks in array code: skips, ties, powers, gates, gains, biases, scalars; widths from 1 on."""
    import conslaw

    depth = draw(st.integers(1, 3))
    sizes = [draw(st.integers(1, 3)) for _ in range(depth + 1)]
    kinds = [
        draw(st.sampled_from(["plain", "skip", "tied", "square", "gate", "gain", "bias"]))
        for _ in range(depth)
    ]
    scaled = draw(st.booleans())
    for layer, kind in enumerate(kinds):
        if kind in ("skip", "tied"):  # these need as many neurons behind as before
            sizes[layer + 1] = sizes[layer]
    parameters, data = {}, {"x": (sizes[0],), "v": (sizes[-1],)}
    for layer, kind in enumerate(kinds):
        parameters[f"W{layer}"] = (sizes[layer + 1], sizes[layer])
        parameters |= {f"{kind}{layer}": (sizes[layer + 1],)} if kind in ("gain", "bias") else {}
        data |= {f"g{layer}": (sizes[layer + 1],)} if kind == "gate" else {}
    parameters |= {"scale": ()} if scaled else {}

    def potential(p, c):
        h = c.x
        for layer, kind in enumerate(kinds):
            z = p[f"W{layer}"] @ h
            h = {
                "plain": lambda z, h, _: z,
                "skip": lambda z, h, _: h + z,
                "tied": lambda z, h, i: p[f"W{i}"].T @ (c.v * 0 + z if z.shape == c.v.shape else z),
                "square": lambda z, h, _: z**2,
                "gate": lambda z, h, i: c[f"g{i}"] * z,
                "gain": lambda z, h, i: p[f"gain{i}"] * z,
                "bias": lambda z, h, i: z + p[f"bias{i}"],
            }[kind](z, h, layer)
        return (p.scale if scaled else 1) * (c.v @ h)

    return conslaw.model(potential, parameters=parameters, data=data)

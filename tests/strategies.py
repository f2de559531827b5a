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

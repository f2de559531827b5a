# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # The published experiments, on a laptop
#
# Marcotte, Gribonval and Peyré ([arXiv 2307.00144](https://arxiv.org/abs/2307.00144)) checked on random architectures that linear and ReLU
# networks conserve nothing but the laws known from the literature.  Their notebook computed Lie ranks in floating point, on 64 cores: 2063 s for
# 50 linear networks, 6791 s for 50 ReLU networks, and 91 s + 44 s for the polynomial laws of 10 + 10 of them.  Here are the same random
# architectures (same recipe, same seeds), computed exactly: each upper bound is proved, and the laws of the last section are proved complete.

# %%
import time
from itertools import pairwise

import numpy as np

import conslaw


def architectures(count, depths, widths, draw_bias=False):
    """The recipe of the published notebook: a depth, then its widths, then a coin for the bias."""
    np.random.seed(0)
    result = []
    for _ in range(count):
        depth = np.random.randint(*depths)
        sizes = [int(np.random.randint(*widths)) for _ in range(depth + 1)]
        result.append((sizes, bool(np.random.random() < 0.5)) if draw_bias else (sizes, False))
    return result


def known_linear_laws(sizes):
    """The number of independent laws known from the literature: the rank of the gradients of $W_{l+1}^T W_{l+1} - W_l W_l^T$."""
    weights = [np.random.default_rng(0).standard_normal((b, a)) for a, b in pairwise(sizes)]
    rows = []
    for l, n in enumerate(sizes[1:-1]):
        for i in range(n):
            for j in range(i, n):
                gradient = [np.zeros_like(w) for w in weights]
                gradient[l][i] -= weights[l][j]
                gradient[l][j] -= weights[l][i]
                gradient[l + 1][:, i] += weights[l + 1][:, j]
                gradient[l + 1][:, j] += weights[l + 1][:, i]
                rows.append(np.concatenate([g.ravel() for g in gradient]))
    return np.linalg.matrix_rank(np.array(rows))


# %% [markdown]
# ## 50 linear networks, widths 2–5, depth 2–4

# %%
start = time.perf_counter()
linear = [
    (sizes, conslaw.count(conslaw.gradient_flow(conslaw.linear(sizes))))
    for sizes, _ in architectures(50, (2, 5), (2, 6))
]
print(f"50 linear networks counted in {time.perf_counter() - start:.1f} s (published: 2063 s on 64 cores)")
assert all(result.laws_at_most == known_linear_laws(sizes) for sizes, result in linear)
print("largest:", max((result for _, result in linear), key=lambda result: result.parameters), sep="\n")

# %% [markdown]
# ## 50 ReLU networks, widths 2–9, depth 2–4, with and without bias

# %%
start = time.perf_counter()
relu = [
    (sizes, conslaw.count(conslaw.gradient_flow(conslaw.relu(sizes, bias=bias))))
    for sizes, bias in architectures(50, (2, 5), (2, 10), draw_bias=True)
]
print(f"50 ReLU networks counted in {time.perf_counter() - start:.1f} s (published: 6791 s on 64 cores)")
assert all(result.laws_at_most == sum(sizes[1:-1]) for sizes, result in relu)
print(
    "with bias:",
    sum(result.bias for _, result in relu),
    "of 50; largest:",
    max(result.parameters for _, result in relu),
    "parameters",
)

# %% [markdown]
# ## The polynomial laws of 10 + 10 of them
#
# `analyze` finds all laws up to degree 2 and proves the list complete: as many independent laws as the Lie ranks allow.

# %%
start = time.perf_counter()
found = []
for family in (conslaw.linear, conslaw.relu):
    for sizes, _ in architectures(10, (2, 4), (2, 5)):
        analysis = conslaw.analyze(conslaw.gradient_flow(family(sizes)), degree=2)
        assert analysis.complete
        found.append(analysis)
print(f"20 networks analysed in {time.perf_counter() - start:.1f} s (published: 135 s on 64 cores)")

# %%
min(found, key=lambda analysis: len(analysis.laws))

# %% [markdown]
# ## When the bounds do not meet
#
# The published loop decides ranks by a tolerance and stops as soon as the rank reaches the number expected from the known laws.  An exact rank
# needs neither, and so it notices when the known laws are not all laws: $\varphi = (x^2+y^2)/2$ conserves $y/x$, which no polynomial expresses.

# %%
radial = conslaw.model(lambda p, c: (p.x**2 + p.y**2) / 2, parameters={"x": (), "y": ()}, name="(x² + y²)/2")
conslaw.analyze(conslaw.gradient_flow(radial), degree=6)

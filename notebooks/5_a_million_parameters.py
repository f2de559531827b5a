# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # A million parameters
#
# Published computations of conservation laws stop near 100 parameters: the Lie rank of a network with $n$ parameters is the rank of an
# $n\times n$ matrix. This notebook shows how a network of 980,000 parameters is counted *and proved* in a second, and checks the idea by hand.

# %%
import json

import numpy as np

import conslaw

analysis = conslaw.analyze(conslaw.gradient_flow(conslaw.linear([700, 700, 700])))
analysis

# %% [markdown]
# ## The idea
#
# Give each neuron a colour and look at weights that are zero between different colours. Feed data to two colours $a, b$ only: then nothing but the
# subnetwork of these two colours moves. So the Lie algebra of the large network contains, at this point, that of each small subnetwork, and in the weights
# *between* $a$ and $b$ nobody else has a say. The large rank is at least
#
# $$\sum_a \operatorname{rank}(a) + \sum_{a<b} \operatorname{rank}(\text{between } a \text{ and } b),$$
#
# and all pairs look alike: one computation for a network of width 1, one for width 2, times the number of pairs. (Proof: `docs/what_is_proved.md`.)

# %%
for block in analysis.split.blocks:
    print(block.copies, "copies of", block.colours, "with", block.dimension, "weights: rank", block.ranks[-1])

# %% [markdown]
# 700 subnetworks of width 1 with two weights and rank 1, and 244,650 pairs with four weights between them and rank 3: one law for each, 245,350 in all, which is
# $\binom{701}{2}$, the entries of a symmetric $700\times700$ matrix.
#
# At the size where both ways work they agree:

# %%
flow = conslaw.gradient_flow(conslaw.linear([12, 10, 8]))
conslaw.count(flow, split=True).laws_at_most, conslaw.count(flow, split=False).laws_at_most

# %% [markdown]
# ## Uneven widths, biases, momentum, mirror flows
#
# With 784 inputs, 512 hidden neurons and 10 outputs most colours have no output. What a subnetwork loses there it wins back through a third colour: flipping the signs
# of one colour is a symmetry, so every bracket may be cut into parts that change sign alike, and each part is in the Lie algebra.

# %%
networks = {
    "relu 784-512-10, bias": conslaw.gradient_flow(conslaw.relu([784, 512, 10], bias=True)),
    "relu 10-2000-3": conslaw.gradient_flow(conslaw.relu([10, 2000, 3])),
    "linear 784-300-100-10, bias": conslaw.gradient_flow(conslaw.linear([784, 300, 100, 10], bias=True)),
    "linear 50-50-50, heavy ball": conslaw.momentum_flow(conslaw.linear([50, 50, 50]), damping="1/2"),
    "icnn 300-200-100, mirror": conslaw.gradient_flow(conslaw.icnn([300, 200, 100], bias=True)),
}
for name, flow in networks.items():
    answer = conslaw.analyze(flow)
    families = "; ".join(family.text for family in answer.law_families)
    print(
        f"{name}: {answer.state_dimension:,} coordinates, {answer.laws_found:,} laws, complete: {answer.complete}   {families}"
    )

# %% [markdown]
# ## Your own model
#
# Nothing above knows a family by name: which axes belong to the same neurons is read off the array code. An attention head with 131,072 parameters:

# %%
head = conslaw.model(
    lambda p, c: c.x @ p.Q.T @ p.K @ c.y + c.z @ p.V.T @ p.O @ c.w,
    parameters={"Q": (64, 512), "K": (64, 512), "V": (64, 512), "O": (64, 512)},
    data={"x": (512,), "y": (512,), "z": (512,), "w": (512,)},
    name="attention head",
)
conslaw.analyze(conslaw.gradient_flow(head))

# %% [markdown]
# ## The laws themselves
#
# The 245,350 laws are one matrix. Each entry is at hand:

# %%
analysis.law_families[0], len(str(analysis.law_families[0].law(0, 699)))

# %% [markdown]
# They are laws at every width, because a term of the identity $\langle\nabla h, X\rangle=0$ involves at most two hidden neurons, one input and one output. Numerically, a
# discrete training run keeps them up to the step size:

# %%
rng = np.random.default_rng(0)
W1, W2, X, Y = (rng.normal(size=(40, 40)) / 7 for _ in range(4))
start, before = W1, W1 @ W1.T - W2.T @ W2
for _ in range(1000):
    error = W2 @ W1 @ X - Y
    W1, W2 = W1 - 1e-4 * W2.T @ error @ X.T, W2 - 1e-4 * error @ X.T @ W1.T
after = W1 @ W1.T - W2.T @ W2
print(f"the weights moved by {np.abs(W1 - start).max():.2f}, the law by {np.abs(after - before).max():.1e}")

# %% [markdown]
# ## A certificate for the referee
#
# It holds the shapes and their ranks, not matrices, and is checked with other code: exact symbolic brackets in the small networks.

# %%
certificate = analysis.certificate()
print(len(json.dumps(certificate)), "bytes")
conslaw.verify(certificate)

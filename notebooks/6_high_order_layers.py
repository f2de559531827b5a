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
# # High-order layers
#
# One synapse as a function of one variable, in four representations with about equal numbers of weights, beside a ReLU network.
# Full-batch Adam, 400 steps, 200 points.

# %%
import matplotlib.pyplot as plt
import torch

import conslaw
from conslaw import layers

torch.manual_seed(0)
x = torch.linspace(-1, 1, 200)[:, None]
y = 0.5 * torch.cos(4 / (0.5 + x.abs()))


def fitted(network, x, y, steps=400, rate=0.05):
    optimizer = torch.optim.Adam(network.parameters(), lr=rate)
    for _ in range(steps):
        optimizer.zero_grad()
        loss = (network(x) - y).square().mean()
        loss.backward()
        optimizer.step()
    return loss.item()


networks = {
    "continuous": layers.select("continuous", n=5, in_features=1, out_features=1, segments=5),
    "discontinuous": layers.select("discontinuous", n=5, in_features=1, out_features=1, segments=5),
    "Fourier": layers.select("fourier", n=21, in_features=1, out_features=1),
    "polynomial": layers.select("polynomial", n=20, in_features=1, out_features=1),
    "ReLU": torch.nn.Sequential(torch.nn.Linear(1, 7), torch.nn.ReLU(), torch.nn.Linear(7, 1)),
}
errors = {name: fitted(network, x, y) for name, network in networks.items()}
errors

# %%
figure, axes = plt.subplots(1, 5, figsize=(15, 3), sharey=True)
for axis, (name, network) in zip(axes, networks.items()):
    axis.plot(x, y, "k:")
    axis.plot(x, network(x).detach())
    axis.set_title(f"{name}: {errors[name]:.4f}")

# %% [markdown]
# What the training of two layers conserves.

# %%
network = layers.HighOrderMLP([2, 4, 1], degree=1, segments=2, continuous=False, normalize=False)
conslaw.analyze(layers.model(network))

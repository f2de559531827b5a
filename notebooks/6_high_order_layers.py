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
# ## Functions of one variable
#
# One synapse in four representations with about equal numbers of weights, beside a ReLU network: full-batch Adam, 400 steps, 200 points. The function is that of the package
# high-order-layers-torch (its `examples/function_example.py`). The layers are linear in their weights, so that least squares gives the smallest error there is: training reaches it.

# %%
import copy
import math

import matplotlib.pyplot as plt
import torch
from sklearn.datasets import load_digits
from torch.nn import functional

import conslaw
from conslaw import layers

torch.set_num_threads(1)  # small networks


def wave(x):
    return 0.5 * torch.cos(1.5 * math.pi / (x.abs() + 0.25))


def fitted(network, x, y, steps=400, rate=0.05):
    optimizer = torch.optim.Adam(network.parameters(), lr=rate)
    for _ in range(steps):
        optimizer.zero_grad()
        functional.mse_loss(network(x), y).backward()
        optimizer.step()
    return network


def error(network, x, y):
    with torch.no_grad():
        return functional.mse_loss(network(x), y).item()


def least(network, x, y):
    """The error of least squares: no weights have less."""
    network = copy.deepcopy(network).double()
    outputs = network(x.double())[:, 0]
    rows = [torch.autograd.grad(value, network.weight, retain_graph=True)[0].flatten() for value in outputs]
    columns, y = torch.stack(rows), y.double()
    return (columns @ torch.linalg.lstsq(columns, y, driver="gelsd").solution - y).square().mean().item()


def networks():
    torch.manual_seed(0)
    return {
        "continuous": layers.select("continuous", n=5, in_features=1, out_features=1, segments=5),
        "discontinuous": layers.select("discontinuous", n=5, in_features=1, out_features=1, segments=5),
        "Fourier": layers.select("fourier", n=21, in_features=1, out_features=1),
        "polynomial": layers.select("polynomial", n=20, in_features=1, out_features=1),
        "ReLU": torch.nn.Sequential(torch.nn.Linear(1, 7), torch.nn.ReLU(), torch.nn.Linear(7, 1)),
    }


grids = {
    "Chebyshev points": torch.cos(math.pi * (torch.arange(200) + 0.5) / 200)[:, None],
    "even points": torch.linspace(-1, 1, 200)[:, None],
}
for grid, x in grids.items():
    fits = {name: fitted(network, x, wave(x)) for name, network in networks().items()}
    print(grid)
    for name, network in fits.items():
        smallest = "" if name == "ReLU" else f", least squares {least(network, x, wave(x)):.4f}"
        print(f"  {name}: {error(network, x, wave(x)):.4f}{smallest}")

# %%
figure, axes = plt.subplots(1, 5, figsize=(15, 3), sharey=True)
for axis, (name, network) in zip(axes, fits.items()):
    axis.plot(x, wave(x), "k:")
    axis.plot(x, network(x).detach())
    axis.set_title(name)

# %% [markdown]
# A polynomial of degree 19 has most of its freedom at the ends: at even points it cannot have an error below 0.032, where pieces have 0.014.
#
# ## XOR
#
# The function ½ sign(xy). One layer of sums, f(x) + g(y), cannot do better than 0: over a square the function is orthogonal to all of them, and the error stays about 1/4. Two things represent it exactly:
# the mixed term alone of a product (α = 0), f(x) g(y) with f = sign and g = ½ sign; and two layers of sums, since sign x + sign y takes three values, and a second function can send -2, 0, 2 to
# ½, -½, ½. Both need a jump at 0, an even number of discontinuous pieces.


# %%
def xor(points):
    return 0.5 * torch.sign(points.prod(1, keepdim=True))


torch.manual_seed(0)
points, others = 2 * torch.rand(200, 2) - 1, 2 * torch.rand(5000, 2) - 1
pieces = {"n": 2, "in_features": 2, "out_features": 1, "segments": 2}
candidates = {
    "one layer of sums": layers.select("discontinuous", **pieces),
    "mixed term of a product": layers.select("discontinuous_prod", **pieces, alpha=0.0),
    "two layers of sums": layers.HighOrderMLP(
        [2, 2, 1], degree=1, segments=2, continuous=False, normalize=False
    ),
    "two layers, continuous": layers.HighOrderMLP([2, 2, 1], degree=1, segments=2, normalize=False),
}
figure, axes = plt.subplots(1, 4, figsize=(14, 3.2), sharey=True)
for axis, (name, network) in zip(axes, candidates.items()):
    fitted(network, points, xor(points))
    print(
        f"{name}: {error(network, points, xor(points)):.1e}, at other points {error(network, others, xor(others)):.1e}"
    )
    axis.scatter(*others.T, c=network(others).detach()[:, 0], s=2, cmap="coolwarm", vmin=-0.5, vmax=0.5)
    axis.set_title(name)

# %% [markdown]
# ## Digits
#
# A network 64-32-10 of cubic synapses on the digits of scikit-learn, 30 epochs: at once, and with *p-refinement*, 10 epochs with degree 1, then 2, then 3, where each start is the same function as the
# end before. Last, eight channels of quadratic 3×3 kernels before one layer.


# %%
images, labels = (torch.as_tensor(array) for array in load_digits(return_X_y=True))
images = (images / 8 - 1).float()
torch.manual_seed(0)
train, test = torch.randperm(len(labels)).split([1400, len(labels) - 1400])


def trained(network, epochs):
    optimizer = torch.optim.Adam(network.parameters(), lr=3e-3)
    for _ in range(epochs):
        for batch in train[torch.randperm(len(train))].split(100):
            optimizer.zero_grad()
            functional.cross_entropy(network(images[batch]), labels[batch]).backward()
            optimizer.step()
    return network


def report(name, network):
    with torch.no_grad():
        accuracy = [(network(images[i]).argmax(1) == labels[i]).double().mean().item() for i in (train, test)]
    print(f"{name}: {accuracy[0]:.3f} of the training images, {accuracy[1]:.3f} of the others")


torch.manual_seed(1)
report("degree 3", trained(layers.HighOrderMLP([64, 32, 10], degree=3), 30))
network = layers.HighOrderMLP([64, 32, 10], degree=1)
for degree in (1, 2, 3):
    network = trained(layers.refine(network, degree=degree), 10)
    report(f"refined to degree {degree}", network)

torch.manual_seed(1)
network = torch.nn.Sequential(
    torch.nn.Unflatten(1, (1, 8, 8)),
    layers.HighOrderConv2d(1, 8, 3, degree=2),
    torch.nn.Flatten(),
    layers.MaxAbsNorm(),
    layers.HighOrderLinear(8 * 6 * 6, 10, degree=2),
)
report("with a convolution", trained(network, 30))

# %% [markdown]
# ## A travelling wave
#
# The front of Burgers' equation u_t + u u_x = ν u_xx, u = (1 - tanh((x - t/2) / 4ν)) / 2, from samples of u: four sums of affine functions, then cubic pieces; beside a ReLU network of as many weights.


# %%
def front(points, viscosity=0.02):
    return (1 - torch.tanh((points[:, :1] - points[:, 1:] / 2) / (4 * viscosity))) / 2


grid = torch.cartesian_prod(torch.linspace(-1, 1, 40), torch.linspace(-1, 1, 40))
torch.manual_seed(0)
candidates = {
    "pieces": torch.nn.Sequential(
        layers.HighOrderLinear(2, 4, degree=1), layers.HighOrderLinear(4, 1, degree=3, segments=20)
    ),
    "ReLU": torch.nn.Sequential(torch.nn.Linear(2, 65), torch.nn.ReLU(), torch.nn.Linear(65, 1)),
}
figure, axes = plt.subplots(1, 2, figsize=(8, 3.2), sharey=True)
for axis, (name, network) in zip(axes, candidates.items()):
    fitted(network, grid, front(grid), rate=0.01)
    print(
        f"{name}: {error(network, grid, front(grid)):.1e}, at other points {error(network, others, front(others)):.1e}"
    )
    axis.scatter(*others.T, c=network(others).detach()[:, 0], s=2, cmap="coolwarm", vmin=0, vmax=1)
    axis.set_title(name)

# %% [markdown]
# ## Laws
#
# What the training of two layers conserves.

# %%
network = layers.HighOrderMLP([2, 4, 1], degree=1, segments=2, continuous=False, normalize=False)
conslaw.analyze(layers.model(network))

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
# # Functions of two variables, an image, an autoencoder
#
# High-order layers where they help and where they do not, with *p-refinement* during training and the optimizers Adam and Lion side by side. Each part takes seconds.

# %%
import math

import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.datasets import load_digits, load_sample_image
from sklearn.decomposition import PCA
from torch.nn import functional

from conslaw import layers

torch.set_num_threads(1)  # small networks


def fitted(network, x, y, optimizer, steps):
    """The losses of full-batch training."""
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = functional.mse_loss(network(x), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def weights(network):
    return sum(p.numel() for p in network.parameters())


# %% [markdown]
# ## A function of two variables
#
# Rings that fade, sin(6 r²) exp(-r²). The angle of a sum makes it a sum of two products f(x) g(y): eight mixed terms of two-factor products (α = 0), added with weights, have room for it. Sums of
# functions of one variable have none, two layers of them need more weights and overfit between the samples, and a ReLU network of about as many weights has kinks.


# %%
def rings(points):
    square = points.square().sum(1, keepdim=True)
    return torch.sin(6 * square) * torch.exp(-square)


line = torch.linspace(-1, 1, 40)
grid = torch.cartesian_prod(line, line)
torch.manual_seed(0)
others = 2 * torch.rand(5000, 2) - 1
products = layers.select("continuous_prod", n=5, in_features=2, out_features=8, segments=4, alpha=0.0)
networks = {
    "one layer of sums": layers.HighOrderLinear(2, 1, degree=4, segments=4),
    "two layers of sums": layers.HighOrderMLP([2, 8, 1], degree=4, segments=4),
    "sum of 8 products": torch.nn.Sequential(products, layers.HighOrderLinear(8, 1)),
    "ReLU": torch.nn.Sequential(torch.nn.Linear(2, 72), torch.nn.ReLU(), torch.nn.Linear(72, 1)),
}
figure, axes = plt.subplots(1, 5, figsize=(15, 3.2), sharey=True)
axes[0].imshow(rings(grid).view(40, 40), extent=(-1, 1, -1, 1), vmin=-0.8, vmax=0.8)
axes[0].set_title("the function")
for axis, (name, network) in zip(axes[1:], networks.items()):
    last = fitted(network, grid, rings(grid), torch.optim.Adam(network.parameters(), lr=0.01), 300)[-1]
    with torch.no_grad():
        elsewhere = functional.mse_loss(network(others), rings(others)).item()
        axis.imshow(network(grid).view(40, 40), extent=(-1, 1, -1, 1), vmin=-0.8, vmax=0.8)
    axis.set_title(name)
    print(f"{name}, {weights(network)} weights: {last:.1e}, between the samples {elsewhere:.1e}")

# %% [markdown]
# The factors f_o(x) of the products, four pieces each:

# %%
x = torch.linspace(-1, 1, 400)[:, None]
piece = layers.HighOrderLinear(1, 8, degree=4, segments=4)
with torch.no_grad():
    piece.weight.copy_(products.weight[:1])
    plt.plot(x, piece(x))
for end in (-0.5, 0.0, 0.5):
    plt.axvline(end, color="k", linestyle=":", linewidth=0.5)

# %% [markdown]
# ## An image
#
# Pixels of a photograph that scikit-learn ships, as colours at places: an implicit representation. Three rounds of 70 steps, with degree 1, then 2, then 3. A refined network is the same function, so
# that the loss goes on where it was; the optimizer's memory starts anew, which shows. Beside it degree 3 from the start, which ends worse: random cubics are rough.


# %%
class Lion(torch.optim.Optimizer):
    """Steps of equal length, along the signs of a mean of gradients (arXiv 2302.06675)."""

    def __init__(self, parameters, lr, betas=(0.9, 0.99)):
        super().__init__(parameters, {"lr": lr, "betas": betas})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            fast, slow = group["betas"]
            for p in group["params"]:
                mean = self.state[p].setdefault("mean", torch.zeros_like(p))
                p.sub_(torch.lerp(p.grad, mean, fast).sign_(), alpha=group["lr"])
                mean.lerp_(p.grad, 1 - slow)


image = torch.tensor(load_sample_image("flower.jpg")[::8, ::8] / 255).float()
height, width, _ = image.shape
places = torch.cartesian_prod(torch.linspace(-1, 1, height), torch.linspace(-1, 1, width))
colours = image.flatten(0, 1)


def represented(optimizer, lr, degrees):
    torch.manual_seed(0)
    network = layers.HighOrderMLP([2, 16, 16, 3], degree=degrees[0], segments=8)
    losses = []
    for degree in degrees:
        network = layers.refine(network, degree=degree)
        steps = 210 // len(degrees)
        losses += fitted(network, places, colours, optimizer(network.parameters(), lr=lr), steps)
    return network, losses


figure, axes = plt.subplots(1, 6, figsize=(18, 2.6))
axes[0].imshow(image)
axes[0].set_title("the image")
runs = [(o, lr, d) for o, lr in ((torch.optim.Adam, 5e-3), (Lion, 2e-3)) for d in ((1, 2, 3), (3,))]
for axis, (optimizer, lr, degrees) in zip(axes[1:], runs):
    network, losses = represented(optimizer, lr, degrees)
    name = f"{optimizer.__name__}, degree {', '.join(map(str, degrees))}"
    print(f"{name}: {-10 * math.log10(losses[-1]):.1f} dB, {weights(network)} weights")
    axis.imshow(network(places).detach().view(height, width, 3).clamp(0, 1))
    axis.set_title(name)
    axes[5].semilogy(losses, label=name)
axes[5].legend(fontsize=6)
for axis in axes[:5]:
    axis.axis("off")

# %% [markdown]
# ## An autoencoder
#
# The digits of scikit-learn through four numbers, beside the four principal components: the best that linear maps can do on the training images.

# %%
digits = torch.tensor(load_digits().data / 8 - 1).float()
train, test = digits[:1400], digits[1400:]
torch.manual_seed(0)
network = layers.HighOrderMLP([64, 32, 4, 32, 64], degree=1)
for degree in (1, 2, 3):
    network = layers.refine(network, degree=degree)
    optimizer = torch.optim.Adam(network.parameters(), lr=3e-3)
    for _ in range(20):
        for batch in train[torch.randperm(len(train))].split(100):
            optimizer.zero_grad()
            functional.mse_loss(network(batch), batch).backward()
            optimizer.step()
    with torch.no_grad():
        here, there = (functional.mse_loss(network(part), part).item() for part in (train, test))
    print(f"degree {degree}: {here:.3f} on the training images, {there:.3f} on the others")
components = PCA(4).fit(train)
linear = [components.inverse_transform(components.transform(part)) for part in (train, test)]
here, there = (np.mean((part.numpy() - image) ** 2) for part, image in zip((train, test), linear))
print(f"principal components: {here:.3f} on the training images, {there:.3f} on the others")

# %%
figure, axes = plt.subplots(3, 10, figsize=(10, 3))
for row, name, images in zip(
    axes, ("digits", "network", "linear"), (test, network(test).detach(), linear[1])
):
    row[0].set_ylabel(name)
    for axis, picture in zip(row, images):
        axis.imshow(picture.reshape(8, 8), cmap="gray", vmin=-1, vmax=1)
        axis.set_xticks([])
        axis.set_yticks([])

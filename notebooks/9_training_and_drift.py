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
# # Training, and how far the laws drift
#
# Conservation laws are exact along a flow. A training run takes steps: how far do they drift, and can it be said beforehand? For gradient descent, heavy ball and Nesterov's method it
# can, exactly: `conslaw.simulate` and `conslaw.Monitor` put the prediction beside what happens. This notebook does so on the digits that scikit-learn ships: the discrete experiments of
# Marcotte, Gribonval and Peyré ([arXiv 2405.12888](https://arxiv.org/abs/2405.12888)), a transformer layer, and flows on data that are given.

# %%
import time
from fractions import Fraction

import numpy as np
import torch
from sklearn.datasets import load_digits

import conslaw
from conslaw import plots

torch.set_num_threads(1)
torch.set_default_dtype(torch.float64)
begun = time.perf_counter()
digits = load_digits()
pixels, classes = torch.tensor(digits.data / 8 - 1), torch.tensor(digits.target)  # scaled to [-1, 1]

# %% [markdown]
# ## An MLP on digits, in three lines
#
# 64-128-64-10 with biases, cross-entropy, full batch of 1,797, PyTorch's default start. The laws are ‖w‖² + b² − ‖v‖² for each hidden unit, w its incoming and v its outgoing weights, b
# its bias.

# %%
analysis = conslaw.analyze(conslaw.relu([64, 128, 64, 10], bias=True))
print(analysis)


# %%
def mlp():
    torch.manual_seed(0)
    nn = torch.nn
    return nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 10))


NAMES = {"W1": "0.weight", "b1": "0.bias", "W2": "2.weight", "b2": "2.bias", "W3": "4.weight"}
net = mlp()
optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.5)
with conslaw.Monitor(net, analysis, optimizer, every=1, names=NAMES) as monitor:
    for _ in range(100):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(net(pixels), classes).backward()
        optimizer.step()
monitor

# %% [markdown]
# ## The published experiment: the step, and the bias
#
# Time T = 10 in steps of T/150 × (0.25, 0.5, 1, 1.25). The published notebook watches ‖w‖² − ‖v‖², although its layers have biases: that is no law. With the bias in it the drift is
# proportional to the step; without it hardly depends on the step, as it is there in the flow already. Both are watched in one run: the figure is the worst unit of the first layer,
# |h(T) − h(0)| / max |h|.

# %%
without = conslaw.analyze(conslaw.relu([64, 128, 64, 10]))
WEIGHTS = {name: path for name, path in NAMES.items() if name.startswith("W")}
T = 10.0


def trained(step, mass=0.0):
    """mass θ'' + θ' = −∇L in steps of time: heavy ball with η = step²/(mass + step), β = mass/(mass + step)."""
    net = mlp()
    rate, momentum = step**2 / (mass + step), mass / (mass + step)
    optimizer = torch.optim.SGD(net.parameters(), lr=rate, momentum=momentum)
    options = {"every": 1, "entries": True}
    with (
        conslaw.Monitor(net, analysis, optimizer, names=NAMES, **options) as laws,
        conslaw.Monitor(net, without, optimizer, names=WEIGHTS, **options) as no_laws,
    ):
        for _ in range(round(T / step)):
            optimizer.zero_grad()
            loss = torch.nn.functional.cross_entropy(net(pixels), classes)
            loss.backward()
            optimizer.step()
    return laws.drift(), no_laws.drift(), loss.item()


factors = (0.25, 0.5, 1.0, 1.25)
runs = {factor: trained(T / 150 * factor) for factor in factors}
print("step     with -b^2    without      loss    predicted but for")
for factor, (laws, no_laws, loss) in runs.items():
    first = laws.laws[0]
    print(
        f"{factor:4.2f}     {first.worst:8.3%}    {no_laws.laws[0].worst:7.2%}    {loss:6.3f}    {first.error:.0e}"
    )

# %%
drifts = {factor: laws.laws[0].worst for factor, (laws, _, _) in runs.items()}
for factor in factors:
    assert abs(drifts[factor] / factor / drifts[1.0] - 1) < 0.1  # proportional to the step
    assert runs[factor][1].laws[0].worst > 10 * drifts[factor]
    assert runs[factor][0].laws[0].error < 1e-12  # as predicted
spread = [no_laws.laws[0].worst for _, no_laws, _ in runs.values()]
assert max(spread) < 1.1 * min(spread)
plots.drift(*(laws for laws, _, _ in runs.values()), labels=[f"T/150 × {factor}" for factor in factors])

# %% [markdown]
# ## Momentum forgets what gradient flow remembers
#
# With mass, μθ″ + θ′ = −∇L, these are no laws even of the flow, however small the step; yet each step of heavy ball does to them exactly what the recursion says.

# %%
masses = (0.0, 0.5, 2.5, 5.0)
with_mass = {mass: trained(T / 150, mass) for mass in masses}
for mass, (laws, _, loss) in with_mass.items():
    print(
        f"mass {mass:3}: drift {laws.laws[0].worst:7.3%}, predicted but for {laws.laws[0].error:.0e}, loss {loss:.3f}"
    )
    assert laws.laws[0].error < 1e-12
assert all(with_mass[mass][0].worst > 10 * with_mass[0.0][0].worst for mass in masses[1:])
plots.drift(
    *(laws for laws, _, _ in with_mass.values()), labels=[f"mass {mass}" for mass in masses], against="steps"
)

# %% [markdown]
# Two parameters make a picture of it: the loss (uv − 1)² / 2 from several starts, among the level sets of u² − v². Gradient descent follows them; heavy ball crosses them.

# %%
scalar = conslaw.linear([1, 1, 1])
level = conslaw.analyze(scalar).laws[0]
paths = []
for u in (-1.5, -0.5, 0.5, 1.5):
    given = {"data": {"x": [[1]]}, "targets": [[1]], "start": {"W1": [[u]], "W2": [[0.3]]}, "states": True}
    paths.append(conslaw.simulate(scalar, method="gd", step=0.02, steps=400, **given))
    paths.append(conslaw.simulate(scalar, method="heavy_ball", momentum=0.97, step=0.02, steps=400, **given))
plots.phase_portrait(*paths, x=("W1", (0, 0)), y=("W2", (0, 0)), law=level)

# %% [markdown]
# ## Non-negative factorisation of the zeros, by mirror steps
#
# θ ← θ − η θ ⊙ ∇L keeps Σu − Σv of each component exactly, at any step; with mass it does not.

# %%
zeros = digits.data[digits.target == 0] / 16
model = conslaw.nmf([64, 10, len(zeros)])
rng = np.random.default_rng(0)
start = {name: rng.uniform(0.1, 1, shape) / 10**0.5 for name, shape in model.parameters.items()}
given = {
    "data": {"x": np.eye(len(zeros))},
    "targets": zeros,
    "start": start,
    "analysis": conslaw.analyze(model),
}
step, factored = Fraction(1, 20), {}
for mass in (Fraction(0), Fraction(1, 2), Fraction(5, 2), Fraction(5)):
    rate, momentum = step**2 / (mass + step), mass / (mass + step)
    run = conslaw.simulate(model, method="mirror", step=rate, momentum=momentum, steps=200, **given)
    left = np.linalg.norm(run.end["U"] @ run.end["V"] - zeros.T) / np.linalg.norm(zeros)
    factored[mass] = run.worst
    print(
        f"mass {float(mass):3}: drift {run.worst:8.1e}, residual {left:.2f}, smallest entry {run.end['U'].min():.3f}"
    )
assert factored[0] < 1e-12
assert sorted(factored.values()) == list(factored.values())

# %% [markdown]
# ## A transformer layer, in its own names
#
# The rows of a digit are eight tokens of eight pixels. `conslaw.from_torch` reads the module; a Monitor watches its laws: Gram matrices of each head, norms of the units of the MLP and of
# the gain and shift that the head reads, sums that the norms do not see.


# %%
class Rows(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.embed, self.head = torch.nn.Linear(8, 8), torch.nn.Linear(8, 10)
        self.layer = torch.nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, dropout=0.0)

    def forward(self, x):
        return self.head(self.layer(self.embed(x)).mean(1))


torch.manual_seed(0)
rows = Rows()
tokens = pixels.reshape(-1, 8, 8)
of_rows = conslaw.analyze(conslaw.from_torch(rows, tokens[:1]))
optimizer = torch.optim.SGD(rows.parameters(), lr=0.05, momentum=0.9)
with conslaw.Monitor(rows, of_rows, optimizer, every=1, entries=True) as monitor:
    for _ in range(60):
        optimizer.zero_grad()
        chosen = torch.randint(0, len(tokens), (256,))
        torch.nn.functional.cross_entropy(rows(tokens[chosen]), classes[chosen]).backward()
        optimizer.step()
print(of_rows.laws_found, "laws, at most", of_rows.laws_at_most)
monitor

# %%
watched = monitor.drift()
assert all(abs(law.values - law.predicted).max() < 1e-12 for law in watched.laws)

# %% [markdown]
# ## Data that are given
#
# By default the laws are those of all data. On a fixed data set there are more: hidden units that are active on the same data share a linear network, and conserve all entries of their
# Gram matrix, not only their own norms: Σ c(c + 1)/2 over the classes of c units, if the data of each pattern span the inputs. Two pixels of forty digits, twelve hidden units, three
# outputs:

# %%
few = digits.data[:40, [20, 43]] - 8
weights = {"W1": rng.normal(size=(12, 2)).round(3), "W2": rng.normal(size=(3, 12)).round(3)}
on = few @ weights["W1"].T > 0
patterns, of = np.unique(on, axis=0, return_inverse=True)
spans = [np.linalg.matrix_rank(few[of.ravel() == k]) == 2 for k in range(len(patterns))]
few, on = few[np.array(spans)[of.ravel()]], on[np.array(spans)[of.ravel()]]
units, sizes = np.unique(on.T, axis=0, return_counts=True)
expected = sum(c * (c + 1) // 2 if unit.any() else 5 * c for unit, c in zip(units, sizes))
small = conslaw.relu([2, 12, 3])
on_these = conslaw.analyze(conslaw.gradient_flow(small, data={"x": few}, patterns=weights))
print(
    f"{conslaw.count(small).laws_at_most} laws for all data, {on_these.laws_found} on these {len(few)} (classes of {sizes} units)"
)
assert on_these.complete
assert on_these.laws_found == expected

# %%
print(f"this notebook took {time.perf_counter() - begun:.0f} s")

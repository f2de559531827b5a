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
# # What does a transformer conserve?
#
# ## A real layer
#
# PyTorch's own encoder layer: attention with two heads and biases, two LayerNorms, a ReLU network. `conslaw.from_torch` reads it; no line of it is written again.

# %%
import matplotlib.pyplot as plt
import torch
from torch import nn

import conslaw

torch.set_num_threads(1)  # small networks
torch.manual_seed(0)
layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True, norm_first=True).double()
model = conslaw.from_torch(layer, torch.zeros(1, 3, 8))
analysis = conslaw.analyze(model)
analysis

# %% [markdown]
# 81 laws, and there are no others for this parametrisation: both bounds meet. In words:
#
# - the bias of the keys never moves: it cancels from the softmax (8 laws);
# - each head keeps $QQ^\top-KK^\top$ and $VV^\top-OO^\top$, with the biases of queries and values as one more column (2 · (10 + 10));
# - each hidden ReLU unit keeps $\lVert w_{in}\rVert^2+b^2-\lVert w_{out}\rVert^2$ (16);
# - each gain and shift of a norm, $\gamma_k^2+\beta_k^2$, goes with the column of the weights that read it (8 + 8);
# - the sum of one output bias minus that of the other: the reader behind both is centred (1).
#
# How each operation was read, and where it stands in the module:

# %%
for reading in model.readings:
    print(reading)

# %% [markdown]
# ## A real training run
#
# Laws are exact for the gradient flow. Gradient descent with step $\eta$ follows it up to $O(\eta)$: a law that is quadratic drifts in proportion to $\eta$ over the same time, a linear one not at all.

# %%
parts = analysis.analyzed.model  # queries, keys and values are slices of one array there
laws = analysis.to_json()["laws"]
degrees = [2 if "**2" in law or "*" in law else 1 for law in laws]


def values(module):
    """Each law at the weights of a module."""
    arrays = {}
    for name in parts.parameters:
        path, _, piece = parts.arguments["names"][name].partition("[")
        rows = slice(*map(int, piece.rstrip("]").split(":"))) if piece else slice(None)
        arrays[name] = module.get_parameter(path).detach()[rows].reshape(parts.parameters[name]).numpy()
    return torch.tensor([float(eval(law, {}, arrays)) for law in laws])


def train(step, time=2.0):
    """Gradient descent on a regression; the largest drift of the laws, linear ones apart, and the way gone."""
    torch.manual_seed(1)
    module = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True, norm_first=True).double()
    with torch.no_grad():
        for x in module.parameters():
            x.add_(torch.randn_like(x) / 4)
    inputs, targets = torch.randn(16, 3, 8).double(), torch.randn(16, 3, 8).double()
    optimizer = torch.optim.SGD(module.parameters(), lr=step)
    before, start = values(module), [x.detach().clone() for x in module.parameters()]
    for _ in range(round(time / step)):
        optimizer.zero_grad()
        loss = (module(inputs) - targets).square().mean()
        loss.backward()
        optimizer.step()
    drift = (values(module) - before).abs()
    way = max(float((x.detach() - y).abs().max()) for x, y in zip(module.parameters(), start))
    linear = torch.tensor(degrees) == 1
    return drift, float(drift[linear].max()), float(drift[~linear].max()), way, loss.item()


# %%
steps = [0.1, 0.03, 0.01, 0.003]
runs = [train(step) for step in steps]
for step, (_, linear, quadratic, way, loss) in zip(steps, runs):
    print(
        f"step {step:<6} linear laws {linear:.1e}   quadratic laws {quadratic:.1e}   weights moved by {way:.2f}, loss {loss:.3f}"
    )

# %% [markdown]
# Linear laws stay to the last digit, quadratic ones drift by $\eta$ times a constant, while the weights move freely.

# %%
figure, axes = plt.subplots(figsize=(5, 3))
axes.loglog(steps, [run[2] for run in runs], "o-", label="largest drift of a quadratic law")
axes.loglog(
    steps, [steps_ * runs[0][2] / steps[0] for steps_ in steps], ":", label="proportional to the step"
)
axes.set_xlabel("step η")
axes.legend()
figure.tight_layout()

# %% [markdown]
# ## What changes the laws
#
# The same layer, with one thing changed at a time.


# %%
def count(module, mode="eval", **options):
    analysis = conslaw.analyze(conslaw.from_torch(module, torch.zeros(1, 3, 8), mode=mode, **options))
    return f"{analysis.laws_found:4}" + ("" if analysis.complete else f" (at most {analysis.laws_at_most})")


def encoder(**options):
    return nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, **options)


table = {
    "norm first": count(encoder(norm_first=True)),
    "norm after": count(encoder()),
    "GELU: units keep nothing": count(encoder(norm_first=True, activation="gelu")),
    "no biases": count(encoder(norm_first=True, bias=False)),
    "dropout, in training": count(encoder(norm_first=True), mode="train"),
    "norm after, dropout, in training": count(encoder(), mode="train"),
}
for what, laws_found in table.items():
    print(f"{what:35} {laws_found}")


# %% [markdown]
# Dropout puts a mask between a branch and the norm that is behind it: what was a translation that nobody saw is now seen, and these laws end.
#
# ## A language model
#
# A GPT-2 in small, written by hand, with embeddings of tokens and positions and a head that may be tied to them.


# %%
class GPT(nn.Module):
    def __init__(self, tied=True, dropout=0.0, vocabulary=11, positions=8, width=8, hidden=32):
        super().__init__()
        self.wte, self.wpe = nn.Embedding(vocabulary, width), nn.Embedding(positions, width)
        self.dropout = nn.Dropout(dropout)
        options = {"activation": "gelu", "batch_first": True, "norm_first": True, "dropout": dropout}
        self.block = nn.TransformerEncoderLayer(width, 2, hidden, **options)
        self.ln_f, self.head = nn.LayerNorm(width), nn.Linear(width, vocabulary, bias=False)
        if tied:
            self.head.weight = self.wte.weight

    def forward(self, tokens):
        x = self.dropout(self.wte(tokens) + self.wpe(torch.arange(tokens.shape[1])))
        mask = nn.Transformer.generate_square_subsequent_mask(tokens.shape[1])
        return self.head(self.ln_f(self.block(x, src_mask=mask)))


tokens = torch.zeros(1, 4, dtype=torch.int64)
for what, module, mode in [
    ("tied, in evaluation", GPT(), "eval"),
    ("not tied", GPT(tied=False), "eval"),
    ("tied, with dropout, in training", GPT(dropout=0.1), "train"),
]:
    found = conslaw.analyze(conslaw.from_torch(module, tokens, mode=mode))
    print(f"{what:35} {found.laws_found:4} of at most {found.laws_at_most}")

# %% [markdown]
# At full size nothing changes but the numbers: time does not depend on the width. A layer of 768 with 12 heads and 3,072 hidden units, seven million parameters:

# %%
with torch.device("meta"):  # no weights are needed
    large = nn.TransformerEncoderLayer(768, 12, 3072, batch_first=True, norm_first=True, activation="gelu")
    analysis = conslaw.analyze(conslaw.from_torch(large, torch.zeros(1, 2, 768), mode="eval"))
analysis

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
# # Sweeps and conjectures
#
# How many conservation laws does a network have? For linear and ReLU networks the literature lists some: Gram matrices, norms, skew products. Are these all? A table of a few thousand architectures, each row with
# bounds that are *proved*, refutes what is wrong and suggests what might be right. A formula that fits is a **conjecture with evidence**, and is called nothing else here.

# %%
from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np

import conslaw
from conslaw.sweeps import compare, suggest_formula

# %% [markdown]
# ## A table
#
# Two layers of widths 1 to 5, three layers of widths 1 to 3, and wide hidden layers between two scalars; with and without biases; trained by gradient flow and by momentum. Each network is analyzed in a worker process
# that is ended at its limit of time; with `out="table.parquet"` the sweep could be killed at any moment and gone on with.

# %%
WIDTHS = "1..5-1..5-1..5,1..3-1..3-1..3-1..3,1-6..8-1"
swept = conslaw.sweep(
    "linear,relu", widths=WIDTHS, bias="both", flow="gradient,momentum", timeout=60, workers=2
)
print(swept)

# %%
table = swept.table()
assert len(table) > 1000
table["open"] = table["laws_at_most"] - table["laws_found"]
columns = ["family", "bias", "flow"]
table.groupby(columns).agg(networks=("case", "count"), proved=("complete", "sum"), open=("open", "sum"))

# %% [markdown]
# Nearly all rows are *complete*: as many laws were found, with independent gradients, as there can be. In the few others a law is known to exist, except with a tiny probability, and has no polynomial form of low degree.
#
# ## What the literature lists, and where it falls short
#
# Widths before and after a hidden layer of width $h$ are called $a$ and $b$. The Gram differences $W_i W_i^\top - W_{i+1}^\top W_{i+1}$ have $h(h+1)/2$ entries for each hidden layer, the skew products of momentum $h(h-1)/2$,
# and ReLU networks conserve a norm difference for each hidden unit, and with momentum nothing.

# %%
LISTED = {
    ("linear", "gradient"): "sum(h*(h + 1)//2)",
    ("linear", "momentum"): "sum(h*(h - 1)//2)",
    ("relu", "gradient"): "sum(h)",
    ("relu", "momentum"): "0",
}
for (family, flow), expression in LISTED.items():
    for bias in (False, True):
        chosen = table[(table.family == family) & (table.flow == flow) & (table.bias == bias)]
        found = compare(chosen, expression)
        few = ", ".join(one.row["widths"] for one in found.counterexamples[:6])
        print(
            f"{family:6} {flow:8} {'bias' if bias else '':4}  {expression:17}  fits {found.agreed:3}, not {len(found.counterexamples):2}  {few}"
        )

# %% [markdown]
# ReLU networks do as the list says, without exception. Linear networks do not:
#
# - gradient flow: hidden layers that are wider than the inputs and outputs beside them together, $h > a + b$ (the entries of the Gram matrix then depend on each other), and networks with scalar ends;
# - momentum: hidden layers between two layers of width 1;
# - a bias is one more input, so that with it the exceptions come later; 1-8-1 is one with momentum.
#
# The counterexamples are proved, each by a certificate that its row could be asked for again.

# %%
momentum = table[(table.family == "linear") & (table.flow == "momentum")]
print(compare(momentum[~momentum.bias], LISTED["linear", "momentum"]))

# %% [markdown]
# ## Formulas that the table suggests
#
# `suggest_formula` looks for the simplest formula that gives all rows of two thirds of the table, exactly, and tries it on the third that it has not seen.

# %%
linear = table[table.family == "linear"]
for conjecture in suggest_formula(linear):
    print(conjecture, "\n")

# %% [markdown]
# ### Layer by layer
#
# In gradient flow each hidden layer seems to have the laws of a network of its own with two layers, $a$-$h$-$b$, which are known: $\rho(2h + 1 - \rho)/2$ with $\rho = \min(h, a + b)$. We try this on the whole table, and look at where it fails.

# %%
LAYERS = "sum(min(h, a + b)*(2*h + 1 - min(h, a + b))/2)"
plain = linear[(linear.flow == "gradient") & ~linear.bias]
layers = compare(plain, LAYERS)
print(layers)

# %% [markdown]
# All exceptions have scalar inputs and outputs and two hidden layers wider than 1, and they have *more* laws: 1, 1, 1 and 2, that is $\min(d_1, d_2) - 1$. None of these is a polynomial of degree 2; that they are there is
# certain except with a probability below $10^{-13}$. Layers of width 1 cut a network into pieces. A first guess:
#
# **Conjecture 1.** *A linear network in gradient flow has the laws of its layers, and for each piece with both ends of width 1 and hidden widths $h_1, \dots, h_k$ there are $\sum_{i<k} (\min(h_i, h_{i+1}) - 1)$ more.*
#
# It fits all rows. It was made from networks with three layers; those with four and five are the test.


# %%
def of_layers(widths):
    """The laws of two-layer networks, for each hidden layer."""
    rhos = [(h, min(h, a + b)) for a, h, b in zip(widths, widths[1:], widths[2:])]
    return sum(rho * (2 * h + 1 - rho) // 2 for h, rho in rhos)


def pieces(widths):
    """The pieces between layers of width 1, those with both ends of width 1."""
    ones = [i for i, d in enumerate(widths) if d == 1]
    return [widths[i : j + 1] for i, j in pairwise(ones)]


def conjecture_1(widths):
    return of_layers(widths) + sum(
        min(pair) - 1 for piece in pieces(widths) for pair in pairwise(piece[1:-1])
    )


def against(table, conjecture):
    """Rows that agree, proved and probable, and those that do not."""
    agree, probable, others = 0, 0, []
    for row in table.to_dict("records"):
        expected = conjecture([int(d) for d in row["widths"].split("-")])
        least, most = row.get("laws_found", 0), row["laws_at_most"]
        if expected == least == most:
            agree += 1
        elif least <= expected == most:
            probable += 1
        else:
            others.append(f"{row['widths']}: {most}, not {expected}")
    return f"{agree} rows agree (proved), {probable} (probable), {len(others)} do not: {', '.join(others)}"


print(against(plain, conjecture_1))
fresh = conslaw.sweep(
    "linear", widths="1..3", depth="4,5", ask="count", sample=200, seed=1, timeout=60, workers=2
)
fresh_table = fresh.table()
print(against(fresh_table, conjecture_1))

# %% [markdown]
# It is refuted (by bounds that are attained except with a tiny probability), though it fitted every row of the table. What the fresh rows say is simpler. A piece with scalar ends computes **one** number $s(\theta)$, a scalar times its input. Then $W_\varphi$
# of the piece is spanned by the single field $\nabla s$, and a single field has as many laws as there are parameters, less one.
#
# **Conjecture 2.** *A piece with both ends of width 1 has $D - 1$ laws, $D$ its number of parameters; each layer of width 1 inside the network, and each other layer, has those of a two-layer network.*


# %%
def conjecture_2(widths):
    closed = pieces(widths)
    parameters = [sum(a * b for a, b in pairwise(piece)) for piece in closed]
    return of_layers(widths) + sum(d - 1 - of_layers(piece) for d, piece in zip(parameters, closed))


print(against(plain, conjecture_2))
print(against(fresh_table, conjecture_2))

# %% [markdown]
# ### Momentum
#
# A hidden layer between two layers of width 1 has $4h - 6$ laws instead of $h(h-1)/2$ (for $h > 1$). As a formula that is tried on networks with four and five layers:

# %%
SANDWICH = "sum((4*h - 6 if h > 1 else 0) if a == 1 and b == 1 else h*(h - 1)/2)"
print(compare(momentum[~momentum.bias], SANDWICH))
deeper = conslaw.sweep(
    "linear", widths="1..3", depth="4", flow="momentum", ask="count", sample=60, seed=2, timeout=60, workers=2
)
print(compare(deeper, SANDWICH))

# %% [markdown]
# ## Where the known laws fall short
#
# How many more laws there are than the literature lists, by the widths of the two hidden layers of 1-$d_1$-$d_2$-1 (left), and of $a$-$h$-$b$ with two layers, where Gram entries depend on each other (right).

# %%
three = plain[plain.widths.str.match(r"1-\d-\d-1$")]
two = plain[plain.widths.str.count("-") == 2]
excess = np.zeros((3, 3))
for row in three.itertuples():
    _, d1, d2, _ = map(int, row.widths.split("-"))
    excess[d1 - 1, d2 - 1] = row.laws_at_most - d1 * (d1 + 1) // 2 - d2 * (d2 + 1) // 2
lost = np.zeros((8, 9))
for row in two.itertuples():
    a, h, b = map(int, row.widths.split("-"))
    if a + b < 10:
        lost[h - 1, a + b - 2] = row.laws_at_most - h * (h + 1) // 2
figure, axes = plt.subplots(1, 2, figsize=(9, 3))
for axis, values, names in (
    (axes[0], excess, ("$d_2$", "$d_1$")),
    (axes[1], lost[:5, :7], ("$a + b$", "$h$")),
):
    image = axis.imshow(values, origin="lower", cmap="coolwarm", vmin=-6, vmax=6)
    axis.set_xlabel(names[0])
    axis.set_ylabel(names[1])
    for (i, j), value in np.ndenumerate(values):
        axis.text(j, i, f"{value:+.0f}" if value else "0", ha="center", va="center")
axes[0].set_xticks(range(3), range(1, 4))
axes[0].set_yticks(range(3), range(1, 4))
axes[1].set_xticks(range(7), range(2, 9))
axes[1].set_yticks(range(5), range(1, 6))
plt.show()

# %% [markdown]
# ## What is left
#
# | statement | evidence |
# |---|---|
# | ReLU networks with two or three layers have a law for each hidden unit, and none with momentum | every row of the table, proved |
# | Gram matrices are all laws of linear networks | refuted: hidden layers wider than $a + b$; scalar ends |
# | skew products are all laws of linear networks with momentum | refuted: layers between two of width 1, and 1-8-1 with a bias |
# | conjecture 1, for gradient flow | every row of the table; refuted by fresh rows (probable) |
# | conjecture 2 | every row, and the fresh rows; a reason for the pieces, no proof for what joins them |
# | $4h - 6$ between two layers of width 1, with momentum | every row, and the fresh rows |
#
# The last two are conjectures. The next step for either is a proof, or a row that refutes it: `conslaw sweep linear --widths ... --expect "..."` lists such rows, the smallest first.

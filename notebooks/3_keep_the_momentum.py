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
# # Keep the Momentum, exactly
#
# Marcotte, Gribonval and Peyré ([arXiv 2405.12888](https://arxiv.org/abs/2405.12888)) extend conservation laws to momentum flows and mirror
# metrics.  This notebook repeats their three experiments, 20 random architectures for each part, with what the published notebook set out to
# test: damping $\tau\in\{0,\tfrac12,1,2\}$ and $3/t$ (there the draw was always 0), bias on and off (there always off), and for input convex
# networks the metric $\operatorname{diag}(\tau U+\dot U)$ (there $\operatorname{diag} U$).  For each network the number of laws is bounded from
# above by exact Lie ranks and from below by explicit laws; the published ones took 37 minutes on 64 cores, for $\tau=0$ alone.

# %%
import time

import numpy as np

import conslaw

DAMPINGS = [0, "1/2", 1, 2, "nesterov"]
start = time.perf_counter()


def table(rows):
    """Print what was found, and every gap in words."""
    for flow, known in rows:
        analysis = conslaw.analyze(flow)
        sizes = "-".join(map(str, analysis.widths)) + (" with bias" if analysis.bias else "")
        verdict = "complete: proved" if analysis.complete else "GAP"
        print(
            f"{analysis.model:7} {sizes:22} tau = {analysis.damping or '-':4} "
            f"at most {analysis.laws_at_most:2}, found {analysis.laws_found:2}, in the literature {known:2}   {verdict}"
        )
        if not analysis.complete:
            print(analysis)
        assert analysis.laws_found <= analysis.laws_at_most


# %% [markdown]
# ## A. Linear networks under momentum
#
# For $\varphi=UV^\top$ the literature's laws are the entries of $e^{\tau t}(U^\top\dot U-\dot U^\top U+V^\top\dot V-\dot V^\top V)$, $r(r-1)/2$ of
# them, with $t^3$ in place of $e^{\tau t}$ for $\tau=3/t$; deep networks have them layer by layer.

# %%
rng = np.random.default_rng(0)


def widths(low, high, count):
    return [int(n) for n in rng.integers(low, high + 1, count)]


linear = [widths(1, 3, int(rng.integers(3, 6))) for _ in range(20)]
table(
    (
        conslaw.momentum_flow(conslaw.linear(sizes), damping=DAMPINGS[i % 5]),
        sum(r * (r - 1) // 2 for r in sizes[1:-1]),
    )
    for i, sizes in enumerate(linear)
)

# %% [markdown]
# Where a width is 1 the count can differ from the literature's: the bounds meet all the same, so the difference is a theorem.  One law in full:

# %%
conslaw.analyze(conslaw.momentum_flow(conslaw.linear([2, 2, 2]), damping="nesterov"))

# %% [markdown]
# ## B. ReLU networks under momentum: nothing is conserved

# %%
relu = [widths(1, 3, int(rng.integers(3, 6))) for _ in range(20)]
table(
    (conslaw.momentum_flow(conslaw.relu(sizes, bias=bool(i % 2)), damping=DAMPINGS[i % 5]), 0)
    for i, sizes in enumerate(relu)
)

# %% [markdown]
# ## C. Mirror metrics: NMF and input convex networks, in gradient and in momentum flows
#
# NMF under $\operatorname{diag}\theta$ conserves $\sum_i u_{ik}-\sum_j v_{kj}$ for each $k$; an input convex network, with $U$ under
# $\operatorname{diag}U$ and $V,b$ Euclidean, $\sum_i u_{ik}-\tfrac12(\|v_k\|^2+b_k^2)$.  Under momentum, with the metric at $\tau\theta+\dot\theta$,
# nothing is left.

# %%
nmf = [widths(1, 7, 3) for _ in range(20)]
table((conslaw.gradient_flow(conslaw.nmf(sizes)), sizes[1]) for sizes in nmf)
table((conslaw.momentum_flow(conslaw.nmf(sizes), damping=DAMPINGS[i % 5]), 0) for i, sizes in enumerate(nmf))

# %%
icnn = [(widths(1, 5, 3), bool(i % 2)) for i in range(20)]
table((conslaw.gradient_flow(conslaw.icnn(sizes, bias=bias)), sizes[1]) for sizes, bias in icnn)
table(
    (conslaw.momentum_flow(conslaw.icnn(sizes, bias=bias), damping=DAMPINGS[i % 5]), 0)
    for i, (sizes, bias) in enumerate(icnn)
)

# %%
print(f"120 analyses in {time.perf_counter() - start:.1f} s")
conslaw.analyze(conslaw.gradient_flow(conslaw.icnn([3, 2, 2], bias=True)))

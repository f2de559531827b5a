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
# # What a polynomial network can represent, and what training ends in
#
# For non-increasing widths the expected dimension is attained: once a conjecture, now a theorem (Usevich et al., Corollary 16). What is open is the rest. Every number below
# is proved on both sides, by a rank mod p and by the rules of *Neurovarieties* in the documentation.

# %%
import itertools
import sys
import time

import conslaw.networks
from conslaw import varieties

sys.path.insert(0, "../benchmarks")


def dimension(widths, power):
    return varieties.dimension(conslaw.networks.polynomial(widths, power))


# %% [markdown]
# ## Activation thresholds
#
# The least power from which on a network has its expected dimension (powers up to 5 tried), for two hidden layers of widths up to 3.

# %%
start, thresholds = time.perf_counter(), {}
for widths in itertools.product(range(1, 4), repeat=4):
    found = [dimension(list(widths), power) for power in range(2, 6)]
    assert all(one.exact for one in found)
    bad = [power for power, one in zip(range(2, 6), found) if one.defect]
    thresholds[widths] = max(bad) + 1 if bad else 2
print({value: list(thresholds.values()).count(value) for value in sorted(set(thresholds.values()))})
print(f"{len(thresholds)} networks, {time.perf_counter() - start:.1f} s")

# %% [markdown]
# ## A defect that no block of two layers explains
#
# The three units of layer 1 of 2-3-7-1 are binary quintics: they lie on a plane curve of degree 5, and forms of degree 5 on it have one dimension less.

# %%
dimension([2, 3, 7, 1], 5)

# %% [markdown]
# ## Minimal filling widths
#
# The least widths (h1, h2) for which 2-h1-h2-1 with power 2 represents all binary quartics; others are proved not to, by their upper bounds.

# %%
filling = {h for h in itertools.product(range(1, 5), repeat=2) if dimension([2, *h, 1], 2).filling}
print(sorted(h for h in filling if not any(g != h and g[0] <= h[0] and g[1] <= h[1] for g in filling)))

# %% [markdown]
# ## How many functions can 2-2-3 with power 2 learn?
#
# Eight data sets, 200 starts each: gradient flow, then Levenberg-Marquardt; a start has converged if its gradient is below 1e-8. The losses of the functions found are compared with the critical values
# of the strata. Where no pair of singular values belongs to real units (the discriminant is negative) weights diverge, and the loss goes to the value of the boundary.

# %%
import sys
from pathlib import Path

sys.path.append(str(Path(conslaw.__file__).parents[1] / "benchmarks"))  # the experiment is a benchmark, too
import learning

outcomes = [learning.experiment(seed) for seed in range(8)]
for seed, one in enumerate(outcomes):
    near = ", ".join(f"{loss:.4f} {name}" for loss, name, _ in one.matched) or "none: to the boundary"
    print(
        f"{seed}: {len(one.functions)} functions (unpolished {one.naive}), {one.unconverged} unconverged; {near}"
    )

# %% [markdown]
# The quantity |w|² - 2|u|² of a neuron is conserved. Where it is positive w cannot vanish: of those neurons none died.

# %%
print(sum(one.died for one in outcomes), "of", sum(one.positive for one in outcomes))

# %% [markdown]
# The losses, a row for each data set.

# %%
from IPython.display import SVG

marks = [
    f'<circle cx="{20 + 900 * loss}" cy="{20 + 20 * row}" r="5" fill="{colour}"/>'
    for row, one in enumerate(outcomes)
    for points, colour in ((one.left, "lightgray"), (one.matched, "black"))
    for loss, _, _ in points
]
SVG(f'<svg xmlns="http://www.w3.org/2000/svg" width="500" height="190">{"".join(marks)}</svg>')

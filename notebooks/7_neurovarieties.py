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
import collections
import itertools
import sys
import time
from math import comb
from pathlib import Path

import conslaw.networks
from conslaw import varieties

sys.path.append(str(Path(conslaw.__file__).parents[1] / "benchmarks"))  # the last experiment is there


def dimension(widths, power):
    return varieties.dimension(conslaw.networks.polynomial(widths, power))


# %% [markdown]
# ## Activation thresholds
#
# The least power from which on a network has its expected dimension, among powers 2 to 6, for all widths up to 6 with one and with two hidden layers. A network is given a second; what takes longer, or where
# the bounds do not meet, would be listed as open.


# %%
def threshold(widths, limit=1.0):
    """The least power from which on there is no defect, up to 6; None if not all powers are decided."""
    start, last = time.process_time(), 1
    for power in range(2, 7):
        found = dimension(widths, power)
        if not found.exact or time.process_time() - start > limit:
            return None
        last = power if found.defect else last
    return last + 1


for layers in (3, 4):
    start, networks = time.process_time(), list(itertools.product(range(1, 7), repeat=layers))
    thresholds = {widths: threshold(list(widths)) for widths in networks}
    counts = collections.Counter(thresholds.values())
    print(
        f"{layers - 2} hidden: {len(networks)} networks, {time.process_time() - start:.0f} s CPU, open: {counts.pop(None, 0)}"
    )
    for value in sorted(counts):
        first = next(widths for widths, t in thresholds.items() if t == value)
        print(
            f"   threshold {value}{' or more' if value == 7 else ''}: {counts[value]} networks, such as {'-'.join(map(str, first))}"
        )

# %% [markdown]
# Every threshold here is proved for the powers tried: both bounds meet for each. That no larger power has a defect is not proved by this loop.
#
# ## Defects that no block of two layers explains
#
# Splitting a network at a layer bounds its dimension by those of its parts, less the scales between. Which networks of three layers have less than what their blocks of one and two layers allow? All with widths
# up to 7, one output, powers 2 to 5.


# %%
def blocks(widths, power):
    """What the blocks of at most two layers allow."""
    parts = [(widths[:2], widths[1:]), (widths[:3], widths[2:])]
    sums = [dimension(a, power).dimension + dimension(b, power).dimension - a[-1] for a, b in parts]
    return min([*sums, dimension(widths, power).expected_dimension])


start, unexplained, undecided = time.process_time(), [], 0
for widths in itertools.product(range(2, 8), range(1, 8), range(1, 8), [1]):
    for power in range(2, 6):
        found = dimension(list(widths), power)
        undecided += not found.exact
        if found.exact and found.defect and found.dimension < blocks(list(widths), power):
            unexplained.append((widths, power, found))
print(f"{len(unexplained)} networks, {undecided} undecided, {time.process_time() - start:.0f} s CPU")
for widths, power, found in unexplained[:12]:
    print(
        widths,
        power,
        f"{found.dimension}, blocks {blocks(list(widths), power)}, naive {found.naive_dimension}:",
        found.reasons[0],
    )

# %% [markdown]
# The first one is 2-3-7-1 with power 5: its three units of layer 1 are binary quintics, which lie on a plane curve of degree 5, and forms of degree 5 on it have one dimension less. In the others a general linear group acts
# between the units of layer 1 and the few of layer 2, so that more is lost than a scale for each.

# %%
dimension([2, 3, 7, 1], 5)

# %% [markdown]
# ## Minimal filling widths, proved and complete
#
# The least hidden widths (h1, h2) for which a network represents everything. Filling passes on to wider layers. More units of layer 1 than there are powers of linear forms, or more units of layer 2 than there are
# coefficients, add nothing. So a finite search is complete: each pair of the list is filling by its lower bound, and each pair just below is not, by its upper bound.


# %%
def fills(widths, power):
    """Whether it is filling: proved, else None."""
    found = dimension(widths, power)
    return found.filling if found.exact else None


def minimal_filling(inputs, outputs, power):
    """The minimal pairs, or None if a bound is missing."""
    most = outputs * comb(inputs - 1 + power**2, power**2)
    least = {}
    for h1 in range(1, comb(inputs - 1 + power, power) + 1):
        low, high = 1, most + 1  # most + 1: never
        while low < high:
            middle = (low + high) // 2
            decided = fills([inputs, h1, middle, outputs], power)
            if decided is None:
                return None
            low, high = (low, middle) if decided else (middle + 1, high)
        least[h1] = low
    return [(h1, h2) for h1, h2 in least.items() if h2 <= most and h2 < least.get(h1 - 1, most + 1)]


for inputs, outputs, power in [
    (2, 1, 2),
    (2, 2, 2),
    (2, 3, 2),
    (2, 1, 3),
    (2, 2, 3),
    (2, 1, 4),
    (2, 1, 5),
    (3, 1, 2),
    (3, 2, 2),
    (3, 3, 2),
    (4, 1, 2),
    (3, 1, 3),
]:
    print(f"{inputs}-h1-h2-{outputs}, power {power}:", minimal_filling(inputs, outputs, power))

# %% [markdown]
# ## How many functions can 2-2-3 with power 2 learn?
#
# Eight data sets, 200 starts each: gradient flow, then Levenberg-Marquardt. A start has *converged* if its gradient is below 1e-8 at a point without negative curvature; where a neuron is dying it is put to 0, and
# must be stable there. Where two weights become one and the outgoing ones diverge, no weights represent the limit: it is compared with the minima of the *boundary*, a unit and its tangent, that real pairs of units
# near it do not improve on. This happens in three of eight data sets to nearly all starts: there the discriminant of the best function of rank two is negative. What is left trains slowly past a saddle.

# %%
import learning

outcomes = [learning.experiment(seed) for seed in range(8)]
for seed, one in enumerate(outcomes):
    values = ", ".join(f"{loss:.4f} {name}" for loss, name, _ in one.matched)
    print(
        f"{seed}: {one.converged} converged, {one.boundary} to the boundary, {one.unconverged} neither; {len(one.functions)} functions: {values}"
    )
print(sum(one.converged + one.boundary for one in outcomes), "of 1600 starts are settled")
print("largest distance from a critical value:", max(gap for one in outcomes for _, _, gap in one.matched))

# %% [markdown]
# Naive clustering, of end points that are not polished, counts as many functions as its tolerance makes: training slows down near saddles and on the way to the boundary, and ends are spread there. 12 to 28, or other
# numbers, are a choice of tolerance; 1 to 3 or 4 does not depend on one.

# %%
for tolerance in learning.NAIVE:
    print(tolerance, [one.naive[tolerance] for one in outcomes])
print("polished", [len(one.functions) for one in outcomes])

# %% [markdown]
# The quantity |w|² - 2|u|² of a neuron is conserved. Where it is positive w cannot vanish: of those neurons none died.

# %%
print(sum(one.died for one in outcomes), "of", sum(one.positive for one in outcomes))

# %% [markdown]
# The losses, a row for each data set: functions of weights black, limits at the boundary red.

# %%
from IPython.display import SVG

marks = [
    f'<circle cx="{20 + 900 * loss}" cy="{20 + 20 * row}" r="5" fill="{"red" if name == "boundary" else "black"}"/>'
    for row, one in enumerate(outcomes)
    for loss, name, _ in one.matched
]
SVG(f'<svg xmlns="http://www.w3.org/2000/svg" width="500" height="190">{"".join(marks)}</svg>')

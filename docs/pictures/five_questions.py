"""The pictures of the front page (``python docs/pictures/five_questions.py``), for light and dark screens."""

from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

import conslaw
from conslaw import plots, regions, varieties

NETWORK = conslaw.relu([2, 5, 1], bias=True)
INKS = {"light": "#222222", "dark": "#dddddd"}
SIZE = (6.4, 2.9)


def data():
    """Sixty points of the plane, and a function on them."""
    x = np.random.default_rng(0).uniform(-2, 2, (60, 2))
    return {"data": {"x": x}, "targets": np.sin(x[:, :1]) + x[:, 1:] ** 2 / 4, "seed": 1}


def run():
    """The run of the second question: gradient descent."""
    return conslaw.simulate(NETWORK, method="gd", step=0.05, steps=400, states=True, **data())


def axes_of(title, size=SIZE):
    """A figure with one panel."""
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots()
    axes.set_title(title, fontsize="medium")
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def conserved():
    """How many laws there are, as the network is trained in five ways."""
    found = [(part.name, part.answer.laws_found) for part in conslaw.report(NETWORK, seconds=60).flows]
    figure, axes = axes_of("independent conservation laws: all of them, proved")
    bars = axes.barh([name for name, _ in found], [laws for _, laws in found], color="#4c8bbf")
    axes.bar_label(bars, padding=4)
    axes.invert_yaxis()
    axes.margins(x=0.1)
    return figure


def drift():
    """What a run did to them, and what was predicted of it."""
    figure = plots.drift(run())
    figure.set_size_inches(*SIZE)
    return figure


def represented():
    """Parameters, as dimension and fibre, for growing hidden layers."""
    widths = range(1, 9)
    found = [varieties.dimension(conslaw.relu([2, h, 1], bias=True)) for h in widths]
    assert all(one.exact for one in found)
    figure, axes = axes_of("parameters of 2-h-1: what changes the function, and what does not")
    dimensions, fibres = ([getattr(x, n) for x in found] for n in ("dimension", "fibre_dimension"))
    axes.bar(widths, dimensions, color="#4c8bbf", label="dimension")
    axes.bar(widths, fibres, bottom=dimensions, color="#e0a03c", label="fibre")
    axes.set_xlabel("hidden units h")
    axes.legend(frameon=False)
    return figure


def linear_regions():
    """Where the trained network is affine: its exact cells in a square."""
    weights = {name: states[-1] for name, states in run().states.items()}
    found = regions.polyhedral_complex(NETWORK, weights=weights, within=([-2, -2], [2, 2]))
    cells = found.cells(2)
    figure, axes = axes_of(f"{len(cells)} cells of the trained network, proved", size=(6.4, 4))
    colours = mpl.colormaps["Set3"](np.linspace(0, 1, len(cells)))
    for signs, colour in zip(cells, colours, strict=True):
        corners = found.vertices[((found.sign_vectors == 0) | (found.sign_vectors == signs)).all(axis=1)]
        arms = corners - corners.mean(axis=0)
        around = corners[np.argsort(np.arctan2(arms[:, 1], arms[:, 0]))]
        axes.fill(*around.T, facecolor=(*colour[:3], 0.75), edgecolor="#555555", linewidth=0.8)
    axes.plot(*data()["data"]["x"].T, ".", color="#333333", markersize=3)
    axes.set_aspect("equal")
    return figure


def everywhere():
    """Laws of all networks with up to four units in each layer, against the conjecture."""
    swept = conslaw.sweep("relu", widths="1..4", depth=2, bias=True)
    found = [(row["widths"], row["laws_found"]) for row in swept.rows()]
    figure, axes = axes_of(f"{len(found)} networks: laws found, and the conjecture (line)")
    hidden = np.array([int(widths.split("-")[1]) for widths, _ in found])
    moved = np.random.default_rng(0).uniform(-0.25, 0.25, len(found))
    axes.plot([0.5, 4.5], [0.5, 4.5], color="#e0a03c", zorder=0)
    axes.plot(hidden + moved, [laws for _, laws in found], "o", color="#4c8bbf", markersize=4, alpha=0.8)
    axes.set(xlabel="hidden units", ylabel="laws", xticks=range(1, 5), yticks=range(1, 5))
    return figure


PICTURES = (conserved, drift, represented, linear_regions, everywhere)

if __name__ == "__main__":
    mpl.rcParams["svg.hashsalt"] = "conslaw"  # the same bytes each time
    for screen, ink in INKS.items():
        inks = ("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color")
        plain = {"axes.facecolor": "none", "legend.facecolor": "none", "legend.edgecolor": "none"}
        with mpl.rc_context({**dict.fromkeys(inks, ink), **plain}):
            for picture in PICTURES:
                file = Path(__file__).parent / f"{picture.__name__}_{screen}.svg"
                picture().savefig(file, transparent=True, metadata={"Date": None})

"""The picture of the README (``python docs/pictures/drift.py``): drift, and what was predicted of it."""

from pathlib import Path

import numpy as np

import conslaw
from conslaw import plots


def picture():
    """A ReLU network on digits, by gradient descent in three steps and by heavy ball."""
    from sklearn.datasets import load_digits

    digits = load_digits(n_class=4)
    given = {"data": {"x": digits.data / 8 - 1}, "targets": digits.target, "loss": "cross_entropy"}
    model = conslaw.relu([64, 32, 4], bias=True)
    rng = np.random.default_rng(0)
    given["start"] = {n: rng.uniform(-1, 1, s) / s[-1] ** 0.5 for n, s in model.parameters.items()}
    given["analysis"] = conslaw.analyze(model)
    runs = {}
    for step in (0.01, 0.02, 0.04):
        descent = conslaw.simulate(model, method="gd", step=step, steps=round(4 / step), **given)
        runs[f"gradient descent, η = {step}"] = descent
    options = {"method": "heavy_ball", "momentum": 0.9, "step": 0.01, "steps": 400}
    runs["heavy ball, β = 0.9, η = 0.01"] = conslaw.simulate(model, **options, **given)
    return plots.drift(*runs.values(), labels=list(runs))


if __name__ == "__main__":
    picture().savefig(Path(__file__).with_suffix(".png"), dpi=110)

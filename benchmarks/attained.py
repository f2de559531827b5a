"""Whether answers are complete near given weights: an analysis and its ``at``, CPU seconds of each."""

from __future__ import annotations

import time
from itertools import pairwise

import numpy as np
from rows import Row

NETWORKS = {
    "relu 2-3-3-3-1": ("relu", [2, 3, 3, 3, 1]),
    "relu 4-6-6-6-3": ("relu", [4, 6, 6, 6, 3]),
    "relu 20-30-30-10": ("relu", [20, 30, 30, 10]),
    "relu 64-64-10": ("relu", [64, 64, 10]),
    "relu 784-20-10": ("relu", [784, 20, 10]),
    "relu 784-128-10": ("relu", [784, 128, 10]),
    "relu 784-512-512-10": ("relu", [784, 512, 512, 10]),
    "relu 784-256-256-256-10": ("relu", [784, 256, 256, 256, 10]),
    "gelu 20-30-10": ("gelu", [20, 30, 10]),
    "gelu 40-40-10": ("gelu", [40, 40, 10]),
    "tanh 10-20-20-20-5": ("tanh", [10, 20, 20, 20, 5]),
    "transformer block 8, 2 heads, 16": ("block", [8, 2, 16]),
    "relu 40-...-40-4, 14 layers": ("relu", [40] * 14 + [4]),
}


def made(kind: str, sizes: list[int]):  # type: ignore[no-untyped-def]
    import conslaw

    if kind == "block":
        return conslaw.networks.transformer_block(sizes[0], heads=sizes[1], hidden=sizes[2])
    layers = range(1, len(sizes))
    shapes = {f"W{i}": (after, before) for i, (before, after) in enumerate(pairwise(sizes), start=1)}
    shapes |= {f"b{i}": (sizes[i],) for i in layers}

    def potential(p, c):  # type: ignore[no-untyped-def]
        h = c.x
        for i in layers:
            h = p[f"W{i}"] @ h + p[f"b{i}"]
            h = getattr(conslaw.nn, kind)(h) if i < layers[-1] else h
        return c.v @ h

    return conslaw.model(potential, parameters=shapes, data={"x": (sizes[0],), "v": (sizes[-1],)}, name=kind)


def near_weights(name: str) -> str:
    import conslaw

    model = made(*NETWORKS[name])
    rng = np.random.default_rng(0)
    # PyTorch's start: uniform, by the number of inputs
    weights = {n: rng.uniform(-1, 1, s) / np.sqrt(s[-1]) for n, s in model.parameters.items()}
    start = time.process_time()
    analysis = conslaw.analyze(model)
    middle = time.process_time()
    found = analysis.at(weights)
    end = time.process_time()
    return (
        f"{model.size:,} parameters, rank {found.rank:,} of {found.generic_rank:,} by {found.method}, "
        f"{found.inputs:,} inputs: analyzed in {middle - start:.2f} s, at in {end - middle:.2f} s"
    )


ROWS = [Row(f"at: {name}", near_weights, (name,)) for name in NETWORKS]

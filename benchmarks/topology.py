"""Topology of level sets, frames of films, walls crossed: CPU milliseconds and megabytes, one BLAS thread.

``OPENBLAS_NUM_THREADS=1 python benchmarks/topology.py``.  Networks have normal weights; the topology is that
of the boundary and both sides, and begins when the complex is there.  Each time is the least of three.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from conslaw import regions

COMPLEXES = [(2, 40, 30, 1), (3, 12, 10, 1), (4, 8, 6, 1), (4, 12, 8, 1), (5, 8, 5, 1)]
FILMED = (2, *(14,) * 6, 1)


def normal(widths: tuple[int, ...]) -> list[tuple[np.ndarray, np.ndarray]]:
    rng = np.random.default_rng(1)
    return [(rng.normal(size=(n, m)), rng.normal(size=n)) for m, n in pairwise(widths)]


def as_trained(widths: tuple[int, ...]) -> list[tuple[np.ndarray, np.ndarray]]:
    """With He's variance and small biases, so that all layers cut the square."""
    return [(W * np.sqrt(2 / W.shape[1]), b / 10) for W, b in normal(widths)]


def least(run: Callable[[], object]) -> float:
    times = []
    for _ in range(3):
        start = time.process_time()
        run()
        times.append(time.process_time() - start)
    return 1e3 * min(times)


def show(what: str, milliseconds: float, said: str) -> None:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{what:34} {milliseconds:8.0f} ms {peak:7.0f} MB so far   {said}", flush=True)


def main() -> None:
    for widths in COMPLEXES:
        layers = normal(widths)
        found = regions.polyhedral_complex(layers)
        for word in ("none", "point"):
            topology = regions.topology(found, level=0.1, at_infinity=word)
            took = least(lambda found=found, word=word: regions.topology(found, level=0.1, at_infinity=word))
            name = f"topology {'-'.join(map(str, widths))}, {word}"
            show(name, took, f"{sum(found.f_vector)} cells, boundary {topology.boundary.betti}")
    layers = as_trained(FILMED)
    grid = np.random.default_rng(0).uniform(0, 1, (1024, 1024))
    points = np.random.default_rng(0).uniform(-1, 1, (5_000, 2)), np.zeros(5_000)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "a.gif"
        film = regions.film([layers], path, target=grid, training=points)
        took = least(lambda: regions.film([layers], path, target=grid, training=points))
    show(f"a frame of {'-'.join(map(str, FILMED))}", took, f"{film.frames[0].polygons} polygons")
    data = np.random.default_rng(0).normal(size=(5_000, 2))
    took = least(lambda: regions.wall_crossings([layers, layers], data))
    show("two states on 5,000 data", took, "")


if __name__ == "__main__":
    main()

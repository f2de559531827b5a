"""Topology of level sets, frames of films, walls crossed: CPU milliseconds.

Networks have normal weights; the topology is that of the boundary and both sides, and begins when the complex
is there.  Each time is the least of three.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from rows import Row

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


def level_set(widths: tuple[int, ...], at_infinity: str) -> str:
    """Betti numbers of a level set and both its sides."""
    found = regions.polyhedral_complex(normal(widths))

    def work() -> regions.Topology:
        return regions.topology(found, level=0.1, at_infinity=at_infinity)

    return f"{least(work):.0f} ms: {sum(found.f_vector)} cells, boundary {work().boundary.betti}"


def frame() -> str:
    """A frame of a film, with its target and 5,000 data."""
    grid = np.random.default_rng(0).uniform(0, 1, (1024, 1024))
    points = np.random.default_rng(0).uniform(-1, 1, (5_000, 2)), np.zeros(5_000)
    with TemporaryDirectory() as folder:

        def work() -> regions.Film:
            return regions.film([as_trained(FILMED)], Path(folder) / "a.gif", target=grid, training=points)

        return f"{least(work):.0f} ms: {work().frames[0].polygons} polygons"


def crossings() -> str:
    """The walls crossed between two states that are the same."""
    data = np.random.default_rng(0).normal(size=(5_000, 2))
    layers = as_trained(FILMED)
    return f"{least(lambda: regions.wall_crossings([layers, layers], data)):.0f} ms"


ROWS = [
    *[
        Row(f"topology {'-'.join(map(str, widths))}, at infinity: {word}", level_set, (widths, word))
        for widths in COMPLEXES
        for word in ("none", "point")
    ],
    Row(f"a frame of {'-'.join(map(str, FILMED))}", frame),
    Row("two states on 5,000 data", crossings),
]

"""What a benchmark is: a name, a function that does the work and says what came out, and its arguments."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

Layers = list[tuple[np.ndarray, np.ndarray]]


class Row(NamedTuple):
    """One row: ``function(*arguments)`` is timed in a process of its own, its imports not counted.

    ``beside`` is a published figure; ``along`` a direction of growth and how far along it this row is.
    """

    name: str
    function: Callable[..., str]
    arguments: tuple[object, ...] = ()
    beside: str = ""
    along: tuple[str, float] | None = None


def normal_layers(widths: list[int]) -> Layers:
    """Weights and biases of a network, normal with variance 1 / inputs and 1 / 4."""
    rng = np.random.default_rng(0)
    return [(rng.normal(size=(n, m)) / m**0.5, rng.normal(size=n) / 2) for m, n in itertools.pairwise(widths)]

"""Where ReLU networks are linear: complexes, polytopes, patterns on data."""

from __future__ import annotations

import numpy as np
from rows import Row, normal_layers

from conslaw import regions


def complex_of(widths: list[int], certify: bool) -> str:
    found = regions.polyhedral_complex(normal_layers(widths), certify=certify, most_cells=20_000_000)
    return f"{sum(found.f_vector)} cells, {'proved' if found.certified else 'not certified'}"


def polytope_of(widths: list[int], box: tuple[int, int] | None = None) -> str:
    x = np.random.default_rng(1).normal(size=widths[0])
    found = regions.polytope(normal_layers(widths), x, box=box)
    return f"{len(found.facets)} facets, {len(found.redundant)} redundant, {len(found.undecided)} undecided"


def patterns_of(widths: list[int], points: int) -> str:
    data = np.random.default_rng(1).normal(size=(points, widths[0]))
    found = regions.data_patterns(normal_layers(widths), data)
    return f"{len(found.classes)} classes, {len(found.off)} off"


ROWS = [
    *[
        Row(f"neurons: complex 3-{n}-{n}-1", complex_of, ([3, n, n, 1], True), along=("neurons a layer", n))
        for n in (5, 10, 15, 25, 50)
    ],
    Row("complex 3-50-50-1, search alone", complex_of, ([3, 50, 50, 1], False)),
    Row("complex 2-14x6-1", complex_of, ([2, *[14] * 6, 1], True)),
    Row("complex 3-20-2-20-20-1, a bottleneck", complex_of, ([3, 20, 2, 20, 20, 1], True)),
    Row("complex 2-40x20-1, search alone", complex_of, ([2, *[40] * 20, 1], False)),
    Row("complex 2-40x20-1", complex_of, ([2, *[40] * 20, 1], True)),
    Row("complex 4-30-30-1, search alone", complex_of, ([4, 30, 30, 1], False)),
    Row("complex 3-100-100-1, search alone", complex_of, ([3, 100, 100, 1], False)),
    Row("polytope 64-128-128-10", polytope_of, ([64, 128, 128, 10],)),
    Row("polytope 784-128-128-10", polytope_of, ([784, 128, 128, 10],)),
    Row("polytope 784-64-64-10, pixels", polytope_of, ([784, 64, 64, 10], (-5, 5))),
    Row("data patterns 784-128-128-10, 10,000 data", patterns_of, ([784, 128, 128, 10], 10_000)),
]

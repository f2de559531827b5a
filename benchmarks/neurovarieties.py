"""Neurovarieties: dimensions, equations, learning."""

from __future__ import annotations

import numpy as np
from learning import learning
from rows import Row


def random_networks(count: int) -> str:
    """Both bounds of random polynomial networks of at most 100 parameters."""
    from conslaw import varieties
    from conslaw.networks import polynomial

    rng, exact, done = np.random.default_rng(0), 0, 0
    while done < count:
        depth, power = int(rng.integers(2, 5)), int(rng.integers(2, 5))
        model = polynomial(rng.integers(1, 7, depth + 1).tolist(), power)
        if model.size <= 100:
            exact, done = exact + varieties.dimension(model).exact, done + 1
    return f"{exact:,} of {count:,} exact"


def neurovariety(widths: list[int], power: int) -> str:
    from conslaw import varieties
    from conslaw.networks import polynomial

    found = varieties.dimension(polynomial(widths, power))
    return f"dimension {found.dimension:,}, exact: {found.exact}"


def equations(widths: list[int], power: int, degree: int) -> str:
    from conslaw import varieties
    from conslaw.networks import polynomial

    found = varieties.equations(polynomial(widths, power), degree=degree)
    numbers = ", ".join(str(found.number(d)[0]) for d in range(1, degree + 1))
    return f"{numbers} equations in degrees 1, 2, ..., complete to {found.complete_to_degree}: proved"


ROWS = [
    Row("neurovarieties: 500 random networks, both bounds", random_networks, (500,)),
    Row("neurovarieties: 10,000 random networks", random_networks, (10_000,)),
    *[
        Row(f"neurovariety {'-'.join(map(str, widths))}, power {power}", neurovariety, (widths, power))
        for widths, power in (
            ([10] * 4, 3),
            ([100] * 3, 3),
            ([784, 512, 10], 2),
            ([1000] * 4, 2),
            ([37, 1000, 53], 2),
            ([30, 2000, 3000, 5], 2),
        )
    ],
    Row("neurovariety 3-3-3, equations to degree 4", equations, ([3, 3, 3], 2, 4)),
    Row("neurovariety 3-3-3, equations to degree 6", equations, ([3, 3, 3], 2, 6)),
    Row("neurovariety 2-2-3-1, power 3, equations to degree 7", equations, ([2, 2, 3, 1], 3, 7)),
    Row("learning: 8 data sets x 200 starts of 2-2-3", learning),
]

"""A network whose last neuron is an output less a level, and the homology of the cells on its sides."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from conslaw.errors import ConslawError
from conslaw.regions.cell_data import CellData
from conslaw.regions.homology import Homology, Space, compactified, components, plain
from conslaw.regions.networks_read import Array, Layer, Network, integers

AT_INFINITY = {
    "none": "the sets themselves",
    "point": "infinity is always added as a point",
    "ends": "infinity is added where a set is unbounded",
}


@dataclass(frozen=True, eq=False)
class Side:
    """A closed subcomplex: which cells, its homology, the component of each vertex (-1: none), which of these
    are bounded.
    """

    chosen: list[Array]
    homology: Homology
    component: Array
    bounded: Array


def cut_by_level(
    network: Network, output: int, level: Any, classes: tuple[int, int] | None
) -> tuple[Network, str, Fraction]:
    """The network whose last neuron is F - level, what F is, and the exact level."""
    last = network.layers[-1]
    rows, denominator, front = last.numerators, last.denominator, network.layers[:-1]
    if last.slope is not None:
        rows, denominator, front = (
            np.eye(last.width, last.width + 1, dtype=int).astype(object),
            1,
            network.layers,
        )
    named = {"output": (output,)} if classes is None else {"classes": classes}
    for what, names in named.items():
        if not isinstance(names, tuple | list) or len(names) != (1 if what == "output" else 2):
            raise ConslawError(f"classes={classes!r}: give a pair (i, j) of outputs")
        for i in names:
            if isinstance(i, bool) or not isinstance(i, int | np.integer) or not 0 <= i < len(rows):
                raise ConslawError(f"{what}={i!r}: the network has outputs 0 to {len(rows) - 1}")
    if classes is not None and classes[0] == classes[1]:
        raise ConslawError(f"classes={classes!r}: give two different outputs")
    row, function = rows[output].copy(), f"F_{output}"
    if classes is not None:
        i, j = classes
        row, function = rows[i] - rows[j], f"F_{i} - F_{j}"
    given = np.empty(1, object)
    given[0] = level
    (p,), q = integers(given, "level")
    row = row * q
    row[-1] -= p * denominator
    layers = (*front, Layer(row[None], denominator * q, Fraction(0)))
    return Network(layers, network.name), function, Fraction(int(p), q)


def sides(data: CellData, lineality: int, at_infinity: str, *, all_ranks: bool = False) -> dict[str, Side]:
    """The boundary and what is below and above, from the cells; the last neuron is F - level."""
    sign = [data.cells(k)[:, -1] for k in range(len(data.facets))]
    space = Space(tuple(map(len, sign)), data.facets)
    masks = {
        "boundary": [s == 0 for s in sign],
        "below": [s <= 0 for s in sign],
        "above": [s >= 0 for s in sign],
    }
    result = {}
    for name, chosen in masks.items():
        pieces, bounded = components(space, chosen)
        unbounded = bool(len(bounded)) and (bool(lineality) or not bounded.all())
        if at_infinity == "point" or (at_infinity == "ends" and unbounded):
            homology = compactified(space, chosen, all_ranks=all_ranks).suspended(lineality)
        else:
            homology = plain(space, chosen, all_ranks=all_ranks).widened(lineality)
        result[name] = Side(chosen, homology, pieces, bounded)
    return result

"""The proof of any complex: it agrees with the subdivision, and no part of a complex passes for the whole."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from test_complexes import networks, normal

from conslaw.regions.cell_data import AllCells
from conslaw.regions.certified_cells import prove_cells
from conslaw.regions.certified_vertices import NotProved
from conslaw.regions.networks_read import point, read
from conslaw.regions.subdivision import subdivided


def subdivision(layers, boxed):
    network = read(layers)
    d = network.inputs
    box = [point([-1] * d, d), point([2] * d, d)] if boxed else None
    return network, subdivided(network, 10**5, box), box


@given(networks(), st.booleans())
def test_the_subdivision_is_proved(layers, boxed):
    network, cells, box = subdivision(layers, boxed)
    sides = network.inputs if boxed else 0
    assert prove_cells(network, cells, box) == AllCells(cells, sides).counts(0)


def part(cells, keep):
    """The chosen regions with all of their faces."""
    masks = [keep]
    for rows, columns in reversed(cells.facets[1:]):
        mask = np.zeros(len(cells.signs[len(cells.signs) - 1 - len(masks)]), bool)
        mask[columns[masks[0][rows]]] = True
        masks.insert(0, mask)
    new = [np.cumsum(mask) - 1 for mask in masks]
    facets = [cells.facets[0]]
    for k, (rows, columns) in enumerate(cells.facets[1:], 1):
        stay = masks[k][rows]
        facets.append((new[k][rows[stay]], new[k - 1][columns[stay]]))
    ray = cells.ray[masks[1]]
    ends = np.concatenate([cells.ends[: cells.vertices][masks[0]], cells.ends[cells.vertices :]])
    ray = np.where(ray >= 0, ray - cells.vertices + int(masks[0].sum()), -1)
    signs = [matrix[mask] for matrix, mask in zip(cells.signs, masks, strict=True)]
    return replace(cells, signs=signs, facets=facets, ray=ray, ends=ends)


@given(networks(), st.booleans(), st.data())
def test_a_part_of_a_complex_is_never_the_whole(layers, boxed, data):
    network, cells, box = subdivision(layers, boxed)
    regions = len(cells.signs[-1])
    assume(len(cells.signs) > 1 and regions > 1)
    chosen = data.draw(st.lists(st.booleans(), min_size=regions, max_size=regions))
    assume(any(chosen) and not all(chosen))
    with pytest.raises(NotProved):
        prove_cells(network, part(cells, np.array(chosen)), box)


def changes(cells, rng):
    for _ in range(12):
        k = int(rng.integers(len(cells.signs)))
        signs = [matrix.copy() for matrix in cells.signs]
        i, j = rng.integers(len(signs[k])), rng.integers(signs[k].shape[1])
        signs[k][i, j] = (signs[k][i, j] + 1 + rng.integers(1, 3)) % 3 - 1
        yield {"signs": signs}
        k = int(rng.integers(1, len(cells.signs)))
        rows, columns = cells.facets[k]
        facets, i = list(cells.facets), rng.integers(len(rows))
        facets[k] = (np.delete(rows, i), np.delete(columns, i))
        yield {"facets": facets}
        ends = cells.ends.copy()
        i = rng.integers(len(ends))
        ends[i] = -ends[i]
        yield {"ends": ends}
    yield {"ray": np.full(len(cells.ray), -1)}


@pytest.mark.parametrize("bias", [True, False])
def test_changes_are_noticed(bias):
    network, cells, _ = subdivision(normal((3, 5, 4, 1), 1, bias), False)
    for change in changes(cells, np.random.default_rng(0)):
        with pytest.raises(NotProved):
            prove_cells(network, replace(cells, **change), None)

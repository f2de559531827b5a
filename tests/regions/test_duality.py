"""Homology of level sets from the cells alone: dualities that hold only if no cell is missing."""

from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_affine_values import by_rationals
from test_complexes import normal

from conslaw import regions
from conslaw.regions.networks_read import read


def cut_by_the_output(widths, seed):
    """A network whose last neuron is a hidden one, so that its zero set is made of cells."""
    *hidden, (W, b) = normal(widths, seed)
    found = regions.polyhedral_complex([*hidden, (W, b, 0)])
    return [found.cells(k) for k in range(found.dimension + 1)], found


def incidence(cells, faces):
    """Over F_2: a face has the signs of the cell, or 0."""
    return ((faces[None] == 0) | (faces[None] == cells[:, None])).all(axis=2)


def rank(matrix):
    """Over F_2."""
    rows, found = [int("".join("01"[x] for x in row) or "0", 2) for row in matrix.astype(int)], 0
    while rows:
        pivot = rows.pop()
        if pivot:
            found += 1
            top = 1 << (pivot.bit_length() - 1)
            rows = [row ^ pivot if row & top else row for row in rows]
    return found


def betti(levels):
    """Of the chain complex of these cells with the boundary inside: Borel-Moore, if rays have one end."""
    ranks = [0, *(rank(incidence(high, low)) for low, high in pairwise(levels)), 0]
    return [len(cells) - ranks[k] - ranks[k + 1] for k, cells in enumerate(levels)]


CASES = st.tuples(st.sampled_from([(2, 5, 4, 1), (2, 3, 3, 2, 1), (3, 4, 3, 1)]), st.integers(0, 10**6))


@given(CASES)
def test_alexander_duality(case):
    """For X = {F = 0} with infinity in the sphere S^d: reduced b_i of the complement is b_(d-i-1) of X."""
    levels, found = cut_by_the_output(*case)
    d = found.dimension
    zero = betti([cells[cells[:, -1] == 0] for cells in levels])
    open_ = betti([cells[cells[:, -1] != 0] for cells in levels])
    complement = open_[::-1]  # Poincare duality: b_i of an open set is the (d - i)-th with compact support
    complement[0] -= 1
    assert complement[:d] == zero[:d][::-1]


@given(CASES)
def test_components_of_the_complement(case):
    """Alexander duality for i = 0, its left side by walking through facets."""
    levels, found = cut_by_the_output(*case)
    d, sign = found.dimension, levels[-1][:, -1]
    facets = levels[d - 1][levels[d - 1][:, -1] != 0]
    parent = list(range(len(sign)))

    def root(i):
        while parent[i] != i:
            i = parent[i]
        return i

    for column in incidence(levels[d], facets).T:
        one, two = np.flatnonzero(column)
        parent[root(one)] = root(two)
    zero = betti([cells[cells[:, -1] == 0] for cells in levels])
    assert len({root(i) for i in range(len(sign))}) == 1 + zero[d - 1]


@given(CASES)
def test_bounded_cells_carry_the_homology_of_a_level_set(case):
    """All cells are pointed: X and its bounded cells have one homology, that of the order complex of X."""
    levels, found = cut_by_the_output(*case)
    inside = [cells[cells[:, -1] == 0] for cells in levels]
    every = np.concatenate(inside)
    above = incidence(every, every).T & ~np.eye(len(every), dtype=bool)
    chains = [np.arange(len(every))[:, None]]
    for _ in range(found.dimension - 1):
        last, ups = np.nonzero(above[chains[-1][:, -1]])
        chains.append(np.concatenate([chains[-1][last], ups[:, None]], axis=1))
    named = [np.zeros((len(c), len(every)), np.int8) for c in chains]
    for matrix, c in zip(named, chains, strict=True):
        np.put_along_axis(matrix, c, 1, axis=1)
    rays = inside[1][incidence(inside[1], levels[0]).sum(axis=1) == 1]
    bounded = [cells[~incidence(cells, rays).any(axis=1)] for cells in inside]
    assert betti(named)[: found.dimension] == betti(bounded)[: found.dimension]


@pytest.mark.parametrize("widths", [(2, 5, 4, 3, 1), (3, 5, 4, 3, 1)])
def test_determinants_around_a_vertex_agree(widths):
    """det of the gradients of the d neurons at a vertex, the same for all 2^d sides."""
    layers = [(np.round(W * 8).astype(int), np.round(b * 8).astype(int)) for W, b in normal(widths, 2)]
    found, network, d = regions.polyhedral_complex(layers), read(layers), widths[0]
    for sign in found.sign_vectors[:12]:
        zeros = np.flatnonzero(sign == 0)
        if len(zeros) != d:
            continue
        seen = set()
        for choice in product((-1, 1), repeat=d):
            own = sign.copy()
            own[zeros] = choice
            rows = by_rationals(network, own, [0] * d)
            seen.add(_determinant([rows[i][1:] for i in zeros]))
        assert len(seen) == 1


def _determinant(rows):
    if len(rows) == 1:
        return rows[0][0]
    return sum(
        (-1) ** j * c * _determinant([r[:j] + r[j + 1 :] for r in rows[1:]]) for j, c in enumerate(rows[0])
    )


@pytest.mark.parametrize("widths", [(2, 6, 5, 1), (3, 5, 4, 1)])
def test_fans_are_two_charts_and_an_equator(widths):
    """Without bias, with the wall x_d = 0: cones over the cells at x_d = 1 and -1, and the fan at x_d = 0."""
    (W, _), (V, _), *rest = normal(widths, 1, bias=False)
    d = widths[0]
    unit = np.eye(d)
    layers = [(np.concatenate([W, unit[-1:]]), None), (np.pad(V, ((0, 0), (0, 1))), None), *rest]

    def slice_at(height):
        within = {"origin": height * unit[-1], "directions": unit[:, :-1]}
        return (*regions.polyhedral_complex(layers, within=within).f_vector, 0)

    whole = regions.polyhedral_complex(layers).f_vector
    up, down, equator = (slice_at(height) for height in (1, -1, 0))
    assert list(whole) == [(up[k - 1] + down[k - 1] if k else 0) + equator[k] for k in range(d + 1)]

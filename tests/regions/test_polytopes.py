"""The polytope at a point: the point is in it, facets and redundancy are proved, neighbours are symmetric."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial import ConvexHull, HalfspaceIntersection
from test_complexes import normal

from conslaw import ConslawError, regions
from conslaw.regions.networks_read import read
from conslaw.regions.signs import exact_values

SQUARE = [([[1, 0], [0, 1], [1, 1]], [0, 0, -1]), ([[1, 1, 1]], [0])]


def product(A, x):
    return [sum(c * y for c, y in zip(row, x, strict=True)) for row in A]


SLOPES = [0, -0.3, 0.0006, 1e-5]  # the last two with denominators 2**63 and 2**69


@given(
    st.integers(0, 10**6),
    st.sampled_from([(2, 5, 4, 1), (3, 6, 4, 2), (5, 8, 6, 3)]),
    st.booleans(),
    st.sampled_from(SLOPES),
)
def test_proofs_hold_for_random_networks(seed, widths, bias, slope):
    *hidden, last = normal(widths, seed, bias)
    layers = [*((W, b, slope) for W, b in hidden), last]
    x = np.random.default_rng(seed).normal(size=widths[0])
    found = regions.polytope(layers, x)
    A, b = (m.fractions() for m in found.inequalities)
    exact = [Fraction(c) for c in x]
    assert all(v <= c for v, (c,) in zip(product(A, exact), b, strict=True))
    M, c = (m.fractions() for m in found.affine_map)
    out = [v + s for v, (s,) in zip(product(M, exact), c, strict=True)]
    assert out == exact_values(read(layers), *_point(x))[-1]
    chain = [*exact, 1]
    for factor in found.factors:
        chain = product(factor.fractions(), chain)
    assert chain == [*out, 1]
    assert not found.undecided
    assert sorted([*found.facets, *found.redundant]) == list(range(found.rows))
    for i, y in found.witnesses.items():
        broken = [v > c for v, (c,) in zip(product(A, map_exact(y)), b, strict=True)]
        assert [j for j in found.facets if broken[j]] == [i]
    for i, weights in found.multipliers.items():
        assert all(w >= 0 for w in weights.values())
        for k in range(widths[0]):
            assert A[i][k] == sum(w * A[j][k] for j, w in weights.items())
        assert sum(w * b[j][0] for j, w in weights.items()) <= b[i][0]
    for i in found.facets[:3]:
        across = found.neighbour(i)
        assert [p != q for p, q in zip(found.pattern, across.pattern, strict=True)].count(True) >= 1
        assert across.pattern[i] == -found.pattern[i]
        assert across.neighbour(i).pattern == found.pattern


def map_exact(y):
    return [Fraction(float(v)) for v in y]


def _point(x):
    from conslaw.regions.networks_read import point

    return point(x, len(x))


@pytest.mark.parametrize("d", [2, 3, 4])
def test_vertices_and_volume_against_qhull(d):
    layers, x = normal((d, 12, 8, 1), d), np.zeros(d)
    found = regions.polytope(layers, x, box=(-1, 1))
    assert found.bounded
    A, b = (m.as_float() for m in found.inequalities)
    size = abs(A).max(axis=1, keepdims=True)
    half = HalfspaceIntersection(np.hstack([A / size, -b / size])[list(found.facets)], x)
    hull = ConvexHull(half.intersections)
    assert float(found.volume) == pytest.approx(hull.volume)
    assert sum((-1) ** k * f for k, f in enumerate(found.f_vector)) == 1
    assert len(found.vertices.fractions()) == len(hull.vertices)
    centre, radius = found.chebyshev
    assert (A @ centre - b[:, 0] < 0).all()
    assert radius >= found.distance * (1 - 1e-9)


def test_walls_and_lines():
    on = regions.polytope(SQUARE, [0, Fraction(1, 4)])
    assert on.walls == ((1, 0),)
    assert on.pattern == (0, 1, -1)
    assert on.margin == 0
    assert regions.polytope(SQUARE, [5, -5]).volume == float("inf")
    strip = [([[1, 0], [1, 0]], [0, -1]), ([[1, 1]], [0])]
    region = regions.polytope(strip, [0.5, 7])
    assert (region.bounded, region.facets) == (False, (0, 1))
    with pytest.raises(ConslawError, match="contains a line"):
        _ = region.vertices


def test_equal_rows_are_one_facet_with_a_multiplier():
    region = regions.polytope([([[1], [2], [0], [-1]], [0, 0, 1, 5]), ([[1, 1, 1, 1]], [0])], [1])
    assert region.facets == (0, 3)
    assert region.multipliers[1] == {0: 2}
    assert region.neighbour(0).pattern == (-1, -1, 1, 1)


BAD = [
    (lambda: regions.polytope(SQUARE, [1, 2, 3]), "has 3 coordinates: the network takes 2"),
    (lambda: regions.polytope(SQUARE, [1, float("nan")]), "contains nan"),
    (lambda: regions.polytope(SQUARE, np.ones(2, np.float16)), "float16"),
    (lambda: regions.polytope(SQUARE, [2, 0.5], box=(0, 1)), "outside the box"),
    (lambda: regions.polytope(SQUARE, [10**400, 0]), "beyond the range of float64"),
    (lambda: regions.polytope(SQUARE, [0.5, 0.5], box=(1, 0)), "below"),
    (lambda: regions.polytope(SQUARE, [0.25, 0.25]).neighbour(9), "give one of the facets"),
    (lambda: regions.polytope(normal((9, 10, 1)), np.zeros(9)).vertices, "at most 8"),
]


@pytest.mark.parametrize(("run", "said"), BAD)
def test_bad_input(run, said):
    with pytest.raises(ConslawError, match=said) as error:
        run()
    assert "\n" not in str(error.value)


def test_a_point_too_near_a_wall_for_floats_is_refused_in_words():
    x = [Fraction(1, 2**1080), Fraction(-1, 2**1000)]
    with pytest.raises(ConslawError, match="too near for float64"):
        regions.polytope([([[2.0**290, 1.0]], [0]), ([[1]], [0])], x)


@pytest.mark.parametrize("widths", [(3, 6, 5, 1), (2, *[30] * 18, 1)])
def test_slacks_are_the_values_of_the_neurons(widths):
    """A x - b = -abs(z) in the units of the network, so that deep networks have floats, too."""
    layers, x = normal(widths, 2), np.full(widths[0], 0.3)
    found = regions.polytope(layers, x)
    A, b = found.inequalities
    values = [abs(z) for layer in exact_values(read(layers), *_point(x))[:-1] for z in layer]
    exact = map_exact(x)
    slack = [c - v for v, (c,) in zip(product(A.fractions(), exact), b.fractions(), strict=True)]
    assert slack == values
    assert np.isfinite(A.as_float()).all()
    assert np.isfinite(b.as_float()).all()
    assert not found.undecided


@pytest.mark.parametrize("near", [1e-9, 1e-100, 1e-300])
def test_a_near_wall_does_not_hide_the_others(near):
    found = regions.polytope([([[1, 0], [0, 1], [1, 1]], [0, 0, -1]), ([[1, 1, 1]], [0])], [near, 0.5])
    assert found.facets == (0, 1, 2)
    assert found.distance == pytest.approx(near)
    assert found.neighbour(0).pattern == (-1, 1, -1)


def test_pixels_and_many_redundant_rows():
    """In the plane most of many lines are redundant; in a box of many dimensions no side is."""
    many = regions.polytope(normal((2, 200, 1)), [0.1, 0.1])
    assert not many.undecided
    assert len(many.vertices.fractions()) == len(many.facets)
    box = regions.polytope(normal((40, 20, 10, 1)), np.full(40, 0.5), box=(0, 1))
    assert box.bounded
    assert not box.undecided
    assert set(range(30, 110)) <= {*box.facets, *box.redundant}

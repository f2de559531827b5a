"""Level sets: known shapes, dualities over random networks, and a second method."""

import json
from fractions import Fraction
from itertools import combinations, islice

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_complexes import normal, small
from test_duality import betti as betti_by_ranks
from test_duality import incidence

import conslaw
from conslaw import ConslawError, regions
from conslaw.regions.homology import _signs, _signs_of_edges
from conslaw.regions.integer_ranks import elementary_divisors
from conslaw.regions.level_cuts import AT_INFINITY


class Written:
    """A network written as formulas: values are rows over the newest hidden layer, and 1."""

    def __init__(self, inputs):
        self.layers, self.width = [], inputs
        self.x = list(np.eye(inputs, inputs + 1, dtype=int).astype(object))

    def relu(self, formulas, carried=()):
        """max(f, 0) for each formula, and others handed on; all as rows over the new layer."""
        every = [*formulas, *(sign * f for f in carried for sign in (1, -1))]
        place = {key: i for i, key in enumerate(dict.fromkeys(map(tuple, every)))}
        rows = np.array([*place], object).reshape(-1, self.width + 1)
        self.layers.append((rows[:, :-1], rows[:, -1]))
        self.width = len(rows)
        unit = np.eye(self.width, self.width + 1, dtype=int).astype(object)
        made = [unit[place[tuple(f)]] for f in every]
        n = len(formulas)
        return [*made[:n], *(a - b for a, b in zip(made[n::2], made[n + 1 :: 2], strict=True))]

    def one(self):
        row = np.zeros(self.width + 1, object)
        row[-1] = 1
        return row

    def sizes(self, formulas, carried=()):
        """Absolute values."""
        found = self.relu([*formulas, *(-f for f in formulas)], carried)
        n = len(formulas)
        return [found[i] + found[n + i] for i in range(n)] + found[2 * n :]

    def most(self, lists):
        """The largest of each list, pair by pair."""
        while any(len(one) > 1 for one in lists):
            pairs = [(a, b) for one in lists for a, b in zip(one[::2], one[1::2], strict=False)]
            odd = [one[-1] for one in lists if len(one) % 2]
            found = self.relu([a - b for a, b in pairs], [*(b for _, b in pairs), *odd])
            n = len(pairs)
            larger = iter([found[i] + found[n + i] for i in range(n)])
            rest = iter(found[2 * n :])
            lists = [[*islice(larger, len(one) // 2), *islice(rest, len(one) % 2)] for one in lists]
        return [one for (one,) in lists]

    def network(self, formula):
        return [*self.layers, (formula[None, :-1], formula[-1:])]


def cube(d):
    """max |x_i| = 1."""
    made = Written(d)
    (size,) = made.most([made.sizes(made.x)])
    return made.network(size - made.one())


def torus():
    """Around the z-axis: max(|max(|x|, |y|) - 2|, |z|) = 1."""
    made = Written(3)
    x, y, z = made.sizes(made.x)
    radius, z = made.most([[x, y], [z]])
    (size,) = made.most([made.sizes([radius - 2 * made.one(), z])])
    return made.network(size - made.one())


def circle_times_circle():
    """In space of four dimensions, a neighbourhood of the product of two circles; its boundary is T^3."""
    made = Written(4)
    x, y, z, w = made.sizes(made.x)
    radii = made.most([[x, y], [z, w]])
    both = [radius - 2 * made.one() for radius in radii]
    (size,) = made.most([made.sizes(both)])
    return made.network(size - made.one())


def annulus():
    made = Written(2)
    (radius,) = made.most([made.sizes(made.x)])
    (off,) = made.sizes([radius - 2 * made.one()])
    return made.network(off - made.one())


def sheets(d, idle):
    """|x_0| = 1; idle neurons make all cells pointed, and change no set."""
    made = Written(d)
    (size, *_) = made.sizes(made.x if idle else made.x[:1])
    return made.network(size - made.one())


SHAPES = [  # network, at infinity, boundary, below (textbook values)
    (cube(1), "none", (2, 0), (1, 0)),
    (cube(2), "none", (1, 1, 0), (1, 0, 0)),
    (cube(2), "point", (2, 1, 0), (2, 0, 0)),
    (cube(2), "ends", (1, 1, 0), (1, 0, 0)),
    (cube(3), "none", (1, 0, 1, 0), (1, 0, 0, 0)),
    (cube(4), "none", (1, 0, 0, 1, 0), (1, 0, 0, 0, 0)),
    (torus(), "none", (1, 2, 1, 0), (1, 1, 0, 0)),
    (circle_times_circle(), "none", (1, 3, 3, 1, 0), (1, 2, 1, 0, 0)),
    (annulus(), "none", (2, 2, 0), (1, 1, 0)),
    (annulus(), "point", (3, 2, 0), (2, 1, 0)),
    *(
        (sheets(d, idle), "none", (2, *[0] * d), (1, *[0] * d))
        for d in (1, 2, 3, 4)
        for idle in (False, True)
    ),
    *(
        (sheets(d, idle), word, (1, *[0] * (d - 2), 2, 0), (1, *[0] * (d - 2), 1, 0))
        for d in (2, 3, 4)
        for idle in (False, True)
        for word in ("point", "ends")
    ),
]


@pytest.mark.parametrize(("network", "at_infinity", "boundary", "below"), SHAPES)
def test_shapes(network, at_infinity, boundary, below):
    whole = regions.polyhedral_complex(network)
    found = regions.topology(whole, at_infinity=at_infinity)
    assert (found.boundary.betti, found.below.betti) == (boundary, below)
    assert not any(found.boundary.torsion)
    assert found.proved["boundary"] == list(boundary)


PLANE_OF_SIX = ["012", "023", "034", "045", "051", "124", "235", "341", "452", "513"]
PLANE = [frozenset(map(int, t)) for t in PLANE_OF_SIX]


def test_the_complement_of_a_projective_plane_has_torsion():
    """H_1(S^4 - RP^2) = H^2(RP^2) = Z/2.

    The plane of six vertices lies in the boundary of a simplex, whose barycentric subdivision is the fan of
    the orders of six numbers (times R).  A positive multiple of min over s - max beyond s, if that is
    positive, is the coordinate of the barycentre of s; F adds these up for all s that are not in the plane.
    """
    everyone = frozenset(range(6))
    subsets = [frozenset(c) for n in range(1, 6) for c in combinations(range(6), n)]
    absent = [s for s in subsets if not any(s <= t for t in PLANE)]
    assert len(absent) == 31
    made = Written(6)
    low = [[-made.x[i] for i in sorted(s)] for s in absent]
    high = [[made.x[i] for i in sorted(everyone - s)] for s in absent]
    ends = made.most(low + high)
    n = len(absent)
    gaps = made.relu([-ends[i] - ends[n + i] for i in range(n)])
    whole = regions.polyhedral_complex(made.network(sum(gaps)))
    assert whole.f_vector == (1, 126, 1806, 8400, 16800, 15120, 5040), "the fan of orders of x and 0"
    found = regions.topology(whole, level=1)
    for one in (found.boundary, found.above):
        assert (one.betti, one.torsion) == ((1, *[0] * 6), ((), (2,), (), (), (), (), ()))
        assert one.over(2) == (1, 1, 1, 0, 0, 0, 0)
        assert one.over(3) == (1, *[0] * 6)
    assert found.below.over(2) == (1, *[0] * 6)
    assert "Z/2 in H_1" in str(found)


@st.composite
def any_network(draw):
    return small(draw, draw(st.booleans()))


RANDOM = [(w, seed) for w in [(1, 5, 3, 1), (2, 6, 4, 1), (2, 4, 3, 3, 1), (3, 5, 4, 1), (4, 5, 2, 1)]
          for seed in range(11)]  # fmt: skip


def agrees_with_all_ranks(layers, level):
    """The other method: cells by their signs, incidences by comparing these, all ranks over F_2.

    Bounded cells have the homology of the set; all cells, a ray having one end, that of the set with
    infinity relative to infinity.
    """
    *hidden, (W, b) = layers
    whole = regions.polyhedral_complex(layers)
    found, closed = (regions.topology(whole, level=level, at_infinity=word) for word in ("none", "point"))
    W, b = np.array(W), np.array(b)
    cut = regions.polyhedral_complex(
        [*hidden, (W[:1].tolist(), [Fraction(b[0].item()) - Fraction(level)], 0)]
    )
    signs = [cut.cells(k) for k in range(cut.dimension + 1)]
    rays = signs[1][incidence(signs[1], signs[0]).sum(axis=1) == 1] if cut.dimension else signs[0][:0]
    for name, keep in (("boundary", (0,)), ("below", (0, -1)), ("above", (0, 1))):
        chosen = [cells[np.isin(cells[:, -1], keep)] for cells in signs]
        compact = [cells[~incidence(cells, rays).any(axis=1)] for cells in chosen]
        d, lineality = whole.inputs, cut.lineality
        plain = betti_by_ranks(compact) if len(compact[0]) else [0]
        assert list(getattr(found, name).over(2)) == (plain + [0] * d)[: d + 1]
        relative = betti_by_ranks(chosen) if len(chosen[0]) else [0]
        expected = ([0] * lineality + relative + [0] * d)[: d + 1]
        assert reduced(getattr(closed, name).over(2)) == expected


@pytest.mark.parametrize(("widths", "seed"), RANDOM)
def test_all_ranks_agree_on_generic_networks(widths, seed):
    layers = normal(widths, seed)
    agrees_with_all_ranks(layers, float(layers[-1][1][0] + layers[-1][0][0] @ np.maximum(0, layers[-2][1])))


@given(any_network(), st.integers(-1, 1))
def test_all_ranks_agree_whatever_the_ties(layers, level):
    agrees_with_all_ranks(layers, level)


def reduced(betti):
    return [betti[0] - 1, *betti[1:]]


CASES = st.tuples(
    st.sampled_from([(1, 4, 3, 1), (2, 5, 4, 1), (2, 3, 3, 2, 1), (3, 4, 3, 1), (4, 5, 3, 1)]),
    st.integers(0, 10**6),
)


@given(CASES)
def test_alexander_duality_between_the_two_sides(case):
    """{F <= c} with infinity, and its complement {F > c}: {F >= c} if the level is in general position."""
    whole = regions.polyhedral_complex(normal(*case))
    plain, closed = (regions.topology(whole, level=0.3, at_infinity=word) for word in ("none", "point"))
    d = whole.inputs
    for one, other in ((plain.above, closed.below), (plain.below, closed.above)):
        if one.components:
            assert reduced(one.betti)[:d] == reduced(other.betti)[:d][::-1]


@given(any_network(), st.integers(-1, 1))
def test_mayer_vietoris_whatever_the_ties(layers, level):
    """Both sides together are R^d: the homology of the boundary is the sum of theirs; ties and all."""
    whole = regions.polyhedral_complex(layers)
    found = regions.topology(whole, level=level)
    d = whole.inputs
    if found.boundary.components:
        sums = [a + b for a, b in zip(reduced(found.below.betti), reduced(found.above.betti), strict=True)]
        assert reduced(found.boundary.betti) == sums
    counts = [
        a + b - c for a, b, c in zip(found.below.cells, found.above.cells, found.boundary.cells, strict=True)
    ]
    assert sum((-1) ** k * f for k, f in enumerate(counts)) == (-1) ** (len(counts) - 1)
    closed = regions.topology(whole, level=level, at_infinity="point")
    sphere = [0] * d + [1]
    twice = zip(
        reduced(closed.below.betti), reduced(closed.above.betti), reduced(closed.boundary.betti), strict=True
    )
    euler = sum((-1) ** k * (a + b - c) for k, (a, b, c) in enumerate(twice))
    assert euler == sum((-1) ** k * s for k, s in enumerate(sphere)), "both sides of the sphere"


@given(CASES)
def test_a_box_around_all_vertices_loses_nothing(case):
    layers = [(np.round(W * 4).astype(int), np.round(b * 4).astype(int)) for W, b in normal(*case)]
    whole = regions.polyhedral_complex(layers)
    *hidden, (W, b) = layers
    ends = regions.polyhedral_complex([*hidden, (W, b, 0)])
    if ends.lineality:
        return
    size = int(abs(ends.vertices).max(initial=0)) + 1
    box = regions.polyhedral_complex(layers, within=([-size] * case[0][0], [size] * case[0][0]))
    one, other = regions.topology(whole), regions.topology(box)
    for name in ("boundary", "below", "above"):
        assert getattr(one, name).betti == getattr(other, name).betti


def test_components_and_their_points():
    whole = regions.polyhedral_complex(annulus())
    found = regions.topology(whole)
    assert sorted(max(map(abs, sum(c.points, ()))) for c in found.boundary.components) == [1, 3]
    assert [c.bounded for c in found.above.components].count(False) == 1
    for x in sum((c.points for c in found.boundary.components), ()):
        assert abs(max(map(abs, x)) - 2) == 1


def test_the_wall_between_two_logits_is_the_zero_set_of_their_difference():
    *hidden, (W, b) = normal((2, 6, 5, 3), 4)
    logits = regions.polyhedral_complex([*hidden, (W, b)])
    single = regions.polyhedral_complex([*hidden, (W[2:] - W[:1], b[2:] - b[:1])])
    found = regions.topology(logits, classes=(2, 0))
    assert found.function == "F_2 - F_0"
    assert found.boundary.betti == regions.topology(single).boundary.betti
    swapped = regions.topology(logits, classes=(0, 2))
    assert (swapped.below.betti, swapped.above.betti) == (found.above.betti, found.below.betti)


@pytest.mark.parametrize(("level", "words", "flat"), [
    (5, "The boundary is empty: F_0 is greater than 5 everywhere.", 0),
    (9, "The boundary is empty: F_0 is less than 9 everywhere.", 0),
    (7, "The function is equal to the level on 3 whole regions.", 3),
])  # fmt: skip
def test_constant_outputs(level, words, flat):
    whole = regions.polyhedral_complex([([[1, 0], [0, 1], [1, 1]], [0, 0, -1])[:2], ([[0, 0, 0]], [7])])
    found = regions.topology(whole, level=level)
    assert words.replace("3", str(found.flat)) in str(found)
    assert bool(found.flat) == bool(flat)
    assert found.boundary.betti == ((1, 0, 0) if flat else (0, 0, 0))


def test_a_level_that_a_whole_region_has():
    """max(x, 0) + max(y, 0) = 0 is a quadrant, the complement of which is open."""
    whole = regions.polyhedral_complex([([[1, 0], [0, 1]], None), ([[1, 1]], None)])
    found = regions.topology(whole)
    assert (found.flat, found.boundary.betti, found.above.betti) == (1, (1, 0, 0), (1, 0, 0))
    assert regions.topology(whole, at_infinity="point").boundary.betti == (1, 0, 0)


@pytest.mark.parametrize("word", AT_INFINITY)
def test_json_and_back(word):
    whole = regions.polyhedral_complex(normal((2, 5, 4, 1), 1))
    found = regions.topology(whole, level=Fraction(1, 3), at_infinity=word)
    back = regions.Topology.from_json(json.loads(json.dumps(found.to_json())))
    assert back == found
    assert str(back) == str(found)
    assert max(map(len, repr(found).splitlines())) <= 80


def test_nothing_is_proved_of_what_is_not_certified():
    whole = regions.polyhedral_complex(normal((2, 30, 20, 1)), certify=False)
    found = regions.topology(whole)
    assert not found.certified
    assert not found.proved
    assert found.probable["boundary"] == list(found.boundary.betti)


def test_projective_plane_by_hand():
    """Six vertices, ten triangles: H_1 = Z/2; the same code gives signs and divisors."""
    triangles = [sorted(t) for t in PLANE]
    edges = sorted({e for t in triangles for e in combinations(t, 2)})
    ends = np.repeat(np.arange(15), 2), np.array(edges).ravel()
    sides = np.array([(i, edges.index(e)) for i, t in enumerate(triangles) for e in combinations(t, 2)]).T
    sides = sides[0], sides[1]
    signs = _signs(sides, ends, _signs_of_edges(ends))
    boundary = np.zeros((15, 10), int)
    boundary[sides[1], sides[0]] = signs
    of_edges = np.zeros((6, 15), int)
    of_edges[ends[1], ends[0]] = _signs_of_edges(ends)
    assert not (of_edges @ boundary).any()
    assert elementary_divisors(*sides, signs) == [1] * 9 + [2]


@pytest.mark.parametrize(("options", "words"), [
    ({"output": 3}, "output=3: the network has outputs 0 to 1"),
    ({"output": -1}, "output=-1"),
    ({"output": True}, "output=True"),
    ({"classes": (0, 0)}, "two different outputs"),
    ({"classes": (0, 2)}, "classes=2: the network has outputs 0 to 1"),
    ({"classes": 1}, "give a pair"),
    ({"level": float("nan")}, "level contains nan"),
    ({"level": "1"}, "level contains '1'"),
    ({"level": [1]}, "level contains .1.: give"),
    ({"at_infinity": "sphere"}, "at_infinity='sphere': give one of"),
])  # fmt: skip
def test_bad_input(options, words):
    whole = regions.polyhedral_complex(normal((2, 4, 2)))
    with pytest.raises(ConslawError, match=words.replace("(", r"\(")):
        regions.topology(whole, **options)
    with pytest.raises(ConslawError, match="over\\(4\\): give a prime"):
        regions.topology(whole).boundary.over(4)


def test_what_has_no_cells():
    network = normal((2, 4, 1))
    with pytest.raises(ConslawError, match="give the answer of"):
        regions.topology(network)
    boxed = regions.polyhedral_complex(network, within=([0, 0], [1, 1]))
    with pytest.raises(ConslawError, match="in a box"):
        regions.topology(boxed, at_infinity="point")
    whole = regions.polyhedral_complex(network)
    with pytest.raises(conslaw.ConslawError, match="read back from JSON"):
        regions.topology(regions.PolyhedralComplex.from_json(whole.to_json()))


def test_too_many_dimensions_say_what_they_cost(monkeypatch):
    from conslaw.regions import homology

    monkeypatch.setattr(homology, "MOST_COLUMNS", 10)
    with pytest.raises(ConslawError, match=r"5 dimensions needs the Smith forms of 2 sparse matrices"):
        regions.topology(regions.polyhedral_complex(normal((5, 7, 3, 1))), level=0.1)

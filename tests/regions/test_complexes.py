"""Theorems about polyhedral complexes of ReLU networks."""

from fractions import Fraction
from itertools import pairwise, product
from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import conslaw
from conslaw import ConslawError, regions
from conslaw.regions import certified_vertices
from conslaw.regions.cell_data import AllCells
from conslaw.regions.networks_read import read
from conslaw.regions.signs import exact_signs, signs_at
from conslaw.regions.subdivision import subdivided

SIZES = [(1, 5, 4, 1), (2, 5, 4, 1), (2, 3, 3, 3, 1), (3, 6, 4, 1), (4, 5, 3, 1), (2, 26, 1), (3, 1, 5, 2),
         (3, 9, 2, 9, 6, 1), (3, 8, 1, 9, 6, 1)]  # fmt: skip


def normal(widths, seed=0, bias=True):
    rng = np.random.default_rng(seed)
    return [(rng.normal(size=(n, m)), rng.normal(size=n) if bias else None) for m, n in pairwise(widths)]


def rows(signs):
    return set(map(bytes, np.ascontiguousarray(signs)))


def small(draw, bias=True):
    widths = [draw(st.integers(1, 3)), *draw(st.lists(st.integers(1, 4), min_size=1, max_size=3)), 1]
    number = st.integers(-2, 2)
    return [
        (
            [[draw(number) for _ in range(m)] for _ in range(n)],
            [draw(number) if bias else 0 for _ in range(n)],
        )
        for m, n in pairwise(widths)
    ]


@st.composite
def networks(draw):
    return small(draw, draw(st.booleans()))


@given(networks())
def test_euler_characteristic_of_space_whatever_the_ties(layers):
    found = regions.polyhedral_complex(layers)
    assert sum((-1) ** k * f for k, f in enumerate(found.f_vector)) == (-1) ** found.dimension
    if not found.lineality:
        assert sum((-1) ** k * b for k, b in enumerate(found.bounded)) == 1, (
            "bounded cells: a retract of space"
        )
        assert 2 * found.bounded[1] + len(found.rays[0]) == sum(
            len(found.edges[found.edges == v]) + (found.rays[0] == v).sum() for v in range(found.f_vector[0])
        )
    for k, f in enumerate(found.f_vector):
        assert len(rows(found.cells(k))) == f, "sign vectors name the cells"


@given(networks(), st.data())
def test_each_point_lies_in_a_listed_cell(layers, data):
    found = regions.polyhedral_complex(layers)
    x = [data.draw(st.fractions(-4, 4, max_denominator=4)) for _ in range(found.inputs)]
    assert any(bytes(found.locate(x)) in rows(found.cells(k)) for k in range(found.dimension + 1))


@given(networks(), st.integers(0, 1000))
def test_symmetries_of_the_network_keep_the_counts(layers, seed):
    """Permuted neurons, rows times positive numbers (undone in the next layer), an affine change of input."""
    rng = np.random.default_rng(seed)
    exact = [(np.array(W, object), np.array(b, object)) for W, b in layers]
    for k in range(len(exact) - 1):
        order = rng.permutation(len(exact[k][1]))
        scale = np.array([Fraction(int(rng.integers(1, 9)), int(rng.integers(1, 9))) for _ in order], object)
        exact[k] = (scale[:, None] * exact[k][0][order], scale * exact[k][1][order])
        exact[k + 1] = (exact[k + 1][0][:, order] / scale, exact[k + 1][1])
    d = exact[0][0].shape[1]
    change = np.triu(rng.integers(-3, 4, (d, d)), 1).astype(object) + 2 * np.eye(d, dtype=int).astype(object)
    shift = rng.integers(-3, 4, d).astype(object)
    exact[0] = (exact[0][0].dot(change), exact[0][1] + exact[0][0].dot(shift))
    before, after = regions.polyhedral_complex(layers), regions.polyhedral_complex(exact)
    assert (before.f_vector, before.bounded) == (after.f_vector, after.bounded)


@pytest.mark.parametrize(("n", "d"), [(6, 1), (30, 2), (9, 3), (7, 4), (7, 5)])
def test_arrangements_of_generic_hyperplanes(n, d):
    """Buck 1943, Zaslavsky 1975."""
    found = regions.polyhedral_complex(normal((d, n, 1)))
    expected = [comb(n, d - k) * sum(comb(n - d + k, i) for i in range(k + 1)) for k in range(d + 1)]
    assert list(found.f_vector) == expected
    assert list(found.bounded) == [comb(n, d - k) * comb(n - d + k - 1, k) for k in range(d + 1)]


@pytest.mark.parametrize("depth", [1, 2, 5, 9])
def test_the_tent_map_has_exponentially_many_pieces(depth):
    """Telgarsky 2015: 2^L pieces on the unit interval."""
    tent = [([[2], [4]], [0, -2])] + [([[2, -2], [4, -4]], [0, -2])] * (depth - 1) + [([[1, -1]], [0])]
    found = regions.polyhedral_complex(tent, within=([0], [1]))
    assert found.f_vector == (2**depth + 1, 2**depth)


@pytest.mark.parametrize("widths", SIZES)
@pytest.mark.parametrize("seed", range(2))
def test_both_searches_find_the_same_cells(widths, seed):
    network = read(normal(widths, seed))
    found, slow = regions.polyhedral_complex(network), AllCells(subdivided(network, 10**6))
    assert (found.f_vector, found.bounded)[: 2 - bool(found.lineality)] == slow.counts(0)[
        : 2 - bool(found.lineality)
    ]
    for k in range(found.dimension + 1):
        assert rows(found.cells(k)) == rows(slow.cells(k))


@pytest.mark.parametrize("widths", [(3, 9, 2, 9, 6, 1), (4, 8, 2, 6, 6, 1), (3, 8, 1, 9, 6, 1)])
@pytest.mark.parametrize("slope", [0, Fraction(-1, 3)])
def test_rays_parallel_to_later_neurons_need_no_rationals(widths, slope, monkeypatch):
    """Behind a bottleneck slopes along rays are exactly zero, which no floats could show."""
    layers = [(W, b, slope) for W, b in normal(widths)]
    monkeypatch.setattr(certified_vertices, "MOST_EXACT", 0)
    found, slow = regions.polyhedral_complex(layers), AllCells(subdivided(read(layers), 10**6))
    assert found.method.startswith("vertices searched")
    assert (found.f_vector, found.bounded) == slow.counts(0)


@pytest.mark.parametrize("widths", [(2, 13, 12, 1), (3, 8, 6, 1)])
def test_the_star_of_a_generic_vertex(widths):
    """3^d cells, 2d of them edges; the vertices are where they are said to be."""
    found = regions.polyhedral_complex(normal(widths))
    assert found.generic
    assert found.method.startswith("vertices searched")
    d, named = widths[0], [rows(found.cells(k)) for k in range(widths[0] + 1)]
    ends = np.bincount(np.append(found.edges.ravel(), found.rays[0]), minlength=found.f_vector[0])
    assert (ends == 2 * d).all()
    for sign, x in zip(found.sign_vectors[:40], found.vertices, strict=False):
        for choice in product((-1, 0, 1), repeat=d):
            around = sign.copy()
            around[sign == 0] = choice
            assert bytes(around) in named[np.count_nonzero(choice)]
        near = signs_at(found.network, *_exact(x))
        assert (near == sign)[sign != 0].all()


def _exact(x):
    from conslaw.regions.networks_read import point

    return point(x, len(x))


def test_neighbours_are_symmetric_and_as_many_as_facets():
    layers = normal((2, 14, 12, 1), 3)
    found = regions.polyhedral_complex(layers)
    slow = AllCells(subdivided(read(layers), 10**6))
    rng = np.random.default_rng(0)
    for x in rng.normal(size=(10, 2)):
        sign = found.locate(x)
        around = found.neighbours(x)
        assert len(around) == len(regions.polytope(layers, x).facets)
        assert rows(around) == rows(slow.neighbours(sign))
        for other in around:
            assert bytes(sign) in rows(slow.neighbours(other))


@given(networks())
def test_fans_without_bias(layers):
    """Every cell is a cone: only the origin is bounded; antipodes of the arrangement of one layer."""
    bare = [(W, None) for W, _ in layers]
    found = regions.polyhedral_complex(bare)
    assert found.f_vector[0] == 1
    assert sum(found.bounded) == (not found.lineality)


def test_a_slice_is_the_complex_of_the_slice():
    layers = normal((5, 8, 7, 1), 1)
    rng = np.random.default_rng(2)
    origin, directions = rng.normal(size=5), rng.normal(size=(5, 2))
    found = regions.polyhedral_complex(layers, within={"origin": origin, "directions": directions})
    assert (found.inputs, found.dimension) == (2, 2)
    for y in rng.normal(size=(20, 2)):
        x = [Fraction(t) + sum(Fraction(c) * Fraction(s) for c, s in zip(row, y, strict=True))
             for t, row in zip(origin, directions, strict=True)]  # fmt: skip
        assert (exact_signs(read(layers), *_exact(x)) == found.locate(y)).all()


def test_a_large_box_loses_nothing_and_a_small_one_keeps_what_meets_it():
    layers = normal((2, 5, 4, 1), 4)
    whole = regions.polyhedral_complex(layers)
    boxed = regions.polyhedral_complex(layers, within=([-1e6] * 2, [1e6] * 2))
    assert rows(boxed.cells(2)) == rows(whole.cells(2))
    near = regions.polyhedral_complex(layers, within=([-1] * 2, [1] * 2))
    inside = (abs(whole.vertices) < 1).all(axis=1)
    assert rows(whole.sign_vectors[inside]) <= rows(near.cells(0))
    assert near.bounded == near.f_vector


@pytest.mark.parametrize("scale", [1e-150, 1e150])
def test_scales_of_floats_do_not_matter(scale):
    layers = normal((2, 14, 12, 1), 5)
    (W, b), *rest = layers
    moved = [(W * scale, b * scale), *((V, c * scale) for V, c in rest)]
    assert regions.polyhedral_complex(moved).f_vector == regions.polyhedral_complex(layers).f_vector
    stretched = [(W, b * scale), *((V, c * scale) for V, c in rest)]
    found, plain = regions.polyhedral_complex(stretched), regions.polyhedral_complex(layers)
    assert (found.f_vector, found.method) == (plain.f_vector, plain.method)
    assert found.certified
    assert conslaw.verify(found.certificate()).ok


@pytest.mark.parametrize("gap", [0, 1e-15, -1e-15, 1e-30, 1e-200])
def test_near_ties_are_decided_exactly(gap):
    """Three lines that meet, or cut a small triangle."""
    rng = np.random.default_rng(1)
    others = rng.normal(size=(27, 2))
    W = np.concatenate([[[1, 0], [0, 1], [1, 1]], others])
    b = np.concatenate([[0, 0, gap], rng.normal(size=27)])
    found = regions.polyhedral_complex([(W, b), (np.ones((1, 30)), [0])])
    generic = (comb(30, 2), 30 * 30, 1 + 30 + comb(30, 2))
    lost = (2, 3, 1) if gap == 0 else (0, 0, 0)
    assert found.f_vector == tuple(g - x for g, x in zip(generic, lost, strict=True))
    assert found.generic == (gap != 0)
    assert len(found.coincidences()) == (gap == 0)
    if gap == 0:
        assert found.coincidences()[0].startswith(
            "neurons (1, 0), (1, 1), (1, 2) vanish together at x = (0, 0)"
        )


def test_a_perturbation_is_carried_in_the_name():
    tied = [([[1, 0], [0, 1], [1, 1]], None), ([[1, 1, 1]], None)]
    found = regions.polyhedral_complex(tied, perturb=1e-6)
    assert found.f_vector == (3, 9, 7)
    assert "perturbed by 1e-06" in str(found)


def test_without_a_certificate_the_counts_are_only_probable():
    layers = normal((3, 9, 8, 1))
    guess, proved = regions.polyhedral_complex(layers, certify=False), regions.polyhedral_complex(layers)
    assert guess.probable == proved.proved
    with pytest.raises(ConslawError, match="not certified"):
        guess.certificate()


@pytest.mark.parametrize("slope", [0.0006, 1e-5])  # of denominators 2**63 and 2**69
def test_slopes_of_long_denominators(slope, tmp_path):
    layers = [(W, b, slope) for W, b in normal((2, 5, 4, 1))]
    found, network = regions.polyhedral_complex(layers), read(layers)
    for sign in found.sign_vectors:
        certified_vertices._exact_vertex(network, sign, np.flatnonzero(sign == 0))
    found.certificate(tmp_path / "complex.npz")
    assert conslaw.verify(tmp_path / "complex.npz").ok


def test_long_common_denominators(tmp_path):
    """More than the 4300 digits that Python's str() allows."""
    layers = [([[Fraction(1, 10**3000 + i) for i in (1, 2)], [1, -1]], [1, 2]), ([[1, 1]], [0])]
    found = regions.polyhedral_complex(layers)
    assert found.f_vector == (1, 4, 4)
    found.certificate(tmp_path / "complex.npz")
    assert conslaw.verify(tmp_path / "complex.npz").ok


def test_models_and_torch_modules():
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    nn = torch.nn
    module = nn.Sequential(nn.Flatten(), nn.Linear(2, 4), nn.Sequential(nn.LeakyReLU(0.25), nn.Linear(4, 3)),
                           nn.ReLU(), nn.Linear(3, 2), nn.Linear(2, 1))  # fmt: skip
    found = regions.polyhedral_complex(module)
    linear = [m for m in module.modules() if isinstance(m, nn.Linear)]
    arrays = [(m.weight.detach().numpy(), m.bias.detach().numpy()) for m in linear]
    product_ = (arrays[3][0].astype(object).dot(arrays[2][0].astype(object)), [0])
    by_hand = [(*arrays[0], 0.25), arrays[1], product_]
    assert found.f_vector == regions.polyhedral_complex(by_hand).f_vector
    twice = type("Linear", (nn.Linear,), {"forward": lambda self, x: 2 * nn.Linear.forward(self, x)})
    with pytest.raises(ConslawError, match=r"Sequential\.0 is a .*\.Linear: only"):
        regions.polyhedral_complex(nn.Sequential(twice(2, 2), nn.ReLU()))
    gate = nn.ReLU()  # one module, in two places
    again = nn.Sequential(linear[0], gate, linear[1], gate, linear[2])
    apart = nn.Sequential(linear[0], nn.ReLU(), linear[1], nn.ReLU(), linear[2])
    assert regions.polyhedral_complex(again).digest == regions.polyhedral_complex(apart).digest
    linear[0].register_forward_hook(lambda module, inputs, output: 2 * output)
    with pytest.raises(ConslawError, match=r"Sequential\.0 has a forward hook"):
        regions.polyhedral_complex(apart)
    with pytest.raises(ConslawError, match=r"Sequential\.1 is a GELU"):
        regions.polyhedral_complex(nn.Sequential(nn.Linear(2, 2), nn.GELU()))
    with pytest.raises(ConslawError, match="float16"):
        regions.polyhedral_complex(nn.Sequential(nn.Linear(2, 2), nn.ReLU()).half())
    bare = nn.Sequential(nn.Linear(2, 4, bias=False), nn.ReLU(), nn.Linear(4, 1, bias=False))
    weights = {"W1": bare[0].weight, "W2": bare[2].weight}
    assert regions.polyhedral_complex(conslaw.relu([2, 4, 1]), weights).f_vector == (1, 8, 8)


LINES = [([[1, 0], [0, 1], [1, 1]], [0, 0, -1]), ([[1, 1, 1]], [0])]
BAD = {
    "NaN": ([([[float("nan")]], [0])], {}, "contains nan"),
    "infinity": ([(np.array([[np.inf]]), [0])], {}, "contains inf"),
    "float16": ([(np.ones((1, 1), np.float16), [0])], {}, "float16"),
    "strings": ([([["a"]], [0])], {}, "give floats, integers or fractions"),
    "ragged": ([([[1, 2], [3]], [0, 0])], {}, "."),
    "empty": ([], {}, "give a list of pairs"),
    "no network": (3, {}, "give a list of pairs"),
    "no pair": ([3], {}, "give a pair"),
    "width 0": ([(np.zeros((0, 2)), np.zeros(0))], {}, "width 0"),
    "wrong bias": ([([[1, 2]], [0, 0])], {}, "b of layer 1 has 2 entries"),
    "wrong width": ([([[1, 2]], [0]), ([[1, 1]], [0])], {}, "layer 2 takes 2 inputs, but layer 1 has 1"),
    "weights": (LINES, {"weights": {}}, "only a conslaw model"),
    "model without weights": (conslaw.relu([2, 2]), {}, "give a mapping with the arrays W1"),
    "linear model": (conslaw.linear([2, 2]), {"weights": {}}, "no conslaw.relu network"),
    "box": (LINES, {"within": ([1, 1], [0, 0])}, "below"),
    "slice": (LINES, {"within": {"origin": [0, 0], "directions": [[1, 2], [1, 2]]}}, "dependent"),
    "point": (LINES, {"within": {"origin": [0], "directions": [[1], [1]]}}, "origin has 1 coordinates"),
    "directions": (LINES, {"within": {"origin": [0, 0], "directions": 5}}, "directions has shape"),
    "perturbation": (LINES, {"perturb": -1}, "give a positive number"),
    "cells": (LINES, {"most_cells": 5}, "more than most_cells=5"),
    "pixels": ([(np.eye(784), np.ones(784)), (np.ones((1, 784)), [0])], {}, "in 784 dimensions"),
    "dimensions": ([(np.eye(30), np.ones(30)), (np.ones((1, 30)), [0])], {}, "most_cells"),
    "limit": (LINES, {"most_cells": 0}, "give a positive integer"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_refused_in_one_line(name):
    network, options, said = BAD[name]
    with pytest.raises(ConslawError, match=said) as error:
        regions.polyhedral_complex(network, **options)
    assert "\n" not in str(error.value)


def test_too_many_cells_are_refused_before_memory_is_gone():
    with pytest.raises(ConslawError, match="most_cells"):
        regions.polyhedral_complex(normal((3, 60, 60, 1)), most_cells=20_000)
    with pytest.raises(ConslawError, match="most_cells"):
        regions.polyhedral_complex(normal((3, 60, 60, 1), bias=False), most_cells=2_000)
    found = regions.polyhedral_complex(LINES)
    with pytest.raises(ConslawError, match="has 3 coordinates"):
        found.locate([1, 2, 3])
    with pytest.raises(ConslawError, match="lies on a wall"):
        found.neighbours([0, 0])


def test_what_is_too_large_is_refused_by_an_estimate_before_the_search(monkeypatch):
    from conslaw.regions import edge_subdivision

    rng = np.random.default_rng(0)
    lines = [(rng.normal(size=(2000, 2)), rng.normal(size=2000)), (np.ones((1, 2000)), [0])]
    with pytest.raises(conslaw.ConslawError, match=r"about 2e\+06 vertices from layer 1 alone"):
        regions.polyhedral_complex(lines, most_cells=1_000_000)
    monkeypatch.setattr(edge_subdivision, "MEMORY", 2**30)
    with pytest.raises(conslaw.ConslawError, match="GiB for the values of layer 1"):
        regions.polyhedral_complex(lines)


def test_exact_subdivisions_are_estimated_too(monkeypatch):
    from conslaw import errors

    lines = [(np.random.default_rng(0).normal(size=(400, 3)), None), (np.ones((1, 400)), None)]
    with pytest.raises(ConslawError, match=r"cells after (\d\d) of 400 neurons, about .* in all: more than"):
        regions.polyhedral_complex(lines, most_cells=100_000)
    monkeypatch.setattr(errors.os, "sysconf", lambda name: 2**11)
    with pytest.raises(ConslawError, match=r"would need about \d+ GB of memory"):
        regions.polyhedral_complex(lines)

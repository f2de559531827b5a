"""The number of terms of fields, counted before they are written out."""

import numpy as np
import pytest
from hypothesis import given, settings
from strategies import array_code, widths

import conslaw
from conslaw.algebra.polynomials import concatenate
from conslaw.errors import TooLargeError
from conslaw.laws import exact_fields
from conslaw.laws.ansatz import polynomial_laws
from conslaw.laws.exact_fields import conserved, expansion

G = conslaw.gradient_flow


def terms(flow):
    return sum(map(len, exact_fields.exact_fields(flow)[0]))


@settings(max_examples=40)
@given(array_code())
def test_there_are_no_more_terms_than_counted(model):
    assert terms(G(model)) <= expansion(G(model)) * (1 + 1e-9)


@pytest.mark.parametrize("family", [conslaw.linear, conslaw.relu])
@settings(max_examples=10)
@given(widths(1, 4, (1, 4)))
def test_each_path_is_a_term(family, widths):
    flow = G(family(widths))
    assert terms(flow) == pytest.approx(expansion(flow))


@pytest.mark.parametrize(("power", "width"), [(2, 3), (5, 2), (6, 2), (7, 1), (8, 2)])
def test_a_power_of_a_sum_is_counted_as_one(power, width):
    model = conslaw.model(
        lambda p, c: c.y * p.W.sum() ** power, parameters={"W": (width, width)}, data={"y": ()}
    )
    assert terms(G(model)) == pytest.approx(expansion(G(model)))


def test_fields_that_do_not_fit_are_refused_before_they_are_begun(monkeypatch):
    monkeypatch.setattr(exact_fields, "evaluate", lambda *_: pytest.fail("begun"))
    monkeypatch.setattr("conslaw.laws.exact_fields.bounds", lambda _: [exact_fields.Bounds((), 11, 0.0)])
    with pytest.raises(TooLargeError, match=r"writing out fields of 2.4e\+10 terms.*ansatz='matrix'"):
        polynomial_laws(conslaw.linear([6] * 12))


def test_a_forced_ansatz_that_does_not_fit_says_so_beside_what_is_proved():
    answer = conslaw.analyze(conslaw.linear([6] * 12), ansatz="monomials", budget=1e6)
    assert (answer.laws_found, answer.laws_at_most) == (0, 210)
    assert "ansatz='matrix'" in str(answer)
    assert "budget=" not in str(answer)


@pytest.mark.parametrize("products", [1, 50, 1e9])
def test_laws_are_checked_a_few_at_a_time(monkeypatch, products):
    monkeypatch.setattr(exact_fields, "PRODUCTS", products)
    flow = G(conslaw.linear([2, 3, 2]))
    [field], laws = exact_fields.exact_fields(flow)[0], polynomial_laws(flow).polynomials
    assert conserved(laws, field)
    one_false = concatenate([laws, field.select(np.arange(1))], [0, laws.shape[0]], (laws.shape[0] + 1,))
    assert not conserved(one_false, field)
    assert conserved(laws.select(np.arange(0)), field)

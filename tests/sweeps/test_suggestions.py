"""Formulas are found again from their values, and never called more than conjectures."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

import conslaw
from conslaw.sweeps import compare, suggest_formula
from conslaw.sweeps.expressions import Expression, names_of

FORMULAS = [
    *("0", "7", "r", "n + m - 1", "r*(r + 1)//2", "n*r + r*m - r", "2*r - 1 + n**2"),
    *("min(r, n + m)*(2*r + 1 - min(r, n + m))//2", "min(n, r, m)", "r + min(n, m)**2"),
    *(
        "r*(r-1)//2 if r <= 2*(n+m) else 2*(n+m)*r - (n+m)*(2*(n+m)+1)",
        "5 if n == 1 else r",
        "0 if min(n, r, m) == 1 else n*m",
    ),
    *("n if r > n + m else r*m", "2*r - 1 if n == 1 and m == 1 else r*(r+1)//2"),
]


def table(formula, widths):
    """Rows that are as a formula says."""
    expression = Expression(formula)
    for one in widths:
        value = expression(names_of(one))
        yield {"family": "made", "widths": "-".join(map(str, one)), "value": int(value)}


def all_widths(most):
    return [(n, r, m) for n in range(1, most + 1) for r in range(1, most + 3) for m in range(1, most + 1)]


@pytest.mark.parametrize("formula", FORMULAS)
def test_a_formula_is_found_again(formula):
    """Equal on all rows, those that were held out as well, and on rows that the table never had."""
    (found,) = suggest_formula(list(table(formula, all_widths(5))), column="value")
    assert found.holds
    assert found.explained + found.tested == 5 * 7 * 5
    fresh = compare(
        table(formula, [(n, r, m) for n in (6, 7) for r in (3, 9, 12) for m in (2, 8)]),
        found.formula,
        column="value",
    )
    assert not fresh.refuted


def test_the_simplest_is_preferred():
    (found,) = suggest_formula(list(table("r", all_widths(4))), column="value")
    assert found.formula == "r"
    (found,) = suggest_formula(list(table("r*(r + 1)//2", all_widths(4))), column="value")
    assert found.formula == "r*(r + 1)/2"


@given(st.integers(0, 10**6))
def test_noise_has_no_formula(seed):
    rng = random.Random(seed)
    rows = [
        {"family": "made", "widths": "-".join(map(str, one)), "value": rng.randrange(10**6)}
        for one in all_widths(4)
    ]
    (found,) = suggest_formula(rows, column="value", seed=seed)
    assert not found.holds


def test_a_formula_that_fails_says_where():
    rows = list(table("r*(r + 1)//2", all_widths(4)))
    rows[17]["value"] += 1
    (found,) = suggest_formula(rows, column="value")
    assert found.formula == "r*(r + 1)/2" or not found.formula
    assert len(found.counterexamples) == (1 if found.formula else 0)
    assert not found.holds


def test_groups_are_kept_apart_and_evidence_is_told():
    rows = [
        {
            **row,
            "family": family,
            "error_probability": chance,
            "laws_found": 0,
            "laws_at_most": row["value"] * factor,
        }
        for family, factor, chance in (("a", 1, 1e-9), ("b", 2, None))
        for row in table("r", all_widths(3))
    ]
    (found,) = suggest_formula(rows)
    assert found.about.startswith("a, depth 2")
    assert found.probable == 3 * 5 * 3
    assert "conjecture with evidence" in str(found)
    assert "proved" not in str(found).replace("nothing here proves it", "")


@pytest.mark.parametrize("count", range(1, 8))
def test_few_rows_are_no_evidence(count):
    """There is nothing to say about less than twice as many rows as coefficients."""
    for depth in (2, 3):
        rows = [
            {"widths": "-".join([str(n)] * (depth + 1)), "value": n**3 + 7 * n} for n in range(1, count + 1)
        ]
        (found,) = suggest_formula(rows, column="value")
        assert not found.holds


def test_counterexamples_are_proved_or_probable():
    rows = [{**row, "laws_found": 0, "laws_at_most": row["value"]} for row in table("r", all_widths(4))]
    rows[40] |= {"laws_at_most": 77, "error_probability": 1e-9}
    for row in (*rows[:40], *rows[41:]):
        row["laws_found"] = row["laws_at_most"]
    (found,) = suggest_formula(rows)
    assert found.formula == "r"
    assert [one.proved for one in found.counterexamples] == [False]
    assert "In doubt" in str(found)
    rows[40]["laws_found"] = 77
    assert "Refuted" in str(suggest_formula(rows)[0])


@pytest.mark.parametrize(
    "bad",
    [[], [1], [{"a": 1}], [{"widths": "2-a", "laws_at_most": 1}], 5, None, "none.csv", "x.txt"],
    ids=str,
)
def test_what_is_no_table_is_refused_in_one_line(bad):
    with pytest.raises(conslaw.ConslawError) as caught:
        suggest_formula(bad)
    assert "\n" not in str(caught.value)

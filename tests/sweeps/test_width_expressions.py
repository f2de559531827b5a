"""Expressions in the widths: exact, and nothing but arithmetic."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

import conslaw
from conslaw.sweeps.expressions import Expression, names_of

WIDTHS = st.lists(st.integers(1, 6), min_size=3, max_size=3)


@given(WIDTHS)
def test_the_published_formulas_are_what_they_are(widths):
    """Counts of two-layer linear networks, with and without momentum, from their definition."""
    n, r, m = widths
    total = n + m
    rho = min(r, total)
    assert Expression("min(r, n + m)*(2*r + 1 - min(r, n + m))/2")(names_of(widths)) == sum(
        r - i for i in range(rho)
    )
    momentum = r * (r - 1) // 2 if r <= 2 * total else 2 * total * r - total * (2 * total + 1)
    text = "r*(r-1)//2 if r <= 2*(n+m) else 2*(n+m)*r - (n+m)*(2*(n+m)+1)"
    assert Expression(text)(names_of(widths)) == momentum


def trees():
    """Expressions with their values at d0 = 2, d1 = 3, d2 = 5."""
    leaves = st.one_of(
        st.integers(0, 99).map(lambda n: (str(n), n)),
        st.sampled_from([("d0", 2), ("r", 3), ("m", 5), ("L", 2), ("n", 2), ("d2", 5)]),
    )

    def more(inner):
        binary = {
            "+": lambda a, b: a + b,
            "-": lambda a, b: a - b,
            "*": lambda a, b: a * b,
            "//": lambda a, b: a // b,
            "%": lambda a, b: a % b,
            "/": lambda a, b: Fraction(a) / Fraction(b),
        }

        def applied(args):
            op, (s, a), (t, b) = args
            good = b != 0 or op in "+-*"
            return (f"({s}) {op} ({t})", binary[op](a, b)) if good else (s, a)

        chosen = st.tuples(inner, inner, inner).map(
            lambda x: (
                f"({x[0][0]}) if ({x[1][0]}) < ({x[2][0]}) else 7",
                x[0][1] if x[1][1] < x[2][1] else 7,
            )
        )
        least = st.tuples(inner, inner).map(
            lambda x: (f"min({x[0][0]}, {x[1][0]}) + abs(-({x[0][0]}))", min(x[0][1], x[1][1]) + abs(x[0][1]))
        )
        return st.one_of(st.tuples(st.sampled_from(list(binary)), inner, inner).map(applied), chosen, least)

    return st.recursive(leaves, more, max_leaves=8)


@given(trees())
def test_values_are_exact(tree):
    text, value = tree
    assert Expression(text)(names_of([2, 3, 5])) == value


REFUSED = [
    *(
        "",
        "  ",
        "1.5",
        "'a'",
        "r.real",
        "r[0]",
        "[r]",
        "lambda: 1",
        "f(r)",
        "min(r)",
        "abs(1, 2)",
        "sum(h, 1)",
    ),
    *(
        "min(r, key=r)",
        "__import__('os').system('x')",
        "r := 2",
        "r r",
        "(",
        "r if m",
        "*r",
        "min(*r)",
        "r @ m",
    ),
    *(
        "r & m",
        "~r",
        "1j",
        "True",
        "None",
        "sum(sum(h))",
        "(" * 500 + "r" + ")" * 500,
        "-" * 900 + "r",
        "r\0",
    ),
    *("r in (1, 2)", "f'{r}'", "x" * 5000, "1;2", "r\nm", "sum(h for h in r)", "eval('1')", "max"),
]


@pytest.mark.parametrize("text", REFUSED, ids=lambda text: text[:20])
def test_all_else_is_refused_in_one_line(text):
    with pytest.raises(conslaw.ConslawError) as caught:
        Expression(text)(names_of([2, 3, 5]))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    ["x", "d3", "h", "hidden", "R", "9**9**9", "2**10**10", "r**-1", "1/(r - 3)", "m // (n - 2)", "2**(1/2)"],
)
def test_what_has_no_value_is_refused_with_the_widths(text):
    with pytest.raises(conslaw.ConslawError, match="2-3-5"):
        Expression(text)(names_of([2, 3, 5]))


def test_a_name_that_these_widths_do_not_have():
    with pytest.raises(
        conslaw.ConslawError, match=r"no name 'r' at widths 1-2-3-4; there are d0, d1, d2, d3"
    ):
        Expression("r")(names_of([1, 2, 3, 4]))

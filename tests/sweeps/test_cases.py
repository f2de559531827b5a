"""Ranges, and the cases that they make: each once, in an order that never changes."""

from itertools import pairwise, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

import conslaw
from conslaw.models.networks import FAMILIES
from conslaw.sweeps.cases import space
from conslaw.sweeps.ranges import integers, patterns


@given(st.integers(0, 50), st.integers(0, 50), st.integers(1, 9))
def test_both_ends_are_in(first, steps, step):
    last = first + steps * step
    found = integers(f"{first}..{last}..{step}", "x")
    assert found == tuple(range(first, last + 1, step))
    assert found[0] == first
    assert found[-1] == last
    if step > 1 and steps:
        with pytest.raises(conslaw.ConslawError, match=rf"give {first}\.\."):
            integers(f"{first}..{last - 1}..{step}", "x")


SAME = [
    ("1..3", "1,2,3", [1, 2, 3], range(1, 4), "1..2,3,2", (1, 2, 3)),
    ("6..12..3", "6,9,12", (6, 9, 12)),
]


@pytest.mark.parametrize("same", SAME, ids=str)
def test_equivalent_ranges(same):
    assert len({integers(one, "x") for one in same}) == 1
    assert len({patterns(one, 2) for one in same}) == 1


def test_equivalent_architectures():
    listed = patterns([[1, 2, 1], [1, 3, 1], [2, 2]])
    assert patterns("1-2..2-1,1-3-1,2-2") == listed
    both = space(["linear"], "1-2..3-1,2-2", bias="both")
    assert [case["widths"] for case in both][::2] == ["1-2-1", "1-3-1", "2-2"]


BAD = [
    *(
        "5..1",
        "1..6..3",
        "1..5..0",
        "",
        "a",
        "1.5",
        "1...5",
        "..",
        "1..",
        "-1",
        "1,,2",
        "1..2..3..4",
        "\uff11",
    ),
    *("1_0", "0..3", "0", "9" * 30, [], [0], [-1], [1.5], [True], ["1"], None, {"a": 1}, 1.5),
    *("1-", "1--2", "2-1,3", "1-0-1", [[1, 2], 3], [[]], [[1]], [["1", "2"]], "1..99999999999"),
]


@pytest.mark.parametrize("widths", BAD, ids=str)
def test_widths_that_are_none_are_refused_in_one_line(widths):
    with pytest.raises(conslaw.ConslawError) as caught:
        space(["linear"], widths, **({} if isinstance(widths, str) and "-" in widths else {"depth": 2}))
    assert "\n" not in str(caught.value)


REFUSED = {
    "no family": (["none"], {}),
    "twice": (["linear", "linear"], {}),
    "takes no bias": (["nmf"], {"bias": "both"}),
    "bias": (["linear"], {"bias": "maybe", "depth": 2}),
    "no depth": (["linear"], {}),
    "depth of three sizes": (["nmf"], {"depth": 3}),
    "depth 0": (["linear"], {"depth": 0}),
    "power of linear": (["linear"], {"power": 2, "depth": 2}),
    "power 1": (["polynomial"], {"power": 1, "depth": 2}),
    "powers for some": (["linear", "polynomial"], {"depth": 2}),
    "damping without momentum": (["linear"], {"depth": 2, "damping": 1}),
    "damping": (["linear"], {"depth": 2, "flow": "momentum", "damping": "1/0"}),
    "negative damping": (["linear"], {"depth": 2, "flow": "momentum", "damping": -1}),
    "flow": (["linear"], {"depth": 2, "flow": "sgd"}),
    "sample": (["linear"], {"depth": 2, "sample": 0}),
    "seed": (["linear"], {"depth": 2, "seed": -1}),
    "too many": (["linear"], {"widths": "1..1000", "depth": 4}),
    "parameters of exponents": (["monomial"], {"depth": 2, "max_parameters": 4}),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_a_family_does_not_take_is_refused_in_one_line(case):
    families, options = REFUSED[case]
    with pytest.raises(conslaw.ConslawError) as caught:
        space(families, options.pop("widths", "1..3") if options else "1..3", **options)
    assert "\n" not in str(caught.value)


def small_spaces():
    options = {
        "widths": st.sampled_from(["1..2", "1..3", "2,5", "1-1..3-2", "1-1..2-2,1-2..3-2,3-3"]),
        "bias": st.sampled_from([False, True, "both"]),
        "flow": st.sampled_from(["gradient", "momentum", "nesterov,gradient", "momentum,gradient,gradient"]),
        "max_parameters": st.sampled_from([None, 1, 6, 12]),
        "symmetric": st.booleans(),
        "first": st.sampled_from([None, 1, 7]),
        "families": st.sampled_from([["linear"], ["relu", "linear"]]),
    }
    return st.fixed_dictionaries(options)


def made(families, widths, **options):
    depth = None if "-" in widths else "1..2"
    damping = "0,1/2,2/4" if "momentum" in options["flow"] else None
    return space(families, widths, depth=depth, damping=damping, **options)


@given(small_spaces())
def test_cases_are_those_of_the_definition_each_once(options):
    """Against a search through all widths, biases and flows."""
    chosen = made(**options)
    cases = [tuple(case.values()) for case in chosen]
    assert len(set(cases)) == len(cases) == chosen.count()
    assert cases == [tuple(case.values()) for case in made(**options)]
    if options["first"] is None:
        assert set(cases) == set(by_search(**options))


def by_search(families, widths, bias, flow, max_parameters, symmetric, first):
    dampings = {"momentum": ["0", "1/2"], "gradient": [None], "nesterov": [None]}
    listed = {w: patterns(w, None if "-" in w else "1..2") for w in [widths]}[widths]
    architectures = {w for length in range(2, 5) for w in product(range(1, 6), repeat=length)}
    biases = {"both": [False, True]}.get(bias, [bias])
    for family, w, b, name in product(families, architectures, biases, flow.split(",")):
        fits = any(len(w) == len(p) and all(x in xs for x, xs in zip(w, p, strict=True)) for p in listed)
        size = sum(x * y for x, y in pairwise(w)) + (sum(w[1:-1]) if b else 0)
        small = max_parameters is None or size <= max_parameters
        first_of_pair = not symmetric or tuple(w) <= tuple(reversed(w))
        if fits and small and first_of_pair:
            assert FAMILIES[family](w, b).size == size
            for damping in dampings[name]:
                yield (family, "-".join(map(str, w)), b, None, name, damping)


@given(small_spaces(), st.integers(1, 40), st.integers(0, 3))
def test_a_sample_is_of_the_cases_and_the_seed_gives_it_again(options, size, seed):
    options["first"] = None
    everything = [tuple(case.values()) for case in made(**options)]
    drawn = [tuple(case.values()) for case in made(**options, sample=size, seed=seed)]
    assert len(drawn) == min(size, len(everything))
    places = [everything.index(case) for case in drawn]
    assert places == sorted(set(places))
    assert drawn == [tuple(case.values()) for case in made(**options, sample=size, seed=seed)]


def test_a_sample_of_more_than_can_be_listed():
    chosen = space(["linear"], "1..1000", depth="2..9", sample=50, symmetric=True, bias="both")
    cases = list(chosen)
    assert len({tuple(case.values()) for case in cases}) == 50 == chosen.count()
    for case in cases:
        widths = list(map(int, case["widths"].split("-")))
        assert widths <= widths[::-1]
        assert 3 <= len(widths) <= 10
        assert all(1 <= d <= 1000 for d in widths)


@pytest.mark.parametrize(
    ("depth", "more", "bias", "count"), [(60, 2, False, 63), (300, 2, True, 4), (300, 0, True, 1)]
)
def test_deep_networks_that_are_hardly_small_enough_are_found_at_once(depth, more, bias, count):
    """A first or last layer of 2 has one weight more than one of 1; a hidden layer two, and a bias."""
    least = depth + (depth - 1) * bias
    chosen = space(["relu"], "1..2", depth=depth, bias=bias, max_parameters=least + more)
    assert chosen.count() == count

"""Dimensions of neurovarieties: theorems, a table of sources, certificates and bad input."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import conslaw
from conslaw import varieties
from conslaw.networks import polynomial

# (widths, power, dimension): Alexander-Hirschowitz, Segre-Veronese, Kileel-Trager-Bruna, Kubjas-Li-Wiesmann,
# hypersurfaces in a layer, and sizes where every unit counts
KNOWN = [
    ([3, 3, 3], 2, 15),
    ([2, 2, 3], 2, 8),
    ([2, 3, 7, 1], 5, 23),
    ([5, 8, 1], 3, 35),
    ([5, 7, 1], 3, 34),
    ([3, 5, 1], 4, 14),
    ([4, 9, 1], 4, 34),
    ([5, 14, 1], 4, 69),
    ([3, 5, 2], 3, 19),
    ([4, 6, 5], 2, 47),
    ([4, 5, 3], 2, 29),
    ([6, 8, 3], 2, 62),
    ([2, 1, 5, 6, 1], 2, 2),
    ([50, 50, 1], 3, 2500),
    ([20, 40, 60, 40], 3, 5500),
    ([784, 512, 10], 2, 406016),
    ([1000] * 4, 2, 2998000),
]


@pytest.mark.parametrize(("widths", "power", "expected"), KNOWN, ids=str)
def test_known_dimensions_are_proved_and_certified(widths, power, expected):
    found = varieties.dimension(polynomial(widths, power))
    assert (found.dimension, found.upper_bound, found.exact) == (expected, expected, True)
    assert not found.probable
    assert found.verify(budget=10).ok


@pytest.mark.parametrize("n", range(3, 8))
def test_symmetric_matrices_of_bounded_rank(n):
    for h in range(1, n + 2):
        expected = min(h, n) * n - min(h, n) * (min(h, n) - 1) // 2
        found = varieties.dimension(polynomial([n, h, 1]))
        assert (found.dimension, found.exact, found.filling) == (expected, True, h >= n)


@pytest.mark.parametrize("m", range(1, 6))
def test_two_units_of_binary_forms(m):
    """V(2,2,m) has dimension 2m + 2 if that is less than the ambient dimension."""
    found = varieties.dimension(polynomial([2, 2, m], 3))
    assert (found.dimension, found.exact) == (min(2 * m + 2, 4 * m), True)


@given(st.lists(st.integers(1, 5), min_size=3, max_size=5), st.integers(2, 4), st.booleans())
@settings(deadline=None, max_examples=40)
def test_bounds_never_cross_and_meet_without_biases(widths, power, bias):
    found = varieties.dimension(polynomial(widths, power, bias=bias))
    assert found.dimension <= found.upper_bound
    assert found.exact or bias
    assert found.fibre_dimension == found.parameters - found.dimension
    if bias and len(widths) == 3:  # the bias is one more input
        other = varieties.dimension(polynomial([widths[0] + 1, *widths[1:]], power))
        assert found.dimension == other.dimension


# where the Jacobian is too large to be taken as a whole: no colouring, or none alone, reaches these
WIDE = [
    ([20, 400, 10], 3, 11600),  # 400 cubes of 20 variables, dealt to outputs
    ([40, 600, 20, 3], 2, 40 * 41 // 2 * 20 + 20 * 3 - 20),  # 20 quadrics, any
    ([1000, 3, 50, 50], 2, 1000 * 3 + 6 * 50 - 3),  # a bottleneck; then any quadrics of its 3 units
    ([5, 200, 200, 5], 2, 5 * 70),
    ([4, 46, 89], 2, 10 * 89),
]


@pytest.mark.parametrize(("widths", "power", "expected"), WIDE, ids=str)
def test_wide_networks_are_proved(widths, power, expected):
    found = varieties.dimension(polynomial(widths, power))
    assert (found.dimension, found.exact) == (expected, True)


@pytest.mark.parametrize(
    "widths",
    [[5, 4, 3, 2], [4, 4, 1], [6, 5, 4], [3, 4, 5, 4], [5, 7, 1], [4, 6, 3], [4, 2, 5, 3], [2, 6, 3]],
)
@pytest.mark.parametrize("power", [2, 3])
def test_special_points_never_exceed_the_whole_rank(widths, power):
    """Each rule for large networks, where the whole Jacobian is small enough to compare."""
    from conslaw.varieties.architecture import Architecture
    from conslaw.varieties.lower_bound import LowerBounds
    from conslaw.varieties.network_ranks import dense

    d, r = tuple(widths), (power,) * (len(widths) - 2)
    bounds = LowerBounds("special", 2**31 - 1)
    whole = dense(Architecture(d, r), Architecture(d, r).naive, "whole")
    steps = [bounds._coloured(d, r, one) for one in bounds._colourings(d, r)]
    steps += [bounds._bottleneck(d, r, k) for k in range(1, len(d) - 1) if d[k] <= min(d[:k])]
    steps += [bounds._outputs(d, r, m) for m in range(1, d[-1])]
    steps += [bounds.dealt(d, r, c) for c in range(1, d[-1] + 1)]
    steps += bounds._forms(d, r)
    assert max(step.bound for step in steps) > 0
    assert all(step.bound <= whole for step in steps), [step for step in steps if step.bound > whole]
    assert whole == bounds.dealt(d, r, d[-1]).bound  # one group: all weights, but the scales


def test_ambient_dimensions_are_exact_beyond_64_bits():
    found = varieties.dimension(polynomial([200, 3, 3, 3], 4))
    data = json.loads(json.dumps(found.to_json()))
    assert data["ambient_dimension"] == str(found.ambient_dimension)
    assert varieties.Dimension.from_json(data).ambient_dimension == found.ambient_dimension > 2**63


def test_models_of_the_users_own():
    """A product of matrices: the fibre is GL(r), by exact fields; a square root is only finitely many."""
    product = conslaw.model(
        lambda p, c: c.v @ p.U @ p.V.T @ c.x,
        parameters={"U": (3, 2), "V": (3, 2)},
        data={"x": (3,), "v": (3,)},
        name="product",
    )
    found = varieties.dimension(product)
    assert (found.dimension, found.exact) == (2 * (3 + 3 - 2), True)
    assert found.verify().ok
    own = conslaw.model(
        lambda p, c: c.a * p.x * p.y + c.b * p.x**2 * p.y**2,
        parameters={"x": (), "y": ()},
        data={"a": (), "b": ()},
        name="hyperbola",
    )
    assert (varieties.dimension(own).dimension, varieties.dimension(own).exact) == (1, True)
    assert varieties.dimension(own).verify().ok


def own_certificate(tmp_path, change=None):
    """A potential with an array that it does not use, saved and read."""
    model = conslaw.model(
        lambda p, c: c.v @ p.U @ p.V @ c.x + (c.x @ p.w) ** 2,
        parameters={"U": (2, 1), "V": (1, 3), "w": (3,), "idle": (2,)},
        data={"x": (3,), "v": (2,)},
        name="mine",
    )
    found = varieties.dimension(model)
    assert (found.dimension, found.exact) == (2 + 3 - 1 + 3, True)
    whole = found.certificate()
    if change:
        from conslaw.certificates.written import digests

        change(whole)
        whole["digests"] = digests(whole)
    file = tmp_path / "dimension.json"
    file.write_text(json.dumps(whole), encoding="utf-8")
    return conslaw.verify(file)


def test_certificates_of_the_users_own_models(tmp_path):
    checked = own_certificate(tmp_path)
    assert checked.ok
    assert "'mine'" in checked.claim


@pytest.mark.parametrize(
    "change",
    [
        lambda w: w["bounds"].update(lower=8),
        lambda w: w["bounds"].update(upper=6),
        lambda w: w["upper"]["fields"].append({"U[1,1]": "1"}),
        lambda w: w["upper"]["fields"].pop(),
        lambda w: w["upper"]["fields"].append({"x[1]": "1"}),
        lambda w: w["upper"]["fields"].append(w["upper"]["fields"][0]) or w["bounds"].update(upper=6),
        lambda w: w["model"]["data"].update(v=[3]),
        lambda w: w["model"].update(graph=w["model"]["graph"][: len(w["model"]["graph"]) // 2]),
        lambda w: w["lower"].update(prime=2**30),
        lambda w: w.update(claim="less"),
    ],
)
def test_forged_certificates_of_the_users_own_models_are_refused(tmp_path, change):
    assert not own_certificate(tmp_path, change).ok


def test_rooms_are_reached_from_the_package():
    assert conslaw.varieties.dimension is varieties.dimension
    assert {"varieties", "layers", "regions"} <= set(dir(conslaw))


def test_an_open_defect_is_probable_only():
    """A field that the fibre needs has degree 3: x + t with y + t x**2 ... is not found, and nothing is
    claimed.
    """
    model = conslaw.model(
        lambda p, c: c.a * (p.x**4 + p.y) + c.b * (p.x**4 + p.y) ** 2,
        parameters={"x": (), "y": ()},
        data={"a": (), "b": ()},
        name="bent",
    )
    found = varieties.dimension(model)
    assert (found.dimension, found.upper_bound, found.exact) == (1, 2, False)
    assert "dimension" not in found.proved
    assert 0 < found.probable["error_probability"] < 1e-3


def forged(change):
    whole = varieties.dimension(polynomial([2, 3, 7, 1], 5)).certificate()
    from conslaw.certificates.written import digests

    change(whole)
    return {**whole, "digests": digests(whole)}


@pytest.mark.parametrize(
    "change",
    [
        lambda w: w["bounds"].update(upper="22"),
        lambda w: w["bounds"].update(lower="24"),
        lambda w: w["upper"][-1].update(bound="22"),
        lambda w: w["upper"][-1].update(source=1),
        lambda w: w["upper"][-1].update(rule="determinantal"),
        lambda w: w["upper"][-1].update(rule="Segre-Veronese"),
        lambda w: w["upper"][0].update(bound="5"),
        lambda w: w["upper"][-1].update(parts=[]),
        lambda w: w["network"].update(powers=[5, 4]),
        lambda w: w["network"].update(bias=True),
        lambda w: w["lower"]["steps"][-1].update(rule="colours", units=2),
        lambda w: w["lower"]["steps"][-1].update(rule="one more input"),
        lambda w: w["lower"]["steps"][-1].update(parts=[0]),
        lambda w: w.update(claim="something else"),
    ],
)
def test_forged_certificates_are_refused(change):
    assert not conslaw.verify(forged(change)).ok


@pytest.mark.parametrize(
    ("rule", "widths", "layer"),
    [
        ("hypersurface", [2, 9, 3, 9, 9, 1], 2),  # a sum over degrees up to 10**12
        ("coefficients", [2, 10**7, 10**7, 10**7, 10**7, 1], 0),  # binomial coefficients of 10**6 digits
        ("hypersurface", [2, 9, 9_999_998, 9_999_999, 9, 1], 3),  # a power of 10**8 digits
    ],
)
def test_large_powers_take_no_time(rule, widths, layer):
    """The numbers of a step are bounded before they are long."""

    def change(whole):
        whole["network"].update(widths=widths, powers=[2**20 - 1] * (len(widths) - 2))
        for steps in (whole["upper"], whole["lower"]["steps"]):
            step = {**steps[-1], **whole["network"], "rule": rule, "layer": layer, "parts": []}
            step |= {"source": 2 * (layer == 3), "units": 0, "numbers": []}
            del step["bias"]
            steps[:] = [step]

    assert not conslaw.verify(forged(change)).ok


@pytest.mark.parametrize(
    ("arguments", "options"),
    [
        (([2, 2, 2], 0), {}),
        (([2, 2, 2], 1), {}),
        (([2, 2, 2], -2), {}),
        (([2, 2, 2], 1.5), {}),
        (([2, 2, 2], "2"), {}),
        (([2, 2, 2], [2, 2]), {}),
        (([2],), {}),
        (([2, 2, 2], 2**21), {"prime": 1048583}),
        (([2, 2, 2], 2), {"prime": 4}),
        (([2, 2, 2], 2), {"seed": -1}),
    ],
)
def test_bad_input_is_one_line(arguments, options):
    with pytest.raises(conslaw.ConslawError) as error:
        varieties.dimension(polynomial(*arguments), **options)
    assert "\n" not in str(error.value)


def test_what_is_no_model_is_refused():
    for question in (varieties.dimension, lambda m: varieties.equations(m, degree=2)):
        with pytest.raises(conslaw.ConslawError, match="model"):
            question(conslaw.gradient_flow(polynomial([2, 2, 1])))


def test_the_shell(capsys):
    from conslaw.command_line import main

    assert main(["dimension", "polynomial", "3-3-3", "--power", "2", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["dimension"] == 15
    for wrong in (["--power", "x"], ["--power", "2,2"], ["--power", "1"]):
        assert main(["dimension", "polynomial", "3-3-3", *wrong]) == 2
    assert main(["dimension", "linear", "3-3-3", "--power", "2"]) == 2


def test_what_no_rank_was_taken_of_has_no_probability():
    found = varieties.dimension(polynomial([10, 63, 98, 93, 1]))
    assert 0 < found.dimension < found.upper_bound
    assert not found.probable
    assert found.error_probability is None


def test_a_network_without_hidden_layers_is_linear():
    found = varieties.dimension(polynomial([3, 2]))
    assert (found.dimension, found.exact, found.filling) == (6, True, True)
    assert found.verify().ok


def test_deep_networks_are_answered_or_refused_in_one_line():
    """Width 2 after width 2: the scales are all that leaves the functions unchanged."""
    assert varieties.dimension(polynomial([2] * 100)).dimension == 200
    with pytest.raises(conslaw.ConslawError, match="1,999 layers"):
        varieties.dimension(polynomial([2] * 2000))


def test_a_million_inputs_take_no_factorials():
    """Two cubes of a million variables: every weight counts, but for two scales."""
    found = varieties.dimension(polynomial([10**6, 2, 1], 3))
    assert found.dimension <= found.upper_bound == 2 * 10**6

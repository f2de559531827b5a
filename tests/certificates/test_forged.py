"""What reviewers forged, and certificates of version 1."""

import copy
import json
import re
from importlib.resources import files

import numpy as np
import pytest
from kinds import G, M, forged, radial_metric

import conslaw
from conslaw.certificates.written import digests

SCHEMA = json.loads(files("conslaw.certificates").joinpath("certificate.schema.json").read_text())


def test_a_potential_that_depends_on_the_number_of_neurons_is_not_split():
    """f = (N - 40) sum x a, N the number of neurons: no law less at 40, none at all in a small network."""
    model = conslaw.model(
        lambda p, c: ((0 * p.a + 1).sum() - 40) * (c.x @ p.a),
        parameters={"a": (40,)},
        data={"x": (40,)},
        name="counts",
    )
    certificate = conslaw.analyze(G(model), split=False).certificate()
    block = {"colours": [[1]], "copies": 40, "dimension": 1, "ranks": [1], "helped": True}
    split = {
        "classes": [[["a", 0], ["x", 0]]],
        "zero": [],
        "sign_flips": {},
        "colours": [[[1], 40]],
        "prime": 2**31 - 1,
    }
    certificate["upper"] = {
        "method": "subnetworks",
        "seed": 0,
        "ranks": [40],
        "beside": None,
        "blocks": [block],
        **split,
    }
    certificate["lower"]["laws"] = []
    certificate["bounds"] = {"state_dimension": 40, "laws_at_most": 0, "laws_found": 0, "complete": True}
    certificate["claim"] = certificate["claim"].replace("exactly 40", "exactly 0")
    assert "do not decouple" in str(forged(certificate))


def test_other_fields_than_those_of_the_model_are_named_in_the_claim(certificates):
    certificate = certificates("linear")
    certificate["flow"].update(fields=[{}], metric=None)
    certificate["upper"]["ranks"] = [0]
    names = certificate["lower"]["coordinates"]
    certificate["lower"]["laws"] = [{"numerator": name, "denominator": None} for name in names]
    certificate["bounds"] = {"state_dimension": 14, "laws_at_most": 14, "laws_found": 14, "complete": True}
    certificate["claim"] = certificate["claim"].replace("exactly 3", "exactly 14")
    assert "not what is claimed" in str(forged(certificate))


@pytest.mark.parametrize("word", ["z**-1", "z**999", "-1", "0.1", "mirror", "z", ""])
def test_metrics_that_are_not_words_of_the_format_are_refused(certificates, word):
    certificate = certificates("linear")
    certificate["flow"]["metric"] = {"W1": word, "W2": "euclidean"}
    assert "is not in words" in str(forged(certificate))


@pytest.mark.parametrize(
    "claim",
    [
        "linear 3-2-4, gradient flow: exactly 7 independent conservation laws, not exactly 3 independent "
        "ones",
        "relu 9-9-9, momentum flow: exactly 3 independent conservation laws near a generic point",
        "\x1b[2J",
    ],
)
def test_the_claim_follows_from_the_sections(certificates, claim):
    certificate = certificates("linear")
    certificate["claim"] = claim
    assert "not what is claimed" in str(forged(certificate))


def test_names_must_be_told_apart(certificates):
    certificate = certificates("linear")
    certificate["model"] = None
    certificate["flow"].update(
        kind="given", metric=None, state={"x": [2], "x[0]": []}, data={"d": []}, fields=[{"x[0]": "1"}]
    )
    assert "need names of their own" in str(forged(certificate))


def test_a_family_is_written_as_its_terms_say(certificates):
    for name, value in (("text", "W1 W1ᵀ + 7 W2"), ("size", 299), ("kind", "skew"), ("latex", "0")):
        certificate = certificates("large linear")
        certificate["lower"]["families"][0][name] = value
        assert not forged(certificate).ok


@pytest.mark.parametrize(
    "change",
    [
        lambda c: c["upper"]["blocks"][0].update(ranks=[10**9]),
        lambda c: c["upper"].update(ranks=[0] * 20000 + [11]),
        lambda c: c["upper"].update(colours=[[[300, 300, 300], 1]]),
        lambda c: c["upper"].update(colours=[[[k, k, k], 1] for k in range(1, 25)]),
        lambda c: c["flow"].update(metric=None),
        lambda c: c["model"]["family"]["arguments"].update(widths=[20] * 6),
        lambda c: c["upper"].update(zero=["nope"]),
        lambda c: c.update(version=True),
    ],
)
def test_bombs_and_odd_values_are_refused_soon(certificates, change):
    certificate = certificates("large linear")
    change(certificate)
    try:
        assert not forged(certificate).ok
    except conslaw.ConslawError as error:
        assert "version" in str(error)  # noqa: PT017


def test_what_is_no_certificate_gets_one_error(tmp_path):
    path = tmp_path / "twice.json"
    path.write_text('{"claim": "a", "claim": "b"}')
    for source in (None, 5, b"{}", {"version": {1, 2}}, path, tmp_path):
        with pytest.raises(conslaw.ConslawError):
            conslaw.verify(source)


def test_true_certificates_of_odd_models():
    unused = conslaw.model(
        lambda p, c: c.v @ p.W @ c.x + 0 * c.zz.sum(),
        parameters={"W": (3, 4)},
        data={"x": (4,), "v": (3,), "zz": (7,)},
    )
    greek = conslaw.model(lambda p, c: c.v @ p.θ, parameters={"θ": (2,)}, data={"v": (2,)})
    steep = conslaw.momentum_flow(conslaw.linear([1, 1, 1]), damping="1/50/t")
    for flow, options in ((G(unused), {"ansatz": "matrix"}), (G(greek), {}), (steep, {})):
        result = conslaw.verify(conslaw.analyze(flow, **options).certificate())
        assert result.ok, str(result)


@pytest.mark.parametrize(
    "text",
    [
        "W1[0,0]**2 - -W2[0,0]**2",
        "+ + - W1[0,0]**2",
        "W1[0,0] +",
        "- - W1[0,0]",
        "",
        "7",
        "0",
        "W1[0,0] W2[0,0]",
        "2 3",
    ],
)
def test_laws_that_are_not_written_plainly_or_say_nothing_are_refused(certificates, text):
    certificate = certificates("linear")
    certificate["lower"]["laws"].append({"numerator": text, "denominator": None})
    assert "at least" in [check.what for check in forged(certificate).checks if not check.ok]


def test_a_coordinate_that_is_not_used_is_in_no_law():
    model = conslaw.model(
        lambda p, c: p.x * p.y * c.d + p.unused * c.e,
        parameters={"x": (), "y": (), "unused": ()},
        data={"d": (), "e": ()},
    )
    certificate = conslaw.analyze(G(model)).certificate()
    assert conslaw.verify(certificate).ok
    certificate["lower"]["coordinates"].append("unused")
    certificate["lower"]["point"].append(5)
    certificate["lower"]["laws"][0]["numerator"] = "x**2*unused - y**2*unused"
    assert "the coordinates are not those of the state" in str(forged(certificate))
    certificate["lower"]["coordinates"].pop()
    certificate["lower"]["point"].pop()
    assert "is not conserved" in str(forged(certificate))


def test_time_and_drift_beside_fields_are_those_of_the_flow():
    flow = G(
        conslaw.model(lambda p, c: p.x * p.y, parameters={"x": (), "y": ()}, name="xy"),
        metric=radial_metric,
        weight_decay=1,
    )
    certificate = json.loads(json.dumps(conslaw.analyze(flow).certificate()))
    assert conslaw.verify(certificate).ok
    for change, words in (
        (lambda c: c["flow"]["time"].update(rate="7"), "the state or the time"),
        (lambda c: c["flow"]["fields"][0].update(time="7*time"), "the drift is not that of this flow"),
        (lambda c: c["flow"]["fields"].pop(0), "vector fields; a gradient flow has 2"),
        (lambda c: c["flow"].update(weight_decay="0.0"), "the state or the time"),
        (lambda c: c["flow"].update(weight_decay="2/2"), "weight decay 1"),
    ):
        changed = copy.deepcopy(certificate)
        change(changed)
        assert words in str(forged(changed))


def test_each_family_has_its_own_laws_and_each_depth_its_rank():
    certificate = conslaw.analyze(G(conslaw.linear([2, 3, 4, 2])), ansatz="matrix").certificate()
    assert conslaw.verify(certificate).ok
    certificate["lower"]["families"][0]["laws"], certificate["lower"]["families"][1]["laws"] = 0, 16
    assert "the families add [10, 6] laws, not [0, 16]" in str(forged(certificate))
    large = conslaw.analyze(G(conslaw.linear([30, 30, 30])), split=True).certificate()
    large["upper"]["ranks"] = [1335]
    assert "the blocks add up to ranks" in str(forged(large))


def of_version_1(certificate):
    """A certificate as version 0.1.0 wrote it."""
    old = {name: value for name, value in certificate.items() if name not in ("kind", "digests")}
    model = {name: value for name, value in old["model"].items() if name != "graph"}
    model["potential"] = {"graph": certificate["model"]["graph"], "polynomial": None}
    upper = {
        **old["upper"],
        "seed": 0,
        **({"drawn": "uniformly"} if old["upper"]["method"] == "brackets" else {}),
    }
    old = {**old, "version": 1, "model": model, "upper": upper}
    return {**old, "digests": digests(old)}


def test_certificates_of_version_1_are_verified_if_they_prove_something(certificates):
    for name in ("linear", "own model", "quotient", "momentum"):
        assert conslaw.verify(of_version_1(certificates(name))).ok
    for name in ("large linear", "matrix ansatz", "large relu"):
        with pytest.raises(conslaw.ConslawError, match=r"0\.1\.0 took ranks at several points"):
            conslaw.verify(of_version_1(certificates(name)))


@pytest.mark.parametrize(
    "words",
    [
        {"damping": "0/t"},
        {"damping": "01"},
        {"damping": "\uff12"},
        {"damping": "2/4"},
        {"damping": " 1/2"},
        {"damping": "0.5"},
    ]
    + [{"weight_decay": word} for word in ("0/1", "+0", "00", "\uff10", "-0")],
)
def test_words_are_canonical(certificates, words):
    """The claim repeats them, so each flow has one."""
    certificate = certificates("momentum")
    certificate["flow"].update(words)
    assert not forged(certificate).ok


def test_a_prime_that_hides_a_gradient_gives_no_bound():
    """(a**k - 1)(x·u), 2k + 1 the prime that will be drawn: a**k is 1 or -1 mod p, so the points of different
    shapes differ.
    """
    from conslaw.algebra.finite_field import random_prime

    k = (random_prime(np.random.default_rng(1)) - 1) // 2
    for width in (6, 3000):
        model = conslaw.model(
            lambda p, c: (p.a**k - 1) * (c.x @ p.u), parameters={"a": (), "u": (width,)}, data={"x": (width,)}
        )
        assert conslaw.count(G(model), split=True, seed=1).laws_at_most >= 1


def test_arrays_vanish_with_their_velocities():
    """linear 2-3-2 under momentum has 3 laws; where an array vanishes but its velocity does not, it does not
    stay.
    """
    flow = M(conslaw.linear([2, 3, 2]))
    certificate = json.loads(json.dumps(conslaw.analyze(flow, split=True).certificate()))
    for zero in (["W1"], ["W1_dot"], ["W1", "W2"], ["time"], ["nothing"]):
        certificate["upper"]["zero"] = zero
        assert re.search("velocity|does not have", str(forged(certificate)))


@pytest.mark.parametrize(
    ("operation", "change"),
    [
        ("take", lambda node: node["arguments"].append(0)),
        ("take", lambda node: node["attribute"].append(0)),
        ("take", lambda node: node["attribute"].__setitem__(0, -1)),
        ("product", lambda node: node["arguments"].append(0)),
        ("product", lambda node: node["attribute"].append("")),
        ("product", lambda node: node["attribute"].__setitem__(2, "z" + node["attribute"][2])),
        ("constant", lambda node: node["arguments"].append(0)),
        ("constant", lambda node: node["attribute"].__setitem__(0, "2/4")),
        ("input", lambda node: node["arguments"].append(0)),
        ("input", lambda node: node.update(attribute="nothing")),
    ],
)
def test_every_node_of_a_graph_is_what_it_says(certificates, operation, change):
    certificate = certificates("own model")
    nodes = certificate["model"]["graph"]
    found = [i for i, node in enumerate(nodes) if node["operation"] == operation and i > 0]
    change(nodes[(found or [0])[-1]])
    assert [c.what for c in forged(certificate).checks if not c.ok] == ["model"]

"""Certificates: true ones are verified, changed ones are refuted by name, hostile ones get one error."""

import copy
import json
import re
from importlib.resources import files

import jsonschema
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import conslaw
from conslaw.certificates.written import digests
from conslaw.command_line import main

G, M = conslaw.gradient_flow, conslaw.momentum_flow
SCHEMA = json.loads(files("conslaw.certificates").joinpath("certificate.schema.json").read_text())


def own(hidden):
    """A model of no family, with transposes, a constant and a power."""
    return conslaw.model(
        lambda p, c: c.v @ (p.V.T @ (2 * (p.U @ c.x) ** 3)),
        parameters={"U": (hidden, 3), "V": (hidden, 2)},
        data={"x": (3,), "v": (2,)},
        name="cubic units",
    )


def radial_metric(z):
    return {"x": 1 + z.y * z.y}


FLOWS = {
    "linear": lambda: G(conslaw.linear([3, 2, 4])),
    "matrix ansatz": lambda: (G(conslaw.linear([3, 2, 4])), {"ansatz": "matrix", "split": False}),
    "relu with bias": lambda: G(conslaw.relu([2, 3, 2], bias=True)),
    "momentum": lambda: M(conslaw.linear([2, 3, 2]), damping="1/2"),
    "nesterov": lambda: M(conslaw.linear([2, 2, 1]), damping="nesterov"),
    "clock t**(1/2)": lambda: M(conslaw.linear([1, 2, 2]), damping="3/2/t"),
    "mirror momentum": lambda: M(conslaw.icnn(1, 2, 1, bias=True), damping="5/t"),
    "powers, decay, momentum": lambda: M(
        conslaw.linear([1, 2, 1]), metric={"W1": "z**2"}, damping=1, weight_decay="1/3"
    ),
    "rates and decay": lambda: G(conslaw.linear([2, 2, 2]), metric={"W1": "1/10"}, weight_decay=1),
    "quotient": lambda: G(
        conslaw.model(lambda p, c: (p.x**2 + p.y**2) / 2, parameters={"x": (), "y": ()}, name="radial")
    ),
    "logarithms": lambda: G(conslaw.nmf(1, 2, 1)),
    "a metric of one's own": lambda: G(
        conslaw.model(lambda p, c: p.x * p.y, parameters={"x": (), "y": ()}, name="xy"), metric=radial_metric
    ),
    "negative power": lambda: G(conslaw.linear([1, 2, 1]), metric="z**-1"),
    "bounds that do not meet": lambda: (G(conslaw.linear([1, 2, 1])), {"degree": 1}),
    "deep brackets": lambda: M(conslaw.linear([1, 3, 3, 1])),
    "own model": lambda: G(own(2)),
    "large linear": lambda: G(conslaw.linear([300, 300, 300])),
    "large relu": lambda: G(conslaw.relu([784, 512, 10], bias=True)),
    "large momentum": lambda: M(conslaw.linear([50, 40, 30], bias=True), damping=1),
    "large mirror": lambda: G(conslaw.icnn(40, 30, 20, bias=True)),
    "large own model": lambda: G(own(200)),
    "split, laws as polynomials": lambda: G(conslaw.linear([16, 17, 16])),
}


@pytest.fixture(scope="module")
def certificates():
    made = {}

    def certificate(name):
        if name not in made:
            question = FLOWS[name]()
            flow, options = question if isinstance(question, tuple) else (question, {})
            made[name] = json.loads(json.dumps(conslaw.analyze(flow, **options).certificate()))
        return copy.deepcopy(made[name])

    return certificate


@pytest.mark.parametrize("name", FLOWS)
def test_true_certificates_are_verified(certificates, name):
    certificate = certificates(name)
    jsonschema.validate(certificate, SCHEMA)
    result = conslaw.verify(certificate)
    assert result.ok, str(result)


def sections(certificate):
    return certificate["upper"], certificate["lower"], certificate["bounds"]


def a_coefficient(c):
    c["lower"]["laws"][0]["numerator"] = c["lower"]["laws"][0]["numerator"].replace(
        "W1[0,0]**2", "2*W1[0,0]**2"
    )


def a_law_dropped(c):
    del c["lower"]["laws"][1]


def a_law_twice(c):
    c["lower"]["laws"][1] = c["lower"]["laws"][0]


def a_rank_too_large(c):
    c["upper"]["ranks"] = [10, 11, 12]


def a_rank_too_small(c):
    c["upper"]["ranks"] = [10, 10, 10]


def a_special_point(c):
    c["upper"]["point"] = {"W1": [0] * 6, "W2": [0] * 8}


def another_prime(c):
    c["upper"]["prime"] = 2**31 - 2


def other_widths(c):
    c["model"]["family"]["arguments"]["widths"] = [3, 2, 5]


def another_family(c):
    c["model"]["family"]["name"] = "relu"


def another_flow(c):
    c["flow"]["weight_decay"] = "1"


def another_metric(c):
    c["flow"]["metric"]["W1"] = "z**1"


def another_dimension(c):
    c["bounds"]["state_dimension"] = 15


def another_bound(c):
    c["bounds"]["laws_at_most"] = 2


def incomplete(c):
    c["bounds"]["complete"] = False


def another_claim(c):
    c["claim"] = c["claim"].replace("exactly 3", "exactly 4")


CHANGES = {
    a_coefficient: "at least: law 1, .* is not conserved",
    a_law_dropped: "conclusion: laws_found is 2, not 3",
    a_law_twice: "conclusion: laws_found is 2, not 3",
    a_rank_too_large: "at most: the brackets of up to 3 fields reach rank 11 at this point, not 12",
    a_rank_too_small: "conclusion: laws_at_most is 4, not 3",
    a_special_point: "at most: the brackets of up to 1 fields reach rank 0 at this point, not 10",
    another_prime: "at most: 2147483646 is not a prime",
    other_widths: "model: linear .* has other arrays",
    another_family: "model: .* other arrays",
    another_flow: "flow: the state or the time",
    another_metric: "at least: law 1, .* is not conserved",
    another_dimension: "conclusion: the state has 14 coordinates, not 15",
    another_bound: "conclusion: laws_at_most is 3, not 2",
    incomplete: "conclusion: complete is True, not False",
    another_claim: "conclusion: what is proved is .linear 3-2-4, gradient flow: exactly 3 .*, not what is",
}


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
@pytest.mark.parametrize("forged", [False, True], ids=["as it is", "with new digests"])
def test_a_changed_certificate_is_refuted_by_name(certificates, change, forged):
    certificate = certificates("linear")
    change(certificate)
    if forged:
        certificate["digests"] = digests(certificate)
    result = conslaw.verify(certificate)
    assert not result.ok
    failed = "\n".join(f"{check.what}: {check.found}" for check in result.checks if not check.ok)
    assert re.search(CHANGES[change], failed), failed
    assert ("was changed after" in failed) != forged


def block_rank(c):
    c["upper"]["blocks"][1]["ranks"] = [2, 4, 4, 4]
    c["upper"]["ranks"] = [90000, 179700, 179700, 179700]


def block_copies(c):
    c["upper"]["blocks"][1]["copies"] += 1


def block_dropped(c):
    del c["upper"]["blocks"][1]


def colours(c):
    c["upper"]["colours"][0][1] -= 1


def flips(c):
    c["upper"]["sign_flips"]["W1"] = [1, 0]


def classes(c):
    c["upper"]["classes"][0] = c["upper"]["classes"][0] + c["upper"]["classes"][1]


def family_coefficient(c):
    c["lower"]["families"][0]["terms"][1]["coefficient"] = 1


def family_array(c):
    c["lower"]["families"][0]["terms"][1]["factors"][0][1] = "ba"


def family_dropped(c):
    c["lower"]["families"] = []


def laws_in_a_block(c):
    c["lower"]["split"]["blocks"][1]["laws"] = 2


LARGE_CHANGES = {
    block_rank: r"at most: the subnetworks .* reach rank 3 at this point, not 4",
    block_copies: "at most: there are 44850 subnetworks",
    block_dropped: "at most: the subnetworks .* are missing",
    colours: "at most: the colours do not add up to the 300 neurons",
    flips: "at most: flipping signs as the certificate says changes the potential",
    classes: "at most: the classes of the certificate are not those of the array code",
    family_coefficient: "at least: W1 W1ᵀ − W2ᵀ W2 is not conserved",
    family_array: "at least: .*",
    family_dropped: "at least: the laws of the subnetworks .* have rank 0, not 1",
    laws_in_a_block: "at least: the laws of the subnetworks .* have rank 1, not 2",
    other_widths: "model: .* other arrays",
    another_bound: "conclusion: laws_at_most is 45150, not 2",
}


@pytest.mark.parametrize("change", LARGE_CHANGES, ids=lambda change: change.__name__)
def test_a_changed_certificate_of_a_large_network_is_refuted_by_name(certificates, change):
    certificate = certificates("large linear")
    change(certificate)
    certificate["digests"] = digests(certificate)
    result = conslaw.verify(certificate)
    failed = "\n".join(f"{check.what}: {check.found}" for check in result.checks if not check.ok)
    assert re.search(LARGE_CHANGES[change], failed), failed


def test_a_false_law_is_refuted_at_any_size(certificates):
    """tr-like families that are conserved nowhere, in a network too large to be written out."""
    certificate = certificates("large relu")
    family = certificate["lower"]["families"][0]
    family["terms"] = [term for term in family["terms"] if term["factors"][0][0] != "b1"]
    certificate["digests"] = digests(certificate)
    assert "is not conserved" in str(conslaw.verify(certificate))


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_any_change_is_noticed_and_no_change_breaks_the_checker(certificates, data):
    """A random place of a random certificate gets a random value: not verified, or refused with the one
    error.
    """
    certificate = certificates(
        data.draw(st.sampled_from(["linear", "quotient", "logarithms", "own model", "large linear"]))
    )
    where, places = certificate, []
    while isinstance(where, dict | list) and len(where):
        keys = sorted(where) if isinstance(where, dict) else range(len(where))
        places.append((where, data.draw(st.sampled_from(keys))))
        where = where[places[-1][1]]
    parent, key = places[-1]
    if places[0][1] in ("format", "version", "made_by", "digests"):
        return
    odd = st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-5, 10**30),
        st.text(max_size=8),
        st.just([]),
        st.just({"a": [1]}),
    )
    value = data.draw(odd)
    if value == parent[key] and type(value) is type(parent[key]):
        return
    parent[key] = value
    forged = data.draw(st.booleans())
    if forged:
        certificate["digests"] = digests(certificate)
    try:
        result = conslaw.verify(certificate)
    except conslaw.ConslawError as error:
        assert "not a conslaw certificate" in str(error)  # noqa: PT017
    else:
        assert forged or not result.ok


HOSTILE = {
    "not json": ("{", "not JSON"),
    "not an object": ("[1, 2]", "not of type object"),
    "deep": ("[" * 100_000, "not JSON"),
    "long number": ('{"version": ' + "9" * 10_000 + "}", "not JSON"),
    "not text": (b"\xff\xfe\x00", "not JSON"),
    "empty": ("", "not JSON"),
    "a float": ('{"version": 2.0}', "no other numbers"),
    "no number": ('{"version": NaN}', "no other numbers"),
    "another format": ('{"format": "x"}', "not one of"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_files_get_one_line_and_status_2(tmp_path, capsys, case):
    content, words = HOSTILE[case]
    path = tmp_path / "certificate.json"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    assert main(["verify", str(path)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert words in err
    assert err.count("\n") == 1


def test_nothing_in_a_certificate_is_executed_and_bombs_do_not_go_off(certificates):
    for text in ("__import__('os').getcwd()", "W1[0,0]**999999999", "(" * 5000, "W1[0,0]" * 2000, "1/0"):
        certificate = certificates("linear")
        certificate["lower"]["laws"][0]["numerator"] = text
        result = conslaw.verify(certificate)
        assert not result.ok
        assert "at least" in [check.what for check in result.checks if not check.ok]
    certificate = certificates("linear")
    certificate["model"]["family"]["arguments"]["widths"] = [10**9, 10**9]
    assert not conslaw.verify(certificate).ok


def test_the_command_line_writes_and_verifies(tmp_path, capsys):
    path = tmp_path / "out.json"
    assert main(["analyze", "linear", "3-2-4", "--certificate", str(path)]) == 0
    capsys.readouterr()
    assert main(["verify", str(path)]) == 0
    assert capsys.readouterr().out.startswith("verified: linear 3-2-4, gradient flow: exactly 3 independent")
    path.write_text(path.read_text().replace("W1[0,0]**2", "W1[0,1]**2", 1))
    assert main(["verify", str(path)]) == 1
    assert "NOT verified" in capsys.readouterr().out


def test_the_size_of_a_certificate_does_not_grow_with_the_network(certificates):
    assert len(json.dumps(certificates("large linear"))) < 4000
    assert np.prod([300, 300, 2]) == conslaw.linear([300] * 3).size


# what an independent reviewer forged


def forged(certificate):
    certificate["digests"] = digests(certificate)
    return conslaw.verify(certificate)


def test_a_potential_that_depends_on_the_number_of_neurons_is_not_split():
    """f = (N - 40) sum x a, N the number of neurons: no law less at 40, none at all in a small network."""
    model = conslaw.model(
        lambda p, c: ((0 * p.a + 1).sum() - 40) * (c.x @ p.a),
        parameters={"a": (40,)},
        data={"x": (40,)},
        name="counts",
    )
    certificate = conslaw.analyze(G(model), split=False).certificate()
    block = {"colours": [[1]], "copies": 40, "dimension": 1, "ranks": [1]}
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


def repeat(operation, count, shape=(), attribute=None):
    """Nodes that each use the last one twice: short graphs of large values."""

    def change(c):
        nodes = c["model"]["graph"]
        if shape:
            nodes.append({"operation": "constant", "arguments": [], "shape": list(shape), "attribute": ["1"]})
        for _ in range(count):
            last = len(nodes) - 1
            node = {"operation": operation, "arguments": [last, last], "shape": list(shape)}
            nodes.append({**node, "attribute": attribute})

    return change


def wide(c):
    c["model"]["family"]["arguments"]["widths"] = [10**4] * 3
    shapes = {"W1": [10**4] * 2, "W2": [10**4] * 2}, {"x": [10**4], "v": [10**4]}
    c["model"]["parameters"], c["model"]["data"] = c["flow"]["state"], c["flow"]["data"] = shapes


def wide_subnetworks(c):
    wide(c)
    c["upper"] = conslaw.analyze(G(conslaw.linear([20] * 3)), split=True).certificate()["upper"]
    c["upper"]["colours"] = [[[5000, 5000, 5000], 2]]


BOMBS = {
    "decay": ("linear", lambda c: c["flow"].update(weight_decay="1e999999999")),
    "damping": ("momentum", lambda c: c["flow"].update(damping="1e999999999")),
    "arrays of 10**8 entries": ("linear", wide),
    "subnetworks of 10**7 coordinates": ("linear", wide_subnetworks),
    "brackets of 14 fields": ("momentum", lambda c: c["upper"].update(ranks=[0] * 13 + [22])),
    "brackets of 20,000 fields": ("linear", lambda c: c["upper"].update(ranks=[0] * 20_000 + [11])),
    "a constant of 10**8 entries": ("own model", repeat("add", 0, (10_000, 10_000))),
    "a power 2**40": ("own model", repeat("product", 40, (), ["", "", ""])),
    "10**8 terms": ("own model", repeat("product", 4, (), ["", "", ""])),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_what_would_take_too_much_work_is_not_begun(certificates, bomb, monkeypatch):
    """Refuted or not checked, from shapes alone: neither polynomials nor brackets of it are begun."""
    from conslaw.certificates import kernel

    def never(*_, **__):
        raise KeyboardInterrupt("work was begun")

    for name in ("elements", "check_conserved", "slopes", "Polynomials"):
        monkeypatch.setattr(kernel, name, never)
    monkeypatch.setattr("conslaw.certificates.rules.Polynomials", never)
    name, change = BOMBS[bomb]
    certificate = certificates(name)
    change(certificate)
    assert forged(certificate).verdict != "ok"


def test_the_exit_status_says_what_became_of_it(tmp_path, capsys, certificates, monkeypatch):
    path = tmp_path / "out.json"
    certificate = certificates("momentum")
    path.write_text(json.dumps(certificate))
    assert main(["verify", str(path)]) == 0
    assert main(["verify", str(path), "--budget", "1e-6"]) == 3
    assert "--budget" in capsys.readouterr().out.splitlines()[-1]
    certificate["bounds"]["laws_at_most"] += 1
    path.write_text(json.dumps(certificate))
    assert main(["verify", str(path), "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["verdict"] == "FAIL"
    assert main(["verify", str(path), "--budget", "-1"]) == 2
    assert main(["verify", str(tmp_path / "none")]) == 2
    with path.open("rb") as file:
        monkeypatch.setattr("sys.stdin", type("Stdin", (), {"buffer": file})())
        assert main(["verify", "-"]) == 1


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

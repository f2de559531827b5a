"""Certificates: true ones are verified, changed ones are refuted by name, hostile ones get one error."""

import json
import re
from importlib.resources import files

import jsonschema
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kinds import FLOWS

import conslaw
from conslaw.certificates.written import digests
from conslaw.command_line import main

SCHEMA = json.loads(files("conslaw.certificates").joinpath("certificate.schema.json").read_text())


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

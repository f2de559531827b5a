"""Certificates of level sets: true ones hold, by another method; whatever is changed is noticed."""

import json

import numpy as np
import pytest
from test_complexes import normal

import conslaw
from conslaw import ConslawError, regions
from conslaw.command_line import main

LOGITS = normal((2, 6, 5, 3), 4)
SHEETS = [([[1, 0, 0], [-1, 0, 0]], None), ([[1, 1]], [-1])]  # |x| = 1 in space: cells contain a plane
CASES = {
    "vertices": (normal((3, 6, 4, 1)), {}, {"level": 0.1}),
    "four": (normal((4, 5, 2, 1), 2), {}, {"at_infinity": "point"}),
    "recompute": (normal((2, 5, 4, 1), bias=False), {}, {"level": 1}),
    "box": (normal((2, 5, 4, 1), 3), {"within": ([-1, -1], [1, 1])}, {}),
    "classes": (LOGITS, {}, {"classes": (2, 0), "at_infinity": "ends"}),
    "sheets": (SHEETS, {}, {"at_infinity": "point"}),
    "empty": (normal((2, 5, 1)), {}, {"level": 1000}),
}


def made(name):
    layers, cut, asked = CASES[name]
    return regions.topology(regions.polyhedral_complex(layers, **cut), **asked)


@pytest.fixture(scope="module")
def true():
    return {name: made(name).certificate() for name in CASES}


@pytest.mark.parametrize("name", CASES)
def test_files_and_shell(name, tmp_path, capsys):
    file = tmp_path / "a.npz"
    found = made(name)
    found.certificate(str(file))
    checked = conslaw.verify(file)
    assert checked.ok, checked
    assert ", ".join(map(str, found.boundary.betti)) in checked.claim
    assert main(["verify", str(file)]) == 0
    assert "homology" in capsys.readouterr().out


def tamperings(whole):
    homology = json.loads(whole["homology"])
    for name in homology:
        for k in range(len(homology[name][0])):
            changed = json.loads(whole["homology"])
            changed[name][0][k] += 1
            yield {"homology": json.dumps(changed)}
            yield {"homology": json.dumps(changed), "claim": whole["claim"].replace(" 1,", " 2,", 1)}
    homology["boundary"][1][0] = [2]
    yield {"homology": json.dumps(homology)}
    signs = whole["signs"]
    for i in range(0, len(signs), max(1, len(signs) // 6)):
        yield {"signs": np.delete(signs, i, axis=0)}
        changed = signs.copy()
        changed[i, -1] = -changed[i, -1] or 1
        yield {"signs": changed}
    for level in ("1/7", "x", "1/0", "1e999999999"):
        yield {"level": level}
    for output in (7, [0, 0], "0", None, [0, 9], True):
        yield {"output": json.dumps(output)}
    for word in {"none", "point", "ends", "sphere"} - {whole["at_infinity"]}:
        yield {"at_infinity": word}
    yield {"claim": whole["claim"].replace("Betti", "good")}
    yield {"version": 2}
    yield {"method": "trust"}
    yield {"network": "[]"}
    yield {"network": whole["network"].replace('"slope": "0"', '"slope": "1/3"')}
    yield {"f_vector": whole["f_vector"] + 1}
    yield {"bounded": whole["bounded"] + 1}


@pytest.mark.parametrize("name", CASES)
def test_every_tampering_is_caught(true, name):
    whole = true[name]
    assert conslaw.verify(whole).ok
    for change in tamperings(whole):
        assert conslaw.verify({**whole, **change}).verdict == "FAIL", change


def test_what_would_take_long_is_not_begun(true):
    assert conslaw.verify(true["vertices"], budget=1e-9).verdict == "not checked"


def test_what_has_no_certificate():
    found = made("vertices")
    with pytest.raises(ConslawError, match="read back from JSON"):
        regions.Topology.from_json(found.to_json()).certificate()
    doubtful = regions.polyhedral_complex(normal((2, 30, 20, 1)), certify=False)
    with pytest.raises(ConslawError, match="not certified"):
        regions.topology(doubtful).certificate()
    with pytest.raises(ConslawError, match="certificate"):
        found.certificate("no/such/folder.npz")

"""The atlas of laws: its data are complete, agree with what is found today, and certificates verify."""

import gzip
import hashlib
import json
import os
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

import conslaw
from conslaw.laws import matrix_notation

DOCS = Path(__file__).parents[1] / "docs"
sys.path.insert(0, str(DOCS))

from atlas import make, pages, picture  # noqa: E402
from atlas.contents import ATLAS, FLOW, cases  # noqa: E402
from atlas.rows import BUDGET, CERTIFICATES, Row, families  # noqa: E402

ROWS = pages.read()
CASES = {make.key(case): case for case in cases()}
KEPT = {at: row["certificate"] for at, row in ROWS.items() if (row["certificate"] or {}).get("file")}
VIT = ("ViT", "width 8, one block", "gradient")  # data in pieces, beside a class token
QUICK = [VIT, *sorted(at for at, made in KEPT.items() if made["bytes"] < 12_000)[::8]]
needs_torch = pytest.mark.skipif(not find_spec("torch"), reason="needs torch")


def test_every_case_has_a_row_and_every_row_a_case():
    assert ROWS.keys() - CASES.keys() == {at for at, row in ROWS.items() if row["status"] == "inferred"}
    assert not CASES.keys() - ROWS.keys()


@pytest.mark.parametrize("architecture", ATLAS, ids=lambda x: x.page)
def test_rows_say_what_is_proved(architecture):
    for at, row in ((at, row) for at, row in ROWS.items() if at[0] == architecture.title):
        gradient = CASES[*at[:2], "gradient"]
        assert row["code"] == gradient["code"], "made before the contents were changed: make it again"
        assert row["status"] in ("ok", "timeout", "memory", "error", "killed", "inferred")
        assert row["answer"] or row["reason"] or row["theorem"], "no answer, and no reason"
        if row["answer"]:
            found, most = row["answer"]["laws_found"], row["answer"]["laws_at_most"]
            assert 0 <= found <= most
            assert row["answer"]["complete"] == (found == most)
            counted = sum(family["laws"] for family in row["answer"]["families"])
            assert counted + len(row["answer"]["others"]) >= min(found, counted + 12)
            why = row["answer"]["stopped"] or row["answer"]["error_probability"]
            assert row["answer"]["complete"] or why, "says why it is open, or how probable it is"
        if row["status"] == "ok":
            below_only = row["answer"]["nothing_from_above"]
            assert row["certificate"] or below_only
            if row["certificate"] and row["certificate"]["verdict"] == "FAIL":
                assert pages.number(row) == "—", "nothing is taken for proved whose certificate is refused"
                assert at not in KEPT


def test_no_number_contradicts_a_published_one():
    compared = 0
    for at, row in ROWS.items():
        answer = row["theorem"] or row["answer"]
        if row["known"] is not None and answer:
            assert answer["laws_found"] <= row["known"] <= answer["laws_at_most"], at
            compared += 1
    assert compared > 50


def test_what_is_inferred_agrees_with_what_is_found():
    """Where both flows were answered on their own, the two statements say that numbers are the same."""
    agree = 0
    for at, row in ROWS.items():
        base = (ROWS.get((*at[:2], make.BASE.get(at[2], ""))) or {}).get("answer")
        if (
            base
            and base["complete"]
            and row["answer"]
            and row["answer"]["complete"]
            and make.applies(at[2], base)
        ):
            assert row["answer"]["laws_found"] == base["laws_found"], at
            agree += 1
    assert agree > 50


def test_the_statements_do_not_apply_to_other_laws():
    """An ICNN's laws are of degrees 1 and 2 at once, and weight decay ends them; a product of laws is none of
    the two kinds.
    """
    at = "ICNN", "2-3-2"
    base, decayed = ROWS[*at, "gradient"]["answer"], ROWS[*at, "decay"]
    assert (base["laws_found"], decayed["answer"]["laws_at_most"]) == (3, 0)
    assert not make.applies("decay", base)
    family = {"text": "exp(t) (x v + v v)", "degrees": [[2, 1, 1], [2, 2, 1]]}
    euclidean = {"title": "", "others": [], "families": [family]}
    assert not make.applies("nesterov", euclidean)
    assert make.applies("nesterov", euclidean | {"families": [{"text": "exp(t) v", "degrees": [[1, 1, 1]]}]})
    assert not make.applies("nesterov", euclidean | {"families": [{"text": "exp(t) v"}]})


def test_inferred_bounds_are_those_of_the_statements():
    unknown = {"laws_at_most": 100, "nothing_from_above": True}
    base = {"laws_found": 3, "laws_at_most": 4, "nothing_from_above": False}
    own = {"laws_found": 1, **unknown}
    assert make.inferred(own, base, above=True) == {**base, "complete": False}
    assert make.inferred(own, base, above=False) == {"laws_found": 3, **unknown, "complete": False}
    own = {"laws_found": 1, "laws_at_most": 3, "nothing_from_above": False}
    assert make.inferred(own, base, above=False) == {**own, "laws_found": 3, "complete": True}
    assert make.inferred({**base, "laws_found": 4}, base, above=True) is None
    assert make.inferred(None, base, above=True) == {**base, "complete": False}


@pytest.mark.parametrize("flow", FLOW)
@pytest.mark.parametrize("of", [("Linear networks", "3-2-4"), ("NMF", "3-2-4"), ("Linear RNN", "2-3-2")])
def test_flows_of_small_rows_today(of, flow):
    """Those that need no torch."""
    code = CASES[*of, flow]["code"]
    model = eval(code, {"conslaw": conslaw, "networks": conslaw.networks})
    analysis, there = conslaw.analyze(FLOW[flow].of(model)), ROWS[*of, flow]["answer"]
    assert (analysis.laws_found, analysis.laws_at_most) == (there["laws_found"], there["laws_at_most"])


@needs_torch
@pytest.mark.parametrize(
    "of",
    [
        ("LSTM and GRU", "GRU 3-4", "gradient"),
        ("Autoencoders", "linear, tied", "momentum"),
        VIT,
    ],
)
def test_a_row_made_again_is_the_row(of, tmp_path, monkeypatch):
    monkeypatch.setattr("atlas.rows.CERTIFICATES", tmp_path)
    made, row = Row()(CASES[of]), ROWS[of]
    answer = json.loads(made["answer"])
    fields = ("laws_found", "laws_at_most", "complete", "parameters", "families", "readings")
    assert {name: answer[name] for name in fields} == {name: row["answer"][name] for name in fields}
    certificate = json.loads(made["certificate"])
    assert certificate["verdict"] == "ok"
    assert (tmp_path / certificate["file"]).exists()


@needs_torch
def test_make_puts_rows_in_their_place(tmp_path, monkeypatch):
    """Through the sweep: workers, the journal, and data in the order of the contents."""
    monkeypatch.setattr(make, "HERE", tmp_path / "docs" / "atlas")
    monkeypatch.setattr(make, "CERTIFICATES", tmp_path)
    data = tmp_path / "laws.jsonl"
    later = ROWS["High-order layers", "2-2-2, monomials", "gradient"]
    data.write_text(json.dumps(later) + "\n")
    made = make.make(["width 3, cubes"], timeout=60, memory="4GB", workers=1, data=data)
    assert [row["answer"]["laws_found"] for row in made] == [
        ROWS["Diagonal networks", "width 3, cubes", flow]["answer"]["laws_found"] for flow in FLOW
    ]
    assert list(make.read(data)) == [*map(make.key, made), make.key(later)]
    assert not list((tmp_path / "build" / "atlas").iterdir()), (
        "the journal goes when its rows are in the data"
    )


def test_make_refuses_words_of_no_row():
    with pytest.raises(SystemExit, match="no row of the atlas"):
        make.make(["perceptron of Rosenblatt"], timeout=1, memory="4GB", workers=1)


def test_certificates_are_those_of_the_data():
    assert {file.name for file in CERTIFICATES.iterdir()} == {made["file"] for made in KEPT.values()}
    for made in KEPT.values():
        data = gzip.decompress((CERTIFICATES / made["file"]).read_bytes())
        assert hashlib.sha256(data).hexdigest() == made["sha256"]
        assert json.loads(data)["claim"] == made["claim"]


@pytest.mark.parametrize("of", sorted(KEPT) if os.environ.get("CI") else QUICK, ids="/".join)
def test_certificates_verify(of):
    data = gzip.decompress((CERTIFICATES / KEPT[of]["file"]).read_bytes())
    verified = conslaw.verify(json.loads(data), budget=BUDGET)
    assert verified.verdict == KEPT[of]["verdict"]
    answer = ROWS[of]["answer"]
    if answer["complete"]:
        assert f"exactly {answer['laws_found']} " in verified.claim


def test_pages_name_every_network_and_number():
    front = pages.first(ROWS)
    for architecture in ATLAS:
        text = pages.page(architecture, ROWS)
        for size in architecture.sizes:
            assert f"[{architecture.title}]({architecture.page}.md) {size.name}" in front
            assert f"## {size.name}\n" in text
        assert text.count("| gradient |") == len(architecture.sizes)
    assert "{" not in "".join(line for line in front.splitlines() if line.startswith("{"))


def test_a_picture_has_a_dot_for_each_array_of_each_law():
    names = ["W1", "W10", "h.0.bias", "h.0.bias[0:8]"]
    assert picture.uses("W1 W1ᵀ − W10ᵀ W10", names) == [0, 1]
    assert picture.uses("h.0.bias[0:8]", names) == [3]
    assert picture.uses("‖h.0.bias[k,:]‖²", names) == [2]
    answer = ROWS["Linear networks", "4-3-3-4", "gradient"]["answer"]
    assert picture.picture(answer).count("<circle") == 4


def test_families_of_several_blocks_are_one():
    family = matrix_notation.LawFamily("Σh.{}.bias[k]", "", "scalar", 1, 1)
    three = [matrix_notation.LawFamily(family.text.format(i), "", "scalar", 1, 1) for i in range(3)]
    [merged] = families(three)
    assert (merged["text"], merged["laws"], merged["blocks"]) == ("Σh.i.bias[k]", 3, 3)
    between = [matrix_notation.LawFamily("Σh.0.bias[k] − Σh.1.bias[k]", "", "scalar", 1, 1), three[0]]
    assert [row["text"] for row in families(between)] == [family.text for family in between]

"""A report: the same answers as the questions alone, within time, and honest where that does not suffice."""

import hashlib
import json
import re
import time
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

import conslaw
import conslaw.answers
from conslaw import varieties
from conslaw.command_line import main
from conslaw.errors import Interrupted
from conslaw.reporting import FLOWS, Part, Report
from conslaw.time_limit import TimeIsUp

VOID = {"meta", "br"}


class Balanced(HTMLParser):
    """Every tag is closed, and nothing is asked of a network."""

    def __init__(self):
        super().__init__()
        self.open, self.outside = [], []

    def handle_starttag(self, tag, attributes):
        self.open += [] if tag in VOID else [tag]
        self.outside += [v for k, v in attributes if k in ("src", "href")]

    def handle_startendtag(self, tag, attributes):
        assert tag == "rect"

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@given(st.lists(st.integers(1, 3), min_size=3, max_size=3))
def test_momentum_keeps_the_skew_half(widths):
    """Of the r (r + 1) / 2 laws of a hidden layer that is not wider than inputs and outputs momentum
    keeps r (r - 1) / 2 [MGP24, Section 4]; and a report says of each flow what its question says.
    """
    model = conslaw.linear(widths)
    report = conslaw.report(model, seconds=100)
    found = {part.name: part.answer for part in report.flows}
    for name, way in FLOWS.items():
        alone = conslaw.analyze(way(model))
        assert (found[name].laws_found, found[name].complete) == (alone.laws_found, alone.complete)
    first, last = widths[0], widths[-1]
    if (r := widths[1]) <= min(first, last):
        kept = [found[name].laws_found for name in ("gradient flow", "momentum", "momentum, Nesterov")]
        assert kept == [r * (r + 1) // 2, r * (r - 1) // 2, r * (r - 1) // 2]
        assert f"{r} of {r * (r + 1) // 2} law" in str(report)
    dimension = report.represents.answer  # products of matrices: those of rank <= the narrowest
    narrow = min(widths)
    assert dimension.dimension == narrow * (first + last - narrow)


def test_digests_are_those_of_the_files(tmp_path):
    """What a report says of a certificate is what ``sha256sum`` says of its file."""
    report = conslaw.report(conslaw.linear([3, 2, 4]))
    calls = {
        "dimension": "dimension linear 3-2-4",
        "gradient flow": "analyze linear 3-2-4",
        "momentum, Nesterov": "analyze linear 3-2-4 --flow nesterov",
    }
    digests = {part.name: part.digest for part in report.parts}
    for name, call in calls.items():
        assert main([*call.split(), "--certificate", str(tmp_path / "c.json")]) == 0
        assert hashlib.sha256((tmp_path / "c.json").read_bytes()).hexdigest() == digests[name]


def test_what_is_not_done_in_time_says_so():
    """A wide net in a millisecond: some part has no answer, none claims more than the whole answer does."""
    model = conslaw.linear([6, 6, 6])
    whole = {part.name: part.answer for part in conslaw.report(model, seconds=100).flows}
    hurried = conslaw.report(model, seconds=0.001)
    assert any(part.missing for part in hurried.parts)
    for part in hurried.flows:
        if part.answer is None:
            assert part.missing
            continue
        assert part.answer.laws_found <= whole[part.name].laws_found
        assert part.answer.laws_at_most >= whole[part.name].laws_at_most
    assert Report.from_json(json.loads(json.dumps(hurried.to_json()))).to_json() == hurried.to_json()


def _stops(*_, **__):
    raise KeyboardInterrupt


def _takes_long(*_, **__):
    time.sleep(30)


def test_an_interrupted_report_keeps_what_is_done(monkeypatch, capsys):
    monkeypatch.setitem(FLOWS, "momentum", _stops)
    with pytest.raises(Interrupted) as stop:
        conslaw.report(conslaw.linear([2, 2, 2]))
    assert [part.missing for part in stop.value.answer.flows] == [None, None, *["interrupted"] * 3]
    assert main(["report", "linear", "2-2-2"]) == 130
    assert "momentum loses         not known" in capsys.readouterr().out


def test_a_part_that_hangs_is_left(monkeypatch):
    pytest.importorskip("resource")  # a limit on the clock is POSIX's
    monkeypatch.setitem(FLOWS, "weight decay 1", _takes_long)
    report = conslaw.report(conslaw.linear([2, 2, 2]), seconds=0.7)
    assert report.flows[1] == Part("weight decay 1", None, "not done in 0.7 s", None, report.flows[1].seconds)
    assert report.flows[2].answer.complete


def test_certificates_that_take_too_long_are_left_out(monkeypatch):
    def late(*_):
        raise TimeIsUp

    monkeypatch.setattr(conslaw.answers.Analysis, "certificate", late)
    report = conslaw.report(conslaw.linear([2, 2, 2]))
    assert report.flows[0].missing == "its certificate was not done in 10 s"
    assert report.flows[0].answer.complete
    assert report.represents.digest


@pytest.mark.parametrize(
    "model", [conslaw.linear([3, 2, 4]), conslaw.nmf([2, 2, 2]), conslaw.linear([90, 90, 90])]
)
def test_pages_are_whole(model, tmp_path):
    report = conslaw.report(model)
    report.to_html(tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    reader = Balanced()
    reader.feed(page)
    assert (reader.open, reader.outside) == ([], [])
    for part in report.flows:
        assert all(
            str(family).partition("   ")[0] in re.sub("&#x27;", "'", page)
            for family in part.answer.law_families
        )


def test_a_name_is_no_markup():
    named = conslaw.model(
        lambda p, c: p.x * p.y * c.z, parameters={"x": (), "y": ()}, data={"z": ()}, name="<b>&"
    )
    assert "<b>&" not in conslaw.report(named)._repr_html_().replace("<p><b>", "")


def test_in_a_shell(capsys, tmp_path):
    page = tmp_path / "page.html"
    assert main(["report", "icnn", "2-2-1", "--html", str(page), "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert Report.from_json(data).represents.answer == varieties.Dimension.from_json(
        data["represents"]["answer"]
    )
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert main(["report", "linear", "2-2", "--html", str(tmp_path)]) == 2
    out, err = capsys.readouterr()
    assert "report: linear 2-2" in out, "what was found is shown all the same"
    assert err.count("\n") == 1


@pytest.mark.parametrize("seconds", [0, -1, True, "3", float("nan"), float("inf"), 10**400, None])
def test_bad_limits_are_refused(seconds):
    with pytest.raises(conslaw.ConslawError, match="seconds"):
        conslaw.report(conslaw.linear([2, 2]), seconds=seconds)
    with pytest.raises(conslaw.ConslawError, match="give a model"):
        conslaw.report(conslaw.gradient_flow(conslaw.linear([2, 2])))

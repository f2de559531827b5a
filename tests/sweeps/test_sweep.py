"""Sweeps against the questions asked one by one, and the shell."""

import csv
import json
import subprocess
import sys

import functions
import pytest

import conslaw
from conslaw.command_line import main
from conslaw.sweeps import compare, resume, status, tables
from conslaw.sweeps.questions import InFile, Question

SMALL = ["sweep", "linear", "--widths", "1..2", "--depth", "2", "--ask", "count"]


def rows_in(path):
    return [json.loads(line) for line in path.read_text().splitlines()[1:]]


@pytest.mark.parametrize("ask", ["analyze", "count"])
def test_rows_are_the_answers_one_by_one(ask):
    options = {
        "depth": 2,
        "flow": "gradient,momentum,nesterov",
        "damping": "0,1",
        "bias": "both",
        "sample": 12,
    }
    swept = conslaw.sweep("linear,relu", widths="1..3", ask=ask, workers=2, seed=3, **options)
    for row in swept.rows():
        model = getattr(conslaw, row["family"])([int(d) for d in row["widths"].split("-")], bias=row["bias"])
        damping = "nesterov" if row["flow"] == "nesterov" else row["damping"]
        flow = model if row["flow"] == "gradient" else conslaw.momentum_flow(model, damping=damping)
        answer = getattr(conslaw, ask)(flow, seed=row["seed"])
        assert row["status"] == "ok"
        assert row["laws_at_most"] == answer.laws_at_most
        assert row["primes"] == ",".join(map(str, answer.primes)) or [row["primes"]] == list(answer.primes)
        assert row["parameters"] == model.size
        assert row["conslaw"] == conslaw.__version__
        if ask == "analyze":
            assert (row["laws_found"], row["complete"]) == (answer.laws_found, answer.complete)


KNOWN = [  # naive, ambient and true dimensions: Kileel et al., Kubjas et al., Alexander and Hirschowitz
    ("2-3-7-1", 5, 24, 26, 23),
    ("5-8-1", 3, 40, 35, 35),
    ("5-14-1", 4, 70, 70, 69),
    ("2-2-3", 2, 8, 9, 8),
]


def test_dimensions_as_they_were_published(tmp_path):
    """The published pair of files, on cases whose dimensions are known."""
    out = tmp_path / "d.jsonl"
    for widths, power, naive, ambient, dimension in KNOWN:
        case = {"family": "polynomial", "widths": widths, "power": power, "bias": False}
        row = Question("dimension")(case)
        found = tuple(row[name] for name in ("naive_dimension", "ambient_dimension", "dimension"))
        assert found == (naive, ambient, dimension)
        assert row["defect"] == min(naive, ambient) - dimension
    command = [
        "sweep",
        "polynomial",
        "--widths",
        "2..3",
        "--depth",
        "2",
        "--power",
        "2,3",
        "--ask",
        "dimension",
    ]
    assert main([*command, "--out", str(out), "--csv"]) == 0
    with (tmp_path / "d_results.csv").open() as file:
        published = list(csv.DictReader(file))
    assert list(published[0]) == ["d", "r", "ambient_dim", "expected_dim", "dimension", "defect", "time"]
    assert len(published) == 16
    assert {row["d"] for row in published} >= {"[2, 2, 2]", "[3, 2, 3]"}
    for row in published:
        assert int(row["expected_dim"]) - int(row["dimension"]) == int(row["defect"])
    assert (tmp_path / "d_timeouts.csv").read_text() == "d,r,time\n"


def test_integers_of_any_size_are_text(tmp_path):
    swept = conslaw.sweep("polynomial", widths="50-2-1", power=40, ask="dimension", out=tmp_path / "x.csv")
    (row,) = swept.rows()
    from math import comb

    assert int(row["ambient_dimension"]) == comb(89, 49)
    assert isinstance(row["ambient_dimension"], str)
    assert str(comb(89, 49)) in (tmp_path / "x.csv").read_text()


def test_it_goes_on_where_it_was(tmp_path):
    """Called again, from its file, and with its table away."""
    out = tmp_path / "x.csv"
    options = {"widths": "1..2", "depth": 2, "ask": "count", "out": out}
    whole = conslaw.sweep("linear", **options)
    rows, table = list(whole.rows()), out.read_bytes()
    journal = tmp_path / "x.csv.journal"
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(lines[:4]))
    out.unlink()
    assert status(out).statuses == {"ok": 3}
    assert resume(journal, workers=2).statuses == {"ok": 8}
    again = list(conslaw.sweep("linear", **options).rows())
    assert again[:3] == rows[:3]
    timed = ("seconds", "cpu_seconds", "memory_bytes")
    assert [{k: v for k, v in row.items() if k not in timed} for row in again] == [
        {k: v for k, v in row.items() if k not in timed} for row in rows
    ]
    assert out.read_bytes().count(b"\n") == table.count(b"\n") == 9
    with pytest.raises(conslaw.ConslawError, match=r"another sweep \(ask differ"):
        conslaw.sweep("linear", **{**options, "ask": "analyze"})


def test_what_failed_is_tried_again_and_nothing_else(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    once = functions.swept(functions.mended, 6, out="x.jsonl")
    assert once.statuses == {"ok": 3, "error": 3}
    (tmp_path / "mended").touch()
    assert functions.swept(functions.mended, 6, out="x.jsonl").statuses == once.statuses
    assert functions.swept(functions.mended, 6, out="x.jsonl", retry="timeout").statuses == once.statuses
    again = functions.swept(functions.mended, 6, out="x.jsonl", retry="error,killed")
    assert again.statuses == {"ok": 6}
    assert [row["mended"] for row in again.rows()] == [False, True] * 3
    assert len(rows_in(tmp_path / "x.jsonl")) == 6


def of_widths(widths):
    """A parameter for each input, shared by as many outputs as there are."""
    n, m = widths
    return conslaw.model(
        lambda p, c: (p.a * c.x).sum() * m, parameters={"a": (n,)}, data={"x": (n,)}, name="shared"
    )


def test_a_function_of_the_widths(tmp_path):
    swept = conslaw.sweep(
        of_widths, widths="1..3", depth=1, flow="gradient,momentum", out=tmp_path / "x.jsonl"
    )
    assert swept.statuses == {"ok": 18}
    assert {row["laws_at_most"] for row in swept.rows()} == {0}
    assert {row["family"] for row in swept.rows()} == {"of_widths"}
    with pytest.raises(conslaw.ConslawError, match="there again"):
        resume(tmp_path / "x.jsonl")


OWN = """
import conslaw
def net(widths):
    if widths[0] == 3:
        raise ValueError("three")
    return conslaw.relu(widths)
def flow(widths):
    return conslaw.momentum_flow(conslaw.relu(widths))
def text(widths):
    return "text"
value = 3
"""


def test_a_function_in_a_file(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    own = tmp_path / "own.py"
    own.write_text(OWN)
    command = ["sweep", "own.py:net", "--widths", "2..3", "--depth", "2", "--out", "x.jsonl"]
    assert main(command) == 0
    rows = rows_in(tmp_path / "x.jsonl")
    assert [row["status"] for row in sorted(rows, key=lambda row: row["case"])] == ["ok"] * 4 + ["error"] * 4
    assert all("ValueError: three" in row["reason"] for row in rows if row["status"] == "error")
    assert all(row["laws_found"] == int(row["widths"][2]) for row in rows if row["status"] == "ok")
    assert main(["sweep", "--resume", "x.jsonl", "--retry", "error"]) == 0
    own.write_text(OWN.replace('"three"', '"four"'))
    capsys.readouterr()
    assert main(["sweep", "--resume", "x.jsonl"]) == 2
    assert "another sweep (function differ" in capsys.readouterr().err
    case = {"family": "own.py:flow", "widths": "1-2-1", "flow": "gradient", "damping": None}
    assert Question("count", build=InFile("own.py:flow"))(case)["laws_at_most"] == 0
    with pytest.raises(conslaw.ConslawError, match="no model and no flow"):
        Question("count", build=InFile("own.py:text"))({"family": "own.py:text", "widths": "1-2-1"})
    assert main(["sweep", "own.py:value", "--widths", "1-2-1", "--out", "z.jsonl"]) == 2


SHELL = {
    "nothing": [],
    "no widths": ["linear", "--out", "x.csv"],
    "no place": ["linear", "--widths", "1..2", "--depth", "2"],
    "two places": ["linear", "--widths", "1..2", "--out", "x.csv", "--resume", "x.csv"],
    "no such sweep": ["--resume", "none.csv"],
    "no such status": ["--status", "none.csv"],
    "no sweep": ["--status", "text.csv"],
    "what is in the file": ["--resume", "text.csv", "--widths", "1..2"],
    "status runs nothing": ["--status", "text.csv", "--workers", "2"],
    "range": ["linear", "--widths", "5..1", "--depth", "2", "--out", "x.csv"],
    "no bias": ["nmf", "--widths", "1..2", "--bias", "both", "--out", "x.csv"],
    "question": ["linear", "--widths", "1-1", "--ask", "why", "--out", "x.csv"],
    "flow of a dimension": [
        "polynomial",
        "--widths",
        "1-1",
        "--ask",
        "dimension",
        "--flow",
        "gradient",
        "--out",
        "x.csv",
    ],
    "expression": ["linear", "--widths", "1-1", "--out", "x.csv", "--expect", "r*(r+"],
    "memory": ["linear", "--widths", "1-1", "--out", "x.csv", "--memory", "4"],
    "timeout": ["linear", "--widths", "1-1", "--out", "x.csv", "--timeout", "0"],
    "no file": ["none.py:f", "--widths", "1-1", "--out", "x.csv"],
    "ending": ["linear", "--widths", "1-1", "--out", "x.xlsx"],
}


@pytest.mark.parametrize("case", SHELL)
def test_bad_input_is_one_line_and_leaves_no_file(tmp_path, monkeypatch, capsys, case):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.csv").write_text("text")
    (tmp_path / "text.csv.journal").write_text("text")
    assert main(["sweep", *SHELL[case]]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n"), err.startswith("conslaw: ")) == ("", 1, True)
    assert {path.name for path in tmp_path.iterdir()} == {"text.csv", "text.csv.journal"}


def test_the_shell_compares_and_says_how_it_ended(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    naive = ["--out", "x.csv", "--json", "--expect"]
    assert main([*SMALL, *naive, "min(r, n + m)*(2*r + 1 - min(r, n + m))/2"]) == 0
    assert json.loads(capsys.readouterr().out)["expected"]["counterexamples"] == []
    assert main([*SMALL, *naive, "100"]) == 1  # more than there are at most: proved
    assert main([*SMALL, *naive, "0"]) == 0  # only probable, where the laws were not looked for
    found = json.loads(capsys.readouterr().out.splitlines()[-1])["expected"]
    assert found["counterexamples"][0]["case"] == "linear 1-1-1, gradient flow"
    assert {one["certainty"] for one in found["counterexamples"]} == {"probable"}
    assert main(["sweep", "--status", "x.csv"]) == 0
    assert "8 of 8" in capsys.readouterr().out


def test_counterexamples_are_proved_or_probable_and_the_smallest_first():
    """Linear networks of two layers conserve rho (2r + 1 - rho)/2, rho = min(r, n + m)."""
    table = conslaw.sweep("linear", widths="1..3", depth=2, workers=2)
    naive = compare(table, "r*(r+1)//2")
    assert [one.row["widths"] for one in naive.counterexamples] == ["1-3-1"]
    assert naive.refuted
    assert naive.counterexamples[0].proved
    assert naive.agreed == 26
    sizes = [one.row["parameters"] for one in compare(table, "0").counterexamples]
    assert sizes == sorted(sizes)
    rows = [{"widths": "1-1", "laws_at_most": 5, "laws_found": 2, "error_probability": None}]
    assert compare(rows, "3").undecided == 1
    assert compare(rows, "6").counterexamples[0].proved
    rows[0]["error_probability"] = 1e-9
    assert [one.proved for one in compare(rows, "3").counterexamples] == [False]
    assert compare(rows, "5").agreed_probably == 1
    assert compare([{"widths": "1-1", "status": "timeout"}], "5").unanswered == 1
    named = compare([{"widths": "1-1", "n": 3}], "5", column="n")  # of which nothing is proved
    assert named.refuted
    assert not named.counterexamples[0].proved
    assert "proved" not in str(named)
    assert "without evidence" in str(compare(rows[:0], "5"))


@pytest.mark.parametrize("cell", [0.5, "ok", float("inf"), "9" * 5000], ids=lambda cell: str(cell)[:5])
def test_what_is_no_integer_agrees_with_none(cell):
    with pytest.raises(conslaw.ConslawError, match="no integer"):
        compare([{"widths": "1-1", "n": cell}], "0", column="n")


def test_files_that_are_no_tables_are_refused_in_one_line(tmp_path):
    pytest.importorskip("pandas")
    for name in ("x.csv", "x.parquet"):
        (tmp_path / name).touch()
        with pytest.raises(conslaw.ConslawError, match="cannot be read as a table"):
            conslaw.sweeps.read(tmp_path / name)


def test_tables_are_the_same_in_all_forms(tmp_path):
    pd = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    swept = functions.swept(functions.mixed, 12, out=tmp_path / "x.parquet", workers=2)
    found = swept.table()
    assert list(found["case"]) == list(range(12))
    assert list(found["huge"]) == [10 ** (3 * n) for n in range(12)]  # in numbers
    kinds = {"n": "Int64", "sometimes": "Int64", "half": "Float64", "even": "boolean"}
    assert {name: str(found[name].dtype) for name in kinds} == kinds
    journal = tmp_path / "x.parquet.journal"
    (tmp_path / "x.jsonl").write_bytes(journal.read_bytes())
    pd.testing.assert_frame_equal(conslaw.sweeps.read(tmp_path / "x.jsonl"), found)
    tables.write(tmp_path / "x.jsonl", tmp_path / "y.csv")
    journal.unlink()  # the tables alone, as they are handed on
    for name in ("x.parquet", "y.csv"):
        alone = conslaw.sweeps.read(tmp_path / name)
        assert list(map(int, alone["huge"])) == list(found["huge"])
        for column in [*kinds, "widths", "status"]:
            assert alone[column].isna().tolist() == found[column].isna().tolist()
            assert alone[column].dropna().tolist() == found[column].dropna().tolist()
        assert compare(alone, "d0", column="n").agreed == 12


def test_the_shell_in_a_process_of_its_own(tmp_path):
    command = [sys.executable, "-m", "conslaw", *SMALL, "--out", "x.csv", "--workers", "2"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "8 of 8 finished" in done.stdout
    assert (tmp_path / "x.csv").read_text().count("\n") == 9

"""The store: nothing is lost, nothing is there twice, whatever the disk does."""

import json
import os
import subprocess
import sys
from pathlib import Path

import functions
import pytest
from hypothesis import given
from hypothesis import strategies as st

import conslaw
from conslaw.sweeps import journal, tables
from conslaw.sweeps.journal import Journal, head, index, plain, rows

THOROUGH = bool(os.environ.get("CI") or os.environ.get("THOROUGH"))
HERE = Path(__file__).parent
ROWS = [{"case": n, "status": "ok", "n": n, "text": "ß" * n} for n in range(4)]


def written(path, count=4):
    journal = Journal(path, head({"what": "x"}, 10))
    for row in ROWS[:count]:
        journal.append(row)
    journal.close()


def test_a_journal_cut_anywhere_keeps_all_whole_rows_and_goes_on(tmp_path):
    whole = tmp_path / "whole.jsonl"
    written(whole)
    data = whole.read_bytes()
    for length in range(0, len(data) + 1, 1 if THOROUGH else 7):
        path = tmp_path / "cut.jsonl"
        path.write_bytes(data[:length])
        lines = data[:length].count(b"\n")
        journal = Journal(path, head({"what": "x"}, 10))
        kept = max(0, lines - 1)
        assert journal.statuses["ok"] == kept == sum(journal.finished)
        assert journal.aside == (lines > 0 and not data[:length].endswith(b"\n"))
        for row in ROWS[kept:]:
            journal.append(row)
        journal.close()
        assert list(rows(path)) == ROWS
        assert path.read_bytes() == data
        path.unlink()


@pytest.mark.parametrize(
    "broken",
    [
        b"\0" * 500,
        b'{"case": 9, "status": "ok", "n": 9',
        b'{"case": 99, "status": "ok"}\n',
        b'{"case": 2, "status": "ok", "n": "again"}\n',
        b'{"case": 9, "status": "fine"}\n',
        b"\n\n",
        b"text\xff\n",
        b'{"case": 8, "status": "ok", \0\0\0}\n',
    ],
)
@pytest.mark.parametrize("where", ["end", "middle"])
def test_broken_lines_are_put_aside(tmp_path, broken, where):
    path = tmp_path / "x.jsonl"
    written(path)
    good = path.read_bytes()
    lines = good.splitlines(keepends=True)
    broken_line = broken if where == "end" else broken.rstrip(b"\n") + b"\n"
    place = len(lines) if where == "end" else 4
    path.write_bytes(b"".join([*lines[:place], broken_line, *lines[place:]]))
    journal = Journal(path, head({"what": "x"}, 10))
    assert journal.aside >= 1
    journal.close()
    assert path.read_bytes() == good or json.loads(lines[3])["n"] == 2  # what stands twice counts once
    assert [row["n"] for row in rows(path)][:2] == [0, 1]
    assert broken.strip(b"\n") in (tmp_path / "x.jsonl.broken").read_bytes()
    swept = conslaw.sweeps.status(path)
    assert swept.statuses == {"ok": 4}


def test_two_sweeps_on_one_file_the_second_is_refused(tmp_path):
    path = tmp_path / "x.jsonl"
    journal = Journal(path, head({"what": "x"}, 10))
    code = (
        "import sys; from pathlib import Path\n"
        "from conslaw.sweeps.journal import Journal, head\n"
        "Journal(Path(sys.argv[1]), head({'what': 'x'}, 10))\n"
    )
    command = [sys.executable, "-c", code, str(path)]
    second = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "another sweep is writing to it" in second.stderr.splitlines()[-1]
    journal.append(ROWS[0])
    journal.forget(["timeout"])  # written anew, it is still locked
    second = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "another sweep is writing to it" in second.stderr.splitlines()[-1]
    journal.close()
    assert subprocess.run(command, check=False).returncode == 0


def test_a_full_disk_stops_the_sweep_and_loses_nothing(tmp_path):
    out = tmp_path / "x.jsonl"
    code = (
        "import functions, resource, signal\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))\n"
        f"functions.swept(functions.square, 200, out={str(out)!r})\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=HERE, capture_output=True, text=True, check=False)
    assert "all before it are kept" in done.stderr.splitlines()[-1]
    data = out.read_bytes()
    assert 1000 < len(data) <= 5000
    assert data.endswith(b"}\n")
    kept = list(rows(out))
    swept = functions.swept(functions.square, 200, out=out)
    assert swept.statuses == {"ok": 200}
    again = list(swept.rows())
    assert [again[row["case"]] for row in kept] == kept


def test_a_file_of_another_sweep_or_version_is_refused(tmp_path):
    path = tmp_path / "x.jsonl"
    written(path)
    before = path.read_bytes()
    changed = {
        "is of another sweep": head({"what": "y"}, 10),
        "cases differ": head({"what": "x"}, 11),
    }
    for words, header in changed.items():
        with pytest.raises(conslaw.ConslawError, match=words):
            Journal(path, header)
    for old, new in ((b"conslaw 0", b"conslaw 77"), (b'"version": 1', b'"version": 2')):
        path.write_bytes(before.replace(old, new, 1))
        with pytest.raises(conslaw.ConslawError, match="begun by"):
            Journal(path, head({"what": "x"}, 10))
    for text in ("results\n", "[]\n", '{"format": "conslaw certificate"}\n', "{}\n"):
        path.write_text(text)
        with pytest.raises(conslaw.ConslawError, match="no journal"):
            Journal(path, head({"what": "x"}, 10))
        assert path.read_text() == text


@pytest.mark.parametrize("out", ["x", "x.txt", "none/x.csv", "", "x.csv.journal", "there.csv", "."])
def test_a_place_that_will_not_do_is_refused_before_the_work(tmp_path, monkeypatch, out):
    monkeypatch.chdir(tmp_path)
    Path("there.csv").write_text("mine\n")
    with pytest.raises(conslaw.ConslawError) as caught:
        functions.swept(functions.slow, 1, out=out)
    assert "\n" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["there.csv"]
    assert Path("there.csv").read_text() == "mine\n"


@given(st.one_of(st.integers(), st.floats(), st.text(), st.none(), st.booleans(), st.lists(st.integers())))
def test_cells_go_to_json_and_come_back(value):
    cell = plain(value)
    assert json.loads(json.dumps(cell, allow_nan=False)) == cell
    if isinstance(value, int) and not isinstance(value, bool):
        assert int(cell) == value
        assert isinstance(cell, str) == (abs(value) >= 2**63)


def test_many_rows_are_looked_through_in_little_memory(tmp_path):
    import resource

    path, cases = tmp_path / "x.jsonl", 10**6 if THOROUGH else 10**5
    with path.open("w", encoding="utf-8") as file:
        file.write(json.dumps(head({"what": "x"}, cases)) + "\n")
        filler = "x" * 400
        file.writelines(f'{{"case": {n}, "status": "ok", "f": "{filler}"}}\n' for n in range(cases))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert index(path, cases).statuses == {"ok": cases}
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 60_000  # of 400 MB


def test_a_folder_that_takes_no_new_file_is_one_line_and_costs_no_row(tmp_path, monkeypatch):
    path = tmp_path / "x.csv"
    swept = functions.swept(functions.mixed, 4, out=path)

    def refused(*_, **__):
        raise PermissionError(13, "Permission denied")

    for module in (journal, tables):
        monkeypatch.setattr(module, "NamedTemporaryFile", refused)
    before = tables.journal_of(path).read_bytes()
    with pytest.raises(conslaw.ConslawError, match="Permission denied"):
        tables.write_pair(path)
    open_journal = Journal(tables.journal_of(path), head(swept.asked, swept.cases))
    with pytest.raises(conslaw.ConslawError, match="Permission denied"):
        open_journal.forget(["ok"])
    open_journal.close()
    (tmp_path / "x.csv.journal.broken").mkdir()
    tables.journal_of(path).write_bytes(before + b"{")
    with pytest.raises(conslaw.ConslawError, match="broken"):
        Journal(tables.journal_of(path), head(swept.asked, swept.cases))
    assert tables.journal_of(path).read_bytes() == before + b"{"

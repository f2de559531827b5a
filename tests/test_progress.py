"""Long work: what is said meanwhile, and how it is interrupted."""

import io
import logging
import os
import random
import re
import select
import subprocess
import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

import conslaw
from conslaw import long_work
from conslaw.sweeps.sweep import sweep

MANY = 20 if os.environ.get("THOROUGH") or os.environ.get("CI") else 2
LOGGER = logging.getLogger("conslaw")
LONG = ["count", "linear", "80-80-80", "--no-split"]


def shown_while(work, monkeypatch, *, terminal=False, show=True):
    """What stands on the standard error while that is done, without waiting for seconds."""
    stream = io.StringIO()
    stream.isatty = lambda: terminal
    monkeypatch.setattr(sys, "stderr", stream)
    for name in ("AFTER", "EVERY", "LINE_EVERY"):
        monkeypatch.setattr(long_work, name, 0.02)
    with conslaw.progress(show):
        work()
        time.sleep(0.2)
    return stream.getvalue()


def test_a_line_that_is_gone_at_the_end(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    text = shown_while(
        lambda: conslaw.count(conslaw.linear([9, 9, 9])), monkeypatch, terminal=True, show=None
    )
    *lines, last = text.split(long_work.CLEARED)
    assert last == ""
    assert re.fullmatch(r"\d\.\d s: Lie ranks: depth \d, rank \d+ of at most \d+", lines[-1])
    assert "\n" not in text


def test_lines_where_there_is_no_terminal(monkeypatch, tmp_path):
    square = {"progress": True, "depth": 1, "widths": "1..2", "out": tmp_path / "table.jsonl"}
    text = shown_while(lambda: sweep("linear", **square), monkeypatch)
    assert re.search(r"^\d\.\d s: 4 of 4 cases$", text, re.MULTILINE)
    assert "\033" not in text
    assert "\r" not in text


@pytest.mark.parametrize(
    ("show", "terminal", "term"), [(None, False, "xterm"), (False, True, "xterm"), (None, True, "dumb")]
)
def test_nothing_is_shown_where_nobody_asked(monkeypatch, show, terminal, term):
    monkeypatch.setenv("TERM", term)
    assert (
        shown_while(lambda: conslaw.count(conslaw.linear([3, 3])), monkeypatch, terminal=terminal, show=show)
        == ""
    )


def test_loggers_are_as_they_were_whatever_happens():
    before = (LOGGER.level, LOGGER.propagate, list(LOGGER.handlers), LOGGER.isEnabledFor(logging.INFO))

    def interrupted():
        assert len(LOGGER.handlers) == len(before[2]) + 1
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), conslaw.progress(), conslaw.progress():
        interrupted()
    assert (LOGGER.level, LOGGER.propagate, LOGGER.handlers, LOGGER.isEnabledFor(logging.INFO)) == before


def test_records_that_others_asked_for_still_come(caplog):
    with caplog.at_level(logging.INFO, "conslaw"), conslaw.progress():
        conslaw.count(conslaw.linear([3, 3]))
    assert any("Lie ranks" in record.getMessage() for record in caplog.records)


@pytest.mark.parametrize("show", [1, "yes", 0.5])
def test_what_is_no_choice_is_refused(show):
    with pytest.raises(conslaw.ConslawError, match="give True, False or None"):
        conslaw.progress(show)


def record(**values):
    return logging.makeLogRecord({"msg": "work", **values})


@given(st.integers(0, 9), st.integers(1, 50), st.integers(1, 100), st.floats(0.1, 1e4))
def test_work_of_a_steady_pace_is_estimated_exactly(before, done, left, seconds):
    """Work that was there before is not counted as pace."""
    with pytest.MonkeyPatch.context() as patched:
        now = [0.0]
        patched.setattr(time, "monotonic", lambda: now[0])
        line, total = long_work._Line(), before + done + left
        line.emit(record(done=before, total=total))
        assert line.left(0.0) == 0
        now[0] = seconds * done
        line.emit(record(done=before + done, total=total))
        assert line.left(now[0]) == pytest.approx(seconds * left)


def test_a_route_is_estimated_by_its_units(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    line = long_work._Line()
    line.emit(record(units=30.0))
    now[0] = 10.0
    assert str(line) == "10 s: work, about 20 s left"
    now[0] = 31.0
    assert str(line) == "31 s: work"  # it takes longer than was estimated


# Ctrl-C


def screen(text):
    """The lines that a terminal shows."""
    lines, column = [""], 0
    for part in re.findall(r"\r\n|\r|\n|\033\[K|[^\r\n\033]+", text):
        if part == "\r\n" or part == "\n":
            lines.append("")
            column = 0
        elif part == "\r":
            column = 0
        elif part == "\033[K":
            lines[-1] = lines[-1][:column]
        else:
            lines[-1] = lines[-1][:column].ljust(column) + part + lines[-1][column + len(part) :]
            column += len(part)
    return [line.rstrip() for line in lines]


IN_A_TERMINAL = """
import os, runpy, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
os.open(os.ttyname(0), os.O_RDWR)  # the session's own, so that Ctrl-C comes through it
import conslaw
sys.argv = ["conslaw", *sys.argv[1:]]
print("begun", flush=True)
runpy.run_module("conslaw", run_name="__main__")
"""


def in_a_terminal(arguments, *, after, keys=b"\x03", until="begun", columns="80"):
    """The screen and the exit status if keys are pressed so long after something is shown."""
    pty = pytest.importorskip("pty", reason="terminals are POSIX")
    ours, its = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": columns, "PYTHONIOENCODING": "utf-8"}
    command = [sys.executable, "-c", IN_A_TERMINAL, *arguments]
    process = subprocess.Popen(
        command, stdin=its, stdout=its, stderr=its, start_new_session=True, close_fds=True, env=environment
    )
    os.close(its)
    text, due, end = "", None, time.monotonic() + 120
    try:
        while time.monotonic() < end:
            now = time.monotonic()
            if due is None and until in text:
                due = now + after
            if due is not None and due != float("inf") and now >= due:
                os.write(ours, keys)
                due = float("inf")
            if select.select([ours], [], [], 0.01)[0]:
                try:
                    text += os.read(ours, 65536).decode(errors="replace")
                except OSError:  # it has ended
                    break
        return screen(text), process.wait(30)
    finally:
        process.kill()
        process.wait()
        os.close(ours)


@pytest.mark.parametrize("moment", range(MANY))
def test_ctrl_c_at_a_random_moment_leaves_one_line(moment):
    """While Python imports, while it counts, with or without a line of progress."""
    assert in_a_terminal(LONG, after=random.uniform(0.05, 3 if moment % 2 else 0.6)) == (
        ["begun", "conslaw: interrupted", ""],
        130,
    )


def test_ctrl_c_clears_the_line_of_progress():
    assert in_a_terminal(LONG, after=0, until=" of at most ") == (["begun", "conslaw: interrupted", ""], 130)


def test_ctrl_c_in_a_sweep_says_how_to_go_on(tmp_path):
    table = tmp_path / "t.jsonl"
    arguments = ["sweep", "linear", "--widths", "20..60", "--depth", "2", "--out", str(table)]
    lines, status = in_a_terminal(arguments, after=0, until=" cases")
    said = "".join(lines)  # a path may be longer than a line
    assert re.fullmatch(
        rf"begunconslaw: \d+ of 68,921 cases are kept: conslaw sweep --resume {table}conslaw: interrupted",
        said,
    )
    assert status == 130


def test_long_laws_wrap_to_the_terminal():
    lines, status = in_a_terminal(["analyze", "linear", "3-2-4", "--laws"], after=0, keys=b"", columns="60")
    assert status == 0
    assert "     - W2[1,0]**2 - W2[2,0]**2 - W2[3,0]**2" in lines
    assert 50 < max(map(len, lines)) <= 60


def test_a_short_answer_in_a_terminal_is_all_that_there_is():
    lines, status = in_a_terminal(["count", "linear", "2-2-1"], after=0, keys=b"")
    assert (lines[1], status) == ("linear 2-2-1, gradient flow", 0)
    assert not any("s: " in line for line in lines)


INTERRUPTED_IMPORT = """
import builtins, random, runpy, sys
class Stop:
    left = int(sys.argv.pop(1))
    def find_spec(self, name, path, target=None):
        Stop.left -= 1
        if Stop.left == 0:
            exec("raise KeyboardInterrupt")
import conslaw
sys.meta_path.insert(0, Stop())
runpy.run_module("conslaw", run_name="__main__")
"""


@pytest.mark.parametrize("moment", range(MANY))
def test_ctrl_c_at_any_import_is_one_line(moment):
    number = random.randint(2, 200)  # of some 400; the first is this module's own
    command = [sys.executable, "-c", INTERRUPTED_IMPORT, str(number), "analyze", "linear", "3-2-4"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (number, done.returncode, done.stdout, done.stderr) == (number, 130, "", "conslaw: interrupted\n")


def test_the_screen_is_that_of_a_terminal():
    assert screen("a\r\nlong line\r\033[Kb\r\n^C\r\033[Kc\n") == ["a", "b", "c", ""]
    assert screen("abc\rx") == ["xbc"]

"""What the shell is given and what it keeps: certificates on disk, memory, errors in a user's file."""

import json
import os
import resource
import stat
import subprocess
import sys
from pathlib import Path

import pytest

import conslaw
from conslaw import command_line
from conslaw.certificates import files, verification
from conslaw.command_line import main
from conslaw.errors import TooLargeError, check_memory, memory_limit

OWN = """import conslaw
made = conslaw.model(lambda p, c: c.v * (p.u @ c.x) ** 2, parameters={"u": (2,)}, data={"x": (2,), "v": ()})
"""
ANALYZE = ["analyze", "linear", "1-2-1"]
DIMENSION = ["dimension", "polynomial", "2-1-1"]


@pytest.fixture
def certificate(tmp_path):
    """The path of a true certificate."""
    path = tmp_path / "old.json"
    assert main([*ANALYZE, "--certificate", str(path)]) == 0
    return path


@pytest.mark.parametrize("question", [ANALYZE, DIMENSION], ids=lambda x: x[0])
def test_a_certificate_is_written_after_the_answer(tmp_path, capsys, question):
    path = tmp_path / "new.json"
    assert main([*question, "--certificate", str(path)]) == 0
    assert main(["verify", str(path)]) == 0
    assert [p.name for p in tmp_path.iterdir()] == ["new.json"]
    umask = os.umask(0)
    os.umask(umask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~umask
    assert main([*question, "--certificate", str(path)]) == 0  # an old certificate gives way


PLACES = {
    "no name": lambda folder: "",
    "standard output": lambda folder: "-",
    "a folder": str,
    "no folder": lambda folder: str(folder / "none" / "x.json"),
    "under a file": lambda folder: str(_file(folder, "text") / "x.json"),
    "text": lambda folder: str(_file(folder, "text")),
    "empty": lambda folder: str(_file(folder, "")),
    "other JSON": lambda folder: str(_file(folder, '{"format": "something else"}')),
    "a device": lambda folder: "/dev/null",
    "too long": lambda folder: str(folder / ("x" * 300)),
    "zero byte": lambda folder: str(folder / "a\0b"),
}


def _file(folder, content):
    path = folder / "there"
    path.write_text(content)
    return path


@pytest.mark.parametrize("place", PLACES)
def test_a_place_that_will_not_do_is_refused_before_the_work(tmp_path, capsys, monkeypatch, place):
    path = PLACES[place](tmp_path)
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    monkeypatch.setattr("conslaw.analysis.analyze", lambda *_, **__: pytest.fail("the work was begun"))
    assert main([*ANALYZE, "--certificate", path]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n"), "--certificate" in err) == ("", 1, True)
    assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == before


def test_a_full_disk_loses_neither_the_answer_nor_the_old_certificate(certificate, capsys, monkeypatch):
    old = certificate.read_bytes()

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    assert main([*ANALYZE, "--certificate", str(certificate)]) == 2
    out, err = capsys.readouterr()
    assert "laws at most" in out
    assert err == f"conslaw: --certificate {str(certificate)!r}: not written: No space left on device\n"
    assert [p.read_bytes() for p in certificate.parent.iterdir()] == [old]


def test_a_folder_that_goes_during_the_work_loses_no_answer(tmp_path, capsys, monkeypatch):
    folder = tmp_path / "folder"
    folder.mkdir()
    shown = command_line._print

    def remove(*arguments):
        folder.rmdir()
        shown(*arguments)

    monkeypatch.setattr("conslaw.command_line._print", remove)
    assert main([*ANALYZE, "--certificate", str(folder / "x.json")]) == 2
    out, err = capsys.readouterr()
    assert "laws at most" in out
    assert (err.count("\n"), "not written" in err) == (1, True)


LINES = [([[1, 0], [0, 1]], [0, 0]), ([[1, 1]], [0])]


def test_certificates_of_arrays_are_kept_as_well(certificate, monkeypatch):
    found = conslaw.regions.polyhedral_complex(LINES)
    path = certificate.with_name("complex.npz")
    for _ in range(2):  # an old one gives way
        found.certificate(path)
    old = path.read_bytes()
    assert conslaw.verify(path).ok

    def full(_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(files.os, "fsync", full)
        with pytest.raises(conslaw.ConslawError, match=r"^certificate: .*not written: No space left"):
            found.certificate(path)
    text = _file(certificate.parent, "text")
    for place in (str(text), certificate.parent, "", 1, True, b"x", text / "x"):
        with pytest.raises(conslaw.ConslawError, match=r"^certificate: "):
            found.certificate(place)
    assert (path.read_bytes(), text.read_text()) == (old, "text")
    assert len(list(certificate.parent.iterdir())) == 3


def test_an_answer_that_nobody_reads_still_has_its_certificate(certificate, monkeypatch):
    def gone(*_, **__):
        raise BrokenPipeError

    certificate.unlink()
    monkeypatch.setattr("conslaw.command_line._print", gone)
    monkeypatch.setattr(sys.stderr, "close", lambda: None)
    assert main([*ANALYZE, "--certificate", str(certificate)]) == 0
    assert conslaw.verify(certificate).ok


def test_a_link_is_followed(certificate, tmp_path):
    link = tmp_path / "link.json"
    link.symlink_to(certificate)
    certificate.chmod(0o640)
    assert main([*ANALYZE, "--certificate", str(link)]) == 0
    assert link.is_symlink()
    assert stat.S_IMODE(certificate.stat().st_mode) == 0o640


def test_verify_says_in_its_status_and_in_json_how_it_ended(certificate, capsys, monkeypatch):
    made = json.loads(certificate.read_text())
    false = certificate.with_name("false.json")
    false.write_text(json.dumps({**made, "bounds": {**made["bounds"], "laws_found": 1}}))
    none = certificate.with_name("none.json")
    none.write_text("[]")
    cases = {
        (str(certificate),): 0,
        (str(false),): 1,
        (str(none),): 2,
        (str(certificate), "--budget", "1e-9"): 3,
    }
    capsys.readouterr()
    for arguments, status in cases.items():
        assert main(["verify", *map(str, arguments), "--json"]) == status
        out, err = capsys.readouterr()
        if status == 2:
            assert err.startswith("conslaw: ")
        else:
            assert json.loads(out)["verdict"] == ("ok", "FAIL", "", "not checked")[status]
    done = subprocess.run(
        [sys.executable, "-m", "conslaw", "verify", "-"],
        input=certificate.read_bytes(),
        capture_output=True,
        check=True,
    )
    assert b"verified" in done.stdout


@pytest.mark.parametrize("question", [ANALYZE, DIMENSION, ["dimension", "{model}"]], ids=str)
@pytest.mark.parametrize("part", ["at most", "at least"])
def test_a_certificate_that_does_not_fit_into_the_memory_is_not_refuted(
    tmp_path, monkeypatch, question, part
):
    path, model = tmp_path / "x.json", tmp_path / "own.py"
    model.write_text(OWN)
    assert main([x.format(model=f"{model}:made") for x in question] + ["--certificate", str(path)]) == 0

    def out_of_memory():
        raise MemoryError

    in_order = verification._in_order
    monkeypatch.setattr(
        verification,
        "_in_order",
        lambda parts: in_order([(x, out_of_memory if x == part else check) for x, check in parts]),
    )
    assert main(["verify", str(path)]) == 3
    monkeypatch.setattr(verification, "verify", lambda *_, **__: out_of_memory())
    assert main(["verify", str(path)]) == 3


def test_an_answer_that_was_cut_short_leaves_an_old_certificate(certificate, capsys, monkeypatch):
    old = certificate.read_bytes()
    part = conslaw.analyze(conslaw.relu([2, 2]), budget=1e-3)
    monkeypatch.setattr("conslaw.command_line._asked", lambda *_: (part, 130))
    new = certificate.with_name("new.json")
    for path in (certificate, new):
        assert main([*ANALYZE, "--certificate", str(path)]) == 130
    assert (certificate.read_bytes(), conslaw.verify(new).ok) == (old, True)
    assert "as it was" in capsys.readouterr().err


# sizes and numbers


@pytest.mark.parametrize(
    "arguments",
    [
        *(
            ["count", "linear", x]
            for x in ("3_0-2-4", "\uff13-2-4", "3--2", "-3-2", "3-2-", "+3-2", " 3-2", "3.0-2")
        ),
        *(["count", "linear", "3-2", f"--{x}"] for x in ("seed=1_0", "seed=\uff11", "seed=-1", "workers=x")),
        ["count", "-3-2"],
        ["verify", "x.json", "--budget", "1_0"],
        ["count", "linear", "3-2", "--flow", "momentum", "--damping", "1001"],
        ["count", "linear", "3-2", "--flow", "momentum", "--damping", "\uff11/2"],
        ["count", "linear", "3-2", "--weight-decay", "-1/2"],
        ["dimension", "polynomial", "3-2-1", "--power", "\uff12"],
        ["analyze", "linear", "1-1-1", "--degree", "200"],
        ["count", "linear", "99999999999-2-3", "--no-split"],
        ["count", "linear", "9" * 500],
    ],
    ids=" ".join,
)
def test_what_is_no_size_and_no_number_is_refused_in_one_line(capsys, arguments):
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n"), err.startswith("conslaw: ")) == ("", 1, True)
    assert "required" not in err


def test_no_loop_runs_over_the_widths(capsys):
    assert main(["count", "linear", "99999999999-2-3", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["laws_at_most"] == 3
    assert main(["count", "monomial", "1000000000-1"]) == 0


def test_damping_and_decay_may_be_decimals(capsys):
    options = ["--flow", "momentum", "--damping", "0.1", "--weight-decay", "0.01", "--json"]
    assert main(["count", "linear", "2-1", *options]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["damping"], found["weight_decay"]) == ("1/10", "1/100")


# a file of the user's

FILES = {
    "own mistake": ("import conslaw\nmodel = 1 / 0\n", "line 2 of own.py: model = 1 / 0"),
    "in array code": (
        "import conslaw\nimport numpy as np\n\n\n"
        "def f(p, c):\n    z = p.W @ c.x\n    return np.tanh(z).sum()\n\n\n"
        "model = conslaw.model(f, parameters={'W': (2, 2)}, data={'x': (2,)})\n",
        "line 7 of own.py: return np.tanh(z).sum()",
    ),
    "in a family": ("import conslaw\n\nmodel = conslaw.linear([3, 'x'])\n", "line 3 of own.py"),
    "in a function": (
        "import conslaw\n\n\n"
        "def model():\n    return conslaw.gradient_flow(conslaw.linear([2, 1]), metric='x')\n",
        "line 5 of own.py",
    ),
    "syntax": ("model = (\n", "line 1"),
}


@pytest.mark.parametrize("case", FILES)
def test_an_error_in_a_file_carries_its_line(tmp_path, capsys, case):
    code, line = FILES[case]
    path = tmp_path / "own.py"
    path.write_text(code)
    assert main(["count", f"{path}:model"]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n"), line in err) == ("", 1, True)


# text from outside

LAWS = [
    *("__import__('os').system('touch HERE')", "W1[0,0].func", "[].__class__", "lambda: 1"),
    *("exp(9**9**9**9)", "W1[x]", "2**10**9", "W1[0]\nimport os"),
]


@pytest.mark.parametrize("text", LAWS)
def test_text_is_never_evaluated(tmp_path, monkeypatch, text):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(conslaw.ConslawError):
        conslaw.parse_law(text)
    x = __import__("sympy").Symbol("x")
    for make in (lambda: conslaw.from_sympy([text], [x]), lambda: conslaw.flow_from_fields([[text]], [x])):
        with pytest.raises(conslaw.ConslawError):
            make()
    assert not list(tmp_path.iterdir())


# memory


def test_the_limit_of_the_process_counts():
    code = (
        "import conslaw.errors as e, resource\n"
        "resource.setrlimit(resource.RLIMIT_AS, (3 * 10**9, 3 * 10**9))\n"
        "print(e.memory_limit())\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) == min(3 * 10**9, memory_limit())


def test_the_limit_of_a_control_group_counts(tmp_path, monkeypatch):
    from conslaw import errors

    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "memory.max").write_text("123456789\n")
    (tmp_path / "a" / "b" / "memory.max").write_text("max\n")
    (tmp_path / "cgroup").write_text("0::/a/b\n")
    monkeypatch.setattr(errors, "CONTROL_GROUPS", (tmp_path / "cgroup", tmp_path))
    errors._of_the_system.cache_clear()
    try:
        assert memory_limit() == 123456789
        with pytest.raises(TooLargeError, match="memory"):
            check_memory(7e7, "something")
    finally:
        errors._of_the_system.cache_clear()


def test_what_is_too_large_is_refused_in_a_process_with_little_memory():
    """No traceback, no MemoryError: the estimate comes first."""
    questions = ["count relu 200-200-200 --no-split", "analyze pca 90-90", "analyze pca 9-9"]

    def limited():
        resource.setrlimit(resource.RLIMIT_AS, (2 * 10**9, 2 * 10**9))

    for question in questions:
        done = subprocess.run(
            [sys.executable, "-m", "conslaw", *question.split()],
            capture_output=True,
            text=True,
            preexec_fn=limited,
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
            check=False,
        )
        assert done.returncode in (0, 2), question
        assert "Traceback" not in done.stderr
        assert "out of memory" not in done.stderr


def test_a_file_of_arrays_is_read_without_pickles(tmp_path):
    import numpy as np

    path = tmp_path / "arrays.npz"
    np.savez(path, kind=np.array([{"a": 1}], dtype=object))
    with pytest.raises(conslaw.ConslawError, match="not an NPZ certificate"):
        conslaw.verify(path)
    assert Path(path).exists()

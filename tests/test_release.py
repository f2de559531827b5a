"""What strangers get: licences, versions, and systems that are not POSIX."""

import re
import subprocess
import sys
import tomllib
from importlib.metadata import metadata, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import conslaw

ROOT = Path(__file__).parent.parent
FREE = r"0BSD|Apache[- ]2\.0|BSD|CC0|LGPL-3\.0-or-later|MIT|MPL-2\.0|Python Software Foundation|PSF|Zlib"
POSIX_ONLY = """
import os, signal, sys
for name in ("fcntl", "resource", "pwd", "grp", "termios"):
    sys.modules[name] = None
for module, names in ((os, ("sysconf", "killpg", "fork", "getuid", "geteuid", "setsid")),
                      (signal, ("setitimer", "SIGALRM", "ITIMER_REAL", "SIGKILL"))):
    for name in names:
        delattr(module, name)
"""


def test_core_licences():
    """What everybody installs with conslaw is free to use, as docs/licences.md says."""
    table = (ROOT / "docs/licences.md").read_text(encoding="utf-8")
    for line in requires("conslaw"):
        requirement = Requirement(line)
        if requirement.marker is not None:  # an extra
            continue
        said = metadata(requirement.name)
        licence = said.get("License-Expression") or " ".join(
            [
                (said.get("License") or "")[:200],
                *(c for c in said.get_all("Classifier") or [] if "License" in c),
            ]
        )
        assert re.search(FREE, licence), f"{requirement.name}: {licence}"
        assert not re.search(r"(?<!L)GPL|AGPL", licence), f"{requirement.name}: {licence}"
        assert f"| {requirement.name} |" in table


def test_no_upper_caps():
    """Neither Python nor a library that everybody installs is capped: the next one is not refused."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"].items()
    users = [line for name, lines in extras if name != "dev" for line in lines]
    given = [Requirement(line).specifier for line in (*project["dependencies"], *users)]
    for one in (*given, Requirement(f"python{project['requires-python']}").specifier):
        assert all(part.operator in (">=", "!=") for part in one), one


def test_one_version():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    cited = re.search(r"^version: (.*)$", (ROOT / "CITATION.cff").read_text(encoding="utf-8"), re.MULTILINE)
    assert {project["version"], cited[1]} == {conslaw.__version__}


@pytest.mark.parametrize(
    ("program", "answer"),
    [
        ("from conslaw.errors import memory_limit; print(memory_limit() > 2**27)", "True"),
        ("import conslaw; print(conslaw.analyze(conslaw.linear([3, 2, 4])).complete)", "True"),
        (
            "from conslaw.command_line import main; main('count linear 2-2-2 --timeout 5'.split())",
            "conslaw: --timeout 5: give a positive number of seconds, on a POSIX system",
        ),
        (
            "import importlib, pkgutil, conslaw\n"
            "left = ('conslaw.layers', 'conslaw.models.from_torch', 'conslaw.__main__')\n"
            "for found in pkgutil.walk_packages(conslaw.__path__, 'conslaw.', onerror=print):\n"
            "    found.name.startswith(left) or importlib.import_module(found.name)\n"
            "print('all')",
            "all",
        ),
    ],
    ids=["memory", "analyze", "timeout", "imports"],
)
def test_without_posix(program, answer):
    """Nothing needs POSIX without a guard: the names that other systems lack are taken away."""
    done = subprocess.run(
        [sys.executable, "-c", POSIX_ONLY + program], capture_output=True, text=True, cwd=ROOT, timeout=100
    )
    assert (done.stdout + done.stderr).strip() == answer

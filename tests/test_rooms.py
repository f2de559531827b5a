"""The house: each room imports only those below it, and public names are no modules."""

import ast
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import conslaw

# from the ground up; what stands in one line imports nothing of the others in it
FLOORS = [
    ["errors", "lazy_names", "version"],
    ["display", "long_work", "plots", "report_html", "time_limit"],
    ["algebra"],
    ["models"],
    ["flows"],
    ["laws"],
    ["certificates"],
    ["varieties", "regions", "recorded", "routes", "attained", "remarks"],
    ["answers"],
    ["analysis", "layers"],
    ["reporting", "sweeps", "training", "weights_file"],
    ["networks", "nn", "command_options", "saved"],
    ["command_line"],
    ["__main__"],
]
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
ROOT = Path(conslaw.__file__).parent
FILES = sorted(path for path in ROOT.rglob("*.py") if path != ROOT / "__init__.py")


def imported(path):
    """The modules of conslaw that a file imports, anywhere in it, but for type checking alone."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    guarded = [n for n in ast.walk(tree) if isinstance(n, ast.If) and "TYPE_CHECKING" in ast.unparse(n.test)]
    typing = {id(x) for n in guarded for x in ast.walk(n)}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and id(node) not in typing:
            names = (
                [f"{node.module}.{x.name}" for x in node.names] if node.module == "conslaw" else [node.module]
            )
            yield from (name for name in names if name.startswith("conslaw."))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_rooms_import_only_what_is_below(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    for name in imported(path):
        room = name.split(".")[1]
        assert room == parts[0] or FLOOR[room] < FLOOR[parts[0]], f"{'/'.join(parts)} imports {name}"


def test_there_is_no_circle_in_a_room():
    below = {path: set(imported(path)) for path in FILES}
    name = {path: ".".join(["conslaw", *path.relative_to(ROOT).with_suffix("").parts]) for path in FILES}
    left = set(FILES)
    while left:
        free = {path for path in left if not {name[other] for other in left} & below[path]}
        assert free, f"a circle among {sorted(name[path] for path in left)}"
        left -= free


@pytest.mark.parametrize(
    "path", [*FILES, *sorted(Path(__file__).parent.rglob("*.py"))], ids=lambda path: path.name
)
def test_modules_are_short(path):
    if path.name == "make_vectors.py":  # it must run alone, beside another algebra system
        return
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 450


def test_public_names_are_no_modules():
    """With lazy imports a second access would give the module instead."""
    for name in dir(conslaw):
        assert (
            not inspect.ismodule(getattr(conslaw, name))
            or name.startswith("__")
            or name not in conslaw.__all__
        )
        assert getattr(conslaw, name) is getattr(conslaw, name)
    assert {name for name in conslaw.__all__ if inspect.ismodule(getattr(conslaw, name))} == set()
    modules = {path.stem for path in ROOT.glob("*.py")} | {
        path.name for path in ROOT.iterdir() if path.is_dir()
    }
    assert not modules & set(conslaw.__all__)
    assert len(conslaw.__all__) <= 35


def test_families_are_in_a_module_of_their_own():
    code = "import conslaw.networks; print(conslaw.networks.linear([2, 1]).size)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "2\n"


@pytest.mark.parametrize(
    "first", ["conslaw.networks", "conslaw.analysis", "conslaw.certificates.verification"]
)
def test_the_order_of_imports_does_not_matter(first):
    code = (
        f"import {first}, conslaw; print(callable(conslaw.analyze), callable(conslaw.verify), conslaw.linear)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("True True <function linear")

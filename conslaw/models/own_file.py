"""Models of the user's own in a Python file, named ``FILE.py:NAME``."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from conslaw.errors import ConslawError
from conslaw.models.potential import line_of


def split_name(text: str) -> tuple[Path, str]:
    """The file and the name of ``FILE.py:NAME``."""
    file, _, name = text.rpartition(":")
    if not file or not name:
        raise ConslawError(f"model {text!r}: name the model in the file, such as {file or name}:model")
    return Path(file), name


def load(text: str) -> tuple[ModuleType, str]:
    """The module of ``FILE.py:NAME``, run, and the name.

    Raises
    ------
    ConslawError
        If there is no such file, or with the line of it that raised something.
    """
    path, name = split_name(text)
    known = f"_conslaw_model_{path.stem}"
    spec = importlib.util.spec_from_file_location(known, path) if path.is_file() else None
    if spec is None or spec.loader is None:
        raise ConslawError(f"model {text!r}: there is no Python file {path} (its name must end in .py)")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    sys.path.insert(0, str(path.parent))  # as `python file.py` does, for modules beside it
    with raised_by(text):
        spec.loader.exec_module(module)
    return module, name


@contextmanager
def raised_by(text: str) -> Iterator[None]:
    """Turn what the user's file raises inside into one line that names it."""
    try:
        yield
    except (Exception, SystemExit) as error:
        own = isinstance(error, ConslawError)
        file = text.rpartition(":")[0]
        raised = error if own else f"{file} raised {type(error).__name__}: {error}"
        raise ConslawError(f"model {text!r}: {raised}{line_of(error)}") from error

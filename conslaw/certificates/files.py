"""A certificate on disk: its place is checked before the work, and no failure loses what stands there."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import numpy as np

from conslaw.certificates import array_files
from conslaw.errors import ConslawError

HEAD = re.compile(rb'\s*\{\s*"format"\s*:\s*"conslaw [a-z ]+"')  # what every certificate in JSON begins with


def check_place(file: str | Path, argument: str = "--certificate ") -> Path:
    """Where a certificate is to be written; refused if it could not be, or if something else stands there.

    Messages begin with the ``argument`` that names it, as the user wrote that.
    """
    what = f"{argument}{str(file)!r:.200}"
    if not isinstance(file, str | Path) or str(file) in ("", "-", "."):
        raise ConslawError(f"{what}: give the name of a file, such as certificate.json")
    try:
        path = Path(file).resolve()
        with suppress(FileNotFoundError):
            path.stat()  # what else is wrong with a name, Path.exists() does not say from Python 3.14 on
        if path.exists():
            if not path.is_file():
                raise ConslawError(f"{what}: not a file")
            if not _is_certificate(path):
                raise ConslawError(f"{what}: stands there and is no certificate; give another name")
            if not os.access(path, os.W_OK):
                raise ConslawError(f"{what}: must not be written to")
        with NamedTemporaryFile(dir=path.parent, prefix=_beside(path)):
            pass
    except ConslawError:
        raise
    except (OSError, ValueError, RuntimeError) as error:
        raise ConslawError(f"{what}: cannot be written: {getattr(error, 'strerror', error)}") from None
    return path


def _is_certificate(path: Path) -> bool:
    with path.open("rb") as old:
        if HEAD.match(old.read(200)):
            return True
    with suppress(ConslawError):
        return (array_files.read(path) or {}).get("kind") in array_files.CHECKERS
    return False


def _beside(path: Path) -> str:
    return f".{os.fsdecode(os.fsencode(path.name)[:100])}."  # names are limited in bytes


def as_json(certificate: Mapping[str, Any]) -> bytes:
    """What a file holds; the same for the same certificate."""
    return (json.dumps(certificate, indent=1) + "\n").encode()


def write(certificate: Mapping[str, Any], path: Path, argument: str = "--certificate ") -> None:
    """Write a certificate beside its place, then move it there: JSON, or NPZ if it has arrays."""
    try:
        with NamedTemporaryFile("wb", dir=path.parent, prefix=_beside(path), delete=False) as file:
            try:
                if any(isinstance(value, np.ndarray) for value in certificate.values()):
                    np.savez_compressed(file, **certificate)
                else:
                    file.write(as_json(certificate))
                file.flush()
                os.fsync(file.fileno())
                umask = os.umask(0)
                os.umask(umask)
                Path(file.name).chmod(path.stat().st_mode & 0o777 if path.exists() else 0o666 & ~umask)
                Path(file.name).replace(path)
            except BaseException:
                with suppress(OSError):
                    Path(file.name).unlink()
                raise
    except OSError as error:
        raise ConslawError(f"{argument}{str(path)!r}: not written: {error.strerror or error}") from None

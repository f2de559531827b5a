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

from conslaw.errors import ConslawError

HEAD = re.compile(rb'\s*\{\s*"format"\s*:\s*"conslaw [a-z ]+"')  # what every certificate begins with


def check_place(file: str) -> Path:
    """Where a certificate is to be written; refused if it could not be, or if something else stands there."""
    what = f"--certificate {file!r}"
    if file in ("", "-"):
        raise ConslawError(f"{what}: give the name of a file, such as certificate.json")
    try:
        path = Path(file).resolve()
        if path.exists():
            if not path.is_file():
                raise ConslawError(f"{what}: not a file")
            with path.open("rb") as old:
                if not HEAD.match(old.read(200)):
                    raise ConslawError(f"{what}: stands there and is no certificate; give another name")
            if not os.access(path, os.W_OK):
                raise ConslawError(f"{what}: must not be written to")
        with NamedTemporaryFile(dir=path.parent, prefix=f".{path.name[:100]}."):
            pass
    except ConslawError:
        raise
    except (OSError, ValueError) as error:
        raise ConslawError(f"{what}: cannot be written: {getattr(error, 'strerror', error)}") from None
    return path


def write(certificate: Mapping[str, Any], path: Path) -> None:
    """Write a certificate beside its place, then move it there."""
    with NamedTemporaryFile(
        "w", encoding="utf-8", dir=path.parent, prefix=f".{path.name[:100]}.", delete=False
    ) as file:
        try:
            file.write(json.dumps(certificate, indent=1) + "\n")
            file.flush()
            os.fsync(file.fileno())
            umask = os.umask(0)
            os.umask(umask)
            Path(file.name).chmod(path.stat().st_mode & 0o777 if path.exists() else 0o666 & ~umask)
            Path(file.name).replace(path)
        except BaseException as error:
            with suppress(OSError):
                Path(file.name).unlink()
            if not isinstance(error, OSError):
                raise
            raise ConslawError(
                f"--certificate {str(path)!r}: not written: {error.strerror or error}"
            ) from None

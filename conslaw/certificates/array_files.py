"""Certificates that are arrays: NPZ files, of kinds that rooms above bring with them."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from conslaw.errors import ConslawError

CHECKERS = {  # modules with checks(whole, budget)
    "level set": "conslaw.regions.written_level_sets",
    "polyhedral complex": "conslaw.regions.written",
}
LARGEST = 2**32  # bytes, unpacked


def read(source: Any) -> Mapping[str, Any] | None:
    """The arrays of a certificate, or None if it is no such thing."""
    if isinstance(source, Mapping):
        return source if any(isinstance(value, np.ndarray) for value in source.values()) else None
    path = Path(source) if isinstance(source, str | Path) and str(source) != "-" else None
    if path is None:
        return None
    try:
        if not path.is_file():
            return None
        with path.open("rb") as file:
            if file.read(4) != b"PK\x03\x04":
                return None
    except (OSError, ValueError) as error:  # a name that no file can have, a file that may not be read
        raise ConslawError(f"{str(source)[:100]!r}: {getattr(error, 'strerror', error)}") from None
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(item.file_size for item in archive.infolist())
        if size > LARGEST:
            raise ConslawError(f"{source}: unpacks to {size:,} bytes, more than {LARGEST:,}")
        with np.load(path, allow_pickle=False) as arrays:
            return {name: arrays[name] if arrays[name].ndim else arrays[name].item() for name in arrays.files}
    except ConslawError:
        raise
    except Exception as error:  # whatever a damaged archive brings about
        raise ConslawError(
            f"{source}: not an NPZ certificate: {type(error).__name__}: {error}"[:300]
        ) from None


def checker(whole: Mapping[str, Any]) -> tuple[str, Callable[[Mapping[str, Any], float], Iterator[Any]]]:
    """The claim, and what checks it."""
    kind = whole.get("kind")
    if not isinstance(kind, str) or kind not in CHECKERS:
        raise ConslawError(
            f"not a conslaw certificate: kind is {str(kind)[:40]!r}, not one of {', '.join(CHECKERS)}"
        )
    module = import_module(CHECKERS[kind])
    return str(whole.get("claim", ""))[:1000], module.checks

"""Weights in a file of NumPy (``.npz``), for the command line: arrays alone, never objects."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Mapping
from json import dumps
from pathlib import Path
from typing import Any

import numpy as np

from conslaw.errors import ConslawError, check_memory
from conslaw.flows.flow import TIME, velocity
from conslaw.models.weights import Array


def read(file: str, option: str) -> dict[str, Array]:
    """The arrays of a file by name.

    Raises
    ------
    ConslawError
        If it cannot be read, is none of NumPy's, or holds anything but numbers.
    """
    what = f"{option} {file!r:.200}"
    try:
        if Path(file).exists() and not Path(file).is_file():
            raise ConslawError(f"{what}: not a file")
        with zipfile.ZipFile(file) as parts:
            check_memory(sum(x.file_size for x in parts.infolist()), what, "give the weights alone")
        with np.load(file, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except ConslawError:
        raise
    except OSError as error:
        raise ConslawError(f"{what}: {error.strerror or error}") from None
    except Exception as error:  # whatever a hostile file brings about
        raise ConslawError(
            f"{what}: no .npz file of arrays, as numpy.savez writes it: {error}"[:300]
        ) from None


def said(answer: Any, weights: Mapping[str, Array] | None, *, json: bool) -> Iterator[str]:
    """An answer as text or JSON, and the values of its laws at the weights of a file, if there is one; if
    they do not fit, the answer comes before the complaint.
    """
    if not json:
        yield str(answer)
    try:
        values = evaluated(answer, weights) if weights is not None else {}
    except ConslawError:
        if json:
            yield dumps(answer.to_json())
        raise
    if json:  # which has no NaN: null where a law is not defined
        made = {law: np.where(np.isfinite(x), x, np.array(None)).tolist() for law, x in values.items()}
        yield dumps({**answer.to_json(), **({"values": made} if values else {})})
    else:
        yield from (f"\n{law} =\n{value}" for law, value in values.items())


def evaluated(analysis: Any, arrays: Mapping[str, Array]) -> dict[str, Array]:
    """The values of laws at the arrays of a file, where velocities are called ``W1_dot``, and ``time`` is
    t.
    """
    moving = {n: arrays[velocity(n)] for n in arrays if velocity(n) in arrays}
    time = arrays[TIME].item() if TIME in arrays and arrays[TIME].size == 1 else None
    found: dict[str, Array] = analysis.evaluate(arrays, moving or None, time)
    return found

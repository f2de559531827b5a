"""Weights in a file, for the command line: arrays of NumPy (``.npz``), or a state_dict that PyTorch saved
(``.pt``, ``.pth``); arrays alone, no code in them is run.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
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
        If it cannot be read, is of another kind, or holds anything but arrays.
    """
    what, kind = f"{option} {file!r:.200}", Path(file).suffix
    if kind not in (".npz", ".pt", ".pth"):
        raise ConslawError(f"{what}: give a file .npz of arrays, or .pt of a state_dict")
    try:
        if Path(file).exists() and not Path(file).is_file():
            raise ConslawError(f"{what}: not a file")
        with zipfile.ZipFile(file) as parts:
            check_memory(sum(x.file_size for x in parts.infolist()), what, "give the weights alone")
        return _of_numpy(file) if kind == ".npz" else _of_torch(file, what)
    except ConslawError:
        raise
    except OSError as error:
        raise ConslawError(f"{what}: {error.strerror or error}") from None
    except Exception as error:  # whatever a hostile file brings about
        fix = "numpy.savez(file, **arrays)" if kind == ".npz" else "torch.save(module.state_dict(), file)"
        said = str(error).splitlines()[0][:100] if str(error) else type(error).__name__
        raise ConslawError(f"{what}: there are no arrays in it; write it with {fix} ({said})") from None


def _of_numpy(file: str) -> dict[str, Array]:
    with np.load(file, allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}


def _of_torch(file: str, what: str) -> dict[str, Any]:
    try:
        import torch
    except ImportError:
        raise ConslawError(f"{what}: this needs PyTorch: pip install 'conslaw[torch]'") from None
    found = torch.load(file, map_location="cpu", weights_only=True)
    if not isinstance(found, Mapping):
        raise TypeError("no state_dict")
    return dict(found)


def evaluated(analysis: Any, arrays: Mapping[str, Array]) -> dict[str, Array]:
    """The values of laws at the arrays of a file, where velocities are called ``W1_dot``, and ``time`` is
    t.
    """
    moving = {n: arrays[velocity(n)] for n in arrays if velocity(n) in arrays}
    time = arrays[TIME].item() if TIME in arrays and arrays[TIME].size == 1 else None
    found: dict[str, Array] = analysis.evaluate(arrays, moving or None, time)
    return found

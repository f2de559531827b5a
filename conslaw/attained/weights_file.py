"""Weights from a file: arrays of NumPy (``.npz``), or a state_dict that PyTorch saved (``.pt``, ``.pth``)."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from conslaw.errors import ConslawError


def weights_from(file: str) -> Mapping[str, Any]:
    """The arrays in a file, by name.  No code in it is run.

    Raises
    ------
    ConslawError
        If the file is of another kind, or holds other things than arrays.
    OSError
        If it cannot be read.
    """
    kind = Path(file).suffix
    if kind not in (".npz", ".pt", ".pth"):
        raise ConslawError(f"weights {file!r}: give a file .npz of arrays, or .pt of a state_dict")
    try:
        return _of_numpy(file) if kind == ".npz" else _of_torch(file)
    except (ValueError, TypeError, BadZipFile, EOFError, KeyError, RuntimeError, pickle.UnpicklingError):
        fix = "numpy.savez(file, **arrays)" if kind == ".npz" else "torch.save(module.state_dict(), file)"
        raise ConslawError(f"weights {file!r}: there are no arrays in it; write it with {fix}") from None


def _of_numpy(file: str) -> Mapping[str, Any]:
    with np.load(file, allow_pickle=False) as found:
        return {name: found[name] for name in found.files}


def _of_torch(file: str) -> Mapping[str, Any]:
    try:
        import torch
    except ImportError:
        raise ConslawError(f"weights {file!r}: this needs PyTorch: pip install 'conslaw[torch]'") from None
    found = torch.load(file, map_location="cpu", weights_only=True)
    if not isinstance(found, Mapping):
        raise TypeError(found)
    return found

"""Inputs of a module in words, for the command line: ``1,3,32,32`` or ``1,16:int64``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import torch

from conslaw.errors import ConslawError


def inputs_of(module: Any, texts: Sequence[str]) -> list[Any]:
    """Zeros of these shapes and types, where the parameters of the module are."""
    made = list[Any]()
    device = next((x.device for x in module.parameters()), torch.device("cpu"))
    for text in texts:
        shape, _, kind = text.partition(":")
        dtype = getattr(torch, kind or "float32", None)
        if not re.fullmatch("[1-9][0-9]{0,8}(,[1-9][0-9]{0,8})*", shape) or not isinstance(
            dtype, torch.dtype
        ):
            raise ConslawError(f"--input {text!r}: give a shape, such as 1,3,32,32, or 1,16:int64 for tokens")
        made.append(torch.zeros([int(n) for n in shape.split(",")], dtype=dtype, device=device))
    return made

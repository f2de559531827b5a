"""Models from PyTorch: what a module's training moves, read from its own operations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from conslaw.errors import ConslawError
from conslaw.models.potential import Model


def from_torch(
    module: Any,
    *inputs: Any,
    kwargs: Mapping[str, Any] | None = None,
    loss: str | None = None,
    mode: str | None = None,
) -> Model:
    try:
        import torch  # noqa: F401
    except ImportError as error:
        raise ConslawError(f"conslaw.from_torch needs PyTorch ({error}): pip install 'conslaw[torch]'") from error
    from conslaw.models.from_torch.modules import model_of

    return model_of(module, inputs, kwargs or {}, loss, mode)

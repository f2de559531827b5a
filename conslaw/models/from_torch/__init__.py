"""Models from PyTorch: what training a module moves, read from its own operations."""

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
    """The model of a PyTorch module: the parameters that are trained, and what their gradients may be.

    The module is run once by ``torch.export``, on tensors without entries: no weight is copied, and the
    module is not changed.  Each of its operations is read as array code is (see *Real networks* in the
    documentation): linear ones and products are exact, nonlinear ones have free data in their place.  So the
    laws that are found are laws of the module, for all data of this shape, and all losses (or this one).

    Parameters
    ----------
    module : torch.nn.Module
        Parameters that are tied are one array, those with ``requires_grad=False`` are data.
    *inputs : tensors, or what else the module is called with
        Only shapes and types matter.  A batch of 1 and a few tokens or pixels suffice; with very few, data of
        this shape may conserve more than larger ones (a position that does not occur, a border of an image).
    kwargs : mapping, optional
        What the module is called with by name.
    loss : None or ``"cross_entropy"``
        None stands for any loss of what the module returns.  The cross-entropy, for any labels, does not see
        a constant that is added to all classes: the last axis of the output, or the second of 2, 4 or 5.
    mode : None, ``"train"`` or ``"eval"``
        Dropout and BatchNorm change the laws.  None is what ``module.training`` says.

    Returns
    -------
    Model
        ``model.arguments["names"]`` has for each array the name in the module: ``layers_0_weight`` is
        ``layers.0.weight``.  ``model.readings`` says how each nonlinearity was read, and where it stands.

    Raises
    ------
    ConslawError
        If PyTorch is missing, the module branches on the value of an array, an operation is not known, or a
        gradient is not that of the operations (hooks, a ``torch.autograd.Function``).

    Examples
    --------
    >>> import conslaw, torch
    >>> layer = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2))
    >>> analysis = conslaw.analyze(conslaw.from_torch(layer, torch.zeros(1, 3)))
    >>> [str(family) for family in analysis.law_families]
    ['‖0.weight[k,:]‖² + 0.bias[k]² − ‖2.weight[:,k]‖²   k = 0…3, 4 laws']

    References
    ----------
    [MGP25] Marcotte, Gribonval, Peyré, *Transformative or Conservative?*, ICML 2025, arXiv 2506.06194.
    """
    try:
        import torch  # noqa: F401
    except ImportError as error:
        raise ConslawError(
            f"conslaw.from_torch needs PyTorch ({error}): pip install 'conslaw[torch]'"
        ) from error
    from conslaw.models.from_torch.modules import model_of

    if kwargs is not None and not isinstance(kwargs, Mapping):
        raise ConslawError(
            f"kwargs={kwargs!r}: give a mapping from names to inputs, such as {{'mask': mask}}"
        )
    return model_of(module, inputs, kwargs or {}, loss, mode)

"""A :class:`conslaw.Monitor` for trainers that own the loop: Lightning and the Trainer of Hugging Face.

Both begin one when training begins and end it when training ends; it is then the ``monitor`` of the callback.
What does not fit the analysis is said as a warning, and the training goes on unwatched.
"""

from __future__ import annotations

import warnings
from contextlib import suppress
from typing import Any

from conslaw.answers import Analysis
from conslaw.errors import ConslawError
from conslaw.training.monitor import Monitor


class _Watching:
    """What the two have in common."""

    analysis: Analysis
    options: dict[str, Any]
    monitor: Monitor | None = None

    def begin(self, module: Any, optimizer: Any) -> None:
        """Watch this module, as it is trained by the optimizer within its wrappers."""
        while hasattr(optimizer, "optimizer"):
            optimizer = optimizer.optimizer
        try:
            self.monitor = Monitor(module, self.analysis, optimizer, **self.options).__enter__()
        except ConslawError as error:
            with suppress(Warning):
                warnings.warn(f"conslaw does not watch this training: {error}", stacklevel=2)

    def end(self) -> None:
        """Stop watching."""
        if self.monitor is not None:
            self.monitor.__exit__()


def lightning_callback(analysis: Analysis, **options: Any) -> Any:
    """A callback for ``lightning.Trainer(callbacks=[...])``.

    Parameters
    ----------
    analysis, options : those of :class:`conslaw.Monitor`; names are those of the LightningModule

    Returns
    -------
    lightning.pytorch.Callback

    Raises
    ------
    ConslawError
        Without Lightning.
    """
    try:
        from lightning.pytorch import Callback
    except ImportError:
        raise ConslawError("this callback is for Lightning: pip install lightning") from None

    class Laws(Callback, _Watching):
        """Watches the first optimizer."""

        def on_train_start(self, trainer: Any, pl_module: Any) -> None:
            self.begin(pl_module, trainer.optimizers[0])

        def on_train_end(self, trainer: Any, pl_module: Any) -> None:
            self.end()

        def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
            self.end()

    made = Laws()
    made.analysis, made.options = analysis, options
    return made


def trainer_callback(analysis: Analysis, **options: Any) -> Any:
    """A callback for ``transformers.Trainer(callbacks=[...])``.

    Parameters
    ----------
    analysis, options : those of :class:`conslaw.Monitor`; names are those of the model

    Returns
    -------
    transformers.TrainerCallback

    Raises
    ------
    ConslawError
        Without transformers.
    """
    try:
        from transformers import TrainerCallback
    except ImportError:
        raise ConslawError(
            "this callback is for the Hugging Face Trainer: pip install transformers"
        ) from None

    class Laws(TrainerCallback, _Watching):
        """Watches the optimizer of the trainer."""

        def on_train_begin(
            self, args: Any, state: Any, control: Any, model: Any = None, optimizer: Any = None, **_: Any
        ) -> None:
            self.begin(model, optimizer)

        def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            self.end()

    made = Laws()
    made.analysis, made.options = analysis, options
    return made

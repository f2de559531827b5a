"""One thread: those of small tensors get in each other's way."""

from importlib.util import find_spec

import pytest


@pytest.fixture(autouse=True)
def _one_seed_and_thread():
    if find_spec("torch"):
        import torch

        torch.manual_seed(0)
        torch.set_num_threads(1)

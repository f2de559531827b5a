"""Modules of PyTorch at full size, weights on ``meta``: reading, both bounds, certificate; CPU seconds."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from rows import Row

import conslaw

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "real_networks"))  # networks written by hand

Made = tuple[Any, tuple[Any, ...]]  # a module and its inputs


def mlp() -> Made:
    from torch import nn

    layers = [nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 10)]
    return nn.Sequential(*layers), (torch.zeros(1, 784),)


def small_cnn(pixels: int) -> Made:
    from torch import nn

    first, second = nn.Conv2d(1, 8, 3, padding=1), nn.Conv2d(8, 16, 3, padding=1)
    layers = [first, nn.ReLU(), nn.MaxPool2d(2), second, nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()]
    return nn.Sequential(*layers, nn.Linear(pixels**2, 10)), (torch.zeros(1, 1, pixels, pixels),)


def encoder(width: int, heads: int, hidden: int) -> Made:
    layer = torch.nn.TransformerEncoderLayer(width, heads, hidden, batch_first=True, norm_first=True)
    return layer, (torch.zeros(1, 2, width),)


def resnet18() -> Made:
    from written_out import RESNET18, ResNet

    return ResNet(RESNET18, 1000), (torch.zeros(1, 3, 64, 64),)  # at 32 the last stage is one pixel


def gpt2_small() -> Made:
    from written_out import GPT

    return GPT(50_257, 1024, 768, 12, 3072, 12), (torch.zeros(1, 2, dtype=torch.int64),)


def llama_block() -> Made:
    from written_out import LlamaBlock

    cosines, sines = torch.zeros(2, 64), torch.zeros(2, 64)  # two arrays: one would rotate by 45 degrees
    return LlamaBlock(2048, 32, 8, 8192), (torch.zeros(1, 2, 2048), cosines, sines)


MODULES: dict[str, tuple[Callable[[], Made], int]] = {  # and the number of laws that is expected
    "mlp 784-512-512-10": (mlp, 1024),
    "cnn 1-8-16, 8 pixels": (lambda: small_cnn(8), 8 + 16),
    "cnn 1-8-16, 28 pixels": (lambda: small_cnn(28), 8 + 16),
    "encoder 64": (lambda: encoder(64, 4, 256), 1537),
    "encoder 768": (lambda: encoder(768, 12, 3072), 55_297),
    "ResNet-18": (resnet18, 3776),
    "GPT-2 small": (gpt2_small, 673_816),
    "Llama block 2048": (llama_block, 29_184),
}


def answered(name: str) -> str:
    make, expected = MODULES[name]
    start = time.process_time()
    with torch.device("meta"):
        module, inputs = make()
        model = conslaw.from_torch(module, *inputs, mode="eval")
    read = time.process_time() - start
    analysis = conslaw.analyze(model)
    found = time.process_time() - start - read
    certificate = len(json.dumps(analysis.certificate())) / 1e6
    laws = f"{analysis.laws_found:,} of at most {analysis.laws_at_most:,} laws (expected {expected:,})"
    times = f"read {read:.1f} s, analyzed {found:.1f} s, certificate {certificate:.1f} MB"
    return f"{model.size:,} parameters: {laws}; {times}"


ROWS = [Row(f"module: {name}", answered, (name,)) for name in MODULES]

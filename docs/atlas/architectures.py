"""The networks of the atlas that conslaw has no family for, in plain PyTorch, as one would write them.

GPT, Llama, and ResNet stand in ``tests/real_networks/written_out.py``, where their gradients are compared
with the models that are read from them.
"""

import sys
from itertools import pairwise
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812

import conslaw as conslaw
from conslaw import layers as layers

sys.path.insert(0, str(Path(__file__).parents[2] / "tests" / "real_networks"))
from written_out import GPT as GPT
from written_out import RESNET18 as RESNET18
from written_out import Llama as Llama
from written_out import LlamaBlock as LlamaBlock
from written_out import ResNet as ResNet

RESNET34 = (
    [(64, 1)] * 3 + [(128, 2)] + [(128, 1)] * 3 + [(256, 2)] + [(256, 1)] * 5 + [(512, 2)] + [(512, 1)] * 2
)
VGG16 = [c for n, width in ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512)) for c in [*[width] * n, "pool"]]


def row(*sizes):
    """An input of this shape, in a batch of one."""
    return torch.zeros(1, *sizes)


def tokens(many):
    """A text of so many tokens, in a batch of one."""
    return torch.zeros(1, many, dtype=torch.int64)


class MLP(nn.Sequential):
    """Fully connected, with biases; ReLU between the layers, or another activation."""

    def __init__(self, *widths, activation=nn.ReLU):
        parts = [part for i, o in pairwise(widths) for part in (nn.Linear(i, o), activation())]
        super().__init__(*parts[:-1])


class Autoencoder(nn.Module):
    """Decode(f(encode(x))) with biases; a tied decoder is the transpose of the encoder."""

    def __init__(self, inputs, hidden, *, tied, activation=nn.Identity):
        super().__init__()
        self.encoder, self.activation = nn.Linear(inputs, hidden), activation()
        self.decoder = nn.Linear(hidden, inputs)
        if tied:
            self.decoder.weight = None
        self.tied = tied

    def forward(self, x):
        weight = self.encoder.weight.T if self.tied else self.decoder.weight
        return F.linear(self.activation(self.encoder(x)), weight, self.decoder.bias)


class VGG(nn.Module):
    """Convolutions of 3 by 3 with biases, and max-pooling; then three fully connected layers."""

    def __init__(self, channels, hidden, classes, pixels):
        super().__init__()
        parts, before = [], 3
        for c in channels:
            parts += [nn.MaxPool2d(2)] if c == "pool" else [nn.Conv2d(before, c, 3, padding=1), nn.ReLU()]
            before = before if c == "pool" else c
        self.features = nn.Sequential(*parts)
        self.classifier = MLP(before * pixels**2, hidden, hidden, classes)

    def forward(self, x):
        return self.classifier(torch.flatten(self.features(x), 1))


class MixerBlock(nn.Module):
    """An MLP across the patches, then one across the channels, each on a normed stream."""

    def __init__(self, patches, width, across, hidden):
        super().__init__()
        self.norm_1, self.tokens = nn.LayerNorm(width), MLP(patches, across, patches, activation=nn.GELU)
        self.norm_2, self.channels = nn.LayerNorm(width), MLP(width, hidden, width, activation=nn.GELU)

    def forward(self, x):
        x = x + self.tokens(self.norm_1(x).transpose(1, 2)).transpose(1, 2)
        return x + self.channels(self.norm_2(x))


class Mixer(nn.Module):
    """MLP-Mixer: patches, blocks, a norm, the mean over the patches, classes."""

    def __init__(self, pixels, patch, width, across, hidden, blocks, classes):
        super().__init__()
        self.stem, patches = nn.Conv2d(3, width, patch, patch), (pixels // patch) ** 2
        self.blocks = nn.Sequential(*(MixerBlock(patches, width, across, hidden) for _ in range(blocks)))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, classes)

    def forward(self, x):
        x = self.stem(x).flatten(2).transpose(1, 2)
        return self.head(self.norm(self.blocks(x)).mean(1))


class ViT(nn.Module):
    """Patches, a class token, positions, encoder layers with the norm first, classes of the class token."""

    def __init__(self, pixels, patch, width, heads, hidden, blocks, classes):
        super().__init__()
        self.patch, places = patch, (pixels // patch) ** 2 + 1
        self.stem, self.token = (
            nn.Linear(3 * patch**2, width, bias=False),
            nn.Parameter(torch.zeros(1, width)),
        )
        self.positions = nn.Parameter(torch.zeros(places, width))
        options = {"activation": "gelu", "batch_first": True, "norm_first": True}
        layers = (nn.TransformerEncoderLayer(width, heads, hidden, **options) for _ in range(blocks))
        self.blocks, self.norm, self.head = (
            nn.Sequential(*layers),
            nn.LayerNorm(width),
            nn.Linear(width, classes),
        )

    def forward(self, x):
        x = self.stem(F.unfold(x, self.patch, stride=self.patch).transpose(1, 2))
        x = torch.cat((self.token.expand(len(x), 1, -1), x), dim=1) + self.positions
        return self.head(self.norm(self.blocks(x))[:, 0])


class Recurrent(nn.Module):
    """An LSTM or a GRU, and a reader of its outputs."""

    def __init__(self, cell, inputs, hidden, outputs):
        super().__init__()
        self.cell, self.reader = cell(inputs, hidden, batch_first=True), nn.Linear(hidden, outputs)

    def forward(self, x):
        return self.reader(self.cell(x)[0])

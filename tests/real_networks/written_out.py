"""Networks as they are written by hand: a GPT-2, a Llama, a block of a ResNet, LoRA, a vision transformer."""

import math

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812


class Attention(nn.Module):
    """Causal, with one array of queries, keys and values, and a mask in a buffer."""

    def __init__(self, width, heads, positions, dropout):
        super().__init__()
        self.heads = heads
        self.c_attn, self.c_proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.dropout = nn.Dropout(dropout)
        self.register_buffer("mask", torch.tril(torch.ones(positions, positions))[None, None])

    def forward(self, x):
        batch, tokens, width = x.size()
        parts = self.c_attn(x).split(width, dim=2)
        q, k, v = (y.view(batch, tokens, self.heads, width // self.heads).transpose(1, 2) for y in parts)
        logits = (q @ k.transpose(-2, -1)) * (1.0 / math.sqrt(k.size(-1)))
        logits = logits.masked_fill(self.mask[:, :, :tokens, :tokens] == 0, float("-inf"))
        y = self.dropout(F.softmax(logits, dim=-1)) @ v
        return self.dropout(self.c_proj(y.transpose(1, 2).contiguous().view(batch, tokens, width)))


class GPTBlock(nn.Module):
    def __init__(self, width, heads, hidden, positions, dropout):
        super().__init__()
        self.ln_1, self.attn = nn.LayerNorm(width), Attention(width, heads, positions, dropout)
        self.ln_2, self.c_fc = nn.LayerNorm(width), nn.Linear(width, hidden)
        self.c_proj, self.dropout = nn.Linear(hidden, width), nn.Dropout(dropout)

    def forward(self, x):
        x = x + self.attn(self.ln_1(x))
        h = self.c_fc(self.ln_2(x))
        h = 0.5 * h * (1.0 + torch.tanh(math.sqrt(2.0 / math.pi) * (h + 0.044715 * torch.pow(h, 3.0))))
        return x + self.dropout(self.c_proj(h))


class GPT(nn.Module):
    def __init__(self, vocabulary=11, positions=8, width=8, heads=2, hidden=32, blocks=1, dropout=0.0):
        super().__init__()
        self.wte, self.wpe = nn.Embedding(vocabulary, width), nn.Embedding(positions, width)
        self.dropout = nn.Dropout(dropout)
        self.h = nn.ModuleList(GPTBlock(width, heads, hidden, positions, dropout) for _ in range(blocks))
        self.ln_f, self.lm_head = nn.LayerNorm(width), nn.Linear(width, vocabulary, bias=False)
        self.lm_head.weight = self.wte.weight

    def forward(self, tokens):
        x = self.dropout(self.wte(tokens) + self.wpe(torch.arange(tokens.shape[1], device=tokens.device)))
        for block in self.h:
            x = block(x)
        return self.lm_head(self.ln_f(x))


class RMSNorm(nn.Module):
    def __init__(self, width, eps=1e-6):
        super().__init__()
        self.weight, self.eps = nn.Parameter(torch.ones(width)), eps

    def forward(self, x):
        variance = x.pow(2).mean(-1, keepdim=True)
        return self.weight * (x * torch.rsqrt(variance + self.eps))


def rotated(x):
    half = x.shape[-1] // 2
    return torch.cat((-x[..., half:], x[..., :half]), dim=-1)


def repeated(x, times):
    batch, heads, tokens, size = x.shape
    return x[:, :, None].expand(batch, heads, times, tokens, size).reshape(batch, heads * times, tokens, size)


class LlamaBlock(nn.Module):
    def __init__(self, width, heads, groups, hidden):
        super().__init__()
        self.heads, self.groups, self.size = heads, groups, width // heads

        def linear(i, o):
            return nn.Linear(i, o, bias=False)

        self.q_proj, self.o_proj = linear(width, width), linear(width, width)
        self.k_proj, self.v_proj = linear(width, groups * self.size), linear(width, groups * self.size)
        self.gate_proj, self.up_proj, self.down_proj = (
            linear(width, hidden),
            linear(width, hidden),
            linear(hidden, width),
        )
        self.norm_1, self.norm_2 = RMSNorm(width), RMSNorm(width)

    def forward(self, x, cos, sin):
        batch, tokens, width = x.shape
        y = self.norm_1(x)
        q, k, v = (
            f(y).view(batch, tokens, -1, self.size).transpose(1, 2)
            for f in (self.q_proj, self.k_proj, self.v_proj)
        )
        q, k = (z * cos + rotated(z) * sin for z in (q, k))
        k, v = (repeated(z, self.heads // self.groups) for z in (k, v))
        mask = torch.full((tokens, tokens), torch.finfo(x.dtype).min, dtype=x.dtype, device=x.device).triu(1)
        weights = F.softmax(torch.matmul(q, k.transpose(2, 3)) / math.sqrt(self.size) + mask, dim=-1)
        x = x + self.o_proj((weights @ v).transpose(1, 2).reshape(batch, tokens, width))
        y = self.norm_2(x)
        return x + self.down_proj(F.silu(self.gate_proj(y)) * self.up_proj(y))


class Llama(nn.Module):
    def __init__(self, vocabulary=11, width=8, heads=2, groups=1, hidden=12, blocks=1):
        super().__init__()
        self.embed, size = nn.Embedding(vocabulary, width), width // heads
        self.layers = nn.ModuleList(LlamaBlock(width, heads, groups, hidden) for _ in range(blocks))
        self.norm, self.lm_head = RMSNorm(width), nn.Linear(width, vocabulary, bias=False)
        frequencies = 1.0 / (10_000 ** (torch.arange(0, size, 2).float() / size))
        self.register_buffer("frequencies", frequencies, persistent=False)

    def forward(self, tokens):
        x = self.embed(tokens)
        places = torch.arange(tokens.shape[1], device=tokens.device)
        angles = places[:, None].to(x.dtype) * self.frequencies.to(x.dtype)
        angles = torch.cat((angles, angles), dim=-1)
        for layer in self.layers:
            x = layer(x, angles.cos(), angles.sin())
        return self.lm_head(self.norm(x))


class BasicBlock(nn.Module):
    """Of a ResNet; the sum is made in place."""

    def __init__(self, inputs, outputs, stride=1):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs)
        self.conv2, self.bn2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False), nn.BatchNorm2d(outputs)
        self.downsample = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)), inplace=True)))
        y += x if self.downsample is None else self.downsample(x)
        return F.relu(y, inplace=True)


class ResNet(nn.Module):
    """The widths and strides of the blocks decide which."""

    def __init__(self, blocks, classes, stem=7, pool=True):
        super().__init__()
        width = blocks[0][0]
        self.conv1, self.bn1 = nn.Conv2d(3, width, stem, 2, stem // 2, bias=False), nn.BatchNorm2d(width)
        self.pool = nn.MaxPool2d(3, 2, 1) if pool else nn.Identity()
        before = [width, *(outputs for outputs, _ in blocks)]
        self.blocks = nn.Sequential(*(BasicBlock(i, o, s) for i, (o, s) in zip(before, blocks, strict=False)))
        self.fc = nn.Linear(before[-1], classes)

    def forward(self, x):
        x = self.pool(F.relu(self.bn1(self.conv1(x)), inplace=True))
        return self.fc(torch.flatten(F.adaptive_avg_pool2d(self.blocks(x), 1), 1))


RESNET18 = [(64, 1), (64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), (512, 1)]


class LoRA(nn.Module):
    def __init__(self, inputs, outputs, rank, scale=0.5):
        super().__init__()
        self.base, self.scale = nn.Linear(inputs, outputs).requires_grad_(False), scale
        self.A, self.B = nn.Linear(inputs, rank, bias=False), nn.Linear(rank, outputs, bias=False)

    def forward(self, x):
        return self.base(x) + self.scale * self.B(self.A(x))


class VisionTransformer(nn.Module):
    """Patches, a class token, positions, and queries, keys and values from one reshape."""

    def __init__(self, width=4, heads=2, patch=2, pixels=4):
        super().__init__()
        self.patches, self.heads = nn.Conv2d(1, width, patch, patch), heads
        self.token = nn.Parameter(torch.randn(1, 1, width))
        self.positions = nn.Parameter(torch.randn(1, (pixels // patch) ** 2 + 1, width))
        self.norm, self.qkv, self.proj = (
            nn.LayerNorm(width),
            nn.Linear(width, 3 * width),
            nn.Linear(width, width),
        )
        self.head = nn.Linear(width, 2)

    def forward(self, x):
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat((self.token.expand(len(x), -1, -1), x), dim=1) + self.positions
        batch, tokens, width = x.shape
        qkv = (
            self.qkv(self.norm(x))
            .reshape(batch, tokens, 3, self.heads, width // self.heads)
            .permute(2, 0, 3, 1, 4)
        )
        q, k, v = qkv.unbind(0)
        y = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(batch, tokens, width)
        return self.head((x + self.proj(y))[:, 0])


class Code(nn.Module):
    """Two linear layers, and any code over them."""

    def __init__(self, code, width=4):
        super().__init__()
        self.l, self.k, self.code = nn.Linear(width, width), nn.Linear(width, width), code

    def forward(self, x):
        return self.code(self, x)

"""High-order layers and the matrix product of equal work; the published package too, if installed.

CPU milliseconds on one thread: batch 128, 128 -> 128, n = 5.  Calls to compare take turns, so that they share
what else the machine does; each has the least of its runs.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from rows import Row

from conslaw import layers

BATCH = WIDTH = 128
POINTS = 5
Call = tuple[Callable[[torch.Tensor], torch.Tensor], torch.Tensor]  # a layer and its input
Times = tuple[float, float]  # forward without gradients; forward and backward to the weights and the input


def least(runs: list[Callable[[], object]], repeats: int) -> list[float]:
    best = [float("inf")] * len(runs)
    for _ in range(repeats):
        for k, run in enumerate(runs):
            run()  # its data are near again
            start = time.process_time()
            run()
            best[k] = min(best[k], 1e3 * (time.process_time() - start))
    return best


def together(calls: list[Call], repeats: int = 100) -> list[Times]:
    def whole(call: Callable[[torch.Tensor], torch.Tensor], x: torch.Tensor) -> Callable[[], object]:
        gradient = torch.ones_like(call(x))

        def run() -> None:
            call(x).backward(gradient)
            for leaf in (x, *getattr(call, "parameters", list)()):
                leaf.grad = None

        return run

    with torch.no_grad():
        forward = least([lambda call=call, x=x: call(x) for call, x in calls], repeats)
    return list(zip(forward, least([whole(*each) for each in calls], repeats), strict=True))


def product() -> Call:
    """The matrix product of equal work."""
    layer = torch.nn.Linear(WIDTH * POINTS, WIDTH, bias=False)
    return layer, torch.randn(BATCH, WIDTH * POINTS, requires_grad=True)


def linear(segments: int) -> Call:
    x = (2 * torch.rand(BATCH, WIDTH) - 1).requires_grad_()
    return layers.HighOrderLinear(WIDTH, WIDTH, degree=POINTS - 1, segments=segments), x


def convolution_of_equal_work() -> Call:
    x = torch.randn(8, 8 * POINTS, 16, 16, requires_grad=True)
    return torch.nn.Conv2d(8 * POINTS, 16, 3, bias=False), x


def convolution(segments: int) -> Call:
    x = (2 * torch.rand(8, 8, 16, 16) - 1).requires_grad_()
    return layers.HighOrderConv2d(8, 16, 3, degree=POINTS - 1, segments=segments), x


def beside_equal_work(kind: str, segments: int, published: bool = False) -> str:
    """A layer, ours or the published package's, beside what does equal work."""
    torch.set_num_threads(1)
    make, equal, name = {
        "linear": (linear, product, "matrix product"),
        "convolution": (convolution, convolution_of_equal_work, "convolution"),
    }[kind]
    layer, x = make(segments)
    if published:
        layer = published_layer(kind, segments)
    (forward, whole), (least_forward, least_whole) = together([(layer, x), equal()], 3 if published else 100)
    ratios = f"{forward / least_forward:.1f} and {whole / least_whole:.1f} times the {name} of equal work"
    return f"forward {forward:.2f} ms, with backward {whole:.2f} ms: {ratios}"


def published_layer(kind: str, segments: int) -> torch.nn.Module:
    """The same layer of high-order-layers-torch, where it is installed."""
    from high_order_layers_torch.layers import high_order_convolution_layers, high_order_fc_layers

    if kind == "linear":
        return high_order_fc_layers(
            layer_type="continuous", n=POINTS, in_features=WIDTH, out_features=WIDTH, segments=segments
        )
    sizes = {"in_channels": 8, "out_channels": 16, "kernel_size": 3, "segments": segments}
    return high_order_convolution_layers(layer_type="continuous2d", n=POINTS, **sizes)


ROWS = [
    *[
        Row(f"layers: {kind} of n = 5, {segments} segments", beside_equal_work, (kind, segments))
        for kind in ("linear", "convolution")
        for segments in (1, 2, 4, 10, 30, 100)
    ],
    *[
        Row(
            f"peer: {kind} of n = 5, {segments} segments, high-order-layers-torch",
            beside_equal_work,
            (kind, segments, True),
        )
        for kind, most in (("linear", 2), ("convolution", 100))
        for segments in (2, 10, 100)
        if segments <= most
    ],
]

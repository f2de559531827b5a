"""High-order layers and the matrix product of equal work; the published package too, if installed.

``python benchmarks/layers.py`` prints milliseconds (least of 30 runs): batch 128, 128 -> 128, n = 5.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import torch

from conslaw import layers

BATCH = WIDTH = 128
POINTS = 5


def least(run: Callable[[], object], repeats: int = 30) -> float:
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return 1e3 * min(times)


def both(
    call: Callable[[torch.Tensor], torch.Tensor], x: torch.Tensor, repeats: int = 30
) -> tuple[float, float]:
    """Forward without gradients; forward and backward to the weights and the input."""
    gradient = torch.ones_like(call(x))
    with torch.no_grad():
        forward = least(lambda: call(x), repeats)
    return forward, least(lambda: call(x).backward(gradient), repeats)


def linear(segments: int) -> str:
    """A layer beside the matrix product of equal work, as a row of ``run.py``."""
    weight = torch.randn(WIDTH * POINTS, WIDTH, requires_grad=True)
    x = (2 * torch.rand(BATCH, WIDTH) - 1).requires_grad_()
    return beside(
        both(layers.HighOrderLinear(WIDTH, WIDTH, degree=POINTS - 1, segments=segments), x),
        both(lambda a: a @ weight, torch.randn(BATCH, WIDTH * POINTS, requires_grad=True)),
        "matrix product",
    )


def convolution(segments: int) -> str:
    """The same beside the convolution of equal work, of n times the channels."""
    plain = torch.nn.Conv2d(8 * POINTS, 16, 3, bias=False)
    x = (2 * torch.rand(8, 8, 16, 16) - 1).requires_grad_()
    return beside(
        both(layers.HighOrderConv2d(8, 16, 3, degree=POINTS - 1, segments=segments), x),
        both(plain, torch.randn(8, 8 * POINTS, 16, 16, requires_grad=True)),
        "convolution",
    )


def beside(times: tuple[float, float], equal: tuple[float, float], of: str) -> str:
    ratios = f"{times[0] / equal[0]:.1f} and {times[1] / equal[1]:.1f} times the {of} of equal work"
    return f"forward {times[0]:.2f} ms, with backward {times[1]:.2f} ms: {ratios}"


def row(kind: str, segments: int) -> str:
    torch.set_num_threads(1)
    return {"linear": linear, "convolution": convolution}[kind](segments)


def main() -> None:
    torch.set_num_threads(1)
    weight = torch.randn(WIDTH * POINTS, WIDTH, requires_grad=True)
    equal = both(lambda a: a @ weight, torch.randn(BATCH, WIDTH * POINTS, requires_grad=True))
    x = (2 * torch.rand(BATCH, WIDTH) - 1).requires_grad_()
    print("| what | forward | with backward | / GEMM forward | / GEMM with backward |")
    print("|---|---:|---:|---:|---:|")
    rows = [("GEMM of equal work", equal)]
    for segments in (1, 2, 4, 10, 30, 100):
        layer = layers.HighOrderLinear(WIDTH, WIDTH, degree=POINTS - 1, segments=segments)
        rows.append((f"linear, {segments} segments", both(layer, x)))
    try:
        from high_order_layers_torch.PolynomialLayers import PiecewisePolynomial
    except ImportError:
        print("| the published package is not installed | | | | |")
    else:
        for segments in (2, 10):
            theirs = PiecewisePolynomial(POINTS, WIDTH, WIDTH, segments=segments)
            rows.append((f"published, {segments} segments", both(theirs, x, 3)))
    for name, (forward, whole) in rows:
        print(f"| {name} | {forward:.2f} | {whole:.2f} | {forward / equal[0]:.1f} | {whole / equal[1]:.1f} |")


if __name__ == "__main__":
    main()

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

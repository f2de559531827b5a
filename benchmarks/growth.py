"""How the time grows along each direction: the rows of ``results.json`` that lie along one, as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def plot(results: list[dict[str, Any]], path: Path) -> None:
    """CPU seconds against each direction of growth, both logarithmic; the dashed line is proportional."""
    import matplotlib.pyplot as plt

    curves: dict[str, list[tuple[float, float]]] = {}
    for result in results:
        if result["along"]:
            curves.setdefault(result["along"][0], []).append((result["along"][1], max(result["cpu"], 0.01)))
    if not curves:
        return
    columns = 4
    lines = -(-len(curves) // columns)
    figure, axes = plt.subplots(lines, columns, figsize=(3 * columns, 2.6 * lines), squeeze=False)
    for axis in axes.flat[len(curves) :]:
        axis.remove()
    for axis, (direction, points) in zip(axes.flat, curves.items(), strict=False):
        x, y = zip(*sorted(points), strict=True)
        axis.loglog(x, y, "o-", color="#0a6", markersize=4)
        axis.loglog(x, [y[-1] * a / x[-1] for a in x], "--", color="#999", linewidth=1)
        axis.set_xlabel(direction)
        axis.set_xticks(x, [f"{a:g}" for a in x])
        axis.minorticks_off()
        axis.set_ylim(min(0.01, *y), max(10, 1.5 * max(y)))
    axes[0, 0].set_ylabel("CPU seconds")
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})

"""Values of laws at weights, quantities of one's own, answers read back: CPU seconds of each."""

from __future__ import annotations

import json
import time

import numpy as np
from rows import Row

WIDTHS = {
    "linear 3-2-4": [3, 2, 4],
    "linear 100-100-100": [100, 100, 100],
    "linear 1000-500-1000": [1000, 500, 1000],
    "linear 1000-1000-1000": [1000, 1000, 1000],
    "linear 100 x 12": [100] * 12,
}
QUANTITIES = {
    "family": lambda z: z.W1 @ z.W1.T - z.W2.T @ z.W2,
    "norms": lambda z: (z.W1**2).sum() - (z.W2**2).sum(),
    "two rows": lambda z: z.W1[0] @ z.W1[1] - z.W2[:, 0] @ z.W2[:, 1],
    "not conserved": lambda z: z.W1 @ z.W1.T + z.W2.T @ z.W2,
}


def seconds(task) -> tuple[float, object]:  # type: ignore[no-untyped-def]
    start = time.process_time()
    found = task()
    return time.process_time() - start, found


def values(name: str) -> str:
    """One network."""
    import conslaw

    net, cells = conslaw.linear(WIDTHS[name]), []
    for said, quantity in QUANTITIES.items():
        spent, answer = seconds(lambda q=quantity: conslaw.is_conserved(net, q))
        cells.append(f"{said} {spent:.2f} s {'proved' if answer.proved else 'probable'}")  # type: ignore[attr-defined]
    analysis = conslaw.analyze(net)
    rng = np.random.default_rng(0)
    weights = {n: rng.normal(size=s) for n, s in net.parameters.items()}
    evaluated = min(seconds(lambda: analysis.evaluate(weights))[0] for _ in range(3))
    text = json.dumps(analysis.to_json())
    loaded, _ = seconds(lambda: conslaw.load(text))
    return f"is_conserved: {', '.join(cells)}; evaluate {evaluated:.3f} s, load {loaded:.2f} s"


ROWS = [Row(f"values: {name}", values, (name,)) for name in WIDTHS]

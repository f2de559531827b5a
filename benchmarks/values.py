"""Values of laws at weights, quantities of one's own, answers read back: CPU seconds and memory, each row a
process.

    python benchmarks/values.py

One BLAS thread; imports and the analysis are left out of the seconds of ``evaluate`` and ``load``.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time

import numpy as np

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


def row(name: str) -> str:
    """One network."""
    import conslaw

    net = conslaw.linear(WIDTHS[name])
    cells = []
    for quantity in QUANTITIES.values():
        spent, answer = seconds(lambda q=quantity: conslaw.is_conserved(net, q))
        assert isinstance(answer, conslaw.laws.own_quantity.Conserved)  # type: ignore[attr-defined]
        cells.append(f"{spent:.2f} {'proved' if answer.proved else 'probable'}")
    analysis = conslaw.analyze(net)
    rng = np.random.default_rng(0)
    weights = {n: rng.normal(size=s) for n, s in net.parameters.items()}
    evaluated = min(seconds(lambda: analysis.evaluate(weights))[0] for _ in range(3))
    text = json.dumps(analysis.to_json())
    loaded, _ = seconds(lambda: conslaw.load(text))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    whole = [name, f"{net.size:,}", *cells, f"{evaluated:.3f}", f"{loaded:.2f}", f"{peak:.2f}"]
    return f"| {' | '.join(whole)} |"


def main() -> None:
    """The table."""
    if len(sys.argv) > 1:
        print(row(sys.argv[1]))
        return
    head = ["network", "parameters", *(f"is_conserved: {q}" for q in QUANTITIES), "evaluate", "load", "GB"]
    print(f"| {' | '.join(head)} |\n|{'---|' * len(head)}", flush=True)
    for name in WIDTHS:
        environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
        subprocess.run([sys.executable, __file__, name], env=environment, check=True)


if __name__ == "__main__":
    main()

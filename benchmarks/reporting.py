"""Reports: CPU seconds and memory of each, each a process, with one BLAS thread.

    python benchmarks/reporting.py

Imports are left out of the seconds; parts that were not done in a minute are named.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time

NETWORKS = {
    "linear 3-2-4": "conslaw.linear([3, 2, 4])",
    "relu 3-5-5-2 with bias": "conslaw.relu([3, 5, 5, 2], bias=True)",
    "polynomial 3-3-3": "conslaw.networks.polynomial([3, 3, 3])",
    "icnn 2-3-2 with bias": "conslaw.icnn([2, 3, 2], bias=True)",
    "attention 4, 2 heads": "conslaw.networks.attention(4, heads=2)",
    "relu 784-512-10": "conslaw.relu([784, 512, 10])",
    "linear 700-700-700": "conslaw.linear([700, 700, 700])",
}


def one(code: str) -> None:
    import conslaw
    import conslaw.networks
    import conslaw.reporting

    model = eval(code)  # a row of the table above
    start = time.process_time()
    report = conslaw.report(model, seconds=60)
    took = time.process_time() - start
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    open_parts = [part.name for part in report.parts if part.missing]
    print(f"{took:7.2f} s {memory:6.0f} MB  {', '.join(open_parts) or 'all parts answered'}")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        one(sys.argv[1])
    else:
        environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
        for name, code in NETWORKS.items():
            print(f"{name:24}", end="", flush=True)
            subprocess.run([sys.executable, __file__, code], check=True, env=environment)

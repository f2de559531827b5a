"""Quotients: CPU seconds and memory of the search in each flow, each in a process of its own.

    python benchmarks/quotients.py

One BLAS thread; imports and the making of the flow are left out.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time

FLOWS = {  # how it is made, the degree
    "u^3 - v^3, 3 pairs": ("differences(3, 3)", 4),
    "u^4 - v^4, 3 pairs": ("differences(4, 3)", 4),
    "u^5 - v^5, 10 pairs": ("differences(5, 10)", 6),
    "x' = x^7, y' = y^7": ("powers(7)", 12),
    "radial, 6 coordinates": ("radial(6)", 3),
    "radial, 14 coordinates": ("radial(14)", 2),
    "pca 2, 4": ("G(pca)", 2),
    "momentum, radial, 2": ("M(radial_model(2))", 3),
    "linear 1-2-1 in z**3": ("G(conslaw.linear([1, 2, 1]), metric='z**3')", 4),
    "linear 1-2-2-1 (no quotients)": ("G(conslaw.linear([1, 2, 2, 1]))", 2),
}


def run(name: str) -> None:
    import sympy

    import conslaw

    def radial_model(n: int) -> conslaw.Model:
        return conslaw.model(lambda p, c: (p.x**2).sum(), parameters={"x": (n,)})

    def differences(power: int, pairs: int) -> conslaw.Flow:
        u, v = sympy.symbols(f"u:{pairs}"), sympy.symbols(f"v:{pairs}")
        phi = [a**power - b**power for a, b in zip(u, v, strict=True)]
        return conslaw.gradient_flow(conslaw.from_sympy(phi, [*u, *v]))

    def powers(power: int) -> conslaw.Flow:
        x, y = sympy.symbols("x y")
        return conslaw.flow_from_fields([[x**power, y**power]], [x, y])

    known = {"conslaw": conslaw, "G": conslaw.gradient_flow, "M": conslaw.momentum_flow}
    known |= {"radial_model": radial_model, "differences": differences, "powers": powers}
    known["pca"] = conslaw.model(
        lambda p, c: ((p.U @ p.U.T) * c.s).sum(), parameters={"U": (2, 4)}, data={"s": (2, 2)}
    )
    known |= {"radial": lambda n: conslaw.gradient_flow(radial_model(n))}
    made, degree = FLOWS[name]
    flow = eval(made, known)
    most = conslaw.count(flow).laws_at_most
    start = time.process_time()
    laws = conslaw.rational_laws(flow, degree=degree)
    spent = time.process_time() - start
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"| {name} | {degree} | {len(laws)} of {most} | {spent:.2f} | {memory} |")


def main() -> None:
    print("| flow | degree | laws found | CPU s | MB |\n| --- | --- | --- | --- | --- |", flush=True)
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    for name in FLOWS:
        subprocess.run([sys.executable, __file__, name], env=environment, check=True)


if __name__ == "__main__":
    run(sys.argv[1]) if len(sys.argv) > 1 else main()

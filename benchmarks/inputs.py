"""Inputs that must be answered in a second: CPU seconds and memory of each, in a process of its own.

    python benchmarks/inputs.py              # the inputs
    python benchmarks/inputs.py estimates    # counted terms of fields against those that there are

What imports take (0.3 s, 60 MB) is in each row.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable

PYTHON = {
    "from_sympy(sum(40 symbols)**12)": "conslaw.from_sympy(sum(many)**12, many)",
    'homogeneous="no"': "conslaw.analyze(net, homogeneous='no')",
    'metric={"W1": np.eye(2)}': "conslaw.count(conslaw.gradient_flow(net, metric={'W1': np.eye(2)}))",
    "metric=3": "conslaw.count(conslaw.gradient_flow(net, metric=3))",
    "a point with the prime in a denominator": (
        "conslaw.lie_ranks(net, point={'W1': [[Fraction(1, 2147483647), 1]], 'W2': [[1]]})"
    ),
    "an empty Flow": "conslaw.count(conslaw.Flow('x', None, {}, {}, ()))",
    'icnn([1, 1, 1], bias="yes")': "conslaw.icnn([1, 1, 1], bias='yes')",
    "damping=1001": "conslaw.momentum_flow(net, damping=1001)",
    "damping=0.1, weight_decay=0.01": (
        "conslaw.count(conslaw.momentum_flow(net, damping=0.1, weight_decay=0.01))"
    ),
    "family.law(True, 1)": "conslaw.analyze(conslaw.linear([1, 2, 1])).law_families[0].law(True, 1)",
    "(c.v @ (p.U @ c.x))**40": (
        "conslaw.analyze(conslaw.model(lambda p, c: (c.v @ (p.U @ c.x))**40, "
        "parameters={'U': (3, 3)}, data={'v': (3,), 'x': (3,)}))"
    ),
}
SHELL = [
    "count linear 99999999999-2-3",
    "count nmf 99999999999-2-2",
    "count linear 30000-10000-2 --metric 3",
    "analyze monomial 1000000000-1",
    "analyze linear 1-1-1 --degree 200",
    "count linear 3_0-2-4",
    "count linear \uff13-2-4",
    "count -3-2",
    "analyze relu 20-20-20-20-20 --ansatz monomials",
    "analyze linear 6-6-6-6-6-6-6-6-6-6-6-6 --ansatz monomials",
]
IMPORTS = (
    "from fractions import Fraction; import conslaw, numpy as np, sympy; net = conslaw.linear([2, 1, 1]); "
    "many = sympy.symbols('x:40')"
)
REFUSED = IMPORTS + "\ntry:\n    print({code})\nexcept conslaw.ConslawError as error:\n    print(error)"


def measured(command: list[str]) -> tuple[float, float, str]:
    """CPU seconds and MB of a process, and its last line."""
    start = resource.getrusage(resource.RUSAGE_CHILDREN)
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, *command], capture_output=True, text=True, env=environment)
    end = resource.getrusage(resource.RUSAGE_CHILDREN)
    lines = (done.stdout + done.stderr).strip().splitlines()
    return end.ru_utime + end.ru_stime - start.ru_utime - start.ru_stime, end.ru_maxrss / 1e3, [*lines, ""][0]


def inputs() -> None:
    print("| input | CPU seconds | largest MB so far | first line of the answer |\n|---|---|---|---|")
    rows = {line: ["-m", "conslaw", *line.split()] for line in SHELL}
    rows |= {name: ["-c", REFUSED.format(code=code)] for name, code in PYTHON.items()}
    rows |= {"500 hostile calls": ["-m", "pytest", "-q", "tests/test_hostile.py"]}
    for name, command in rows.items():
        seconds, memory, line = measured(command)
        print(f"| `{name}` | {seconds:.2f} | {memory:.0f} | {line[:90]} |", flush=True)


def estimates() -> None:
    import conslaw
    from conslaw.laws.exact_fields import exact_fields, expansion
    from conslaw.routes.known import Question

    polynomial, model = conslaw.networks.polynomial, conslaw.model
    square = {"A": (4, 4)}
    networks: dict[str, Callable[[], object]] = {
        "linear, 7 of width 5": lambda: conslaw.linear([5] * 7),
        "linear 30-30-30": lambda: conslaw.linear([30] * 3),
        "relu, 5 of width 9": lambda: conslaw.relu([9] * 5),
        "relu with biases, 6 of width 6": lambda: conslaw.relu([6] * 6, bias=True),
        "relu, 5 of width 12": lambda: conslaw.relu([12] * 5),
        "relu, momentum, 5 of width 6": lambda: conslaw.momentum_flow(conslaw.relu([6] * 5), damping=1),
        "linear, momentum 3/t, 5 of width 5": lambda: conslaw.momentum_flow(
            conslaw.linear([5] * 5), damping="3/t"
        ),
        "polynomial 4-4-2, power 3": lambda: polynomial([4, 4, 2], 3),
        "polynomial 3-3-3-1, power 2": lambda: polynomial([3, 3, 3, 1], 2),
        "polynomial 2-3-3-3-1, power 2": lambda: polynomial([2, 3, 3, 3, 1], 2),
        "nmf 8 8 8": lambda: conslaw.nmf([8, 8, 8]),
        "v A A A A A x, A 4 x 4": lambda: model(
            lambda p, c: c.v @ (p.A @ (p.A @ (p.A @ (p.A @ (p.A @ c.x))))),
            parameters=square,
            data={"v": (4,), "x": (4,)},
        ),
        "tr(X A A X.T)": lambda: model(
            lambda p, c: (c.X @ p.A @ p.A @ c.X.T).trace(), parameters=square, data={"X": (5, 4)}
        ),
        "sum(A)**4": lambda: model(lambda p, c: p.A.sum() ** 4 * c.x, parameters=square, data={"x": ()}),
        "(v A x)**6": lambda: model(
            lambda p, c: (c.v @ (p.A @ c.x)) ** 6, parameters={"A": (2, 2)}, data={"v": (2,), "x": (2,)}
        ),
    }
    print("| network | terms | counted / terms | CPU seconds | units / seconds |\n|---|---|---|---|---|")
    for name, made in networks.items():
        subject = made()
        flow = conslaw.gradient_flow(subject) if isinstance(subject, conslaw.Model) else subject
        terms = sum(map(len, exact_fields(flow)[0]))
        start = time.process_time()
        conslaw.polynomial_laws(flow)
        spent = time.process_time() - start
        units = Question(flow).monomials[1]
        print(f"| {name} | {terms:,} | {expansion(flow) / terms:.2f} | {spent:.2f} | {units / spent:.2g} |")


if __name__ == "__main__":
    estimates() if sys.argv[1:] == ["estimates"] else inputs()

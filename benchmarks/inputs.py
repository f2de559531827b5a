"""Inputs that must be answered in a second; how well the terms of fields are counted.

What imports take (0.3 s, 60 MB) is in each row of an input.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

from rows import Row

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


def answered(*command: str) -> str:
    """The first line that Python prints when it is called so."""
    done = subprocess.run([sys.executable, *command], capture_output=True, text=True)
    return [*(done.stdout + done.stderr).strip().splitlines(), ""][0][:90]


def networks() -> dict[str, Callable[[], Any]]:
    import conslaw

    polynomial, model = conslaw.networks.polynomial, conslaw.model
    square = {"A": (4, 4)}
    return {
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


def estimate(name: str) -> str:
    """The terms of a network's fields as they are counted, against those that there are."""
    import conslaw
    from conslaw.laws.exact_fields import exact_fields, expansion

    subject = networks()[name]()
    flow = conslaw.gradient_flow(subject) if isinstance(subject, conslaw.Model) else subject
    terms = sum(map(len, exact_fields(flow)[0]))
    return f"{terms:,} terms, {expansion(flow) / terms:.2f} times as many counted"


ROWS = [
    *[Row(f"conslaw {line}", answered, ("-m", "conslaw", *line.split())) for line in SHELL],
    *[Row(name, answered, ("-c", REFUSED.format(code=code))) for name, code in PYTHON.items()],
    Row("500 hostile calls", answered, ("-m", "pytest", "-q", "tests/test_hostile.py")),
    *[Row(f"terms of {name}", estimate, (name,)) for name in networks()],
]

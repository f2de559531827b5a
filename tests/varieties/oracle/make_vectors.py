r"""Equations of neurovarieties by Singular: kernels of coefficient maps over Q, never with conslaw.

    python -m venv build/singular && build/singular/bin/pip install passagemath-singular sympy && \
        build/singular/bin/python tests/varieties/oracle/make_vectors.py \
        build/singular/lib/python3*/site-packages/sage_wheels/bin/Singular

Each hidden unit's first weight is 1: rescaling reaches almost all functions so, and the closure is the same.
"""

import json
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from math import comb
from pathlib import Path

import sympy

LONGEST = 12  # seconds for one table; those that take longer are left out
LINES = [([2, 1, 1], r) for r in (2, 3, 4, 5, 6)] + [([2, 1, 2], r) for r in (2, 3, 4)]
WIDE = [([2, 1, 3], 2), ([2, 1, 3], 3), ([2, 1, 4], 2), ([3, 1, 1], 2), ([3, 1, 1], 3), ([3, 1, 2], 2)]
MORE = [([4, 1, 1], 2), ([4, 1, 2], 2), ([5, 1, 1], 2), ([3, 1, 3], 2), ([3, 1, 2], 3), ([2, 1, 5], 2)]
TWO = [([2, 2, 3], 2), ([2, 2, 4], 2), ([2, 2, 1], 4), ([2, 2, 1], 5), ([2, 2, 2], 3), ([2, 2, 2], 4)]
FEW = [([3, 2, 1], 2), ([4, 2, 1], 2), ([3, 2, 2], 2), ([2, 2, 5], 2), ([2, 2, 3], 3), ([2, 2, 1], 6)]
DEEP = [([2, 1, 1, 1], 2), ([2, 1, 2, 1], 2), ([2, 1, 1, 2], 2), ([2, 2, 1, 1], 2), ([2, 2, 1, 2], 2)]
CASES = LINES + WIDE + MORE + TWO + FEW + DEEP + [([2, 2, 2, 1], 2), ([3, 1, 1, 1], 2), ([2, 1, 3, 1], 2)]


def coefficients(widths, power):
    """The coefficients of the outputs, each a polynomial in the weights, and the number of weights."""
    x, number = sympy.symbols(f"x:{widths[0]}"), 0
    values = list(x)
    for layer, (_, n) in enumerate(pairwise(widths)):
        last, following = layer == len(widths) - 2, []
        for _ in range(n):
            row = [sympy.Integer(1)] if not last else []
            while len(row) < len(values):
                number += 1
                row.append(sympy.Symbol(f"a{number}"))
            unit = sum(c * v for c, v in zip(row, values, strict=True))
            following.append(sympy.expand(unit if last else unit**power))
        values = following
    return [str(c).replace("**", "^") for f in values for c in sympy.Poly(f, *x).coeffs()], number


def table(case):
    """Dimension, numbers of minimal generators and Hilbert function by degree; None if it takes long."""
    images, weights = coefficients(*case)
    n = len(images)
    script = f"""
        ring S = 0, (a1{"".join(f",a{i}" for i in range(2, weights + 1))}), dp;
        ideal F = {", ".join(images)};
        ring R = 0, (y(1..{n})), dp;
        setring S; map f = R, F;
        setring R; ideal I = kernel(S, f); ideal G = std(I); ideal M = minbase(I);
        print("dimension"); print(dim(G)); print("degrees");
        for (int i = 1; i <= size(M); i++) {{ print(deg(M[i])); }}
        print("series"); print(hilb(G, 1)); quit;
    """
    try:
        run = subprocess.run(
            [sys.argv[1], "-q"], input=script, capture_output=True, text=True, timeout=LONGEST
        )
    except subprocess.TimeoutExpired:
        return None
    dimension, rest = run.stdout.split("dimension")[1].split("degrees")
    degrees, series = (list(map(int, re.findall(r"-?\d+", part))) for part in rest.split("series"))
    top = max([*degrees, 2]) + 1
    hilbert = [sum(c * comb(n - 1 + d - i, d - i) for i, c in enumerate(series[:-1]) if i <= d)
               for d in range(top + 1)]  # fmt: skip
    generators = {str(d): degrees.count(d) for d in sorted(set(degrees)) if d}
    return {"widths": case[0], "power": case[1], "coefficients": n, "dimension": int(dimension),
            "generators": generators, "hilbert_function": hilbert}  # fmt: skip


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit("give the path of the program Singular that the package brings")
    with ThreadPoolExecutor(2) as pool:
        found = [one for one in pool.map(table, CASES) if one]
    for one in found:
        print(one)
    path = Path(__file__).with_name("vectors.json")
    made = {"made by": "Singular 4.4.1, passagemath-singular", "tables": found}
    path.write_text(json.dumps(made).replace('{"widths"', '\n{"widths"') + "\n")

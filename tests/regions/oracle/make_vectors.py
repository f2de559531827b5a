"""Counts of cells by the Parma Polyhedra Library, from the definition: never with conslaw.

    python -m venv build/ppl && build/ppl/bin/pip install pplpy==0.8.10 gmpy2 && \
        build/ppl/bin/python tests/regions/oracle/make_vectors.py

A cell is a nonempty set of points with one sign vector: an NNC polyhedron, cut by one neuron after the other.
"""

import json
import random
from fractions import Fraction
from itertools import pairwise
from math import lcm
from pathlib import Path


def expression(row):
    """The affine function sum row_i x_i + row_d, times a positive integer."""
    from ppl import Linear_Expression, Variable

    scale = lcm(*(Fraction(c).denominator for c in row))
    result = Linear_Expression(int(row[-1] * scale))
    for i, c in enumerate(row[:-1]):
        result += int(c * scale) * Variable(i)
    return result


def cells(layers, d):
    """Sign vectors of all cells, with dimension and boundedness."""
    from ppl import NNC_Polyhedron

    identity = [[Fraction(int(i == j)) for j in range(d + 1)] for i in range(d)]
    found = [((), NNC_Polyhedron(d), identity)]
    for weights, bias, slope in layers:
        widened = []
        for signs, cell, behind in found:
            rows = []
            for w, b in zip(weights, bias, strict=True):
                row = [sum(c * h[k] for c, h in zip(w, behind, strict=True)) for k in range(d + 1)]
                row[-1] += b
                rows.append(row)
            parts = [((), cell)]
            for row in rows:
                f = expression(row)
                cut = []
                for own, part in parts:
                    for sign, constraint in ((1, f > 0), (0, f == 0), (-1, f < 0)):
                        piece = NNC_Polyhedron(part)
                        piece.add_constraint(constraint)
                        if not piece.is_empty():
                            cut.append(((*own, sign), piece))
                parts = cut
            for own, part in parts:
                gates = [1 if s > 0 else slope for s in own]
                widened.append(
                    (signs + own, part, [[g * c for c in row] for g, row in zip(gates, rows, strict=True)])
                )
        found = widened
    return [(signs, cell.affine_dimension(), cell.is_bounded()) for signs, cell, _ in found]


def network(seed, widths, bias=True, slope=0, low=-5, high=5, change=None):
    """Integer weights; the last layer is left out, it cuts nothing."""
    rng = random.Random(seed)
    layers = []
    for m, n in pairwise(widths):
        w = [[rng.randint(low, high) for _ in range(m)] for _ in range(n)]
        layers.append([w, [rng.randint(low, high) if bias else 0 for _ in range(n)], slope])
    if change:
        change(layers)
    return layers


def equal_rows(layers):
    layers[0][0][1], layers[0][1][1] = layers[0][0][0], layers[0][1][0]


def parallel_rows(layers):
    layers[0][0][1] = [2 * c for c in layers[0][0][0]]
    layers[0][0][2] = [-c for c in layers[0][0][0]]


def of_low_rank(layers):
    for row in layers[0][0]:
        row[-1] = row[0] + row[1]


def dead(layers):
    layers[0][0][0] = [0] * len(layers[0][0][0])
    layers[1][0][1], layers[1][1][1] = [0] * len(layers[1][0][1]), 0


CASES = {
    "line": network(1, [1, 4, 4, 3]),
    "plane": network(2, [2, 5, 4]),
    "plane, deep": network(3, [2, 4, 3, 3]),
    "space": network(4, [3, 5, 4]),
    "four": network(5, [4, 5, 3]),
    "leaky": network(6, [2, 4, 4], slope=Fraction(1, 3)),
    "negative slope": network(7, [2, 3, 3], slope=-1),
    "no bias, plane": network(8, [2, 4, 4, 3], bias=False),
    "no bias, space": network(9, [3, 4, 4], bias=False),
    "no bias, four": network(10, [4, 4, 3], bias=False),
    "equal rows": network(11, [2, 4, 4], change=equal_rows),
    "parallel rows": network(12, [3, 4, 3], change=parallel_rows),
    "low rank": network(13, [3, 4, 4], change=of_low_rank),
    "dead neurons": network(14, [2, 4, 4], change=dead),
    "ties": network(15, [2, 5, 5], low=-1, high=1),
    "ties, deep": network(16, [2, 4, 4, 4], low=-1, high=1),
    "ties, space": network(17, [3, 5, 4], low=-1, high=1),
    "ties, more": network(18, [3, 4, 4, 3], low=-1, high=1),
    "bottleneck": network(19, [3, 4, 1, 4]),
    "bottleneck of two": network(20, [3, 3, 2, 4]),
}

if __name__ == "__main__":
    vectors = {}
    for name, layers in CASES.items():
        d = len(layers[0][0][0])
        found = cells(layers, d)
        f, b = [0] * (d + 1), [0] * (d + 1)
        for _, k, bounded in found:
            f[k] += 1
            b[k] += bounded
        vectors[name] = {
            "layers": [[w, bias, str(slope)] for w, bias, slope in layers],
            "f_vector": f,
            "bounded": b,
            "regions": sorted("".join("-0+"[s + 1] for s in signs) for signs, k, _ in found if k == d)[:50],
        }
        print(name, f, b)
    path = Path(__file__).with_name("vectors.json")
    path.write_text(json.dumps({"made by": "pplpy 0.8.10", "cases": vectors}, indent=0) + "\n")

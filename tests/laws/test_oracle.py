"""Counts and laws against another computer algebra system: oracle/vectors.json, made once by
oracle/make_vectors.py.

The flows are built twice: there from phi, entry by entry, here as a user of conslaw builds them.
"""

import json
from fractions import Fraction
from pathlib import Path

import flint
import pytest
import sympy

import conslaw
from conslaw.algebra.polynomials import terms
from conslaw.flows.coordinates import entries

CASES = {
    c["name"]: c
    for c in json.loads(Path(__file__).with_name("oracle").joinpath("vectors.json").read_text())["cases"]
}


def attention(d1, dim):
    return conslaw.model(
        lambda p, c: c.x @ p.Q.T @ p.K @ c.y + c.z @ p.V.T @ p.O @ c.w,
        parameters=dict.fromkeys("QKVO", (d1, dim)),
        data=dict.fromkeys("xyzw", (dim,)),
    )


def units(inputs, hidden, outputs, power):
    return conslaw.model(
        lambda p, c: c.v @ (p.V @ (p.U @ c.x) ** power),
        parameters={"U": (hidden, inputs), "V": (outputs, hidden)},
        data={"x": (inputs,), "v": (outputs,)},
    )


def convolution(c0, c1, c2, gates=False):
    """Filters of three taps, then of two, on a signal of length 6."""

    def potential(p, c):
        first = sum(p.A[:, :, a] @ c.x[:, a : a + 4] for a in range(3))
        hidden = c.g * first if gates else first
        return (c.v * sum(p.B[:, :, b] @ hidden[:, b : b + 3] for b in range(2))).sum()

    data = {"x": (c0, 6), "v": (c2, 3)} | ({"g": (c1, 4)} if gates else {})
    return conslaw.model(potential, parameters={"A": (c1, c0, 3), "B": (c2, c1, 2)}, data=data)


def residual(d, h1, h2):
    def potential(p, c):
        x = c.x + p.V1 @ (c.g1 * (p.U1 @ c.x))
        return c.v @ (x + p.V2 @ (c.g2 * (p.U2 @ x)))

    parameters = {"U1": (h1, d), "V1": (d, h1), "U2": (h2, d), "V2": (d, h2)}
    return conslaw.model(
        potential, parameters=parameters, data={"x": (d,), "v": (d,), "g1": (h1,), "g2": (h2,)}
    )


def softmax(n, m):
    return conslaw.model(
        lambda p, c: (c.g @ p.theta - c.g.sum() / n * p.theta.sum(axis=0)) @ c.x,
        parameters={"theta": (n, m)},
        data={"g": (n,), "x": (m,)},
    )


def scalars(names, potential, data=""):
    return lambda: conslaw.model(potential, parameters=dict.fromkeys(names, ()), data=dict.fromkeys(data, ()))


def given(fields, names):
    return lambda: conslaw.flow_from_fields(
        [[sympy.sympify(e) for e in field] for field in fields], sympy.symbols(names)
    )


BUILT_HERE = {
    "attention": attention,
    "units": units,
    "convolution": convolution,
    "convolution relu": lambda *channels: convolution(*channels, gates=True),
    "residual": residual,
    "softmax": softmax,
    "radial": scalars("xy", lambda p, c: (p.x**2 + p.y**2) / 2),
    "spiral": scalars("xy", lambda p, c: p.x**2 / 2 + p.y**2),
    "cubes": scalars("xy", lambda p, c: p.x**3 + p.y**3),
    "late": scalars("xyz", lambda p, c: c.v * p.x + c.w * (p.y + p.x**3 * p.z), data="vw"),
    "sum": scalars("xy", lambda p, c: c.v * (p.x + p.y) ** 2 + c.w * (p.x + p.y), data="vw"),
    "idle": scalars("xyz", lambda p, c: p.x),
    "mixed": scalars(
        "abcd", lambda p, c: c.v * (p.a * p.b / 3 + p.c**2 / 2) + c.w * (p.a + p.b * p.c), data="vw"
    ),
    "chain": lambda: conslaw.from_sympy(sympy.sympify("[x*y, y*z]"), sympy.symbols("x y z")),
    "rank one": lambda: conslaw.from_sympy(sympy.sympify("[w*x, w*y, w*z, w]"), sympy.symbols("w x y z")),
    "rotations": given([["y", "-x", 0], [0, "z", "-y"]], "x y z"),
    "heisenberg": given([[1, 0, "-y/2"], [0, 1, "x/2"]], "x y z"),
    "special linear": given([["b", 0, "d", 0], [0, "a", 0, "c"]], "a b c d"),
    "commuting": given([["x", "-y", 0], [0, "y", "-2*z"]], "x y z"),
}


def flow_of(case):
    sizes, name = case["sizes"], case["model"]
    if name in ("linear", "relu", "icnn"):
        model = getattr(conslaw, name)(sizes, bias=case["bias"])
    else:
        model = BUILT_HERE[name](*sizes) if name in BUILT_HERE else getattr(conslaw, name)(sizes)
    options = {"metric": case["metric"], "weight_decay": case["weight_decay"]}
    if case["flow"] == "given":
        return model
    if case["flow"] == "momentum":
        return conslaw.momentum_flow(model, damping=case["damping"], **options)
    return conslaw.gradient_flow(model, **options)


# polynomials as dictionaries from exponents to coefficients


def degrees(law, timed):
    """In the state without time, and in time."""
    return max(sum(e[timed:]) for e in law), max(e[0] for e in law) if timed else 0


def times(a, b):
    product = {}
    for x, c in a.items():
        for y, d in b.items():
            key = tuple(i + j for i, j in zip(x, y, strict=True))
            product[key] = product.get(key, 0) + c * d
    return {key: c for key, c in product.items() if c}


def products(laws, within, timed):
    """All products of one or more laws whose degrees are within bounds; degrees of products add up."""
    found, queue = [], [(law, i) for i, law in enumerate(laws)]
    for law, last in queue:
        if all(d <= bound for d, bound in zip(degrees(law, timed), within, strict=True)):
            found.append(law)
            queue += [(times(law, other), i) for i, other in enumerate(laws) if i >= last]
    return found


def canonical(laws, names):
    """The span's reduced echelon form over Q, as the oracle writes it: graded lexicographic order, the
    highest term first.
    """
    monomials = sorted({e for law in laws for e in law}, key=lambda e: (sum(e), e), reverse=True)
    if not laws:
        return []
    rows = [
        [
            flint.fmpq(law.get(m, Fraction(0)).numerator, law.get(m, Fraction(0)).denominator)
            for m in monomials
        ]
        for law in laws
    ]
    reduced, rank = flint.fmpq_mat(rows).rref()
    return [written(zip(row, monomials, strict=True), names) for row in reduced.tolist()[:rank]]


def written(polynomial, names):
    text = ""
    for c, exponents in polynomial:
        if c:
            factors = [n if e == 1 else f"{n}**{e}" for n, e in zip(names, exponents, strict=True) if e]
            text += (" - " if c < 0 else " + ") if text else "-" * int(c < 0)
            text += "*".join(([] if abs(c) == 1 else [str(abs(c))]) + factors)
    return text


def test_the_oracle_covers_families_and_flows():
    assert len(CASES) >= 60
    assert {c["model"] for c in CASES.values()} >= {
        "linear",
        "relu",
        "nmf",
        "icnn",
        "pca",
        "monomial",
        "attention",
        "units",
    }
    assert {c["damping"] for c in CASES.values()} >= {None, "0", "1/2", "1", "2", "3/t", "5/t"}
    # more laws than are polynomials: here the oracle says how many conslaw must not claim to have found
    assert sum(c["independent"] < c["laws_at_most"] for c in CASES.values()) >= 5


@pytest.mark.parametrize("name", CASES)
def test_ranks_are_those_of_the_oracle(name):
    case = CASES[name]
    flow = flow_of(case)
    assert [c.text(1) for c in entries(flow.state)] == case["state"]
    count = conslaw.count(flow)
    assert (count.state_dimension, list(count.lie_ranks)) == (case["state_dimension"], case["lie_ranks"])
    assert count.laws_at_most == case["laws_at_most"]


@pytest.mark.parametrize("name", CASES)
def test_laws_and_their_products_span_what_the_oracle_found(name):
    """All laws of the ansatz, exactly; conslaw leaves out those that are polynomials in others, so products
    are put back.
    """
    case = CASES[name]
    flow = flow_of(case)
    timed = flow.time is not None
    laws = conslaw.polynomial_laws(
        flow, degree=case["degree"], time_degree=case["time_degree"] if timed else None
    )
    variables = range(1, flow.dimension + 1)
    ours = [
        {tuple(m.count(v) for v in variables): Fraction(c) for m, c in law} for law in terms(laws.polynomials)
    ]
    found = canonical(products(ours, (case["degree"], case["time_degree"]), timed), case["state"])
    assert found == case["basis"]
    assert (len(found), laws.independent) == (case["dimension"], case["independent"])

"""Makes vectors.json, which tests/laws/test_oracle.py holds conslaw to: counts and laws found by another computer
algebra system.

Nothing of conslaw is imported.  Each case is written down from the definitions of the papers: phi entry by
entry, the flow in t. Polynomials, their derivatives and their fractions are Singular's, kernels and ranks
over Q are PARI's; both come from PyPI as parts of SageMath (1.3 GB, so this is no dependency: it is run by
hand, and only if a case is added):

    python -m venv build/cas && build/cas/bin/pip install passagemath-singular==10.8.13
    build/cas/bin/python tests/laws/oracle/make_vectors.py

It takes half a minute.  All but the date is the same each time.
"""

from __future__ import annotations

import datetime
import json
import random
import sys
import time
from dataclasses import dataclass, field
from fractions import Fraction
from importlib.metadata import version
from itertools import combinations_with_replacement, pairwise, product
from math import factorial, prod
from pathlib import Path

from sage.all__sagemath_singular import QQ, FractionField, PolynomialRing, lcm, matrix
from sage.interfaces.singular import singular
from sage.libs.pari.all import pari

ABOUT = {
    "what": "Conservation laws of small flows, made without conslaw; see make_vectors.py.",
    "command": "python tests/laws/oracle/make_vectors.py",
    "model, sizes, bias": "A family of conslaw with its sizes, or a name that make_vectors.py and test_oracle.py define.",
    "metric": "null: the customary one (mirror on both factors of nmf and on U of icnn, Euclidean elsewhere).",
    "state": "The coordinates x_1, ..., x_n in order.  'time' is t for no damping, exp(tau t) for a constant damping tau, "
    "t**(1/q) for damping (p/q)/t; in a gradient flow with weight decay lambda it is exp(lambda t).",
    "lie_ranks": "Generic ranks of W, W + [W, W], W + [W, W] + [W, [W, W]], ... until they stand still or fill the state space.",
    "ranks_over": "Where the ranks were taken: in the field of rational functions, or at two random rational points that agree.  "
    "The last rank is proved in each case: at points it fills the state space, or laws_at_most laws are "
    "independent.",
    "laws_at_most": "State dimension minus the last rank.",
    "degree, time_degree": "The ansatz: monomials but 1 of at most that degree in the state without time, and in time.",
    "dimension": "Dimension over Q of the space of all laws in the ansatz, products of laws included.",
    "independent": "Generic rank of their gradients.",
    "basis": "Reduced echelon form, monomials in descending graded lexicographic order with x_1 > ... > x_n.",
}

SMALL = 11  # state dimension up to which ranks are taken over the rational functions


@dataclass(frozen=True)
class Case:
    """One question: a model, how it is trained, and the ansatz."""

    model: str
    sizes: tuple[int, ...] = ()
    bias: bool = False
    flow: str = "gradient"
    damping: str | None = None
    metric: str | dict[str, str] | None = None
    weight_decay: str = "0"
    degree: int = 2
    time_degree: int = 0

    @property
    def name(self) -> str:
        what = [
            self.model,
            "-".join(map(str, self.sizes)),
            "bias" if self.bias else "",
            "momentum" if self.damping else "",
        ]
        how = [
            f"damping {self.damping}" if self.damping else "",
            f"metric {self.metric}".replace("'", "") if self.metric else "",
            f"decay {self.weight_decay}" if self.weight_decay != "0" else "",
            f"degree {self.degree}",
        ]
        return ", ".join([" ".join(filter(None, what)), *filter(None, how)])


# parametrisations: the shapes of the parameter arrays, and phi of dictionaries from indices to entries


def layers(sizes, bias):
    shapes = {}
    for layer, (before, after) in enumerate(pairwise(sizes), start=1):
        shapes[f"W{layer}"] = (after, before)
        if bias and layer < len(sizes) - 1:
            shapes[f"b{layer}"] = (after,)
    return shapes


def times(a, b, rows, inner, columns):
    """The product of two matrices."""
    return {(i, j): sum(a[i, k] * b[k, j] for k in range(inner)) for i in range(rows) for j in range(columns)}


def linear(sizes, bias):
    """Entries of W_L ... W_1, and what the biases add to the output: the sum of W_L ... W_{l+1} b_l."""

    def phi(p):
        out, depth = sizes[-1], len(sizes) - 1
        after = {(i, j): int(i == j) for i in range(out) for j in range(out)}
        shift = [0] * out
        for layer in range(depth, 0, -1):
            if f"b{layer}" in p:
                shift = [
                    s + sum(after[i, k] * p[f"b{layer}"][k,] for k in range(sizes[layer]))
                    for i, s in enumerate(shift)
                ]
            after = times(after, p[f"W{layer}"], out, sizes[layer], sizes[layer - 1])
        return [*after.values(), *shift]

    return layers(sizes, bias), phi


def relu(sizes, bias):
    """The path lifting [MGP23]: products of weights along paths from an input, or from the bias of a hidden
    unit, to an output.
    """

    def phi(p):
        depth = len(sizes) - 1
        paths = [
            prod(p[f"W{layer}"][units[layer], units[layer - 1]] for layer in range(1, depth + 1))
            for units in product(*[range(w) for w in sizes])
        ]
        for start in range(1, depth if bias else 1):
            for units in product(*[range(w) for w in sizes[start:]]):
                weights = [
                    p[f"W{layer}"][units[layer - start], units[layer - start - 1]]
                    for layer in range(start + 1, depth + 1)
                ]
                paths.append(p[f"b{start}"][units[0],] * prod(weights))
        return paths

    return layers(sizes, bias), phi


def nmf(sizes, bias):
    """Entries of U V [MGP24]."""
    n1, n2, n3 = sizes
    return {"U": (n1, n2), "V": (n2, n3)}, lambda p: [*times(p["U"], p["V"], n1, n2, n3).values()]


def icnn(sizes, bias):
    """U relu(V x + b) [MGP24]: paths again, as the gates of hidden units are free."""
    n1, n2, n3 = sizes
    shapes = {"U": (n1, n2), "V": (n2, n3)} | ({"b": (n2,)} if bias else {})

    def phi(p):
        hidden = [(j, k) for j in range(n1) for k in range(n2)]
        weights = [p["U"][j, k] * p["V"][k, i] for j, k in hidden for i in range(n3)]
        return weights + [p["U"][j, k] * p["b"][k,] for j, k in hidden if bias]

    return shapes, phi


def pca(sizes, bias):
    """Entries of U U^T."""
    n, r = sizes
    return {"U": (n, r)}, lambda p: [
        sum(p["U"][i, k] * p["U"][j, k] for k in range(r)) for j in range(n) for i in range(j + 1)
    ]


def monomial(sizes, bias):
    return {"x": (len(sizes),)}, lambda p: [prod(p["x"][i,] ** a for i, a in enumerate(sizes))]


def attention(sizes, bias):
    """Entries of Q^T K and V^T O, all of shape d1 x dim [MGP25]."""
    d1, dim = sizes

    def phi(p):
        pairs = [(p["Q"], p["K"]), (p["V"], p["O"])]
        return [
            sum(a[k, i] * b[k, j] for k in range(d1))
            for a, b in pairs
            for i in range(dim)
            for j in range(dim)
        ]

    return dict.fromkeys("QKVO", (d1, dim)), phi


def units(sizes, bias):
    """Outputs of x -> V (U x)**r: for each output and monomial x**alpha, sum_k V_jk multinomial(alpha)
    U_k**alpha.
    """
    inputs, hidden, outputs, r = sizes

    def phi(p):
        entries = []
        for chosen in combinations_with_replacement(range(inputs), r):
            alpha = [chosen.count(i) for i in range(inputs)]
            multinomial = factorial(r) // prod(map(factorial, alpha))
            powers = [
                multinomial * prod(p["U"][k, i] ** a for i, a in enumerate(alpha)) for k in range(hidden)
            ]
            entries += [sum(p["V"][j, k] * powers[k] for k in range(hidden)) for j in range(outputs)]
        return entries

    return {"U": (hidden, inputs), "V": (outputs, hidden)}, phi


def filters(channels):
    """Filters of three taps, then of two, as (channels out, channels in, taps)."""
    c0, c1, c2 = channels
    return {"A": (c1, c0, 3), "B": (c2, c1, 2)}


def convolution(sizes, bias):
    """Two convolutions in a row without activation: filters B * A, sum over the channel between and over taps
    a + b = k.
    """
    c0, c1, c2 = sizes

    def phi(p):
        taps = [[(a, k - a) for a in range(3) if 0 <= k - a < 2] for k in range(4)]
        return [
            sum(p["B"][o, c, b] * p["A"][c, i, a] for c in range(c1) for a, b in at)
            for o in range(c2)
            for i in range(c0)
            for at in taps
        ]

    return filters(sizes), phi


def convolution_relu(sizes, bias):
    """The same with a ReLU between, whose gates differ from place to place: each product of two taps counts
    on its own.
    """
    c0, c1, c2 = sizes

    def phi(p):
        ends = product(range(c2), range(c1), range(c0), range(3), range(2))
        return [p["B"][o, c, b] * p["A"][c, i, a] for o, c, i, a, b in ends]

    return filters(sizes), phi


def residual(sizes, bias):
    """Two ReLU blocks x -> x + V relu(U x) in a row: paths through one of them, and through both."""
    d, h1, h2 = sizes

    def phi(p):
        first = [p["V1"][a, k] * p["U1"][k, b] for a in range(d) for k in range(h1) for b in range(d)]
        second = [p["V2"][a, m] * p["U2"][m, b] for a in range(d) for m in range(h2) for b in range(d)]
        both = [
            p["V2"][a, m] * sum(p["U2"][m, c] * p["V1"][c, k] for c in range(d)) * p["U1"][k, b]
            for a, m, k, b in product(range(d), range(h2), range(h1), range(d))
        ]
        return first + second + both

    return {"U1": (h1, d), "V1": (d, h1), "U2": (h2, d), "V2": (d, h2)}, phi


def softmax(sizes, bias):
    """Cross-entropy does not see a constant added to a column: theta minus its column means."""
    n, m = sizes

    def phi(p):
        theta = p["theta"]
        return [theta[i, j] - sum(theta[k, j] for k in range(n)) / QQ(n) for i in range(n) for j in range(m)]

    return {"theta": (n, m)}, phi


def scalars(names, phi):
    """A parametrisation in scalar parameters."""
    return lambda sizes, bias: (dict.fromkeys(names, ()), lambda p: phi(*[p[n][()] for n in names]))


MODELS = {
    "linear": linear,
    "relu": relu,
    "nmf": nmf,
    "icnn": icnn,
    "pca": pca,
    "monomial": monomial,
    "attention": attention,
    "units": units,
    "convolution": convolution,
    "convolution relu": convolution_relu,
    "residual": residual,
    "softmax": softmax,
    "radial": scalars("xy", lambda x, y: [(x**2 + y**2) / 2]),  # y / x only
    "spiral": scalars("xy", lambda x, y: [(x**2 + 2 * y**2) / 2]),  # y / x**2 only
    "cubes": scalars("xy", lambda x, y: [x**3 + y**3]),  # 1 / x - 1 / y only
    "late": scalars(
        "xyz", lambda x, y, z: [x, y + x**3 * z]
    ),  # closed at depth 4 at the origin, at depth 2 elsewhere
    "sum": scalars("xy", lambda x, y: [(x + y) ** 2, x + y]),
    "idle": scalars("xyz", lambda x, y, z: [x]),
    "mixed": scalars(
        "abcd", lambda a, b, c, d: [a * b / 3 + c**2 / 2, a + b * c]
    ),  # not homogeneous; d is idle
    "chain": scalars("xyz", lambda x, y, z: [x * y, y * z]),
    "rank one": scalars("wxyz", lambda w, x, y, z: [w * x, w * y, w * z, w]),
}

FIELDS = {  # flows given by their fields: the coordinates, and the fields in these
    "rotations": ("xyz", lambda x, y, z: [[y, -x, 0], [0, z, -y]]),
    "heisenberg": ("xyz", lambda x, y, z: [[2, 0, -y], [0, 2, x]]),
    "special linear": (
        "abcd",
        lambda a, b, c, d: [[b, 0, d, 0], [0, a, 0, c]],
    ),  # on two vectors (a, b) and (c, d)
    "commuting": ("xyz", lambda x, y, z: [[x, -y, 0], [0, y, -2 * z]]),
}

CUSTOMARY = {"nmf": {"U": "mirror", "V": "mirror"}, "icnn": {"U": "mirror"}}


# flows


def indices(shape):
    return list(product(*[range(k) for k in shape]))


def written(name, index):
    return f"{name}[{','.join(map(str, index))}]" if index else name


@dataclass
class Fields:
    """Polynomial vector fields on a state space, each the list of its components."""

    ring: object
    names: list[str]
    fields: list[list[object]] = field(default_factory=list)
    time: int = 0  # how many of the coordinates are time: none, or the first

    def add(self, components) -> None:
        """Take up a field; the common denominator of its components goes, which changes neither laws nor
        generic ranks.
        """
        fractions = [FractionField(self.ring)(x) for x in components]
        denominator = lcm([x.denominator() for x in fractions])
        cleared = [
            self.ring((x * denominator).numerator() / (x * denominator).denominator()) for x in fractions
        ]
        if any(cleared):
            self.fields.append(cleared)


def metric_entry(word: str, z):
    """One entry of a diagonal metric at z."""
    if word == "euclidean":
        return 1
    if word == "mirror":
        return z
    return z ** int(word.removeprefix("z**")) if word.startswith("z**") else QQ(word)


def flow_of(case: Case) -> Fields:
    """The state space and the fields of a case: theta' = -M(theta) grad L - decay theta, or
    theta'' + tau theta' = -M(z) grad L - decay theta at z = tau theta + theta'; grad L stands for any
    combination of grad phi_i.
    """
    if case.model in FIELDS:
        names, given = FIELDS[case.model]
        ring = PolynomialRing(QQ, len(names), "x", order="deglex")
        flow = Fields(ring, list(names))
        for components in given(*ring.gens()):
            flow.add(components)
        return flow
    shapes, phi = MODELS[case.model](case.sizes, case.bias)
    parameters = [(name, index) for name, shape in shapes.items() for index in indices(shape)]
    D, decay, second = len(parameters), QQ(case.weight_decay), case.flow == "momentum"
    clocked = second or decay != 0
    names = (["time"] if clocked else []) + [written(*x) for x in parameters]
    names += [written(f"{name}_dot", index) for name, index in parameters] if second else []
    ring = PolynomialRing(QQ, len(names), "x", order="deglex")
    flow, x = Fields(ring, names, time=int(clocked)), ring.gens()
    s, theta = x[0], x[clocked : clocked + D]

    arrays = {name: {} for name in shapes}
    for (name, index), entry in zip(parameters, theta, strict=True):
        arrays[name][index] = entry
    gradients = [[ring(f).derivative(y) for y in theta] for f in phi(arrays)]
    specified = CUSTOMARY.get(case.model, {}) if case.metric is None else case.metric
    words = [
        specified if isinstance(specified, str) else specified.get(name, "euclidean")
        for name, _ in parameters
    ]

    if not second:
        if decay:  # s = exp(decay t)
            flow.add([decay * s, *[-decay * y for y in theta]])
        for g in gradients:
            flow.add(
                [0] * clocked + [metric_entry(w, y) * e for w, y, e in zip(words, theta, g, strict=True)]
            )
        return flow
    v = x[1 + D :]
    if case.damping.endswith("/t"):
        c = QQ(case.damping.removesuffix("/t"))
        q = c.denominator()
        tau, clock = c / s**q, 1 / (q * s ** (q - 1))  # s = t**(1/q), so t = s**q and ds/dt = 1 / (dt/ds)
    else:
        tau = QQ(case.damping)
        clock = tau * s if tau else 1  # s = exp(tau t), or t
    flow.add([clock, *v, *[-tau * b - decay * a for a, b in zip(theta, v, strict=True)]])
    z = [tau * a + b for a, b in zip(theta, v, strict=True)]
    for g in gradients:
        flow.add([0] * (1 + D) + [metric_entry(w, y) * e for w, y, e in zip(words, z, g, strict=True)])
    return flow


# counts


def along(x, f, ring):
    """The derivative of f along the field x."""
    return sum((c * f.derivative(y) for c, y in zip(x, ring.gens(), strict=True) if c), ring(0))


def bracket(x, y, ring):
    """[X, Y] = DY X - DX Y."""
    return [along(x, b, ring) - along(y, a, ring) for a, b in zip(x, y, strict=True)]


def rank(rows) -> int:
    return int(matrix(QQ, rows).__pari__().matrank()) if rows else 0


def random_points(n: int, seed: str):
    rng = random.Random(seed)
    return [[QQ(rng.randint(1, 10**6)) / rng.randint(1, 10**3) for _ in range(n)] for _ in range(2)]


def generic_rank(fields, flow: Fields, points) -> int:
    """The rank over the rational functions: at least that at a point; if not as large as can be, it is taken
    once more.
    """
    found = {rank([[c(*p) for c in x] for x in fields]) for p in points}
    if len(flow.names) <= SMALL and max(found) < min(len(fields), len(flow.names)):
        found.add(matrix(FractionField(flow.ring), fields).rank())
    if len(found) > 1:
        raise ArithmeticError(f"ranks {found}: one of the two random points is not generic")
    return found.pop()


def lie_ranks(flow: Fields, points) -> list[int]:
    """Generic ranks of W, W + [W, W], W + [W, W] + [W, [W, W]], ... until they stand still or fill the state
    space.

    Over the rational functions a basis of what is known will do: a bracket of a combination of it with
    functions as coefficients is a combination of brackets and of the basis itself.
    """
    basis, candidates, ranks = [], flow.fields, []
    while True:
        new = independent(basis, candidates, flow, points)
        basis, before = basis + new, len(basis)
        ranks.append(len(basis))
        if len(basis) in (before, len(flow.names)):
            return ranks
        candidates = [b for x in flow.fields for y in new if any(b := bracket(x, y, flow.ring))]


def independent(basis, candidates, flow: Fields, points) -> list[list[object]]:
    """Candidates that complete the basis to one of their common span."""
    everything = basis + candidates
    if not everything:
        return []
    table = matrix(QQ, [[c(*points[0]) for c in x] for x in everything])
    pivots = (
        table.transpose().pivots()
    )  # the first rows that are independent at a point, and so are as functions
    new = [everything[i] for i in pivots if i >= len(basis)]
    if generic_rank(everything, flow, points) != len(basis) + len(new):
        raise ArithmeticError("the first random point is not generic")
    return new


# laws


def ansatz(flow: Fields, degree: int, time_degree: int):
    """All monomials but 1 up to a degree in the state without time, and a degree in time."""
    x = flow.ring.gens()
    space = [
        prod(m, start=flow.ring(1))
        for d in range(degree + 1)
        for m in combinations_with_replacement(x[flow.time :], d)
    ]
    powers = [x[0] ** i for i in range(time_degree + 1)] if flow.time else [flow.ring(1)]
    return [a * b for a in powers for b in space if a * b != 1]


def coefficient_matrix(polynomials):
    """A row for each polynomial, a column for each monomial that occurs, in descending order."""
    monomials = sorted({m for f in polynomials for m in f.monomials()}, reverse=True)
    column = {m: j for j, m in enumerate(monomials)}
    entries = {(i, column[m]): c for i, f in enumerate(polynomials) for c, m in f}
    return matrix(QQ, len(polynomials), len(monomials), entries, sparse=False), monomials


def laws_of(flow: Fields, degree: int, time_degree: int):
    """A basis of the laws in the ansatz, in reduced echelon form: the kernel of all derivatives, one field
    after another.
    """
    space = ansatz(flow, degree, time_degree)
    for x in flow.fields:
        table, _ = coefficient_matrix([along(x, f, flow.ring) for f in space])
        if table.ncols() and space:
            kernel = [list(v) for v in table.__pari__().mattranspose().matker()]
            space = [
                sum((QQ(c) * f for c, f in zip(v, space, strict=True) if c), flow.ring(0)) for v in kernel
            ]
    if not space:
        return []
    table, monomials = coefficient_matrix(space)
    basis = [
        sum(c * monomials[j] for j, c in row.dict().items()) for row in table.echelon_form().rows() if row
    ]
    if len(basis) != len(space) or any(along(x, f, flow.ring) for x in flow.fields for f in basis):
        raise ArithmeticError("the echelon form lost a law, or made one up")
    return basis


def text(f, names) -> str:
    """``W1[0,0]**2 - 1/2*W2[0,0]*W2[0,1]``, terms in descending order."""
    result = ""
    for c, m in f:
        powers = [names[i] + (f"**{e}" if e > 1 else "") for i, e in enumerate(m.exponents()[0]) if e]
        size = [] if abs(c) == 1 else [str(abs(c))]
        sign = (" - " if c < 0 else " + ") if result else ("-" if c < 0 else "")
        result += sign + "*".join(size + powers)
    return result


def answer(case: Case) -> dict[str, object]:
    """The object that stands in vectors.json."""
    flow = flow_of(case)
    n = len(flow.names)
    points = random_points(n, case.name)
    ranks = lie_ranks(flow, points)
    basis = laws_of(flow, case.degree, case.time_degree)
    found = generic_rank([[f.derivative(y) for y in flow.ring.gens()] for f in basis], flow, points)
    if n > SMALL and found < n - ranks[-1]:
        raise ArithmeticError(f"{case.name}: the last rank is not proved; leave the case out")
    return {
        "name": case.name,
        "model": case.model,
        "sizes": list(case.sizes),
        "bias": case.bias,
        "flow": "given" if case.model in FIELDS else case.flow,
        "damping": case.damping,
        "metric": case.metric,
        "weight_decay": case.weight_decay,
        "degree": case.degree,
        "time_degree": case.time_degree,
        "state": flow.names,
        "state_dimension": n,
        "lie_ranks": ranks,
        "ranks_over": "rational functions" if n <= SMALL else "two points",
        "laws_at_most": n - ranks[-1],
        "dimension": len(basis),
        "independent": found,
        "basis": [text(f, flow.names) for f in basis],
    }


# the cases


def gradient(model: str, *sizes: int, **options) -> Case:
    return Case(model, sizes, **options)


def decayed(model: str, *sizes: int, **options) -> Case:
    return Case(model, sizes, time_degree=2, **options)


def momentum(model: str, *sizes: int, damping: str, **options) -> Case:
    """Degree in time: as high as the known laws go, t**p for damping (p/q)/t."""
    degree = Fraction(damping.removesuffix("/t")).numerator if damping.endswith("/t") else 1
    return Case(model, sizes, flow="momentum", damping=damping, **{"time_degree": degree} | options)


CASES = [
    # linear: one layer, scalar, products of laws, bottlenecks, hidden layers wider than input and output
    # together
    gradient("linear", 2, 3),
    gradient("linear", 1, 1, 1),
    gradient("linear", 1, 1, 1, degree=4),
    gradient("linear", 1, 2, 1, degree=3),
    gradient("linear", 1, 4, 1),
    gradient("linear", 2, 2, 2),
    gradient("linear", 3, 2, 4),
    gradient("linear", 2, 3, 2),
    gradient("linear", 2, 5, 1),
    gradient("linear", 4, 1, 3),
    gradient("linear", 3, 3, 3),
    gradient("linear", 5, 3, 3),
    gradient("linear", 1, 1, 1, 1, degree=4),
    gradient("linear", 1, 2, 2, 1),
    gradient("linear", 2, 2, 2, 2),
    gradient("linear", 3, 1, 3, 1),
    gradient("linear", 1, 2, 1, 2, 1),
    gradient("linear", 1, 2, 1, bias=True),
    gradient("linear", 2, 3, 2, bias=True),
    gradient("linear", 1, 2, 2, 1, bias=True),
    # relu
    gradient("relu", 1, 1, 1),
    gradient("relu", 1, 3, 1),
    gradient("relu", 2, 3, 2),
    gradient("relu", 2, 3, 2, bias=True),
    gradient("relu", 3, 4, 2, bias=True),
    gradient("relu", 3, 6, 2),
    gradient("relu", 2, 2, 2, 1),
    gradient("relu", 2, 1, 2, 1),
    gradient("relu", 1, 2, 2, 1, bias=True),
    # the other families under their customary metrics
    gradient("nmf", 1, 1, 1, degree=3),
    gradient("nmf", 1, 3, 1),
    gradient("nmf", 2, 1, 2),
    gradient("nmf", 1, 2, 2),
    gradient("nmf", 3, 2, 3),
    gradient("icnn", 1, 1, 1, degree=4),
    gradient("icnn", 2, 3, 1),
    gradient("icnn", 1, 2, 2, bias=True),
    gradient("icnn", 3, 2, 2, bias=True),
    gradient("pca", 1, 3),
    gradient("pca", 3, 2),
    gradient("pca", 2, 3),
    gradient("monomial", 2),
    gradient("monomial", 1, 2),
    gradient("monomial", 1, 1, 1, degree=4),
    gradient("monomial", 3, 1, 2, 2),
    # building blocks
    gradient("attention", 1, 1),
    gradient("attention", 2, 2),
    gradient("attention", 3, 1),
    gradient("attention", 3, 2),
    gradient("units", 2, 2, 1, 2),
    gradient("units", 1, 2, 2, 3),
    gradient("units", 3, 1, 1, 2),
    gradient("convolution", 1, 1, 1),
    gradient("convolution", 1, 2, 1),
    gradient("convolution relu", 1, 2, 1),
    gradient("convolution relu", 2, 2, 1),
    gradient("residual", 2, 1, 2),
    gradient("softmax", 3, 2),
    # small and awkward: laws that are no polynomials, or none; laws that are linear
    gradient("radial", degree=4),
    gradient("spiral", degree=3),
    gradient("cubes", degree=3),
    gradient("late", degree=3),
    gradient("sum", degree=3),
    gradient("idle", degree=3),
    gradient("mixed", degree=3),
    gradient("chain", degree=3),
    gradient("rank one", degree=2),
    gradient("rotations", degree=4),
    gradient("heisenberg", degree=3),
    gradient("special linear", degree=4),
    gradient("commuting", degree=5),
    # metrics
    gradient("linear", 2, 2, 1, metric={"W1": "1/10"}),
    gradient("linear", 2, 1, 2, metric={"W1": "3", "W2": "2/7"}),
    gradient("linear", 2, 2, 2, metric="mirror"),
    gradient("relu", 2, 2, 1, metric="mirror"),
    gradient("relu", 2, 2, 1, bias=True, metric={"W1": "mirror", "b1": "1/2"}),
    gradient("nmf", 2, 2, 2, metric="euclidean"),
    gradient("linear", 1, 1, 2, metric={"W1": "z**2"}),
    gradient("linear", 1, 1, 1, metric="z**-1", degree=3),
    gradient("monomial", 1, 2, metric="z**-1", degree=3),
    gradient("icnn", 1, 2, 1, bias=True, metric={"U": "1/3", "V": "mirror"}),
    # weight decay
    decayed("linear", 1, 1, 1, weight_decay="1"),
    decayed("linear", 2, 2, 1, weight_decay="1/3"),
    decayed("linear", 1, 2, 1, weight_decay="2"),
    decayed("relu", 2, 2, 1, bias=True, weight_decay="1"),
    decayed("nmf", 2, 1, 2, weight_decay="5/2"),
    decayed("linear", 2, 1, 1, weight_decay="1", metric={"W1": "1/10"}),
    decayed("radial", weight_decay="1"),
    # momentum
    *[momentum("linear", 1, 1, 1, damping=tau) for tau in ("0", "1", "3/t")],
    *[momentum("linear", 1, 2, 1, damping=tau) for tau in ("0", "1/2", "3/t")],
    momentum("linear", 1, 3, 1, damping="0"),
    momentum("linear", 1, 3, 1, damping="2"),
    momentum("linear", 1, 4, 1, damping="0"),
    momentum("linear", 1, 2, 1, damping="1/2", degree=4, time_degree=2),
    *[momentum("linear", 2, 2, 1, damping=tau) for tau in ("0", "1/2", "1", "2", "3/t", "5/t", "3/2/t")],
    momentum("linear", 2, 2, 2, damping="0"),
    momentum("linear", 2, 2, 2, damping="1"),
    momentum("linear", 2, 3, 1, damping="1/2"),
    momentum("linear", 2, 3, 1, damping="3/t"),
    momentum("linear", 2, 1, 3, damping="0"),
    momentum("linear", 2, 2, 2, 1, damping="1"),
    momentum("linear", 3, 2, 4, damping="1/2"),
    momentum("linear", 1, 2, 1, bias=True, damping="2"),
    momentum("linear", 2, 2, 1, damping="1", metric={"W1": "1/10"}),
    momentum("linear", 2, 2, 1, damping="1/2", metric="mirror"),
    momentum("linear", 1, 2, 1, damping="0", metric={"W2": "z**2"}),
    momentum("linear", 2, 2, 1, damping="1", weight_decay="1/2"),
    momentum("linear", 2, 2, 1, damping="0", weight_decay="1"),
    momentum("relu", 1, 2, 1, damping="0"),
    momentum("relu", 2, 2, 1, damping="1/2"),
    momentum("relu", 2, 2, 1, bias=True, damping="3/t"),
    momentum("relu", 3, 2, 2, damping="1"),
    momentum("relu", 2, 1, 1, 1, damping="0"),
    momentum("nmf", 2, 1, 2, damping="0"),
    momentum("nmf", 1, 2, 1, damping="1/2"),
    momentum("nmf", 2, 1, 2, damping="3/t"),
    momentum("icnn", 1, 2, 1, bias=True, damping="1"),
    momentum("icnn", 2, 1, 1, damping="5/t"),
    momentum("pca", 2, 2, damping="0"),
    momentum("pca", 2, 3, damping="1"),
    momentum("attention", 2, 1, damping="1/2"),
    momentum("monomial", 1, 2, damping="2"),
    momentum("radial", damping="0", time_degree=2),
    momentum("radial", damping="3/t"),
    momentum("sum", damping="1"),
    *[
        momentum("sum", damping=tau, metric="z**-1") for tau in ("1/2", "3/t")
    ],  # (tau x + x')**2 - (tau y + y')**2
    momentum("sum", damping="1/2", metric="mirror"),
    # a parameter that is idle obeys y'' + tau y' + decay y = 0: its laws depend on each of these numbers
    momentum("idle", damping="0", time_degree=2),
    momentum("idle", damping="2"),
    momentum("idle", damping="3/t"),
    momentum("idle", damping="3/2/t"),
    momentum("idle", damping="0", weight_decay="2"),
    momentum("idle", damping="1/2", weight_decay="3"),
    momentum("idle", damping="2/t", weight_decay="3"),
]


def main() -> None:
    [about_singular, *_] = str(singular.version()).splitlines()
    cas = {
        "Singular": about_singular.split("version ")[1].split()[0],
        "PARI": ".".join(str(x) for x in list(pari("version()"))[:3]),
        "passagemath": version("passagemath-singular"),
        "Python": sys.version.split()[0],
    }
    cases = []
    for case in CASES:
        start = time.perf_counter()
        cases.append(answer(case))
        summary = {
            key: cases[-1][key]
            for key in ("state_dimension", "lie_ranks", "laws_at_most", "dimension", "independent")
        }
        print(f"{time.perf_counter() - start:7.1f} s  {case.name}: {list(summary.values())}", flush=True)
    if len({c["name"] for c in cases}) < len(cases):
        raise ValueError("two cases have the same name")
    lines = ",\n".join(json.dumps(c) for c in cases)
    header = json.dumps(ABOUT | {"made with": cas, "date": datetime.date.today().isoformat()}, indent=1)
    Path(__file__).with_name("vectors.json").write_text(f'{{"about": {header},\n"cases": [\n{lines}\n]}}\n')


if __name__ == "__main__":
    main()

"""What a certificate is about, read again from the definitions: a second opinion that shares no code with
conslaw.

:func:`laws` counts the independent conservation laws of the ``model`` and the ``flow`` of a certificate, for
small flows of some 20 coordinates.  Polynomials are dictionaries {exponents: coefficient} mod a random prime
of 61 bits, points are random: an answer is wrong with a probability of about 1e-15.
"""

import random
import re
from fractions import Fraction
from functools import reduce
from itertools import count, pairwise, product
from math import prod
from operator import add, mul

import flint

CHANCE = random.Random(20240)
P = next(p for p in count(CHANCE.randrange(2**60, 2**61)) if flint.fmpz(p).is_prime())


class Polynomial(dict):
    """{exponents of all variables: coefficient mod P}."""

    def __add__(self, other):
        result = Polynomial(self)
        for monomial, c in other.items():
            result[monomial] = (result.get(monomial, 0) + c) % P
        return Polynomial({monomial: c for monomial, c in result.items() if c})

    def __mul__(self, other):
        result = Polynomial()
        for m, c in self.items():
            for n, d in other.items():
                monomial = tuple(map(add, m, n))
                result[monomial] = (result.get(monomial, 0) + c * d) % P
        return Polynomial({monomial: c for monomial, c in result.items() if c})

    def derivative(self, i):
        lower = [(m, c, (*m[:i], m[i] - 1, *m[i + 1 :])) for m, c in self.items() if m[i]]
        return Polynomial({below: c * m[i] % P for m, c, below in lower})


class Reader:
    """Polynomials in some named coordinates, arrays being dictionaries {index: polynomial}."""

    def __init__(self, shapes, logs=()):
        self.keys = [(name, i) for name, shape in shapes.items() for i in product(*map(range, shape))]
        texts = [name + (f"[{','.join(map(str, i))}]" if i else "") for name, i in self.keys]
        self.texts = {text: i for i, text in enumerate([*texts, *logs])}
        assert len(self.texts) == len(texts) + len(logs)
        self.number = {key: i for i, key in enumerate(self.keys)}
        self.arrays = {name: {} for name in shapes}
        for i, (name, index) in enumerate(self.keys):
            self.arrays[name][index] = self.variable(i)

    def variable(self, i):
        return Polynomial({tuple(int(i == j) for j in range(len(self.texts))): 1})

    def constant(self, value):
        value = Fraction(value)
        number = value.numerator * pow(value.denominator, -1, P) % P
        return Polynomial({(0,) * len(self.texts): number} if number else {})

    def sum(self, terms):
        return reduce(add, terms, Polynomial())

    def power(self, x, exponent):
        return reduce(mul, [x] * exponent, self.constant(1))

    def parse(self, text):
        total = Polynomial()
        for sign, term in re.findall(r"([-+]?)([^-+]+)", text.replace(" ", "")):
            value = self.constant(sign + "1")
            for over, base, power in re.findall(r"([*/]?)([^*/]+)(?:\*\*([0-9]+))?", term):
                known = base in self.texts
                factor = self.variable(self.texts[base]) if known else self.constant(Fraction(base))
                value *= (
                    self.constant(1 / Fraction(base)) if over == "/" else self.power(factor, int(power or 1))
                )
            total += value
        return total

    def contract(self, operands, out):
        """``einsum`` of arrays, each with its letters."""
        sizes = {c: 1 + max(i[k] for i in x) for x, letters in operands for k, c in enumerate(letters)}
        result = {i: Polynomial() for i in product(*(range(sizes[c]) for c in out))}
        for index in product(*map(range, sizes.values())):
            at = dict(zip(sizes, index, strict=True))
            factors = [x[tuple(at[c] for c in letters)] for x, letters in operands]
            result[tuple(at[c] for c in out)] += reduce(mul, factors)
        return result


def potential(read, model):
    """The scalar f(theta; data) of a model: a family, or array code."""
    a = read.arrays
    if model["family"] is None:
        return graph(read, model["graph"])
    name, widths = model["family"]["name"], model["family"]["arguments"]["widths"]
    bias, last = model["family"]["arguments"].get("bias", False), len(widths) - 1
    if name in ("linear", "relu"):
        h = a["x"]
        for k, (before, after) in enumerate(pairwise(widths), 1):
            h = {(i,): read.sum(a[f"W{k}"][i, j] * h[j,] for j in range(before)) for i in range(after)}
            for i in h if k < last else ():
                if bias:
                    h[i] += a[f"b{k}"][i] * (a[f"gamma{k}"][i] if name == "relu" else read.constant(1))
                h[i] *= a[f"g{k}"][i] if name == "relu" else read.constant(1)
        return read.contract([(a["v"], "i"), (h, "i")], "")[()]
    if name == "nmf":
        return read.contract([(a["v"], "i"), (a["U"], "ij"), (a["V"], "jk"), (a["x"], "k")], "")[()]
    if name == "icnn":
        parts = [read.contract([(a["V"], "jk"), (a["x"], "k")], "j")]
        parts += [read.contract([(a["gamma"], "j"), (a["b"], "j")], "j")] if bias else []
        units = [[(a["v"], "i"), (a["U"], "ij"), (a["g"], "j"), (part, "j")] for part in parts]
        return read.sum(read.contract(unit, "")[()] for unit in units)
    if name == "pca":
        return read.contract([(a["U"], "ik"), (a["U"], "jk"), (a["s"], "ij")], "")[()]
    assert name == "monomial"
    return reduce(mul, [read.power(a["x"][i,], exponent) for i, exponent in enumerate(widths)])


def graph(read, nodes):
    """The last of some nodes of array code."""
    values = []
    for node in nodes:
        shape, attribute = node["shape"], node["attribute"]
        every, inner = list(product(*map(range, shape))), [values[k] for k in node["arguments"]]
        flat = [list(x.values()) for x in inner]
        match node["operation"]:
            case "input":
                value = read.arrays[attribute]
            case "constant":
                value = [read.constant(v) for v in attribute * (len(every) if len(attribute) == 1 else 1)]
            case "add":
                value = [x + y for x, y in zip(*flat, strict=True)]
            case "product":
                value = read.contract(list(zip(inner, attribute[:2], strict=True)), attribute[2])
            case "sum":
                value = {i: Polynomial() for i in every}
                for i, x in inner[0].items():
                    value[tuple(n for k, n in enumerate(i) if k not in attribute)] += x
            case "take":
                value = [flat[0][k] for k in attribute]
            case "put":
                value = [
                    read.sum(x for x, k in zip(flat[0], attribute, strict=True) if k == i)
                    for i in range(len(every))
                ]
            case "reshape":
                value = flat[0]
        value = value if isinstance(value, dict) else dict(zip(every, value, strict=True))
        assert list(value) == every
        values.append(value)
    return values[-1][()]


def fields(read, model, flow):
    """The vector fields, each a dictionary {coordinate: polynomial}, straight from the definitions."""
    if flow["fields"] is not None:
        return [{read.texts[c]: read.parse(text) for c, text in one.items()} for one in flow["fields"]]
    f, n, decay = potential(read, model), read.number, Fraction(flow["weight_decay"])
    drift, control = {}, {}

    def mirrored(name, z):
        word = flow["metric"][name]
        if word.startswith("z**"):
            return read.power(z, int(word[3:]))
        return read.constant(1 if word == "euclidean" else word)

    theta = [(name, i) for name, i in read.keys if name in model["parameters"]]
    if flow["kind"] == "gradient":
        for name, i in theta:
            x = read.variable(n[name, i])
            control[n[name, i]] = f.derivative(n[name, i]) * mirrored(name, x)
            drift[n[name, i]] = x * read.constant(-decay)
        if not decay:
            return [control]
        return [{**drift, n["time", ()]: read.variable(n["time", ()]) * read.constant(decay)}, control]
    top, over_t, _ = flow["damping"].partition("/t")
    tau, s = Fraction(top), read.variable(n["time", ()])
    q = (
        tau.denominator if over_t else 0
    )  # tau / t with t = s**q: all is multiplied by q t, the metric by t**most
    t, most = (
        read.power(s, q),
        max([int(w[3:]) for w in flow["metric"].values() if w.startswith("z**")] + [0]),
    )
    speed, drag = t * read.constant(q or 1), read.constant(tau.numerator if over_t else tau)
    drift[n["time", ()]] = s if over_t else s * read.constant(tau) if tau else read.constant(1)
    for name, i in theta:
        x, v = read.variable(n[name, i]), read.variable(n[name + "_dot", i])
        drift[n[name, i]] = speed * v
        drift[n[name + "_dot", i]] = v * drag * read.constant(-1) + speed * x * read.constant(-decay)
        word = flow["metric"][name]
        missing = (most - int(word[3:]) if word.startswith("z**") else most) * q
        z = x * read.constant(tau) + t * v
        control[n[name + "_dot", i]] = f.derivative(n[name, i]) * mirrored(name, z) * read.power(s, missing)
    return [drift, control]


def laws(model, flow):
    """The number of independent conservation laws near a generic point."""
    read = Reader({**flow["state"], **flow["data"]})
    n = sum(prod(shape) for shape in flow["state"].values())
    every = fields(read, model, flow)
    point = [CHANCE.randrange(1, P) for _ in range(n)]

    def at(x):
        return (
            sum(c * reduce(lambda a, b: a * b % P, map(pow, point, m, [P] * n), 1) for m, c in x.items()) % P
        )

    def element():
        """A random element of the span of the fields, as n polynomials in the state."""
        result = [Polynomial() for _ in range(n)]
        for one in every:
            scale, data = CHANCE.randrange(1, P), [CHANCE.randrange(1, P) for _ in range(len(read.texts) - n)]
            for i, x in one.items():
                for m, c in x.items():
                    value = reduce(
                        lambda a, b: a * b % P, map(pow, data, m[n:], [P] * len(data)), scale * c % P
                    )
                    result[i] += Polynomial({m[:n]: value})
        return result

    def bracket(x, y):
        """[x, y] = Dy x - Dx y."""
        result = []
        for a, b in zip(x, y, strict=True):
            total = Polynomial()
            for j in range(n):
                total += b.derivative(j) * x[j] + a.derivative(j) * y[j] * Polynomial({(0,) * n: P - 1})
            result.append(total)
        return result

    found, rows = [], []  # fields that are independent at the point, and their values there

    def adds(x):
        value = [at(component) for component in x]
        larger = flint.nmod_mat(len(rows) + 1, n, [v for row in [*rows, value] for v in row], P).rank() > len(
            rows
        )
        if larger:
            found.append(x)
            rows.append(value)
        return larger

    while adds(element()) or adds(element()):
        pass
    for x in found:  # grows while brackets with random elements lead out of the span
        for _ in range(3):
            if len(found) < n:
                adds(bracket(element(), x))
    return n - len(found)

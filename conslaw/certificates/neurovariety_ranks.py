"""Lower bounds of dimensions of neurovarieties, checked with other code: ranks at the weights and points that
a key stands for (any would do).  FLINT multiplies matrices and takes their ranks, Python does the rest.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import comb, factorial, prod
from typing import Any

import flint

from conslaw.algebra.finite_field import drawn
from conslaw.certificates.kernel import Refuted
from conslaw.certificates.reading import prime

Widths = tuple[int, ...]
Step = Mapping[str, Any]
Rows = list[list[int]]


# steps


def used(steps: Sequence[Step]) -> Iterator[tuple[Step, list[Step]]]:
    """Each step with those that it uses, which must come before it."""
    for i, step in enumerate(steps):
        if any(j >= i for j in step["parts"]):
            raise Refuted(f"step {i} uses one that does not come before it")
        yield step, [steps[j] for j in step["parts"]]


def stated(step: Step, found: int) -> int:
    """The bound of a step, which must be the one found."""
    if found != int(step["bound"]):
        raise Refuted(f"{step['rule']} gives {found} for {step['widths']}, not {step['bound']}")
    return found


def bounds_of(parts: Sequence[Step], *expected: tuple[Widths, Widths]) -> list[int]:
    """The bounds of the parts, which must be about these networks."""
    about = [(tuple(part["widths"]), tuple(part["powers"])) for part in parts]
    if about != list(expected):
        raise Refuted(f"the parts are about {[list(d) for d, _ in about]}"[:200])
    return [int(part["bound"]) for part in parts]


# a network at points


def rank(rows: Rows, p: int) -> int:
    """The rank mod p."""
    if not rows:
        return 0
    return int(flint.nmod_mat(len(rows), len(rows[0]), [y for row in rows for y in row], p).rank())


def times(rows: Rows, matrix: Rows, p: int) -> Rows:
    """Rows times a matrix, mod p."""
    left = flint.nmod_mat(len(rows), len(matrix), [y for row in rows for y in row], p)
    right = flint.nmod_mat(len(matrix), len(matrix[0]), [y for row in matrix for y in row], p)
    return [list(map(int, row)) for row in (left * right).table()]


def _drawn(key: str, rows: int, columns: int, p: int) -> Rows:
    return [list(row) for row in drawn(key, (rows, columns), p).tolist()]


@dataclass(frozen=True)
class Run:
    """Rows, one for each point: of the units of each layer, of what is before their activation, and of the
    derivatives of v f by that (of layer 0: by the inputs).
    """

    units: list[Rows]
    before: list[Rows]
    slopes: list[Rows]

    def by_weights(self, layer: int, p: int, units: int | None = None) -> Rows:
        """The gradients by the weights into the first units of a layer."""
        pairs = zip(self.slopes[layer], self.units[layer - 1], strict=True)
        return [[s * y % p for s in by[:units] for y in below] for by, below in pairs]


def run(
    d: Sequence[int], r: Sequence[int], bias: bool, key: str, p: int, count: int, feeding: int | None = None
) -> Run:
    """The network at ``count`` points; only so many of the last hidden units feed the outputs, if given."""
    last = len(d) - 1
    weights = [_drawn(f"{key}/W{i}", b, a, p) for i, (a, b) in enumerate(itertools.pairwise(d), 1)]
    if feeding is not None:
        weights[-1] = [row[:feeding] + [0] * (len(row) - feeding) for row in weights[-1]]
    units, before = [_drawn(f"{key}/x", count, d[0], p)], list[Rows]()
    before.append(units[0])
    for i, matrix in enumerate(weights, start=1):
        z = times(units[-1], [list(column) for column in zip(*matrix, strict=True)], p)
        if bias and i < last:
            [shift] = _drawn(f"{key}/b{i}", 1, d[i], p)
            z = [[(y + b) % p for y, b in zip(row, shift, strict=True)] for row in z]
        before.append(z)
        units.append([[pow(y, r[i - 1], p) for y in row] for row in z] if i < last else z)
    slopes = [_drawn(f"{key}/v", count, d[-1], p)]
    for i in range(last, 0, -1):
        by = times(slopes[0], weights[i - 1], p)
        if i > 1:
            power = r[i - 2]
            pairs = zip(by, before[i - 1], strict=True)
            by = [[b * power * pow(y, power - 1, p) % p for b, y in zip(s, z, strict=True)] for s, z in pairs]
        slopes.insert(0, by)
    return Run(units, before, slopes)


def side_by_side(*blocks: Rows) -> Rows:
    """Blocks of columns."""
    return [list(itertools.chain(*rows)) for rows in zip(*blocks, strict=True)]


def work(step: Step) -> float:
    """About how many multiplications the ranks of a step take."""
    d, r = step["widths"], step["powers"]
    size = float(sum(a * b for a, b in itertools.pairwise(d)))
    match step["rule"]:
        case "rank":
            most = float(int(step["bound"]))
            return most * size * (most + 100)
        case "colours" | "colours with shared outputs":
            parts = classes(d, max(1, step["units"]), step["rule"] != "colours")
            return sum(_of_spans(part) for _, part in parts)
        case "outputs dealt" if step["units"]:
            groups = -(-d[-1] // step["units"])
            columns = float(step["units"] * d[-2] + -(-d[-2] // groups) * d[-3])
            lower = float(sum(a * b for a, b in itertools.pairwise(d[:-2])))
            return 4 * columns**3 + (columns + lower) ** 3 * (len(d) > 3) + 100 * columns * size
        case "forms" if step["units"] and step["numbers"]:
            blocks = forms_blocks(step, tuple(d), tuple(r))
            return sum(30.0 * most**3 + 1e4 * most for _, _, _, most in blocks)
        case "bottleneck" | "outputs" | "biases":  # the units of a bottleneck are all looked at
            whole = step["layer"] if step["rule"] == "bottleneck" else None
            return _of_spans([n if i == whole else min(n, WIDEST) for i, n in enumerate(d)])
    return 1.0


def _of_spans(part: Sequence[int]) -> float:
    points = float(max(part[:-1]))
    return points * (sum(a * b for a, b in itertools.pairwise(part)) + 100 * sum(part)) + sum(
        float(n) ** 3 for n in part[:-1]
    )


def lower(whole: Mapping[str, Any]) -> str:
    """The ranks at the weights of this key."""
    network, given = whole["network"], whole["lower"]
    p, steps = prime(given["prime"]), given["steps"]
    d, r = tuple(network["widths"]), tuple(network["powers"])
    if (tuple(steps[-1]["widths"]), tuple(steps[-1]["powers"])) != (d, r):
        raise Refuted("the last step is about another network")
    found = 0
    for i, (step, parts) in enumerate(used(steps), start=1):
        biased = network["bias"] and len(d) > 2 and i == len(steps)
        found = stated(step, Rule(given["key"], p, step, parts, biased).bound())
    if found != int(whole["bounds"]["lower"]):
        raise Refuted(f"the rules give {found}")
    return f"{found}, by {steps[-1]['rule']}, mod {p}"


class Rule:
    """One step, with those that it uses."""

    def __init__(self, key: str, p: int, step: Step, parts: Sequence[Step], bias: bool) -> None:
        self.key, self.p, self.step, self.parts, self.bias = key, p, step, parts, bias
        self.d: Widths = tuple(step["widths"])
        self.r: Widths = tuple(step["powers"])
        self.last = len(self.d) - 1
        self.units, self.layer = int(step["units"]), int(step["layer"])
        if len(self.r) != max(0, self.last - 1):
            raise Refuted("a network has one power for each hidden layer")

    def _run(self, rule: str, d: Widths, r: Widths, count: int, feeding: int | None = None) -> Run:
        key = f"{self.key}/{rule}/{'-'.join(map(str, d))}"
        return run(d, r, self.bias, key, self.p, count, feeding)

    def _rank(self, rows: Rows) -> int:
        return rank(rows, self.p)

    def _of(self, *expected: tuple[Widths, Widths]) -> list[int]:
        return bounds_of(self.parts, *expected)

    def bound(self) -> int:
        """What the rule proves."""
        d, r, last = self.d, self.r, self.last
        if self.bias and self.step["rule"] not in ("rank", "one more input", "biases"):
            raise Refuted(f"the rule {self.step['rule'][:40]!r} is not for networks with biases")
        match self.step["rule"]:
            case "coefficients" if last == 1:
                return d[0] * d[1]
            case "rank":
                return self._of_gradients()
            case "colours" | "colours with shared outputs":
                return self._coloured()
            case "bottleneck":
                return self._bottleneck()
            case "outputs" if 1 <= self.units < d[-1]:
                m, cut = self.units, (*(min(n, WIDEST) for n in d[:-1]), 1)
                span = self._rank(self._run("units", cut, r, cut[-2]).units[-2])
                return self._of(((*d[:-1], m), r))[0] + (d[-1] - m) * span
            case "subnetwork":
                smaller = tuple(self.parts[0]["widths"]) if len(self.parts) == 1 else ()
                if len(smaller) != len(d) or any(a > b for a, b in zip(smaller, d, strict=True)):
                    raise Refuted(f"{list(smaller)} is no subnetwork of {list(d)}"[:200])
                return self._of((smaller, r))[0]
            case "outputs dealt" if self.units and last > 1:
                return self._dealt(self.units)
            case "forms" if last > 1 and self.layer == last - 1:
                return self._forms()
            case "one more input" if self.bias:
                return self._of(((d[0] + 1, *d[1:]), r))[0]
            case "biases" if self.bias:
                self.bias = False
                cut = tuple(min(n, WIDEST) for n in d)
                here = self._run("biases", cut, r, max(cut))
                added = [self._rank(here.slopes[layer][: cut[layer]]) for layer in range(1, last)]
                return self._of((d, r))[0] + sum(added)
        raise Refuted(f"the rule {self.step['rule'][:40]!r} does not apply to {list(d)}"[:200])

    def _of_gradients(self) -> int:
        """The rank of as many gradients as the bound says."""
        here, columns = self._run("rank", self.d, self.r, int(self.step["bound"])), list[Rows]()
        for layer in range(1, self.last + 1):
            columns.append(here.by_weights(layer, self.p))
            if self.bias and layer < self.last:
                columns.append(here.slopes[layer])
        return self._rank(side_by_side(*columns))

    def _coloured(self) -> int:
        """*Colours*: the blocks of the Jacobian between classes are products of spans."""
        d, r, last, q = self.d, self.r, self.last, self.units
        shared = self.step["rule"] != "colours"
        if not 1 <= q <= min(d[:-1] if shared else d):
            raise Refuted(f"{q} classes of {list(d)}"[:200])
        dealt = classes(d, q, shared)
        dimensions = self._of(*((part, r) for _, part in dealt))
        total, inside = 0, []
        for (count, part), dimension in zip(dealt, dimensions, strict=True):
            here = self._run("spans", part, r, max(part[:-1]))
            units = [self._rank(here.units[layer][: part[layer]]) for layer in range(last)]
            slopes = [0, *(self._rank(here.slopes[layer][: part[layer]]) for layer in range(1, last))]
            slopes.append(part[-1])
            if shared and r[-1] == 2 and self._rank(here.before[last - 1][: part[-2]]) < part[-2]:
                raise Refuted("the units of a colour before the last activation are not independent")
            total += count * dimension
            inside.append((count, part, units, slopes))
        for layer in range(1, last if shared else last + 1):
            below = sum(count * units[layer - 1] for count, _, units, _ in inside)
            total += sum(count * s[layer] * (below - units[layer - 1]) for count, _, units, s in inside)
        if shared and r[-1] == 2 and d[-1] == 1:
            total -= (d[-2] ** 2 - sum(count * part[-2] ** 2 for count, part, _, _ in inside)) // 2
        return total

    def _bottleneck(self) -> int:
        """Each unit of layer k has a class of its own before it."""
        d, r, k = self.d, self.r, self.layer
        if not 0 < k < self.last or d[k] > min(d[:k]):
            raise Refuted(f"layer {k} of {list(d)} is no bottleneck"[:200])
        before, after = self._of((d[: k + 1], r[: k - 1]), (d[k:], r[k:]))
        if k > 1 and (self.parts[0]["rule"], self.parts[0]["units"]) != ("colours", d[k]):
            raise Refuted(f"the {d[k]} units of layer {k} have no classes of their own")
        tail = (d[k], *(min(n, WIDEST) for n in d[k + 1 :]))
        if self._rank(self._run("inputs", tail, r[k:], d[k]).slopes[0]) < d[k]:
            raise Refuted(f"the derivatives by the {d[k]} units of layer {k} are not independent")
        return before + after - d[k]

    def _dealt(self, c: int) -> int:
        """The last hidden units are dealt to groups of c outputs, whose blocks have nothing in common but the
        weights below, which the first group takes.
        """
        d, groups, total = self.d, -(-self.d[-1] // c), 0
        lower = sum(a * b for a, b in itertools.pairwise(d[:-2]))
        dealt: dict[tuple[int, int], int] = {}
        for start, end in itertools.pairwise(sorted({0, d[-2] % groups, groups - 1, groups})):
            one = min(c, d[-1] - start * c), d[-2] // groups + (start < d[-2] % groups)
            dealt[one] = dealt.get(one, 0) + end - start
        for i, ((outputs, units), count) in enumerate(dealt.items()):
            own = self._group(outputs, units, 0)
            total += count * own
            if i == 0 and 0 < lower <= LARGEST_BLOCK:
                total += self._group(outputs, units, lower) - own
        return total

    def _group(self, outputs: int, units: int, lower: int) -> int:
        d, last = (*self.d[:-1], outputs), self.last
        columns = outputs * d[-2] + units * d[-3] + lower
        points = min(columns, outputs * comb(d[0] - 1 + prod(self.r), d[0] - 1))
        here = self._run(f"dealt {units}", d, self.r, points, units)
        blocks = [here.by_weights(last, self.p), here.by_weights(last - 1, self.p, units)]
        blocks += [here.by_weights(layer, self.p) for layer in range(1, last - 1) if lower]
        return self._rank(side_by_side(*blocks))

    def _forms(self) -> int:
        """The last hidden units are any forms; degrees in groups of variables split the space."""
        d, r, k = self.d, self.r, self.layer
        degree = prod(r[: k - 1])
        forms = d[k] * comb(d[0] - 1 + degree, degree)
        if self._of((d[: k + 1], r[: k - 1]))[0] < forms:
            raise Refuted(f"the units of layer {k} are not any forms")
        total = 0
        for count, beta, sizes, _ in forms_blocks(self.step, d, r):
            total += count * self._block(beta, sizes)
        return total

    def _block(self, beta: Widths, sizes: Widths) -> int:
        d, p, power, k = self.d, self.p, self.r[-1], self.layer
        degree, m = prod(self.r[: k - 1]), d[-1]
        units = dict(zip(partitions(degree, self.units), self.step["numbers"], strict=True))
        points = forms_most(beta, sizes, units, degree, power, m)
        if not points:
            return 0
        key = f"{self.key}/forms/{'-'.join(map(str, d))}/{beta}/{sizes}"
        x = [_drawn(f"{key}/x{i}", points, size, p) for i, size in enumerate(sizes)]
        v = _drawn(f"{key}/v", points, m, p)
        blocks, width = list[Rows](), 0
        for alpha, count in forms_columns(beta, units, degree, power):
            rest = tuple(b - (power - 1) * a for a, b in zip(alpha, beta, strict=True))
            below, above = _monomials(x, alpha, p), _monomials(x, rest, p)
            for unit in range(count):
                z = times(below, _drawn(f"{key}/{alpha}/{unit}/z", len(below[0]), 1, p), p)
                out = times(v, _drawn(f"{key}/{alpha}/{unit}/u", m, 1, p), p)
                factors = [pow(y, power - 1, p) * u % p for [y], [u] in zip(z, out, strict=True)]
                blocks.append([[f * y % p for y in row] for f, row in zip(factors, above, strict=True)])
                width += len(above[0])
                if rest == alpha:
                    pairs = zip(z, v, strict=True)
                    blocks.append([[pow(y, power, p) * w % p for w in row] for [y], row in pairs])
                    width += m
                if width > 2 * points + 40:
                    break
        return self._rank(side_by_side(*blocks))


WIDEST = 1500  # layers whose spans are ranks
LARGEST_BLOCK = 2500  # weights of lower layers that the first group of outputs takes


def classes(d: Sequence[int], q: int, shared: bool) -> list[tuple[int, Widths]]:
    """The widths of the classes, if each layer is dealt out evenly."""
    ends = sorted({*(n % q for n in (d[:-1] if shared else d)), q} - {0})
    found: dict[Widths, int] = {}
    for start, end in zip([0, *ends], ends, strict=False):
        part = [n // q + (start < n % q) for n in d]
        widths = (*part[:-1], d[-1]) if shared else tuple(part)
        found[widths] = found.get(widths, 0) + end - start
    return [(count, widths) for widths, count in found.items()]


# forms in groups of variables


def partitions(n: int, most: int) -> list[Widths]:
    """All falling lists of at most so many positive integers with sum n, the largest first."""

    def down(left: int, top: int, room: int) -> Iterator[Widths]:
        if not left:
            yield ()
        for k in range(min(left, top), 0, -1) if room else ():
            for rest in down(left - k, k, room - 1):
                yield (k, *rest)

    return list(down(n, n, most))


def _arrangements(type_: Widths, places: int) -> int:
    if len(type_) > places:
        return 0
    repeated = prod(factorial(type_.count(k)) for k in set(type_))
    return factorial(places) // factorial(places - len(type_)) // repeated


def forms_columns(
    beta: Widths, units: Mapping[Widths, int], degree: int, power: int
) -> list[tuple[Widths, int]]:
    """The degrees of units whose (r - 1)st power divides, and how many units have each."""
    found = []
    for alpha in itertools.product(*(range(b // (power - 1) + 1) for b in beta)):
        if sum(alpha) == degree:
            type_ = tuple(sorted((a for a in alpha if a), reverse=True))
            found.append((alpha, units.get(type_, 0)))
    return [(alpha, count) for alpha, count in found if count]


def _dimension(degrees: Sequence[int], sizes: Widths) -> int:
    return prod(comb(size - 1 + b, b) for b, size in zip(degrees, sizes, strict=True))


def forms_most(
    beta: Widths, sizes: Widths, units: Mapping[Widths, int], degree: int, power: int, m: int
) -> int:
    """What the rank of a block can be at most."""
    total = 0
    for alpha, count in forms_columns(beta, units, degree, power):
        rest = tuple(b - (power - 1) * a for a, b in zip(alpha, beta, strict=True))
        total += count * (_dimension(rest, sizes) + (rest == alpha) * (m - 1))
    return min(m * _dimension(beta, sizes), total)


def forms_blocks(step: Step, d: Widths, r: Widths) -> list[tuple[int, Widths, Widths, int]]:
    """How many blocks have a degree in groups of which sizes, and what their rank is at most."""
    groups, counts = step["units"], step["numbers"]
    degree, power = prod(r[: len(d) - 3]), r[-1]
    types = partitions(degree, groups) if degree * power <= 12 and 0 < groups <= d[0] else []
    used = sum(count * _arrangements(type_, groups) for type_, count in zip(types, counts, strict=False))
    if not types or len(types) != len(counts) or used > d[-2]:
        raise Refuted("the last hidden units are not dealt as the step says")
    units, size, more = dict(zip(types, counts, strict=True)), d[0] // groups, d[0] % groups
    found = []
    for part in range(degree * power + 1):
        for one in partitions(part, groups - more):
            for other in partitions(degree * power - part, more):
                count = _arrangements(one, groups - more) * _arrangements(other, more)
                beta, sizes = one + other, (size,) * len(one) + (size + 1,) * len(other)
                most = forms_most(beta, sizes, units, degree, power, d[-1])
                found.append((count, beta, sizes, most))
    return found


def _monomials(x: list[Rows], degrees: Widths, p: int) -> Rows:
    """The values of all monomials of these degrees."""
    values: Rows = [[1] for _ in x[0]]
    for own, degree in zip(x, degrees, strict=True):
        chosen = list(itertools.combinations_with_replacement(range(len(own[0])), degree))
        rows = [[prod(row[i] for i in one) % p for one in chosen] for row in own]
        values = [[a * b % p for a in left for b in right] for left, right in zip(values, rows, strict=True)]
    return values

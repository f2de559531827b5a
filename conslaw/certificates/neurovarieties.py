"""Certificates of dimensions of neurovarieties, checked with other code than that which made them.

The upper bound is a tree of rules: each step is computed again from its widths and from the bounds of its
parts.  The lower bound is a rank mod p at the weights that a key stands for (any would do): the network is
run point by point in Python's integers, and FLINT takes the ranks.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from math import comb, prod
from typing import Any

from conslaw.algebra.finite_field import drawn
from conslaw.certificates.budget import NotChecked
from conslaw.certificates.kernel import Refuted
from conslaw.certificates.reading import prime

RULES = {"parameters without scales", "coefficients", "determinantal", "split", "hypersurface", "units"}
RULES |= {"Alexander-Hirschowitz", "Segre-Veronese", "biases as constant units"}
LARGEST_NUMBER = 10_000  # digits, up to which binomial coefficients are computed
Widths = tuple[int, ...]
Step = Mapping[str, Any]


def claim(network: Mapping[str, Any], bounds: Mapping[str, str]) -> str:
    """What is proved, in words that follow from the other sections."""
    powers = ", ".join(map(str, network["powers"])) or "none"
    called = "-".join(map(str, network["widths"])) + f", powers {powers}" + ", with bias" * network["bias"]
    least, most = int(bounds["lower"]), int(bounds["upper"])
    number = f"is {most}" if least == most else f"is at least {least} and at most {most}"
    return f"the dimension of the neurovariety of the polynomial network {called} {number}"


def work(whole: Mapping[str, Any], allowed: float) -> str:
    """Refuse, before anything is begun, what would take too much work."""
    steps = [whole["upper"]]
    for step in steps:
        if len(steps) > 10_000:
            raise NotChecked("more than 10,000 steps")
        steps += step["parts"]
        d, r = step["widths"], step["powers"]
        digits = min(d[0], prod(r[:64])) * (sum(x.bit_length() for x in r) + d[0].bit_length())
        if digits > LARGEST_NUMBER * 300:
            raise NotChecked("numbers of more digits than any answer has")
    d, lower = whole["network"]["widths"], whole["lower"]
    parts = _classes(d, lower["colours"], lower["shared"]) if lower["colours"] else [(1, d)]
    needed = 0.0
    for _, part in parts:
        parameters = float(sum(a * b for a, b in itertools.pairwise(part)))
        needed += parameters**3 + 1000 * parameters**2
    needed += sum(float(s["units"]) ** 3 + 1000.0 * s["units"] * _weights(s) for s in steps if _must_rank(s))
    if needed > allowed:
        raise NotChecked(
            f"about {needed / 1e9:.2g}·10⁹ multiplications: --budget {needed / 1e9:.2g} allows them"
        )
    return f"about {needed / 1e9:.2g}·10⁹ multiplications"


def _weights(step: Step) -> int:
    d: list[int] = step["widths"][: step["layer"]]
    return sum(a * b for a, b in itertools.pairwise(d)) + 1


def _must_rank(step: Step) -> bool:
    return bool(step["rule"] == "units") and bool(
        step["units"] > min(step["widths"][: step["layer"]], default=0)
    )


# the upper bound


def upper(whole: Mapping[str, Any]) -> str:
    """The tree of rules proves what it says of this network."""
    network, step = whole["network"], whole["upper"]
    d, r = tuple(network["widths"]), tuple(network["powers"])
    if len(r) != len(d) - 2:
        raise Refuted("a network has one power for each hidden layer")
    if (tuple(step["widths"]), tuple(step["powers"])) != (d, r):
        raise Refuted("the first step is about another network")
    found = _with_bias(step, d, r) if network["bias"] and len(d) > 2 else _proved(step, d, r)
    if found != int(whole["bounds"]["upper"]):
        raise Refuted(f"the rules give {found}")
    return f"{found}, by {step['rule']}"


def _with_bias(step: Step, d: Widths, r: Widths) -> int:
    """A bias is a weight from a unit that is constant."""
    if step["rule"] == "parameters without scales":
        return _stated(step, sum(a * b for a, b in itertools.pairwise(d)))
    if step["rule"] == "coefficients":
        return _stated(step, d[-1] * comb(d[0] + prod(r), d[0]))
    if step["rule"] == "biases as constant units":
        larger = (*(n + 1 for n in d[:-2]), *d[-2:])
        return _stated(step, _parts(step, (larger, r))[0])
    raise Refuted(f"the rule {step['rule'][:40]!r} is not for networks with biases")


def _stated(step: Step, found: int) -> int:
    if found != int(step["bound"]):
        raise Refuted(f"{step['rule']} gives {found} for {step['widths']}, not {step['bound']}")
    return found


def _parts(step: Step, *expected: tuple[Widths, Widths]) -> list[int]:
    """The bounds of the parts, which must be about these networks."""
    if len(step["parts"]) != len(expected):
        raise Refuted(f"{step['rule']} has {len(step['parts'])} parts")
    return [_proved(part, d, r) for part, (d, r) in zip(step["parts"], expected, strict=True)]


def _proved(step: Step, d: Widths, r: Widths) -> int:
    """The bound of one step, computed again."""
    if (tuple(step["widths"]), tuple(step["powers"])) != (d, r):
        raise Refuted(f"a part is about {step['widths']}, not {list(d)}")
    if step["rule"] not in RULES or len(r) != len(d) - 2:
        raise Refuted(f"there is no rule {step['rule'][:40]!r}")
    last, k, j = len(d) - 1, step["layer"], step["source"]
    forms = comb(d[0] - 1 + prod(r), d[0] - 1)
    spans = _spans(d, r)
    match step["rule"]:
        case "parameters without scales":
            found = sum(a * b for a, b in itertools.pairwise(d)) - sum(d[1:-1])
        case "coefficients":
            found = d[-1] * forms
        case "determinantal" if last > 1:
            found = _of_rank(d[-1], forms, spans[-1])
        case "split" if 0 < k < last:
            found = sum(_parts(step, (d[: k + 1], r[: k - 1]), (d[k:], r[k:]))) - d[k]
        case "hypersurface" if 0 <= j < k < last and d[k] == d[j] + 1:
            t, e = prod(r[k:]), prod(r[j:k]) ** (d[j] - 1)
            left = sum(comb(d[j] - 1 + s, s) for s in range(max(0, t - e + 1), t + 1))
            before = _parts(step, (d[: k + 1], r[: k - 1]))[0]
            found = before - d[k] + _of_rank(d[-1], left, spans[-1])
        case "units" if 0 < k <= last:
            m = min(spans[k - 1], d[k])
            if step["units"] != m or (m == d[k] and k == last) or (k == 1 and m == d[0]):
                raise Refuted(f"the units of layer {k - 1} of {d} do not span {step['units']} dimensions")
            _units_independent(d[:k], r[: k - 1], m)
            found = sum(_parts(step, ((*d[:k], m), r[: k - 1]), ((m, *d[k:]), r[k - 1 :]))) - m * m
        case "Alexander-Hirschowitz" if last == 2 and d[2] == 1:
            found = _alexander_hirschowitz(d[0], d[1], r[0], forms)
        case "Segre-Veronese" if last == 2:
            whole = min(d[1] * (d[0] + d[2] - 1), d[2] * forms)
            listed = (r[0], *d) in ((3, 3, 5, 2), (2, 4, 6, 5))
            if not listed and not (
                r[0] == 2 and d[0] >= 4 and d == (d[0], 3 * d[0] // 2 - 1, 3) and d[0] % 2 == 0
            ):
                raise Refuted(f"no theorem on Segre-Veronese varieties is cited for {d}")
            found = whole - 1
        case _:
            raise Refuted(f"the rule {step['rule']} does not apply to {d}")
    return _stated(step, found)


def _alexander_hirschowitz(n: int, h: int, r: int, forms: int) -> int:
    """The dimension of sums of h r-th powers of linear forms in n variables, where it is defective."""
    if r == 2 and 2 <= h < n:
        return n * (n + 1) // 2 - (n - h) * (n - h + 1) // 2
    if (r, n, h) in ((3, 5, 7), (4, 3, 5), (4, 4, 9), (4, 5, 14)):
        return min(n * h, forms) - 1
    raise Refuted(
        f"the theorem of Alexander and Hirschowitz has no defect for r = {r}, {n} variables, {h} powers"
    )


def _of_rank(rows: int, columns: int, rank: int) -> int:
    """The dimension of the matrices of at most this rank."""
    rank = min(rank, rows, columns)
    return rank * (rows + columns - rank)


def _spans(d: Widths, r: Widths) -> list[int]:
    """How many dimensions the units of each layer span at most."""
    spans, degree = [d[0]], 1
    for i, power in enumerate(r, start=1):
        degree *= power
        variables = min(spans[-1], d[i])
        spans.append(min(d[i], comb(variables - 1 + power, power), comb(d[0] - 1 + degree, degree)))
    return spans


def _units_independent(d: Widths, r: Widths, m: int) -> None:
    """The units of the last layer span m dimensions: m chains of one neuron a layer do, or a rank says so."""
    if m <= min(d):
        return
    p = 2**31 - 1
    weights = [drawn(f"{d} {r} {i}", (b, a), p).tolist() for i, (a, b) in enumerate(itertools.pairwise(d))]
    rows = []
    for x in drawn(f"{d} {r} x", (m, d[0]), p).tolist():
        units = x
        for matrix, power in zip(weights, r, strict=True):
            units = [pow(sum(map(int.__mul__, row, units)), power, p) for row in matrix]
        rows.append(units)
    if _rank(rows, p) < m:
        raise Refuted(f"the units of {d} span fewer than {m} dimensions at the weights tried")


# the lower bound


def lower(whole: Mapping[str, Any]) -> str:
    """The ranks at the weights of this key."""
    network, given = whole["network"], whole["lower"]
    d, r, p = tuple(network["widths"]), tuple(network["powers"]), prime(given["prime"])
    if not given["colours"]:
        most = int(whole["bounds"]["lower"])
        found, _, _, _ = _ranks(d, r, network["bias"], given["key"], p, most)
        said = f"the rank of {most} gradients"
    else:
        found = _coloured(d, r, network["bias"], given, p)
        said = f"{given['colours']} colours"
    if found != int(whole["bounds"]["lower"]):
        raise Refuted(f"the rank is {found}")
    return f"{found}, {said}, mod {p}"


def _classes(d: Sequence[int], q: int, shared: bool) -> list[tuple[int, Widths]]:
    """The widths of the classes, if each layer is dealt out evenly."""
    ends = sorted({*(n % q for n in d), q} - {0})
    found = []
    for start, end in zip([0, *ends], ends, strict=False):
        part = [n // q + (start < n % q) for n in d]
        found.append((end - start, (*part[:-1], d[-1]) if shared else tuple(part)))
    return found


def _coloured(d: Widths, r: Widths, bias: bool, given: Mapping[str, Any], p: int) -> int:
    """*Colours*: the blocks of the Jacobian between classes are products of spans."""
    q, shared, last = given["colours"], given["shared"], len(d) - 1
    total, inside = 0, []
    for count, part in _classes(d, q, shared):
        if min(part) < 1:
            raise Refuted("a colour without neurons in some layer")
        forms = part[-1] * comb(part[0] - 1 + prod(r), part[0] - 1)
        free = sum(a * b for a, b in itertools.pairwise(part)) - sum(part[1:-1])
        rank, units, slopes, independent = _ranks(
            part, r, False, f"{given['key']}/{part}", p, min(free, forms)
        )
        if shared and r[-1] == 2 and not independent:
            raise Refuted("the units of a colour before the last activation are not independent")
        total += count * rank
        inside.append((count, part, units, slopes))
    layers = range(1, last if shared else last + 1)
    for layer in layers:
        below = sum(count * units[layer - 1] for count, _, units, _ in inside)
        total += sum(count * slopes[layer] * (below - units[layer - 1]) for count, _, units, slopes in inside)
    if bias:
        total += sum(count * slopes[layer] for count, _, _, slopes in inside for layer in range(1, last))
    if shared and r[-1] == 2 and d[-1] == 1:
        hidden = [count * part[-2] ** 2 for count, part, _, _ in inside]
        total -= (d[-2] ** 2 - sum(hidden)) // 2
    return total


def _ranks(
    d: Widths, r: Widths, bias: bool, key: str, p: int, points: int
) -> tuple[int, list[int], list[int], bool]:
    """The ranks, at so many points, of the gradients, of the units of each layer and of the derivatives by
    each layer; and whether the last layer is independent before its activation.
    """
    last = len(d) - 1
    weights = [drawn(f"{key}/W{i}", (b, a), p).tolist() for i, (a, b) in enumerate(itertools.pairwise(d), 1)]
    shifts = [
        drawn(f"{key}/b{i}", (n,), p).tolist() if bias and i < last else [0] * n
        for i, n in enumerate(d[1:], 1)
    ]
    count = max(points, *d)
    inputs, outputs = (
        drawn(f"{key}/x", (count, d[0]), p).tolist(),
        drawn(f"{key}/v", (count, d[-1]), p).tolist(),
    )
    gradients = list[list[int]]()
    units: list[list[list[int]]] = [[] for _ in d]
    slopes: list[list[list[int]]] = [[] for _ in d]
    before = []
    for x, v in zip(inputs, outputs, strict=True):
        a, z = [x], list[list[int]]()
        for i, (matrix, shift) in enumerate(zip(weights, shifts, strict=True)):
            z.append([(sum(map(int.__mul__, w, a[-1])) + b) % p for w, b in zip(matrix, shift, strict=True)])
            a.append([pow(y, r[i], p) for y in z[-1]] if i < last - 1 else z[-1])
        by = v
        gradient = list[int]()
        for i in range(last - 1, -1, -1):
            slopes[i + 1].append(by)
            gradient += [s * y % p for s in by for y in a[i]] + (by if bias and i < last - 1 else [])
            if i:
                back = [sum(map(int.__mul__, column, by)) for column in zip(*weights[i], strict=True)]
                by = [b * r[i - 1] * pow(y, r[i - 1] - 1, p) % p for b, y in zip(back, z[i - 1], strict=True)]
        gradients.append(gradient)
        for layer in range(last):
            units[layer].append(a[layer])
        before.append(z[last - 2] if last > 1 else x)
    spans = [_rank(units[layer][: d[layer]], p) for layer in range(last)]
    derived = [0, *(_rank(slopes[layer][: d[layer]], p) for layer in range(1, last + 1))]
    return _rank(gradients, p), spans, derived, _rank(before[: d[-2]], p) == d[-2]


def _rank(rows: list[list[int]], p: int) -> int:
    import flint

    return int(flint.nmod_mat(len(rows), len(rows[0]), [y for row in rows for y in row], p).rank())


def conclusion(whole: Mapping[str, Any]) -> str:
    """The claim is what the bounds say."""
    if claim(whole["network"], whole["bounds"]) != whole["claim"]:
        raise Refuted(f"what is proved is {claim(whole['network'], whole['bounds'])!r}")
    met = whole["bounds"]["lower"] == whole["bounds"]["upper"]
    return "both bounds meet" if met else "the bounds do not meet, and the claim says so"

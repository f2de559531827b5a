"""Certificates of dimensions of neurovarieties, checked with other code than that which made them.

A bound is a list of steps: each is computed again from its widths and from the bounds of those before it that
it uses.  This is the bound from above; that from below is in :mod:`conslaw.certificates.neurovariety_ranks`.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from math import comb, prod
from typing import Any

from conslaw.certificates import neurovariety_ranks
from conslaw.certificates.budget import NotChecked
from conslaw.certificates.kernel import Refuted
from conslaw.certificates.neurovariety_ranks import bounds_of, stated, used

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
    needed, digits = 0.0, 0
    for step in [*whole["upper"], *whole["lower"]["steps"]]:
        d, r = step["widths"], step["powers"]
        variables = max(d[0], d[step["source"]]) if step["source"] < len(d) else d[0]
        longest = min(variables, prod(r[:64])) * (sum(x.bit_length() for x in r) + variables.bit_length())
        digits += longest
        if longest > LARGEST_NUMBER * 300 or digits > LARGEST_NUMBER * 30_000:
            raise NotChecked("numbers of more digits than any answer has")
    for step in whole["upper"]:
        if _must_rank(step):
            needed += float(step["units"]) ** 3 + 100.0 * step["units"] * _weights(step)
    for step in whole["lower"]["steps"]:
        needed += neurovariety_ranks.work(step)
    if needed > allowed:
        raise NotChecked(
            f"about {needed / 1e9:.2g}·10⁹ multiplications: --budget {needed / 1e9 * 1.05:.2g} allows them"
        )
    return f"about {needed / 1e9:.2g}·10⁹ multiplications"


def _weights(step: Step) -> int:
    d: list[int] = step["widths"][: step["layer"]]
    return sum(a * b for a, b in itertools.pairwise(d)) + 1


def _must_rank(step: Step) -> bool:
    d, r = step["widths"][: step["layer"]], step["powers"][: max(0, step["layer"] - 1)]
    return step["rule"] == "units" and len(d) > 1 and not independent_by_theorem(d, r, step["units"])


# the upper bound


def upper(whole: Mapping[str, Any]) -> str:
    """The rules prove what they say of this network."""
    network, steps = whole["network"], whole["upper"]
    d, r = tuple(network["widths"]), tuple(network["powers"])
    if len(r) != len(d) - 2:
        raise Refuted("a network has one power for each hidden layer")
    if (tuple(steps[-1]["widths"]), tuple(steps[-1]["powers"])) != (d, r):
        raise Refuted("the last step is about another network")
    found = 0
    for i, (step, parts) in enumerate(used(steps), start=1):
        biased = network["bias"] and len(d) > 2 and i == len(steps)
        found = _with_bias(step, parts) if biased else _proved(step, parts)
    if found != int(whole["bounds"]["upper"]):
        raise Refuted(f"the rules give {found}")
    return f"{found}, by {steps[-1]['rule']}"


def _with_bias(step: Step, parts: Sequence[Step]) -> int:
    """A bias is a weight from a unit that is constant."""
    d, r = tuple(step["widths"]), tuple(step["powers"])
    if step["rule"] == "parameters without scales":
        return stated(step, sum(a * b for a, b in itertools.pairwise(d)))
    if step["rule"] == "coefficients":
        return stated(step, d[-1] * comb(d[0] + prod(r), d[0]))
    if step["rule"] == "biases as constant units":
        larger = (*(n + 1 for n in d[:-2]), *d[-2:])
        return stated(step, bounds_of(parts, (larger, r))[0])
    raise Refuted(f"the rule {step['rule'][:40]!r} is not for networks with biases")


def _proved(step: Step, parts: Sequence[Step]) -> int:
    """The bound of one step, computed again."""
    d, r = tuple(step["widths"]), tuple(step["powers"])
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
            found = sum(bounds_of(parts, (d[: k + 1], r[: k - 1]), (d[k:], r[k:]))) - d[k]
        case "hypersurface" if 0 <= j < k < last and d[k] == d[j] + 1:
            t = prod(r[k:])
            e = _power_up_to(prod(r[j:k]), d[j] - 1, t + 1)
            left = comb(d[j] + t, d[j]) - comb(d[j] + t - e, d[j])  # forms of degrees t - e + 1 to t
            before = bounds_of(parts, (d[: k + 1], r[: k - 1]))[0]
            found = before - d[k] + _of_rank(d[-1], left, spans[-1])
        case "units" if 0 < k <= last:
            m = min(spans[k - 1], d[k])
            if step["units"] != m or (m == d[k] and k == last) or (k == 1 and m == d[0]):
                raise Refuted(f"the units of layer {k - 1} of {d} do not span {step['units']} dimensions")
            _units_independent(d[:k], r[: k - 1], m)
            found = sum(bounds_of(parts, ((*d[:k], m), r[: k - 1]), ((m, *d[k:]), r[k - 1 :]))) - m * m
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
    return stated(step, found)


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
        room = _comb_up_to(d[0] - 1 + degree, degree, d[i])
        spans.append(min(room, _comb_up_to(variables - 1 + power, power, d[i])))
    return spans


def _comb_up_to(n: int, k: int, most: int) -> int:
    """min(comb(n, k), most): as long as it is less, without the many digits of what is more."""
    found = 1
    for i in range(min(k, n - k)):
        if found >= most:
            break
        found = found * (n - i) // (i + 1)
    return min(found, most)


def _power_up_to(base: int, exponent: int, most: int) -> int:
    """min(base**exponent, most), of a base of at least 2, without the many digits of what is more."""
    small = (base.bit_length() - 1) * exponent < most.bit_length()
    return min(base**exponent, most) if small else most


def _units_independent(d: Widths, r: Widths, m: int) -> None:
    """The units of the last layer span m dimensions: by a theorem, or a rank says so."""
    if len(d) > 1 and not independent_by_theorem(d, r, m):
        here = neurovariety_ranks.run((*d, 1), r, False, f"{d} {r}", 2**31 - 1, m)
        if neurovariety_ranks.rank(here.units[-2], 2**31 - 1) < m:
            raise Refuted(f"the units of {d} span fewer than {m} dimensions at the weights tried")


def independent_by_theorem(d: Sequence[int], r: Sequence[int], m: int) -> bool:
    """Chains of one neuron a layer are powers of different inputs; powers of general forms of a degree, as
    many as there is room for, are independent, and so are powers of combinations of all forms.
    """
    if m <= min(d):
        return True
    degree = 1
    for i, (width, power) in enumerate(zip(d[1:], r, strict=True), start=2):
        degree *= power
        room = _comb_up_to(d[0] - 1 + degree, degree, width + 1)
        if i == len(d):
            return m <= min(width, room)
        if width < room:
            return False
    return False


def conclusion(whole: Mapping[str, Any]) -> str:
    """The claim is what the bounds say."""
    if claim(whole["network"], whole["bounds"]) != whole["claim"]:
        raise Refuted(f"what is proved is {claim(whole['network'], whole['bounds'])!r}")
    met = whole["bounds"]["lower"] == whole["bounds"]["upper"]
    return "both bounds meet" if met else "the bounds do not meet, and the claim says so"

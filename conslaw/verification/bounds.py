"""Bounds of flows that are written out: the rank of brackets at a point, laws as identities, the rank of their gradients."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from conslaw.verification.algebra import (
    Polynomial,
    Refuted,
    Sampler,
    VectorField,
    check_prime,
    increments,
    is_symbolic,
    parse,
    rank,
    without,
)
from conslaw.verification.subject import Subject

SURPLUS = 4  # samples beyond those that a rank needs


def upper_by_brackets(whole: Mapping[str, Any], subject: Subject, bounds: dict[str, int]) -> str:
    """At most so many laws: brackets at the recorded point have the recorded rank."""
    upper, n = whole["upper"], subject.dimension
    p, ranks = upper["prime"], upper["ranks"]
    check_prime(p)
    point = np.array([v for name in subject.state for v in upper["point"][name]], dtype=np.int64)
    if len(point) != n or (point < 0).any() or (point >= p).any() or set(upper["point"]) != set(subject.state):
        raise Refuted(f"the point has not {n} residues mod {p}")
    if sorted(ranks) != ranks or not ranks or ranks[-1] > n:
        raise Refuted(f"the ranks {ranks} do not rise to at most {n}")
    sampler = Sampler(subject.exact(), n, p, np.random.default_rng(1))
    symbolic = is_symbolic(sampler.terms, ranks)
    rows = list[Any]()
    for depth, more in enumerate(increments(ranks), start=1):
        count = more + SURPLUS if more else 0
        if symbolic:
            rows += [sampler.sample(depth, point, first=range(len(sampler.fields))) for _ in range(count)]
        elif count:
            rows += _by_jets(subject, upper["point"], depth, count, p)
        if count and (found := rank(rows, p)) != ranks[depth - 1]:
            raise Refuted(f"the brackets of up to {depth} fields reach rank {found} at this point, not {ranks[depth - 1]}")
    found = ranks[-1]
    bounds["laws_at_most"] = n - found
    how = "exact symbolic brackets" if symbolic else "jets, the method of the search, as symbolic brackets would be too large"
    return f"{n} - {found} = {n - found} laws, as brackets reach rank {found} mod {p} ({how})"


def _by_jets(subject: Subject, point: Mapping[str, Any], depth: int, count: int, p: int) -> list[Any]:
    from conslaw.lie import trace_samples

    if subject.flow is None:
        raise Refuted("brackets of these fields are too large to be taken symbolically")
    state = {name: {0: np.array(point[name], dtype=np.uint64).reshape(1, *shape)} for name, shape in subject.state.items()}
    return list(trace_samples(subject.flow, state, depth, count, np.random.default_rng(depth), p).tolist())


def lower_by_polynomials(whole: Mapping[str, Any], subject: Subject, bounds: dict[str, int]) -> str:
    """At least so many laws: each is an identity, and their gradients are independent."""
    lower, n, fields = whole["lower"], subject.dimension, subject.exact()
    p, names = lower["prime"], lower["coordinates"]
    check_prime(p)
    numbers = subject.numbers()
    state = list(numbers)[:n]
    data = len(numbers)
    if names[:n] != state or len(lower["point"]) != len(names):
        raise Refuted("the coordinates are not those of the state")
    variables = {name: i for i, name in enumerate(state)}
    logs: dict[int, int] = {}  # from a logarithm to its coordinate
    for k, name in enumerate(names[n:], start=data):
        inner = re.fullmatch(r"log\((.*)\)", name)
        if inner and inner[1] in variables and name not in variables:
            variables[name] = k
            logs[k] = variables[inner[1]]
        elif name != "unused":
            raise Refuted(f"{name} is not a coordinate")
    gradients = list[list[int]]()
    point = [*lower["point"][:n], *[1] * (data - n), *lower["point"][n:]]
    for number, law in enumerate(lower["laws"]):
        top = parse(law["numerator"], variables)
        bottom = parse(law["denominator"], variables) if law["denominator"] is not None else None
        if not any(top.terms) and not (bottom and any(bottom.terms)):
            raise Refuted(f"law {number + 1}, {law['numerator'][:60]}, is a constant")
        if bottom is not None and not bottom.terms:
            raise Refuted(f"law {number + 1} has the denominator 0")
        for one in fields:
            change = derivative(top, one, logs)
            if bottom is not None:
                change = change * bottom + top * derivative(bottom, one, logs) * -1
            if change.terms:
                raise Refuted(f"law {number + 1}, {law['numerator'][:60]}, is not conserved")
        gradients.append(_gradient(top, bottom, point, n, logs, p))
    found = rank(gradients, p)
    bounds["laws_found"] = found
    if found != whole["bounds"]["laws_found"]:
        raise Refuted(f"the gradients of the {len(gradients)} laws have rank {found}, not {whole['bounds']['laws_found']}")
    return f"{found} laws, as {len(gradients)} laws are identities over Q and their gradients have rank {found} mod {p}"


def derivative(law: Polynomial, field: VectorField, logs: Mapping[int, int]) -> Polynomial:
    """The derivative of a law along a field; that of log(x) is x'/x, which must be a polynomial."""
    pieces = list[Polynomial]()
    for v, slope in law.slopes().items():
        moved = field.get(logs.get(v, v))
        if moved is None:
            continue
        if v in logs:
            if any(logs[v] not in m for m in moved.terms):
                raise Refuted("a logarithm whose velocity is not a polynomial")
            x = logs[v]
            moved = Polynomial({without(m, x): c for m, c in moved.terms.items()})
        pieces.append(slope * moved)
    return _sum(pieces)


def _sum(pieces: Sequence[Polynomial]) -> Polynomial:
    total: dict[tuple[int, ...], Any] = {}
    for x in pieces:
        for m, c in x.terms.items():
            total[m] = total.get(m, 0) + c
    return Polynomial({m: c for m, c in total.items() if c})


def _gradient(
    top: Polynomial, bottom: Polynomial | None, point: Sequence[int], n: int, logs: Mapping[int, int], p: int
) -> list[int]:
    """The gradient mod p of a law, times the square of its denominator."""

    def plain(x: Polynomial) -> list[int]:
        result = [0] * n
        for v, slope in x.slopes().items():
            value = slope.at(point, p)
            if v in logs:
                result[logs[v]] += value * pow(point[logs[v]], -1, p)
            elif v < n:
                result[v] += value
        return [value % p for value in result]

    if bottom is None:
        return plain(top)
    a, b = top.at(point, p), bottom.at(point, p)
    return [(x * b - a * y) % p for x, y in zip(plain(top), plain(bottom), strict=True)]

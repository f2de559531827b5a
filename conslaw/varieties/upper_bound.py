"""Upper bounds for the dimension of a neurovariety: a recursion over the widths, in integers.

Each rule is a theorem (Statement and Proof in ``docs/neurovarieties.md``); two of them need that some units
are linearly independent functions, which a rank mod p proves.  What comes out is a tree of rules, so that
the bound can be checked again without the search.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from math import comb, prod

from conslaw.varieties.architecture import Architecture
from conslaw.varieties.network_ranks import independent_units
from conslaw.varieties.steps import TRIVIAL, Step, Widths

SPORADIC = {  # (power; d_0, d_1, d_2): the naive dimension or the ambient one, and one less
    (3, 5, 7, 1): "Alexander-Hirschowitz",
    (4, 3, 5, 1): "Alexander-Hirschowitz",
    (4, 4, 9, 1): "Alexander-Hirschowitz",
    (4, 5, 14, 1): "Alexander-Hirschowitz",
    (3, 3, 5, 2): "Segre-Veronese",
    (2, 4, 6, 5): "Segre-Veronese",
}


def upper_bound(network: Architecture) -> Step:
    """The least bound that the rules give.

    A network with biases is a network without, which has one more unit, the constant 1, in the input and in
    each hidden layer but the last.
    """
    if not network.bias or network.depth == 1:
        return _bound(network.widths, network.powers)
    own = min(
        Step(TRIVIAL[0], network.widths, network.powers, network.naive),
        Step(TRIVIAL[1], network.widths, network.powers, network.ambient),
        key=lambda step: step.bound,
    )
    d = network.widths
    larger = _bound((*(n + 1 for n in d[:-2]), *d[-2:]), network.powers)
    bias = Step("biases as constant units", d, network.powers, larger.bound, parts=(larger,))
    return min(own, bias, key=lambda step: step.bound)


@lru_cache(maxsize=100_000)
def _bound(d: Widths, r: Widths) -> Step:
    return min(_steps(d, r), key=lambda step: step.bound)


def _steps(d: Widths, r: Widths) -> Iterator[Step]:
    network = Architecture(d, r)
    last = network.depth
    yield Step(TRIVIAL[0], d, r, network.naive)
    yield Step(TRIVIAL[1], d, r, network.ambient)
    if last == 1:
        return
    spans = span_bounds(d, r)
    if spans[last - 1] < min(d[last], network.monomials):
        s = spans[last - 1]
        yield Step("determinantal", d, r, s * (d[last] + network.monomials - s), units=s)
    if last == 2 and (cited := two_layers(d, r[0])):
        yield Step(cited[0], d, r, cited[1])
    for k in range(1, last):
        before, after = _bound(d[: k + 1], r[: k - 1]), _bound(d[k:], r[k:])
        yield Step("split", d, r, before.bound + after.bound - d[k], layer=k, parts=(before, after))
        for j in range(k):
            if d[k] == d[j] + 1:
                bound = before.bound - d[k] + on_hypersurface(d, r, j, k, spans[-1])
                yield Step("hypersurface", d, r, bound, layer=k, source=j, parts=(before,))
    for k in range(1, last + 1):
        m = min(spans[k - 1], d[k])
        first, second = (*d[:k], m), (m, *d[k:])
        if d not in (first, second) and independent_units(d[:k], r[: k - 1], m):
            before, after = _bound(first, r[: k - 1]), _bound(second, r[k - 1 :])
            bound = before.bound + after.bound - m * m
            yield Step("units", d, r, bound, layer=k, units=m, parts=(before, after))


def span_bounds(d: Widths, r: Widths) -> list[int]:
    """Most dimensions that the units of layers 0, ..., L - 1 span, after their activation."""
    spans, degree = [d[0]], 1
    for width, power in zip(d[1:], r, strict=False):
        degree *= power
        among = comb(min(spans[-1], width) + power - 1, power)
        spans.append(min(width, among, comb(d[0] - 1 + degree, degree)))
    return spans


def two_layers(d: Widths, r: int) -> tuple[str, int] | None:
    """The defective cases of two layers that theorems name, and their dimensions."""
    n, h, m = d
    network = Architecture(d, (r,))
    if r == 2 and m == 1 and 2 <= h < n:
        return "Alexander-Hirschowitz", h * n - comb(h, 2)
    if cited := SPORADIC.get((r, n, h, m)):
        return cited, min(network.naive, network.ambient) - 1
    if r == 2 and m == 3 and n % 2 == 0 and n >= 4 and h == 3 * (n // 2) - 1:
        return "Segre-Veronese", min(network.naive, network.ambient) - 1
    return None


def on_hypersurface(d: Widths, r: Widths, j: int, k: int, rank: int) -> int:
    """Most dimensions of the outputs as forms in the d_j + 1 units of layer k, which satisfy an equation of
    degree R**(d_j - 1), R the degree of the units of layer k in those of layer j; ``rank`` is what the last
    hidden units span at most.
    """
    e, t = prod(r[j:k]) ** (d[j] - 1), prod(r[k:])
    forms = comb(d[k] - 1 + t, t) - (comb(d[k] - 1 + t - e, t - e) if t >= e else 0)
    outputs = d[-1]
    return rank * (outputs + forms - rank) if rank < min(outputs, forms) else outputs * forms

"""The same array code with fewer nodes: a convolution written as a sum over its taps is one product.

A sum of products of entries taken from the same two arrays, such as ``sum_k K[k] @ h[k : k + n]``, becomes
one product with the taps as a letter more that is summed over.
"""

from __future__ import annotations

from collections.abc import Hashable
from functools import reduce
from operator import add

import numpy as np

from conslaw.algebra.evaluation import topological_order
from conslaw.algebra.expressions import LETTERS, Expression, Indices, contract, taken


def fused(output: Expression) -> Expression:
    """An expression of the same value."""
    order = topological_order([output])
    uses: dict[int, int] = {}
    for node in order:
        for x in node.args:
            uses[id(x)] = uses.get(id(x), 0) + 1
    inner = {id(x) for node in order if node.operation == "add" for x in node.args if uses[id(x)] == 1}
    terms, made = dict[int, list[Expression]](), dict[int, Expression]()
    for node in order:
        arguments = tuple(made[id(x)] for x in node.args)
        if node.operation == "add":
            pairs = zip(node.args, arguments, strict=True)
            terms[id(node)] = [
                t for x, e in pairs for t in (terms.get(id(x)) if id(x) in inner else None) or [e]
            ]
            made[id(node)] = node if id(node) in inner else _sum_of(terms[id(node)])
        elif all(x is y for x, y in zip(arguments, node.args, strict=True)):
            made[id(node)] = node
        else:
            made[id(node)] = Expression(node.operation, arguments, node.attribute, node.shape)
    return made[id(output)]


def _sum_of(terms: list[Expression]) -> Expression:
    groups: dict[Hashable, list[Expression]] = {}
    for x in terms:
        groups.setdefault(_kind(x), []).append(x)
    return reduce(add, [_fused(x) if len(x) > 1 else x[0] for x in groups.values()])


def _kind(x: Expression) -> Hashable:
    """What products have in common that can be one."""
    if x.operation != "product" or all(y.operation != "take" for y in x.args) or len(x.shape) > 10:
        return id(x)
    return (x.attribute, *((id(y.args[0]) if y.operation == "take" else id(y), y.shape) for y in x.args))


def _fused(products: list[Expression]) -> Expression:
    a, b, out = products[0].attribute
    letter = next(c for c in LETTERS if c not in a + b)
    sides = [_stacked([x.args[i] for x in products]) for i in (0, 1)]
    left, right = (s + letter if x.ndim > len(s) else s for x, s in zip(sides, (a, b), strict=True))
    return contract(sides[0], sides[1], left, right, out)


def _stacked(parts: list[Expression]) -> Expression:
    """Entries taken from one array, those of each part along a last axis; or one array that all parts are."""
    if all(x is parts[0] for x in parts):
        return parts[0]
    every: Indices = np.stack([x.attribute for x in parts], axis=-1)
    return taken(parts[0].args[0], every)

"""Adjoints that are made of data alone: what comes back to a node that the rest of a network only adds to.

A residual stream whose readers are norms, cut, gets back a sum of centred data, one for each reader.
Summands of the same form in free arrays of their own span no more than one of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache, reduce
from typing import Any

from conslaw.algebra.evaluation import adjoints, topological_order
from conslaw.algebra.expressions import Expression
from conslaw.algebra.values import form

MOST_SUMMANDS = 8


def adjoint_of_data(
    potential: Expression, node: Expression, parameters: frozenset[str], used: frozenset[str] | None
) -> Expression | None:
    """The adjoint of a node of the potential, if it is an expression in few data and no parameters; None if
    it is not.

    If ``used`` is given it is one that takes the same values, whatever those of the data that are used are.
    """
    adjoint = _adjoints(potential).get(id(node))
    if adjoint is None or _has_parameters(adjoint, parameters):
        return None
    kept = dict[Any, Expression]()
    for i, (names, x) in enumerate(_apart(_summands(adjoint))):
        alike = used is not None and len(names) == 1 and not names & used and _is_linear(x)
        kept.setdefault(form([x], {}) if alike else i, x)
    return None if len(kept) > MOST_SUMMANDS else reduce(_sum, kept.values())


def _summands(whole: Expression) -> list[Expression]:
    """What a sum is made of; a sum met again stays whole, or ``h = h + h``, again and again, would double
    them each time.
    """
    found, seen, stack = list[Expression](), set[int](), [whole]
    while stack:
        x = stack.pop()
        if x.operation == "add" and id(x) not in seen:
            seen.add(id(x))
            stack.extend(reversed(x.args))
        else:
            found.append(x)
    return found


def _sum(x: Expression, y: Expression) -> Expression:
    return Expression("add", (x, y), None, x.shape)


def _apart(summands: Sequence[Expression]) -> list[tuple[set[str], Expression]]:
    """Summands in the same data together, each sum with its data."""
    found = list[tuple[set[str], Expression]]()
    for x in summands:
        names = _data_of(x)
        together = [(own, y) for own, y in found if own & names]
        found = [(own, y) for own, y in found if not own & names]
        every = names.union(*(own for own, _ in together))
        found.append((every, reduce(_sum, [*(y for _, y in together), x])))
    return found


@lru_cache(maxsize=8)
def _adjoints(potential: Expression) -> Mapping[int, Expression]:
    """Of all nodes; the nodes are kept by the potential, so that their ids stay theirs."""
    return adjoints(topological_order([potential]))


def _has_parameters(x: Expression, parameters: frozenset[str]) -> bool:
    """Whether a parameter is in an expression: asked from the last node on, until one is met."""
    seen, stack = set[int](), [x]
    while stack:
        node = stack.pop()
        if node.operation == "input" and node.attribute in parameters:
            return True
        if id(node) not in seen:
            seen.add(id(node))
            stack.extend(node.args)
    return False


def _data_of(x: Expression) -> set[str]:
    return {node.attribute for node in topological_order([x]) if node.operation == "input"}


def _is_linear(x: Expression) -> bool:
    """Whether every product has one factor that is constant, and no sum has a constant."""
    order = topological_order([x])
    moving = {id(node): node.operation == "input" for node in order}
    for node in order:
        own = [moving[id(y)] for y in node.args]
        if node.operation == "product" and all(own):
            return False
        if node.operation == "add" and any(own) and not all(own):
            return False
        moving[id(node)] = moving[id(node)] or any(own)
    return moving[id(x)]

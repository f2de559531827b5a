"""Functions of each entry that the user wrote out, found in the graph: ``0.5 * z * (1 + tanh(z + z**3))``.

A composition of functions of each entry is one: a free value and a free slope.  The span is the same as
operation by operation (*The cut*), but the pieces are linear.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from conslaw.models.from_torch.export import operation_of

EXACT = ("add", "sub", "rsub", "mul", "div", "neg", "pow", "square", "_to_copy")


@dataclass
class Fused:
    """For each node that is a function of each entry of another: that one; and the nodes inside of these."""

    roots: Mapping[Any, Any] = field(default_factory=dict)
    inside: Collection[Any] = frozenset()


def fused(nodes: Sequence[Any], trained: Collection[Any], smooth: Collection[str]) -> Fused:
    """The functions of at least two operations, one of them smooth, of one trained array."""
    roots, curved = dict[Any, Any](), set[Any]()
    for node in nodes:
        name = operation_of(node) if node in trained and node.op == "call_function" else ""
        if name not in EXACT and name not in smooth:
            continue
        moving = [x for x in node.all_input_nodes if x in trained]
        found = {roots.get(x, x) for x in moving}
        shape = node.meta["val"].shape
        if len(found) == 1 and all(x.meta["val"].shape == shape for x in (*found, *moving)):
            [roots[node]] = found
            if name in smooth or any(x in curved for x in moving):
                curved.add(node)
    ends = {
        node
        for node in curved
        if any(roots.get(user) is not roots[node] for user in node.users) and roots[node] not in node.args[:1]
    }
    inside = set[Any]()
    for node in reversed(nodes):
        users = list(node.users)
        if node in roots and users and all(x in inside or x in ends for x in users) and node not in ends:
            inside.add(node)
    return Fused({node: roots[node] for node in ends}, inside)

"""Windows: laws of some parameter arrays, found in the part of a network through which they act.

Cut the code of the potential f around a set S of parameter arrays: what their part uses and does not depend
on S becomes free data, and so does the adjoint of the node through which S acts on the rest, the first that
every path from S to f passes.  The gradient of f with respect to S is, by the chain rule, that of this
*window* at some data: so every law of the window is a law of f, for all flows whose metric and drift act
array by array. Nothing is expanded along a path, so the cost is linear in the depth.  Statement and proof:
What is proved.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import replace
from functools import reduce
from itertools import pairwise
from operator import add
from typing import Any

from conslaw.algebra.einsum import einsum
from conslaw.algebra.evaluation import topological_order
from conslaw.algebra.expressions import LETTERS, Expression, Shape, input_array
from conslaw.algebra.uniform_axes import RIGID
from conslaw.algebra.values import form
from conslaw.flows.flow import Flow, gradient_flow, momentum_flow
from conslaw.laws.data_adjoints import adjoint_of_data
from conslaw.laws.index_classes import IndexClasses
from conslaw.laws.places import at_any_place
from conslaw.models.factored_axes import in_factors
from conslaw.models.pieces import in_pieces, with_data_apart
from conslaw.models.potential import Model

MOST_ARRAYS = 16  # arrays of a class that are looked at together: on a longer one (a residual stream) pairs

VIEWS = ("take", "put", "reshape")


def has_windows(flow: Flow) -> bool:
    """Whether metric and drift of a flow act array by array, as words say."""
    return flow.model is not None and flow.metric_words is not None and flow.name in ("gradient", "momentum")


def arrays_of_windows(classes: IndexClasses) -> list[tuple[str, ...]]:
    """The sets of parameter arrays that may be looked at together."""
    return list(dict.fromkeys(x for sets in sets_of_windows(classes) for x in sets))


def sets_of_windows(classes: IndexClasses) -> list[list[tuple[str, ...]]]:
    """The parameter arrays that share an index class, for each class; where these are very many, then each
    alone and with the next in the code, to be looked at if the window of all is too long (a residual stream);
    and those that are added up.  Last the arrays without a class, if they are few.
    """
    assert classes.flow.model is not None
    order = topological_order([classes.flow.model.potential])
    used = [x.attribute for x in order if x.operation == "input"]
    parameters, found = [n for n in classes.flow.model.parameters if n in used], list[list[tuple[str, ...]]]()
    added = _added_up(order, frozenset(parameters))
    for c in dict.fromkeys(c for name in parameters for c in classes.state[name] if c != RIGID):
        own = tuple(name for name in parameters if c in classes.state[name])
        along = [name for name in used if name in own] if len(own) > MOST_ARRAYS else []
        sums = [x for names in added if len(x := tuple(n for n in own if n in names)) > 1]
        few = [x for x in sums if len(x) <= MOST_ARRAYS and x != own]
        found.append([own, *((n,) for n in along), *pairwise(along), *few])
        vectors = tuple(n for n in own if len(classes.state[n]) == 1)
        if along and vectors:
            found.append([vectors])
    rigid = tuple(n for n in parameters if RIGID in classes.state[n] or not classes.state[n])
    return [*found, [rigid]] if rigid and len(rigid) <= MOST_ARRAYS else found


def _added_up(order: Sequence[Expression], parameters: frozenset[str]) -> list[set[str]]:
    """The parameter arrays that are terms of one sum, as they are, in a view or repeated."""
    terms, users = dict[int, set[str]](), {id(x): node.operation for node in order for x in node.args}
    for node in order:
        own = {node.attribute} if node.operation == "input" and node.attribute in parameters else set[str]()
        passed = node.args if node.operation in ("add", *VIEWS) else ()
        if node.operation == "product" and any(x.operation == "constant" for x in node.args):
            passed = node.args
        terms[id(node)] = own.union(*(terms[id(x)] for x in passed))
    last = (x for x in order if x.operation == "add" and users.get(id(x)) != "add")
    return [terms[id(x)] for x in last if len(terms[id(x)]) > 1]


def ends(arrays: Sequence[str]) -> tuple[bool, ...]:
    """How windows of some arrays end (``apart``): those of very many arrays as soon as they can."""
    return (True,) if len(arrays) > MOST_ARRAYS else (False, True)


def window(flow: Flow, arrays: Sequence[str], *, apart: bool = False) -> Flow:
    """The flow of the window of some parameter arrays, which the potential uses.

    It ends at the node that all they do passes; with ``apart`` it ends as soon as none of the arrays is used
    any more, at as many nodes, each with an adjoint of its own: a shorter window, with fewer laws at skips.
    """
    assert flow.model is not None
    potential, data = _potential(flow.model, frozenset(arrays), apart)
    shapes, name = {name: flow.model.parameters[name] for name in arrays}, f"window of {', '.join(arrays)}"
    return flow_like(flow, Model(name, shapes, data, potential), {name: name for name in arrays})


def window_at_any_place(part: Flow) -> Flow | None:
    """The window with its code at one place, of which every law is one of the window (*Any place*); None if
    there are no places.
    """
    assert part.model is not None
    if local := at_any_place(part.model):
        one = replace(part.model, potential=local[0], data=local[1], name=f"{part.model.name}, at any place")
        return flow_like(part, one, {name: name for name in one.parameters})
    return None


def flow_in_pieces(flow: Flow) -> Flow | None:
    """The same flow in pieces of the arrays, and in factors of their axes, where there are some.

    Slices may be of factors (halves of a head), and factors of slices (heads of packed queries): what is
    tried first decides what comes out, so both are, and that with more axes is taken.
    """
    if flow.model is None or not has_windows(flow):
        return None
    apart = [_taken_apart(flow.model, factors_first=first) for first in (False, True)]
    model, whole = max(apart, key=lambda made: sum(map(len, made[0].parameters.values())))
    return None if model is flow.model else flow_like(flow, with_data_apart(model), whole)


def _taken_apart(model: Model, *, factors_first: bool) -> tuple[Model, dict[str, str]]:
    """A model in pieces and in factors, and the array that each of its arrays is of."""
    whole, given = {name: name for name in model.parameters}, model.parameters
    if factors_first:
        model = in_factors(model) or model
    if cut := in_pieces(model, given):
        model, whole = cut
    return in_factors(model) or model, whole


def flow_like(flow: Flow, part: Model, whole: Mapping[str, str]) -> Flow:
    """The flow of another model, with metric and drift of the arrays that its arrays are of."""
    words = flow.metric_words or {}
    options: dict[str, Any] = {"weight_decay": flow.weight_decay}
    metric = {n: words[name] for n, name in whole.items() if words.get(name, "euclidean") != "euclidean"}
    options["metric"] = metric or "euclidean"
    return (
        gradient_flow(part, **options)
        if flow.name == "gradient"
        else momentum_flow(part, damping=flow.damping, **options)
    )


def _potential(whole: Model, arrays: frozenset[str], apart: bool) -> tuple[Expression, dict[str, Shape]]:
    """The potential of a window, in these arrays and free data, and the shapes of the data."""
    order = topological_order([whole.potential])
    moving = {id(x) for x in order if x.operation == "input" and x.attribute in arrays}
    for node in order:
        if any(id(x) in moving for x in node.args):
            moving.add(id(node))
    fixed, free_of_parameters = set[int](), set[int]()
    for node in order:
        if node.operation != "input" and all(id(x) in fixed for x in node.args):
            fixed.add(id(node))
        parameter = node.operation == "input" and node.attribute in whole.parameters
        if not parameter and all(id(x) in free_of_parameters for x in node.args):
            free_of_parameters.add(id(node))
    inside = [x for x in order if id(x) in moving]
    exits = (apart and _exits_apart(inside, arrays)) or [_exit(inside, free_of_parameters)]
    made, data = dict[int, Expression](), dict[str, Shape]()

    stem = "window"
    while any(name.startswith(stem) for name in (*whole.parameters, *whole.data)):
        stem += "_"

    def free(shape: Shape) -> Expression:
        name = f"{stem}_{len(data)}"
        data[name] = shape
        return input_array(name, shape)

    def outside(node: Expression) -> Expression:
        """What does not depend on the arrays: a constant, a view of something, or free data.

        What is computed from data alone stays as it is: the entries of a centred vector are not free.
        """
        if id(node) not in made:
            if id(node) in fixed:
                made[id(node)] = node
            elif id(node) in free_of_parameters and not _has_views(node):
                data.update(
                    {x.attribute: x.shape for x in topological_order([node]) if x.operation == "input"}
                )
                made[id(node)] = node
            elif node.operation in VIEWS:
                made[id(node)] = Expression(
                    node.operation, (outside(node.args[0]),), node.attribute, node.shape
                )
            else:
                made[id(node)] = free(node.shape)
        return made[id(node)]

    for node in topological_order(exits):
        if id(node) in moving:
            inner = tuple(made[id(x)] if id(x) in moving else outside(x) for x in node.args)
            made[id(node)] = (
                node
                if node.operation == "input"
                else Expression(node.operation, inner, node.attribute, node.shape)
            )
    parts = []
    for node in exits:
        letters = LETTERS[: node.ndim]
        used = frozenset(data) if len(exits) == 1 else None
        known = adjoint_of_data(whole.potential, node, frozenset(whole.parameters), used)
        if known is not None:
            order = topological_order([known])
            data |= {x.attribute: x.shape for x in order if x.operation == "input"}
        adjoint = free(node.shape) if known is None else known
        parts.append(einsum(f"{letters},{letters}->", adjoint, made[id(node)]))
    return reduce(add, parts), data


def _has_views(node: Expression) -> bool:
    return any(x.operation in VIEWS for x in topological_order([node]))


def _exits_apart(moving: Sequence[Expression], arrays: frozenset[str]) -> list[Expression]:
    """The nodes on the way to a use of the arrays, or such uses, that are used elsewhere, too.

    ``moving`` are the nodes that depend on the arrays, each after its arguments, the last one the scalar.
    What is used elsewhere does not lead back to the arrays.
    """
    before, users = set[int](), dict[int, list[int]]()
    for node in reversed(moving):
        direct = any(x.operation == "input" and x.attribute in arrays for x in node.args)
        if direct or any(user in before for user in users.get(id(node), [])):
            before.add(id(node))
        for x in node.args:
            users.setdefault(id(x), []).append(id(node))
    return [
        x
        for x in moving
        if id(x) in before and x.operation != "input" and not {*users.get(id(x), [0])} <= before
    ]


def _exit(moving: Sequence[Expression], free_of_parameters: Container[int]) -> Expression:
    """A node, after the arrays themselves, that every path from them to the last one passes.

    ``moving`` are the nodes that depend on the arrays, each after its arguments, the last one the scalar.  It
    is the first such node, and further ones as long as nothing but data comes in: what data do to it is
    known.
    """
    users: dict[int, list[int]] = {id(x): [] for x in moving}
    position = {id(x): i for i, x in enumerate(moving)}
    for i, node in enumerate(moving):
        for x in {id(x) for x in node.args if id(x) in position}:
            users[x].append(i)
    last = len(moving) - 1
    after = [last] * len(moving)  # the next node that every path passes: the tree of post-dominators

    def meet(i: int, j: int) -> int:
        while i != j:  # positions grow towards the end
            i, j = (after[i], j) if i < j else (i, after[j])
        return i

    for i in range(last - 1, -1, -1):
        mine = users[id(moving[i])] or [last]
        after[i] = mine[0]
        for j in mine[1:]:
            after[i] = meet(after[i], j)
    inputs = [i for i, x in enumerate(moving) if x.operation == "input"]
    result = after[inputs[0]]
    for i in inputs[1:]:
        result = meet(result, after[i])
    while result < last:
        between = moving[result + 1 : after[result] + 1]  # they depend on the arrays through this node alone
        coming = (x for node in between for x in node.args if id(x) not in position)
        if not all(id(x) in free_of_parameters for x in coming):
            break
        result = after[result]
    return moving[result]


def alike(flow: Flow) -> tuple[Any, ...]:
    """A key that windows of the same code, shapes and words share, whatever their arrays are called."""
    assert flow.model is not None
    arrays = (("p", flow.model.parameters), ("c", flow.data))
    names = {name: f"{kind}{i}" for kind, shapes in arrays for i, name in enumerate(shapes)}
    words = flow.metric_words or {}
    return (
        form([flow.model.potential], names),
        tuple(words.get(n, "euclidean") for n in flow.model.parameters),
    )

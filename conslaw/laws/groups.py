"""Groups: parts of a potential, by their degree in the data, that act on few parameter arrays.

The span W of the gradients of f contains, for each degree in the data arrays, that component of f at any
data.  Components that act on the arrays of one *group* and on what it shares with others, and brackets of
them, stay there; so do brackets with *guests*, components of which the rest does not touch these arrays, if
one of the two innermost fields is none, and with any number of *linear guests*, of which the rest is linear
in other arrays.  Found from the array code; statement and proof: docs/what_is_proved.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, reduce
from operator import add
from typing import Any

from conslaw.algebra.evaluation import topological_order
from conslaw.algebra.expressions import Expression, input_array
from conslaw.algebra.terms import Degree, TooManyTermsError, terms_of
from conslaw.algebra.uniform_axes import RIGID
from conslaw.algebra.values import form
from conslaw.flows.flow import Flow
from conslaw.laws.index_classes import IndexClasses
from conslaw.laws.windows import alike, flow_like
from conslaw.models.potential import Model

Components = Mapping[Degree, Mapping[Degree, Expression]]


@dataclass(frozen=True, eq=False)
class Group:
    """Arrays that some components of the potential act on, and nothing else but shared arrays.

    Attributes
    ----------
    own : its arrays
    guest, linear_guest : the names of two numbers among the data
    flow : of these components, guests times ``guest`` and linear guests times ``linear_guest``, on its own
        and the shared arrays
    """

    own: tuple[str, ...]
    guest: str
    linear_guest: str
    flow: Flow

    @cached_property
    def form(self) -> Any:
        """What it shares with groups of the same code, whose arrays are called otherwise."""
        return (alike(self.flow), tuple(name in self.own for name in self.flow.state))


@dataclass(frozen=True, eq=False)
class Grouping:
    """How the parameter arrays of a flow fall into groups.

    Attributes
    ----------
    groups : each with arrays of its own
    shared : arrays with one class of indices that several groups act on
    linear : arrays with at most one class of indices on which components depend linearly, with coefficients
        of data alone
    linear_part : the terms in these arrays
    same : arrays of groups with the code of another, and the arrays of that
    """

    groups: Sequence[Group]
    shared: Sequence[str]
    linear: Sequence[str]
    linear_part: Expression | None
    same: Mapping[str, str]


def components(flow: Flow) -> Components:
    """Components of the potential: for each degree in the data its terms, by their degrees in parameters.

    All up to that total degree in the data from which they would be too many; empty if there are too many
    before every array is in one.
    """
    assert flow.model is not None
    parameters, output = flow.model.parameters, flow.model.potential
    used = {x.attribute for x in topological_order([output]) if x.operation == "input"} & set(parameters)
    found, most, left_out = dict[Degree, Expression](), 0, True
    while left_out:
        most += 1
        try:
            more, left_out = terms_of(output, flow.data, most)
        except TooManyTermsError:
            break
        found = dict(more)
    if left_out and not used <= {name for degree in found for name in degree}:
        return {}
    result = dict[Degree, dict[Degree, Expression]]()
    for degree, term in found.items():
        own = tuple(name for name in degree if name in parameters)
        if own:
            data = tuple(name for name in degree if name not in parameters)
            result.setdefault(data, {})[own] = term
    return result


def grouping(flow: Flow) -> Grouping:
    """The groups of a gradient flow of a model.

    Matrices of one term, and what only they are multiplied with, belong together, unless they are in groups
    already by terms of lower degree in the data (two blocks of a residual network); an array with one class
    of indices that stands beside several groups is shared.
    """
    assert flow.model is not None
    every, parts = IndexClasses.of(flow), components(flow)
    matrices = {n for n, axes in every.state.items() if sum(c != RIGID for c in axes) > 1}
    degrees = [(len(data), {*own}) for data, part in parts.items() for own in part]
    nonlinear = {name for part in parts.values() for own in part if len(own) > 1 for name in own}
    linear = set().union(*(own for _, own in degrees)) - nonlinear - matrices
    beside = {name for _, own in degrees if own & matrices for name in own}  # of matrices: they follow these
    terms_of_groups = [
        (level, own) for level, own in degrees if not own & linear and (own & matrices or not own & beside)
    ]
    of = _connected([(level, own & matrices or own) for level, own in terms_of_groups])
    near = dict[str, set[str]]()  # the groups beside which an array of no group is found
    for _, own in terms_of_groups:
        around = {of[name] for name in own & matrices or own}
        for name in own - of.keys() if len(around) == 1 else ():
            near.setdefault(name, set()).update(around)
    of |= {name: min(around) for name, around in near.items() if len(around) == 1}
    shared = [name for name in flow.model.parameters if len(near.get(name, ())) > 1]
    groups = [
        _group(
            flow, parts, {n for n in of if of[n] == first}, {n for n in shared if first in near[n]}, linear
        )
        for first in dict.fromkeys(of[name] for name in flow.model.parameters if name in of)
    ]
    terms = [term for part in parts.values() for degree, term in part.items() if linear >= {*degree}]
    found = [group for group in groups if group]
    return Grouping(
        found,
        shared,
        [name for name in flow.model.parameters if name in linear],
        reduce(add, terms) if terms else None,
        _same(found),
    )


def _same(groups: Sequence[Group]) -> dict[str, str]:
    """Arrays of groups that have the code of one before (the next block of a network), and the arrays of
    that.
    """
    same, first = dict[str, str](), dict[Any, list[str]]()
    for group in groups:
        names = list(group.flow.state)
        pairs = dict(zip(names, first.setdefault(group.form, names), strict=True))
        pairs = {name: same.get(other, other) for name, other in pairs.items()}
        if all(same.get(name, other) == other for name, other in pairs.items()):
            same |= pairs
    return {name: other for name, other in same.items() if name != other}


def _of_different_form(terms: Iterable[Expression], names: Iterable[str]) -> list[Expression]:
    """Terms without those that another one is with other data: a residual stream that has several readers."""
    known = {name: name for name in names}
    return list({form([x], known): x for x in terms}.values())


def _connected(sets: Sequence[tuple[int, set[str]]]) -> dict[str, str]:
    """For each name the first one of those that it is connected with, by sets of lower levels first; a set
    of known names that would connect several of what lower levels have connected does not count.
    """
    of = dict[str, str]()
    for level in sorted({level for level, _ in sets}):
        before = {**of}
        for some in (some for number, some in sets if number == level):
            if some <= before.keys() and len({before[name] for name in some}) > 1:
                continue
            of = {name: name for name in some} | of
            joined = {of[name] for name in some}
            of = {name: min(joined) if first in joined else first for name, first in of.items()}
    return of


def _group(
    flow: Flow,
    parts: Components,
    own: set[str],
    shared: set[str],
    linear: set[str],
) -> Group | None:
    """The group of some arrays; None if no component acts on them alone."""
    assert flow.model is not None
    arrays, local = own | shared, list[Expression]()
    guests, linear_guests = list[Expression](), list[Expression]()
    for part in parts.values():
        inside = [term for degree, term in part.items() if arrays >= {*degree}]
        outside = [{*degree} for degree in part if not arrays >= {*degree}]
        if not outside:
            local += inside
        elif linear >= set().union(*outside):
            linear_guests += inside
        elif not arrays & set().union(*outside):
            guests += inside
    if not local:
        return None
    guest = "guest"
    while any(name.endswith(guest) for name in (*flow.data, *flow.state)):
        guest += "_"
    switch, linear_switch = input_array(guest, ()), input_array(f"linear_{guest}", ())
    local, guests, linear_guests = (_of_different_form(x, arrays) for x in (local, guests, linear_guests))
    terms = [*local, *(switch * x for x in guests), *(linear_switch * x for x in linear_guests)]
    whole = reduce(add, terms)
    used = {x.attribute for x in topological_order([whole]) if x.operation == "input"}
    parameters = {n: s for n, s in flow.model.parameters.items() if n in used}
    data = {n: s for n, s in flow.data.items() if n in used} | {guest: (), linear_switch.attribute: ()}
    made = flow_like(flow, Model("a group", parameters, data, whole), {n: n for n in parameters})
    return Group(tuple(n for n in parameters if n in own), guest, linear_switch.attribute, made)

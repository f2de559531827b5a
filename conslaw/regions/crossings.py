"""Walls that units cross on the data while a network trains, and the laws that begin and end there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any, Self

import numpy as np

from conslaw import display
from conslaw.errors import ConslawError
from conslaw.regions.networks_read import Array, Network, read_states
from conslaw.regions.patterns import Unit, data_rows, signs_on

Law = tuple[Unit, ...]


@dataclass(frozen=True)
class Step:
    """One state of a run, against the one before.

    Attributes
    ----------
    label : str
    classes, off, on : int
        Numbers of classes of units with equal signs on all data, of units that are off on all data (only
        where the slope is 0), and of units that are active on all.
    laws : int
        Of the classes, c(c + 1)/2 for c units, c if they are exactly zero on a datum; of outputs none.
        Besides, all weights of a unit that is off are conserved.
    crossed : tuple of (unit, datum, before, after)
        Units that changed their signs, and on which data.
    begun, ended : tuple
        Laws that hold here and did not before, and the other way round: a pair (i, j) of units stands for
        <w_i, w_j> + b_i b_j - <a_i, a_j>, w the weights into and a those out of a unit; a single unit (i,)
        for all its weights, as it is off.
    """

    label: str
    classes: int
    off: int
    on: int
    laws: int
    crossed: tuple[tuple[Unit, int, int, int], ...]
    begun: tuple[Law, ...]
    ended: tuple[Law, ...]


@dataclass(frozen=True, repr=False)
class Crossings(display.Shown):
    """The answer of :func:`wall_crossings`: one :class:`Step` for each state."""

    name: str
    points: int
    steps: tuple[Step, ...]

    @property
    def about(self) -> str:
        return f"{len(self.steps)} states of the ReLU network {self.name} on {self.points} data"

    @property
    def proved(self) -> Mapping[str, Any]:
        """All of it: the signs are exact. Between the states nothing is known."""
        return {"crossed": [len(s.crossed) for s in self.steps], "laws": [s.laws for s in self.steps]}

    @property
    def probable(self) -> Mapping[str, Any]:
        """Nothing."""
        return {}

    def _summary(self) -> display.Summary:
        head = "walls crossed / classes / always off / always on / laws of classes (begun, ended)"
        rows = [("state", head)]
        for s in self.steps:
            laws = f"{s.laws:,} (+{len(s.begun):,}, -{len(s.ended):,})"
            rows.append((s.label, f"{len(s.crossed):,} / {s.classes:,} / {s.off:,} / {s.on:,} / {laws}"))
        return display.Summary(self.about, rows)

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready dictionary."""
        return {**display.stamp("wall crossings", 1), "name": self.name, "points": self.points,
                "steps": [vars(step) for step in self.steps]}  # fmt: skip

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """The answer from that dictionary."""
        display.check_stamp(data, "wall crossings", 1)
        steps = (Step(**{name: _tuples(value) for name, value in step.items()}) for step in data["steps"])
        return cls(data["name"], data["points"], tuple(steps))


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list | tuple) else value


def wall_crossings(states: Iterable[Any], data: Any) -> Crossings:
    """Which units change their signs on which data from state to state, and what that means for the laws.

    Parameters
    ----------
    states : iterable
        Networks as in :func:`polyhedral_complex`, all of one shape, or pairs (label, network).
    data : array of shape (points, inputs)
        Exact.

    Returns
    -------
    Crossings
        Proved, of the states: what a unit does between two of them is not seen. Each listed law is conserved
        by the gradient flow of any loss on these data as long as no unit crosses a wall; the law of a unit
        with itself, i = j, is always.

    Raises
    ------
    ConslawError
        If there are no states, if their shapes differ, or the data do not fit.

    Examples
    --------
    A second unit turns until it sees what the first one sees:

    >>> from conslaw import regions
    >>> def network(turn):
    ...     return [([[1, 0], [turn, 1]], None), ([[1, 1]], None)]
    >>> found = regions.wall_crossings([network(-2), network(0)], [[1, 1], [2, 1]])
    >>> found.steps[1].crossed
    (((1, 1), 0, -1, 1), ((1, 1), 1, -1, 1))
    >>> found.steps[1].begun, found.steps[1].ended
    ((((1, 0), (1, 1)),), (((1, 1),),))
    >>> [step.laws for step in found.steps]
    [1, 3]

    References
    ----------
    Marcotte, Gribonval, Peyré, *Abide by the Law and Follow the Flow*, NeurIPS 2023.
    """
    steps: list[Step] = []
    first: Network | None = None
    rows, signs = np.zeros((0, 0)), np.zeros((0, 0), np.int8)
    laws: set[Law] = set()
    for label, network in read_states(states):
        if first is None:
            first, rows = network, data_rows(data, network.inputs)
        elif _shape(network) != _shape(first):
            raise ConslawError(f"state {label!r} is {network.name}: the first one is {first.name}")
        before, known = signs, laws
        signs = signs_on(network, rows)
        step, laws = _step(network, label, signs)
        if steps:
            crossed = tuple(
                (network.neurons[i], int(j), int(before[i, j]), int(signs[i, j]))
                for i, j in np.argwhere(before != signs)
            )
            begun, ended = tuple(sorted(laws - known)), tuple(sorted(known - laws))
            step = replace(step, crossed=crossed, begun=begun, ended=ended)
        steps.append(step)
    if first is None:
        raise ConslawError("states is empty: give at least one network")
    return Crossings(first.name, len(rows), tuple(steps))


def _shape(network: Network) -> list[tuple[tuple[int, ...], Any]]:
    return [(layer.numerators.shape, layer.slope) for layer in network.layers]


def _step(network: Network, label: str, signs: Array) -> tuple[Step, set[Law]]:
    """What there is to say of one state, and the laws that walls can end: pairs, and units that are off."""
    laws: set[Law] = set()
    classes = silent = count = place = 0
    for number, layer in enumerate(network.hidden, 1):
        own = signs[place : place + layer.width]
        place += layer.width
        off = np.all(own < 0, axis=1) if layer.slope == 0 else np.zeros(layer.width, bool)
        active = np.flatnonzero(~off)
        kinds, kind = np.unique(own[active], axis=0, return_inverse=True)
        for c in range(len(kinds) if number < len(network.layers) else 0):  # outputs have no weights behind
            units = [(number, int(i)) for i in active[kind == c]]
            on_a_wall = (kinds[c] == 0).any()
            count += len(units) if on_a_wall else len(units) * (len(units) + 1) // 2
            laws |= set() if on_a_wall else set(combinations(units, 2))
        laws |= {((number, int(i)),) for i in np.flatnonzero(off)}
        classes, silent = classes + len(kinds), silent + int(off.sum())
    step = Step(label, classes, silent, int(np.all(signs > 0, axis=1).sum()), count, (), (), ())
    return step, laws

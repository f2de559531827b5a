"""The state that laws are functions of, and where its arrays are in the weights that a user has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from math import exp, inf, prod
from typing import Any, Self

import numpy as np

from conslaw.algebra.expressions import Shape
from conslaw.errors import ConslawError, is_finite_number
from conslaw.flows.coordinates import Coordinate, entries
from conslaw.flows.flow import TIME, Flow, velocity
from conslaw.models.weights import Array, Part, arrays_in, as_array, check_names, chosen, parts_of, whole_of


@dataclass(frozen=True)
class StateSpace:
    """The arrays of a state, by name.

    Attributes
    ----------
    state : mapping from array name to shape
    time : what the array ``"time"`` stands for, if there is one
    pieces : the arrays that are parts of the user's
    names : for arrays of a module, and parts of them: their names there
    split : whether arrays may have other shapes than those of the user
    """

    state: Mapping[str, Shape]
    time: Coordinate | None = None
    pieces: Mapping[str, Part] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)
    split: bool = False

    @classmethod
    def of(cls, flow: Flow) -> Self:
        """That of a flow."""
        arguments = flow.model.arguments if flow.model else {}
        pieces = parts_of(arguments.get("pieces", {}))
        return cls(flow.state, flow.time, pieces, dict(arguments.get("names") or {}), "pieces" in arguments)

    @cached_property
    def coordinates(self) -> list[Coordinate]:
        """The coordinates, in order, as laws write them."""
        return [self.time if self.time and c.name == TIME else c for c in entries(self.state)]

    @cached_property
    def moving(self) -> dict[str, str]:
        """The velocity of each array, in a momentum flow."""
        return {name: velocity(name) for name in self.state if velocity(name) in self.state}

    def clock(self, time: float) -> float:
        """The value of the array ``"time"`` at a time."""
        assert self.time is not None
        try:
            if self.time.kind == "exp":
                return exp(float(self.time.rate) * time)
            return float(time ** float(self.time.rate))
        except OverflowError:
            return inf

    def point(
        self, weights: Any, velocities: Any, time: Any, names: Mapping[str, str] | None
    ) -> tuple[dict[str, Array], float | None]:
        """The arrays as float64, those of velocities too, and the time.

        Raises
        ------
        ConslawError
            If an array is missing, has another shape, or entries that are no finite real numbers; if
            velocities or a time are missing or superfluous.
        """
        if velocities is None and self.moving:
            raise ConslawError("these are laws of a momentum flow: give velocities=, arrays like the weights")
        if velocities is not None and not self.moving:
            raise ConslawError("velocities: these laws hold no velocities; leave them out")
        if time is not None and self.time is None:
            raise ConslawError(f"time={time!r}: these laws do not depend on time; leave it out")
        if time is not None and not is_finite_number(time):
            raise ConslawError(f"time={time!r}: give a finite number")
        if time is not None and self.time and self.time.kind == "power" and self.time.rate != 1 and time < 0:
            raise ConslawError(f"time={time!r}: give a number >= 0")
        own = [name for name in self.state if name != TIME and name not in self.moving.values()]
        found = self._read(own, weights, "weights", names)
        if velocities is not None:
            read = self._read(own, velocities, "velocities", names)
            found |= {self.moving[name]: x for name, x in read.items() if name in self.moving}
        return found, None if time is None else float(time)

    def _read(
        self, own: Sequence[str], given: Any, what: str, names: Mapping[str, str] | None
    ) -> dict[str, Array]:
        arrays = arrays_in(given, what)
        wholes = dict.fromkeys(whole_of(self.pieces, n) for n in own)
        inside = {whole: self.names[whole] for whole in wholes if whole in self.names}
        shown, read, found = {**inside, **check_names(names, wholes)}, dict[str, Array](), dict[str, Array]()
        for name in own:
            part, whole = self.pieces.get(name), whole_of(self.pieces, name)
            key, value = chosen(arrays, whole, shown, what)
            if whole not in read:
                read[whole] = as_array(value, f"{what}: {key}", None if self.split else self.state[name])
            array, shape = read[whole], self.state[name]
            own_array = part.of(array) if part else array
            if own_array is None or own_array.size != prod(shape):
                raise ConslawError(f"{what}: {key} has shape {array.shape}, which has no part {name} {shape}")
            found[name] = np.asarray(own_array.reshape(shape))
        return found

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready dictionary."""
        time = self.time and {"kind": self.time.kind, "rate": str(self.time.rate)}
        return {
            "arrays": {name: list(shape) for name, shape in self.state.items()},
            "time": time,
            "pieces": {name: x.to_json() for name, x in self.pieces.items()},
            "names": dict(self.names),
            "split": self.split,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """The state from that dictionary."""
        time = data["time"] and Coordinate(
            TIME, kind=data["time"]["kind"], rate=Fraction(data["time"]["rate"])
        )
        arrays = {name: tuple(shape) for name, shape in data["arrays"].items()}
        return cls(arrays, time, parts_of(data["pieces"]), data["names"], data["split"])

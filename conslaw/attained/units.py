"""Units by the pieces that they are in: off on all inputs, on on all, or as another unit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np

from conslaw.attained.enclosures import Array
from conslaw.models.readings import Reading

ONE_SIDED = ("relu", "leaky_relu", "relu_squared", "prelu", "threshold")


@dataclass(frozen=True)
class Units:
    """Units by name, such as ``relu1[3]``.

    Attributes
    ----------
    off : those that are off on all inputs (in the first piece of their function)
    on : those that are on on all (in the last)
    alike : sets of units of one layer that are on and off together
    """

    off: tuple[str, ...] = ()
    on: tuple[str, ...] = ()
    alike: tuple[tuple[str, ...], ...] = ()

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready dictionary."""
        return {"off": list(self.off), "on": list(self.on), "alike": [list(x) for x in self.alike]}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """The units from that dictionary."""
        return cls(tuple(data["off"]), tuple(data["on"]), tuple(tuple(x) for x in data["alike"]))


@dataclass
class Seen:
    """What has been seen of the pieces, reading by reading."""

    readings: Sequence[Reading]
    lowest: dict[int, Array] = field(default_factory=dict)
    highest: dict[int, Array] = field(default_factory=dict)
    prints: dict[int, Array] = field(default_factory=dict)

    def add(self, patterns: Sequence[Array | None], rng: np.random.Generator) -> None:
        """The pieces at some more inputs (batch, *shape)."""
        for i, (r, pattern) in enumerate(zip(self.readings, patterns, strict=True)):
            if pattern is None or r.operation not in ONE_SIDED or not len(pattern):
                continue
            keys = rng.integers(0, 2**63, len(pattern), dtype=np.uint64)
            own = np.tensordot(keys, pattern.astype(np.uint64), 1)
            low, high = pattern.min(0), pattern.max(0)
            if i in self.lowest:
                low, high = np.minimum(low, self.lowest[i]), np.maximum(high, self.highest[i])
                own = own + self.prints[i]
            self.lowest[i], self.highest[i], self.prints[i] = low, high, own

    def units(self) -> Units:
        """By name."""
        off, on, alike = list[str](), list[str](), list[tuple[str, ...]]()
        for i, prints in self.prints.items():
            names = np.array(_names(self.readings[i].data[0], prints.shape), dtype=object)
            low, high, flat = self.lowest[i].ravel(), self.highest[i].ravel(), prints.ravel()
            off += names[high == 0].tolist()
            on += names[low == 1].tolist()
            both = np.flatnonzero((low == 0) & (high == 1))
            _, first, number = np.unique(flat[both], return_index=True, return_inverse=True)
            members = [names[both[number == k]] for k in np.argsort(first) if (number == k).sum() > 1]
            alike += [tuple(x.tolist()) for x in members]
        return Units(tuple(off), tuple(on), tuple(alike))


def _names(name: str, shape: Sequence[int]) -> list[str]:
    return [f"{name}[{','.join(map(str, index))}]" for index in np.ndindex(*shape)] if shape else [name]

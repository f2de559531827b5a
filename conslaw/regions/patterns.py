"""Which hidden units are active on the same data: exact signs, units with equal ones together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from conslaw import display
from conslaw.errors import ConslawError
from conslaw.regions.networks_read import Array, Network, integers, matrix, point, read
from conslaw.regions.signs import exact_signs, signs_by_floats

Unit = tuple[int, int]
BLOCK = 4096  # data at a time


@dataclass(frozen=True)
class UnitClass:
    """Units of one layer with the same signs on all data, and the data on which they are active."""

    units: tuple[Unit, ...]
    active: tuple[int, ...]


@dataclass(frozen=True, repr=False)
class DataPatterns(display.Shown):
    """Hidden units by the data on which they are active, the answer of :func:`data_patterns`.

    Units are (layer, index), layers counted from 1 and units from 0, as in ``PolyhedralComplex``.

    Attributes
    ----------
    points : int
        Number of data.
    classes : tuple of UnitClass
        ``units`` of one layer whose signs agree on all data, and the data on which these are ``active``.
        Zero is a sign of its own. Units that are off are in no class.
    off : tuple of (layer, index)
        Units with negative values on all data.
    zeros : tuple of ((layer, index), datum)
        Where a unit is exactly zero: on its wall, neither active nor inactive.
    """

    name: str
    points: int
    classes: tuple[UnitClass, ...]
    off: tuple[Unit, ...]
    zeros: tuple[tuple[Unit, int], ...]

    @property
    def on(self) -> tuple[Unit, ...]:
        """Units that are active on all data."""
        return tuple(unit for one in self.classes if len(one.active) == self.points for unit in one.units)

    @property
    def gates(self) -> dict[str, Array]:
        """Which unit is active on which datum: g1, g2, ... of shape (points, units), for ``patterns=`` of
        ``conslaw.gradient_flow``.
        """
        every = [*((unit, one.active) for one in self.classes for unit in one.units),
                 *((unit, ()) for unit in self.off)]  # fmt: skip
        widths: dict[int, int] = {}
        for (layer, index), _ in every:
            widths[layer] = max(widths.get(layer, 0), index + 1)
        found = {f"g{layer}": np.zeros((self.points, widths[layer]), np.int8) for layer in sorted(widths)}
        for (layer, index), active in every:
            found[f"g{layer}"][list(active), index] = 1
        return found

    @property
    def about(self) -> str:
        return f"the hidden units of the ReLU network {self.name} on {self.points} data"

    @property
    def proved(self) -> Mapping[str, Any]:
        """All of it: the signs are exact."""
        return {
            "classes": [[list(unit) for unit in one.units] for one in self.classes],
            "off": [list(unit) for unit in self.off],
            "zeros": [[list(unit), datum] for unit, datum in self.zeros],
        }

    @property
    def probable(self) -> Mapping[str, Any]:
        """Nothing."""
        return {}

    def _summary(self) -> display.Summary:
        units = sum(len(one.units) for one in self.classes)
        rows = [
            ("classes", f"{len(self.classes):,}, of {units:,} units with equal signs on all data: proved")
        ]
        shown = self.classes[: display.SHOWN]
        rows += [("", f"{_listed(one.units)}: active on {len(one.active):,}") for one in shown]
        if len(self.classes) > display.SHOWN:
            rows.append(("", f"and {len(self.classes) - display.SHOWN:,} more"))
        rows.append(("on", f"on all data: {_listed(self.on)}" if self.on else "none on all data"))
        rows.append(("off", f"on all data: {_listed(self.off)}" if self.off else "none on all data"))
        named = [f"{unit} at datum {datum}" for unit, datum in self.zeros]
        rows.append(("zeros", _listed(named) if named else "none: each unit is active or inactive"))
        return display.Summary(self.about, rows)

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready dictionary."""
        classes = [{"units": [*map(list, one.units)], "active": list(one.active)} for one in self.classes]
        plain = {**self.proved, "name": self.name, "points": self.points, "classes": classes}
        return {**display.stamp("data patterns", 1), **plain}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """The answer from that dictionary."""
        display.check_stamp(data, "data patterns", 1)
        classes = [UnitClass(tuple((k, i) for k, i in one["units"]), tuple(one["active"]))
                   for one in data["classes"]]  # fmt: skip
        return cls(data["name"], data["points"], tuple(classes), tuple((k, i) for k, i in data["off"]),
                   tuple(((k, i), datum) for (k, i), datum in data["zeros"]))  # fmt: skip


def _listed(things: Any) -> str:
    more = f" and {len(things) - 8} more" if len(things) > 8 else ""
    return ", ".join(map(str, things[:8])) + more


def data_patterns(network: Any, data: Any, weights: Any = None) -> DataPatterns:
    """Which hidden units are active on the same data.

    Parameters
    ----------
    network, weights : see :func:`polyhedral_complex`
    data : array of shape (points, inputs)
        Floats, integers or fractions; exact.

    Returns
    -------
    DataPatterns
        Proved: a sign is taken from floats where an error bound allows, else from rationals.

    Raises
    ------
    ConslawError
        If the data are no matrix with a column for each input, or there are none, or NaN or infinity.

    Examples
    --------
    >>> from conslaw import regions
    >>> network = [([[1, 0], [2, 1], [0, -1]], [0, 0, 0]), ([[1, 1, 1]], [0])]
    >>> found = regions.data_patterns(network, [[1, 1], [-1, 1]])
    >>> [one.units for one in found.classes], found.classes[0].active, found.off, found.zeros
    ([((1, 0), (1, 1))], (0,), ((1, 2),), ())

    References
    ----------
    Marcotte, Gribonval, Peyré, *Abide by the Law and Follow the Flow*, NeurIPS 2023.
    """
    given = read(network, weights)
    rows = data_rows(data, given.inputs)
    signs = signs_on(given, rows)
    layers = np.array([layer for layer, _ in given.neurons], np.int64)
    together: dict[tuple[int, bytes], list[int]] = {}
    for place, layer in enumerate(layers):
        together.setdefault((int(layer), signs[place].tobytes()), []).append(place)
    names = given.neurons
    classes = tuple(
        UnitClass(tuple(names[i] for i in one), tuple(map(int, np.flatnonzero(signs[one[0]] > 0))))
        for one in together.values()
        if (signs[one[0]] >= 0).any()
    )
    off = tuple(names[i] for i in np.flatnonzero((signs < 0).all(axis=1)))
    zeros = tuple((names[i], int(j)) for i, j in np.argwhere(signs == 0))
    return DataPatterns(given.name, len(rows), classes, off, zeros)


def data_rows(data: Any, inputs: int) -> Array:
    """The data as a matrix, checked."""
    rows = matrix(data, "data")
    if not len(rows) or rows.shape[1] != inputs:
        raise ConslawError(f"data has shape {rows.shape}: give rows of {inputs} coordinates")
    return rows


def signs_on(network: Network, rows: Array) -> Array:
    """Of the hidden units on the data, of shape (neurons, points), exact."""
    result = np.zeros((len(network.neurons), len(rows)), np.int8)
    open_ = np.ones(len(rows), bool)
    if rows.dtype == object:
        integers(rows, "data")  # refuses what is no number
    try:
        floats = rows.astype(float)
    except OverflowError:
        floats = np.full(rows.shape, np.nan)
    for start in range(0, len(rows) if network.in_range else 0, BLOCK):
        part = slice(start, start + BLOCK)
        result[:, part], sure = signs_by_floats(network, floats[part].T)
        open_[part] = ~sure.all(axis=0)
    for i in np.flatnonzero(open_):
        result[:, i] = exact_signs(network, *point(rows[i], network.inputs, f"row {i} of data"))
    return result

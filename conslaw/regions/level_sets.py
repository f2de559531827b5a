"""The topology of the sets where an output of a network is equal to a level, at most it, at least it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from numbers import Integral
from pathlib import Path
from typing import Any, Self

import numpy as np
from flint import fmpz

from conslaw import display
from conslaw.certificates import files
from conslaw.errors import ConslawError
from conslaw.regions.cell_data import CellData
from conslaw.regions.complexes import LARGEST, PolyhedralComplex
from conslaw.regions.homology import Homology
from conslaw.regions.level_cuts import AT_INFINITY, Side, cut_by_level, sides
from conslaw.regions.search import found
from conslaw.regions.written import boxed

SAMPLES = 8  # points of a component


@dataclass(frozen=True)
class Component:
    """A piece of a set: whether it is bounded, and up to eight of its vertices, rounded."""

    bounded: bool
    points: tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class LevelSet:
    """One of the three sets of a :class:`Topology`.

    Attributes
    ----------
    betti : tuple of int
        b_0, ..., b_d over the rationals; ``over(p)`` over a field of p elements.
    torsion : tuple of tuple of int
        Orders of the cyclic groups in the homology over the integers, by dimension; empty if d <= 3.
    cells : tuple of int
        Numbers of cells of dimension 0, 1, ... of the complex that the level cuts once more.
    components : tuple of Component
        Of the set itself, without a point at infinity.
    """

    betti: tuple[int, ...]
    torsion: tuple[tuple[int, ...], ...]
    cells: tuple[int, ...]
    components: tuple[Component, ...]

    def over(self, prime: int) -> tuple[int, ...]:
        """Betti numbers over the field of so many elements.

        Raises
        ------
        ConslawError
            If that is no prime.
        """
        if not isinstance(prime, Integral) or not fmpz(int(prime)).is_prime():
            raise ConslawError(f"over({prime!r:.40}): give a prime, such as 2")
        return Homology(self.betti, self.torsion).over(prime)

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready dictionary."""
        pieces = [{"bounded": c.bounded, "points": [*map(list, c.points)]} for c in self.components]
        return {"betti": list(self.betti), "torsion": [*map(list, self.torsion)],
                "cells": list(self.cells), "components": pieces}  # fmt: skip

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """The set from that dictionary."""
        pieces = [Component(c["bounded"], tuple(map(tuple, c["points"]))) for c in data["components"]]
        return cls(tuple(data["betti"]), tuple(map(tuple, data["torsion"])), tuple(data["cells"]),
                   tuple(pieces))  # fmt: skip

    def __str__(self) -> str:
        if not self.components:
            return f"empty: betti {', '.join(map(str, self.betti))}"
        count, bounded = len(self.components), sum(c.bounded for c in self.components)
        pieces = "1 component" if count == 1 else f"{count:,} components"
        orders = [f"Z/{order} in H_{k}" for k, group in enumerate(self.torsion) for order in group]
        said = f"betti {display.numbers(self.betti)}; {pieces}, {bounded:,} bounded"
        return said + (f"; torsion {', '.join(orders)}" if orders else "")


@dataclass(frozen=True, repr=False)
class Topology(display.Shown):
    """Homology of a decision boundary and of its two sides, the answer of :func:`topology`.

    Attributes
    ----------
    boundary, below, above : LevelSet
        Where the function is equal to the level, at most it, at least it; all closed.
    function, level : str
        Which function, in words, and the level, an exact fraction.
    at_infinity : str
        What was done at infinity: a key of ``AT_INFINITY``.
    flat : int
        Number of regions on which the function is equal to the level.
    generic : bool
        Whether the complex that the level cuts is generic.
    """

    name: str
    function: str
    level: str
    at_infinity: str
    boundary: LevelSet
    below: LevelSet
    above: LevelSet
    flat: int
    generic: bool
    certified: bool
    method: str
    asked: Any = field(default=None, repr=False, compare=False)  # network, cells, box, output or classes

    @property
    def about(self) -> str:
        return f"the level set {self.function} = {self._shown} of the ReLU network {self.name}"

    @property
    def _shown(self) -> str:
        """The level as it is, or rounded if it is long."""
        exact = Fraction(self.level)
        if len(self.level) <= 12:
            return self.level
        return f"{float(exact):.6g}" if abs(exact) < 2**1000 else f"{self.level[:9]}..."

    @property
    def _counts(self) -> dict[str, Any]:
        return {name: list(getattr(self, name).betti) for name in ("boundary", "below", "above")}

    @property
    def proved(self) -> Mapping[str, Any]:
        """The Betti numbers, where the complex is certified."""
        return self._counts if self.certified else {}

    @property
    def probable(self) -> Mapping[str, Any]:
        """The Betti numbers, where the complex is not certified."""
        return {} if self.certified else self._counts

    def certificate(self, file: str | Path | None = None) -> dict[str, Any]:
        """What is needed to check the Betti numbers again, as arrays; written to an NPZ file if one is named,
        which must be new or a certificate.

        The cells are proved as those of a complex are, and all boundary maps are reduced over the integers.
        """
        from conslaw.regions.written_level_sets import certificate

        if self.asked is None:
            raise ConslawError(f"{self.about} was read back from JSON: ask for it again to certify it")
        if not self.certified:
            raise ConslawError(f"{self.about} was not certified: there is no certificate")
        place = None if file is None else files.check_place(file, "certificate: ")
        whole = certificate(self)
        if place:
            files.write(whole, place, "certificate: ")
        return whole

    def _summary(self) -> display.Summary:
        names = (("boundary", "="), ("below", "<="), ("above", ">="))
        rows = [(f"{self.function} {sign} {self._shown}", str(getattr(self, name))) for name, sign in names]
        rows.append(("infinity", AT_INFINITY[self.at_infinity]))
        rows.append(("method", f"{self.method}: {'proved' if self.certified else 'not certified'}"))
        remarks = []
        if not self.boundary.components:
            side = "less" if self.below.components else "greater"
            remarks.append(f"The boundary is empty: {self.function} is {side} than {self._shown} everywhere.")
        if self.flat:
            remarks.append(f"The function is equal to the level on {self.flat:,} whole regions.")
        return display.Summary(self.about, rows, remarks)

    _PLAIN = ("name", "function", "level", "at_infinity", "flat", "generic", "certified", "method")
    _SETS = ("boundary", "below", "above")

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready dictionary."""
        plain = {name: getattr(self, name) for name in self._PLAIN}
        sets = {name: getattr(self, name).to_json() for name in self._SETS}
        return {**display.stamp("topology", 1), **plain, **sets}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """The answer from that dictionary."""
        display.check_stamp(data, "topology", 1)
        made = {name: data[name] for name in cls._PLAIN}
        return cls(**made | {name: LevelSet.from_json(data[name]) for name in cls._SETS})


def topology(
    complex: PolyhedralComplex,  # noqa: A002
    output: int = 0,
    level: Any = 0,
    *,
    classes: tuple[int, int] | None = None,
    at_infinity: str = "none",
) -> Topology:
    """Betti numbers and components of {F = level}, {F <= level} and {F >= level}.

    Parameters
    ----------
    complex : PolyhedralComplex
        Of the network; in a box or on a slice the sets are those in it. The output cuts it once more, which
        takes about as long as the complex did.
    output : int
        Which output of the network is F, from 0.
    level : int, float or fraction
        Exact.
    classes : (i, j), optional
        F is output i minus output j: the wall between two logits.
    at_infinity : "none", "point" or "ends"
        Homology of the sets themselves; with infinity as a point of each (the one-point compactification:
        a circle has b_0 = 2); or with infinity where a set is unbounded, as the end of its rays (the closure
        in the sphere: a circle has b_0 = 1). Both of the latter are in the literature.

    Returns
    -------
    Topology
        Proved, if the complex is. In at most three dimensions there is no torsion, and searches through
        graphs are all that is needed; in d > 3 dimensions d - 3 sparse matrices are reduced over Z.

    Raises
    ------
    ConslawError
        For outputs that do not exist, levels that are no numbers, ``at_infinity`` in a box, a complex that
        was read back from JSON, and cells too many for the dimension, with what they cost.

    Examples
    --------
    The square ``max(|x|, |y|) = 1``, a circle:

    >>> from conslaw import regions
    >>> rows = [[1, 0], [-1, 0], [0, 1], [0, -1]]
    >>> both = [[1, 1, -1, -1], [-1, -1, 1, 1], [1, 1, 1, 1]]  # max(s, t) = (s + t + |s - t|)/2
    >>> network = [(rows, None), (both, None), ([[0.5, 0.5, 0.5]], [0])]
    >>> complex = regions.polyhedral_complex(network)
    >>> found = regions.topology(complex, level=1)
    >>> found.boundary.betti, found.below.betti, found.above.betti
    ((1, 1, 0), (1, 0, 0), (1, 1, 0))
    >>> regions.topology(complex, level=1, at_infinity="point").boundary.betti
    (2, 1, 0)

    References
    ----------
    Grigsby, Lindsey, *On transversality of bent hyperplane arrangements and the topological expressiveness of
    ReLU neural networks*, SIAM J. Appl. Algebra Geom. 2022; Masden, arXiv 2207.07696.
    """
    if not isinstance(complex, PolyhedralComplex):
        raise ConslawError(f"complex={complex!r:.60}: give the answer of regions.polyhedral_complex")
    if not isinstance(at_infinity, str) or at_infinity not in AT_INFINITY:
        raise ConslawError(
            f"at_infinity={at_infinity!r:.60}: give one of {', '.join(map(repr, AT_INFINITY))}"
        )
    if complex.box is not None and at_infinity != "none":
        raise ConslawError(f"at_infinity={at_infinity!r}: nothing is unbounded in a box; give 'none'")
    network, _ = complex._found()
    cut, function, value = cut_by_level(network, output, level, classes)
    most = max(LARGEST, 3 * sum(complex.f_vector))
    data, certified, method = found(cut, boxed(complex.box), most, complex.certified)
    lineality = network.inputs - len(data.facets) + 1
    found_sides = sides(data, lineality, at_infinity)
    sets = {name: _level_set(data, side, lineality) for name, side in found_sides.items()}
    asked = [*map(int, classes)] if classes is not None else int(output)
    return Topology(
        **sets, name=complex.name, function=function, level=str(value), at_infinity=at_infinity,
        flat=sets["boundary"].cells[-1], generic=data.generic, certified=certified, method=method,
        asked=(network, data, complex.box, asked),
    )  # fmt: skip


def _level_set(data: CellData, side: Side, lineality: int) -> LevelSet:
    order = np.argsort(side.component, kind="stable")  # vertices, those of no component first
    starts = np.searchsorted(side.component[order], np.arange(len(side.bounded) + 1))
    pieces = []
    for c, compact in enumerate(side.bounded):
        own = order[starts[c] : starts[c + 1]]
        some = own[np.linspace(0, len(own) - 1, min(SAMPLES, len(own))).astype(int)]
        points = tuple(map(tuple, data.points[some].tolist()))
        pieces.append(Component(bool(compact) and not lineality, points))
    cells = tuple(int(mask.sum()) for mask in side.chosen)
    return LevelSet(side.homology.betti, side.homology.torsion, cells, tuple(pieces))

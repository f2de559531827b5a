"""The polytope at a point: the region on which the network is one affine map."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cached_property
from numbers import Integral, Number
from typing import Any, Self

import numpy as np
from scipy.optimize import linprog

from conslaw import display
from conslaw.errors import ConslawError
from conslaw.regions.faces import MOST_DIMENSIONS, polyhedron, volume
from conslaw.regions.inequalities import Inequalities, quotient
from conslaw.regions.networks_read import Array, Network, integers, point, product, read
from conslaw.regions.recession import bounded
from conslaw.regions.redundancy import Decided, decide
from conslaw.regions.signs import signs_at
from conslaw.regions.subdivision import Cells

NEAR = 1e-9  # a wall so much nearer than others is left for a centre of the region


@dataclass(frozen=True, eq=False)
class ExactMatrix:
    """A matrix of rationals: integers, with a positive denominator for each row."""

    numerators: Array
    denominators: Array

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.numerators.shape)

    def as_float(self) -> Array:
        """Rounded to float64, each entry correctly; infinite where it is too large."""
        rows = zip(self.numerators.tolist(), self.denominators, strict=True)
        return np.array([[quotient(x, q) for x in row] for row, q in rows], float).reshape(self.shape)

    def fractions(self) -> list[list[Fraction]]:
        """Exactly."""
        rows = zip(self.numerators.tolist(), self.denominators, strict=True)
        return [[Fraction(int(x), int(q)) for x in row] for row, q in rows]


@dataclass(frozen=True, eq=False, repr=False)
class Polytope(display.Shown):
    """The region around a point, the answer of :func:`polytope`.

    Row i of the inequalities belongs to neuron i; rows of a box, upper sides first, come last.

    Attributes
    ----------
    pattern : tuple of int
        Signs of the neurons at x, certified: 1 active, -1 inactive, 0 on the wall.
    margin : float
        The smallest ``abs(z)`` over the norm of its gradient, over the neurons: the distance from x to the
        nearest wall.
    walls : tuple of (layer, neuron)
        The walls on which x lies; the region is then one on which those neurons are inactive.
    facets, redundant, undecided : tuple of int
        Rows of the inequalities that are irredundant, implied by others, and neither by what was tried.
    bounded : bool or None
        None if that could not be decided.
    """

    name: str
    inputs: int
    rows: int
    pattern: tuple[int, ...]
    walls: tuple[tuple[int, int], ...]
    margin: float
    facets: tuple[int, ...]
    redundant: tuple[int, ...]
    undecided: tuple[int, ...]
    bounded: bool | None
    network: Network | None = field(default=None, repr=False)
    x: tuple[Array, int] | None = field(default=None, repr=False)
    box: Any = field(default=None, repr=False)
    system: Inequalities | None = field(default=None, repr=False)
    decided: Decided | None = field(default=None, repr=False)

    @property
    def about(self) -> str:
        return f"the polytope at a point of the ReLU network {self.name}"

    @property
    def proved(self) -> Mapping[str, Any]:
        """The pattern; the facets, each with a witness; the redundant rows, each with multipliers."""
        said = {"pattern": list(self.pattern), "facets": list(self.facets), "redundant": list(self.redundant)}
        return said if self.bounded is None else {**said, "bounded": self.bounded}

    @property
    def probable(self) -> Mapping[str, Any]:
        """Nothing: what could not be decided is in ``undecided``."""
        return {}

    def _made(self) -> tuple[Network, tuple[Array, int], Inequalities, Decided]:
        if self.network is None or self.x is None or self.system is None or self.decided is None:
            raise ConslawError(f"{self.about} was read back from JSON: make it again to see this")
        return self.network, self.x, self.system, self.decided

    @cached_property
    def inequalities(self) -> tuple[ExactMatrix, ExactMatrix]:
        """(A, b) with A x <= b, all of them, exact; ``.as_float()`` rounds."""
        system = self._made()[2]
        return ExactMatrix(system.rows[:, :-1], system.units), ExactMatrix(-system.rows[:, -1:], system.units)

    @cached_property
    def factors(self) -> list[ExactMatrix]:
        """W_1, A_1, W_2, ..., exact, with a constant coordinate last: their product, from the last to the
        first, is the affine map; the slopes 1, 0 or the leaky one are on the diagonals A_l.
        """
        network = self._made()[0]
        result, place = [], 0
        for layer in network.layers:
            n, m = layer.numerators.shape
            matrix = np.zeros((n + 1, m), object)
            matrix[:n], matrix[n, -1] = layer.numerators, layer.denominator
            result.append(ExactMatrix(matrix, np.array([layer.denominator] * (n + 1), object)))
            if layer.slope is not None:
                signs = self.pattern[place : place + n]
                place += n
                diagonal = np.zeros((n + 1, n + 1), object)
                for i, sign in enumerate([*signs, 1]):
                    diagonal[i, i] = layer.slope.denominator if sign > 0 else layer.slope.numerator
                result.append(ExactMatrix(diagonal, np.array([layer.slope.denominator] * (n + 1), object)))
        return result

    @cached_property
    def affine_map(self) -> tuple[ExactMatrix, ExactMatrix]:
        """(M, c): the network is M x + c on the region, exactly."""
        network = self._made()[0]
        matrix, scale = _affine(network, self.pattern)[-1]
        denominators = np.array([scale] * len(matrix), object)
        return ExactMatrix(matrix[:, :-1], denominators), ExactMatrix(matrix[:, -1:], denominators)

    @property
    def witnesses(self) -> Mapping[int, Array]:
        """For each facet a point that breaks this inequality alone."""
        return self._made()[3].witnesses

    @property
    def multipliers(self) -> Mapping[int, Mapping[int, Fraction]]:
        """For each redundant row i, multipliers l_j >= 0 with a_i = sum l_j a_j and sum l_j b_j <= b_i."""
        _, _, system, decided = self._made()
        units = system.units
        return {
            i: {j: weight * Fraction(units[j], units[i]) for j, weight in found.items()}
            for i, found in decided.multipliers.items()
        }

    @cached_property
    def chebyshev(self) -> tuple[Array, float]:
        """Centre and radius of a largest ball in the region, in floating point; the radius may be inf."""
        _, x, system, _ = self._made()
        if not self.facets:
            return _rounded(x), float("inf")
        A, b = (a[np.isin(np.flatnonzero(system.bent), self.facets)] for a in system.normalised)
        cost = np.zeros(self.inputs + 1)
        cost[-1] = -1
        solved = linprog(cost, A_ub=np.hstack([A, np.ones((len(A), 1))]), b_ub=np.nan_to_num(b),
                         bounds=[(None, None)] * self.inputs + [(0, None)], method="highs")  # fmt: skip
        if solved.x is None and self.bounded:
            raise ConslawError(f"{self.about}: float64 finds no centre; the numbers differ too much in size")
        if solved.x is None:
            return _rounded(x), float("inf")
        return solved.x[:-1], float(solved.x[-1])

    @property
    def distance(self) -> float:
        """From x to the boundary of the region (or of the box), in floating point."""
        _, x, system, _ = self._made()
        return _least(system.distances(*x))

    def neighbour(self, i: int) -> Polytope:
        """The region across facet i (a row of the inequalities, one of ``facets``)."""
        network, (x, w), system, decided = self._made()
        if (
            not isinstance(i, Integral)
            or isinstance(i, bool)
            or i not in decided.witnesses
            or i >= len(self.pattern)
        ):
            raise ConslawError(f"neighbour({i!r}): give one of the facets {[*self.facets][:12]} of neurons")
        y, v = integers(decided.witnesses[i].astype(object), "witness")
        inner, outer = np.append(x, w), np.append(y, v)
        low, high = int(system.rows[i].dot(inner)), int(system.rows[i].dot(outer))
        hit = inner * high - outer * low  # on the wall, and on no other
        beyond = outer
        for _ in range(200):
            found = _polytope(network, (beyond[:-1], int(beyond[-1])), self.box)
            if found is not None and not found.walls and found._made()[2].slack(hit[:-1], hit[-1]).min() >= 0:
                return _completed(found)
            beyond = beyond * hit[-1] + hit * beyond[-1]  # halfway to the wall
            beyond = beyond // np.gcd.reduce(beyond)
        raise ConslawError(f"neighbour({i}): the region across could not be reached from the wall")

    @cached_property
    def _faces(self) -> Cells:
        rows = self._made()[2].rows
        if self.inputs > MOST_DIMENSIONS:
            raise ConslawError(
                f"{self.inputs} dimensions: faces are for at most {MOST_DIMENSIONS}; take a slice"
            )
        found = polyhedron(rows[[*self.facets, *self.undecided]])
        if found is None:
            raise ConslawError(f"{self.about} contains a line: it has no vertices; give box=")
        return found

    @property
    def vertices(self) -> ExactMatrix:
        """The vertices, exact, for up to 8 inputs."""
        found = self._faces
        ends = found.ends[: found.vertices]
        return ExactMatrix(ends[:, :-1], ends[:, -1])

    @property
    def f_vector(self) -> tuple[int, ...]:
        """Numbers of faces of dimension 0, 1, ..., for up to 8 inputs."""
        return tuple(map(len, self._faces.signs))

    @property
    def volume(self) -> Fraction | float:
        """Exact; ``inf`` if the region is unbounded; for up to 8 inputs."""
        if self.bounded is False or (self._faces.ray >= 0).any():
            return float("inf")
        return volume(self._faces)

    def _summary(self) -> display.Summary:
        on = ", ".join(map(str, self.walls[:8]))
        said = {True: "bounded", False: "unbounded", None: "not decided whether bounded"}[self.bounded]
        redundant = f"{len(self.redundant):,}"
        rows = [
            ("pattern", f"{self.pattern.count(1):,} of {len(self.pattern):,} neurons active: proved"),
            ("walls", f"x lies on those of {on}" if self.walls else "x is inside"),
            ("margin", f"{self.margin:.6g}"),
            ("facets", f"{len(self.facets):,} of {self.rows:,} inequalities; {redundant} redundant: proved"),
            ("region", said),
        ]
        if self.undecided:
            rows.append(("undecided", ", ".join(map(str, self.undecided[:12]))))
        return display.Summary(self.about, rows)

    _FIELDS = ("name", "inputs", "rows", "pattern", "walls", "margin", "facets", "redundant", "undecided",
               "bounded")  # fmt: skip

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready dictionary: pattern and facets, not the numbers."""
        plain = {name: getattr(self, name) for name in self._FIELDS}
        plain |= {name: list(plain[name]) for name in ("pattern", "facets", "redundant", "undecided")}
        plain["walls"] = [list(wall) for wall in self.walls]
        plain["margin"] = repr(self.margin)
        return {**display.stamp("polytope", 1), **plain}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """The answer from that dictionary."""
        display.check_stamp(data, "polytope", 1)
        made = {name: data[name] for name in cls._FIELDS}
        made |= {name: tuple(made[name]) for name in ("pattern", "facets", "redundant", "undecided")}
        made["walls"] = tuple(tuple(wall) for wall in data["walls"])
        made["margin"] = float(data["margin"])
        return cls(**made)


def polytope(network: Any, x: Any, weights: Any = None, *, box: Any = None) -> Polytope:
    """The region around a point: the linear inequalities, which of them are facets, the affine map.

    Parameters
    ----------
    network, weights : see :func:`polyhedral_complex`
    x : array of shape (inputs,)
    box : (lower, upper), optional
        Intersect with a box, such as the range of pixels; numbers or arrays of shape (inputs,).

    Returns
    -------
    Polytope

    Raises
    ------
    ConslawError
        If x has the wrong length or is outside the box, or lies on walls so that the pattern with their
        neurons inactive belongs to no full-dimensional region.

    Examples
    --------
    >>> from conslaw import regions
    >>> network = [([[1, 0], [0, 1], [1, 1]], [0, 0, -1]), ([[1, 1, 1]], [0])]
    >>> region = regions.polytope(network, [0.25, 0.25])
    >>> region.pattern, region.facets, region.bounded, region.volume
    ((1, 1, -1), (0, 1, 2), True, Fraction(1, 2))
    >>> region.neighbour(2).pattern
    (1, 1, 1)
    >>> region.affine_map[0].as_float()
    array([[1., 1.]])

    References
    ----------
    Balestriero, Baraniuk, *A Spline Theory of Deep Networks*, ICML 2018.
    """
    given = read(network, weights)
    place = point(x, given.inputs)
    if not np.isfinite(_rounded(place)).all():
        raise ConslawError(f"x={x!r:.60} is beyond the range of float64, in which facets are sought")
    found = _polytope(given, place, _box_rows(box, given.inputs))
    if found is None:
        raise ConslawError(f"x={x!r:.60} is outside the box: give a point inside")
    return _completed(found)


def _box_rows(box: Any, inputs: int) -> Inequalities | None:
    if box is None:
        return None
    if not isinstance(box, tuple | list) or len(box) != 2:
        raise ConslawError(f"box={box!r:.60}: give (lower, upper), numbers or arrays of {inputs} coordinates")
    sides = [[side] * inputs if isinstance(side, Number) else side for side in box]
    (low, low_scale), (high, high_scale) = (point(side, inputs, "a side of the box") for side in sides)
    if not (low * high_scale < high * low_scale).all():
        raise ConslawError(f"box={box!r:.60}: the lower side must be below the upper one")
    rows = np.zeros((2 * inputs, inputs + 1), object)
    for i in range(inputs):
        rows[i, i], rows[i, -1] = high_scale, -high[i]
        rows[inputs + i, i], rows[inputs + i, -1] = -low_scale, low[i]
    return Inequalities(rows, np.array([high_scale] * inputs + [low_scale] * inputs, object))


def _affine(network: Network, pattern: tuple[int, ...]) -> list[tuple[Array, int]]:
    """Each layer's values before the kinks as integers (J | c) over one denominator, under the pattern."""
    result, place = [], 0
    matrix, scale = None, 1
    for layer in network.layers:
        if matrix is None:
            values = layer.numerators
        else:
            used = np.flatnonzero((matrix != 0).any(axis=1))
            values = product(layer.numerators[:, used], matrix[used])
        scale *= layer.denominator
        result.append((values, scale))
        if layer.slope is None:
            continue
        active = np.array(pattern[place : place + layer.width]) > 0
        place += layer.width
        scale *= layer.slope.denominator
        constant = np.array([[0] * network.inputs + [scale]], object)
        matrix = np.concatenate([layer.kinked(values, active[:, None]), constant])
    return result


def _polytope(network: Network, x: tuple[Array, int], box: Inequalities | None) -> Polytope | None:
    pattern = tuple(signs_at(network, *x).tolist())
    affine = _affine(replace(network, layers=network.hidden), pattern) if pattern else []
    rows = np.concatenate([np.zeros((0, network.inputs + 1), object), *(values for values, _ in affine)])
    units = np.array([scale for values, scale in affine for _ in values], object)
    for i in np.flatnonzero(np.array(pattern) > 0):
        rows[i] = -rows[i]
    system = Inequalities(rows, units)
    margin = _least(system.distances(*x))
    walls = tuple(network.neurons[i] for i in np.flatnonzero(system.bent) if pattern[i] == 0)
    if box is not None:
        if box.slack(*x).min() < 0:
            return None
        system = Inequalities(np.concatenate([rows, box.rows]), np.concatenate([units, box.units]))
    return Polytope(
        name=network.name, inputs=network.inputs, rows=len(system.rows), pattern=pattern, walls=walls,
        margin=margin, facets=(), redundant=(), undecided=(), bounded=None,
        network=network, x=x, box=box, system=system, decided=Decided({}, {}, ()),
    )  # fmt: skip


def _completed(found: Polytope) -> Polytope:
    _, x, system, _ = found._made()
    seen = abs(system.distances(*x))
    on_a_wall = (system.slack(*x)[system.bent] <= 0).any()
    centre = _interior(system, found) if len(seen) and seen.min() < NEAR * seen.max() else None
    if on_a_wall and centre is None:
        on = ", ".join(map(str, found.walls[:8]))
        raise ConslawError(
            f"x lies on the walls of neurons {on or 'the box'}: no full-dimensional region was found where "
            f"these are inactive; move x off the walls"
        )
    try:
        decided = decide(system, *(centre or x))
    except OverflowError:
        raise ConslawError(
            f"{found.about}: x is {found.margin:.3g} from a wall, too near for float64; move x off the walls"
        ) from None
    facets = tuple(sorted(decided.witnesses))
    return replace(
        found, facets=facets, redundant=tuple(sorted(decided.multipliers)), undecided=decided.undecided,
        bounded=True if found.box is not None else bounded(system), decided=decided,
        x=centre if centre and on_a_wall else x,
    )  # fmt: skip


def _interior(system: Inequalities, found: Polytope) -> tuple[Array, int] | None:
    """A point strictly inside, far from walls: a centre in floating point, checked exactly."""
    A, b = system.normalised
    d = A.shape[1]
    start = _rounded(found.x)  # type: ignore[arg-type]
    solved = linprog(
        np.append(np.zeros(d), -1.0), A_ub=np.hstack([A, np.ones((len(A), 1))]),
        b_ub=np.nan_to_num(b - A @ start), bounds=[(-1e6, 1e6)] * d + [(0, 1.0)], method="highs",
    )  # fmt: skip
    if solved.x is not None:
        inside = integers((start + solved.x[:-1]).astype(object), "centre")
        if (system.slack(*inside)[system.bent] > 0).all():
            return inside
    return None


def _rounded(x: tuple[Array, int]) -> Array:
    return np.array([quotient(c, x[1]) for c in x[0]], float)


def _least(distances: Array) -> float:
    return float(abs(distances).min()) if len(distances) else float("inf")

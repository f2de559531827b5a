"""The question of the room: into which polyhedra does this network cut its input space?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, Self

import numpy as np

from conslaw import display
from conslaw.algebra.exact_numbers import hyper_parameter
from conslaw.certificates import files
from conslaw.errors import ConslawError
from conslaw.regions.cell_data import CellData
from conslaw.regions.networks_read import (
    Array,
    Layer,
    Network,
    matrix,
    point,
    product,
    rank,
    read,
)
from conslaw.regions.search import found
from conslaw.regions.signs import signs_at

LARGEST = 10_000_000  # cells, unless the user allows more


@dataclass(frozen=True, eq=False, repr=False)
class PolyhedralComplex(display.Shown):
    """The polyhedral complex of a network, the answer of :func:`polyhedral_complex`.

    A cell is named by its sign vector in {-1, 0, 1}^N, one sign for each hidden neuron in the order of the
    layers.

    Attributes
    ----------
    f_vector : tuple of int
        Numbers of cells of dimension 0, 1, ... modulo the lineality space.
    bounded : tuple of int
        How many of these are bounded (none, if there is a lineality space).
    inputs, lineality : int
        Dimension of the input space, and of the kernel of W_1, which every cell contains.
    generic : bool
        Whether each vertex lies on exactly as many bent hyperplanes as the complex has dimensions.
    method : str
        How it was found and proved.
    """

    name: str
    f_vector: tuple[int, ...]
    bounded: tuple[int, ...]
    inputs: int
    lineality: int
    neurons: int
    generic: bool
    certified: bool
    method: str
    digest: str
    network: Network | None = field(default=None, repr=False)
    data: CellData | None = field(default=None, repr=False)
    box: list[list[str]] | None = field(default=None, repr=False)

    @property
    def about(self) -> str:
        """The network, and the part of the input space that was cut."""
        return f"the polyhedral complex of the ReLU network {self.name}"

    @property
    def proved(self) -> Mapping[str, Any]:
        """The counts, where the certificate holds."""
        return self._counts if self.certified else {"inputs": self.inputs}

    @property
    def probable(self) -> Mapping[str, Any]:
        """The counts of a search in floating point that was not certified."""
        return {} if self.certified else self._counts

    @property
    def _counts(self) -> dict[str, Any]:
        return {"f_vector": list(self.f_vector), "bounded": list(self.bounded), "generic": self.generic}

    @property
    def dimension(self) -> int:
        """Of the complex modulo its lineality space."""
        return len(self.f_vector) - 1

    def _found(self) -> tuple[Network, CellData]:
        if self.network is None or self.data is None:
            raise ConslawError(f"{self.about} was read back from JSON: make it again to see its cells")
        return self.network, self.data

    @property
    def vertices(self) -> Array:
        """Coordinates, float64 of shape (f_0, inputs), rounded; with a lineality space, one point of each."""
        return self._found()[1].points

    @property
    def sign_vectors(self) -> Array:
        """Of the vertices, int8 of shape (f_0, neurons)."""
        return self.cells(0)

    @property
    def edges(self) -> Array:
        """The bounded edges: indices of their two vertices, of shape (bounded[1], 2)."""
        return self._found()[1].edges

    @property
    def rays(self) -> tuple[Array, Array]:
        """The unbounded edges: indices of their vertices, and directions, of shape (rays, inputs)."""
        return self._found()[1].rays

    def cells(self, dimension: int) -> Array:
        """Sign vectors of the cells of that dimension, int8 of shape (f_k, neurons)."""
        if not isinstance(dimension, int) or not 0 <= dimension <= self.dimension:
            raise ConslawError(f"cells({dimension!r}): the dimensions are 0 to {self.dimension}")
        return self._found()[1].cells(dimension)

    def locate(self, x: Any) -> Array:
        """The sign vector of the cell that contains x (exactly: floats are the rationals they are)."""
        network, _ = self._found()
        return signs_at(network, *point(x, network.inputs))

    def neighbours(self, x: Any) -> Array:
        """Sign vectors of the regions across the facets of the region that contains x."""
        data = self._found()[1]
        sign = self.locate(x)
        rows = data.neighbours(sign)
        if rows is None:
            raise ConslawError(f"x={x!r:.60} lies on a wall, or outside: give a point inside a region")
        return rows

    def coincidences(self) -> list[str]:
        """Where more neurons vanish together than a generic network allows, in words; empty if nowhere."""
        network, data = self._found()
        said = []
        for row, where in zip(data.cells(0), data.points, strict=True):
            zeros = np.flatnonzero(row == 0)
            if len(zeros) > self.dimension:
                names = ", ".join(f"({k}, {i})" for k, i in (network.neurons[j] for j in zeros))
                place = ", ".join(f"{c:.6g}" for c in where)
                said.append(f"neurons {names} vanish together at x = ({place})")
        return said

    def certificate(self, file: str | Path | None = None) -> dict[str, Any]:
        """What is needed to check the counts again, as arrays; written to an NPZ file if one is named, which
        must be new or a certificate.

        Generic complexes are checked from the signs of the vertices alone, others are computed again.
        """
        from conslaw.regions.written import certificate

        if not self.certified:
            raise ConslawError(f"{self.about} was not certified: there is no certificate")
        place = None if file is None else files.check_place(file, "certificate: ")
        whole = certificate(self, *self._found())
        if place:
            files.write(whole, place, "certificate: ")
        return whole

    def _summary(self) -> display.Summary:
        said = "proved" if self.certified else "found in floating point, not certified"
        rows = [
            ("cells", f"{display.numbers(self.f_vector)} of dimension 0 to {self.dimension}: {said}"),
            ("bounded", display.numbers(self.bounded)),
            ("generic", "yes" if self.generic else "no: coincidences() says where neurons vanish together"),
            ("method", self.method),
        ]
        if self.lineality:
            rows.insert(0, ("lineality", f"each cell contains a space of dimension {self.lineality}"))
        return display.Summary(self.about, rows)

    _FIELDS = ("name", "f_vector", "bounded", "inputs", "lineality", "neurons", "generic", "certified",
               "method", "digest")  # fmt: skip

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready dictionary: the counts, not the cells."""
        plain = {name: getattr(self, name) for name in self._FIELDS}
        plain |= {name: list(plain[name]) for name in ("f_vector", "bounded")}
        return {**display.stamp("polyhedral complex", 1), **plain}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """The answer from that dictionary."""
        display.check_stamp(data, "polyhedral complex", 1)
        made = {name: data[name] for name in cls._FIELDS}
        made |= {name: tuple(made[name]) for name in ("f_vector", "bounded")}
        return cls(**made)


def polyhedral_complex(
    network: Any,
    weights: Any = None,
    within: Any = None,
    *,
    perturb: Any = None,
    certify: bool = True,
    most_cells: int = LARGEST,
) -> PolyhedralComplex:
    """The exact polyhedral complex of a ReLU network, on all of the input space.

    Parameters
    ----------
    network : list of pairs (W, b), torch module, or conslaw.relu model
        W of shape (n, m), b of shape (n,) or None, of floats (the exact rationals they are), integers or
        fractions; a ReLU after each but the last.  A triple (W, b, slope) is a leaky ReLU, slope 0 a ReLU,
        and may be the last.  Torch modules are Sequential, of Linear, ReLU and LeakyReLU.
    weights : mapping from array names to arrays, for a conslaw model
    within : optional
        A box ``(lower, upper)`` of two points, or a slice ``{"origin": t, "directions": T}`` with T of shape
        (inputs, k): the complex of the network x = t + T y in the coordinates y.
    perturb : float or fraction, optional
        Move each hidden bias by up to that much, relative to its row, so that nothing vanishes together by
        chance; the result is about the moved network, and says so in its name.
    certify : bool
        Prove what the search in floating point found; if False the counts are only probable.
    most_cells : int
        Larger complexes are refused, as soon as an estimate shows that they are.

    Returns
    -------
    PolyhedralComplex
        Proved, unless ``certify=False``.

    Raises
    ------
    ConslawError
        If the network is none, the part of the input space does not fit, or there are too many cells.

    Examples
    --------
    Three lines in the plane, and a tent map composed with itself:

    >>> from conslaw import regions
    >>> lines = [([[1, 0], [0, 1], [1, 1]], [0, 0, -1]), ([[1, 1, 1]], [0])]
    >>> regions.polyhedral_complex(lines).f_vector
    (3, 9, 7)
    >>> tent = ([[2], [4]], [0, -2])
    >>> regions.polyhedral_complex([tent, ([[2, -2], [4, -4]], [0, -2]), ([[1, -1]], [0])]).f_vector
    (5, 6)

    References
    ----------
    Berzins, *Polyhedral Complex Extraction from ReLU Networks using Edge Subdivision*, ICML 2023;
    Masden, *Algorithmic Determination of the Combinatorial Structure of the Linear Regions of ReLU Neural
    Networks*, 2022, arXiv 2207.07696.
    """
    if isinstance(most_cells, bool) or not isinstance(most_cells, int) or most_cells < 1:
        raise ConslawError(f"most_cells={most_cells!r}: give a positive integer")
    given = read(network, weights)
    if perturb is not None:
        given = _perturbed(given, perturb)
    given, box = _within(given, within)
    data, certified, method = found(given, box, most_cells, certify)
    f_vector, bounded = data.counts(most_cells)
    lineality = given.inputs - len(f_vector) + 1
    if lineality:
        bounded = (0,) * len(bounded)
    return PolyhedralComplex(
        name=given.name, f_vector=f_vector, bounded=bounded, inputs=given.inputs,
        lineality=lineality, neurons=len(given.neurons), generic=data.generic, certified=certified,
        method=method, digest=given.digest, network=given, data=data,
        box=None if box is None else [[str(Fraction(int(c), int(w))) for c in corner] for corner, w in box],
    )  # fmt: skip


def _perturbed(network: Network, amount: Any) -> Network:
    try:
        size = Fraction(hyper_parameter(amount))
    except ConslawError:
        size = Fraction(0)
    if not 0 < size < 10**9 or isinstance(amount, bool):
        raise ConslawError(f"perturb={amount!r}: give a positive number, such as 1e-6")
    rng, layers = np.random.default_rng(0), []
    for layer in network.layers:
        if layer.slope is None:
            layers.append(layer)
            continue
        draws = rng.integers(-(2**30), 2**30, layer.width)
        scale = size.denominator * 2**30
        numerators = layer.numerators * scale
        for i, draw in enumerate(draws):
            largest = max(map(abs, layer.numerators[i])) or layer.denominator
            numerators[i, -1] += int(draw) * size.numerator * largest
        layers.append(Layer(numerators, layer.denominator * scale, layer.slope))
    return Network(tuple(layers), f"{network.name}, biases perturbed by {float(size):.3g},")


Box = list[tuple[Array, int]]


def _within(network: Network, within: Any) -> tuple[Network, Box | None]:
    if within is None:
        return network, None
    if isinstance(within, Mapping) and set(within) == {"origin", "directions"}:
        return _sliced(network, within["origin"], within["directions"]), None
    if isinstance(within, tuple | list) and len(within) == 2:
        low, high = (point(x, network.inputs, "a corner of within") for x in within)
        if not (low[0] * high[1] < high[0] * low[1]).all():
            raise ConslawError(f"within={within!r:.60}: the lower corner must be below the upper one")
        return replace(network, name=f"{network.name} in a box"), [low, high]
    raise ConslawError(
        f"within={within!r:.60}: give two corners (lower, upper), or a mapping with origin and directions"
    )


def _sliced(network: Network, origin: Any, directions: Any) -> Network:
    start = point(origin, network.inputs, "origin")
    columns = matrix(directions, "directions").T
    rows = [point(row, network.inputs, "a column of directions") for row in columns]
    if not rows or len(rows) > network.inputs:
        raise ConslawError(f"directions: give an array of shape ({network.inputs}, k)")
    first = network.layers[0]
    scale = start[1]
    for row in rows:
        scale *= row[1]
    inside = np.zeros((network.inputs + 1, len(rows) + 1), object)
    for j, (column, w) in enumerate([*rows, start]):
        inside[:-1, j] = column * (scale // w)
    inside[-1, -1] = scale
    if rank(inside[:-1, :-1]) < len(rows):
        raise ConslawError("directions: the columns are linearly dependent; give independent ones")
    numerators = product(first.numerators, inside)
    changed = Layer(numerators, first.denominator * scale, first.slope)
    return Network((changed, *network.layers[1:]), f"{network.name} on a slice of dimension {len(rows)}")

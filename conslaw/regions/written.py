"""Certificates of complexes, written and checked.

A generic complex is checked from the signs of its vertices alone, by :mod:`certified_vertices`; the search
has no part in it.  Another is subdivided again, and all its cells are proved by :mod:`certified_cells`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from typing import Any

import numpy as np

from conslaw.certificates.budget import NotChecked
from conslaw.certificates.kernel import Refuted
from conslaw.certificates.reading import rational
from conslaw.certificates.verification import Check, checked
from conslaw.errors import ConslawError
from conslaw.regions.cell_data import AllCells, CellData
from conslaw.regions.certified_cells import prove_cells
from conslaw.regions.certified_vertices import Closed, NotProved, close, located, prove_vertices
from conslaw.regions.networks_read import Array, Network, integers
from conslaw.regions.simple_cells import SimpleCells
from conslaw.regions.subdivision import Cells, subdivided

KIND, VERSION = "polyhedral complex", 1
Steps = list[tuple[str, Callable[[], str]]]  # what is checked, and how


def certificate(answer: Any, network: Network, data: CellData) -> dict[str, Any]:
    """See :meth:`PolyhedralComplex.certificate`."""
    simple = isinstance(data, SimpleCells)
    return {
        "kind": KIND,
        "version": VERSION,
        "claim": claim(network, answer.f_vector, answer.bounded, answer.box),
        "network": json.dumps(network.to_json()),
        "box": json.dumps(answer.box),
        "method": "vertices" if simple else "recompute",
        "signs": data.cells(0),
        "f_vector": np.array(answer.f_vector, np.int64),
        "bounded": np.array(answer.bounded, np.int64),
    }


def claim(network: Network, f_vector: Any, bounded: Any, box: Any) -> str:
    """What is proved, in words."""
    widths = "-".join(map(str, [network.inputs, *(layer.width for layer in network.layers)]))
    where = "" if box is None else " in a box"
    return (
        f"the ReLU network {widths} of digest {network.digest[:16]} cuts its input space{where} into "
        f"{', '.join(map(str, f_vector))} cells of dimension 0 to {len(f_vector) - 1}, "
        f"{', '.join(map(str, bounded))} of them bounded"
    )


def checks(whole: Mapping[str, Any], budget: float) -> Iterator[Check]:
    """The checks of a certificate: that it is read, the vertices, their neighbours, the counts."""
    made: dict[str, Any] = {}
    yield from cells_proved(whole, budget, made)
    if "counts" in made:
        yield checked("conclusion", lambda: _conclusion(whole, made))


def cells_proved(whole: Mapping[str, Any], budget: float, made: dict[str, Any]) -> Iterator[Check]:
    """The checks of the cells; if all hold, ``made`` has ``cells`` and ``counts`` then."""

    def reading() -> str:
        made.update(_read(whole))
        return f"network of digest {made['network'].digest[:16]}, {len(made['signs'])} vertices"

    yield (done := checked("reading", reading))
    if not done.ok:
        return
    network, signs = made["network"], made["signs"]
    work = (
        len(signs)
        * 4.0
        * sum(np.prod(layer.numerators.shape) for layer in network.hidden)
        * (network.inputs + 1)
    )
    if work / 1e10 > budget:
        yield Check(
            "work", "not checked", f"about {work / 1e9:.2g}·10⁹ multiplications: --budget {work / 9e9:.2g}"
        )
        return
    steps = _of_vertices(made) if made["method"] == "vertices" else _again(made)
    for what, run in steps:
        yield (done := checked(what, run))
        if not done.ok:
            return


def _read(whole: Mapping[str, Any]) -> dict[str, Any]:
    if whole.get("version") != VERSION or whole.get("method") not in ("vertices", "recompute"):
        raise Refuted(f"version {whole.get('version')!r} and method {whole.get('method')!r} are not known")
    network = network_written(whole["network"])
    box = json.loads(whole["box"])
    for corner in box or ():
        for x in corner:
            rational(x)
    if box is not None and whole["method"] == "vertices":
        raise Refuted("in a box complexes are computed again")
    signs, f, b = (np.asarray(whole[name]) for name in ("signs", "f_vector", "bounded"))
    if signs.dtype != np.int8 or signs.ndim != 2 or signs.shape[1] != len(network.neurons) or not len(signs):
        raise Refuted("signs is no array of vertices and neurons")
    if (abs(signs.astype(int)) > 1).any():
        raise Refuted("a sign is not -1, 0 or 1")
    if f.dtype != np.int64 or b.dtype != np.int64 or f.ndim != 1 or f.shape != b.shape:
        raise Refuted("the counts are no two vectors of integers")
    return {"network": network, "box": box, "signs": signs, "method": whole["method"]}


def network_written(text: str) -> Network:
    """The network of a certificate; slopes such as 1e999999999 would take all memory, and are refused."""
    layers = json.loads(text)
    for layer in layers:
        if layer["slope"] is not None:
            rational(layer["slope"])
    network = Network.from_json(layers, "certificate")
    if any(layer.denominator <= 0 for layer in network.layers):
        raise Refuted("a denominator is not positive")
    return network


def _of_vertices(made: dict[str, Any]) -> Steps:
    network, signs, d = made["network"], made["signs"], made["network"].inputs
    zeros = np.zeros((0, d), np.int64)
    state: dict[str, Any] = {}

    def vertices() -> str:
        nonlocal zeros
        if not ((signs == 0).sum(axis=1) == d).all():
            raise Refuted(f"a vertex has not exactly {d} neurons that vanish")
        zeros = np.nonzero(signs == 0)[1].reshape(-1, d)
        state["points"] = located(network, signs, zeros)
        _proved(lambda: prove_vertices(network, signs, zeros, state["points"]))
        return f"{len(signs)} points with these signs, each on {d} walls with independent gradients"

    def neighbours() -> str:
        closed: Closed = _proved(lambda: close(network, signs, zeros, state["points"]))
        made["cells"] = SimpleCells(closed, state["points"])
        return f"{len(closed.edges)} edges between them and {len(closed.rays)} rays: closed, hence complete"

    def counts() -> str:
        made["counts"] = made["cells"].counts(2**62)
        return ", ".join(map(str, made["counts"][0]))

    return [("vertices", vertices), ("neighbours", neighbours), ("counts", counts)]


def _proved(run: Any) -> Any:
    try:
        return run()
    except NotProved as error:
        raise Refuted(str(error)) from None


def _again(made: dict[str, Any]) -> Steps:
    def recompute() -> str:
        network, box = made["network"], boxed(made["box"])
        try:
            cells: Cells = subdivided(network, 1_000_000, box)
        except ConslawError as error:
            raise NotChecked(str(error)) from None
        f, b = _proved(lambda: prove_cells(network, cells, box))
        sides = network.inputs if box is not None else 0
        made["cells"] = AllCells(cells, sides)
        found = cells.signs[0][:, sides:]
        if {*map(bytes, found)} != {*map(bytes, made["signs"])} or f[0] != len(made["signs"]):
            raise Refuted("the vertices are others")
        made["counts"] = (f, b if len(f) == network.inputs + 1 else (0,) * len(b))
        return f"cells found again, each there, none missing: {', '.join(map(str, f))}"

    return [("recomputed", recompute)]


def boxed(box: Any) -> list[tuple[Array, int]] | None:
    """Corners from what is written."""
    if box is None:
        return None
    return [integers(np.array([Fraction(x) for x in corner], object), "corner") for corner in box]


def _conclusion(whole: Mapping[str, Any], made: Mapping[str, Any]) -> str:
    f, b = made["counts"]
    for name, found in (("f_vector", f), ("bounded", b)):
        if tuple(int(n) for n in whole[name]) != tuple(found):
            raise Refuted(f"{name} is {list(found)}, not {[int(n) for n in whole[name]]}")
    stated = claim(made["network"], f, b, made["box"])
    if stated != whole["claim"]:
        raise Refuted(f"what is proved is {stated!r}, not what is claimed")
    return "the counts are those of the claim"

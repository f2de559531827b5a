"""Certificates of the topology of level sets, written and checked.

The cells are proved as those of any complex, and then all boundary maps are reduced over the integers; what
found the Betti numbers (searches through graphs, duality, Euler's relation) has no part in it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from conslaw.certificates.budget import NotChecked
from conslaw.certificates.kernel import Refuted
from conslaw.certificates.reading import rational
from conslaw.certificates.verification import Check, checked
from conslaw.errors import ConslawError
from conslaw.regions.level_cuts import AT_INFINITY, cut_by_level, sides
from conslaw.regions.networks_read import Network
from conslaw.regions.simple_cells import SimpleCells
from conslaw.regions.written import cells_proved, network_written

if TYPE_CHECKING:
    from conslaw.regions.level_sets import Topology

KIND, VERSION = "level set", 1
NAMES = ("boundary", "below", "above")


def certificate(answer: Topology) -> dict[str, Any]:
    """See :meth:`Topology.certificate`."""
    network, data, box, output = answer.asked
    f_vector, bounded = data.counts(2**62)
    if len(f_vector) != network.inputs + 1:  # each cell contains a line
        bounded = (0,) * len(bounded)
    homology = {name: [getattr(answer, name).betti, getattr(answer, name).torsion] for name in NAMES}
    return {
        "kind": KIND,
        "version": VERSION,
        "claim": _claim(network, answer.function, answer.level, answer.at_infinity, box, homology),
        "network": json.dumps(network.to_json()),
        "box": json.dumps(box),
        "output": json.dumps(output),
        "level": answer.level,
        "at_infinity": answer.at_infinity,
        "homology": json.dumps(homology),
        "method": "vertices" if isinstance(data, SimpleCells) else "recompute",
        "signs": data.cells(0),
        "f_vector": np.array(f_vector, np.int64),
        "bounded": np.array(bounded, np.int64),
    }


def _claim(
    network: Network, function: str, level: str, at_infinity: str, box: Any, homology: Mapping[str, Any]
) -> str:
    widths = "-".join(map(str, [network.inputs, *(layer.width for layer in network.layers)]))
    parts = []
    for name, sign in zip(NAMES, ("=", "<=", ">="), strict=True):
        betti, torsion = homology[name]
        orders = [f"Z/{order} in H_{k}" for k, group in enumerate(torsion) for order in group]
        parts.append(f"{sign} {level}: {', '.join(map(str, betti))}" + "".join(f" and {o}" for o in orders))
    where = "" if box is None else " in a box"
    return (
        f"the ReLU network {widths} of digest {network.digest[:16]}{where}, {AT_INFINITY[at_infinity]}, has "
        f"the Betti numbers of {function} {'; '.join(parts)}"
    )


def checks(whole: Mapping[str, Any], budget: float) -> Iterator[Check]:
    """The checks of a certificate: the level is cut again, its cells are proved, their homology is that."""
    given: dict[str, Any] = {}

    def reading() -> str:
        given.update(_read(whole))
        return (
            f"{given['function']} = {given['level']} of the network of digest {given['network'].digest[:16]}"
        )

    yield (done := checked("level", reading))
    if not done.ok:
        return
    made: dict[str, Any] = {}
    inner = {**whole, "network": json.dumps(given["cut"].to_json())}
    yield from cells_proved(inner, budget, made)
    if "counts" not in made:
        return
    yield checked("homology", lambda: _homology(whole, given, made))


def _read(whole: Mapping[str, Any]) -> dict[str, Any]:
    if whole.get("version") != VERSION or whole.get("at_infinity") not in AT_INFINITY:
        raise Refuted(
            f"version {whole.get('version')!r} or at_infinity {whole.get('at_infinity')!r} is not known"
        )
    network = network_written(whole["network"])
    if json.loads(whole["box"]) is not None and whole["at_infinity"] != "none":
        raise Refuted("nothing is unbounded in a box")
    output, level = json.loads(whole["output"]), rational(whole["level"])
    classes = tuple(output) if isinstance(output, list) else None
    try:
        cut, function, value = cut_by_level(network, 0 if classes else output, level, classes)
    except ConslawError as error:
        raise Refuted(str(error)) from None
    return {"network": network, "cut": cut, "function": function, "level": str(value)}


def _homology(whole: Mapping[str, Any], given: Mapping[str, Any], made: Mapping[str, Any]) -> str:
    network, cells = given["network"], made["cells"]
    for name, wanted in (("f_vector", made["counts"][0]), ("bounded", made["counts"][1])):
        if [int(n) for n in whole[name]] != [*wanted]:
            raise Refuted(f"{name} is {[*wanted]}, not {[int(n) for n in whole[name]]}")
    lineality = network.inputs - len(cells.facets) + 1
    try:
        again = sides(cells, lineality, whole["at_infinity"], all_ranks=True)
    except ConslawError as error:
        raise NotChecked(str(error)) from None
    found = {name: [side.homology.betti, side.homology.torsion] for name, side in again.items()}
    if json.loads(json.dumps(found)) != json.loads(whole["homology"]):
        raise Refuted(f"the homology is {json.dumps(found)}, not {whole['homology']}")
    stated = _claim(
        network, given["function"], given["level"], whole["at_infinity"], json.loads(whole["box"]), found
    )
    if stated != whole["claim"]:
        raise Refuted(f"what is proved is {stated!r}, not what is claimed")
    return "; ".join(f"{name} {', '.join(map(str, betti))}" for name, (betti, _) in found.items())

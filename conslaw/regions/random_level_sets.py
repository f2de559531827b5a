"""The topology of random networks' level sets, trial by trial: functions of a case, for sweeps."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from conslaw.errors import ConslawError
from conslaw.regions.complexes import polyhedral_complex
from conslaw.regions.level_sets import topology
from conslaw.regions.networks_read import Array

TEMPLATE = re.compile(r"[0-9]{1,4}(-([0-9]{1,4}|n))*-[0-9]{1,4}")


def architectures(template: str, widths: Sequence[int]) -> list[str]:
    """The template with n replaced by each width.

    Examples
    --------
    >>> architectures("2-n-n-1", [6, 9])
    ['2-6-6-1', '2-9-9-1']
    """
    if not TEMPLATE.fullmatch(template):
        raise ConslawError(
            f"--random {template[:60]!r}: give widths joined by '-', n for those that vary: 2-n-n-1"
        )
    return list(
        dict.fromkeys("-".join(str(n) if d == "n" else d for d in template.split("-")) for n in widths)
    )


def cases(archs: Sequence[str], trials: int) -> Iterator[dict[str, Any]]:
    """One for each architecture and trial."""
    return ({"arch": arch, "trial": trial} for arch in archs for trial in range(trials))


def random_network(widths: Sequence[int], seed: Sequence[int]) -> list[tuple[Array, Array]]:
    """Weights and biases uniform between -1/sqrt(m) and 1/sqrt(m), m inputs: a linear layer's usual start."""
    rng = np.random.default_rng(seed)
    return [
        (rng.uniform(-1, 1, (n, m)) / np.sqrt(m), rng.uniform(-1, 1, n) / np.sqrt(m))
        for m, n in pairwise(widths)
    ]


@dataclass(frozen=True)
class Trial:
    """The level set F = level of one random network, as a function of a case."""

    level: str = "0"
    seed: int = 0

    def __call__(self, case: Mapping[str, Any]) -> dict[str, Any]:
        """Columns: counts and Betti numbers; ``arrays`` holds points and edges of the complex, as text."""
        widths = [int(n) for n in case["arch"].split("-")]
        network = random_network(widths, [self.seed, *widths, case["trial"]])
        complex_ = polyhedral_complex(network)
        plain = topology(complex_, level=Fraction(self.level))
        closed = topology(complex_, level=Fraction(self.level), at_infinity="point")
        boundary = plain.boundary
        columns: dict[str, Any] = {
            "f_vector": complex_.f_vector,
            "generic": plain.generic,
            "certified": plain.certified,
            "components": len(boundary.components),
            "bounded_components": sum(one.bounded for one in boundary.components),
        }
        for name in ("boundary", "below", "above"):
            columns[f"{name}_betti"] = getattr(plain, name).betti
            columns[f"{name}_betti_with_infinity"] = getattr(closed, name).betti
        stream = io.BytesIO()
        np.savez_compressed(stream, points=complex_.vertices, complexes=complex_.edges)
        return columns | {"arrays": base64.b64encode(stream.getvalue()).decode()}


def write(rows: Iterable[Mapping[str, Any]], path: Path) -> int:
    """Write the trials that ended well as one NPZ file; how many they are.

    Ragged arrays stand one behind the other: the vertices of trial i are
    ``points[point_starts[i]:point_starts[i + 1]]``, and so on; ``complexes`` holds the bounded edges, as
    pairs of rows of the trial's own points.
    """
    kept = [row for row in rows if row["status"] == "ok"]
    parts: dict[str, list[Array]] = {"points": [], "complexes": []}
    for row in kept:
        with np.load(io.BytesIO(base64.b64decode(row["arrays"])), allow_pickle=False) as found:
            for name, arrays in parts.items():
                arrays.append(found[name])
    whole: dict[str, Array] = {
        "archs": np.array([[int(n) for n in row["arch"].split("-")] for row in kept], np.int64),
        "trials": np.array([row["trial"] for row in kept], np.int64),
        "times": np.array([row["cpu_seconds"] for row in kept], float),
    }
    for name in ("f_vector", *(key for key in (kept[0] if kept else ()) if "betti" in key)):
        whole[name] = np.array([[int(n) for n in str(row[name]).split(",")] for row in kept], np.int64)
    for name, arrays in parts.items():
        whole[name] = np.concatenate(arrays) if arrays else np.zeros((0, 2))
        starts = f"{name[:-1] if name == 'points' else 'complex'}_starts"
        whole[starts] = np.cumsum([0, *map(len, arrays)])
    with path.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **whole)
    return len(kept)

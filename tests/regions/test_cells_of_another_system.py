"""Counts of cells against another system: the Parma Polyhedra Library, from the definition."""

import json
from fractions import Fraction
from pathlib import Path

import pytest

from conslaw import regions

CASES = json.loads((Path(__file__).parent / "oracle" / "vectors.json").read_text(encoding="utf-8"))["cases"]


@pytest.mark.parametrize("name", CASES)
def test_counts_and_regions(name):
    case = CASES[name]
    layers = [(w, b, Fraction(slope)) for w, b, slope in case["layers"]]
    found = regions.polyhedral_complex(layers)
    assert found.certified
    empty = [0] * found.lineality
    assert empty + list(found.f_vector) == case["f_vector"]
    assert ([0] * (found.lineality + len(found.f_vector)) if found.lineality else list(found.bounded)) == (
        case["bounded"]
    )
    names = {"".join("-0+"[s + 1] for s in row) for row in found.cells(found.dimension)}
    assert set(case["regions"]) <= names
    assert found.generic == (not found.coincidences())

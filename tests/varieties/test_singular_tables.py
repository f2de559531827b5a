"""Dimensions, generators and Hilbert functions against Singular: kernels of coefficient maps over Q."""

import json
from pathlib import Path

import pytest

from conslaw import varieties
from conslaw.networks import polynomial

FILE = Path(__file__).parent / "oracle" / "vectors.json"
TABLES = json.loads(FILE.read_text(encoding="utf-8"))["tables"]


@pytest.mark.parametrize("table", TABLES, ids=lambda one: f"{one['widths']}, {one['power']}")
def test_counts_of_another_system(table):
    model, degree = polynomial(table["widths"], table["power"]), max(map(int, table["generators"]))
    found = varieties.equations(model, degree=degree)
    assert len(found.coordinates) == table["coefficients"]
    new = {str(d): found.number(d)[1] for d in range(1, degree + 1) if found.number(d)[1]}
    assert new == table["generators"]
    assert list(found.hilbert_function) == table["hilbert_function"][: degree + 1]
    assert found.complete_to_degree == degree
    size = varieties.dimension(model)
    assert (size.dimension, size.ambient_dimension) == (table["dimension"], table["coefficients"])

"""Kinks of what is read in place of nonlinearities: between them each function is one of its polynomials."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np

from conslaw.algebra.evaluation import NumPyNumbers, evaluate
from conslaw.attained.functions import GATES, PIECEWISE, Pieces
from conslaw.models.potential import Model
from conslaw.models.readings import Array, Reading, Values

Sides: TypeAlias = Mapping[str, Array]  # 1 where the argument is above a break, by reading and break


def pieces_of(model: Model) -> list[tuple[Reading, Pieces]]:
    """The readings with breaks, and their pieces."""
    tables = {**GATES, **PIECEWISE}
    return [(r, tables[r.operation](**r.options)) for r in model.readings if r.operation in tables]


def before_kinks(model: Model, arrays: Mapping[str, Array], numbers: NumPyNumbers[Any]) -> dict[str, Array]:
    """How far above its breaks each argument is."""
    known = pieces_of(model)
    values = evaluate([r.arguments[0] for r, _ in known], arrays, numbers)
    return {
        _key(r, i): z - numbers.convert(b)
        for (r, pieces), z in zip(known, values, strict=True)
        for i, b in enumerate(pieces.breaks)
    }


def frozen(model: Model, sides: Sides) -> dict[str, tuple[Values, Values | None]]:
    """Values and slopes of the readings with breaks, on these sides of them wherever their arguments are."""
    made = dict[str, tuple[Values, Values | None]]()
    for r, pieces in pieces_of(model):
        number = sum(np.asarray(sides[_key(r, i)]).astype(int) for i in range(len(pieces.breaks)))
        made[r.data[0]] = _on(pieces, np.asarray(number), gate=r.operation in GATES)
    return made


def _key(r: Reading, i: int) -> str:
    return f"{r.data[0]} {i}"


def _on(pieces: Pieces, number: Array, *, gate: bool) -> tuple[Values, Values | None]:
    if gate:
        value = np.array(pieces.gates(), dtype=float)[number]
        return (lambda *z, **_: [value]), None
    c = [np.array(pieces.coefficients(d), dtype=float)[number] for d in range(3)]
    return (
        lambda z, **_: [c[0] + z * (c[1] + z * c[2])],
        lambda z, adjoint, **_: [adjoint * (c[1] + 2 * z * c[2])],
    )

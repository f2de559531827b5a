"""Brackets of random elements of the span of a flow's vector fields, in batches, at a point mod p."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import numpy as np

from conslaw.algebra.evaluation import evaluate
from conslaw.algebra.expressions import LETTERS, Shape
from conslaw.algebra.finite_field import Residues
from conslaw.algebra.jets import Jet, Jets, lift, part, without
from conslaw.flows.flow import Flow

State: TypeAlias = Mapping[str, Jet]


def random_residues(shape: Shape, rng: np.random.Generator, p: int) -> Residues:
    """Uniformly random numbers mod p."""
    return rng.integers(0, p, shape, dtype=np.uint64)


def trace_samples(
    flow: Flow, state: State, depth: int, count: int, rng: np.random.Generator, p: int
) -> Residues:
    """Random elements of the trace at a point: ``count`` right-nested brackets of ``depth`` random fields,
    one a row (count, n).
    """
    fields = [RandomField(flow, count, rng, p) for _ in range(depth)]
    return as_rows(flow, nested_bracket(fields, state, Jets(p), 1), count)


def as_rows(flow: Flow, value: State, count: int) -> Residues:
    """The values of a batch of vector fields at a point as a matrix (count, n)."""
    return flattened(flow, value, count)[0]


def flattened(flow: Flow, value: State, count: int) -> Jet:
    """State arrays of jets, side by side: one jet of matrices (count, n)."""
    masks = sorted({0}.union(*value.values()))

    def whole(name: str, shape: Shape, mask: int) -> Residues:
        coefficient = value[name].get(mask, np.zeros((1, *shape), dtype=np.uint64))
        return np.broadcast_to(coefficient, (count, *shape)).reshape(count, -1)

    return {
        mask: np.concatenate([whole(n, s, mask) for n, s in flow.state.items()], axis=1) for mask in masks
    }


class RandomField:
    """A batch of random elements of the span of a flow's vector fields."""

    def __init__(self, flow: Flow, count: int, rng: np.random.Generator, p: int) -> None:
        self.flow, self.jets = flow, Jets(p)
        self.data: dict[str, Jet] = {
            name: {0: random_residues((count, *shape), rng, p)} for name, shape in flow.data.items()
        }
        self.mixture: list[Jet] = (
            [{0: random_residues((count,), rng, p)} for _ in flow.fields] if len(flow.fields) > 1 else []
        )

    def __call__(self, state: State) -> State:
        """Its value at a state (a point, or a jet of points)."""
        result: dict[str, Jet] = {name: {} for name in self.flow.state}
        for number, field in enumerate(self.flow.fields):
            values = evaluate(list(field.values()), {**self.data, **state}, self.jets)
            for name, value in zip(field, values, strict=True):
                letters = LETTERS[: len(self.flow.state[name])]
                scaled = (
                    self.jets.product(self.mixture[number], value, "", letters, letters)
                    if self.mixture
                    else value
                )
                result[name] = self.jets.add(result[name], scaled)
        return result


def nested_bracket(fields: Sequence[RandomField], state: State, jets: Jets, bit: int) -> State:
    """[X_1, [X_2, ...]] at a state; ``bit`` is the first nilpotent direction not in use there."""
    first = fields[0](state)
    if len(fields) == 1:
        return first
    shifted = {name: lift(x, first[name], bit) for name, x in state.items()}
    along_first = nested_bracket(fields[1:], shifted, jets, bit << 1)
    inner = {name: without(x, bit) for name, x in along_first.items()}
    along_inner = fields[0]({name: lift(x, inner[name], bit) for name, x in state.items()})
    return {name: jets.subtract(part(along_first[name], bit), part(along_inner[name], bit)) for name in state}

"""Laws recorded along a simulated run, and what is predicted for them."""

from __future__ import annotations

from collections.abc import Mapping
from math import sqrt
from typing import Any

import numpy as np

from conslaw.answers import Analysis
from conslaw.errors import ConslawError
from conslaw.flows.flow import TIME, velocity
from conslaw.training.drift import Drift, LawDrift
from conslaw.training.network import Numbers
from conslaw.training.predictions import Predicted, Step, skew_after
from conslaw.training.watched import Watched, watched

MOST_OTHERS = 100  # laws of higher degree, rational or with logarithms

Arrays = Mapping[str, Any]


class Recorder:
    """What is recorded at some steps: the value of each law and, where there is one, the prediction."""

    def __init__(self, analysis: Analysis, numbers: Numbers, *, entries: bool, states: bool) -> None:
        self.analysis, self.numbers = analysis, numbers
        self.watched, others = watched(analysis, entries=entries)
        self.others = _Others(analysis, others[:MOST_OTHERS], numbers) if others else None
        self.kept: dict[str, list[Any]] | None = {} if states else None
        self.steps, self.times = list[int](), list[float]()
        self.values: list[list[Any]] = [[] for _ in self.watched]
        self.expected: list[list[Any]] = [[] for _ in self.watched]
        self.others_values = list[Any]()
        self.predicted: list[Any] = []
        self.sizes: list[Any] = []
        self.end: Arrays = {}
        self.stopped = ""

    @property
    def count(self) -> int:
        """How many numbers each record has."""
        return sum(len(law.labels) for law in self.watched) + (len(self.others.labels) if self.others else 0)

    def begin(self, theta: Arrays, v: Arrays, predictable: bool = True, time: Any = None) -> None:
        """The first record; ``predictable`` if the formulas hold for this method."""
        self.predictable, self.end = predictable, theta
        state = _both(theta, v)
        for law in self.watched:
            value = law.at(state)
            along = 0 if law.skew else _along(law, theta, v)
            self.predicted.append(Predicted(value * self._factor(law, time), along))
        self.record(0, theta, v, time)

    def _factor(self, law: Watched, time: Any) -> Any:
        """The function of time in a law, in flows."""
        return time**law.power if time is not None else 1

    def advance(self, how: Step, theta: Arrays, v: Arrays, g: Arrays, after: Arrays, u: Arrays) -> None:
        """A step is made from theta and v, with g' = g + lambda theta, to the momentum ``after`` along u."""
        for i, (law, known) in enumerate(zip(self.watched, self.predicted, strict=True)):
            if law.skew:
                made = skew_after(known.law, how, law.at(_both(g, v)) if how.nesterov else 0)
                self.predicted[i] = Predicted(made, 0)
                continue
            parts = {part: part.of(theta) for part in law.parts} if how.decays else {}
            applied = {part: part.of(u) for part in law.quadratic}
            mixed = {part: part.between(u, after) for part in law.quadratic} if how.nesterov else {}
            self.predicted[i] = known.after(how, law, parts, applied, mixed)

    def record(self, k: int, theta: Arrays, v: Arrays, time: Any = None, clock: float | None = None) -> None:
        """The values after k steps."""
        state = _both(theta, v)
        self.steps.append(k)
        self.times.append(float(k) if clock is None else clock)
        for law, values, expected, known in zip(
            self.watched, self.values, self.expected, self.predicted, strict=True
        ):
            values.append(law.at(state) * self._factor(law, time))
            expected.append(known.law)
        if self.others:
            self.others_values.append(self.others.at(state, time))
        if self.kept is not None:
            for name, x in theta.items():
                self.kept.setdefault(name, []).append(x)
        self.last = state, time
        if not self.sizes:
            self.sizes = self._sizes()
        self.end = theta

    def _sizes(self) -> list[Any]:
        """The terms of each law, at the last record."""
        state, time = self.last
        return [
            np.asarray(law.magnitude(state) * self._factor(law, time), np.float64) for law in self.watched
        ]

    def drift(self, title: str, method: str, step: float) -> Drift:
        """The answer."""
        unit = self.numbers.rounding * sqrt(max(self.steps[-1], 1))
        laws = [
            LawDrift(
                law.text,
                law.latex,
                law.labels,
                np.array(values),
                np.array(expected) if self.predictable else None,
                np.maximum(*sizes),
                unit,
            )
            for law, values, expected, *sizes in zip(
                self.watched, self.values, self.expected, self.sizes, self._sizes(), strict=True
            )
        ]
        if self.others:
            values = np.array(self.others_values)
            expected = np.repeat(values[:1], len(values), axis=0) if method == "flow" else None
            size, text = abs(np.asarray(values[0], np.float64)), self.others.text
            laws.append(
                LawDrift(text, r"\text{other laws}", self.others.labels, values, expected, size, unit)
            )
        clocks = np.array(self.times) if method == "flow" else np.array(self.steps) * step
        kept = None if self.kept is None else {name: np.array(x) for name, x in self.kept.items()}
        return Drift(
            title,
            method,
            np.array(self.steps, np.int64),
            np.asarray(clocks, np.float64),
            tuple(laws),
            dict(self.end),
            True,
            self.stopped,
            states=kept,
        )


def _both(theta: Arrays, v: Arrays) -> dict[str, Any]:
    """Parameters and velocities under their names in the state."""
    return {**theta, **{velocity(name): x for name, x in v.items()}}


def _along(law: Watched, theta: Arrays, v: Arrays) -> Any:
    """<grad h(theta), v>."""
    values = {p: 2 * p.between(theta, v) if len(p.arrays) == 2 else p.of(v) for p in law.parts}
    return law.total(values)


class _Others:
    """Laws that are no quadratic forms, as functions of the state."""

    def __init__(self, analysis: Analysis, laws: list[Any], numbers: Numbers) -> None:
        import sympy

        assert analysis.analyzed is not None
        if numbers.system.convert.__name__ == "Fraction" and any(
            law.has(sympy.log, sympy.exp) for law in laws
        ):
            raise ConslawError(
                "precision='exact': laws with logarithms are not rational; give a number of digits"
            )
        flow = analysis.analyzed
        self.state = {name: shape for name, shape in flow.state.items() if name != TIME or not flow.time}
        symbols = [c.symbol() for c in flow.coordinates if c.name in self.state]
        self.timed = flow.time is not None
        words = "numpy" if numbers.are_floats else "mpmath"
        self.code = sympy.lambdify([sympy.Symbol("t"), *symbols], laws, words)
        self.labels = tuple(str(law)[:200] for law in laws)
        self.text = self.labels[0] if len(laws) == 1 else f"{len(laws)} laws of other kinds"

    def at(self, state: Arrays, time: Any) -> Any:
        values = [x for name in self.state for x in np.reshape(state[name], -1)]
        return np.array([x + 0 * values[0] for x in self.code(time, *values)])

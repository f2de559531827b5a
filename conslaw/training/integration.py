"""The differential equation of a flow, followed: kinks of ReLU are located, and nothing is stepped over."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

import mpmath
import numpy as np
from scipy.integrate import solve_ivp

from conslaw.errors import ConslawError
from conslaw.flows.flow import Flow
from conslaw.models.real_data import RealData
from conslaw.training.network import Array, Network
from conslaw.training.records import Recorder

Arrays = dict[str, Array]

TOLERANCE = 1e-12  # of DOP853
MOST_KINKS = 10_000
MOST_EVALUATIONS = 1_000_000
MOST_AT_ONCE = 50  # kinks without any time between them


class _Stopped(Exception):  # noqa: N818
    """The run ends here, with what is recorded."""


class _Equation:
    """The state as one vector, and its velocity."""

    def __init__(self, flow: Flow, network: Network) -> None:
        self.network, self.momentum = network, flow.name == "momentum"
        self.shapes = dict(network.model.parameters)
        self.size = network.model.size
        self.decay = network.numbers.number(Fraction(flow.weight_decay))
        damping = flow.damping or "0"
        self.over_t = damping.endswith("/t")
        self.damping = network.numbers.number(Fraction(damping.removesuffix("/t")))
        self.evaluations = 0
        self.begins = network.numbers.number(1 if self.over_t else 0)

    def pack(self, theta: Mapping[str, Array], v: Mapping[str, Array]) -> Array:
        parts = [*theta.values(), *(v.values() if self.momentum else ())]
        return np.concatenate([x.reshape(-1) for x in parts])

    def unpack(self, y: Array) -> tuple[Arrays, Arrays]:
        made, start = list[Arrays](), 0
        for _ in range(1 + self.momentum):
            arrays: Arrays = {}
            for name, shape in self.shapes.items():
                stop = start + int(np.prod(shape))
                arrays[name], start = y[start:stop].reshape(shape), stop
            made.append(arrays)
        zero = {n: np.zeros_like(x) for n, x in made[0].items()}
        return made[0], made[1] if self.momentum else zero

    def with_gates(self, gates: RealData | None) -> Callable[[Any, Array], Array]:
        """The velocity with these gates, which do not change between kinks."""
        return lambda t, y: self._velocity(t, y, gates.gates if gates else None)

    def _velocity(self, t: Any, y: Array, gates: Mapping[str, Array] | None) -> Array:
        self.evaluations += 1
        if self.evaluations > MOST_EVALUATIONS:
            raise _Stopped(f"{MOST_EVALUATIONS:,} evaluations were not enough; the flow is stiff")
        theta, v = self.unpack(y)
        tau = self.damping / t if self.over_t else self.damping
        z = theta if not self.momentum else ({n: tau * x + v[n] for n, x in theta.items()} if tau else v)
        with np.errstate(all="ignore"):
            g = self.network.step(theta, z, gates)
        forces = {name: -(g[name] + self.decay * x) for name, x in theta.items()}
        if not self.momentum:
            return self.pack(forces, {})
        return self.pack(v, {name: x - tau * v[name] for name, x in forces.items()})


def integrated(
    flow: Flow,
    network: Network,
    begin: tuple[Arrays, Arrays],
    step: Fraction,
    steps: int,
    every: int,
    recorder: Recorder,
) -> None:
    """Follow the flow, with a record every so many steps of time."""
    numbers = network.numbers
    if numbers.exp is None:
        raise ConslawError("precision='exact': a flow is followed in floats, or in a number of digits")
    equation = _Equation(flow, network)
    marks = [*range(0, steps, every), steps]
    times = [equation.begins + numbers.number(step) * k for k in marks]
    clock = _clock(flow, numbers.are_floats)
    y = equation.pack(*begin)
    recorder.begin(*begin, True, clock(times[0]))
    recorder.times[0] = float(times[0])
    advance = _by_floats if numbers.are_floats else _by_series
    try:
        for k, before, after in zip(marks[1:], times, times[1:], strict=False):
            y = advance(equation, before, after, y)
            recorder.record(k, *equation.unpack(y), clock(after), float(after))
    except _Stopped as stop:
        recorder.stopped = str(stop)


def _clock(flow: Flow, floats: bool) -> Callable[[Any], Any]:
    """The function of time that the state array of a flow stands for."""
    time = flow.time
    if time is None:
        return lambda _: None
    rate = float(time.rate) if floats else mpmath.mpf(time.rate.numerator) / time.rate.denominator
    if time.kind == "exp":
        return lambda t: np.exp(rate * t) if floats else mpmath.exp(rate * t)
    return lambda t: t**rate


def _by_floats(equation: _Equation, t: float, end: float, y: Array) -> Array:
    """To this time, from kink to kink."""
    network, kinks, at_once = equation.network, 0, 0
    gates = network.real(equation.unpack(y)[0]) if network.has_kinks else None
    signs = {n: np.where(x > 0, 1.0, -1.0) for n, x in gates.before.items()} if gates else {}
    slack = {n: np.where(x == 0, np.inf, 0.0) for n, x in gates.before.items()} if gates else {}
    while t < end:
        crossed = _crossing(equation, gates, signs, slack)
        found: Any = solve_ivp(
            equation.with_gates(gates),
            (t, end),
            y,
            method="DOP853",
            rtol=TOLERANCE,
            atol=TOLERANCE * max(1e-3, float(abs(y).max())),
            events=[crossed] if gates else None,
        )
        if found.status < 0 or not np.isfinite(found.y[:, -1]).all():
            raise _Stopped(f"the flow could not be followed beyond t = {found.t[-1]:.6g}: {found.message}")
        at_once = at_once + 1 if found.t[-1] <= t + 1e-13 * max(1.0, abs(t)) else 0
        t, y = float(found.t[-1]), found.y[:, -1]
        if found.status == 0 or gates is None:
            break
        kinks += 1
        if at_once > MOST_AT_ONCE:
            raise _Stopped(
                f"the flow slides along a kink from t = {t:.6g} on, with a gate between 0 and 1: not followed"
            )
        if kinks > MOST_KINKS:
            raise _Stopped(f"there are more than {MOST_KINKS:,} kinks before t = {t:.6g}")
        gates = _flipped(equation, y, gates, signs, slack)
    return y


def _crossing(
    equation: _Equation, gates: RealData | None, signs: Mapping[str, Array], slack: Mapping[str, Array]
) -> Any:
    """The function whose zero is the next kink: the least of what decides the gates, by its sign."""

    def least(t: float, y: Array) -> float:
        before = _before(equation, y, gates)
        return min(float((signs[n] * x + slack[n]).min()) for n, x in before.items())

    least.terminal, least.direction = True, -1  # type: ignore[attr-defined]
    return least


def _before(equation: _Equation, y: Array, gates: RealData | None) -> Mapping[str, Array]:
    assert gates is not None
    return equation.network.real(equation.unpack(y)[0], gates.gates).before


def _flipped(
    equation: _Equation, y: Array, gates: RealData, signs: Mapping[str, Array], slack: Mapping[str, Array]
) -> RealData:
    """The gates behind a kink; what crossed starts a little on its new side."""
    before = _before(equation, y, gates)
    name = min(before, key=lambda n: float((signs[n] * before[n] + slack[n]).min()))
    place = int(np.argmin(signs[name] * before[name] + slack[name]))
    signs[name].reshape(-1)[place] *= -1
    gap = abs(float(before[name].reshape(-1)[place]))
    slack[name].reshape(-1)[place] = 2 * gap + 1e-300
    data = {**gates.data, name: (signs[name] > 0).astype(np.float64)}
    return RealData(gates.outputs, data, gates.before)


def _by_series(equation: _Equation, t: Any, end: Any, y: Array) -> Array:
    """To this time, by Taylor series; no kink may lie on the way."""
    network = equation.network
    gates = network.real(equation.unpack(y)[0]) if network.has_kinks else None
    velocity = equation.with_gates(gates)
    solution = mpmath.odefun(lambda s, x: list(velocity(s, _objects(x))), t, list(y))
    found = _objects(solution(end))
    if gates is not None:
        now = network.real(equation.unpack(found)[0]).before
        if any(((now[n] > 0) != (x > 0)).any() for n, x in gates.before.items()):
            raise _Stopped(f"a kink lies before t = {float(end):.6g}; follow it in floats (precision=None)")
    return found


def _objects(values: Any) -> Array:
    made = np.empty(len(values), dtype=object)
    made[:] = list(values)
    return made

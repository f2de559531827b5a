"""Training simulated: the flow itself, or the discrete methods as PyTorch defines them."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import sqrt
from typing import Any, TypeAlias

import mpmath
import numpy as np

from conslaw.algebra.exact_numbers import hyper_parameter
from conslaw.algebra.threads import one_blas_thread
from conslaw.analysis import analyze
from conslaw.answers import Analysis
from conslaw.errors import ConslawError, Interrupted, check_flags, check_memory, check_seed
from conslaw.flows.flow import Flow, gradient_flow, velocity
from conslaw.flows.metrics import MetricSpecification
from conslaw.models.potential import MetricCode, Model, is_positive_integer
from conslaw.training.drift import Drift
from conslaw.training.integration import integrated
from conslaw.training.network import Loss, Network
from conslaw.training.predictions import Step
from conslaw.training.records import Recorder

logger = logging.getLogger(__name__)

Arrays: TypeAlias = dict[str, Any]

LARGEST = 1e100  # of weights: their squares, and products of those, are still floats
METHODS = ("flow", "gd", "heavy_ball", "nesterov", "mirror")


@one_blas_thread()
def simulate(
    subject: Model | Flow,
    *,
    data: Mapping[str, Any] | None = None,
    targets: Any = None,
    loss: Loss = "squared",
    start: Mapping[str, Any] | None = None,
    method: str = "flow",
    step: Any = 0.01,
    steps: int = 100,
    momentum: Any = None,
    weight_decay: Any = None,
    metric: MetricSpecification = None,
    analysis: Analysis | None = None,
    every: int = 1,
    entries: bool = True,
    states: bool = False,
    precision: object = None,
    seed: int = 0,
) -> Drift:
    """Train a network on real data, and watch its laws beside what is predicted for them.

    Parameters
    ----------
    subject : Model, or Flow of one
        ``"flow"`` follows a flow (the gradient flow of a model); the discrete methods train a model, or
        discretise the flow given: ``"gd"`` and ``"mirror"`` a gradient flow, ``"heavy_ball"`` and
        ``"nesterov"`` a momentum flow of constant damping tau, where a step is sqrt(eta) of time and the
        momentum beta = 1 - tau sqrt(eta).
    data : mapping from data arrays to rows
        The inputs, N rows of each; gates of the families are filled in from them at the current weights.
    targets : array of the shape of the outputs (N, outputs); for cross-entropy also N class numbers
    loss : ``"squared"``, ``"cross_entropy"``, or a function (outputs, targets) -> gradient in the outputs
        The mean over the samples of half the squared distance, or of the cross-entropy after softmax.
    start : mapping from parameter arrays to weights, optional
        Random by default.  For momentum flows also of velocities (``W1_dot``; the momentum buffers v of
        discrete methods), 0 by default.
    method : ``"flow"``, ``"gd"``, ``"heavy_ball"``, ``"nesterov"`` or ``"mirror"``
        ``"flow"``: the differential equation (DOP853 to 12 digits, kinks of ReLU located; Taylor series for
        more digits).  Discrete methods are those of ``torch.optim.SGD``: v <- beta v + g + lambda theta, then
        theta <- theta - eta v, or theta - eta (g + lambda theta + beta v) (Nesterov); ``"mirror"``: with M(z)
        g in place of g, z = theta - eta beta/(1 - beta) v.
    step : eta; of a flow the time between records
    steps : how many
    momentum : beta, by default that of the flow, else 0.9 (0 for ``"mirror"``)
    weight_decay : lambda, by default that of the flow, else 0
    metric : of a model, see :func:`gradient_flow`; rates other than 1 are those of parameter groups
    analysis : what :func:`analyze` says of this flow (without weight decay for discrete methods); made if not
        given
    every : record every so many steps
    entries : whether all laws are watched, or of large families a few (see :class:`Monitor`)
    states : whether the parameters are kept at each record
    precision : None for floats, ``"exact"`` for fractions, or a number of decimal digits
    seed : of random weights

    Returns
    -------
    Drift

    Raises
    ------
    ConslawError
        For data, weights or a flow that do not fit.
    Interrupted
        By Ctrl-C: its ``answer`` is the Drift until then.

    Examples
    --------
    One step of gradient descent changes U'U - V'V by eta^2 times the same of the gradients, exactly:

    >>> import conslaw
    >>> drift = conslaw.simulate(
    ...     conslaw.linear([2, 2, 1]), data={"x": [[1, 2], [0, 1]]}, targets=[[1], [2]],
    ...     method="gd", step="1/10", steps=5, precision="exact",
    ... )
    >>> drift.laws[0].text, drift.laws[0].error, drift.worst > 0
    ('W1 W1ᵀ − W2ᵀ W2', 0.0, True)
    """
    check_flags(entries=entries, states=states)
    if not isinstance(method, str) or method not in METHODS:
        raise ConslawError(f"method={method!r}: give one of {', '.join(METHODS)}")
    for name, value in (("steps", steps), ("every", every)):
        if not is_positive_integer(value):
            raise ConslawError(f"{name}={value!r}: give a positive integer")
    flow = _flow(subject, method, metric, weight_decay)
    assert flow.model is not None
    with mpmath.workdps(precision if is_positive_integer(precision) else mpmath.mp.dps):
        network = Network.of(flow.model, data, targets, loss, _metric(flow), precision)
        run = _Run(flow, network, method, _positive("step", step), int(steps), int(every), momentum)
        begin = _start(run, start, check_seed(seed))
        recorder = Recorder(_analysis(run, analysis), network.numbers, entries=entries, states=states)
        records, size = 2 + run.steps // run.every, (2 if states else 0) * network.model.size
        check_memory(16.0 * records * (size + recorder.count), f"{records:,} records", "record less: every=")
        try:
            if method == "flow":
                integrated(flow, network, begin, run.step, run.steps, run.every, recorder)
            else:
                _train(run, begin, recorder)
        except KeyboardInterrupt as stop:
            if not recorder.steps:
                raise
            recorder.stopped = f"interrupted after {recorder.steps[-1]:,} steps"
            answer = recorder.drift(_title(run, recorder.analysis), method, run.time_of_a_step)
            raise Interrupted(answer) from stop
        return recorder.drift(_title(run, recorder.analysis), method, run.time_of_a_step)


def _title(run: _Run, analysis: Analysis) -> str:
    """What was trained, and how."""
    if run.method == "flow":
        return f"{analysis.title}, followed"
    words = [f"step {float(run.eta):.4g}"]
    words += [f"momentum {float(run.beta):.4g}"] if run.beta else []
    words += [f"weight decay {float(run.decay):.4g}"] if run.decay else []
    return f"{analysis.title}, {run.method}, {', '.join(words)}"


@dataclass(frozen=True)
class _Run:
    """What is asked for."""

    flow: Flow
    network: Network
    method: str
    step: Fraction
    steps: int
    every: int
    momentum: Any

    @property
    def eta(self) -> Any:
        """The step, as a number of the run."""
        return self.network.numbers.number(self.step)

    @property
    def decay(self) -> Any:
        """The weight decay."""
        return self.network.numbers.number(Fraction(self.flow.weight_decay))

    @property
    def time_of_a_step(self) -> float:
        """A step of a momentum flow is the square root of eta."""
        return sqrt(self.step) if self.flow.name == "momentum" else float(self.step)

    @property
    def beta(self) -> Any:
        """The momentum."""
        if self.method in ("gd", "flow"):
            if self.momentum is not None and _number("momentum", self.momentum):
                raise ConslawError(f"momentum={self.momentum!r}: the method {self.method!r} has none")
            return 0
        if self.flow.name == "momentum":
            assert self.flow.damping is not None
            return self._of_damping(Fraction(self.flow.damping))
        if self.momentum is None:
            return 0 if self.method == "mirror" else self.network.numbers.number(Fraction(9, 10))
        beta = _number("momentum", self.momentum)
        if not 0 <= beta < 1:
            raise ConslawError(f"momentum={self.momentum!r}: give a number from 0 to less than 1")
        return self.network.numbers.number(beta)

    def _of_damping(self, tau: Fraction) -> Any:
        """1 - tau sqrt(eta), exact if the square root is."""
        root: Any = sqrt(self.step)
        exact = Fraction(root).limit_denominator(10**9)
        root = exact if exact * exact == self.step else Fraction(root)
        beta = 1 - tau * root
        if beta < 0 or self.momentum is not None:
            raise ConslawError(
                f"step={float(self.step):g}, momentum={self.momentum!r}: with damping {tau} the momentum is "
                f"1 - tau sqrt(step) = {float(beta):.4g}, at least 0; leave momentum out, or give a model"
            )
        return self.network.numbers.number(beta)


def _flow(subject: object, method: str, metric: MetricSpecification, weight_decay: Any) -> Flow:
    """The flow that is followed or discretised."""
    if isinstance(subject, Model):
        decay = 0 if weight_decay is None else weight_decay
        flow = gradient_flow(subject, metric=metric, weight_decay=decay)
        if flow.model is None:
            raise ConslawError(f"{subject.name} has norms with eps=0: give a positive eps")
        powers = flow.metric_words is None or any(w.startswith("z") for w in flow.metric_words.values())
        if powers and method not in ("flow", "mirror"):
            raise ConslawError(
                f"method={method!r}: {subject.name} is trained in the metric {flow.metric}; give "
                f"method='mirror', or metric='euclidean'"
            )
        return flow
    if not isinstance(subject, Flow) or subject.model is None:
        raise ConslawError(f"{subject!r}: give a model, or a flow of one")
    if metric is not None or weight_decay is not None:
        raise ConslawError("metric and weight_decay are those of the flow: leave them out")
    kinds = {"gd": "gradient", "mirror": "gradient", "heavy_ball": "momentum", "nesterov": "momentum"}
    if kinds.get(method, subject.name) != subject.name:
        fits = [name for name, kind in kinds.items() if kind == subject.name]
        raise ConslawError(f"method={method!r} does not discretise a {subject.name} flow: give {fits}")
    if method != "flow" and "/t" in (subject.damping or ""):
        raise ConslawError(
            f"method={method!r}: its momentum is constant, the damping {subject.damping} is not; give "
            f"method='flow', or a flow of constant damping"
        )
    return subject


def _number(what: str, value: object) -> Fraction:
    """A hyper-parameter; a float is its shortest decimal."""
    try:
        return Fraction(hyper_parameter("no" if isinstance(value, bool) else value))
    except ConslawError:
        raise ConslawError(f"{what}={value!r}: give a number") from None


def _positive(what: str, value: object) -> Fraction:
    number = _number(what, value)
    if number <= 0:
        raise ConslawError(f"{what}={value!r}: give a positive number")
    return number


def _metric(flow: Flow) -> MetricSpecification:
    """The metric of a flow, to be made again."""
    if flow.metric_words is not None:
        return flow.metric_words
    if flow.name != "gradient":
        raise ConslawError("a momentum flow in a metric of array code is not simulated: give words, or rates")
    return MetricCode(flow.metric, flow.metric_entries)


def _analysis(run: _Run, analysis: Analysis | None) -> Analysis:
    """What is known of the flow; for discrete methods without weight decay, whose laws the formulas need."""
    flow, model = run.flow, run.flow.model
    assert model is not None
    if run.method != "flow" and run.decay:
        if flow.name == "momentum":
            raise ConslawError(
                "weight decay: discretise the gradient flow, whose laws the formulas are about"
            )
        flow = gradient_flow(model, metric=_metric(flow))
    if analysis is None:
        return analyze(flow)
    if not isinstance(analysis, Analysis) or analysis.analyzed != flow:
        raise ConslawError(
            "analysis: it is not that of this flow: give conslaw.analyze(flow), or leave it out"
        )
    return analysis


def _start(run: _Run, start: Mapping[str, Any] | None, seed: int) -> tuple[Arrays, Arrays]:
    """Parameters and velocities (momentum buffers) at the start."""
    model, numbers, rng = run.network.model, run.network.numbers, np.random.default_rng(seed)
    positive = any(word.startswith("z") for word in (run.flow.metric_words or {}).values())
    if start is None:
        drawn = {n: rng.normal(size=s) / (s[-1] if s else 1) ** 0.5 for n, s in model.parameters.items()}
        start = {name: abs(x) if positive else x for name, x in drawn.items()}
    if not isinstance(start, Mapping):
        raise ConslawError(f"start={start!r}: give a mapping from parameter arrays to weights")
    speeds = {velocity(name): name for name in model.parameters} if run.flow.name == "momentum" else {}
    if unknown := [name for name in start if name not in model.parameters and name not in speeds]:
        raise ConslawError(f"start: no parameter {unknown[0]!r}; give {', '.join(model.parameters)}")
    if missing := [name for name in model.parameters if name not in start]:
        raise ConslawError(f"start: {missing[0]} is missing; give {', '.join(model.parameters)}")
    theta = {n: numbers.array(f"start: {n}", start[n], s) for n, s in model.parameters.items()}
    v = {n: np.full(x.shape, numbers.number(0)) for n, x in theta.items()}
    given = {name: x for name, x in start.items() if name in speeds}
    v |= {speeds[n]: numbers.array(f"start: {n}", x, theta[speeds[n]].shape) for n, x in given.items()}
    return theta, v


def _train(run: _Run, begin: tuple[Arrays, Arrays], recorder: Recorder) -> None:
    """The discrete methods."""
    (theta, v), eta, beta, decay = begin, run.eta, run.beta, run.decay
    nesterov = run.method == "nesterov"
    how = Step(eta, beta, 0, nesterov, dict.fromkeys(theta, decay) if decay else None)
    constant = beta == 0 or all(not w.startswith("z") for w in (run.flow.metric_words or {"": "z"}).values())
    recorder.begin(theta, v, constant)
    lag = 0 if constant else eta * beta / (1 - beta)
    for k in range(1, run.steps + 1):
        with np.errstate(all="ignore"):
            z = {name: x - lag * v[name] for name, x in theta.items()} if not constant else theta
            g = run.network.step(theta, z)
            g = {name: x + decay * theta[name] for name, x in g.items()} if decay else g
            after = {name: beta * v[name] + x for name, x in g.items()}
            u = {name: g[name] + beta * x for name, x in after.items()} if nesterov else after
            recorder.advance(how, theta, v, g, after, u)
            moved = {name: x - eta * u[name] for name, x in theta.items()}
        if run.network.numbers.are_floats and not all(abs(x).max() < LARGEST for x in moved.values()):
            recorder.stopped = f"the weights overflow at step {k}; make the step smaller"
            break
        theta, v = moved, after
        logger.info("step %d of %d", k, run.steps, extra={"done": k, "total": run.steps})
        if k % run.every == 0 or k == run.steps:
            recorder.record(k, theta, v)
    recorder.end = theta

"""A flow: a state space and the family of vector fields along which training moves the state."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from conslaw.algebra.evaluation import gradient, topological_order
from conslaw.algebra.exact_numbers import exact_rational
from conslaw.algebra.expressions import ONE, Expression, Shape, as_expression, input_array, size
from conslaw.errors import ConslawError
from conslaw.flows.coordinates import Coordinate, entries
from conslaw.flows.metrics import Metric, MetricSpecification
from conslaw.models.potential import Model

VectorField = Mapping[str, Expression]

TIME = "time"  # the state array that holds time, or the function of it that makes the fields polynomial


@dataclass(frozen=True, eq=False)
class Flow:
    """The vector fields whose common first integrals are the conservation laws.

    Attributes
    ----------
    name : ``"gradient"``, ``"momentum"`` or ``"given"``
    model : the model that is trained (None for fields of the user's own)
    state, data : mapping from array name to shape
    fields : vector fields on the state, each a mapping from state array to its component (those not named are
        0), polynomial or rational in the state and polynomial in the data.  A function is conserved iff its
        derivative along each of them is zero for every value of the data.
    time : what the state array ``"time"`` stands for, if there is one
    time_degree : degree in that array of the laws of degree 2 that are known for this kind of flow
    damping, weight_decay, metric : how the flow was made, for the record
    metric_entries : entries of the metric, to be checked for zeros: a diagonal, or a square matrix
    metric_words : the metric of each parameter array in a word ("euclidean", "z**1", "1/10"), None if it is
        array code
    kept : the indices of each axis of data arrays of the flow that this is a part of that are left, where all
        other data are zero; None if it is the whole
    """

    name: str
    model: Model | None
    state: Mapping[str, Shape]
    data: Mapping[str, Shape]
    fields: tuple[VectorField, ...] = field(repr=False)
    time: Coordinate | None = None
    time_degree: int = 0
    damping: str | None = None
    weight_decay: str = "0"
    metric: str = "euclidean"
    metric_entries: Mapping[str, Expression] = field(default_factory=dict, repr=False)
    metric_words: Mapping[str, str] | None = None
    kept: Mapping[str, Sequence[Sequence[int] | None]] | None = None

    @property
    def dimension(self) -> int:
        """Dimension of the state space."""
        return size(self.state)

    @property
    def coordinates(self) -> list[Coordinate]:
        """The state coordinates, in order, as laws write them."""
        return [self.time if self.time and c.name == TIME else c for c in entries(self.state)]


def gradient_flow(model: Model, *, metric: MetricSpecification = None, weight_decay: object = 0) -> Flow:
    """The gradient flow theta' = -M(theta) grad L(theta) - weight_decay theta, for every loss and all data at
    once.

    Parameters
    ----------
    model : Model
    metric : optional
        M(z) at z = theta: ``"euclidean"``, ``"mirror"`` (diag z), a mapping from parameter array to
        ``"euclidean"``, ``"mirror"``, ``"z**a"`` (diag z**a, a an integer) or a positive rational number (a
        learning rate), or array code ``z -> mapping`` (see *Your own model* in the documentation).  The
        model's customary metric by default.
    weight_decay : rational number >= 0
        With decay lambda > 0 the state gains time, as the coordinate exp(lambda t).

    Returns
    -------
    Flow
        On the parameters; with weight decay on (time, parameters).

    Raises
    ------
    ConslawError
        For a metric that does not fit the parameters, or a bad decay.

    Examples
    --------
    >>> import conslaw
    >>> conslaw.gradient_flow(conslaw.linear([3, 2, 4])).dimension
    14
    >>> decayed = conslaw.gradient_flow(conslaw.linear([1, 1, 1]), weight_decay=3)
    >>> conslaw.polynomial_laws(decayed).strings()
    ['exp(6*t)*W1[0,0]**2 - exp(6*t)*W2[0,0]**2']

    References
    ----------
    [MGP23] arXiv 2307.00144, Section 2.1; [MGP24] arXiv 2405.12888, Section 2 (metrics); [MGP25] arXiv
    2506.06194, Theorem 2.1 (weight decay).
    """
    _check_model(model)
    decay = _rational("weight_decay", weight_decay)
    theta = _parameters(model)
    chosen = Metric.of(model, metric)
    blocks = chosen.entries(theta)
    control = chosen.apply(blocks, _gradient(model, theta))
    state: dict[str, Shape] = dict(model.parameters)
    fields: tuple[VectorField, ...] = (control,)
    time = None
    if decay:
        state = _new_arrays(model, {TIME: ()}) | state
        fields = ({TIME: decay * _time(), **{name: -decay * x for name, x in theta.items()}}, control)
        time = Coordinate(TIME, kind="exp", rate=decay)
    return Flow(
        "gradient",
        model,
        state,
        model.data,
        fields,
        time=time,
        time_degree=2 if decay else 0,
        weight_decay=str(decay),
        metric=chosen.name,
        metric_entries=blocks,
        metric_words=chosen.words,
    )


def momentum_flow(
    model: Model, *, damping: object = 0, metric: MetricSpecification = None, weight_decay: object = 0
) -> Flow:
    """The momentum flow theta'' + tau(t) theta' = -M(z) grad L(theta) - weight_decay theta, for every loss
    and all data at once.

    Parameters
    ----------
    model : Model
    damping : rational number >= 0, ``"nesterov"``, or ``"c/t"`` with a rational number c >= 0
        tau: a constant (heavy ball), 3/t (the limit of Nesterov's method), or c/t.
    metric : optional
        M(z) at z = tau theta + theta' (see :func:`gradient_flow`); the model's customary metric by default.
    weight_decay : rational number >= 0

    Returns
    -------
    Flow
        On (time, theta, theta'), 2 D + 1 coordinates; the velocity of U is ``U_dot``.  Laws are written in t:
        the state array ``"time"`` holds t for tau = 0, exp(tau t) for a constant tau, t**(1/q) for tau =
        (p/q)/t.

    Raises
    ------
    ConslawError
        For a damping that is negative or not rational, or a metric that does not fit.

    Examples
    --------
    >>> import conslaw
    >>> flow = conslaw.momentum_flow(conslaw.linear([1, 2, 2]), damping="nesterov")
    >>> flow.dimension, conslaw.count(flow).laws_at_most
    (13, 1)

    References
    ----------
    [MGP24] Marcotte, Gribonval, Peyré, *Keep the Momentum*, ICML 2024, arXiv 2405.12888, Sections 3 and 4.
    """
    _check_model(model)
    tau, over_t = _damping(damping)
    decay = _rational("weight_decay", weight_decay)
    theta = _parameters(model)
    v = {name: input_array(velocity(name), shape) for name, shape in model.parameters.items()}
    added = _new_arrays(
        model, {TIME: (), **{velocity(name): shape for name, shape in model.parameters.items()}}
    )
    s = _time()
    if (
        over_t
    ):  # with t = s**q and tau = p / (q t), the drift is multiplied by q t, which does not change its span
        p, q = tau.numerator, tau.denominator
        time, time_degree = Coordinate(TIME, kind="power", rate=Fraction(1, q)), p
        clock, speed, drag, z_rate = s, q * s**q, as_expression(p), tau / s**q
    else:
        time, time_degree = (
            Coordinate(TIME, kind="exp", rate=tau) if tau else Coordinate(TIME, kind="power"),
            1,
        )
        clock, speed, drag, z_rate = (tau * s if tau else ONE), ONE, as_expression(tau), as_expression(tau)
    z = {name: z_rate * x + v[name] for name, x in theta.items()} if tau else v
    drift: dict[str, Expression] = {TIME: clock}
    for name, x in theta.items():
        drift[name] = speed * v[name]
        force = drag * v[name] + decay * speed * x
        drift[velocity(name)] = -force
    chosen = Metric.of(model, metric)
    blocks = chosen.entries(z)
    control = {velocity(name): x for name, x in chosen.apply(blocks, _gradient(model, theta)).items()}
    return Flow(
        "momentum",
        model,
        {TIME: (), **model.parameters, **added},
        model.data,
        (drift, control),
        time=time,
        time_degree=time_degree,
        damping=f"{tau}/t" if over_t else str(tau),
        weight_decay=str(decay),
        metric=chosen.name,
        metric_entries=blocks,
        metric_words=chosen.words,
    )


def check_flow(subject: Flow | Model) -> Flow:
    """The flow that is asked about: a flow, or the gradient flow of a model in its customary metric."""
    if isinstance(subject, Model):
        return gradient_flow(subject)
    if not isinstance(subject, Flow):
        raise ConslawError(f"{subject!r} is no flow and no model; make one with conslaw.gradient_flow(model)")
    return subject


def _check_model(model: Model) -> None:
    if not isinstance(model, Model):
        raise ConslawError(
            f"{model!r} is not a model; make one with conslaw.model, or a family such as "
            f"conslaw.linear([3, 2, 4])"
        )


def _parameters(model: Model) -> dict[str, Expression]:
    return {name: input_array(name, shape) for name, shape in model.parameters.items()}


def _time() -> Expression:
    return input_array(TIME, ())


def velocity(name: str) -> str:
    """The name of the state array that holds the velocity of a parameter array."""
    return f"{name}_dot"


def _gradient(model: Model, theta: Mapping[str, Expression]) -> dict[str, Expression]:
    """The gradient of the potential, for the parameters that it uses."""
    nodes = {
        node.attribute: node for node in topological_order([model.potential]) if node.operation == "input"
    }
    used = [name for name in theta if name in nodes]
    return dict(zip(used, gradient(model.potential, [nodes[name] for name in used]), strict=True))


def _new_arrays(model: Model, added: Mapping[str, Shape]) -> dict[str, Shape]:
    """State arrays that the flow adds, if their names are free."""
    for name in (*added, "t", "exp", "log"):  # the last three are written in laws
        if name in model.parameters or (name in added and name in model.data):
            raise ConslawError(
                f"model {model.name!r}: the flow needs the name {name!r} for itself; rename the array of "
                f"the model"
            )
    return dict(added)


def _rational(what: str, value: object) -> Fraction:
    try:
        number = Fraction(exact_rational(value))
    except ConslawError as error:
        raise ConslawError(f"{what}={value!r}: {error}") from None
    if number < 0:
        raise ConslawError(f"{what}={value!r}: must not be negative")
    return number


def _damping(value: object) -> tuple[Fraction, bool]:
    """(c, True) for tau = c/t, (tau, False) for a constant."""
    if isinstance(value, str) and value == "nesterov":
        return Fraction(3), True
    over = re.fullmatch(r"\s*(\S+)\s*/\s*t\s*", value) if isinstance(value, str) else None
    over_t, number = over is not None, over[1] if over else value
    try:
        tau = _rational("damping", number)
        if max(tau.numerator, tau.denominator) > 1000:
            raise ConslawError("numerator and denominator of a damping go up to 1000")
    except ConslawError:
        raise ConslawError(
            f"damping={value!r}: give a rational number >= 0 such as 1/2, 'nesterov' (3/t), or 'c/t' such "
            f"as '5/t'"
        ) from None
    return tau, over_t and tau > 0

"""A flow: a state space and the family of vector fields along which training moves the state."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from dataclasses import fields as dataclass_fields
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np

from conslaw import display
from conslaw.algebra.evaluation import evaluate, gradient, topological_order
from conslaw.algebra.exact_numbers import hyper_parameter
from conslaw.algebra.expressions import ONE, Expression, Shape, as_expression, input_array, size
from conslaw.algebra.values import Graphs, as_nodes, digest, from_nodes, frozen
from conslaw.errors import ConslawError
from conslaw.flows.coordinates import Coordinate, entries
from conslaw.flows.metrics import Metric, MetricSpecification
from conslaw.models.given_data import Rows, given_data, stops
from conslaw.models.potential import Model, is_shape

VectorField = Mapping[str, Expression]

TIME = "time"  # the state array that holds time, or the function of it that makes the fields polynomial


@dataclass(frozen=True, eq=False)
class Flow(display.InNotebooks):
    """The vector fields whose common first integrals are the conservation laws.

    A flow cannot be changed; two are equal, and have the same hash in every process, if all of this is.

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
    symbols : the user's own SymPy symbols for the entries of state arrays, in which laws are then written
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
    symbols: Mapping[str, Sequence[Any]] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        for name in ("state", "data", "fields", "metric_entries", "metric_words", "symbols"):
            object.__setattr__(self, name, frozen(getattr(self, name)))

    def _summary(self) -> display.Summary:
        of = f" of {self.model.name}" if self.model else ""
        rows: list[tuple[str, str | int]] = [
            ("state dimension", self.dimension),
            ("state", display.arrays(self.state)),
            ("data", display.arrays(self.data)),
            ("vector fields", len(self.fields)),
            ("metric", self.metric),
        ]
        rows += [("damping", self.damping)] if self.damping is not None else []
        rows += [("weight decay", self.weight_decay)] if self.weight_decay != "0" else []
        return display.Summary(f"{self.name} flow{of}", rows)

    @cached_property
    def digest(self) -> str:
        """What two flows have in common iff they are equal."""
        return digest([getattr(self, x.name) for x in dataclass_fields(self)])

    def __eq__(self, other: object) -> bool:
        return self.digest == other.digest if isinstance(other, Flow) else NotImplemented

    def __hash__(self) -> int:
        return int(self.digest[:15], 16)

    def __getstate__(self) -> dict[str, Any]:
        """For pickles and copies: the graphs of all fields as one, for they share most of it."""
        arrays = [*self.fields, self.metric_entries]
        graph = as_nodes(x for named in arrays for x in named.values())
        own = {x.name: getattr(self, x.name) for x in dataclass_fields(self)}
        return {**own, "fields": [list(named) for named in arrays], "metric_entries": graph}

    def __setstate__(self, state: dict[str, Any]) -> None:
        made = iter(from_nodes(*state["metric_entries"]))
        *moves, entries = [{name: next(made) for name in named} for named in state["fields"]]
        for name, value in {**state, "fields": tuple(moves), "metric_entries": entries}.items():
            object.__setattr__(self, name, frozen(value))

    def check(self) -> None:
        """Refuse a flow made by hand that is none."""
        if self.checked:
            raise ConslawError(
                f"the flow {str(self.name)[:60]!r} {self.checked}; make flows with gradient_flow"
            )

    @cached_property
    def checked(self) -> str:
        """What is wrong with it, if anything."""
        if not isinstance(self.model, Model | None):
            return f"has model={self.model!r}"
        for what, arrays in (("state", self.state), ("data", self.data)):
            if not isinstance(arrays, Mapping) or not all(map(is_shape, arrays.values())):
                return f"has {what}={arrays!r}, no mapping from names to shapes"
        moves = self.fields if isinstance(self.fields, tuple) else ()
        components = [pair for x in moves if isinstance(x, Mapping) for pair in x.items()]
        if not self.state or not components or not all(isinstance(x, Mapping) for x in moves):
            return "has no state or no fields"
        for name, x in components:
            if not isinstance(x, Expression) or x.shape != self.state.get(name):
                return f"has a component {x!r} of {name!r}, where {self.state.get(name)} is the shape"
        known = {**self.state, **self.data}
        for x in topological_order([x for _, x in components]):
            if x.operation == "input" and known.get(x.attribute) != x.shape:
                return f"uses {x!r}, which is in neither state nor data"
        return ""

    @property
    def dimension(self) -> int:
        """Dimension of the state space."""
        return size(self.state)

    @property
    def coordinates(self) -> list[Coordinate]:
        """The state coordinates, in order, as laws write them."""
        symbols = self.symbols or (self.model.arguments.get("symbols") if self.model else None)
        return [self.time if self.time and c.name == TIME else c for c in entries(self.state, symbols)]


def gradient_flow(
    model: Model,
    *,
    metric: MetricSpecification = None,
    weight_decay: object = 0,
    data: Rows | None = None,
    patterns: Rows | None = None,
    loss: str | None = None,
) -> Flow:
    """The gradient flow theta' = -M(theta) grad L(theta) - weight_decay theta, for every loss and all data at
    once, or for data that are given.

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
    data : mapping from data arrays to rows, optional
        What is given: ``{"x": X}``, X with an axis more in front, a row for each sample; floats are their
        exact binary values.  Data that are not given stay free, for each sample on their own: with inputs
        given and output gradients free the laws are those of all losses and all targets on these inputs.
    patterns : mapping from data arrays to rows, or from parameter arrays to weights, optional
        The same for gates: the activation patterns that occur, row n on row n of the data; of the families
        with gates also as those that the data have at given weights (signs are exact, 0 is off).
    loss : ``"cross_entropy"``, optional
        Of all losses only those whose output gradients ``v`` sum to zero.

    Returns
    -------
    Flow
        On the parameters; with weight decay on (time, parameters).

    Raises
    ------
    ConslawError
        For a metric that does not fit the parameters, a bad decay, or rows that do not fit the data.

    Examples
    --------
    >>> import conslaw
    >>> conslaw.gradient_flow(conslaw.linear([3, 2, 4])).dimension
    14

    On one sample a linear network conserves more:

    >>> one = conslaw.gradient_flow(conslaw.linear([3, 2, 4]), data={"x": [[1, 2, 0]]})
    >>> conslaw.count(conslaw.linear([3, 2, 4])).laws_at_most, conslaw.count(one).laws_at_most
    (3, 7)

    >>> decayed = conslaw.gradient_flow(conslaw.linear([1, 1, 1]), weight_decay=3)
    >>> conslaw.polynomial_laws(decayed).strings()
    ['exp(6*t)*(W1[0,0]**2 - W2[0,0]**2)']

    References
    ----------
    [MGP23] arXiv 2307.00144, Section 2.1; [MGP24] arXiv 2405.12888, Section 2 (metrics); [MGP25] arXiv
    2506.06194, Theorem 2.1 (weight decay).
    """
    _check_model(model)
    model = given_data(model, data, patterns, loss)
    decay = _rational("weight_decay", weight_decay)
    theta = _parameters(model)
    chosen = Metric.of(model, metric)
    blocks = chosen.entries(theta)
    control = chosen.apply(blocks, _gradient(model, theta))
    if stops(model):
        if chosen.name != "euclidean" or decay:
            raise _only_plain(model)
        return _flow_of_fields(model, control)
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


def _only_plain(model: Model) -> ConslawError:
    return ConslawError(
        f"{model.name} has norms with eps=0: its flow is that of vector fields, without metric, decay and "
        f"momentum; give a positive eps"
    )


def _flow_of_fields(model: Model, control: VectorField) -> Flow:
    """The vector fields of a network with norms at eps = 0: they are what an answer is about."""
    arrays = {n: input_array(n, shape) for n, shape in {**model.parameters, **model.data}.items()}
    values: list[Expression] = evaluate(list(control.values()), arrays, Graphs())
    fields = dict(zip(control, values, strict=True))
    return Flow(f"{model.name} at eps = 0, gradient", None, model.parameters, model.data, (fields,))


def momentum_flow(
    model: Model,
    *,
    damping: object = 0,
    metric: MetricSpecification = None,
    weight_decay: object = 0,
    data: Rows | None = None,
    patterns: Rows | None = None,
    loss: str | None = None,
) -> Flow:
    """The momentum flow theta'' + tau(t) theta' = -M(z) grad L(theta) - weight_decay theta, for every loss
    and all data at once.

    Parameters
    ----------
    model : Model
    damping : rational number >= 0, ``"nesterov"``, or ``"c/t"`` with a rational number c >= 0
        tau: a constant (heavy ball), 3/t (the limit of Nesterov's method), or c/t.  PyTorch's
        ``SGD(lr=eta, momentum=beta)`` makes the steps v <- beta v + g, theta <- theta - eta v; with time
        sqrt(eta) a step these follow the flow with beta = 1 - tau sqrt(eta): take
        tau = (1 - beta) / sqrt(eta), so 1 for beta = 0.9 and eta = 0.01.
    metric : optional
        M(z) at z = tau theta + theta' (see :func:`gradient_flow`); the model's customary metric by default.
    weight_decay : rational number >= 0
    data, patterns, loss : optional
        What is given, see :func:`gradient_flow`.

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

    The laws of ``SGD(lr=0.01, momentum=0.9)`` for small steps:

    >>> conslaw.analyze(conslaw.momentum_flow(conslaw.linear([2, 2, 2]), damping=1)).law_families[0].text
    'exp(t) (W1 Ẇ1ᵀ − Ẇ1 W1ᵀ + W2ᵀ Ẇ2 − Ẇ2ᵀ W2)'

    References
    ----------
    [MGP24] Marcotte, Gribonval, Peyré, *Keep the Momentum*, ICML 2024, arXiv 2405.12888, Sections 3 and 4.
    """
    _check_model(model)
    model = given_data(model, data, patterns, loss)
    tau, over_t = _damping(damping)
    if stops(model):
        raise _only_plain(model)
    decay = _rational("weight_decay", weight_decay)
    theta = _parameters(model)
    v = {name: input_array(velocity(name), shape) for name, shape in model.parameters.items()}
    added = _new_arrays(
        model, {TIME: (), **{velocity(name): shape for name, shape in model.parameters.items()}}
    )
    s, time_degree = _time(), 1
    if over_t:  # t = s**q, tau = p / (q t): the drift is multiplied by q t, which does not change its span
        p, q = tau.numerator, tau.denominator
        time, time_degree = Coordinate(TIME, kind="power", rate=Fraction(1, q)), p
        clock, speed, drag, z_rate = s, q * s**q, as_expression(p), tau / s**q
    else:
        time = Coordinate(TIME, kind="exp", rate=tau) if tau else Coordinate(TIME, kind="power")
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
    subject.check()
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
        number = Fraction(hyper_parameter("no" if isinstance(value, bool | np.bool_) else value))
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
    except ConslawError:
        raise ConslawError(
            f"damping={value!r}: give a rational number >= 0 such as 1/2, 'nesterov' (3/t), or 'c/t' such "
            f"as '5/t'"
        ) from None
    if max(tau.numerator, tau.denominator) > 1000:
        raise ConslawError(f"damping={value!r}: its numerator and denominator may be up to 1000")
    return tau, over_t and tau > 0

"""The model and the flow of a certificate, built again, and the vector fields derived from the potential."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from fractions import Fraction
from math import prod
from typing import Any

import numpy as np

from conslaw.expressions import Expression, exact_rational, input_array, topological_order
from conslaw.flows import TIME, Flow, gradient_flow, momentum_flow, velocity
from conslaw.models import Model, model
from conslaw.networks import FAMILIES
from conslaw.verification.algebra import Polynomial, Refuted, VectorField, coordinate_names, expanded, parse

LARGEST_STATE = 20_000  # coordinates of a state whose polynomials are written out
LARGEST_CONSTANT = 5_000_000  # entries of a constant


class Subject:
    """The model and the flow of a certificate, built again."""

    def __init__(self, whole: Mapping[str, Any]) -> None:
        self.model_section, self.flow_section = whole["model"], whole["flow"]
        self.state = {name: tuple(shape) for name, shape in self.flow_section["state"].items()}
        self.data = {name: tuple(shape) for name, shape in self.flow_section["data"].items()}
        self.model: Model | None = None
        self.flow: Flow | None = None
        self.fields: list[VectorField] | None = None

    @property
    def dimension(self) -> int:
        return sum(prod(shape) for shape in self.state.values())

    def numbers(self) -> dict[str, int]:
        """The number of each state coordinate, then of each datum."""
        return {name: i for i, name in enumerate([*coordinate_names(self.state), *coordinate_names(self.data)])}

    def build(self) -> str:
        names = [*self.state, *self.data]
        if len(set(names)) < len(names) or not all(name.isidentifier() for name in names):
            raise Refuted(f"the arrays {names} need names of their own, which are identifiers")
        section = self.model_section
        if section is None:
            return "vector fields as they stand in the certificate"
        shapes = {kind: {n: tuple(s) for n, s in section[kind].items()} for kind in ("parameters", "data")}
        family = section["family"]
        if family is not None:
            made = family_model(family["name"], family["arguments"])
            if dict(made.parameters) != shapes["parameters"] or dict(made.data) != shapes["data"] or made.name != section["name"]:
                raise Refuted(f"{family['name']} {family['arguments']} has other arrays than the certificate says")
            self.model = made
        elif section["potential"]["graph"] is not None:
            self.model = _from_graph(section["name"], shapes, section["potential"]["graph"])
        else:
            raise Refuted("neither a family nor a graph")
        text = section["potential"]["polynomial"]
        if text is None:
            return f"{section['name']}, from its {'family and sizes' if family else 'array code as data'}"
        if sum(prod(s) for named in shapes.values() for s in named.values()) > LARGEST_STATE:
            raise Refuted("too large to be written out")
        arrays = {**shapes["parameters"], **shapes["data"]}
        numbers = {name: i for i, name in enumerate(coordinate_names(arrays))}
        if parse(text, numbers) != expanded(self.model.potential, arrays, numbers):
            raise Refuted(f"the potential is not that of {section['name']}" + (f" {family['arguments']}" if family else ""))
        return f"{section['name']}: the potential, expanded again, is the one in the certificate"

    def derive(self) -> str:
        section = self.flow_section
        if (section["fields"] is None) == (section["metric"] is None):
            raise Refuted("a flow has either a metric in words or vector fields written out")
        if section["damping"] is not None and section["kind"] != "momentum":
            raise Refuted(f"a {section['kind']} flow has no damping")
        if any(
            re.fullmatch(r"euclidean|z\*\*[0-9]{1,2}|[0-9]+(/[0-9]+)?", word) is None for word in (section["metric"] or {}).values()
        ):
            raise Refuted(f"the metric {section['metric']} is not in words: euclidean, z**k with k >= 0, or a rational number")
        if str(Fraction(section["weight_decay"])) != section["weight_decay"]:
            raise Refuted(f"weight decay {section['weight_decay']!r}: write {Fraction(section['weight_decay'])}")
        if self.model is not None:
            if section["metric"] is not None and set(section["metric"]) != set(self.model.parameters):
                raise Refuted("the metric does not say one word for each parameter array")
            make = {"gradient": gradient_flow, "momentum": momentum_flow}.get(section["kind"])
            if make is None:
                raise Refuted(f"the kind of a flow of a model is not {section['kind']!r}")
            damping = {"damping": section["damping"]} if section["kind"] == "momentum" else {}
            made = make(self.model, weight_decay=section["weight_decay"], metric=section["metric"] or "euclidean", **damping)
            time = made.time and {"kind": made.time.kind, "rate": str(made.time.rate)}
            if dict(made.state) != self.state or dict(made.data) != self.data or time != section["time"]:
                raise Refuted("the state or the time of the certificate are not those of this flow")
            if section["fields"] is None:
                self.flow = made
                return f"{section['kind']} flow of this model"
        elif (section["kind"], section["time"], section["weight_decay"]) != ("given", None, "0"):
            raise Refuted("vector fields without a model have no time, no weight decay, and are of the kind 'given'")
        if self.dimension > LARGEST_STATE:
            raise Refuted(f"{self.dimension:,} coordinates are too many to write the fields out")
        numbers = self.numbers()
        n = self.dimension
        self.fields = [{numbers[c]: parse(text, numbers) for c, text in one.items()} for one in section["fields"]]
        if any(i >= n for one in self.fields for i in one):
            raise Refuted("a field moves the data")
        if self.model is not None:
            self._check_drift()
        return "the vector fields as they stand in the certificate: they are what is proved about"

    def _check_drift(self) -> None:
        """Beside a model the metric alone is its own: the drift is that of the flow, up to a constant."""
        assert self.fields is not None
        assert self.model is not None
        plain = {**self.flow_section, "metric": dict.fromkeys(self.model.parameters, "euclidean")}
        parameters = {name: tuple(s) for name, s in self.model.parameters.items()}
        expected = derived_fields(Polynomial({}), parameters, self.numbers(), plain)
        if len(self.fields) != len(expected):
            raise Refuted(f"{len(self.fields)} vector fields; a {self.flow_section['kind']} flow has {len(expected)}")
        for given, known in zip(self.fields[:-1], expected[:-1], strict=True):
            moved = {i: x for i, x in known.items() if x.terms}
            i, x = next(iter(moved.items()))
            monomial, c = next(iter(x.terms.items()))
            factor = Fraction(given[i].terms.get(monomial, 0)) / c if i in given else 0
            if not factor or given != {j: y * factor for j, y in moved.items()}:
                raise Refuted("the drift is not that of this flow")

    def exact(self) -> list[VectorField]:
        """The vector fields as polynomials; of a family's flow, derived from the potential here."""
        if self.fields is None:
            if self.dimension > LARGEST_STATE:
                raise Refuted(f"{self.dimension:,} coordinates are too many to write the fields out")
            assert self.model is not None
            numbers = self.numbers()
            parameters = {name: tuple(s) for name, s in self.model.parameters.items()}
            potential = expanded(self.model.potential, {**parameters, **self.data}, numbers)
            self.fields = derived_fields(potential, parameters, numbers, self.flow_section)
        return self.fields


def family_model(name: str, arguments: Mapping[str, Any]) -> Model:
    """The model of a family."""
    family, widths = FAMILIES.get(name), arguments.get("widths")
    if family is None or not isinstance(widths, list) or not all(isinstance(n, int) for n in widths):
        raise Refuted(f"there is no family {name!r} with arguments {dict(arguments)}")
    return family(widths, bool(arguments.get("bias", False)))


def _from_graph(name: str, shapes: Mapping[str, Mapping[str, tuple[int, ...]]], nodes: Sequence[Mapping[str, Any]]) -> Model:
    """The model of array code that is given as data."""
    made = list[Expression]()
    inputs = {n: input_array(n, s) for named in shapes.values() for n, s in named.items()}
    for i, node in enumerate(nodes):
        operation, shape, attribute = node["operation"], tuple(node["shape"]), node["attribute"]
        if any(not 0 <= k < i for k in node["arguments"]):
            raise Refuted(f"node {i} of the graph uses a node that does not come before it")
        arguments = tuple(made[k] for k in node["arguments"])
        if operation == "input":
            made.append(inputs[attribute])
        elif operation == "constant":
            if prod(shape) > LARGEST_CONSTANT:
                raise Refuted(f"node {i} of the graph is a constant of shape {shape}")
            values, exact = np.empty(shape, dtype=object), [exact_rational(v) for v in attribute]
            values.reshape(-1)[:] = exact * values.size if len(exact) == 1 else exact
            made.append(Expression(operation, (), values, shape))
        elif operation == "take":
            made.append(Expression(operation, arguments, np.array(attribute, dtype=np.intp).reshape(shape), shape))
        elif operation == "put":
            made.append(Expression(operation, arguments, np.array(attribute, dtype=np.intp).reshape(arguments[0].shape), shape))
        else:
            made.append(Expression(operation, arguments, tuple(attribute) if isinstance(attribute, list) else None, shape))
        if made[-1].shape != shape or _shape_of(made[-1]) != shape:
            raise Refuted(f"node {i} of the graph has not the shape {shape}")
    return model(lambda p, c: _with_inputs(made[-1], p, c), parameters=shapes["parameters"], data=shapes["data"], name=name)


def _shape_of(node: Expression) -> tuple[int, ...]:
    """The shape that a node has by its operation."""
    if node.operation == "product":
        a, b, out = node.attribute
        x, y = node.args
        sizes = dict(zip(a, x.shape, strict=True))
        for letter, n in zip(b, y.shape, strict=True):
            if sizes.setdefault(letter, n) != n:
                raise Refuted(f"a product of shapes {x.shape} and {y.shape} by {a},{b}->{out}")
        return tuple(sizes[letter] for letter in out)
    if node.operation == "add" and node.args[0].shape != node.args[1].shape:
        raise Refuted(f"a sum of shapes {node.args[0].shape} and {node.args[1].shape}")
    if node.operation == "sum":
        return tuple(n for i, n in enumerate(node.args[0].shape) if i not in node.attribute)
    if node.operation == "reshape" and prod(node.shape) != prod(node.args[0].shape):
        raise Refuted(f"a reshape of {node.args[0].shape} to {node.shape}")
    if node.operation in ("take", "put") and node.attribute.size:
        size = prod(node.args[0].shape if node.operation == "take" else node.shape)
        if not 0 <= node.attribute.min() <= node.attribute.max() < size:
            raise Refuted("an index outside its array")
    return node.shape


def _with_inputs(output: Expression, p: Any, c: Any) -> Expression:
    """The expression on the arrays that a model is given."""
    made: dict[int, Expression] = {}
    for node in topological_order([output]):
        if node.operation == "input":
            made[id(node)] = (p if node.attribute in p else c)[node.attribute]
        else:
            made[id(node)] = Expression(node.operation, tuple(made[id(x)] for x in node.args), node.attribute, node.shape)
    return made[id(output)]


def derived_fields(
    potential: Polynomial, parameters: Mapping[str, Sequence[int]], numbers: Mapping[str, int], flow: Mapping[str, Any]
) -> list[VectorField]:
    """The fields of a flow from its potential, straight from the definition: the drift, if there is one, and the control."""
    slopes, words, decay = potential.slopes(), flow["metric"], Fraction(flow["weight_decay"])
    theta = {text: name for name, shape in parameters.items() for text in coordinate_names({name: shape})}
    constant = Polynomial.constant

    def variable(text: str) -> Polynomial:
        return Polynomial.variable(numbers[text])

    exponents = {name: int(word[3:]) for name, word in words.items() if word.startswith("z**")}
    scales = {name: Fraction(word) for name, word in words.items() if word != "euclidean" and name not in exponents}
    control: VectorField = {}
    if flow["kind"] == "gradient":
        for text, name in theta.items():
            slope = slopes.get(numbers[text], Polynomial({}))
            control[numbers[text]] = slope * scales.get(name, 1) * variable(text) ** exponents.get(name, 0)
        if not decay:
            return [control]
        drift = {numbers[TIME]: constant(decay) * variable(TIME)}
        return [drift | {numbers[text]: constant(-decay) * variable(text) for text in theta}, control]
    top, over_t, _ = flow["damping"].partition("/t")
    tau, s = Fraction(top), variable(TIME)
    moving = {text: text.replace(name, velocity(name), 1) for text, name in theta.items()}
    if over_t:  # t = s**q, all multiplied by q t; the control by so many powers of t as the metric has
        q, most = tau.denominator, max(exponents.values(), default=0)
        clock, speed, drag = s, s**q * q, constant(tau.numerator)
    else:
        q, most = 0, 0
        clock, speed, drag = (s * tau if tau else constant(1)), constant(1), constant(tau)
    drift = {numbers[TIME]: clock}
    for text, name in theta.items():
        dot = numbers[moving[text]]
        drift[numbers[text]] = speed * variable(moving[text])
        drift[dot] = drag * variable(moving[text]) * -1 + speed * variable(text) * -decay
        z = variable(text) * tau + s**q * variable(moving[text])
        power = exponents.get(name, 0)
        slope = slopes.get(numbers[text], Polynomial({}))
        control[dot] = slope * scales.get(name, 1) * z**power * s ** (q * (most - power))
    return [drift, control]

"""The model and the flow that a certificate speaks about, read from it: once as conslaw's own objects, once
for the kernel.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import replace
from fractions import Fraction
from math import prod
from typing import Any

import numpy as np

from conslaw.algebra.evaluation import topological_order
from conslaw.algebra.expressions import Expression
from conslaw.algebra.uniform_axes import RIGID, resized_shape
from conslaw.certificates import kernel
from conslaw.certificates.budget import OPERATIONS, NotChecked, Task, identities, multiplications
from conslaw.certificates.kernel import Node, Polynomials, Refuted, Shape
from conslaw.certificates.reading import (
    LARGEST_NODE,
    code,
    expression,
    inputs,
    parse,
    polynomial_code,
    rational,
)
from conslaw.flows.flow import Flow, gradient_flow, momentum_flow
from conslaw.laws.index_classes import IndexClasses
from conslaw.models.live_indices import box_of
from conslaw.models.networks import FAMILIES
from conslaw.models.potential import Model, model
from conslaw.models.zero_data import boxes_that_matter, positions_left, with_zero_data

WIDEST = 10**7  # neurons of a class of a family
DEEPEST = 5000  # sizes of a family
LARGEST_STATE = 200_000  # coordinates of a state whose polynomials are written out
MOST_COMPARED = 10 * OPERATIONS  # multiplications of code that is compared with a part of it

ZERO = [Node("constant", (), (), kernel.objects([Fraction(0)], ()))]  # a potential that moves nothing


class Subject:
    """The model and the flow of a certificate.

    ``flow`` is conslaw's own object, None where fields are written out; ``written`` is the flow for the
    kernel.
    """

    def __init__(self, whole: Mapping[str, Any]) -> None:
        self.model_section, self.section = whole["model"], whole["flow"]
        self.state = {name: tuple(shape) for name, shape in self.section["state"].items()}
        self.data = {name: tuple(shape) for name, shape in self.section["data"].items()}
        self.model: Model | None = None
        self.flow: Flow | None = None

    @property
    def dimension(self) -> int:
        """The number of state coordinates."""
        return sum(prod(shape) for shape in self.state.values())

    def build(self) -> str:
        """Read the model."""
        names = [*self.state, *self.data]
        if len(set(names)) < len(names) or not all(name.isidentifier() for name in names):
            raise Refuted(f"the arrays {names} need names of their own, which are identifiers"[:200])
        section = self.model_section
        if section is None:
            return "vector fields as they stand in the certificate"
        shapes = {kind: {n: tuple(s) for n, s in section[kind].items()} for kind in ("parameters", "data")}
        family, graph = section["family"], section["graph"]
        if (family is None) == (graph is None):
            raise Refuted("a model is either a family or a graph")
        if family is not None:
            self.model = family_model(family["name"], family["arguments"])
            if (self.model.name, self.model.parameters, self.model.data) != (
                section["name"],
                shapes["parameters"],
                shapes["data"],
            ):
                raise Refuted(
                    f"{family['name']} {family['arguments']} has other arrays than the certificate says"[:200]
                )
            return f"{section['name']}, from its family and sizes"
        arrays = inputs({**shapes["parameters"], **shapes["data"]})
        last = expression(graph, arrays)

        def potential(p: Any, c: Any) -> Expression:
            return _with_inputs(last, {n: (p if n in p else c)[n] for n in arrays})

        self.model = model(
            potential, parameters=shapes["parameters"], data=shapes["data"], name=section["name"]
        )
        readings = section.get("readings", [])
        if strange := {name for x in readings for name in x["data"]} - {*shapes["data"]}:
            raise Refuted(f"the readings name {sorted(strange)}, which are no data of the model"[:200])
        assumed = f"; {len(readings)} readings are assumed, not checked" if readings else ""
        return f"{section['name']}, from its array code as data{assumed}"

    def derive(self) -> str:
        """Read the flow."""
        section, made = self.section, None
        if (section["fields"] is None) == (section["metric"] is None):
            raise Refuted("a flow has either a metric in words or vector fields written out")
        if section["fields"] is not None and self.dimension > LARGEST_STATE:
            raise NotChecked(f"vector fields in {self.dimension:,} coordinates")
        if self.model is None:
            if (section["kind"], section["time"], section["weight_decay"], section["damping"]) != (
                "given",
                None,
                "0",
                None,
            ):
                raise Refuted(
                    "fields without a model have no time, damping or weight decay, and are of kind 'given'"
                )
            return "the vector fields as they stand in the certificate: they are what is proved about"
        if section["metric"] is not None:
            _check_metric(section["metric"], self.model)
            others = [n for n, word in section["metric"].items() if word != "euclidean"]
            if any(prod(self.model.parameters[n]) > LARGEST_NODE for n in others):
                raise NotChecked("a metric on arrays of this size")
        made = _flow(self.model, section)
        time = made.time and {"kind": made.time.kind, "rate": str(made.time.rate)}
        if (dict(made.state), dict(made.data), time) != (self.state, self.data, section["time"]):
            raise Refuted("the state or the time of the certificate are not those of this flow")
        self.state, self.data = dict(made.state), dict(made.data)  # in the order of the coordinates
        if (made.damping, made.weight_decay) != (section["damping"], section["weight_decay"]):
            raise Refuted(f"write damping {made.damping} and weight decay {made.weight_decay}")
        if section["fields"] is None:
            self.flow = made
            return f"{section['kind']} flow of this model"
        return "the vector fields as they stand in the certificate: they are what is proved about"

    def drift(self) -> Task | None:
        """Where fields stand beside a model the metric alone is their own: the drift is that of the flow, up
        to a constant.
        """
        if self.model is None or self.section["fields"] is None:
            return None
        plain = kernel_flow(
            self.model.potential, self.model.parameters, self.model.data, {**self.section, "metric": {}}
        )
        written = self.written

        def check() -> str:
            numbers = Polynomials(self.dimension + sum(map(prod, self.data.values())))
            known = numbers.variables({**plain.state, **plain.data})
            given = numbers.variables({**written.state, **written.data})
            found = velocities_of(written, numbers, given)
            expected = velocities_of(replace(plain, code=ZERO), numbers, known)
            if len(found) != len(expected):
                raise Refuted(
                    f"{len(found)} vector fields; a {self.section['kind']} flow has {len(expected)}"
                )
            for one, other in zip(found[:-1], expected[:-1], strict=True):
                _check_proportional(one, other)
            return "the drift is that of this flow"

        return identities(written, 0, check)

    def with_zero_data(self, kept: Mapping[str, Any] | None) -> Subject:
        """The same with all data zero but those kept: its fields are some of those of the whole (*Data may be
        zero*).  The code that is left is compared with that of the whole at a random point.
        """
        if kept is None:
            return self
        if self.model is None or self.flow is None:
            raise Refuted("data are set to zero in flows of models in a metric of words")
        _fits(kept, self.data)
        part = with_zero_data(self.model, kept)
        if part is None:
            raise Refuted("nothing moves with so many data zero")
        same_gradient(self.model, part, kept)
        return self._of(part)

    def without_dark_entries(self, left: Mapping[str, Any]) -> Subject:
        """The flow of what is left of some parameter arrays, as the code depends on no more of them (*Dark
        entries*).  The code that is left is compared at a random point, too.
        """
        if (
            self.model is None
            or self.flow is None
            or self.flow.name != "gradient"
            or len(self.flow.fields) > 1
        ):
            raise Refuted("only gradient flows of models have dark entries")
        _fits(left, self.model.parameters)
        seen = boxes_that_matter(self.model, {})
        for name, axes in left.items():
            for some, mask in zip(axes, seen.get(name) or (), strict=False):
                if some is not None and set(np.flatnonzero(mask).tolist()) - set(some):
                    raise Refuted(f"the code depends on entries of {name[:40]} that are said to be dark")
        part = with_zero_data(self.model, left)
        if part is None or part.data != self.model.data:
            raise Refuted("nothing moves without the dark entries")
        same_gradient_without(self.model, part, left)
        return self._of(part)

    def _of(self, part: Model) -> Subject:
        """The same flow of a part of the model."""
        made = copy(self)
        made.model, made.flow = part, _flow(part, self.section)
        made.state, made.data = dict(made.flow.state), dict(made.flow.data)
        return made

    @property
    def written(self) -> kernel.Flow:
        """The flow, for the kernel."""
        if self.section["fields"] is None:
            assert self.model is not None
            return kernel_flow(self.model.potential, self.model.parameters, self.data, self.section)
        n, m = self.dimension, sum(map(prod, self.data.values()))
        numbers = {
            name: i for i, name in enumerate([*coordinate_names(self.state), *coordinate_names(self.data)])
        }
        components = list[dict[tuple[int, ...], Fraction]]()
        for one in self.section["fields"]:
            if any(numbers.get(c, n) >= n for c in one):
                raise Refuted("a field moves what is no coordinate of the state")
            components += [parse(one[c], numbers) if c in one else {} for c in list(numbers)[:n]]
        nodes = polynomial_code(components, {"state": n, "data": m})
        last, count = len(nodes) - 1, len(self.section["fields"])
        nodes += [Node("take", (last,), (n,), np.arange(k * n, (k + 1) * n)) for k in range(count)]
        given = [{"state": last + 1 + k} for k in range(count)]
        return kernel.Flow({"state": (n,)}, {"data": (m,)} if m else {}, nodes, given=given)


def _fits(kept: Mapping[str, Any], arrays: Mapping[str, Shape]) -> None:
    """Refuted if these are no indices of the axes of arrays."""
    for name, axes in kept.items():
        shape = arrays.get(name, ())
        if (
            name not in arrays
            or len(axes) != len(shape)
            or any(
                some is not None and (some != sorted({*some}) or not some or some[-1] >= n)
                for some, n in zip(axes, shape, strict=True)
            )
        ):
            raise Refuted(f"the indices kept of {name[:40]} do not fit its shape {shape}")


def same_gradient_without(whole: Model, part: Model, left: Mapping[str, Any]) -> None:
    """Refuted if at a random point, mod p, dark entries move, or others not as in the part."""
    p, rng = 2**31 - 1, np.random.default_rng(3)
    drawn = {
        name: rng.integers(0, p, (1, 1, *shape), dtype=np.uint64)
        for name, shape in {**whole.parameters, **whole.data}.items()
    }
    boxes = {n: box_of(whole.parameters[n], left[n]) or () for n in left}
    places = {n: np.ix_(*[np.ones(1, dtype=np.bool_)] * 2, *box) for n, box in boxes.items()}
    small = {n: x[places[n]] if n in places else x for n, x in drawn.items()}
    one, other = (_gradient_at(x, point, p) for x, point in ((whole, drawn), (part, small)))
    for name, shape in whole.parameters.items():
        found = np.broadcast_to(one.get(name, np.uint64(0)), (1, 1, *shape))
        expected = np.zeros((1, 1, *shape), dtype=np.uint64)
        expected[places.get(name, ...)] = other.get(name, np.uint64(0))
        if (found != expected).any():
            raise Refuted("the code without dark entries is not that of the whole")


def same_gradient(whole: Model, part: Model, kept: Mapping[str, Any]) -> None:
    """Refuted if the gradient of a model with zero data is not that of the part at a random point, mod p, in
    a network with as many indices of each class as a term can involve (*The matrix ansatz*).
    """
    whole, part = _of_few_indices(whole, part)
    p, rng = 2**31 - 1, np.random.default_rng(2)
    drawn = {
        name: rng.integers(0, p, (1, 1, *shape), dtype=np.uint64)
        for name, shape in {**whole.parameters, **part.data}.items()
    }
    large = dict(drawn)
    for name, shape in whole.data.items():
        large[name] = np.zeros((1, 1, *shape), dtype=np.uint64)
    for name, places in positions_left(whole, kept).items():
        if name in part.data:
            large[name].reshape(-1)[places] = drawn[name].reshape(-1)
    found = [_gradient_at(x, point, p) for x, point in ((whole, large), (part, drawn))]
    for name, shape in whole.parameters.items():
        one, other = (np.broadcast_to(g.get(name, np.uint64(0)), (1, 1, *shape)) for g in found)
        if (one != other).any():
            raise Refuted("the code with zero data is not that of the whole")


def _gradient_at(made: Model, point: Mapping[str, Any], p: int) -> dict[str, Any]:
    """The gradient of a model at a point mod p, if that is not too much work."""
    nodes = code(made.potential)
    if (needed := multiplications(nodes)) > MOST_COMPARED:
        raise NotChecked(f"code with zero data or without dark entries of {needed:.1e} multiplications")
    return kernel.gradient(nodes, point, kernel.Residues(p))


def _of_few_indices(whole: Model, part: Model) -> tuple[Model, Model]:
    """Two models of the same parameters with as many indices of each class as a term of either can involve;
    as they are, if that is not known.
    """
    both = [IndexClasses.of(gradient_flow(x)) for x in (whole, part)]
    needed = dict[tuple[str, int], int]()
    for classes in both:
        assert classes.flow.model is not None
        potential = classes.flow.model.potential
        [counts] = classes.distinct_indices([potential], classes.axes([potential]), {})
        if counts is None or not classes.decouples(potential, first_order=False):
            return whole, part
        for name, axes in classes.state.items():
            for i, c in enumerate(axes):
                few = classes.flow.state[name][i] if c == RIGID else max(1, counts.get(c, 0))
                needed[name, i] = max(few, needed.get((name, i), 0))
    chosen = [dict[int, int](), dict[int, int]()]
    for _ in range(1 + len(both[0].lengths)):  # until arrays with an axis in a class of either agree
        for classes, lengths in zip(both, chosen, strict=True):
            for name, axes in classes.state.items():
                for i, c in enumerate(axes):
                    if c != RIGID:
                        lengths[c] = max(lengths.get(c, 1), min(needed[name, i], classes.lengths[c]))
            for name, axes in classes.state.items():
                for i, c in enumerate(axes):
                    needed[name, i] = needed[name, i] if c == RIGID else lengths[c]
    return _with_lengths(both[0], chosen[0]), _with_lengths(both[1], chosen[1])


def _with_lengths(classes: IndexClasses, lengths: Mapping[int, int]) -> Model:
    """The model with so many indices of each class; of those of data alone as many as there are."""
    whole = classes.flow.model
    assert whole is not None
    [potential] = classes.resized([whole.potential], lengths)
    parameters = {n: resized_shape(s, classes.state[n], lengths) for n, s in whole.parameters.items()}
    data = {n: resized_shape(s, classes.data[n], lengths) for n, s in whole.data.items()}
    return replace(whole, potential=potential, parameters=parameters, data=data)


def arrays_from(rows: Any, shapes: Mapping[str, Shape]) -> dict[str, Any]:
    """Arrays of residues, in a batch, from the rows of all their entries side by side."""
    ends = np.cumsum([0, *map(prod, shapes.values())])
    return {
        n: rows[:, a:b].reshape(1, len(rows), *s)
        for (n, s), a, b in zip(shapes.items(), ends, ends[1:], strict=False)
    }


def velocities_of(flow: kernel.Flow, numbers: Polynomials, variables: Mapping[str, Any]) -> list[list[Any]]:
    """The velocity of each coordinate along each field, as a polynomial."""
    rest = {
        name: kernel.objects([numbers.zero] * prod(shape), (prod(shape),))
        for name, shape in flow.state.items()
    }
    found = kernel.fields(flow, variables, variables, numbers)
    return [[x for n in flow.state for x in one.get(n, rest[n]).reshape(-1)] for one in found]


def coordinate_names(arrays: Mapping[str, Shape]) -> list[str]:
    """The coordinates of some arrays, in order."""
    return [
        f"{name}[{','.join(map(str, i))}]" if shape else name
        for name, shape in arrays.items()
        for i in np.ndindex(*shape)
    ]


def kernel_flow(
    potential: Expression,
    parameters: Mapping[str, Shape],
    data: Mapping[str, Shape],
    section: Mapping[str, Any],
) -> kernel.Flow:
    """The flow of a potential in the words of a certificate, for the kernel."""
    words = {name: word for name, word in section["metric"].items() if word != "euclidean"}
    powers = {name: int(word[3:]) for name, word in words.items() if word.startswith("z**")}
    rates = {name: rational(word) for name, word in words.items() if name not in powers}
    top, over_t, _ = (section["damping"] or "").partition("/t")
    damping = (Fraction(top), bool(over_t)) if section["kind"] == "momentum" else None
    decay = Fraction(section["weight_decay"])
    return kernel.Flow(
        parameters, data, code(potential), powers=powers, rates=rates, decay=decay, damping=damping
    )


def _flow(made: Model, section: Mapping[str, Any]) -> Flow:
    """The flow of a model that a certificate names."""
    rest = {"weight_decay": section["weight_decay"], "metric": section["metric"] or "euclidean"}
    if section["kind"] == "gradient" and section["damping"] is None:
        return gradient_flow(made, **rest)
    if section["kind"] == "momentum" and section["damping"] is not None:
        return momentum_flow(made, damping=section["damping"], **rest)
    raise Refuted(f"there is no {section['kind']} flow of a model with damping {section['damping']}")


def _check_metric(words: Mapping[str, str], made: Model) -> None:
    if set(words) != set(made.parameters):
        raise Refuted("the metric does not say one word for each parameter array")
    for word in words.values():
        if not re.fullmatch(r"euclidean|z\*\*(0|[1-9][0-9]?|100)|[1-9][0-9]*(/[1-9][0-9]*)?", word):
            raise Refuted(
                f"the metric {word[:40]!r} is not in words: euclidean, z**k with k >= 0, or a rational number"
            )


def _check_proportional(found: Sequence[Any], expected: Sequence[Any]) -> None:
    """Polynomials are others times one constant that is not zero."""
    first = next(i for i, x in enumerate(expected) if x != 0)
    factor = (
        found[first].leading_coefficient() / expected[first].leading_coefficient() if found[first] != 0 else 0
    )
    if factor == 0 or any(x != y * factor for x, y in zip(found, expected, strict=True)):
        raise Refuted("the drift is not that of this flow")


def family_model(name: str, arguments: Mapping[str, Any]) -> Model:
    """The model of a family."""
    family, widths = FAMILIES.get(name), arguments["widths"]
    if family is None:
        raise Refuted(f"there is no family {name!r}")
    if max(widths, default=0) > WIDEST and name != "monomial":
        raise NotChecked(f"{max(widths):,} neurons in one class")
    if len(widths) > DEEPEST or (
        name == "pca" and prod(widths) > LARGEST_NODE
    ):  # its transpose is an index array
        raise NotChecked(f"{name} of sizes {widths}"[:80])
    return family(widths, bool(arguments.get("bias", False)), arguments.get("power"))


def _with_inputs(output: Expression, arrays: Mapping[str, Expression]) -> Expression:
    """The expression on the arrays that a model is given."""
    made: dict[int, Expression] = {}
    for node in topological_order([output]):
        arguments = tuple(made[id(x)] for x in node.args)
        made[id(node)] = (
            arrays[node.attribute]
            if node.operation == "input"
            else Expression(node.operation, arguments, node.attribute, node.shape)
        )
    return made[id(output)]

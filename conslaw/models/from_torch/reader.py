"""The operations of a module run over the arrays of a model.

What depends on a parameter is an expression.  What does not is data, whatever was computed: one free array
for each node that meets a parameter, as its relations to others do not matter.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from fractions import Fraction
from inspect import signature
from math import isfinite, prod
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from conslaw.algebra.expressions import Expression, Indices, Shape, as_expression
from conslaw.errors import ConslawError
from conslaw.models.cut import Cut
from conslaw.models.from_torch.export import Exported, line_of, operation_of, place_of
from conslaw.models.from_torch.fused import fused
from conslaw.models.from_torch.hand_written import norms_in
from conslaw.models.nn.activations import free_value
from conslaw.models.nn.normalisation import rms_norm
from conslaw.models.readings import Recorder

LARGEST_CONSTANT = 10**6  # entries of an array that is computed to be used as a constant
SIMPLE = 1000  # the largest denominator of a number that is taken as it is

Rule = Callable[..., Any]


@dataclass(frozen=True)
class Free:
    """What no parameter is in, or no gradient passes through."""

    node: Any

    @property
    def shape(self) -> Shape:
        """Of the array that it stands for."""
        return tuple(self.node.meta["val"].shape)


@dataclass(frozen=True)
class Masked:
    """Logits of which some are minus infinity: those not ``allowed``, which is None where it is not known."""

    logits: Expression
    allowed: npt.NDArray[np.bool_] | None

    @property
    def shape(self) -> Shape:
        """Of the logits."""
        return self.logits.shape


@dataclass(frozen=True)
class Unread:
    """A statistic of a trained array that a layer returns beside its value."""


class Reader:
    """Runs the graph of a module once, with a rule for each operation."""

    def __init__(
        self, graph: Exported, record: Recorder, rules: Mapping[str, Rule], smooth: Collection[str]
    ) -> None:
        self.graph, self.record, self.rules, self.smooth = graph, record, rules, smooth
        self.values = dict[Any, Any]()
        self.views = dict[Expression, tuple[Expression, Indices]]()  # arrays that are views, and of what
        self.node: Any = None
        self._leaves = dict[Any, Expression]()
        self._numbers = dict[Fraction, Expression]()
        self._constants = dict[Any, Any]()
        record.where = lambda: place_of(self.node)

    def run(self, arrays: Mapping[str, Expression]) -> list[Any]:
        """The values of the outputs, for the arrays of the parameters that are trained, by their paths."""
        norms = norms_in(self.graph.nodes)
        functions = fused(self.graph.nodes, self._trained_nodes(arrays), self.smooth)
        unused = {*functions.inside, *(x for norm in norms.values() for x in norm.deviation)}
        for node in self.graph.nodes:
            self.node = node
            if node.op == "placeholder":
                path = self.graph.parameters.get(node.name, "")
                self.values[node] = arrays[path] if path in arrays else Free(node)
            elif node in unused:
                self.values[node] = Free(node)
            elif node in functions.roots:
                self.values[node] = free_value("activation", self.array(self.values[functions.roots[node]]))
            elif node in norms and isinstance(x := self.values[norms[node].x], Expression):
                self.values[node] = rms_norm(x, axis=norms[node].axes, eps=norms[node].eps)
            elif node.op == "call_function" and any(self.moves(x) for x in node.all_input_nodes):
                self.values[node] = self._ruled(node)
            else:
                self.values[node] = Free(node)
        return [self.values[node] for node in self.graph.outputs]

    def _trained_nodes(self, arrays: Mapping[str, Expression]) -> set[Any]:
        """The nodes in whose values a parameter is."""
        found = set[Any]()
        for node in self.graph.nodes:
            own = node.op == "placeholder" and self.graph.parameters.get(node.name, "") in arrays
            passes = _real(node.meta.get("val")) and operation_of(node) not in NO_GRADIENT
            if own or (passes and any(x in found for x in node.all_input_nodes)):
                found.add(node)
        return found

    @property
    def shape(self) -> Shape:
        """Of the (first) array that the operation makes."""
        made = self.node.meta["val"]
        return tuple((made[0] if self.several else made).shape)

    @property
    def several(self) -> bool:
        """Whether the operation returns a list of arrays."""
        return isinstance(self.node.meta["val"], list | tuple)

    def with_others(self, made: Expression, other: Any = None) -> Any:
        """What the operation returns, if it has more outputs than an array: of these no gradient is read."""
        return [made, *(other for _ in self.node.meta["val"][1:])] if self.several else made

    def moves(self, node: Any) -> bool:
        """Whether a parameter is in the value of a node."""
        return not isinstance(self.values[node], Free)

    def _ruled(self, node: Any) -> Any:
        if getattr(node.target, "__name__", "") == "getitem":
            whole, which = node.args
            part = self.values[whole][which]
            return Free(node) if part is None else part
        name = operation_of(node)
        if not _real(node.meta.get("val")) or name in NO_GRADIENT:
            return Free(node)
        if name not in self.rules or _complex(node.meta["val"]):
            raise ConslawError(
                f"{node.target} of an array that is trained is not read{line_of(node)}: write it with "
                f"operations on real arrays that are (see Real networks in the documentation), or detach() "
                f"what goes in"
            )
        first, others = self._arguments(node)
        try:
            self._check_arguments(name, first, others)
            made = self.rules[name](self, first, **others)
        except ConslawError as error:
            raise ConslawError(f"{error}{line_of(node)}") from error
        return self._checked(name, node, made)

    def _check_arguments(self, name: str, first: Any, others: Mapping[str, Any]) -> None:
        """No rule may pass over an array that is trained, or take minus infinity for a number."""
        known = signature(self.rules[name]).parameters
        passed_over = [x for x in others if "_" in known and x not in known and _trained(others[x])]
        if passed_over:
            raise ConslawError(f"{name} with {passed_over[0]} that is trained is not read")
        if any(isinstance(x, Unread) for x in (first, *others.values())):
            raise ConslawError(f"{name} of a mean or a deviation that a layer returns is not read")
        if any(isinstance(x, Masked) for x in (first, *others.values())) and name not in MASKED:
            raise ConslawError(
                f"{name} of a trained array with minus infinity is not read, a softmax is: mask by a factor "
                f"elsewhere"
            )

    def _checked(self, name: str, node: Any, made: Any) -> Any:
        """A rule that made another shape than PyTorch did would be a false reading."""
        expected = node.meta["val"]
        if isinstance(expected, torch.Tensor) and made.shape != tuple(expected.shape):
            raise ConslawError(
                f"{name}: read as an array of shape {made.shape}, where PyTorch has {tuple(expected.shape)}"
                f"{line_of(node)}: this is a mistake of conslaw"
            )
        return made

    def _arguments(self, node: Any) -> tuple[Any, dict[str, Any]]:
        """The first argument, and the others by their names in the schema, with their defaults."""
        declared = node.target._schema.arguments
        named = {x.name: x.default_value for x in declared}
        named |= dict(zip(named, node.args, strict=False)) | node.kwargs
        first, *others = ((name, self._value(value)) for name, value in named.items())
        return first[1], dict(others)

    def _value(self, argument: Any) -> Any:
        if isinstance(argument, list | tuple):
            return [self._value(x) for x in argument]
        return self.values[argument] if isinstance(argument, torch.fx.Node) else argument

    # what rules ask for

    def array(self, value: Any) -> Expression:
        """The array that a value is: exact where it is trained or a constant of integers, else free data."""
        if isinstance(value, Expression):
            return value
        if isinstance(value, Masked):
            raise ConslawError(
                f"minus infinity in a trained array is read by a softmax only{line_of(self.node)}"
            )
        if isinstance(value, Free):
            known = self.scalar(value)
            if known is not None:
                return self.number(known)
            constant = self.integers(value)
            return self.leaf(value) if constant is None else as_expression(constant)
        return self.number(value)

    def number(self, value: Any) -> Expression:
        """A number that was written: exact if it is simple (1/2, 0.1), else data (1/sqrt(64))."""
        found = exact(value)
        if found.denominator <= SIMPLE:
            return as_expression(found)
        if found not in self._numbers:
            self._numbers[found] = self.record.free("number", ())
        return self._numbers[found]

    def leaf(self, value: Free) -> Expression:
        """The free data array that stands for a node."""
        if value.node not in self._leaves:
            name = value.node.name if value.node.name.isidentifier() else "data"
            self._leaves[value.node] = self.record.free(name.strip("_") or "data", value.shape)
        return self._leaves[value.node]

    def inputs(self) -> dict[str, tuple[str, npt.NDArray[np.intp]]]:
        """Of data that are what the module is called with, maybe in another shape: which input, and at which
        of its positions.
        """
        found = dict[str, tuple[str, npt.NDArray[np.intp]]]()
        for last, leaf in self._leaves.items():
            chain, node = list[Any](), last
            while node.op == "call_function" and operation_of(node) in RESHAPED:
                chain, node = [node, *chain], node.args[0]
            if node.name in self.graph.inputs:
                shape = tuple(node.meta["val"].shape)
                places = torch.arange(prod(shape), device="cpu").reshape(shape)
                for one in chain:
                    places = one.target(places, *one.args[1:], **one.kwargs)
                found[leaf.attribute] = node.name, places.numpy().astype(np.intp)
        return found

    def numbers(self) -> dict[str, float]:
        """Data that are numbers in the code."""
        return {x.attribute: float(value) for value, x in self._numbers.items()}

    def scalar(self, value: Any) -> Fraction | None:
        """The number that a value is, if it is known."""
        if isinstance(value, bool | int | float):
            return exact(value)
        found = self.constant(value) if isinstance(value, Free) and not value.shape else None
        return exact(found.item()) if found is not None else None

    def integers(self, value: Free) -> npt.NDArray[Any] | None:
        """The constant that a value is, if it has integer entries."""
        found = self.constant(value)
        if found is None or (not _real(found) and found.dtype not in _WHOLE):
            return None
        entries = found.detach().to(torch.float64).numpy()
        whole = (
            np.isfinite(entries).all()
            and (entries == np.rint(entries)).all()
            and (abs(entries) < 2**20).all()
        )
        return entries.astype(np.int64) if whole else None

    def constant(self, value: Any) -> torch.Tensor | None:
        """The tensor that a value is whatever the inputs are, if that is known."""
        if not isinstance(value, Free):
            return None
        node = value.node
        if node not in self._constants:
            self._constants[node] = self._computed(node)
        return self._constants[node]

    def _computed(self, node: Any) -> torch.Tensor | None:
        shape = node.meta.get("val")
        if not isinstance(shape, torch.Tensor) or shape.numel() > LARGEST_CONSTANT:
            return None
        if node.op == "placeholder":
            found = self.graph.constants.get(node.name)
            usable = found is not None and found.device.type != "meta" and found.layout == torch.strided
            return found.detach().cpu() if found is not None and usable else None
        if node.op != "call_function" or self.values[node] != Free(node):
            return None
        tags = getattr(node.target, "tags", ())
        if torch.Tag.nondeterministic_seeded in tags or operation_of(node) in UNKNOWN_ENTRIES:
            return None
        known = {x: self.constant(self.values[x]) for x in node.all_input_nodes}
        if any(x is None for x in known.values()):
            return None
        arguments = torch.fx.map_arg((node.args, dict(node.kwargs, **_on_cpu(node))), lambda x: known[x])
        try:
            found = node.target(*arguments[0], **arguments[1])
        except Exception:  # an operation that is not there for this device or type: then it is data
            return None
        return found if isinstance(found, torch.Tensor) else None

    def cut(
        self, operation: str, *arguments: Any, rule: str = "value and slope", **options: Any
    ) -> Expression:
        """A free value in place of any function, and the piece <u, z> for each argument that is trained.

        Sound whatever the function is: what an argument gets of the gradient is some array of its shape.
        """
        moving = [x for x in arguments if isinstance(x, Expression) and self.record.trains(x)]
        name = self.record.numbered(operation)
        made = self.record.free(f"{name}_value", self.shape)
        slopes = [self.record.free(f"{name}_slope", x.shape) for x in moving]
        self.record.cuts += [Cut(made, x, x, u, None) for u, x in zip(slopes, moving, strict=True)]
        self.record.note(operation, rule, [made], slopes, moving, made, options)
        return made


_WHOLE = (torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)

NO_GRADIENT = frozenset(
    (
        *(
            "detach",
            "sign",
            "sgn",
            "round",
            "floor",
            "ceil",
            "trunc",
            "heaviside",
            "bernoulli",
            "multinomial",
        ),
        *("zeros_like", "ones_like", "full_like", "empty_like", "rand_like", "randn_like", "randint_like"),
        *("new_zeros", "new_ones", "new_full", "new_empty"),
    )
)
UNKNOWN_ENTRIES = frozenset(
    ("empty", "empty_like", "empty_strided", "empty_permuted", "new_empty", "new_empty_strided")
)

RESHAPED = frozenset(
    (
        *("view", "_unsafe_view", "reshape", "flatten", "unsqueeze", "squeeze", "permute", "transpose"),
        *("clone", "alias"),
    )
)

MASKED = frozenset(  # what reads logits that are minus infinity in places
    (
        *("softmax", "_softmax", "_safe_softmax", "scaled_dot_product_attention"),
        *("add", "mul", "div", "masked_fill", "view", "_unsafe_view", "reshape", "unsqueeze", "squeeze"),
        *("clone", "contiguous", "alias", "_to_copy"),
    )
)


def _real(value: Any) -> bool:
    """Whether there is a tensor of real numbers in a value."""
    if isinstance(value, list | tuple):
        return any(_real(x) for x in value)
    return isinstance(value, torch.Tensor) and (value.is_floating_point() or value.is_complex())


def _complex(value: Any) -> bool:
    return any(
        isinstance(x, torch.Tensor) and x.is_complex()
        for x in (value if isinstance(value, list | tuple) else [value])
    )


def _trained(value: Any) -> bool:
    return any(isinstance(x, Expression | Masked) for x in (value if isinstance(value, list) else [value]))


def _on_cpu(node: Any) -> dict[str, Any]:
    return {"device": torch.device("cpu")} if "device" in node.kwargs else {}


def exact(value: Any) -> Fraction:
    """The number that was written: 0.1 is 1/10."""
    if not isfinite(value):
        raise ConslawError(f"the constant {value} meets an array that is trained")
    return Fraction(repr(value)) if isinstance(value, float) else Fraction(value)

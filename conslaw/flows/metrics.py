"""Metrics: the positive operator M(z) that stands before the gradient in a flow.

In a gradient flow z = theta (mirror descent with a separable mirror map has M = diag of a function of theta);
in a momentum flow z = tau theta + theta' [MGP24, Section 2].  A metric is array code in z, polynomial or
rational, like a potential.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from math import prod
from numbers import Number
from typing import Any, TypeAlias

import numpy as np

from conslaw.algebra.evaluation import topological_order
from conslaw.algebra.exact_numbers import hyper_parameter
from conslaw.algebra.expressions import Expression, Shape, as_expression, broadcast_to, stacked
from conslaw.errors import ConslawError
from conslaw.models.potential import Arrays, MetricCode, Model, constant_of_a_metric, name_of, run_array_code

MetricSpecification: TypeAlias = Any  # text, a number, an array, a mapping to these, array code, or None
Named: TypeAlias = Mapping[str, Expression]

WHOLE = ""  # stands for all parameters together where a matrix acts on all of them
OPTIMIZERS = re.compile(  # whose step is no linear function of the gradient at the weights
    "ada(delta|factor|grad|m|max|mw)|amsgrad|lamb|lars|lbfgs|lion|muon|nadam|radam|rmsprop|rprop|shampoo|"
    "sign|signgd|signsgd|signum|sophia"
)
EXAMPLES = "'euclidean', 'mirror', 'z**2', a positive rational number such as 1/10, or an array"


@dataclass(frozen=True)
class Metric:
    """M(z), block by block.

    ``code`` maps the arrays z to the blocks that are not the identity: for a parameter array of shape S and
    size k, its diagonal (anything that broadcasts to S) or a matrix (k, k); or one matrix (D, D) for all
    parameters.  ``words`` says the same for each array in one word ("z**2", "1/10"), if the user did; None
    for array code.
    """

    name: str
    model: Model
    code: Callable[[Arrays], Any]
    words: Mapping[str, str] | None = None

    @staticmethod
    def of(model: Model, specification: MetricSpecification) -> Metric:
        """A metric from what the user says; None is the model's customary one."""
        given = model.metric if specification is None else specification
        _check_not_an_optimizer(given)
        if callable(given):
            called = given.name if isinstance(given, MetricCode) else name_of(given, "custom")
            return Metric(called, model, given)
        if is_array(given):  # one matrix for all parameters
            return Metric("matrix", model, lambda _: np.array(given))
        word = isinstance(given, str | Number | Decimal)
        blocks = dict.fromkeys(model.parameters, given) if word else given
        if not isinstance(blocks, Mapping):
            raise ConslawError(
                f"metric={given!r}: give a mapping from parameter arrays, array code z -> mapping, or "
                f"{EXAMPLES}"
            )
        unknown = [name for name in blocks if name not in model.parameters]
        if unknown:
            raise ConslawError(
                f"metric={given!r}: no parameter {unknown[0]!r}; the parameters are "
                f"{', '.join(model.parameters)}"
            )
        functions = {n: f for n, b in blocks.items() if (f := _block(f"metric={given!r}", b)) is not None}
        for name, shape in model.parameters.items():
            if is_array(block := blocks.get(name)):
                given_entries, k = np.array(block, dtype=object), prod(shape)
                if given_entries.shape != (k, k) and not all(map(_is_positive, given_entries.flat)):
                    raise ConslawError(
                        f"metric of {name}: a diagonal must be positive; a matrix has the shape {(k, k)}"
                    )
        words = {n: _word(blocks.get(n, "euclidean")) for n in model.parameters}
        functions = {n: f for n, f in functions.items() if words[n] != "euclidean"}
        return Metric(
            _named(words, model),
            model,
            lambda z: {n: f(z[n]) for n, f in functions.items()},
            None if "array" in words.values() else words,
        )

    def entries(self, z: Named) -> Named:
        """The blocks of M(z): a diagonal of the shape of the array, or a matrix; under the name ``""`` a
        matrix for all.
        """
        blocks = run_array_code("metric", self.code, Arrays("metric array", z))
        if not isinstance(blocks, Mapping):
            blocks = {WHOLE: blocks}
        if WHOLE in blocks and len(blocks) > 1:
            raise ConslawError("metric: a matrix for all parameters leaves no room for blocks of single ones")
        inputs = {n.attribute for n in topological_order(z.values()) if n.operation == "input"}
        result = {}
        for name, block in blocks.items():
            shape = (self.model.size,) if name == WHOLE else self.model.parameters.get(name)
            if shape is None:
                raise ConslawError(
                    f"metric: no parameter {name!r}; the parameters are {', '.join(self.model.parameters)}"
                )
            block, k = constant_of_a_metric(block), prod(shape)
            stranger = [
                n for n in topological_order([block]) if n.operation == "input" and n.attribute not in inputs
            ]
            if stranger:
                raise ConslawError(f"metric: it uses {stranger[0]!r}; it may depend on z only")
            if block.shape == (k, k):
                result[name] = block
            elif name != WHOLE and _broadcasts(block.shape, shape):
                result[name] = broadcast_to(block, shape)
            else:
                whose = f"of {name}, its diagonal of shape {shape} or" if name else "of all parameters,"
                raise ConslawError(
                    f"metric: a block of shape {block.shape}; give {whose} a matrix of shape {(k, k)}"
                )
        return result

    def apply(self, blocks: Named, gradient: Named) -> Named:
        """M(z), given by its :meth:`entries`, times a gradient."""
        if WHOLE in blocks:
            parameters, start, result = self.model.parameters, 0, dict[str, Expression]()
            zero = {n: as_expression(np.zeros(s, dtype=np.int64)) for n, s in parameters.items()}
            product = blocks[WHOLE] @ stacked([gradient.get(n, zero[n]) for n in parameters])
            for name, shape in parameters.items():
                stop = start + prod(shape)
                result[name] = product[start:stop].reshape(shape)
                start = stop
            return result
        return {name: _times(blocks[name], x) if name in blocks else x for name, x in gradient.items()}


def _check_not_an_optimizer(given: object) -> None:
    """Refuse optimizers: their names, classes and instances."""
    kind = given if isinstance(given, type) else type(given)
    called = given if isinstance(given, str) else kind.__name__
    if OPTIMIZERS.fullmatch(re.sub(r"[^a-z]", "", called.lower().rpartition(".")[2])):
        raise ConslawError(
            f"metric={called!r}: not the flow of a metric: its steps are not M(z) times the gradient (they "
            f"depend on signs or on earlier gradients). Analyze the flow in a metric, such as 'euclidean'; "
            f"conslaw.Monitor records how its laws move under any optimizer"
        )


def is_array(value: object) -> bool:
    """Whether a metric, or a block of one, is given by its entries."""
    return isinstance(value, list | tuple | np.ndarray) and np.ndim(np.array(value, dtype=object)) > 0


def _is_positive(value: object) -> bool:
    try:
        return hyper_parameter(value) > 0
    except ConslawError:
        return False


def _broadcasts(shape: Shape, to: Shape) -> bool:
    try:
        return np.broadcast_shapes(shape, to) == to
    except ValueError:
        return False


def _times(block: Expression, x: Expression) -> Expression:
    if block.shape == x.shape:
        return block * x
    return (block @ x.reshape(-1)).reshape(x.shape)


def _word(block: object) -> str:
    """A block that :func:`_block` takes, as the word or the fraction that it means."""
    if is_array(block):
        return "array"
    text = block.replace(" ", "") if isinstance(block, str) else ""
    if text == "euclidean" or text.startswith("z"):
        return "z**1" if text == "z" else text
    rate = "z**1" if text == "mirror" else str(Fraction(hyper_parameter(block)))
    return "euclidean" if rate == "1" else rate


def _named(words: Mapping[str, str], model: Model) -> str:
    """The name of a metric: the same however it was written."""
    shown = {n: "mirror" if word == "z**1" else word for n, word in words.items() if word != "euclidean"}
    for word in set(shown.values()) - {"array"}:
        if [*shown.values()] == [word] * len(model.parameters):
            return word
    return ", ".join(f"{n}: {shown[n]}" for n in model.parameters if n in shown) or "euclidean"


def _block(given: str, block: object) -> Callable[[Expression], object] | None:
    """The diagonal that one word or number stands for; None for the identity."""
    _check_not_an_optimizer(block)
    power = (
        re.fullmatch(r"z(?:\*\*(-?[0-9]+))?", block.replace(" ", "")[:99]) if isinstance(block, str) else None
    )
    if is_array(block):
        return lambda _: np.array(block)
    if isinstance(block, str) and block == "euclidean":
        return None
    if block == "mirror" or power:
        exponent = int(power[1] or 1) if power else 1
        if abs(exponent) > 100:
            raise ConslawError(f"{given}: exponents of a metric go up to 100")
        return lambda z: z**exponent
    try:
        scale = Fraction(hyper_parameter("no" if isinstance(block, bool) else block))
    except ConslawError:
        raise ConslawError(f"{given}: {block!r} is not a metric; give {EXAMPLES}") from None
    if scale <= 0:
        raise ConslawError(f"{given}: the scaling {scale} must be positive")
    return lambda z: scale

"""Metrics: the positive operator M(z) that stands before the gradient in a flow.

In a gradient flow z = theta (mirror descent with a separable mirror map has M = diag of a function of theta);
in a momentum flow z = tau theta + theta' [MGP24, Section 2].  A metric is array code in z, polynomial or
rational, like a potential.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import prod
from typing import Any, TypeAlias

import numpy as np

from conslaw.algebra.evaluation import topological_order
from conslaw.algebra.exact_numbers import exact_rational
from conslaw.algebra.expressions import Expression, Shape, as_expression, stacked
from conslaw.errors import ConslawError
from conslaw.models.potential import Arrays, Model, run_array_code

MetricSpecification: TypeAlias = str | Mapping[str, Any] | Callable[[Any], Any] | None
Named: TypeAlias = Mapping[str, Expression]

WHOLE = ""  # stands for all parameters together where a matrix acts on all of them
EXAMPLES = "'euclidean', 'mirror', 'z**2', or a positive rational number such as Fraction(1, 10)"


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
        if callable(given):
            return Metric(getattr(given, "__name__", "custom").replace("<lambda>", "custom"), model, given)
        blocks = dict.fromkeys(model.parameters, given) if isinstance(given, str) else given
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
        name = given if isinstance(given, str) else ", ".join(f"{n}: {b}" for n, b in blocks.items())
        return Metric(
            name,
            model,
            lambda z: {n: f(z[n]) for n, f in functions.items()},
            {n: _word(b) for n, b in blocks.items()},
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
            block, k = as_expression(block), prod(shape)
            stranger = [
                n for n in topological_order([block]) if n.operation == "input" and n.attribute not in inputs
            ]
            if stranger:
                raise ConslawError(f"metric: it uses {stranger[0]!r}; it may depend on z only")
            if block.shape == (k, k):
                result[name] = block
            elif name != WHOLE and _broadcasts(block.shape, shape):
                result[name] = block * as_expression(np.ones(shape, dtype=np.int64))
            else:
                whose = f"of {name}, its diagonal of shape {shape} or" if name else "of all parameters,"
                raise ConslawError(
                    f"metric: a block of shape {block.shape}; give {whose} a matrix of shape {(k, k)}"
                )
        return result

    def apply(self, blocks: Named, gradient: Named) -> Named:
        """M(z), given by its :meth:`entries`, times a gradient."""
        if WHOLE in blocks:
            parameters = self.model.parameters
            zero = {n: as_expression(np.zeros(s, dtype=np.int64)) for n, s in parameters.items()}
            product, start, result = (
                blocks[WHOLE] @ stacked([gradient.get(n, zero[n]) for n in parameters]),
                0,
                {},
            )
            for name, shape in parameters.items():
                stop = start + prod(shape)
                result[name] = product[start:stop].reshape(shape)
                start = stop
            return result
        return {name: _times(blocks[name], x) if name in blocks else x for name, x in gradient.items()}


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
    text = block.replace(" ", "") if isinstance(block, str) else ""
    if text == "euclidean" or text.startswith("z"):
        return "z**1" if text == "z" else text
    return "z**1" if text == "mirror" else str(Fraction(exact_rational(block)))


def _block(given: str, block: object) -> Callable[[Expression], object] | None:
    """The diagonal that one word or number stands for; None for the identity."""
    power = (
        re.fullmatch(r"z(?:\*\*(-?[0-9]+))?", block.replace(" ", "")[:99]) if isinstance(block, str) else None
    )
    if block == "euclidean":
        return None
    if block == "mirror" or power:
        exponent = int(power[1] or 1) if power else 1
        if abs(exponent) > 100:
            raise ConslawError(f"{given}: exponents of a metric go up to 100")
        return lambda z: z**exponent
    try:
        scale = Fraction(exact_rational("no" if isinstance(block, bool) else block))
    except ConslawError:
        raise ConslawError(f"{given}: {block!r} is not a metric; give {EXAMPLES}") from None
    if scale <= 0:
        raise ConslawError(f"{given}: the scaling {scale} must be positive")
    return lambda z: scale

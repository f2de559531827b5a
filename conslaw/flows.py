"""A flow: a state space and the family of polynomial vector fields along which training moves the state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod

from conslaw.expressions import Expression, Shape, gradient, topological_order
from conslaw.models import Model

VectorField = Mapping[str, Expression]


@dataclass(frozen=True, eq=False)
class Flow:
    """The vector fields whose common first integrals are the conservation laws.

    Attributes
    ----------
    name : ``"gradient"``
    model : the model that is trained
    state, data : mapping from array name to shape; the state of a gradient flow is the parameters
    fields : vector fields on the state, each a mapping from state array to its component, polynomial in state and data.  A
        function is conserved iff its derivative along each of them is zero for every value of the data.
    """

    name: str
    model: Model
    state: Mapping[str, Shape]
    data: Mapping[str, Shape]
    fields: tuple[VectorField, ...] = field(repr=False)

    @property
    def dimension(self) -> int:
        """Dimension of the state space."""
        return sum(prod(shape) for shape in self.state.values())


def gradient_flow(model: Model) -> Flow:
    """The Euclidean gradient flow of a model: its only control field is the gradient of the potential.

    Parameters
    ----------
    model : Model

    Returns
    -------
    Flow

    Examples
    --------
    >>> import conslaw
    >>> conslaw.gradient_flow(conslaw.linear([3, 2, 4])).dimension
    14

    References
    ----------
    [MGP23] arXiv 2307.00144, Section 2.1: theta' = -grad L(theta), whatever the data and the loss, moves in W_phi(theta).
    """
    nodes = {node.attribute: node for node in topological_order([model.potential]) if node.operation == "input"}
    used = [name for name in model.parameters if name in nodes]
    components = dict(zip(used, gradient(model.potential, [nodes[name] for name in used]), strict=True))
    return Flow("gradient", model, model.parameters, model.data, (components,))

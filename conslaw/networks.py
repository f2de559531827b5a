"""The families of networks that conslaw knows by name, each written with the public :func:`conslaw.model` and nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

from conslaw.errors import ConslawError
from conslaw.models import Model, is_positive_integer, model


def linear(widths: Sequence[int], *, bias: bool = False) -> Model:
    """A deep linear network.

    Parameters
    ----------
    widths : at least two positive integers, from the input to the output
        ``[3, 2, 4]`` is x -> W2 W1 x with W1 of shape (2, 3) and W2 of shape (4, 2).
    bias : bool
        Adds a bias vector b1, b2, ... to each hidden layer, as [MGP23] does (one on the output would enter no law).

    Returns
    -------
    Model

    Examples
    --------
    >>> import conslaw
    >>> conslaw.linear([3, 2, 4]).parameters
    {'W1': (2, 3), 'W2': (4, 2)}
    """
    shapes, sizes = _layers(widths, bias)

    def potential(p: Any, c: Any) -> Any:
        h = c.x
        for layer in range(1, len(sizes)):
            h = p[f"W{layer}"] @ h
            if f"b{layer}" in p:
                h = h + p[f"b{layer}"]
        return c.v @ h

    data = {"x": (sizes[0],), "v": (sizes[-1],)}
    return model(potential, parameters=shapes, data=data, name="linear", arguments={"widths": sizes, "bias": bias})


def relu(widths: Sequence[int], *, bias: bool = False) -> Model:
    """A deep ReLU network, through its path lifting.

    Where no pre-activation vanishes a ReLU multiplies by a gate, 0 or 1.  The gates enter as free data: their products span the
    same space as the path lifting of [MGP23, Section 2], whose coordinates are the products of weights along paths.

    Parameters
    ----------
    widths : at least two positive integers, from the input to the output
    bias : bool
        Adds a bias vector b1, b2, ... to each hidden layer, as [MGP23] does (one on the output would enter no law), scaled by
        free data, so that a path that starts at a bias counts on its own.

    Returns
    -------
    Model

    Examples
    --------
    >>> import conslaw
    >>> conslaw.relu([3, 5, 2], bias=True).size
    30
    """
    shapes, sizes = _layers(widths, bias)
    last = len(sizes) - 1

    def potential(p: Any, c: Any) -> Any:
        h = c.x
        for layer in range(1, last + 1):
            h = p[f"W{layer}"] @ h
            if f"b{layer}" in p:
                h = h + c[f"gamma{layer}"] * p[f"b{layer}"]
            if layer < last:
                h = c[f"g{layer}"] * h
        return c.v @ h

    data = {"x": (sizes[0],), "v": (sizes[-1],)} | {f"g{i}": (sizes[i],) for i in range(1, last)}
    if bias:
        data |= {f"gamma{i}": (sizes[i],) for i in range(1, last)}
    return model(potential, parameters=shapes, data=data, name="relu", arguments={"widths": sizes, "bias": bias})


def _layers(widths: Sequence[int], bias: bool) -> tuple[dict[str, tuple[int, ...]], list[int]]:
    """The parameter shapes of a fully connected network, and its widths as a list."""
    if not isinstance(widths, Iterable) or not all(is_positive_integer(n) for n in widths):
        raise ConslawError(f"widths {widths!r}: give positive integers from the input to the output, such as [3, 2, 4]")
    sizes = [int(n) for n in widths]
    if len(sizes) < 2:
        raise ConslawError(f"widths {widths!r}: a network needs at least two widths, input and output, such as [3, 2, 4]")
    shapes: dict[str, tuple[int, ...]] = {}
    for layer, (before, after) in enumerate(pairwise(sizes), start=1):
        shapes[f"W{layer}"] = (after, before)
        if bias and layer < len(sizes) - 1:
            shapes[f"b{layer}"] = (after,)
    return shapes, sizes


FAMILIES = {"linear": linear, "relu": relu}

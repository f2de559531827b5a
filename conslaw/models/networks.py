"""The families of networks that conslaw knows by name, each written with the public :func:`conslaw.model` and
nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce, wraps
from itertools import pairwise
from operator import mul
from typing import Any, ParamSpec

import numpy as np

from conslaw.algebra.expressions import Expression, Sizes
from conslaw.errors import ConslawError, check_flags
from conslaw.models.potential import Model, is_list, is_positive_integer, model

P = ParamSpec("P")


def _of_a_list(build: Callable[P, Model]) -> Callable[P, Model]:
    """A builder that says how it is called to who gives the sizes one by one."""

    @wraps(build)
    def called(*given: P.args, **options: P.kwargs) -> Model:
        sizes = [*given, *(options[name] for name in ("n1", "n2", "n3", "n", "r") if name in options)]
        if len(sizes) > 1 and all(map(is_positive_integer, sizes)):
            old = ", ".join(map(str, sizes))
            raise ConslawError(
                f"{build.__name__}({old}): give the sizes in a list: {build.__name__}([{old}])"
            )
        return build(*given, **options)

    return called


@_of_a_list
def linear(widths: Sizes, *, bias: bool = False) -> Model:
    """A deep linear network.

    Parameters
    ----------
    widths : at least two positive integers, from the input to the output
        ``[3, 2, 4]`` is x -> W2 W1 x with W1 of shape (2, 3) and W2 of shape (4, 2).
    bias : bool
        Adds a bias vector b1, b2, ... to each hidden layer, as [MGP23] does (one on the output would enter no
        law).

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
            h = _affine(p, layer, h)
        return c.v @ h

    data = {"x": (sizes[0],), "v": (sizes[-1],)}
    return model(
        potential,
        parameters=shapes,
        data=data,
        name="linear",
        arguments={"widths": sizes, "bias": bool(bias)},
    )


@_of_a_list
def relu(widths: Sizes, *, bias: bool = False) -> Model:
    """A deep ReLU network, through its path lifting.

    Where no pre-activation vanishes a ReLU multiplies by a gate, 0 or 1.  The gates enter as free data: their
    products span the same space as the path lifting of [MGP23, Section 2], whose coordinates are the products
    of weights along paths.

    Parameters
    ----------
    widths : at least two positive integers, from the input to the output
    bias : bool
        Adds a bias vector b1, b2, ... to each hidden layer, as [MGP23] does (one on the output would enter no
        law), scaled by free data, so that a path that starts at a bias counts on its own.

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
    return model(
        potential, parameters=shapes, data=data, name="relu", arguments={"widths": sizes, "bias": bool(bias)}
    )


def nn_relu(widths: Sizes, *, bias: bool = False) -> Model:
    """The same network with conslaw.nn: its gates are those of its pre-activations, where these are known."""
    from conslaw.models.nn.activations import relu as gated

    shapes, sizes = _layers(widths, bias)

    def potential(p: Any, c: Any) -> Any:
        h = c.x
        for layer in range(1, len(sizes)):
            h = _affine(p, layer, h)
            h = gated(h) if layer < len(sizes) - 1 else h
        return c.v @ h

    return model(potential, parameters=shapes, data={"x": (sizes[0],), "v": (sizes[-1],)}, name="relu")


@_of_a_list
def polynomial(widths: Sizes, power: int | Sizes = 2, *, bias: bool = False) -> Model:
    """A fully connected network with the activation z -> z**power.

    Parameters
    ----------
    widths : at least two positive integers, from the input to the output
    power : integer >= 2, or a list of them, one for each hidden layer
    bias : bool
        Adds a bias vector b1, b2, ... to each hidden layer.

    Returns
    -------
    Model

    Raises
    ------
    ConslawError
        If a power is not an integer >= 2, or there is not one for each hidden layer.

    Examples
    --------
    >>> import conslaw
    >>> conslaw.analyze(conslaw.networks.polynomial([2, 1, 1], power=3)).laws
    (W1[0, 0]**2 + W1[0, 1]**2 - 3*W2[0, 0]**2,)

    References
    ----------
    Kileel, Trager, Bruna, *On the Expressive Power of Deep Polynomial Neural Networks*, arXiv 1905.12207.
    """
    shapes, sizes = _layers(widths, bias)
    powers = _powers(power, len(sizes) - 2)

    def potential(p: Any, c: Any) -> Any:
        h = c.x
        for layer in range(1, len(sizes)):
            h = _affine(p, layer, h)
            if layer <= len(powers):
                h = h ** powers[layer - 1]
        return c.v @ h

    data = {"x": (sizes[0],), "v": (sizes[-1],)}
    arguments = {"widths": sizes, "power": powers, "bias": bool(bias)}
    return model(potential, parameters=shapes, data=data, name="polynomial", arguments=arguments)


def _powers(power: int | Sizes, hidden: int) -> list[int]:
    """The power of each hidden layer."""
    powers: list[Any] = list(power) if is_list(power) else [power] * hidden
    given: list[Any] = powers if is_list(power) else [power]
    if not all(is_positive_integer(n) and n > 1 for n in given):
        raise ConslawError(f"power={power!r}: give an integer of at least 2, or one for each hidden layer")
    if len(powers) != hidden:
        raise ConslawError(
            f"power={power!r}: there are {hidden} hidden layers; give one integer, or {hidden} of them"
        )
    return [int(n) for n in powers]


@_of_a_list
def nmf(sizes: Sizes) -> Model:
    """A non-negative matrix factorisation U V, under mirror descent.

    Parameters
    ----------
    sizes : three positive integers n1, n2, n3
        U is n1 x n2 and V is n2 x n3; the customary metric is diag(z) on both.

    Returns
    -------
    Model

    Examples
    --------
    >>> import conslaw
    >>> conslaw.analyze(conslaw.gradient_flow(conslaw.nmf([2, 1, 2]))).laws
    (U[0, 0] + U[1, 0] - V[0, 0] - V[0, 1],)

    References
    ----------
    [MGP24] arXiv 2405.12888, Section 4 (NMF).
    """
    n1, n2, n3 = _sizes("nmf", sizes)
    return model(
        lambda p, c: c.v @ p.U @ (p.V @ c.x),
        parameters={"U": (n1, n2), "V": (n2, n3)},
        data={"x": (n3,), "v": (n1,)},
        name="nmf",
        arguments={"widths": [n1, n2, n3]},
        metric="mirror",
    )


@_of_a_list
def icnn(sizes: Sizes, *, bias: bool = False) -> Model:
    """A two-layer input convex network U relu(V x + b), U non-negative under mirror descent.

    Parameters
    ----------
    sizes : three positive integers n1, n2, n3
        U is n1 x n2 (outputs by hidden units) and V is n2 x n3; the customary metric is diag(z) on U,
        Euclidean on V and b.
    bias : bool
        Adds a bias vector b on the hidden layer.

    Returns
    -------
    Model

    Examples
    --------
    >>> import conslaw
    >>> conslaw.analyze(conslaw.gradient_flow(conslaw.icnn([2, 1, 1], bias=True))).laws
    (2*U[0, 0] + 2*U[1, 0] - V[0, 0]**2 - b[0]**2,)

    References
    ----------
    [MGP24] arXiv 2405.12888, Section 4 (ICNN).
    """
    n1, n2, n3 = _sizes("icnn", sizes)
    check_flags(bias=bool(bias) if isinstance(bias, np.bool_) else bias)
    parameters = {"U": (n1, n2), "V": (n2, n3)} | ({"b": (n2,)} if bias else {})
    data = {"x": (n3,), "v": (n1,), "g": (n2,)} | ({"gamma": (n2,)} if bias else {})

    def potential(p: Any, c: Any) -> Any:
        h = p.V @ c.x
        return c.v @ (p.U @ (c.g * (h + c.gamma * p.b if bias else h)))

    arguments = {"widths": [n1, n2, n3], "bias": bool(bias)}
    return model(
        potential, parameters=parameters, data=data, name="icnn", arguments=arguments, metric={"U": "mirror"}
    )


@_of_a_list
def pca(sizes: Sizes) -> Model:
    """A symmetric factorisation U U^T, U of shape n x r.

    Parameters
    ----------
    sizes : two positive integers n, r

    Returns
    -------
    Model

    Examples
    --------
    >>> import conslaw
    >>> conslaw.count(conslaw.gradient_flow(conslaw.pca([3, 2]))).laws_at_most
    0
    """
    n, r = _sizes("pca", sizes)
    return model(
        lambda p, c: ((p.U @ p.U.T) * c.s).sum(),
        parameters={"U": (n, r)},
        data={"s": (n, n)},
        name="pca",
        arguments={"widths": [n, r]},
    )


@_of_a_list
def monomial(exponents: Sizes) -> Model:
    """One monomial, x_1^a_1 ... x_D^a_D.

    Parameters
    ----------
    exponents : positive integers a_1, ..., a_D

    Returns
    -------
    Model

    Examples
    --------
    >>> import conslaw
    >>> conslaw.analyze(conslaw.gradient_flow(conslaw.monomial([1, 2]))).laws
    (2*x[0]**2 - x[1]**2,)
    """
    sizes = _sizes("monomial", exponents)

    def potential(p: Any, c: Any) -> Any:
        return reduce(mul, [p.x[i] ** a for i, a in enumerate(sizes)])

    return model(potential, parameters={"x": (len(sizes),)}, name="monomial", arguments={"widths": sizes})


def _sizes(family: str, sizes: Sizes) -> list[int]:
    """Positive integers, as many as the family has, as a list."""
    count = FAMILIES[family].count
    if (
        not is_list(sizes)
        or not all(is_positive_integer(n) for n in sizes)
        or len(sizes) != (count or len(sizes))
        or not len(sizes)
    ):
        example = FAMILIES[family].example
        many = f"{count} positive integers" if count else "positive integers"
        raise ConslawError(
            f"{family} {sizes!r}: give {many}, such as {family}([{example.replace('-', ', ')}])"
        )
    return [int(n) for n in sizes]


def _affine(p: Any, layer: int, h: Any) -> Any:
    """Weights and, if there is one, bias of a layer."""
    h = p[f"W{layer}"] @ h
    return h + p[f"b{layer}"] if f"b{layer}" in p else h


def _layers(widths: Sizes, bias: bool) -> tuple[dict[str, tuple[int, ...]], list[int]]:
    """The parameter shapes of a fully connected network, and its widths as a list."""
    if isinstance(widths, Expression):
        raise ConslawError(
            f"{widths!r} stands where widths must stand; in array code call conslaw.nn.relu(z)"
        )
    if not is_list(widths) or not all(is_positive_integer(n) for n in widths):
        raise ConslawError(
            f"widths {widths!r}: give positive integers from the input to the output, such as [3, 2, 4]"
        )
    check_flags(bias=bool(bias) if isinstance(bias, np.bool_) else bias)
    sizes = [int(n) for n in widths]
    if len(sizes) < 2:
        raise ConslawError(
            f"widths {widths!r}: a network needs at least two widths, input and output, such as [3, 2, 4]"
        )
    shapes: dict[str, tuple[int, ...]] = {}
    for layer, (before, after) in enumerate(pairwise(sizes), start=1):
        shapes[f"W{layer}"] = (after, before)
        if bias and layer < len(sizes) - 1:
            shapes[f"b{layer}"] = (after,)
    return shapes, sizes


@dataclass(frozen=True)
class Family:
    """How a family is called from the command line: with so many sizes (None: any number), with or without a
    bias.
    """

    build: Callable[..., Model]
    sizes: str
    count: int | None = None
    bias: bool = False
    power: bool = False

    @property
    def example(self) -> str:
        """Sizes that it can be called with."""
        return "-".join("324"[: self.count or 3])

    def __call__(self, sizes: Sizes, bias: bool, power: int | Sizes | None = None) -> Model:
        """The model of these sizes."""
        name = self.build.__name__
        options: dict[str, Any] = {"bias": bool(bias)} if self.bias else {}
        if bias and not self.bias:
            raise ConslawError(f"--bias: {name} has none; leave it out")
        if power is not None and not self.power:
            raise ConslawError(f"--power: {name} has none; leave it out")
        options |= {"power": power} if power is not None else {}
        if self.count is not None and len(sizes) != self.count:
            raise ConslawError(f"{name} {'-'.join(map(str, sizes))}: needs {self.count} sizes, {self.sizes}")
        return self.build(sizes, **options)


FAMILIES = {
    "linear": Family(linear, "WIDTHS", bias=True),
    "relu": Family(relu, "WIDTHS", bias=True),
    "polynomial": Family(polynomial, "WIDTHS", bias=True, power=True),
    "nmf": Family(nmf, "n1-n2-n3", 3),
    "icnn": Family(icnn, "n1-n2-n3", 3, bias=True),
    "pca": Family(pca, "n-r", 2),
    "monomial": Family(monomial, "a1-...-aD"),
}

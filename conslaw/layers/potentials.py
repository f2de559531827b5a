"""What training a high-order layer, or a network of them, conserves: its exact potential for the engine."""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import numpy as np
from torch import nn

from conslaw.errors import ConslawError
from conslaw.layers.normalization import MaxAbsNorm
from conslaw.layers.spaces import Space
from conslaw.models.potential import Model
from conslaw.models.potential import model as make_model


class _Synapses:
    """The values f_io of a layer's synapses as array code; declares the data that it needs."""

    def __init__(self, number: int, layer: Any, first: bool) -> None:
        self.layer, self.first = layer, first
        self.weight, self.bias = f"W{number}", f"b{number}"
        self.values, self.slopes, self.padded = f"e{number}", f"D{number}", f"m{number}"
        self.taps = math.prod(layer.kernel)
        size = layer.space.size
        self.parameters: dict[str, Any] = {
            self.weight: (layer.inputs, size, *([self.taps][: layer.kernel != ()]))
        }
        self.parameters[self.weight] += (layer.outputs,)
        if layer.bias is not None:
            self.parameters[self.bias] = (layer.outputs,)
        self.data: dict[str, Any] = {}
        unity = layer.space.unity
        self.base = int(np.argmax(unity)) if unity.any() else None
        self.others = [k for k in range(size) if k != self.base]
        self.powers = None if first else exact_polynomials(layer.space)
        if self.powers is None and self.others:
            places = (self.taps,) if layer.kernel else ()
            self.data[self.values] = (layer.inputs, len(self.others), *places)
            if not first:
                self.data[self.slopes] = (layer.inputs, len(self.others))
        if layer.kernel and (any(layer.padding) or layer.transposed):
            self.data[self.padded] = (self.taps,)

    def __call__(self, p: Any, c: Any, h: Any) -> Any:
        """Array (inputs, taps or nothing, outputs) of f."""
        w = p[self.weight]
        result = w[:, self.base] if self.base is not None else 0
        # phi_base = 1 - (the other functions that sum to one with it), so phi_k moves w_k against w_base
        shares = [int(self.layer.space.unity[k]) for k in self.others]
        if self.powers is not None:
            for k, share in zip(self.others, shares, strict=True):
                value: Any = sum(a * (h**j if j else 1) for j, a in enumerate(self.powers[k]) if a)
                moved = w[:, k] - w[:, self.base] if share else w[:, k]
                result = np.einsum("it,ito->ito" if self.layer.kernel else "i,io->io", value, moved) + result
        elif self.others:
            value = c[self.values]
            if not self.first:
                value = value + np.einsum("ik,i->ik", c[self.slopes], h)
            tap = "t" if self.layer.kernel else ""
            result = np.einsum(f"ik{tap},ik{tap}o->i{tap}o", value, w[:, self.others]) + result
            mates = [place for place, share in enumerate(shares) if share]
            if mates:
                lost = value[:, mates].sum(1)
                result = result - np.einsum(f"i{tap},i{tap}o->i{tap}o", lost, w[:, self.base])
        if self.padded in self.data:
            result = np.einsum("t,ito->ito", c[self.padded], result)
        return result

    def output(self, p: Any, c: Any, h: Any) -> Any:
        """Array (outputs,) of the layer."""
        f = self(p, c, h)
        if self.layer.kernel:
            f = f.reshape((self.layer.fan_in, self.layer.outputs))
        y = f.sum(0)
        if self.layer.combine == "product":
            left = 1 - Fraction(str(self.layer.alpha))
            total, y = y, 1 + f[0]
            for i in range(1, self.layer.fan_in):
                y = y * (1 + f[i])
            y = y - left * total if left else y
        if self.layer.rescale:
            y = y / self.layer.fan_in
        return y + p[self.bias] if self.bias in self.parameters else y


def exact_polynomials(space: Space) -> list[list[Fraction]] | None:
    """The basis as polynomials of x with rational coefficients, where laws hang on them: degree one, or
    powers.

    Other bases have no law through their inputs (docs, High-order layers), and are cheaper cut there.
    """
    one, zero = Fraction(1), Fraction(0)
    if space.basis == "identity":
        return [[zero, one]]
    if not space.piecewise or space.segments > 1 or (space.basis != "monomial" and space.degree > 1):
        return None
    left, right = (Fraction(str(x)) for x in space.domain)
    t = [-(left + right) / (right - left), 2 / (right - left)]
    if space.basis == "lagrange" and space.degree == 1:
        return [[(one - t[0]) / 2, -t[1] / 2], [(one + t[0]) / 2, t[1] / 2]]
    powers = [[one]]
    for _ in range(space.degree):
        shifted = [zero, *powers[-1]]
        powers.append([t[0] * a + t[1] * b for a, b in zip([*powers[-1], zero], shifted, strict=True)])
    return powers


def model(network: nn.Module) -> Model:
    r"""The potential of a high-order layer, or of a network of fully connected ones.

    Parameters
    ----------
    network : layer, ``nn.Sequential`` or :class:`conslaw.layers.HighOrderMLP`
        Of :class:`HighOrderLinear` and :class:`MaxAbsNorm` (and what does nothing), or one convolution.

    Returns
    -------
    Model
        Parameters ``W1``, ``b1``, ``W2``, ... in the order of the layers, shaped as the weights (the kernel's
        axes in one).

    Raises
    ------
    ConslawError
        If the network has something else in it.

    Notes
    -----
    A layer is linear in its weights, :math:`f_{oi} = \sum_k w_{ik o} \varphi_k(x_i)`, with free data in
    place of
    the :math:`\varphi_k` of the first layer, but for what holds of all inputs: that the functions which
    sum to 1
    do. For one layer without padding this is exact: the values of linearly independent functions span all
    that
    this allows. Behind it, powers (one piece) and two points are exact; other :math:`\varphi(h)` have free
    values,
    which sum to 1, and free slopes, which sum to 0. A norm has free values and slopes, the taps of a
    padded (or transposed) convolution are free data. There the gradients of the network lie in the span of
    the
    model's: **its laws are laws of the network**, and that they are all is said of the model.

    Examples
    --------
    >>> import conslaw
    >>> from conslaw import layers
    >>> network = layers.HighOrderMLP([2, 2, 2, 1], degree=2, segments=2, normalize=False)
    >>> answer = conslaw.analyze(layers.model(network))
    >>> answer.laws_found, answer.complete
    (5, True)
    """
    parts = list(_parts(network))
    layers: list[Any] = [part for part in parts if _is_layer(part)]
    if not layers:
        raise ConslawError(f"{type(network).__name__} has no high-order layer: nothing to make a model of")
    if len(layers) > 1 and any(layer.kernel for layer in layers):
        raise ConslawError("a network with convolutions: take the model of each layer, layer.model()")
    synapses: dict[int, _Synapses] = {}
    parameters: dict[str, Any] = {}
    data: dict[str, Any] = {"v": (layers[-1].outputs,)}
    seen: set[int] = set()
    width: int | None = None
    first = True
    part: Any
    for place, part in enumerate(parts):
        if _is_layer(part):
            if id(part) in seen:
                raise ConslawError("a layer stands in the network twice: give it copies")
            if width not in (None, part.inputs):
                raise ConslawError(f"a layer of {part.inputs} inputs follows {width} outputs")
            seen.add(id(part))
            synapses[place] = made = _Synapses(len(synapses) + 1, part, first)
            first, width = False, part.outputs
            parameters |= made.parameters
            data |= made.data
        elif width is not None:
            data[f"n{place}"], data[f"N{place}"] = (width,), (width, width)

    def potential(p: Any, c: Any) -> Any:
        h = None
        for place, part in enumerate(parts):
            if place in synapses:
                h = synapses[place].output(p, c, h)
            elif h is not None and isinstance(part, MaxAbsNorm):
                h = c[f"n{place}"] + c[f"N{place}"] @ h
        return c.v @ h

    name = "high-order layer" if len(layers) == 1 else f"{len(layers)} high-order layers"
    return make_model(potential, parameters=parameters, data=data, name=name)


def _parts(network: nn.Module) -> Iterator[nn.Module]:
    """Layers and norms in order."""
    if _is_layer(network) or isinstance(network, MaxAbsNorm):
        yield network
    elif isinstance(network, nn.Sequential):
        for part in network:
            yield from _parts(part)
    elif not isinstance(network, nn.Identity):
        known = "HighOrderLinear, MaxAbsNorm and nn.Sequential of them"
        raise ConslawError(f"{type(network).__name__}: a model is made of {known}")


def _is_layer(module: nn.Module) -> bool:
    return isinstance(getattr(module, "space", None), Space)

"""The signs of all neurons at a point, exactly: floats where their error bound allows, else rationals."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from conslaw.regions.networks_read import Array, Network, product

UNIT = 2.0**-53


def signs_at(network: Network, numerators: Array, denominator: int) -> Array:
    """Signs (-1, 0, 1) of the hidden neurons at the point numerators / denominator; proved."""
    if not network.in_range:
        return exact_signs(network, numerators, denominator)
    try:
        rounded = np.array([x / denominator for x in numerators], float)
    except OverflowError:
        rounded = np.full(len(numerators), np.nan)
    sign, sure = signs_by_floats(network, rounded)
    return sign if sure.all() else exact_signs(network, numerators, denominator)


def exact_values(network: Network, numerators: Array, denominator: int) -> list[list[Fraction]]:
    """Values before the kinks, layer by layer, the output too."""
    behind, scale, result = numerators, denominator, []
    for layer in network.layers:
        column = np.append(behind, scale).reshape(-1, 1)
        values, scale = product(layer.numerators, column)[:, 0], scale * layer.denominator
        result.append([Fraction(int(v), int(scale)) for v in values])
        if layer.slope is not None:
            behind, scale = layer.kinked(values, values > 0), scale * layer.slope.denominator
    return result


def exact_signs(network: Network, numerators: Array, denominator: int) -> Array:
    """The same by rationals alone."""
    values = exact_values(network, numerators, denominator)
    flat = [v for layer, found in zip(network.layers, values, strict=True) if layer.slope is not None
            for v in found]  # fmt: skip
    return np.array([(v > 0) - (v < 0) for v in flat], np.int8)


def signs_by_floats(network: Network, points: Array) -> tuple[Array, Array]:
    """Signs, and where they are certain: Higham's bound for sums of products, with all roundings.

    ``points`` has shape (inputs,) or (inputs, points), rounded to nearest; the network is ``in_range``.
    """
    behind, more = points, (1,) * (points.ndim - 1)
    error, signs, sure = abs(behind) * UNIT + 2.0**-1074, [], []
    with np.errstate(all="ignore"):
        for layer in network.hidden:
            weights, bias = layer.floats[:, :-1], layer.floats[:, -1].reshape(-1, *more)
            gamma = (layer.numerators.shape[1] + 4) * UNIT * 1.01
            values = weights @ behind + bias
            error = (
                1.01 * (abs(weights) @ (error * (1 + gamma) + gamma * abs(behind)) + gamma * abs(bias))
                + (len(behind) + 2) * 2.0**-1021
            )
            signs.append(np.sign(values).astype(np.int8))
            sure.append((abs(values) > error) & np.isfinite(values) & np.isfinite(error))
            behind = np.where(values > 0, values, layer.slope_float * values)
            error = error * max(1.0, abs(layer.slope_float)) * 1.01 + abs(behind) * 4 * UNIT
    empty = np.zeros((0, *points.shape[1:]))
    return np.concatenate([empty.astype(np.int8), *signs]), np.concatenate([empty.astype(bool), *sure])

"""Values and gradients of all neurons under given gates, with bounds of their errors: two number systems.

Why two: the running error bound of float64 grows by the norms of the layers, the values do not, so that after
20 layers of width 40 floats would need some 29 bits more.  :class:`Digits` has about 110: numbers are K
integers below 2^base in float64, so small that the products of matrices of digits are exact; all the work is
in BLAS.  (Products of split matrices: Ozaki, Ogita, Oishi, Rump, Numer. Algorithms 59, 2012.)
"""

from __future__ import annotations

from fractions import Fraction
from math import log2

import numpy as np

from conslaw.regions.networks_read import Array, Layer, Network

UNIT, TINY = 2.0**-53, 2.0**-1000
SMALL = 2.0**-690  # beyond what underflows; times a number that is ``in_range`` still more than TINY
PLACES = 6


class Floats:
    """float64 with a running error bound (Higham).  Only what is exactly 0 has no more than TINY."""

    def __init__(self, network: Network) -> None:
        self.layers = network.hidden

    def __call__(self, signs: Array, points: Array) -> tuple[Array, Array]:
        """Values and gradients, and bounds of their errors; arrays (neurons, B, 1 + d).

        Gates are read off ``signs``, of shape (B, neurons); where a sign is 0 the gate is 0.
        """
        count, d = points.shape
        behind = np.zeros((d, count, 1 + d))
        behind[:, :, 0] = points.T
        behind[np.arange(d), :, 1 + np.arange(d)] = 1
        error = SMALL * (behind != 0)
        values, errors, place = [], [], 0
        for layer in self.layers:
            n, m = layer.width, len(behind)
            weights, bias = layer.floats[:, :-1], layer.floats[:, -1]
            gamma = (m + 6) * UNIT * 1.01
            z = (weights @ behind.reshape(m, -1)).reshape(n, count, 1 + d)
            z[:, :, 0] += bias[:, None]
            spread = error * 1.001 + gamma * abs(behind)
            e = 1.001 * (abs(weights) @ spread.reshape(m, -1)).reshape(n, count, 1 + d) + TINY
            e[:, :, 0] += gamma * abs(bias)[:, None]
            values.append(z)
            errors.append(e)
            gate = signs[:, place : place + n].T[:, :, None]
            place += n
            factor = np.where(gate > 0, 1.0, np.where(gate < 0, layer.slope_float, 0.0))
            behind = z * factor
            error = e * abs(factor) * 1.001 + abs(behind) * (4 * UNIT) + SMALL * (factor != 0)
        return np.concatenate(values), np.concatenate(errors)


class Digits:
    """Fixed-point numbers of ``PLACES`` digits: sum_k digit_k 2^(-base (k + 1)) times 2^exponent, an exponent
    for each column; digits are integers of absolute value at most 2^(base - 1).

    A neuron is divided by a power of two, so that its weights are below 1/4; the next layer takes it back.
    Thus numbers may be as large or small as float64 allows, which ``Floats`` could not bear.
    """

    def __init__(self, network: Network) -> None:
        self.slopes = [layer.slope or Fraction(0) for layer in network.hidden]
        widest = max(layer.numerators.shape[1] for layer in network.hidden) * (1 + any(self.slopes))
        self.base = int((54 - log2(widest * PLACES)) / 2)
        self.unit = _unit(network.hidden[0])
        self.weights, units, slope = [], [self.unit] * network.inputs, Fraction(0)
        for layer in network.hidden:
            digits, own = self._digits_of(_doubled(layer, slope), units)
            slope = layer.slope or Fraction(0)
            self.weights.append(digits)
            units = own * (2 if slope else 1)

    def _digits_of(self, rational: tuple[Array, int], units: list[int]) -> tuple[Array, list[int]]:
        """Digits of the rows (W | b) in units 2^units of the inputs, and the unit of each row."""
        numerators, denominator = rational
        low = min(*units, 0)
        shifts = [unit - low for unit in [*units, 0]]
        bits = PLACES * self.base
        fixed, own = np.empty(numerators.shape, object), []
        for i, row in enumerate(numerators.tolist()):
            shifted = [int(x) << s for x, s in zip(row, shifts, strict=True)]
            length = max(abs(x) for x in shifted).bit_length()
            unit = length + low - denominator.bit_length() + 3 if length else 0
            move = low + bits - unit
            above, below = (2 << move, 2 * denominator) if move >= 0 else (2, 2 * denominator << -move)
            fixed[i] = [(x * above + below // 2) // below for x in shifted]
            own.append(unit)
        half, digits = 1 << (self.base - 1), np.empty((PLACES, *fixed.shape))
        for k in reversed(range(PLACES)):
            digit = (fixed + half) % (2 * half) - half
            digits[k], fixed = digit, (fixed - digit) // (2 * half)
        used = np.flatnonzero(digits.any(axis=(1, 2)))
        return digits[: used[-1] + 1 if len(used) else 1], own

    def __call__(self, signs: Array, points: Array) -> tuple[Array, Array]:
        """As for ``Floats``, each neuron times a positive number."""
        count, d = points.shape
        real = np.zeros((d + 1, count, 1 + d))
        real[:-1, :, 0], real[-1, :, 0] = np.ldexp(points.T, -self.unit), 1
        real[np.arange(d), :, 1 + np.arange(d)] = 1
        digits, error, exponent = self._split(real.reshape(d + 1, -1))
        values, errors, place = [], [], 0
        own = np.tile([0, *[self.unit] * d], count)  # gradients are by inputs in that unit
        for weights, slope in zip(self.weights, self.slopes, strict=True):
            n = weights.shape[1]
            digits, error = self._product(weights, digits, error)
            rounded = self._sum(digits)
            values.append(np.ldexp(rounded, exponent - own).reshape(n, count, 1 + d))
            bound = error * 1.001 + (PLACES + 5) * UNIT * abs(rounded)
            errors.append(np.ldexp(bound, exponent - own).reshape(n, count, 1 + d) + TINY)
            gate = np.repeat(signs[:, place : place + n].T, 1 + d, axis=1)
            place += n
            masks = [gate > 0, gate < 0] if slope else [gate > 0]
            digits, error = (np.concatenate([a * mask for mask in masks], -2) for a in (digits, error))
            digits, error, exponent = self._shifted(digits, error, exponent, 1 + d)
        return np.concatenate(values), np.concatenate(errors)

    def _split(self, real: Array) -> tuple[Array, Array, Array]:
        """Digits of float64 numbers, with a bound of the rest, and the exponent of each column."""
        exponent = np.frexp(abs(real).max(axis=0))[1] + 1
        rest, digits = np.ldexp(real, -exponent), np.empty((PLACES, *real.shape))
        for digit in digits:
            rest = rest * 2.0**self.base
            np.rint(rest, out=digit)
            rest -= digit
        return digits, np.where(rest != 0, 2.0 ** (-self.base * PLACES), 0.0), exponent

    def _product(self, weights: Array, digits: Array, error: Array) -> tuple[Array, Array]:
        """PLACES + 2 digits, the first of weight 1, and the bound; digits beyond PLACES are left out."""
        used, n, m = weights.shape
        columns = digits.shape[2]
        sums = np.zeros((PLACES + 2, n, columns))
        for k in range(PLACES):
            top = min(used, PLACES - k)
            sums[2 + k : 2 + k + top] += (weights[:top].reshape(-1, m) @ digits[k]).reshape(top, n, columns)
        for s in reversed(range(1, PLACES + 2)):
            carry = np.rint(sums[s] * 2.0**-self.base)
            sums[s - 1] += carry
            sums[s] -= carry * 2.0**self.base
        last = 2.0 ** (-self.base * PLACES)
        size = abs(self._sum(weights)) * 1.001 * 2.0**-self.base + last
        alive = digits.any(axis=(0, 1)) | error.any(axis=0)
        return sums, 1.001 * (size @ error) + alive * (m * (PLACES + 1) * last)

    def _sum(self, digits: Array) -> Array:
        """Of digits, the first of weight 1; relative error below (PLACES + 4) UNIT."""
        total: Array = digits[-1].copy()
        for digit in digits[-2::-1]:
            total *= 2.0**-self.base
            total += digit
        return total

    def _shifted(self, digits: Array, error: Array, exponent: Array, step: int) -> tuple[Array, Array, Array]:
        """PLACES digits again, without the zeros that lead a column; the constant coordinate comes last."""
        base, columns = self.base, digits.shape[2]
        one, off = np.zeros((PLACES + 2, 1, columns)), np.zeros((1, columns))
        where = np.arange(0, columns, step)
        place = -(-exponent[where] // base)  # 1 = 2^(base place - exponent) 2^(-base place) 2^exponent
        fits = place < PLACES + 2
        one[place[fits], 0, where[fits]] = 2.0 ** (base * place - exponent[where])[fits]
        off[0, where[~fits]] = 2.0 ** -exponent[where[~fits]].astype(float)
        digits, error = np.concatenate([digits, one], 1), np.concatenate([error, off])
        lead = digits.any(axis=1).argmax(axis=0)
        kept = np.zeros((PLACES, *digits.shape[1:]))
        for shift in np.unique(lead):
            here = lead == shift
            part = digits[shift : shift + PLACES, :, here]
            kept[: len(part), :, here] = part
        error = error * 2.0 ** (base * (lead - 1.0))
        if (lead < 2).any():
            error = error + (lead < 2) * 2.0 ** (-base * PLACES)
        return kept, error, exponent + base * (1 - lead)


def _unit(first: Layer) -> int:
    """The size of typical points, as a power of two: where the biases are as large as the weights."""
    rows = [[abs(int(x)).bit_length() for x in row] for row in first.numerators.tolist()]
    sizes = sorted(row[-1] - max(row[:-1]) for row in rows if row[-1] and max(row[:-1]))
    return sizes[len(sizes) // 2] if sizes else 0


def _doubled(layer: Layer, slope: Fraction) -> tuple[Array, int]:
    """(W | b) for what comes from a ReLU; (W | slope W | b) for its positive and negative parts."""
    weights, bias = layer.numerators[:, :-1], layer.numerators[:, -1:]
    if not slope:
        return layer.numerators, layer.denominator
    p, q = slope.numerator, slope.denominator
    return np.concatenate([q * weights, p * weights, q * bias], axis=1), q * layer.denominator

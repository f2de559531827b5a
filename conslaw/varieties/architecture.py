"""Polynomial networks as numbers: widths, powers, and the dimensions that follow from them alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import comb, prod

from conslaw.models.networks import polynomial
from conslaw.models.potential import Model


@dataclass(frozen=True)
class Architecture:
    """Widths d_0, ..., d_L, the powers of the L - 1 hidden layers, and whether these have biases."""

    widths: tuple[int, ...]
    powers: tuple[int, ...]
    bias: bool = False

    @property
    def depth(self) -> int:
        """The number L of weight matrices."""
        return len(self.widths) - 1

    @property
    def parameters(self) -> int:
        """The number of scalar parameters."""
        weights = sum(self.widths[i] * self.widths[i + 1] for i in range(self.depth))
        return weights + (sum(self.widths[1:-1]) if self.bias else 0)

    @property
    def naive(self) -> int:
        """The parameters without one scale for each hidden unit."""
        return self.parameters - sum(self.widths[1:-1])

    @property
    def degree(self) -> int:
        """The degree of an output in the inputs."""
        return prod(self.powers)

    @property
    def monomials(self) -> int:
        """The number of coefficients of one output; biases make it inhomogeneous."""
        variables = self.widths[0] + (self.bias and self.depth > 1)
        return comb(variables - 1 + self.degree, variables - 1)

    @property
    def ambient(self) -> int:
        """The number of coefficients."""
        return self.widths[-1] * self.monomials

    def __str__(self) -> str:
        powers = sorted(set(self.powers))
        said = "" if not powers else f", power {powers[0] if len(powers) == 1 else self.powers}"
        return "-".join(map(str, self.widths)) + said + (" with bias" if self.bias else "")


def architecture(model: Model) -> Architecture | None:
    """The architecture of a model of the family ``polynomial`` (or of a user's with the same arguments and
    arrays); None for any other.
    """
    given = model.arguments
    if model.name != "polynomial" or set(given) != {"widths", "power", "bias"}:
        return None
    made = polynomial(given["widths"], given["power"], bias=given["bias"])
    if made != model:
        return None
    return Architecture(tuple(given["widths"]), tuple(given["power"]), bool(given["bias"]))


def shapes(d: Sequence[int]) -> list[tuple[int, int]]:
    """The shapes of the weight matrices."""
    return [(d[i + 1], d[i]) for i in range(len(d) - 1)]

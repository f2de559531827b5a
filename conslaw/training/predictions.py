"""What discrete methods do to a law, exactly: recursions that follow from the law alone.

Statements and proofs are in the documentation (*Training*).  Let h = l + q be a law, l linear and q quadratic
in the parameters, R the learning rates of the arrays relative to one another, so that <grad h(theta), R g> =
0 for every gradient g at theta.  With PyTorch's conventions

    g' = g + Lambda theta,  v+ = beta v + (1 - delta) g',  u = v+ or (Nesterov) g' + beta v+,
    theta+ = theta - eta R u,

and C = <grad h(theta), R v>, E = <grad h(theta), R Lambda theta> one has, with q(R u, R v) the symmetric
bilinear form,

    F  = beta C + (1 - delta) E              ( = <grad h(theta), R v+> )
    h+ = h - eta F + eta^2 q(R v+),          C+ = F - 2 eta q(R v+, R v+)            heavy ball
    h+ = h - eta (E + beta F) + eta^2 q(R u),   C+ = F - 2 eta q(R u, R v+)          Nesterov

Gradient descent is beta = 0: h+ = (1 - eta lambda)^2 h + eta^2 q(g) where l = 0 and Lambda = lambda.  Nothing
but the second-order terms needs the gradients, and no term of first order in eta depends on them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from conslaw.laws.forms import Arrays, Part, Values
from conslaw.training.watched import Watched


@dataclass(frozen=True)
class Step:
    """How an optimizer makes a step.

    Attributes
    ----------
    rate : eta
    momentum, dampening : beta, delta
    nesterov : whether u is g' + beta v+
    decays, rates : Lambda and R, by array; 0 and 1 for those not named
    """

    rate: Any
    momentum: Any = 0
    dampening: Any = 0
    nesterov: bool = False
    decays: Arrays | None = None
    rates: Arrays | None = None

    def _decay(self, name: str) -> Any:
        return (self.decays or {}).get(name, 0) * self._rate(name)

    def _rate(self, name: str) -> Any:
        return (self.rates or {}).get(name, 1)

    def decay_of(self, part: Part) -> Any:
        """The factor of a part in <grad h(theta), R Lambda theta>."""
        return sum(self._decay(name) for name in part.arrays)

    def rate_of(self, part: Part) -> Any:
        """The factor of a part in <grad h(theta), R v>, if it is of one array."""
        return self._rate(part.arrays[0])

    def square_of(self, part: Part) -> Any:
        """The factor of a part in q(R u)."""
        one, other = part.arrays
        return self._rate(one) * self._rate(other)


@dataclass(frozen=True)
class Predicted:
    """A law h and C = <grad h(theta), R v>, as they are predicted."""

    law: Values
    along: Values

    def after(self, step: Step, watched: Watched, parts: Values, applied: Values, mixed: Values) -> Predicted:
        """After a step, from the values of the parts of the law.

        Parameters
        ----------
        parts : at theta
        applied : at u, those of degree 2
        mixed : between u and v+, those of degree 2; needed for Nesterov's method alone
        """
        decay = watched.total(parts, step.decay_of) if step.decays else 0
        square = watched.total(applied, step.square_of)
        along = step.momentum * self.along + (1 - step.dampening) * decay
        if step.nesterov:
            first, cross = decay + step.momentum * along, watched.total(mixed, step.square_of)
        else:
            first, cross = along, square
        eta = step.rate
        return Predicted(self.law - eta * first + eta * eta * square, along - 2 * eta * cross)


def skew_after(law: Values, step: Step, mixed: Values) -> Values:
    """A skew law S(theta, v) after a step: beta S under heavy ball, which needs no gradients; under
    Nesterov's method beta S - eta beta S(g', v), whose last factor is ``mixed``, v as before the step.
    """
    return step.momentum * (law - step.rate * mixed if step.nesterov else law)

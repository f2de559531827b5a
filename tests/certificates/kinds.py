"""Flows of every kind, whose certificates are made once."""

import conslaw
from conslaw.certificates.written import digests

G, M = conslaw.gradient_flow, conslaw.momentum_flow


def own(hidden):
    """A model of no family, with transposes, a constant and a power."""
    return conslaw.model(
        lambda p, c: c.v @ (p.V.T @ (2 * (p.U @ c.x) ** 3)),
        parameters={"U": (hidden, 3), "V": (hidden, 2)},
        data={"x": (3,), "v": (2,)},
        name="cubic units",
    )


def radial_metric(z):
    return {"x": 1 + z.y * z.y}


FLOWS = {
    "linear": lambda: G(conslaw.linear([3, 2, 4])),
    "matrix ansatz": lambda: (G(conslaw.linear([3, 2, 4])), {"ansatz": "matrix", "split": False}),
    "relu with bias": lambda: G(conslaw.relu([2, 3, 2], bias=True)),
    "momentum": lambda: M(conslaw.linear([2, 3, 2]), damping="1/2"),
    "nesterov": lambda: M(conslaw.linear([2, 2, 1]), damping="nesterov"),
    "clock t**(1/2)": lambda: M(conslaw.linear([1, 2, 2]), damping="3/2/t"),
    "mirror momentum": lambda: M(conslaw.icnn([1, 2, 1], bias=True), damping="5/t"),
    "powers, decay, momentum": lambda: M(
        conslaw.linear([1, 2, 1]), metric={"W1": "z**2"}, damping=1, weight_decay="1/3"
    ),
    "rates and decay": lambda: G(conslaw.linear([2, 2, 2]), metric={"W1": "1/10"}, weight_decay=1),
    "quotient": lambda: G(
        conslaw.model(lambda p, c: (p.x**2 + p.y**2) / 2, parameters={"x": (), "y": ()}, name="radial")
    ),
    "logarithms": lambda: G(conslaw.nmf([1, 2, 1])),
    "a metric of one's own": lambda: G(
        conslaw.model(lambda p, c: p.x * p.y, parameters={"x": (), "y": ()}, name="xy"), metric=radial_metric
    ),
    "negative power": lambda: G(conslaw.linear([1, 2, 1]), metric="z**-1"),
    "bounds that do not meet": lambda: (G(conslaw.linear([1, 2, 1])), {"degree": 1}),
    "deep brackets": lambda: M(conslaw.linear([1, 3, 3, 1])),
    "own model": lambda: G(own(2)),
    "large linear": lambda: G(conslaw.linear([300, 300, 300])),
    "large relu": lambda: G(conslaw.relu([784, 512, 10], bias=True)),
    "large momentum": lambda: M(conslaw.linear([50, 40, 30], bias=True), damping=1),
    "large mirror": lambda: G(conslaw.icnn([40, 30, 20], bias=True)),
    "large own model": lambda: G(own(120)),
    "split, laws as polynomials": lambda: G(conslaw.linear([16, 17, 16])),
}


def forged(certificate):
    certificate["digests"] = digests(certificate)
    return conslaw.verify(certificate)

"""One result of each kind that a user may keep, send or write down, by name; nothing here takes long."""

import conslaw
from conslaw import regions, varieties

LINES = [([[1, 0], [0, 1], [1, 1]], [0, 0, -1]), ([[1, 1, 1]], [0])]
G, M = conslaw.gradient_flow, conslaw.momentum_flow


def own_model():
    return conslaw.model(
        lambda p, c: c.v @ p.U @ p.W @ c.x,
        parameters={"U": (1, 2), "W": (2, 1)},
        data={"x": (1,), "v": (1,)},
        metric=lambda z: {"U": 1 + z.U**2},
    )


def from_sympy():
    import sympy

    x, y = sympy.symbols("x lambda", positive=True)
    return conslaw.from_sympy([x**3 - y**3], [x, y])


def simulated():
    return conslaw.simulate(
        conslaw.linear([2, 2, 1]),
        data={"x": [[1, 2], [0, 1]]},
        targets=[[1], [0]],
        method="gd",
        step=0.1,
        steps=3,
    )


RESULTS = {
    "model": own_model,
    "model of a family": lambda: conslaw.relu([2, 3, 1]),
    "model from SymPy": from_sympy,
    "flow": lambda: M(own_model(), damping="nesterov"),
    "flow from fields": lambda: conslaw.analyze(from_sympy()).given,
    "count": lambda: conslaw.count(conslaw.linear([2, 2, 2])),
    "split count": lambda: conslaw.count(conslaw.relu([20, 30, 10]), split=True),
    "Lie ranks": lambda: conslaw.lie_ranks(M(conslaw.linear([1, 2, 1]))),
    "analysis": lambda: conslaw.analyze(conslaw.linear([2, 2, 2])),
    "analysis by arrays": lambda: conslaw.analyze(conslaw.relu([20, 30, 10]), ansatz="matrix"),
    "analysis with quotients": lambda: conslaw.analyze(from_sympy()),
    "analysis in an own metric": lambda: conslaw.analyze(own_model(), degree=3),
    "polynomial laws": lambda: conslaw.polynomial_laws(M(conslaw.linear([2, 2, 1]), damping="1/2")),
    "quotients": lambda: conslaw.rational_laws(from_sympy()),
    "families": lambda: conslaw.analyze(conslaw.linear([2, 2, 2])).law_families,
    "certificate": lambda: conslaw.analyze(from_sympy()).certificate(),
    "verification": lambda: conslaw.verify(conslaw.analyze(from_sympy()).certificate()),
    "attainment": lambda: conslaw.analyze(conslaw.linear([2, 2, 1])).at(
        {"W1": [[1, 2], [3, 5]], "W2": [[1, 1]]}
    ),
    "drift": simulated,
    "dimension": lambda: varieties.dimension(conslaw.networks.polynomial([2, 2, 3])),
    "equations": lambda: varieties.equations(conslaw.networks.polynomial([2, 2, 4]), degree=3),
    "complex": lambda: regions.polyhedral_complex(LINES),
    "polytope": lambda: regions.polytope(LINES, [0.25, 0.25]),
    "data patterns": lambda: regions.data_patterns(LINES, [[0.25, 0.25], [0, 1], [2, -1]]),
    "topology": lambda: regions.topology(regions.polyhedral_complex(LINES), level=0.3, at_infinity="point"),
    "wall crossings": lambda: regions.wall_crossings([LINES, ("after", LINES)], [[0.25, 0.25], [0, 1]]),
}


def text(result):
    """All that a result says of itself, but for how long it took."""
    if hasattr(result, "to_json"):
        data = {name: value for name, value in result.to_json().items() if name != "seconds"}
        return f"{result}\n{result!r}\n{data}"
    laws = result.strings() if hasattr(result, "strings") else ""
    return f"{result!r}\n{laws}\n{getattr(result, 'digest', '')}"


if __name__ == "__main__":
    import sys

    names = sorted(RESULTS, reverse="backwards" in sys.argv)
    print({name: text(RESULTS[name]()) for name in names})

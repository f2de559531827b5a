"""A user's script: what they type passes ``mypy --strict`` (``[tool.mypy]``) and runs (test_networks)."""

from typing import Any

import numpy as np

import conslaw

widths = np.array([3, 2, 4])
for net in (
    conslaw.linear(widths),
    conslaw.relu([np.int64(3), 2, 4], bias=True),
    conslaw.nmf((3, 2, 4)),
    conslaw.icnn([3, 4, 2], bias=True),
    conslaw.pca(widths[:2]),
    conslaw.monomial([1, 2]),
    conslaw.networks.polynomial([2, 2, 1], power=[3]),
):
    laws: int = conslaw.count(net).laws_at_most
    print(net.name, laws)


def potential(p: Any, c: Any) -> Any:
    return c.v @ p.W @ c.x


mine = conslaw.model(potential, parameters={"W": [3, np.int64(2)]}, data={"x": [2], "v": (3,)})
analysis = conslaw.analyze(mine)
complete: bool = analysis.complete
print(analysis, complete)
weights = {"W": np.array([[1.0, 2.0], [0.5, 0.25], [0.0, 1.0]])}
values: dict[str, np.ndarray[Any, Any]] = analysis.evaluate(weights)
mine_too: bool = conslaw.is_conserved(mine, lambda z: z.W.sum()).conserved
print(values, mine_too, conslaw.count(mine, point=weights), conslaw.load(analysis.to_json()))

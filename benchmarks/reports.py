"""Reports: all questions about a network, on one page."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rows import Row


def networks() -> dict[str, Callable[[], Any]]:
    import conslaw

    return {
        "linear 3-2-4": lambda: conslaw.linear([3, 2, 4]),
        "relu 3-5-5-2 with bias": lambda: conslaw.relu([3, 5, 5, 2], bias=True),
        "polynomial 3-3-3": lambda: conslaw.networks.polynomial([3, 3, 3]),
        "icnn 2-3-2 with bias": lambda: conslaw.icnn([2, 3, 2], bias=True),
        "attention 4, 2 heads": lambda: conslaw.networks.attention(4, heads=2),
        "relu 784-512-10": lambda: conslaw.relu([784, 512, 10]),
        "linear 700-700-700": lambda: conslaw.linear([700, 700, 700]),
    }


def reported(name: str) -> str:
    import conslaw

    report = conslaw.report(networks()[name](), seconds=60)
    missing = [part.name for part in report.parts if part.missing]
    return f"missing: {', '.join(missing)}" if missing else "all parts answered"


ROWS = [Row(f"report: {name}", reported, (name,)) for name in networks()]

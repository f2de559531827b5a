"""Examples in the docstrings of a room whose extra is missing are left out."""

from importlib.util import find_spec

NEEDS_TORCH = [
    *("conslaw/layers", "docs/high_order_layers.md", "conslaw/training/monitor.py"),
    *("conslaw/models/from_torch", "docs/real_networks.md"),
]

collect_ignore = [
    "docs/conf.py",
    "docs/pictures",
    "docs/atlas",
]  # scripts of the documentation, without examples
collect_ignore += [] if find_spec("torch") else NEEDS_TORCH

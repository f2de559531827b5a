"""Films of three ReLU networks that learn a black ring on white, the numbers of polygons and the topology.

``python benchmarks/films/ring.py [6x14] [bottleneck] [40x20] --out FOLDER`` trains each on 5,000 points for
6,000 steps and writes FOLDER/NAME.gif, its last frame as NAME.png, and what each frame says as NAME.json.
The counts are exact, and proved unless a frame says *about*.  Not run in CI: a quarter of an hour for 40x20.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from conslaw import regions

PIXELS, POINTS, STEPS = 1024, 5_000, 6_000
INNER, OUTER = 0.4, 0.7  # radii of the ring in the square from -1 to 1


@dataclass(frozen=True)
class Run:
    """How a network is made and trained."""

    widths: tuple[int, ...]
    rate: float
    frames: int
    seed: int  # of the start; behind two units most starts collapse to a constant


RUNS = {
    "6x14": Run((14,) * 6, 0.01, 30, 0),
    "bottleneck": Run((*(10,) * 10, 2, *(10,) * 3), 0.005, 30, 2),
    "40x20": Run((20,) * 40, 0.003, 20, 0),
}


def ring(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    radius = np.hypot(x, y)
    return 1.0 - ((radius > INNER) & (radius < OUTER))


def target() -> np.ndarray:
    centres = (np.arange(PIXELS) + 0.5) / PIXELS * 2 - 1
    return ring(*np.meshgrid(centres, -centres))


def samples(rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    points = rng.uniform(-1, 1, (count, 2))
    return points, ring(*points.T)


def network(widths: tuple[int, ...]) -> torch.nn.Sequential:
    """He's start, which reaches through 40 layers; small biases, so that nothing vanishes together."""
    layers: list[torch.nn.Module] = []
    for m, n in zip((2, *widths), widths, strict=False):
        linear = torch.nn.Linear(m, n)
        torch.nn.init.kaiming_normal_(linear.weight, nonlinearity="relu")
        torch.nn.init.normal_(linear.bias, std=0.1)
        layers += [linear, torch.nn.ReLU()]
    return torch.nn.Sequential(*layers, torch.nn.Linear(widths[-1], 1))


def training(
    run: Run, data: tuple[np.ndarray, np.ndarray], steps: int
) -> Iterator[tuple[str, torch.nn.Module]]:
    """The network at so many steps, closer together at the start."""
    torch.manual_seed(run.seed)
    net = network(run.widths)
    x, y = (torch.tensor(part, dtype=torch.float32).reshape(POINTS, -1) for part in data)
    optimizer = torch.optim.Adam(net.parameters(), lr=run.rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, run.rate, total_steps=steps)
    shown = {round(steps * (i / (run.frames - 1)) ** 2) for i in range(run.frames)}
    for step in range(steps + 1):
        if step in shown:
            yield f"step {step}", net
        if step < steps:
            optimizer.zero_grad()
            torch.nn.functional.mse_loss(net(x), y).backward()
            torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimizer.step()
            schedule.step()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help=f"which of {', '.join(RUNS)} (default: all)")
    parser.add_argument("--out", type=Path, default=Path())
    parser.add_argument("--steps", type=int, default=STEPS)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    for name in chosen.names or RUNS:
        rng = np.random.default_rng(0)
        data, other = samples(rng, POINTS), samples(rng, 500)
        shown = {"target": target(), "training": data, "validation": other}
        start = time.process_time()
        states = training(RUNS[name], data, chosen.steps)
        film = regions.film(states, chosen.out / f"{name}.gif", **shown)
        print(film)
        print(f"  {time.process_time() - start:.0f} CPU seconds with the training", flush=True)
        with Image.open(chosen.out / f"{name}.gif") as frames:
            frames.seek(len(film.frames) - 1)
            frames.save(chosen.out / f"{name}.png", optimize=True)
        (chosen.out / f"{name}.json").write_text(json.dumps(film.to_json()))


if __name__ == "__main__":
    main()

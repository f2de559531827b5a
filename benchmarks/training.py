"""Training: what a Monitor adds to a step, flows on given data, simulated steps; CPU time of one thread."""

import contextlib
import statistics
import time

import numpy as np
import torch
from rows import Row

import conslaw

NAMES = {"W1": "0.weight", "b1": "0.bias", "W2": "2.weight", "b2": "2.bias", "W3": "4.weight"}


def monitor(momentum, every, entries):
    """Steps with and without a monitor in turn, so that what else the machine does hits both alike."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    net = torch.nn.Sequential(
        torch.nn.Linear(784, 512), torch.nn.ReLU(), torch.nn.Linear(512, 512), torch.nn.ReLU(),
        torch.nn.Linear(512, 10),
    )  # fmt: skip
    analysis = conslaw.analyze(conslaw.relu([784, 512, 512, 10], bias=True))
    x, y = torch.randn(128, 784), torch.randint(0, 10, (128,))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01, momentum=momentum)
    watching = conslaw.Monitor(net, analysis, optimizer, every=every, names=NAMES, entries=entries)
    times = {False: [], True: []}
    for k in range(80):
        with watching if k % 2 else contextlib.nullcontext():
            begun = time.process_time()
            for _ in range(20):
                optimizer.zero_grad()
                torch.nn.functional.cross_entropy(net(x), y).backward()
                optimizer.step()
            times[bool(k % 2)].append((time.process_time() - begun) / 20)
    off, on = (statistics.median(times[k]) for k in (False, True))
    return f"a step {off * 1e3:.1f} ms, {(on / off - 1) * 100:+.2f} %"


def on_data(widths, samples):
    rng = np.random.default_rng(0)
    weights = {"W1": rng.normal(size=widths[1::-1]), "W2": rng.normal(size=widths[:0:-1])}
    x = rng.normal(size=(samples, widths[0]))
    counted = conslaw.count(conslaw.gradient_flow(conslaw.relu(widths), data={"x": x}, patterns=weights))
    return f"{counted.laws_at_most} laws"


def simulate(method):
    rng = np.random.default_rng(0)
    given = {"data": {"x": rng.normal(size=(1797, 64))}, "targets": rng.integers(0, 10, 1797)}
    model = conslaw.relu([64, 128, 64, 10], bias=True)
    drift = conslaw.simulate(model, method=method, step=0.05, steps=20, loss="cross_entropy", **given)
    return f"20 steps, off by {max(law.error for law in drift.laws):.0e}"


def follow():
    rng = np.random.default_rng(0)
    given = {"data": {"x": rng.normal(size=(10, 3))}, "targets": rng.normal(size=(10, 2))}
    return f"drift {conslaw.simulate(conslaw.relu([3, 8, 2]), step=0.1, steps=50, **given).worst:.0e}"


ROWS = [
    *[
        Row(
            f"monitor, momentum {momentum}, every={every}{', all entries' * entries}",
            monitor,
            (momentum, every, entries),
        )
        for momentum, every, entries in [
            (0, 1, False),
            (0.9, 1, False),
            (0, 10, False),
            (0.9, 10, False),
            (0, 1, True),
        ]
    ],
    *[
        Row(f"count relu {'-'.join(map(str, widths))} on {samples} data", on_data, (widths, samples))
        for widths, samples in [([5, 8, 3], 10), ([6, 30, 2], 40), ([100, 50, 10], 5)]
    ],
    *[
        Row(f"simulate relu 64-128-64-10, 1,797 data, {method}", simulate, (method,))
        for method in ("gd", "heavy_ball", "nesterov")
    ],
    Row("follow relu 3-8-2 on 10 data to t = 5", follow),
]

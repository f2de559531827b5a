"""Training: what a Monitor adds to a step, flows on given data, and simulated steps (CPU time, one thread).

OPENBLAS_NUM_THREADS=1 python benchmarks/training.py [monitor|data|simulate]
"""

import contextlib
import resource
import statistics
import sys
import time

import numpy as np

import conslaw

NAMES = {"W1": "0.weight", "b1": "0.bias", "W2": "2.weight", "b2": "2.bias", "W3": "4.weight"}


def row(what, text):
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"{what:58} {text:40} {memory:.2f} GB", flush=True)


def monitor():
    """Steps with and without a monitor in turn, so that what else the machine does hits both alike."""
    import torch

    torch.set_num_threads(1)
    torch.manual_seed(0)
    wide, out = (784, 512), 10
    net = torch.nn.Sequential(
        torch.nn.Linear(784, 512), torch.nn.ReLU(), torch.nn.Linear(512, 512), torch.nn.ReLU(),
        torch.nn.Linear(512, out),
    )  # fmt: skip
    start = time.process_time()
    analysis = conslaw.analyze(conslaw.relu([*wide, 512, out], bias=True))
    row("relu 784-512-512-10 with bias, analyze", f"{time.process_time() - start:.2f} s")
    x, y = torch.randn(128, 784), torch.randint(0, out, (128,))
    for momentum, every, entries in [
        (0, 1, False),
        (0.9, 1, False),
        (0, 10, False),
        (0.9, 10, False),
        (0, 1, True),
    ]:
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
        what = f"monitor, momentum {momentum}, every={every}{', all entries' * entries}"
        row(what, f"{off * 1e3:.1f} ms, {(on / off - 1) * 100:+.2f} %")


def data():
    rng = np.random.default_rng(0)
    for widths, samples in [([5, 8, 3], 10), ([6, 30, 2], 40), ([100, 50, 10], 5)]:
        weights = {"W1": rng.normal(size=widths[1::-1]), "W2": rng.normal(size=widths[:0:-1])}
        start = time.process_time()
        flow = conslaw.gradient_flow(
            conslaw.relu(widths), data={"x": rng.normal(size=(samples, widths[0]))}, patterns=weights
        )
        counted = conslaw.count(flow)
        text = f"{time.process_time() - start:.2f} s, {counted.laws_at_most} laws"
        row(f"count relu {'-'.join(map(str, widths))} on {samples} data", text)


def simulate():
    rng = np.random.default_rng(0)
    inputs, classes = rng.normal(size=(1797, 64)), rng.integers(0, 10, 1797)
    given = {"data": {"x": inputs}, "targets": classes, "loss": "cross_entropy"}
    for method in ("gd", "heavy_ball", "nesterov"):
        start = time.process_time()
        model = conslaw.relu([64, 128, 64, 10], bias=True)
        drift = conslaw.simulate(model, method=method, step=0.05, steps=20, **given)
        spent, off = time.process_time() - start, max(law.error for law in drift.laws)
        text = f"{spent / 20 * 1e3:.0f} ms a step, off by {off:.0e}"
        row(f"simulate relu 64-128-64-10, 1,797 data, {method}", text)
    start = time.process_time()
    small = {"data": {"x": rng.normal(size=(10, 3))}, "targets": rng.normal(size=(10, 2))}
    drift = conslaw.simulate(conslaw.relu([3, 8, 2]), step=0.1, steps=50, **small)
    row(
        "follow relu 3-8-2 on 10 data to t = 5",
        f"{time.process_time() - start:.1f} s, drift {drift.worst:.0e}",
    )


if __name__ == "__main__":
    for name in sys.argv[1:] or ["data", "simulate", "monitor"]:
        {"monitor": monitor, "data": data, "simulate": simulate}[name]()

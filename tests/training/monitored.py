"""A small network on random batches, and a Monitor of it."""

import torch

import conslaw

NAMES = {"W1": "0.weight", "b1": "0.bias", "W2": "2.weight", "b2": "2.bias", "W3": "4.weight"}
ANALYSIS = conslaw.analyze(conslaw.relu([4, 5, 4, 3], bias=True))


def network(dtype=torch.float64):
    nn = torch.nn
    layers = [nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 3)]
    return nn.Sequential(*layers).to(dtype)


def batch(dtype=torch.float64, count=20):
    return torch.randn(count, 4, dtype=dtype), torch.randint(0, 3, (count,))


def train(net, optimizer, steps=12, *, schedule=None, clip=None, accumulate=1, dtype=torch.float64):
    for _ in range(steps):
        optimizer.zero_grad()
        for _ in range(accumulate):
            x, y = batch(dtype)
            torch.nn.functional.cross_entropy(net(x), y).backward()
        if clip:
            torch.nn.utils.clip_grad_norm_(net.parameters(), clip)
        optimizer.step()
        if schedule:
            schedule.step()


def watch(net, optimizer, analysis=ANALYSIS, names=NAMES, **options):
    return conslaw.Monitor(
        net, analysis, optimizer, **{"every": 1, "names": names, "entries": True, **options}
    )


def errors(monitor):
    return [law.error for law in monitor.drift().laws]

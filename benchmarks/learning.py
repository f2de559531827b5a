"""How many functions can the network 2-2-3 with power 2 learn?  Data sets, starts, gradient flow, polish.

Functions are 3 x 3 matrices C = sum_k u_k s(w_k): the coefficients of (x1**2, x1 x2, x2**2) of each output.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
CONVERGED = 1e-8  # norm of the gradient
SAME = 1e-5  # distance of functions that are one
NAIVE = 0.1  # the same for end points that are not polished: a tenth of the target, in the norm of the loss


def squares(w: Array) -> Array:
    """The coefficients (..., 3) of (w x)**2."""
    return np.stack([w[..., 0] ** 2, 2 * w[..., 0] * w[..., 1], w[..., 1] ** 2], axis=-1)


def tangents(w: Array) -> Array:
    """Their derivatives (..., 3, 2) by w."""
    zero = np.zeros_like(w[..., 0])
    rows = [[2 * w[..., 0], zero], [2 * w[..., 1], 2 * w[..., 0]], [zero, 2 * w[..., 1]]]
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)


@dataclass(frozen=True)
class Data:
    """A data set as its least squares function ``target`` (3, 3) and a square root of the moments (3, 3)."""

    target: Array
    root: Array


def data_set(seed: int, samples: int = 30) -> Data:
    """Random inputs and outputs, through the function that fits them best."""
    rng = np.random.default_rng([seed, 223])
    x, y = rng.standard_normal((samples, 2)), rng.standard_normal((samples, 3))
    features = np.stack([x[:, 0] ** 2, x[:, 0] * x[:, 1], x[:, 1] ** 2], axis=1)
    fit = np.linalg.lstsq(features, y, rcond=None)[0].T
    root = np.linalg.cholesky(features.T @ features / samples)
    scale = np.linalg.norm(fit @ root)
    return Data(fit / scale, root)


def residuals(theta: Array, data: Data) -> tuple[Array, Array, Array]:
    """Functions (n, 3, 3), whitened residuals (n, 3, 3) and their Jacobian (n, 9, 10)."""
    w, u = theta[:, :4].reshape(-1, 2, 2), theta[:, 4:].reshape(-1, 2, 3)
    s, ds = squares(w), tangents(w)
    functions = np.einsum("nkj,nki->nji", u, s)
    by_w = np.einsum("nkj,nkia,ib->nkajb", u, ds, data.root).reshape(len(theta), 4, 9)
    white = s @ data.root
    by_u = np.einsum("nkb,jl->nkjlb", white, np.eye(3)).reshape(len(theta), 6, 9)
    jacobian = np.concatenate([by_w, by_u], axis=1).transpose(0, 2, 1)
    return functions, (functions - data.target) @ data.root, jacobian


def gradient(theta: Array, data: Data) -> Array:
    """The gradient (n, 10) of half the squared distance."""
    _, r, jacobian = residuals(theta, data)
    return np.einsum("nij,ni->nj", jacobian, r.reshape(-1, 9))


def flow(theta: Array, data: Data, steps: int = 1200) -> Array:
    """Gradient flow by the classical method of order 4; time runs for each start as its curvature allows."""
    for number in range(steps):
        if number % 2 == 0:
            _, r, jacobian = residuals(theta, data)
            curvature = (jacobian**2).sum(axis=(1, 2)) + 9 * np.linalg.norm(r, axis=(1, 2))
            step = 0.4 / curvature[:, None]
        a = gradient(theta, data)
        b = gradient(theta - step / 2 * a, data)
        c = gradient(theta - step / 2 * b, data)
        d = gradient(theta - step * c, data)
        theta = theta - step / 6 * (a + 2 * b + 2 * c + d)
    return theta


def polish(theta: Array, data: Data, rounds: int = 300) -> Array:
    """Levenberg-Marquardt, each start with its own damping."""
    damping = np.full(len(theta), 1e-3)
    _, r, jacobian = residuals(theta, data)
    loss = (r**2).sum(axis=(1, 2))
    for _ in range(rounds):
        normal = np.einsum("nij,nik->njk", jacobian, jacobian) + damping[:, None, None] * np.eye(10)
        right = np.einsum("nij,ni->nj", jacobian, r.reshape(-1, 9))
        trial = theta - np.linalg.solve(normal, right[:, :, None])[:, :, 0]
        _, r2, jacobian2 = residuals(trial, data)
        better = (r2**2).sum(axis=(1, 2)) <= loss
        theta = np.where(better[:, None], trial, theta)
        r, jacobian = (
            np.where(better[:, None, None], r2, r),
            np.where(better[:, None, None], jacobian2, jacobian),
        )
        loss = (r**2).sum(axis=(1, 2))
        damping = np.clip(np.where(better, damping / 4, damping * 4), 1e-13, 1e6)
    return theta


def clusters(functions: Array, tolerance: float) -> list[Array]:
    """One function of each cluster."""
    found: list[Array] = []
    for f in functions:
        if all(np.linalg.norm(f - g) > tolerance for g in found):
            found.append(f)
    return found


def strata(data: Data) -> dict[str, list[float]]:
    """Critical values: of full rank (two of three singular values, real units), of one neuron, of the
    boundary, of zero.
    """
    white = data.target @ data.root
    _, sigma, right = np.linalg.svd(white)
    values: dict[str, list[float]] = {"full rank": [], "full rank, not real": []}
    for k in range(3):
        normal = data.root @ right[k]  # the other two are spanned by squares of the roots of this form
        real = normal[1] ** 2 * 4 - 4 * normal[0] * normal[2] > 0
        values["full rank" if real else "full rank, not real"].append(sigma[k] ** 2 / 2)
    angles = np.linspace(0, np.pi, 20001)
    w = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    s = squares(w) @ data.root
    along = (tangents(w) @ np.stack([-np.sin(angles), np.cos(angles)], axis=1)[:, :, None])[
        :, :, 0
    ] @ data.root
    planes = np.linalg.qr(np.stack([s, along], axis=2))[0]
    one = sigma @ sigma / 2 - ((s / np.linalg.norm(s, axis=1)[:, None]) @ white.T) ** 2 @ np.ones(3) / 2
    two = sigma @ sigma / 2 - (np.einsum("ji,nik->njk", white, planes) ** 2).sum(axis=(1, 2)) / 2
    for name, curve in (("one neuron", one), ("boundary", two)):
        inner = curve[:-1]
        extreme = (inner - np.roll(inner, 1)) * (inner - np.roll(inner, -1)) > 0
        values[name] = inner[extreme].tolist()
    values["zero"] = [float(sigma @ sigma / 2)]
    return values


@dataclass(frozen=True)
class Outcome:
    """What training ended in, for one data set."""

    functions: list[Array]
    naive: int  # clusters of the unpolished end points: how many depends on NAIVE and on when training stops
    unconverged: int
    matched: list[tuple[float, str, float]]  # loss of a cluster, nearest stratum, distance of the values
    left: list[tuple[float, str, float]]  # the same for starts that did not converge, distinct ones
    positive: int
    died: int
    drift: float


def experiment(seed: int, starts: int = 200) -> Outcome:
    """One data set: gradient flow from random starts, polished where it stands."""
    data = data_set(seed)
    theta = np.random.default_rng([seed, 1]).standard_normal((starts, 10)) * 0.7

    def quantity(at: Array) -> Array:
        w, u = at[:, :4].reshape(-1, 2, 2), at[:, 4:].reshape(-1, 2, 3)
        return (w**2).sum(axis=2) - 2 * (u**2).sum(axis=2)

    trained = flow(theta, data)
    ended = polish(trained, data)
    functions, r, _ = residuals(ended, data)
    loss = (r**2).sum(axis=(1, 2)) / 2
    converged = np.linalg.norm(gradient(ended, data), axis=1) < CONVERGED
    known = [(value, name) for name, values in strata(data).items() for value in values]

    def nearest(value: float) -> tuple[float, str, float]:
        best = min(known, key=lambda one: abs(one[0] - value))
        return value, best[1], abs(best[0] - value)

    distinct = clusters(functions[converged], SAME)
    values = [float((((f - data.target) @ data.root) ** 2).sum() / 2) for f in distinct]
    left = sorted({round(float(x), 4) for x in loss[~converged]})
    size = np.linalg.norm(ended[:, :4].reshape(-1, 2, 2), axis=2) * np.linalg.norm(
        ended[:, 4:].reshape(-1, 2, 3), axis=2
    )
    positive = (quantity(theta) > 0) & converged[:, None]
    return Outcome(
        functions=distinct,
        naive=len(clusters(residuals(trained, data)[0] @ data.root, NAIVE)),
        unconverged=int((~converged).sum()),
        matched=[nearest(value) for value in values],
        left=[nearest(value) for value in left],
        positive=int(positive.sum()),
        died=int(((size < 1e-6) & positive).sum()),
        drift=float(np.abs(quantity(trained) - quantity(theta)).max()),
    )


def learning() -> str:
    """The row of the table."""
    outcomes = [experiment(seed) for seed in range(8)]
    counts = [len(one.functions) for one in outcomes]
    naive = [one.naive for one in outcomes]
    positive, died = sum(one.positive for one in outcomes), sum(one.died for one in outcomes)
    return (
        f"{min(counts)}-{max(counts)} functions (unpolished, within {NAIVE}: "
        f"{min(naive)}-{max(naive)}); "
        f"{sum(one.unconverged for one in outcomes)} of 1600 unconverged; {died} of {positive} neurons died"
    )


if __name__ == "__main__":
    for number in range(8):
        outcome = experiment(number)
        print(
            number,
            len(outcome.functions),
            outcome.naive,
            outcome.unconverged,
            outcome.matched,
            outcome.left[:3],
        )
        print("   ", outcome.positive, outcome.died, outcome.drift)

"""How many functions can the network 2-2-3 with power 2 learn?  Data sets, starts, gradient flow, polish.

Functions are 3 x 3 matrices C = sum_k u_k s(w_k): the coefficients of (x1**2, x1 x2, x2**2) of each output.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
CONVERGED = 1e-8  # norm of the gradient, at a point without directions of negative curvature
SAME = 1e-5  # distance of functions that are one
NEAR = 0.1  # distance to the limit, in the norm of the loss, of starts that approach it slowly
PARALLEL = 0.1  # sine of the angle of two weights that become one
NAIVE = (0.1, 0.2, 0.3)  # the same between end points that are not polished
MORE = 4  # times that training goes on where it has not come to an end


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


def is_minimum(theta: Array, data: Data, step: float = 1e-4) -> npt.NDArray[np.bool_]:
    """Where no direction has negative curvature, by differences of gradients."""
    columns = [gradient(theta + e, data) - gradient(theta - e, data) for e in step * np.eye(10)]
    hessian = np.stack(columns, axis=2) / (2 * step)
    return np.asarray(np.linalg.eigvalsh(hessian + hessian.transpose(0, 2, 1))[:, 0] > -1e-5)


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


def curve(data: Data, angles: Array, apart: float = 0.0) -> tuple[Array, Array]:
    """Losses (n,) and functions (n, 3, 3) of the best combination of two units at these angles -+ ``apart``;
    at 0 of a unit and its tangent, the boundary.
    """

    def unit(at: Array) -> tuple[Array, Array]:
        w = np.stack([np.cos(at), np.sin(at)], axis=1)
        turned = np.stack([-np.sin(at), np.cos(at)], axis=1)
        return squares(w) @ data.root, (tangents(w) @ turned[:, :, None])[:, :, 0] @ data.root

    pair = (unit(angles - apart)[0], unit(angles + apart)[0]) if apart else unit(angles)
    planes = np.linalg.qr(np.stack(pair, axis=2))[0]
    white = data.target @ data.root
    best = np.einsum("ji,nik,nlk->njl", white, planes, planes)
    losses = ((best - white) ** 2).sum(axis=(1, 2)) / 2
    return losses, best @ np.linalg.inv(data.root)


def boundary_minima(data: Data) -> list[tuple[float, Array]]:
    """Losses and functions of the boundary that no real units near it improve on: weights diverge there."""
    found = []
    grid = np.linspace(0, np.pi, 2001)[:-1]
    losses = curve(data, grid)[0]
    for i in np.flatnonzero((losses < np.roll(losses, 1)) & (losses < np.roll(losses, -1))):
        low, high = grid[i] - 2e-3, grid[i] + 2e-3
        for _ in range(8):  # a grid in a grid
            fine = np.linspace(low, high, 21)
            best = fine[np.argmin(curve(data, fine)[0])]
            width = (high - low) / 10
            low, high = best - width, best + width
        value, function = (x[0] for x in curve(data, np.array([best])))
        near = best + np.linspace(-0.02, 0.02, 41)
        if all(curve(data, near, apart)[0].min() > value for apart in (0.02, 0.05)):
            found.append((float(value), function))
    return found


def with_dead(theta: Array, data: Data) -> tuple[Array, npt.NDArray[np.bool_]]:
    """Weights whose smaller neuron is put to w = 0 and whose other is polished; and where no direction of w
    lowers the loss then.
    """
    w, u = theta[:, :4].reshape(-1, 2, 2).copy(), theta[:, 4:].reshape(-1, 2, 3)
    rows, dead = np.arange(len(theta)), parts(theta).argmin(axis=1)
    w[rows, dead] = 0
    ended = polish(np.concatenate([w.reshape(-1, 4), theta[:, 4:]], axis=1), data)
    ended[:, :4].reshape(-1, 2, 2)[rows, dead] = 0
    pull = np.einsum("njb,nj->nb", residuals(ended, data)[1] @ data.root.T, u[rows, dead])
    matrices = np.stack([[pull[:, 0], pull[:, 1]], [pull[:, 1], pull[:, 2]]]).transpose(2, 0, 1)
    return ended, np.linalg.eigvalsh(matrices)[:, 0] > 0


def parts(theta: Array) -> Array:
    """How much each neuron (n, 2) adds to the function."""
    w, u = theta[:, :4].reshape(-1, 2, 2), theta[:, 4:].reshape(-1, 2, 3)
    return np.asarray((w**2).sum(axis=2) * np.linalg.norm(u, axis=2))


def distance(f: Array, g: Array, data: Data) -> Array:
    """The distance of functions, in the norm of the loss."""
    return np.asarray(np.linalg.norm((f - g) @ data.root, axis=(-2, -1)))


def settled(trained: Array, data: Data) -> tuple[Array, npt.NDArray[np.bool_], npt.NDArray[np.int64]]:
    """Polished weights; which have converged; the number of the minimum of the boundary that the others
    diverge to, or -1.

    Where the gradient does not vanish after the polish, a neuron may be dying (put to 0, it must be stable
    there), or two may become one.
    """
    ended = polish(trained, data)
    functions = residuals(ended, data)[0]
    converged = (np.linalg.norm(gradient(ended, data), axis=1) < CONVERGED) & is_minimum(ended, data)
    dying, stable = with_dead(ended, data)
    limit = residuals(dying, data)[0]
    dead = ~converged & stable & (np.linalg.norm(gradient(dying, data), axis=1) < CONVERGED)
    dead &= distance(limit, functions, data) < NEAR
    ended[dead] = dying[dead]
    converged |= dead
    w, limits = ended[:, :4].reshape(-1, 2, 2), np.full(len(ended), -1)
    turned = np.abs(np.linalg.det(w)) / np.linalg.norm(w, axis=2).prod(axis=1).clip(1e-300)
    for i, (_, f) in enumerate(boundary_minima(data)):
        limits[~converged & (turned < PARALLEL) & (distance(functions, f, data) < NEAR)] = i
    return ended, converged, limits


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
        values["full rank" if real else "full rank, not real"].append(float(sigma[k] ** 2 / 2))
    angles = np.linspace(0, np.pi, 20001)
    s = squares(np.stack([np.cos(angles), np.sin(angles)], axis=1)) @ data.root
    one = sigma @ sigma / 2 - ((s / np.linalg.norm(s, axis=1)[:, None]) @ white.T) ** 2 @ np.ones(3) / 2
    for name, losses in (("one neuron", one), ("boundary", curve(data, angles)[0])):
        inner = losses[:-1]
        extreme = (inner - np.roll(inner, 1)) * (inner - np.roll(inner, -1)) > 0
        values[name] = inner[extreme].tolist()
    values["zero"] = [float(sigma @ sigma / 2)]
    return values


@dataclass(frozen=True)
class Outcome:
    """What training ended in, for one data set."""

    functions: list[Array]
    naive: dict[float, int]  # clusters of the unpolished end points: as many as the tolerance makes
    converged: int
    boundary: int  # starts whose weights diverge, to a minimum of the boundary
    unconverged: int
    matched: list[tuple[float, str, float]]  # loss of a function, nearest stratum, distance of the values
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
    ended, converged, limits = settled(trained, data)
    longer = trained.copy()
    for _ in range(MORE):
        rest = ~converged & (limits < 0)
        if rest.any():
            longer[rest] = flow(longer[rest], data)
            ended[rest], converged[rest], limits[rest] = settled(longer[rest], data)
    diverging = limits >= 0
    boundary = boundary_minima(data)
    found = clusters(residuals(ended, data)[0][converged], SAME)
    found += [boundary[i][1] for i in sorted(set(limits[diverging].tolist()))]
    known = [(value, name) for name, values in strata(data).items() for value in values]

    def nearest(value: float) -> tuple[float, str, float]:
        best = min(known, key=lambda one: abs(one[0] - value))
        return value, best[1], abs(best[0] - value)

    size, done = parts(ended), converged | diverging
    positive = (quantity(theta) > 0) & done[:, None]
    return Outcome(
        functions=found,
        naive={t: len(clusters(residuals(trained, data)[0] @ data.root, t)) for t in NAIVE},
        converged=int(converged.sum()),
        boundary=int(diverging.sum()),
        unconverged=int((~done).sum()),
        matched=[nearest(float(distance(f, data.target, data) ** 2 / 2)) for f in found],
        positive=int(positive.sum()),
        died=int(((size < 1e-6) & positive).sum()),
        drift=float(np.abs(quantity(trained) - quantity(theta)).max()),
    )


def learning() -> str:
    """The row of the table."""
    outcomes = [experiment(seed) for seed in range(8)]
    counts = [len(one.functions) for one in outcomes]
    naive = [
        f"{min(one.naive[t] for one in outcomes)}-{max(one.naive[t] for one in outcomes)} within {t}"
        for t in NAIVE
    ]
    positive, died = sum(one.positive for one in outcomes), sum(one.died for one in outcomes)
    converged, boundary = sum(one.converged for one in outcomes), sum(one.boundary for one in outcomes)
    return (
        f"{min(counts)}-{max(counts)} functions (unpolished: {', '.join(naive)}); of 1600 starts {converged} "
        f"converged, {boundary} diverge to the boundary, {sum(one.unconverged for one in outcomes)} neither; "
        f"{died} of {positive} neurons died"
    )


if __name__ == "__main__":
    for number in range(8):
        one = experiment(number)
        print(number, len(one.functions), one.naive, one.converged, one.boundary, one.unconverged)
        print("   ", one.matched, one.positive, one.died, one.drift)

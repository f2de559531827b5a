"""Benchmarks: ``python benchmarks/run.py`` prints a table; with ``--save`` it also goes into
``benchmarks/results.md``.

Each row runs in a process of its own (so that its peak memory is its own), imports not counted.  Times on a
shared machine are noisy: read the ratios to one dense FLINT rank of an n x n matrix mod p, n = state
dimension, measured in the same process.
"""

from __future__ import annotations

import argparse
import itertools
import multiprocessing
import os
import platform
import resource
import sys
import time
from collections.abc import Callable
from datetime import date
from importlib.metadata import version
from pathlib import Path

import numpy as np


def architectures(
    count: int, depths: tuple[int, int], widths: tuple[int, int], *, draw_bias: bool = False
) -> list[tuple[list[int], bool]]:
    """The recipe of the notebook of [MGP23], arXiv 2307.00144, with its seed."""
    np.random.seed(0)  # noqa: NPY002
    result = []
    for _ in range(count):
        depth = np.random.randint(*depths)  # noqa: NPY002
        sizes = [int(np.random.randint(*widths)) for _ in range(depth + 1)]  # noqa: NPY002
        result.append((sizes, bool(draw_bias and np.random.random() < 0.5)))  # noqa: NPY002
    return result


def published_count(family: str, widths: tuple[int, int], draw_bias: bool) -> str:
    import conslaw

    for sizes, bias in architectures(50, (2, 5), widths, draw_bias=draw_bias):
        conslaw.count(conslaw.gradient_flow(getattr(conslaw, family)(sizes, bias=bias)))
    return "50 counted"


def published_laws() -> str:
    import conslaw

    complete = [
        conslaw.analyze(conslaw.gradient_flow(getattr(conslaw, family)(sizes))).complete
        for family in ("linear", "relu")
        for sizes, _ in architectures(10, (2, 4), (2, 5))
    ]
    return f"{sum(complete)} of {len(complete)} complete: proved"


def keep_the_momentum() -> str:
    """120 architectures as in [MGP24], arXiv 2405.12888: five dampings, with and without bias."""
    import conslaw

    rng = np.random.default_rng(0)
    dampings = [0, "1/2", 1, 2, "nesterov"]
    flows: list[conslaw.Flow] = []
    for i in range(20):
        deep, damping, bias = (
            [rng.integers(1, 4, rng.integers(3, 6)).tolist() for _ in range(2)],
            dampings[i % 5],
            bool(i % 2),
        )
        flows.append(conslaw.momentum_flow(conslaw.linear(deep[0]), damping=damping))
        flows.append(conslaw.momentum_flow(conslaw.relu(deep[1], bias=bias), damping=damping))
        for model in (conslaw.nmf(rng.integers(1, 8, 3)), conslaw.icnn(rng.integers(1, 6, 3), bias=bias)):
            flows += [conslaw.gradient_flow(model), conslaw.momentum_flow(model, damping=damping)]
    answers = [conslaw.analyze(flow) for flow in flows]
    slowest = max(answer.seconds["total"] for answer in answers)
    return f"{sum(a.complete for a in answers)} of {len(answers)} complete: proved; slowest {slowest:.2f} s"


def plain_count(family: str, sizes: list[int]) -> str:
    import conslaw

    result = conslaw.count(conslaw.gradient_flow(getattr(conslaw, family)(sizes)), split=False)
    return f"n = {result.state_dimension}, {result.laws_at_most} laws"


def count(family: str, sizes: list[int], momentum: bool = False) -> str:
    import conslaw

    flow = conslaw.momentum_flow if momentum else conslaw.gradient_flow
    model = getattr(conslaw, family)(sizes)
    result = conslaw.count(flow(model))
    return f"n = {result.state_dimension}, {result.laws_at_most} laws"


def analyzed_code(name: str, *sizes: object) -> str:
    """The same for array code of ``models.py``."""
    import models

    import conslaw

    return proved(conslaw.gradient_flow(getattr(models, name)(*sizes)))


def analyzed_network(name: str, *sizes: object) -> str:
    """The same for a network of ``conslaw.networks``, written with ``conslaw.nn``."""
    import conslaw

    return proved(conslaw.gradient_flow(getattr(conslaw.networks, name)(*sizes)))


def counted_code(name: str, *sizes: object) -> str:
    """How many laws array code of ``models.py`` has."""
    import models

    import conslaw

    found = conslaw.count(conslaw.gradient_flow(getattr(models, name)(*sizes)))
    return f"n = {found.state_dimension}, {found.laws_at_most} laws"


def analyzed(family: str, sizes: list[int], momentum: bool = False, **options: object) -> str:
    """Both bounds of a family; then the certificate, checked."""
    import conslaw

    flow = conslaw.momentum_flow if momentum else conslaw.gradient_flow
    model = getattr(conslaw, family)(sizes)
    return proved(flow(model), **options)


def proved(flow: object, **options: object) -> str:
    """Both bounds; then the certificate, checked."""
    import json

    import conslaw

    answer = conslaw.analyze(flow, **options)  # type: ignore[arg-type]
    repr(answer)
    start = time.perf_counter()
    certificate = json.dumps(answer.certificate())
    made = time.perf_counter()
    verified = conslaw.verify(json.loads(certificate)).ok
    checked = time.perf_counter() - made
    found = f"{answer.laws_found:,} of {answer.laws_at_most:,} laws, complete: {answer.complete}"
    size, times = (
        f"certificate of {len(certificate) / 1000:.0f} kB",
        f"in {made - start:.2f} s, verified: {verified} in {checked:.2f} s",
    )
    return f"n = {answer.state_dimension:,}, {found}; {size} {times}"


def growth(width: int) -> str:
    """Microseconds per thousand parameters of an analysis of linear w-w-w."""
    import conslaw

    start = time.perf_counter()
    answer = conslaw.analyze(conslaw.gradient_flow(conslaw.linear([width] * 3)))
    seconds = time.perf_counter() - start
    rate = f"{1e9 * seconds / answer.parameters:.0f} microseconds per 1000 parameters"
    return f"{answer.laws_found:,} laws, complete: {answer.complete}; {rate}"


def ansatz(family: str, sizes: list[int]) -> str:
    import conslaw

    laws = conslaw.polynomial_laws(conslaw.gradient_flow(getattr(conslaw, family)(sizes)), degree=2)
    return f"{laws.unknowns:,} unknowns, {laws.independent} laws"


def rank_mod(n: int, p: int) -> str:
    """Milliseconds of the rank of a random n x n matrix mod p: the best of a few, after a first one."""
    from conslaw.algebra.finite_field import rank

    rows = np.random.default_rng(0).integers(0, p, (n, n), dtype=np.uint64)
    times, found = list[float](), rank(rows[:10], p)
    for _ in range(1 + 4000 // n):
        start = time.process_time()
        found = rank(rows, p)
        times.append(time.process_time() - start)
    return f"rank {found} in {1000 * min(times):.1f} ms of CPU"


def dense_rank(n: int) -> float:
    """Seconds of one FLINT rank of a random n x n matrix, its conversion from Python integers not counted."""
    import flint

    p = 2**31 - 1
    matrix = flint.nmod_mat(n, n, np.random.default_rng(0).integers(0, p, n * n).tolist(), p)
    start = time.perf_counter()
    matrix.rank()
    return time.perf_counter() - start


def measured(job: tuple[Callable[..., str], tuple[object, ...], int]) -> tuple[str, float, float, float]:
    """Answer, seconds, peak memory in GB, and the ratio to a dense rank of size n (0 if not asked for)."""
    function, arguments, n = job
    import flint  # noqa: F401
    import scipy.sparse.csgraph  # noqa: F401
    import sympy  # noqa: F401

    import conslaw  # noqa: F401

    start = time.perf_counter()
    answer = function(*arguments)
    seconds = time.perf_counter() - start
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e9 if sys.platform == "darwin" else 1e6)
    return answer, seconds, memory, seconds / dense_rank(n) if n else 0.0


def normal_layers(widths: list[int]) -> list[tuple[np.ndarray, np.ndarray]]:
    rng = np.random.default_rng(0)
    return [(rng.normal(size=(n, m)) / m**0.5, rng.normal(size=n) / 2) for m, n in itertools.pairwise(widths)]


def complex_of(widths: list[int], certify: bool) -> str:
    from conslaw import regions

    found = regions.polyhedral_complex(normal_layers(widths), certify=certify, most_cells=20_000_000)
    return f"{sum(found.f_vector)} cells, {'proved' if found.certified else 'not certified'}"


def polytope_of(widths: list[int], box: tuple[int, int] | None = None) -> str:
    from conslaw import regions

    x = np.random.default_rng(1).normal(size=widths[0])
    found = regions.polytope(normal_layers(widths), x, box=box)
    return f"{len(found.facets)} facets, {len(found.redundant)} redundant, {len(found.undecided)} undecided"


def patterns_of(widths: list[int], points: int) -> str:
    from conslaw import regions

    data = np.random.default_rng(1).normal(size=(points, widths[0]))
    found = regions.data_patterns(normal_layers(widths), data)
    return f"{len(found.classes)} classes, {len(found.off)} off"


def random_networks(count: int) -> str:
    """Both bounds of random polynomial networks of at most 100 parameters."""
    from conslaw import varieties
    from conslaw.networks import polynomial

    rng, exact, done = np.random.default_rng(0), 0, 0
    while done < count:
        depth, power = int(rng.integers(2, 5)), int(rng.integers(2, 5))
        model = polynomial(rng.integers(1, 7, depth + 1).tolist(), power)
        if model.size <= 100:
            exact, done = exact + varieties.dimension(model).exact, done + 1
    return f"{exact:,} of {count:,} exact"


def neurovariety(widths: list[int], power: int) -> str:
    from conslaw import varieties
    from conslaw.networks import polynomial

    found = varieties.dimension(polynomial(widths, power))
    return f"dimension {found.dimension:,}, exact: {found.exact}"


def equations(widths: list[int], power: int, degree: int) -> str:
    from conslaw import varieties
    from conslaw.networks import polynomial

    found = varieties.equations(polynomial(widths, power), degree=degree)
    numbers = ", ".join(str(found.number(d)[0]) for d in range(1, degree + 1))
    return f"{numbers} equations in degrees 1, 2, ..., complete to {found.complete_to_degree}: proved"


def high_order(kind: str, segments: int) -> str:
    from layers import row

    return row(kind, segments)


def learned() -> str:
    from learning import learning

    return learning()


ROWS: list[tuple[str, str, Callable[..., str], tuple[object, ...], int]] = [
    ("50 linear networks, widths 2-5 (count)", "2063 s", published_count, ("linear", (2, 6), False), 0),
    ("50 ReLU networks, widths 2-9 (count)", "6791 s", published_count, ("relu", (2, 10), True), 0),
    ("polynomial laws of 10 + 10 networks", "135 s", published_laws, (), 0),
    ("120 analyses, momentum and mirror flows", "37 min, tau = 0 only", keep_the_momentum, (), 0),
    ("count linear 10-10-10, momentum", "", count, ("linear", [10] * 3, True), 401),
    ("count icnn 10-10-10", "", count, ("icnn", [10] * 3), 200),
    ("count nmf 10-10-10", "", count, ("nmf", [10] * 3), 200),
    *[
        (f"count linear {w}-{w}-{w}, plain", "", plain_count, ("linear", [w] * 3), 2 * w * w)
        for w in (10, 15, 20, 25, 30, 40)
    ],
    *[
        (f"count relu {w}-{w}-{w}, plain", "", plain_count, ("relu", [w] * 3), 2 * w * w)
        for w in (10, 20, 30)
    ],
    ("count linear 300-300-300", "", count, ("linear", [300] * 3), 0),
    ("count linear 700-700-700", "", count, ("linear", [700] * 3), 0),
    ("count relu 784-512-10", "", count, ("relu", [784, 512, 10]), 0),
    ("count relu 100-100-100-100", "", count, ("relu", [100] * 4), 0),
    ("count linear 50-50-50, momentum", "", count, ("linear", [50] * 3, True), 0),
    ("count nmf 100-100-100", "", count, ("nmf", [100] * 3), 0),
    ("analyze linear 20-20-20, degree 2", "", analyzed, ("linear", [20] * 3), 0),
    ("analyze linear 100-100-100 (matrix ansatz)", "", analyzed, ("linear", [100] * 3), 0),
    ("analyze linear 300-300-300", "", analyzed, ("linear", [300] * 3), 0),
    ("analyze linear 784-512-10", "", analyzed, ("linear", [784, 512, 10]), 0),
    ("analyze relu 784-512-10", "", analyzed, ("relu", [784, 512, 10]), 0),
    ("analyze linear 50-50-50, momentum", "", analyzed, ("linear", [50] * 3, True), 0),
    ("analyze nmf 50-50-50", "", analyzed, ("nmf", [50] * 3), 0),
    *[
        (f"growth: analyze linear {w}-{w}-{w}, {2 * w * w:,} parameters", "", growth, (w,), 0)
        for w in (71, 158, 224, 354, 500, 707)
    ],
    ("depth: relu 2, 15 layers", "", analyzed, ("relu", [2] * 16), 0),
    ("depth: linear 4, 10 layers", "", analyzed, ("linear", [4] * 11), 0),
    ("depth: linear 4, 20 layers", "", analyzed, ("linear", [4] * 21), 0),
    ("depth: relu 4, 20 layers", "", analyzed, ("relu", [4] * 21), 0),
    ("depth: linear 64, 20 layers", "", analyzed, ("linear", [64] * 21), 0),
    ("depth: tensor train of 6 cores", "", analyzed_code, ("tensor_train", 6, 3, 3), 0),
    ("depth: linear 64, 100 layers", "", analyzed, ("linear", [64] * 101), 0),
    ("depth: relu 64, 100 layers", "", analyzed, ("relu", [64] * 101), 0),
    ("8 heads of size 8, width 64", "", analyzed_code, ("heads", 8, 8, 64), 0),
    ("12 heads of size 64, width 768", "", analyzed_code, ("heads", 12, 64, 768), 0),
    ("transformer block 64", "", analyzed_code, ("transformer_block", 64, 4, 256), 0),
    ("transformer block 768", "", analyzed_code, ("transformer_block", 768, 12, 3072), 0),
    ("nn: transformer block 64, 2 tokens", "", analyzed_network, ("transformer_block", 64, 4, 256), 0),
    ("nn: transformer block 768, 2 tokens", "", analyzed_network, ("transformer_block", 768, 12, 3072), 0),
    ("nn: residual 32, 10 layers of 64", "", analyzed_network, ("residual", 32, 64, 10), 0),
    ("nn: mixture of 4 experts, 16-20", "", analyzed_network, ("moe", 16, 20, 4), 0),
    ("nn: convolution 3-8-8-4, ReLU, 8 pixels", "", analyzed_network, ("conv", [3, 8, 8, 4]), 0),
    ("diagonal network, width 1000", "", analyzed_code, ("diagonal", 1000), 0),
    ("DenseNet 4 + 6 x 4", "", analyzed_code, ("densenet", 4, 6, 4, 4), 0),
    ("DenseNet 16 + 6 x 12", "", analyzed_code, ("densenet", 16, 6, 12, 10), 0),
    ("convolution 3-8-8, 8 pixels", "", analyzed_code, ("convolution", [3, 8, 8], 8), 0),
    ("convolution 3-8-8, 16 pixels", "", analyzed_code, ("convolution", [3, 8, 8], 16), 0),
    ("count convolution 3-8-8, 16 pixels", "", counted_code, ("convolution", [3, 8, 8], 16), 0),
    ("flat vector, 30-30-30", "", analyzed_code, ("flat", 30), 0),
    ("depth: residual, 5 blocks", "", analyzed_code, ("residual", 4, 8, 5), 0),
    ("neurovarieties: 500 random networks, both bounds", "", random_networks, (500,), 0),
    ("neurovarieties: 10,000 random networks", "", random_networks, (10_000,), 0),
    *[
        (f"neurovariety {'-'.join(map(str, widths))}, power {power}", "", neurovariety, (widths, power), 0)
        for widths, power in (
            ([10] * 4, 3),
            ([100] * 3, 3),
            ([784, 512, 10], 2),
            ([1000] * 4, 2),
            ([37, 1000, 53], 2),
            ([30, 2000, 3000, 5], 2),
        )
    ],
    ("neurovariety 3-3-3, equations to degree 4", "", equations, ([3, 3, 3], 2, 4), 0),
    ("neurovariety 3-3-3, equations to degree 6", "", equations, ([3, 3, 3], 2, 6), 0),
    ("neurovariety 2-2-3-1, power 3, equations to degree 7", "", equations, ([2, 2, 3, 1], 3, 7), 0),
    ("learning: 8 data sets x 200 starts of 2-2-3", "", learned, (), 0),
    *[
        (f"layers: {kind} of n = 5, {segments} segments", "", high_order, (kind, segments), 0)
        for kind in ("linear", "convolution")
        for segments in (2, 4, 10, 100)
    ],
    ("softmax network 784-20-10", "", analyzed_code, ("softmax_network", 784, 20, 10), 0),
    *[
        (f"rank of {n} x {n}, prime of {p.bit_length()} bits", "", rank_mod, (n, p), 0)
        for n in (200, 1000, 2000, 4000)
        for p in (2**23 - 15, 2**31 - 1)
    ],
    ("ansatz linear 15-15-15, degree 2", "", ansatz, ("linear", [15] * 3), 0),
    ("ansatz linear 20-20-20, degree 2", "", ansatz, ("linear", [20] * 3), 0),
    ("ansatz linear 30-30-30, degree 2", "", ansatz, ("linear", [30] * 3), 0),
    ("ansatz relu 9-9-9-9-9, degree 2", "", ansatz, ("relu", [9] * 5), 0),
    ("complex 3-15-15-1", "", complex_of, ([3, 15, 15, 1], True), 0),
    ("complex 3-50-50-1, search alone", "", complex_of, ([3, 50, 50, 1], False), 0),
    ("complex 3-50-50-1", "", complex_of, ([3, 50, 50, 1], True), 0),
    ("complex 2-14x6-1", "", complex_of, ([2, *[14] * 6, 1], True), 0),
    ("complex 3-20-2-20-20-1, a bottleneck", "", complex_of, ([3, 20, 2, 20, 20, 1], True), 0),
    ("complex 2-40x20-1, search alone", "", complex_of, ([2, *[40] * 20, 1], False), 0),
    ("complex 2-40x20-1", "", complex_of, ([2, *[40] * 20, 1], True), 0),
    ("complex 4-30-30-1, search alone", "", complex_of, ([4, 30, 30, 1], False), 0),
    ("complex 3-100-100-1, search alone", "", complex_of, ([3, 100, 100, 1], False), 0),
    ("polytope 64-128-128-10", "", polytope_of, ([64, 128, 128, 10],), 0),
    ("polytope 784-128-128-10", "", polytope_of, ([784, 128, 128, 10],), 0),
    ("polytope 784-64-64-10, pixels", "", polytope_of, ([784, 64, 64, 10], (-5, 5)), 0),
    ("data patterns 784-128-128-10, 10,000 data", "", patterns_of, ([784, 128, 128, 10], 10_000), 0),
]


def plot_growth(lines: list[str], path: Path) -> None:
    """Seconds of the rows called growth against parameters, both on logarithmic scales, as SVG without any
    library.
    """
    points = []
    for line in lines:
        cells = [cell.strip() for cell in line.split("|")]
        if len(cells) > 3 and cells[1].startswith("growth"):
            points.append(
                (float(cells[1].split(",", 1)[1].split()[0].replace(",", "")), max(float(cells[3]), 0.01))
            )
    if not points:
        return
    left, top, width, height = 70, 20, 480, 260

    def place(x: float, y: float) -> tuple[float, float]:
        return left + width * (np.log10(x) - 4) / 2, top + height * (2 - np.log10(y)) / 4

    marks = "".join(
        '<circle cx="{:.1f}" cy="{:.1f}" r="4" fill="#0b6"/>'.format(*place(x, y)) for x, y in points
    )
    line = "M" + " L".join("{:.1f} {:.1f}".format(*place(x, y)) for x, y in points)
    slope = "M{:.1f} {:.1f} L{:.1f} {:.1f}".format(*place(1e4, 0.1), *place(1e6, 10))
    ticks = "".join(
        f'<text x="{place(x, 0.01)[0]:.0f}" y="{top + height + 20}" text-anchor="middle">{x:,.0f}</text>'
        for x in (1e4, 1e5, 1e6)
    ) + "".join(
        f'<text x="{left - 8}" y="{place(1e4, y)[1] + 4:.0f}" text-anchor="end">{y:g} s</text>'
        for y in (0.01, 0.1, 1, 10, 100)
    )
    path.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 580 330" font-family="sans-serif" '
        'font-size="12">'
        f'<rect x="{left}" y="{top}" width="{width}" height="{height}" fill="none" stroke="#999"/>{ticks}'
        f'<path d="{slope}" stroke="#999" stroke-dasharray="4" fill="none"/>'
        f'<path d="{line}" stroke="#0b6" fill="none"/>{marks}'
        f'<text x="{left + 10}" y="{top + 18}">'
        "analyze linear w-w-w: seconds by parameters (dashed: proportional)</text></svg>\n"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--save", action="store_true", help="write benchmarks/results.md")
    parser.add_argument("--only", default="", help="rows whose name contains this")
    options = parser.parse_args()
    lines = [
        f"{date.today()}, {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, "
        + ", ".join(f"{name} {version(name)}" for name in ("numpy", "scipy", "sympy", "python-flint")),
        "",
        "| what | answer | seconds | published, 64 cores | peak memory, GB | / one dense FLINT rank n x n |",
        "|---|---|---:|---:|---:|---:|",
    ]
    print("\n".join(lines))
    for name, published, function, arguments, n in ROWS:
        if options.only not in name:
            continue
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            answer, seconds, memory, ratio = pool.apply(measured, [(function, arguments, n)])
        lines.append(
            f"| {name} | {answer} | {seconds:.2f} | {published} | {memory:.2f} | "
            f"{f'{ratio:.2f}' if n else ''} |"
        )
        print(lines[-1], flush=True)
    if options.save:
        plot_growth(lines, Path(__file__).parent / "growth.svg")
        text = (
            "# Benchmark results\n\nMade by `python benchmarks/run.py --save`.\n\n![growth](growth.svg)\n\n"
            + "\n".join(lines)
            + "\n"
        )
        (Path(__file__).parent / "results.md").write_text(text)


if __name__ == "__main__":
    main()

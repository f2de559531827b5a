"""Counts, analyses and certificates of families, array code and conslaw.networks; peers beside."""

from __future__ import annotations

import json
import time

import numpy as np
from rows import Row


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


def ansatz(family: str, sizes: list[int], degree: int = 2) -> str:
    import conslaw

    laws = conslaw.polynomial_laws(conslaw.gradient_flow(getattr(conslaw, family)(sizes)), degree=degree)
    return f"{laws.unknowns:,} unknowns, {laws.independent} laws"


def heads(number: int) -> str:
    """Attention of so many heads of size 16."""
    return analyzed_network("attention", 16 * number, number)


def tokens(number: int) -> str:
    """A transformer block that reads so many tokens."""
    import conslaw

    return proved(conslaw.networks.transformer_block(16, 2, 32, tokens=number))


def pixels(number: int) -> str:
    """A convolutional network on so many pixels a side."""
    import conslaw

    return proved(conslaw.networks.conv([3, 8, 8], pixels=number))


def given_data(number: int) -> str:
    """A ReLU network on so many data."""
    import conslaw

    x = np.random.default_rng(0).integers(-8, 9, (number, 10)) / 8
    return proved(conslaw.gradient_flow(conslaw.relu([10, 20, 5]), data={"x": x}))


def rank_mod(n: int, p: int) -> str:
    """The rank of a random n x n matrix mod p."""
    from conslaw.algebra.finite_field import rank

    return f"rank {rank(np.random.default_rng(0).integers(0, p, (n, n), dtype=np.uint64), p)}"


def flint_rank(n: int) -> str:
    """The same by FLINT, with its conversion from Python integers."""
    import flint

    p = 2**31 - 1
    return f"rank {flint.nmod_mat(n, n, np.random.default_rng(0).integers(0, p, n * n).tolist(), p).rank()}"


def float_rank(n: int) -> str:
    """What floats take: one SVD of that size, and a tolerance."""
    return f"rank {np.linalg.matrix_rank(np.random.default_rng(0).normal(size=(n, n)))}, not proved"


def sympy_count(sizes: list[int]) -> str:
    """The Lie algebra of linear networks, its fields and brackets symbolic, its rank exact at a point: the
    published procedure with SymPy alone.
    """
    import sympy as sp

    shapes = list(zip(sizes[1:], sizes[:-1], strict=True))
    matrices = [sp.Matrix(*s, lambda i, j, k=k: sp.Symbol(f"w{k}_{i}_{j}")) for k, s in enumerate(shapes)]
    state = [entry for matrix in matrices for entry in matrix]
    product = matrices[0]
    for matrix in matrices[1:]:
        product = matrix * product
    rng = np.random.default_rng(0)
    point = dict(zip(state, map(int, rng.integers(-99, 100, len(state))), strict=True))

    def independent(fields: list[sp.Matrix]) -> list[sp.Matrix]:
        _, pivots = sp.Matrix.hstack(*[field.subs(point) for field in fields]).rref()
        return [fields[i] for i in pivots]

    fields = independent([sp.Matrix([sp.diff(entry, w) for w in state]) for entry in product])
    jacobians = [field.jacobian(state) for field in fields]
    while True:
        known = len(fields)
        pairs = [(i, j) for i in range(known) for j in range(i)]
        brackets = [(jacobians[j] * fields[i] - jacobians[i] * fields[j]).expand() for i, j in pairs]
        fields = independent([*fields, *brackets])
        if len(fields) == known:
            return f"{len(state) - known} laws"
        jacobians = [field.jacobian(state) for field in fields]


P31 = 2**31 - 1
ROWS = [
    Row("50 linear networks, widths 2-5 (count)", published_count, ("linear", (2, 6), False), "2063 s"),
    Row("50 ReLU networks, widths 2-9 (count)", published_count, ("relu", (2, 10), True), "6791 s"),
    Row("polynomial laws of 10 + 10 networks", published_laws, (), "135 s"),
    Row("120 analyses, momentum and mirror flows", keep_the_momentum, (), "37 min, tau = 0 only"),
    Row("count linear 10-10-10, momentum", count, ("linear", [10] * 3, True)),
    Row("count icnn 10-10-10", count, ("icnn", [10] * 3)),
    Row("count nmf 10-10-10", count, ("nmf", [10] * 3)),
    *[Row(f"count linear {w}-{w}-{w}, plain", plain_count, ("linear", [w] * 3)) for w in (10, 20, 30, 40)],
    *[Row(f"count relu {w}-{w}-{w}, plain", plain_count, ("relu", [w] * 3)) for w in (10, 20, 30)],
    *[
        Row(f"{peer}count linear {'-'.join(map(str, sizes))}, {how}", work, arguments)
        for sizes in ([2, 2, 2], [3, 2, 3], [3, 3, 3])
        for peer, how, work, arguments in (
            ("", "plain", plain_count, ("linear", sizes)),
            ("peer: ", "SymPy alone", sympy_count, (sizes,)),
        )
    ],
    Row("count linear 300-300-300", count, ("linear", [300] * 3)),
    Row("count linear 700-700-700", count, ("linear", [700] * 3)),
    Row("count relu 784-512-10", count, ("relu", [784, 512, 10])),
    Row("count relu 100-100-100-100", count, ("relu", [100] * 4)),
    Row("count linear 50-50-50, momentum", count, ("linear", [50] * 3, True)),
    Row("count nmf 100-100-100", count, ("nmf", [100] * 3)),
    Row("analyze linear 784-512-10", analyzed, ("linear", [784, 512, 10])),
    Row("analyze relu 784-512-10", analyzed, ("relu", [784, 512, 10])),
    Row("analyze linear 50-50-50, momentum", analyzed, ("linear", [50] * 3, True)),
    Row("analyze nmf 50-50-50", analyzed, ("nmf", [50] * 3)),
    *[
        Row(f"width: linear {w}-{w}-{w}", analyzed, ("linear", [w] * 3), along=("width", w))
        for w in (20, 50, 100, 224, 300, 500, 707)
    ],
    *[
        Row(
            f"depth: {family} 64, {n} layers",
            analyzed,
            (family, [64] * (n + 1)),
            along=(f"layers, {family}", n),
        )
        for family in ("linear", "relu")
        for n in (5, 20, 50, 100)
    ],
    *[Row(f"heads: {n} of size 16", heads, (n,), along=("heads", n)) for n in (1, 2, 4, 8, 16, 32)],
    *[Row(f"tokens: {n}, block of 16", tokens, (n,), along=("tokens", n)) for n in (2, 3, 4, 6, 8)],
    *[Row(f"pixels: {n}, convolution 3-8-8", pixels, (n,), along=("pixels", n)) for n in (6, 8, 12, 16)],
    *[Row(f"data: {n}, relu 10-20-5", given_data, (n,), along=("data", n)) for n in (2, 4, 8, 16)],
    *[
        Row(f"degree: {d}, ansatz relu 3-3-3", ansatz, ("relu", [3] * 3, d), along=("degree", d))
        for d in (1, 2, 3, 4)
    ],
    Row("depth: relu 2, 15 layers", analyzed, ("relu", [2] * 16)),
    Row("depth: linear 4, 20 layers", analyzed, ("linear", [4] * 21)),
    Row("depth: tensor train of 6 cores", analyzed_code, ("tensor_train", 6, 3, 3)),
    Row("8 heads of size 8, width 64", analyzed_code, ("heads", 8, 8, 64)),
    Row("12 heads of size 64, width 768", analyzed_code, ("heads", 12, 64, 768)),
    Row("transformer block 64", analyzed_code, ("transformer_block", 64, 4, 256)),
    Row("transformer block 768", analyzed_code, ("transformer_block", 768, 12, 3072)),
    Row("nn: transformer block 64, 2 tokens", analyzed_network, ("transformer_block", 64, 4, 256)),
    Row("nn: transformer block 768, 2 tokens", analyzed_network, ("transformer_block", 768, 12, 3072)),
    Row("nn: residual 32, 10 layers of 64", analyzed_network, ("residual", 32, 64, 10)),
    Row("nn: mixture of 4 experts, 16-20", analyzed_network, ("moe", 16, 20, 4)),
    Row("nn: convolution 3-8-8-4, ReLU, 8 pixels", analyzed_network, ("conv", [3, 8, 8, 4])),
    Row("diagonal network, width 1000", analyzed_code, ("diagonal", 1000)),
    Row("DenseNet 4 + 6 x 4", analyzed_code, ("densenet", 4, 6, 4, 4)),
    Row("DenseNet 16 + 6 x 12", analyzed_code, ("densenet", 16, 6, 12, 10)),
    Row("convolution 3-8-8, 16 pixels", analyzed_code, ("convolution", [3, 8, 8], 16)),
    Row("count convolution 3-8-8, 16 pixels", counted_code, ("convolution", [3, 8, 8], 16)),
    Row("flat vector, 30-30-30", analyzed_code, ("flat", 30)),
    Row("depth: residual, 5 blocks", analyzed_code, ("residual", 4, 8, 5)),
    Row("softmax network 784-20-10", analyzed_code, ("softmax_network", 784, 20, 10)),
    *[
        Row(f"rank of {n} x {n}, prime of {p.bit_length()} bits", rank_mod, (n, p))
        for n in (200, 1000, 2000, 4000)
        for p in (2**23 - 15, P31)
    ],
    *[Row(f"peer: rank of {n} x {n}, FLINT, prime of 31 bits", flint_rank, (n,)) for n in (1000, 2000)],
    *[Row(f"peer: rank of {n} x {n}, NumPy's SVD", float_rank, (n,)) for n in (1000, 2000)],
    *[Row(f"ansatz linear {w}-{w}-{w}, degree 2", ansatz, ("linear", [w] * 3)) for w in (15, 20, 30)],
    Row("ansatz relu 9-9-9-9-9, degree 2", ansatz, ("relu", [9] * 5)),
]

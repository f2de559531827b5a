"""GF(p) linear algebra against Python integers and FLINT, at the sizes where the algorithms change."""

import flint
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conslaw.algebra.finite_field import (
    LARGEST_PRIME,
    LEAF,
    ONE_PRODUCT,
    PANEL,
    PRIMES_DRAWN_FROM,
    SMALL,
    RowSpace,
    check_prime,
    contract,
    matmul,
    random_prime,
    rank,
    small_prime,
)
from conslaw.errors import ConslawError

PRIMES = [2**31 - 1, 2147483629, 1073741827, 8388617, 8388593, 4194319, 1048583]


def residues(rng, shape, p):
    """Residues with the extreme ones over-represented."""
    values = rng.integers(0, p, shape, dtype=np.uint64)
    return np.where(
        rng.random(shape) < 0.3,
        np.uint64(p - 1),
        np.where(rng.random(shape) < 0.1, np.uint64(p // 2 + 1), values),
    )


@pytest.mark.parametrize("p", PRIMES)
@pytest.mark.parametrize(
    "shape", [(1, 1, 1), (3, 0, 2), (5, 7, 4), (40, 300, 30), (2, 700, 90), (1, 128, 200), (1, 129, 200)]
)
def test_matrix_products_are_exact(p, shape):
    m, k, n = shape
    rng = np.random.default_rng(1)
    x, y = residues(rng, (m, k), p), residues(rng, (k, n), p)
    assert (matmul(x, y, p) == (x.astype(object) @ y.astype(object)) % p).all()


@pytest.mark.parametrize("p", [LARGEST_PRIME - 1, ONE_PRODUCT + 9, ONE_PRODUCT - 15])
def test_the_worst_sum_is_exact(p):
    k = 1000
    for value in (p // 2, p // 2 + 1, p - 1):
        x, y = (np.full(s, value, dtype=np.uint64) for s in ((20, k), (k, 20)))
        assert 20 * k * 20 > SMALL
        assert (matmul(x, y, p) == k * value * value % p).all()


@pytest.mark.parametrize(
    ("a", "b", "out"),
    [
        ("ij", "jk", "ik"),
        ("bij", "bj", "ib"),
        ("i", "j", "ji"),
        ("", "ab", "ba"),
        ("abc", "cbd", "bda"),
        ("ij", "ij", ""),
        ("zi", "i", "zi"),
    ],
)
def test_contractions_agree_with_einsum(a, b, out):
    p, rng = PRIMES[0], np.random.default_rng(2)
    sizes = dict(zip("abcdijkz", (3, 4, 5, 2, 6, 7, 3, 4), strict=True))
    x, y = (residues(rng, tuple(sizes[c] for c in s), p) for s in (a, b))
    exact = np.einsum(f"{a},{b}->{out}", x.astype(object), y.astype(object))
    assert (contract(x, y, a, b, out, p) == exact % p).all()


@given(
    st.integers(0, 40), st.integers(0, 40), st.integers(0, 40), st.sampled_from(PRIMES), st.integers(0, 2**32)
)
def test_rank_agrees_with_flint(m, n, r, p, seed):
    rng = np.random.default_rng(seed)
    rows = matmul(residues(rng, (m, r), p), residues(rng, (r, n), p), p) * (rng.random((m, n)) < 0.8).astype(
        np.uint64
    )
    assert rank(rows, p) == flint.nmod_mat(m, n, rows.ravel().tolist(), p).rank()


@pytest.mark.parametrize("p", [2**31 - 1, ONE_PRODUCT - 15, 1048583])
@pytest.mark.parametrize(
    ("m", "n", "r"),
    [
        (0, 0, 0),
        (0, 5, 0),
        (5, 0, 0),
        (1, 1, 1),
        (40, 40, 0),
        (LEAF + 1, 3 * LEAF, LEAF + 1),
        (PANEL + 1, PANEL - 1, PANEL - 1),
        (PANEL - 1, 700, 100),
        (700, PANEL + 1, PANEL),
        (2 * PANEL + 3, 2 * PANEL + 5, 2 * PANEL + 3),
        (600, 600, 599),
        (600, 600, 17),
    ],
)
@pytest.mark.parametrize("scattered", [False, True])
def test_a_known_rank(m, n, r, p, scattered):
    """[I A; B BA] has the rank of I, however rows and columns are mixed, doubled or spread among zeros."""
    rng = np.random.default_rng([m, n, r])
    a, b = residues(rng, (r, n - r), p), residues(rng, (m - r, r), p)
    upper = np.concatenate([np.eye(r, dtype=np.uint64), a], axis=1)
    lower = np.concatenate([b, matmul(b, a, p)], axis=1)
    rows = np.concatenate([upper, lower])[rng.permutation(m)][:, rng.permutation(n)]
    if scattered:  # each column stands there several times, after columns of zeros
        rows = np.concatenate([np.zeros((m, 3), dtype=np.uint64), np.repeat(rows, 3, axis=1)], axis=1)
    assert rank(rows, p) == rank(rows.T, p) == r
    space = RowSpace.zero(rows.shape[1], p).extend(rows[: m // 3]).extend(rows[m // 3 :])
    assert space.rank == r
    assert not space.reduce(rows).any()


@pytest.mark.parametrize("p", [2**31 - 1, ONE_PRODUCT - 15])
def test_a_dense_rank_agrees_with_flint(p):
    """Maximal residues: all entries (p - 1)/2 or (p + 1)/2, the largest in size."""
    rng = np.random.default_rng(4)
    for m, n in ((300, 300), (301, 290), (130, 520)):
        rows = rng.integers(p // 2, p // 2 + 2, (m, n), dtype=np.uint64)
        rows[m // 2] = rows[0]
        assert rank(rows, p) == flint.nmod_mat(m, n, rows.ravel().tolist(), p).rank()


@given(st.integers(1, 30), st.lists(st.integers(0, 9), min_size=1, max_size=5), st.integers(0, 2**32))
def test_a_row_space_grown_in_steps_is_that_of_all_rows(n, batches, seed):
    p, rng = PRIMES[1], np.random.default_rng(seed)
    rows = rng.integers(0, 3, (sum(batches), n), dtype=np.uint64)
    space, start = RowSpace.zero(n, p), 0
    for size in batches:
        space = space.extend(rows[start : start + size])
        start += size
        assert space.rank == rank(rows[:start], p)
        assert not space.reduce(rows[:start]).any()
    assert sorted([*space.pivots, *space.free]) == list(range(n))


def test_primes():
    assert check_prime(2**31 - 1) == 2**31 - 1
    for bad in (2**31 - 3, 2**31, 7, -5, 2.5, "7", True, 2**61 - 1):
        with pytest.raises(ConslawError, match="prime="):
            check_prime(bad)
    with pytest.raises(ConslawError, match=r"= 1048577\^1|2\^20|17\^1 \* 61681\^1"):
        check_prime(2**20 + 1)
    rng = np.random.default_rng(0)
    assert all(2**30 < random_prime(rng) < 2**31 for _ in range(50))
    assert all(2**22 < small_prime(rng) < ONE_PRODUCT for _ in range(50))


def test_the_number_of_primes_drawn_from():
    """pi(2**31) - pi(2**30), by the prime number theorem to 1e-4 and by counting a sample of windows."""
    from mpmath import li

    assert abs(float(li(2**31) - li(2**30)) / PRIMES_DRAWN_FROM - 1) < 1e-4

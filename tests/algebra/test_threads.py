"""One BLAS thread inside, as many as before afterwards; the same answers for any number of workers."""

from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from threading import Event

import pytest
from threadpoolctl import threadpool_info, threadpool_limits

import conslaw
from conslaw.algebra.finite_field import ONE_PRODUCT
from conslaw.algebra.threads import mapped, one_blas_thread
from conslaw.laws.plain_rank import gone_on, plain_run


def blas_threads():
    return {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"}


def test_blas_has_one_thread_inside_and_as_many_as_before_afterwards():
    with threadpool_limits(2, user_api="blas"):
        outside = blas_threads()
        with one_blas_thread():
            with one_blas_thread():
                assert blas_threads() == {1}
            assert blas_threads() == {1}
        assert blas_threads() == outside
        with pytest.raises(KeyError), one_blas_thread():
            raise KeyError
        assert blas_threads() == outside
        with one_blas_thread(), ThreadPoolExecutor(4) as pool:
            inside = pool.map(one_blas_thread()(lambda _: blas_threads()), range(20))
            assert all(threads == {1} for threads in inside)
        assert blas_threads() == outside


def test_threads_that_overlap_leave_blas_as_it_was():
    """The first of them leaves while the second is inside."""
    with threadpool_limits(2, user_api="blas"):
        pass
    outside, entered, left = blas_threads(), Event(), Event()

    @one_blas_thread()
    def first():
        entered.wait(5)

    @one_blas_thread()
    def second():
        entered.set()
        left.wait(5)

    with ThreadPoolExecutor(2) as pool:
        running = pool.submit(first)
        other = pool.submit(second)
        running.result()
        left.set()
        other.result()
    assert blas_threads() == outside


def test_values_come_in_order_and_errors_come_through():
    assert mapped(lambda x: x * x, range(9), 3) == mapped(lambda x: x * x, range(9), 1)
    with pytest.raises(ZeroDivisionError):
        mapped(lambda x: 1 // x, [1, 0], 2)


@pytest.mark.parametrize("workers", [0, -1, 1.5, True, "2", None])
def test_bad_numbers_of_workers(workers):
    for question in (conslaw.count, conslaw.analyze):
        with pytest.raises(conslaw.ConslawError, match="workers="):
            question(conslaw.linear([1, 1]), workers=workers)


def without_times(answer):
    return {name: value for name, value in answer.to_json().items() if name != "seconds"}


@pytest.mark.parametrize("split", [None, True])
def test_any_number_of_workers_gives_the_same_answer(split):
    flows = [
        conslaw.gradient_flow(conslaw.linear([9, 8, 9])),
        conslaw.momentum_flow(conslaw.linear([8, 8, 8])),
    ]
    for flow in flows:
        for question in (conslaw.count, conslaw.analyze):
            one, three = (question(flow, split=split, workers=w) for w in (1, 3))
            assert without_times(one) == without_times(three)


def test_a_small_prime_serves_where_bounds_meet_and_large_ones_where_not():
    closed = conslaw.analyze(conslaw.linear([2, 3, 2]))
    assert closed.complete
    assert all(2**22 < p < ONE_PRODUCT for p in closed.primes)
    open_ = conslaw.analyze(conslaw.linear([2, 3, 2]), degree=1)
    assert not open_.complete
    assert all(p > 2**30 for p in open_.primes)
    assert 0 < open_.error_probability < 1e-9


def test_certificates_with_small_primes_are_verified():
    mirror = conslaw.gradient_flow(conslaw.nmf([2, 2, 2]), metric="mirror")
    for flow in (conslaw.gradient_flow(conslaw.relu([2, 3, 2], bias=True)), mirror):
        analysis = conslaw.analyze(flow, split=False)
        certificate = analysis.certificate()
        assert certificate["upper"]["prime"] == analysis.primes[0]
        assert conslaw.verify(certificate).ok


def test_a_small_prime_that_divides_a_denominator_is_drawn_again():
    first = plain_run(conslaw.gradient_flow(conslaw.linear([1, 1])), seed=3).prime
    model = conslaw.model(lambda p, c: c.d * Fraction(1, first) * p.x, parameters={"x": ()}, data={"d": ()})
    again = plain_run(conslaw.gradient_flow(model), seed=3)
    assert again.prime not in (first, None)
    assert gone_on(again, laws=0).ranks.ranks == (1,)

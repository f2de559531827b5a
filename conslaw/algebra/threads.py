"""Threads: one for BLAS, whose products are small here, and as many as are asked for where work is
independent.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from functools import lru_cache
from queue import Empty, SimpleQueue
from threading import Lock, Thread
from typing import TypeVar

import numpy as np
from threadpoolctl import ThreadpoolController

from conslaw.errors import ConslawError

T = TypeVar("T")
R = TypeVar("R")


@lru_cache(maxsize=1)
def _blas(modules: int) -> ThreadpoolController:
    """The BLAS libraries of the process, looked for again (1 ms) once more modules are imported: they come
    with these.
    """
    return ThreadpoolController()


_limited = Lock()


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """BLAS with one thread inside, and as many as before afterwards.

    The number is one of the whole process.  Who comes first sets it and takes it back; who comes while it is
    set, from within or from another thread, leaves it alone, so that it is never "restored" to one.  Only the
    speed depends on it.
    """
    if not _limited.acquire(blocking=False):
        yield
        return
    try:
        with _blas(len(sys.modules)).limit(limits=1, user_api="blas"):
            yield
    finally:
        _limited.release()


def check_workers(workers: int) -> int:
    """Return a number of workers as int, or raise :class:`ConslawError`."""
    if isinstance(workers, bool) or not isinstance(workers, int | np.integer) or not workers >= 1:
        raise ConslawError(f"workers={workers!r}: give how many threads to use, a positive integer such as 2")
    return int(workers)


def mapped(function: Callable[[T], R], items: Iterable[T], workers: int) -> list[R]:
    """The values of a function at each of the items, in their order: the same for any number of workers.

    Threads do, and need not copy flows: NumPy and BLAS work outside the interpreter's lock in all that is
    large.
    """
    tasks = list(items)
    if workers == 1 or len(tasks) < 2:
        return [function(item) for item in tasks]
    waiting: SimpleQueue[tuple[Future[R], T]] = SimpleQueue()
    futures = [Future[R]() for _ in tasks]
    for pair in zip(futures, tasks, strict=True):
        waiting.put(pair)

    def work() -> None:
        with suppress(Empty):
            while True:
                future, item = waiting.get_nowait()
                try:
                    future.set_result(function(item))
                except BaseException as error:  # it is raised where the result is asked for
                    future.set_exception(error)

    for _ in range(min(workers, len(tasks))):  # nobody, not even the end of the process, waits for a daemon
        Thread(target=work, daemon=True).start()
    try:
        return [future.result() for future in futures]
    finally:
        with suppress(Empty):  # who is interrupted wants no more
            while True:
                waiting.get_nowait()

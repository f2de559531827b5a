"""The same on a cluster of Dask: each of its threads has a worker process, with the same limits."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterator
from contextlib import suppress
from itertools import islice
from typing import Any

from conslaw.errors import ConslawError
from conslaw.sweeps.journal import KILLED
from conslaw.sweeps.workers import Outcome, Task, Work, Worker
from conslaw.version import __version__

AHEAD = 2  # tasks for each thread of the cluster that are handed out at a time
CONNECT = 10.0  # seconds to reach a scheduler

_mine = threading.local()  # on a machine of the cluster: the worker processes of this thread, by sweep
_all: dict[str, list[Worker]] = {}  # and those of all of its threads


def outcomes_on(
    cluster: Any, work: Work, tasks: Iterator[Task]
) -> Generator[tuple[Task, Outcome], None, None]:
    """Tasks and their outcomes, as they come, from a scheduler of Dask.

    A machine that is lost has its cases done by others; a case that is lost with three of them is ``killed``.

    Raises
    ------
    ConslawError
        If the scheduler cannot be reached or is lost, or has no workers, or another conslaw.
    """
    distributed = _distributed()
    client, is_own = _client(distributed, cluster), not isinstance(cluster, distributed.Client)
    waiting: dict[Any, Task] = {}
    completed = distributed.as_completed(loop=client.loop)
    try:
        while True:
            room = max(AHEAD, AHEAD * sum(client.nthreads().values()))
            for task in islice(tasks, max(0, room - len(waiting))):
                future = client.submit(run_here, work, task[1], pure=False)
                waiting[future] = task
                completed.add(future)
            if not waiting:
                return
            for future in completed.next_batch(block=True):
                task, outcome = waiting.pop(future), _outcome(distributed, future)
                future.release()
                yield task, outcome
    finally:
        with suppress(Exception):  # the cluster may be gone
            client.cancel(list(waiting), force=True)
            client.run(_end_workers, work.key)
        if is_own:
            with suppress(Exception):
                client.close(timeout=CONNECT)


def _outcome(distributed: Any, future: Any) -> Outcome:
    """The result of a task, or what became of it."""
    try:
        found: Outcome = future.result()
    except distributed.KilledWorker as error:
        return {"status": KILLED, "reason": f"lost with the machines that it was on: {error}"[:500]}
    except ConslawError:
        raise
    except (distributed.CancelledError, OSError) as error:
        raise ConslawError(
            f"cluster: the scheduler was lost ({type(error).__name__}); start it, then resume"
        ) from None
    except Exception as error:
        raise ConslawError(f"cluster: a worker raised {type(error).__name__}: {error}") from None
    if found.get("conslaw", __version__) != __version__:
        raise ConslawError(f"cluster: its workers have conslaw {found['conslaw']}, and this is {__version__}")
    return found


def run_here(work: Work, case: dict[str, Any]) -> Outcome:
    """On a machine of the cluster: the outcome of a case, from the worker process of this thread."""
    own: dict[str, Worker] = _mine.__dict__.setdefault("workers", {})
    worker = own.get(work.key)
    if worker is None:
        worker = own[work.key] = Worker(work)
        _all.setdefault(work.key, []).append(worker)
    return worker.run(case)


def _end_workers(key: str) -> None:
    """On a machine of the cluster: end the worker processes of a sweep, busy or not."""
    for worker in _all.pop(key, []):
        worker.close()


def _distributed() -> Any:
    try:
        import distributed
    except ImportError:
        raise ConslawError("cluster: needs Dask: pip install 'conslaw[cluster]'") from None
    return distributed


def _client(distributed: Any, cluster: Any) -> Any:
    """A client of the scheduler, which has workers."""
    if isinstance(cluster, distributed.Client):
        client = cluster
    elif isinstance(cluster, str):
        try:
            client = distributed.Client(cluster, timeout=CONNECT, set_as_default=False)
        except Exception as error:  # also what fails to be an address
            said = " ".join(str(error).split())[:200]
            raise ConslawError(f"cluster={cluster!r}: cannot be reached ({said})") from None
    else:
        raise ConslawError(f"cluster={cluster!r}: give an address such as 'tcp://host:8786', or a Client")
    try:
        client.wait_for_workers(1, timeout=CONNECT)
    except TimeoutError:
        raise ConslawError(
            f"cluster={str(cluster)[:60]!r}: has no workers; start some: dask worker ADDRESS"
        ) from None
    return client

"""Worker processes that are really ended: at the limit of time by a signal that cannot be caught, at that of
memory by the system, and with the process that started them.

Why not pebble (5.2): all of its workers share one pipe under two locks, so that one that is killed from
outside while it holds them stops the others for up to a minute; they outlive a driver that is killed; they
cannot be started in the workers of Dask, which are daemons; and memory is not limited.  One pipe for each
worker, and nothing shared, has none of this.
"""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue
from threading import Lock, Thread, Timer
from typing import IO, Any
from uuid import uuid4

import conslaw
from conslaw.errors import ConslawError
from conslaw.sweeps.journal import KILLED, MEMORY, TIMEOUT
from conslaw.version import __version__

KILL = 9  # the signal, which not all systems have
GRACE = 1.0  # seconds that a case has, after its time is up, to say what it has proved
START, ATTEMPTS = 120.0, 5  # seconds that a worker may take to start; how often, if somebody kills it
ONE_THREAD = dict.fromkeys(
    ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"), "1"
)
OUT_OF_MEMORY = ("MemoryError", "allocate memory", "bad_alloc", "Out of memory", "out of memory")

Task = tuple[int, dict[str, Any]]
Outcome = dict[str, Any]


@dataclass(frozen=True)
class Work:
    """What every case is worked out by, and within which limits.

    Attributes
    ----------
    function : pickled (see :func:`packed`)
    timeout : seconds for each case
    memory : bytes for each worker
    key : of the sweep, so that on a cluster one sweep does not end the workers of another
    """

    function: bytes = field(repr=False)
    timeout: float | None = None
    memory: int | None = None
    key: str = field(default_factory=lambda: uuid4().hex)


def packed(function: Any) -> bytes:
    """A function as bytes that a new process can read: by its name, or by value if it has none there."""
    name = str(getattr(function, "build", None) or function)[:60]
    try:
        import cloudpickle
    except ImportError:
        pickler: Any = pickle
    else:
        pickler = cloudpickle
    try:
        data: bytes = pickler.dumps(function)
    except Exception as error:
        raise ConslawError(f"function {name}: cannot be sent to workers ({error})") from None
    if pickler is pickle and b"__main__" in data:
        raise ConslawError(
            f"function {name}: workers cannot import it from __main__; put it into a module, "
            f"or pip install 'conslaw[sweeps]'"
        )
    return data


class Worker:
    """A process that works out one case after the other; started when there is one."""

    def __init__(self, work: Work) -> None:
        self.work = work
        self._process: subprocess.Popen[bytes] | None = None
        self._errors: IO[bytes] | None = None
        self._done = 0  # cases since it was started
        self._lock = Lock()
        self.closed = False

    def run(self, case: Mapping[str, Any]) -> Outcome:
        """The outcome of a case.

        A worker that has done others before may have less memory left, and may be killed for what is not the
        fault of this case: such a case is tried once more in a new one.
        """
        fresh = not self._is_alive() or not self._done
        found = self._run(case)
        if found["status"] in (MEMORY, KILLED) and not fresh and not self.closed:
            self._end()
            found = self._run(case)
        return found

    def _is_alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def _run(self, case: Mapping[str, Any]) -> Outcome:
        process, timeout = self._started(), self.work.timeout
        assert process.stdin is not None
        assert process.stdout is not None
        if self._errors is not None:  # what cases print is kept for the last of them alone
            self._errors.seek(0)
            self._errors.truncate()
        self._done += 1
        late: list[bool] = []
        start = time.perf_counter()
        timer = None if timeout is None else Timer(timeout + GRACE, self._kill, (process, late))
        if timer is not None:
            timer.daemon = True
            timer.start()
        try:
            pickle.dump((dict(case), timeout), process.stdin)
            process.stdin.flush()
            found: Outcome = pickle.load(process.stdout)
            return found
        except (EOFError, OSError, pickle.UnpicklingError):
            status, reason = self._died(process, late)
            took = {"seconds": round(time.perf_counter() - start, 6), "conslaw": __version__}
            return {"status": status, "reason": reason, **took}
        finally:
            with self._lock:  # a timer that has begun to kill has done so, or will not
                late.append(False)
            if timer is not None:
                timer.cancel()

    def _kill(self, process: subprocess.Popen[bytes], late: list[bool]) -> None:
        """End a case that has had its time, if it has not ended meanwhile."""
        with self._lock:
            if not late:
                late.append(True)
                _kill(process)

    def _died(self, process: subprocess.Popen[bytes], late: list[bool]) -> tuple[str, str]:
        """How a case whose worker has gone ended, and why."""
        said, status = self._last_words(), process.wait()
        self._end()
        if late:
            return TIMEOUT, f"killed after {self.work.timeout:g} seconds"
        if any(word in said for word in OUT_OF_MEMORY):
            return MEMORY, said[:500]
        how = f"the worker ended with status {status}"
        with suppress(ValueError):
            how = f"the worker was ended by signal {-status} ({signal.Signals(-status).name})"
        if status == -KILL:
            how += ", from outside or since the machine had no memory left"
        return KILLED, f"{how}{': ' if said else ''}{said}"[:500]

    def _last_words(self) -> str:
        if self._errors is None:
            return ""
        self._errors.seek(0, os.SEEK_END)
        self._errors.seek(max(0, self._errors.tell() - 2000))
        lines = self._errors.read().decode(errors="replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "")

    def _started(self) -> subprocess.Popen[bytes]:
        """The process, ready for a case."""
        if self._is_alive():
            assert self._process is not None
            return self._process
        for _ in range(ATTEMPTS):
            self._end()
            process, trouble = self._start()
            if trouble is None:
                return process
            if process.poll() != -KILL or self.closed:  # it is not that somebody kills at random
                break
        words = trouble or self._last_words() or "it ended at once"
        self._end()
        raise ConslawError(f"a worker could not be started: {words}")

    def _start(self) -> tuple[subprocess.Popen[bytes], str | None]:
        """A new process, and why it is of no use: in its own words, or empty if it has gone."""
        environment = {**os.environ, **ONE_THREAD}
        home = str(Path(conslaw.__file__).parent.parent)
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, (home, os.environ.get("PYTHONPATH"))))
        command = [sys.executable, "-P", "-m", "conslaw.sweeps.child"]
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  # closed when the process has ended
        with self._lock:
            if self.closed:
                raise ConslawError("the sweep was stopped")
            process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                env=environment,
                start_new_session=True,
            )
            self._process, self._done = process, 0
        assert process.stdin is not None
        assert process.stdout is not None
        timer = Timer(START, _kill, (process,))
        timer.daemon = True
        timer.start()
        setup = {"parent": os.getpid(), "memory": self.work.memory, "path": sys.path}
        try:
            pickle.dump({**setup, "function": self.work.function}, process.stdin)
            process.stdin.flush()
            trouble: str | None = pickle.load(process.stdout)
            return process, trouble
        except (EOFError, OSError, pickle.UnpicklingError):
            process.wait()
            return process, ""
        finally:
            timer.cancel()

    def _end(self) -> None:
        """End the process and all that it started."""
        process, self._process = self._process, None
        if process is not None:
            _kill(process)
            process.wait()
            for stream in (process.stdin, process.stdout):
                if stream is not None:
                    with suppress(OSError):
                        stream.close()
        if self._errors is not None:
            self._errors.close()
            self._errors = None

    def close(self) -> None:
        """End what is running, at once, from any thread."""
        with self._lock:
            self.closed = True
            process = self._process
        if process is not None:
            _kill(process)


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Kill a process with all of its session, unless it has been waited for."""
    if process.returncode is None:
        with suppress(OSError):
            if hasattr(os, "killpg"):
                os.killpg(process.pid, KILL)
            else:
                process.kill()


def outcomes(work: Work, tasks: Iterator[Task], workers: int) -> Generator[tuple[Task, Outcome], None, None]:
    """Tasks (numbered cases) and their outcomes, as they come, from so many workers on this machine.

    Closing the iterator, or any exception, ends all workers.
    """
    found: SimpleQueue[tuple[Task, Outcome] | BaseException | None] = SimpleQueue()
    taking, team = Lock(), [Worker(work) for _ in range(workers)]

    def work_on(worker: Worker) -> None:
        try:
            while not worker.closed:
                with taking:
                    task = next(tasks, None)
                if task is None:
                    break
                found.put((task, worker.run(task[1])))
            found.put(None)
        except BaseException as error:
            found.put(error)
        finally:
            worker._end()

    threads = [Thread(target=work_on, args=(worker,), daemon=True) for worker in team]
    for thread in threads:
        thread.start()
    left = workers
    try:
        while left:
            one = found.get()
            if isinstance(one, BaseException):
                raise one
            if one is None:
                left -= 1
            else:
                yield one
    finally:
        for worker in team:
            worker.close()
        for thread in threads:
            thread.join()

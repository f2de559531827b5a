"""The process in which cases are worked out: ``python -m conslaw.sweeps.child``, started by
:mod:`conslaw.sweeps.workers` and spoken to through its standard input and output.
"""

from __future__ import annotations

import os
import pickle
import signal
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, BinaryIO, NoReturn

from conslaw.errors import Interrupted, TooLargeError
from conslaw.sweeps.journal import ERROR, MEMORY, OK, TIMEOUT, plain
from conslaw.time_limit import TimeIsUp, time_limit
from conslaw.version import __version__

IDLE = 60.0  # seconds without a case after which it ends; it is started again when there is one
PR_SET_PDEATHSIG = 1

Function = Callable[[dict[str, Any]], Mapping[str, Any]]


def main() -> None:
    """Read a function, then cases, from the standard input; write an outcome for each."""
    source, sink = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a case prints is no outcome
    os.close(0)
    os.open(os.devnull, os.O_RDONLY)
    setup = pickle.load(source)
    _die_with(setup["parent"])
    _limit_memory(setup["memory"])
    sys.path[:] = setup["path"]
    try:
        function = pickle.loads(setup["function"])
        getattr(function, "warm", lambda: None)()
        _send(sink, None)
    except Exception as error:
        _send(sink, f"{type(error).__name__}: {error}")
        return
    cases: SimpleQueue[tuple[dict[str, Any], float | None]] = SimpleQueue()
    Thread(target=_read, args=(source, cases), daemon=True).start()
    while True:
        try:
            case, timeout = cases.get(timeout=IDLE)
        except Empty:
            return
        _send(sink, outcome(function, case, timeout))


def _read(source: BinaryIO, cases: SimpleQueue[Any]) -> NoReturn:
    """Hand on what is sent, all the time, so that the end of the sender ends this process too."""
    with suppress(EOFError, OSError, pickle.UnpicklingError):
        while True:
            cases.put(pickle.load(source))
    os._exit(0)


def _send(sink: BinaryIO, message: object) -> None:
    try:
        pickle.dump(message, sink)
        sink.flush()
    except BrokenPipeError:
        os._exit(0)


def outcome(function: Function, case: dict[str, Any], timeout: float | None) -> dict[str, Any]:
    """What a case comes to: status, reason, columns, and what it took.

    At its time limit it is interrupted first: what was proved until then goes into the row of the timeout
    (:class:`conslaw.errors.Interrupted`).
    """
    _reset_peak()
    start, cpu = time.perf_counter(), time.process_time()
    columns: Mapping[str, Any] = {}
    try:
        with time_limit(timeout if hasattr(signal, "setitimer") else None):
            columns = function(case)
        status, reason = columns.get("status", OK), columns.get("reason")
    except TimeIsUp:
        status, reason = TIMEOUT, f"after {timeout:g} seconds"
    except Interrupted as stop:
        columns = getattr(function, "partial", lambda _: {})(stop.answer)
        status, reason = TIMEOUT, f"after {timeout or 0:g} seconds; the bounds are those proved until then"
    except MemoryError as error:
        status, reason = MEMORY, str(error) or "out of memory"
    except TooLargeError as error:
        status, reason = MEMORY, str(error)
    except (Exception, SystemExit, KeyboardInterrupt) as error:
        own = type(error).__name__ == "ConslawError"
        status, reason = ERROR, str(error) if own else f"{type(error).__name__}: {error}"
    took = {"seconds": round(time.perf_counter() - start, 6), "cpu_seconds": time.process_time() - cpu}
    took["cpu_seconds"] = round(took["cpu_seconds"], 6)
    values = {str(name): plain(value) for name, value in columns.items() if name not in ("status", "reason")}
    said = {"status": status, "reason": None if reason is None else " ".join(str(reason).split())[:500]}
    return {**said, **values, **took, "memory_bytes": _peak(), "conslaw": __version__}


def _die_with(parent: int) -> None:
    """Let this process be killed when its parent is, even in the midst of C code (Linux)."""
    if not sys.platform.startswith("linux"):
        return
    import ctypes

    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(0)


def can_limit_memory() -> bool:
    """Whether the system keeps to a limit: Linux does (heap and private mappings), others do not."""
    return sys.platform.startswith("linux")


def _limit_memory(size: int | None) -> None:
    if size is not None and can_limit_memory():
        import resource

        hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
        size = size if hard == resource.RLIM_INFINITY else min(size, hard)
        resource.setrlimit(resource.RLIMIT_DATA, (size, size))


def _reset_peak() -> None:
    """Begin to measure the largest memory anew (Linux)."""
    with suppress(OSError), open("/proc/self/clear_refs", "w", encoding="ascii") as file:
        file.write("5")


def _peak() -> int | None:
    """Bytes that this process had at most: since :func:`_reset_peak` where the system can say that."""
    with suppress(OSError), open("/proc/self/status", encoding="ascii", errors="replace") as file:
        return next((int(line.split()[1]) * 1024 for line in file if line.startswith("VmHWM:")), None)
    with suppress(ImportError):
        import resource

        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most if sys.platform == "darwin" else most * 1024
    return None


if __name__ == "__main__":
    main()

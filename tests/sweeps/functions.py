"""Functions of cases to test workers with, and drivers."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from conslaw.errors import Interrupted
from conslaw.sweeps import run

HERE = Path(__file__).parent


def square(case):
    """A quick one."""
    return {"square": case["n"] ** 2}


def slow(case):
    """One that takes a while."""
    time.sleep(0.03)
    return {"square": case["n"] ** 2}


def hostile(case):
    """What workers must survive: one kind for each n."""
    n = case["n"] % 10
    if n == 1:
        while True:  # ended from within
            pass
    if n == 2:
        sum(range(10**12))  # hours in C code that hears no signal
    if n == 3:
        return {"bytes": len(b"x" * 10**10)}
    if n == 4:
        os.abort()
    if n == 5:
        os._exit(7)
    if n == 6:
        raise ValueError("two\nlines")
    if n == 7:
        os.kill(os.getpid(), signal.SIGKILL)
    if n == 8:
        print("noise " * 10**5)
        os.write(1, b"noise")
        sys.stdin.read()
    if n == 9:
        sys.exit("out")
    return {"n_squared": n * n}


def mended(case):
    """One that fails until a file is there."""
    if case["n"] % 2 and not Path("mended").exists():
        raise ValueError("not yet")
    return {"mended": Path("mended").exists()}


def mixed(case):
    """Cells of all kinds."""
    n = case["n"]
    sometimes = {"sometimes": n} if n % 3 else {}
    return {"huge": 10 ** (3 * n), "half": n / 2, "even": n % 2 == 0, "text": 'ß,"\n' * (n % 2), **sometimes}


class Proving:
    """One that has proved something when its time is up."""

    __name__ = "proving"

    def __call__(self, case):
        try:
            time.sleep(100)
        except KeyboardInterrupt as stop:
            raise Interrupted({"at_most": 7}) from stop

    def partial(self, answer):
        """The columns of what is proved."""
        return answer


def cases(count):
    """As many cases."""
    return [{"widths": str(n), "n": n} for n in range(count)]


def swept(function, count, **options):
    """A sweep of one of these functions."""
    asked = {"what": function.__name__, "count": count}
    return run(function, cases(count), count=count, asked=asked, **options)


def driver(out, name, count, workers=2, **options):
    """A sweep in a process of its own, which SIGINT reaches; its errors go into a file beside."""
    code = (
        "import signal, functions\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        f"functions.swept(functions.{name}, {count}, out={str(out)!r}, workers={workers}, **{options!r})\n"
    )
    with errors_of(out).open("w") as errors:
        return subprocess.Popen([sys.executable, "-c", code], cwd=HERE, stderr=errors)


def errors_of(out):
    """Where the errors of a driver are."""
    return out.with_suffix(".err")


def wait_for(out, running, rows):
    """Until there are more rows than that."""
    while not (out.exists() and out.read_bytes().count(b"\n") > rows + 1):
        assert running.poll() is None, errors_of(out).read_text()
        time.sleep(0.02)

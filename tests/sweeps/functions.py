"""Functions of cases for the tests of workers, and a driver: ``python functions.py OUT NAME COUNT WORKERS``."""

import os
import signal
import sys
import time
from pathlib import Path

from conslaw.sweeps import run


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


def cases(count):
    """As many cases."""
    return [{"widths": str(n), "n": n} for n in range(count)]


def swept(function, count, **options):
    """A sweep of one of these functions."""
    asked = {"what": function.__name__, "count": count}
    return run(function, cases(count), count=count, asked=asked, **options)


if __name__ == "__main__":
    out, name, count, workers = sys.argv[1:]
    found = swept(globals()[name], int(count), out=out, workers=int(workers))
    print(found.statuses, flush=True)

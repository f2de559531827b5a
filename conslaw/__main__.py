"""``python -m conslaw``, and the command ``conslaw``: Ctrl-C ends it in one line at any moment."""

import os
import sys  # nothing here but what Python itself has imported: an interrupt of another import is not caught

INTERRUPTED = 130


def run() -> int:
    """Run the command; return its exit status."""
    try:
        from conslaw.command_line import main

        status = main()
    except KeyboardInterrupt:  # while Python still imports
        import signal

        signal.signal(signal.SIGINT, signal.SIG_IGN)
        sys.stderr.write("\r\033[K" * sys.stderr.isatty() + "conslaw: interrupted\n")
        status = INTERRUPTED
    import atexit
    import signal
    from contextlib import suppress

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # what is left is to end
    if status == INTERRUPTED:  # Python would end by the signal if it came through exec, as in dataclasses
        atexit._run_exitfuncs()
        with suppress(OSError, ValueError):  # nobody reads it, or it is closed
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(status)
    return status


if __name__ == "__main__":
    sys.exit(run())

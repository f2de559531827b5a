"""``python -m conslaw``, and the command ``conslaw``: Ctrl-C ends it in one line at any moment."""

import signal
import sys


def run() -> int:
    """Run the command; return its exit status."""
    try:
        from conslaw.command_line import main

        return main()
    except KeyboardInterrupt:  # while Python still imports
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        sys.stderr.write("\r\033[K" * sys.stderr.isatty() + "conslaw: interrupted\n")
        return 130
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # what is left is to end


if __name__ == "__main__":
    sys.exit(run())

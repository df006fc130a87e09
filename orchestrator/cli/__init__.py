"""The command line. Its commands are loaded by `main`, so that Ctrl-C ends it quietly from the first moment on."""

import atexit
import os
import signal
import sys
import time


def main() -> None:
    """Run the command line."""
    signal.signal(signal.SIGINT, _exit_at_once)
    from orchestrator.cli.commands import app
    from orchestrator.cli.output import show_everything

    # Native threads of the Temporal client may still be shutting down; see docs/design.md.
    atexit.register(time.sleep, 0.05)
    show_everything()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, _exit_at_once)


def _exit_at_once(number: int, _: object) -> None:
    os._exit(128 + number)

"""The session console in a terminal, for ssh: ``ros2 run spark_ros console --terminal``."""

from __future__ import annotations

import os
import signal
import sys

from spark_ros.console.terminal import TerminalConsole
from spark_ros.console.terminal_screen import show
from spark_ros.contracts import SparkError
from spark_ros.nodes.ros_session import joined_session

NAME = "console"
OK, REFUSED, INTERRUPTED = 0, 2, 130  # 130 as a shell reports Ctrl-C


def show_in_terminal() -> int:
    """Show the session until the operator leaves; returns the exit status."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    try:
        with joined_session(f"{NAME}_terminal_{os.getpid()}") as session:  # several may watch, each under its own name
            show(TerminalConsole(session))
    except SparkError as error:
        print(f"{NAME}: {error}", file=sys.stderr)
        return REFUSED
    except KeyboardInterrupt:
        return INTERRUPTED
    return OK

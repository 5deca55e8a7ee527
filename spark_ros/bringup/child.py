"""Runs one node and takes it down when its supervisor is gone: ``python -m spark_ros.bringup.child FD MODULE ...``.

Nobody else can do that for a supervisor that was SIGKILLed. The supervisor holds the writing end of a pipe
and this process the reading end, so the end of the file is the supervisor's end, whatever caused it; unlike
PR_SET_PDEATHSIG it does not fire when only the *thread* that started the node ends.
"""

from __future__ import annotations

import atexit
import importlib
import os
import signal
import sys
import threading
import time

START_SIGNALS = (signal.SIGINT, signal.SIGTERM)  # the supervisor starts this process with them blocked
GRACE_S = 8.0  # a recorder closes its episode and a gateway ramps down in well under that


def _follow_supervisor(pipe: int) -> None:
    while os.read(pipe, 1):  # nothing is ever written; returns at end of file
        pass
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(GRACE_S)
    os.killpg(0, signal.SIGKILL)  # with whatever the node started


def main() -> None:
    """Start the watcher, then do what the installed executable of that module does."""
    # Until the node handles them itself; while it imports there is nothing to put in order.
    for number in START_SIGNALS:
        signal.signal(number, lambda *_: os._exit(0))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, START_SIGNALS)
    pipe, module = int(sys.argv[1]), sys.argv[2]
    threading.Thread(target=_follow_supervisor, args=(pipe,), daemon=True).start()
    sys.argv = [module, *sys.argv[3:]]
    _leave(importlib.import_module(module).main())


def _leave(code: int | None) -> None:
    """Ends here what has closed everything it had.

    What would follow are the destructors of C++ libraries, one of which once hung until the supervisor's patience was
    over: an exit that looked like a failure.
    """
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code or 0)


if __name__ == "__main__":
    main()

"""From `main()` to the exit code: one place for spinning and for every way a node can end.

rclpy's own signal handlers shut the context down first, after which nothing can be published any more: a gateway could
not decelerate the arm. They are therefore off. SIGINT and SIGTERM only leave a note; each node is then closed while
ROS still works, and the context goes last. A second signal changes nothing.

Each node spins in its own thread on its own SingleThreadedExecutor, so that in one process a slow node cannot starve
the gateway's timer (MultiThreadedExecutor loses most callbacks at 500 Hz, Jazzy's EventsExecutor runs none).
"""

from __future__ import annotations

import gc
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from queue import SimpleQueue

import rclpy
from rclpy.exceptions import ParameterException
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

from spark_ros.contracts import SparkError
from spark_ros.nodes.memory import keep_memory_of_images

RCLError = rclpy_implementation.RCLError
OK, FAILED, REFUSED = 0, 1, 2
JOIN_S = 10.0  # longest callback of ours: loading a bundle takes 1 to 3 s


def run(*factories: Callable[[], Node], args: Sequence[str] | None = None) -> int:
    """Make the nodes, spin them until SIGINT, SIGTERM or the end of one of them, close them in reverse order.

    A node may have a method ``close()``, called once after its callbacks have ceased and while it can still publish. A
    callback that raises `SparkError` ends the process with that sentence; any other exception does so with a traceback.

    Args:
        factories: Make the nodes; first the ones that the later ones depend on.
        args: Command line for ROS; `sys.argv` if None.

    Returns:
        Exit code: 0 after a signal, 2 if a node refused its parameters, 1 if one could not go on.
    """
    # Not an Event: its lock is not re-entrant, and a signal that arrives while `wait` holds it would wait for itself.
    stop: SimpleQueue[None] = SimpleQueue()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.put(None))
    keep_memory_of_images()
    try:
        rclpy.init(args=list(sys.argv if args is None else args), signal_handler_options=SignalHandlerOptions.NO)
    except RCLError as error:  # a parameter file that does not exist, a remapping that is none
        print(f"ROS refuses the command line: {str(error).split(', at /')[0]}", file=sys.stderr)
        return REFUSED
    spinners: list[_Spinner] = []
    code = OK
    try:
        for factory in factories:
            spinners.append(_Spinner(factory(), stop))
        # What imports have made stays until the end; to look for garbage in it again and again would stop the gateway
        # for longer than its period.
        gc.collect()
        gc.freeze()
        stop.get()
    except (SparkError, ParameterException) as error:
        rclpy.logging.get_logger("spark_ros").fatal(str(error))
        code = REFUSED
    finally:
        for spinner in reversed(spinners):
            code = max(code, spinner.finish())
        rclpy.try_shutdown()
    return code


class _Spinner:
    """A node, its executor and its thread."""

    def __init__(self, node: Node, stop: SimpleQueue[None]) -> None:
        self._node = node
        self._stop = stop
        self._enough = False
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(node)
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._spin, name=f"spin {node.get_name()}", daemon=True)
        self._thread.start()

    def finish(self) -> int:
        """Stop the callbacks, close and destroy the node; its exit code."""
        self._enough = True
        self._executor.create_task(lambda: None)  # waiting ends where there is something to do
        self._thread.join(JOIN_S)
        name, logger = self._node.get_name(), self._node.get_logger()
        if self._thread.is_alive():
            logger.fatal(f"a callback of {name} has not returned for {JOIN_S:.0f} s; it ends without being closed")
            return FAILED
        try:
            getattr(self._node, "close", lambda: None)()
        except Exception as error:
            self._error = self._error or error
        if isinstance(self._error, SparkError):
            logger.fatal(str(self._error))
        elif self._error is not None:
            logger.fatal("".join(traceback.format_exception(self._error)))
        self._executor.remove_node(self._node)
        self._node.destroy_node()
        return OK if self._error is None else FAILED

    def _spin(self) -> None:
        try:
            while not self._enough:  # spin_until_future_complete would grow by 0.27 kB a message: 1 GB an hour at 1 kHz
                self._executor.spin_once()
        except ExternalShutdownException:
            pass
        except Exception as error:  # without its callbacks the node would hang on, alive and deaf
            self._error = error
        finally:
            self._stop.put(None)

"""Service calls with a deadline and an answer that says what went wrong."""

from __future__ import annotations

import time
from threading import Event
from typing import Any

from rclpy.executors import Executor
from rclpy.node import Node

from spark_ros.contracts import SparkError

_POLL_S = 0.02


def call(
    node: Node,
    service_type: type,
    name: str,
    request: Any,
    timeout_s: float,
    *,
    appear_s: float | None = None,
    executor: Executor | None = None,
    abandon: Event | None = None,
) -> Any:
    """Call a service and wait for its response.

    Not to be called from a callback of `node`, whose executor would wait for itself.

    Args:
        node: Whose client it is.
        service_type: Type of the service.
        name: Its name.
        request: What to send.
        timeout_s: How long it may take to answer.
        appear_s: How long the service may take to appear; `timeout_s` if None.
        executor: To be spun meanwhile, where no other thread spins the node; else None.
        abandon: Once set, nobody waits any longer.

    Raises:
        SparkError: There is no such service, it went away, it does not answer in time, or the call was abandoned.
    """
    appear_s = timeout_s if appear_s is None else appear_s

    def check(deadline: float, sentence: str) -> None:
        if abandon is not None and abandon.is_set():
            raise SparkError(f"the call of {name} was abandoned")
        if time.monotonic() > deadline:
            raise SparkError(sentence)

    client = node.create_client(service_type, name)
    try:
        deadline = time.monotonic() + appear_s
        while not client.service_is_ready():
            check(deadline, f"no service {name} within {appear_s:.0f} s: is its node running, in this ROS domain?")
            time.sleep(_POLL_S)
        deadline = time.monotonic() + timeout_s
        future = client.call_async(request)
        while True:
            if executor is not None:
                executor.spin_until_future_complete(future, _POLL_S)
            else:
                time.sleep(_POLL_S)
            if future.done():
                return future.result()
            if not client.service_is_ready():
                raise SparkError(f"the node behind {name} ended before it answered: its own log says why")
            check(deadline, f"{name} did not answer within {timeout_s:.0f} s: its node is busy or stuck")
    finally:
        node.destroy_client(client)

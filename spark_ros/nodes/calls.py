"""Service calls with a deadline and an answer that says what went wrong."""

from __future__ import annotations

import time
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

    Raises:
        SparkError: There is no such service, it went away, or it does not answer in time.
    """
    appear_s = timeout_s if appear_s is None else appear_s
    deadline = time.monotonic() + appear_s
    client = node.create_client(service_type, name)
    try:
        while not client.service_is_ready():
            if time.monotonic() > deadline:
                raise SparkError(f"no service {name} within {appear_s:.0f} s: is its node running, in this ROS domain?")
            time.sleep(_POLL_S)
        deadline = time.monotonic() + timeout_s
        future = client.call_async(request)
        while not future.done():
            if executor is not None:
                executor.spin_until_future_complete(future, _POLL_S)
            else:
                time.sleep(_POLL_S)
            if not future.done() and not client.service_is_ready():
                raise SparkError(f"the node behind {name} ended before it answered: its own log says why")
            if not future.done() and time.monotonic() > deadline:
                raise SparkError(f"{name} did not answer within {timeout_s:.0f} s: its node is busy or stuck")
        return future.result()
    finally:
        node.destroy_client(client)

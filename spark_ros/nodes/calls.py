"""Service calls with a deadline and an answer that says what went wrong."""

from __future__ import annotations

import time
from threading import Event
from typing import Any
from weakref import WeakKeyDictionary

from rclpy.client import Client
from rclpy.executors import Executor
from rclpy.node import Node

from spark_ros.contracts import SparkError

_POLL_S = 0.02
# A server learns of a new client a little later than the client of it. A request that arrives before is carried out,
# but its response is dropped ("client will not receive response"); a busy machine does that now and then at the start.
# So clients are kept, and a new one waits this long before its first request.
_ACQUAINT_S = 0.1
_clients: WeakKeyDictionary[Node, dict[str, Client]] = WeakKeyDictionary()


def call(
    node: Node,
    service_type: type,
    name: str,
    request: Any,
    timeout_s: float,
    *,
    appear_s: float | None = None,
    repeat_s: float | None = None,
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
        repeat_s: Send the request again when it has not been answered for so long. Only for requests that do no harm
            when they are carried out twice.
        executor: To be spun meanwhile, where no other thread spins the node; else None.
        abandon: Once set, nobody waits any longer.

    Raises:
        SparkError: There is no such service, it went away, it does not answer in time, or the call was abandoned.
    """

    def check(deadline: float, sentence: str) -> None:
        if abandon is not None and abandon.is_set():
            raise SparkError(f"the call of {name} was abandoned")
        if time.monotonic() > deadline:
            raise SparkError(sentence)

    appear_s = timeout_s if appear_s is None else appear_s
    deadline = time.monotonic() + appear_s
    client = _client(node, service_type, name)
    while not client.service_is_ready():
        check(deadline, f"no service {name} within {appear_s:.0f} s: is its node running, in this ROS domain?")
        time.sleep(_POLL_S)
    deadline = time.monotonic() + timeout_s
    sent, future = time.monotonic(), client.call_async(request)
    try:
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
            if repeat_s is not None and time.monotonic() - sent > repeat_s:
                client.remove_pending_request(future)
                sent, future = time.monotonic(), client.call_async(request)
    finally:
        client.remove_pending_request(future)


def acquaint(node: Node, service_type: type, *names: str) -> None:
    """Makes the clients ready now, so that the first `call` need not wait for its own: an emergency stop must not."""
    clients = _clients.setdefault(node, {})
    if missing := [name for name in names if name not in clients]:
        clients.update({name: node.create_client(service_type, name) for name in missing})
        time.sleep(_ACQUAINT_S)


def _client(node: Node, service_type: type, name: str) -> Client:
    acquaint(node, service_type, name)
    return _clients[node][name]

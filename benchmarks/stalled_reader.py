"""How long a sender waits for a reader that stands still: through Fast DDS's shared memory, and through UDP.

    python -m benchmarks.stalled_reader [--seconds 120] [--quick] [--json] [--save]

Why the gateway has no shared memory (`config/fastdds_udp.xml`). For each transport, on a ROS domain of its own and
both at the same time: one process publishes four topics as fast as it can, two read them, and now and then one of the
readers is stopped for 0.2 to 0.4 s (SIGSTOP, as Ctrl-Z does). Most stops hurt nobody; a sender waits where a reader was
stopped with the lock of its queue in hand. A gateway publishes a tenth as often, and would wait as much more rarely.
Discovery is not kept to this machine, since that brings shared memory back whatever the profile says.
"""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from benchmarks.common import entry, finish, make_parser, parse, percentiles
from spark_ros.bringup.domain import claim_domain
from spark_ros.bringup.environment import Transport, child_environment

KINDS = {"shared memory": Transport.SMALL_SEGMENT, "UDP": Transport.NO_SEGMENT}
READERS, TOPICS = 2, 4
STOPPED_S, RUNNING_S = (0.2, 0.4), (0.05, 0.2)
PAUSE_S = 0.0005  # between two rounds of publishing
WAITED_S = 0.1  # a publish that took this long has waited for somebody


def main() -> None:
    """Measures and prints."""
    parser = make_parser(__doc__, "20 s")
    parser.add_argument("--seconds", type=float, default=120.0, help="of publishing (default: %(default)s)")
    options = parse(parser)
    measured = measure(20.0 if options.quick else options.seconds)
    finish(options, "stalled_reader", measured, _show, ros=True)


def measure(seconds: float) -> dict[str, Any]:
    """By transport, what its sender saw; and how often a reader was stopped."""
    claims = {kind: claim_domain("auto") for kind in KINDS}
    senders: dict[str, subprocess.Popen[str]] = {}
    readers: dict[str, list[subprocess.Popen[str]]] = {}
    rng, stops = random.Random(0), 0
    try:
        for kind, claim in claims.items():
            domain = claim.domain_id
            usual = child_environment(domain_id=domain, local_only=False, transport=Transport.SMALL_SEGMENT)
            own = child_environment(domain_id=domain, local_only=False, transport=KINDS[kind])
            readers[kind] = [_start("read", usual) for _ in range(READERS)]
            senders[kind] = _start("send", own)
        for sender in senders.values():
            assert sender.stdout is not None
            sender.stdout.readline()  # its readers are there
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            chosen = [rng.choice(processes) for processes in readers.values()]
            for process in chosen:
                process.send_signal(signal.SIGSTOP)
            time.sleep(rng.uniform(*STOPPED_S))
            for process in chosen:
                process.send_signal(signal.SIGCONT)
            time.sleep(rng.uniform(*RUNNING_S))
            stops += 1
        found = {}
        for kind, sender in senders.items():
            sender.send_signal(signal.SIGTERM)
            found[kind] = json.loads(sender.communicate(timeout=20.0)[0].splitlines()[-1])
    finally:
        for process in [*senders.values(), *(reader for some in readers.values() for reader in some)]:
            process.kill()
            process.wait()
        for claim in claims.values():
            claim.release()
    return {"seconds": seconds, "stops": stops, "transports": found}


def _start(role: str, environment: Mapping[str, str]) -> subprocess.Popen[str]:
    words = [sys.executable, "-c", f"from benchmarks.stalled_reader import {role}; {role}()"]
    return subprocess.Popen(words, env=dict(environment), stdout=subprocess.PIPE, text=True)


def send() -> None:
    """The process that publishes until SIGTERM and then prints what it saw."""
    node, kind = _node("sender")
    publishers = [node.create_publisher(kind, f"stalled_reader_{number}", 10) for number in range(TOPICS)]
    while any(publisher.get_subscription_count() < READERS for publisher in publishers):
        time.sleep(0.05)
    print("ready", flush=True)
    ended: list[bool] = []
    signal.signal(signal.SIGTERM, lambda *_: ended.append(True))
    message, took = kind(data=[0.0] * 8), []
    while not ended:
        for publisher in publishers:
            begin = time.monotonic()
            publisher.publish(message)
            took.append(time.monotonic() - begin)
        time.sleep(PAUSE_S)
    waited = np.array(took)[np.array(took) > WAITED_S]
    print(
        json.dumps(
            {
                "publishes": len(took),
                "publish_ms": percentiles([1e3 * value for value in took]),
                "waited": len(waited),
                "waited_ms": [round(1e3 * float(value)) for value in waited],
            }
        )
    )


def read() -> None:
    """The process that only reads."""
    node, kind = _node("reader")
    for number in range(TOPICS):
        node.create_subscription(kind, f"stalled_reader_{number}", lambda _: None, 10)
    from rclpy.executors import SingleThreadedExecutor

    executor = SingleThreadedExecutor()
    executor.add_node(node)
    while True:
        executor.spin_once()


def _node(name: str) -> tuple[Any, Any]:
    import rclpy
    from rclpy.signals import SignalHandlerOptions
    from std_msgs.msg import Float64MultiArray

    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    return rclpy.create_node(name), Float64MultiArray


def _show(measured: Mapping[str, Any]) -> None:
    print(f"in {measured['seconds']:.0f} s, {measured['stops']} times a reader was stopped for some tenths of a second")
    for kind, row in measured["transports"].items():
        times = row["publish_ms"]
        print(
            f"{kind}: of {row['publishes']} publishes {row['waited']} waited for it; "
            f"p50 {times['p50']:.3f}, p99 {times['p99']:.3f}, longest {times['max']:.0f} ms"
        )


if __name__ == "__main__":
    entry(main)

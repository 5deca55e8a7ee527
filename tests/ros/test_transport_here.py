"""The gateway of a simulated arm is kept to this machine, has no shared memory, and meets the others nevertheless."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from spark_ros.bringup.domain import claim_domain
from spark_ros.bringup.environment import Transport, child_environment

pytestmark = pytest.mark.ros

SAYS_WHAT_IT_HAS = """
import contextlib, json, os, time
import rclpy
from std_msgs.msg import String
from spark_ros.nodes.qos import STREAM

rclpy.init()
node = rclpy.create_node("gateway")
publisher = node.create_publisher(String, "/told", STREAM)
heard = []
node.create_subscription(String, "/heard", heard.append, STREAM)
begin = time.monotonic()
while not (heard and publisher.get_subscription_count()) and time.monotonic() < begin + 15.0:
    rclpy.spin_once(node, timeout_sec=0.1)
publisher.publish(String(data="hello"))
time.sleep(0.3)

held = set()
for fd in os.listdir("/proc/self/fd"):
    with contextlib.suppress(OSError):
        held.add(os.readlink(f"/proc/self/fd/{fd}"))
sockets = [line.split() for line in open("/proc/net/udp").read().splitlines()[1:]]
print(json.dumps({
    "addresses": sorted({words[1].split(":")[0] for words in sockets if f"socket:[{words[9]}]" in held}),
    "segments": sum("fastrtps_" in line and "/dev/shm" in line for line in open("/proc/self/maps")),
    "heard": len(heard),
    "told": publisher.get_subscription_count(),
}))
"""
ANSWERS = """
import rclpy
from std_msgs.msg import String
from spark_ros.nodes.qos import STREAM

rclpy.init()
node = rclpy.create_node("other")
publisher = node.create_publisher(String, "/heard", STREAM)
node.create_subscription(String, "/told", lambda _: print("told", flush=True), STREAM)
node.create_timer(0.05, lambda: publisher.publish(String(data="hello")))
rclpy.spin(node)
"""
LOOPBACK = "0100007F"  # as the kernel writes 127.0.0.1


def test_a_gateway_that_is_kept_here_listens_on_the_loopback_interface_alone() -> None:
    claim = claim_domain("auto")
    usual = child_environment(domain_id=claim.domain_id, local_only=True)
    apart = child_environment(domain_id=claim.domain_id, local_only=True, transport=Transport.NO_SEGMENT)
    other = subprocess.Popen([sys.executable, "-c", ANSWERS], env=usual, stdout=subprocess.PIPE, text=True)
    try:
        ran = subprocess.run(
            [sys.executable, "-c", SAYS_WHAT_IT_HAS], env=apart, capture_output=True, text=True, timeout=60
        )
        assert ran.returncode == 0, ran.stderr[-2000:]
        has = json.loads(ran.stdout.splitlines()[-1])
        assert has["heard"] > 0 and has["told"] == 1
        assert other.stdout is not None and other.stdout.readline() == "told\n"
    finally:
        other.kill()
        other.wait()
        claim.release()
    assert has["segments"] == 0
    assert has["addresses"] == [LOOPBACK]

"""Two cameras and an arm on the ROS graph, at a rate, until told to end; then what was sent, as JSON in a file.

python -m benchmarks.recorder.source FACTOR REPORT      # FACTOR times 30 Hz and 200 Hz
"""

from __future__ import annotations

import json
import signal
import sys
import threading
import time
from pathlib import Path

import rclpy
from sensor_msgs.msg import Image, JointState

from benchmarks.recorder.scene import CAMERAS, messages, stamped
from spark_ros import topics
from spark_ros.data.cdr_messages import IMAGE
from spark_ros.nodes import qos

CAMERA_HZ, JOINTS_HZ, HEIGHT, WIDTH = 30.0, 200.0, 480, 640
BEHIND_S = 0.1


def main() -> None:
    """Publish in real time, stamped when sent; where this machine cannot keep the rate, later and fewer, and said."""
    factor, report = float(sys.argv[1]), Path(sys.argv[2])
    ended = threading.Event()
    rclpy.init(signal_handler_options=rclpy.signals.SignalHandlerOptions.NO)
    signal.signal(signal.SIGINT, lambda *_: ended.set())
    node = rclpy.create_node("source")
    publishers = {topics.camera_image(camera): (Image, topics.camera_image(camera)) for camera in CAMERAS}
    publishers |= {topic: (JointState, topic) for topic in (topics.JOINT_STATES, topics.GATEWAY_SETPOINT)}
    senders = {topic: node.create_publisher(kind, name, qos.STREAM) for topic, (kind, name) in publishers.items()}
    sent: dict[str, list[int]] = {topic: [] for topic in senders}
    late_s, begin = 0.0, time.monotonic()
    for topic, kind, cdr, due_ns in messages(factor * CAMERA_HZ, factor * JOINTS_HZ, HEIGHT, WIDTH, 0):
        if ended.is_set():
            break
        ahead = begin + due_ns * 1e-9 - time.monotonic()
        if ahead > 0.0:
            time.sleep(ahead)
        elif ahead < -BEHIND_S:  # a camera does not send what it missed
            begin, late_s = begin - ahead, late_s - ahead
        stamp = time.time_ns()
        senders[topic].publish(stamped(cdr, stamp))
        if kind == IMAGE:
            sent[topic].append(stamp)
    report.write_text(json.dumps({"sent": sent, "late_s": late_s}), encoding="utf-8")
    node.destroy_node()
    rclpy.try_shutdown()


if __name__ == "__main__":
    main()

"""A node that only answers: an image in, features out that it had before. What ROS takes for the way there and back.

python -m benchmarks.speed.relay CAMERA TOKENS CHANNELS
"""

from __future__ import annotations

import sys

import numpy as np
import rclpy
from rclpy.node import Node
from sensor_msgs.msg import Image

from spark_ros import topics
from spark_ros.contracts import StateFeatures
from spark_ros.nodes import qos
from spark_ros.nodes.messages import image_from_features
from spark_ros.nodes.run import run


class Relay(Node):
    """Answers with the stamp of what came."""

    def __init__(self, camera: str, tokens: int, channels: int) -> None:
        super().__init__("relay")
        self._answer = image_from_features(StateFeatures(camera, np.zeros((tokens, channels), np.float32), 0))
        self._to = self.create_publisher(Image, topics.camera_features(camera), qos.STREAM)
        self.create_subscription(Image, topics.camera_image(camera), self._hear, qos.NEWEST_FRAME)

    def _hear(self, message: Image) -> None:
        self._answer.header.stamp = message.header.stamp
        self._to.publish(self._answer)


def main() -> int:
    """Entry point."""
    camera, tokens, channels = rclpy.utilities.remove_ros_args(sys.argv)[1:]
    return run(lambda: Relay(camera, int(tokens), int(channels)))


if __name__ == "__main__":
    raise SystemExit(main())

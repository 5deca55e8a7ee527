"""Cameras and an arm for the recorder, spoken for by the test itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from graph_for_tests import GraphUnderTest, NodeUnderTest
from sensor_msgs.msg import Image, JointState

from spark_ros import topics
from spark_ros.contracts import Frame
from spark_ros.contracts import JointState as Joints
from spark_ros.nodes.messages import image_from_frame, message_from_joints
from spark_ros.robots.spec import load_robot

SPEC = load_robot("fr3")
NAMES = (*SPEC.joint_names, *SPEC.gripper.joint_names)
CAMERAS = ("front", "wrist")


class Robot:
    """Cameras at 10 Hz, joint states and setpoints at 100 Hz, from the graph's client; each can be silenced."""

    def __init__(self, graph: GraphUnderTest) -> None:
        create = graph.client.create_publisher
        self._clock = graph.client.get_clock()
        self._images = {camera: create(Image, topics.camera_image(camera), 10) for camera in CAMERAS}
        self._joints = create(JointState, topics.JOINT_STATES, 10)
        self._setpoints = create(JointState, topics.GATEWAY_SETPOINT, 10)
        self.cameras, self.commands, self.fingers = set(CAMERAS), True, True
        self.sent: list[int] = []
        self.felt: list[int] = []
        graph.client.create_timer(0.1, self._see)
        graph.client.create_timer(0.01, self._feel)

        self.lag_ns, self.moving, self.frozen = 0, False, False
        self._position = np.concatenate([SPEC.home, [0.04, 0.04]])

    def _see(self) -> None:
        stamp = self._clock.now().nanoseconds - self.lag_ns
        self.sent.append(stamp)
        for camera in self.cameras:
            image = np.full((24, 32, 3), 0 if self.frozen else len(self.sent) % 256, np.uint8)
            self._images[camera].publish(image_from_frame(Frame(camera, image, stamp)))

    def _feel(self) -> None:
        state = Joints(NAMES, self._position, np.zeros(9), self._clock.now().nanoseconds)
        self.felt.append(state.stamp_ns)
        message = message_from_joints(state if self.fingers else state.select(SPEC.joint_names))
        self._joints.publish(message)
        if self.moving:
            self._position = self._position + 0.01
        if self.commands:
            self._setpoints.publish(message)


def start_recorder(graph: GraphUnderTest, folder: Path, **parameters: object) -> NodeUnderTest:
    parameters = {
        "folder": str(folder),
        "task": "lift the cube",
        "operator": "test",
        "start_disk_mb": 10.0,
        "stop_disk_mb": 5.0,
        **parameters,
    }
    return graph.start("recorder", **parameters)

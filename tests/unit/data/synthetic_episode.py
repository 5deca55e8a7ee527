"""One synthetic episode for the tests of this folder: an arm that moves in a known way, seen by two cameras."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spark_ros import topics
from spark_ros.contracts import Command, Frame, JointState, TeleopInput
from spark_ros.data.cdr_messages import encode_frame, encode_joints, encode_joy, encode_setpoint, encode_text
from spark_ros.data.episode_writer import EpisodeWriter
from spark_ros.robots.spec import RobotSpec

T0 = 1_700_000_000_000_000_000
MS = 1_000_000
METADATA = {"task": "lift the cube", "robot": "fr3", "seed": 7, "operator": "expert"}


@dataclass
class Script:
    """What happens in a synthetic episode; times in seconds after T0."""

    spec: RobotSpec
    duration: float = 3.0
    excluded: tuple[float, float] = (0.0, 0.0)
    skew_s: float = 0.0

    def q(self, t: float) -> np.ndarray:
        """Commanded joints: every joint has its own constant speed."""
        return self.spec.home + 0.05 * np.arange(1, 8) * t

    def measured(self, t: float) -> np.ndarray:
        return self.q(t - 0.02)

    def width(self, t: float) -> float:
        return 0.08 - 0.02 * t

    def image(self, camera: str, t: float) -> np.ndarray:
        image = np.zeros((24, 32, 3), np.uint8)
        image[..., 0] = round(10 * t)
        image[..., 1] = 100 if camera == "wrist" else 50
        return image

    def messages(self) -> list[tuple[int, str, tuple[str, bytes]]]:
        """(stamp, topic, message), in stamp order."""
        spec, out = self.spec, []
        names = (*spec.joint_names, *spec.gripper.joint_names)
        out.append((T0, topics.GATEWAY_MODE, encode_text("teleop")))
        for i in range(round(self.duration * 100)):
            t, stamp = i / 100, T0 + i * 10 * MS
            fingers = np.full(2, self.width(t) / 2)
            state = JointState(names, np.concatenate([self.measured(t), fingers]), np.full(9, 0.05), stamp)
            out.append((stamp, topics.JOINT_STATES, encode_joints(state)))
            command = Command(spec.joint_names, self.q(t), np.zeros(7), self.width(t), None)
            setpoint = encode_setpoint(command, spec.gripper, stamp)
            out.append((stamp, topics.GATEWAY_SETPOINT, setpoint))
            if i % 5 == 0:
                imitate = not self.excluded[0] <= t < self.excluded[1]
                teleop = TeleopInput(np.zeros(6), self.width(t), True, imitate, stamp)
                out.append((stamp, topics.TELEOP_JOY, encode_joy(teleop, spec.gripper.max_width)))
            if i % 10 == 0:
                for camera in ("front", "wrist"):
                    seen = stamp + (round(self.skew_s * 1e9) if camera == "wrist" else 0)
                    frame = Frame(camera, self.image(camera, t), seen)
                    out.append((seen, topics.camera_image(camera), encode_frame(frame)))
        return sorted(out, key=lambda entry: entry[0])

    def write(self, writer: EpisodeWriter) -> None:
        for stamp, topic, (msg_type, cdr) in self.messages():
            writer.write(topic, msg_type, cdr, stamp + 3 * MS, stamp)

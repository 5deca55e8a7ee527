"""Which topics an episode holds, and what the recorder knows of each."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import TwistStamped
from rclpy.qos import QoSProfile
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, JointState, Joy, TimeReference
from std_msgs.msg import Float32, String
from trajectory_msgs.msg import JointTrajectory, MultiDOFJointTrajectory

from spark_ros import topics
from spark_ros.adapters.base import Opening
from spark_ros.adapters.registry import make_arm_adapter, make_gripper_adapter
from spark_ros.data.cdr import has_header, header_stamp_ns
from spark_ros.data.validate import DEFAULT_LIMITS
from spark_ros.nodes import diagnostics
from spark_ros.nodes.diagnostics import Rate
from spark_ros.nodes.outgoing import message_type
from spark_ros.nodes.qos import LATCHED, RECORDING
from spark_ros.robots.spec import RobotSpec

RECENT_MESSAGES = 200  # a fifth of a second of a 1 kHz arm: any gripper's driver speaks within that


@dataclass
class Stream:
    """One recorded topic.

    Attributes:
        topic: Its name.
        message_type: Its class.
        required: Whether an episode may not begin without it.
        qos: How it is subscribed to.
        gap_s: Longest pause that can be learnt across.
        rate: How often it arrives.
        latest: The last message, kept for latched topics only.
        recent: The last messages, kept for joint states only: they tell which joints the publishers speak of.
        stamps_ns: The last stamps.
    """

    topic: str
    message_type: type
    required: bool = False
    qos: QoSProfile = field(default_factory=lambda: RECORDING)
    gap_s: float = float("inf")
    rate: Rate = field(default_factory=Rate)
    latest: bytes | None = None
    recent: deque[bytes] = field(default_factory=lambda: deque(maxlen=RECENT_MESSAGES))
    stamps_ns: deque[int] = field(default_factory=lambda: deque(maxlen=RECENT_MESSAGES))

    @property
    def type_name(self) -> str:
        """Type as ROS writes it, e.g. ``sensor_msgs/msg/Image``."""
        return f"{self.message_type.__module__.split('.')[0]}/msg/{self.message_type.__name__}"

    def take(self, cdr: bytes) -> int | None:
        """Take note of a message; its stamp in ns, None for a type without."""
        self.rate.tick()
        if self.qos is LATCHED:
            self.latest = cdr
        if self.topic == topics.JOINT_STATES:
            self.recent.append(cdr)
        if not has_header(self.type_name):
            return None
        stamp_ns = header_stamp_ns(cdr)
        self.stamps_ns.append(stamp_ns)
        return stamp_ns


def streams(robot: RobotSpec, cameras: list[str], compressed: bool = False) -> list[Stream]:
    """Everything an episode holds.

    Args:
        robot: The arm.
        cameras: Names of the cameras.
        compressed: Whether their images are taken as image_transport compresses them.
    """
    image = CompressedImage if compressed else Image
    camera_s, joint_s = DEFAULT_LIMITS.camera_gap_s, DEFAULT_LIMITS.joint_gap_s
    return [
        *(Stream(topics.camera_image(name, compressed), image, required=True, gap_s=camera_s) for name in cameras),
        *(Stream(topics.camera_info(name), CameraInfo) for name in cameras),
        Stream(topics.JOINT_STATES, JointState, required=True, gap_s=joint_s),
        Stream(topics.GATEWAY_SETPOINT, JointState),
        Stream(topics.GATEWAY_MODE, String, qos=LATCHED),
        Stream(topics.GATEWAY_TRACE, TimeReference),
        Stream(topics.TELEOP_TWIST, TwistStamped),
        Stream(topics.TELEOP_JOINTS, JointState),
        Stream(topics.TELEOP_JOY, Joy),
        Stream(topics.EE_CHUNK, MultiDOFJointTrajectory),
        Stream(topics.JOINT_CHUNK, JointTrajectory),
        Stream(topics.EE_DELTA_CHUNK, MultiDOFJointTrajectory),
        Stream(topics.JOINT_DELTA_CHUNK, JointTrajectory),
        Stream(topics.FEATURE_CONTRACT, String, qos=LATCHED),
        Stream(topics.DRIFT, Float32),
        Stream(diagnostics.TOPIC, DiagnosticArray),
        *(Stream(topic, kind) for topic, kind in command_topics(robot).items()),
        Stream(topics.SIM_STATE, String),
    ]


def joint_parts(joint_states: Iterable[bytes]) -> int:
    """How many publishers share the joints among them: the arm's driver and the gripper's may speak for themselves."""
    parts = {frozenset(deserialize_message(cdr, JointState).name) for cdr in joint_states}
    joints = [name for part in parts for name in part]
    return len(parts) if len(joints) == len(set(joints)) else 1


def command_topics(robot: RobotSpec) -> dict[str, type]:
    """Every topic that the gateway could command this robot on, with its message class; it uses one for the arm."""
    kinds = dict.fromkeys(interface.kind for interface in robot.vendor.arm)
    adapters = [*(make_arm_adapter(robot, kind) for kind in kinds), make_gripper_adapter(robot)]
    return {adapter.topic: message_type(adapter.form) for adapter in adapters if adapter.form is not Opening}

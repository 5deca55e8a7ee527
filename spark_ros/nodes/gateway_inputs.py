"""What the gateway is told to do, and where the arm is: joint states, action chunks, an operator's hand."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TypeVar

from geometry_msgs.msg import TwistStamped
from rclpy.qos import QoSProfile
from sensor_msgs.msg import JointState, Joy
from trajectory_msgs.msg import JointTrajectory, MultiDOFJointTrajectory

from spark_ros import topics
from spark_ros.contracts import ActionChunk, SparkError, TeleopInput
from spark_ros.control.gateway import Gateway, GatewayConfig
from spark_ros.control.modes import Mode, Outcome
from spark_ros.control.sources import OneSource
from spark_ros.nodes.lifecycle import ManagedNode
from spark_ros.nodes.messages import joints_from_message
from spark_ros.nodes.motion_messages import (
    chunk_from_ee_message,
    chunk_from_joint_message,
    teleop_from_joints,
    teleop_from_messages,
)
from spark_ros.nodes.qos import NEWEST, SENSOR
from spark_ros.nodes.relative_messages import as_changes
from spark_ros.robots.spec import RobotSpec

Read = TypeVar("Read")
CHUNKS = "chunks"


class GatewayInputs:
    """Subscribes for a gateway node; what arrives goes to the core as it is then.

    Attributes:
        accepted: Stamp of the newest chunk that was accepted, and when that was; ns.
    """

    def __init__(self, node: ManagedNode, core: Callable[[], Gateway], spec: RobotSpec, config: GatewayConfig) -> None:
        """Call within the node's `setup`; the core may be replaced."""
        self._node, self._core, self._spec, self._config = node, core, spec, config
        self._joy: tuple[Joy, float] | None = None
        self._policy, self._operator = OneSource("policy"), OneSource("operator")
        self.accepted = (0, 0)
        node.subscribe(JointState, topics.JOINT_STATES, self._on_joints, SENSOR)
        for kind, topic, read in (
            (MultiDOFJointTrajectory, topics.EE_CHUNK, self._ee_chunk),
            (JointTrajectory, topics.JOINT_CHUNK, self._joint_chunk),
            (MultiDOFJointTrajectory, topics.EE_DELTA_CHUNK, lambda message: as_changes(self._ee_chunk(message))),
            (JointTrajectory, topics.JOINT_DELTA_CHUNK, lambda message: as_changes(self._joint_chunk(message))),
        ):
            self._listen(kind, topic, self._policy, Mode.POLICY, self._follower(read), NEWEST, CHUNKS)
        # One operator may well speak on all three: a leader arm that does not lead yet sends a twist of zero.
        self._listen(Joy, topics.TELEOP_JOY, self._operator, Mode.TELEOP, self._on_joy, SENSOR)
        self._listen(TwistStamped, topics.TELEOP_TWIST, self._operator, Mode.TELEOP, self._on_twist, SENSOR)
        self._listen(JointState, topics.TELEOP_JOINTS, self._operator, Mode.TELEOP, self._on_leader, SENSOR)

    def begin(self) -> None:
        """Somebody was engaged: whoever speaks, and whether the deadman is held, is to be heard anew."""
        self._joy = None
        self._policy.begin()
        self._operator.begin()

    def _listen(
        self,
        message_type: type,
        topic: str,
        source: OneSource,
        mode: Mode,
        handler: Callable[[Any], None],
        qos: QoSProfile,
        stream: str = "",
    ) -> None:
        """Subscribes; in `mode` a second source of a stream, by default of a topic, holds the arm."""

        def receive(message: Any, number: int | None) -> None:
            if self._core().mode is mode and (complaint := source.heard(stream or topic, topic, number)) is not None:
                self._core().hold(complaint)
                raise SparkError(complaint)
            handler(message)

        self._node.subscribe(message_type, topic, receive, qos, numbered=True)

    def _on_joints(self, message: JointState) -> None:
        self._check(self._core().on_joint_state(joints_from_message(message), time.monotonic()))

    def _ee_chunk(self, message: MultiDOFJointTrajectory) -> ActionChunk:
        return chunk_from_ee_message(message, self._spec)

    def _joint_chunk(self, message: JointTrajectory) -> ActionChunk:
        return chunk_from_joint_message(message, self._spec)

    def _follower(self, read: Callable[[Any], ActionChunk]) -> Callable[[Any], None]:
        def follow(message: Any) -> None:
            if self._core().mode is not Mode.POLICY:  # elsewhere the policy thinks aloud, which nobody needs to hear of
                return
            chunk = self._or_hold(lambda: read(message))
            outcome = self._core().on_chunk(chunk, time.monotonic())
            if outcome.ok:
                self.accepted = (chunk.stamp_ns, self._node.get_clock().now().nanoseconds)
            self._check(outcome)

        return follow

    def _on_joy(self, message: Joy) -> None:
        self._joy = (message, time.monotonic())
        if message.buttons and not message.buttons[0]:  # at once: a device that is let go of may send no more twists
            self._core().release()

    def _on_twist(self, message: TwistStamped) -> None:
        self._on_teleop(lambda joy: teleop_from_messages(message, joy, self._spec))

    def _on_leader(self, message: JointState) -> None:
        self._on_teleop(lambda joy: teleop_from_joints(message, joy, self._spec))

    def _on_teleop(self, read: Callable[[Joy | None], TeleopInput]) -> None:
        if self._core().mode is not Mode.TELEOP:
            return
        now = time.monotonic()
        # The deadman travels on the joystick's topic and expires with it; after that nothing goes on by itself.
        joy, heard = self._joy or (None, now)
        if now - heard > self._config.teleop_timeout_s:
            reason = f"the operator's joystick stopped {now - heard:.2f} s ago: engage again when it is back"
            self._core().hold(reason)
            return
        teleop = self._or_hold(lambda: read(joy))
        self._check(self._core().on_teleop(teleop, now))

    def _or_hold(self, read: Callable[[], Read]) -> Read:
        """What a message says; who sends one that cannot be read does not move the arm any more."""
        try:
            return read()
        except SparkError as error:
            self._core().hold(str(error))
            raise

    def _check(self, outcome: Outcome) -> None:
        if not outcome.ok:
            self._node.complain(outcome.message)

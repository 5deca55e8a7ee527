"""Replays a recorded episode on the arm of the running graph: in the policy's place, through the gateway as usual."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import JointState as JointStateMsg
from std_msgs.msg import String
from std_srvs.srv import Trigger
from trajectory_msgs.msg import JointTrajectory

from spark_ros import topics
from spark_ros.contracts import JointState, SparkError
from spark_ros.control.modes import Mode
from spark_ros.data.replay import PERIOD_S, Replay
from spark_ros.nodes.calls import call
from spark_ros.nodes.messages import joints_from_message
from spark_ros.nodes.motion_messages import message_from_chunk
from spark_ros.nodes.qos import JOINT_STREAM, LATCHED, NEWEST
from spark_ros.robots.spec import RobotSpec

_APPEAR_S, _ANSWER_S = 5.0, 5.0
_CHUNKS = (topics.JOINT_CHUNK, topics.EE_CHUNK, topics.JOINT_DELTA_CHUNK, topics.EE_DELTA_CHUNK)


def replay_on_arm(
    replay: Replay, spec: RobotSpec, report: Callable[[float], None], domain_id: int | None = None
) -> None:
    """Engage the gateway, replay, and have it hold the arm at the end, whatever the end is.

    Args:
        replay: The plan.
        spec: The arm.
        report: Called with the seconds since the beginning, with every chunk.
        domain_id: ROS domain; None for `ROS_DOMAIN_ID`.

    Raises:
        SparkError: No joint states or no gateway, a policy is running, or the gateway refused or stopped.
    """
    context = rclpy.Context()
    rclpy.init(context=context, domain_id=domain_id, signal_handler_options=SignalHandlerOptions.NO)
    node = rclpy.create_node("replay", context=context)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    spinning = threading.Thread(target=executor.spin, name="replay", daemon=True)
    newest: list[JointState] = []
    mode: list[str] = []

    def keep(message: JointStateMsg) -> None:
        newest[:] = [joints_from_message(message)]

    def follow(message: String) -> None:
        mode[:] = [message.data]

    node.create_subscription(JointStateMsg, topics.JOINT_STATES, keep, JOINT_STREAM)
    node.create_subscription(String, topics.GATEWAY_MODE, follow, LATCHED)
    spinning.start()
    try:
        _wait(lambda: bool(newest), f"nothing came on {topics.JOINT_STATES}: is the arm's driver running?")
        if busy := [topic for topic in _CHUNKS if node.count_publishers(topic)]:
            raise SparkError(f"a policy publishes on {busy[0]}: stop it before replaying")
        newest[0].select((*spec.joint_names, *spec.gripper.joint_names))  # refuses another arm before anything moves
        output = node.create_publisher(JointTrajectory, topics.JOINT_CHUNK, NEWEST)
        _wait(lambda: output.get_subscription_count() > 0, "no gateway listens: start the graph first")
        answer = call(node, Trigger, topics.GATEWAY_ENGAGE_POLICY, Trigger.Request(), _ANSWER_S, appear_s=_APPEAR_S)
        if not answer.success:
            raise SparkError(f"the gateway did not engage: {answer.message}")
        try:
            _wait(lambda: mode == [Mode.POLICY.value], f"the gateway engaged and is {mode} now")
            replay.begin(newest[0])
            begin = node.get_clock().now().nanoseconds
            while not replay.done(now := node.get_clock().now().nanoseconds):
                if mode != [Mode.POLICY.value]:
                    raise SparkError(f"the gateway stopped the replay, its mode is {mode[0]}: its own log says why")
                output.publish(message_from_chunk(replay.chunk(now), spec))
                report((now - begin) * 1e-9)
                time.sleep(PERIOD_S)
        finally:
            call(node, Trigger, topics.GATEWAY_HOLD, Trigger.Request(), _ANSWER_S)
    finally:
        executor.shutdown(2.0)
        spinning.join(2.0)
        node.destroy_node()
        rclpy.try_shutdown(context=context)


def _wait(ready: Callable[[], bool], sentence: str) -> None:
    deadline = time.monotonic() + _APPEAR_S
    while not ready():
        if time.monotonic() > deadline:
            raise SparkError(sentence)
        time.sleep(0.02)

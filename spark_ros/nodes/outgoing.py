"""The messages that `adapters` describe, as ROS messages, and back where the simulated arm listens."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from geometry_msgs.msg import Point, PoseStamped, Quaternion, TwistStamped, Vector3
from std_msgs.msg import Float64MultiArray
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from spark_ros.adapters.base import Floats, Outgoing, StampedPose, StampedTwist, Trajectory, TrajectoryPoint
from spark_ros.contracts import FloatArray
from spark_ros.nodes.messages import header
from spark_ros.nodes.stamps import duration_message, stamp_ns


def message_type(form: type[Outgoing]) -> type:
    """The ROS message class of a form."""
    return _MESSAGES[form][0]


def message_from(outgoing: Outgoing) -> Any:
    """The ROS message."""
    return _MESSAGES[type(outgoing)][1](outgoing)


def outgoing_from(message: Any) -> Outgoing:
    """The description of a message that the simulated arm takes: numbers, a trajectory or a twist."""
    return _DESCRIPTIONS[type(message)](message)


def _from_floats(message: Float64MultiArray) -> Floats:
    return Floats(tuple(message.data))


def _from_trajectory(message: JointTrajectory) -> Trajectory:
    points = []
    for point in message.points:
        position = np.array(point.positions)
        velocity = np.array(point.velocities) if len(point.velocities) else np.zeros_like(position)
        after_s = point.time_from_start.sec + point.time_from_start.nanosec * 1e-9
        points.append(TrajectoryPoint(position, velocity, after_s))
    return Trajectory(tuple(message.joint_names), tuple(points))


def _from_twist(message: TwistStamped) -> StampedTwist:
    linear, angular = message.twist.linear, message.twist.angular
    vector = np.array([linear.x, linear.y, linear.z, angular.x, angular.y, angular.z])
    return StampedTwist(message.header.frame_id, stamp_ns(message.header.stamp), vector)


def _floats(outgoing: Floats) -> Float64MultiArray:
    return Float64MultiArray(data=list(outgoing.values))


def _trajectory(outgoing: Trajectory) -> JointTrajectory:
    return JointTrajectory(
        joint_names=list(outgoing.joint_names),
        points=[
            JointTrajectoryPoint(
                positions=point.position.tolist(),
                velocities=point.velocity.tolist(),
                time_from_start=duration_message(point.after_s),
            )
            for point in outgoing.points
        ],
    )


def _twist(outgoing: StampedTwist) -> TwistStamped:
    message = TwistStamped(header=header(outgoing.stamp_ns, outgoing.frame))
    message.twist.linear = _xyz(Vector3, outgoing.vector[:3])
    message.twist.angular = _xyz(Vector3, outgoing.vector[3:])
    return message


def _pose(outgoing: StampedPose) -> PoseStamped:
    message = PoseStamped(header=header(outgoing.stamp_ns, outgoing.frame))
    x, y, z, w = map(float, outgoing.pose.quaternion)
    message.pose.position = _xyz(Point, outgoing.pose.position)
    message.pose.orientation = Quaternion(x=x, y=y, z=z, w=w)
    return message


def _xyz(kind: type, vector: FloatArray) -> Any:
    x, y, z = map(float, vector)
    return kind(x=x, y=y, z=z)


_MESSAGES: dict[type, tuple[type, Callable[[Any], Any]]] = {
    Floats: (Float64MultiArray, _floats),
    Trajectory: (JointTrajectory, _trajectory),
    StampedTwist: (TwistStamped, _twist),
    StampedPose: (PoseStamped, _pose),
}
_DESCRIPTIONS: dict[type, Callable[[Any], Outgoing]] = {
    Float64MultiArray: _from_floats,
    JointTrajectory: _from_trajectory,
    TwistStamped: _from_twist,
}

"""What `adapters` make of a command, as CDR bytes: who records in process stores what the arm's driver would have got.

`nodes/outgoing.py` makes ROS messages of the same descriptions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from spark_ros.adapters.base import Floats, Outgoing, StampedPose, StampedTwist, Trajectory
from spark_ros.contracts import FloatArray
from spark_ros.data.cdr import NANOSECONDS, header_message, message_class, serialize
from spark_ros.data.cdr_messages import TWIST_STAMPED, Message

FLOATS = "std_msgs/msg/Float64MultiArray"
TRAJECTORY = "trajectory_msgs/msg/JointTrajectory"
POSE_STAMPED = "geometry_msgs/msg/PoseStamped"


def encode_outgoing(outgoing: Outgoing) -> Message:
    """Message type and CDR bytes."""
    name, build = _FORMS[type(outgoing)]
    return name, serialize(name, build(outgoing))


def _floats(outgoing: Floats) -> Any:
    layout = message_class("std_msgs/msg/MultiArrayLayout")(dim=[], data_offset=0)
    return message_class(FLOATS)(layout=layout, data=np.array(outgoing.values, np.float64))


def _trajectory(outgoing: Trajectory) -> Any:
    point_class = message_class("trajectory_msgs/msg/JointTrajectoryPoint")
    points = [
        point_class(
            positions=np.asarray(point.position, np.float64),
            velocities=np.asarray(point.velocity, np.float64),
            accelerations=np.zeros(0),
            effort=np.zeros(0),
            time_from_start=_duration(point.after_s),
        )
        for point in outgoing.points
    ]
    # Stamp zero: begin at once.
    return message_class(TRAJECTORY)(header=header_message(0), joint_names=list(outgoing.joint_names), points=points)


def _twist(outgoing: StampedTwist) -> Any:
    twist = message_class("geometry_msgs/msg/Twist")(
        linear=_xyz("Vector3", outgoing.vector[:3]), angular=_xyz("Vector3", outgoing.vector[3:])
    )
    return message_class(TWIST_STAMPED)(header=header_message(outgoing.stamp_ns, outgoing.frame), twist=twist)


def _pose(outgoing: StampedPose) -> Any:
    x, y, z, w = map(float, outgoing.pose.quaternion)
    pose = message_class("geometry_msgs/msg/Pose")(
        position=_xyz("Point", outgoing.pose.position),
        orientation=message_class("geometry_msgs/msg/Quaternion")(x=x, y=y, z=z, w=w),
    )
    return message_class(POSE_STAMPED)(header=header_message(outgoing.stamp_ns, outgoing.frame), pose=pose)


def _xyz(name: str, vector: FloatArray) -> Any:
    return message_class(f"geometry_msgs/msg/{name}")(*map(float, vector))


def _duration(seconds: float) -> Any:
    sec, nanosec = divmod(round(seconds * NANOSECONDS), NANOSECONDS)
    return message_class("builtin_interfaces/msg/Duration")(sec=sec, nanosec=nanosec)


_FORMS: dict[type, tuple[str, Callable[[Any], Any]]] = {
    Floats: (FLOATS, _floats),
    Trajectory: (TRAJECTORY, _trajectory),
    StampedTwist: (TWIST_STAMPED, _twist),
    StampedPose: (POSE_STAMPED, _pose),
}

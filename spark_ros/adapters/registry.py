"""Adapters by the kind that robot descriptions name: adding one is one file in this folder and one line here."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from spark_ros.adapters.base import Adapter
from spark_ros.adapters.forward_position import ForwardPosition
from spark_ros.adapters.forward_velocity import ForwardVelocity
from spark_ros.adapters.gripper_opening import GripperOpening
from spark_ros.adapters.gripper_position import GripperPosition
from spark_ros.adapters.joint_trajectory import JointTrajectory
from spark_ros.adapters.moveit_servo import MoveItServo
from spark_ros.adapters.target_pose import TargetPose
from spark_ros.adapters.twist import Twist
from spark_ros.contracts import SparkError
from spark_ros.robots.spec import RobotSpec
from spark_ros.robots.vendor import Interface

Maker = Callable[[RobotSpec, Interface], Adapter]

ARM_ADAPTERS: dict[str, Maker] = {
    "forward_position": ForwardPosition,
    "forward_velocity": ForwardVelocity,
    "joint_trajectory": JointTrajectory,
    "twist": Twist,
    "target_pose": TargetPose,
    "moveit_servo": MoveItServo,
}
GRIPPER_ADAPTERS: dict[str, Maker] = {
    "joint_position": GripperPosition,
    "franka_gripper": GripperOpening,
    "gripper_command": GripperOpening,
}


def make_arm_adapter(spec: RobotSpec, kind: str | None = None) -> Adapter:
    """What speaks to the arm's driver through its interface of this kind; through the usual one for None.

    Raises:
        SparkError: The robot's description lists no such interface, or nothing speaks it.
    """
    return _make("arm", ARM_ADAPTERS, spec, spec.vendor.arm_interface(kind))


def make_gripper_adapter(spec: RobotSpec, kind: str | None = None) -> Adapter:
    """What speaks to the gripper's driver through its interface of this kind; through the usual one for None.

    Raises:
        SparkError: The robot's description lists no such interface, or nothing speaks it.
    """
    return _make("gripper", GRIPPER_ADAPTERS, spec, spec.vendor.gripper_interface(kind))


def _make(what: str, makers: Mapping[str, Maker], spec: RobotSpec, interface: Interface) -> Adapter:
    if interface.kind not in makers:
        raise SparkError(
            f"{spec.name}'s description names {what} interface '{interface.kind}': choose one of {', '.join(makers)}"
        )
    return makers[interface.kind](spec, interface)

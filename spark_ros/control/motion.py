"""From where the arm should be to what it is told: workspace, inverse kinematics, tool speed, joint limits, gripper.

The same way down for an operator's target and for a policy's, so that neither can do what the other cannot.
"""

from __future__ import annotations

import numpy as np

from spark_ros.contracts import ActionKind, FloatArray, Numbers, Pose, SparkError
from spark_ros.control.collision_guard import CollisionGuard
from spark_ros.control.config import GatewayConfig
from spark_ros.control.executor import Target
from spark_ros.control.gripper import WidthLimiter
from spark_ros.control.limiter import JointSetpoint, Limiter
from spark_ros.control.tool_cap import ToolCap
from spark_ros.control.tool_guard import ToolGuard
from spark_ros.control.way import WayToRest
from spark_ros.robots.clearance import Clearance
from spark_ros.robots.kinematics import Kinematics
from spark_ros.robots.pose import vector_from_pose
from spark_ros.robots.spec import RobotSpec

_IK_ITERATIONS = 10  # a moving target is reached in two or three; more only delays the tick where it is out of reach


class Motion:
    """Holds the arm's present setpoint and moves it towards targets; times are seconds since the last step."""

    def __init__(self, spec: RobotSpec, config: GatewayConfig) -> None:
        """Call `start` before the first step."""
        self._spec = spec
        self._kinematics = Kinematics(spec)
        self._tool_cap, self._tool_guard = ToolCap(self._kinematics, config), ToolGuard(spec)
        self._collision_guard: CollisionGuard | None = None
        if spec.collision is not None:
            self._collision_guard = CollisionGuard(Clearance(spec), config.collision_margin_m)
        self._limiter = Limiter(spec, config, self._tool_cap.permitted, self._guard)
        self._gripper = WidthLimiter(spec.gripper, config.period_s)
        self._reference = spec.home  # joints of the last target: where the next inverse kinematics starts

    def limit_tool_speed(self, speed: float | None) -> None:
        """Moves the tool no faster than this, m/s, and turns it as much slower; None: as fast as the arm may."""
        self._tool_cap.limit_speed(speed)

    @property
    def is_slowed(self) -> bool:
        """True where the tool is slower than the arm may be; the gripper then keeps its opening in `follow`."""
        return self._tool_cap.is_slowed

    @property
    def setpoint(self) -> JointSetpoint:
        """What the arm is told."""
        return self._limiter.setpoint

    @property
    def width(self) -> float:
        """What the gripper is told, m."""
        return self._gripper.width

    @property
    def at_rest(self) -> bool:
        """True where the setpoint does not move."""
        return self._limiter.at_rest

    @property
    def tool(self) -> Pose:
        """Tool pose of the present setpoint."""
        return self._kinematics.forward(self.setpoint.position)

    def start(self, position: FloatArray, width: float) -> None:
        """Starts over, at rest, at these joints (J,), rad, and this opening, m."""
        self._limiter.reset(position)
        self._gripper.reset(width)
        self.forget_target()

    def forget_target(self) -> None:
        """The next target has nothing to do with the last one."""
        self._reference = self.setpoint.position

    def rest(self) -> None:
        """Takes the arm to be at rest at its setpoint, as it is when it was told nothing for a while."""
        self._limiter.reset(self.setpoint.position)

    def stop(self, elapsed_s: float) -> None:
        """Brakes the arm within its limits; the gripper keeps its setpoint, and with it what it holds."""
        self._limiter.stop(elapsed_s)

    def follow(self, target: Target, elapsed_s: float) -> None:
        """Moves arm and gripper towards a target, the tool no further than the workspace.

        Raises:
            SparkError: The target has another length, or is not finite; the arm has not moved.
        """
        self._check(target)
        if target.kind is ActionKind.JOINT_POSITION:
            tool, twist = self._kinematics.forward(target.value), np.zeros(6)
        else:
            tool, twist = Pose(target.value[:3], target.value[3:]), target.rate
        inside = self._spec.workspace.clamp(tool.position)
        free = inside == tool.position
        if target.kind is ActionKind.JOINT_POSITION and free.all():
            self._reference = target.value
            self._limiter.track(target.value, target.rate, elapsed_s)
        else:
            twist = np.concatenate([np.where(free, twist[:3], 0.0), twist[3:]])
            self.follow_tool(Pose(inside, tool.quaternion), twist, elapsed_s)
        if not self.is_slowed:  # the arm is behind its plan: the fingers would close before they are there
            self.follow_width(target.gripper_width, elapsed_s)

    def follow_tool(self, pose: Pose, twist: FloatArray, elapsed_s: float) -> None:
        """Moves the arm towards a tool pose that itself moves with this twist (6,)."""
        self._reference, _ = self._kinematics.solve(pose, self._reference, max_iterations=_IK_ITERATIONS)
        velocity = self._kinematics.joint_velocity(self._reference, twist)
        self._limiter.track(self._reference, velocity, elapsed_s)

    def follow_width(self, width: float, elapsed_s: float) -> None:
        """Moves the gripper towards an opening, m."""
        self._gripper.track(width, elapsed_s)

    def as_value(self, kind: ActionKind, joints: FloatArray) -> FloatArray:
        """Joints (J,) as the absolute action of this kind writes them: (J,) rad or (7,) tool pose."""
        return joints if kind.is_joint else vector_from_pose(self._kinematics.forward(joints))

    def _check(self, target: Target) -> None:
        joints = len(self._spec.joint_names)
        sizes = (joints, joints) if target.kind is ActionKind.JOINT_POSITION else (7, 6)
        if target.value.shape != sizes[:1] or target.rate.shape != sizes[1:]:
            raise SparkError(
                f"{target.kind.value} target has shapes {target.value.shape} and {target.rate.shape}: expected "
                f"{sizes[:1]} and {sizes[1:]} for {self._spec.name}"
            )
        if not (np.isfinite(target.value).all() and np.isfinite(target.rate).all()):
            raise SparkError(f"{target.kind.value} target carries values that are not finite")

    def _guard(self, position: Numbers, way: WayToRest) -> bool:
        """Whether the arm may end up on this way to rest, see `tool_guard`."""
        collision = self._collision_guard
        return self._tool_guard.permits(position, way) and (collision is None or collision.permits(position, way))

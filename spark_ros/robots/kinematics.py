"""Where the tool is, and which joints bring it somewhere: forward and inverse kinematics of one arm.

Built on pinocchio from the joint table of the `RobotSpec`, so that no URDF has to be found at run time. The same
object computes training labels, the policy's proprioception and the gateway's targets.
"""

from __future__ import annotations

import math

import eigenpy
import numpy as np
import pinocchio as pin

from spark_ros.contracts import FloatArray, Pose
from spark_ros.robots.spec import Origin, RobotSpec

# Gauss-Newton leaves about the square of the last step, so these tolerances cost no iteration beyond one of 1e-3;
# a looser one would be heard: an error of 0.1 mm that changes sign at 100 Hz is 20 mm/s of noise.
POSITION_TOLERANCE = 1e-6  # m
ROTATION_TOLERANCE = 1e-5  # rad
_DAMPING = 1e-4 * np.eye(6)  # of joint velocities near singularities
MAX_JOINT_STEP = 0.3  # rad per iteration; the linearisation is worthless beyond


class Kinematics:
    """Kinematics of one arm; q is (J,) rad in the order of `RobotSpec.joint_names`.

    Not safe for use by two threads at once: pinocchio's work space is shared by the calls.

    Attributes:
        spec: The robot.
    """

    def __init__(self, spec: RobotSpec) -> None:
        """Builds the model from the robot's joint table."""
        self.spec = spec
        model = pin.Model()
        parent = 0
        for name, origin in zip(spec.joint_names, spec.joint_origins, strict=True):
            parent = model.addJoint(parent, pin.JointModelRZ(), _placement(origin), name)
        self._frame = model.addFrame(pin.Frame(spec.ee_frame, parent, 0, _placement(spec.tool), pin.FrameType.OP_FRAME))
        self._model = model
        self._data = model.createData()
        self._lower = spec.limits.position_lower
        self._upper = spec.limits.position_upper

    def forward(self, q: FloatArray) -> Pose:
        """The tool in the base frame."""
        pin.framesForwardKinematics(self._model, self._data, q)
        placement = self._data.oMf[self._frame]
        return Pose(placement.translation.copy(), np.array(pin.Quaternion(placement.rotation).coeffs()))

    def jacobian(self, q: FloatArray) -> FloatArray:
        """(6, J): joint velocities to the tool's linear then angular velocity, in the axes of the base frame."""
        return pin.computeFrameJacobian(self._model, self._data, q, self._frame, pin.LOCAL_WORLD_ALIGNED)

    def joint_velocity(self, q: FloatArray, twist: FloatArray) -> FloatArray:
        """(J,) smallest joint velocity, rad/s, that gives the tool this twist (6,); damped near singularities."""
        jacobian = self.jacobian(q)
        return jacobian.T @ eigenpy.LLT(jacobian @ jacobian.T + _DAMPING).solve(twist)

    def solve(
        self,
        target: Pose,
        seed_q: FloatArray,
        posture: FloatArray | None = None,
        posture_gain: float = 0.01,
        max_iterations: int = 30,
    ) -> tuple[FloatArray, bool]:
        """Joints, near `seed_q` and within the position limits, that bring the tool to `target`.

        Levenberg-Marquardt with the error-scaled damping of Sugihara, "Solvability-Unconcerned Inverse Kinematics by
        the Levenberg-Marquardt Method" (T-RO 2011): it converges quadratically near a solution and ends at the
        closest reachable pose, without oscillating, where there is none. A joint that a step would push beyond its
        limit rests there while the others go on.

        Args:
            target: Tool pose in the base frame.
            seed_q: (J,) rad to start from; the previous solution in a stream of targets.
            posture: (J,) rad that a redundant arm is pulled towards; the robot's home if not given.
            posture_gain: Part of the distance to `posture` that one call covers where the tool does not feel it.
                0.01 at 100 Hz lets the elbow settle within a second and moves it slower than any joint limit.
            max_iterations: Gives up after this many steps.

        Returns:
            (J,) rad and whether the tool reaches the target (1e-6 m, 1e-5 rad); if not, the closest that was found.
        """
        model, data, frame = self._model, self._data, self._frame
        goal = pin.SE3(pin.Quaternion(*_scalar_first(target.quaternion)).normalized().matrix(), target.position)
        q = np.clip(seed_q, self._lower, self._upper)
        pull = posture_gain * ((self.spec.home if posture is None else posture) - q)
        best, best_cost = q, math.inf
        for iteration in range(max_iterations + 1):
            pin.computeJointJacobians(model, data, q)
            here = pin.updateFramePlacement(model, data, frame)
            error = _pose_error(here, goal)
            position_error = math.sqrt(error[0] ** 2 + error[1] ** 2 + error[2] ** 2)
            rotation_error = math.sqrt(error[3] ** 2 + error[4] ** 2 + error[5] ** 2)
            cost = position_error**2 + rotation_error**2
            if iteration > 0 and position_error < POSITION_TOLERANCE and rotation_error < ROTATION_TOLERANCE:
                return q, True
            if cost < best_cost and iteration > 0:
                best, best_cost = q, cost
            jacobian = pin.getFrameJacobian(model, data, frame, pin.LOCAL_WORLD_ALIGNED)
            q = self._step(q, jacobian, error, cost, pull if iteration == 0 else None)
        return best, False

    def _step(
        self, q: FloatArray, jacobian: FloatArray, error: FloatArray, cost: float, pull: FloatArray | None
    ) -> FloatArray:
        """One damped step from q, with the null-space motion `pull` in the first one, clamped to the limits."""
        damping = 0.5 * cost + 1e-8
        for _ in range(2):  # a second time without the joints that the first try pushed beyond their limits
            gram = jacobian @ jacobian.T
            gram.flat[::7] += damping
            if pull is None:
                step = jacobian.T @ np.linalg.solve(gram, error)
            else:
                step = pull + jacobian.T @ np.linalg.solve(gram, error - jacobian @ pull)
            largest = np.abs(step).max()
            if largest > MAX_JOINT_STEP:
                step = step * (MAX_JOINT_STEP / largest)
            wanted = q + step
            clamped = np.minimum(np.maximum(wanted, self._lower), self._upper)
            blocked = wanted != clamped
            if not blocked.any():
                break
            jacobian = np.where(blocked, 0.0, jacobian)
            pull = None if pull is None else np.where(blocked, 0.0, pull)
        return clamped


def _placement(origin: Origin) -> pin.SE3:
    return pin.SE3(pin.rpy.rpyToMatrix(np.array(origin.rpy)), np.array(origin.xyz))


def _scalar_first(quaternion: FloatArray) -> tuple[float, float, float, float]:
    x, y, z, w = quaternion
    return float(w), float(x), float(y), float(z)


def _pose_error(here: pin.SE3, goal: pin.SE3) -> FloatArray:
    """(6,) from here to the goal: m, then the rotation vector in base axes, rad."""
    error = np.empty(6)
    error[:3] = goal.translation - here.translation
    error[3:] = pin.log3(goal.rotation @ here.rotation.T)
    return error

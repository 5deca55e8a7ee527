"""Where the frames and the tool of a serial arm are, in plain floats.

The limiter asks this dozens of times a step. Pinocchio answers in the same time, but to hand it joints and to take its
answer back to Python takes several times as long; what needs more than places and speeds asks `Kinematics`.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence

import numpy as np
import pinocchio as pin

from spark_ros.contracts import FloatArray, Numbers
from spark_ros.robots.spec import Origin, RobotSpec

FRAME = 12  # numbers: the axes x, y and z of a frame, then its origin


class Chain:
    """One arm in one posture, which `place` sets; in the base frame. Not safe for use by two threads at once.

    Attributes:
        x: The tool's place, m; `y` and `z` likewise.
        frames: The base, then the frame of every joint, 12 numbers each: axes x, y, z, and the origin, m.
    """

    def __init__(self, spec: RobotSpec) -> None:
        """Takes the robot's joint table; all joints are at zero until they are placed."""
        origins = [*spec.joint_origins, spec.tool]
        self._size = len(spec.joint_origins)
        # Each joint's origin as seen from the frame before, columns first; the tool's comes last.
        self._fixed = array("d", [number for origin in origins for number in (*_columns(origin), *origin.xyz)])
        self.frames = array("d", [1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0] + [0.0] * (FRAME * self._size))
        self.x = self.y = self.z = 0.0
        self.place([0.0] * self._size)

    def place(self, q: Numbers) -> None:
        """Puts the joints at these angles (J), rad.

        Raises:
            IndexError: There are fewer.
        """
        fixed, frames = self._fixed, self.frames
        for joint in range(self._size):
            angle: float = q[joint]
            c, s = math.cos(angle), math.sin(angle)
            at = FRAME * joint
            for axis in range(3):
                xx, yy, zz = frames[at + axis], frames[at + 3 + axis], frames[at + 6 + axis]
                # The joint's axes before it turns, then turned about the last of them; its origin.
                x = xx * fixed[at] + yy * fixed[at + 1] + zz * fixed[at + 2]
                y = xx * fixed[at + 3] + yy * fixed[at + 4] + zz * fixed[at + 5]
                frames[at + 12 + axis] = c * x + s * y
                frames[at + 15 + axis] = c * y - s * x
                frames[at + 18 + axis] = xx * fixed[at + 6] + yy * fixed[at + 7] + zz * fixed[at + 8]
                frames[at + 21 + axis] = (
                    xx * fixed[at + 9] + yy * fixed[at + 10] + zz * fixed[at + 11] + frames[at + 9 + axis]
                )
        at = FRAME * self._size
        x, y, z = fixed[at + 9], fixed[at + 10], fixed[at + 11]
        self.x = frames[at] * x + frames[at + 3] * y + frames[at + 6] * z + frames[at + 9]
        self.y = frames[at + 1] * x + frames[at + 4] * y + frames[at + 7] * z + frames[at + 10]
        self.z = frames[at + 2] * x + frames[at + 5] * y + frames[at + 8] * z + frames[at + 11]

    def twist(self, velocity: Numbers) -> tuple[float, float, float, float, float, float]:
        """The tool's velocity, m/s, then how it turns, rad/s, at these velocities of the joints (J), rad/s."""
        frames = self.frames
        vx = vy = vz = wx = wy = wz = 0.0
        for joint in range(self._size):
            rate: float = velocity[joint]
            at = FRAME * (joint + 1)
            ax, ay, az = rate * frames[at + 6], rate * frames[at + 7], rate * frames[at + 8]
            x, y, z = self.x - frames[at + 9], self.y - frames[at + 10], self.z - frames[at + 11]
            vx += ay * z - az * y
            vy += az * x - ax * z
            vz += ax * y - ay * x
            wx += ax
            wy += ay
            wz += az
        return vx, vy, vz, wx, wy, wz

    def speeds(self, velocity: Numbers) -> tuple[float, float]:
        """The tool's speed, m/s, and how fast it turns, rad/s, at these velocities of the joints (J), rad/s."""
        vx, vy, vz, wx, wy, wz = self.twist(velocity)
        return math.sqrt(vx * vx + vy * vy + vz * vz), math.sqrt(wx * wx + wy * wy + wz * wz)


def tool_levers(spec: RobotSpec) -> FloatArray:
    """(J,) m: how far from each joint's axis the tool can be at most."""
    offsets = [origin.xyz for origin in (*spec.joint_origins, spec.tool)][1:]
    lengths = [float(np.linalg.norm(offset)) for offset in offsets]
    # What is fixed to a joint turns about its z axis at a fixed distance; from there the rest may stretch out.
    return np.array([np.hypot(*offset[:2]) + sum(lengths[joint + 1 :]) for joint, offset in enumerate(offsets)])


def _columns(origin: Origin) -> Sequence[float]:
    columns: Numbers = pin.rpy.rpyToMatrix(np.array(origin.rpy)).T.ravel().tolist()
    return columns

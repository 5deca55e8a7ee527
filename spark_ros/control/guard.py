"""What single joints cannot see: the tool's speed, the walls of its workspace, and the arm in its own way.

`Motion` aims well inside of the first two. That alone keeps neither for every input: joints that change speed one by
one, a singularity, or a joint target whose way leads around can carry the tool past them. So the limiter asks here,
before every step, about the whole way from the step's end to rest. A step after which the arm could not be stopped
within these limits is not taken; the arm then slows down or brakes, which was asked about a step before.
"""

from __future__ import annotations

import numpy as np

from spark_ros.contracts import FloatArray
from spark_ros.robots.clearance import Clearance
from spark_ros.robots.kinematics import Kinematics

# Tracking a target along a wall, or at the highest speed, strays by a little; only beyond that is the step refused.
SPEED_TOLERANCE = 1.01
WALL_TOLERANCE = 0.004  # m
MOST_LOOKS = 6  # distances computed on one way; between two of them the arm turns by hundredths of a rad


class ToolGuard:
    """Judges ways to rest by where the tool passes and how fast."""

    def __init__(self, kinematics: Kinematics) -> None:
        """Takes the limits from the kinematics' robot."""
        spec = kinematics.spec
        self._kinematics = kinematics
        self._lever = kinematics.tool_levers()
        self._linear = SPEED_TOLERANCE * spec.ee_max_linear_speed
        self._angular = SPEED_TOLERANCE * spec.ee_max_angular_speed
        self._lower = (spec.workspace.lower - WALL_TOLERANCE).tolist()
        self._upper = (spec.workspace.upper + WALL_TOLERANCE).tolist()

    def permits(self, position: FloatArray, way: FloatArray) -> bool:
        """True where the tool passes no wall and is nowhere too fast.

        A tool that is beyond a wall already may stay or come in, but not go further out.

        Args:
            position: (J,) rad where the arm is.
            way: (T, 2, J) joint positions and velocities from the step's end to rest.
        """
        # What joints that slow down can still do to the tool, whatever its pose: where that is little enough, the
        # rest of the way needs no look.
        speeds = np.abs(way[:, 1])
        fastest = (speeds @ self._lever).tolist()
        turning = speeds.sum(axis=1).tolist()
        left = (np.abs(way[:, 0] - way[-1, 0]) @ self._lever).tolist()

        x, y, z = self._kinematics.tool_position(position)
        (x0, y0, z0), (x1, y1, z1) = self._lower, self._upper
        x0, y0, z0, x1, y1, z1 = min(x0, x), min(y0, y), min(z0, z), max(x1, x), max(y1, y), max(z1, z)
        linear, angular = self._linear, self._angular
        for row, (q, v) in enumerate(way):
            (x, y, z), (vx, vy, vz, wx, wy, wz) = self._kinematics.tool_motion(q, v)
            room = min(x - x0, x1 - x, y - y0, y1 - y, z - z0, z1 - z)
            if room < 0 or vx * vx + vy * vy + vz * vz > linear**2 or wx * wx + wy * wy + wz * wz > angular**2:
                return False
            if left[row] <= room and fastest[row] <= linear and turning[row] <= angular:
                return True
        return True


class CollisionGuard:
    """Judges ways to rest by how close links come to each other and to the table."""

    def __init__(self, clearance: Clearance, margin_m: float) -> None:
        """Keeps `margin_m` between them."""
        self._clearance = clearance
        self._margin = margin_m
        self._seen: tuple[FloatArray, float] | None = None  # where the last distance was computed, and that distance

    def permits(self, position: FloatArray, way: FloatArray) -> bool:
        """True where the margin is kept all along; from within it, where nothing comes closer than it is.

        Args:
            position: (J,) rad where the arm is.
            way: (T, 2, J) joint positions and velocities from the step's end to rest.
        """
        joints, margin, levers = way[:, 0], self._margin, self._clearance.levers
        if self._seen is not None:
            seen, distance = self._seen
            if (np.abs(joints - seen) @ levers).max() <= distance - margin:
                return True  # joints cannot have brought anything that close since
        row, least = 0, max(1, -(-len(joints) // MOST_LOOKS))
        while True:
            distance = self._clearance.distance(joints[row])
            if distance < margin:
                margin = min(margin, self._clearance.distance(position) - 1e-6)
                if distance < margin:
                    return False
            self._seen = (joints[row], distance)
            beyond = np.abs(joints[row + 1 :] - joints[row]) @ levers > distance - margin
            if row == len(joints) - 1 or not beyond.any():
                return True
            row = min(max(row + 1 + int(np.argmax(beyond)), row + least), len(joints) - 1)

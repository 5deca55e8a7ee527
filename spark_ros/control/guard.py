"""What single joints cannot see: the tool's speed, the walls of its workspace, and the arm in its own way.

`Motion` aims well inside of the first two. That alone keeps neither for every input: joints that change speed one by
one, a singularity, or a joint target whose way leads around can carry the tool past them. So the limiter asks here,
before every step, about the whole way from the step's end to rest. A step after which the arm could not be stopped
within these limits is not taken; the arm then slows down or brakes, which was asked about a step before.

Looking at every position of such a way would take most of a step's time. Both guards look at where it begins, and ask
what the joints can still change from there: no point of the arm moves by more than the joints' turns times its
distances from their axes, the levers. What that leaves open is looked at.
"""

from __future__ import annotations

from math import sqrt
from operator import mul

import numpy as np

from spark_ros.contracts import FloatArray
from spark_ros.control.way import WayToRest
from spark_ros.robots.clearance import Clearance
from spark_ros.robots.kinematics import Kinematics

# Tracking a target along a wall, or at the highest speed, strays by a little; only beyond that is the step refused.
SPEED_TOLERANCE = 1.01
WALL_TOLERANCE = 0.004  # m
MOST_LOOKS = 6  # distances computed on one way; between two of them the arm turns by hundredths of a rad

Box = tuple[list[float], list[float]]
"""Lower and upper corner, x y z, m."""


class ToolGuard:
    """Judges ways to rest by where the tool passes and how fast."""

    def __init__(self, kinematics: Kinematics) -> None:
        """Takes the limits from the kinematics' robot."""
        spec = kinematics.spec
        self._kinematics = kinematics
        levers = kinematics.tool_levers()
        self._levers: list[float] = levers.tolist()
        self._turns = np.column_stack([levers, np.ones_like(levers)])
        self._linear = SPEED_TOLERANCE * spec.ee_max_linear_speed
        self._angular = SPEED_TOLERANCE * spec.ee_max_angular_speed
        self._walls = (spec.workspace.lower - WALL_TOLERANCE).tolist(), (spec.workspace.upper + WALL_TOLERANCE).tolist()

    def permits(self, position: FloatArray, way: WayToRest) -> bool:
        """True where the tool passes no wall and is nowhere too fast.

        A tool that is beyond a wall already may stay or come in, but not go further out.

        Args:
            position: (J,) rad where the arm is.
            way: From the step's end to rest.
        """
        joints, velocity = np.array(way.position), np.array(way.velocity)
        box = self._walls
        room = self._room(joints, velocity, box)
        if room < 0:  # it may be allowed further out
            box = self._box_around(self._kinematics.tool_position(position))
            room = self._room(joints, velocity, box)
        if room < 0:
            return False
        levers, (speed, reach) = self._levers, way.bounds
        if (
            sum(map(mul, levers, reach)) <= room
            and sum(map(mul, levers, speed)) <= self._linear
            and sum(speed) <= self._angular
        ):
            return True  # whatever the arm's pose
        doubtful = self._doubtful(way.passed, box)
        if not doubtful:
            return True
        box = self._box_around(self._kinematics.tool_position(position))
        return all(self._room(way.passed[row, 0], way.passed[row, 1], box) >= 0 for row in doubtful)

    def _box_around(self, tool: list[float]) -> Box:
        """The workspace, out to this point if that is beyond a wall."""
        lower, upper = self._walls
        return list(map(min, lower, tool)), list(map(max, upper, tool))

    def _room(self, joints: FloatArray, velocity: FloatArray, box: Box) -> float:
        """How far the tool is from the nearest wall, m; below zero beyond it, and where the tool is too fast."""
        (x, y, z), (vx, vy, vz, wx, wy, wz) = self._kinematics.tool_motion(joints, velocity)
        if vx * vx + vy * vy + vz * vz > self._linear**2 or wx * wx + wy * wy + wz * wz > self._angular**2:
            return -1.0
        (x0, y0, z0), (x1, y1, z1) = box
        return min(x - x0, x1 - x, y - y0, y1 - y, z - z0, z1 - z)

    def _doubtful(self, passed: FloatArray, box: Box) -> list[int]:
        """The rows of a way (T, 2, J) where the tool may be beyond the box or too fast, as seen from its first one.

        By Taylor's theorem: to joints that have turned by d the tool has moved by J d, and by no more than
        (sum of lever * |d|) * (sum of |d|) / 2 beside it, since a lever bounds what each turn does to each column of
        the Jacobian J; so J v is its velocity but for (sum of lever * |d|) * (sum of |v|). Axes turn by |d|: its
        turning speed is that of J but for (sum of |d|) * (sum of |v|).
        """
        tool, jacobian = self._kinematics.linearised(passed[0, 0])
        turned, speeds = passed[:, 0] - passed[0, 0], passed[:, 1]
        places = (tool + turned @ jacobian[:3].T).tolist()
        twists = (speeds @ jacobian.T).tolist()
        turns = (np.abs(turned) @ self._turns).tolist()
        rates = (np.abs(speeds) @ self._turns[:, 1]).tolist()
        (x0, y0, z0), (x1, y1, z1) = box
        doubtful = []
        for row, ((x, y, z), twist, (shift, turn), rate) in enumerate(zip(places, twists, turns, rates, strict=True)):
            vx, vy, vz, wx, wy, wz = twist
            if (
                min(x - x0, x1 - x, y - y0, y1 - y, z - z0, z1 - z) < 0.5 * shift * turn
                or sqrt(vx * vx + vy * vy + vz * vz) + shift * rate > self._linear
                or sqrt(wx * wx + wy * wy + wz * wz) + turn * rate > self._angular
            ):
                doubtful.append(row)
        return doubtful


class CollisionGuard:
    """Judges ways to rest by how close links come to each other and to the table."""

    def __init__(self, clearance: Clearance, margin_m: float) -> None:
        """Keeps `margin_m` between them."""
        self._clearance = clearance
        self._levers = clearance.levers
        self._lever_list: list[float] = clearance.levers.tolist()
        self._margin = margin_m
        self._seen = [0.0] * len(self._levers)  # where a distance was computed last
        self._free = -1.0  # m: what any point of the arm may have moved by since

    def permits(self, position: FloatArray, way: WayToRest) -> bool:
        """True where the margin is kept all along; from within it, where nothing comes closer than it is.

        Args:
            position: (J,) rad where the arm is.
            way: From the step's end to rest.
        """
        if self._is_free(way):
            return True
        distance = self._clearance.distance(np.array(way.position))
        self._seen, self._free = way.position, distance - self._margin
        if self._is_free(way):
            return True
        margin, row = self._margin, 0
        while True:
            if distance < margin:
                margin = min(margin, self._clearance.distance(position) - 1e-6)
                if distance < margin:
                    return False
            joints = way.passed[:, 0]
            moved = (np.abs(joints[row + 1 :] - joints[row]) @ self._levers).tolist()
            beyond = next((later for later, by in enumerate(moved, row + 1) if by > distance - margin), None)
            if beyond is None:
                return True
            least = max(1, -(-len(joints) // MOST_LOOKS))
            row = min(max(beyond, row + least), len(joints) - 1)
            distance = self._clearance.distance(joints[row])

    def _is_free(self, way: WayToRest) -> bool:
        """True where the joints cannot have brought anything within the margin since the last look."""
        _, reach = way.bounds
        moved = [abs(q - seen) + far for q, seen, far in zip(way.position, self._seen, reach, strict=True)]
        return sum(map(mul, self._lever_list, moved)) <= self._free

"""What single joints cannot see of the tool: how fast it is, and how far from the walls of its workspace.

`ToolCap` aims well inside of both. That alone keeps neither for every input: joints that change speed one by one, a
singularity, or a joint target whose way leads around can carry the tool past them. So the limiter asks here, before
every step, about the whole way from the step's end to rest. A step after which the arm could not be stopped within
these limits is not taken; the arm then slows down or brakes, which was asked about a step before.
"""

from __future__ import annotations

from spark_ros.contracts import Numbers
from spark_ros.control.way import WayToRest
from spark_ros.robots.chain import Chain, tool_levers
from spark_ros.robots.spec import RobotSpec

# Tracking a target along a wall, or at the highest speed, strays by a little; only beyond that is the step refused.
SPEED_TOLERANCE = 1.01
WALL_TOLERANCE = 0.004  # m


class Walls:
    """A box that the tool stays in; lengths in m, in the base frame."""

    def __init__(self, lower: Numbers, upper: Numbers) -> None:
        """Takes two corners, x y z."""
        self._x0, self._y0, self._z0 = lower
        self._x1, self._y1, self._z1 = upper

    def room(self, x: float, y: float, z: float) -> float:
        """How far this point is from the nearest wall; below zero beyond it."""
        return min(x - self._x0, self._x1 - x, y - self._y0, self._y1 - y, z - self._z0, self._z1 - z)

    def out_to(self, x: float, y: float, z: float) -> Walls:
        """The same, out to this point if that is beyond a wall."""
        lower = [min(self._x0, x), min(self._y0, y), min(self._z0, z)]
        return Walls(lower, [max(self._x1, x), max(self._y1, y), max(self._z1, z)])


class ToolGuard:
    """Judges ways to rest by where the tool passes and how fast."""

    def __init__(self, spec: RobotSpec) -> None:
        """Takes the limits from the robot's description."""
        self._chain = Chain(spec)
        self._levers: Numbers = tool_levers(spec).tolist()
        self._linear = SPEED_TOLERANCE * spec.ee_max_linear_speed
        self._angular = SPEED_TOLERANCE * spec.ee_max_angular_speed
        box = spec.workspace
        self._walls = Walls((box.lower - WALL_TOLERANCE).tolist(), (box.upper + WALL_TOLERANCE).tolist())

    def permits(self, position: Numbers, way: WayToRest) -> bool:
        """True where the tool passes no wall and is nowhere too fast.

        A tool that is beyond a wall already may stay or come in, but not go further out.

        Args:
            position: (J) rad where the arm is.
            way: From the step's end to rest.
        """
        chain: Chain = self._chain
        chain.place(position)
        walls: Walls = self._walls
        walls = walls.out_to(chain.x, chain.y, chain.z)
        if not _passes(chain, walls, way.position, way.velocity, self._linear, self._angular):
            return False
        return self._surely_passes(way, walls.room(chain.x, chain.y, chain.z)) or self._passes_all(way, walls)

    def _passes_all(self, way: WayToRest, walls: Walls) -> bool:
        for position, velocity in way.passed:
            if not _passes(self._chain, walls, position, velocity, self._linear, self._angular):
                return False
        return True

    def _surely_passes(self, way: WayToRest, room: float) -> bool:
        """True where it does so all along whatever the arm's pose, with so much room, m, where the way begins.

        The tool moves by no more than the joints' turns times its distances from their axes, the levers.
        """
        shift = speed = turn = 0.0
        for joint in range(len(self._levers)):
            lever: float = self._levers[joint]
            fastest: float = way.speed[joint]
            reach: float = way.reach[joint]
            shift += lever * reach
            speed += lever * fastest
            turn += fastest
        return shift <= room and speed <= self._linear and turn <= self._angular


def _passes(chain: Chain, walls: Walls, position: Numbers, velocity: Numbers, linear: float, angular: float) -> bool:
    """Whether the tool is within the walls and slower than this, m/s and rad/s, at these joints (J), rad and rad/s."""
    chain.place(position)
    moving, turning = chain.speeds(velocity)
    return moving <= linear and turning <= angular and walls.room(chain.x, chain.y, chain.z) >= 0

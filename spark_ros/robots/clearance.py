"""How far an arm is from itself and from the table it stands on.

Links are capsules, wide enough to hold the link's mesh: the distance between two is exact and takes nanoseconds, and
what they report is never more than the true distance.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence

import numpy as np
import pinocchio as pin

from spark_ros.contracts import FloatArray, Numbers, SparkError
from spark_ros.robots.chain import Chain
from spark_ros.robots.shapes import Capsule, CollisionShapes
from spark_ros.robots.spec import RobotSpec

CAPSULE = 9  # numbers: both ends and the middle, m
FRAME = 12  # numbers of a frame in a `Chain`
Index = int  # by another name, since `int` would keep the compiled code from using C's


class Clearance:
    """Smallest distance, for one arm. Not safe for use by two threads at once."""

    def __init__(self, spec: RobotSpec) -> None:
        """Takes the arm's shape from its description.

        Raises:
            SparkError: It has none.
        """
        shapes = spec.collision
        if shapes is None:
            raise SparkError(f"the description of {spec.name} has no section 'collision': its shape is unknown")
        self._chain = Chain(spec)
        self._names = ["the table", *(f"link {capsule.link}" for capsule in shapes.capsules)]
        self._table_z = shapes.table_z
        self._links = array("l", [capsule.link for capsule in shapes.capsules])
        points = [(*capsule.start, *capsule.end, *(capsule.start + capsule.end) / 2) for capsule in shapes.capsules]
        self._fixed = array("d", [number for capsule in points for number in capsule])
        self._p = array("d", self._fixed)  # the same points as placed last, in the base frame
        self._radii = array("d", [capsule.radius for capsule in shapes.capsules])
        # How far a capsule reaches from its middle.
        self._extents = array("d", [c.radius + float(np.linalg.norm(c.end - c.start)) / 2 for c in shapes.capsules])
        self._pairs = array("l", [index for pair in _pairs(shapes) for index in pair])
        over_table = [n for n, capsule in enumerate(shapes.capsules) if capsule.table and capsule.link > 0]
        self._over_table = array("l", over_table)
        self._levers = _levers(spec, shapes)

    @property
    def levers(self) -> FloatArray:
        """(J,) m: how much a distance can change at most by a rad of each joint."""
        return self._levers

    def distance(self, q: Numbers) -> float:
        """The smallest distance, m, at joints (J), rad; below zero where capsules meet."""
        nearest, _, _ = self._nearest(q)
        return nearest

    def closest(self, q: Numbers) -> tuple[float, str, str]:
        """The smallest distance, m, and what is that close, for a person."""
        nearest, one, other = self._nearest(q)
        return nearest, self._names[one], self._names[other]

    def _nearest(self, q: Numbers) -> tuple[float, int, int]:
        """The smallest distance, m, and the numbers of the capsules there, from 1; 0 is the table."""
        self._place(q)
        nearest, one, other = math.inf, 0, 0
        pairs, over_table = self._pairs, self._over_table
        for index in range(len(over_table)):
            distance = self._over(over_table[index])
            if distance < nearest:
                nearest, one, other = distance, over_table[index] + 1, 0
        for index in range(0, len(pairs), 2):
            first, second = pairs[index], pairs[index + 1]
            reach = nearest + self._extents[first] + self._extents[second]
            if self._are_near(CAPSULE * first + 6, CAPSULE * second + 6, reach):
                apart = self._apart(CAPSULE * first, CAPSULE * second)
                distance = apart - self._radii[first] - self._radii[second]
                if distance < nearest:
                    nearest, one, other = distance, first + 1, second + 1
        return nearest, one, other

    def _place(self, q: Numbers) -> None:
        """Puts the ends of every capsule where the joints have them."""
        chain: Chain = self._chain
        chain.place(q)
        frames, fixed, placed = chain.frames, self._fixed, self._p
        for index in range(len(self._links)):
            frame = FRAME * self._links[index]
            for point in range(CAPSULE * index, CAPSULE * index + CAPSULE, 3):
                x, y, z = fixed[point], fixed[point + 1], fixed[point + 2]
                for axis in range(3):
                    at = frame + axis
                    placed[point + axis] = frames[at] * x + frames[at + 3] * y + frames[at + 6] * z + frames[at + 9]

    def _over(self, index: Index) -> float:
        """How far a capsule is above the table, m."""
        at = CAPSULE * index
        return min(self._p[at + 2], self._p[at + 5]) - self._radii[index] - self._table_z

    def _are_near(self, one: Index, other: Index, reach: float) -> bool:
        """Whether two points are nearer to each other than this, m; where their numbers begin says which points."""
        x = self._p[one] - self._p[other]
        y = self._p[one + 1] - self._p[other + 1]
        z = self._p[one + 2] - self._p[other + 2]
        return reach > 0.0 and x * x + y * y + z * z < reach * reach

    def _apart(self, one: Index, other: Index) -> float:
        """The distance of two segments, m; where the numbers of their ends begin says which segments.

        Their closest points are found as in Ericson, "Real-Time Collision Detection" (2005), section 5.1.9.
        """
        p = self._p
        # Along the one, along the other, and from the other's start to the one's.
        ax, ay, az = p[one + 3] - p[one], p[one + 4] - p[one + 1], p[one + 5] - p[one + 2]
        bx, by, bz = p[other + 3] - p[other], p[other + 4] - p[other + 1], p[other + 5] - p[other + 2]
        rx, ry, rz = p[one] - p[other], p[one + 1] - p[other + 1], p[one + 2] - p[other + 2]
        aa, bb, ab = ax * ax + ay * ay + az * az, bx * bx + by * by + bz * bz, ax * bx + ay * by + az * bz
        ar, br = ax * rx + ay * ry + az * rz, bx * rx + by * ry + bz * rz
        # s along the one, t along the other, both from 0 to 1; where both run alike, any s serves.
        across = aa * bb - ab * ab
        s = min(max((ab * br - ar * bb) / across, 0.0), 1.0) if across > 1e-12 * aa * bb else 0.0
        t = (ab * s + br) / bb if bb > 0.0 else 0.0
        if t < 0.0 or t > 1.0 or bb <= 0.0:
            t = min(max(t, 0.0), 1.0)
            s = min(max((ab * t - ar) / aa, 0.0), 1.0) if aa > 0.0 else 0.0
        x, y, z = rx + s * ax - t * bx, ry + s * ay - t * by, rz + s * az - t * bz
        return math.sqrt(x * x + y * y + z * z)


def _pairs(shapes: CollisionShapes) -> Sequence[tuple[int, int]]:
    """Indices of the capsules that could meet."""
    touching = {frozenset(pair) for pair in shapes.touching}
    links = [capsule.link for capsule in shapes.capsules]
    return [
        (first, second)
        for first in range(len(links))
        for second in range(first + 1, len(links))
        if abs(links[first] - links[second]) > 1 and frozenset((links[first], links[second])) not in touching
    ]


def _levers(spec: RobotSpec, shapes: CollisionShapes) -> FloatArray:
    """(J,) m: by how much a rad of each joint can change the distance of any two capsules, or of one and the table.

    A joint between two links turns either about its axis as the other sees it, so the nearer one counts: the base, for
    one, hardly moves for a hand that circles around it.
    """
    # By joint, counted from 1 like the links they move.
    origins = spec.joint_origins
    frames = [(np.eye(3), np.zeros(3)), *((pin.rpy.rpyToMatrix(np.array(at.rpy)), at.xyz) for at in origins)]
    lengths = [float(np.linalg.norm(offset)) for _, offset in frames]

    def of_moved(capsule: Capsule, joint: int) -> float:
        """How far its points can be from the axis of a joint that moves it."""
        if joint == capsule.link:
            return capsule.radius + max(float(np.hypot(*end[:2])) for end in (capsule.start, capsule.end))
        rigid = float(np.hypot(*frames[joint + 1][1][:2]))  # from this joint's axis to the next one's frame
        beyond = sum(lengths[joint + 2 : capsule.link + 1])
        return rigid + beyond + capsule.radius + max(float(np.linalg.norm(end)) for end in (capsule.start, capsule.end))

    def of_resting(capsule: Capsule, joint: int) -> float:
        """How far its points can be from the axis of a joint further along the arm."""
        turned, offset = frames[capsule.link + 1]
        between = [end - offset for end in (capsule.start, capsule.end)]
        if joint == capsule.link + 1:  # an axis that is fixed in its link
            return capsule.radius + max(float(np.linalg.norm(np.cross(turned[:, 2], line))) for line in between)
        beyond = sum(lengths[capsule.link + 2 : joint + 1])
        return beyond + capsule.radius + max(float(np.linalg.norm(line)) for line in between)

    levers = np.zeros(len(spec.joint_origins))
    for first, second in _pairs(shapes):
        near, far = sorted((shapes.capsules[first], shapes.capsules[second]), key=lambda capsule: capsule.link)
        for joint in range(near.link + 1, far.link + 1):
            levers[joint - 1] = max(levers[joint - 1], min(of_moved(far, joint), of_resting(near, joint)))
    upright = abs(frames[1][0][2, 2]) > 1 - 1e-12  # the first axis: to turn about it brings nothing nearer the table
    for capsule in shapes.capsules:
        for joint in range(1 + upright, capsule.link + 1 if capsule.table else 0):
            levers[joint - 1] = max(levers[joint - 1], of_moved(capsule, joint))
    return levers

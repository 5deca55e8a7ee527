"""How far an arm is from itself and from the table it stands on.

Links are capsules, wide enough to hold the link's mesh: the distance between two is exact and takes nanoseconds, and
what they report is never more than the true distance.
"""

from __future__ import annotations

from collections.abc import Sequence

import coal
import numpy as np
import pinocchio as pin

from spark_ros.contracts import FloatArray
from spark_ros.robots.shapes import Capsule, CollisionShapes


class Clearance:
    """Smallest distance, for one arm. Not safe for use by two threads at once."""

    def __init__(self, model: pin.Model, shapes: CollisionShapes) -> None:
        """Takes the arm's kinematic model, whose joint n carries link n."""
        self._model, self._data = model, model.createData()
        self._shapes = pin.GeometryModel()
        for index, capsule in enumerate(shapes.capsules):
            self._shapes.addGeometryObject(_geometry(f"capsule {index}", capsule))
        table = coal.Halfspace(np.array([0.0, 0.0, 1.0]), shapes.table_z)
        top = self._shapes.addGeometryObject(pin.GeometryObject("table", 0, 0, pin.SE3.Identity(), table))
        for first, second in _pairs(shapes):
            self._shapes.addCollisionPair(pin.CollisionPair(first, second))
        for index, capsule in enumerate(shapes.capsules):
            if capsule.table and capsule.link > 0:
                self._shapes.addCollisionPair(pin.CollisionPair(index, top))
        self._scratch = self._shapes.createData()
        self._levers = _levers(model, shapes)

    @property
    def levers(self) -> FloatArray:
        """(J,) m: how much a distance can change at most by a rad of each joint."""
        return self._levers

    def distance(self, q: FloatArray) -> float:
        """The smallest distance, m, at joints (J,), rad; below zero where capsules meet."""
        pin.updateGeometryPlacements(self._model, self._data, self._shapes, self._scratch, q)
        nearest = pin.computeDistances(self._shapes, self._scratch)
        return float(self._scratch.distanceResults[nearest].min_distance)

    def closest(self, q: FloatArray) -> tuple[float, str, str]:
        """The smallest distance, m, and what is that close, for a person."""
        self.distance(q)
        distances = [result.min_distance for result in self._scratch.distanceResults]
        pair = self._shapes.collisionPairs[int(np.argmin(distances))]
        return min(distances), *(self._name(index) for index in (pair.first, pair.second))

    def _name(self, index: int) -> str:
        shape = self._shapes.geometryObjects[index]
        return "the table" if shape.name == "table" else f"link {shape.parentJoint}"


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


def _levers(model: pin.Model, shapes: CollisionShapes) -> FloatArray:
    """(J,) m: by how much a rad of each joint can change the distance of any two capsules, or of one and the table.

    A joint between two links turns either about its axis as the other sees it, so the nearer one counts: the base, for
    one, hardly moves for a hand that circles around it.
    """
    frames = [(np.array(placement.rotation), np.array(placement.translation)) for placement in model.jointPlacements]
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
        rotation, offset = frames[capsule.link + 1]
        between = [end - offset for end in (capsule.start, capsule.end)]
        if joint == capsule.link + 1:  # an axis that is fixed in its link
            return capsule.radius + max(float(np.linalg.norm(np.cross(rotation[:, 2], line))) for line in between)
        beyond = sum(lengths[capsule.link + 2 : joint + 1])
        return beyond + capsule.radius + max(float(np.linalg.norm(line)) for line in between)

    levers = np.zeros(model.nq)
    for first, second in _pairs(shapes):
        near, far = sorted((shapes.capsules[first], shapes.capsules[second]), key=lambda capsule: capsule.link)
        for joint in range(near.link + 1, far.link + 1):
            levers[joint - 1] = max(levers[joint - 1], min(of_moved(far, joint), of_resting(near, joint)))
    upright = abs(frames[1][0][2, 2]) > 1 - 1e-12  # the first axis: to turn about it brings nothing nearer the table
    for capsule in shapes.capsules:
        for joint in range(1 + upright, capsule.link + 1 if capsule.table else 0):
            levers[joint - 1] = max(levers[joint - 1], of_moved(capsule, joint))
    return levers


def _geometry(name: str, capsule: Capsule) -> pin.GeometryObject:
    along = capsule.end - capsule.start
    length = float(np.linalg.norm(along))
    rotation = pin.Quaternion.FromTwoVectors(np.array([0.0, 0.0, 1.0]), along if length > 0 else np.array([0, 0, 1.0]))
    placement = pin.SE3(rotation.matrix(), (capsule.start + capsule.end) / 2)
    return pin.GeometryObject(name, capsule.link, 0, placement, coal.Capsule(capsule.radius, length))

"""What an arm can bump into itself and the table with, as its description says.

Apart from `clearance`, which computes with it: every node reads descriptions, and perception, for one, needs no library
of kinematics and collisions, 50 MB of memory.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from spark_ros.contracts import FloatArray


@dataclass(frozen=True)
class Capsule:
    """All points within `radius` of a line segment that is fixed in a link.

    Attributes:
        link: 0 is the base; n moves with joint n, counted from 1, and is given in that joint's frame.
        start: (3,) m.
        end: (3,) m.
        radius: m.
        table: Whether it must keep away from the table; fingers must not.
    """

    link: int
    start: FloatArray
    end: FloatArray
    radius: float
    table: bool


@dataclass(frozen=True)
class CollisionShapes:
    """What an arm can bump into itself and the table with.

    Attributes:
        capsules: In any order; several may belong to a link.
        touching: Pairs of links that are always close, and never checked; neighbours are not either.
        table_z: Height of the table in the base frame, m.
    """

    capsules: tuple[Capsule, ...]
    touching: tuple[tuple[int, int], ...]
    table_z: float


def shapes_from(doc: Mapping[str, Any] | None, joints: int) -> CollisionShapes | None:
    """Reads the section `collision` of a robot's description; None where there is none.

    Raises:
        KeyError: A key is missing.
        ValueError: A value makes no sense.
    """
    if doc is None:
        return None
    capsules = tuple(
        Capsule(int(entry["link"]), _point(entry["from"]), _point(entry["to"]), float(entry["radius"]), entry["table"])
        for entry in doc["capsules"]
    )
    if any(not 0 <= capsule.link <= joints or capsule.radius <= 0 for capsule in capsules):
        raise ValueError(f"collision.capsules need a positive radius and a link from 0 to {joints}")
    touching = tuple((int(first), int(second)) for first, second in doc["touching"])
    return CollisionShapes(capsules, touching, float(doc["table_z"]))


def _point(values: Sequence[float]) -> FloatArray:
    point = np.array(values, dtype=np.float64)
    if point.shape != (3,) or not np.all(np.isfinite(point)):
        raise ValueError("the ends of a capsule must be 3 finite numbers")
    point.setflags(write=False)
    return point

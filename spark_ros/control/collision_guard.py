"""What single joints cannot see of the arm: how close its links come to each other and to the table.

The limiter asks here, before every step, about the whole way from the step's end to rest, as it asks the tool's guard.
Distances are looked at where bounds of the way leave doubts: no point of the arm moves by more than the joints' turns
times its distances from their axes, the levers.
"""

from __future__ import annotations

from spark_ros.contracts import Numbers
from spark_ros.control.way import WayToRest
from spark_ros.robots.clearance import Clearance

MOST_LOOKS = 6  # distances computed on one way; between two of them the arm turns by hundredths of a rad


class CollisionGuard:
    """Judges ways to rest by how close links come to each other and to the table."""

    def __init__(self, clearance: Clearance, margin_m: float) -> None:
        """Keeps `margin_m` between them."""
        self._clearance = clearance
        self._levers: Numbers = clearance.levers.tolist()
        self._still: Numbers = [0.0] * len(self._levers)
        self._margin = margin_m
        self._seen = self._still  # where a distance was computed last
        self._free = -1.0  # m: what any point of the arm may have moved by since

    def permits(self, position: Numbers, way: WayToRest) -> bool:
        """True where the margin is kept all along; from within it, where nothing comes closer than it is.

        Args:
            position: (J) rad where the arm is.
            way: From the step's end to rest.
        """
        if self._is_free(way):
            return True
        clearance: Clearance = self._clearance
        distance = clearance.distance(way.position)
        self._seen, self._free = way.position, distance - self._margin
        if self._is_free(way):
            return True
        margin: float = self._margin
        passed, row = way.passed, 0
        least = max(1, -(-len(passed) // MOST_LOOKS))
        while True:
            if not distance >= margin:  # so that one that is not a number permits nothing
                margin = min(margin, clearance.distance(position) - 1e-6)
                if not distance >= margin:
                    return False
            beyond = self._beyond(passed, row, distance - margin)
            if beyond == row:
                return True
            row = min(max(beyond, row + least), len(passed) - 1)
            distance = clearance.distance(passed[row][0])

    def _beyond(self, passed: list[tuple[Numbers, Numbers]], row: int, free: float) -> int:
        """The first row after this one before which a point of the arm may have moved by more than is free, m.

        The same row where there is none.
        """
        here, _ = passed[row]
        for later in range(row + 1, len(passed)):
            there, _ = passed[later]
            if _moved(self._levers, here, there, self._still) > free:
                return later
        return row

    def _is_free(self, way: WayToRest) -> bool:
        """True where the joints cannot have brought anything within the margin since the last look."""
        return _moved(self._levers, self._seen, way.position, way.reach) <= self._free


def _moved(levers: Numbers, before: Numbers, after: Numbers, further: Numbers) -> float:
    """How far any point can have moved at most, m, from joints (J), rad, to others and by so much further."""
    total = 0.0
    for joint in range(len(levers)):
        lever: float = levers[joint]
        begin: float = before[joint]
        end: float = after[joint]
        more: float = further[joint]
        total += lever * (abs(end - begin) + more)
    return total

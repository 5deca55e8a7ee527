"""What the observer wrote down, as arrays."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spark_ros.contracts import FloatArray, SparkError

Stamps = NDArray[np.int64]


@dataclass(frozen=True)
class Tape:
    """A stretch of time; all times of receipt are monotonic ns.

    Attributes:
        command_ns: (C,) when a command to the arm was received.
        command: (C, J) rad, its positions.
        setpoint_ns: (S,) when the gateway's statement of a command was received.
        stamp_ns: (S,) its own stamp, by the clock of the stamps.
        position: (S, J) rad.
        velocity: (S, J) rad/s.
        joint_ns: (A,) when a state of the arm itself was received.
        joint_position: (A, J) rad.
        joint_velocity: (A, J) rad/s.
        modes: Times of receipt and the gateway's modes.
        blind_ms: For how long at most the observer itself did not run.
    """

    command_ns: Stamps
    command: FloatArray
    setpoint_ns: Stamps
    stamp_ns: Stamps
    position: FloatArray
    velocity: FloatArray
    joint_ns: Stamps
    joint_position: FloatArray
    joint_velocity: FloatArray
    modes: tuple[tuple[int, str], ...]
    blind_ms: float = 0.0


def read_tape(path: Path, joints: int, offset: int = 0) -> Tape:
    """The observer's file from a byte on; a line that begins before it does not count.

    Args:
        path: The file.
        joints: J, of the robot.
        offset: Where to begin.

    Raises:
        SparkError: A line is none of the observer's.
    """
    with path.open("rb") as file:
        file.seek(max(offset - 1, 0))
        if offset:  # the size of a file may tell of half a line while the other half is being written
            file.readline()
        lines = file.read().decode("utf-8").split("\n")[:-1]
    rows: dict[str, list[list[str]]] = {kind: [] for kind in "csjmb"}
    sizes = {"c": joints, "s": 1 + 2 * joints, "j": 2 * joints, "m": 1, "b": 1}
    for line in lines:
        kind, *words = line.split(" ")
        if len(words) != 1 + sizes.get(kind, -1):
            raise SparkError(
                f"{path} has the line {line[:60]!r}, which the observer of a {joints}-joint arm never writes"
            )
        rows[kind].append(words)
    commands, setpoints, states = (rows[kind] for kind in "csj")
    return Tape(
        _stamps(commands, 0),
        _floats(commands, 1, joints),
        _stamps(setpoints, 0),
        _stamps(setpoints, 1),
        _floats(setpoints, 2, joints),
        _floats(setpoints, 2 + joints, joints),
        _stamps(states, 0),
        _floats(states, 1, joints),
        _floats(states, 1 + joints, joints),
        tuple((int(when), mode) for when, mode in rows["m"]),
        max((float(blind) for _, blind in rows["b"]), default=0.0),
    )


def _stamps(rows: list[list[str]], column: int) -> Stamps:
    return np.array([int(row[column]) for row in rows], np.int64)


def _floats(rows: list[list[str]], first: int, count: int) -> FloatArray:
    return np.array([row[first : first + count] for row in rows], np.float64).reshape(-1, count)

"""How far an arm and a gripper lag behind what they are told, measured from a recording."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from spark_ros.contracts import FloatArray
from spark_ros.data.episode_reader import JointSeries

LONGEST_S = 0.5
STEP_S = 0.002
MOVED = 0.02  # of the sum over joints, rad or m: less than this says nothing about a lag
FINGERS_MOVED = 0.005  # m
UNEXPLAINED = 0.2  # of the motion: with more left over, the joints did something else than what they were told


@dataclass(frozen=True)
class Lag:
    """The shift in time that explains most of the distance between commands and measurements.

    Attributes:
        lag_s: Positive where the measured joints are late.
        rms: What remains with this shift, rad or m.
        rms_unshifted: What there is without one.
    """

    lag_s: float
    rms: float
    rms_unshifted: float


def measured_lag(told: JointSeries, measured: JointSeries, names: Sequence[str], moved: float = MOVED) -> Lag | None:
    """Lag of these joints.

    Args:
        told: Commands.
        measured: What the joints did; both on one clock.
        names: The joints.
        moved: How far the joints must have moved, in sum.

    Returns:
        The lag; None where the joints hardly moved or did not follow, or too little was recorded.
    """
    if len(told) < 2 or len(measured) < 2:
        return None
    commands, begin = told.columns(names), told.stamps_ns[0]
    if np.ptp(commands, axis=0).sum() < moved:
        return None
    told_s, measured_s = (told.stamps_ns - begin) * 1e-9, (measured.stamps_ns - begin) * 1e-9
    inside = (measured_s >= LONGEST_S) & (measured_s <= told_s[-1])
    if np.count_nonzero(inside) < 10:
        return None
    times, positions = measured_s[inside], measured.columns(names)[inside]
    lags = np.arange(0.0, LONGEST_S, STEP_S)
    rms = np.array([_rms(told_s, commands, times - lag, positions) for lag in lags])
    best = int(np.argmin(rms))
    if rms[best] > UNEXPLAINED * float(np.std(commands, axis=0).max()):
        return None  # fingers on an object do not follow at all, whatever the shift
    return Lag(round(float(lags[best]), 4), float(rms[best]), float(rms[0]))


def _rms(told_s: FloatArray, told: FloatArray, times: FloatArray, measured: FloatArray) -> float:
    """What is left when the commands at `times` are taken from the measured positions, constant offsets aside."""
    shifted = np.stack([np.interp(times, told_s, column) for column in told.T], axis=1)
    rest = measured - shifted
    rest = rest - rest.mean(axis=0)  # an arm that hangs below its setpoint is not late
    return float(np.sqrt((rest**2).mean()))

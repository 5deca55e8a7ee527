"""What is added to a velocity so that an arm that is told velocities stays where its positions should be.

Velocities alone would let every lost message, rounding and disturbance add up. The correction is slow and small: it is
the planned velocity that moves the arm, which is within the limits, and a correction that could not be told from noise
is left out at rest, so that an arm that should stand still is told zero.
"""

from __future__ import annotations

import numpy as np

from spark_ros.contracts import FloatArray

# 1/s. A driver and its joint states together are up to 0.1 s late: a fifth of a radian of phase at this gain.
GAIN = 2.0


def corrected(planned: FloatArray, gap: FloatArray, largest: float, ignored: float) -> FloatArray:
    """The planned velocity and what closes the gap.

    Args:
        planned: (n,) velocity, in some unit per second.
        gap: (n,) what is missing to where the arm should be, in that unit.
        largest: The correction's length is no more than this.
        ignored: At rest a gap shorter than this is left alone.
    """
    length = float(np.linalg.norm(gap))
    if length < ignored and not planned.any():
        return planned
    closing = GAIN * gap
    speed = GAIN * length
    return planned + (closing * (largest / speed) if speed > largest else closing)

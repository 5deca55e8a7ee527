"""From one chunk to the next without a kink: the soft mask of real-time chunking, applied to a policy's output.

Real-time chunking (Black, Galliker and Levine, "Real-Time Execution of Action Chunking Flow Policies",
arXiv:2506.07339) freezes the steps of a new chunk that pass while it is computed, and steers the others towards the
chunk under way by a weight that falls to zero. A flow or diffusion policy does this while it denoises (their section
4.1), and so finds a chunk that it means. The policies here regress their chunks in one pass and cannot be steered:
here the same weights mix the two finished chunks. That is *not* real-time chunking. It removes the jump as well, but
between a way left and a way right around something it takes the middle, as every average does.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from spark_ros.contracts import ActionChunk, FloatArray
from spark_ros.robots.pose import slerp


def soft_mask(horizon: int, delay: int, execution: int) -> FloatArray:
    """(H,) weights of the chunk under way, eq. 5 of arXiv:2506.07339.

    ::

        W_i = 1                          i < d
              c_i (e^c_i - 1) / (e - 1)  d <= i < H - s,  c_i = (H - s - i) / (H - s - d + 1)
              0                          H - s <= i

    1 for the `delay` steps that pass before the new chunk is there, 0 for the last `execution` steps, which the chunk
    under way does not reach. Where the two overlap (d > H - s) the latter wins, as in the authors' own program
    (Physical-Intelligence/real-time-chunking-kinetix, `get_prefix_weights` with schedule "exp"), against which this
    was checked.

    Args:
        horizon: H, steps in a chunk.
        delay: d, steps from the observation until its chunk is there.
        execution: s, steps from one observation to the next.
    """
    step = np.arange(horizon)
    soft_end = horizon - execution
    frozen = min(delay, soft_end)
    c = np.clip((soft_end - step) / (soft_end - frozen + 1), 0.0, 1.0)
    weights = c * np.expm1(c) / (math.e - 1.0)
    return np.where(step < frozen, 1.0, np.where(step < soft_end, weights, 0.0))


def blended(chunk: ActionChunk, under_way: ActionChunk, weights: FloatArray) -> ActionChunk:
    """The new chunk, drawn towards what is under way.

    Args:
        chunk: The new one, absolute.
        under_way: Where the present plan is at the new chunk's due times; of the same kind and length.
        weights: (H,) of `under_way`.
    """
    part = weights[:, None]
    values = part * under_way.values + (1.0 - part) * chunk.values
    if not chunk.kind.is_joint:
        triples = zip(chunk.values[:, 3:], under_way.values[:, 3:], weights.tolist(), strict=True)
        values[:, 3:] = [slerp(new, old, weight) for new, old, weight in triples]
    width = weights * under_way.gripper_width + (1.0 - weights) * chunk.gripper_width
    return replace(chunk, values=values, gripper_width=width)

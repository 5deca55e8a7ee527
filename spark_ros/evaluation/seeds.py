"""Seeds of worlds: those of an evaluation never occur among demonstrations."""

from __future__ import annotations

from spark_ros.contracts import SparkError

FIRST_DEMO = 100_000
FIRST_EVALUATION = 1_000_000_000  # room for 999,900,000 demonstrations before it
_LAST = 2**31 - 1  # a ROS parameter holds more; a number that fits everywhere is worth the limit


def evaluation_seeds(seed: int, episodes: int) -> list[int]:
    """Seeds of the worlds that ``--seed S --episodes N`` stands for.

    Raises:
        SparkError: The numbers are negative, none, or beyond the range.
    """
    if seed < 0 or episodes < 1 or FIRST_EVALUATION + seed + episodes - 1 > _LAST:
        raise SparkError(
            f"{episodes} episodes from seed {seed} are not possible: give at least one episode and a seed from 0 to "
            f"{_LAST - FIRST_EVALUATION - max(episodes, 1) + 1}"
        )
    first = FIRST_EVALUATION + seed
    return list(range(first, first + episodes))

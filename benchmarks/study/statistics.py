"""Success with its uncertainty: a stratified, paired bootstrap over policies and episodes.

A *cluster* is one episode of one policy: its outcomes under the suite's shifts belong together and are drawn together.
Clusters are drawn within their stratum (task and number of demonstrations), which all count alike.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from benchmarks.study.rows import Row
from spark_ros.evaluation.statistics import wilson95

DRAWS = 10_000
Stratum = tuple[str, int]  # task, demonstrations
Cluster = tuple[int, int]  # seed of the policy, number of the episode
Outcomes = Mapping[Stratum, Mapping[Cluster, Mapping[str, bool]]]


def outcomes(rows: Sequence[Row], without: Sequence[str] = ()) -> dict[Stratum, dict[Cluster, dict[str, bool]]]:
    """Successes of one arm by stratum, cluster and shift.

    Args:
        rows: Of one suite, arm and checkpoint; where an episode occurs twice the later row counts.
        without: Shifts to leave out.
    """
    found: dict[Stratum, dict[Cluster, dict[str, bool]]] = {}
    for row in rows:
        if row.shift not in without:
            for episode, success in zip(row.episodes, row.success, strict=True):
                clusters = found.setdefault((row.task, row.demos), {})
                clusters.setdefault((row.seed, episode), {})[row.shift] = success
    return found


def success(arm: Outcomes) -> tuple[float, tuple[float, float]]:
    """Mean success, and its 95% interval, both as parts of 1. There must be an episode."""
    values = {
        stratum: [float(np.mean(list(shifts.values()))) for shifts in clusters.values()]
        for stratum, clusters in arm.items()
    }
    mean, interval = bootstrap(values)
    flat = [value for part in values.values() for value in part]
    if len(set(flat)) == 1 and flat[0] in (0.0, 1.0):  # all alike: drawing again shows nothing, Wilson's interval does
        interval = wilson95(round(flat[0] * len(flat)), len(flat))
    return mean, (max(0.0, interval[0]), min(1.0, interval[1]))  # widened, it may leave what a rate can be


def difference(arm: Outcomes, reference: Outcomes) -> tuple[float, tuple[float, float], int] | None:
    """Success of an arm minus that of a reference on the same policies' seeds, episodes and shifts.

    Returns:
        The difference, its 95% interval, and the number of pairs of clusters; None without a pair.
    """
    values: dict[Stratum, list[float]] = {}
    for stratum, clusters in arm.items():
        for cluster, shifts in clusters.items():
            other = reference.get(stratum, {}).get(cluster, {})
            pairs = [float(shifts[shift]) - float(other[shift]) for shift in shifts if shift in other]
            if pairs:
                values.setdefault(stratum, []).append(float(np.mean(pairs)))
    count = sum(map(len, values.values()))
    if not count:
        return None
    mean, interval = bootstrap(values)
    if interval[0] == interval[1] == 0.0:  # not one pair differs
        largest = wilson95(0, count)[1]
        interval = (-largest, largest)
    return mean, interval, count


def bootstrap(
    strata: Mapping[Stratum, Sequence[float]], draws: int = DRAWS, seed: int = 0
) -> tuple[float, tuple[float, float]]:
    """Mean of the strata's means, and the percentile interval (95%) of its bootstrap distribution.

    The deviations are widened by sqrt(n / (n - 1)) in each stratum: a bootstrap draws from the sample and so knows its
    mean one degree of freedom too well, which shows with five episodes.

    Args:
        strata: Values of the clusters of each, at least one value in all.
        draws: Bootstrap samples.
        seed: Of the draws: the same rows give the same interval.
    """
    generator = np.random.default_rng(seed)
    means = []
    for values in strata.values():
        data = np.asarray(values, np.float64)
        drawn = data[generator.integers(0, len(data), size=(draws, len(data)))].mean(axis=1)
        widen = np.sqrt(len(data) / (len(data) - 1)) if len(data) > 1 else 1.0
        means.append(data.mean() + widen * (drawn - data.mean()))
    low, high = np.quantile(np.mean(means, axis=0), (0.025, 0.975))
    return float(np.mean([np.mean(values) for values in strata.values()])), (float(low), float(high))

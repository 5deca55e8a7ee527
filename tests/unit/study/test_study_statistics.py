from __future__ import annotations

import numpy as np
import pytest
from study_for_tests import row

from benchmarks.study.statistics import bootstrap, difference, outcomes, success


def test_the_interval_covers_the_truth_as_often_as_it_says() -> None:
    """Three tasks of unlike difficulty, 12 episodes each: 95% nominal, a small sample may cost a little."""
    generator = np.random.default_rng(1)
    rates = {("a", 1): 0.3, ("b", 1): 0.6, ("c", 1): 0.8}
    truth, covered = np.mean(list(rates.values())), 0
    for _ in range(300):
        values = {stratum: list(generator.random(12) < rate) for stratum, rate in rates.items()}
        _, (low, high) = bootstrap(values, draws=500)
        covered += low <= truth <= high
    assert 0.90 <= covered / 300 <= 0.99


def test_pairing_narrows_the_interval_of_a_difference() -> None:
    generator = np.random.default_rng(0)
    hard = generator.random(200) < 0.5  # the same scenes are hard for both
    lucky = generator.random(200) < 0.1
    arm = outcomes([row("spark@fr3", hard | lucky)])
    same, shuffled = (outcomes([row("vanilla-9", values)]) for values in (hard, generator.permutation(hard)))
    paired, unpaired = difference(arm, same), difference(arm, shuffled)
    assert paired is not None and unpaired is not None
    assert paired[0] == pytest.approx(np.mean(hard | lucky) - np.mean(hard))
    assert np.ptp(paired[1]) < 0.7 * np.ptp(unpaired[1])
    assert paired[1][0] > 0.0


def test_every_task_weighs_the_same_however_many_episodes_it_has() -> None:
    rows = [row("random", [1] * 40), row("random", [0] * 10, task="place")]
    assert success(outcomes(rows))[0] == 0.5


def test_episodes_that_all_end_alike_do_not_give_certainty() -> None:
    rate, (low, high) = success(outcomes([row("random", [0] * 5)]))
    assert (rate, low) == (0.0, 0.0) and 0.3 < high < 0.6
    compared = difference(outcomes([row("spark@fr3", [1] * 5)]), outcomes([row("random", [1] * 5)]))
    assert compared is not None and compared[1][0] < -0.3 and compared[1][1] > 0.3


def test_only_what_both_arms_did_is_compared() -> None:
    arm = outcomes([row("spark@fr3", [1, 1, 1, 1]), row("spark@fr3", [1], shift="table")])
    other = outcomes([row("vanilla-9", [0, 1]), row("vanilla-9", [0], seed=1)])
    compared = difference(arm, other)
    assert compared is not None and compared[0] == 0.5 and compared[2] == 2
    assert difference(arm, outcomes([row("vanilla-9", [0], task="place")])) is None

import pytest

from spark_ros.contracts import SparkError
from spark_ros.evaluation.seeds import FIRST_DEMO, FIRST_EVALUATION, evaluation_seeds
from spark_ros.evaluation.statistics import percentiles, wilson95


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [
        (19, 20, 0.7639, 0.9911),  # R: binom::binom.wilson
        (0, 10, 0.0, 0.2775),
        (10, 10, 0.7225, 1.0),
        (50, 100, 0.4038, 0.5962),
    ],
)
def test_the_interval_is_wilsons(successes, trials, low, high):
    assert wilson95(successes, trials) == pytest.approx((low, high), abs=1e-4)


def test_nothing_tried_is_nothing_known():
    assert wilson95(0, 0) == (0.0, 1.0)
    assert percentiles([]) is None


def test_more_successes_than_trials_are_refused():
    with pytest.raises(SparkError, match="3 successes in 2 trials"):
        wilson95(3, 2)


def test_percentiles_are_those_of_the_values():
    found = percentiles(range(101))
    assert found == {"p50": 50.0, "p95": 95.0, "p99": 99.0, "max": 100.0}


def test_scenes_of_evaluations_never_occur_among_demonstrations():
    assert evaluation_seeds(0, 3) == [FIRST_EVALUATION, FIRST_EVALUATION + 1, FIRST_EVALUATION + 2]
    assert min(evaluation_seeds(0, 1)) > FIRST_DEMO + 10**8
    assert set(evaluation_seeds(0, 5)).isdisjoint(evaluation_seeds(5, 5))


@pytest.mark.parametrize(("seed", "episodes"), [(-1, 1), (0, 0), (2**31, 1)])
def test_seeds_out_of_range_are_refused(seed, episodes):
    with pytest.raises(SparkError, match="seed from 0 to"):
        evaluation_seeds(seed, episodes)

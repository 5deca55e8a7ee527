from __future__ import annotations

import json

import numpy as np
import pytest

from spark_ros.contracts import SparkError
from spark_ros.data.statistics import VectorStatistics


def test_statistics_survive_json_exactly() -> None:
    values = np.random.default_rng(0).normal(size=(50, 10, 7)).astype(np.float32)
    statistics = VectorStatistics.of(values)
    np.testing.assert_allclose(statistics.mean, values.reshape(-1, 7).mean(0), atol=1e-6)
    assert statistics.count == 500
    back = VectorStatistics.from_json(json.loads(json.dumps(statistics.to_json())))
    assert json.dumps(back.to_json()) == json.dumps(statistics.to_json())


def test_only_valid_steps_count() -> None:
    values = np.array([[[1.0], [100.0]], [[3.0], [np.nan]]])
    statistics = VectorStatistics.of(values, np.array([[True, False], [True, False]]))
    assert (statistics.mean[0], statistics.maximum[0], statistics.count) == (2.0, 3.0, 2)


def test_nan_and_no_data_are_refused() -> None:
    with pytest.raises(SparkError, match="NaN"):
        VectorStatistics.of(np.array([[np.nan]]))
    with pytest.raises(SparkError, match="no data"):
        VectorStatistics.of(np.zeros((3, 2)), np.zeros(3, bool))
    with pytest.raises(SparkError, match="lack std"):
        VectorStatistics.from_json({"mean": [0.0]})

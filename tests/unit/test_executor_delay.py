"""What the executor study computes from an episode's commands and from paired successes."""

import numpy as np
import pytest

from benchmarks.executor_delay import ENSEMBLE, NEWEST, _show, roughness, summary


def test_roughness_is_that_of_the_worst_joint():
    time = np.arange(0, 1, 0.01)
    smooth = np.stack([0.5 * 2.0 * time**2, np.sin(time)], axis=1)  # 2 rad/s^2 in joint 0
    found = roughness(smooth, 0.01)
    assert found["peak_acceleration"] == found["rms_acceleration"] == pytest.approx(2.0, abs=1e-3)
    assert found["peak_jerk"] == pytest.approx(1.0, abs=0.02)  # the sine's
    assert roughness(smooth[:1], 0.01)["peak_jerk"] == 0.0


def test_successes_are_compared_scene_by_scene(capsys):
    def rows(*successes):
        common = {"duration_s": 3.0, "ending": "time is up", **roughness(np.zeros((9, 7)), 0.01)}
        return [{**common, "success": success} for success in successes]

    reference, other = rows(True, True, False), rows(True, False, True)
    cell = summary(other, reference)
    assert (cell["successes"], cell["only_this_succeeds"], cell["only_newest_succeeds"]) == (2, 1, 1)
    assert cell["failures"] == ["time is up"]
    cells = [{"delay_ms": 0, "way": NEWEST, **summary(reference, reference)}, {"delay_ms": 0, "way": ENSEMBLE, **cell}]
    _show({"episodes": 3, "cells": cells})
    assert "2 of 3" in capsys.readouterr().out

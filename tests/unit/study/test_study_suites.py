from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.study import metaworld_data
from benchmarks.study.arms import ARMS, find_arm
from benchmarks.study.cells import Cell
from benchmarks.study.jobs import CellJob, DataJob, EncoderJob, FilmJob, Settings, make_suites, needs
from benchmarks.study.metaworld_data import MetaWorldData, fuse
from benchmarks.study.post_training import encoder_config
from spark_ros.evaluation.seeds import FIRST_DEMO, FIRST_EVALUATION, evaluation_seeds


def test_states_of_three_frames_become_two_differences_and_the_newest() -> None:
    frames = [np.full((2, 1, 4), value, np.float32) for value in (1.0, 3.0, 7.0)]
    fused = fuse(frames)
    assert fused.shape == (2, 1, 3, 4)
    assert fused[0, 0, :, 0].tolist() == [2.0, 4.0, 7.0]


def test_history_does_not_reach_back_into_another_demonstration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "metaworld5" / "hammer" / "2"
    folder.mkdir(parents=True)
    episode = np.array([0, 0, 0, 1, 1])
    arrays = {"proprioception": np.zeros((5, 4), np.float32), "action": np.zeros((5, 1, 4), np.float32)}
    for name, values in {**arrays, "episode": episode, "images": np.arange(5)}.items():
        np.save(folder / f"{name}.npy", values)
    monkeypatch.setattr(metaworld_data, "encode", lambda encoder, images: np.float16(images[:, None, None] ** 2))
    monkeypatch.setattr(metaworld_data, "fingerprint", lambda encoder: "f" * 64)
    examples = MetaWorldData(tmp_path, "hammer").examples(2, object(), 3)  # type: ignore[arg-type]
    assert examples.tokens[:, 0, :, 0].tolist() == [[0, 0, 0], [0, 1, 1], [1, 3, 4], [0, 0, 9], [0, 7, 16]]


def test_a_cell_waits_for_its_data_and_for_the_video_of_its_encoder(tmp_path: Path) -> None:
    settings = Settings(tmp_path)
    suites = make_suites(settings)
    job = CellJob(Cell("fr3-shift", "lift", "spark@fr3", 50, 0, "last", 0, 5), ("nominal",))
    wanted = needs(job, suites, settings)
    films = [FilmJob("fr3-shift", task) for task in suites["fr3-shift"].tasks]
    assert wanted == [DataJob("fr3-shift", "lift", 50), *films, EncoderJob("spark@fr3")]
    proprio = CellJob(Cell("fr3-shift", "lift", "proprio", 50, 0, "last", 0, 5), ("nominal",))
    assert needs(proprio, suites, settings) == [DataJob("fr3-shift", "lift", 50)]


def test_every_post_trained_arm_has_the_same_budget(tmp_path: Path) -> None:
    settings = Settings(tmp_path)
    suites = make_suites(settings)
    trained = {arm.encoder: arm for arm in ARMS.values() if arm.post_training is not None}
    domains = {name: "fr3-shift" if name.endswith("@fr3") else "metaworld5" for name in trained}
    configs = {name: encoder_config(arm, suites[domains[name]], settings) for name, arm in trained.items()}
    assert len(configs) == 10
    assert len({(config.optimiser, config.seed, config.spark.image_size) for config in configs.values()}) == 1
    assert configs["dyn@fr3"].spark.preserve_weight == 0.0 and configs["kp@fr3"].spark.dynamics_weight == 0.0
    assert configs["crop@metaworld5"].data.same_frame_crop and configs["lora-dyn@fr3"].spark.adaptation == "lora"


def test_arms_of_a_suite_exist_and_lead_with_the_comparison_that_matters(tmp_path: Path) -> None:
    for suite in make_suites(Settings(tmp_path)).values():
        assert [find_arm(name).name for name in suite.arms] == list(suite.arms)
        assert suite.arms[0] == "vanilla-9" and suite.arms[1].startswith("spark@")
        assert find_arm(suite.arms[1]).in_domain(suite.name)
        assert suite.shifts[0] == "nominal"


def test_no_evaluated_scene_is_among_the_demonstrations() -> None:
    assert min(evaluation_seeds(0, 100)) == FIRST_EVALUATION > FIRST_DEMO + 100_000

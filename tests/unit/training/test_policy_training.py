from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from demos_for_training import tiny_run, write_demos

from spark_ros.contracts import SparkError
from spark_ros.training import policy_loop
from spark_ros.training.config import load_config
from spark_ros.training.interrupt import Interrupted
from spark_ros.training.policy_loop import train_policy
from spark_ros.training.policy_run import load_policy_run
from spark_ros.training.run_directory import RunDirectory

SLOW_RUN = """
import sys, time
from spark_ros.contracts import SparkError
from spark_ros.training import policy_loop
from spark_ros.training.config import load_config
losses = policy_loop.sample_losses
def slowly(*arguments):
    time.sleep(0.03)
    return losses(*arguments)
policy_loop.sample_losses = slowly
try:
    policy_loop.train_policy(load_config(None, sys.argv[1:]))
except SparkError as error:
    sys.exit(str(error))
"""


def curve(run_dir: Path) -> list[dict[str, str]]:
    with (run_dir / "metrics.csv").open() as file:
        return [{key: value for key, value in row.items() if key != "minutes"} for row in csv.DictReader(file)]


def start_slow_run(overrides: list[str], run_dir: Path, rows: int) -> subprocess.Popen[str]:
    """A training process, once it has written so many rows of metrics."""
    process = subprocess.Popen([sys.executable, "-c", SLOW_RUN, *overrides], stderr=subprocess.PIPE, text=True)
    metrics = run_dir / "metrics.csv"
    deadline = time.monotonic() + 180  # for a busy machine; otherwise two seconds
    while not metrics.exists() or len(metrics.read_text().splitlines()) < 1 + rows:
        assert process.poll() is None and time.monotonic() < deadline, process.stderr.read()
        time.sleep(0.01)
    return process


def test_a_run_leaves_everything_that_export_needs(make_config) -> None:
    run_dir = train_policy(make_config())
    for name in ("config.yaml", "run.json", "statistics.json", "metrics.csv", "curves.png"):
        assert (run_dir / name).stat().st_size > 0
    rows = curve(run_dir)
    assert [int(row["step"]) for row in rows] == [10, 20, 30, 40]
    assert float(rows[-1]["train_loss"]) < float(rows[0]["train_loss"])
    for which in ("best", "last"):
        policy, info = load_policy_run(run_dir, which)
        assert (info.robot, list(info.cameras), info.task) == ("fr3", ["front", "wrist"], "reach the square")
        assert info.encoder["weights_sha256"] and info.cameras["wrist"].size == 28
        assert sum(episode.split == "validation" for episode in info.episodes) == 1
        space = policy.space
        tokens = torch.zeros(1, 2, space.num_tokens, space.token_dim)
        actions = policy(tokens, torch.zeros(1, space.proprioception_size))
        assert actions.shape == (1, info.action.horizon, len(info.action_names)) and torch.isfinite(actions).all()
    statistics = json.loads((run_dir / "statistics.json").read_text())
    assert statistics["action"]["names"] == list(info.action_names)


def test_a_killed_run_continues_along_the_same_curve(demos: Path, feature_cache: Path, tmp_path: Path) -> None:
    killed, whole = (tiny_run(tmp_path / name, demos, feature_cache) for name in ("killed", "whole"))
    train_policy(load_config(None, whole))
    process = start_slow_run(killed, tmp_path / "killed", rows=2)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert len(curve(tmp_path / "killed")) < 4
    train_policy(load_config(None, killed))
    assert curve(tmp_path / "killed") == curve(tmp_path / "whole")
    weights = [load_policy_run(tmp_path / name, "last")[0].state_dict() for name in ("killed", "whole")]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_ctrl_c_saves_says_so_and_the_run_continues(demos: Path, feature_cache: Path, tmp_path: Path) -> None:
    stopped, whole = (tiny_run(tmp_path / name, demos, feature_cache) for name in ("stopped", "whole"))
    process = start_slow_run(stopped, tmp_path / "stopped", rows=1)
    process.send_signal(signal.SIGINT)
    _, message = process.communicate(timeout=180)
    assert process.returncode == 1
    assert "was saved in" in message and "run the same command to continue" in message
    assert "Traceback" not in message
    train_policy(load_config(None, stopped))
    train_policy(load_config(None, whole))
    assert curve(tmp_path / "stopped") == curve(tmp_path / "whole")


def test_averaged_weights_carry_the_statistics_of_batch_norm(make_config) -> None:
    config = make_config(
        "policy.head=bn_mlp", "policy.options={width: 16}", "encoder={name: frozen, weights: 'random:0', tokens: cls}"
    )
    policy, _ = load_policy_run(train_policy(config), "last")
    assert policy.norm.num_batches_tracked == 40
    assert not torch.equal(policy.norm.running_var, torch.ones_like(policy.norm.running_var))


def test_a_finished_run_is_left_alone(make_config) -> None:
    config = make_config()
    before = (train_policy(config) / "checkpoints" / "last.safetensors").stat().st_mtime_ns
    assert (train_policy(config) / "checkpoints" / "last.safetensors").stat().st_mtime_ns == before


def test_a_loss_that_is_not_finite_stops_with_the_episodes_and_keeps_the_last_good_state(
    make_config, monkeypatch
) -> None:
    config = make_config()
    losses, calls = policy_loop.sample_losses, []

    def breaks_late(model, batch, beta):
        calls.append(1)
        value = losses(model, batch, beta)
        return value * torch.nan if model.training and len(calls) > 15 else value

    monkeypatch.setattr(policy_loop, "sample_losses", breaks_late)
    with pytest.raises(SparkError, match=r"not finite at step 1\d with samples of episode_\d+\.mcap.*last good state"):
        train_policy(config)
    policy, _ = load_policy_run(config.out_dir, "last")
    assert all(torch.isfinite(value).all() for value in policy.state_dict().values())


def test_the_clock_can_end_a_run(make_config) -> None:
    started = time.monotonic()
    config = make_config("optimiser.max_minutes=0.05", "optimiser.max_steps=1000000")
    run_dir = train_policy(config)
    assert time.monotonic() - started < 60
    assert float(curve(run_dir)[-1]["learning_rate"]) < 1e-4  # the schedule came to its end
    train_policy(config)  # finished, not continued


def test_another_configuration_or_other_data_is_refused(make_config, demos: Path, tmp_path: Path) -> None:
    train_policy(make_config("optimiser.max_steps=10"))
    with pytest.raises(SparkError, match=r"was made with optimiser.batch_size=16, this run has 8: .*another out_dir"):
        train_policy(make_config("optimiser.max_steps=10", "optimiser.batch_size=8"))
    train_policy(make_config("optimiser.max_steps=10", "threads=2"))  # where it is computed is nobody's business

    grown = write_demos(tmp_path / "grown", episodes=2)
    first = make_config(f"data.folder={grown}", f"out_dir={tmp_path / 'b'}", "optimiser.max_steps=10")
    train_policy(first)
    (grown / "index.json").unlink()
    for path in grown.glob("*.mcap"):
        path.unlink()
    write_demos(grown, episodes=3)
    with pytest.raises(SparkError, match="number of episodes=2, this run has 3"):
        train_policy(first)


def test_a_mistake_in_the_first_command_can_be_corrected_with_the_same_directory(make_config, tmp_path: Path) -> None:
    with pytest.raises(SparkError, match="there is no folder"):
        train_policy(make_config(f"data.folder={tmp_path / 'misspelt'}", "optimiser.max_steps=10"))
    train_policy(make_config("optimiser.max_steps=10"))


def test_two_processes_never_train_in_one_directory(make_config) -> None:
    config = make_config()
    with RunDirectory(config.out_dir).owned(), pytest.raises(SparkError, match="another process is training in"):
        train_policy(config)


def test_two_tasks_in_one_folder_are_refused(make_config, tmp_path: Path) -> None:
    mixed = write_demos(tmp_path / "mixed", episodes=1)
    write_demos(mixed, episodes=1, task="push the square")
    with pytest.raises(SparkError, match=r"2 tasks \(push the square; reach the square\)"):
        train_policy(make_config(f"data.folder={mixed}"))


def test_ctrl_c_while_encoding_keeps_what_is_encoded(make_config, tmp_path: Path, monkeypatch) -> None:
    from spark_ros.training import features

    encode = features.encode

    def interrupting(encoder, images):
        os.kill(os.getpid(), signal.SIGINT)
        return encode(encoder, images)

    monkeypatch.setattr(features, "encode", interrupting)
    with pytest.raises(Interrupted, match="stopped while encoding"):
        train_policy(make_config(f"cache_dir={tmp_path / 'cache'}"))
    assert len(list((tmp_path / "cache").glob("*.npy"))) == 1


def test_a_damaged_checkpoint_is_named(make_config) -> None:
    run_dir = train_policy(make_config("optimiser.max_steps=10"))
    path = run_dir / "checkpoints" / "best.safetensors"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(SparkError, match=r"best\.safetensors is damaged"):
        load_policy_run(run_dir)
    with pytest.raises(SparkError, match="holds no training run"):
        load_policy_run(run_dir / "checkpoints")


def test_every_epoch_sees_every_sample_once(make_config) -> None:
    from spark_ros.training.batches import SampleSet
    from spark_ros.training.setup import read_samples

    samples, _ = read_samples(make_config())
    tokens = [[np.zeros((len(episode), 2, 1, 1), np.float16)] for episode in samples.episodes]
    everything = SampleSet(samples.episodes, tokens)
    per_epoch = len(everything) // 8
    for epoch in range(2):
        batches = everything.training_batches(8, 0, epoch * per_epoch, (epoch + 1) * per_epoch)
        labels = torch.cat([batch.action for batch in batches]).flatten(1)
        assert len(labels) == per_epoch * 8
    resumed = next(everything.training_batches(8, 0, 5, 6))
    straight = list(everything.training_batches(8, 0, 0, 6))[5]
    assert torch.equal(resumed.action, straight.action)

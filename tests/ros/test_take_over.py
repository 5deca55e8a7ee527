"""A person corrects a running policy and hands back: who drove when stands in the episode, step by step."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path

import bundle_for_tests
import numpy as np
import pytest

from benchmarks.teleop.operators import Terminal, gamepad
from spark_ros.bringup.supervisor import Bringup
from spark_ros.contracts import ActionKind
from spark_ros.data.codec import ActionCodec, Proprioception
from spark_ros.data.dataset_folder import DemoFolder
from spark_ros.data.samples import load_samples
from spark_ros.nodes.demo_client import DemoClient
from spark_ros.robots.kinematics import Kinematics
from spark_ros.robots.spec import load_robot

pytestmark = pytest.mark.ros

SPEC = load_robot("fr3")
PATIENCE_S = 60.0
DRIVE_S = 3.0
PATIENT = "gateway:\n  ros__parameters: {chunk_timeout_s: 10.0, max_chunk_age_s: 10.0, stall_grace_s: 10.0}\n"
LATE_S = 1.0  # a busy machine may tell the recorder of a switch that much later than the test


def wait_for_mode(client: DemoClient, mode: str) -> int:
    """When the gateway was seen in this mode, ns."""
    deadline = time.monotonic() + PATIENCE_S
    while client.mode != mode:
        assert time.monotonic() < deadline, f"the gateway stays in {client.mode}, expected {mode}"
        time.sleep(0.01)
    return time.time_ns()


def test_a_correction_is_labelled_from_the_take_over_to_the_hand_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stay = partial(bundle_for_tests.write_policy, scale=0.0)  # the gateway holds a policy that jumps about
    monkeypatch.setattr(bundle_for_tests, "write_policy", stay)
    bundle = bundle_for_tests.write_bundle(tmp_path / "tiny")
    (tmp_path / "patient.yaml").write_text(PATIENT)
    arguments = {
        "sim": "true", "record": "true", "bundle": str(bundle), "domain": "auto",
        "folder": str(tmp_path / "demos"), "params_file": str(tmp_path / "patient.yaml"),
    }  # fmt: skip
    pressed, seen = [], []  # before and after each switch, ns
    with Bringup("manipulation", arguments, log_directory=tmp_path / "logs") as graph:
        graph.wait_ready()
        words = ("--operator", "policy", "--sim", "--episodes", "1", "--seed", "40")
        with DemoClient(graph.domain_id, "watcher") as client, gamepad(graph.environment, tmp_path) as operator:
            session = Terminal("spark_ros.bringup.record_demos", *words, environment=graph.environment)
            try:
                session.expect("s: start")
                session.type("s")
                session.expect("recording;")
                wait_for_mode(client, "policy")
                time.sleep(DRIVE_S)
                for act, mode in ((lambda: operator.move("left"), "teleop"), (operator.hand_back, "policy")):
                    pressed.append(time.time_ns())
                    act()
                    seen.append(wait_for_mode(client, mode))
                    time.sleep(DRIVE_S)
                session.type("k")
                session.expect("holds 1 successful episodes")
                assert session.process.wait(PATIENCE_S) == 0
            finally:
                session.end()
        graph.check()

    folder = DemoFolder(tmp_path / "demos")
    (entry,) = folder.episodes()
    kinematics = Kinematics(SPEC)
    codec = ActionCodec(ActionKind.EE_POSE, 10, 0.1, kinematics)
    (samples,) = load_samples(folder, ("front", "wrist"), Proprioception(kinematics, SPEC.gripper), codec).episodes
    stamps, corrected = samples.stamps_ns, samples.intervention
    late = round(LATE_S * 1e9)
    before = stamps < pressed[0]
    during = (stamps > seen[0] + late) & (stamps < pressed[1])
    after = stamps > seen[1] + late
    for part in (before, during, after):
        assert part.any(), "each of the three was long enough to have steps"
    assert not corrected[before].any() and corrected[during].all() and not corrected[after].any()
    assert np.count_nonzero(np.diff(corrected.astype(int))) == 2, "one correction, in one piece"
    # What is learnt is the correction: with the deadman free nothing is imitated.
    assert samples.valid[during, 0].any() and not samples.valid[before].any() and not samples.valid[after].any()
    episode = folder.read(entry)
    assert episode.metadata.operator == "policy" and entry.success
    span = (episode.setpoints.stamps_ns > seen[0]) & (episode.setpoints.stamps_ns < pressed[1])
    tool = [kinematics.forward(q).position[1] for q in episode.setpoints.columns(SPEC.joint_names)[span][[0, -1]]]
    assert tool[1] - tool[0] > 0.05, "the person has moved the arm to the left"

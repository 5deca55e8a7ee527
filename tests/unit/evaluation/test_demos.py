import dataclasses

import numpy as np
import pytest
import yaml

from spark_ros import topics
from spark_ros.contracts import ActionKind, SparkError
from spark_ros.control.config import GatewayConfig
from spark_ros.data.codec import ActionCodec, Proprioception
from spark_ros.data.dataset_folder import DemoFolder
from spark_ros.data.mcap_scan import McapScan
from spark_ros.data.samples import load_samples
from spark_ros.evaluation import demos
from spark_ros.evaluation.cell import CAMERA_RATE_HZ
from spark_ros.evaluation.demos import DemoOptions, record_demo, record_demos
from spark_ros.robots.kinematics import Kinematics
from spark_ros.shares import config_file

SEED = 100_000


@pytest.fixture(scope="module")
def demo_folder(tmp_path_factory, small_world):
    """One clean and one perturbed demonstration."""
    folder = DemoFolder(tmp_path_factory.mktemp("demos"))
    with folder.recording():
        for seed, perturbed in ((SEED, False), (SEED + 1, True)):
            assert record_demo(folder, demos.Cell(small_world), seed, perturbed) is not None
    return folder


def test_a_demonstration_is_one_a_policy_can_be_trained_from(demo_folder, small_world):
    kinematics = Kinematics(small_world.spec)
    samples = load_samples(
        demo_folder,
        ("front", "wrist"),
        Proprioception(kinematics, small_world.spec.gripper),
        ActionCodec(ActionKind.EE_POSE, 10, 0.1, kinematics),
    )
    clean, perturbed = samples.episodes
    assert clean.valid.all(), "nothing of an undisturbed demonstration is to be left out"
    assert not perturbed.valid.all(), "straying on purpose is not to be imitated"
    assert perturbed.valid[:, 0].mean() > 0.5
    assert np.all(np.diff(clean.stamps_ns) == 100_000_000)
    entry = clean.entry
    assert (entry.seed, entry.success, entry.robot, entry.task) == (SEED, True, "fr3", small_world.task.instruction)


def test_a_demonstration_holds_what_the_recorder_node_stores(demo_folder, small_world):
    vendor = small_world.spec.vendor
    expected = {  # messages per second
        topics.camera_image("front"): 10,
        topics.camera_image("wrist"): 10,
        topics.camera_info("front"): 10,
        topics.camera_info("wrist"): 10,
        topics.JOINT_STATES: 100,
        topics.GATEWAY_SETPOINT: 100,
        vendor.arm_command_topic: 100,
        vendor.gripper_command_topic: 100,
        topics.TELEOP_TWIST: 20,
        topics.TELEOP_JOY: 20,
        topics.SIM_STATE: 20,
    }
    entry = demo_folder.episodes()[0]
    counts: dict[str, int] = {}
    for message in McapScan(demo_folder.file(entry)):
        counts[message.topic] = counts.get(message.topic, 0) + 1
    assert counts.pop(topics.GATEWAY_MODE) == 2  # idle, teleop
    assert set(counts) == set(expected)
    for topic, rate in expected.items():
        assert counts[topic] / entry.duration_s == pytest.approx(rate, rel=0.08), topic


def test_the_same_seed_is_the_same_demonstration(demo_folder, cell, tmp_path):
    other = DemoFolder(tmp_path)
    with other.recording():
        record_demo(other, cell, SEED, False)
    first, second = (folder.read(folder.episodes()[0]) for folder in (demo_folder, other))
    np.testing.assert_array_equal(first.setpoints.position, second.setpoints.position)
    np.testing.assert_array_equal(first.cameras["wrist"][30].image, second.cameras["wrist"][30].image)


def test_recording_goes_on_with_the_next_seed_until_the_folder_is_full(tmp_path, monkeypatch):
    tried = []

    def record(folder, cell, seed, perturbed):
        tried.append((seed, perturbed))
        if seed == SEED + 1:
            return None  # the expert failed
        entries.append(seed)
        return seed

    class Entry:
        def __init__(self, seed):
            self.seed = seed

    entries: list[int] = []
    monkeypatch.setattr(demos, "record_demo", record)
    monkeypatch.setattr(DemoFolder, "episodes", lambda self: [Entry(seed) for seed in entries])
    options = DemoOptions(image_size=32)
    record_demos(tmp_path, 2, options, progress=False)
    record_demos(tmp_path, 3, options, progress=False)
    record_demos(tmp_path, 3, options, progress=False)
    assert [seed for seed, _ in tried] == [SEED, SEED + 1, SEED + 2, SEED + 3]
    assert [perturbed for _, perturbed in tried] == [False, True, False, True]


def test_an_expert_that_always_fails_ends_the_recording(tmp_path, monkeypatch):
    monkeypatch.setattr(demos, "record_demo", lambda *_: None)
    with pytest.raises(SparkError, match="the expert failed 20 times in a row at lift"):
        record_demos(tmp_path, 1, DemoOptions(image_size=32), progress=False)


def test_ctrl_c_leaves_whole_episodes_only(cell, tmp_path, monkeypatch):
    def interrupt():
        if cell.world.time_s > 1.0:
            raise KeyboardInterrupt
        return act()

    act = cell.act
    monkeypatch.setattr(cell, "act", interrupt)
    folder = DemoFolder(tmp_path)
    with folder.recording(), pytest.raises(KeyboardInterrupt):
        record_demo(folder, cell, SEED, False)
    assert folder.episodes() == []
    assert folder.unfinished() == []


def test_the_cell_runs_at_the_rates_and_settings_of_the_nodes():
    sim = yaml.safe_load(config_file("sim_arm.yaml").read_text())["sim_arm"]["ros__parameters"]
    gateway = yaml.safe_load(config_file("gateway.yaml").read_text())["gateway"]["ros__parameters"]
    config = dataclasses.asdict(GatewayConfig())
    assert sim["camera_rate_hz"] == CAMERA_RATE_HZ
    assert sim["joint_rate_hz"] == gateway["control_rate_hz"] == config["rate_hz"]
    assert sim["image_size"] == DemoOptions().image_size
    for name, value in gateway.items():
        if name in config and config[name] is not None:
            assert value == config[name], name

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks.lerobot import demos
from benchmarks.lerobot.check import train_briefly
from spark_ros.contracts import SparkError
from spark_ros.data.dataset_folder import DemoFolder
from spark_ros.data.lerobot_export import ExportOptions, export_lerobot
from spark_ros.data.lerobot_import import ImportOptions, import_lerobot
from spark_ros.data.lerobot_joints import JointColumns, JointOptions
from spark_ros.robots.spec import RobotSpec

QUIET = ImportOptions(progress=False)
ROWS = "data/chunk-000/file-000.parquet"


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> DemoFolder:
    return demos.write_demos(tmp_path_factory.mktemp("known") / "demos")


@pytest.fixture
def dataset(known: DemoFolder, tmp_path: Path) -> Path:
    export_lerobot(known, tmp_path / "dataset", ExportOptions(images=True, progress=False))
    return tmp_path / "dataset"


def change_info(dataset: Path, **changes: object) -> None:
    path = dataset / "meta/info.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def change_rows(dataset: Path, name: str, values: np.ndarray) -> None:
    table = pq.read_table(dataset / ROWS)
    kind = table.schema.field(name).type
    table = table.set_column(table.column_names.index(name), name, pa.array(values.tolist(), kind))
    pq.write_table(table, dataset / ROWS)


def test_what_was_exported_comes_back_and_goes_out_again_unchanged(dataset: Path, tmp_path: Path) -> None:
    folder = import_lerobot(dataset, tmp_path / "back", QUIET)
    entries = folder.episodes()
    assert [(entry.task, entry.robot, entry.seed, entry.success) for entry in entries] == [
        (task, "fr3", seed, True) for seed, task in enumerate(demos.TASKS)
    ]
    export_lerobot(folder, tmp_path / "again", ExportOptions(images=True, progress=False))
    one, two = (pq.read_table(tmp_path / name / ROWS) for name in ("dataset", "again"))
    assert one.column_names == two.column_names
    for name in one.column_names:
        if name in ("observation.state", "action"):
            values = (np.array(table[name].to_pylist()) for table in (one, two))
            np.testing.assert_allclose(*values, atol=1e-6)
        else:
            assert one[name].to_pylist() == two[name].to_pylist(), name


def test_spans_that_are_not_to_be_imitated_come_back(dataset: Path, tmp_path: Path) -> None:
    imitate = np.array(pq.read_table(dataset / ROWS)["imitate"].to_pylist())
    imitate[5:9] = False
    change_rows(dataset, "imitate", imitate)
    folder = import_lerobot(dataset, tmp_path / "back", QUIET)
    export_lerobot(folder, tmp_path / "again", ExportOptions(images=True, progress=False))
    assert pq.read_table(tmp_path / "again" / ROWS)["imitate"].to_pylist() == imitate.tolist()


def test_importing_twice_gives_the_same_files(dataset: Path, tmp_path: Path) -> None:
    one, two = (import_lerobot(dataset, tmp_path / name, QUIET).episodes() for name in ("one", "two"))
    assert [entry.sha256 for entry in one] == [entry.sha256 for entry in two]


def joint_columns(spec: RobotSpec, names: list[str] | None, **options: object) -> JointColumns:
    description = {"shape": [8], "names": names}
    return JointColumns(spec, "observation.state", description, JointOptions(**options))  # type: ignore[arg-type]


def test_other_names_units_and_grippers(spec: RobotSpec) -> None:
    rows = np.append(spec.home, 0.04)[None].repeat(3, axis=0)
    suffixed = joint_columns(spec, [*(f"{name}.pos" for name in spec.joint_names), "gripper"])
    unnamed = joint_columns(spec, None, joints=tuple("0123456"), gripper="7")
    for columns in (suffixed, unnamed):
        joints, width = columns.read(rows, "here")
        np.testing.assert_allclose(joints, rows[:, :7])
        np.testing.assert_allclose(width, 0.04)
    degrees = np.column_stack([np.rad2deg(rows[:, :7]), [25.0, 50.0, 100.0]])
    columns = joint_columns(spec, None, joints=tuple("0123456"), gripper="7", degrees=True, gripper_range=(0.0, 100.0))
    joints, width = columns.read(degrees, "here")
    np.testing.assert_allclose(joints, rows[:, :7])
    np.testing.assert_allclose(width, spec.gripper.max_width * np.array([0.25, 0.5, 1.0]))


def test_another_unit_than_was_said_is_refused(spec: RobotSpec) -> None:
    columns = joint_columns(spec, None, joints=tuple("0123456"), gripper="7")
    degrees = np.append(np.rad2deg(spec.home), 0.04)[None].repeat(2, axis=0)
    with pytest.raises(SparkError, match=r"rad, fr3 reaches .*: check --robot, --joints and --degrees"):
        columns.read(degrees, "episode 3")
    with pytest.raises(SparkError, match="say with --gripper-range which values"):
        columns.read(np.append(spec.home, 55.0)[None].repeat(2, axis=0), "episode 3")
    with pytest.raises(SparkError, match="holds NaN"):
        columns.read(np.full((2, 8), np.nan), "episode 3")
    with pytest.raises(SparkError, match="it has 0, 1, 2, 3, 4, 5, 6, 7: say with --joints which it is"):
        joint_columns(spec, None)
    with pytest.raises(SparkError, match="2 joints were named, fr3 has 7"):
        joint_columns(spec, None, joints=("0", "1"))


def test_actions_that_are_no_positions_are_refused(dataset: Path, tmp_path: Path) -> None:
    action = np.array(pq.read_table(dataset / ROWS)["action"].to_pylist())
    action[:, 0] = 2.5  # within the limits, and nowhere near
    change_rows(dataset, "action", action)
    with pytest.raises(SparkError, match="expected actions that are absolute joint positions"):
        import_lerobot(dataset, tmp_path / "out", QUIET)
    assert not (tmp_path / "out").exists()


def test_bad_datasets_are_one_sentence(dataset: Path, known: DemoFolder, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(SparkError, match=r"holds no LeRobot dataset: expected one with meta/info\.json"):
        import_lerobot(known.path, out, QUIET)
    with pytest.raises(SparkError, match="has no camera 'back', it has front, wrist"):
        import_lerobot(dataset, out, ImportOptions(cameras=("back",), progress=False))
    with pytest.raises(
        SparkError, match="no episode of the task 'juggle', its tasks are: lift the cube; push the cube"
    ):
        import_lerobot(dataset, out, ImportOptions(task="juggle", progress=False))
    change_info(dataset, robot_type="so101")
    with pytest.raises(SparkError, match="is of 'so101', which is no arm known here: name one of ours with --robot"):
        import_lerobot(dataset, out, QUIET)
    with pytest.raises(SparkError, match=r"observation\.state has no number called shoulder_pan_joint"):
        import_lerobot(dataset, out, ImportOptions("ur5e", progress=False))
    change_info(dataset, robot_type="fr3", fps=3)
    with pytest.raises(SparkError, match="has 3 rows per second, expected at least 4"):
        import_lerobot(dataset, out, QUIET)
    change_info(dataset, codebase_version="v2.1")
    with pytest.raises(SparkError, match=r"is a LeRobot dataset v2\.1, expected v3\.0: convert it"):
        import_lerobot(dataset, out, QUIET)
    assert not out.exists()


def test_a_missing_video_is_one_sentence(known: DemoFolder, tmp_path: Path) -> None:
    export_lerobot(known, tmp_path / "dataset", ExportOptions(progress=False))
    next((tmp_path / "dataset").rglob("*.mp4")).unlink()
    with pytest.raises(SparkError, match=r"file-000\.mp4 is missing, episode 0 lies in it"):
        import_lerobot(tmp_path / "dataset", tmp_path / "out", QUIET)
    assert not (tmp_path / "out").exists()


def test_what_was_imported_trains_a_policy(dataset: Path, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    folder = import_lerobot(dataset, tmp_path / "back", ImportOptions(task="lift the cube", progress=False))
    assert len(folder.episodes()) == 2
    assert (train_briefly(folder.path, tmp_path) / "metrics.csv").stat().st_size > 0

from __future__ import annotations

from pathlib import Path

import pytest

from spark_ros.contracts import ActionKind, SparkError
from spark_ros.training.config import load_config

SHIPPED = Path(__file__).resolve().parents[3] / "config" / "train_policy.yaml"


def test_overrides_win_over_the_file(tmp_path: Path) -> None:
    path = tmp_path / "train.yaml"
    path.write_text("out_dir: out/a\ndata: {folder: demos, cameras: [front]}\noptimiser: {batch_size: 32}\n")
    config = load_config(path, ["optimiser.batch_size=64", "action.kind=joint_position", "data.max_episodes=null"])
    assert (config.out_dir, config.data.cameras, config.optimiser.batch_size) == ("out/a", ("front",), 64)
    assert config.action.kind is ActionKind.JOINT_POSITION


def test_the_shipped_file_names_every_option_with_its_default() -> None:
    import yaml

    from spark_ros.policies.options import write_options

    shipped = load_config(SHIPPED)
    minimal = load_config(None, [f"out_dir={shipped.out_dir}", f"data.folder={shipped.data.folder}"])
    assert shipped == minimal
    written, expected = yaml.safe_load(SHIPPED.read_text()), write_options(minimal)
    assert {key: set(value) if isinstance(value, dict) else None for key, value in written.items()} == {
        key: set(value) if isinstance(value, dict) else None for key, value in expected.items()
    }


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("optimizer.batch_size=3", r"unknown option optimizer: did you mean optimiser\?"),
        ("data.camera=[front]", r"unknown option data.camera: did you mean cameras\?"),
        ("optimiser.batch_size=0", "option optimiser.batch_size is 0: expected at least 1"),
        ("optimiser.batch_size", "override 'optimiser.batch_size' is not understood: write key=value"),
        ("seed=many", "option seed is 'many': expected a whole number"),
        ("seed.x=1", "override 'seed.x=1' is not possible"),
        ("data.cameras=[front, front]", "expected different names"),
        ("data.validation_fraction=1", "expected between 0 and 1"),
    ],
)
def test_a_wrong_override_is_refused_in_one_sentence(override: str, sentence: str) -> None:
    with pytest.raises(SparkError, match=sentence):
        load_config(None, ["out_dir=o", "data.folder=d", "seed=0", override])


def test_a_missing_file_is_named() -> None:
    with pytest.raises(SparkError, match=r"no configuration file nowhere\.yaml"):
        load_config("nowhere.yaml")


def test_the_shipped_encoder_file_names_every_option() -> None:
    import yaml

    from spark_ros.policies.options import write_options
    from spark_ros.training.encoder_config import load_encoder_config

    path = SHIPPED.with_name("train_encoder.yaml")
    written, expected = yaml.safe_load(path.read_text()), write_options(load_encoder_config(path))
    assert {key: set(value) if isinstance(value, dict) else None for key, value in written.items()} == {
        key: set(value) if isinstance(value, dict) else None for key, value in expected.items()
    }


@pytest.mark.parametrize("name", ["train_encoder_1gpu.yaml", "train_encoder_8gpu.yaml"])
def test_the_shipped_gpu_files_are_read(name: str) -> None:
    from spark_ros.training.encoder_config import load_encoder_config

    config = load_encoder_config(SHIPPED.with_name(name))
    assert (config.device, config.spark.image_size) == ("cuda", 224)


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("spark.mask_rato=0.5", r"unknown option spark.mask_rato: did you mean mask_ratio\?"),
        ("optimiser.precision=fp8", "option optimiser.precision is 'fp8': expected one of bf16, fp32"),
        ("optimiser.layer_decay=0", r"option optimiser.layer_decay is 0.0: expected in \(0, 1\]"),
    ],
)
def test_a_wrong_encoder_override_is_refused_in_one_sentence(override: str, sentence: str) -> None:
    from spark_ros.training.encoder_config import load_encoder_config

    with pytest.raises(SparkError, match=sentence):
        load_encoder_config(None, ["out_dir=o", "data.folders=[d]", override])

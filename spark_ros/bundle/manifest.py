"""What `bundle.yaml` says, validated.

A bundle's id is derived from everything else in its manifest, the hash of every file included. So two bundles with
the same id hold the same bytes, and an edited manifest is noticed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from spark_ros.contracts import ActionKind, SparkError

VERSION = 1
NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_.-]*$"
MANIFEST_FILE = "bundle.yaml"


def _inside_the_folder(name: str) -> str:
    if Path(name).name != name or name in ("", ".", ".."):
        raise ValueError(f"{name!r} leaves the bundle's folder, expected a plain file name")
    return name


FileName = Annotated[str, AfterValidator(_inside_the_folder)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class CameraEntry(_Part):
    """How a camera's image becomes the encoder's square, see `data.preprocess.ImagePreprocess`."""

    size: int = Field(gt=0)
    crop: str


class EncoderEntry(_Part):
    """The encoder: ``images`` uint8 (B, S, S, 3) RGB to ``tokens`` float32 (B, K, D); it normalises inside.

    Attributes:
        file: The ONNX file.
        precision: A key of `quantise.PRECISIONS`.
        num_tokens: K.
        token_dim: D.
        recipe: Of `encoders.registry.build_encoder`, for whoever trains or exports again.
    """

    file: FileName
    precision: str
    num_tokens: int = Field(gt=0)
    token_dim: int = Field(gt=0)
    recipe: dict[str, Any]


class PolicyEntry(_Part):
    """The policy: ``tokens_<camera>`` float32 (1, K, D), ``proprioception`` (1, P) to ``actions`` (1, H, A).

    Attributes:
        file: The ONNX file.
        recipe: Of `policies.registry.build_policy`.
    """

    file: FileName
    recipe: dict[str, Any]


class ActionEntry(_Part):
    """What `actions` mean, see `data.codec.ActionCodec`.

    Attributes:
        kind: What a step means, see `contracts.ActionKind`.
        horizon: Steps in a chunk, H.
        dt_s: Seconds between steps.
        names: What each of the A numbers of a step is.
    """

    kind: ActionKind
    horizon: int = Field(gt=0)
    dt_s: float = Field(gt=0.0)
    names: tuple[str, ...]


class GoldenEntry(_Part):
    """Recorded inputs with the outputs that every session must reproduce, see `golden`.

    Attributes:
        file: The arrays.
        min_token_cosine: Between a session's tokens and the recorded ones, for every token.
        max_action_error: (A,) largest deviation of a session's actions from the recorded ones, given the recorded
            tokens, in the units of the actions.
    """

    file: FileName
    min_token_cosine: float
    max_action_error: tuple[float, ...]


class Manifest(_Part):
    """A bundle's table of contents.

    Attributes:
        version: Of this schema.
        id: ``<name>-<12 hex digits>``; see the module's text.
        name: What people call it.
        created: ISO 8601, UTC.
        source_commit: Of the code that exported it, or ``unknown``.
        task: What it was trained to do, in words.
        robot: A name of `robots.spec.robot_names`, or a .yaml file of the bundle.
        joint_names: Arm joints in the order of proprioception and joint actions.
        cameras: By name, in the order of the policy's inputs.
        encoder: The encoder.
        policy: The policy.
        action: What the policy's output means.
        rate_hz: How often the policy is meant to be asked.
        proprioception: What each of the P numbers is, see `data.codec.Proprioception`.
        golden: Self-test.
        parity: JSON file: how far the exported graphs are from the trained networks.
        statistics: JSON file: statistics of the training data by vector, see `data.statistics`.
        licences: Text file: origin and licence of everything inside.
        drift: File of statistics that tell foreign images from those of the training, see `drift`; None where the
            bundle has none, and then its manifest does not mention them.
        files: SHA-256 of every file but the manifest.
    """

    version: int
    id: str
    name: str = Field(pattern=NAME_PATTERN)
    created: str
    source_commit: str
    task: str
    robot: str
    joint_names: tuple[str, ...] = Field(min_length=1)
    cameras: dict[str, CameraEntry] = Field(min_length=1)
    encoder: EncoderEntry
    policy: PolicyEntry
    action: ActionEntry
    rate_hz: float = Field(gt=0.0)
    proprioception: tuple[str, ...]
    golden: GoldenEntry
    parity: FileName
    statistics: FileName
    licences: FileName
    drift: FileName | None = None
    files: dict[FileName, Sha256]

    @model_validator(mode="after")
    def _is_consistent(self) -> Manifest:
        named = [self.encoder.file, self.policy.file, self.golden.file, self.parity, self.statistics, self.licences]
        if self.drift is not None:
            named.append(self.drift)
        if self.robot.endswith(".yaml"):
            named.append(_inside_the_folder(self.robot))
        if unlisted := [name for name in named if name not in self.files]:
            raise ValueError(f"{unlisted[0]} has no entry under files")
        if len(self.golden.max_action_error) != len(self.action.names):
            raise ValueError(f"golden.max_action_error needs one number for each of {', '.join(self.action.names)}")
        return self

    @property
    def encoder_sha256(self) -> str:
        """What tells one encoder from another: features of different encoders must never be mixed."""
        return self.files[self.encoder.file]

    def content_id(self) -> str:
        """The id that belongs to this content."""
        # Optional entries that are not there do not count: an older bundle keeps the id it had before they existed.
        content = self.model_dump(mode="json", exclude={"id", "created"}, exclude_defaults=True)
        digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
        return f"{self.name}-{digest[:12]}"

    def to_yaml(self) -> str:
        """The text of `bundle.yaml`."""
        comment = "# A spark_ros bundle: written by `spark-ros export`, checked when loaded, not meant to be edited.\n"
        return comment + yaml.safe_dump(self.model_dump(mode="json", exclude_defaults=True), sort_keys=False, width=120)


def parse_manifest(text: str, where: str) -> Manifest:
    """Read the text of a `bundle.yaml`.

    Args:
        text: The text.
        where: What to call it in messages.

    Raises:
        SparkError: It is no manifest, of a later version, contradicts itself, or was edited.
    """
    try:
        values = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise SparkError(f"{where} is not readable YAML ({' '.join(str(error).split())}): export again") from error
    if not isinstance(values, Mapping) or not isinstance(values.get("version"), int):
        raise SparkError(f"{where} is not a bundle manifest (it states no version): give the folder of an export")
    if values["version"] > VERSION:
        raise SparkError(
            f"{where} has version {values['version']}, this spark_ros reads versions up to {VERSION}: update spark_ros"
        )
    try:
        manifest = Manifest.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(key) for key in first["loc"]) or "the manifest"
        raise SparkError(f"{where} is not valid: {place}: {first['msg']}; export the bundle again") from error
    if manifest.id != manifest.content_id():
        raise SparkError(
            f"{where} was edited: it calls itself {manifest.id}, its content is that of {manifest.content_id()}; "
            "restore it or export again"
        )
    return manifest

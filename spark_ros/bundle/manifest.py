"""What `bundle.yaml` says, validated; docs/bundle.md describes it for people.

A bundle's id is derived from everything else in its manifest, the hash of every file included. So two bundles with
the same id hold the same bytes, and an edited manifest is noticed.

Version 2 states what version 1 left to the code: colour order and normalisation of images, units, and how far the
actions may lie off where encoder and policy run together. Version 1 is still read; there these entries are None.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Literal

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, ValidationError, model_validator

from spark_ros.bundle.strict_yaml import read_yaml
from spark_ros.bundle.units import action_units, proprioception_units
from spark_ros.contracts import ActionKind, SparkError
from spark_ros.data.preprocess import CROPS

VERSION = 2
NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_.-]*$"
MANIFEST_FILE = "bundle.yaml"


def inside_the_folder(name: str) -> str:
    """The name itself, where it is that of a file in the bundle's own folder.

    Raises:
        ValueError: It could lead elsewhere, or into the manifest's own place.
    """
    if not re.fullmatch(NAME_PATTERN, name) or len(name) > 100:
        raise ValueError(f"{name[:100]!r} leaves the bundle's folder, expected a plain file name")
    if name == MANIFEST_FILE:
        raise ValueError(f"{name} is the manifest itself, expected another file's name")
    return name


def _is_a_time(text: str) -> str:
    datetime.fromisoformat(text)
    return text


def _is_a_crop(name: str) -> str:
    if name not in CROPS:
        raise ValueError(f"{name[:100]!r} is no crop, expected one of {', '.join(CROPS)}")
    return name


def _are_distinct(names: tuple[str, ...]) -> tuple[str, ...]:
    if twice := next((name for i, name in enumerate(names) if name in names[:i]), None):
        raise ValueError(f"{twice!r} stands there twice")
    return names


Name = Annotated[str, Field(pattern=NAME_PATTERN, max_length=100)]
Word = Annotated[str, Field(pattern=r"^\S+$", max_length=100)]
Names = Annotated[tuple[Word, ...], Field(min_length=1), AfterValidator(_are_distinct)]
Units = tuple[Annotated[str, Field(pattern=r"^(m|rad|m/s|rad/s|1)$")], ...]
FileName = Annotated[str, AfterValidator(inside_the_folder)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Positive = Annotated[float, Field(gt=0.0)]
Channels = tuple[float, float, float]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class CameraEntry(_Part):
    """How a camera's image becomes the encoder's square, see `data.preprocess.ImagePreprocess`.

    Attributes:
        size: Side of the square in pixels.
        crop: One of `data.preprocess.CROPS`.
        colour: Order of the channels.
        mean: By channel, subtracted from the image scaled to [0, 1]; this is part of the encoder's graph.
        std: By channel, what the result is divided by, likewise.
        calibration: Id of the camera's calibration in the training data; None where nobody calibrated.
    """

    size: int = Field(gt=0, le=8192)
    crop: Annotated[str, AfterValidator(_is_a_crop)]
    colour: Literal["rgb"] | None = None
    mean: Channels | None = None
    std: tuple[Positive, Positive, Positive] | None = None
    calibration: Name | None = None


class EncoderEntry(_Part):
    """The encoder: ``images`` uint8 (B, S, S, 3) RGB to ``tokens`` float32 (B, K, D); it normalises inside.

    Attributes:
        file: The ONNX file.
        precision: A key of `precisions.PRECISIONS`.
        num_tokens: K.
        token_dim: D.
        recipe: Of `encoders.registry.build_encoder`, for whoever trains or exports again.
    """

    file: FileName
    precision: Name
    num_tokens: int = Field(gt=0, le=1_000_000)
    token_dim: int = Field(gt=0, le=1_000_000)
    recipe: dict[str, JsonValue]


class PolicyEntry(_Part):
    """The policy: ``tokens_<camera>`` float32 (1, K, D), ``proprioception`` (1, P) to ``actions`` (1, H, A).

    Attributes:
        file: The ONNX file.
        recipe: Of `policies.registry.build_policy`.
    """

    file: FileName
    recipe: dict[str, JsonValue]


class ActionEntry(_Part):
    """What `actions` mean, see `data.codec.ActionCodec`.

    Attributes:
        kind: What a step means, see `contracts.ActionKind`.
        horizon: Steps in a chunk, H.
        dt_s: Seconds between steps.
        names: What each of the A numbers of a step is.
        units: Of each of them, see `units`.
    """

    kind: ActionKind
    horizon: int = Field(gt=0, le=10_000)
    dt_s: Positive
    names: Names
    units: Units | None = None


class GoldenEntry(_Part):
    """Recorded inputs with the outputs that every session must reproduce, see `golden`.

    Attributes:
        file: The arrays.
        min_token_cosine: Between a session's tokens and the recorded ones, for every token.
        max_action_error: (A,) largest deviation of a session's actions from the recorded ones, given the recorded
            tokens, in the units of the actions.
        max_mean_action_error: (A,) largest mean deviation over all recorded steps where the session's own tokens go
            into the policy, in the units of the actions.
    """

    file: FileName
    min_token_cosine: float = Field(gt=0.0, le=1.0)
    max_action_error: tuple[Positive, ...]
    max_mean_action_error: tuple[Positive, ...] | None = None

    @property
    def mean_action_limit(self) -> tuple[float, ...]:
        """`max_mean_action_error`, also for version 1.

        Its int8 encoders with other, equally exact kernels of ONNX Runtime moved the mean action by up to 7 times
        `max_action_error`; a foreign encoder moves it by hundreds.
        """
        return self.max_mean_action_error or tuple(25.0 * limit for limit in self.max_action_error)


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
        proprioception_units: Of each of them, see `units`.
        golden: Self-test.
        parity: JSON file: how far the exported graphs are from the trained networks.
        statistics: JSON file: statistics of the training data by vector, see `data.statistics`.
        licences: Text file: origin and licence of everything inside.
        drift: File of statistics that tell foreign images from those of the training, see `drift`; None where the
            bundle has none, and then its manifest does not mention them.
        files: SHA-256 of every file but the manifest.
    """

    version: int = Field(ge=1, le=VERSION)
    id: str
    name: Name
    created: Annotated[str, AfterValidator(_is_a_time)]
    source_commit: str = Field(max_length=100)
    task: str = Field(max_length=2000)
    robot: Name
    joint_names: Names
    cameras: dict[Name, CameraEntry] = Field(min_length=1)
    encoder: EncoderEntry
    policy: PolicyEntry
    action: ActionEntry
    rate_hz: Positive
    proprioception: Names
    proprioception_units: Units | None = None
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
            named.append(self.robot)
        if unlisted := [name for name in named if name not in self.files]:
            raise ValueError(f"{unlisted[0]} has no entry under files")
        golden, actions = self.golden, self.action.names
        for what, limits in vars(golden).items():
            if isinstance(limits, tuple) and len(limits) != len(actions):
                raise ValueError(f"golden.{what} needs one number for each of {', '.join(actions)}")
        self._states_what_its_version_states()
        felt = proprioception_units(self.proprioception, self.joint_names)
        done = action_units(self.action.kind, actions, self.joint_names)
        _require_units("proprioception_units", self.proprioception, self.proprioception_units, felt)
        _require_units("action.units", actions, self.action.units, done)
        return self

    def _states_what_its_version_states(self) -> None:
        since_2: dict[str, object] = {
            "proprioception_units": self.proprioception_units,
            "action.units": self.action.units,
            "golden.max_mean_action_error": self.golden.max_mean_action_error,
        }
        for camera, entry in self.cameras.items():
            since_2 |= {f"cameras.{camera}.{key}": getattr(entry, key) for key in ("colour", "mean", "std")}
        for place, value in since_2.items():
            if (value is not None) != (self.version >= 2):
                raise ValueError(f"{place} belongs into version 2, and this is version {self.version}")

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
        values = self.model_dump(mode="json", exclude_defaults=True)
        return comment + yaml.dump(values, Dumper=_WithoutAliases, sort_keys=False, width=120)


class _WithoutAliases(yaml.SafeDumper):
    """Writes what `read_yaml` reads: equal values in two places are written twice."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def _require_units(place: str, names: Names, stated: Units | None, computed: tuple[str, ...]) -> None:
    if stated is None:
        return
    if len(stated) != len(names):
        raise ValueError(f"{place} needs one unit for each of {', '.join(names)}")
    for name, unit, expected in zip(names, stated, computed, strict=True):
        if unit != expected and expected != "?":
            raise ValueError(f"{place}: {name} is in {unit}, this spark_ros computes it in {expected}")


def parse_manifest(text: str, where: str) -> Manifest:
    """Read the text of a `bundle.yaml`.

    Args:
        text: The text.
        where: What to call it in messages.

    Raises:
        SparkError: It is no manifest, of a later version, contradicts itself, or was edited.
    """
    try:
        values = read_yaml(text)
    except ValueError as error:
        raise SparkError(f"{where} is not readable YAML ({error}): export again") from error
    version = values.get("version") if isinstance(values, Mapping) else None
    if type(version) is not int:
        raise SparkError(f"{where} is not a bundle manifest (it states no version): give the folder of an export")
    if version > VERSION:
        raise SparkError(
            f"{where} has version {str(version)[:20]}, this spark_ros reads versions up to {VERSION}: update spark_ros"
        )
    try:
        manifest = Manifest.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(key) for key in first["loc"]) or "the manifest"
        reason = " ".join(f"{place[:100]}: {first['msg'][:300]}".split())
        raise SparkError(f"{where} is not valid: {reason}; export the bundle again") from error
    except RecursionError:
        raise SparkError(f"{where} is not valid: values nested too deeply; export the bundle again") from None
    if manifest.id != manifest.content_id():
        raise SparkError(
            f"{where} was edited: it calls itself {manifest.id[:120]!r}, its content is that of "
            f"{manifest.content_id()}; restore it or export again"
        )
    return manifest

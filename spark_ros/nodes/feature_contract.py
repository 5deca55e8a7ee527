"""What perception promises about its features, so that a policy never acts on those of another encoder.

Two encoders of one size give tokens of one shape that mean different things; only the hash tells them apart.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from spark_ros.contracts import SparkError

if TYPE_CHECKING:  # the gateway reads contracts and no manifest, whose schema takes 15 MB
    from spark_ros.bundle.manifest import Manifest


@dataclass(frozen=True)
class FeatureContract:
    """The text of `topics.FEATURE_CONTRACT`, as JSON.

    Attributes:
        bundle: Id of the bundle that perception runs.
        encoder_sha256: Of its encoder's file.
        cameras: Whose features it publishes.
        tokens: K, rows of a feature image.
        channels: D, its columns.
    """

    bundle: str
    encoder_sha256: str
    cameras: tuple[str, ...]
    tokens: int
    channels: int

    @classmethod
    def of(cls, manifest: Manifest) -> FeatureContract:
        """What a bundle's encoder gives."""
        encoder = manifest.encoder
        cameras = tuple(manifest.cameras)
        return cls(manifest.id, manifest.encoder_sha256, cameras, encoder.num_tokens, encoder.token_dim)

    @classmethod
    def from_json(cls, text: str) -> FeatureContract:
        """The inverse of `to_json`.

        Raises:
            SparkError: The text is something else.
        """
        try:
            values = json.loads(text)
            return cls(**{**values, "cameras": tuple(values["cameras"])})
        except (ValueError, TypeError, KeyError) as error:
            raise SparkError(
                f"perception announces its features with {text[:60]!r}, which is no feature contract: run "
                "perception and policy from the same version of spark_ros"
            ) from error

    def to_json(self) -> str:
        """As it travels."""
        return json.dumps(asdict(self))

    def check(self, manifest: Manifest) -> None:
        """The policy of this bundle may act on these features.

        Raises:
            SparkError: They come from another encoder, or a camera is missing.
        """
        if self.encoder_sha256 != manifest.encoder_sha256:
            raise SparkError(
                f"perception runs the encoder {self.encoder_sha256[:12]} of bundle {self.bundle}, but the policy of "
                f"bundle {manifest.id} was trained on features of encoder {manifest.encoder_sha256[:12]}: "
                "start both nodes with the same bundle"
            )
        if missing := [camera for camera in manifest.cameras if camera not in self.cameras]:
            raise SparkError(
                f"perception publishes features of {', '.join(self.cameras)}, but the policy of bundle {manifest.id} "
                f"also needs {', '.join(missing)}: start both nodes with the same bundle"
            )

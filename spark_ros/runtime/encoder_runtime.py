"""Camera frames to state features with a bundle's encoder."""

from __future__ import annotations

import numpy as np

from spark_ros.bundle.load import Bundle
from spark_ros.contracts import Frame, ImageArray, SparkError, StateFeatures, TokenArray
from spark_ros.runtime.proof import require_same_actions
from spark_ros.runtime.session import SessionOptions, open_session


class EncoderRuntime:
    """A bundle's encoder, ready and tested.

    Args:
        bundle: The bundle.
        options: Where and how it runs.

    Raises:
        SparkError: The session does not start, or does not reproduce the bundle's recorded tokens,
            or the recorded actions from them.
    """

    def __init__(self, bundle: Bundle, options: SessionOptions | None = None) -> None:
        self._bundle = bundle
        self._preprocess = {camera: bundle.preprocess(camera) for camera in bundle.manifest.cameras}
        self._session = open_session(bundle.encoder_file, options or SessionOptions())
        self._self_test()
        for preprocess in self._preprocess.values():  # which loads OpenCV: in motion, that would stop all other threads
            preprocess(np.zeros((2 * preprocess.size, 2 * preprocess.size, 3), np.uint8))

    def preprocess(self, frame: Frame) -> Frame:
        """The frame as the encoder sees it, (S, S, 3).

        Raises:
            SparkError: The camera is not one of the bundle's, or the image is no RGB image.
        """
        if frame.camera not in self._preprocess:
            self._bundle.preprocess(frame.camera)  # says what the bundle expects
        return Frame(frame.camera, self._preprocess[frame.camera](frame.image), frame.stamp_ns)

    def encode(self, frame: Frame) -> StateFeatures:
        """The features of one frame, with its stamp.

        Raises:
            SparkError: As for `preprocess` and `encode_preprocessed`.
        """
        return self.encode_preprocessed(self.preprocess(frame))

    def encode_preprocessed(self, frame: Frame) -> StateFeatures:
        """The features of what `preprocess` gave.

        Raises:
            SparkError: The encoder gave values that are not finite.
        """
        tokens = self._run(frame.image[None])[0]
        if not np.isfinite(tokens).all():
            raise SparkError(
                f"the encoder gave values that are not finite for camera {frame.camera}: verify the bundle "
                f"{self._bundle.manifest.id} on this machine"
            )
        return StateFeatures(frame.camera, tokens, frame.stamp_ns)

    def _run(self, images: ImageArray) -> TokenArray:
        """(B, S, S, 3) uint8 to (B, K, D) float32; neither is copied on a processor."""
        return self._session.run(["tokens"], {"images": images})[0]

    def _self_test(self) -> None:
        golden, entry = self._bundle.golden(), self._bundle.manifest.golden
        found: dict[str, TokenArray] = {}
        for camera, expected in golden.tokens.items():
            # One by one, as they will come: an integer graph scales its activations by all that is in a batch.
            found[camera] = np.concatenate([self._run(image[None]) for image in golden.images[camera]])
            cosine = float(token_cosines(found[camera], expected).min())
            if not cosine >= entry.min_token_cosine:
                raise SparkError(
                    f"the encoder of bundle {self._bundle.manifest.id} does not reproduce its recorded tokens for "
                    f"camera {camera} on this machine (cosine {cosine:.4f}, expected at least "
                    f"{entry.min_token_cosine}): export it again with precision fp32"
                )
        require_same_actions(self._bundle, golden, found)


def token_cosines(tokens: TokenArray, expected: TokenArray) -> TokenArray:
    """Cosine of every token (..., D) to the expected one, (...); NaN where a token is zero or not finite."""
    with np.errstate(invalid="ignore", over="ignore"):
        scale = np.linalg.norm(tokens, axis=-1) * np.linalg.norm(expected, axis=-1)
        return (tokens * expected).sum(axis=-1) / scale

"""State features and joints to action chunks with a bundle's policy."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from spark_ros.bundle.load import Bundle
from spark_ros.contracts import ActionChunk, JointState, SparkError, StateFeatures
from spark_ros.data.codec import ActionCodec, Proprioception
from spark_ros.robots.kinematics import Kinematics
from spark_ros.runtime.latency import LatencyTrace
from spark_ros.runtime.session import SessionOptions, open_session

# Of proprioception and decoded chunks, m and rad: float32 arithmetic of the same kinematics gives a hundredth of it.
GEOMETRY_TOLERANCE = 1e-4


class PolicyRuntime:
    """A bundle's policy, ready and tested.

    Args:
        bundle: The bundle.
        options: Where and how it runs.

    Attributes:
        latency: Of `act`.

    Raises:
        SparkError: The session does not start, the bundle's layout is not the one this code computes, or it does not
            reproduce the bundle's recorded actions.
    """

    def __init__(self, bundle: Bundle, options: SessionOptions | None = None) -> None:
        manifest = bundle.manifest
        self._manifest = manifest
        kinematics = Kinematics(bundle.robot)
        self._proprioception = Proprioception(kinematics, bundle.robot.gripper)
        self._codec = ActionCodec(manifest.action.kind, manifest.action.horizon, manifest.action.dt_s, kinematics)
        _require_names("proprioception", manifest.id, manifest.proprioception, self._proprioception.names)
        _require_names("actions", manifest.id, manifest.action.names, self._codec.names)
        self._session = open_session(bundle.policy_file, options or SessionOptions())
        self._self_test(bundle)
        self.latency = LatencyTrace()

    def act(self, features: Mapping[str, StateFeatures], joints: JointState) -> ActionChunk:
        """The chunk for one aligned observation; it carries the stamp of the oldest frame.

        Args:
            features: By camera, exactly the bundle's cameras.
            joints: Arm and finger joints at that stamp.

        Raises:
            SparkError: A camera is missing or foreign, tokens have another shape, a joint is missing, or something
                is not finite.
        """
        with self.latency.measure():
            self._check(features)
            proprioception = self._proprioception.encode(joints)
            if not np.isfinite(proprioception).all():
                raise SparkError("the joint state holds values that are not finite: check the arm's driver")
            tokens = {camera: features[camera].tokens for camera in self._manifest.cameras}
            actions = self._run(tokens, proprioception)
            if not np.isfinite(actions).all():
                raise SparkError(
                    f"the policy of bundle {self._manifest.id} gave values that are not finite: the observation is far "
                    "from anything it was trained on"
                )
            return self._codec.decode(actions, joints, min(item.stamp_ns for item in features.values()))

    def _check(self, features: Mapping[str, StateFeatures]) -> None:
        wanted = tuple(self._manifest.cameras)
        if set(features) != set(wanted):
            raise SparkError(
                f"the policy was given features of cameras {', '.join(sorted(features)) or 'none'}, expected "
                f"{', '.join(wanted)}: start these cameras, or use a bundle trained without the missing ones"
            )
        shape = (self._manifest.encoder.num_tokens, self._manifest.encoder.token_dim)
        for camera, item in features.items():
            if item.tokens.shape != shape or item.tokens.dtype != np.float32:
                raise SparkError(
                    f"features of camera {camera} are {item.tokens.dtype} {item.tokens.shape}, not float32 {shape}: "
                    "run perception and policy from the same bundle"
                )
            if not np.isfinite(item.tokens).all():
                raise SparkError(f"features of camera {camera} are not finite: restart perception")

    def _run(
        self, tokens: Mapping[str, NDArray[np.float32]], proprioception: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """By camera (K, D), and (P,), to (H, A)."""
        inputs = {f"tokens_{camera}": value[None] for camera, value in tokens.items()}
        return self._session.run(["actions"], {**inputs, "proprioception": proprioception[None]})[0][0]

    def _self_test(self, bundle: Bundle) -> None:
        golden = bundle.golden()
        limit = np.array(self._manifest.golden.max_action_error)
        for i, position in enumerate(golden.joint_position):
            joints = JointState(golden.joint_names, position, np.zeros_like(position), 0)
            self._expect("proprioception", self._proprioception.encode(joints), golden.proprioception[i])
            chunk = self._codec.decode(golden.actions[i], joints, 0)
            self._expect("action chunk", chunk.values, golden.chunk_values[i])
            self._expect("gripper width", chunk.gripper_width, golden.chunk_width[i])
            tokens = {camera: values[i] for camera, values in golden.tokens.items()}
            error = np.abs(self._run(tokens, golden.proprioception[i]) - golden.actions[i]).max(axis=0)
            if not (error <= limit).all():
                worst = int(np.argmax(error / limit))
                raise SparkError(
                    f"the policy of bundle {self._manifest.id} does not reproduce its recorded actions on this machine "
                    f"({self._manifest.action.names[worst]} is {error[worst]:.2g} off, expected at most "
                    f"{limit[worst]:.2g}): export it again"
                )

    def _expect(self, what: str, found: NDArray[np.floating], expected: NDArray[np.floating]) -> None:
        if found.shape != expected.shape or not np.abs(found - expected).max() <= GEOMETRY_TOLERANCE:
            raise SparkError(
                f"the recorded {what} of bundle {self._manifest.id} comes out differently here: the description of "
                f"robot {self._manifest.robot} has changed since the export; train and export again for this robot"
            )


def _require_names(what: str, bundle: str, stated: tuple[str, ...], computed: tuple[str, ...]) -> None:
    if stated != computed:
        raise SparkError(
            f"bundle {bundle} was made with {what} {', '.join(stated)}, this spark_ros computes {', '.join(computed)}: "
            "use the version that exported it, or export again"
        )

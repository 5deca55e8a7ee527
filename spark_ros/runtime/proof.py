"""Whether what runs here gives the actions that were recorded at export, in the units of the actions.

The encoder is judged by what its tokens do to the actions: a cosine alone does not say whether the arm goes elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from spark_ros.bundle.golden import Golden
from spark_ros.bundle.load import Bundle
from spark_ros.contracts import SparkError, TokenArray
from spark_ros.runtime.session import SessionOptions, open_session


def require_same_actions(bundle: Bundle, golden: Golden, tokens: Mapping[str, TokenArray]) -> None:
    """Put an encoder session's tokens into the policy, and compare with the recorded actions.

    Args:
        bundle: The bundle.
        golden: Its recorded observations.
        tokens: By camera (N, K, D), what the session made of the recorded images.

    Raises:
        SparkError: An action is further off, on average over all recorded steps, than the bundle allows.
    """
    policy = open_session(bundle.policy_file, SessionOptions())
    actions = []
    for i, proprioception in enumerate(golden.proprioception):
        inputs = {f"tokens_{camera}": rows[i][None] for camera, rows in tokens.items()}
        actions.append(policy.run(["actions"], {**inputs, "proprioception": proprioception[None]})[0])
    error = np.abs(np.concatenate(actions) - golden.actions).mean(axis=(0, 1))
    manifest = bundle.manifest
    limit = np.array(manifest.golden.mean_action_limit)
    if not (error <= limit).all():
        worst = int(np.argmax(np.where(np.isfinite(error), error / limit, np.inf)))
        unit = (manifest.action.units or [""] * len(limit))[worst]
        raise SparkError(
            f"with the encoder of bundle {manifest.id} as it runs on this machine, the actions are not those recorded "
            f"at export ({manifest.action.names[worst]} is {error[worst]:.2g} {unit} off on average, expected at most "
            f"{limit[worst]:.2g}): export it again with precision fp32"
        )

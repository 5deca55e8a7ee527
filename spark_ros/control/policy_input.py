"""What a policy's chunks make the arm do: each is checked, anchored where the arm was told to be, and followed."""

from __future__ import annotations

from dataclasses import replace

from spark_ros.contracts import ActionChunk, FloatArray
from spark_ros.control.anchor import anchored
from spark_ros.control.chunk_check import check_content, check_distance, check_timing
from spark_ros.control.config import GatewayConfig
from spark_ros.control.executor import ChunkExecutor
from spark_ros.control.measured import SetpointHistory
from spark_ros.control.motion import Motion
from spark_ros.control.watchdog import Watchdog
from spark_ros.robots.spec import RobotSpec


class PolicyInput:
    """The plan in use and how old it is, from the engaging of the policy on."""

    def __init__(self, spec: RobotSpec, config: GatewayConfig, motion: Motion, history: SetpointHistory) -> None:
        """Moves the arm with `motion`; `history` knows what the arm was told when an observation was made."""
        self._spec, self._config, self._motion, self._history = spec, config, motion, history
        self._executor = ChunkExecutor(config.temporal_ensemble, config.blend_execution_s)
        self._heard = Watchdog(config.chunk_timeout_s)
        self._unfollowed_stamp: int | None = None  # of a chunk that no command has followed yet
        self._arm_lead_ns = round((config.arm_lead_s or 0.0) * 1e9)
        self._gripper_lead_ns = round((config.gripper_lead_s or 0.0) * 1e9)

    def begin(self) -> None:
        """The policy is engaged."""
        self._executor.clear()
        self._unfollowed_stamp = None

    def accept(self, chunk: ActionChunk, now: float, now_ns: int) -> None:
        """Takes over a chunk.

        Args:
            chunk: From the policy.
            now: Monotonic seconds.
            now_ns: The clock of the stamps.

        Raises:
            Untimely: The chunk is too old or from the future; the plan in use goes on.
            SparkError: Nobody can follow it.
        """
        motion = self._motion
        chunk = check_content(chunk, self._spec)
        check_timing(chunk, now_ns, self._executor.stamp_ns, self._config)
        joints, width = self._told_for(chunk.stamp_ns)
        start = motion.as_value(chunk.kind, joints)
        chunk = anchored(chunk, start)
        present = motion.as_value(chunk.kind, motion.setpoint.position)
        check_distance(chunk, now_ns, present, self._spec, self._config)
        self._executor.accept(chunk, start, width, now_ns)
        self._heard.feed(now)
        self._unfollowed_stamp = chunk.stamp_ns

    def complaint(self, now: float, now_ns: int, waiting: bool) -> str | None:
        """Why the policy counts as gone, and what to do; None where it does not.

        Args:
            now: Monotonic seconds.
            now_ns: The clock of the stamps.
            waiting: Whether the first chunk may still come.
        """
        if self._executor.stamp_ns is None:
            if waiting:
                return None
            return f"no usable chunk within {self._config.start_timeout_s} s of engaging: is the policy running?"
        if self._executor.exhausted_for(now_ns) > self._config.stall_grace_s:
            return "policy stalled: the last step of its last chunk is past; engage again when it runs"
        if self._heard.expired(now):
            return f"policy stalled: no chunk for {self._heard.age(now):.2f} s; engage again when it runs"
        return None

    def move(self, now_ns: int, elapsed_s: float) -> int | None:
        """Follows the plan; the stamp of its chunk if this is the first step along it.

        Raises:
            SparkError: The target cannot be followed.
        """
        target = self._executor.sample(now_ns + self._arm_lead_ns)
        if target is None:  # engaged, first chunk still to come
            self._motion.stop(elapsed_s)
            return None
        if self._gripper_lead_ns != self._arm_lead_ns:
            ahead = self._executor.sample(now_ns + self._gripper_lead_ns)
            target = replace(target, gripper_width=target.gripper_width if ahead is None else ahead.gripper_width)
        self._motion.follow(target, elapsed_s)
        stamp, self._unfollowed_stamp = self._unfollowed_stamp, None
        return stamp

    def _told_for(self, stamp_ns: int) -> tuple[FloatArray, float]:
        """(J,) rad and m: what the arm and the gripper were told to be at this time, a lead ago."""
        now = self._motion.setpoint.position, self._motion.width
        joints, _ = self._history.at(stamp_ns - self._arm_lead_ns) or now
        _, width = self._history.at(stamp_ns - self._gripper_lead_ns) or now
        return joints, width

"""Every number the gateway can be configured with, and the physics behind its default."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

from spark_ros.contracts import SparkError


@dataclass(frozen=True)
class GatewayConfig:
    """Settings of the `Gateway`; the defaults suit an arm of FR3's size beside a person.

    Attributes:
        rate_hz: How often `tick` is called. 100 Hz is a tenth of the driver's 1 kHz: slow enough for Python, fast
            enough that a setpoint moves at most 5 mm at the highest tool speed.
        velocity_scale: Part (0..1] of the arm's joint velocity limits to use; lower it for the first run of a policy.
        acceleration_scale: Part (0..1] of the arm's joint acceleration limits to move with; stops use all of them.
        tracking_gain: 1/s. How fast the setpoint closes a gap to its target: a step decays with the time constant
            1 / gain. Motion itself does not lag (velocity is fed forward); 12 turns the few millimetres by which
            consecutive chunks disagree into a glide of 80 ms instead of a jerk.
        joint_timeout_s: Joint states older than this stop the arm. 0.2 s is 20 missed states of a 100 Hz driver and
            at most 10 cm of blind motion at 0.5 m/s.
        gripper_timeout_s: An opening of the gripper older than this is no place to start from: engaging would move the
            fingers to where they once were. 1 s is 15 reports of a slow gripper driver.
        joint_jump_rad: A joint that moves further between two states than its velocity limit explains, plus this, has
            a broken sensor or another master.
        following_error_rad: How far a joint may be from where it was told to be within the last
            `following_window_s`; 0.1 rad is 6 cm at the tool with the arm stretched: contact, not lag.
        following_window_s: Longest lag of a driver that still follows; soft position controllers lag by 0.1 s,
            libfranka's internal filter by up to 0.1 s, and the arm needs as long again to come to rest.
        engage_velocity: rad/s. An arm that moves faster than this is being moved by somebody else: no engaging.
        start_timeout_s: How long after engaging the first input may take; a policy warms its sessions up in this time.
        chunk_timeout_s: Longest time without a new chunk, even though the last one still has steps: a policy that no
            longer looks must not act on. 0.5 s is five periods of a 10 Hz policy, and 25 cm at 0.5 m/s.
        max_chunk_age_s: A chunk from an observation older than this is dropped: the scene has moved on.
        max_chunk_ahead_s: A chunk stamped further in the future than this is dropped: the clocks disagree.
        stall_grace_s: How long the arm may rest at a chunk's last step before the policy counts as stalled.
        max_jump_m: Furthest that a chunk may begin from the present setpoint, or go on from step to step, beyond what
            the arm's tool speed allows for.
        max_jump_rad: The same for the tool's rotation, and for each joint of a joint chunk.
        temporal_ensemble: None to follow the newest chunk only; else m of the weights exp(-m i) with which the chunks
            still under way are averaged, i = 0 the oldest (ACT, arXiv:2304.13705, section IV-C uses 0.01).
        blend_execution_s: None to take a new chunk as it is; else the time from one observation to the next, and each
            new chunk is drawn towards the one under way by the soft mask of real-time chunking (see `blend`).
        arm_lead_s: How far ahead of time a plan is followed by the arm, to make up for what it lags by; None for not
            at all. Only for a lag beyond that of the arm that the policy learned from: its labels are commands, so it
            knows that one. `spark-ros data latency` measures it.
        gripper_lead_s: The same for the gripper.
        teleop_timeout_s: An operator's input counts for this long: the deadman itself expires. 0.25 s is five
            messages of a 20 Hz joystick.
        teleop_leash_m: How far the operator's target may run ahead of the setpoint; what lies beyond is forgotten, so
            that the arm turns round as soon as the operator does.
        teleop_leash_rad: The same for rotation.
        teleop_align_rad: How far a joint of a leader arm may be from the arm's when the following begins: nobody means
            a sweep by pressing the deadman. 0.3 rad is found by eye; the rest is closed at half a radian per second.
        teleop_acceleration: m/s^2 with which the operator's target changes speed. An arm of FR3's size manages about
            2 m/s^2 even folded up; a target that brakes harder would make the arm overshoot and come back.
        teleop_angular_acceleration: rad/s^2, the same for rotation.
        wall_braking: m/s^2 with which the tool slows down before the workspace's walls, half of what the arm manages,
            so that it stops at the table and not in it.
        collision_margin_m: What stays between links, and between links and the table, where the arm's description knows
            its shape. 2 cm hold a cable and what a calibrated arm is off its setpoint.
        frozen_frames: So many identical images in a row, while the arm moves, and their camera counts as frozen. A
            sensor's noise makes no two images equal; 5 at 10 Hz are half a second of acting on the past.
        frozen_motion_rad: How far a joint must have moved meanwhile: 0.02 rad is 1 cm at the tool, which a camera sees.
        drift_limit: Highest score of `/perception/drift` that the policy may go on with; None to ignore it. 1 is the
            border that bundles are calibrated to.
        drift_reports: So many scores in a row above the limit tell; one alone is an outlier.
        drift_tool_speed: m/s. Highest speed of the tool while the score is above its limit, until as many in a row are
            not, while the gripper keeps its opening; None to hold the policy instead.
        min_speed_scaling: Least part of the asked speed at which the arm's controller may run (UR's speed slider):
            slower, it falls behind its setpoint.
        clock_step_s: A stamp clock that jumps by more than this against the monotonic one makes chunk stamps
            meaningless: stop.
    """

    rate_hz: float = 100.0
    velocity_scale: float = 1.0
    acceleration_scale: float = 1.0
    tracking_gain: float = 12.0
    joint_timeout_s: float = 0.2
    gripper_timeout_s: float = 1.0
    joint_jump_rad: float = 0.05
    following_error_rad: float = 0.1
    following_window_s: float = 0.4
    engage_velocity: float = 0.2
    start_timeout_s: float = 3.0
    chunk_timeout_s: float = 0.5
    max_chunk_age_s: float = 0.5
    max_chunk_ahead_s: float = 0.05
    stall_grace_s: float = 0.1
    max_jump_m: float = 0.1
    max_jump_rad: float = 0.6
    temporal_ensemble: float | None = None
    blend_execution_s: float | None = None
    arm_lead_s: float | None = None
    gripper_lead_s: float | None = None
    teleop_timeout_s: float = 0.25
    teleop_leash_m: float = 0.05
    teleop_leash_rad: float = 0.2
    teleop_align_rad: float = 0.3
    teleop_acceleration: float = 2.0
    teleop_angular_acceleration: float = 8.0
    wall_braking: float = 1.0
    collision_margin_m: float = 0.02
    frozen_frames: float = 5.0
    frozen_motion_rad: float = 0.02
    drift_limit: float | None = None
    drift_reports: float = 3.0
    drift_tool_speed: float | None = None
    min_speed_scaling: float = 0.95
    clock_step_s: float = 0.1

    def __post_init__(self) -> None:
        """Raises SparkError where a value makes no sense."""
        for field in fields(self):
            value = getattr(self, field.name)
            if field.default is None and value is None:
                continue
            if not math.isfinite(value) or (value <= 0 and field.name != "temporal_ensemble"):
                raise SparkError(f"gateway setting {field.name} is {value}: give a positive, finite number")
        for name in ("velocity_scale", "acceleration_scale", "min_speed_scaling"):
            scale = getattr(self, name)
            if scale > 1:
                raise SparkError(f"gateway setting {name} is {scale}: it can only lower limits, give 1 or less")
        if self.drift_tool_speed is not None and self.drift_limit is None:
            raise SparkError("drift_tool_speed slows down above drift_limit, and there is none: give both, or neither")
        if self.temporal_ensemble is not None and self.blend_execution_s is not None:
            raise SparkError("temporal_ensemble and blend_execution_s both mix chunks: give one of them, -1 the other")

    @property
    def period_s(self) -> float:
        """Seconds between two ticks."""
        return 1.0 / self.rate_hz

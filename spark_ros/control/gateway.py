"""The only thing that may move the arm: turns teleoperation or action chunks into limited commands.

Pure and deterministic: it reads no clock and knows no ROS. The node calls it in real time, the lockstep evaluation as
fast as it can, and both therefore drive the arm identically.

Two clocks. ``now`` is monotonic seconds and judges freshness by the time of receipt; ``now_ns`` is the clock of the
stamps and aligns chunks with the present.

When it stops. The arm is always braked within its limits, never cut off. `HOLD` follows where a stream ended or came
broken, or somebody asked; motion goes on only after `engage`, never by itself, since whoever stands beside an arm that
has stopped must be able to rely on it. `FAULT` follows where the arm does not do what it is told, and needs `reset`
first. At rest in either mode the last setpoint is published on, but only while the arm is heard of, is where it should
be, and nobody else commands it: a setpoint that a restarted driver would jump to is worse than none. After that,
engaging starts from where the arm is measured then, as from `IDLE`.
"""

from __future__ import annotations

import numpy as np

from spark_ros.contracts import ActionChunk, Command, FloatArray, JointState, SparkError, TeleopInput
from spark_ros.control import start_check
from spark_ros.control.chunk_check import Untimely
from spark_ros.control.clocks import Clocks
from spark_ros.control.config import GatewayConfig
from spark_ros.control.measured import MeasuredArm, NotFinite, SetpointHistory
from spark_ros.control.modes import Mode, Outcome
from spark_ros.control.motion import Motion
from spark_ros.control.operator_input import OperatorInput
from spark_ros.control.perceived import Drift, FrozenImages
from spark_ros.control.policy_input import PolicyInput
from spark_ros.control.vendor import VendorState
from spark_ros.robots.spec import RobotSpec

__all__ = ["Gateway", "GatewayConfig"]

_ENGAGED = "{} engaged"
_AT_REST_PERIODS = 5  # without a command, after which an arm is taken to have come to rest


class Gateway:
    """Decides what the arm is told, tick by tick.

    Call `on_joint_state`, `on_chunk` and `on_teleop` as messages arrive and `tick` at the configured rate, all from
    one thread.
    """

    def __init__(self, spec: RobotSpec, config: GatewayConfig, vendor: VendorState | None = None) -> None:
        """Starts in `IDLE`, knowing nothing of the arm but what `vendor` knows of its controller."""
        if (config.drift_tool_speed or 0.0) >= spec.ee_max_linear_speed:
            raise SparkError(
                f"drift_tool_speed is {config.drift_tool_speed} m/s, and {spec.name} moves at most at "
                f"{spec.ee_max_linear_speed}: give less, or -1 to hold"
            )
        self._spec = spec
        self._config = config
        self._motion = Motion(spec, config)
        self._arm = MeasuredArm(spec, config)
        leads = (config.arm_lead_s or 0.0) + (config.gripper_lead_s or 0.0)
        longest = max(config.max_chunk_age_s, config.following_window_s) + config.max_chunk_ahead_s + leads
        self._history = SetpointHistory(int(2 * longest * config.rate_hz), len(spec.joint_names))
        self._policy = PolicyInput(spec, config, self._motion, self._history)
        self._operator = OperatorInput(spec, config, self._motion)
        self._frozen = FrozenImages(round(config.frozen_frames), config.frozen_motion_rad)
        self._drift = Drift(config.drift_limit, round(config.drift_reports))
        self._vendor = vendor or VendorState(config.min_speed_scaling)
        self._mode = Mode.IDLE
        self._reason = "just started"
        self._released = False
        self._ceding = False
        self._engaged_at = 0.0
        self._clocks = Clocks(config.period_s, config.clock_step_s)
        self._before = self._motion.setpoint, self._motion.width

    @property
    def mode(self) -> Mode:
        """Who moves the arm."""
        return self._mode

    @property
    def reason(self) -> str:
        """Why the gateway is in this mode, for a person to read."""
        return self._reason

    @property
    def is_slowed(self) -> bool:
        """True where a policy goes on, but slowly, since there is a complaint about what it sees."""
        return self._mode is Mode.POLICY and self._motion.is_slowed

    @property
    def commands(self) -> bool:
        """True where every `tick` sends a command."""
        return self._mode is not Mode.IDLE and not self._released

    @property
    def vendor(self) -> VendorState:
        """Takes the reports of the arm's own controller; every `tick` looks at them."""
        return self._vendor

    def measured(self, now: float) -> FloatArray | None:
        """(J,) rad, where the arm was last seen; None where that is too long ago."""
        return None if self._arm.stale(now) else self._arm.position

    def on_joint_state(self, joints: JointState, now: float) -> Outcome:
        """Takes over the measured joints; arm and fingers may come in separate messages, in any order."""
        try:
            jump = self._arm.accept(joints, now, in_order=self.commands)
        except NotFinite as error:
            self._hold_if_active(str(error))
            return Outcome(False, str(error))
        except SparkError as error:
            return Outcome(False, str(error))
        if jump is not None and self._mode.is_active:
            self.stop(f"{jump}, faster than it can: check its encoder, its driver and for a second controller")
            return Outcome(False, self._reason)
        return Outcome(True, "")

    def on_image(self, source: str, digest: int) -> Outcome:
        """Takes note of an image that the policy sees (see `FrozenImages`); holds where its camera is frozen."""
        if self._arm.position is None:
            return Outcome(True, "")
        return self._distrust(self._frozen.feed(source, digest, self._arm.position))

    def on_drift(self, score: float) -> Outcome:
        """Takes note of how foreign what the policy sees is to it (see `Drift`); slows down or holds where it is so."""
        complaint = self._drift.feed(score)
        speed = self._config.drift_tool_speed
        if speed is None:
            return self._distrust(complaint)
        if self._mode is Mode.POLICY:
            self._motion.limit_tool_speed(None if complaint is None else speed)
            engaged = _ENGAGED.format(self._mode.value)
            self._reason = engaged if complaint is None else f"slow, {speed} m/s: {complaint}"
        return Outcome(True, "")

    def on_chunk(self, chunk: ActionChunk, now: float) -> Outcome:
        """Takes over a policy's chunk in `POLICY`; drops an untimely one, holds on a broken one (see `chunk_check`)."""
        if self._mode is not Mode.POLICY:
            return Outcome(False, f"chunk ignored: the mode is {self._mode.value}, not {Mode.POLICY.value}")
        try:
            self._policy.accept(chunk, now, self._clocks.stamp(now, chunk.stamp_ns))
        except Untimely as error:
            return Outcome(False, str(error))
        except SparkError as error:
            self.hold(str(error))
            return Outcome(False, str(error))
        return Outcome(True, "")

    def on_teleop(self, teleop: TeleopInput, now: float) -> Outcome:
        """Takes over an operator's input in `TELEOP`; holds on a broken one."""
        if self._mode is not Mode.TELEOP:
            return Outcome(False, f"operator ignored: the mode is {self._mode.value}, not {Mode.TELEOP.value}")
        try:
            return self._operator.accept(teleop, now)
        except SparkError as error:
            self.hold(str(error))
            return Outcome(False, str(error))

    def release(self) -> Outcome:
        """Lets go of the deadman: the arm rests until the operator's next input. It does not count as an input."""
        return self._operator.release()

    def engage(self, mode: Mode, now: float) -> Outcome:
        """Hands the arm to the operator or the policy.

        Where nothing is commanded, the setpoint starts at the measured joints. From a `HOLD` that is, and when one
        takes over from the other, it goes on from where it is. Either way the arm does not jump.
        """
        if self._mode is mode:
            return Outcome(True, f"already in {mode.value}")
        obstacle = self._obstacle(mode, now)
        if obstacle is not None:
            return Outcome(False, obstacle)
        if not self.commands and self._arm.position is not None and self._arm.width is not None:
            self._motion.start(self._arm.position, self._arm.width)
            self._history.clear()
        self._released = False
        self._motion.forget_target()
        self._policy.begin()
        # Who takes over from a policy may do so by the deadman; else, who holds it may not know of the engaging.
        self._operator.begin(press_anew=self._mode is not Mode.POLICY)
        self._frozen.clear()
        self._drift.clear()
        self._motion.limit_tool_speed(None)
        self._engaged_at = now
        return self._enter(mode, _ENGAGED.format(mode.value))

    def hold(self, reason: str) -> Outcome:
        """Brings the arm to rest and keeps it there."""
        if self._mode.is_active:
            return self._enter(Mode.HOLD, reason)
        if self._mode is Mode.IDLE:
            return Outcome(False, "nothing to hold: the gateway is idle and does not move the arm")
        return Outcome(True, f"already in {self._mode.value}: {self._reason}")

    def stop(self, reason: str) -> Outcome:
        """Brings the arm to rest and latches `FAULT` until `reset`."""
        if self._mode is Mode.FAULT:
            return Outcome(True, f"already in {self._mode.value}: {self._reason}")
        self._released = self._released or self._mode is Mode.IDLE  # an idle gateway has no setpoint to publish
        return self._enter(Mode.FAULT, reason)

    def cede(self, reason: str) -> Outcome:
        """As `stop`, for an arm that somebody else commands too: at rest nothing is published, and nobody fights."""
        self._ceding = True
        return self.stop(reason)

    def reset(self) -> Outcome:
        """Back to `IDLE` from `HOLD` or `FAULT`, once the arm rests; nothing is published from then on."""
        if self._mode is Mode.IDLE:
            return Outcome(True, "already idle")
        if self._mode.is_active:
            return Outcome(False, f"not while in {self._mode.value}: hold or stop first")
        if not (self._released or self._motion.at_rest):
            return Outcome(False, "the arm is still coming to rest: try again in a moment")
        self._released = self._ceding = False
        return self._enter(Mode.IDLE, "reset")

    def tick(self, now: float, now_ns: int) -> Command | None:
        """The command to send now; None where nothing must be sent."""
        elapsed, complaint = self._clocks.advance(now, now_ns)
        if complaint is not None:
            self._history.clear()  # its stamps no longer mean anything
            self._hold_if_active(complaint)
        timeout = self._config.joint_timeout_s
        if elapsed > min(_AT_REST_PERIODS * self._config.period_s, timeout) and self._mode is not Mode.IDLE:
            # Nothing was sent meanwhile, so the arm has come to rest; to go on at the old speed would jerk it.
            self._motion.rest()
            if elapsed > timeout:
                self._hold_if_active(_paused(elapsed))
        if self._mode.is_active:
            self._check_streams(now, now_ns)
        if self._mode is not Mode.IDLE:
            self._check_arm(now)
            self._check_vendor()
        if self._ceding and self._motion.at_rest:
            self._release()
        if not self.commands:
            return None
        source_stamp_ns, before = None, self._motion.setpoint
        self._before = before, self._motion.width
        try:
            if self._mode is Mode.POLICY:
                source_stamp_ns = self._policy.move(now_ns, elapsed)
            elif self._mode is Mode.TELEOP:
                self._operator.move(elapsed)
        except SparkError as error:  # a target that the limiter refused
            self.hold(str(error))
        except Exception as error:  # whatever it is, the arm must be braked now
            self.stop(f"an error of the gateway itself, please report it ({type(error).__name__}: {error})")
        if not self._mode.is_active and self._motion.setpoint is before:  # one step a tick, also where half was done
            try:
                self._motion.stop(elapsed)
            except Exception as error:  # nothing is left but silence, at which every driver stops or is told to
                self.stop(f"braking failed, please report it ({type(error).__name__}: {error})")
                self._motion.rest()
                self._release()
                return None
        setpoint, width = self._motion.setpoint, self._motion.width
        self._history.append(now_ns, setpoint.position, width)
        return Command(self._spec.joint_names, setpoint.position, setpoint.velocity, width, source_stamp_ns)

    def withdraw(self, late_s: float) -> None:
        """Takes back the command of the last `tick`, which was not sent because it would have been this late, s.

        The arm has come to rest at the command before, so it is held there.
        """
        setpoint, width = self._before
        self._motion.start(setpoint.position, width)
        self._hold_if_active(_paused(late_s))

    def _check_streams(self, now: float, now_ns: int) -> None:
        """Holds where whoever moves the arm has gone silent."""
        waiting = now - self._engaged_at <= self._config.start_timeout_s
        if self._mode is Mode.TELEOP:
            complaint = self._operator.complaint(now, waiting)
        else:
            complaint = self._policy.complaint(now, now_ns, waiting) or self._unheard_gripper(now)
        if complaint is not None:
            self.hold(complaint)

    def _unheard_gripper(self, now: float) -> str | None:
        """A policy acts on the opening, and must not on one of long ago; an operator sees for himself."""
        return start_check.unheard_gripper(self._arm, self._spec, self._config, now)

    def _check_arm(self, now: float) -> None:
        """Stops where the arm is not heard of or not where it should be; then also ceases to publish, once at rest."""
        config, measured = self._config, self._arm.position
        stale = self._arm.stale(now)
        if stale:
            self._hold_if_active(f"joint states stopped {self._arm.age(now):.2f} s ago: check the arm's driver")
        recent = round(config.following_window_s * config.rate_hz)
        off = None if measured is None else self._history.off_track(measured, recent, config.following_error_rad)
        if off is not None and not stale and self._mode.is_active:
            joint = int(np.argmax(off))
            self.stop(
                f"{self._spec.joint_names[joint]} is {off[joint]:.2f} rad off its setpoint: "
                "free the arm or check its driver, then reset"
            )
        if not self._mode.is_active and (stale or off is not None) and self._motion.at_rest:
            self._release()

    def _obstacle(self, mode: Mode, now: float) -> str | None:
        """Why the arm cannot be handed over now; None where it can."""
        if not mode.is_active:
            return f"cannot engage {mode.value}: choose {Mode.TELEOP.value} or {Mode.POLICY.value}"
        if self._mode is Mode.FAULT:
            return f"in {self._mode.value} ({self._reason}): reset first"
        known = self._arm, self._spec, self._config, now
        complaint = self._vendor.complaint
        obstacle = (complaint and complaint.reason) or start_check.unheard(*known)
        # Who takes over from a policy starts from no measured opening, and must not be kept from it.
        if mode is Mode.POLICY or not self._mode.is_active:
            obstacle = obstacle or self._unheard_gripper(now)
        if not self.commands:
            obstacle = obstacle or start_check.no_place_to_start(*known)
        return obstacle

    def _distrust(self, complaint: str | None) -> Outcome:
        """Holds a policy that there is a complaint about; an operator sees for himself."""
        if complaint is None or self._mode is not Mode.POLICY:
            return Outcome(True, "")
        self.hold(complaint)
        return Outcome(False, complaint)

    def _check_vendor(self) -> None:
        """Stops or holds where the arm's own controller does not obey; after a stop of its own our setpoint is void."""
        complaint = self._vendor.complaint
        if complaint is None:
            return
        if not complaint.fault:
            self._hold_if_active(complaint.reason)
            return
        if self._mode is not Mode.FAULT:
            self.stop(complaint.reason)
        if self._motion.at_rest:
            self._release()

    def _release(self) -> None:
        """Ceases to publish: where the arm is not as it was told, an old setpoint is worse than none."""
        if not self._released:
            self._released = True
            self._reason += "; no longer commanding the arm"

    def _hold_if_active(self, reason: str) -> None:
        if self._mode.is_active:
            self.hold(reason)

    def _enter(self, mode: Mode, reason: str) -> Outcome:
        self._mode, self._reason = mode, reason
        return Outcome(True, reason)


def _paused(seconds: float) -> str:
    return f"the gateway itself paused for {seconds:.2f} s: the computer is too busy, or was asleep; engage again"

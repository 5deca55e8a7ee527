"""What the arm's own controller says of itself: modes, protective stops, errors, speed scaling.

Numbers are those of the drivers' messages: `ur_dashboard_msgs` RobotMode and SafetyMode, `franka_msgs`
FrankaRobotState. A report holds until the next one of its kind: drivers send modes only when they change.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

UR_RUNNING = 7
UR_ROBOT_MODES = {
    -1: "no controller",
    0: "disconnected",
    1: "confirm safety",
    2: "booting",
    3: "power off",
    4: "power on",
    5: "idle",
    6: "backdrive",
    UR_RUNNING: "running",
    8: "updating firmware",
}
UR_SAFE = {1: "normal", 2: "reduced"}
UR_SAFETY_MODES = {
    **UR_SAFE,
    3: "protective stop",
    4: "recovery",
    5: "safeguard stop",
    6: "system emergency stop",
    7: "robot emergency stop",
    8: "violation",
    9: "fault",
    10: "validate joint id",
    11: "undefined safety mode",
    12: "automatic mode safeguard stop",
    13: "system three-position enabling stop",
}
FRANKA_READY = {1: "idle", 2: "move"}
FRANKA_ROBOT_MODES = {
    0: "other",
    **FRANKA_READY,
    3: "guiding",
    4: "reflex",
    5: "user stopped",
    6: "automatic error recovery",
}


@dataclass(frozen=True)
class Complaint:
    """Why the arm does not do as it is told.

    Attributes:
        reason: A sentence for a person.
        fault: True where the controller has stopped the arm by itself, so that our setpoint means nothing any more;
            False where it merely will not follow as asked.
    """

    reason: str
    fault: bool


class VendorState:
    """The newest report of each kind, and what of it stands in the way of motion."""

    def __init__(self, min_speed_scaling: float) -> None:
        """Complains of a speed scaling below `min_speed_scaling`, 0 to 1; knows nothing yet, and so complains not."""
        self._min_speed_scaling = min_speed_scaling
        self._complaints: dict[str, Complaint] = {}

    @property
    def complaint(self) -> Complaint | None:
        """What stands in the way, the gravest first; None if nothing does."""
        return max(self._complaints.values(), key=lambda complaint: complaint.fault, default=None)

    def on_ur_robot_mode(self, mode: int) -> None:
        """RobotMode of a UR."""
        name = UR_ROBOT_MODES.get(mode, f"unknown ({mode})")
        reason = f"the UR's robot mode is {name}: power it on and release its brakes"
        self._note("ur robot mode", mode == UR_RUNNING, Complaint(reason, fault=True))

    def on_ur_safety_mode(self, mode: int) -> None:
        """SafetyMode of a UR."""
        name = UR_SAFETY_MODES.get(mode, f"unknown ({mode})")
        reason = f"the UR's safety mode is {name}: remove the cause and unlock it at the teach pendant"
        self._note("ur safety mode", mode in UR_SAFE, Complaint(reason, fault=True))

    def on_ur_program_running(self, running: bool) -> None:
        """Whether the UR runs the program that listens to us."""
        reason = "the UR does not run External Control: press play at the teach pendant"
        self._note("ur program", running, Complaint(reason, fault=True))

    def on_speed_scaling(self, scaling: float) -> None:
        """Part of the asked speed that the arm moves at, 0 to 1."""
        reason = f"the arm scales its speed to {100 * scaling:.0f}%: set its speed slider to 100%"
        enough = math.isfinite(scaling) and scaling >= self._min_speed_scaling
        self._note("speed scaling", enough, Complaint(reason, fault=False))

    def on_franka_state(self, mode: int, errors: Sequence[str]) -> None:
        """Robot mode of a Franka and the names of its current errors."""
        name = FRANKA_ROBOT_MODES.get(mode, f"unknown ({mode})")
        ready = mode in FRANKA_READY and not errors
        what = f"reports {', '.join(errors)}" if errors else f"is in robot mode {name}"
        reason = f"the Franka {what}: remove the cause, then recover it in Desk or by its error recovery action"
        self._note("franka", ready, Complaint(reason, fault=True))

    def on_report(self, ready: bool, reason: str) -> None:
        """Any other driver: whether it obeys, and if not, why."""
        self._note("driver", ready, Complaint(f"the arm's driver: {reason or 'not ready'}", fault=True))

    def _note(self, kind: str, fine: bool, complaint: Complaint) -> None:
        if fine:
            self._complaints.pop(kind, None)
        else:
            self._complaints[kind] = complaint

"""What the keys mean: from keys and their times to the operator's input. No terminal and no ROS here.

A terminal tells that a key was typed, never that it was let go: a held key is a first character, a pause of
250 to 660 ms, then about 30 characters a second. So a motion lasts `NUDGE_S` after each character: a tap is a
nudge of a centimetre, a held key moves on without a break once it repeats, and a lost connection stops the
arm within that time.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from spark_ros.contracts import FloatArray, TeleopInput

NUDGE_S = 0.15  # longer than the gap between repeats (33 ms, with network jitter), short enough to let go
DEADMAN_S = 1.0  # outlasts the pause before repeats begin, and gives the fingers time to close
SLOWEST, FASTEST, STEP = 0.1, 1.0, 1.25

# Key -> axis of the twist (vx vy vz wx wy wz, in the base frame) and direction, as seen from behind the arm.
MOTIONS: Mapping[str, tuple[int, float]] = {
    "w": (0, 1.0), "s": (0, -1.0),
    "a": (1, 1.0), "d": (1, -1.0),
    "r": (2, 1.0), "f": (2, -1.0),
    "u": (3, 1.0), "o": (3, -1.0),
    "i": (4, 1.0), "k": (4, -1.0),
    "j": (5, 1.0), "l": (5, -1.0),
}  # fmt: skip

HELP = """\
  w s  forward, back        i k  pitch          g      close or open the gripper
  a d  left, right          j l  yaw            + -    faster, slower
  r f  up, down             u o  roll           n      these steps are not for imitation, and back
  e    engage teleoperation                     space  let go of the deadman at once
  h    hold the arm         R    reset          x      stop the arm (latched until reset)
  p    hand back to the policy                  Hold a key to keep moving, tap it for a nudge.
  q    quit                 ?    this page"""


class KeyTeleop:
    """The operator's state.

    Args:
        linear_speed: m/s at full speed.
        angular_speed: rad/s at full speed.
        max_width: Opening of the gripper, m.
    """

    def __init__(self, linear_speed: float, angular_speed: float, max_width: float) -> None:
        self._scale = np.array([linear_speed] * 3 + [angular_speed] * 3)
        self._max_width = max_width
        self._typed: dict[str, float] = {}
        self._last = float("-inf")
        self.speed = 0.5
        self.closed = False
        self._held_width: float | None = None  # of what somebody else has gripped
        self.imitate = True

    def press(self, key: str, now: float) -> bool:
        """Take a key typed at `now`, in seconds of a monotonic clock; whether it means anything here."""
        if key in MOTIONS:
            self._typed[key] = now
        elif key == "g":
            self.closed, self._held_width = not self.closed, None
        elif key == "n":
            self.imitate = not self.imitate
            return True  # says something about the motion, moves nothing
        elif key in "+=-":
            factor = 1 / STEP if key == "-" else STEP
            self.speed = float(np.clip(self.speed * factor, SLOWEST, FASTEST))
            return True
        elif key == " ":
            self._typed.clear()
            self._last = float("-inf")
            return True
        else:
            return False
        self._last = now
        return True

    def adopt(self, width: float) -> None:
        """The gripper was told this width (m) by somebody else: taking over must not drop what it holds."""
        self.closed = width < 0.5 * self._max_width
        self._held_width = width if self.closed else None

    def teleop(self, now: float, stamp_ns: int) -> TeleopInput:
        """The input at `now`, to be stamped `stamp_ns`."""
        return TeleopInput(
            twist=self._twist(now),
            gripper_width=(self._held_width or 0.0) if self.closed else self._max_width,
            deadman=now - self._last < DEADMAN_S,
            imitate=self.imitate,
            stamp_ns=stamp_ns,
        )

    def _twist(self, now: float) -> FloatArray:
        twist = np.zeros(6)
        for key, typed in self._typed.items():
            if now - typed < NUDGE_S:
                axis, direction = MOTIONS[key]
                twist[axis] += direction
        return twist * self._scale * self.speed

"""Tool velocities for MoveIt Servo (`delta_twist_cmds`, `command_in_type: speed_units`), in the base frame.

Servo plans and limits by itself, after the gateway has done so, and stops when a message is older than 0.1 s by its
stamp: the two computers' clocks must agree. It must have been switched to twists (`switch_command_type`).
"""

from __future__ import annotations

from spark_ros.adapters.twist import Twist


class MoveItServo(Twist):
    """A twist in the base frame; the zero before silence stops the arm at once instead of after the timeout."""

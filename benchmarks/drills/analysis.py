"""From a tape to numbers: when a fault was noticed, when the arm braked, and what the arm was asked for meanwhile.

Nothing here knows how the gateway works, or believes it. Velocities are those that it states on /gateway/setpoint, if
they explain the positions that the arm received: `unexplained_rad` is what they do not. The time of a step is told
twice, by the stamps and by the velocities and positions together; each alone errs where processes wait for a processor,
or a clock jumps. The longer one counts, but no more than two periods, as the gateway counts: a command that comes late
asks for no more than that, and how late is told by `pause_ms`. By its sum the second must not be more than what really
passed (`hurried_ms`). How hard the arm could have braked follows from the limits of its description alone.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np
import ruckig
from numpy.typing import NDArray

from benchmarks.drills.tape import Tape
from spark_ros.contracts import FloatArray
from spark_ros.robots.spec import RobotSpec

REST_RAD_S = 1e-3  # slower is at rest; it takes 2 ms from there to nothing
ARM_REST_RAD_S = 0.02  # of the measured arm, whose controller creeps up on its setpoint
MOVING_RAD_S = 0.05
SLOW_RAD_S = 0.01  # slower, positions differ by too little to tell the time
MATCHED_NS = 50_000_000  # clocks that agree this closely about a step tell the same time
LONGEST_STOP_S = 2.0
_AMONG = 5  # commands in which that of a setpoint is looked for: some may have been lost on the way
SILENCE_NS = 150_000_000  # between two commands: no busy machine, but a gateway that does not run
_NS = 1e9


@dataclass(frozen=True)
class Stop:
    """How the commands came to rest; times in ms, None where they did not.

    Attributes:
        detected_ms: From the fault to the gateway's new mode; where the mode is not to change, to the braking.
        brakes_periods: Control periods from the detection to the command from which on the arm was stopped as fast as
            its limits allow.
        rest_ms: From the detection to the first command at rest.
        ceased: Whether nothing was commanded from the detection on: the driver holds the last setpoint.
    """

    detected_ms: float | None
    brakes_periods: float | None
    rest_ms: float | None
    ceased: bool = False


@dataclass(frozen=True)
class Peaks:
    """The most that was asked of any joint, as a part of its limit.

    Attributes:
        velocity: Of the velocity limit.
        acceleration: Of the acceleration limit.
        jerk: Of the jerk limit.
        pause_ms: Longest time between two commands while the arm was moving.
        unexplained_rad: Furthest that a joint moved in a step other than by its velocities.
        hurried_ms: By how much the motion took more time by its own velocities than really passed.
    """

    velocity: float
    acceleration: float
    jerk: float
    pause_ms: float
    unexplained_rad: float
    hurried_ms: float


@dataclass(frozen=True)
class Arm:
    """What the arm itself did.

    Attributes:
        rest_ms: From the fault until it stood still for the rest of the tape; None if it did not.
        travel_rad: How far a joint went after the fault, until then.
        drift_rad: How far a joint moved after that.
        acceleration: Peak as a part of the joint's limit.
        cut_off_rad_s: Highest speed of a joint in a command after which nothing was sent for a while.
    """

    rest_ms: float | None
    travel_rad: float
    drift_rad: float
    acceleration: float
    cut_off_rad_s: float


def stop(tape: Tape, fault_ns: int, mode: str | None, spec: RobotSpec, period_s: float) -> Stop:
    """When the fault was noticed and how the arm was stopped.

    Args:
        tape: From before the fault to after the rest.
        fault_ns: When it happened.
        mode: The mode that tells of it; None where the mode is to stay as it is.
        spec: The arm.
        period_s: Control period of the gateway.
    """
    detected = None if mode is None else next((w for w, m in tape.modes if w >= fault_ns and m == mode), None)
    if mode is not None and detected is None:
        return Stop(None, None, None)
    rest = _first_rest(tape, fault_ns if detected is None else detected)
    if rest is None:
        ceased = detected is not None and not np.any(tape.setpoint_ns >= detected)
        return Stop(None if detected is None else _ms(detected - fault_ns), None, None, ceased)
    onset = _braking_onset(tape, rest, spec, period_s)
    begins = int(tape.setpoint_ns[onset])
    if detected is None:
        detected = max(begins, fault_ns)
    late = max(begins - detected, 0) / _NS / period_s
    return Stop(_ms(detected - fault_ns), round(late, 2), _ms(max(int(tape.setpoint_ns[rest]) - detected, 0)))


def peaks(tape: Tape, spec: RobotSpec, period_s: float) -> Peaks:
    """The most that the commands on the tape asked for.

    Args:
        tape: Any stretch.
        spec: The arm.
        period_s: Control period of the gateway.
    """
    v = tape.velocity
    if len(v) < 3:
        return Peaks(0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    tape = replace(tape, setpoint_ns=_commanded_ns(tape))
    received = np.diff(tape.setpoint_ns) / _NS
    explained = _explained(tape)
    silent = np.diff(tape.setpoint_ns) > SILENCE_NS
    steps = np.clip(np.maximum(explained, _steps_s(tape)), 1e-3, 2 * period_s)[:, None]
    # Across a silence nothing is asked for: the driver has held the last setpoint meanwhile, see `Arm.cut_off_rad_s`.
    acceleration = (v[1:] - np.where(silent[:, None], 0.0, v[:-1])) / steps
    jerk = np.diff(acceleration, axis=0) / ((steps[1:] + steps[:-1]) / 2)
    jerk[silent[1:]] = 0.0
    # The trapezoid is exact up to jerk * dt^3 / 12.
    moved, mean = np.diff(tape.position, axis=0), (v[1:] + v[:-1]) / 2
    bend = spec.limits.acceleration / (2 * period_s) * steps**3 / 12
    unexplained = np.maximum(np.abs(moved - mean * explained[:, None]) - bend, 0.0)
    moving = np.abs(v[:-1]).max(axis=1) > MOVING_RAD_S
    return Peaks(
        _most(v / spec.limits.velocity),
        _most(acceleration / spec.limits.acceleration),
        _most(jerk / spec.limits.jerk),
        round(float(received[moving].max(initial=0.0)) * 1e3, 1),
        round(float(unexplained[explained > 0].max(initial=0.0)), 5),
        round(max(float((explained - received)[explained > 0].sum()), 0.0) * 1e3, 1),
    )


def arm(tape: Tape, fault_ns: int, spec: RobotSpec, period_s: float) -> Arm:
    """What the arm did, by its own joint states, which come a constant `period_s` of its time apart."""
    after = tape.joint_ns >= fault_ns
    q, v, when = tape.joint_position[after], tape.joint_velocity[after], tape.joint_ns[after]
    if len(q) == 0:
        return Arm(None, 0.0, 0.0, 0.0, _cut_off(tape))
    restless = np.flatnonzero(np.abs(v).max(axis=1) > ARM_REST_RAD_S)
    still = int(restless[-1]) + 1 if len(restless) else 0
    rests = still < len(q)
    until = q[: still + 1]
    acceleration = np.diff(tape.joint_velocity, axis=0) / period_s / spec.limits.acceleration
    return Arm(
        _ms(int(when[still]) - fault_ns) if rests else None,
        round(float(np.abs(until - q[0]).max()), 4),
        round(float(np.abs(q[still:] - q[still]).max()), 4) if rests else 0.0,
        _most(acceleration),
        _cut_off(tape),
    )


def same_commands(tape: Tape) -> bool:
    """Whether every command that the arm received is one that the gateway states, in the same order."""
    stated = iter(map(tuple, tape.position))
    received = list(map(tuple, tape.command))
    # The first may have been stated before the tape began, the last after it ended.
    return all(command in stated for command in received[1:-1])


def fastest_stop_s(velocity: FloatArray, acceleration: FloatArray, spec: RobotSpec, period_s: float) -> float:
    """Time that these joints (J,), rad/s and rad/s^2, need to come to rest within the arm's limits.

    A jerk limit that reaches full acceleration within a period is none for who commands once a period: two at least.
    """
    limits = spec.limits
    task = ruckig.InputParameter(len(velocity))
    task.control_interface = ruckig.ControlInterface.Velocity
    task.synchronization = ruckig.Synchronization.No
    task.max_acceleration = limits.acceleration.tolist()
    task.max_jerk = np.minimum(limits.jerk, limits.acceleration / (2 * period_s)).tolist()
    task.current_velocity = velocity.tolist()
    task.current_acceleration = np.clip(acceleration, -limits.acceleration, limits.acceleration).tolist()
    task.target_velocity = [0.0] * len(velocity)
    trajectory = ruckig.Trajectory(len(velocity))
    ruckig.Ruckig(len(velocity)).calculate(task, trajectory)
    return float(trajectory.duration)


def _first_rest(tape: Tape, after_ns: int) -> int | None:
    """Row of the first setpoint at rest from then on; one that is at rest already counts from its own time on."""
    resting = (tape.setpoint_ns >= after_ns) & (np.abs(tape.velocity).max(axis=1) < REST_RAD_S)
    rows = np.flatnonzero(resting)
    return int(rows[0]) if len(rows) else None


def _braking_onset(tape: Tape, rest: int, spec: RobotSpec, period_s: float) -> int:
    """The earliest row from which on the arm came to rest as fast as its limits allow.

    Within a step, that is: nobody sees when in the last one it did.
    """
    counted = np.minimum(_steps_s(tape), 2 * period_s)
    onset, left = rest, 0.0
    for row in range(rest - 1, 0, -1):
        left += float(counted[row])
        if left > LONGEST_STOP_S:
            break
        fastest = fastest_stop_s(tape.velocity[row], _acceleration(tape, row, counted), spec, period_s)
        if left - fastest > max(float(counted[rest - 1]), period_s):
            break
        onset = row
    return onset


def _acceleration(tape: Tape, row: int, counted: FloatArray) -> FloatArray:
    """(J,) rad/s^2 at a setpoint: that of the last step, carried on by half a step."""
    last = (tape.velocity[row] - tape.velocity[row - 1]) / max(float(counted[row - 1]), 1e-3)
    if row < 2:
        return last
    before = (tape.velocity[row - 1] - tape.velocity[row - 2]) / max(float(counted[row - 2]), 1e-3)
    return last + (last - before) / 2


def _steps_s(tape: Tape) -> FloatArray:
    """(S - 1,) seconds between setpoints: by their stamps, by the receipt where the stamps' clock jumped or stood."""
    stamped, received = np.diff(tape.stamp_ns), np.diff(tape.setpoint_ns)
    return np.where((stamped > 0) & (np.abs(stamped - received) < MATCHED_NS), stamped, received) / _NS


def _commanded_ns(tape: Tape) -> NDArray[np.int64]:
    """(S,) when the arm received what each setpoint states; when that was stated, where it was not received.

    A gateway that is stopped between the two states late what it commanded in time.
    """
    when, commands, begin = tape.setpoint_ns.copy(), list(map(tuple, tape.command)), 0
    for row, stated in enumerate(map(tuple, tape.position)):
        with suppress(ValueError):
            begin = commands.index(stated, begin, begin + _AMONG)
            when[row] = tape.command_ns[begin]
            begin += 1
    return np.maximum.accumulate(when)


def _explained(tape: Tape) -> FloatArray:
    """(S - 1,) seconds in which the stated velocities explain the positions; 0 where next to nothing moves."""
    moved, mean = np.diff(tape.position, axis=0), (tape.velocity[1:] + tape.velocity[:-1]) / 2
    squared = (mean**2).sum(axis=1)
    return np.where(squared > SLOW_RAD_S**2, (moved * mean).sum(axis=1) / np.maximum(squared, 1e-9), 0.0)


def _cut_off(tape: Tape) -> float:
    if len(tape.velocity) == 0 or len(tape.joint_ns) == 0:
        return 0.0
    until = np.append(tape.setpoint_ns[1:], tape.joint_ns[-1])
    before_silence = tape.velocity[until - tape.setpoint_ns > SILENCE_NS]
    return round(float(np.abs(before_silence).max(initial=0.0)), 4)


def _most(shares: FloatArray) -> float:
    return round(float(np.abs(shares).max()), 3) if shares.size else 0.0


def _ms(nanoseconds: int) -> float:
    return round(nanoseconds / 1e6, 1)

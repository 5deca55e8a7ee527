"""What the drills say about a stop and about peaks, where the stream of commands is made and the answer known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.drills.analysis import arm, fastest_stop_s, peaks, same_commands, stop
from benchmarks.drills.tape import Tape, read_tape
from spark_ros.contracts import SparkError
from spark_ros.control.config import GatewayConfig
from spark_ros.control.limiter import Limiter
from spark_ros.robots.spec import load_robot

SPEC = load_robot("fr3")
PERIOD_S, PERIOD_NS = 0.01, 10_000_000
EPOCH_NS = 10**18
SPEED = 0.5  # rad/s of the first joint, reached long before
FAULT, DETECTED = 60, 63  # ticks
FAULT_NS = FAULT * PERIOD_NS


def limiter_stream(ticks: int, brakes_at: int, config: GatewayConfig | None = None) -> tuple[np.ndarray, np.ndarray]:
    """(T, J) positions and velocities of a motion at a constant speed that is stopped from a tick on."""
    limiter = Limiter(SPEC, config or GatewayConfig())
    limiter.reset(SPEC.home)
    target, rate = SPEC.home.copy(), np.zeros(7)
    rate[0] = SPEED
    states = []
    for tick in range(ticks):
        target = target + rate * PERIOD_S
        states.append(limiter.stop(PERIOD_S) if tick >= brakes_at else limiter.track(target, rate, PERIOD_S))
    return np.array([s.position for s in states]), np.array([s.velocity for s in states])


def tape_of(position: np.ndarray, velocity: np.ndarray, modes: tuple[tuple[int, str], ...] = ()) -> Tape:
    """As an observer without any delay writes it down; the arm obeys at once."""
    when = np.arange(len(position), dtype=np.int64) * PERIOD_NS
    return Tape(when, position, when, EPOCH_NS + when, position, velocity, when, position, velocity, modes)


def stopped(brakes_at: int) -> Tape:
    position, velocity = limiter_stream(120, brakes_at)
    return tape_of(position, velocity, ((0, "policy"), (DETECTED * PERIOD_NS, "hold")))


@pytest.mark.parametrize("delay", [0, 1, 5, 15])
def test_braking_is_counted_in_periods_from_the_detection(delay: int) -> None:
    found = stop(stopped(DETECTED + delay), FAULT_NS, "hold", SPEC, PERIOD_S)
    assert found.detected_ms == 30.0
    # The command before the first that brakes belongs to the fastest stop too.
    assert found.brakes_periods == pytest.approx(max(delay - 1, 0), abs=1.01)
    assert found.rest_ms == pytest.approx(10 * delay + 70, abs=20)


def test_without_a_new_mode_the_braking_tells_when_it_was_noticed() -> None:
    position, velocity = limiter_stream(120, FAULT + 20)
    found = stop(tape_of(position, velocity, ((0, "teleop"),)), FAULT_NS, None, SPEC, PERIOD_S)
    assert found.detected_ms == pytest.approx(200.0, abs=20.0)
    assert found.brakes_periods == 0.0


def test_a_soft_stop_is_not_one_as_fast_as_the_limits_allow() -> None:
    velocity = np.zeros((150, 7))
    velocity[:, 0] = np.clip(SPEED - (np.arange(150) - DETECTED) * 0.01, 0.0, SPEED)  # 1 of 10 rad/s^2
    position = SPEC.home + np.cumsum(velocity, axis=0) * PERIOD_S
    found = stop(tape_of(position, velocity, ((DETECTED * PERIOD_NS, "hold"),)), FAULT_NS, "hold", SPEC, PERIOD_S)
    assert found.brakes_periods is not None and found.brakes_periods > 20


def test_an_arm_that_is_never_stopped_is_said_to_be_none() -> None:
    position, velocity = limiter_stream(120, 1000)
    found = stop(tape_of(position, velocity, ((DETECTED * PERIOD_NS, "hold"),)), FAULT_NS, "hold", SPEC, PERIOD_S)
    assert found.detected_ms == 30.0 and found.rest_ms is None and found.brakes_periods is None
    assert stop(tape_of(position, velocity), FAULT_NS, "fault", SPEC, PERIOD_S).detected_ms is None


def test_a_gateway_that_says_hold_and_nothing_more_leaves_the_arm_to_its_driver() -> None:
    position, velocity = limiter_stream(FAULT, 1000)
    found = stop(tape_of(position, velocity, ((DETECTED * PERIOD_NS, "hold"),)), FAULT_NS, "hold", SPEC, PERIOD_S)
    assert found.ceased and found.rest_ms is None


def test_peaks_of_the_limiter_are_within_the_limits_and_explained() -> None:
    found = peaks(stopped(DETECTED), SPEC, PERIOD_S)
    assert 0.95 < found.acceleration <= 1.0
    assert found.jerk <= 1.0
    share = SPEED / SPEC.limits.velocity[0]
    assert share <= found.velocity < 1.5 * share  # the limiter catches up with a target that began without it
    assert found.pause_ms == 10.0 and found.unexplained_rad < 1e-4 and found.hurried_ms == 0.0


def test_late_stamps_and_late_receipt_do_not_make_peaks() -> None:
    tape = stopped(DETECTED)
    rng = np.random.default_rng(0)
    jitter = rng.integers(0, 4_000_000, len(tape.stamp_ns))
    found = peaks(replace(tape, stamp_ns=tape.stamp_ns + jitter), SPEC, PERIOD_S)
    assert found.acceleration <= 1.001
    jumped = replace(tape, stamp_ns=tape.stamp_ns + np.where(np.arange(120) > FAULT, -10 * 10**9, 0))
    assert peaks(jumped, SPEC, PERIOD_S).acceleration <= 1.001


def test_a_gateway_that_did_not_run_has_asked_for_nothing_meanwhile() -> None:
    tape = stopped(DETECTED)
    later = np.where(np.arange(120) > FAULT, 5 * 10**9, 0)
    velocity = np.where((np.arange(120) > FAULT)[:, None], 0.0, tape.velocity)
    position = np.where((np.arange(120) > FAULT)[:, None], tape.position[FAULT], tape.position)
    paused = replace(
        tape,
        setpoint_ns=tape.setpoint_ns + later,
        stamp_ns=tape.stamp_ns + later,
        velocity=velocity,
        position=position,
    )
    found = peaks(paused, SPEC, PERIOD_S)
    assert found.acceleration <= 1.001 and found.jerk <= 1.0
    jerked = replace(paused, velocity=np.where((np.arange(120) > FAULT)[:, None], tape.velocity[0] + 1.0, velocity))
    assert peaks(jerked, SPEC, PERIOD_S).acceleration > 2, "a start out of a silence counts"
    last = np.where(np.arange(120) == FAULT, 5 * 10**9 - 10**6, 0)
    stated_late = replace(paused, setpoint_ns=paused.setpoint_ns + last)
    assert peaks(stated_late, SPEC, PERIOD_S).acceleration <= 1.001, "the arm had received it in time"
    sent_late = replace(stated_late, command_ns=tape.command_ns + last)
    assert peaks(sent_late, SPEC, PERIOD_S).acceleration > 2, "the old speed, to an arm that stands"


def test_a_jump_of_a_command_is_a_peak() -> None:
    tape = stopped(DETECTED)
    velocity = tape.velocity.copy()
    velocity[40, 2] += 0.2
    assert peaks(replace(tape, velocity=velocity), SPEC, PERIOD_S).acceleration > 1.9
    position = tape.position.copy()
    position[40:, 2] += 0.05
    assert peaks(replace(tape, position=position), SPEC, PERIOD_S).unexplained_rad > 0.04


def test_velocities_that_are_not_those_of_the_positions_are_noticed() -> None:
    tape = stopped(DETECTED)
    found = peaks(replace(tape, velocity=tape.velocity / 2), SPEC, PERIOD_S)
    assert found.hurried_ms > 300
    received = replace(tape, command=tape.command + 1e-6)
    assert same_commands(tape) and not same_commands(received)


def test_an_arm_whose_commands_end_is_cut_off_and_held() -> None:
    tape = stopped(1000)
    halted = tape.velocity.copy()
    halted[FAULT:] = 0.0
    place = tape.position.copy()
    place[FAULT:] = place[FAULT]
    ended = replace(
        tape,
        joint_velocity=halted,
        joint_position=place,
        setpoint_ns=tape.setpoint_ns[:FAULT],
        stamp_ns=tape.stamp_ns[:FAULT],
        position=tape.position[:FAULT],
        velocity=tape.velocity[:FAULT],
    )
    found = arm(ended, FAULT_NS, SPEC, PERIOD_S)
    assert found.cut_off_rad_s == pytest.approx(SPEED, abs=1e-3)
    assert found.rest_ms == 0.0 and found.drift_rad == 0.0 and found.travel_rad == 0.0
    assert found.acceleration == pytest.approx(SPEED / PERIOD_S / 10, rel=1e-3)
    assert arm(stopped(1000), FAULT_NS, SPEC, PERIOD_S).rest_ms is None


def test_the_fastest_stop_follows_from_the_limits() -> None:
    velocity = np.zeros(7)
    velocity[0] = 1.0
    # Full braking of 10 rad/s^2, reached and left within two periods each.
    assert fastest_stop_s(velocity, np.zeros(7), SPEC, PERIOD_S) == pytest.approx(0.1 + 0.02, abs=1e-6)


def test_the_observers_file_is_read_from_any_line_on_and_nothing_else_is(tmp_path: Path) -> None:
    path = tmp_path / "observed.txt"
    first, second = "m 5 idle\n", "c 7 0.1 0.2\ns 8 1000 0.1 0.2 1.0 2.0\nj 9 0.3 0.4 3.0 4.0\nm 10 hold\nc 11 0."
    path.write_text(first + second)
    tape = read_tape(path, 2, len(first))
    assert tape.modes == ((10, "hold"),)
    assert read_tape(path, 2, len(first) + 3).joint_ns.tolist() == [9], "half a line is none"
    assert len(read_tape(path, 2, len(first) + 3).command) == 0
    np.testing.assert_array_equal(tape.command, [[0.1, 0.2]])
    np.testing.assert_array_equal(tape.velocity, [[1.0, 2.0]])
    assert tape.stamp_ns.tolist() == [1000] and tape.joint_ns.tolist() == [9]
    path.write_text("c 7 0.1 0.2 0.3\n")
    with pytest.raises(SparkError, match="never writes"):
        read_tape(path, 2)

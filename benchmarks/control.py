"""The control core: how long a tick takes, and how closely commands follow a moving tool.

    python -m benchmarks.control [--robot fr3] [--quick] [--json] [--save]

- gateway tick: teleoperation, end-effector chunks and joint chunks in turns, commands obeyed at once. The share is of
  the tick's period.
- inverse kinematics: near, farther, and out of reach, as the gateway calls it.
- limiter beside plain Ruckig: our limiter, and Ruckig's position mode replanned every tick towards the same joints
  (what a first version of a gateway would do), as it comes and with every joint for itself, on a circle of the tool at
  0.25 m/s. Lag is the shift in time that explains most of the distance; the residual is what remains of it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import ruckig

from benchmarks.common import entry, finish, make_parser, parse, percentiles, ratios, spread
from spark_ros.contracts import ActionChunk, ActionKind, FloatArray, JointState, Pose, SparkError, TeleopInput
from spark_ros.control.gateway import Gateway, GatewayConfig
from spark_ros.control.limiter import Limiter
from spark_ros.control.modes import Mode
from spark_ros.robots.kinematics import Kinematics
from spark_ros.robots.pose import multiply_quaternions, quaternion_from_rotvec, vector_from_pose
from spark_ros.robots.spec import RobotSpec, load_robot

RADIUS_M, SPEED_M_S, RAMP_S = 0.1, 0.25, 0.3
TURN_S = 2 * np.pi * RADIUS_M / SPEED_M_S
SETTLED_S = 1.5  # from where on tracking is judged
CHUNK_STEPS, CHUNK_DT_S, CHUNK_DELAY_S = 10, 0.1, 0.06
EPOCH_NS = 10**18  # stamps as a real clock gives them
JOINT_NOISE = 0.3  # rad between the seed and the solution of a far target


def main() -> None:
    """Measures and prints."""
    parser = make_parser(__doc__, "shorter drives, fewer targets")
    parser.add_argument("--robot", default="fr3", help="a name or a description's path (default: %(default)s)")
    options = parse(parser)
    spec, config = load_robot(options.robot), GatewayConfig()
    rounds, targets = (1, 300) if options.quick else (10, 3000)
    measured = {
        "robot": spec.name,
        "rate_hz": config.rate_hz,
        "gateway_tick_us": gateway_ticks(spec, config, rounds),
        "inverse_kinematics_us": inverse_kinematics(spec, targets),
        "tracking": tracking(spec, config, rounds),
    }
    ticks = measured["gateway_tick_us"]
    period = dict.fromkeys(("p50", "p95", "p99"), 1e6 * config.period_s)
    measured["tick_over_period"] = {kind: ratios(row, period) for kind, row in ticks.items()}
    measured["tick_over_teleop"] = {kind: ratios(row, ticks["teleop"]) for kind, row in ticks.items()}
    finish(options, "control", measured, _show)


def gateway_ticks(spec: RobotSpec, config: GatewayConfig, rounds: int, drive_s: float = 2 * TURN_S) -> dict[str, Any]:
    """Microseconds of `Gateway.tick` by what it follows; a round drives each kind once."""
    drives: dict[str, Callable[[], list[float]]] = {
        "teleop": lambda: _drive_teleop(spec, config, drive_s),
        "end-effector chunks": lambda: _drive_chunks(spec, config, drive_s, ActionKind.EE_POSE),
        "joint chunks": lambda: _drive_chunks(spec, config, drive_s, ActionKind.JOINT_POSITION),
    }
    times: dict[str, list[float]] = {kind: [] for kind in drives}
    for _ in range(rounds):
        for kind, drive in drives.items():
            times[kind] += drive()
    return {kind: percentiles(taken, 1) for kind, taken in times.items()}


def inverse_kinematics(spec: RobotSpec, count: int) -> dict[str, dict[str, Any]]:
    """Microseconds of `Kinematics.solve` and how often it converged, by how far the target is; targets in turns."""
    kinematics, rng = Kinematics(spec), np.random.default_rng(0)
    kinds: dict[str, Callable[[], tuple[Pose, FloatArray, int]]] = {
        "2.5 mm and 0.01 rad": lambda: (*_displaced(kinematics, rng, 0.0025, 0.01), 30),
        "2 cm and 0.1 rad": lambda: (*_displaced(kinematics, rng, 0.02, 0.1), 30),
        "10 cm and 0.5 rad": lambda: (*_displaced(kinematics, rng, 0.1, 0.5), 30),
        "anywhere": lambda: (*_anywhere(kinematics, rng), 30),
        "out of reach, 10 iterations": lambda: (*_out_of_reach(kinematics), 10),
    }
    taken: dict[str, list[float]] = {kind: [] for kind in kinds}
    converged = dict.fromkeys(kinds, 0)
    for _ in range(count):
        for kind, draw in kinds.items():
            target, seed, iterations = draw()
            begin = time.perf_counter()
            _, found = kinematics.solve(target, seed, max_iterations=iterations)
            taken[kind].append(1e6 * (time.perf_counter() - begin))
            converged[kind] += found
    return {kind: {**percentiles(taken[kind], 1), "converged": converged[kind] / count} for kind in kinds}


def tracking(spec: RobotSpec, config: GatewayConfig, rounds: int) -> dict[str, Any]:
    """Lag, distance and step time of the limiter and of Ruckig's position mode on the same joints, in turns."""
    kinematics = Kinematics(spec)
    ticks = np.arange(round((SETTLED_S + 2 * TURN_S) * config.rate_hz)) * config.period_s
    path = np.array([circle(t) for t in ticks]) + kinematics.forward(spec.home).position
    joints, velocities = _joints_along(kinematics, spec, ticks)
    forms: dict[str, Callable[[], Callable[[FloatArray, FloatArray], FloatArray]]] = {
        "limiter": lambda: _limiter(spec, config),
        "plain Ruckig": lambda: _plain_ruckig(spec, config, ruckig.Synchronization.Time),
        "plain Ruckig, each joint for itself": lambda: _plain_ruckig(spec, config, ruckig.Synchronization.No),
    }
    times: dict[str, list[float]] = {form: [] for form in forms}
    result: dict[str, Any] = {}
    for _ in range(rounds):
        for form, make in forms.items():
            step, commanded = make(), []
            for target, velocity in zip(joints, velocities, strict=True):
                begin = time.perf_counter()
                commanded.append(step(target, velocity))
                times[form].append(1e6 * (time.perf_counter() - begin))
            tool = np.array([kinematics.forward(q).position for q in commanded])
            result[form] = _follow_error(ticks, path, tool)  # the same in every round: nothing in it depends on time
    for form in forms:
        result[form]["step_us"] = percentiles(times[form], 1)
    ours = result["limiter"]
    over = {
        form: {
            "lag": round(ours["lag_ms"] / row["lag_ms"], 3),
            "rms": round(ours["rms_mm"] / row["rms_mm"], 3),
            "step": ratios(ours["step_us"], row["step_us"]),
        }
        for form, row in result.items()
        if form != "limiter"
    }
    return {"forms": result, "limiter_over": over}


def circle(t: float) -> FloatArray:
    """(3,) m from the start at time `t`, s: from rest to `SPEED_M_S` within `RAMP_S`, in the horizontal plane."""
    rate = SPEED_M_S / RADIUS_M
    angle = rate * (t - RAMP_S / 2) if t > RAMP_S else rate * max(t, 0.0) ** 2 / (2 * RAMP_S)
    return RADIUS_M * np.array([np.cos(angle) - 1.0, np.sin(angle), 0.0])


def circle_velocity(t: float) -> FloatArray:
    """(3,) m/s of `circle`."""
    step = 1e-4
    return (circle(t + step) - circle(t - step)) / (2 * step)


def _drive_teleop(spec: RobotSpec, config: GatewayConfig, drive_s: float) -> list[float]:
    def feed(gateway: Gateway, now: float, stamp: int, tick: int) -> None:
        if tick % 5 == 0:  # 20 Hz
            twist = np.concatenate([circle_velocity(now), np.zeros(3)])
            _insist(gateway.on_teleop(TeleopInput(twist, spec.gripper.max_width / 2, True, True, stamp), now))

    return _drive(spec, config, drive_s, Mode.TELEOP, feed)


def _drive_chunks(spec: RobotSpec, config: GatewayConfig, drive_s: float, kind: ActionKind) -> list[float]:
    kinematics = Kinematics(spec)
    start = kinematics.forward(spec.home)
    steps = CHUNK_DT_S * np.arange(1, CHUNK_STEPS + 1)
    widths = np.full(CHUNK_STEPS, spec.gripper.max_width / 2)
    # Joints by time, once and beforehand: a chunk's are looked up.
    times = np.arange(0.0, drive_s + CHUNK_DT_S * (CHUNK_STEPS + 2), config.period_s)
    joints = _joints_along(kinematics, spec, times)[0] if kind is ActionKind.JOINT_POSITION else None
    waiting: list[tuple[float, ActionChunk]] = []

    def feed(gateway: Gateway, now: float, stamp: int, tick: int) -> None:
        if tick % 10 == 0:  # 10 Hz
            if joints is None:
                poses = [Pose(start.position + circle(now + step), start.quaternion) for step in steps]
                values, names = np.array([vector_from_pose(pose) for pose in poses]), ()
            else:
                values = joints[np.round((now + steps) * config.rate_hz).astype(int)]
                names = spec.joint_names
            waiting.append((now + CHUNK_DELAY_S, ActionChunk(kind, values, widths, names, CHUNK_DT_S, stamp)))
        while waiting and waiting[0][0] <= now + 1e-9:
            _insist(gateway.on_chunk(waiting.pop(0)[1], now))

    return _drive(spec, config, drive_s, Mode.POLICY, feed)


def _drive(
    spec: RobotSpec,
    config: GatewayConfig,
    drive_s: float,
    mode: Mode,
    feed: Callable[[Gateway, float, int, int], None],
) -> list[float]:
    """Microseconds of each tick of a gateway whose arm does at once as it is told."""
    gateway = Gateway(spec, config)
    names = spec.joint_names + spec.gripper.joint_names
    q, width, taken = spec.home, spec.gripper.max_width / 2, []
    for tick in range(round(drive_s * config.rate_hz)):
        now = tick * config.period_s
        stamp = EPOCH_NS + round(1e9 * now)
        fingers = np.full(len(spec.gripper.joint_names), width / len(spec.gripper.joint_names))
        gateway.on_joint_state(JointState(names, np.concatenate([q, fingers]), np.zeros(len(names)), stamp), now)
        if tick == 0:
            _insist(gateway.engage(mode, now))
        feed(gateway, now, stamp, tick)
        begin = time.perf_counter()
        command = gateway.tick(now, stamp)
        taken.append(1e6 * (time.perf_counter() - begin))
        if command is None or gateway.mode is not mode:
            raise SparkError(f"the gateway stopped after {now:.2f} s: {gateway.reason}")
        q, width = command.position, command.gripper_width
    return taken


def _insist(outcome: Any) -> None:
    if not outcome.ok:
        raise SparkError(f"the gateway refuses: {outcome.message}")


def _limiter(spec: RobotSpec, config: GatewayConfig) -> Callable[[FloatArray, FloatArray], FloatArray]:
    limiter = Limiter(spec, config)
    limiter.reset(spec.home)
    return lambda target, velocity: limiter.track(target, velocity, config.period_s).position


def _plain_ruckig(
    spec: RobotSpec, config: GatewayConfig, synchronization: ruckig.Synchronization
) -> Callable[[FloatArray, FloatArray], FloatArray]:
    size = len(spec.joint_names)
    planner, task, trajectory = ruckig.Ruckig(size), ruckig.InputParameter(size), ruckig.Trajectory(size)
    task.synchronization = synchronization
    task.max_velocity = spec.limits.velocity
    task.max_acceleration = spec.limits.acceleration
    # As in the limiter: a jerk that reaches full acceleration within one period is no limit.
    task.max_jerk = np.minimum(spec.limits.jerk, spec.limits.acceleration / (2 * config.period_s))
    task.current_position = spec.home

    def step(target: FloatArray, _: FloatArray) -> FloatArray:
        task.target_position = target
        planner.calculate(task, trajectory)
        state = trajectory.at_time(config.period_s)
        task.current_position, task.current_velocity, task.current_acceleration = state[:3]
        return np.array(state[0])

    return step


def _joints_along(kinematics: Kinematics, spec: RobotSpec, times: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Joints (T, J) and their velocities (T, J) that bring the tool along the circle."""
    start, q = kinematics.forward(spec.home), spec.home
    joints, velocities = [], []
    for t in times:
        q, _ = kinematics.solve(Pose(start.position + circle(t), start.quaternion), q)
        joints.append(q)
        velocities.append(kinematics.joint_velocity(q, np.concatenate([circle_velocity(t), np.zeros(3)])))
    return np.array(joints), np.array(velocities)


def _follow_error(times: FloatArray, path: FloatArray, tool: FloatArray) -> dict[str, float]:
    """How the tool (T, 3) follows the path (T, 3), both m, from `SETTLED_S` on."""
    settled = times >= SETTLED_S

    def rms_mm(lag_s: float) -> float:
        shifted = np.stack([np.interp(times - lag_s, times, path[:, axis]) for axis in range(3)], axis=1)
        return 1e3 * float(np.sqrt(((tool - shifted)[settled] ** 2).sum(axis=1).mean()))

    lags = np.arange(-0.02, 0.2, 0.0005)
    best = lags[int(np.argmin([rms_mm(lag) for lag in lags]))]
    return {
        "lag_ms": round(1e3 * float(best), 1),
        "rms_mm": round(rms_mm(0.0), 3),
        "residual_mm": round(rms_mm(best), 3),
    }


def _displaced(
    kinematics: Kinematics, rng: np.random.Generator, metres: float, radians: float
) -> tuple[Pose, FloatArray]:
    q = kinematics.spec.home + rng.uniform(-0.5, 0.5, len(kinematics.spec.joint_names))
    here = kinematics.forward(q)
    shift, axis = (vector / np.linalg.norm(vector) for vector in rng.normal(size=(2, 3)))
    turned = multiply_quaternions(quaternion_from_rotvec(radians * axis), here.quaternion)
    return Pose(here.position + metres * shift, turned), q


def _anywhere(kinematics: Kinematics, rng: np.random.Generator) -> tuple[Pose, FloatArray]:
    limits = kinematics.spec.limits
    q = rng.uniform(limits.position_lower + 0.1, limits.position_upper - 0.1)
    seed = np.clip(q + rng.normal(0, JOINT_NOISE, q.shape), limits.position_lower, limits.position_upper)
    return kinematics.forward(q), seed


def _out_of_reach(kinematics: Kinematics) -> tuple[Pose, FloatArray]:
    home = kinematics.spec.home
    here = kinematics.forward(home)
    return Pose(np.array([1.5, 0.0, 0.5]), here.quaternion), home


def _show(measured: Mapping[str, Any]) -> None:
    print("microseconds are p50 / p95 / p99")
    table: Sequence[tuple[str, Mapping[str, Any]]] = [
        *((f"gateway tick, {kind}", row) for kind, row in measured["gateway_tick_us"].items()),
        *((f"inverse kinematics, {kind}", row) for kind, row in measured["inverse_kinematics_us"].items()),
    ]
    for name, row in table:
        extra = f"   {row['converged']:.1%} converged" if "converged" in row else ""
        print(f"{name:48} {spread(row, 0):>20}{extra}")
    for form, row in measured["tracking"]["forms"].items():
        print(
            f"{form:48} {spread(row['step_us'], 0):>20}   circle at {SPEED_M_S} m/s: lag {row['lag_ms']:.1f} ms, "
            f"RMS {row['rms_mm']:.2f} mm, {row['residual_mm']:.2f} mm without the lag"
        )


if __name__ == "__main__":
    entry(main)

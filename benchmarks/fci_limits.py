"""Whether a Franka that judges every command would ever stop: random commands through the gateway, limits enforced.

    python -m benchmarks.fci_limits [--minutes 10] [--quick] [--json] [--save]

The gateway and `fci_arm` with the real libfranka, in front of franka-sim, which aborts a motion with the error that a
real FR3 would raise (joint limits, velocities, accelerations, jerks, torque rates). A random operator (twists, the
gripper, a deadman that is let go of) takes turns with two random policies, whose chunks jump: one goes to points, one
to postures anywhere between the joints' limits. A gateway that holds is engaged again; an arm that is not ready any
more is what must not happen.

Where franka-sim is unlike a robot it is changed (`benchmarks.fci.server.one_clock`); `--as-shipped` leaves it as it is.

franka-sim stops an arm whose links come within 5 cm of each other, a distance of its own choice, where the gateway by
itself lets them come to 2 cm: here it is told to keep 6.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import rclpy
from geometry_msgs.msg import TwistStamped
from sensor_msgs.msg import JointState, Joy
from std_msgs.msg import String
from std_srvs.srv import Trigger
from trajectory_msgs.msg import JointTrajectory, MultiDOFJointTrajectory

from benchmarks.common import ROOT, entry, finish, make_parser, parse, spread
from benchmarks.fci.franka_sim import HOST, serving
from spark_ros import topics
from spark_ros.bringup.supervisor import Bringup
from spark_ros.contracts import ActionChunk, ActionKind, FloatArray, TeleopInput
from spark_ros.control.modes import Mode
from spark_ros.evaluation.statistics import percentiles
from spark_ros.fci.connection import load_franky
from spark_ros.nodes.messages import joints_from_message
from spark_ros.nodes.motion_messages import message_from_chunk, messages_from_teleop
from spark_ros.nodes.qos import LATCHED, NEWEST, SENSOR, STREAM
from spark_ros.robots.kinematics import Kinematics
from spark_ros.robots.pose import vector_from_pose
from spark_ros.robots.spec import load_robot

LOGS = ROOT / "out" / "benchmarks" / "fci_limits"
TURN_S = 15.0  # of policy and operator each
POLICY_S, HORIZON, STEP_S = 0.1, 10, 0.1
TELEOP_S = 0.02
ANSWER_S = 10.0
MARGIN_M = 0.06  # between the arm's links


def main() -> None:
    """Measures and prints."""
    parser = make_parser(__doc__, "30 s of commands")
    parser.add_argument("--minutes", type=float, default=10.0, help="of commands (default: %(default)s)")
    parser.add_argument("--as-shipped", action="store_true", help="franka-sim without our changes to it")
    parser.add_argument("--seed", type=int, default=0, help="(default: %(default)s)")
    options = parse(parser)
    load_franky()  # before anything starts
    seconds = 30.0 if options.quick else 60.0 * options.minutes
    with serving(LOGS, as_shipped=options.as_shipped) as log:
        parameters = LOGS / "parameters.yaml"
        setting = f"gateway: {{ros__parameters: {{collision_margin_m: {MARGIN_M}}}}}\n"
        parameters.write_text(setting, encoding="utf-8")
        arguments = {
            "params_file": str(parameters),
            "arm": "fci",
            "robot_ip": HOST,
            "realtime": "ignore",
            "folder": str(LOGS / "demos"),
            "domain": "auto",
        }
        local = {"ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}
        with Bringup("teleop", arguments, local, domain="auto", log_directory=LOGS) as graph:
            graph.wait_ready()
            os.environ.update(graph.environment)
            with Mischief(graph, np.random.default_rng(options.seed)) as mischief:
                measured = mischief.run(seconds)
        words = log.read_text(encoding="utf-8", errors="replace")
    measured["franka_sim"] = "as shipped" if options.as_shipped else "one clock"
    measured["collision_margin_m"] = MARGIN_M
    measured["violations_logged"] = len(re.findall(r"violation|discontinuity", words))
    # An arm in slow motion is behind its setpoints, and the gateway stops it.
    measured["of_real_time"] = percentiles(map(float, re.findall(r"running at ([\d.]+)x real time", words)))
    finish(options, "fci_limits_as_shipped" if options.as_shipped else "fci_limits", measured, show, ros=True)


class Mischief:
    """Two policies and an operator without sense, in turns."""

    def __init__(self, graph: Bringup, rng: np.random.Generator) -> None:
        """Joins the running graph."""
        self._graph, self._rng = graph, rng
        self._spec = load_robot("fr3")
        self._kinematics = Kinematics(self._spec)
        self._context = rclpy.Context()
        rclpy.init(context=self._context, domain_id=graph.domain_id)
        node = self._node = rclpy.create_node("mischief", context=self._context)
        self._executor = rclpy.executors.SingleThreadedExecutor(context=self._context)
        self._executor.add_node(node)
        self._mode, self._status = "", {"ready": True, "reason": ""}
        self._joints: JointState | None = None
        self._to_postures = False  # the policy at present
        node.create_subscription(String, topics.GATEWAY_MODE, self._on_mode, LATCHED)
        node.create_subscription(String, topics.ARM_STATUS, self._on_status, LATCHED)
        node.create_subscription(JointState, topics.JOINT_STATES, self._on_joints, SENSOR)
        self._chunks = node.create_publisher(MultiDOFJointTrajectory, topics.EE_CHUNK, NEWEST)
        self._joint_chunks = node.create_publisher(JointTrajectory, topics.JOINT_CHUNK, NEWEST)
        self._twists = node.create_publisher(TwistStamped, topics.TELEOP_TWIST, STREAM)
        self._joys = node.create_publisher(Joy, topics.TELEOP_JOY, STREAM)
        self._stops: list[str] = []
        self._holds: dict[str, int] = {}
        self._travel = np.zeros(7)
        self._speeds: list[float] = []

    def __enter__(self) -> Mischief:
        return self

    def __exit__(self, *_: object) -> None:
        self._executor.shutdown(2.0)
        self._node.destroy_node()
        rclpy.try_shutdown(context=self._context)

    def run(self, seconds: float) -> dict[str, Any]:
        """Commands for so long, and what came of it.

        Raises:
            SparkError: A node ended.
        """
        self._spin_until(lambda: self._joints is not None and self._mode, ANSWER_S)
        begin, turn = time.monotonic(), 0
        while (left := begin + seconds - time.monotonic()) > 0:
            mode = (Mode.POLICY, Mode.TELEOP)[turn % 2]
            self._to_postures = turn % 4 == 2
            self._turn(mode, min(TURN_S, left, seconds / 2))
            turn += 1
        return {
            "seconds": round(time.monotonic() - begin, 1),
            "turns": turn,
            "stops": self._stops,
            "holds": self._holds,
            "travel_rad": [round(float(angle), 1) for angle in self._travel],
            "fastest_joint_rad_s": percentiles(self._speeds),
        }

    def _turn(self, mode: Mode, seconds: float) -> None:
        end, due = time.monotonic() + seconds, time.monotonic()
        period = POLICY_S if mode is Mode.POLICY else TELEOP_S
        send = self._send_chunk if mode is Mode.POLICY else self._send_twist
        self._plan_anew()
        while time.monotonic() < end:
            send()
            if self._mode != mode.value:
                self._engage(mode)
            due = max(due + period, time.monotonic() - period)
            self._spin_until(lambda: False, due - time.monotonic())
            if self._rng.random() < period / 1.5:
                self._plan_anew()
        self._ask(topics.GATEWAY_HOLD)

    def _plan_anew(self) -> None:
        """Somewhere else, at another speed; now and then far too far or too fast."""
        rng, workspace = self._rng, self._spec.workspace
        self._goal = rng.uniform(workspace.lower, workspace.upper)
        self._posture = rng.uniform(self._spec.limits.position_lower, self._spec.limits.position_upper)
        self._twist = rng.normal(0.0, 1.0, 6) * ([0.3] * 3 + [1.0] * 3)
        self._deadman = rng.random() < 0.9
        self._width = float(rng.choice([0.0, self._spec.gripper.max_width]))
        self._hurry = rng.uniform(0.1, 1.5)

    def _send_chunk(self) -> None:
        """Straight towards a random point or posture from where the arm is: plans jump from one to the next."""
        if self._joints is None:
            return
        names = self._spec.joint_names
        position = joints_from_message(self._joints).select(names).position
        steps = 0.5 * np.minimum(np.arange(1, HORIZON + 1)[:, None] * STEP_S * self._hurry, 1.0)
        width: FloatArray = np.full(HORIZON, self._width)
        stamp = self._node.get_clock().now().nanoseconds
        if self._to_postures:
            values = position + steps * (self._posture - position)
            chunk = ActionChunk(ActionKind.JOINT_POSITION, values, width, names, STEP_S, stamp)
            self._joint_chunks.publish(message_from_chunk(chunk, self._spec))
            return
        pose = vector_from_pose(self._kinematics.forward(position))
        values = np.tile(pose, (HORIZON, 1))
        values[:, :3] += steps * (self._goal - pose[:3]) + self._rng.normal(0.0, 0.005, (HORIZON, 3))
        chunk = ActionChunk(ActionKind.EE_POSE, values, width, (), STEP_S, stamp)
        self._chunks.publish(message_from_chunk(chunk, self._spec))

    def _send_twist(self) -> None:
        stamp = self._node.get_clock().now().nanoseconds
        twist, joy = messages_from_teleop(TeleopInput(self._twist, self._width, self._deadman, True, stamp), self._spec)
        self._joys.publish(joy)
        self._twists.publish(twist)

    def _engage(self, mode: Mode) -> None:
        if self._mode == Mode.FAULT.value or not self._status["ready"]:
            self._ask(topics.ARM_RECOVER)
            self._ask(topics.GATEWAY_RESET)
        self._ask(topics.GATEWAY_ENGAGE_POLICY if mode is Mode.POLICY else topics.GATEWAY_ENGAGE_TELEOP)
        self._spin_until(lambda: self._mode == mode.value, 0.1)

    def _ask(self, service: str) -> None:
        client = self._node.create_client(Trigger, service)
        try:
            if client.wait_for_service(ANSWER_S):
                future = client.call_async(Trigger.Request())
                self._spin_until(future.done, ANSWER_S)
        finally:
            self._node.destroy_client(client)

    def _spin_until(self, done: Any, seconds: float) -> None:
        self._graph.check()
        deadline = time.monotonic() + seconds
        while not done() and (left := deadline - time.monotonic()) > 0:
            self._executor.spin_once(min(left, 0.05))

    def _on_mode(self, message: String) -> None:
        self._mode = message.data
        if message.data in (Mode.HOLD.value, Mode.FAULT.value):
            self._holds[message.data] = self._holds.get(message.data, 0) + 1

    def _on_status(self, message: String) -> None:
        self._status = json.loads(message.data)
        if not self._status["ready"]:
            self._stops.append(self._status["reason"])

    def _on_joints(self, message: JointState) -> None:
        if self._joints is not None:
            names = self._spec.joint_names
            then, now = (joints_from_message(m).select(names) for m in (self._joints, message))
            self._travel += np.abs(now.position - then.position)
            self._speeds.append(float(np.abs(now.velocity).max()))
        self._joints = message


def show(measured: Mapping[str, Any]) -> None:
    """Prints it."""
    print(f"{len(measured['stops'])} stops of the arm in {measured['seconds']:.0f} s of random commands")
    for reason in measured["stops"]:
        print(f"  {reason}")
    print(f"franka-sim logged {measured['violations_logged']} violations; where it fell behind real time it ran at")
    print(f"  {spread(measured['of_real_time'])} of it")
    print(f"the gateway held {measured['holds']}; the joints travelled {measured['travel_rad']} rad")


if __name__ == "__main__":
    entry(main)

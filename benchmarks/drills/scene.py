"""The hands of a drill: brings the arm into motion, breaks things, mends them, and looks at the gateway's mode."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial

import numpy as np
from lifecycle_msgs.msg import State, Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rclpy.publisher import Publisher
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import JointState, Joy
from std_msgs.msg import Float64MultiArray, String
from std_srvs.srv import Trigger
from trajectory_msgs.msg import MultiDOFJointTrajectory

from benchmarks.drills.rig import POLICY_CHUNKS, Rig
from benchmarks.drills.words import heeded_topic, word_topic
from spark_ros import topics
from spark_ros.contracts import SparkError
from spark_ros.control.modes import Mode
from spark_ros.nodes import qos
from spark_ros.nodes.calls import acquaint, call
from spark_ros.nodes.demo_client import DemoClient
from spark_ros.nodes.messages import joints_from_message
from spark_ros.robots.spec import load_robot

SEEN_S = 30.0  # discovery usually takes 0.1 s, sometimes 3 s; a busy machine imports slowly
UP_S = 60.0  # a gateway that was killed is forgotten after 20 s
MOVING_S = 8.0
WORTH_STOPPING_RAD_S = 0.2  # of the fastest joint: where a drill begins
NEW_SCENE_S = 0.5  # until what cameras, encoder and policy know is of the new scene
ENGAGE = {Mode.POLICY: topics.GATEWAY_ENGAGE_POLICY, Mode.TELEOP: topics.GATEWAY_ENGAGE_TELEOP}
TAKEN_S = 0.03  # in which a gateway has taken a chunk, and before the next one comes
SILENT_S = 0.5  # without a command, nothing is commanded: a busy machine pauses for less
_POLL_S = 0.01


class Scene(DemoClient):
    """A client of the graph in a rig; a context manager.

    Attributes:
        rig: The processes.
        spec: The arm.
        chunk: The policy's last chunk, as it travels; None before the first.
    """

    def __init__(self, rig: Rig, robot: str) -> None:
        """Joins the graph."""
        self.rig, self.spec = rig, load_robot(robot)
        self.chunk: bytes | None = None
        self._seed = 0
        self._speed, self._heard = 0.0, 0.0
        self._words: dict[str, Publisher] = {}
        self._heeded: dict[str, int] = {}  # when the last word was, monotonic ns
        self._inputs = dict.fromkeys(ENGAGE, 0)
        super().__init__(rig.domain_id, "drills")
        self._to_gateway = self._node.create_publisher(MultiDOFJointTrajectory, topics.EE_CHUNK, qos.NEWEST)
        self._status = self._node.create_publisher(String, topics.ARM_STATUS, qos.LATCHED)
        self._node.create_subscription(MultiDOFJointTrajectory, POLICY_CHUNKS, self._on_chunk, qos.SENSOR, raw=True)
        self._node.create_subscription(Joy, topics.TELEOP_JOY, self._on_joy, qos.SENSOR)
        self._node.create_subscription(JointState, topics.GATEWAY_SETPOINT, self._on_setpoint, qos.SENSOR)

    def __enter__(self) -> Scene:
        return self

    @property
    def speed(self) -> float:
        """Of the fastest joint in the last command, rad/s; 0 where there has been none for a while."""
        return self._speed if time.monotonic() - self._heard < SILENT_S else 0.0

    def wait_for_graph(self) -> None:
        """Returns once simulator and gateway have been heard of.

        Raises:
            SparkError: They are not.
        """
        self._until(lambda: bool(self.sim_state and self.mode), SEEN_S, "simulator and gateway are not heard of")

    # --- motion ------------------------------------------------------------------------------------------------------

    def under_way(self, mode: Mode) -> None:
        """Has the arm moved by the policy or the operator, fast enough for a stop to be worth looking at.

        Raises:
            SparkError: It cannot be brought to that.
        """
        if self.mode == mode.value and self._moves(0.5):
            return
        self.disengage()
        self._seed += 1
        self.reset_world(self._seed)
        time.sleep(NEW_SCENE_S)
        self.engage(mode)

    def engage(self, mode: Mode) -> None:
        """Hands the arm over and waits until it moves.

        Raises:
            SparkError: The gateway refuses, or the arm does not move.
        """
        self.insist(ENGAGE[mode])
        self.wait_for_motion()

    def resume(self, mode: Mode) -> None:
        """Hands the arm over again and waits until it moves; a policy whose work is done rests, and gets a new scene.

        Raises:
            SparkError: The gateway refuses, or the arm does not move in the new scene either.
        """
        self.insist(ENGAGE[mode])
        done = mode is Mode.POLICY and self.sim_state.get("success")
        if done or not self._moves(MOVING_S):
            self.under_way(mode)

    def wait_for_motion(self) -> None:
        """Returns once the arm is commanded to move.

        Raises:
            SparkError: It is not.
        """
        if not self._moves(MOVING_S):
            raise SparkError(f"the arm was handed over but does not move: the gateway is in {self.mode}")

    def _moves(self, within_s: float) -> bool:
        deadline = time.monotonic() + within_s
        while self.speed < WORTH_STOPPING_RAD_S:
            if time.monotonic() > deadline:
                return False
            time.sleep(_POLL_S)
        return True

    def settle(self, modes: Sequence[str], within_s: float) -> bool:
        """Waits until the gateway is in one of these modes and commands no motion; whether that came in time."""
        deadline = time.monotonic() + within_s
        while not (self.mode in modes and self.speed < 1e-3):
            if time.monotonic() > deadline:
                return False
            time.sleep(_POLL_S)
        return True

    def reason(self) -> str:
        """Why the gateway does not let anybody move the arm; empty where it does, or is not there."""
        if self.mode not in (Mode.HOLD.value, Mode.FAULT.value) or "gateway" in self.rig.gone():
            return ""
        return self.trigger(topics.GATEWAY_HOLD).partition(": ")[2]  # asked of one that holds, it only says why

    # --- faults ------------------------------------------------------------------------------------------------------

    def kill(self, name: str) -> None:
        """SIGKILL."""
        self.rig.end(name, signal.SIGKILL)

    def interrupt(self, name: str) -> None:
        """SIGINT, as an orderly restart begins."""
        self.rig.end(name, signal.SIGINT)

    def stall(self, name: str, seconds: float) -> None:
        """SIGSTOP, and SIGCONT after this time."""
        self.rig.signal(name, signal.SIGSTOP)
        time.sleep(seconds)
        self.rig.signal(name, signal.SIGCONT)

    def word(self, name: str, word: str) -> int:
        """Tells a relay or the operator what to do from now on; since when it does, monotonic ns.

        Raises:
            SparkError: It does not.
        """
        if name not in self._words:
            self._words[name] = self._node.create_publisher(String, word_topic(name), qos.LATCHED)
            self._heeded[name] = 0
            hear = partial(self._on_heeded, name)
            self._node.create_subscription(String, heeded_topic(name), hear, qos.LATCHED)
            self._until(lambda: self._words[name].get_subscription_count() > 0, SEEN_S, f"{name} does not listen")
        asked = time.monotonic_ns()
        self._words[name].publish(String(data=word))
        self._until(lambda: self._heeded[name] >= asked, SEEN_S, f"{name} does not heed '{word}'")
        return self._heeded[name]

    def send_chunk(self, spoil: Callable[[MultiDOFJointTrajectory], None]) -> int:
        """Sends the policy's last chunk once more, spoilt; when that was, monotonic ns.

        Not before the next good one has been taken: the gateway has room for one, and would keep the later of two.

        Raises:
            SparkError: There is none.
        """
        before = self.chunk
        self._until(lambda: self.chunk is not before, SEEN_S, f"no chunk is heard on {POLICY_CHUNKS}")
        time.sleep(TAKEN_S)
        chunk = deserialize_message(self.chunk, MultiDOFJointTrajectory)
        spoil(chunk)
        sent = time.monotonic_ns()
        self._to_gateway.publish(chunk)
        return sent

    def ready_to_call(self, service: str) -> None:
        """Meets the server of a `std_srvs/Trigger` service, as whoever has a stop button did long before using it."""
        acquaint(self._node, Trigger, service)

    def report_arm(self, ready: bool, reason: str) -> None:
        """Speaks as the arm's own controller."""
        self._status.publish(String(data=json.dumps({"ready": ready, "reason": reason})))

    def rival(self) -> Callable[[], None]:
        """Becomes a second commander of the arm, who has not said anything yet; what ends that."""
        publisher = self._node.create_publisher(Float64MultiArray, self.spec.vendor.arm_command_topic, 1)
        return lambda: self._node.destroy_publisher(publisher) and None

    # --- mending -----------------------------------------------------------------------------------------------------

    def start(self, name: str) -> None:
        """Starts a process that has ended."""
        self.rig.start(name)

    def bring_up(self, name: str) -> None:
        """Configures and activates a lifecycle node.

        Raises:
            SparkError: It does not become active in time.
        """
        deadline = time.monotonic() + UP_S
        steps = {
            State.PRIMARY_STATE_UNCONFIGURED: Transition.TRANSITION_CONFIGURE,
            State.PRIMARY_STATE_INACTIVE: Transition.TRANSITION_ACTIVATE,
        }
        state = 0
        while state != State.PRIMARY_STATE_ACTIVE:
            if time.monotonic() > deadline:
                raise SparkError(f"{name} did not become active within {UP_S:.0f} s: see {self.rig.log_directory}")
            # Asked again and again: as long as a namesake that ended is not forgotten, it may be the one who is asked.
            with suppress(SparkError):
                question = GetState.Request()
                state = call(self._node, GetState, f"/{name}/get_state", question, UP_S, repeat_s=0.5).current_state.id
                if state in steps:
                    request = ChangeState.Request(transition=Transition(id=steps[state]))
                    call(self._node, ChangeState, f"/{name}/change_state", request, UP_S)
                    time.sleep(0.2)

    def jump_clock(self, seconds: float) -> None:
        """The clock by which the nodes stamp jumps, and stays where it is then."""
        assert self.rig.clock is not None, "only in a rig with a clock of its own"
        self.rig.clock.jump(seconds)

    def wait_for_arm(self) -> None:
        """Returns once a simulator that has just been started reports the arm's world.

        Raises:
            SparkError: It does not.
        """
        self.sim_state = {}
        self._until(lambda: bool(self.sim_state), UP_S, "the simulator is not heard of")

    def wait_for_input(self, mode: Mode) -> None:
        """Returns once whoever is to move the arm is heard again, which a person sees before engaging.

        Raises:
            SparkError: It is not.
        """
        self._inputs[mode] = 0
        self._until(lambda: self._inputs[mode] > 1, UP_S, f"nothing to follow arrives for {mode.value}")

    def _until(self, condition: Callable[[], bool], seconds: float, sentence: str) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                raise SparkError(f"{sentence} within {seconds:.0f} s: see {self.rig.log_directory}")
            time.sleep(_POLL_S)

    def _on_heeded(self, name: str, message: String) -> None:
        self._heeded[name] = int(message.data)

    def _on_chunk(self, message: bytes) -> None:
        self.chunk = message
        self._to_gateway.publish(message)
        self._inputs[Mode.POLICY] += 1

    def _on_joy(self, _: Joy) -> None:
        self._inputs[Mode.TELEOP] += 1

    def _on_setpoint(self, message: JointState) -> None:
        joints = joints_from_message(message).select(self.spec.joint_names)
        self._speed, self._heard = float(np.abs(joints.velocity).max()), time.monotonic()

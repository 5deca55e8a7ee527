"""Recorder node: puts episodes of the running graph into a folder of demonstrations, see `data.dataset_folder`.

It stores the bytes that travelled, never a re-encoding of them. Services begin and end an episode; what is being
recorded when the node is told to stop is discarded, so the folder holds whole episodes only.

Keeping an episode and calling it a success are two things: a kept episode counts as a success, which training asks for,
unless the parameter `success` was set to false before it was kept.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

from geometry_msgs.msg import TwistStamped
from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import CameraInfo, Image, JointState, Joy, TimeReference
from std_msgs.msg import Float64MultiArray, String
from std_srvs.srv import Trigger
from trajectory_msgs.msg import JointTrajectory, MultiDOFJointTrajectory

from spark_ros import topics
from spark_ros.contracts import SparkError
from spark_ros.data.dataset_folder import DemoFolder
from spark_ros.nodes.diagnostics import Health, Level, Rate
from spark_ros.nodes.episode_queue import EpisodeQueue
from spark_ros.nodes.lifecycle import ManagedNode
from spark_ros.nodes.qos import LATCHED, RECORDING
from spark_ros.nodes.run import run
from spark_ros.robots.spec import RobotSpec, load_robot

RECENT_MESSAGES = 200  # a fifth of a second of a 1 kHz arm: any gripper's driver speaks within that

DEFAULTS = {
    "folder": ("demos", "folder the episodes go to; one recorder at a time"),
    "task": ("", "the task in words, stored with each episode; language-conditioned policies are trained on it"),
    "operator": ("", "who or what drives the arm"),
    "robot": ("fr3", "arm, by name or YAML path; its vendor topics are recorded too"),
    "cameras": (["front", "wrist"], "cameras that every episode must have"),
    "seed": (-1, "seed of the simulated world, stored with each episode; -1 for none"),
    "success": (True, "whether the episode shows the task done; read when it is kept, true again for the next one"),
    "stream_timeout_s": (1.0, "a camera or joint stream silent for longer refuses the start of an episode"),
    "queue_messages": (2000, "messages that may wait for the disk before some are dropped"),
}


@dataclass
class Stream:
    """One recorded topic.

    Attributes:
        topic: Its name.
        message_type: Its class.
        required: Whether an episode may not begin without it.
        qos: How it is subscribed to.
        rate: How often it arrives.
        latest: The last message, kept for latched topics only.
        recent: The last messages, kept for joint states only: they tell which joints the publishers speak of.
    """

    topic: str
    message_type: type
    required: bool
    qos: QoSProfile
    rate: Rate
    latest: bytes | None = None
    recent: deque[bytes] = field(default_factory=lambda: deque(maxlen=RECENT_MESSAGES))

    @property
    def type_name(self) -> str:
        """Type as ROS writes it, e.g. ``sensor_msgs/msg/Image``."""
        return f"{self.message_type.__module__.split('.')[0]}/msg/{self.message_type.__name__}"


class RecorderNode(ManagedNode):
    """The node; /recorder/start, /recorder/keep and /recorder/discard (std_srvs/Trigger) drive it."""

    def __init__(self) -> None:
        super().__init__("recorder", DEFAULTS)
        self._folder: DemoFolder | None = None
        self._lock = ExitStack()
        self._streams: list[Stream] = []
        self._episode: EpisodeQueue | None = None
        self._lost: Counter[str] = Counter()
        self._kept = 0

    def setup(self) -> None:
        """Become the folder's only recorder and listen."""
        robot = load_robot(self.params["robot"])
        cameras = self.params["cameras"]
        if not cameras:
            raise SparkError("no camera is named in the parameter cameras: name those the demonstrations must have")
        self._folder = DemoFolder(self.params["folder"])
        self._lock.enter_context(self._folder.recording())
        for path in self._folder.unfinished():
            self.get_logger().warning(f"{path} is unfinished and not counted; recover or delete it")
        self._streams = streams(robot, cameras)
        for stream in self._streams:
            self._listen(stream)
        for name, action in (
            (topics.RECORDER_START, self._start_episode),
            (topics.RECORDER_KEEP, self._keep_episode),
            (topics.RECORDER_DISCARD, self._discard_episode),
        ):
            self.serve(Trigger, name, lambda _, response, action=action: self._answer(action, response))

    def halt(self) -> None:
        """Leave only whole episodes behind."""
        if self._episode is not None:
            self.get_logger().warning(self._discard_episode() + ": it was still being recorded")

    def teardown(self) -> None:
        """Let others record into the folder."""
        self._lock.close()

    def health(self) -> Health:
        """Rates of all streams and the state of the episode."""
        values: dict[str, object] = {"kept": self._kept, "folder": self.params["folder"]}
        values |= {f"{stream.topic} Hz": round(stream.rate.hz(), 1) for stream in self._streams}
        episode = self._episode
        if episode is None:
            silent = self._silent()
            level, text = (Level.WARN, f"not ready: {silent}") if silent else (Level.OK, "ready to record")
            return Health(level, text, values)
        lost = sum(episode.dropped.values()) + sum(self._lost.values())
        values |= {"waiting for disk": episode.waiting, "messages lost": lost}
        if episode.error is not None:
            return Health(Level.ERROR, str(episode.error), values)
        return Health(Level.WARN if lost else Level.OK, f"recording {episode.writer.path.name}", values)

    def _listen(self, stream: Stream) -> None:
        latched, joints = stream.qos is LATCHED, stream.topic == topics.JOINT_STATES

        def receive(cdr: bytes) -> None:
            stream.rate.tick()
            if latched:
                stream.latest = cdr
            if joints:
                stream.recent.append(cdr)
            if self._episode is not None:
                self._episode.offer(stream.topic, stream.type_name, cdr, time.time_ns())

        def lost(event: Any) -> None:
            if self._episode is not None:
                self._lost[stream.topic] += event.total_count_change

        events = SubscriptionEventCallbacks(message_lost=lost)
        self.subscribe(stream.message_type, stream.topic, receive, stream.qos, raw=True, event_callbacks=events)

    def _answer(self, action: Any, response: Trigger.Response) -> Trigger.Response:
        try:
            response.success, response.message = True, action()
            self.get_logger().info(response.message)
        except SparkError as error:
            response.success, response.message = False, str(error)
            self.get_logger().error(response.message)
        return response

    def _start_episode(self) -> str:
        if not self.active or self._folder is None:
            raise SparkError("the recorder is not active: activate it first (the lifecycle manager does)")
        if self._episode is not None:
            raise SparkError(f"{self._episode.writer.path.name} is being recorded: keep or discard it first")
        if not self.params["task"].strip():
            raise SparkError("the parameter task is empty: say in words what the demonstration shows")
        if silent := self._silent():
            raise SparkError(f"{silent}: start the node or driver that publishes it, then start again")
        self._check_publishers()
        seed = self.params["seed"]
        metadata = {
            "task": self.params["task"],
            "robot": load_robot(self.params["robot"]).name,
            "operator": self.params["operator"],
            "cameras": self.params["cameras"],
            "seed": seed if seed >= 0 else None,
        }
        writer = self._folder.start_episode(metadata)
        self._lost.clear()
        self._episode = EpisodeQueue(writer, self.params["queue_messages"])
        for stream in self._streams:
            if stream.latest is not None:  # latched before the episode, true during it
                self._episode.offer(stream.topic, stream.type_name, stream.latest, time.time_ns())
        return f"recording {writer.path.name}"

    def _keep_episode(self) -> str:
        episode = self._current()
        if not episode.counts.get(topics.GATEWAY_SETPOINT):
            raise SparkError(
                f"{episode.writer.path.name} holds no commands ({topics.GATEWAY_SETPOINT}), so nothing could be learnt "
                "from it: discard it, engage the gateway and record again"
            )
        success = self.params["success"]
        self._end_episode()
        assert self._folder is not None
        try:
            episode.finish()
        except SparkError:
            episode.writer.discard()
            raise
        lost = dict(episode.dropped + self._lost)
        entry = self._folder.keep(episode.writer, {"success": success, "messages_lost": lost})
        self._kept += 1
        note = "" if success else ", marked as a failure"
        note += f", {sum(lost.values())} messages were lost" if lost else ""
        return f"kept {entry.file}: {entry.frames} frames in {entry.duration_s:.1f} s{note}"

    def _discard_episode(self) -> str:
        episode = self._current()
        self._end_episode()
        try:
            episode.finish()
        except SparkError as error:
            self.get_logger().error(str(error))
        episode.writer.discard()
        return f"discarded {episode.writer.path.name}"

    def _end_episode(self) -> None:
        """Nothing more is recorded; a failure said of this episode does not count for the next one."""
        self._episode = None
        self.set_parameters([Parameter("success", value=True)])

    def _current(self) -> EpisodeQueue:
        if self._episode is None:
            raise SparkError("no episode is being recorded: start one first")
        return self._episode

    def _silent(self) -> str:
        """Which required streams do not arrive; empty if all do."""
        limit = self.params["stream_timeout_s"]
        silent = [stream.topic for stream in self._streams if stream.required and stream.rate.silent_s() > limit]
        return f"nothing arrives on {', '.join(silent)}" if silent else ""

    def _check_publishers(self) -> None:
        """Refuse where two arms share the graph: frames and joints of both would make up one episode."""
        for stream in self._streams:
            publishers = self.get_publishers_info_by_topic(stream.topic) if stream.required else []
            if len(publishers) > 1 and len(publishers) > _parts(stream.recent):
                names = ", ".join(sorted(publisher.node_name for publisher in publishers))
                raise SparkError(
                    f"{stream.topic} has {len(publishers)} publishers ({names}), so that an episode would mix two "
                    "robots: stop all but one (one that was killed is forgotten after 20 s), then start again"
                )


def _parts(joint_states: Iterable[bytes]) -> int:
    """How many publishers share the joints among them: the arm's driver and the gripper's may speak for themselves."""
    parts = {frozenset(deserialize_message(cdr, JointState).name) for cdr in joint_states}
    joints = [name for part in parts for name in part]
    return len(parts) if len(joints) == len(set(joints)) else 1


def streams(robot: RobotSpec, cameras: list[str]) -> list[Stream]:
    """Everything an episode holds."""

    def stream(topic: str, message_type: type, required: bool = False, qos: QoSProfile = RECORDING) -> Stream:
        return Stream(topic, message_type, required, qos, Rate())

    return [
        *(stream(topics.camera_image(name), Image, required=True) for name in cameras),
        *(stream(topics.camera_info(name), CameraInfo) for name in cameras),
        stream(topics.JOINT_STATES, JointState, required=True),
        stream(topics.GATEWAY_SETPOINT, JointState),
        stream(topics.GATEWAY_MODE, String, qos=LATCHED),
        stream(topics.GATEWAY_TRACE, TimeReference),
        stream(topics.TELEOP_TWIST, TwistStamped),
        stream(topics.TELEOP_JOY, Joy),
        stream(topics.EE_CHUNK, MultiDOFJointTrajectory),
        stream(topics.JOINT_CHUNK, JointTrajectory),
        stream(topics.EE_DELTA_CHUNK, MultiDOFJointTrajectory),
        stream(topics.JOINT_DELTA_CHUNK, JointTrajectory),
        stream(topics.FEATURE_CONTRACT, String, qos=LATCHED),
        stream(robot.vendor.arm_command_topic, Float64MultiArray),
        stream(robot.vendor.gripper_command_topic, Float64MultiArray),
        stream(topics.SIM_STATE, String),
    ]


def main() -> int:
    """Entry point of the executable `recorder`."""
    return run(RecorderNode)


if __name__ == "__main__":
    raise SystemExit(main())

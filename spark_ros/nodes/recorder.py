"""Recorder node: puts episodes of the running graph into a folder of demonstrations, see `data.dataset_folder`.

It stores the messages that travelled, images packed only if asked to. Services begin and end an episode; what is being
recorded when the node is told to stop is discarded, so the folder holds whole episodes only. When disk or memory run
out the episode ends by itself, whole, and waits to be kept or discarded.

Keeping an episode and calling it a success are two things: a kept episode counts as a success, which training asks for,
unless the parameter `success` was set to false before it was kept.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

from rcl_interfaces.srv import SetParametersAtomically
from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.parameter import Parameter, parameter_value_to_python
from std_msgs.msg import String
from std_srvs.srv import Trigger

from spark_ros import topics
from spark_ros.contracts import SparkError
from spark_ros.data.align import DEFAULT_TOLERANCE_S
from spark_ros.data.cdr import deserialize
from spark_ros.data.cdr_messages import STRING
from spark_ros.data.dataset_folder import DemoFolder
from spark_ros.data.image_storage import ImageStorage
from spark_ros.data.recorder_status import RecorderState, RecorderStatus
from spark_ros.data.resources import Room, free_disk_mb
from spark_ros.data.stream_monitor import STAMP_LAG_S
from spark_ros.nodes.diagnostics import Health, Level
from spark_ros.nodes.episode_queue import EpisodeQueue, ImagePacker
from spark_ros.nodes.episode_watch import EpisodeWatch
from spark_ros.nodes.lifecycle import ManagedNode
from spark_ros.nodes.qos import LATCHED
from spark_ros.nodes.recorded_streams import Stream, joint_parts, streams
from spark_ros.nodes.recorder_status import live_skew_s, stream_statuses
from spark_ros.nodes.run import run
from spark_ros.robots.spec import RobotSpec, load_robot

WATCH_S = 1.0
TELL_S = 0.5  # somebody who looks at the status wants to see a stream fall silent
MB = 1_000_000

DEFAULTS = {
    "folder": ("demos", "folder the episodes go to; one recorder at a time"),
    "task": ("", "the task in words, stored with each episode; language-conditioned policies are trained on it"),
    "operator": ("", "who or what drives the arm"),
    "robot": ("fr3", "arm, by name or YAML path; its vendor topics are recorded too"),
    "cameras": (["front", "wrist"], "cameras that every episode must have"),
    "compressed": (False, "whether the cameras' images are taken from .../compressed, as they were packed there"),
    "calibration": ("", "folder whose files' hashes are stored with each episode; empty for none"),
    "images": ("raw", "how images are stored: raw, png (lossless) or jpeg"),
    "jpeg_quality": (90, "1 to 100"),
    "packer_threads": (2, "threads that pack images"),
    "seed": (-1, "seed of the simulated world, stored with each episode; -1 for none"),
    "success": (True, "whether the episode shows the task done; read when it is kept, true again for the next one"),
    "note": ("", "what there is to say about the episode; read when it is kept, empty again for the next one"),
    "stream_timeout_s": (1.0, "a camera or joint stream silent for longer refuses the start of an episode"),
    "max_loss": (0.01, "share of a stream's messages that may be lost before the episode is flagged"),
    "queue_mb": (512.0, "MB of messages that may wait for the disk before some are dropped"),
    "start_disk_mb": (2000.0, "MB of free disk that an episode needs to begin"),
    "stop_disk_mb": (500.0, "MB of free disk below which recording stops"),
    "min_ram_mb": (256.0, "MB of free memory below which recording does not begin, or stops"),
}


class RecorderNode(ManagedNode):
    """The node; /recorder/start, /keep, /discard and /again (std_srvs/Trigger) and /recorder/mark drive it."""

    def __init__(self) -> None:
        super().__init__("recorder", DEFAULTS)
        self._folder: DemoFolder | None = None
        self._robot: RobotSpec | None = None
        self._lock = ExitStack()
        self._streams: list[Stream] = []
        self._packer: ImagePacker | None = None
        self._episode: EpisodeQueue | None = None
        self._watch: EpisodeWatch | None = None
        self._warnings: list[str] = []
        self._kept = self._marks = 0

    def setup(self) -> None:
        """Become the folder's only recorder and listen."""
        self._robot = load_robot(self.params["robot"])
        cameras = self.params["cameras"]
        if not cameras:
            raise SparkError("no camera is named in the parameter cameras: name those the demonstrations must have")
        storage = ImageStorage.of(self.params["images"])
        if storage is not ImageStorage.RAW:
            self._packer = ImagePacker(storage, self.params["jpeg_quality"], self.params["packer_threads"])
        self._folder = DemoFolder(self.params["folder"])
        self._lock.enter_context(self._folder.recording())
        for path in self._folder.unfinished():
            self.get_logger().warning(f"{path} is unfinished and not counted; recover or delete it")
        self._streams = streams(self._robot, cameras, self.params["compressed"])
        for stream in self._streams:
            self._listen(stream)
        for name, action in (
            (topics.RECORDER_START, self._start_episode),
            (topics.RECORDER_KEEP, self._keep_episode),
            (topics.RECORDER_DISCARD, self._discard_episode),
            (topics.RECORDER_AGAIN, lambda: f"{self._discard_episode()}, {self._start_episode()}"),
        ):
            self.serve(Trigger, name, lambda _, response, action=action: self._answer(action, response))
        self.serve(SetParametersAtomically, topics.RECORDER_MARK, self._answer_mark)
        self._status = self.advertise(String, topics.RECORDER_STATUS, LATCHED)
        self.every(WATCH_S, self._look)
        self.every(TELL_S, self._tell)

    def halt(self) -> None:
        """Leave only whole episodes behind."""
        if self._episode is not None:
            self.get_logger().warning(self._discard_episode() + ": it was still being recorded")

    def teardown(self) -> None:
        """Let others record into the folder."""
        self._lock.close()
        if self._packer is not None:
            self._packer.close()
            self._packer = None

    def health(self) -> Health:
        """Rates of all streams, the state of the episode and of the disk."""
        values: dict[str, object] = {"kept": self._kept, "folder": self.params["folder"]}
        values |= {f"{stream.topic} Hz": round(stream.rate.hz(), 1) for stream in self._streams}
        with suppress(OSError):
            values["free disk MB"] = round(free_disk_mb(Path(self.params["folder"])))
        episode, watch = self._episode, self._watch
        if episode is None or watch is None:
            missing = self._missing()
            level, text = (Level.WARN, f"not ready: {missing}") if missing else (Level.OK, "ready to record")
            return Health(level, text, values)
        lost = sum(episode.dropped.values()) + sum(watch.lost.values())
        values |= {"waiting for disk MB": round(episode.waiting_mb, 1), "messages lost": lost}
        if watch.stopped or episode.error is not None:
            return Health(Level.ERROR, f"{watch.stopped or episode.error}; keep or discard the episode", values)
        name = episode.writer.path.name
        if self._warnings:
            return Health(Level.WARN, f"recording {name}: {'; '.join(self._warnings)}", values)
        return Health(Level.OK, f"recording {name}", values)

    def _listen(self, stream: Stream) -> None:
        def receive(cdr: bytes, number: int | None) -> None:
            stamp_ns = stream.take(cdr)
            if self._episode is not None and self._watch is not None and not self._watch.stopped:
                self._episode.offer(stream.topic, stream.type_name, cdr, time.time_ns())
                self._watch.see(stream.topic, cdr, stamp_ns, self.get_clock().now().nanoseconds, number)

        def lost(event: Any) -> None:
            if self._watch is not None:
                self._watch.reported_lost(stream.topic, event.total_count_change)

        events = SubscriptionEventCallbacks(message_lost=lost)
        kind, topic, qos = stream.message_type, stream.topic, stream.qos
        self.subscribe(kind, topic, receive, qos, numbered=True, raw=True, event_callbacks=events)

    def _answer(self, action: Callable[[], str], response: Trigger.Response) -> Trigger.Response:
        try:
            response.success, response.message = True, action()
            self.get_logger().info(response.message)
        except SparkError as error:
            response.success, response.message = False, str(error)
            self.get_logger().error(response.message)
        self._tell()
        return response

    def _answer_mark(
        self, request: SetParametersAtomically.Request, response: SetParametersAtomically.Response
    ) -> SetParametersAtomically.Response:
        said = {parameter.name: parameter_value_to_python(parameter.value) for parameter in request.parameters}
        try:
            response.result.successful, response.result.reason = True, self._mark_episode(said)
        except SparkError as error:
            response.result.successful, response.result.reason = False, str(error)
        self.get_logger().info(response.result.reason)
        self._tell()
        return response

    def _start_episode(self) -> str:
        if not self.active or self._folder is None or self._robot is None:
            raise SparkError("the recorder is not active: activate it first (the lifecycle manager does)")
        if self._episode is not None:
            raise SparkError(f"{self._episode.writer.path.name} is being recorded: keep or discard it first")
        if not self.params["task"].strip():
            raise SparkError("the parameter task is empty: say in words what the demonstration shows")
        if missing := self._missing():
            raise SparkError(f"{missing}, then start again")
        self._check_publishers()
        queue_mb = self.params["queue_mb"]
        if lacking := Room(self.params["start_disk_mb"], self.params["min_ram_mb"] + queue_mb).lacking(
            self._folder.path
        ):
            raise SparkError(lacking)
        writer = self._folder.start_episode(self._metadata(self._robot))
        self._watch = EpisodeWatch(self._streams, self._robot.joint_names)
        self._warnings = []
        self._episode = EpisodeQueue(writer, int(queue_mb * MB), self._packer)
        for stream in self._streams:
            if stream.latest is not None:  # latched before the episode, true during it
                self._episode.offer(stream.topic, stream.type_name, stream.latest, time.time_ns())
        return f"recording {writer.path.name}"

    def _metadata(self, robot: RobotSpec) -> dict[str, object]:
        """What the episode says about itself before its first message."""
        seed = self.params["seed"]
        contract = next((s.latest for s in self._streams if s.topic == topics.FEATURE_CONTRACT), None)
        bundle = {} if contract is None else json.loads(deserialize(contract, STRING).data)
        return {
            "task": self.params["task"],
            "robot": robot.name,
            "operator": self.params["operator"],
            "cameras": self.params["cameras"],
            "images": self.params["images"],
            "seed": seed if seed >= 0 else None,
            "bundle": bundle.get("bundle"),
            "calibration": file_hashes(self.params["calibration"]),
        }

    def _keep_episode(self) -> str:
        episode, watch = self._current()
        name = episode.writer.path.name
        if not episode.counts.get(topics.GATEWAY_SETPOINT):
            raise SparkError(
                f"{name} holds no commands ({topics.GATEWAY_SETPOINT}), so nothing could be learnt "
                "from it: discard it, engage the gateway and record again"
            )
        success, note = self.params["success"], self.params["note"]
        self._end_episode()
        assert self._folder is not None
        try:
            episode.finish()
            outcome = watch.finish(episode.dropped, self.params["max_loss"])
            entry = self._folder.keep(episode.writer, {"success": success, "note": note, **outcome})
        except SparkError as error:
            episode.writer.abandon()
            raise SparkError(
                f"{name} was not kept: {error}. What was written of it waits in {episode.writer.part_path.name}: "
                f"spark-ros data recover {self._folder.path}"
            ) from error
        self._kept += 1
        remark = "" if success else ", marked as a failure"
        remark += f"; flagged: {'; '.join(entry.flags)}" if entry.flags else ""
        return f"kept {entry.file}: {entry.frames} frames in {entry.duration_s:.1f} s{remark}"

    def _mark_episode(self, said: dict[str, Any]) -> str:
        """Change success or note of an episode, kept or being recorded; what was done."""
        file, success, note = said.get("file", ""), said.get("success"), said.get("note")
        fits = isinstance(file, str) and isinstance(success, bool | None) and isinstance(note, str | None)
        if not fits or not {"file"} < said.keys() <= {"file", "success", "note"} or self._folder is None:
            raise SparkError(f"{topics.RECORDER_MARK} got {said}, expected file, and success (bool) or note (text)")
        if self._episode is not None and self._episode.writer.path.name == file:
            self.set_parameters(
                [Parameter(k, value=v) for k, v in (("success", success), ("note", note)) if v is not None]
            )
        else:
            self._folder.mark(file, success, note)
            self._marks += 1
        words = {True: ["a success"], False: ["a failure"], None: []}[success] + ([] if note is None else ["noted"])
        return f"{file}: {', '.join(words)}"

    def _discard_episode(self) -> str:
        episode, _ = self._current()
        self._end_episode()
        try:
            episode.finish()
        except SparkError as error:
            self.get_logger().error(str(error))
        episode.writer.discard()
        return f"discarded {episode.writer.path.name}"

    def _end_episode(self) -> None:
        """Nothing more is recorded; a failure or a note said of this episode does not count for the next one."""
        self._episode, self._watch, self._warnings = None, None, []
        self.set_parameters([Parameter("success", value=True), Parameter("note", value="")])

    def _current(self) -> tuple[EpisodeQueue, EpisodeWatch]:
        if self._episode is None or self._watch is None:
            raise SparkError("no episode is being recorded: start one first")
        return self._episode, self._watch

    def _look(self) -> None:
        """Once a second while recording: is there room, and is every stream as it should be?"""
        episode, watch = self._episode, self._watch
        if episode is None or watch is None or watch.stopped:
            return
        lacking = Room(self.params["stop_disk_mb"], self.params["min_ram_mb"]).lacking(episode.writer.path.parent)
        if lacking or episode.error is not None:
            watch.stopped = lacking or str(episode.error)
            with suppress(SparkError):  # it stands in `error`, and `keep` says it
                episode.finish()
            self.get_logger().error(f"recording of {episode.writer.path.name} stopped: {watch.stopped}")
            return
        before, self._warnings = self._warnings, watch.warnings()
        if episode.dropped:
            self._warnings.append(f"{sum(episode.dropped.values())} messages were dropped: the disk does not keep up")
        for sentence in self._warnings:
            if sentence.split(" ")[0] not in {earlier.split(" ")[0] for earlier in before}:
                self.get_logger().warning(sentence)

    def _tell(self) -> None:
        """Publish the status; a parameter of a wrong type must not end what is being recorded."""
        try:
            self._status.publish(String(data=self.status().to_json()))
        except SparkError as error:
            self.complain(str(error))

    def status(self) -> RecorderStatus:
        """Everything about the recorder now."""
        health, episode, watch = self.health(), self._episode, self._watch
        state = RecorderState.READY if health.level is Level.OK else RecorderState.WAITING
        if not self.active:
            state = RecorderState.INACTIVE
        elif episode is not None and watch is not None:
            state = RecorderState.STOPPED if watch.stopped or episode.error is not None else RecorderState.RECORDING
        disk = health.values.get("free disk MB")
        return RecorderStatus(
            state=state,
            message=health.message,
            folder=str(Path(self.params["folder"]).absolute()),
            task=self.params["task"],
            operator=self.params["operator"],
            success=self.params["success"],
            note=self.params["note"],
            kept=self._kept,
            marks=self._marks,
            episode="" if episode is None else episode.writer.path.name,
            elapsed_s=0.0 if watch is None else round(watch.elapsed_s, 1),
            free_disk_mb=float(disk) if isinstance(disk, int) else None,
            start_disk_mb=self.params["start_disk_mb"],
            stop_disk_mb=self.params["stop_disk_mb"],
            waiting_mb=0.0 if episode is None else round(episode.waiting_mb, 1),
            queue_mb=self.params["queue_mb"],
            lost=0 if episode is None or watch is None else sum(episode.dropped.values()) + sum(watch.lost.values()),
            camera_skew_s=round(live_skew_s(self._streams), 4),
            skew_limit_s=DEFAULT_TOLERANCE_S,
            warnings=tuple(self._warnings),
            streams=stream_statuses(self._streams, episode, watch),
        )

    def _missing(self) -> str:
        """Which required streams do not arrive or are not of now, and what to do; empty if all are well."""
        limit = self.params["stream_timeout_s"]
        required = [stream for stream in self._streams if stream.required]
        if silent := [stream.topic for stream in required if stream.rate.silent_s() > limit]:
            return f"nothing arrives on {', '.join(silent)}: start the node or driver that publishes it"
        now = self.get_clock().now().nanoseconds
        for stream in required:
            age = (now - max(stream.stamps_ns)) * 1e-9
            if abs(age) > limit + STAMP_LAG_S:
                side = "behind" if age > 0 else "ahead of"
                return (
                    f"{stream.topic} has stamps {abs(age):.1f} s {side} this computer's clock: synchronise the clocks"
                )
        return ""

    def _check_publishers(self) -> None:
        """Refuse where two arms share the graph: frames and joints of both would make up one episode."""
        for stream in self._streams:
            publishers = self.get_publishers_info_by_topic(stream.topic) if stream.required else []
            if len(publishers) > 1 and len(publishers) > joint_parts(stream.recent):
                names = ", ".join(sorted(publisher.node_name for publisher in publishers))
                raise SparkError(
                    f"{stream.topic} has {len(publishers)} publishers ({names}), so that an episode would mix two "
                    "robots: stop all but one (one that was killed is forgotten after 20 s), then start again"
                )


def file_hashes(folder: str) -> dict[str, str]:
    """SHA-256 of every file in the folder, by name: which calibration an episode belongs to; {} for no folder.

    Raises:
        SparkError: There is no such folder.
    """
    if not folder:
        return {}
    path = Path(folder).expanduser()
    if not path.is_dir():
        raise SparkError(f"there is no folder {path} (parameter calibration): correct it, or leave it empty")
    files = sorted(file for file in path.rglob("*") if file.is_file())
    return {str(file.relative_to(path)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def main() -> int:
    """Entry point of the executable `recorder`."""
    return run(RecorderNode)


if __name__ == "__main__":
    raise SystemExit(main())

"""Whether the recorder keeps up, what it costs, and what is left when it is killed.

    python -m benchmarks.recording [--minutes 10] [--images raw] [--kills 50] [--quick] [--json] [--save]

- The recorder node as a process of its own, two 640x480 cameras at 30 Hz and joint states and setpoints at 200 Hz over
  ROS from another process. `frames_lost` of `frames`: pictures sent between the first and the last that are in the
  file, and are not in it, whoever lost them; `loss_counted`: what the recorder itself says was lost, by topic.
  `cpu_share`: of one core, by the recorder. `rss_mb`: first, last quarter. `frames_per_s` tells whether this machine
  could send at the rate at all, `source_late_s` for how long it could not.
- The same at twice the rates, for a tenth of the time: the ceiling.
- The messages of a few seconds written as fast as they go, by our writer (on the disk within a second, hashed, images
  packed by threads), by plain mcap and by rosbags (neither waits for the disk nor hashes).
- A session killed with SIGKILL at random moments: finished episodes altered, torn ones recovered.

Needs up to 20 GB of free disk for the ten minutes (--folder).
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from statistics import mean
from typing import Any

import rclpy
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from mcap.reader import make_reader
from rclpy.executors import SingleThreadedExecutor
from std_srvs.srv import Trigger

from benchmarks.common import entry, finish, make_parser, parse
from benchmarks.recorder import kills, peers
from benchmarks.recorder.scene import CAMERAS
from spark_ros import topics
from spark_ros.bringup.domain import claim_domain
from spark_ros.bringup.environment import child_environment
from spark_ros.contracts import SparkError
from spark_ros.data.dataset_folder import DemoFolder
from spark_ros.data.episode_reader import read_cameras
from spark_ros.data.episode_writer import OUTCOME_RECORD
from spark_ros.data.image_storage import ImageStorage
from spark_ros.nodes.calls import call

QUICK_S, PEER_S, QUICK_PEER_S, QUICK_KILLS = 12.0, 10.0, 2.0, 2
PATIENCE_S = 60.0


def main() -> None:
    """Measures and prints."""
    parser = make_parser(__doc__, f"{QUICK_S:.0f} s of recording, {QUICK_KILLS} kills")
    parser.add_argument("--minutes", type=float, default=10.0, help="of recording (default: %(default)s)")
    parser.add_argument("--images", default="raw", help="raw, png or jpeg (default: %(default)s)")
    parser.add_argument("--kills", type=int, default=50, help="of a session (default: %(default)s)")
    parser.add_argument("--folder", type=Path, help="where to record (default: a temporary folder)")
    options = parse(parser)
    ImageStorage.of(options.images)
    seconds = QUICK_S if options.quick else 60.0 * options.minutes
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        measured: dict[str, Any] = {
            "images": options.images,
            **recording(folder / "once", 1.0, seconds, options.images),
            "doubled": recording(folder / "twice", 2.0, max(seconds / 10, 6.0), options.images),
            "writers": peers.compare(folder, QUICK_PEER_S if options.quick else PEER_S),
            "killed": kills.survive(folder / "killed", QUICK_KILLS if options.quick else options.kills),
        }
    finish(options, "recording", measured, show, ros=True)


def recording(folder: Path, factor: float, seconds: float, images: str) -> dict[str, Any]:
    """Record one episode of so many seconds at a multiple of the rates; what was lost and what it cost."""
    claim = claim_domain("auto")
    environment = child_environment({}, domain_id=claim.domain_id, local_only=True)
    folder.mkdir(parents=True)
    parameters = {"folder": str(folder), "task": "be measured", "images": images, "start_disk_mb": 0.0}
    words = [word for key, value in parameters.items() for word in ("-p", f"{key}:={json.dumps(value)}")]
    command = [sys.executable, "-m", "spark_ros.nodes.recorder", "--ros-args", *words]
    source = [sys.executable, "-m", "benchmarks.recorder.source", str(factor), str(folder / "sent.json")]
    log = (folder / "log").open("w", encoding="utf-8")
    nodes = [subprocess.Popen(line, env=environment, stdout=log, stderr=log) for line in (command, source)]
    client = _Client(claim.domain_id)
    try:
        for transition in (Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE):
            client.change(transition)
        client.insist(topics.RECORDER_START)
        begin, busy, rss = time.monotonic(), _busy_s(nodes[0].pid), []
        while time.monotonic() - begin < seconds:
            time.sleep(min(1.0, seconds))
            rss.append(_resident_mb(nodes[0].pid))
        elapsed, busy = time.monotonic() - begin, _busy_s(nodes[0].pid) - busy
        said = client.trigger(topics.RECORDER_KEEP)
    finally:
        client.close()
        for node in reversed(nodes):
            node.send_signal(signal.SIGINT)
        for node in nodes:
            node.wait(PATIENCE_S)
        log.close()
        claim.release()
    quarter = max(len(rss) // 4, 1)
    demos = DemoFolder(folder)
    (episode,) = demos.episodes()
    path = demos.file(episode)
    report = json.loads((folder / "sent.json").read_text(encoding="utf-8"))
    frames, lost = _lost(path, report["sent"])
    outcome = _outcome(path)
    size = path.stat().st_size
    path.unlink()
    return {
        "seconds_recorded": round(elapsed, 1),
        "frames": frames,
        "frames_lost": lost,
        "loss_counted": json.loads(outcome["messages_lost"]),
        "frames_per_s": round(frames / episode.duration_s, 1),
        "source_late_s": round(report["late_s"], 2),
        "cpu_share": round(busy / elapsed, 3),
        "mb_per_s": round(size * 1e-6 / elapsed, 1),
        "rss_mb": {"begin": round(mean(rss[:quarter]), 1), "end": round(mean(rss[-quarter:]), 1)},
        "recorder_said": said,
    }


def show(measured: Mapping[str, Any]) -> None:
    """Prints the result for a person."""
    for name, part in (("two cameras at 30 Hz", measured), ("at 60 Hz", measured["doubled"])):
        print(
            f"{name}: {part['frames_lost']} of {part['frames']} frames lost at {part['frames_per_s']} a second, "
            f"{part['cpu_share']:.2f} of a core, {part['mb_per_s']} MB/s, "
            f"{part['rss_mb']['begin']:.0f} to {part['rss_mb']['end']:.0f} MB resident"
        )
    for name, way in measured["writers"].items():
        print(
            f"{name:<15} {way['frames_per_s']:7.1f} frames/s ({way['ceiling']:.1f} times what is needed), "
            f"{way['cpu_ms_per_frame']:6.2f} ms of a core each, {way['mb']:.0f} MB of {way['mb_sent']:.0f} MB"
        )
    kills.show(measured["killed"])


def _lost(path: Path, sent: Mapping[str, list[int]]) -> tuple[int, int]:
    """Frames sent while the episode lasted, and those of them that are not in it."""
    total, lost = 0, 0
    for camera, frames in read_cameras(path).items():
        stamps = set(frames.stamps_ns.tolist())
        expected = [stamp for stamp in sent[topics.camera_image(camera)] if min(stamps) <= stamp <= max(stamps)]
        total, lost = total + len(expected), lost + len(set(expected) - stamps)
    assert total, f"no frame of {CAMERAS} was recorded"
    return total, lost


def _outcome(path: Path) -> Mapping[str, str]:
    with path.open("rb") as stream:
        return next(record.metadata for record in make_reader(stream).iter_metadata() if record.name == OUTCOME_RECORD)


def _busy_s(process: int) -> float:
    """Processor time of a process so far, all threads."""
    fields = Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _resident_mb(process: int) -> float:
    pages = int(Path(f"/proc/{process}/statm").read_text(encoding="utf-8").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") * 1e-6


class _Client:
    """Calls of the recorder's services."""

    def __init__(self, domain_id: int) -> None:
        self._context = rclpy.Context()
        rclpy.init(context=self._context, domain_id=domain_id)
        self._node = rclpy.create_node("benchmark", context=self._context)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self._node)

    def change(self, transition: int) -> None:
        request = ChangeState.Request(transition=Transition(id=transition))
        name = "/recorder/change_state"
        if not call(self._node, ChangeState, name, request, PATIENCE_S, executor=self._executor).success:
            raise SparkError("the recorder refused to start: see its log")

    def trigger(self, service: str) -> str:
        answer = call(self._node, Trigger, service, Trigger.Request(), PATIENCE_S, executor=self._executor)
        if not answer.success:
            raise SparkError(answer.message)
        return str(answer.message)

    def insist(self, service: str) -> None:
        """As `trigger`, until the streams flow."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                self.trigger(service)
                return
            except SparkError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)

    def close(self) -> None:
        self._node.destroy_node()
        self._context.try_shutdown()


if __name__ == "__main__":
    entry(main)

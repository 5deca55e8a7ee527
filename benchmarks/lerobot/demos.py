"""Demonstrations whose every number is known beforehand: joints turn evenly, frames say which one they are."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np

from benchmarks.lerobot.barcodes import barcode
from spark_ros import topics
from spark_ros.contracts import Command, FloatArray, Frame, JointState
from spark_ros.data.cdr_messages import Message, encode_frame, encode_joints, encode_setpoint
from spark_ros.data.dataset_folder import DemoFolder
from spark_ros.robots.spec import RobotSpec, load_robot

CAMERAS = ("front", "wrist")
TASKS = ("lift the cube", "push the cube", "lift the cube")
LENGTHS = (24, 31, 18)  # frames
RATE_HZ = 10
SPEED = 0.05  # rad/s of the first joint, twice that of the second and so on
LATE_S = 0.02  # of the measured joints behind the commanded ones
_MS = 1_000_000


@lru_cache
def arm() -> RobotSpec:
    """The arm that moves."""
    return load_robot("fr3")


def begin_ns(episode: int) -> int:
    """Stamp of an episode's beginning; odd nanoseconds, so that nothing is right by being rounded."""
    return 1_700_000_000_123_456_789 + episode * 60_000_000_000


def frame_stamps(episode: int, camera: int) -> list[int]:
    """True capture times, ns: neither camera is quite regular, and the second is always a little later."""
    random = np.random.default_rng([episode, camera])
    jitter = random.integers(0, 8 * _MS, LENGTHS[episode])
    return [begin_ns(episode) + i * 100 * _MS + 15 * _MS * camera + int(jitter[i]) for i in range(LENGTHS[episode])]


def commanded(episode: int, stamp_ns: int) -> FloatArray:
    """(7,) joints, rad, at a stamp."""
    return arm().home + SPEED * np.arange(1, 8) * ((stamp_ns - begin_ns(episode)) * 1e-9)


def width(episode: int, stamp_ns: int) -> float:
    """Gripper opening, m, at a stamp."""
    return 0.08 - 0.01 * (stamp_ns - begin_ns(episode)) * 1e-9


def write_demos(path: Path) -> DemoFolder:
    """Record them all."""
    spec, folder = arm(), DemoFolder(path)
    names = (*spec.joint_names, *spec.gripper.joint_names)
    with folder.recording():
        for episode, task in enumerate(TASKS):
            messages: list[tuple[int, str, Message]] = []
            for i in range(LENGTHS[episode] * 10 + 10):
                stamp = begin_ns(episode) + i * 10 * _MS
                opening = width(episode, stamp)
                position = np.concatenate([commanded(episode, stamp - round(LATE_S * 1e9)), np.full(2, opening / 2)])
                messages.append(
                    (stamp, topics.JOINT_STATES, encode_joints(JointState(names, position, position, stamp)))
                )
                command = Command(spec.joint_names, commanded(episode, stamp), np.zeros(7), opening, None)
                messages.append((stamp, topics.GATEWAY_SETPOINT, encode_setpoint(command, spec.gripper, stamp)))
            for number, camera in enumerate(CAMERAS):
                for i, stamp in enumerate(frame_stamps(episode, number)):
                    frame = encode_frame(Frame(camera, barcode(i, number), stamp))
                    messages.append((stamp, topics.camera_image(camera), frame))
            writer = folder.start_episode({"task": task, "robot": "fr3", "seed": episode, "operator": "program"})
            for stamp, topic, message in sorted(messages, key=lambda entry: entry[0]):
                writer.write(topic, *message, stamp, stamp)
            folder.keep(writer, {"success": True})
    return folder

"""What the recorder is given: pictures of a camera with its noise, and an arm's joints, as CDR bytes."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import numpy as np

from spark_ros import topics
from spark_ros.contracts import Frame, JointState
from spark_ros.data.cdr_messages import encode_frame, encode_joints
from spark_ros.robots.spec import load_robot

CAMERAS = ("front", "wrist")
PICTURES = 16  # different ones; making noise anew for each frame would cost more than recording it
_STAMP = slice(4, 12)

Message = tuple[str, str, bytes, int]  # topic, type, CDR bytes, stamp


def pictures(height: int, width: int) -> list[np.ndarray]:
    """Smooth surfaces with a sensor's noise in good light (2 grey levels): what a lossless codec meets in a lab."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[0:height, 0:width]
    surface = np.stack([x * 200 / width, y * 200 / height, (x + y) * 100 / width], axis=-1) + 20
    return [
        np.clip(np.roll(surface, i, axis=1) + rng.normal(0, 2, surface.shape), 0, 255).astype(np.uint8)
        for i in range(PICTURES)
    ]


def messages(hz: float, joints_hz: float, height: int, width: int, begin_ns: int) -> Iterator[Message]:
    """Two cameras and an arm, in the order of their stamps, for ever."""
    spec = load_robot("fr3")
    names = (*spec.joint_names, *spec.gripper.joint_names)
    kind = ""
    images = []
    for picture in pictures(height, width):
        kind, cdr = encode_frame(Frame("front", picture, 0))
        images.append(cdr)
    frame = 0
    for tick in count():
        stamp = begin_ns + round(tick * 1e9 / joints_hz)
        position = np.append(spec.home + 0.1 * np.sin(tick / joints_hz), [0.04, 0.04])
        joint_kind, cdr = encode_joints(JointState(names, position, np.zeros(len(names)), stamp))
        yield topics.JOINT_STATES, joint_kind, cdr, stamp
        yield topics.GATEWAY_SETPOINT, joint_kind, cdr, stamp
        while frame / hz <= tick / joints_hz:
            for camera in CAMERAS:
                yield topics.camera_image(camera), kind, stamped(images[frame % PICTURES], stamp), stamp
            frame += 1


def stamped(cdr: bytes, stamp_ns: int) -> bytes:
    """A message with a header, its stamp replaced."""
    seconds, nanoseconds = divmod(stamp_ns, 1_000_000_000)
    data = bytearray(cdr)
    data[_STAMP] = seconds.to_bytes(4, "little") + nanoseconds.to_bytes(4, "little")
    return bytes(data)

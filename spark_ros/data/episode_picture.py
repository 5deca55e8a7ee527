"""The first or last picture of an episode, without reading the rest: an hour of video takes as long as a second."""

from __future__ import annotations

from pathlib import Path

from mcap.reader import make_reader

from spark_ros import topics
from spark_ros.contracts import Frame, SparkError
from spark_ros.data.cdr_messages import IMAGE, decode_frame
from spark_ros.data.image_storage import COMPRESSED_IMAGE, unpack_frame
from spark_ros.data.mcap_scan import DAMAGE


def episode_picture(path: Path, *, last: bool, camera: str | None = None) -> Frame:
    """The first or the last picture of a camera.

    Args:
        path: A finished episode; its index is what is read.
        last: The last one instead of the first.
        camera: Name of the camera; None for the first by name.

    Raises:
        SparkError: The file cannot be read, is torn, or has no such pictures.
    """
    try:
        with path.open("rb") as stream:
            reader = make_reader(stream)
            summary = reader.get_summary()
            if summary is None:
                raise SparkError(f"{path} has no index: spark-ros data recover {path.parent}")
            kinds = {channel.topic: summary.schemas[channel.schema_id].name for channel in summary.channels.values()}
            found = {
                name: topic
                for topic, kind in sorted(kinds.items(), reverse=True)  # of both ways to store them, as they travelled
                if kind in (IMAGE, COMPRESSED_IMAGE) and (name := topics.camera_of(topic))
            }
            name = min(found, default="") if camera is None else camera
            if name not in found:
                there = ", ".join(sorted(found)) or "none"
                raise SparkError(f"{path} has no pictures of {name or 'any camera'}: it has {there}")
            topic = found[name]
            for _, _, message in reader.iter_messages([topic], reverse=last):
                return (unpack_frame if kinds[topic] == COMPRESSED_IMAGE else decode_frame)(message.data, name)
    except OSError as error:
        raise SparkError(f"cannot read {path}: {error.strerror}") from error
    except DAMAGE as error:
        raise SparkError(f"{path} is torn or damaged ({error}): restore it from a copy") from error
    raise SparkError(f"{path} has no pictures of camera {name}")

"""Small videos and LeRobot datasets whose every frame says in its pixels which one it is."""

from __future__ import annotations

import json
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

MS = Fraction(1, 1000)
WIDTH, HEIGHT, BITS = 64, 48, 8


def barcode(number: int) -> NDArray[np.uint8]:
    """(48, 64, 3): eight stripes, a bright one for each bit that is set."""
    image = np.full((HEIGHT, WIDTH, 3), 40, np.uint8)
    for bit in range(BITS):
        if number >> bit & 1:
            image[:, 8 * bit : 8 * bit + 8] = 220
    return image


def read_barcode(image: NDArray[np.uint8]) -> int:
    return sum(int(image[:, 8 * bit + 2 : 8 * bit + 6].mean() > 128) << bit for bit in range(BITS))


def write_video(path: Path, times_ms: Sequence[int], codec: str = "libx264", first: int = 0) -> Path:
    """Frame number `first` + i at `times_ms`[i]; h264 with B-frames, a key frame every ten."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=30)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.codec_context.gop_size = 10
        stream.codec_context.time_base = MS
        for number, time_ms in enumerate(times_ms):
            frame = av.VideoFrame.from_ndarray(barcode(first + number))
            frame.pts, frame.time_base = time_ms, MS
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def write_lerobot(folder: Path, lengths: Sequence[int], cameras: Sequence[str] = ("front",), fps: int = 20) -> Path:
    """A LeRobot v3.0 dataset: episodes one after the other in one table and in one video per camera.

    The barcodes of a camera count on from episode to episode, those of the next camera begin 100 later;
    ``observation.state`` of row i is (i, -i).
    """
    total = sum(lengths)
    starts = np.concatenate([[0], np.cumsum(lengths)])
    keys = [f"observation.images.{camera}" for camera in cameras]
    features = {key: {"dtype": "video", "shape": [HEIGHT, WIDTH, 3], "names": None} for key in keys}
    features["observation.state"] = {"dtype": "float32", "shape": [2], "names": ["a", "b"]}
    info = {
        "codebase_version": "v3.0",
        "fps": fps,
        "features": features,
        "total_episodes": len(lengths),
        "data_path": "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet",
        "video_path": "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4",
    }
    (folder / "meta").mkdir(parents=True)
    (folder / "meta" / "info.json").write_text(json.dumps(info))
    index = np.arange(total)
    state = pa.array(np.stack([index, -index], axis=1).astype(np.float32).tolist(), pa.list_(pa.float32()))
    episode = np.repeat(np.arange(len(lengths)), lengths)
    _write(folder / "data/chunk-000/file-000.parquet", {"episode_index": episode, "observation.state": state})
    rows: dict[str, object] = {
        "episode_index": np.arange(len(lengths)),
        "length": np.array(lengths),
        "dataset_from_index": starts[:-1],
        "dataset_to_index": starts[1:],
        "data/chunk_index": np.zeros(len(lengths), int),
        "data/file_index": np.zeros(len(lengths), int),
        "stats/observation.state/mean": [[0.0]] * len(lengths),
    }
    for number, key in enumerate(keys):
        times = [round(1000 * i / fps) for i in range(total)]
        write_video(folder / f"videos/{key}/chunk-000/file-000.mp4", times, first=100 * number)
        rows[f"videos/{key}/chunk_index"] = np.zeros(len(lengths), int)
        rows[f"videos/{key}/file_index"] = np.zeros(len(lengths), int)
        rows[f"videos/{key}/from_timestamp"] = starts[:-1] / fps
        rows[f"videos/{key}/to_timestamp"] = starts[1:] / fps
    _write(folder / "meta/episodes/chunk-000/file-000.parquet", rows)
    return folder


def change_info(folder: Path, **changes: object) -> None:
    path = folder / "meta" / "info.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def _write(path: Path, columns: dict[str, object]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path)

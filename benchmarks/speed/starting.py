"""From a bundle on the disk to the first action, in a process of its own; the files are in the system's cache.

python -m benchmarks.speed.starting <bundle>        one start, seconds as JSON
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parents[2]  # nothing of ours is imported here: what that takes is measured


def measure_start(bundle: Path, times: int) -> dict[str, float]:
    """Medians in seconds: ``first_action`` from the bundle's folder, and ``with_imports`` from the program's start."""
    starts = [_start(bundle) for _ in range(times + 1)][1:]  # the first one warms the cache
    return {name: round(median(start[name] for start in starts), 3) for name in starts[0]}


def _start(bundle: Path) -> dict[str, float]:
    begin = time.monotonic()
    program = [sys.executable, "-m", "benchmarks.speed.starting", str(bundle)]
    answer = subprocess.run(program, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    found = json.loads(answer.stdout.splitlines()[-1])
    return {"first_action": found["acted"] - found["imported"], "with_imports": found["acted"] - begin}


def main(folder: str) -> None:
    """Loads and acts once on a recorded observation."""
    from spark_ros.bundle.load import load_bundle
    from spark_ros.contracts import Frame, JointState
    from spark_ros.runtime.encoder_runtime import EncoderRuntime
    from spark_ros.runtime.policy_runtime import PolicyRuntime

    imported = time.monotonic()
    bundle = load_bundle(folder)
    encoder, policy = EncoderRuntime(bundle), PolicyRuntime(bundle)
    golden = bundle.golden()
    position = golden.joint_position[0]
    joints = JointState(golden.joint_names, position, 0.0 * position, 1)
    policy.act({name: encoder.encode(Frame(name, rows[0], 1)) for name, rows in golden.images.items()}, joints)
    print(json.dumps({"imported": imported, "acted": time.monotonic()}))


if __name__ == "__main__":
    main(sys.argv[1])

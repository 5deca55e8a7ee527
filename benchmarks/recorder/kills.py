"""A recording session that is killed at random moments: what of it is left.

python -m benchmarks.recorder.kills FOLDER     # the session itself: records episode after episode until killed
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.recorder.scene import messages
from spark_ros.data.dataset_folder import DemoFolder
from spark_ros.data.file_hash import file_sha256
from spark_ros.data.mcap_scan import McapScan
from spark_ros.nodes.episode_queue import EpisodeQueue

EPISODE_S = 1.5
_LINE = 20  # digits of a stamp and the line's end


def session(folder: Path) -> None:
    """Record small episodes in real time, for ever; every stamp offered is printed, and 0 before each episode."""
    demos = DemoFolder(folder)
    with demos.recording():
        while True:
            _say(0)
            writer = demos.start_episode({"task": "be killed", "robot": "fr3"})
            queue = EpisodeQueue(writer, 100_000_000)
            begin_ns, begin = time.time_ns(), time.monotonic()
            for topic, kind, cdr, stamp in messages(30.0, 200.0, 60, 80, begin_ns):
                elapsed = (stamp - begin_ns) * 1e-9
                if elapsed > EPISODE_S:
                    break
                time.sleep(max(0.0, begin + elapsed - time.monotonic()))
                queue.offer(topic, kind, cdr, time.time_ns())
                _say(stamp)
            queue.finish()
            demos.keep(writer, {"success": True})


def survive(folder: Path, kills: int, seed: int = 0) -> dict[str, Any]:
    """Kill the session again and again; what was lost.

    Returns:
        ``kills``; ``finished`` episodes in the end; ``altered`` or unreadable ones among them; ``torn`` files met, how
        many of them were ``recovered``, how many were killed before anything was on the disk (``empty``), and the most
        that one of both kinds lacked at its end, ``worst_tail_s``; ``refused``: whether a second recorder was refused
        while one was at work.
    """
    rng = random.Random(seed)
    demos, known = DemoFolder(folder), dict[str, str]()
    result: dict[str, Any] = {"kills": kills, "altered": 0, "torn": 0, "recovered": 0, "empty": 0, "worst_tail_s": 0.0}

    def lacking(end_ns: int, last_ns: int) -> None:
        result["worst_tail_s"] = round(max(result["worst_tail_s"], (last_ns - end_ns) * 1e-9), 3)

    for number in range(kills):
        begin_ns, last_ns = _killed(folder, rng.uniform(0.3, 2.5 * EPISODE_S), result if number == 0 else None)
        entries = {entry.file: entry for entry in demos.episodes()}
        result["altered"] += sum(
            name not in entries or file_sha256(folder / name) != digest for name, digest in known.items()
        )
        with demos.recording():
            for part in demos.unfinished():
                result["torn"] += 1
                if part.suffix == ".mcap":  # whole, but killed before it was listed
                    demos.add(part)
                elif _holds_nothing(part):
                    result["empty"] += 1
                    part.unlink()
                    lacking(begin_ns, last_ns)
                    continue
                else:
                    lacking(int(demos.read(demos.recover(part)).joints.stamps_ns[-1]), last_ns)
                result["recovered"] += 1
        for entry in demos.episodes():
            demos.read(entry)
            known[entry.file] = entry.sha256
    return {**result, "finished": len(known)}


def show(result: Mapping[str, Any]) -> None:
    """Print it for a person."""
    print(
        f"{result['kills']} kills: {result['finished']} episodes, {result['altered']} altered; {result['torn']} torn, "
        f"{result['recovered']} recovered to within {result['worst_tail_s']} s of their end, {result['empty']} empty"
    )


def _killed(folder: Path, after_s: float, result: dict[str, Any] | None) -> tuple[int, int]:
    """Start the session, kill it so long after its beginning; first and last stamp of its last episode."""
    command = [sys.executable, "-m", "benchmarks.recorder.kills", str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert process.stdout is not None
    first = process.stdout.read(_LINE)
    if result is not None:
        second = subprocess.run(command, capture_output=True, text=True, timeout=60)
        result["refused"] = second.returncode != 0 and "is recording into" in second.stderr
        after_s += 0.5
    time.sleep(after_s)
    process.kill()
    printed = first + process.stdout.read()
    process.wait()
    process.stdout.close()
    stamps = [int(line) for line in printed[: len(printed) // _LINE * _LINE].split()]
    episode = stamps[len(stamps) - stamps[::-1].index(0) :]
    return (episode[0], episode[-1]) if episode else (0, 0)  # killed before its first message


def _say(stamp_ns: int) -> None:
    sys.stdout.write(f"{stamp_ns:019d}\n")
    sys.stdout.flush()


def _holds_nothing(part: Path) -> bool:
    return part.stat().st_size < 64 or next(iter(McapScan(part)), None) is None


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    try:
        session(Path(sys.argv[1]))
    except Exception as error:
        sys.exit(json.dumps(str(error)))

"""`franka-sim`, a robot server that judges commands as a real Franka does, in a Python environment of its own.

    python -m benchmarks.fci.franka_sim

It pins a numpy and a MuJoCo that are not ours. The environment is made in the cache the first time it is needed. The
model of the arm is that of `franky-sim`, which is here already; franka-sim itself would fetch one.
"""

from __future__ import annotations

import importlib.util
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.common import entry
from benchmarks.own_environment import OwnEnvironment, clean_variables
from spark_ros.contracts import SparkError

VERSION = "1.1.7"
REQUIREMENTS = (f"franka-sim=={VERSION}", "numpy==1.26.4", "mujoco==3.2.7")
FRANKA_SIM = OwnEnvironment("franka-sim", f"franka-sim-{VERSION}", REQUIREMENTS)
SERVER = Path(__file__).parent / "server" / "one_clock.py"  # franka-sim's own, with one clock
HOST = "127.0.0.1"  # it listens on every address of this machine
START_S = 90.0
READY = "Server ready for new client"


@contextmanager
def serving(logs: Path, *options: str, as_shipped: bool = False) -> Iterator[Path]:
    """A server with motion limits enforced, as long as the block lasts; its log.

    Args:
        logs: Folder for the log and the model.
        options: More of its command line's.
        as_shipped: Without the changes of `SERVER`.

    Raises:
        SparkError: It does not start.
    """
    python = FRANKA_SIM.ensure()
    logs.mkdir(parents=True, exist_ok=True)
    log = logs / "franka_sim.log"
    variables = {**clean_variables(), "FR3_MJCF": str(_model(logs)), "OMP_NUM_THREADS": "1"}
    with log.open("w") as output:
        server = ["-m", "franka_sim.run_server"] if as_shipped else [str(SERVER)]
        command = [str(python), *server, "--enforce-motion-limits", *options]
        process = subprocess.Popen(command, env=variables, stdout=output, stderr=subprocess.STDOUT)
    try:
        _await(process, log)
        yield log
    finally:
        for number in (signal.SIGINT, signal.SIGKILL):
            process.send_signal(number)
            try:
                process.wait(20.0)
                break
            except subprocess.TimeoutExpired:
                continue


def _await(process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_S
    while True:
        if process.poll() is not None or time.monotonic() > deadline:
            raise SparkError(f"franka-sim did not start: its output is in {log}")
        if READY in log.read_text(encoding="utf-8"):
            return
        time.sleep(0.2)


def _model(folder: Path) -> Path:
    """A copy of franky-sim's FR3 that knows where its meshes are."""
    found = importlib.util.find_spec("franky_sim")
    if found is None or not found.submodule_search_locations:
        raise SparkError("the FR3 model is missing: it comes with franky-sim, run `pip install franky-sim==1.0.4`")
    assets = Path(found.submodule_search_locations[0]) / "assets"
    text = (assets / "fr3.xml").read_text(encoding="utf-8")
    copy = folder / "fr3.xml"
    copy.write_text(re.sub(r'meshdir="[^"]*"', f'meshdir="{assets / "meshes"}"', text, count=1), encoding="utf-8")
    return copy


def _main() -> None:
    print(f"franka-sim's interpreter is {FRANKA_SIM.ensure()}")


if __name__ == "__main__":
    entry(_main)

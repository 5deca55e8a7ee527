"""`spark-ros <verb>`: what a user types. Every verb is a module of `commands/`; errors become one line here.

Everything but the standard library is imported inside `main`, so that Ctrl-C is one line from the first moment on.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from types import FrameType

PROGRAM = "spark-ros"
OK, FAILED, REFUSED, INTERRUPTED = 0, 1, 2, 130  # 130 as a shell reports Ctrl-C

# Which extra of setup.py brings a module that is not there.
_EXTRAS = {
    "torch": "train",
    "safetensors": "train",
    "onnx": "train",
    "onnxscript": "train",
    "mujoco": "sim",
    "franky_sim": "sim",
    "av": "sim",
    "pyarrow": "train",
    "huggingface_hub": "hub",
    "matplotlib": "sim",
    "onnxruntime": "cpu",
    "rclpy": "ros",
    "aiohttp": "console",
}
_DESCRIPTION = """\
From demonstrations to a moving arm: record, train a policy on foundation-model features, export it as one bundle,
evaluate it, run it over ROS 2."""
_EPILOG = """\
in a row:
  spark-ros record --episodes 60 --folder demos
  spark-ros train policy data.folder=demos out_dir=run
  spark-ros export --run run --out bundle
  spark-ros eval --bundle bundle --episodes 50
  spark-ros up manipulation sim:=true bundle:=bundle auto_engage:=true

exit status: 0 done, 1 something did not work, 2 wrong use or something to put right (the sentence says what),
130 interrupted. `spark-ros <verb> --help` explains a verb."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of `spark-ros`; returns the exit status."""
    options = argparse.Namespace(interrupted="interrupted")
    with _Interrupts() as interrupts:
        try:
            parser().parse_args(arguments, options)
            return _run(options)
        except KeyboardInterrupt:
            pass
        except BrokenPipeError:  # the reader (| head) has gone; nothing may be written to stdout at exit either
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return FAILED
        except Exception as error:
            if not interrupts.seen:
                return _refused(error)
            if KeyboardInterrupt.__name__ not in str(error):  # something else went wrong on the way out
                _say(f"{type(error).__name__}: {error}")
        _say(options.interrupted)
        return INTERRUPTED


class _Interrupts:
    """Within it Ctrl-C and SIGTERM raise KeyboardInterrupt, and it is known that they did.

    Some libraries report a KeyboardInterrupt that comes while they call C as an error of their own (ctypes as an
    ArgumentError, say); it is Ctrl-C all the same.
    """

    def __init__(self) -> None:
        self.seen = False

    def __enter__(self) -> _Interrupts:
        wanted = [signal.SIGTERM]
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # not ignored, as in the background
            wanted.append(signal.SIGINT)
        self._previous = {number: signal.signal(number, self._interrupt) for number in wanted}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        self.seen = True
        raise KeyboardInterrupt


def parser() -> argparse.ArgumentParser:
    """The command line, without importing anything heavy."""
    from spark_ros.commands import bundle, console, data, doctor, evaluate, export, record, trace, train, up, weights

    result = argparse.ArgumentParser(
        prog=PROGRAM,
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = result.add_subparsers(title="verbs", metavar="<verb>", required=True)
    for verb in (up, console, record, train, export, evaluate, bundle, data, trace, weights, doctor):
        verb.add_to(verbs)
    return result


def _run(options: argparse.Namespace) -> int:
    from spark_ros.training.interrupt import Interrupted

    try:
        return options.run(options)
    except Interrupted as stopped:
        _say(str(stopped))
        return INTERRUPTED


def _refused(error: Exception) -> int:
    """Says in a sentence what is wrong; what is nobody's mistake but ours is raised again, with its traceback."""
    from spark_ros.contracts import SparkError

    if isinstance(error, SparkError):
        _say(f"error: {error}")
        return REFUSED
    if isinstance(error, ModuleNotFoundError):
        extra = _EXTRAS.get((error.name or "").partition(".")[0])
        if extra is not None:
            _say(f"error: this needs the Python module {error.name}: pip install 'spark_ros[{extra}]'")
            return REFUSED
    raise error


def _say(text: str) -> None:
    print(f"{PROGRAM}: {text}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())

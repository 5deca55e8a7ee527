"""Precisions an encoder can be exported with, and what each must still achieve.

Which of them lose success on the arm is measured by `python -m benchmarks.precision_success`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from spark_ros.bundle.quantise import quantise_dynamic
from spark_ros.bundle.quantise_static import quantise_static
from spark_ros.contracts import ImageArray


@dataclass(frozen=True)
class Precision:
    """One way to store an encoder.

    Attributes:
        convert: From the float32 graph's file to the wanted one, given modules to keep in float32 and images of the
            robot's cameras (N, S, S, 3) uint8; None keeps the file.
        min_mean_cosine: What the tokens must on average achieve against the trained network for an export to succeed.
        max_action_error: Largest permitted mean deviation of the actions, in standard deviations of the action.
        min_token_cosine: What every token must achieve on another machine against the recorded ones.
        half: Compared and recorded as OpenVINO computes it in the processor's 16-bit floats.
    """

    convert: Callable[[Path, Path, Sequence[str], ImageArray], None] | None
    min_mean_cosine: float
    max_action_error: float
    min_token_cosine: float
    half: bool = False


# On the lift task int8 reached a mean cosine of .9988 and moved the actions by 0.014 standard deviations (0.3 to 1 mm).
# Rounding activations to 8 bits also amplifies harmless differences of float arithmetic: the same int8 graph run with
# other, equally exact float kernels differs from itself by a cosine of .996 at worst, which must be granted to the
# robot's processor.
#
# int8-static is recorded in float32 and best run beside bfloat16, which 8 bits amplify, too: .978 for the worst token
# of a run's observations. The actions then made are held to the same limits as everywhere.
#
# bf16 is the float32 graph with the tolerance that `half` of the perception node needs; without it, it runs in float32.
PRECISIONS = {
    "fp32": Precision(None, min_mean_cosine=0.9999, max_action_error=0.001, min_token_cosine=0.9999),
    "bf16": Precision(None, min_mean_cosine=0.999, max_action_error=0.05, min_token_cosine=0.99, half=True),
    "int8": Precision(quantise_dynamic, min_mean_cosine=0.99, max_action_error=0.1, min_token_cosine=0.99),
    "int8-static": Precision(quantise_static, min_mean_cosine=0.99, max_action_error=0.1, min_token_cosine=0.95),
}

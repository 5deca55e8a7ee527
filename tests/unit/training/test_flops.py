from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tiny_vit import write_tiny_vit
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from spark_ros.encoders.spark import SparkModel, SparkOptions
from spark_ros.training.flops import flops_per_pair, measure_peak

PAIRS = 2


@pytest.mark.parametrize(
    "choice",
    [
        {},
        {"adaptation": "last", "last_blocks": 1},
        {"adaptation": "last", "last_blocks": 1, "clean_targets": False},
        {"adaptation": "lora"},
        {"target": "both", "projection": "mlp", "preserve": "gram"},
        {"target": "pixels", "projection": "identity"},
        {"dynamics_weight": 0.0},
        {"bottleneck": "learned", "bottleneck_tokens": 3},
    ],
)
def test_the_arithmetic_of_a_pair_is_what_torch_counts(tmp_path: Path, choice: dict[str, object]) -> None:
    vit = write_tiny_vit(tmp_path / "vit")
    model = SparkModel(SparkOptions(weights=f"hf:{vit}", image_size=112, depth=None, mask_ratio=0.75, **choice))
    now, later = torch.randn(2, PAIRS, 3, 112, 112)
    targets = {"target_now": now, "target_later": later} if model.options.clean_targets else {}
    # The fused attention of the CPU is not in torch's count.
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        model(now, later, **targets).total.backward()
    assert flops_per_pair(model) == pytest.approx(counter.get_total_flops() / PAIRS, rel=0.01)


def test_a_processor_does_more_than_a_billion_operations_per_second() -> None:
    assert measure_peak("cpu", torch.float32) > 1e9

"""An exported encoder computes what the trained one does, though it computes it differently."""

import numpy as np
import onnxruntime
import torch

from spark_ros.bundle.graphs import export_encoder
from spark_ros.encoders.base import normalise_images
from spark_ros.encoders.registry import build_encoder


def test_factors_that_move_into_other_matrices_change_no_token(tmp_path):
    encoder = build_encoder({"name": "frozen", "weights": "random:0", "image_size": 28, "block": 3})
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():  # an untrained encoder's norms have factors of one, shifts and biases of nought
        for parameter in (p for name, p in encoder.named_parameters() if "norm" in name or name.endswith("bias")):
            parameter.add_(0.5 * torch.randn(parameter.shape, generator=generator))
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    export_encoder(encoder, tmp_path / "encoder.onnx")
    assert all(torch.equal(value, before[name]) for name, value in encoder.state_dict().items()), "it is not touched"
    images = np.random.default_rng(0).integers(0, 256, (3, 28, 28, 3), np.uint8)
    with torch.no_grad():
        expected = encoder(normalise_images(torch.from_numpy(images))).numpy()
    session = onnxruntime.InferenceSession(str(tmp_path / "encoder.onnx"))
    (found,) = session.run(["tokens"], {"images": images})
    np.testing.assert_allclose(found, expected, atol=2e-5 * np.abs(expected).max())

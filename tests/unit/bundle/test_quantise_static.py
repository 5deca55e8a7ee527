"""Static int8: matrices of weights become 8-bit with scales from images, products of activations do not."""

from math import erf

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from spark_ros.bundle.gelu import with_polynomial_gelu
from spark_ros.bundle.quantise_static import quantise_static

SIZE, TOKENS, CHANNELS = 8, 4, 48


@pytest.fixture
def graph(tmp_path):
    """Two linear layers, named by module, and a product of two activations as in attention."""
    rng = np.random.default_rng(0)
    nodes = [
        helper.make_node("Cast", ["images"], ["float"], to=TensorProto.FLOAT, name="/Cast_0"),
        helper.make_node("Mul", ["float", "scale"], ["scaled"], name="/Mul_1"),
        helper.make_node("Reshape", ["scaled", "shape"], ["x"], name="/Reshape_2"),
        helper.make_node("MatMul", ["x", "first"], ["a"], name="encoder.blocks.0.fc/MatMul_3"),
        helper.make_node("Relu", ["a"], ["b"], name="encoder.blocks.0/Relu_4"),
        helper.make_node("MatMul", ["b", "second"], ["c"], name="encoder.blocks.1.fc/MatMul_5"),
        helper.make_node("Transpose", ["c"], ["d"], perm=[0, 2, 1], name="encoder.blocks.1/Transpose_6"),
        helper.make_node("MatMul", ["c", "d"], ["e"], name="encoder.blocks.1.attn/MatMul_7"),
        helper.make_node("MatMul", ["e", "c"], ["tokens"], name="encoder.blocks.1.attn/MatMul_8"),
    ]
    weights = {
        "scale": np.float32(1 / 255),
        "shape": np.array([-1, TOKENS, CHANNELS], np.int64),
        "first": (rng.standard_normal((CHANNELS, CHANNELS)) / 7).astype(np.float32),
        "second": (rng.standard_normal((CHANNELS, CHANNELS)) / 7).astype(np.float32),
    }
    made = helper.make_graph(
        nodes,
        "encoder",
        [helper.make_tensor_value_info("images", TensorProto.UINT8, ["batch", SIZE, SIZE, 3])],
        [helper.make_tensor_value_info("tokens", TensorProto.FLOAT, ["batch", TOKENS, CHANNELS])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in weights.items()],
    )
    path = tmp_path / "float.onnx"
    onnx.save(helper.make_model(made, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), str(path))
    return path


def run(path, images):
    return onnxruntime.InferenceSession(str(path)).run(["tokens"], {"images": images})[0]


def test_only_matrices_of_weights_are_quantised_and_tokens_stay_close(graph, tmp_path):
    images = np.random.default_rng(1).integers(0, 256, (6, SIZE, SIZE, 3), np.uint8)
    target = tmp_path / "int8.onnx"
    quantise_static(graph, target, [], images)
    made = onnx.load(str(target)).graph
    stored = {entry.name: entry.data_type for entry in made.initializer}
    for matrix in ("first", "second"):
        assert TensorProto.INT8 in {kind for name, kind in stored.items() if name.startswith(matrix)}
    rounded = {node.input[0] for node in made.node if node.op_type == "QuantizeLinear"}
    assert rounded == {"scaled", "b"}, "only what goes into matrices of weights, and before it is reshaped"
    zeros = {node.input[2] for node in made.node if node.op_type == "QuantizeLinear"}
    for zero in (numpy_helper.to_array(entry) for entry in made.initializer if entry.name in zeros):
        assert zero.dtype == np.int8 and not zero.any(), "TensorRT knows no zero points, OpenVINO is slow with them"
    exact, coarse = run(graph, images[:1]), run(target, images[:1])
    cosine = (exact * coarse).sum() / np.linalg.norm(exact) / np.linalg.norm(coarse)
    assert 0.995 < cosine < 1.0


def test_the_polynomial_gelu_is_off_by_less_than_8_bits_resolve(tmp_path):
    made = helper.make_graph(
        [helper.make_node("Gelu", ["x"], ["y"], approximate="none")],
        "gelu",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None])],
    )
    model = with_polynomial_gelu(helper.make_model(made, opset_imports=[helper.make_opsetid("", 20)], ir_version=10))
    assert "Gelu" not in {node.op_type for node in model.graph.node}
    x = np.linspace(-20, 20, 40_001, dtype=np.float32)
    (found,) = onnxruntime.InferenceSession(model.SerializeToString()).run(["y"], {"x": x})
    exact = x * 0.5 * (1 + np.array([erf(value) for value in x / np.sqrt(2)]))
    assert np.abs(found - exact).max() < 0.0036
    assert found[-1] == 20 and found[0] == 0

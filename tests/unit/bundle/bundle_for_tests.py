"""A bundle of hand-written graphs, made in milliseconds: for everything that needs some bundle and no torch."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from spark_ros.bundle.golden import Golden, write_golden
from spark_ros.bundle.manifest import MANIFEST_FILE, Manifest
from spark_ros.bundle.units import action_units, proprioception_units
from spark_ros.contracts import ActionKind, JointState
from spark_ros.data.codec import ActionCodec, Proprioception
from spark_ros.data.file_hash import file_sha256
from spark_ros.robots.kinematics import Kinematics
from spark_ros.robots.spec import load_robot

CAMERAS = ("front", "wrist")
SIZE, TOKENS, CHANNELS, HORIZON = 8, 4, 48, 5


def write_bundle(folder: Path, kind: ActionKind = ActionKind.EE_POSE, name: str = "tiny") -> Path:
    """A complete, valid bundle for the FR3: the image's quarters as tokens, small random motions as actions."""
    folder.mkdir(parents=True)
    robot = load_robot("fr3")
    kinematics = Kinematics(robot)
    proprioception = Proprioception(kinematics, robot.gripper)
    codec = ActionCodec(kind, HORIZON, 0.1, kinematics)
    write_encoder(folder / "encoder.onnx")
    write_policy(folder / "policy.onnx", len(proprioception.names), len(codec.names))

    names = (*robot.joint_names, *robot.gripper.joint_names)
    position = np.stack([np.concatenate([robot.home + 0.1 * i, [0.02, 0.02]]) for i in range(2)])
    states = [JointState(names, row, np.zeros(len(names)), 0) for row in position]
    rng = np.random.default_rng(0)
    images = {camera: rng.integers(0, 256, (2, SIZE, SIZE, 3), np.uint8) for camera in CAMERAS}
    encoder, policy = (onnxruntime.InferenceSession(str(folder / file)) for file in ("encoder.onnx", "policy.onnx"))
    tokens = {camera: encoder.run(None, {"images": rows})[0] for camera, rows in images.items()}
    felt = np.stack([proprioception.encode(state) for state in states])
    inputs = [
        {f"tokens_{camera}": tokens[camera][i][None] for camera in CAMERAS} | {"proprioception": felt[i][None]}
        for i in range(2)
    ]
    actions = np.concatenate([policy.run(None, given)[0] for given in inputs])
    chunks = [codec.decode(action, state, 0) for action, state in zip(actions, states, strict=True)]
    values, widths = np.stack([c.values for c in chunks]), np.stack([c.gripper_width for c in chunks])
    write_golden(folder / "golden.npz", Golden(images, tokens, names, position, felt, actions, values, widths))
    (folder / "parity.json").write_text("{}\n")
    (folder / "statistics.json").write_text(json.dumps({"action": {}}) + "\n")
    (folder / "NOTICE.txt").write_text("No rights reserved.\n")
    units = action_units(kind, codec.names, robot.joint_names)
    manifest = {
        "version": 2,
        "id": "",
        "name": name,
        "created": "2026-01-01T00:00:00+00:00",
        "source_commit": "unknown",
        "task": "lift the cube",
        "robot": "fr3",
        "joint_names": robot.joint_names,
        "cameras": {camera: camera_entry() for camera in CAMERAS},
        "encoder": {
            "file": "encoder.onnx",
            "precision": "fp32",
            "num_tokens": TOKENS,
            "token_dim": CHANNELS,
            "recipe": {},
        },
        "policy": {"file": "policy.onnx", "recipe": {}},
        "action": {"kind": kind.value, "horizon": HORIZON, "dt_s": 0.1, "names": codec.names, "units": units},
        "rate_hz": 10.0,
        "proprioception": proprioception.names,
        "proprioception_units": proprioception_units(proprioception.names, robot.joint_names),
        "golden": {
            "file": "golden.npz",
            "min_token_cosine": 0.9999,
            "max_action_error": (1e-4,) * len(codec.names),
            "max_mean_action_error": (1e-3,) * len(codec.names),
        },
        "parity": "parity.json",
        "statistics": "statistics.json",
        "licences": "NOTICE.txt",
    }
    seal(folder, manifest)
    return folder


def camera_entry() -> dict:
    """What the manifest says of each camera."""
    return {"size": SIZE, "crop": "center", "colour": "rgb", "mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}


def seal(folder: Path, manifest: dict) -> None:
    """Write bundle.yaml with the hashes and the id that belong to what lies in the folder now."""
    files = {p.name: file_sha256(p) for p in sorted(folder.iterdir()) if p.name != MANIFEST_FILE}
    valid = Manifest.model_validate({**manifest, "files": files})
    valid = valid.model_copy(update={"id": valid.content_id()})
    (folder / MANIFEST_FILE).write_text(valid.to_yaml())


def write_encoder(path: Path, scale: float = 1 / 255) -> None:
    """(B, 8, 8, 3) uint8 to (B, 4, 48): rows two by two."""
    nodes = [
        helper.make_node("Cast", ["images"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["float", "scale"], ["scaled"]),
        helper.make_node("Reshape", ["scaled", "shape"], ["tokens"]),
    ]
    constants = {"scale": np.float32(scale), "shape": np.array([-1, TOKENS, CHANNELS], np.int64)}
    images = helper.make_tensor_value_info("images", TensorProto.UINT8, ["batch", SIZE, SIZE, 3])
    tokens = helper.make_tensor_value_info("tokens", TensorProto.FLOAT, ["batch", TOKENS, CHANNELS])
    _save(path, nodes, [images], [tokens], constants)


def write_policy(path: Path, proprioception: int, actions: int, scale: float = 0.01) -> None:
    """Actions linear in the mean token of each camera and in proprioception."""
    rng = np.random.default_rng(7)
    inputs = [*(f"tokens_{camera}" for camera in CAMERAS)]
    nodes = [helper.make_node("ReduceMean", [n, "axis"], [f"{n}_mean"], keepdims=0) for n in inputs]
    nodes += [
        helper.make_node("Concat", [*(f"{n}_mean" for n in inputs), "proprioception"], ["joined"], axis=1),
        helper.make_node("MatMul", ["joined", "weight"], ["flat"]),
        helper.make_node("Reshape", ["flat", "shape"], ["actions"]),
    ]
    width = len(CAMERAS) * CHANNELS + proprioception
    constants = {
        "axis": np.array([1], np.int64),
        "weight": (scale * rng.standard_normal((width, HORIZON * actions))).astype(np.float32),
        "shape": np.array([1, HORIZON, actions], np.int64),
    }
    tokens = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [1, TOKENS, CHANNELS]) for n in inputs]
    felt = helper.make_tensor_value_info("proprioception", TensorProto.FLOAT, [1, proprioception])
    out = helper.make_tensor_value_info("actions", TensorProto.FLOAT, [1, HORIZON, actions])
    _save(path, nodes, [*tokens, felt], [out], constants)


def _save(path: Path, nodes: list, inputs: list, outputs: list, constants: dict) -> None:
    initializers = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, path.stem, inputs, outputs, initializers)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), str(path))

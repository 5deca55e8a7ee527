import subprocess
import sys
from pathlib import Path

import spark_ros

# Rooms that run on a robot PC, where torch is not installed; nodes only where rclpy is.
ROOMS = ("runtime", "control", "robots")
MODULES = ("spark_ros.bundle.load", "spark_ros.bundle.manifest", "spark_ros.data.align", "spark_ros.data.codec")


def robot_modules():
    package = Path(spark_ros.__file__).parent
    files = [file for room in ROOMS for file in sorted((package / room).glob("*.py")) if file.stem != "__init__"]
    return [*MODULES, *(f"spark_ros.{file.parent.name}.{file.stem}" for file in files)]


def test_what_runs_on_the_robot_imports_and_acts_with_torch_blocked(pristine_bundle):
    code = f"""
import sys
for name in ("torch", "onnx", "safetensors"):
    sys.modules[name] = None
import importlib
for module in {robot_modules()!r}:
    importlib.import_module(module)
import numpy as np
from spark_ros.bundle.load import load_bundle
from spark_ros.contracts import Frame, JointState
from spark_ros.runtime.encoder_runtime import EncoderRuntime
from spark_ros.runtime.policy_runtime import PolicyRuntime
bundle = load_bundle({str(pristine_bundle)!r})
encoder, policy = EncoderRuntime(bundle), PolicyRuntime(bundle)
names = (*bundle.robot.joint_names, *bundle.robot.gripper.joint_names)
joints = JointState(names, np.concatenate([bundle.robot.home, [0.03, 0.03]]), np.zeros(9), 0)
frame = np.zeros((32, 32, 3), np.uint8)
print(policy.act({{c: encoder.encode(Frame(c, frame, 5)) for c in bundle.manifest.cameras}}, joints).stamp_ns)
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip() == "5"

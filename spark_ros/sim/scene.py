"""Everything around the arm that is not part of the task: room, table, light and cameras, with all its numbers.

A visual shift (another light, table, camera pose) is another `SceneParameters`, nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from spark_ros.contracts import FloatArray
from spark_ros.sim import textures
from spark_ros.sim.arms.base import ArmModel
from spark_ros.sim.engine import mujoco

Vector = tuple[float, float, float]


@dataclass(frozen=True)
class CameraParameters:
    """A camera that looks from one point at another.

    Attributes:
        position: m, in the base frame, or in the tool frame (origin at the tool centre point) if `on_hand`.
        target: The point in the middle of the image, in the same frame.
        up: Direction that points upwards in the image, in the same frame.
        fovy_deg: Vertical field of view.
        on_hand: Whether the camera moves with the hand.
    """

    position: Vector
    target: Vector
    up: Vector = (0.0, 0.0, 1.0)
    fovy_deg: float = 45.0
    on_hand: bool = False


def _default_cameras() -> dict[str, CameraParameters]:
    return {
        "front": CameraParameters(position=(1.05, 0.0, 0.50), target=(0.45, 0.0, 0.085), fovy_deg=38.0),
        # Where a bracket holds a RealSense on the hand: in front of it, looking down past the finger tips.
        "wrist": CameraParameters(
            position=(0.075, 0.0, -0.115), target=(0.062, 0.0, 0.0), up=(1.0, 0.0, 0.0), fovy_deg=80.0, on_hand=True
        ),
        # For people: all of the arm.
        "overview": CameraParameters(position=(1.35, -1.05, 0.75), target=(0.28, 0.0, 0.25), fovy_deg=40.0),
    }


@dataclass(frozen=True)
class SceneParameters:
    """The look of the world; colours are red, green, blue in 0..1, lengths in m in the base frame.

    The table top is the plane z = 0, on which the arm stands.

    Attributes:
        table_lower: Corner of the table top, x and y.
        table_upper: Opposite corner.
        table_thickness: Of the top.
        table_height: Of the top above the floor.
        table_light: Colour of the wood.
        table_dark: Colour of the wood's grain.
        table_seed: Chooses the boards.
        floor: Colour of the floor.
        wall: Colour of the background.
        light_position: Where the main light comes from.
        light_diffuse: Strength of the main light.
        light_ambient: Strength of the light from everywhere.
        fill_diffuse: Strength of a second light from the other side.
        cameras: By name.
    """

    table_lower: tuple[float, float] = (-0.3, -0.6)
    table_upper: tuple[float, float] = (0.95, 0.6)
    table_thickness: float = 0.04
    table_height: float = 0.75
    table_light: Vector = (0.84, 0.73, 0.58)
    table_dark: Vector = (0.62, 0.47, 0.32)
    table_seed: int = 3
    floor: Vector = (0.50, 0.52, 0.55)
    wall: Vector = (0.80, 0.83, 0.86)
    light_position: Vector = (0.9, -0.9, 1.8)
    light_diffuse: float = 0.50
    light_ambient: float = 0.30
    fill_diffuse: float = 0.30
    cameras: dict[str, CameraParameters] = field(default_factory=_default_cameras)


def add_scene(arm: ArmModel, scene: SceneParameters) -> None:
    """Puts the room around the arm, in the arm's own model."""
    mjcf = arm.mjcf
    _add_table(mjcf, scene)
    _add_floor_and_wall(mjcf, scene)
    _add_lights(mjcf, scene)
    for name, camera in scene.cameras.items():
        _add_camera(arm, name, camera)


def look_at(position: FloatArray, target: FloatArray, up: FloatArray) -> FloatArray:
    """(3, 3) axes of a MuJoCo camera as columns: x to the right, y up, z backwards."""
    backward = position - target
    backward = backward / np.linalg.norm(backward)
    right = np.cross(up, backward)
    right = right / np.linalg.norm(right)
    return np.stack([right, np.cross(backward, right), backward], axis=1)


def _add_camera(arm: ArmModel, name: str, camera: CameraParameters) -> None:
    mjcf = arm.mjcf
    position, target = np.array(camera.position), np.array(camera.target)
    axes = look_at(position, target, np.array(camera.up))
    parent = mjcf.worldbody
    if camera.on_hand:
        parent = mjcf.body(arm.hand_body)
        position = position + np.array(arm.tcp_in_hand)
    quaternion = np.empty(4)
    mujoco.mju_mat2Quat(quaternion, axes.flatten())
    parent.add_camera(name=name, pos=position, quat=quaternion, fovy=camera.fovy_deg)


def _add_table(mjcf: mujoco.MjSpec, scene: SceneParameters) -> None:
    image = textures.wood(512, scene.table_light, scene.table_dark, scene.table_seed)
    texture = mjcf.add_texture(name="wood", type=mujoco.mjtTexture.mjTEXTURE_2D, width=512, height=512, nchannel=3)
    texture.data = image.tobytes()
    material = mjcf.add_material(name="wood", specular=0.15, shininess=0.2)
    material.textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = "wood"
    lower, upper = np.array(scene.table_lower), np.array(scene.table_upper)
    middle, half = (lower + upper) / 2, (upper - lower) / 2
    thickness, leg_half = scene.table_thickness, (scene.table_height - scene.table_thickness) / 2
    world = mjcf.worldbody
    world.add_geom(
        name="table",
        type=mujoco.mjtGeom.mjGEOM_BOX,
        pos=[*middle, -thickness / 2],
        size=[*half, thickness / 2],
        material="wood",
        friction=[0.8, 0.01, 0.001],
    )
    for x in (lower[0] + 0.06, upper[0] - 0.06):
        for y in (lower[1] + 0.06, upper[1] - 0.06):
            world.add_geom(
                type=mujoco.mjtGeom.mjGEOM_BOX,
                pos=[x, y, -thickness - leg_half],
                size=[0.025, 0.025, leg_half],
                rgba=[0.25, 0.25, 0.27, 1.0],
                contype=0,
                conaffinity=0,
            )


def _add_floor_and_wall(mjcf: mujoco.MjSpec, scene: SceneParameters) -> None:
    floor = np.array(scene.floor)
    mjcf.add_texture(
        name="floor",
        type=mujoco.mjtTexture.mjTEXTURE_2D,
        builtin=mujoco.mjtBuiltin.mjBUILTIN_CHECKER,
        rgb1=floor,
        rgb2=floor * 0.93,
        width=256,
        height=256,
    )
    material = mjcf.add_material(name="floor", texrepeat=[1.6, 1.6], texuniform=True, specular=0.1)
    material.textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = "floor"
    mjcf.worldbody.add_geom(
        name="floor",
        type=mujoco.mjtGeom.mjGEOM_PLANE,
        pos=[0.0, 0.0, -scene.table_height],
        size=[0.0, 0.0, 0.05],
        material="floor",
    )
    mjcf.add_texture(
        name="sky",
        type=mujoco.mjtTexture.mjTEXTURE_SKYBOX,
        builtin=mujoco.mjtBuiltin.mjBUILTIN_GRADIENT,
        rgb1=np.array(scene.wall),
        rgb2=np.array(scene.wall) * 0.75,
        width=128,
        height=128,
    )
    mjcf.visual.rgba.haze = [*scene.wall, 1.0]  # where the endless floor meets the sky


def _add_lights(mjcf: mujoco.MjSpec, scene: SceneParameters) -> None:
    aim = np.array([0.45, 0.0, 0.0])
    main = np.array(scene.light_position)
    fill = main * np.array([0.3, -1.0, 0.8])
    for position, strength, specular in ((main, scene.light_diffuse, 0.3), (fill, scene.fill_diffuse, 0.0)):
        mjcf.worldbody.add_light(
            type=mujoco.mjtLightType.mjLIGHT_DIRECTIONAL,
            pos=position,
            dir=aim - position,
            diffuse=[strength] * 3,
            specular=[specular] * 3,
            ambient=[0.0] * 3,
        )
    headlight = mjcf.visual.headlight
    headlight.ambient = [scene.light_ambient] * 3
    headlight.diffuse = [0.15] * 3
    headlight.specular = [0.0] * 3

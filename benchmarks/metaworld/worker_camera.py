"""The camera of the MetaWorld suite. Runs in MetaWorld's own environment: MuJoCo and NumPy alone.

The view is ours: from the robot's left-hand side of the table (MetaWorld's +x), 45 degrees down, close enough that a
knob or a cube is a patch and not a pixel, and the same for all tasks. MetaWorld's named cameras do not serve: `corner`
and `corner2` are upside-down and far away, `topview` and `behindGripper` have the arm in front of what it handles.
Neither goal markers nor shadows nor reflections are drawn: the markers tell what a camera cannot see, the other two
triple what a picture costs without a graphics card.
"""

from __future__ import annotations

from typing import Any

import mujoco
import numpy as np

LOOK_AT_M = (0.03, 0.64, 0.10)  # the middle of what the five tasks use, in MetaWorld's world frame
DISTANCE_M = 1.0
AZIMUTH_DEG = 165.0
ELEVATION_DEG = -42.0
_HIDDEN_GROUP = 5  # MuJoCo draws the groups 0 to 2


class Camera:
    """Takes pictures of any state of one model."""

    def __init__(self, model: Any, size: int) -> None:
        """Opens the graphics; pictures are ``size`` x ``size``."""
        model.vis.quality.shadowsize = model.vis.quality.offsamples = 0  # read when the context is made
        model.vis.global_.offwidth = model.vis.global_.offheight = size
        self._model, self._size = model, size
        self._gl = mujoco.GLContext(size, size)
        self._gl.make_current()
        self._context = mujoco.MjrContext(model, mujoco.mjtFontScale.mjFONTSCALE_100.value)
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN.value, self._context)
        self._scene = mujoco.MjvScene(model, maxgeom=1000)
        for flag in (mujoco.mjtRndFlag.mjRND_SHADOW, mujoco.mjtRndFlag.mjRND_REFLECTION):
            self._scene.flags[flag] = 0
        self._option, self._perturbation = mujoco.MjvOption(), mujoco.MjvPerturb()
        self._option.sitegroup[:] = 0
        self._camera = mujoco.MjvCamera()
        self._camera.type = mujoco.mjtCamera.mjCAMERA_FREE
        self._camera.lookat[:] = LOOK_AT_M
        self._camera.distance, self._camera.azimuth, self._camera.elevation = DISTANCE_M, AZIMUTH_DEG, ELEVATION_DEG
        self._groups = model.geom_group.copy()
        self._eye, self._planes = _frustum(float(model.vis.global_.fovy))

    def picture(self, data: Any) -> np.ndarray:
        """(size, size, 3) uint8 of a state whose positions are up to date."""
        self._model.geom_group[:] = np.where(self._may_be_seen(data), self._groups, _HIDDEN_GROUP)
        mujoco.mjv_updateScene(
            self._model,
            data,
            self._option,
            self._perturbation,
            self._camera,
            mujoco.mjtCatBit.mjCAT_ALL.value,
            self._scene,
        )
        rectangle = mujoco.MjrRect(0, 0, self._size, self._size)
        mujoco.mjr_render(rectangle, self._scene, self._context)
        image = np.empty((self._size, self._size, 3), np.uint8)
        mujoco.mjr_readPixels(image, None, rectangle, self._context)
        return image[::-1]

    def close(self) -> None:
        """Ends the graphics."""
        self._context.free()
        self._gl.free()

    def _may_be_seen(self, data: Any) -> np.ndarray:
        """MuJoCo draws what lies outside of the picture too, which is most of the Sawyer's 60000 triangles."""
        radius = self._model.geom_rbound
        inside = ((data.geom_xpos - self._eye) @ self._planes.T >= -radius[:, None]).all(axis=1)
        return inside | (radius == 0.0)  # a plane has no end


def _frustum(fovy_deg: float) -> tuple[np.ndarray, np.ndarray]:
    """The eye (3,) in m, and (5, 3) inward unit normals of the planes through it that bound the picture."""
    azimuth, elevation, half = np.radians([AZIMUTH_DEG, ELEVATION_DEG, fovy_deg / 2.0])
    forward = np.array([np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth), np.sin(elevation)])
    right = np.array([np.sin(azimuth), -np.cos(azimuth), 0.0])
    up = np.cross(right, forward)
    sides = [np.sin(half) * forward + sign * np.cos(half) * axis for axis in (right, up) for sign in (-1.0, 1.0)]
    return np.array(LOOK_AT_M) - DISTANCE_M * forward, np.stack([forward, *sides])

"""Draws a world's snapshots, off screen, with MuJoCo's OpenGL renderer.

MuJoCo's own `Renderer` fixes the graphics backend when `mujoco` is first imported and fails there without one; this
one opens it on the first picture, so that everything but pictures works on a machine without graphics libraries.
"""

from __future__ import annotations

import atexit
import copy
import os
import threading
import weakref
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from spark_ros.contracts import FloatArray, ImageArray, SparkError
from spark_ros.sim.engine import mujoco
from spark_ros.sim.look import Look

OVERSAMPLING = 2  # pixels are the mean of 2 x 2: at 128 pixels a cube 60 cm away is otherwise a flickering handful
SHADOW_SIZE = 2048  # pixels of the shadow map, where shadows are wanted

NO_GRAPHICS = (
    "cannot open off-screen graphics ({reason}): on Debian or Ubuntu run `apt-get install -y {packages}`, elsewhere "
    "install the EGL library of your graphics driver"
)


@dataclass(frozen=True)
class Snapshot:
    """All that a picture of the world depends on, copied.

    Attributes:
        qpos: (nq,) MuJoCo's generalised positions.
        time_s: Simulated time since the reset.
        look: How the episode differs from the model that the renderer was made with; None if it does not.
    """

    qpos: FloatArray
    time_s: float
    look: Look | None = None


class Renderer:
    """Pictures of one world, all drawn in one thread: the one that asks for the first."""

    def __init__(self, model: mujoco.MjModel, image_size: int, shadows: bool = False) -> None:
        """Opens nothing yet.

        Args:
            model: Of the world whose snapshots to draw, from any of its cameras; the world may be stepped meanwhile.
            image_size: Height and width in pixels.
            shadows: For people's eyes; five times slower without a GPU, and not what policies are trained on.
        """
        self._size = image_size
        self._cameras = {model.camera(i).name: i for i in range(model.ncam)}
        # These are read when the context is made, and each renderer has its own.
        self._model = copy.copy(model)
        self._model.vis.quality.shadowsize = SHADOW_SIZE if shadows else 0
        self._model.vis.quality.offsamples = 0  # multisampling costs ten times the picture without a GPU
        self._model.vis.global_.offwidth = self._model.vis.global_.offheight = OVERSAMPLING * self._size
        self._rect = mujoco.MjrRect(0, 0, OVERSAMPLING * self._size, OVERSAMPLING * self._size)
        self._thread: int | None = None
        self._gl: Any = None
        self._look: Look | None = None

    def render(self, snapshot: Snapshot, camera: str) -> ImageArray:
        """(H, W, 3) RGB.

        Raises:
            SparkError: There is no such camera, no graphics library, or another thread than before asks.
        """
        if camera not in self._cameras:
            raise SparkError(f"unknown camera '{camera}': this world has {', '.join(self._cameras)}")
        self._open()
        self._put_on(snapshot.look)
        model, data = self._model, self._data
        data.qpos[:] = snapshot.qpos
        mujoco.mj_kinematics(model, data)
        mujoco.mj_comPos(model, data)
        mujoco.mj_camlight(model, data)
        self._view.fixedcamid = self._cameras[camera]
        mujoco.mjv_updateScene(model, data, self._option, None, self._view, mujoco.mjtCatBit.mjCAT_ALL, self._scene)
        self._gl.make_current()
        mujoco.mjr_render(self._rect, self._scene, self._context)
        pixels = np.empty((self._rect.height, self._rect.width, 3), np.uint8)
        mujoco.mjr_readPixels(pixels, None, self._rect, self._context)
        size = (self._size, self._size)
        # OpenGL counts rows from the bottom.
        image = np.asarray(cv2.resize(pixels[::-1], size, interpolation=cv2.INTER_AREA), np.uint8)
        if snapshot.look is not None and snapshot.look.lens is not None:
            image = snapshot.look.lens.expose(image, snapshot.time_s, self._cameras[camera])
        return image

    def close(self) -> None:
        """Frees the graphics; only from the thread that rendered. Harmless if nothing was ever drawn."""
        if self._gl is None:
            return
        self._gl.make_current()
        self._context.free()
        self._gl.free()
        self._gl = None
        atexit.unregister(self._at_exit)

    def __enter__(self) -> Renderer:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _put_on(self, look: Look | None) -> None:
        if look is None or look is self._look:
            return
        self._gl.make_current()
        for texture in look.apply(self._model):
            mujoco.mjr_uploadTexture(self._model, self._context, texture)
        self._look = look

    def _open(self) -> None:
        if self._thread not in (None, threading.get_ident()):
            raise SparkError("a renderer was used by two threads: make one Renderer in each thread that draws")
        if self._gl is not None:
            return
        gl = _open_graphics(self._rect.width, self._rect.height)
        self._thread = threading.get_ident()
        gl.make_current()
        self._data = mujoco.MjData(self._model)
        self._scene = mujoco.MjvScene(self._model, maxgeom=1000)
        self._option = mujoco.MjvOption()
        self._view = mujoco.MjvCamera()
        self._view.type = mujoco.mjtCamera.mjCAMERA_FIXED
        self._context = mujoco.MjrContext(self._model, mujoco.mjtFontScale.mjFONTSCALE_100)
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN, self._context)
        self._gl = gl  # last: only what has been opened whole is closed, should Ctrl-C come meanwhile
        # A context that is still open when the EGL display goes down at exit complains on stderr.
        self._at_exit = _closer(weakref.ref(self))
        atexit.register(self._at_exit)


def _closer(renderer: weakref.ref[Renderer]) -> Any:
    def close() -> None:
        alive = renderer()
        if alive is not None and alive._thread == threading.get_ident():
            alive.close()

    return close


def _open_graphics(width: int, height: int) -> Any:
    """An OpenGL context: EGL, or OSMesa where the environment variable MUJOCO_GL asks for it."""
    osmesa = os.environ.get("MUJOCO_GL", "").lower() == "osmesa"
    try:
        if osmesa:
            from mujoco.osmesa import GLContext
        else:
            from mujoco.egl import GLContext
        return GLContext(width, height)
    except (ImportError, AttributeError, OSError, RuntimeError) as error:
        # PyOpenGL reports a missing library as an AttributeError on None.
        missing = isinstance(error, AttributeError)
        library = "libOSMesa" if osmesa else "libEGL"
        reason = f"{library} was not found" if missing else str(error).split(". ")[0]
        packages = "libosmesa6" if osmesa else "libegl1 libegl-mesa0 libgl1-mesa-dri"
        raise SparkError(NO_GRAPHICS.format(reason=reason, packages=packages)) from error

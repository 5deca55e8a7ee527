"""MuJoCo, imported in a way that never fails for want of graphics.

`import mujoco` opens the graphics backend that the environment variable MUJOCO_GL names and dies with an AttributeError
where its library is missing, even if no picture is ever asked for. Here pictures are `render`'s business alone.
"""

from __future__ import annotations

import os

_backend = os.environ.get("MUJOCO_GL")
if _backend:
    os.environ["MUJOCO_GL"] = "disable"
try:
    import mujoco
finally:
    if _backend:
        os.environ["MUJOCO_GL"] = _backend

__all__ = ["mujoco"]

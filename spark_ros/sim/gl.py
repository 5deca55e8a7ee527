"""Chooses how MuJoCo draws without a display, before anything imports mujoco."""

from __future__ import annotations

import os

# mujoco reads the variable once, on import. EGL works on GPUs and, through Mesa, without one.
os.environ.setdefault("MUJOCO_GL", "egl")

APT_PACKAGES = "libegl1 libegl-mesa0 libgl1-mesa-dri"
"""What Debian and Ubuntu call the libraries that offscreen rendering needs."""

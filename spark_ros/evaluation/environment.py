"""On what an evaluation ran; figures without it mean little."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from pathlib import Path

_PACKAGES = ("spark_ros", "mujoco", "onnxruntime", "onnxruntime-gpu", "openvino", "torch", "numpy", "pin")
_ROS_PACKAGES = ("ros-jazzy-rclpy", "ros-jazzy-rmw-fastrtps-cpp", "ros-kilted-rclpy", "ros-kilted-rmw-fastrtps-cpp")


def describe_environment(ros: bool) -> dict[str, str]:
    """Machine and versions, by heading.

    Args:
        ros: Whether ROS took part.
    """
    described = {
        "machine": f"{cores()} cores of {_processor()}, {_memory_gib():.0f} GiB memory",
        "load": f"{os.getloadavg()[0]:.1f} processes running on average over the last minute",
        "system": f"{_distribution()}, Linux {platform.release()}, Python {platform.python_version()}",
        "packages": _versions(_PACKAGES),
    }
    if ros:
        from rclpy.utilities import get_rmw_implementation_identifier

        distribution = _versions(_ROS_PACKAGES) or f"ROS 2 {os.environ.get('ROS_DISTRO', 'of this machine')}"
        described["ROS"] = f"{distribution}, middleware {get_rmw_implementation_identifier()}"
    return described


def cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0))


def _versions(names: tuple[str, ...]) -> str:
    found = []
    for name in names:
        try:
            found.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            continue
    return ", ".join(found)


def _processor() -> str:
    for line in _lines("/proc/cpuinfo"):
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _memory_gib() -> float:
    for line in _lines("/proc/meminfo"):
        if line.startswith("MemTotal"):
            return int(line.split()[1]) / 2**20
    return 0.0


def _distribution() -> str:
    for line in _lines("/etc/os-release"):
        if line.startswith("PRETTY_NAME="):
            return line.partition("=")[2].strip().strip('"')
    return platform.system()


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text(encoding="utf-8").splitlines()
    except OSError:
        return []

"""What is known about an arm, read from its YAML file in `specs/`.

Adding an arm is adding a file there: nothing else in the package names an arm.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from spark_ros.contracts import FloatArray, SparkError
from spark_ros.robots.gripper import GripperSpec, gripper_from
from spark_ros.robots.shapes import CollisionShapes, shapes_from
from spark_ros.robots.vendor import VendorTopics, vendor_from


@dataclass(frozen=True)
class Origin:
    """A fixed transform as URDF writes it.

    Attributes:
        xyz: (3,) translation, m.
        rpy: (3,) roll, pitch, yaw about fixed axes, rad.
    """

    xyz: FloatArray
    rpy: FloatArray


@dataclass(frozen=True)
class VelocityTaper:
    """How an arm lowers its velocity limit near the position limits.

    ``velocity(q) <= -offset + sqrt(gain * (upper - q))`` and mirrored towards `lower`; every field is (J,).

    Attributes:
        offset: rad/s.
        gain: rad/s^2; half of it is the deceleration that just follows the curve.
        lower: rad.
        upper: rad.
    """

    offset: FloatArray
    gain: FloatArray
    lower: FloatArray
    upper: FloatArray

    def bounds(self, position: FloatArray) -> tuple[FloatArray, FloatArray]:
        """What the curve alone permits at this position (J,): lowest (<= 0) and highest (>= 0) velocity, rad/s."""
        up = np.sqrt(np.maximum(0.0, self.gain * (self.upper - position))) - self.offset
        down = np.sqrt(np.maximum(0.0, self.gain * (position - self.lower))) - self.offset
        return -np.maximum(down, 0.0), np.maximum(up, 0.0)


@dataclass(frozen=True)
class JointLimits:
    """What every command must stay within; every array is (J,), in the order of the robot's joints.

    Attributes:
        position_lower: rad.
        position_upper: rad.
        velocity: rad/s, for both directions.
        acceleration: rad/s^2, for both directions.
        jerk: rad/s^3, for both directions.
        taper: How the velocity limit falls near the position limits; None where it does not.
    """

    position_lower: FloatArray
    position_upper: FloatArray
    velocity: FloatArray
    acceleration: FloatArray
    jerk: FloatArray
    taper: VelocityTaper | None

    def velocity_bounds(self, position: FloatArray) -> tuple[FloatArray, FloatArray]:
        """The lowest (<= 0) and highest (>= 0) permitted velocity (J,), rad/s, at this position (J,)."""
        if self.taper is None:
            return -self.velocity, self.velocity
        lowest, highest = self.taper.bounds(position)
        return np.maximum(lowest, -self.velocity), np.minimum(highest, self.velocity)


@dataclass(frozen=True)
class Workspace:
    """An axis-aligned box in the base frame that the tool may be sent to; both corners are (3,) m."""

    lower: FloatArray
    upper: FloatArray

    def clamp(self, position: FloatArray) -> FloatArray:
        """The point (3,) of the box nearest to `position` (3,)."""
        return np.clip(position, self.lower, self.upper)


@dataclass(frozen=True)
class RobotSpec:
    """One arm with its gripper. J is the number of arm joints.

    Attributes:
        name: Registry name, e.g. ``fr3``.
        base_frame: Frame that every pose of this robot is given in.
        ee_frame: Frame of the tool centre point.
        joint_names: (J) arm joints from base to tool.
        joint_origins: (J) frame of each joint in the one before it at zero; each turns about its own z axis.
        tool: `ee_frame` in the frame of the last joint.
        limits: What every command stays within.
        home: (J,) rad, a comfortable posture; redundant arms are pulled towards it.
        workspace: Where the tool may be sent.
        ee_max_linear_speed: Cap for commanded tool motion, m/s.
        ee_max_angular_speed: Cap for commanded tool motion, rad/s.
        ee_max_linear_acceleration: How fast the tool may be asked to change speed, m/s^2, for the joints to follow.
        ee_max_angular_acceleration: The same for rotation, rad/s^2.
        gripper: The gripper.
        vendor: The driver's topics.
        collision: The arm's shape and the table, None if unknown: then only the tool's walls keep it from things.
    """

    name: str
    base_frame: str
    ee_frame: str
    joint_names: tuple[str, ...]
    joint_origins: tuple[Origin, ...]
    tool: Origin
    limits: JointLimits
    home: FloatArray
    workspace: Workspace
    ee_max_linear_speed: float
    ee_max_angular_speed: float
    ee_max_linear_acceleration: float
    ee_max_angular_acceleration: float
    gripper: GripperSpec
    vendor: VendorTopics
    collision: CollisionShapes | None = None


def robot_names() -> tuple[str, ...]:
    """The arms that `load_robot` knows by name."""
    folder = resources.files("spark_ros.robots") / "specs"
    return tuple(sorted(entry.name.removesuffix(".yaml") for entry in folder.iterdir() if entry.name.endswith(".yaml")))


def load_robot(name_or_path: str | Path) -> RobotSpec:
    """The arm of this name, or the one described by a YAML file of your own.

    Args:
        name_or_path: One of `robot_names()`, or a path that ends in ``.yaml``.

    Raises:
        SparkError: There is no such arm, or its file is incomplete or contradicts itself.
    """
    text = str(name_or_path)
    if text.endswith(".yaml"):
        path = Path(text)
        if not path.is_file():
            raise SparkError(f"no robot description at {path}: give an existing .yaml file or one of {_known()}")
        content = path.read_text(encoding="utf-8")
    elif text in robot_names():
        content = (resources.files("spark_ros.robots") / "specs" / f"{text}.yaml").read_text(encoding="utf-8")
    else:
        raise SparkError(f"unknown robot '{text}': choose one of {_known()} or give the path of a .yaml description")
    try:
        return _parse(yaml.safe_load(content))
    except yaml.YAMLError as error:
        raise SparkError(f"robot description {text} is not readable YAML: {' '.join(str(error).split())}") from error
    except KeyError as error:
        raise SparkError(f"robot description {text} lacks the key {error}: compare it with specs/fr3.yaml") from error
    except (TypeError, ValueError, AttributeError) as error:
        raise SparkError(f"robot description {text} is malformed ({error}): compare it with specs/fr3.yaml") from error


def _known() -> str:
    return ", ".join(robot_names())


def _parse(doc: Mapping[str, Any]) -> RobotSpec:
    joints = doc["joints"]
    size = len(joints)
    return RobotSpec(
        name=str(doc["name"]),
        base_frame=str(doc["base_frame"]),
        ee_frame=str(doc["ee_frame"]),
        joint_names=tuple(str(joint["name"]) for joint in joints),
        joint_origins=tuple(_origin(joint) for joint in joints),
        tool=_origin(doc["tool"]),
        limits=_limits(doc["limits"], size),
        home=_vector(doc, "home", size),
        workspace=Workspace(_vector(doc["workspace"], "lower", 3), _vector(doc["workspace"], "upper", 3)),
        ee_max_linear_speed=float(doc["ee_max_linear_speed"]),
        ee_max_angular_speed=float(doc["ee_max_angular_speed"]),
        ee_max_linear_acceleration=float(doc["ee_max_linear_acceleration"]),
        ee_max_angular_acceleration=float(doc["ee_max_angular_acceleration"]),
        gripper=gripper_from(doc["gripper"]),
        vendor=vendor_from(doc["vendor"]),
        collision=shapes_from(doc.get("collision"), size),
    )


def _limits(doc: Mapping[str, Any], size: int) -> JointLimits:
    limits = JointLimits(
        position_lower=_vector(doc, "position_lower", size),
        position_upper=_vector(doc, "position_upper", size),
        velocity=_vector(doc, "velocity", size),
        acceleration=_vector(doc, "acceleration", size),
        jerk=_vector(doc, "jerk", size),
        taper=_taper(doc["taper"], size) if "taper" in doc else None,
    )
    if np.any(limits.position_lower >= limits.position_upper):
        raise ValueError("limits.position_lower is not below limits.position_upper")
    if min(limits.velocity.min(), limits.acceleration.min(), limits.jerk.min()) <= 0.0:
        raise ValueError("limits.velocity, acceleration and jerk must be positive")
    return limits


def _taper(doc: Mapping[str, Any], size: int) -> VelocityTaper:
    return VelocityTaper(*(_vector(doc, key, size) for key in ("offset", "gain", "lower", "upper")))


def _origin(doc: Mapping[str, Any]) -> Origin:
    return Origin(_vector(doc, "xyz", 3), _vector(doc, "rpy", 3))


def _vector(doc: Mapping[str, Any], key: str, size: int) -> FloatArray:
    vector = np.array(doc[key], dtype=np.float64)
    if vector.shape != (size,) or not np.all(np.isfinite(vector)):
        raise ValueError(f"'{key}' must be {size} finite numbers")
    vector.setflags(write=False)
    return vector

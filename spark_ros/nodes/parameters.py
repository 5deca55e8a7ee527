"""ROS parameters with a description each, whole numbers accepted for floats, and a warning about misspelt names."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from rcl_interfaces.msg import ParameterDescriptor
from rclpy.node import Node

from spark_ros.contracts import SparkError

Defaults = Mapping[str, tuple[Any, str]]  # name -> default, description


class Parameters:
    """The parameters of a node.

    Read at the time of use, so what `ros2 param set` changes counts from the next configuration, episode or reset on;
    config/<node>.yaml says for each which.

    Args:
        node: The node; its parameters are declared here.
        defaults: Default and description by name. A default of ``[]`` means a list of strings.
    """

    def __init__(self, node: Node, defaults: Defaults) -> None:
        self._node = node
        self._defaults = defaults
        for name, (default, description) in defaults.items():
            # Dynamic, because ROS refuses "100" for a float; the type is checked at the time of use instead.
            descriptor = ParameterDescriptor(description=description, dynamic_typing=True)
            node.declare_parameter(name, [""] if default == [] else default, descriptor)
        self._warn_of_misspelt_names()

    def __getitem__(self, name: str) -> Any:
        """The value now, of the default's type; a list without its empty strings, since ROS knows no empty list.

        Raises:
            SparkError: The value has another type.
        """
        default, description = self._defaults[name]
        value = self._node.get_parameter(name).value
        if isinstance(default, float) and isinstance(value, int) and not isinstance(value, bool):
            return float(value)
        if isinstance(default, list):
            if isinstance(value, list) and all(isinstance(entry, str) for entry in value):
                return [entry for entry in value if entry]
        elif type(value) is type(default):
            return value
        raise SparkError(
            f"parameter {name} of {self._node.get_name()} is {value!r}, "
            f"expected a value like {default!r} ({description})"
        )

    def _warn_of_misspelt_names(self) -> None:
        # A misspelt limit would leave the default in force without a word.
        known = set(self._node.get_parameters_by_prefix(""))
        for name in getattr(self._node, "_parameter_overrides", {}):
            if name not in known and not name.startswith("qos_overrides."):
                close = get_close_matches(name, known, n=1)
                hint = f"; did you mean {close[0]}?" if close else ""
                self._node.get_logger().warning(f"{self._node.get_name()} has no parameter '{name}'{hint}")

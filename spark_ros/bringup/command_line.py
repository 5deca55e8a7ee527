"""A process of the graph as ROS command-line arguments, the same under `ros2 launch` and the supervisor."""

from __future__ import annotations

import json

from spark_ros.bringup.graph import GraphNode


def ros_arguments(node: GraphNode) -> list[str]:
    """Everything after the executable.

    Later rules win: first the files of config/, then the graph's own choices, then the user's files. Each
    parameter names its node, because one process may hold several.
    """
    words = ["--ros-args"]
    for file in node.parameter_files:
        words += ["--params-file", str(file)]
    for owner, parameters in node.parameters.items():
        for name, value in parameters.items():
            # rcl parses the value as YAML; JSON is YAML that keeps a string of digits a string.
            words += ["-p", f"{owner}:{name}:={json.dumps(value)}"]
    for file in node.overrides:
        words += ["--params-file", str(file)]
    for source, target in node.remappings:
        words += ["-r", f"{source}:={target}"]
    return words

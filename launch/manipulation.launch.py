"""A bundle moves the arm: perception, policy and gateway.

    ros2 launch spark_ros manipulation.launch.py --show-args

Which nodes, parameters and arguments: spark_ros/bringup/graphs.py, which `spark-ros up` starts them from as well.
"""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction

from spark_ros.bringup.graphs import graph
from spark_ros.bringup.launch_actions import start


def generate_launch_description() -> LaunchDescription:
    """Every argument with its default and choices, then the nodes that follow from their values."""
    chosen = graph("manipulation")
    arguments = [
        DeclareLaunchArgument(
            a.name, default_value=a.default, description=a.description, choices=list(a.choices) or None
        )
        for a in chosen.arguments
    ]
    return LaunchDescription([*arguments, OpaqueFunction(function=start, args=[chosen])])

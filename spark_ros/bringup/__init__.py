"""Starting the ROS graph: one description of it, for `ros2 launch` and for machines without it."""

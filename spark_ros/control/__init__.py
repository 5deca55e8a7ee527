"""What decides how the arm moves: limits, watchdogs, chunk execution, teleoperation, modes; no ROS, no clocks."""

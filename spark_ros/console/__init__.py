"""The session console: what an operator sees and may do, without ROS; a page shows it, and so can a terminal."""

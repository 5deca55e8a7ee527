"""What runs on the robot: inference sessions over a bundle, without torch and without ROS."""

"""How good a policy is: in process or through ROS, counted with its uncertainty, shown in a report."""

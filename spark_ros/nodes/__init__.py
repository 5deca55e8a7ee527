"""ROS 2 nodes: parameters, QoS, message conversion, diagnostics; what decides anything lives in the rooms above."""

"""spark_ros: from a foundation vision model to a moving arm, over ROS 2."""

__version__ = "0.1.0"

# C types for tool_cap.py.
from spark_ros.robots.chain cimport Chain

cimport libc.math as math

# C types for way.py.
from spark_ros.control.joint_law cimport JointLaw
from spark_ros.control.ramps cimport Ramps

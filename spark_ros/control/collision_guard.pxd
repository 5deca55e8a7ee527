# C types for collision_guard.py.
from spark_ros.robots.clearance cimport Clearance

cdef double _moved(list levers, list before, list after, list further)

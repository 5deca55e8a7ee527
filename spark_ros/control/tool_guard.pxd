# C types for tool_guard.py.
from spark_ros.robots.chain cimport Chain


cdef class Walls:
    cdef double _x0, _y0, _z0, _x1, _y1, _z1

    cpdef double room(self, double x, double y, double z)
    cpdef Walls out_to(self, double x, double y, double z)


cdef bint _passes(Chain chain, Walls walls, list position, list velocity, double linear, double angular)

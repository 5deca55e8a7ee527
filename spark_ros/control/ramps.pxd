# C types for ramps.py.
cimport cython

from spark_ros.control.joint_law cimport Dynamics

cimport libc.math as math

cdef Py_ssize_t PARTS


cdef class Ramps:
    cdef readonly double duration
    cdef Py_ssize_t _size
    cdef double _q, _v, _a
    cdef double[::1] _start, _aims, _times, _jerks

    @cython.locals(joint=Py_ssize_t)
    cpdef plan(self, tuple state, list velocity, list dynamics)
    @cython.locals(part=Py_ssize_t)
    cdef double _plan_joint(self, Py_ssize_t joint, double v, double a, double aim, Dynamics limits)
    @cython.locals(joint=Py_ssize_t)
    cpdef tuple at(self, double time_s)
    @cython.locals(row=Py_ssize_t, joint=Py_ssize_t)
    cpdef list passed(self, Py_ssize_t parts)
    @cython.locals(part=Py_ssize_t)
    cdef void _look(self, Py_ssize_t joint, double time_s)

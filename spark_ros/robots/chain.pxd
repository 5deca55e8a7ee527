# C types for chain.py.
cimport cython

cimport libc.math as math

cdef Py_ssize_t FRAME


cdef class Chain:
    cdef readonly double x, y, z
    cdef Py_ssize_t _size
    cdef double[::1] _fixed
    cdef readonly double[::1] frames

    @cython.locals(joint=Py_ssize_t, at=Py_ssize_t, axis=Py_ssize_t)
    cpdef place(self, list q)
    @cython.locals(joint=Py_ssize_t, at=Py_ssize_t)
    cpdef (double, double, double, double, double, double) twist(self, list velocity)
    cpdef (double, double) speeds(self, list velocity)

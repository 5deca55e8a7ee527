# C types for clearance.py.
cimport cython

from spark_ros.robots.chain cimport Chain

cimport libc.math as math

cdef Py_ssize_t CAPSULE
cdef Py_ssize_t FRAME


cdef class Clearance:
    cdef Chain _chain
    cdef list _names
    cdef double _table_z
    cdef long[::1] _links, _pairs, _over_table
    cdef double[::1] _fixed, _p, _radii, _extents
    cdef object _levers

    cpdef double distance(self, list q)
    @cython.locals(index=Py_ssize_t, first=Py_ssize_t, second=Py_ssize_t, one=Py_ssize_t, other=Py_ssize_t, distance=double, nearest=double)
    cdef (double, Py_ssize_t, Py_ssize_t) _nearest(self, list q)
    @cython.locals(index=Py_ssize_t, frame=Py_ssize_t, point=Py_ssize_t, axis=Py_ssize_t, at=Py_ssize_t)
    cdef _place(self, list q)
    @cython.locals(at=Py_ssize_t)
    cdef double _over(self, Py_ssize_t index)
    cdef bint _are_near(self, Py_ssize_t one, Py_ssize_t other, double reach)
    cdef double _apart(self, Py_ssize_t one, Py_ssize_t other)

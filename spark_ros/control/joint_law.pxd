# C types for joint_law.py.

cimport libc.math as math

cdef double TAPER_AIM, TAPER_MARGIN, TAPER_SLACK, NONSENSE

cdef class Dynamics:
    cdef readonly double acceleration
    cdef readonly double jerk
    cdef double _half_ramp_s
    cdef double _per_speed

    cpdef (double, double) stop(self, double velocity, double acceleration)


cdef class JointLaw:
    cdef readonly double lower
    cdef readonly double upper
    cdef readonly double velocity
    cdef readonly Dynamics moving
    cdef readonly Dynamics stopping
    cdef readonly bint tapers
    cdef double _braking_twice
    cdef double _gain
    cdef double _knee
    cdef double _half_knee
    cdef double _free_lower
    cdef double _free_upper
    cdef double _taper_offset
    cdef double _taper_gain
    cdef double _taper_lower
    cdef double _taper_upper
    cdef double _inner_lower
    cdef double _inner_upper

    cpdef double approach(self, double position, double target, double target_velocity, double elapsed)
    cpdef double aim(self, double velocity, double position)
    cpdef bint surely_stops_inside(self, double position, double velocity, double acceleration)
    cpdef bint permits(self, double position, double velocity)
    cpdef bint must_go_on_stopping(self, double velocity, double acceleration)
    cdef (double, double) _tapered(self, double position)

"""A Franka arm on its Franka Control Interface (FCI), without a driver between: libfranka by the package `franky`.

`connection` reaches the robot and says in one sentence why it cannot; `arm` is the arm and `hand` the hand once they
are reached; `follower` turns joint setpoints into the velocities that the arm is told, within its `envelope`; `link` is
the arm's state as seen from here, with everything latched that a person must look at. Nothing here knows of ROS, and
`franky` is imported only when a robot is to be reached.
"""

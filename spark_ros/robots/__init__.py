"""What is known about each arm: names, limits, kinematics; an arm is one YAML file in `specs/`."""

from spark_ros.compiled import refuse_stale

refuse_stale()

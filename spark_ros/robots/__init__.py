"""What is known about each arm: names, limits, kinematics; an arm is one YAML file in `specs/`."""

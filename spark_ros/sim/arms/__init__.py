"""One file per simulated arm: its MuJoCo model, brought to the names of its `RobotSpec`."""

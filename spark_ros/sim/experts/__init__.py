"""One file per task: a scripted operator who solves it from any state."""

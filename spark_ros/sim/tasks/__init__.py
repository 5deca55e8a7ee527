"""One file per task: its objects, its random start and what counts as success."""

"""Commands in the words of the drivers: one file for each kind of command interface, found by `registry`."""

"""Bundles: everything a robot needs to run a policy, in one folder that says what it is and refuses to be mixed up."""

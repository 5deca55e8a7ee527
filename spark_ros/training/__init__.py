"""Turning recorded demonstrations into a trained policy (torch)."""

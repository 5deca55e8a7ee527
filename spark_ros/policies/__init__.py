"""Heads over state tokens and proprioception that predict action chunks (torch)."""

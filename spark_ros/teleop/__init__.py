"""Devices that an operator moves the arm with, one file each, and what they have in common. No ROS here."""

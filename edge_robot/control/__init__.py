"""Trajectory in, velocity out."""

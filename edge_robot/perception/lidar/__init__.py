"""Sweeps in, oriented boxes of what stands on the ground out."""

"""Trains, quantizes and measures our own detectors; the only place that imports PyTorch."""

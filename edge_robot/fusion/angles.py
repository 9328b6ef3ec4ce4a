"""Directions in the plane."""

from __future__ import annotations

import numpy as np

from edge_robot.fusion.kalman import Array


def wrapped(angle: Array) -> Array:
    """Return angles, (...) rad, within −π and π."""
    return np.asarray((angle + np.pi) % (2.0 * np.pi) - np.pi)

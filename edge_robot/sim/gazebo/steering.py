"""How people in Gazebo are kept where the crowd wants them: by velocities."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from edge_robot.sim.crowd import Crowd

Array = NDArray[np.float64]

_GAIN = 2.0  # 1/s, of place
_LARGEST_CORRECTION = 0.5  # m/s
_TURN_GAIN = 5.0  # 1/s, of heading
_FASTEST_TURN = 4.0  # rad/s


def steering(crowd: Crowd, place: Array) -> Array:
    """Return the velocity that takes everyone to where the crowd has them.

    Args:
        crowd: Where they shall be, and how fast they walk there.
        place: Where they are: x, y, m, and heading, rad, map frame, shape (n, 3).

    Returns:
        Forward and leftward velocity, m/s, and turning, rad/s, in the frame of each, shape (n, 3).
    """
    off = _GAIN * (crowd.position - place[:, :2])
    size = np.maximum(np.hypot(off[:, 0], off[:, 1]), _LARGEST_CORRECTION)
    velocity = crowd.velocity + off * (_LARGEST_CORRECTION / size)[:, None]
    cos, sin = np.cos(place[:, 2]), np.sin(place[:, 2])
    turn = (crowd.heading - place[:, 2] + math.pi) % (2 * math.pi) - math.pi
    return np.column_stack(
        [
            velocity[:, 0] * cos + velocity[:, 1] * sin,
            velocity[:, 1] * cos - velocity[:, 0] * sin,
            np.clip(_TURN_GAIN * turn, -_FASTEST_TURN, _FASTEST_TURN),
        ]
    )

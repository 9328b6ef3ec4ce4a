"""A flat lidar among discs: 270°, 720 beams, 10 m, as the challenge mounts it on the Jackal.

All beams of a scan look at the same instant, as in Gazebo; a real one turns meanwhile.
"""

from __future__ import annotations

from math import cos, sin

import numpy as np
from numpy.typing import NDArray

BEAMS = 720
ANGLES = np.linspace(-2.35619, 2.35619, BEAMS)
RANGE = 10.0
MOUNT_X = 0.055
"""Ahead of base_link, m: the front mount at 0.12 m, moved back by `JACKAL_LASER_OFFSET`."""

_BEAM = ANGLES[1] - ANGLES[0]


def cast(x: float, y: float, yaw: float, discs: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the distance along each beam to the nearest disc.

    Args:
        x: Of base_link, m.
        y: Of base_link, m.
        yaw: Of base_link, rad.
        discs: x, y, radius, (n, 3), m.

    Returns:
        (BEAMS,), m; infinite where there is none within `RANGE`.
    """
    dx = discs[:, 0] - (x + MOUNT_X * cos(yaw))
    dy = discs[:, 1] - (y + MOUNT_X * sin(yaw))
    away = np.hypot(dx, dy)
    near = (away < RANGE + discs[:, 2]) & (away > discs[:, 2])
    away, radius = away[near], discs[near, 2]
    bearing = np.arctan2(dy[near], dx[near]) - yaw
    bearing = (bearing + np.pi) % (2 * np.pi) - np.pi
    half = np.arcsin(radius / away)
    ranges = np.full(BEAMS, np.inf)
    # No disc that leaves the body alone is so near behind that both ends of the fan see it.
    first = np.maximum(np.ceil((bearing - half - ANGLES[0]) / _BEAM), 0).astype(np.int64)
    last = np.minimum(np.floor((bearing + half - ANGLES[0]) / _BEAM), BEAMS - 1).astype(np.int64)
    count = np.maximum(last - first + 1, 0)
    disc = np.repeat(np.arange(len(count)), count)
    beam = np.arange(count.sum()) + np.repeat(first - np.cumsum(count) + count, count)
    off = ANGLES[beam] - bearing[disc]
    aside = away[disc] * np.sin(off)
    depth = np.sqrt(np.maximum(radius[disc] ** 2 - aside**2, 0.0))
    np.minimum.at(ranges, beam, away[disc] * np.cos(off) - depth)
    ranges[ranges > RANGE] = np.inf
    return ranges

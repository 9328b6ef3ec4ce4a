"""What the robot senses, as planners take it in: each with the time of its capture."""

from __future__ import annotations

from dataclasses import astuple, dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Scan:
    """One scan of a flat lidar, looking along x of base_link.

    Attributes:
        time: Capture time, s.
        angles: Of the beams, increasing, (n,), rad.
        ranges: (n,), m; infinite where a beam met nothing, NaN where it tells nothing.
        mount_x: Of the lidar, ahead of base_link, m.
    """

    time: float
    angles: NDArray[np.float64]
    ranges: NDArray[np.float64]
    mount_x: float

    def fault(self) -> str:
        """Return why the scan cannot be used; empty if it can."""
        if not np.isfinite((self.time, self.mount_x)).all():
            return "scan: its time or mount is no number"
        if self.angles.ndim != 1 or self.angles.shape != self.ranges.shape or len(self.angles) < 2:
            return "scan: angles and ranges do not belong together"
        if not np.isfinite(self.angles).all() or np.any(np.diff(self.angles) <= 0):
            return "scan: its angles do not increase"
        # Beams that meet nothing are infinite; a scan that tells nothing at all is a blind sensor.
        return "scan: no beam tells anything" if np.isnan(self.ranges).all() else ""

    def points(self, nearest: float, farthest: float) -> NDArray[np.float64]:
        """Return where beams met something between two ranges, in base_link, (n, 2), m."""
        hit = (self.ranges > nearest) & (self.ranges < farthest)
        ranges, angles = self.ranges[hit], self.angles[hit]
        return np.stack((self.mount_x + ranges * np.cos(angles), ranges * np.sin(angles)), 1)


@dataclass(frozen=True)
class Odometry:
    """Pose in the odometry frame, which starts where the robot does, and velocity in base_link.

    Attributes:
        time: Capture time, s.
        x: m.
        y: m.
        yaw: rad.
        v: Forward, m/s.
        w: Turning, rad/s.
    """

    time: float
    x: float
    y: float
    yaw: float
    v: float
    w: float

    def fault(self) -> str:
        """Return why it cannot be used; empty if it can."""
        return "" if np.isfinite(astuple(self)).all() else "odometry: not finite"

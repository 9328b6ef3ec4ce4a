"""What a planner and a simulator say to each other: one small function."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

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


class Planner(Protocol):
    """Drives a robot to one goal."""

    def step(
        self, time: float, scan: Scan, odometry: Odometry, goal: tuple[float, float]
    ) -> tuple[float, float]:
        """Return what to do now; called with every scan, 40 times a second.

        Args:
            time: Now, on the clock of the stamps, s.
            scan: The newest.
            odometry: The newest.
            goal: In the odometry frame, m; the same in every call.

        Returns:
            Forward velocity, m/s, and yaw rate, rad/s.
        """
        ...

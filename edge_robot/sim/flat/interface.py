"""What a planner and a simulator say to each other: one small function."""

from __future__ import annotations

from typing import Protocol

from edge_robot.planning.senses import Odometry, Scan


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

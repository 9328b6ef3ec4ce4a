"""Dead reckoning: where a base believes it is, from its wheels and its gyro."""

from __future__ import annotations

import math
from dataclasses import dataclass

from edge_robot.sim.layout import Pose2


@dataclass(frozen=True)
class Odometry:
    """Where the base believes it is, from wheel encoders and gyro.

    Attributes:
        pose: In the odom frame, m and rad.
        speed: Forward, m/s.
        yaw_rate: Counter-clockwise, rad/s.
        distance: Way driven since the start, m.
    """

    pose: Pose2
    speed: float = 0.0
    yaw_rate: float = 0.0
    distance: float = 0.0

    def advanced(self, way: float, turn: float, duration: float) -> Odometry:
        """Return the odometry after the base went on along an arc.

        Args:
            way: Driven by the wheels since, m; negative backward.
            turn: Turned by the gyro since, rad, counter-clockwise.
            duration: Time since, s.
        """
        heading = self.pose.yaw + 0.5 * turn
        return Odometry(
            pose=Pose2(
                self.pose.x + way * math.cos(heading),
                self.pose.y + way * math.sin(heading),
                math.remainder(self.pose.yaw + turn, 2 * math.pi),
            ),
            speed=way / duration,
            yaw_rate=turn / duration,
            distance=self.distance + abs(way),
        )

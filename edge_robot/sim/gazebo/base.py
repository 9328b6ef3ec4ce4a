"""What the firmware of a base adds to Gazebo's drive: commands that run out, and a gyro.

Gazebo obeys the last command for ever, and its odometry turns by its wheels alone, which slip.
"""

from __future__ import annotations

import math

from edge_robot.sim.layout import Pose2
from edge_robot.sim.odometry import Odometry
from edge_robot.sim.robot import COMMAND_TIMEOUT

_OLDEST_TURN = 0.1  # s from the last reading of the gyro, after which the heading is not known


class CommandHold:
    """The velocity that holds now."""

    def __init__(self) -> None:
        self._command = (0.0, 0.0)
        self._given_at = -math.inf

    def command(self, speed: float, yaw_rate: float, now: float) -> None:
        """Ask for a velocity, m/s and rad/s, at a time, s; it holds for `COMMAND_TIMEOUT`."""
        self._command, self._given_at = (speed, yaw_rate), now

    def timed_out(self, now: float) -> bool:
        """Return whether the wheels stand because commands fail to come."""
        return now - self._given_at >= COMMAND_TIMEOUT

    def velocity(self, now: float) -> tuple[float, float]:
        """Return the velocity for the wheels, m/s and rad/s."""
        return (0.0, 0.0) if self.timed_out(now) else self._command


class DeadReckoning:
    """Odometry from the way of the wheels and the turning of the gyro.

    Args:
        start: Where it begins, in the odom frame.
    """

    def __init__(self, start: Pose2) -> None:
        self._odometry = Odometry(start)
        self._gyro: tuple[float, float, float] | None = None  # time, s; angle, rad; rate, rad/s
        self._last: tuple[float, float, Pose2] | None = None  # time, s; angle, rad; by wheels

    def turn(self, time: float, rate: float) -> None:
        """Take a reading of the gyro: when, s, and how fast, rad/s counter-clockwise."""
        angle = 0.0
        if self._gyro is not None:
            before, angle, rate_before = self._gyro
            angle += 0.5 * (rate_before + rate) * (time - before)
        self._gyro = (time, angle, rate)

    def roll(self, time: float, wheels: Pose2) -> Odometry | None:
        """Take a reading of the wheels.

        Args:
            time: When, s.
            wheels: Where the wheels alone say the base is, in any frame, m and rad.

        Returns:
            The odometry at that time; None where the gyro is silent.
        """
        if self._gyro is None or time - self._gyro[0] > _OLDEST_TURN:
            return None
        read, angle, rate = self._gyro
        angle += rate * (time - read)
        last, self._last = self._last, (time, angle, wheels)
        if last is None or time <= last[0]:
            return self._odometry
        before, angle_before, from_ = last
        heading = from_.yaw + 0.5 * math.remainder(wheels.yaw - from_.yaw, 2 * math.pi)
        dx, dy = wheels.x - from_.x, wheels.y - from_.y
        way = dx * math.cos(heading) + dy * math.sin(heading)
        self._odometry = self._odometry.advanced(way, angle - angle_before, time - before)
        return self._odometry

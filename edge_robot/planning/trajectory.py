"""A timed trajectory of the base."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_robot.planning.robot import Limits, State


@dataclass(frozen=True)
class Trajectory:
    """Where the robot is to be, and how fast, at instants after a common start.

    Attributes:
        time: Since the start, increasing from 0, (n,), s.
        x: (n,), m.
        y: (n,), m.
        yaw: Not wrapped, so that it can be interpolated, (n,), rad.
        v: Forward velocity, (n,), m/s.
        w: Yaw rate, (n,), rad/s.
    """

    time: NDArray[np.floating]
    x: NDArray[np.floating]
    y: NDArray[np.floating]
    yaw: NDArray[np.floating]
    v: NDArray[np.floating]
    w: NDArray[np.floating]

    def at(self, time: float) -> State:
        """Return the state at `time`, s; before the start and after the end, the nearest one."""
        time = min(max(time, float(self.time[0])), float(self.time[-1]))
        right = min(max(int(np.searchsorted(self.time, time)), 1), len(self.time) - 1)
        left = right - 1
        span = self.time[right] - self.time[left]
        share = (time - self.time[left]) / span
        values = (self.x, self.y, self.yaw, self.v, self.w)
        return State(*(float(a[left] + share * (a[right] - a[left])) for a in values))

    @classmethod
    def from_velocities(
        cls, start: State, v: NDArray[np.floating], w: NDArray[np.floating], dt: float
    ) -> Trajectory:
        """Integrate velocities.

        Args:
            start: The first point.
            v: Forward velocities at the points after the first, (n,), m/s.
            w: Yaw rates at the points after the first, (n,), rad/s.
            dt: Time between points, s.
        """
        all_v = np.concatenate(([start.v], v))
        all_w = np.concatenate(([start.w], w))
        # The velocity reached at the end of a step is held during the step, as in the rollouts.
        yaw = start.yaw + np.concatenate(([0.0], np.cumsum(all_w[1:]) * dt))
        middle = 0.5 * (yaw[1:] + yaw[:-1])
        x = start.x + np.concatenate(([0.0], np.cumsum(all_v[1:] * np.cos(middle)) * dt))
        y = start.y + np.concatenate(([0.0], np.cumsum(all_v[1:] * np.sin(middle)) * dt))
        return cls(np.arange(len(all_v)) * dt, x, y, yaw, all_v, all_w)

    @classmethod
    def stop(cls, start: State, limits: Limits, dt: float, steps: int) -> Trajectory:
        """Return the quickest stop within the limits, then standing still."""
        count = np.arange(1, steps + 1)

        def ramp(value: float, rate: float) -> NDArray[np.floating]:
            return np.sign(value) * np.maximum(abs(value) - rate * dt * count, 0.0)

        v = ramp(start.v, limits.max_accel)
        w = ramp(start.w, limits.max_yaw_accel)
        return cls.from_velocities(start, v, w, dt)

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
        vy: Velocity to the left, (n,), m/s; None but for an omnidirectional base.
    """

    time: NDArray[np.floating]
    x: NDArray[np.floating]
    y: NDArray[np.floating]
    yaw: NDArray[np.floating]
    v: NDArray[np.floating]
    w: NDArray[np.floating]
    vy: NDArray[np.floating] | None = None

    def at(self, time: float) -> State:
        """Return the state at `time`, s; before the start and after the end, the nearest one."""
        time = min(max(time, float(self.time[0])), float(self.time[-1]))
        right = min(max(int(np.searchsorted(self.time, time)), 1), len(self.time) - 1)
        left = right - 1
        span = self.time[right] - self.time[left]
        share = (time - self.time[left]) / span
        values = [self.x, self.y, self.yaw, self.v, self.w]
        if self.vy is not None:
            values.append(self.vy)
        return State(*(float(a[left] + share * (a[right] - a[left])) for a in values))

    @classmethod
    def from_velocities(
        cls,
        start: State,
        v: NDArray[np.floating],
        w: NDArray[np.floating],
        dt: float,
        vy: NDArray[np.floating] | None = None,
    ) -> Trajectory:
        """Integrate velocities.

        Args:
            start: The first point.
            v: Forward velocities at the points after the first, (n,), m/s.
            w: Yaw rates at the points after the first, (n,), rad/s.
            dt: Time between points, s.
            vy: Velocities to the left likewise; None for a base that has none.
        """
        # The velocity reached at the end of a step is held during the step, as in the rollouts.
        yaw = start.yaw + np.concatenate(([0.0], np.cumsum(w) * dt))
        middle = 0.5 * (yaw[1:] + yaw[:-1])
        aside = 0.0 if vy is None else vy
        x_rate = v * np.cos(middle) - aside * np.sin(middle)
        y_rate = v * np.sin(middle) + aside * np.cos(middle)
        return cls(
            np.arange(len(v) + 1) * dt,
            start.x + np.concatenate(([0.0], np.cumsum(x_rate) * dt)),
            start.y + np.concatenate(([0.0], np.cumsum(y_rate) * dt)),
            yaw,
            np.concatenate(([start.v], v)),
            np.concatenate(([start.w], w)),
            None if vy is None else np.concatenate(([start.vy], vy)),
        )

    @classmethod
    def stop(cls, start: State, limits: Limits, dt: float, steps: int) -> Trajectory:
        """Return the quickest stop within the limits, then standing still."""
        count = np.arange(1, steps + 1)

        def ramp(value: float, rate: float) -> NDArray[np.floating]:
            return np.sign(value) * np.maximum(abs(value) - rate * dt * count, 0.0)

        v = ramp(start.v, limits.max_accel)
        if limits.drive == "ackermann":
            # The wheels stay as they are steered.
            w = v * (start.w / start.v) if start.v else np.zeros(steps)
            return cls.from_velocities(start, v, w, dt)
        w = ramp(start.w, limits.max_yaw_accel)
        if limits.drive == "omnidirectional":
            vy = ramp(start.vy, limits.max_lateral_accel)
            return cls.from_velocities(start, v, w, dt, vy)
        return cls.from_velocities(start, v, w, dt)

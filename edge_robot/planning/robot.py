"""What planning and control need to know about the robot: its shape, its limits, its state."""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, hypot, sin

import numpy as np
from numpy.typing import NDArray

from edge_robot.settings import setting


@dataclass(frozen=True)
class Limits:
    """What the base may be asked for."""

    max_speed: float = setting(1.4, "forward speed, m/s")
    max_reverse: float = setting(0.7, "backward speed, m/s, positive")
    max_yaw_rate: float = setting(2.0, "turning rate either way, rad/s")
    max_accel: float = setting(2.0, "change of speed either way, m/s²")
    max_yaw_accel: float = setting(5.0, "change of turning rate either way, rad/s²")


@dataclass(frozen=True)
class Footprint:
    """A rectangle centred on base_link."""

    length: float = setting(0.42, "of the robot, along x of base_link, m")
    width: float = setting(0.31, "of the robot, along y of base_link, m")

    @property
    def inscribed_radius(self) -> float:
        """Radius of the largest disc inside, m."""
        return min(self.length, self.width) / 2

    @property
    def circumscribed_radius(self) -> float:
        """Radius of the smallest disc around, m."""
        return hypot(self.length, self.width) / 2

    def discs(self, count: int) -> tuple[NDArray[np.float32], float]:
        """Return discs in a row that cover the rectangle.

        Returns:
            Their centres along x of base_link, (count,) float32, m, and their common radius, m.
        """
        part = self.length / count
        centres = (np.arange(count, dtype=np.float32) + 0.5) * part - self.length / 2
        return centres.astype(np.float32), hypot(part, self.width) / 2


@dataclass(frozen=True)
class State:
    """Pose in a fixed frame and velocity in base_link: m, rad, m/s, rad/s."""

    x: float
    y: float
    yaw: float
    v: float = 0.0
    w: float = 0.0

    def after(self, seconds: float) -> State:
        """Return the state after moving on at the present velocity."""
        yaw = self.yaw + 0.5 * self.w * seconds
        return State(
            self.x + self.v * seconds * cos(yaw),
            self.y + self.v * seconds * sin(yaw),
            self.yaw + self.w * seconds,
            self.v,
            self.w,
        )


@dataclass(frozen=True)
class MovingObjects:
    """Tracked objects with their motion, in the planning frame.

    Attributes:
        id: Stable for the life of a track, (n,).
        position: Centres, (n, 2), m.
        velocity: (n, 2), m/s.
        half_size: Half length along `yaw` and half width, (n, 2), m.
        yaw: Heading, (n,), rad.
        covariance: Of (x, y, vx, vy), (n, 4, 4), m and m/s.
    """

    id: NDArray[np.int64]
    position: NDArray[np.float64]
    velocity: NDArray[np.float64]
    half_size: NDArray[np.float64]
    yaw: NDArray[np.float64]
    covariance: NDArray[np.float64]

    @classmethod
    def none(cls) -> MovingObjects:
        """Return no objects."""
        pairs = np.empty((0, 2))
        return cls(np.empty(0, np.int64), pairs, pairs, pairs, np.empty(0), np.empty((0, 4, 4)))

    def __len__(self) -> int:
        return len(self.position)

    def select(self, index: NDArray[np.bool_]) -> MovingObjects:
        """Return the objects for which `index`, (n,), is true."""
        return MovingObjects(
            self.id[index],
            self.position[index],
            self.velocity[index],
            self.half_size[index],
            self.yaw[index],
            self.covariance[index],
        )

    def after(self, seconds: float) -> MovingObjects:
        """Return the objects after moving on at their velocity, their covariance grown."""
        step = np.eye(4)
        step[0, 2] = step[1, 3] = seconds
        return MovingObjects(
            self.id,
            self.position + seconds * self.velocity,
            self.velocity,
            self.half_size,
            self.yaw,
            step @ self.covariance @ step.T,
        )

    @property
    def radius(self) -> NDArray[np.float64]:
        """Radius of the disc around each object, (n,), m."""
        return np.hypot(self.half_size[:, 0], self.half_size[:, 1])
